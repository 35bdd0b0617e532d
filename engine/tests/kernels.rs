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

/// `KINGLET_TABLES` names what must be there where a test knows its CPU: a table that is not found is not checked.
#[test]
fn tables_are_those_the_environment_names() {
    if let Ok(names) = std::env::var("KINGLET_TABLES") {
        let found: Vec<_> = Kernels::available().map(Kernels::name).collect();
        assert_eq!(found, names.split(' ').collect::<Vec<_>>());
    }
}
