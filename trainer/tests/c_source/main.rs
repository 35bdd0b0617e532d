//! Generated C against the engine, step by step and bit by bit: every cell in every format and layout, on random networks.
//!
//! `KINGLET_C_COMPILERS` lists commands apart from each other by `|`; without it there is the system's `cc`.
#![cfg(unix)]

mod random;

use kinglet::Model;
use kinglet::format::{Cell, Format, Input};
use kinglet::kernel::Kernels;
use kinglet::{Detector, Greedy, SlidingWindow, Spotter, Verdict, Windowed};
use kinglet_trainer::data::audio::Audio;
use kinglet_trainer::export::{c_library, c_source};
use kinglet_trainer::file::AlignedBytes;
use random::{Case, Random};
use std::fmt::Write as _;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

const FORMATS: [Format; 5] = [
    Format::F32,
    Format::F16,
    Format::W8A8,
    Format::W8A16,
    Format::W4A8,
];

const WARNINGS: [&str; 6] = [
    "-O1",
    "-Wall",
    "-Wextra",
    "-Wpedantic",
    "-Wconversion",
    "-Werror",
];

fn compilers() -> Vec<Vec<String>> {
    let list = std::env::var("KINGLET_C_COMPILERS");
    let list = list.unwrap_or_else(|_| "cc -std=c99".to_owned());
    let words = |command: &str| command.split_whitespace().map(str::to_owned).collect();
    list.split('|').map(words).collect()
}

/// The programs of a model, one for each compiler.
fn compile(folder: &Path, bytes: &[u8], model: &Model<'_>) -> Vec<PathBuf> {
    compile_by(&compilers(), folder, bytes, model)
}

/// The same for compilers of one's own.
fn compile_by(
    compilers: &[Vec<String>],
    folder: &Path,
    bytes: &[u8],
    model: &Model<'_>,
) -> Vec<PathBuf> {
    let code = c_source(bytes, model, "net").unwrap();
    fs::write(folder.join("net.c"), &code.source).unwrap();
    fs::write(folder.join("net.h"), &code.header).unwrap();
    fs::write(folder.join("drive.c"), include_str!("drive.c")).unwrap();
    let mut doors = Vec::new();
    match model.header().input {
        Input::Features { .. } => doors.push("-DSAMPLES"),
        Input::Tokens { .. } => doors.push("-DTOKENS"),
    }
    if model.is_integer() {
        doors.push("-DINTEGER");
    }
    if model.is_bidirectional() {
        doors.push("-DWHOLE");
    }
    if code.header.contains("net_push") {
        doors.push("-DWINDOWS");
    }
    for (function, door) in [
        ("net_hear(", "-DHEARS"),
        ("net_alarm(", "-DALARM"),
        ("net_token(", "-DTOKEN"),
    ] {
        if code.header.contains(function) {
            doors.push(door);
        }
    }
    let programs = compilers.iter().enumerate().map(|(number, command)| {
        let program = folder.join(format!("drive{number}"));
        let compiled = Command::new(&command[0])
            .args(&command[1..])
            .args(WARNINGS)
            .args(&doors)
            .arg(format!("-DSTATE_BYTES={}", code.state_bytes))
            .arg("-o")
            .arg(&program)
            .args(["drive.c", "net.c"])
            .current_dir(folder)
            .output()
            .unwrap_or_else(|e| panic!("{}: {e}", command[0]));
        let said = String::from_utf8_lossy(&compiled.stderr);
        assert!(
            compiled.status.success(),
            "{command:?}: {said}\n{:?}",
            model.header()
        );
        program
    });
    programs.collect()
}

/// What a program answers.
fn run(program: &Path, commands: &str) -> String {
    let mut child = Command::new(program)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = child.stdin.take().unwrap();
    let commands = commands.to_owned();
    let writer = std::thread::spawn(move || input.write_all(commands.as_bytes()).unwrap());
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap();
    assert!(output.status.success(), "{}", program.display());
    String::from_utf8(output.stdout).unwrap()
}

