//! What the `parquet` crate is not shown: headers that it would be busy with for hours.
//!
//! Headers are structures of Thrift's [compact protocol](https://github.com/apache/thrift/blob/master/doc/specs/thrift-compact-protocol.md).
//! Fields that the crate does not know it skips, element by element, even where elements are truth values, which it takes to
//! need no bytes, or where the file has ended. So twenty damaged bytes can name a list of 2^31 elements, over and over.

use std::io::{self, BufRead, Bytes, ErrorKind};

/// Structures within structures.
const DEPTH: u32 = 64;

/// Refuses a page's header with lists or maps that need no bytes, with numbers that are none, or with less than all of it.
pub fn check_page(from: impl BufRead) -> io::Result<()> {
    Walk(from.bytes())
        .structure(Of::Page, DEPTH)
        .map_err(damaged)
}

/// Refuses a footer with lists or maps that need no bytes, or with less than all of it.
pub fn check_footer(from: impl BufRead) -> io::Result<()> {
    Walk(from.bytes())
        .structure(Of::Any, DEPTH)
        .map_err(damaged)
}

fn damaged(error: io::Error) -> io::Error {
    match error.kind() {
        ErrorKind::UnexpectedEof => {
            io::Error::other("the Parquet file is damaged: it ends within a header")
        }
        _ => error,
    }
}

fn refused(what: &str) -> io::Error {
    io::Error::other(format!("the Parquet file is damaged: a header has {what}"))
}

/// What a structure is. Where the crate reads a number it does not ask whether there is one, and would go on elsewhere.
#[derive(Clone, Copy)]
enum Of {
    Page,
    /// The part of a page's header that is of a kind of pages; its first so many fields are numbers.
    Kind(i16),
    Any,
}

impl Of {
    /// What field `id` must be.
    fn field(self, id: i16) -> Field {
        match (self, id) {
            (Of::Page, 1..=4) => Field::Number,
            (Of::Page, 5) => Field::Structure(Of::Kind(4)),
            (Of::Page, 6) => Field::Structure(Of::Any),
            (Of::Page, 7) => Field::Structure(Of::Kind(2)),
            (Of::Page, 8) => Field::Structure(Of::Kind(6)),
            (Of::Kind(numbers), id) if (1..=numbers).contains(&id) => Field::Number,
            _ => Field::Any,
        }
    }
}

enum Field {
    Number,
    Structure(Of),
    Any,
}

struct Walk<R>(Bytes<R>);

impl<R: BufRead> Walk<R> {
    fn byte(&mut self) -> io::Result<u8> {
        self.0.next().ok_or(ErrorKind::UnexpectedEof)?
    }

    /// An unsigned number, seven bits a byte.
    fn varint(&mut self) -> io::Result<u64> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(refused("a number of more than 64 bits"))
    }

    fn skip(&mut self, bytes: u64) -> io::Result<()> {
        (0..bytes).try_for_each(|_| self.byte().map(|_| ()))
    }

    fn structure(&mut self, of: Of, depth: u32) -> io::Result<()> {
        let mut id = 0i16;
        loop {
            let head = self.byte()?;
            let (step, kind) = (head >> 4, head & 0xf);
            if kind == 0 {
                return Ok(());
            }
            id = match step {
                0 => {
                    let folded = self.varint()?;
                    // Cut as the crate cuts it.
                    ((folded >> 1) as i64 ^ -((folded & 1) as i64)) as i16
                }
                _ => (id.checked_add(step.into())).ok_or_else(|| refused("too many fields"))?,
            };
            match (of.field(id), kind) {
                (Field::Number, 4..=6) | (Field::Any, _) => self.value(kind, depth)?,
                (Field::Structure(of), 12) => self.structure(of, depth - 1)?,
                _ => return Err(refused(&format!("something else in place of field {id}"))),
            }
        }
    }

    fn value(&mut self, kind: u8, depth: u32) -> io::Result<()> {
        if depth == 0 {
            return Err(refused(&format!(
                "more than {DEPTH} structures in each other"
            )));
        }
        match kind {
            // A truth value of a structure stands in its kind.
            1 | 2 => Ok(()),
            3 => self.skip(1),
            4..=6 => self.varint().map(|_| ()),
            7 => self.skip(8),
            8 => {
                let bytes = self.varint()?;
                self.skip(bytes)
            }
            9 | 10 => self.list(depth),
            11 => match self.varint()? {
                0 => Ok(()),
                _ => Err(refused("a map, which Parquet has none of")),
            },
            12 => self.structure(Of::Any, depth - 1),
            13 => self.skip(16),
            _ => Err(refused(&format!(
                "a field of kind {kind}, which there is not"
            ))),
        }
    }

    fn list(&mut self, depth: u32) -> io::Result<()> {
        let head = self.byte()?;
        let kind = head & 0xf;
        let elements = match head >> 4 {
            15 => self.varint()?,
            few => u64::from(few),
        };
        match (kind, elements) {
            (_, 0) => Ok(()),
            (1 | 2, _) => Err(refused("a list of truth values, which Parquet has none of")),
            _ => (0..elements).try_for_each(|_| self.value(kind, depth - 1)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As pyarrow writes the header of a page of four times: 64 bytes, of them 32 of statistics.
    const PAGE: &[u8] = &[
        0x15, 0x00, 0x15, 0x14, 0x15, 0x14, 0x2c, 0x15, 0x08, 0x15, 0x10, 0x15, 0x06, 0x15, 0x06,
        0x1c, 0x18, 0x02, 0x80, 0xa7, 0x16, 0x00, 0x11, 0x00, 0x00, 0x00,
    ];

    fn said(header: &[u8]) -> String {
        check_page(header).unwrap_err().to_string()
    }

    #[test]
    fn a_header_is_taken_whatever_stands_behind_it() {
        check_page(PAGE).unwrap();
        check_page(&[PAGE, b"PAR1"].concat()[..]).unwrap();
        for end in 0..PAGE.len() {
            assert!(said(&PAGE[..end]).contains("ends within a header"), "{end}");
        }
    }

    #[test]
    fn what_the_crate_would_skip_for_hours_is_refused() {
        let statistics = |bytes: &[u8]| [&PAGE[..16], bytes, &[0; 9]].concat();
        let truths = statistics(&[0x19, 0xf2, 0xff, 0xff, 0xff, 0xff, 0x07]);
        assert!(said(&truths).contains("list of truth values"));
        let doubles = statistics(&[0x19, 0xf7, 0xff, 0xff, 0xff, 0xff, 0x07]);
        assert!(said(&doubles).contains("ends within a header"));
        let map = statistics(&[0x1b, 0xff, 0xff, 0xff, 0xff, 0x07, 0x11]);
        assert!(said(&map).contains("a map"));
        let in_place_of_a_number = [&PAGE[..2], &[0x19, 0x12, 0x01], &PAGE[4..]].concat();
        assert!(said(&in_place_of_a_number).contains("in place of field 2"));
        let nested = statistics(&[0x1c; 100]);
        assert!(said(&nested).contains("64 structures"));
    }
}
