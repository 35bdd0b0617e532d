//! The folders that `kinglet export` makes: laid out as each build system wants, and their examples compile.
#![cfg(unix)]

use kinglet::Model;
use kinglet::format::{Cell, Format, Layout};
use kinglet_trainer::data::{Written, csv};
use kinglet_trainer::export::{File, Platform, c_library, c_source, header, package, rust};
use kinglet_trainer::file::{AlignedBytes, TestInputs, export_for};
use kinglet_trainer::net::Activation;
use kinglet_trainer::package::{Alarm, Feature, Input, Output, Package, Shape, Target};
use kinglet_trainer::train::init::{LayerPlan, Rng, network};
use std::fs;
use std::path::Path;
use std::process::Command;

fn folder_of(platform: Platform, model: &str) -> tempfile::TempDir {
    let bytes = model_file(model);
    let model = Model::from_bytes(&bytes).unwrap();
    let code = c_source(&bytes, &model, "net").unwrap();
    written(package(platform, &code, &model))
}

fn model_file(name: &str) -> AlignedBytes {
    match name {
        WINDOWS_OF_TOKENS => return windows_of_tokens(),
        TEXTS => return texts(),
        _ => {}
    }
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../engine/tests/models");
    AlignedBytes::read(&folder.join(name)).unwrap()
}

fn written(files: Vec<File>) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (path, bytes) in files {
        let path = folder.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }
    folder
}

/// Runs a command in a folder.
fn run(folder: &Path, command: &str) {
    let ran = Command::new("sh")
        .args(["-euc", command])
        .current_dir(folder)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&ran.stderr);
    assert!(ran.status.success(), "{command}: {said}");
}

fn has(folder: &Path, files: &[&str]) {
    for file in files {
        let text = fs::read_to_string(folder.join(file)).unwrap_or_else(|e| panic!("{file}: {e}"));
        let named = text.replace("$ENV{", "").replace("${CMAKE_", "");
        assert!(
            !named.contains('$'),
            "{file}: a name was left open:\n{text}"
        );
    }
    let readme = fs::read_to_string(folder.join("README.md")).unwrap();
    assert!((5..=12).contains(&readme.lines().count()), "{readme}");
}

/// Models of samples, of tokens, of windows, the last two from both ends, of texts, of which some samples are answered, and of sound.
const MODELS: [&str; 8] = [
    "lstm_w8a8.kgl",
    "tokens_w8a8.kgl",
    "window_f32.kgl",
    "bidirectional_w8a8.kgl",
    WINDOWS_OF_TOKENS,
    TEXTS,
    "pooled_w8a8.kgl",
    "../../../docs/browser/keyword.kgl",
];

/// Are made here.
const WINDOWS_OF_TOKENS: &str = "windows of tokens";
const TEXTS: &str = "texts";

fn windows_of_tokens() -> AlignedBytes {
    let layers = [LayerPlan::Bidirectional(Cell::GruResetAfter, 4)];
    let names = (0..5).map(|i| format!("t{i}")).collect();
    of_windows(&layers, 8, Input::Tokens(names), (6, 6))
}

/// Its tokens are what is hard to tell in a header.
const HARD: [&str; 8] = ["<unk>", "\n", " ", "*", "?", "*/", "??/", "\"\\"];

fn texts() -> AlignedBytes {
    let layers = [LayerPlan::Recurrent(Cell::GruResetAfter, 4)];
    let names = HARD.map(str::to_owned);
    of_windows(&layers, 4, Input::Tokens(names.into()), (10, 1))
}

fn of_windows(
    layers: &[LayerPlan],
    classes: usize,
    input: Input,
    (window, hop): (usize, usize),
) -> AlignedBytes {
    let inputs = match &input {
        Input::Features(features) => features.len(),
        Input::Tokens(names) => names.len(),
    };
    let package = Package {
        name: "any".to_owned(),
        net: network(inputs, layers, &mut Rng::new(1)),
        input,
        output: Output::Classes((0..classes).map(|i| format!("class {i}")).collect()),
        shape: Shape::Window {
            window,
            hop,
            exact: true,
        },
        alarm: None,
        written: Written {
            every: 3,
            format: csv::Format {
                missing_values: vec!["-200".to_owned(), "*".to_owned()],
                ..csv::Format::default()
            },
            ..Written::default()
        },
    };
    let tests = TestInputs::synthetic(&package);
    let exported = export_for(Layout::Portable, &package, Format::F16, None, &tests);
    exported.unwrap().bytes
}

