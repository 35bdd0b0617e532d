//! The folders that `kinglet export` makes: laid out as each build system wants, and their examples compile.
#![cfg(unix)]

use kinglet::Model;
use kinglet::format::{Cell, Format, Layout};
use kinglet_trainer::export::{File, Platform, c_library, c_source, header, package, rust};
use kinglet_trainer::file::{AlignedBytes, TestInputs, export_for};
use kinglet_trainer::package::{Input, Output, Package, Shape};
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
    if name == WINDOWS_OF_TOKENS {
        return windows_of_tokens();
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

/// Models of samples, of tokens, of windows, the last two from both ends, of which some samples are answered, and of sound.
const MODELS: [&str; 7] = [
    "lstm_w8a8.kgl",
    "tokens_w8a8.kgl",
    "window_f32.kgl",
    "bidirectional_w8a8.kgl",
    WINDOWS_OF_TOKENS,
    "pooled_w8a8.kgl",
    "../../../docs/browser/keyword.kgl",
];

/// Is made here.
const WINDOWS_OF_TOKENS: &str = "windows of tokens";

fn windows_of_tokens() -> AlignedBytes {
    let names = |n| (0..n).map(|i| format!("t{i}")).collect();
    let layers = [LayerPlan::Bidirectional(Cell::GruResetAfter, 4)];
    let package = Package {
        name: "any".to_owned(),
        net: network(5, &layers, &mut Rng::new(1)),
        input: Input::Tokens(names(5)),
        output: Output::Classes(names(8)),
        shape: Shape::Window {
            window: 6,
            hop: 6,
            exact: true,
        },
        alarm: None,
        written: Default::default(),
    };
    let tests = TestInputs::synthetic(&package);
    let exported = export_for(Layout::Portable, &package, Format::F16, None, &tests);
    exported.unwrap().bytes
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
