//! Opens a data file by what is in it: text in one encoding or another, packed or not, or Parquet. The first bytes
//! decide, not the name, and a file of another kind is called by its name.

use std::borrow::Cow;
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Read, Seek};
use std::path::Path;

use chardetng::{EncodingDetector, Iso2022JpDetection, Utf8Detection};
use encoding_rs::{EUC_KR, Encoding, UTF_8, UTF_16BE, UTF_16LE};
use encoding_rs_io::DecodeReaderBytesBuilder;
use flate2::bufread::MultiGzDecoder;
use ruzstd::decoding::{FrameDecoder, StreamingDecoder};

use super::csv::{Format, OnError, Size};
use super::parquet::ParquetText;
use crate::filekind;

const GZIP: &[u8] = &[0x1f, 0x8b];
const ZSTD: &[u8] = &[0x28, 0xb5, 0x2f, 0xfd];
const PARQUET: &[u8] = b"PAR1";

/// The text of a data file.
pub struct Opened {
    /// In UTF-8, or what was taken for it.
    pub text: Box<dyn BufRead + Send>,
    /// What is left out of it.
    pub notes: Vec<String>,
    /// It was numbers, and is written as they print.
    pub printed: bool,
}

/// Opens a data file. Parquet comes out as the CSV that it would print, with the format's delimiter.
///
/// # Errors
/// What the system says, or what is wrong with a packed file, or what kind of file it is.
pub fn open(path: &Path, format: &Format) -> io::Result<Opened> {
    let mut input = BufReader::new(File::open(path)?);
    if input.fill_buf()?.starts_with(PARQUET) {
        let mut file = input.into_inner();
        file.rewind()?;
        let table = ParquetText::new(file, format.delimiter)?;
        return Ok(Opened {
            notes: table.notes(),
            text: Box::new(BufReader::new(Limited::new(table, format.max_unpacked))),
            printed: true,
        });
    }
    unpack(input, format)
}

/// The text of what arrives, unpacked if it is packed.
///
/// # Errors
/// As [`open`]; Parquet has its directory at the end, so it cannot be read as it arrives.
pub fn unpack(mut input: impl BufRead + Send + 'static, format: &Format) -> io::Result<Opened> {
    let start = input.fill_buf()?;
    let limit = format.max_unpacked;
    let (text, note) = if start.starts_with(GZIP) {
        decode(Limited::new(MultiGzDecoder::new(input), limit), format)?
    } else if start.starts_with(ZSTD) {
        decode(Limited::new(ZstdFrames::new(input), limit), format)?
    } else {
        decode_buffered(input, format)?
    };
    Ok(Opened {
        text,
        notes: note.into_iter().collect(),
        printed: false,
    })
}

/// Text in UTF-8, and what there is to say about how it was written.
type Decoded = (Box<dyn BufRead + Send>, Option<String>);

fn decode(input: impl Read + Send + 'static, format: &Format) -> io::Result<Decoded> {
    decode_buffered(BufReader::new(input), format)
}

