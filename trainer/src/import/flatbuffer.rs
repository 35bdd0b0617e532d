//! Tables of a FlatBuffer, every place of which is checked before it is read: an offset that leads out of the file is an error.

use anyhow::{Result, ensure};

/// A table: fields by number, found through the list of places that it names.
#[derive(Debug, Clone, Copy)]
pub(super) struct Table<'a> {
    bytes: &'a [u8],
    at: usize,
    /// Where the list of places begins, behind its own two lengths, and how many it has.
    fields: usize,
    count: usize,
}

/// A vector: where its elements begin, and how many there are.
#[derive(Debug, Clone, Copy)]
pub(super) struct Vector<'a> {
    bytes: &'a [u8],
    at: usize,
    len: usize,
}

fn array<const N: usize>(bytes: &[u8], at: usize) -> Result<[u8; N]> {
    let part = at.checked_add(N).and_then(|end| bytes.get(at..end));
    let part = part.and_then(|part| part.try_into().ok());
    part.ok_or_else(|| anyhow::anyhow!("{N} bytes at {at} of {}", bytes.len()))
}

/// Where the offset at a place leads, forward.
fn follow(bytes: &[u8], at: usize) -> Result<usize> {
    Ok(at.saturating_add(u32::from_le_bytes(array(bytes, at)?) as usize))
}

impl<'a> Table<'a> {
    /// The table that the file is.
    pub(super) fn root(bytes: &'a [u8]) -> Result<Self> {
        Table::at(bytes, follow(bytes, 0)?)
    }

    fn at(bytes: &'a [u8], at: usize) -> Result<Self> {
        let back = i64::from(i32::from_le_bytes(array(bytes, at)?));
        let list = usize::try_from(at as i64 - back).unwrap_or(usize::MAX);
        let len = usize::from(u16::from_le_bytes(array(bytes, list)?));
        ensure!(
            len >= 4 && len % 2 == 0,
            "a table at {at} with a list of {len} bytes"
        );
        ensure!(
            list.saturating_add(len) <= bytes.len(),
            "a table at {at} whose list of fields goes beyond the file"
        );
        Ok(Table {
            bytes,
            at,
            fields: list + 4,
            count: (len - 4) / 2,
        })
    }

    /// Where a field lies; `None` if it is left out, which stands for its default.
    fn field(&self, number: usize) -> Result<Option<usize>> {
        if number >= self.count {
            return Ok(None);
        }
        let place = u16::from_le_bytes(array(self.bytes, self.fields + 2 * number)?);
        Ok((place > 0).then(|| self.at + usize::from(place)))
    }

    pub(super) fn byte(&self, number: usize) -> Result<Option<u8>> {
        let [byte] = match self.field(number)? {
            Some(at) => array(self.bytes, at)?,
            None => return Ok(None),
        };
        Ok(Some(byte))
    }

    /// A truth that is false if it is left out.
    pub(super) fn is(&self, number: usize) -> Result<bool> {
        Ok(self.byte(number)?.is_some_and(|byte| byte != 0))
    }

    /// A whole number of 32 bits, 0 if it is left out.
    pub(super) fn int(&self, number: usize) -> Result<i32> {
        let at = self.field(number)?;
        at.map_or(Ok(0), |at| Ok(i32::from_le_bytes(array(self.bytes, at)?)))
    }

    /// A float, 0 if it is left out.
    pub(super) fn float(&self, number: usize) -> Result<f32> {
        Ok(f32::from_bits(self.int(number)? as u32))
    }

    pub(super) fn table(&self, number: usize) -> Result<Option<Table<'a>>> {
        let Some(at) = self.field(number)? else {
            return Ok(None);
        };
        Table::at(self.bytes, follow(self.bytes, at)?).map(Some)
    }

    /// A vector whose elements have so many bytes, empty if it is left out.
    pub(super) fn vector(&self, number: usize, size: usize) -> Result<Vector<'a>> {
        let Some(at) = self.field(number)? else {
            return Ok(Vector {
                bytes: &[],
                at: 0,
                len: 0,
            });
        };
        let at = follow(self.bytes, at)?;
        let len = u32::from_le_bytes(array(self.bytes, at)?) as usize;
        let at = at + 4;
        let end = len.checked_mul(size).and_then(|n| n.checked_add(at));
        ensure!(
            end.is_some_and(|end| end <= self.bytes.len()),
            "{len} elements at {at} of {} bytes",
            self.bytes.len()
        );
        Ok(Vector {
            bytes: self.bytes,
            at,
            len,
        })
    }

    pub(super) fn text(&self, number: usize) -> Result<String> {
        let bytes = self.vector(number, 1)?.whole();
        Ok(String::from_utf8_lossy(bytes).into_owned())
    }
}

impl<'a> Vector<'a> {
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// The bytes of a vector of bytes.
    pub(super) fn whole(&self) -> &'a [u8] {
        self.bytes.get(self.at..self.at + self.len).unwrap_or(&[])
    }

    pub(super) fn ints(&self) -> Result<Vec<i32>> {
        (0..self.len)
            .map(|k| Ok(i32::from_le_bytes(array(self.bytes, self.at + 4 * k)?)))
            .collect()
    }

    pub(super) fn floats(&self) -> Result<Vec<f32>> {
        let bits = self.ints()?;
        Ok(bits.into_iter().map(|x| f32::from_bits(x as u32)).collect())
    }

    pub(super) fn longs(&self) -> Result<Vec<i64>> {
        (0..self.len)
            .map(|k| Ok(i64::from_le_bytes(array(self.bytes, self.at + 8 * k)?)))
            .collect()
    }

    pub(super) fn table(&self, k: usize) -> Result<Table<'a>> {
        ensure!(k < self.len, "element {k} of {}", self.len);
        Table::at(self.bytes, follow(self.bytes, self.at + 4 * k)?)
    }

    pub(super) fn tables(&self) -> impl Iterator<Item = Result<Table<'a>>> + use<'a> {
        let vector = *self;
        (0..vector.len).map(move |k| vector.table(k))
    }
}
