//! Reads a header. In `const fn`, so that the compiler reads the header of a file that is a constant, and by hand, so that
//! firmware links no decoder of everything that could be encoded.
//!
//! Postcard writes a number as a varint (seven bits a byte, the lowest first), the variant of an enum as such a number,
//! a string or a list with its length before it, a single byte, a bool and a float as they are.

use super::{
    Activation, Cell, Format, Header, Input, Layer, Layers, LoadError, Output, Preamble, Shape,
    Tail, TestVectors,
};
#[cfg(conv)]
use super::{Combine, ConvShape, Pool, PoolKind, Width};

impl<'a> Header<'a> {
    /// The header of a whole model file, and what is behind it. The checksum is not computed.
    ///
    /// # Errors
    /// A [`LoadError`] if there is none.
    pub const fn in_file(bytes: &'a [u8]) -> Result<(Header<'a>, Tail<'a>), LoadError> {
        let (_, header, _) = attempt!(Preamble::split(bytes));
        Header::read(header)
    }

    /// A header from its bytes, and what is behind it.
    ///
    /// # Errors
    /// [`LoadError::Header`] if the bytes are none.
    pub const fn read(bytes: &'a [u8]) -> Result<(Header<'a>, Tail<'a>), LoadError> {
        let mut header = Header::blank();
        let tail = attempt!(header.fill(bytes));
        Ok((header, tail))
    }

    /// Of nothing.
    #[inline(always)]
    pub(crate) const fn blank() -> Self {
        Header {
            name: "",
            input: Input::Features {
                count: 0,
                names: "",
            },
            output: Output::NextToken { count: 0 },
            shape: Shape::EveryStep,
            threshold: None,
            layers: Layers::new(),
            test: TestVectors {
                steps: 0,
                digest: 0,
            },
        }
    }

    /// As [`Self::read`], into a blank one.
    pub(crate) const fn fill(&mut self, bytes: &'a [u8]) -> Result<Tail<'a>, LoadError> {
        let mut bytes = Bytes(bytes);
        self.name = attempt!(bytes.text());
        self.input = attempt!(bytes.input());
        self.output = attempt!(bytes.output());
        self.shape = attempt!(bytes.shape());
        self.threshold = attempt!(bytes.optional_float());
        let mut left = attempt!(bytes.number());
        while left > 0 {
            if self.layers.push(attempt!(bytes.layer())).is_err() {
                return Err(LoadError::Header);
            }
            left -= 1;
        }
        self.test = TestVectors {
            steps: attempt!(bytes.half()),
            digest: attempt!(bytes.number()),
        };
        let smoothing = if bytes.0.is_empty() {
            None
        } else {
            attempt!(bytes.optional_float())
        };
        let data = bytes.0;
        Ok(Tail { smoothing, data })
    }
}

/// What is left of the header.
struct Bytes<'a>(&'a [u8]);

impl<'a> Bytes<'a> {
    const fn byte(&mut self) -> Result<u8, LoadError> {
        match self.0.split_first() {
            Some((first, rest)) => {
                self.0 = rest;
                Ok(*first)
            }
            None => Err(LoadError::Header),
        }
    }

    /// A varint of at most 32 bits.
    const fn number(&mut self) -> Result<u32, LoadError> {
        let (mut number, mut shift) = (0, 0);
        while shift < 32 {
            let byte = attempt!(self.byte());
            if shift == 28 && byte > 0x0f {
                break;
            }
            number |= ((byte & 0x7f) as u32) << shift;
            if byte < 0x80 {
                return Ok(number);
            }
            shift += 7;
        }
        Err(LoadError::Header)
    }

    const fn half(&mut self) -> Result<u16, LoadError> {
        let number = attempt!(self.number());
        if number > u16::MAX as u32 {
            return Err(LoadError::Header);
        }
        Ok(number as u16)
    }

    const fn bool(&mut self) -> Result<bool, LoadError> {
        match attempt!(self.byte()) {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(LoadError::Header),
        }
    }

    const fn optional_float(&mut self) -> Result<Option<f32>, LoadError> {
        match attempt!(self.byte()) {
            0 => Ok(None),
            1 => match self.0.split_first_chunk() {
                Some((bytes, rest)) => {
                    self.0 = rest;
                    Ok(Some(f32::from_le_bytes(*bytes)))
                }
                None => Err(LoadError::Header),
            },
            _ => Err(LoadError::Header),
        }
    }

