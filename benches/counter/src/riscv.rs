//! QEMU's RISC-V board `virt`. Executed instructions are counted by the CPU; under `-icount shift=7` QEMU makes
//! nanoseconds of them, 2^7 an instruction, and all of them multiples of it.

use core::arch::asm;
use riscv_rt::entry;

const INSTRUCTION: u32 = 128;

/// Instructions of some work, up to 33 million.
#[inline(never)]
pub fn count(work: impl FnOnce()) -> u32 {
    let before = minstret();
    work();
    minstret().wrapping_sub(before) / INSTRUCTION
}

/// The lower half of the counter.
fn minstret() -> u32 {
    let count;
    // SAFETY: reads a counter.
    unsafe { asm!("csrr {count}, minstret", count = out(reg) count, options(nostack)) };
    count
}

#[entry]
fn main() -> ! {
    crate::steps::run().exit_process()
}