fn floats(text: &mut String, values: &[f32]) {
    for value in values {
        // One NaN is like another.
        let bits = if value.is_nan() {
            0x7fc0_0000
        } else {
            value.to_bits()
        };
        let _ = write!(text, " {bits:08x}");
    }
    text.push('\n');
}

fn integers(text: &mut String, values: &[i16]) {
    for &value in values {
        let _ = write!(text, " {:08x}", i32::from(value) as u32);
    }
    text.push('\n');
}

/// Commands for a program, and what the engine answers to them.
fn drive(model: &Model<'_>, random: &mut Random) -> (String, String) {
    let (inputs, outputs) = (model.inputs(), model.outputs());
    let mut room = AlignedBytes::zeroed(model.state_len());
    let mut runner = model
        .bind_bytes(&mut room)
        .unwrap()
        .with_kernels(&Kernels::SCALAR);
    let digest = model.self_test(&mut runner).unwrap();
    let (mut commands, mut answers) = ("d\n".to_owned(), format!(" {digest}\n"));
    let (mut y, mut q) = (vec![0.0; outputs], vec![0; outputs]);
    for step in 0..40 {
        if step == 30 {
            commands.push_str("r\n");
            runner.reset();
        }
        if let Input::Tokens { .. } = model.header().input {
            let token = random.below(inputs + 2);
            if model.is_integer() && random.below(2) == 0 {
                let _ = writeln!(commands, "u {token:x}");
                runner.step_token_q(token, &mut q);
                integers(&mut answers, &q);
            } else {
                let _ = writeln!(commands, "t {token:x}");
                runner.step_token(token, &mut y);
                floats(&mut answers, &y);
            }
        } else if model.is_integer() && random.below(3) == 0 {
            let x: Vec<i16> = (0..inputs).map(|_| random.integer()).collect();
            commands.push('q');
            integers(&mut commands, &x);
            runner.step_q(&x, &mut q);
            integers(&mut answers, &q);
        } else {
            let x: Vec<f32> = (0..inputs).map(|_| random.reading()).collect();
            commands.push('s');
            floats(&mut commands, &x);
            runner.step(&x, &mut y);
            floats(&mut answers, &y);
        }
    }
    (commands, answers)
}

/// The same with whole windows, of a bidirectional model.
fn drive_windows(model: &Model<'_>, random: &mut Random) -> (String, String) {
    let mut room = AlignedBytes::zeroed(model.state_len());
    let runner = model.bind_window_bytes(&mut room).unwrap();
    let mut runner = runner.with_kernels(&Kernels::SCALAR);
    let (inputs, window) = (model.inputs(), runner.window());
    let digest = runner.self_test().unwrap();
    let (mut commands, mut answers) = ("d\n".to_owned(), format!(" {digest}\n"));
    let (mut y, mut q) = (vec![0.0; model.outputs()], vec![0; model.outputs()]);
    for _ in 0..8 {
        let in_integers = model.is_integer() && random.below(2) == 0;
        if let Input::Tokens { .. } = model.header().input {
            let tokens: Vec<usize> = (0..window).map(|_| random.below(inputs + 2)).collect();
            commands.push(if in_integers { 'u' } else { 't' });
            for token in &tokens {
                let _ = write!(commands, " {token:x}");
            }
            commands.push('\n');
            if in_integers {
                runner.run_tokens_q(&tokens, &mut q);
            } else {
                runner.run_tokens(&tokens, &mut y);
            }
        } else if in_integers {
            let x: Vec<i16> = (0..window * inputs).map(|_| random.integer()).collect();
            commands.push('q');
            integers(&mut commands, &x);
            runner.run_q(&x, &mut q);
        } else {
            let x: Vec<f32> = (0..window * inputs).map(|_| random.reading()).collect();
            commands.push('s');
            floats(&mut commands, &x);
            runner.run(&x, &mut y);
        }
        if in_integers {
            integers(&mut answers, &q);
        } else {
            floats(&mut answers, &y);
        }
    }
    (commands, answers)
}

