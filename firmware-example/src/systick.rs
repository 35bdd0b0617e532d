//! SysTick of the Cortex-M boards of QEMU, which counts emulated time: under `-icount shift=7` every instruction takes 2^7 ns of it,
//! so that instructions are `ticks · TICK / INSTRUCTION`.

/// Picoseconds of a tick, which the board decides.
pub const TICK: u64 = match u64::from_str_radix(env!("TICK_PS"), 10) {
    Ok(tick) => tick,
    Err(_) => panic!("TICK_PS is a number"),
};
/// Picoseconds of an instruction. At two ticks or more it is counted exactly.
pub const INSTRUCTION: u64 = 128_000;
const MAX_TICKS: u32 = 0x00ff_ffff;

/// Control, reload value and current value, the same on every Cortex-M.
const SYST_CSR: *mut u32 = 0xe000_e010 as *mut u32;
const SYST_RVR: *mut u32 = 0xe000_e014 as *mut u32;
const SYST_CVR: *mut u32 = 0xe000_e018 as *mut u32;

/// Lets it count down from [`MAX_TICKS`], again and again.
pub fn start() {
    // SAFETY: registers of the core, which nothing else here uses; no interrupt is enabled.
    unsafe {
        SYST_RVR.write_volatile(MAX_TICKS);
        SYST_CVR.write_volatile(0);
        // Enabled, by the core's clock.
        SYST_CSR.write_volatile(0b101);
    }
}

/// Ticks of some work.
#[inline(always)]
pub fn ticks(work: impl FnOnce()) -> u32 {
    // SAFETY: reading this register has no effect.
    let now = || unsafe { SYST_CVR.read_volatile() };
    let before = now();
    work();
    before.wrapping_sub(now()) & MAX_TICKS
}
