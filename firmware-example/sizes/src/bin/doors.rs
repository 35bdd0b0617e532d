//! What else a network steps by: floats in and out, and tokens. No size is asked of it, only that no panic can be reached.

#![no_std]
#![no_main]

use kinglet::Net;
use sizes::embedded;

embedded!(Lstm, "lstm-dense.kgl");
embedded!(Gru, "gru-dense.kgl");
embedded!(Rnn, "rnn-dense.kgl");
embedded!(Text, "tokens.kgl");

type Nets = (Net<Lstm>, Net<Gru>, Net<Rnn>, Net<Text>);
static mut NETS: Nets = (Net::new(), Net::new(), Net::new(), Net::new());

#[unsafe(no_mangle)]
extern "C" fn _start(x: &[f32; 7], token: usize, y: &mut [f32; 1], q: &mut [i16; 1]) {
    // SAFETY: there is no other thread, and no other use.
    let (lstm, gru, rnn, text) = unsafe { &mut *(&raw mut NETS) };
    lstm.step(x, y);
    gru.step(x, y);
    rnn.step(x, y);
    text.step_token(token, y);
    text.step_token_q(token, q);
    lstm.reset();
    gru.reset();
    rnn.reset();
    text.reset();
}