    const fn text(&mut self) -> Result<&'a str, LoadError> {
        let len = attempt!(self.number());
        let Some((text, rest)) = self.0.split_at_checked(len as usize) else {
            return Err(LoadError::Header);
        };
        self.0 = rest;
        match core::str::from_utf8(text) {
            Ok(text) => Ok(text),
            Err(_) => Err(LoadError::Header),
        }
    }

    const fn input(&mut self) -> Result<Input<'a>, LoadError> {
        let kind = attempt!(self.number());
        let (count, names) = (attempt!(self.half()), attempt!(self.text()));
        match kind {
            0 => Ok(Input::Features { count, names }),
            1 => Ok(Input::Tokens { count, names }),
            _ => Err(LoadError::Header),
        }
    }

    const fn output(&mut self) -> Result<Output<'a>, LoadError> {
        let kind = attempt!(self.number());
        let count = attempt!(self.half());
        match kind {
            0 => Ok(Output::Values {
                count,
                names: attempt!(self.text()),
            }),
            1 => Ok(Output::Classes {
                count,
                names: attempt!(self.text()),
            }),
            2 => Ok(Output::NextToken { count }),
            _ => Err(LoadError::Header),
        }
    }

    const fn shape(&mut self) -> Result<Shape, LoadError> {
        match attempt!(self.number()) {
            0 => Ok(Shape::EveryStep),
            1 => Ok(Shape::Window {
                window: attempt!(self.number()),
                hop: attempt!(self.number()),
                exact: attempt!(self.bool()),
            }),
            _ => Err(LoadError::Header),
        }
    }

    /// The variant that a number stands for.
    const fn variant<T: Copy>(&mut self, all: &[T]) -> Result<T, LoadError> {
        let number = attempt!(self.number()) as usize;
        if number < all.len() {
            Ok(all[number])
        } else {
            Err(LoadError::Header)
        }
    }

    /// Firmware that has no convolutions has no exponentials in its dense layers either.
    const fn activation(&mut self) -> Result<Activation, LoadError> {
        match attempt!(self.variant(Activation::ALL)) {
            Activation::Elu if cfg!(not(conv)) => Err(LoadError::Feature { name: "conv" }),
            activation => Ok(activation),
        }
    }

    const fn layer(&mut self) -> Result<Layer, LoadError> {
        let kind = attempt!(self.number());
        let format = attempt!(self.variant(Format::ALL));
        if cfg!(not(w8a16)) && matches!(format, Format::W8A16) {
            return Err(LoadError::Feature { name: "w8a16" });
        }
        if cfg!(not(w4a8)) && matches!(format, Format::W4A8) {
            return Err(LoadError::Feature { name: "w4a8" });
        }
        match kind {
            0 => Ok(Layer::Embedding {
                format,
                vocab: attempt!(self.half()),
                dim: attempt!(self.half()),
            }),
            1 => Ok(Layer::Recurrent {
                format,
                cell: attempt!(self.variant(Cell::ALL)),
                inputs: attempt!(self.half()),
                hidden: attempt!(self.half()),
                requant_shift: attempt!(self.byte()),
                cell_shift: attempt!(self.byte()),
            }),
            2 => Ok(Layer::Dense {
                format,
                inputs: attempt!(self.half()),
                outputs: attempt!(self.half()),
                activation: attempt!(self.activation()),
                requant_shift: attempt!(self.byte()),
                frac: attempt!(self.byte()) as i8,
            }),
            3 => Ok(Layer::Bidirectional {
                format,
                cell: attempt!(self.variant(Cell::ALL)),
                inputs: attempt!(self.half()),
                hidden: attempt!(self.half()),
                requant_shift: [attempt!(self.byte()), attempt!(self.byte())],
                cell_shift: attempt!(self.byte()),
            }),
            #[cfg(not(conv))]
            4..=7 => Err(LoadError::Feature { name: "conv" }),
            #[cfg(conv)]
            4 => Ok(Layer::Conv {
                format,
                shape: attempt!(self.conv_shape()),
                filters: attempt!(self.half()),
                activation: attempt!(self.activation()),
                requant_shift: attempt!(self.byte()),
                frac: attempt!(self.byte()) as i8,
            }),
            #[cfg(conv)]
            5..=7 => {
                let width = Width(attempt!(self.half()));
                Ok(match kind {
                    5 => Layer::Norm { format, width },
                    6 => Layer::Keep { format, width },
                    _ => Layer::Join {
                        format,
                        width,
                        with: attempt!(self.byte()),
                        how: attempt!(self.variant(Combine::ALL)),
                    },
                })
            }
            _ => Err(LoadError::Header),
        }
    }

    #[cfg(conv)]
    const fn conv_shape(&mut self) -> Result<ConvShape, LoadError> {
        let mut shape = ConvShape {
            rows: attempt!(self.half()),
            channels: attempt!(self.half()),
            kernel: attempt!(self.half()),
            stride: attempt!(self.half()),
            dilation: attempt!(self.half()),
            before: attempt!(self.half()),
            after: attempt!(self.half()),
            past: attempt!(self.bool()),
            mirror: false,
            pool: None,
        };
        let flags = attempt!(self.byte());
        if flags > 3 {
            return Err(LoadError::Header);
        }
        shape.mirror = flags & 1 != 0;
        if flags & 2 != 0 {
            shape.pool = Some(Pool {
                kind: attempt!(self.variant(PoolKind::ALL)),
                kernel: attempt!(self.half()),
                first: attempt!(self.half()),
                every: attempt!(self.half()),
            });
        }
        Ok(shape)
    }
}

