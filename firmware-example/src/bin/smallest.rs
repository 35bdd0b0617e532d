//! What the engine costs where flash is scarce: the model (w8a8) as the compiler loads it, on a Cortex-M4.
//!
//! Nothing is formatted, and no panic can be reached: the panic handler calls a function that does not exist, so
//! a panic that is left is an error of the linker. Built once more without the engine (`WITHOUT_ENGINE=1`), the difference
//! is what the engine takes; `run.sh` asserts it. The exit code is 0 if the outputs are those of a model loaded at run time, whose
//! digest `tests/digest.rs` has.

#![cfg_attr(target_os = "none", no_std)]
#![cfg_attr(target_os = "none", no_main)]

#[cfg(target_os = "none")]
mod firmware {
    use core::arch::asm;
    use core::panic::PanicInfo;
    use cortex_m_rt::entry;
    use kinglet::{Digest, Embedded, Net, State, include_model, state_len};

    struct Pump;

    impl Embedded for Pump {
        const FILE: &'static [u8] = include_model!("../../model/pump-cortex-m4.kgl");
        type State = State<{ state_len(Self::FILE) }>;
    }

    /// Of 100 steps.
    const DIGEST: u32 = 0xfb89_917f;

    unsafe extern "C" {
        fn a_panic_can_be_reached() -> !;
    }

    #[panic_handler]
    fn panic(_: &PanicInfo<'_>) -> ! {
        // SAFETY: there is no such function, so this does not link.
        unsafe { a_panic_can_be_reached() }
    }

    fn run() -> u32 {
        let (mut net, mut y, mut digest) = (Net::<Pump>::new(), [0], Digest::new());
        for step in 0..100 {
            let x = core::array::from_fn(|i| (step * 7 + i as i16 * 3) % 11 * 23 - 115);
            net.step_q::<6, 1>(&x, &mut y);
            digest.add_i16(&y);
        }
        digest.add_bytes(net.layer_state());
        digest.value()
    }

    #[entry]
    fn main() -> ! {
        let ok = option_env!("WITHOUT_ENGINE").is_some() || run() == DIGEST;
        // ADP_Stopped_ApplicationExit, or a run-time error.
        let reason = if ok { 0x20026 } else { 0x20023 };
        // SAFETY: SYS_EXIT of semihosting, which does not return.
        unsafe { asm!("bkpt #0xab", in("r0") 0x18, in("r1") reason, options(noreturn)) }
    }
}

#[cfg(not(target_os = "none"))]
fn main() {
    println!("for a Cortex-M4: run.sh");
}
