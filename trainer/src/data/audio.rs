//! Recordings: WAV files as rows of log-mel energies, computed by the engine's [front end](kinglet::audio), so that a network is trained
//! on the very numbers that its device hears.

use std::fmt::Write;
use std::fs::File;
use std::io::{BufReader, Read};
use std::path::Path;

use csv::StringRecord;
use hound::{SampleFormat, WavReader};
use kinglet::audio::{LogMel, Settings, SettingsError};
use serde::{Deserialize, Serialize};

use super::error::DataError;
use super::riff::Wav;

/// The most bands of a row.
const BANDS: usize = 128;

/// With room for all that there is.
pub type Front = LogMel<2048, BANDS>;

/// A column of a table names recordings, and every frame of them is a row.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Audio {
    /// The column of WAV files, whose paths start from the table's folder.
    pub column: String,
    /// Samples a second, of all files.
    #[serde(default = "rate")]
    pub rate: u32,
    /// Samples of a frame: a power of two from 64 to 2,048.
    #[serde(default = "frame")]
    pub frame: usize,
    /// A new frame every so many samples.
    #[serde(default = "hop")]
    pub hop: usize,
    /// Numbers of a row, called `mel00`, `mel01`, ….
    #[serde(default = "bands")]
    pub bands: usize,
    /// Where the lowest band begins, in Hz.
    #[serde(default = "low")]
    pub low: f32,
    /// Where the highest one ends, in Hz; without it half the rate.
    pub high: Option<f32>,
}

fn rate() -> u32 {
    8000
}

fn frame() -> usize {
    256
}

fn hop() -> usize {
    160
}

fn bands() -> usize {
    24
}

fn low() -> f32 {
    60.0
}

impl Audio {
    /// As the engine has it.
    pub fn settings(&self) -> Settings {
        Settings {
            rate: self.rate,
            frame: self.frame,
            hop: self.hop,
            bands: self.bands,
            low: self.low,
            high: self.high.unwrap_or(self.rate as f32 / 2.0),
        }
    }

    /// The front end.
    ///
    /// # Errors
    /// If there is none of such settings.
    pub fn front(&self) -> Result<Box<Front>, SettingsError> {
        Front::new(self.settings()).map(Box::new)
    }

    /// What is wrong with the settings: the key and the problem.
    pub fn fault(&self) -> Option<(&'static str, String)> {
        let error = self.front().err()?;
        let key = match error {
            SettingsError::Frame { .. } => "frame",
            SettingsError::Hop => "hop",
            SettingsError::Range { .. } => "low",
            _ => "bands",
        };
        Some((key, error.to_string()))
    }

    /// What the columns of a row are called, in its order.
    pub fn names(&self) -> Vec<String> {
        let bands = self.bands.min(BANDS);
        let digits = bands.saturating_sub(1).to_string().len();
        (0..bands).map(|k| format!("mel{k:0digits$}")).collect()
    }
}

/// The values of all channels, one after the other; full scale is 1.
pub fn values<'r>(
    reader: WavReader<impl Read + 'r>,
) -> Box<dyn Iterator<Item = hound::Result<f32>> + 'r> {
    let spec = reader.spec();
    match spec.sample_format {
        SampleFormat::Float => Box::new(reader.into_samples::<f32>()),
        SampleFormat::Int => {
            let full = full_scale(spec.bits_per_sample);
            let scaled = move |x: hound::Result<i32>| Ok((f64::from(x?) / full) as f32);
            Box::new(reader.into_samples::<i32>().map(scaled))
        }
    }
}

/// Of whole numbers of so many bits.
pub fn full_scale(bits: u16) -> f64 {
    2f64.powi(i32::from(bits) - 1)
}

/// A recording as it is heard: its channels' mean.
pub struct Recording<'r> {
    values: Box<dyn Iterator<Item = hound::Result<f32>> + 'r>,
    /// Of the file.
    pub channels: u16,
    /// Samples that its header promises, and those that were read.
    length: u32,
    read: u32,
    /// What arrives ends when it ends, whatever its header promises.
    live: bool,
}

impl<'r> Recording<'r> {
    /// Reads the header. `shown` is what a message calls the file.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn new(input: impl Read + 'r, rate: u32, shown: &str) -> Result<Self, String> {
        let Wav { reader, endless } = Wav::open(input).map_err(|e| unreadable(&e))?;
        let (spec, length) = (reader.spec(), reader.duration());
        if spec.sample_rate != rate {
            return Err(format!(
                "{} samples a second, and {rate} are listened to; this converts it: sox {shown} -r {rate} OUT.wav",
                spec.sample_rate
            ));
        }
        Ok(Recording {
            values: values(reader),
            channels: spec.channels,
            length,
            read: 0,
            live: endless,
        })
    }

    /// What arrives may end early.
    pub fn live(self, live: bool) -> Self {
        let live = self.live || live;
        Recording { live, ..self }
    }

    /// The next sample; none at the end.
    ///
    /// # Errors
    /// If the file ends too early, or there is no number.
    pub fn next_sample(&mut self) -> Result<Option<f32>, String> {
        let mut sum = 0.0;
        for channel in 0..self.channels {
            let Some(value) = self.values.next() else {
                return match channel {
                    0 if self.read == 0 => Err("holds no samples".into()),
                    _ => Ok(None),
                };
            };
            let value = match value {
                Ok(value) => value,
                Err(hound::Error::IoError(_)) if self.live => return Ok(None),
                Err(hound::Error::IoError(_)) => {
                    return Err(format!(
                        "is cut: {} of {} samples are there; copy or record it again",
                        self.read, self.length
                    ));
                }
                Err(other) => return Err(unreadable(&other)),
            };
            if !value.is_finite() {
                return Err(format!(
                    "sample {}: {value}, expected a finite number",
                    self.read + 1
                ));
            }
            sum += f64::from(value);
        }
        self.read += 1;
        Ok(Some((sum / f64::from(self.channels)) as f32))
    }
}