/// What both doors' headers say of a model.
fn headers(bytes: &[u8]) -> [String; 2] {
    let model = Model::from_bytes(bytes).unwrap();
    let code = c_source(bytes, &model, "net").unwrap();
    let [(_, header)] = header("net", &model, bytes).try_into().unwrap();
    [code.header, String::from_utf8(header).unwrap()]
}

#[test]
fn headers_tell_what_a_device_computes() {
    let names = [
        "flow",
        "hour_sin(date)",
        "elapsed(date)",
        "diff(wh)",
        "wind=N",
        "load+6",
    ];
    let layers = [LayerPlan::Recurrent(Cell::GruResetAfter, 4)];
    let features = names.map(Feature::plain).to_vec();
    let bytes = of_windows(&layers, 4, Input::Features(features), (1, 1));
    let model = Model::from_bytes(&bytes).unwrap();
    let [_, (_, readme), (_, library), _] = rust("net", &model, &bytes).try_into().unwrap();
    let rust = [readme, library].map(|text| String::from_utf8(text).unwrap().replace("//! ", ""));
    let c = headers(&bytes).map(|header| header.replace("\n * ", "\n"));
    for header in c.into_iter().chain(rust) {
        for told in [
            "\n0: flow\n",
            "1: hour_sin(date): sin(2 pi s / 86400), s: seconds from midnight to date",
            "2: elapsed(date): seconds since the sample before; 0 in the first\n",
            "3: diff(wh): wh less that of the sample before",
            "4: wind=N: 1 where wind is \"N\", else 0\n",
            "5: load+6: what load will be 6 samples later",
            "trained on the first of every 3 rows",
            "A value is missing where its data says -200 or \\x2a: pass NaN for that.",
            "\n3: class 3",
        ] {
            assert!(header.contains(told), "{told}: {header}");
        }
    }
    for header in headers(&bytes) {
        assert!(header.contains("once a window: with every sample."));
    }
}

/// What a gap is where it is held: of a category the one before, and no step of a counter.
#[test]
fn headers_tell_what_a_gap_is() {
    let layers = [LayerPlan::Recurrent(Cell::GruResetAfter, 4)];
    let held = |name| Feature {
        hold: true,
        ..Feature::plain(name)
    };
    let features = ["diff(wh)", "wind=N"].map(held).to_vec();
    let bytes = of_windows(&layers, 4, Input::Features(features), (1, 1));
    for header in headers(&bytes) {
        for told in [
            "wh less that of the last sample that had it, subtracted in 64 bits; 0, and not NaN, in the first and where wh is missing",
            "1 where wind is \"N\", else 0; where wind is missing, NaN repeats the one before\n",
        ] {
            assert!(header.contains(told), "{told}: {header}");
        }
    }
}

fn of_steps(package: &Package) -> AlignedBytes {
    let tests = TestInputs::synthetic(package);
    let exported = export_for(Layout::Portable, package, Format::F32, None, &tests);
    exported.unwrap().bytes
}

/// Both sides of a pair say how they are driven, and others do not.
#[test]
fn headers_tell_how_a_pair_is_driven() {
    let of = |names: &[&str], output: Output| {
        let dense = LayerPlan::Dense(names.len(), Activation::Softmax);
        let mut layers = vec![LayerPlan::Recurrent(Cell::GruResetAfter, 4)];
        if matches!(output, Output::NextToken) {
            layers.push(dense);
        }
        of_steps(&Package {
            name: "any".to_owned(),
            net: network(names.len(), &layers, &mut Rng::new(1)),
            input: Input::Tokens(names.iter().map(|name| (*name).to_owned()).collect()),
            output,
            shape: Shape::EveryStep,
            alarm: None,
            written: Written::default(),
        })
    };
    let states = Output::Values((0..4).map(|i| Target::plain(format!("h{i}"))).collect());
    let (encoder, decoder) = (
        of(&["<unk>", "a", "b"], states),
        of(&["\n", "a", "B"], Output::NextToken),
    );
    let running = of(&["<unk>", "a", "B"], Output::NextToken);
    for (bytes, told, untold) in [
        (&encoder, "no token that ends it", "Token 0 begins"),
        (
            &encoder,
            "Capital letters are read as small ones.",
            "Token 0 begins",
        ),
        (
            &decoder,
            "Token 0 begins and ends an answer",
            "Capital letters",
        ),
        (&running, "What has no name takes 0", "Token 0 begins"),
    ] {
        for header in headers(bytes) {
            assert!(
                header.contains(told) && !header.contains(untold),
                "{header}"
            );
        }
    }
}