/// Commands that push samples into windows, and what the engine answers.
fn push(model: &Model<'_>, random: &mut Random) -> (String, String) {
    let mut room = AlignedBytes::zeroed(model.state_len());
    if model.is_bidirectional() {
        let runner = model.bind_window_bytes(&mut room).unwrap();
        push_into(runner.with_kernels(&Kernels::SCALAR), model, random)
    } else {
        let runner = model.bind_bytes(&mut room).unwrap();
        push_into(runner.with_kernels(&Kernels::SCALAR), model, random)
    }
}

fn push_into(
    mut runner: impl Windowed,
    model: &Model<'_>,
    random: &mut Random,
) -> (String, String) {
    let (shape, inputs) = (model.header().shape, model.inputs());
    let kept = vec![0.0; SlidingWindow::needed(shape, inputs)];
    let mut windows = SlidingWindow::new(shape, inputs, kept).unwrap();
    let (mut commands, mut answers) = ("w\n".to_owned(), String::new());
    let mut y = vec![0.0; model.outputs()];
    for sample in 0..60 {
        if sample == 40 {
            commands.push_str("w\n");
            windows.reset(&mut runner);
        }
        let x: Vec<f32> = (0..inputs).map(|_| random.reading()).collect();
        commands.push('p');
        floats(&mut commands, &x);
        if windows.push(&mut runner, &x, &mut y) {
            floats(&mut answers, &y);
        } else {
            answers.push_str(" -\n");
        }
    }
    (commands, answers)
}

/// Commands that give sound to a front end, and the rows of the engine's.
fn listen(audio: &Audio, random: &mut Random) -> (String, String) {
    let (mut commands, mut answers) = (String::new(), String::new());
    let mut front = audio.front().unwrap();
    let most = audio.frame + 4 * audio.hop + 7;
    for sample in 0..2 * most {
        if sample == most {
            commands.push_str("e\n");
            front.reset();
        }
        let wave = (sample as f32 * 0.3).sin() * 0.5 + random.around_zero(0.2);
        // Silence at the start, and what no microphone gives at the end.
        let x = match sample {
            0..100 => 0.0,
            _ if sample + 3 > 2 * most => 1e30,
            _ => wave,
        };
        commands.push('h');
        floats(&mut commands, &[x]);
        match front.push(x) {
            Some(row) => floats(&mut answers, row),
            None => answers.push_str(" -\n"),
        }
    }
    (commands, answers)
}

/// Commands that look for alarms, and what the engine says.
fn alarms(model: &Model<'_>, random: &mut Random) -> (String, String) {
    let (mut commands, mut answers) = (String::new(), String::new());
    let mut spotter = Spotter::new(model, "wake */ up");
    let mut detector = Detector::new(model);
    for _ in 0..40 {
        let y: Vec<f32> = (0..model.outputs()).map(|_| random.reading()).collect();
        let x: Vec<f32> = (0..model.inputs()).map(|_| random.reading()).collect();
        commands.push('a');
        let verdict = match (&mut spotter, &mut detector) {
            (Some(spotter), _) => {
                floats(&mut commands, &y);
                spotter.push(&y)
            }
            (None, Some(detector)) => {
                floats(&mut commands, &[y.clone(), x.clone()].concat());
                detector.compare(&y, &x)
            }
            (None, None) => panic!("a model without an alarm"),
        };
        let Verdict { score, alarm } = verdict;
        floats(&mut answers, &[score, f32::from_bits(alarm.into())]);
    }
    (commands, answers)
}

/// Commands that ask what was said, and what the engine heard.
fn transcript(model: &Model<'_>, random: &mut Random) -> (String, String) {
    let (mut commands, mut answers) = (String::new(), String::new());
    let mut greedy = Greedy::new();
    for _ in 0..60 {
        let y: Vec<f32> = (0..model.outputs()).map(|_| random.reading()).collect();
        commands.push('l');
        floats(&mut commands, &y);
        let _ = writeln!(answers, " {:08x}", greedy.push(&y).unwrap_or(0));
    }
    (commands, answers)
}

