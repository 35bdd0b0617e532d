//! The header without serde: names are skipped, layers come one by one. Bidirectional ones, which cannot be stepped, do not
//! decode here: to name them would take a hundred bytes of every firmware's flash.
//!
//! Postcard writes a number as a varint (seven bits a byte, the lowest first), the variant of an enum as such a number,
//! a string or a list with its length before it, a single byte, a bool and a float as they are. The structures are those of
//! [`Header`](super::Header); a test below compares the two on every kind of layer.

use super::{Activation, Cell, Feature, Format, Layer, LoadError, MAX_LAYERS, Target, Tensors};

/// A walk over the layers of a file, and their tensors.
#[derive(Debug, Clone)]
pub(crate) struct Walk<'a> {
    header: Bytes<'a>,
    /// Number of layers.
    pub(crate) layers: usize,
    /// How many were taken.
    pub(crate) taken: usize,
    pub(crate) features: &'a [Feature],
    pub(crate) targets: &'a [Target],
    pub(crate) tensors: Tensors<'a>,
}

impl<'a> Walk<'a> {
    /// Reads as far as to the first layer.
    #[inline]
    pub(crate) fn new(header: &'a [u8], payload: &'a [u8]) -> Result<Self, LoadError> {
        let mut tensors = Tensors::new(payload);
        let mut header = Bytes(header);
        header.skip_text()?;
        let features = match header.counted()? {
            (0, count) => tensors.take(count)?,
            (1, _) => &[],
            _ => return Err(LoadError::Header),
        };
        header.skip_text()?;
        let output = header.counted()?;
        let targets = match output {
            (0, count) => tensors.take(count)?,
            (1 | 2, _) => &[],
            _ => return Err(LoadError::Header),
        };
        if output.0 < 2 {
            header.skip_text()?;
        }
        match header.number()? {
            0 => {}
            1 => {
                header.number()?;
                header.number()?;
                header.byte()?;
            }
            _ => return Err(LoadError::Header),
        }
        match header.byte()? {
            0 => {}
            1 => header.skip(4)?,
            _ => return Err(LoadError::Header),
        }
        let layers = header.number()?;
        if layers > MAX_LAYERS {
            return Err(LoadError::Header);
        }
        Ok(Walk {
            header,
            layers,
            taken: 0,
            features,
            targets,
            tensors,
        })
    }

    /// The next layer.
    pub(crate) fn next(&mut self) -> Result<Layer, LoadError> {
        if self.taken == self.layers {
            return Err(LoadError::Mismatch {
                layer: self.taken,
                what: "number of layers",
                found: self.layers,
                need: self.layers + 1,
            });
        }
        self.taken += 1;
        let header = &mut self.header;
        let kind = header.number()?;
        let format = match header.number()? {
            0 => Format::F32,
            1 => Format::F16,
            2 => Format::W8A8,
            3 => Format::W8A16,
            4 => Format::W4A8,
            _ => return Err(LoadError::Header),
        };
        match kind {
            0 => Ok(Layer::Embedding {
                format,
                vocab: header.half()?,
                dim: header.half()?,
            }),
            1 => Ok(Layer::Recurrent {
                format,
                cell: match header.number()? {
                    0 => Cell::RnnTanh,
                    1 => Cell::RnnRelu,
                    2 => Cell::Lstm,
                    3 => Cell::GruResetAfter,
                    4 => Cell::GruResetBefore,
                    5 => Cell::FastGrnn,
                    6 => Cell::LstmCoupled,
                    7 => Cell::LstmPeephole,
                    _ => return Err(LoadError::Header),
                },
                inputs: header.half()?,
                hidden: header.half()?,
                requant_shift: header.byte()?,
                cell_shift: header.byte()?,
            }),
            2 => Ok(Layer::Dense {
                format,
                inputs: header.half()?,
                outputs: header.half()?,
                activation: match header.number()? {
                    0 => Activation::Identity,
                    1 => Activation::Relu,
                    2 => Activation::Tanh,
                    3 => Activation::Sigmoid,
                    4 => Activation::Softmax,
                    _ => return Err(LoadError::Header),
                },
                requant_shift: header.byte()?,
                frac: header.byte()? as i8,
            }),
            _ => Err(LoadError::Header),
        }
    }
}

/// What is left of the header.
#[derive(Debug, Clone)]
struct Bytes<'a>(&'a [u8]);

