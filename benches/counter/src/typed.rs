//! The typed door, beside the model's: layers of `w8a8` laid out for Cortex-M0 or M4, which opens them without an embedding.

use crate::board::count;
use crate::row::Row;
use core::fmt::{self, Display};
#[cfg(armv6m)]
use kinglet::typed::CortexM0 as Layout;
#[cfg(not(armv6m))]
use kinglet::typed::CortexM4 as Layout;
use kinglet::typed::{Cell, GruCell, Layers, LstmCell, RnnCell, State, W8A8};
use kinglet::{LoadError, Model};

/// A name with `typed` behind the layout.
struct Name<'a>(&'a str);

impl Display for Name<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (layout, shape) = self.0.rsplit_once(" | ").ok_or(fmt::Error)?;
        write!(f, "{layout} typed | {shape}")
    }
}

/// Steps of a layer, if the file is one of these; whether it is.
fn layer<C: Cell, const I: usize, const H: usize>(
    file: &'static [u8],
    model: &Model<'_>,
    empty: u32,
) -> Result<bool, &'static str> {
    let open = || Layers::<W8A8, Layout>::open(file)?.recurrent::<C, I, H>();
    let layer = match open() {
        Ok(layer) => layer,
        Err(LoadError::Unlike { .. } | LoadError::Mismatch { .. }) => return Ok(false),
        Err(_) => return Err("does not open"),
    };
    let row = Row {
        name: &Name(model.header().name),
        macs: model.macs() as u32,
        state: size_of::<State<C, H>>(),
    };
    let mut state = State::<C, H>::new();
    let (mut x, mut y) = ([0; I], [0; H]);
    let measured = row.measure(|samples, mut states, digest| {
        let (master, h) = state.parts();
        master.fill_with(|| states.next() as i32);
        for h in h.as_chunks_mut().0 {
            *h = states.next().to_le_bytes().map(|byte| byte as i8);
        }
        x.fill_with(|| samples.next() as i16);
        // As for the model, which draws a token too.
        samples.next();
        let cost = count(|| layer.step_q(&mut state, &x, &mut y));
        let (master, h) = state.parts();
        digest.add_i16(&y);
        digest.add_bytes(bytemuck::bytes_of(master));
        digest.add_bytes(bytemuck::bytes_of(h));
        cost - empty
    });
    measured.map(|()| true)
}

/// Steps of a layer of this cell, if the file is one.
fn cell<C: Cell>(file: &'static [u8], model: &Model<'_>, empty: u32) -> Result<bool, &'static str> {
    Ok(layer::<C, 1, 8>(file, model, empty)?
        || layer::<C, 3, 16>(file, model, empty)?
        || layer::<C, 7, 32>(file, model, empty)?
        || layer::<C, 6, 64>(file, model, empty)?
        || layer::<C, 16, 64>(file, model, empty)?
        || layer::<C, 64, 128>(file, model, empty)?)
}

/// Steps of a file's layer, if its cell, format, layout and shape are among those here; whether they are.
pub fn measure(file: &'static [u8], model: &Model<'_>, empty: u32) -> Result<bool, &'static str> {
    Ok(cell::<LstmCell>(file, model, empty)?
        || cell::<GruCell>(file, model, empty)?
        || cell::<RnnCell>(file, model, empty)?)
}