fn check(case: &Case, seed: u64) {
    check_with(case, seed, |_, _| (String::new(), String::new()));
}

/// With further commands and answers.
fn check_with(
    case: &Case,
    seed: u64,
    further: impl Fn(&Model<'_>, &mut Random) -> (String, String),
) {
    let bytes = case.export();
    let model = Model::from_bytes(&bytes).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let programs = compile(folder.path(), &bytes, &model);
    let random = &mut Random::seeded(seed);
    let (mut commands, mut want) = if model.is_bidirectional() {
        drive_windows(&model, random)
    } else {
        drive(&model, random)
    };
    if case.is_windowed() && matches!(model.header().input, Input::Features { .. }) {
        let (more, answers) = push(&model, random);
        commands += &more;
        want += &answers;
    }
    let (more, answers) = further(&model, random);
    commands += &more;
    want += &answers;
    for program in programs {
        let found = run(&program, &commands);
        for (number, (found, want)) in found.lines().zip(want.lines()).enumerate() {
            assert_eq!(found, want, "answer {number}: {case}, seed {seed}");
        }
        assert_eq!(found.lines().count(), want.lines().count(), "{case}");
    }
}

#[test]
fn every_cell_in_every_format_gives_the_engines_bytes() {
    for (number, &cell) in Cell::ALL.iter().enumerate() {
        for (at, format) in FORMATS.into_iter().enumerate() {
            let seed = (number * 100 + at) as u64;
            let case = Case::of(cell, format, &mut Random::seeded(seed));
            check(&case, seed);
        }
    }
}

#[test]
fn slow_layers_give_the_engines_bytes() {
    let gated = Cell::ALL.iter().filter(|cell| cell.may_be_slow());
    for (number, &cell) in gated.enumerate() {
        for (at, format) in FORMATS.into_iter().skip(2).enumerate() {
            let seed = (1000 + number * 100 + at) as u64;
            let case = Case::of(cell, format, &mut Random::seeded(seed)).slow();
            check(&case, seed);
        }
    }
}

#[test]
fn packed_rows_give_the_engines_bytes() {
    for (number, &cell) in Cell::ALL.iter().enumerate() {
        for (at, format) in [Format::W8A8, Format::W8A16, Format::W4A8]
            .into_iter()
            .enumerate()
        {
            let seed = (20_000 + number * 100 + at) as u64;
            let of = |seed| Case::of(cell, format, &mut Random::seeded(seed)).packed(format);
            check(&of(seed), seed);
            if cell.may_be_slow() {
                check(&of(seed + 50).slow(), seed + 50);
            }
        }
    }
}

#[test]
fn convolutions_give_the_engines_bytes() {
    for (at, format) in FORMATS.into_iter().enumerate() {
        for number in 0..8 {
            let seed = (4000 + number * 100 + at) as u64;
            let case = Case::convolution(format, &mut Random::seeded(seed));
            check(&case, seed);
        }
    }
}

#[test]
fn embeddings_before_layers_of_every_kind_give_the_engines_bytes() {
    for (at, format) in FORMATS.into_iter().enumerate() {
        for number in 0..8 {
            let seed = (8000 + number * 100 + at) as u64;
            let case = Case::embedding(format, &mut Random::seeded(seed));
            check(&case, seed);
        }
    }
}

#[test]
fn windows_of_every_kind_end_as_in_the_engine() {
    for (number, (window, hop, exact)) in [
        (5, 2, true),
        (4, 4, true),
        (3, 7, true),
        (6, 2, false),
        (3, 5, false),
        (5, 5, false),
    ]
    .into_iter()
    .enumerate()
    {
        for format in [Format::F32, Format::W8A8] {
            let seed = (3000 + number * 10 + format.is_integer() as usize) as u64;
            let case = Case::windowed(format, (window, hop, exact), &mut Random::seeded(seed));
            check(&case, seed);
        }
    }
}

/// `NAME_push` beside the engine's library, whose place `around.c` takes, gives what generated C gives, in which the engine's answers were found.
#[test]
fn windows_around_the_library_end_as_those_of_generated_c() {
    let kinds = [(5, 2), (4, 4), (3, 7), (1, 1), (9, 1)];
    let running = [(6, 2), (3, 5), (5, 5)];
    let cases = kinds.into_iter().flat_map(|windows| {
        let [a, b] = [0, 1].map(|half| 12_000 + 10 * windows.0 as u64 + half);
        let one = (windows.0, windows.1, true);
        let cell = Cell::GruResetAfter;
        [
            Case::windowed(Format::W8A8, one, &mut Random::seeded(a)),
            Case::bidirectional(cell, Format::F32, windows, &mut Random::seeded(b)),
        ]
    });
    let running = running.map(|(window, hop)| {
        let random = &mut Random::seeded(13_000 + window as u64);
        Case::windowed(Format::F32, (window, hop, false), random)
    });
    let mut held = 0;
    for case in cases.chain(running) {
        let bytes = case.export();
        let model = Model::from_bytes(&bytes).unwrap();
        let Input::Features { .. } = model.header().input else {
            continue;
        };
        held += u32::from(model.holds());
        let folder = tempfile::tempdir().unwrap();
        let code = c_source(&bytes, &model, "net").unwrap();
        let mut files = c_library("lib", &model, &bytes).unwrap();
        files.retain(|(name, _)| !name.contains('/') && name != "main.c");
        for (name, text) in [("net.c", code.source), ("net.h", code.header)] {
            files.push((name.to_owned(), text.into_bytes()));
        }
        files.push(("around.c".to_owned(), include_bytes!("around.c").into()));
        for (name, bytes) in files {
            fs::write(folder.path().join(name), bytes).unwrap();
        }
        for (number, compiler) in compilers().into_iter().enumerate() {
            let program = folder.path().join(format!("around{number}"));
            let compiled = Command::new(&compiler[0])
                .args(&compiler[1..])
                .args(WARNINGS)
                .args(model.is_bidirectional().then_some("-DWHOLE"))
                .arg("-o")
                .arg(&program)
                .args(["around.c", "lib_around.c", "net.c"])
                .current_dir(folder.path())
                .output()
                .unwrap();
            let said = String::from_utf8_lossy(&compiled.stderr);
            assert!(compiled.status.success(), "{case}: {said}");
            let answer = run(&program, "");
            assert_eq!(answer, "", "{case}: {:?}", model.header().shape);
        }
    }
    assert!(held > 3, "{held} models that hold");
}

/// What an encoder leaves its decoder starts from, as [`Runner::seed_from`](kinglet::Runner::seed_from) does it.
#[test]
fn a_decoder_goes_on_from_its_encoder() {
    for format in FORMATS {
        let pair = Case::pair(format, &mut Random::seeded(14_000));
        let files = pair.map(|case| case.export());
        let [encoder, decoder] = [0, 1].map(|side: usize| Model::from_bytes(&files[side]).unwrap());
        let mut rooms = [&encoder, &decoder].map(|model| AlignedBytes::zeroed(model.state_len()));
        let [a, b] = &mut rooms;
        let mut reader = encoder
            .bind_bytes(a)
            .unwrap()
            .with_kernels(&Kernels::SCALAR);
        let mut speaker = decoder
            .bind_bytes(b)
            .unwrap()
            .with_kernels(&Kernels::SCALAR);
        let (mut read, mut said) = (vec![0.0; encoder.outputs()], vec![0.0; decoder.outputs()]);
        for token in [3, 1, 4, 1] {
            reader.step_token(token, &mut read);
        }
        speaker.step_token(0, &mut said);
        speaker.seed_from(&reader).unwrap();
        let mut want = String::new();
        for token in [2, 0, 2] {
            speaker.step_token(token, &mut said);
            floats(&mut want, &said);
        }
        let folder = tempfile::tempdir().unwrap();
        for (name, bytes, model) in [
            ("reads", &files[0], &encoder),
            ("says", &files[1], &decoder),
        ] {
            let code = c_source(bytes, model, name).unwrap();
            fs::write(folder.path().join(format!("{name}.c")), code.source).unwrap();
            fs::write(folder.path().join(format!("{name}.h")), code.header).unwrap();
        }
        fs::write(folder.path().join("pair.c"), include_str!("pair.c")).unwrap();
        for (number, compiler) in compilers().into_iter().enumerate() {
            let program = folder.path().join(format!("pair{number}"));
            let compiled = Command::new(&compiler[0])
                .args(&compiler[1..])
                .args(WARNINGS)
                .arg("-o")
                .arg(&program)
                .args(["pair.c", "reads.c", "says.c"])
                .current_dir(folder.path())
                .output()
                .unwrap();
            let said = String::from_utf8_lossy(&compiled.stderr);
            assert!(compiled.status.success(), "{said}");
            assert_eq!(run(&program, ""), want, "{format:?}");
        }
    }
}

#[test]
fn a_model_that_listens_hears_what_the_engine_hears() {
    for (number, settings) in [
        "frame = 64\nhop = 20\nbands = 8",
        "bands = 12",
        "frame = 512\nhop = 700\nbands = 24\nrate = 16000\nhigh = 7000.5",
        "frame = 2048\nhop = 512\nbands = 40\nrate = 44100",
    ]
    .into_iter()
    .enumerate()
    {
        let audio: Audio = toml::from_str(&format!("column = \"file\"\n{settings}")).unwrap();
        let format = FORMATS[number];
        let seed = 8000 + number as u64;
        let case = Case::listening(format, audio.clone(), &mut Random::seeded(seed));
        check_with(&case, seed, |model, random| {
            let (heard, rows) = listen(&audio, random);
            let (told, verdicts) = alarms(model, random);
            (heard + &told, rows + &verdicts)
        });
    }
}

#[test]
fn a_model_that_watches_has_the_engines_alarms() {
    for (number, format) in FORMATS.into_iter().enumerate() {
        let seed = 9000 + number as u64;
        let case = Case::watching(format, &mut Random::seeded(seed));
        check_with(&case, seed, alarms);
    }
}

/// The default mode of GCC, on a CPU with floats of 16 bits too; and what would change results without a word.
#[test]
fn floats_of_another_kind_do_not_compile() {
    let case = Case::watching(Format::W8A8, &mut Random::seeded(9200));
    let bytes = case.export();
    let model = Model::from_bytes(&bytes).unwrap();
    let folder = tempfile::tempdir().unwrap();
    compile(folder.path(), &bytes, &model);
    for (options, compiles) in [
        (&["-std=gnu11"][..], true),
        (&["-std=gnu11", "-march=native"], true),
        (&["-ffast-math"], false),
        (&["-ffinite-math-only"], false),
    ] {
        let compiled = Command::new("cc")
            .args(options)
            .args(["-c", "net.c"])
            .current_dir(folder.path())
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&compiled.stderr);
        assert_eq!(compiled.status.success(), compiles, "{options:?}: {said}");
        assert!(compiles || said.contains("compile this file"), "{said}");
    }
}

