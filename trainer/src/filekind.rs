//! What a file is, by its first bytes: a file of another kind is called by its name.

/// A kind of file, and what to do with it here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kind {
    /// "a ZIP archive".
    pub name: &'static str,
    /// What to do where a table or text was expected.
    pub as_data: &'static str,
    /// What to do where a model was expected.
    pub as_model: &'static str,
}

const fn kind(name: &'static str, as_data: &'static str, as_model: &'static str) -> Kind {
    Kind {
        name,
        as_data,
        as_model,
    }
}

const UNPACK: &str = "unpack it and name the file inside";
const TO_CSV: &str = "save it as CSV or Parquet first";
const TO_TENSORS: &str = "save the state dict as safetensors: safetensors.torch.save_file(model.state_dict(), \"model.safetensors\")";
/// The name of an ONNX model, which has no mark of its own at its beginning.
pub const ONNX: &str = "an ONNX model";

const IMPORT: &str = "make a model of it first: kinglet import FILE --out MODEL.kgl";
const NO_MODEL: &str = "name a model file";
const NO_DATA: &str = "name the data, not a model";

/// The kind of a file that begins so; `None` for text and what is not known.
pub fn of(start: &[u8]) -> Option<Kind> {
    let begins = |magic: &[u8]| start.starts_with(magic);
    let has = |text: &str| memchr::memmem::find(start, text.as_bytes()).is_some();
    let at = |place: usize, magic: &[u8]| start.get(place..).is_some_and(|s| s.starts_with(magic));
    Some(if begins(b"PK\x03\x04") || begins(b"PK\x05\x06") {
        if has("xl/") || has("[Content_Types].xml") {
            kind(
                "an Excel workbook",
                "save the sheet as CSV (UTF-8)",
                NO_MODEL,
            )
        } else if has("opendocument") {
            kind("an OpenDocument file", "save the sheet as CSV", NO_MODEL)
        } else if has(".keras") || has("config.json") && has("metadata.json") {
            kind("a Keras model", NO_DATA, IMPORT)
        } else if has("data.pkl") {
            kind("a PyTorch file (torch.save)", NO_DATA, IMPORT)
        } else if has(".npy") {
            kind(
                "a NumPy archive (npz)",
                "save the array as CSV: numpy.savetxt(\"data.csv\", array, delimiter=\",\")",
                IMPORT,
            )
        } else {
            kind("a ZIP archive", UNPACK, UNPACK)
        }
    } else if begins(b"\x93NUMPY") {
        kind(
            "a NumPy array (npy)",
            "save it as CSV: numpy.savetxt(\"data.csv\", array, delimiter=\",\")",
            "one array is no state dict; save all as safetensors: safetensors.numpy.save_file",
        )
    } else if begins(b"\x89HDF\r\n\x1a\n") {
        kind("an HDF5 file", TO_CSV, IMPORT)
    } else if begins(b"\x80\x02")
        || begins(b"\x80\x03")
        || begins(b"\x80\x04")
        || begins(b"\x80\x05")
    {
        kind("a Python pickle", TO_CSV, IMPORT)
    } else if begins(b"\xd0\xcf\x11\xe0") {
        kind(
            "an old Office document",
            "save the sheet as CSV (UTF-8)",
            NO_MODEL,
        )
    } else if begins(b"BZh") {
        kind(
            "packed with bzip2",
            "unpack it: bunzip2",
            "unpack it: bunzip2",
        )
    } else if begins(b"\xfd7zXZ\0") {
        kind("packed with xz", "unpack it: unxz", "unpack it: unxz")
    } else if begins(b"\x04\x22\x4d\x18") {
        kind("packed with lz4", "unpack it: unlz4", "unpack it: unlz4")
    } else if begins(b"7z\xbc\xaf\x27\x1c") {
        kind("a 7z archive", UNPACK, UNPACK)
    } else if begins(b"Rar!\x1a\x07") {
        kind("a RAR archive", UNPACK, UNPACK)
    } else if at(257, b"ustar") {
        kind("a tar archive", UNPACK, UNPACK)
    } else if begins(b"\x1f\x8b") {
        kind("packed with gzip", "unpack it: gunzip", "unpack it: gunzip")
    } else if begins(b"\x28\xb5\x2f\xfd") {
        kind("packed with zstd", "unpack it: unzstd", "unpack it: unzstd")
    } else if begins(b"ARROW1") || begins(b"FEA1") {
        kind(
            "an Arrow or Feather file",
            "save it as Parquet or CSV",
            NO_MODEL,
        )
    } else if begins(b"ORC") && start.len() > 3 && !start[3].is_ascii_alphanumeric() {
        kind("an ORC file", "save it as Parquet or CSV", NO_MODEL)
    } else if begins(b"Obj\x01") {
        kind("an Avro file", "save it as Parquet or CSV", NO_MODEL)
    } else if begins(b"PAR1") {
        kind(
            "a Parquet file",
            "name the file itself: it cannot be read from a pipe, nor where it is packed once more",
            NO_MODEL,
        )
    } else if begins(b"SQLite format 3\0") {
        kind("an SQLite database", "export the table as CSV", NO_MODEL)
    } else if begins(b"version https://git-lfs.github.com/spec/") {
        kind(
            "what Git LFS puts in the place of a file",
            "fetch the file itself: git lfs pull",
            "fetch the file itself: git lfs pull",
        )
    } else if begins(b"MATLAB 5.0 MAT-file") {
        kind("a MATLAB file", TO_CSV, NO_MODEL)
    } else if begins(b"MDF     ") {
        kind("a measurement file (MDF)", TO_CSV, NO_MODEL)
    } else if begins(b"%PDF-") {
        kind("a PDF document", "export the table as CSV", NO_MODEL)
    } else if at(4, b"TFL3") {
        kind("a TensorFlow Lite model", NO_DATA, IMPORT)
    } else if begins(b"GGUF") {
        kind("a GGUF model", NO_DATA, TO_TENSORS)
    } else if begins(b"\x08") && has("pytorch") || begins(b"\x08") && has("onnx") {
        kind(ONNX, NO_DATA, IMPORT)
    } else if start.get(8) == Some(&b'{') && start.get(5..8) == Some(&[0, 0, 0]) {
        kind(
            "a safetensors file",
            NO_DATA,
            "make a model of it with `kinglet import`",
        )
    } else if begins(b"KINGLET\x1a") {
        kind(
            "a Kinglet model",
            NO_DATA,
            "it needs no import: `kinglet predict` runs it, and `kinglet quantize` takes the f32 one",
        )
    } else if begins(b"<!DOCTYPE html") || begins(b"<!doctype html") || begins(b"<html") {
        kind(
            "an HTML page",
            "the download may have gone wrong; look at it in a browser",
            NO_MODEL,
        )
    } else if begins(b"<?xml") {
        kind("an XML file", TO_CSV, NO_MODEL)
    } else if begins(b"LabVIEW Measurement") {
        kind(
            "a LabVIEW measurement file",
            "keep the table in it, from the names of its columns on: sed -n '/^X_Value/,$p' OLD > NEW",
            NO_MODEL,
        )
    } else if begins(b"\"TOA5\",") || begins(b"TOA5,") {
        kind(
            "a table of a Campbell logger (TOA5)",
            "keep the second of its first four lines, which has the names of the columns: sed '1d;3,4d' OLD > NEW",
            NO_MODEL,
        )
    } else if is_line_protocol(start) {
        kind(
            "line protocol, as InfluxDB takes it",
            "export it as a table, a column for each field: influx query --raw with pivot(), or SELECT * in -format csv",
            NO_MODEL,
        )
    } else if begins(b"{\"") || begins(b"[{") || begins(b"{\n") || begins(b"[\n") || begins(b"[[") {
        kind(
            "a JSON file",
            "save it as CSV: a line of names, then a line per row",
            NO_MODEL,
        )
    } else {
        return None;
    })
}