#[cfg(all(test, feature = "serde"))]
mod tests {
    extern crate std;
    use super::*;

    #[test]
    fn every_variant_is_read_as_postcard_writes_it() {
        let text = "x".repeat(300);
        let (names, count) = (&*text, 65535);
        let inputs = [
            Input::Features { count, names },
            Input::Tokens { count: 300, names },
        ];
        let outputs = [
            Output::Values { count, names },
            Output::Classes { count: 200, names },
            Output::NextToken { count: 1 },
            Output::Values { count, names: "" },
        ];
        let window = Shape::Window {
            window: 1 << 24,
            hop: u32::MAX,
            exact: true,
        };
        let cells = Cell::ALL.iter().cycle();
        let mut pairs = cells.zip(Activation::ALL.iter().cycle());
        for (turn, &format) in Format::ALL.iter().cycle().take(20).enumerate() {
            let mut layers = Layers::new();
            layers
                .push(Layer::Embedding {
                    format,
                    vocab: 32768,
                    dim: 127,
                })
                .unwrap();
            let joins = Combine::ALL
                .iter()
                .enumerate()
                .map(|(k, &how)| Layer::Join {
                    format,
                    width: Width(300),
                    with: 255 - k as u8,
                    how,
                });
            let keep = Layer::Keep {
                format,
                width: Width(1),
            };
            let few = joins.chain([keep]).cycle().skip(turn).take(1);
            layers = layers.into_iter().copied().chain(few).collect();
            for i in 0..2 {
                let (&cell, &activation) = pairs.next().unwrap();
                let all = [
                    Layer::Recurrent {
                        format,
                        cell,
                        inputs: 1 << i,
                        hidden: 4096 >> i,
                        requant_shift: 31,
                        cell_shift: i as u8,
                    },
                    Layer::Bidirectional {
                        format,
                        cell,
                        inputs: 1 << i,
                        hidden: 4096 >> i,
                        requant_shift: [31, 7],
                        cell_shift: i as u8,
                    },
                    Layer::Dense {
                        format,
                        inputs: 128,
                        outputs: 65535,
                        activation,
                        requant_shift: 255,
                        frac: -16,
                    },
                    Layer::Conv {
                        format,
                        shape: ConvShape {
                            rows: 512,
                            after: 64,
                            past: i == 0,
                            mirror: i == 1,
                            pool: (i == 0).then_some(Pool {
                                kind: PoolKind::ALL[turn % 2],
                                kernel: 300,
                                first: 299,
                                every: 65535,
                            }),
                            ..ConvShape::causal(300, 1 << i, 65535)
                        },
                        filters: 258,
                        activation,
                        requant_shift: 255,
                        frac: -16,
                    },
                    Layer::Norm {
                        format,
                        width: Width(4096 >> i),
                    },
                ];
                layers = layers.into_iter().copied().chain(all).collect();
            }
            let header = Header {
                name: names,
                input: inputs[turn % 2],
                output: outputs[turn % 4],
                shape: [Shape::EveryStep, window][turn / 2 % 2],
                threshold: [None, Some(0.5)][turn % 2],
                layers,
                test: TestVectors {
                    steps: 1,
                    digest: u32::MAX,
                },
            };
            let mut room = [0; 2048];
            let bytes = postcard::to_slice(&header, &mut room).unwrap();
            assert_eq!(Header::read(bytes), Ok((header, Tail::default())));
            for len in 0..bytes.len() {
                let cut = Header::read(&bytes[..len]);
                assert_eq!(cut, Err(LoadError::Header), "cut at {len}");
            }
            let mut tail = Tail {
                smoothing: Some(0.25),
                data: &[],
            };
            let bytes = postcard::to_slice(&(&header, tail), &mut room).unwrap();
            assert_eq!(Header::read(bytes), Ok((header, tail)));
            let cut = Header::read(&bytes[..bytes.len() - 1]);
            assert_eq!(cut, Err(LoadError::Header));
            tail.data = b"decimal";
            let longer = [bytes, tail.data].concat();
            assert_eq!(Header::read(&longer), Ok((header, tail)));
        }
    }
}
