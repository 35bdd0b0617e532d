//! Recordings: tables that name WAV files become rows of the engine's front end; a model that listens is trained, asked and told about as
//! a user would.

mod desk;

use desk::Desk;
use hound::{SampleFormat, WavSpec, WavWriter};
use kinglet_trainer::data::audio::{Audio, Recording};
use kinglet_trainer::data::csv::{Format, OnError, Table};
use std::fmt::Write as _;
use std::io::Cursor;

const RATE: u32 = 8000;

fn spec(bits_per_sample: u16, channels: u16) -> WavSpec {
    WavSpec {
        channels,
        sample_rate: RATE,
        bits_per_sample,
        sample_format: match bits_per_sample {
            0 => SampleFormat::Float,
            _ => SampleFormat::Int,
        },
    }
}

/// A file of these samples in all channels; 0 bits are floats.
fn wav(samples: &[f32], bits: u16, channels: u16) -> Vec<u8> {
    let mut spec = spec(bits, channels);
    if bits == 0 {
        spec.bits_per_sample = 32;
    }
    let mut bytes = Cursor::new(Vec::new());
    let mut writer = WavWriter::new(&mut bytes, spec).unwrap();
    for &x in samples {
        for _ in 0..channels {
            match bits {
                0 => writer.write_sample(x).unwrap(),
                _ => {
                    let full = 2f64.powi(i32::from(bits) - 1);
                    writer
                        .write_sample((f64::from(x) * full).round() as i32)
                        .unwrap();
                }
            }
        }
    }
    writer.finalize().unwrap();
    bytes.into_inner()
}

/// A tone, softly in noise.
fn tone(hz: f32, samples: usize, seed: u32) -> Vec<f32> {
    let mut state = seed.wrapping_mul(2_654_435_761).wrapping_add(1);
    let sample = |n: usize| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let noise = (state >> 16) as f32 / 65536.0 - 0.5;
        let phase = n as f32 * hz / RATE as f32 * std::f32::consts::TAU;
        0.4 * phase.sin() + 0.05 * noise
    };
    (0..samples).map(sample).collect()
}

fn audio() -> Audio {
    toml::from_str("column = \"file\"").unwrap()
}

fn audio_of(bands: usize) -> Audio {
    Audio { bands, ..audio() }
}

fn format() -> Format {
    Format {
        audio: Some(audio()),
        ..Format::default()
    }
}

/// What reading a table of these recordings says.
fn read(desk: &Desk, table: &str, format: &Format) -> Result<Table, String> {
    desk.write("sounds.csv", table);
    Table::read(&desk.path("sounds.csv"), format).map_err(|error| error.to_string())
}

#[test]
fn frames_are_rows_beside_what_the_table_says() {
    let desk = Desk::new();
    let sound = tone(440.0, 256 + 2 * 160 + 100, 1);
    for (name, bits, channels) in [
        ("a8.wav", 8, 1),
        ("a16.wav", 16, 1),
        ("a24.wav", 24, 1),
        ("a32.wav", 32, 1),
        ("float.wav", 0, 1),
        ("both.wav", 16, 2),
    ] {
        desk.write(name, wav(&sound, bits, channels));
    }
    desk.write("short.wav", wav(&sound[..255], 16, 1));
    let table = "word,file,who\n\"a, b\",a16.wav,x\nc,float.wav,y\nd,short.wav,y\ne,both.wav,z\nf,a24.wav,z\ng,a32.wav,z\nh,a8.wav,z\n";
    let table = read(&desk, table, &format()).unwrap();
    assert_eq!(table.rows(), 6 * 3);
    assert_eq!(table.names()[..4], ["word", "file", "who", "mel00"]);
    assert_eq!(table.names()[26], "mel23");
    assert_eq!(
        table.text_column("word").unwrap()[..4],
        ["a, b", "a, b", "a, b", "c"]
    );
    assert_eq!(table.line(2), 2);
    assert_eq!(table.line(6), 5);
    assert_eq!(
        table.notes(),
        [
            format!(
                "{}: 1 of 7 recordings (14.29 %) are shorter than a frame of 256 samples and left out, the first in line 4",
                table.file()
            ),
            format!(
                "{}: 1 of 7 recordings (14.29 %) have several channels, of which the mean is taken, the first in line 5",
                table.file()
            ),
        ]
    );
    let names = audio().names();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let rows = table.columns_named(&names).unwrap();
    let mut front = audio().front().unwrap();
    let mut own = Vec::new();
    front.push_all(&sound, |row| own.extend_from_slice(row));
    // Floats to the bit, and others as near as their bits are.
    let of = |file: usize| &rows[file * 3 * 24..][..3 * 24];
    assert_eq!(of(1), own);
    assert_eq!(of(0), of(2));
    for (file, near) in [(0, 0.01), (3, 1e-4), (4, 1e-4), (5, 1.0)] {
        let off = of(file).iter().zip(&own).map(|(a, b)| (a - b).abs());
        let off = off.fold(0.0, f32::max);
        assert!(off < near, "{file}: {off}");
    }
}

