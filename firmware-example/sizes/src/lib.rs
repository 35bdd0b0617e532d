//! The parts of an image that is measured, not run: a start that steps a network once, and a panic handler.

#![no_std]

#[cfg(target_os = "none")]
#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    #[cfg(feature = "panic-free")]
    {
        unsafe extern "C" {
            fn a_panic_can_be_reached() -> !;
        }
        // SAFETY: there is no such function, so an image with a panic does not link.
        unsafe { a_panic_can_be_reached() }
    }
    #[cfg(not(feature = "panic-free"))]
    loop {}
}

/// A network of a file, which the compiler loads.
#[macro_export]
macro_rules! embedded {
    ($name:ident, $file:literal) => {
        struct $name;

        impl kinglet::Embedded for $name {
            const FILE: &'static [u8] =
                kinglet::include_model!(concat!(env!("SIZES_MODELS"), "/", $file));
            type State = kinglet::State<{ kinglet::state_len(Self::FILE) }>;
        }
    };
}

/// An image that steps one in integers.
#[macro_export]
macro_rules! net {
    ($file:literal) => {
        use kinglet::Net;

        sizes::embedded!(Model, $file);

        static mut NET: Net<Model> = Net::new();

        #[unsafe(no_mangle)]
        extern "C" fn _start(
            x: &[i16; Net::<Model>::INPUTS],
            y: &mut [i16; Net::<Model>::OUTPUTS],
        ) {
            // SAFETY: there is no other thread, and no other use.
            let net = unsafe { &mut *(&raw mut NET) };
            net.step_q(x, y);
            net.reset();
        }
    };
}
