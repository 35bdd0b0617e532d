#![no_std]
#![no_main]

sizes::net!("lstm-dense.kgl");