/// A crate says where the engine comes from, and what its alarm is; a window is pushed, as gaps outlast it.
#[test]
fn readmes_of_crates_tell_what_the_engine_has() {
    let watching = of_steps(&Package {
        name: "any".to_owned(),
        net: network(1, &[LayerPlan::Recurrent(Cell::Lstm, 1)], &mut Rng::new(1)),
        input: Input::Features(vec![Feature::plain("x")]),
        output: Output::Values(vec![Target {
            feeds: Some(0),
            ..Target::plain("x")
        }]),
        shape: Shape::EveryStep,
        alarm: Some(Alarm {
            threshold: 0.5,
            smoothing: 0.1,
        }),
        written: Written::default(),
    });
    for (bytes, told) in [
        (
            &model_file("bidirectional_w8a8.kgl"),
            "windows.push(&mut net, ",
        ),
        (
            &watching,
            "kinglet::Detector::new(kinglet::Net::<net::Net>::model())",
        ),
        (&model_file(MODELS[0]), "[patch.crates-io]"),
    ] {
        let files = rust("net", &Model::from_bytes(bytes).unwrap(), bytes);
        let (_, readme) = files
            .into_iter()
            .find(|(path, _)| path == "README.md")
            .unwrap();
        let readme = String::from_utf8(readme).unwrap();
        assert!(readme.contains(told), "{told}: {readme}");
    }
}

/// A digest is one of kernels; integers give one for all.
#[test]
fn headers_tell_whose_digest_they_have() {
    for (model, told) in [
        (
            "window_f32.kgl",
            "`kinglet verify` prints it in the line `scalar`.",
        ),
        (
            "lstm_w8a8.kgl",
            "on every machine: `kinglet verify` prints it. */",
        ),
    ] {
        let [_, header] = headers(&model_file(model));
        assert!(header.contains(told), "{header}");
    }
}

/// Who has tokens has no sensors, and no unit; and what a README names is there.
#[test]
fn readmes_tell_what_is_put_in() {
    for (model, told, untold) in [
        (MODELS[0], "Put your sensors", "Put your tokens"),
        (TEXTS, "Put your tokens", "sensors"),
    ] {
        let folder = folder_of(Platform::Arduino, model);
        let readme = fs::read_to_string(folder.path().join("README.md")).unwrap();
        assert!(
            readme.contains(told) && !readme.contains(untold),
            "{readme}"
        );
        assert!(!readme.contains(".zip"), "{readme}");
    }
    let bytes = model_file("window_f32.kgl");
    let library = c_library("net", &Model::from_bytes(&bytes).unwrap(), &bytes).unwrap();
    let (_, readme) = library
        .iter()
        .find(|(path, _)| path == "README.md")
        .unwrap();
    let readme = String::from_utf8_lossy(readme);
    assert!(readme.contains("20 more for its window"), "{readme}");
}

/// A text is a reset and its tokens, of which there may be fewer than the most.
#[test]
fn texts_begin_with_a_reset() {
    let bytes = texts();
    for header in headers(&bytes) {
        assert!(
            header.contains("/* Most tokens of a text. A text begins with a reset"),
            "{header}"
        );
        assert!(
            header.contains(" What has no name takes 0, \"<unk>\"."),
            "{header}"
        );
    }
    let model = Model::from_bytes(&bytes).unwrap();
    let library = c_library("net", &model, &bytes).unwrap();
    let (_, example) = library.iter().find(|(path, _)| path == "main.c").unwrap();
    let example = String::from_utf8_lossy(example);
    assert!(
        example.contains("kgl_reset(&model, stream, sizeof stream) == KGL_OK;\n    for"),
        "{example}"
    );
    assert!(!example.contains("window"), "{example}");
}