/// Parts of `-ffast-math` that clang does not tell of: a gap is one by its bits, and sums keep their order.
/// (`-funsafe-math-optimizations` lets the linker make zeros of the smallest numbers too, which no file can prevent.)
#[test]
fn clang_cannot_be_told_that_there_are_no_gaps() {
    if Command::new("clang").arg("--version").output().is_err() {
        eprintln!("left out: there is no clang");
        return;
    }
    let words = |flags: &str| {
        let command = format!("clang -std=c99 {flags}");
        command.split_whitespace().map(str::to_owned).collect()
    };
    let commands = [
        "-fno-honor-nans -O3",
        "-fassociative-math -fno-signed-zeros -fno-trapping-math -O3",
    ]
    .map(words);
    let mut held = 0;
    for number in 0..8 {
        let seed = 9300 + number;
        let random = &mut Random::seeded(seed);
        let case = Case::watching(FORMATS[number as usize % FORMATS.len()], random);
        let bytes = case.export();
        let model = Model::from_bytes(&bytes).unwrap();
        held += u32::from(model.holds());
        let folder = tempfile::tempdir().unwrap();
        let (commands_to, want) = drive(&model, &mut Random::seeded(seed));
        for program in compile_by(&commands, folder.path(), &bytes, &model) {
            let found = run(&program, &commands_to);
            for (number, (found, want)) in found.lines().zip(want.lines()).enumerate() {
                assert_eq!(
                    found,
                    want,
                    "answer {number}: {case}, {}",
                    program.display()
                );
            }
            assert_eq!(found.lines().count(), want.lines().count(), "{case}");
        }
    }
    assert!(held > 1, "{held} models that hold");
}

