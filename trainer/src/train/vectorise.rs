//! Compiles an elementwise loop for the vector units of the CPU at hand.
//!
//! Stable builds target the oldest x86-64, which has 4 lanes. `vectorised!` compiles one body three
//! times (AVX-512, AVX2, plain) and asks the CPU at run time. The bodies multiply and add
//! separately, so all three give the same bits. Every slice is its own argument, because only
//! arguments are known not to alias, and a loop over eight possibly aliasing slices stays scalar.

macro_rules! vectorised {
    (
        $(#[$doc:meta])*
        $vis:vis fn $name:ident $(<$c:ident: $bound:ident $(, const $k:ident: bool)?>)? ($($arg:ident: $ty:ty),* $(,)?) $body:block
    ) => {
        $(#[$doc])*
        #[allow(clippy::too_many_arguments, reason = "one argument per slice, see the module docs")]
        $vis fn $name<T: Real $(, $c: $bound<T> $(, const $k: bool)?)?>($($arg: $ty),*) {
            #[inline(always)]
            #[allow(clippy::too_many_arguments, reason = "as outside")]
            fn body<T: Real $(, $c: $bound<T> $(, const $k: bool)?)?>($($arg: $ty),*) $body

            #[cfg(target_arch = "x86_64")]
            {
                #[target_feature(enable = "avx512f,avx512vl,avx512dq,avx512bw")]
                #[allow(clippy::too_many_arguments, reason = "as outside")]
                fn avx512<T: Real $(, $c: $bound<T> $(, const $k: bool)?)?>($($arg: $ty),*) {
                    body::<T $(, $c $(, $k)?)?>($($arg),*)
                }
                #[target_feature(enable = "avx2")]
                #[allow(clippy::too_many_arguments, reason = "as outside")]
                fn avx2<T: Real $(, $c: $bound<T> $(, const $k: bool)?)?>($($arg: $ty),*) {
                    body::<T $(, $c $(, $k)?)?>($($arg),*)
                }
                if is_x86_feature_detected!("avx512f")
                    && is_x86_feature_detected!("avx512vl")
                    && is_x86_feature_detected!("avx512dq")
                    && is_x86_feature_detected!("avx512bw")
                {
                    // SAFETY: the CPU has just said that it has these features.
                    return unsafe { avx512::<T $(, $c $(, $k)?)?>($($arg),*) };
                }
                if is_x86_feature_detected!("avx2") {
                    // SAFETY: the CPU has just said that it has this feature.
                    return unsafe { avx2::<T $(, $c $(, $k)?)?>($($arg),*) };
                }
            }
            body::<T $(, $c $(, $k)?)?>($($arg),*)
        }
    };
}

pub(crate) use vectorised;
