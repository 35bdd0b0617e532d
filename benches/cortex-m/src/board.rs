use cortex_m_rt::{ExceptionFrame, entry, exception};
use kinglet::check::check;
use kinglet::kernel::Kernels;
use kinglet::{Digest, Model};
use semihosting::process::ExitCode;
use semihosting::{eprintln, println};

mod models {
    include!(concat!(env!("OUT_DIR"), "/models.rs"));
}

/// Steps that are counted per model.
const STEPS: u32 = 2000;
/// Multiplications after which a model has been stepped enough.
const MACS: u32 = 40_000_000;
/// Picoseconds of a tick, which the board decides.
const TICK: u64 = match u64::from_str_radix(env!("TICK_PS"), 10) {
    Ok(number) => number,
    Err(_) => panic!("build.rs gives a number"),
};
/// Picoseconds of an instruction: 2^7 ns.
const INSTRUCTION: u64 = 128_000;
const MAX_TICKS: u32 = 0x00ff_ffff;
const SYST_CSR: *mut u32 = 0xe000_e010 as *mut u32;
const SYST_RVR: *mut u32 = 0xe000_e014 as *mut u32;
const SYST_CVR: *mut u32 = 0xe000_e018 as *mut u32;

/// Instructions of some work.
#[inline(never)]
fn count(work: impl FnOnce()) -> u32 {
    // SAFETY: reading this register has no effect.
    let ticks = || unsafe { SYST_CVR.read_volatile() };
    let before = ticks();
    work();
    let ticks = before.wrapping_sub(ticks()) & MAX_TICKS;
    ((ticks as u64 * TICK + INSTRUCTION / 2) / INSTRUCTION) as u32
}

#[repr(C, align(16))]
struct Memory([u8; models::STATE]);

/// xorshift32 (Marsaglia 2003).
struct Random(u32);

impl Random {
    fn next(&mut self) -> u32 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 17;
        self.0 ^= self.0 << 5;
        self.0
    }
}

/// Prints the instructions of a step; false if the model does not run or they depend on the data.
fn measure(name: &str, file: &'static [u8], memory: &mut [u8], empty: u32) -> bool {
    memory.fill(0);
    let model = match Model::from_bytes(file) {
        Ok(model) => model,
        Err(e) => {
            eprintln!("error: {name}: {e}");
            return false;
        }
    };
    let mut random = Random(1);
    {
        let Ok(mut net) = model.bind_bytes(memory) else {
            return false;
        };
        if let Err(e) = model.self_test(&mut net) {
            eprintln!("error: {name}: {e}");
            return false;
        }
    }
    memory
        .iter_mut()
        .for_each(|byte| *byte = random.next() as u8);
    let Ok(mut net) = model.bind_bytes(memory) else {
        return false;
    };
    let tokens = matches!(model.header().input, kinglet::format::Input::Tokens { .. });
    let (mut x, mut y) = ([0; 4096], [0; 4096]);
    let x = &mut x[..if tokens { 0 } else { model.inputs() }];
    let y = &mut y[..model.outputs()];
    let mut digest = Digest::new();
    let (mut least, mut most) = (u32::MAX, 0);
    for _ in 0..STEPS.min(MACS / model.macs() as u32) {
        x.iter_mut().for_each(|x| *x = random.next() as i16);
        let token = random.next() as usize % model.inputs();
        let cost = count(|| {
            if tokens {
                net.step_token_q(token, y);
            } else {
                net.step_q(x, y);
            }
        });
        (least, most) = (least.min(cost - empty), most.max(cost - empty));
        digest.add_i16(y);
    }
    digest.add_bytes(net.layer_state());
    let thousandths = most as u64 * 1000 / model.macs() as u64;
    println!(
        "{name:<24} {least:>8} instructions  {}.{:03} per MAC  {:>6} bytes of state  digest {digest}",
        thousandths / 1000,
        thousandths % 1000,
        model.state_len(),
    );
    if least != most {
        eprintln!("error: {name}: up to {most} instructions, depending on the data");
    }
    least == most
}

#[entry]
fn main() -> ! {
    static mut MEMORY: Memory = Memory([0; models::STATE]);
    // SAFETY: registers of the core, which nothing else here uses; no interrupt is enabled.
    unsafe {
        SYST_RVR.write_volatile(MAX_TICKS);
        SYST_CVR.write_volatile(0);
        // Enabled, by the core's clock.
        SYST_CSR.write_volatile(0b101);
    }
    let empty = count(|| ());
    let mut ok = true;
    for table in Kernels::available() {
        match check(table, 300, 1) {
            Ok(checked) => println!("{checked}"),
            Err(mismatch) => {
                eprintln!("error: {mismatch}");
                ok = false;
            }
        }
    }
    for (name, file) in models::MODELS {
        ok &= measure(name, file, &mut MEMORY.0, empty);
    }
    if ok {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
    .exit_process()
}

#[exception]
unsafe fn HardFault(frame: &ExceptionFrame) -> ! {
    eprintln!("error: hard fault at {:#010x}", frame.pc());
    ExitCode::FAILURE.exit_process()
}
