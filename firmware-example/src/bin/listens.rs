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
    use stream::listen::{DIGESTS, rows, tokens};

    unsafe extern "C" {
        fn a_panic_can_be_reached() -> !;
    }

    #[panic_handler]
    fn panic(_: &PanicInfo<'_>) -> ! {
        // SAFETY: there is no such function, so this does not link.
        unsafe { a_panic_can_be_reached() }
    }

    /// Counts the instructions of a hop.
    fn counted(all: &mut u64) -> impl FnMut(&mut dyn FnMut()) + '_ {
        |hop| *all += u64::from(systick::ticks(hop))
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
        let [mut front, mut all] = [0; 2];
        let digests = [rows(counted(&mut front)), tokens(counted(&mut all))];
        tell(b"front end    ", front * TICK / INSTRUCTION);
        tell(b"and network  ", all * TICK / INSTRUCTION);
        // ADP_Stopped_ApplicationExit, or a run-time error.
        let reason = if digests == DIGESTS[..2] {
            0x20026
        } else {
            0x20023
        };
        loop {
            host(0x18, reason);
        }
    }
}

#[cfg(not(target_os = "none"))]
fn main() {
    use stream::listen::{DIGESTS, rows, tokens};
    let digests = [rows(|hop| hop()), tokens(|hop| hop())];
    println!("digests {digests:08x?}");
    assert_eq!(digests, DIGESTS[..2]);
}