#[test]
fn a_recording_that_cannot_be_heard_is_named_with_its_line() {
    let desk = Desk::new();
    let whole = wav(&tone(440.0, 1000, 1), 16, 1);
    desk.write("whole.wav", &whole);
    desk.write("cut.wav", &whole[..whole.len() - 500]);
    desk.write("header.wav", &whole[..20]);
    desk.write("none.wav", wav(&[], 16, 1));
    desk.write("text.wav", "riff raff");
    desk.write("nan.wav", wav(&[f32::NAN; 300], 0, 1));
    desk.write("short.wav", wav(&[0.5; 100], 16, 1));
    let mut fast = whole.clone();
    fast[24..32].copy_from_slice(&[0x80, 0x3e, 0, 0, 0, 0x7d, 0, 0]);
    desk.write("fast.wav", fast);
    for (name, words) in [
        ("gone.wav", "a path starts from the table's folder"),
        ("cut.wav", "is cut: 750 of 1000 samples are there"),
        ("header.wav", "not a whole WAV file"),
        ("none.wav", "holds no samples"),
        ("text.wav", "not a whole WAV file"),
        ("nan.wav", "sample 1: NaN, expected a finite number"),
        ("fast.wav", "fast.wav -r 8000 OUT.wav"),
    ] {
        let table = format!("file\nwhole.wav\n{name}\nwhole.wav\n");
        let error = read(&desk, &table, &format()).unwrap_err();
        assert!(
            error.contains(&format!("sounds.csv:3: {name}: ")),
            "{error}"
        );
        assert!(error.contains(words), "{error}");
        let skipping = Format {
            on_error: OnError::Skip,
            ..format()
        };
        let left = read(&desk, &table, &skipping).unwrap();
        assert_eq!(left.rows(), 2 * 5);
        assert!(
            left.notes()[0].contains("1 of 11 rows are broken"),
            "{:?}",
            left.notes()
        );
    }
    let error = read(&desk, "file\nshort.wav\n", &format()).unwrap_err();
    assert!(
        error.contains("none of 1 recordings is as long as a frame of 256"),
        "{error}"
    );
    let error = read(&desk, "sound\nwhole.wav\n", &format()).unwrap_err();
    assert!(error.contains("no column \"file\""), "{error}");
    let error = read(&desk, "file,who\nwhole.wav\n", &format()).unwrap_err();
    assert!(error.contains("1 fields where 2 were expected"), "{error}");
}

#[test]
fn no_damage_to_a_file_makes_a_panic() {
    let whole = wav(&tone(440.0, 400, 1), 16, 2);
    let extensible = wav(&tone(440.0, 400, 1), 24, 1);
    let mut state = 5u32;
    let mut draw = move |n: usize| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as usize % n
    };
    let mut heard = 0;
    for round in 0..20_000 {
        let mut bytes = if round % 2 == 0 {
            whole.clone()
        } else {
            extensible.clone()
        };
        for _ in 0..=draw(4) {
            // Mostly the header.
            let at = if draw(8) > 0 {
                draw(70)
            } else {
                draw(bytes.len())
            };
            bytes[at] = [0, 1, 255, draw(256) as u8][draw(4)];
        }
        if draw(4) == 0 {
            bytes.truncate(draw(bytes.len()));
        }
        if let Ok(mut recording) = Recording::new(&bytes[..], RATE, "x.wav") {
            while let Ok(Some(sample)) = recording.next_sample() {
                assert!(sample.is_finite());
                heard += 1;
            }
        }
    }
    assert!(heard > 100_000, "{heard}");
}

/// One, two or three beeps, high or low, with pauses between them.
fn beeps(desk: &Desk, files: usize) -> String {
    let mut table = String::from("file,said\n");
    for file in 0..files {
        let mut state = (file as u32).wrapping_mul(747_796_405) + 1;
        let mut draw = |n: u32| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 16) % n
        };
        let mut sound = tone(0.0, 800 + draw(800) as usize, file as u32);
        let mut said = Vec::new();
        for beep in 0..1 + draw(3) {
            let high = draw(2) == 1;
            let hz = if high {
                1500 + draw(300)
            } else {
                350 + draw(100)
            };
            sound.extend(tone(hz as f32, 1000 + draw(600) as usize, beep));
            sound.extend(tone(0.0, 800 + draw(800) as usize, beep));
            said.push(if high { "high" } else { "low" });
        }
        desk.write(&format!("{file}.wav"), wav(&sound, 16, 1));
        writeln!(table, "{file}.wav,{}", said.join(" ")).unwrap();
    }
    table
}

