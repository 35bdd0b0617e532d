//! The head of a WAV file as recorders and pipes write it: what programs put before the samples is left out, and a length that
//! is not known yet goes on to the end.

use std::io::{self, Chain, Cursor, Read};

use hound::{Error, WavReader};

/// A WAV file whose head has been read.
pub struct Wav<R> {
    /// From the samples on.
    pub reader: WavReader<Chain<Cursor<Vec<u8>>, R>>,
    /// Its samples end where it ends: whoever wrote it, such as ffmpeg into a pipe, could not know when.
    pub endless: bool,
}

/// A length from here on is none: what ffmpeg (2^32 − 1), arecord (2^31) and sox (2^31 less a page) write into a pipe for want
/// of another.
const UNKNOWN: u32 = 0x7fff_0000;
/// The longest chunk that is skipped or kept.
const LONGEST: u64 = 1 << 24;

impl<R: Read> Wav<R> {
    /// # Errors
    /// If it is none.
    pub fn open(mut input: R) -> hound::Result<Self> {
        let (head, endless) = head(&mut input)?;
        let reader = WavReader::new(Cursor::new(head).chain(input))?;
        Ok(Wav { reader, endless })
    }
}

/// `RIFF`, `fmt ` and the beginning of `data`; of another file what it begins with.
fn head(input: &mut impl Read) -> hound::Result<(Vec<u8>, bool)> {
    let mut head = Vec::new();
    take(input, 12, &mut head)?;
    if !(head.starts_with(b"RIFF") && head[8..] == *b"WAVE") {
        return Ok((head, false));
    }
    // Bytes of one sample of all channels.
    let mut frame = 1;
    loop {
        let mut chunk = Vec::new();
        take(input, 8, &mut chunk)?;
        let size = u32::from_le_bytes([chunk[4], chunk[5], chunk[6], chunk[7]]);
        if chunk.starts_with(b"data") {
            let endless = size >= UNKNOWN;
            if endless {
                let whole = u32::MAX - u32::MAX % frame;
                chunk[4..].copy_from_slice(&whole.to_le_bytes());
            }
            head.extend(chunk);
            return Ok((head, endless));
        }
        // A chunk of an odd length has a byte behind it.
        let padded = u64::from(size) + u64::from(size % 2);
        if padded > LONGEST {
            return Err(Error::FormatError("a chunk before the samples is too long"));
        }
        take(input, padded, &mut chunk)?;
        if chunk.starts_with(b"fmt ") {
            if let Some(&[low, high]) = chunk.get(20..22) {
                frame = u32::from(u16::from_le_bytes([low, high])).max(1);
            }
            chunk.truncate(8 + size as usize);
            head.extend(chunk);
        }
    }
}

/// So many bytes, or an error.
fn take(input: &mut impl Read, count: u64, to: &mut Vec<u8>) -> hound::Result<()> {
    let read = input.by_ref().take(count).read_to_end(to)?;
    match read as u64 == count {
        true => Ok(()),
        false => Err(Error::IoError(io::ErrorKind::UnexpectedEof.into())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two channels of 16 bits, with what stands before the samples and the length that is told.
    fn file(before: &[u8], length: u32) -> Vec<u8> {
        let mut bytes = b"RIFF\xff\xff\xff\xffWAVE".to_vec();
        bytes.extend(before);
        bytes.extend(b"fmt \x10\0\0\0\x01\0\x02\0\x40\x1f\0\0\0\x7d\0\0\x04\0\x10\0");
        bytes.extend(b"data");
        bytes.extend(length.to_le_bytes());
        bytes.extend((1..=6i16).flat_map(i16::to_le_bytes));
        bytes
    }

    fn samples(bytes: &[u8]) -> (Vec<i32>, bool) {
        let Wav { reader, endless } = Wav::open(bytes).unwrap();
        let samples = reader.into_samples::<i32>();
        (samples.map_while(Result::ok).collect(), endless)
    }

    #[test]
    fn a_length_that_nobody_knew_goes_on_to_the_end() {
        let all = vec![1, 2, 3, 4, 5, 6];
        assert_eq!(samples(&file(&[], 12)), (all.clone(), false));
        assert_eq!(samples(&file(&[], 8)), (vec![1, 2, 3, 4], false));
        for length in [u32::MAX, u32::MAX - 1, UNKNOWN] {
            assert_eq!(samples(&file(&[], length)), (all.clone(), true));
        }
    }

    #[test]
    fn what_stands_before_the_samples_is_left_out() {
        let all = vec![1, 2, 3, 4, 5, 6];
        let odd = b"LIST\x05\0\0\0abcde\0";
        assert_eq!(samples(&file(odd, 12)), (all, false));
        assert!(Wav::open(&b"RIFF\0\0"[..]).is_err());
        assert!(Wav::open(&b"LIST\xff\xff\xff\xffWAVEfmt "[..]).is_err());
        assert!(Wav::open(&file(b"junk\xff\xff\xff\x7f", 12)[..]).is_err());
    }
}
