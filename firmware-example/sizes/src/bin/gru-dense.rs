#![no_std]
#![no_main]

sizes::net!("gru-dense.kgl");