fn decode_buffered(
    mut input: impl BufRead + Send + 'static,
    format: &Format,
) -> io::Result<Decoded> {
    let start = input.fill_buf()?;
    if let Some(kind) = filekind::of(start) {
        return Err(io::Error::other(format!(
            "this is {}; {}",
            kind.name, kind.as_data
        )));
    }
    if let [0xff, 0xfe, 0, 0, ..] | [0, 0, 0xfe, 0xff, ..] = start {
        return Err(io::Error::other(
            "this is UTF-32; write it in UTF-8: iconv -f UTF-32 -t UTF-8 < OLD > NEW",
        ));
    }
    let marked = match start {
        [0xff, 0xfe, ..] => Some(UTF_16LE),
        [0xfe, 0xff, ..] => Some(UTF_16BE),
        _ => None,
    };
    let named = format.encoding.as_deref().and_then(encoding);
    if let (None, None, [a, b, c, d, ..]) = (marked, named, start) {
        let order = match (a, b, c, d) {
            (1.., 0, 1.., 0) => "utf-16le",
            (0, 1.., 0, 1..) => "utf-16be",
            _ => "",
        };
        if !order.is_empty() {
            return Err(io::Error::other(format!(
                "this looks like UTF-16 without a byte order mark; give encoding = \"{order}\" in the format (--encoding {order})"
            )));
        }
        if let Some(at) = start
            .iter()
            .position(|&b| b == 0)
            .filter(|_| is_text(start) && format.on_error == OnError::Stop)
        {
            let line = 1 + start[..at].iter().filter(|&&b| b == b'\n').count();
            return Err(io::Error::other(format!(
                "there are zero bytes among the text, first in line {line}, as a logger leaves them that lost its power; remove them: \
                 tr -d '\\000' < OLD > NEW"
            )));
        }
        if start.contains(&0) && !is_text(start) {
            return Err(io::Error::other(
                "this is no text: there are zero bytes in it; expected CSV or Parquet",
            ));
        }
    }
    match marked.or(named) {
        None => Ok((Box::new(input), None)),
        Some(encoding) if encoding == UTF_8 => Ok((Box::new(input), None)),
        Some(encoding) if marked.is_none() && is_rather_utf8(start, encoding) => {
            let note = format!(
                "is read as UTF-8, which it is, and not as {}, as was said or the training data was",
                format.encoding.as_deref().unwrap_or(encoding.name())
            );
            Ok((Box::new(input), Some(note)))
        }
        Some(encoding) => {
            let mut decoder = DecodeReaderBytesBuilder::new();
            decoder.encoding(Some(encoding)).strip_bom(true);
            Ok((Box::new(BufReader::new(decoder.build(input))), None))
        }
    }
}

/// Whether the beginning of a text that is to be in another encoding is UTF-8. A pair of bytes may be a syllable of that encoding as
/// well; several, or three that belong together, are none by chance. Text of one byte a character has no such pairs.
fn is_rather_utf8(start: &[u8], encoding: &'static Encoding) -> bool {
    let text = match str::from_utf8(start) {
        Ok(text) => text,
        // The last character may be cut.
        Err(error) if error.error_len().is_none() => {
            str::from_utf8(&start[..error.valid_up_to()]).unwrap_or("")
        }
        Err(_) => return false,
    };
    let beyond = text.chars().filter(|c| !c.is_ascii()).count();
    let long = text.chars().any(|c| c >= '\u{800}');
    long || beyond >= 4 || beyond > 0 && encoding.is_single_byte()
}

/// Whether it would be text but for zero bytes.
fn is_text(start: &[u8]) -> bool {
    let control = |&b: &u8| b < b' ' && !matches!(b, 0 | b'\t' | b'\n' | b'\r');
    let zeros = start.iter().filter(|&&b| b == 0).count();
    !start.iter().any(control) && zeros * 4 < start.len() && start.contains(&b'\n')
}

/// A whole text.
///
/// # Errors
/// As [`open`]; and if it is not UTF-8.
pub fn read_text(input: impl Read) -> io::Result<String> {
    let mut bytes = Vec::new();
    let mut input = input;
    input.read_to_end(&mut bytes)?;
    let text = String::from_utf8(bytes).map_err(|error| {
        let right = error.utf8_error().valid_up_to();
        let line = 1 + memchr::memchr_iter(b'\n', &error.as_bytes()[..right]).count();
        let guess = guess_encoding(error.as_bytes()).unwrap_or("the one it has");
        let problem = format!(
            "line {line} is not UTF-8; it may be {guess}: convert it first: iconv -f {guess} -t utf-8"
        );
        io::Error::new(io::ErrorKind::InvalidData, problem)
    })?;
    Ok(match text.strip_prefix('\u{feff}') {
        Some(text) => text.to_owned(),
        None => text,
    })
}

/// The whole text of a file that says something about data: in UTF-8, or in UTF-16 with a byte order mark.
///
/// # Errors
/// As [`read_text`].
pub fn read_words(path: &Path) -> io::Result<String> {
    let bytes = fs::read(path)?;
    match Encoding::for_bom(&bytes) {
        Some((encoding, mark)) if encoding != UTF_8 => {
            let (text, _, damaged) = encoding.decode(&bytes[mark..]);
            match damaged {
                false => Ok(text.into_owned()),
                true => Err(io::Error::new(
                    io::ErrorKind::InvalidData,
                    format!("begins as {} and does not go on so", encoding.name()),
                )),
            }
        }
        _ => read_text(&bytes[..]),
    }
}