impl Bytes<'_> {
    fn byte(&mut self) -> Result<u8, LoadError> {
        let (first, rest) = self.0.split_first().ok_or(LoadError::Header)?;
        self.0 = rest;
        Ok(*first)
    }

    /// A varint of at most 32 bits.
    fn number(&mut self) -> Result<usize, LoadError> {
        let mut number = 0;
        for shift in [0, 7, 14, 21, 28] {
            let byte = self.byte()?;
            let bits = (byte & 0x7f) as u32;
            if shift == 28 && byte > 0x0f {
                break;
            }
            number |= bits << shift;
            if byte < 0x80 {
                return Ok(number as usize);
            }
        }
        Err(LoadError::Header)
    }

    fn half(&mut self) -> Result<u16, LoadError> {
        u16::try_from(self.number()?).map_err(|_| LoadError::Header)
    }

    /// An enum's variant, and the count that is first in each of its variants.
    fn counted(&mut self) -> Result<(usize, usize), LoadError> {
        Ok((self.number()?, self.half()? as usize))
    }

    fn skip(&mut self, len: usize) -> Result<(), LoadError> {
        self.0 = self.0.get(len..).ok_or(LoadError::Header)?;
        Ok(())
    }

    fn skip_text(&mut self) -> Result<(), LoadError> {
        let len = self.number()?;
        self.skip(len)
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::super::{Header, Input, Output, Preamble, Shape, TestVectors};
    use super::*;
    use crate::Model;
    use std::vec::Vec;
    use std::{fs, println};

    /// Sixteen bytes where they belong; a `u128` starts at multiples of eight on some targets.
    #[derive(Clone, Copy, bytemuck::Zeroable, bytemuck::Pod)]
    #[repr(C, align(16))]
    struct Block([u8; 16]);

    /// Every model file of the tests, at a multiple of 16.
    #[test]
    fn walk_and_header_agree_on_every_file() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/models");
        let mut files = 0;
        for file in fs::read_dir(folder).unwrap() {
            let path = file.unwrap().path();
            let file = fs::read(&path).unwrap();
            let mut room = std::vec![Block([0; 16]); file.len().div_ceil(16)];
            let bytes = &mut bytemuck::cast_slice_mut::<_, u8>(&mut room)[..file.len()];
            bytes.copy_from_slice(&file);
            let model = Model::from_bytes(bytes).unwrap();
            let (_, header, payload) = Preamble::split(bytes).unwrap();
            let mut walk = Walk::new(header, payload).unwrap();
            let name = path.display();
            assert_eq!(walk.features, model.features(), "{name}");
            assert_eq!(walk.targets, model.targets(), "{name}");
            if model.is_bidirectional() {
                assert_eq!(walk.next(), Err(LoadError::Header), "{name}");
                continue;
            }
            for layer in &model.header().layers {
                assert_eq!(walk.next().as_ref(), Ok(layer), "{name}");
            }
            assert!(walk.next().is_err(), "{name}");
            files += 1;
        }
        println!("{files} files");
        assert!(files >= 11);
    }

    #[test]
    fn walk_and_header_agree_on_every_variant() {
        let formats = [Format::F32, Format::W8A8, Format::W8A16, Format::W4A8];
        let cells = [
            Cell::RnnTanh,
            Cell::RnnRelu,
            Cell::Lstm,
            Cell::GruResetAfter,
            Cell::GruResetBefore,
            Cell::FastGrnn,
            Cell::LstmCoupled,
            Cell::LstmPeephole,
        ];
        let activations = [
            Activation::Identity,
            Activation::Relu,
            Activation::Tanh,
            Activation::Sigmoid,
            Activation::Softmax,
        ];
        let text = "x".repeat(300);
        let payload = bytemuck::cast_slice::<Block, u8>(&[]);
        let (names, count) = (&*text, 0);
        for (turn, format) in formats.into_iter().enumerate() {
            let mut layers = heapless::Vec::new();
            layers
                .push(Layer::Embedding {
                    format,
                    vocab: 32768,
                    dim: 127,
                })
                .unwrap();
            let cells = cells.into_iter().cycle().skip(5 * turn);
            for (i, (cell, activation)) in cells.zip(activations).enumerate() {
                let recurrent = Layer::Recurrent {
                    format,
                    cell,
                    inputs: 1 << i,
                    hidden: 4096 >> i,
                    requant_shift: 31,
                    cell_shift: i as u8,
                };
                let dense = Layer::Dense {
                    format,
                    inputs: 128,
                    outputs: 65535,
                    activation,
                    requant_shift: 255,
                    frac: -16,
                };
                layers.push(recurrent).unwrap();
                layers.push(dense).unwrap();
            }
            let header = Header {
                name: names,
                input: [
                    Input::Features { count, names },
                    Input::Tokens { count: 300, names },
                ][turn % 2],
                output: [
                    Output::Values { count, names },
                    Output::Classes { count: 200, names },
                    Output::NextToken { count: 1 },
                    Output::Values { count, names: "" },
                ][turn],
                shape: [
                    Shape::EveryStep,
                    Shape::Window {
                        window: 1 << 24,
                        hop: 200,
                        exact: true,
                    },
                ][turn / 2],
                threshold: [None, Some(0.5)][turn % 2],
                layers,
                test: TestVectors {
                    steps: 1,
                    digest: 2,
                },
            };
            let mut bytes = [0; 2048];
            let bytes = postcard::to_slice(&header, &mut bytes).unwrap();
            let mut walk = Walk::new(bytes, payload).unwrap();
            let walked: Vec<_> = (0..header.layers.len()).map(|_| walk.next()).collect();
            let want: Vec<_> = header.layers.iter().copied().map(Ok).collect();
            assert_eq!(walked, want, "{}", format.name());
            // What follows the layers takes two bytes.
            for len in 0..bytes.len() - 2 {
                let cut = Walk::new(&bytes[..len], payload);
                let all = cut.and_then(|mut walk| (0..11).try_for_each(|_| walk.next().map(drop)));
                assert_eq!(all, Err(LoadError::Header), "cut at {len}");
            }
        }
    }
}
