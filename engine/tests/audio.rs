//! The front end against librosa, and against itself.

use kinglet::Digest;
use kinglet::audio::{LogMel, Settings, SettingsError};

const GOLDEN: &str = include_str!("audio/golden.txt");

const SPEECH: Settings = Settings {
    rate: 8000,
    frame: 256,
    hop: 160,
    bands: 24,
    low: 60.0,
    high: 4000.0,
};

/// A sawtooth that sweeps, louder and louder.
fn sound(samples: usize) -> Vec<f32> {
    let sample = |n: i64| ((n * n * 3 + n * 200) % 65536 - 32768) * (n % 1000);
    let scaled = |n| (sample(n) as f64 / 32_768_000.0) as f32;
    (0..samples as i64).map(scaled).collect()
}

fn rows<const FRAME: usize, const BANDS: usize>(settings: Settings) -> Vec<Vec<f32>> {
    let mut front = LogMel::<FRAME, BANDS>::new(settings).unwrap();
    let mut rows = Vec::new();
    let sound = sound(settings.frame + 3 * settings.hop);
    front.push_all(&sound, |row| rows.push(row.to_vec()));
    rows
}

#[test]
fn it_goes_on_from_what_another_one_heard() {
    let sound = sound(SPEECH.frame + 5 * SPEECH.hop);
    let whole = rows::<256, 24>(SPEECH);
    for cut in [0, 1, 100, 255, 256, 257, 416, 700] {
        let mut front = LogMel::<256, 24>::new(SPEECH).unwrap();
        let mut rows = Vec::new();
        front.push_all(&sound[..cut], |row| rows.push(row.to_vec()));
        let (heard, until) = front.heard();
        let heard: Vec<f32> = heard.collect();
        let mut other = LogMel::<2048, 128>::new(SPEECH).unwrap();
        assert!(
            !other.resume(&heard[1..], until)
                && !other.resume(&heard, 0)
                && !other.resume(&heard, 257)
        );
        assert!(other.resume(&heard, until));
        other.push_all(&sound[cut..SPEECH.frame + 3 * SPEECH.hop], |row| {
            rows.push(row.to_vec())
        });
        assert_eq!(rows, whole, "{cut}");
    }
}

#[test]
fn rows_are_those_of_librosa() {
    let mut lines = GOLDEN.lines();
    let mut worst = 0f32;
    while let Some(line) = lines.next() {
        let numbers: Vec<f32> = line.split(' ').map(|n| n.parse().unwrap()).collect();
        let settings = Settings {
            rate: numbers[0] as u32,
            frame: numbers[1] as usize,
            hop: numbers[2] as usize,
            bands: numbers[3] as usize,
            low: numbers[4],
            high: numbers[5],
        };
        for (k, row) in rows::<2048, 128>(settings).iter().enumerate() {
            let want = lines.next().unwrap().split(' ');
            let want: Vec<f32> = want.map(|n| n.parse().unwrap()).collect();
            assert_eq!(row.len(), want.len());
            for (band, (a, b)) in row.iter().zip(&want).enumerate() {
                let off = (a - b).abs();
                worst = worst.max(off);
                assert!(
                    off < 1e-4,
                    "{settings:?}, row {k}, band {band}: {a}, librosa {b}"
                );
            }
        }
    }
    println!("off by at most {worst}");
}

#[test]
fn room_to_spare_changes_no_bit() {
    let bits =
        |rows: Vec<Vec<f32>>| -> Vec<u32> { rows.concat().iter().map(|x| x.to_bits()).collect() };
    assert_eq!(
        bits(rows::<256, 24>(SPEECH)),
        bits(rows::<2048, 128>(SPEECH))
    );
}

#[test]
fn memory_is_two_frames_and_two_rows() {
    let numbers = 2 * (256 + 24) + 2;
    let places = 6 * size_of::<usize>();
    assert_eq!(size_of::<LogMel<256, 24>>(), 4 * numbers + places);
}

#[test]
fn rows_are_these_bytes_on_every_machine() {
    let mut digest = Digest::new();
    let rows = rows::<256, 24>(SPEECH);
    digest.add_f32(&rows.concat());
    assert_eq!(digest.value(), 0x6dae_bfe8);
}

#[test]
fn a_pure_tone_stands_in_its_band_and_silence_at_the_floor() {
    let mut front = LogMel::<256, 24>::new(SPEECH).unwrap();
    let mut loudest = None;
    for n in 0..256 {
        let tone = (n as f32 * 1000.0 / 8000.0 * core::f32::consts::TAU).sin();
        if let Some(row) = front.push(tone) {
            loudest = row
                .iter()
                .enumerate()
                .max_by(|a, b| a.1.total_cmp(b.1))
                .map(|(k, _)| k);
        }
    }
    // 1000 mel of 2146, from 92 on, in 25 steps.
    assert_eq!(loudest, Some(10));
    front.reset();
    let mut silent = Vec::new();
    front.push_all(&[0.0; 256], |row| silent.extend_from_slice(row));
    assert_eq!(silent, [libm::logf(1e-6); 24]);
}

#[test]
fn settings_that_make_no_sense_are_refused() {
    let refused = |settings| LogMel::<256, 24>::new(settings).unwrap_err();
    let max = 256;
    for found in [0, 32, 100, 512, usize::MAX] {
        let settings = Settings {
            frame: found,
            ..SPEECH
        };
        assert_eq!(refused(settings), SettingsError::Frame { found, max });
    }
    for found in [0, 25, usize::MAX] {
        let settings = Settings {
            bands: found,
            ..SPEECH
        };
        assert_eq!(refused(settings), SettingsError::Bands { found, max: 24 });
    }
    assert_eq!(refused(Settings { hop: 0, ..SPEECH }), SettingsError::Hop);
    for (low, high) in [
        (-1.0, 4000.0),
        (f32::NAN, 4000.0),
        (60.0, f32::NAN),
        (60.0, 4001.0),
        (60.0, 60.0),
    ] {
        let error = refused(Settings {
            low,
            high,
            ..SPEECH
        });
        assert!(matches!(error, SettingsError::Range { .. }), "{error}");
    }
    let error = refused(Settings {
        frame: 64,
        low: 0.0,
        ..SPEECH
    });
    assert!(
        matches!(error, SettingsError::Empty { band: 0, .. }),
        "{error}"
    );
    assert!(error.to_string().contains("fewer bands"));
}