/// The text of a line in an encoding, or in UTF-8.
///
/// # Errors
/// If it is in another; with what that may be.
pub fn line_text(
    bytes: Vec<u8>,
    encoding: Option<&'static Encoding>,
) -> Result<String, Option<&'static str>> {
    let text = match encoding {
        Some(encoding) => {
            let text = encoding.decode_without_bom_handling_and_without_replacement(&bytes);
            text.map(Cow::into_owned)
                .ok_or_else(|| guess_encoding(&bytes))?
        }
        None => String::from_utf8(bytes).map_err(|error| guess_encoding(error.as_bytes()))?,
    };
    let text = text.trim_end_matches(['\n', '\r']);
    Ok(text.strip_prefix('\u{feff}').unwrap_or(text).to_owned())
}

/// An encoding by one of its names.
pub fn encoding(name: &str) -> Option<&'static Encoding> {
    let name = match &name.to_ascii_lowercase()[..] {
        "cp949" | "uhc" => "euc-kr",
        "cp932" => "shift_jis",
        "cp936" => "gbk",
        "latin-1" => "latin1",
        "utf16" => "utf-16",
        _ => name,
    };
    Encoding::for_label(name.as_bytes())
}

/// What bytes that are not UTF-8 may be.
pub fn guess_encoding(bytes: &[u8]) -> Option<&'static str> {
    let mut detector = EncodingDetector::new(Iso2022JpDetection::Deny);
    detector.feed(bytes, true);
    match detector.guess(None, Utf8Detection::Deny) {
        guess if guess == EUC_KR || guess.is_single_byte() && is_hangul(bytes) => Some("cp949"),
        guess => Some(guess.name()),
    }
}

/// Whether all that is not ASCII is syllables of KS X 1001. A header of two or three of them is too short for statistics, while in
/// other alphabets there is soon a letter that is none.
fn is_hangul(bytes: &[u8]) -> bool {
    let mut left = bytes;
    let mut syllables = 0;
    while let Some(at) = left.iter().position(|byte| !byte.is_ascii()) {
        match left[at..] {
            [0xb0..=0xc8, 0xa1..=0xfe, ..] => left = &left[at + 2..],
            _ => return false,
        }
        syllables += 1;
    }
    syllables > 1
}

/// Reads up to a limit, as a small packed file may hold more than any memory.
struct Limited<R> {
    input: R,
    left: u64,
    limit: Size,
}

impl<R: Read> Limited<R> {
    fn new(input: R, limit: Size) -> Self {
        Limited {
            input,
            left: limit.0,
            limit,
        }
    }
}

impl<R: Read> Read for Limited<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.input.read(buffer)?;
        self.left = self.left.checked_sub(read as u64).ok_or_else(|| {
            io::Error::other(format!(
                "unpacks to more than {} bytes; raise max_unpacked in the format (--max-unpacked) if it is right",
                self.limit
            ))
        })?;
        Ok(read)
    }
}

/// One zstd frame after the other.
struct ZstdFrames<R: BufRead> {
    input: Option<R>,
    frame: Option<StreamingDecoder<R, FrameDecoder>>,
}

impl<R: BufRead> ZstdFrames<R> {
    fn new(input: R) -> Self {
        ZstdFrames {
            input: Some(input),
            frame: None,
        }
    }
}