#[test]
fn names_of_tokens_are_an_array_where_it_is_asked_for() {
    let bytes = texts();
    for header in headers(&bytes) {
        let program = "#define NET_NAMES
#include \"net.h\"
#include <stdio.h>
int main(void)
{
    for (int i = 0; i < NET_TOKENS; i++) {
        printf(\"%s%c\", net_tokens[i], 0);
    }
    return net_classes[3][6] != '3';
}
";
        let all: String = HARD.map(|name| format!("{name}\0")).concat();
        let files = [
            ("net.h", header),
            ("main.c", program.to_owned()),
            ("names", all),
        ];
        let folder = written(
            files
                .map(|(path, text)| (path.to_owned(), text.into()))
                .into(),
        );
        run(
            folder.path(),
            "cc -std=c99 -Wall -Wextra -Wpedantic -Werror main.c -o main && ./main | cmp - names",
        );
        // An array that nobody asked for is not there.
        run(folder.path(), "cc -E -P net.h | (! grep -q net_tokens)");
    }
}

/// The rules of `arduino-lint` that a library must keep: required fields, and sources in `src`.
#[test]
fn an_arduino_library_is_laid_out_as_one() {
    for model in MODELS {
        let folder = folder_of(Platform::Arduino, model);
        has(
            folder.path(),
            &[
                "src/net.h",
                "src/net.c",
                "examples/net_stream/net_stream.ino",
            ],
        );
        let properties = fs::read_to_string(folder.path().join("library.properties")).unwrap();
        let fields = [
            "name",
            "version",
            "author",
            "maintainer",
            "sentence",
            "paragraph",
            "category",
            "url",
            "architectures",
        ];
        for field in fields {
            let value = properties
                .lines()
                .find_map(|line| line.strip_prefix(&format!("{field}=")));
            assert!(
                value.is_some_and(|value| !value.is_empty()),
                "{field}: {properties}"
            );
        }
    }
}

/// With the compiler of the boards, against a stub of their library.
#[test]
#[ignore = "needs arm-none-eabi-g++"]
fn arduino_sketches_compile() {
    for model in MODELS {
        let folder = folder_of(Platform::Arduino, model);
        let stub = "#include <stdint.h>
struct Port {
    void begin(long);
    void print(float, int);
    void print(char);
    void println(const char *);
    void println();
};
extern Port Serial;
void delay(unsigned long);
";
        fs::write(folder.path().join("Arduino.h"), stub).unwrap();
        let flags = "-mcpu=cortex-m4 -mthumb -Os -ffreestanding -Wall -Wextra -Werror -Isrc -I.";
        run(
            folder.path(),
            &format!("arm-none-eabi-gcc -std=gnu11 {flags} -c src/net.c -o net.o"),
        );
        run(
            folder.path(),
            &format!(
                "arm-none-eabi-g++ -std=gnu++11 -fno-exceptions {flags} -x c++ -c examples/net_stream/net_stream.ino -o sketch.o"
            ),
        );
    }
}

#[test]
fn a_zephyr_module_is_laid_out_as_one() {
    for model in MODELS {
        let folder = folder_of(Platform::Zephyr, model);
        let files = [
            "zephyr/module.yml",
            "CMakeLists.txt",
            "Kconfig",
            "include/net.h",
            "src/net.c",
            "samples/stream/CMakeLists.txt",
            "samples/stream/prj.conf",
            "samples/stream/sample.yaml",
            "samples/stream/src/main.c",
        ];
        has(folder.path(), &files);
        // Floats of any size, for which printk has to be told.
        let text = |file| fs::read_to_string(folder.path().join(file)).unwrap();
        assert!(text("samples/stream/src/main.c").contains("printk(\"%g \""));
        assert!(text("samples/stream/prj.conf").contains("CONFIG_CBPRINTF_FP_SUPPORT=y\n"));
        let zephyr = folder.path().join("stub/zephyr/sys");
        fs::create_dir_all(&zephyr).unwrap();
        fs::write(zephyr.join("printk.h"), "void printk(const char *, ...);").unwrap();
        fs::write(zephyr.join("../kernel.h"), "void k_msleep(int);").unwrap();
        run(
            folder.path(),
            "cc -std=c99 -Wall -Wextra -Werror -Iinclude -Istub -c samples/stream/src/main.c -o main.o && cc -std=c99 -c -Iinclude src/net.c -o net.o",
        );
    }
}

#[test]
fn an_esp_idf_component_is_laid_out_as_one() {
    for model in MODELS {
        let folder = folder_of(Platform::EspIdf, model);
        let files = [
            "CMakeLists.txt",
            "idf_component.yml",
            "include/net.h",
            "net.c",
            "examples/stream/CMakeLists.txt",
            "examples/stream/main/CMakeLists.txt",
            "examples/stream/main/main.c",
        ];
        has(folder.path(), &files);
        let stub = folder.path().join("stub/freertos");
        fs::create_dir_all(&stub).unwrap();
        fs::write(stub.join("FreeRTOS.h"), "#define pdMS_TO_TICKS(ms) (ms)\n").unwrap();
        fs::write(
            stub.join("task.h"),
            "void vTaskDelay(int);\nvoid app_main(void);\n",
        )
        .unwrap();
        run(
            folder.path(),
            "cc -std=c99 -Wall -Wextra -Werror -Iinclude -Istub -c examples/stream/main/main.c -o main.o",
        );
    }
}

/// Its example runs on this machine.
#[test]
fn a_platformio_library_runs() {
    for model in MODELS {
        let folder = folder_of(Platform::PlatformIo, model);
        has(
            folder.path(),
            &["library.json", "examples/stream/platformio.ini"],
        );
        let manifest = fs::read(folder.path().join("library.json")).unwrap();
        let manifest: serde_json::Value = serde_json::from_slice(&manifest).unwrap();
        assert_eq!(manifest["name"], "net");
        run(
            folder.path(),
            "cc -std=c99 -Wall -Wextra -Werror -Iinclude examples/stream/src/main.c src/net.c -o example && ./example | grep -q '^self-test passed'",
        );
    }
}

/// That it runs, and is C++ too, is tested where the library is built, `engine/c/tests/run.sh`.
#[test]
fn an_example_for_the_c_library_compiles() {
    for model in MODELS {
        let bytes = model_file(model);
        let files = c_library("net", &Model::from_bytes(&bytes).unwrap(), &bytes).unwrap();
        let folder = written(files);
        has(
            folder.path(),
            &[
                "kinglet.h",
                "net_model.h",
                "main.c",
                "library/src/lib.rs",
                "library/src/status.rs",
            ],
        );
        run(
            folder.path(),
            "for file in *.c; do cc -std=c99 -Wall -Wextra -Wpedantic -Wconversion -Werror -c $file; done",
        );
    }
}

/// The sources beside the example are those of `engine/c`, but for where the engine comes from.
#[test]
fn the_c_library_is_built_from_crates_io() {
    let bytes = model_file(MODELS[0]);
    let files = c_library("net", &Model::from_bytes(&bytes).unwrap(), &bytes).unwrap();
    let (_, manifest) = files
        .iter()
        .find(|(path, _)| path == "library/Cargo.toml")
        .unwrap();
    let here: toml::Table = str::from_utf8(manifest).unwrap().parse().unwrap();
    let there = Path::new(env!("CARGO_MANIFEST_DIR")).join("../engine/c/Cargo.toml");
    let mut there: toml::Table = fs::read_to_string(there).unwrap().parse().unwrap();
    assert!(there.remove("dev-dependencies").is_some());
    let mut expected = there.to_string();
    let version = format!("version = \"{}\"", env!("CARGO_PKG_VERSION"));
    assert_eq!(expected.matches("path = \"..\"").count(), 2);
    expected = expected.replace("path = \"..\"", &version);
    assert_eq!(here, expected.parse().unwrap());
}

#[test]
fn a_header_has_the_bytes_of_the_file_and_its_alignment() {
    let bytes = model_file(MODELS[0]);
    let folder = written(header("net", &Model::from_bytes(&bytes).unwrap(), &bytes));
    fs::write(folder.path().join("model.kgl"), &bytes[..]).unwrap();
    let program = "#include \"net_model.h\"
#include <stdio.h>
int main(void)
{
    if ((uintptr_t)net_model % 16) return 1;
    return fwrite(net_model, 1, NET_MODEL_SIZE, stdout) != NET_MODEL_SIZE;
}
";
    fs::write(folder.path().join("main.c"), program).unwrap();
    run(
        folder.path(),
        "cc -std=c99 -Wall -Wextra -Werror main.c -o main && ./main | cmp - model.kgl",
    );
}

#[test]
#[ignore = "builds the engine"]
fn a_rust_crate_compiles() {
    let engine = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../engine")
        .canonicalize()
        .unwrap();
    let built = tempfile::tempdir().unwrap();
    for name in MODELS {
        let bytes = model_file(name);
        let folder = written(rust("net_two", &Model::from_bytes(&bytes).unwrap(), &bytes));
        // What the README says runs.
        let readme = fs::read_to_string(folder.path().join("README.md")).unwrap();
        let (_, code) = readme.split_once("```rust\n").unwrap();
        let (code, _) = code.split_once("```").unwrap();
        let program = format!(
            "fn main() -> Result<(), Box<dyn std::error::Error>> {{\n{code}\nassert!(output.iter().all(|y: &f32| y.is_finite()));\nOk(())\n}}\n"
        );
        let examples = folder.path().join("examples");
        fs::create_dir_all(&examples).unwrap();
        fs::write(examples.join("readme.rs"), program).unwrap();
        let config = format!(
            "patch.crates-io.kinglet.path={:?}",
            engine.display().to_string()
        );
        run(
            folder.path(),
            &format!(
                "CARGO_TARGET_DIR=\"{}\" cargo run -q --example readme --config '{config}'",
                built.path().display()
            ),
        );
    }
}
