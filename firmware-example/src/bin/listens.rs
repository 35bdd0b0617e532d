//! A network that listens, on a Cortex-M: tells the instructions of a second of sound, of the front end alone and with the network, and fails
//! unless all bytes are those of the host.
//!
//! As in `smallest` no panic can be reached: the panic handler calls a function that does not exist.

#![cfg_attr(target_os = "none", no_std)]
#![cfg_attr(target_os = "none", no_main)]

#[cfg(target_os = "none")]
#[path = "../systick.rs"]
mod systick;

#[cfg(target_os = "none")]
mod firmware {
    use crate::systick::{self, INSTRUCTION, TICK};
    use core::arch::asm;
    use core::panic::PanicInfo;
    use cortex_m_rt::entry;
    use stream::listen::{DIGEST, second};

    unsafe extern "C" {
        fn a_panic_can_be_reached() -> !;
    }

    #[panic_handler]
    fn panic(_: &PanicInfo<'_>) -> ! {
        // SAFETY: there is no such function, so this does not link.
        unsafe { a_panic_can_be_reached() }
    }

    /// The digest of a second, and its instructions.
    fn measured(network: bool) -> (u32, u64) {
        let mut all = 0;
        let digest = second(network, |hop| {
            all += u64::from(systick::ticks(hop));
        });
        (digest, all * TICK / INSTRUCTION)
    }

    /// One operation of semihosting.
    fn host(operation: usize, argument: usize) {
        // SAFETY: the debugger reads the argument, a text that ends with zero.
        unsafe {
            asm!("bkpt #0xab", inout("r0") operation => _, in("r1") argument, options(nostack));
        }
    }

    fn tell(words: &[u8], mut number: u64) {
        let mut text = [0u8; 48];
        let mut digits = [b'0'; 12];
        for digit in digits.iter_mut().rev() {
            *digit = b'0' + (number % 10) as u8;
            number /= 10;
        }
        let all = words.iter().chain(&digits).chain(b"\n");
        // The last byte stays zero.
        text.iter_mut()
            .take(47)
            .zip(all)
            .for_each(|(to, byte)| *to = *byte);
        host(0x04, text.as_ptr() as usize);
    }

    #[entry]
    fn main() -> ! {
        systick::start();
        let (_, front) = measured(false);
        let (digest, all) = measured(true);
        tell(b"front end    ", front);
        tell(b"and network  ", all);
        // ADP_Stopped_ApplicationExit, or a run-time error.
        let reason = if digest == DIGEST { 0x20026 } else { 0x20023 };
        loop {
            host(0x18, reason);
        }
    }
}

#[cfg(not(target_os = "none"))]
fn main() {
    let digest = stream::listen::second(true, |hop| hop());
    println!("digest  {digest:08x}");
    assert_eq!(digest, stream::listen::DIGEST);
}