/// What `in_holds` says is what the self-test looks at: one that forgets a gap fails.
#[test]
fn a_gap_is_part_of_the_self_test() {
    let case = Case::watching(Format::W8A8, &mut Random::seeded(9201));
    let bytes = case.export();
    let code = c_source(&bytes, &Model::from_bytes(&bytes).unwrap(), "net").unwrap();
    let program = "#include \"net.c\"
static net_state s;
int main(void)
{
    return net_self_test(&s) != NET_DIGEST;
}
";
    let broken = code
        .source
        .replace("is_finite(&value) ? value : 0.0f", "value");
    assert_ne!(broken, code.source);
    for (source, passes) in [(&code.source, true), (&broken, false)] {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
        write("net.c", source);
        write("net.h", &code.header);
        write("main.c", program);
        let built = Command::new("cc")
            .args(["-std=c99", "-o", "main", "main.c"])
            .current_dir(folder.path())
            .status();
        assert!(built.unwrap().success());
        let ran = Command::new(folder.path().join("main")).status().unwrap();
        assert_eq!(ran.success(), passes);
    }
}

#[test]
fn a_model_of_transcripts_says_the_engines_tokens() {
    let case = Case::saying(Format::W8A8, &mut Random::seeded(9100));
    check_with(&case, 9100, transcript);
}