/// `pump,host=a load=50.1,flow=11.9 1772323200000000000`: a measurement with tags, fields and a time, in every line but comments.
fn is_line_protocol(start: &[u8]) -> bool {
    const LOOKED_AT: usize = 8;
    let text = String::from_utf8_lossy(start);
    let whole = text
        .split_inclusive('\n')
        .filter(|line| line.ends_with('\n'));
    let lines = whole.map(str::trim);
    let lines = lines.filter(|line| !line.is_empty() && !line.starts_with('#'));
    let is_pair = |pair: &str| {
        let pair = pair.split_once('=');
        pair.is_some_and(|(key, value)| !key.is_empty() && !value.is_empty())
    };
    let is_point = |line: &str| {
        let (Some((series, rest)), Some((_, time))) = (line.split_once(' '), line.rsplit_once(' '))
        else {
            return false;
        };
        let fields = rest.strip_suffix(time).unwrap_or(rest).trim_end();
        let is_time = time.len() >= 10 && time.bytes().all(|b| b.is_ascii_digit());
        let mut names = series.split(',');
        is_time
            && names
                .next()
                .is_some_and(|name| !name.is_empty() && !name.contains('='))
            && names.all(is_pair)
            && fields.split(',').next().is_some_and(is_pair)
    };
    let lines: Vec<&str> = lines.take(LOOKED_AT).collect();
    !lines.is_empty() && lines.into_iter().all(is_point)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_that_others_write_are_called_by_their_names() {
        let name = |start: &str| of(start.as_bytes()).map(|kind| kind.name);
        let points = "# from the pump\npump,host=a load=50.1,flow=11.9 1772323200000000000\npump load=1i,text=\"a b\" 1772323200\n";
        assert!(name(points).unwrap().contains("line protocol"));
        assert!(name("\"TOA5\",\"CR1000X\"\n").unwrap().contains("TOA5"));
        assert!(name("LabVIEW Measurement\t\n").unwrap().contains("LabVIEW"));
        for table in [
            "t,x=1\n2026-01-01 00:00:00,5\n",
            "a b 1772323200\n",
            "x\n",
            "",
        ] {
            assert_eq!(name(table), None, "{table:?}");
        }
    }
}