/// What is said of a file that is none.
pub fn unreadable(error: &hound::Error) -> String {
    format!("not a whole WAV file that can be read: {error}")
}

/// The rows of a table's recordings, one recording after the other.
#[derive(Debug)]
pub(super) struct Frames {
    audio: Audio,
    front: Option<Box<Front>>,
    decimal: char,
    /// Of the current recording: what the table says about it, and all its frames.
    row: StringRecord,
    energies: Vec<f32>,
    given: usize,
    told: Told,
    text: String,
}

/// What there is to say about the recordings.
#[derive(Debug, Default)]
struct Told {
    recordings: u64,
    /// And the first one's line.
    short: (u64, u64),
    /// And the first one's line.
    mixed: (u64, u64),
}

impl Frames {
    pub fn new(audio: &Audio, decimal: char) -> Self {
        Frames {
            audio: audio.clone(),
            front: None,
            decimal,
            row: StringRecord::new(),
            energies: Vec::new(),
            given: 0,
            told: Told::default(),
            text: String::new(),
        }
    }

    pub fn audio(&self) -> &Audio {
        &self.audio
    }

    /// Reads the recording of the table's current row.
    pub fn open(
        &mut self,
        row: &StringRecord,
        column: usize,
        file: &str,
        line: u64,
    ) -> Result<(), DataError> {
        self.energies.clear();
        self.given = 0;
        let recording = row[column].to_owned();
        let heard = self.hear(&recording, file, line);
        heard.map_err(|problem| {
            self.energies.clear();
            let file = file.into();
            DataError::Recording {
                file,
                line,
                recording,
                problem,
            }
        })?;
        self.row.clone_from(row);
        Ok(())
    }

    fn hear(&mut self, name: &str, table: &str, line: u64) -> Result<(), String> {
        let front = match &mut self.front {
            Some(front) => front,
            None => {
                let front = self.audio.front().map_err(|error| error.to_string())?;
                self.front.insert(front)
            }
        };
        front.reset();
        let path = Path::new(table)
            .parent()
            .unwrap_or(Path::new(""))
            .join(name);
        let shown = path.display().to_string();
        let input = File::open(&path).map_err(|error| {
            format!(
                "cannot be read: {error}; a path starts from the table's folder, so it is {shown}"
            )
        })?;
        let mut recording = Recording::new(BufReader::new(input), self.audio.rate, &shown)?;
        while let Some(sample) = recording.next_sample()? {
            if let Some(row) = front.push(sample) {
                self.energies.extend_from_slice(row);
            }
        }
        self.told.recordings += 1;
        let counted = [
            (&mut self.told.short, self.energies.is_empty()),
            (&mut self.told.mixed, recording.channels > 1),
        ];
        for ((count, first), counts) in counted {
            if counts {
                *count += 1;
                *first = if *count == 1 { line } else { *first };
            }
        }
        Ok(())
    }

    /// Makes the next frame the row; false behind the last one.
    pub fn next(&mut self, row: &mut StringRecord) -> bool {
        let bands = self.audio.bands;
        let Some(energies) = self.energies.get(self.given..self.given + bands) else {
            return false;
        };
        self.given += bands;
        row.clone_from(&self.row);
        for energy in energies {
            self.text.clear();
            // Writing to a text cannot fail.
            let _ = write!(self.text, "{energy}");
            if self.decimal != '.' {
                self.text = self
                    .text
                    .replace('.', self.decimal.encode_utf8(&mut [0; 4]));
            }
            row.push_field(&self.text);
        }
        row.set_position(self.row.position().cloned());
        !energies.is_empty()
    }

    /// If no recording was long enough.
    pub fn unheard(&self, file: &str) -> Option<DataError> {
        let Told {
            recordings, short, ..
        } = self.told;
        (recordings > 0 && short.0 == recordings).then(|| DataError::Recording {
            file: file.into(),
            line: short.1,
            recording: self.audio.column.clone(),
            problem: format!(
                "none of {recordings} recordings is as long as a frame of {} samples",
                self.audio.frame
            ),
        })
    }

    pub fn notes(&self, file: &str) -> Vec<String> {
        let Told {
            recordings,
            short,
            mixed,
        } = self.told;
        let note = |(count, first): (u64, u64), what: &str| {
            (count > 0).then(|| {
                let share = 100.0 * count as f64 / recordings as f64;
                format!("{file}: {count} of {recordings} recordings ({share:.2} %) {what}, the first in line {first}")
            })
        };
        let frame = self.audio.frame;
        let short = note(
            short,
            &format!("are shorter than a frame of {frame} samples and left out"),
        );
        let mixed = note(mixed, "have several channels, of which the mean is taken");
        short.into_iter().chain(mixed).collect()
    }
}