const TASK: &str = "name = \"beeps\"\n[csv]\nfile = \"beeps.csv\"\n[csv.audio]\ncolumn = \"file\"\nbands = 12\n[series]\n\
    features = [\"mel*\"]\ngroup = \"file\"\ntranscript = { column = \"said\" }\nsplit = { groups = [80, 10, 20] }\n\
    [shape]\nkind = \"many-to-many\"\n[network]\ncell = \"gru\"\nhidden = [12]\n[train]\nepochs = 30\nlearning_rate = 0.02\nbatch = 8\n";

#[test]
fn a_model_that_listens_is_trained_and_asked() {
    let desk = Desk::new();
    let table = beeps(&desk, 110);
    desk.write("beeps.csv", &table);
    desk.write("beeps.toml", TASK);
    desk.ok("train beeps.toml --out beeps.kgl --precision w8a8 --quiet");
    // The one that firmware-example listens with.
    if let Some(kept) = std::env::var_os("KINGLET_BEEPS") {
        std::fs::copy(desk.path("beeps.kgl"), kept).unwrap();
    }
    let told = desk.ok("inspect beeps.kgl");
    assert!(
        told.contains("listens   to 8000 samples a second, frames of 256 every 160: 12 mel bands from 60 to 4000 Hz"),
        "{told}"
    );

    // A table of recordings, and one recording alone.
    let answers = desk.ok("predict beeps.kgl --csv beeps.csv");
    let rows = table.lines().skip(1).zip(answers.lines().skip(1));
    let wrong = rows.clone().filter(|(row, answer)| row != answer).count();
    assert_eq!(rows.count(), 110);
    assert!(wrong <= 5, "{wrong} of 110 transcripts are wrong");
    let tokens = desk.ok("predict beeps.kgl --wav 100.wav");
    let mut lines = tokens.lines();
    assert_eq!(lines.next(), Some("second,token"));
    let heard: Vec<(f64, &str)> = lines
        .map(|line| line.split_once(',').unwrap())
        .map(|(second, token)| (second.parse().unwrap(), token))
        .collect();
    assert!(
        heard.is_sorted_by(|a, b| a.0 < b.0) && heard[0].0 > 0.1,
        "{heard:?}"
    );
    let words: Vec<&str> = heard.iter().map(|heard| heard.1).collect();
    let whole = answers.lines().nth(101).unwrap();
    assert_eq!(format!("100.wav,{}", words.join(" ")), whole);
    let beam = desk.ok("predict beeps.kgl --wav 100.wav --beam 4");
    assert_eq!(beam.lines().next(), Some("transcript"));

    // A stream may promise more than arrives.
    let bytes = std::fs::read(desk.path("100.wav")).unwrap();
    let mut promising = bytes.clone();
    promising[40..44].copy_from_slice(&0x7fff_f000u32.to_le_bytes());
    assert_eq!(
        desk.run_on("predict beeps.kgl --wav -", &promising).out,
        tokens
    );

    for (arguments, words) in [
        (
            "predict beeps.kgl --wav 100.wav --out a.wav",
            "--out: beeps.kgl hears frames",
        ),
        (
            "predict beeps.kgl --wav gone.wav",
            "gone.wav: cannot be read",
        ),
        ("predict beeps.kgl --wav cut.wav", "is cut"),
    ] {
        desk.write("cut.wav", &bytes[..bytes.len() - 100]);
        let ran = desk.run(arguments);
        assert!(
            ran.code != Some(0) && ran.err.contains(words),
            "{}",
            ran.err
        );
    }

    // Wherever tables are read.
    desk.ok("report beeps.toml --model beeps.f32.kgl --with beeps.kgl --out page.html");
    // Rows that were heard elsewhere are taken as they are, and what is neither is told.
    let names = audio_of(12).names().join(",");
    let row = ["-3.5"; 12].join(",");
    desk.write("rows.csv", format!("{names}\n{row}\n{row}\n"));
    let told = desk.ok("predict beeps.kgl --csv rows.csv");
    assert!(
        told.starts_with("transcript\n") && told.lines().count() == 2,
        "{told}"
    );
    desk.write(
        "odd.csv",
        format!("{}\n{row}\n", names.replace("mel03", "mel")),
    );
    let ran = desk.run("predict beeps.kgl --csv odd.csv");
    assert!(ran.err.contains("no column \"file\""), "{}", ran.err);
    desk.ok("quantize beeps.f32.kgl --calibrate beeps.csv --precision w8a16 --out wide.kgl");
    let exported = desk.ok("export beeps.kgl --to rust --out crate");
    assert!(exported.contains("lib.rs"));
    let code = std::fs::read_to_string(desk.path("crate/src/lib.rs")).unwrap();
    assert!(
        code.contains("    bands: 12,\n    low: 60.0,\n    high: 4000.0,\n"),
        "{code}"
    );
    desk.ok("export beeps.kgl --to c-source --out c");
    let code = std::fs::read_to_string(desk.path("c/beeps.h")).unwrap();
    assert!(code.contains("int beeps_hear("), "{code}");
    desk.ok("export beeps.kgl --to c --out library");
    let code = std::fs::read_to_string(desk.path("library/beeps_around.h")).unwrap();
    assert!(code.contains("int beeps_hear("), "{code}");
}

