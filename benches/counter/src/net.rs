//! The same layers as the compiler loads them.

use crate::board::count;
use crate::row::Row;
use core::fmt::{self, Display};
use kinglet::{Embedded, Net};

/// A name with `net` behind the layout.
struct Name<'a>(&'a str);

impl Display for Name<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (layout, shape) = self.0.rsplit_once(" | ").ok_or(fmt::Error)?;
        write!(f, "{layout} net | {shape}")
    }
}

/// Steps of a layer.
pub fn measure<M: Embedded, const I: usize, const H: usize>(
    empty: u32,
) -> Result<(), &'static str> {
    let model = Net::<M>::model();
    let row = Row {
        name: &Name(model.header().name),
        macs: model.macs() as u32,
        state: size_of::<Net<M>>(),
    };
    let mut net = Net::<M>::new();
    let (mut x, mut y) = ([0; I], [0; H]);
    row.measure(|samples, mut states, digest| {
        let mut state = net.state().clone();
        for word in state.as_mut().as_chunks_mut().0 {
            *word = states.next().to_le_bytes();
        }
        net = Net::from_state(state);
        x.fill_with(|| samples.next() as i16);
        // As for the model, which draws a token too.
        samples.next();
        let cost = count(|| net.step_q(&x, &mut y));
        digest.add_i16(&y);
        digest.add_bytes(net.layer_state());
        cost - empty
    })
}
