//! Every table of this CPU against the definition.

use kinglet::check::check;
use kinglet::kernel::Kernels;

#[test]
fn every_table_equals_scalar() {
    for table in Kernels::available() {
        for seed in [1, 0x5eed_0000, u32::MAX] {
            match check(table, 1500, seed) {
                Ok(checked) => println!("{checked}"),
                Err(mismatch) => panic!("{mismatch}"),
            }
        }
    }
}
