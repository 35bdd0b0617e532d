//! A pair that tells and a network that draws ([`stream::generate`]), on a board of QEMU and on the host: both print the same.

#![cfg_attr(target_os = "none", no_std)]
#![cfg_attr(target_os = "none", no_main)]

#[cfg(target_os = "none")]
#[path = "../console.rs"]
mod console;

#[cfg(target_os = "none")]
mod firmware {
    use crate::console::Console;
    #[cfg(target_arch = "arm")]
    use cortex_m_rt::entry;
    use kinglet::kernel::Kernels;
    #[cfg(target_arch = "riscv32")]
    use riscv_rt::entry;
    use semihosting::io;
    use semihosting::process::ExitCode;
    use stream::generate;

    #[entry]
    fn main() -> ! {
        let done = io::stdout().is_ok_and(|stdout| {
            let made = generate::run(Kernels::detect(), &mut Console(stdout));
            made.inspect_err(|e| semihosting::eprintln!("error: {e}"))
                .is_ok()
        });
        let code = match done {
            true => ExitCode::SUCCESS,
            false => ExitCode::FAILURE,
        };
        code.exit_process()
    }
}

#[cfg(not(target_os = "none"))]
fn main() -> Result<(), stream::Failure> {
    let mut text = String::new();
    let made = stream::generate::run(kinglet::kernel::Kernels::detect(), &mut text);
    print!("{text}");
    made.map(drop)
}