impl<R: BufRead> Read for ZstdFrames<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            if let Some(mut input) = self.input.take() {
                if input.fill_buf()?.is_empty() {
                    self.input = Some(input);
                    return Ok(0);
                }
                let frame = StreamingDecoder::new(input).map_err(io::Error::other)?;
                self.frame = Some(frame);
            }
            let Some(frame) = &mut self.frame else {
                return Ok(0);
            };
            let read = frame.read(buffer)?;
            if read > 0 || buffer.is_empty() {
                return Ok(read);
            }
            self.input = self.frame.take().map(StreamingDecoder::into_inner);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn text(opened: io::Result<Opened>) -> io::Result<String> {
        opened.and_then(|opened| read_text(opened.text))
    }

    fn packed(name: &str) -> io::Result<String> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/packed");
        text(open(&folder.join(name), &Format::default()))
    }

    fn of(bytes: &[u8], format: &Format) -> io::Result<String> {
        text(unpack(io::Cursor::new(bytes.to_vec()), format))
    }

    #[test]
    fn parquet_reads_as_the_csv_that_it_would_print() {
        let text = packed("rows.parquet").unwrap();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[0], "date,nanos,day,load,flow,count,label");
        assert_eq!(
            lines[1],
            "2026-11-03 23:59:58,2026-11-03 23:59:58,2026-11-03,0.1,1,1,a"
        );
        // A gap, a delimiter inside a text, the next row group and the next day.
        assert!(
            lines[3].ends_with("2026-11-04,,0.3333333333333333,3,\"d,e\""),
            "{}",
            lines[3]
        );
        assert!(lines[4].contains(",0.000000000000000000000000000001,100000000000000000000,4,"));
        assert_eq!(lines.len(), 6);
        for other in ["zstd.parquet", "brotli.parquet", "zstd-v2.parquet"] {
            assert_eq!(packed(other).unwrap(), text, "{other}");
        }
    }

    #[test]
    fn instants_have_the_clock_of_their_zone() {
        let text = packed("zones.parquet").unwrap();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[0], "seoul,berlin,offset,utc,wall");
        assert_eq!(
            lines[1],
            "2026-11-04 08:59:58+09:00,2026-11-04 00:59:58+01:00,2026-11-03 21:29:58-02:30,2026-11-03 23:59:58+00:00,2026-11-03 23:59:58"
        );
        // Summer time.
        assert!(
            lines[2].contains("2026-07-01 02:00:00+02:00"),
            "{}",
            lines[2]
        );
    }

    #[test]
    fn gzip_and_zstd_are_known_by_their_first_bytes() {
        for name in ["rows.csv.gz", "rows.csv.zst"] {
            assert_eq!(packed(name).unwrap(), "load,flow\n0.1,1\n2.5,0.1\n");
        }
        let zipped = include_bytes!("../../tests/packed/rows.csv.gz");
        let plain = Format::default();
        assert!(of(&zipped[..zipped.len() - 6], &plain).is_err());
        assert_eq!(of(b"a,b\n", &plain).unwrap(), "a,b\n");
        assert_eq!(of(b"", &plain).unwrap(), "");
    }

    #[test]
    fn a_small_file_that_unpacks_to_much_stops_at_a_limit() {
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        gzip.write_all(&vec![b'1'; 100_000]).unwrap();
        let bytes = gzip.finish().unwrap();
        let limited = |bytes: u64| Format {
            max_unpacked: Size(bytes),
            ..Format::default()
        };
        assert_eq!(of(&bytes, &limited(100_000)).unwrap().len(), 100_000);
        let error = of(&bytes, &limited(65_536)).unwrap_err().to_string();
        assert!(
            error.contains("more than 64K bytes; raise max_unpacked"),
            "{error}"
        );
    }

    #[test]
    fn text_is_decoded_by_its_mark_or_by_name() {
        let utf16 = |order: fn(u16) -> [u8; 2], mark: bool| -> Vec<u8> {
            let text = if mark {
                "\u{feff}온도,x\n1,2\n"
            } else {
                "온도,x\n1,2\n"
            };
            text.encode_utf16().flat_map(order).collect()
        };
        let named = |name: &str| Format {
            encoding: Some(name.into()),
            ..Format::default()
        };
        let want = "온도,x\n1,2\n";
        let plain = Format::default();
        assert_eq!(of(&utf16(u16::to_le_bytes, true), &plain).unwrap(), want);
        assert_eq!(of(&utf16(u16::to_be_bytes, true), &plain).unwrap(), want);
        assert_eq!(
            of(&utf16(u16::to_le_bytes, false), &named("utf-16le")).unwrap(),
            want
        );
        assert_eq!(of("\u{feff}a".as_bytes(), &plain).unwrap(), "a");
        let cp949 = [&[0xbf, 0xc2, 0xb5, 0xb5][..], b",x\n1,2\n"].concat();
        assert_eq!(of(&cp949, &named("cp949")).unwrap(), want);
        assert_eq!(of(b"\xb0C,x\n", &named("latin-1")).unwrap(), "°C,x\n");
        // A text in UTF-8 is read so, whatever was said, and that is told.
        for name in ["cp949", "latin-1", "shift_jis"] {
            let opened = unpack(io::Cursor::new(want), &named(name)).unwrap();
            assert!(opened.notes[0].contains("is read as UTF-8"), "{name}");
            assert_eq!(read_text(opened.text).unwrap(), want, "{name}");
        }
        // Two syllables are enough, and other alphabets are not taken for them.
        assert_eq!(guess_encoding(&cp949), Some("cp949"));
        let (windows_1251, _, _) = encoding_rs::WINDOWS_1251.encode("Температура,Давление\n");
        assert_eq!(guess_encoding(&windows_1251), Some("windows-1251"));
        assert_ne!(guess_encoding("Température\n".as_bytes()), Some("cp949"));
        let unmarked: Vec<u8> = "a,b\n1,2\n"
            .encode_utf16()
            .flat_map(u16::to_le_bytes)
            .collect();
        let error = of(&unmarked, &plain).unwrap_err().to_string();
        assert!(error.contains("--encoding utf-16le"), "{error}");
        assert!(encoding("klingon").is_none());
    }

    #[test]
    fn words_beside_the_data_are_read_in_utf_16_and_else_named() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("words.txt");
        let utf16: Vec<u8> = "\u{feff}온도\n"
            .encode_utf16()
            .flat_map(u16::to_le_bytes)
            .collect();
        fs::write(&file, &utf16).unwrap();
        assert_eq!(read_words(&file).unwrap(), "온도\n");
        fs::write(&file, &utf16[..5]).unwrap();
        assert!(
            read_words(&file)
                .unwrap_err()
                .to_string()
                .contains("UTF-16LE")
        );
        let cp949 = b"ok\n\xbf\xc2\xb5\xb5\n";
        fs::write(&file, cp949).unwrap();
        let error = read_words(&file).unwrap_err().to_string();
        assert!(
            error.contains("line 2") && error.contains("cp949"),
            "{error}"
        );
        assert_eq!(line_text(cp949[3..].to_vec(), None), Err(Some("cp949")));
        assert_eq!(
            line_text(cp949[3..].to_vec(), encoding("cp949")).unwrap(),
            "온도"
        );
        assert_eq!(line_text(b"\xef\xbb\xbfa\r\n".to_vec(), None).unwrap(), "a");
    }

    #[test]
    fn what_cannot_be_read_is_called_by_its_name() {
        let kinds: [(&[u8], &str); 8] = [
            (b"PK\x03\x04....data.csv", "a ZIP archive; unpack it"),
            (
                b"PK\x03\x04..xl/workbook.xml",
                "an Excel workbook; save the sheet as CSV",
            ),
            (b"PK\x03\x04....weights.npy", "a NumPy archive"),
            (b"\x93NUMPY\x01\0", "a NumPy array"),
            (b"\xfd7zXZ\0\0", "packed with xz"),
            (b"SQLite format 3\0", "an SQLite database"),
            (b"{\"a\": 1}\n", "a JSON file"),
            (b"PAR1....PAR1", "name the file"),
        ];
        for (bytes, words) in kinds {
            let error = of(bytes, &Format::default()).unwrap_err().to_string();
            assert!(error.contains(words), "{error}");
        }
        let error = of(b"a\xffb\0\0", &Format::default())
            .unwrap_err()
            .to_string();
        assert!(error.contains("no text"), "{error}");
        let mut cut = tempfile::NamedTempFile::new().unwrap();
        let piped = include_bytes!("../../tests/packed/rows.parquet");
        cut.write_all(&piped[..piped.len() / 2]).unwrap();
        assert!(open(cut.path(), &Format::default()).is_err());
    }

    #[test]
    fn a_list_that_nobody_asked_for_is_left_out() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/packed");
        let opened = open(&folder.join("lists.parquet"), &Format::default()).unwrap();
        assert_eq!(
            opened.notes,
            ["column \"a\" holds lists or structures and is left out"]
        );
        assert_eq!(read_text(opened.text).unwrap(), "b\n1\n2\n");
    }
}