/// Windows that overlap, that do not, and that leave gaps between them; some of one sample.
const BOTH_ENDS: [(usize, usize); 5] = [(5, 2), (4, 4), (3, 7), (1, 1), (9, 1)];

#[test]
fn bidirectional_layers_of_every_cell_in_every_format_give_the_engines_bytes() {
    for (number, &cell) in Cell::ALL.iter().enumerate() {
        for (at, format) in FORMATS.into_iter().enumerate() {
            let seed = (5000 + number * 100 + at) as u64;
            let windows = BOTH_ENDS[(number + at) % BOTH_ENDS.len()];
            let case = Case::bidirectional(cell, format, windows, &mut Random::seeded(seed));
            check(&case, seed);
        }
    }
}

#[test]
fn slow_and_packed_bidirectional_layers_give_the_engines_bytes() {
    for (number, cell) in [Cell::RnnTanh, Cell::Lstm, Cell::GruResetAfter]
        .into_iter()
        .enumerate()
    {
        for (at, format) in [Format::W8A8, Format::W8A16].into_iter().enumerate() {
            let seed = (7000 + number * 100 + at) as u64;
            let of = |seed| Case::bidirectional(cell, format, (6, 3), &mut Random::seeded(seed));
            check(&of(seed).packed(format), seed);
            if cell.may_be_slow() {
                check(&of(seed + 50).slow(), seed + 50);
            }
        }
    }
}
