//! A network that waits for a word, on a Cortex-M: tells the instructions of a second of sound, and fails unless all bytes are those of
//! the host.

#![cfg_attr(target_os = "none", no_std)]
#![cfg_attr(target_os = "none", no_main)]

#[cfg(target_os = "none")]
#[path = "../systick.rs"]
mod systick;

#[cfg(target_os = "none")]
mod firmware {
    use crate::systick::{self, INSTRUCTION, TICK};
    use cortex_m_rt::entry;
    use semihosting::process::ExitCode;
    use stream::listen::{DIGESTS, word};

    #[entry]
    fn main() -> ! {
        systick::start();
        let mut ticks = 0;
        let digest = word(|hop| ticks += u64::from(systick::ticks(hop)));
        semihosting::println!("waiting for a word {}", ticks * TICK / INSTRUCTION);
        let code = match digest == DIGESTS[2] {
            true => ExitCode::SUCCESS,
            false => ExitCode::FAILURE,
        };
        code.exit_process()
    }
}

#[cfg(not(target_os = "none"))]
fn main() {
    let digest = stream::listen::word(|hop| hop());
    println!("digest  {digest:08x}");
    assert_eq!(digest, stream::listen::DIGESTS[2]);
}
