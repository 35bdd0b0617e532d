//! The network of a file that is loaded at run time.

#![no_std]
#![no_main]

use kinglet::{Model, State, include_model, state_len};
use sizes as _;

static MODEL: &[u8] = include_model!(concat!(env!("SIZES_MODELS"), "/lstm-dense.kgl"));
static mut STATE: State<{ state_len(MODEL) }> = State::new();

#[unsafe(no_mangle)]
extern "C" fn _start(x: &[i16; 7], y: &mut [i16; 1]) -> bool {
    // SAFETY: there is no other thread, and no other use.
    let state = unsafe { &mut *(&raw mut STATE) };
    let Ok(model) = Model::from_bytes(MODEL) else {
        return false;
    };
    let Ok(mut net) = model.bind(state) else {
        return false;
    };
    net.step_q(x, y);
    true
}
