//! A row of the tables in `benches/results`: steps with random samples from random states, counted.

use core::fmt::Display;
use kinglet::Digest;
use semihosting::{eprintln, println};

/// Steps of a model, unless they are too many instructions.
const STEPS: u32 = 10_000;
const INSTRUCTIONS: u32 = 1_250_000_000;
/// Steps that the digest is of, the same for every layout.
const DIGESTED: u32 = 100;

/// xorshift32 (Marsaglia 2003).
pub struct Random(u32);

impl Random {
    pub fn next(&mut self) -> u32 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 17;
        self.0 ^= self.0 << 5;
        self.0
    }
}

/// What a row of the tables in `benches/results` says of a layer besides its instructions.
pub struct Row<'a> {
    /// Cell, format, layout and shape.
    pub name: &'a dyn Display,
    pub macs: u32,
    pub state: usize,
}

impl Row<'_> {
    /// Steps with random samples from random states, and prints the row and a digest. `step` takes the numbers for
    /// sample and state, and gives its instructions.
    pub fn measure(
        &self,
        mut step: impl FnMut(&mut Random, Random, &mut Digest) -> u32,
    ) -> Result<(), &'static str> {
        let Row { name, macs, state } = self;
        let mut random = Random(1);
        let mut digest = Digest::new();
        let (mut least, mut most) = (u32::MAX, 0);
        let (mut number, mut steps) = (0, STEPS);
        while number < steps {
            let mut undigested = Digest::new();
            let digest = if number < DIGESTED {
                &mut digest
            } else {
                &mut undigested
            };
            // From the step's number, because states differ in size between layouts.
            let cost = step(&mut random, Random(!number), digest);
            (least, most) = (least.min(cost), most.max(cost));
            steps = STEPS.min(INSTRUCTIONS / most);
            number += 1;
        }
        let thousandths = most as u64 * 1000 / *macs as u64;
        let (whole, rest) = (thousandths / 1000, thousandths % 1000);
        println!("| {name} | {most} | {whole}.{rest:03} | {state} | {steps} | {digest}");
        if least != most {
            eprintln!("error: {name}: {least} to {most} instructions, depending on the data");
            return Err("is not constant");
        }
        Ok(())
    }
}
