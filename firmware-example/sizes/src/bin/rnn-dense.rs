#![no_std]
#![no_main]

sizes::net!("rnn-dense.kgl");