const WAKING: &str = "name = \"wakes\"\n[csv]\nfile = \"beeps.csv\"\naudio = { column = \"file\", bands = 12 }\n[series]\n\
    features = [\"mel*\"]\ngroup = \"file\"\nsplit = { groups = [60, 20, 20] }\n[series.label]\ncolumn = \"beep\"\n\
    classes = [{ name = \"none\", labels = [\"none\"] }, { name = \"low\", labels = [\"low\"] }, { name = \"high\", labels = [\"high\"] }]\n\
    [shape]\nkind = \"many-to-one\"\nwindow = 24\nhorizon = 0\n[network]\ncell = \"gru\"\nhidden = [8]\n[train]\nepochs = 8\n\
    learning_rate = 0.02\n[wake]\nword = \"high\"\n";

#[test]
fn a_word_that_is_waited_for_wakes() {
    let desk = Desk::new();
    let mut table = String::from("file,beep\n");
    let samples = 256 + 23 * 160;
    for file in 0..100u32 {
        let pause = |seed| tone(0.0, samples - 1000, seed);
        let (name, hz) = [("high", 1500), ("low", 300), ("none", 0)][file as usize % 3];
        let beep = tone((hz + 3 * file) as f32 * f32::from(hz > 0), 1000, file);
        let sound = [pause(file), beep, pause(file + 1)].concat();
        desk.write(&format!("{file}.wav"), wav(&sound, 16, 1));
        writeln!(table, "{file}.wav,{name}").unwrap();
    }
    desk.write("beeps.csv", &table);
    desk.write("wakes.toml", WAKING);
    let told = desk.ok("train wakes.toml --out wakes.kgl --precision w8a8 --quiet");
    // The one that firmware-example waits with.
    if let Some(kept) = std::env::var_os("KINGLET_WAKES") {
        std::fs::copy(desk.path("wakes.kgl"), kept).unwrap();
    }
    for format in ["f32", "w8a8"] {
        let words = format!("test, {format}: found in 7 of 7 recordings (100.0 %), 0 false alarms");
        assert!(told.contains(&words), "{told}");
    }
    let told = desk.ok("inspect wakes.kgl");
    assert!(
        told.contains("wakes     on \"high\", where its smoothed probability is above 0"),
        "{told}"
    );

    // In a stream, once: behind the beep that begins at two seconds, while a window holds it.
    let stream = [(0, 6000), (300, 1500), (0, 8500), (1600, 1000), (0, 8000)];
    let stream = stream.map(|(hz, samples)| tone(hz as f32, samples, hz));
    let stream = stream.concat();
    desk.write("stream.wav", wav(&stream, 16, 1));
    let woken = desk.ok("predict wakes.kgl --wav stream.wav");
    let lines: Vec<&str> = woken.lines().collect();
    let [head, line] = lines[..] else {
        panic!("{woken}")
    };
    assert_eq!(head, "second,word,score");
    let (second, said) = line.split_once(',').unwrap();
    let second: f64 = second.parse().unwrap();
    assert!(
        (2.0..2.75).contains(&second) && said.starts_with("high,0."),
        "{woken}"
    );
    // In two pieces, cut within a frame and while the word is being told.
    for cut in [16_100, (second * 8000.0) as usize + 50] {
        let (first, rest) = stream.split_at(cut);
        desk.write("first.wav", wav(first, 16, 1));
        desk.write("rest.wav", wav(rest, 16, 1));
        let first = desk.ok("predict wakes.kgl --wav first.wav --state-out s.bin");
        let rest = desk.ok("predict wakes.kgl --wav rest.wav --state-in s.bin");
        let told = [first, rest].concat();
        let told: Vec<&str> = told.lines().filter(|line| *line != head).collect();
        let [line] = told[..] else { panic!("{told:?}") };
        assert!(line.ends_with(said), "{line}");
    }
    let json = desk.ok("predict wakes.kgl --wav stream.wav --json");
    assert!(json.contains(&format!("\"second\":{second},")), "{json}");

    desk.write("low.wav", wav(&tone(300.0, 8000, 1), 16, 1));
    let quiet = desk.run("predict wakes.kgl --wav low.wav");
    assert_eq!(quiet.out, "second,word,score\n");
    assert!(quiet.err.contains("\"high\" was not said"), "{}", quiet.err);

    // Of a table every answer, with its score.
    let answers = desk.ok("predict wakes.kgl --csv beeps.csv");
    let head = "file,class,none,low,high,score,alarm\n";
    assert!(answers.starts_with(head), "{answers}");
    let alarmed = answers.lines().filter(|line| line.ends_with(",1"));
    assert!(alarmed.clone().all(|line| line.contains(",high,")) && alarmed.count() > 30);

    // A back-test counts where alarms begin, in every recording.
    let begun = |answers: &str| {
        let (mut begun, mut before) = (0, ("", false));
        for line in answers.lines().skip(1) {
            let (file, _) = line.split_once(',').unwrap();
            let alarm = line.ends_with(",1");
            begun += u64::from(alarm && before != (file, true));
            before = (file, alarm);
        }
        begun
    };
    let of_float = desk.ok("predict wakes.f32.kgl --csv beeps.csv");
    let told = desk.ok("backtest wakes.f32.kgl wakes.kgl --data beeps.csv --json");
    let told: serde_json::Value = serde_json::from_str(&told).unwrap();
    let both = serde_json::json!({"old": begun(&of_float), "new": begun(&answers)});
    assert_eq!(told["alarms"], both, "{told}");
    assert!(begun(&answers) > 30);
    desk.write(
        "lows.toml",
        WAKING.replace("word = \"high\"", "word = \"low\""),
    );
    desk.ok("train lows.toml --out lows.kgl --quiet");
    let ran = desk.run("backtest wakes.kgl lows.kgl --data beeps.csv");
    let words = "wakes.kgl waits for \"high\", and lows.kgl for \"low\"";
    assert!(ran.err.contains(words), "{}", ran.err);

    desk.ok("report wakes.toml --model wakes.f32.kgl --with wakes.kgl --out page.html");
    let page = std::fs::read_to_string(desk.path("page.html")).unwrap();
    assert!(page.contains("false alarms") && page.contains("at another threshold"));
    desk.ok("export wakes.kgl --to rust --out crate");
    let code = std::fs::read_to_string(desk.path("crate/src/lib.rs")).unwrap();
    assert!(code.contains("pub const WAKES: &str = \"high\";"), "{code}");

    for (old, new, words) in [
        (
            "\"high\"\n",
            "\"hgh\"\n",
            "wake.word: is one of several classes: \"none\", \"low\", \"high\"",
        ),
        (
            "[wake]\n",
            "[wake]\nsmoothing = 0.0\n",
            "wake.smoothing: is above 0",
        ),
        (
            "[wake]\n",
            "[wake]\nfalse_alarms = -1.0\n",
            "wake.false_alarms: is 0 or more",
        ),
        (
            "group = \"file\"\n",
            "group = \"beep\"\n",
            "series.group: is the column of recordings",
        ),
    ] {
        desk.write("wakes.toml", WAKING.replace(old, new));
        let ran = desk.run("train wakes.toml --out no.kgl");
        assert!(
            ran.code != Some(0) && ran.err.contains(words),
            "{words}: {}",
            ran.err
        );
    }
}

#[test]
fn settings_that_make_no_sense_are_refused_by_their_key() {
    let desk = Desk::new();
    for (key, words) in [
        ("frame = 200", "csv.audio.frame: a frame of 200 samples"),
        ("hop = 0", "csv.audio.hop: a hop of 0"),
        (
            "bands = 129",
            "csv.audio.bands: 129 bands, must be 1 to 128",
        ),
        ("bands = 128", "would hear nothing"),
        ("high = 5000", "csv.audio.low: bands from 60 to 5000 Hz"),
        ("columns = \"a\"", "did you mean \"column\"?"),
    ] {
        desk.write("beeps.toml", TASK.replace("bands = 12", key));
        let ran = desk.run("train beeps.toml --out beeps.kgl");
        assert!(
            ran.code != Some(0) && ran.err.contains(words),
            "{}",
            ran.err
        );
    }
}
