//! QEMU's RISC-V board `virt`, where a counter of executed instructions is part of the CPU. Under `-icount`
//! QEMU 7.2 lets it count nanoseconds, 128 an instruction: the unit is found with a known loop.

use crate::firmware::{self, Image};
use core::arch::asm;
use riscv_rt::entry;
use stream::{Meter, States};

/// The lower half of `minstret`.
pub struct Counter {
    /// What the counter adds for an instruction.
    unit: u32,
    /// Instructions of measuring nothing.
    empty: u32,
}

impl Counter {
    pub fn start() -> Self {
        let mut counter = Counter { unit: 1, empty: 0 };
        let [short, long] = [100, 200].map(|n| counter.cost(|| rounds(n)));
        counter.unit = long.wrapping_sub(short) / 200;
        counter.empty = counter.cost(|| ());
        counter
    }
}

fn minstret() -> u32 {
    let count;
    // SAFETY: reads a counter.
    unsafe { asm!("csrr {count}, minstret", count = out(reg) count, options(nostack)) };
    count
}

impl Meter for Counter {
    const UNIT: &'static str = "instructions";

    #[inline(never)]
    fn cost(&mut self, work: impl FnOnce()) -> u32 {
        let before = minstret();
        work();
        let count = minstret().wrapping_sub(before) / self.unit;
        count.saturating_sub(self.empty)
    }
}

/// Executes two instructions `n` times.
pub fn rounds(n: u32) {
    // SAFETY: counts a register down to zero.
    unsafe {
        asm!("2:", "addi {n}, {n}, -1", "bnez {n}, 2b", n = inout(reg) n => _, options(nomem, nostack));
    }
}

/// Sizes from the linker's marks.
pub fn image() -> Image {
    unsafe extern "C" {
        static __stext: u32;
        static __etext: u32;
        static __srodata: u32;
        static __erodata: u32;
        static __sdata: u32;
        static __edata: u32;
        static __sbss: u32;
        static __ebss: u32;
    }
    let between = |start: *const u32, end: *const u32| end as usize - start as usize;
    Image {
        text: between(&raw const __stext, &raw const __etext),
        rodata: between(&raw const __srodata, &raw const __erodata),
        data: between(&raw const __sdata, &raw const __edata),
        bss: between(&raw const __sbss, &raw const __ebss),
        stack: None,
    }
}

#[entry]
fn main() -> ! {
    static mut STATES: States = States::new();
    // SAFETY: main runs once, and nothing else names the static.
    let states = unsafe { &mut *(&raw mut STATES) };
    firmware::main(states).exit_process()
}
