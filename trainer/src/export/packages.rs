//! What a build system wants around the C of a model: folders, manifests, a README, and an example that reads a sensor
//! which is not there.

use super::c_source::{CSource, Meaning, sizes};
use super::values;
use crate::data::Written;
use crate::data::audio::Audio;
use kinglet::format::{Cell, FeatureTransform, Input, Layer, Shape};
use kinglet::{Detector, Model};
use std::fmt::Write;

/// A file to be written, with its path in the folder.
pub type File = (String, Vec<u8>);

/// Where generated C is built.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Platform {
    /// A library for the Arduino IDE and `arduino-cli`.
    Arduino,
    /// A module with a sample.
    Zephyr,
    /// A component with an example.
    EspIdf,
    /// A library with an example.
    PlatformIo,
}

const VERSION: &str = "1.0.0";
/// Of the engine that generated crates depend on.
const ENGINE: &str = env!("CARGO_PKG_VERSION");
const URL: &str = "https://crates.io/crates/kinglet-trainer";

/// The folder of a platform around a model's C.
pub fn package(platform: Platform, code: &CSource, model: &Model<'_>) -> Vec<File> {
    let name = &code.name;
    let upper = name.to_uppercase();
    let texts = match platform {
        Platform::Arduino => ARDUINO,
        Platform::Zephyr => ZEPHYR,
        Platform::EspIdf => ESP_IDF,
        Platform::PlatformIo => PLATFORMIO,
    };
    let meaning = of_samples(model, code.meaning);
    let sensor = match code.listens {
        true => microphone(name, model, (Door::Source, meaning)),
        false => sensor(name, model, (Door::Source, meaning)),
    };
    let about = format!(
        "The recurrent network {name}: {} bytes of weights, {}.",
        code.weight_bytes, code.ram
    );
    let put = put(&upper, model, code.listens);
    // Its self-test leaves a stream as new.
    let stream = match (model.header().input, model.header().shape) {
        (Input::Features { .. }, Shape::Window { .. }) => "&stream.net",
        _ => "&stream",
    };
    // Sound does not wait.
    let without = |text: &str, pauses: &[&str]| {
        let mut text = text.to_owned();
        for pause in pauses {
            text = text.replace(pause, "");
        }
        text
    };
    let pauses = if code.listens { PAUSES } else { &[] };
    texts
        .iter()
        .map(|(path, text)| {
            let text = match *text {
                HEADER => code.header.clone(),
                SOURCE => code.source.clone(),
                text => without(text, pauses)
                    .replace("$PUT", &put)
                    .replace("$NET", stream)
                    .replace("$STREAM", STREAM)
                    .replace("$SENSOR", &sensor)
                    .replace("$SAY", say(platform, meaning))
                    .replace("$ABOUT", &about)
                    .replace("$VERSION", VERSION)
                    .replace("$URL", URL)
                    .replace("$MODEL", &upper)
                    .replace("$model", name),
            };
            (path.replace("$model", name), text.into_bytes())
        })
        .collect()
}

/// The model file as an array in C, aligned as the engine wants it.
pub fn header(name: &str, model: &Model<'_>, bytes: &[u8]) -> Vec<File> {
    let upper = name.to_uppercase();
    let written = Written::in_model(bytes).unwrap_or_default();
    let mut text = format!(
        "/* A kinglet model file, {} bytes, at a multiple of 16 as the engine wants it. */
#ifndef {upper}_MODEL_H
#define {upper}_MODEL_H

#include <stdint.h>

#define {upper}_MODEL_SIZE {}
{}{}{}
/* Bytes of a stream's state, at a multiple of 16. */
#define {upper}_STATE_SIZE {}
/* Of its test steps, {} */
#define {upper}_DIGEST 0x{:08x}u

#if defined(__cplusplus)
alignas(16)
#elif defined(__STDC_VERSION__) && __STDC_VERSION__ >= 201112L
_Alignas(16)
#else
__attribute__((aligned(16)))
#endif
static const uint8_t {name}_model[{upper}_MODEL_SIZE] = {{
",
        bytes.len(),
        bytes.len(),
        values::inputs(name, model, &written),
        values::outputs(name, model, &written),
        sizes(name, model),
        model.state_len(),
        match model.is_integer() {
            true => "on every machine: `kinglet verify` prints it.",
            false => {
                "by the scalar kernels: `kinglet verify` prints it in the line `scalar`. Kernels that round a multiplication and an addition
 * once give another one, and pass kgl_self_test() too."
            }
        },
        model.header().test.digest,
    );
    for line in bytes.chunks(20) {
        let line: String = line.iter().map(|byte| format!(" {byte},")).collect();
        let _ = writeln!(text, "   {line}");
    }
    text.push_str("};\n\n#endif\n");
    vec![(format!("{name}_model.h"), text.into_bytes())]
}

/// A crate with the model file, which the compiler loads.
pub fn rust(name: &str, model: &Model<'_>, bytes: &[u8]) -> Vec<File> {
    let door = if model.is_bidirectional() {
        RUST_WINDOW
    } else {
        RUST_NET
    };
    let type_name: String = name
        .split('_')
        .flat_map(|part| {
            let (first, rest) = part.split_at(part.len().min(1));
            [first.to_uppercase(), rest.to_owned()]
        })
        .collect();
    let written = Written::in_model(bytes).unwrap_or_default();
    let mut features = firmware_features(model);
    features.extend(written.audio.is_some().then_some("audio"));
    let features: Vec<String> = features.iter().map(|name| format!("{name:?}")).collect();
    let engine = match &features[..] {
        [] => format!("\"{ENGINE}\""),
        features => format!(
            "{{ version = \"{ENGINE}\", features = [{}] }}",
            features.join(", ")
        ),
    };
    let usage = usage(model);
    let told = format!(
        "{}\n{}",
        values::told_inputs(model, &written),
        values::told_outputs(model, &written)
    );
    let told_in_docs = told.replace('\n', "\n//! ");
    let watch = watch(model);
    let what = match model.is_bidirectional() {
        true => {
            "A network that takes whole windows: its file is checked once, and a window cannot fail."
        }
        false => {
            "A network that the compiler loads: a damaged file does not compile, and a step cannot fail."
        }
    };
    let fill = |text: &str| {
        text.replace("$WHAT", what)
            .replace("$USAGE", &usage)
            .replace("$WATCH", &watch)
            .replace("$UNPUBLISHED", UNPUBLISHED)
            .replace("$Model", &type_name)
            .replace("$model", name)
            .replace("$VERSION", VERSION)
            .replace("$ENGINE", &engine)
            .replace("$DOCS", &told_in_docs)
            .replace("$TOLD", &told)
    };
    vec![
        ("Cargo.toml".to_owned(), fill(RUST_MANIFEST).into_bytes()),
        ("README.md".to_owned(), fill(RUST_README).into_bytes()),
        (
            "src/lib.rs".to_owned(),
            (fill(door)
                + &written.audio.map_or(String::new(), hears)
                + &written.wake.map_or(String::new(), wakes))
                .into_bytes(),
        ),
        (format!("src/{name}.kgl"), bytes.to_vec()),
    ]
}

/// Features of the engine that are not there by default, without which firmware refuses the model.
pub(super) fn firmware_features(model: &Model<'_>) -> Vec<&'static str> {
    let mut features: Vec<&str> = model
        .header()
        .layers
        .iter()
        .filter_map(|layer| match layer {
            Layer::Conv { .. } | Layer::Norm { .. } | Layer::Keep { .. } | Layer::Join { .. } => {
                Some("conv")
            }
            Layer::Recurrent { cell, .. } | Layer::Bidirectional { cell, .. } => match cell {
                Cell::LstmRelu => Some("lstm-relu"),
                cell if cell.hard_gates() => Some("hard-gates"),
                Cell::GruReluResetAfter | Cell::GruReluResetBefore => Some("gru-relu"),
                _ => None,
            },
            Layer::Embedding { .. } | Layer::Dense { .. } => None,
        })
        .collect();
    // Integers of an embedding that other layers than cells read are widened there.
    if let [Layer::Embedding { format, .. }, next, ..] = &model.header().layers[..]
        && format.is_integer()
        && !matches!(next, Layer::Recurrent { .. } | Layer::Bidirectional { .. })
    {
        features.push("conv");
    }
    features.sort_unstable();
    features.dedup();
    features
}

/// What a README says of the alarm of a model that watches a stream.
fn watch(model: &Model<'_>) -> String {
    if Detector::new(model).is_none() {
        return String::new();
    }
    let model = match model.is_bidirectional() {
        true => "&model",
        false => "kinglet::Net::<$model::$Model>::model()",
    };
    format!(
        "Its alarm is `kinglet::Detector::new({model})`: `compare` takes the output that foretold a sample, and the sample.\n\n"
    )
}

/// How the crate of a model is used.
fn usage(model: &Model<'_>) -> String {
    let (inputs, outputs) = (model.inputs(), model.outputs());
    let tokens = matches!(model.header().input, Input::Tokens { .. });
    let answer = format!("let mut output = [0.0; {outputs}];");
    match model.header().shape {
        Shape::Window { window, .. } if tokens && model.is_bidirectional() => format!(
            "{BIDIRECTIONAL}
{answer}
net.run_tokens(&[0; {window}], &mut output); // a whole text"
        ),
        Shape::Window { .. } if !tokens => {
            let (begin, shape, file) = match model.is_bidirectional() {
                true => (
                    format!("use kinglet::{{SlidingWindow, window_len}};\n\n{BIDIRECTIONAL}"),
                    "model",
                    "$model::FILE",
                ),
                false => (
                    "use kinglet::{Embedded, Net, SlidingWindow, window_len};
use $model::$Model;

let mut net = $Model::net();"
                        .to_owned(),
                    "Net::<$Model>::model()",
                    "$Model::FILE",
                ),
            };
            format!(
                "{begin}
let (shape, inputs) = ({shape}.header().shape, {inputs});
let mut windows = SlidingWindow::new(shape, inputs, [0f32; window_len({file})])?;
{answer}
if windows.push(&mut net, &[0.0; {inputs}], &mut output) {{
    // A window ended with this sample.
}}"
            )
        }
        Shape::Window { .. } => format!(
            "let mut net = $model::$Model::net();
{answer}
net.reset(); // a text begins
for token in [0, 1, 2] {{
    net.step_token(token, &mut output);
}}
// What its last token gave is the answer."
        ),
        Shape::EveryStep => {
            let step = match tokens {
                true => "step_token(0, &mut output)".to_owned(),
                false => format!("step(&[0.0; {inputs}], &mut output)"),
            };
            let answered = match answers_always(model) {
                true => "",
                false => {
                    "\nif net.answered() {\n    // The output is of this sample; otherwise it is the last one again.\n}"
                }
            };
            format!("let mut net = $model::$Model::net();\n{answer}\nnet.{step};{answered}")
        }
    }
}

/// Every sample has an answer of its own.
fn answers_always(model: &Model<'_>) -> bool {
    model.answers() == [0, 1]
}

const BIDIRECTIONAL: &str = "let model = $model::model()?;
let mut memory = $model::Memory::new();
let mut net = model.bind_window(&mut memory)?;";

/// What the README of a crate that wants the engine says.
pub(super) const UNPUBLISHED: &str = "Where Cargo finds no package `kinglet` on crates.io, name the folder of the engine's sources in the `Cargo.toml` of the workspace: \
`[patch.crates-io]`, then `kinglet = { path = \"…/engine\" }`.";

/// The word that a model waits for, as code.
fn wakes(word: String) -> String {
    format!(
        "
/// The word that the model waits for: `kinglet::Spotter::new(&model, WAKES)` says when its answers are an alarm.
pub const WAKES: &str = {word:?};
"
    )
}

/// The settings of the front end that a model listens through, as code, which is how they print.
fn hears(audio: Audio) -> String {
    format!(
        "
/// What the model listens through: `LogMel::<{{ HEARS.frame }}, {{ HEARS.bands }}>::new(HEARS)` makes its samples from those of a microphone.
pub const HEARS: kinglet::audio::Settings = kinglet::audio::{:#?};
",
        audio.settings()
    )
}

/// Steps of an example on the desk, which prints the outputs.
pub(super) const STREAM: &str = "    for (int step = 0; step < 100; step++) {
        float output[$MODEL_OUTPUTS];
        if (next_output(output)) {
            for (int i = 0; i < $MODEL_OUTPUTS; i++) {
                printf(\"%g \", (double)output[i]);
            }
            puts(\"\");
$SAY        }
    }
";

/// What a README says of an example's `next_output`.
pub(super) fn put(upper: &str, model: &Model<'_>, listens: bool) -> String {
    match model.header().input {
        _ if listens => format!(
            "Put your microphone into `next_output`: {upper}_RATE samples a second, full scale 1."
        ),
        Input::Features { .. } => "Put your sensors into `next_output`; values are in the units that the network was trained on, and the header says what \
             is to be computed."
            .to_owned(),
        Input::Tokens { .. } => format!(
            "Put your tokens into `next_output`, by their numbers; `#define {upper}_NAMES` before the header is included makes an array of their names."
        ),
    }
}

/// What an example is to say of the outputs: of a model of tokens nothing.
pub(super) fn of_samples(model: &Model<'_>, meaning: Meaning) -> Meaning {
    match model.header().input {
        Input::Tokens { .. } => Meaning::Plain,
        Input::Features { .. } => meaning,
    }
}

/// What an example says of an answer besides its numbers, in its block.
fn say(platform: Platform, meaning: Meaning) -> &'static str {
    match (meaning, platform) {
        (Meaning::Plain, _) => "",
        (Meaning::Transcript, Platform::Arduino) => {
            "        if (said > 0) {\n            Serial.print(\"token \");\n            Serial.println((unsigned long)said);\n        }\n"
        }
        (Meaning::Transcript, Platform::Zephyr) => {
            "            if (said > 0) {\n                printk(\"token %u\\n\", (unsigned)said);\n            }\n"
        }
        (Meaning::Transcript, _) => SAY_TOKEN,
        (_, Platform::Arduino) => {
            "        if (alarm_now) {\n            Serial.println(\"ALARM\");\n        }\n"
        }
        (_, Platform::Zephyr) => {
            "            if (alarm_now) {\n                printk(\"ALARM\\n\");\n            }\n"
        }
        _ => SAY_ALARM,
    }
}

const SAY_TOKEN: &str = "            if (said > 0) {\n                printf(\"token %u\\n\", (unsigned)said);\n            }\n";
const SAY_ALARM: &str =
    "            if (alarm_now) {\n                puts(\"ALARM\");\n            }\n";

/// The same on the desk.
pub(super) fn say_on_the_desk(meaning: Meaning) -> &'static str {
    say(Platform::PlatformIo, meaning)
}

/// What an example's functions are.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Door {
    /// Those of the generated C.
    Source,
    /// Those of the engine's library.
    Library,
}

/// `next_output`, which feeds the network with what a sensor might give.
pub(super) fn sensor(name: &str, model: &Model<'_>, (door, meaning): (Door, Meaning)) -> String {
    let upper = name.to_uppercase();
    if let Input::Tokens { .. } = model.header().input {
        return tokens(name, model, door);
    }
    let (mut middle, mut spread) = (Vec::new(), Vec::new());
    for feature in model.features() {
        let plain = feature.tag() == FeatureTransform::None as u32;
        // A change and a logarithm do not tell where the values are.
        let (m, s) = match 1.0 / feature.scale {
            s if plain && s.is_finite() => (feature.offset, s.abs()),
            _ => (1.0, 0.1),
        };
        middle.push(format!("{m:?}f"));
        spread.push(format!("{s:?}f"));
    }
    let (state, step) = told(name, &upper, meaning, taken(name, model, door));
    format!(
        "{state}

/* Sensors that are not there, slow triangles around the middle of each column; put yours here. 1 if there is an output. */
static int next_output(float output[{upper}_OUTPUTS])
{{
    static const float middle[{upper}_INPUTS] = {{{}}};
    static const float spread[{upper}_INPUTS] = {{{}}};
    static uint32_t step;
    float sample[{upper}_INPUTS];
    for (int i = 0; i < {upper}_INPUTS; i++) {{
        const uint32_t phase = (step + 7 * (uint32_t)i) % 64;
        const float wave = (float)(phase < 32 ? phase : 64 - phase) / 16.0f - 1.0f;
        sample[i] = middle[i] + spread[i] * wave;
    }}
    step++;
    {step}
}}
",
        middle.join(", "),
        spread.join(", ")
    )
}

/// `next_output` of a model of tokens: an output for a text, or for each token.
fn tokens(name: &str, model: &Model<'_>, door: Door) -> String {
    let upper = name.to_uppercase();
    let token = format!("7 * step++ % {upper}_TOKENS");
    let ok = |call: &str| format!("{call} == KGL_OK");
    let (state, reset, step) = match door {
        Door::Source => (
            format!("static {name}_state stream;"),
            format!("{name}_reset(&stream)"),
            format!("{name}_step_token(&stream, {token}, output)"),
        ),
        Door::Library => (
            library_state(&upper),
            "kgl_reset(&model, stream, sizeof stream)".to_owned(),
            library_call(&upper, "step_token", &token),
        ),
    };
    let text = matches!(model.header().shape, Shape::Window { .. });
    let (what, body) = if model.is_bidirectional() {
        let (element, run) = match door {
            Door::Source => (
                "uint32_t",
                format!("{name}_step_window_tokens(&stream, text, output);\n    return 1;"),
            ),
            Door::Library => (
                "size_t",
                format!(
                    "return {};",
                    ok(&library_call(
                        &upper,
                        "step_window_tokens",
                        &format!("text, {upper}_WINDOW")
                    ))
                ),
            ),
        };
        let body = format!(
            "static {element} text[{upper}_WINDOW];
    for (int i = 0; i < {upper}_WINDOW; i++) {{
        text[i] = {token};
    }}
    {run}"
        );
        ("A text", body)
    } else if text {
        // What pools has no answer to a shorter one.
        let [first, _] = model.answers();
        let enough = match first {
            0 => "1".to_owned(),
            first => format!("length > {first}"),
        };
        let (reset, step, enough) = match door {
            Door::Source => (format!("{reset};"), format!("{step};"), enough),
            Door::Library => (
                format!("int done = {};", ok(&reset)),
                format!("done = done && {};", ok(&step)),
                match first {
                    0 => "done".to_owned(),
                    _ => format!("done && {enough}"),
                },
            ),
        };
        let body = format!(
            "const uint32_t length = 1 + step % {upper}_WINDOW;
    {reset}
    for (uint32_t i = 0; i < length; i++) {{
        {step}
    }}
    return {enough}; /* what its last token gave */"
        );
        ("A text", body)
    } else {
        let body = match door {
            Door::Source => format!("{step};\n    return 1;"),
            Door::Library => format!("return {};", ok(&step)),
        };
        ("The next token", body)
    };
    let begins = match text {
        true => "",
        false => ", and a reset where a text of its own begins",
    };
    format!(
        "{state}

/* {what} of a source that is not there; put yours here{begins}. 1 if there is an output. */
static int next_output(float output[{upper}_OUTPUTS])
{{
    static uint32_t step;
    {body}
}}
"
    )
}

/// `next_output` of a model that listens.
pub(super) fn microphone(
    name: &str,
    model: &Model<'_>,
    (door, meaning): (Door, Meaning),
) -> String {
    let upper = name.to_uppercase();
    let (state, step) = told(name, &upper, meaning, taken(name, model, door));
    format!(
        "{state}
static {name}_ear ear;

/* A microphone that is not there, which hears a tone of 440 Hz; put yours here. 1 if there is an output. */
static int next_output(float output[{upper}_OUTPUTS])
{{
    static uint32_t phase;
    float sample[{upper}_INPUTS];
    float sound;
    do {{
        phase = (phase + 440) % {upper}_RATE;
        sound = (float)phase / (float){upper}_RATE - 0.5f;
    }} while (!{name}_hear(&ear, sound, sample));
    {step}
}}
"
    )
}

/// The same with what an output means: `alarm_now`, or the token that was `said`.
fn told(
    name: &str,
    upper: &str,
    meaning: Meaning,
    (state, step): (String, String),
) -> (String, String) {
    let (kept, after) = match meaning {
        Meaning::Plain => return (state, step),
        Meaning::Forecast => (
            format!(
                "static float score;\nstatic int alarm_now;\nstatic float foretold[{upper}_OUTPUTS];"
            ),
            format!(
                "/* The answer to the sample before, if it had one, foretold this one. */
    static int is_foretold;
    if (is_foretold) {{
        alarm_now = {name}_alarm(&score, foretold, sample);
    }}
    is_foretold = answered(sample, output);
    for (int i = 0; i < {upper}_OUTPUTS; i++) {{
        foretold[i] = output[i];
    }}
    return is_foretold;"
            ),
        ),
        Meaning::Word => (
            "static float score;\nstatic int alarm_now;".to_owned(),
            format!(
                "if (!answered(sample, output)) {{
        return 0;
    }}
    alarm_now = {name}_alarm(&score, output);
    return 1;"
            ),
        ),
        Meaning::Transcript => (
            "static uint32_t last;\nstatic uint32_t said;".to_owned(),
            format!(
                "if (!answered(sample, output)) {{
        return 0;
    }}
    said = {name}_token(&last, output);
    return 1;"
            ),
        ),
    };
    let state = format!(
        "{state}
{kept}

/* Takes a sample; 1 if there is an output. */
static int answered(const float sample[{upper}_INPUTS], float output[{upper}_OUTPUTS])
{{
    {step}
}}"
    );
    (state, after)
}

/// What a stream of numbers is kept in, and what takes a `sample` of it.
fn taken(name: &str, model: &Model<'_>, door: Door) -> (String, String) {
    let upper = name.to_uppercase();
    // Else an output may be the last answer again.
    let every = answers_always(model);
    match (door, model.header().shape) {
        (Door::Source, Shape::Window { .. }) => (
            format!("static {name}_windows stream;"),
            format!("return {name}_push(&stream, sample, output);"),
        ),
        (Door::Source, Shape::EveryStep) => (
            format!("static {name}_state stream;"),
            format!(
                "{name}_step(&stream, sample, output);\n    return {};",
                if every { "1" } else { "stream.answered[0]" }
            ),
        ),
        (Door::Library, Shape::Window { .. }) => (
            format!("{}\nstatic {name}_windows windows;", library_state(&upper)),
            format!(
                "return {name}_push(&windows, &model, stream, sizeof stream, sample, output) > 0;"
            ),
        ),
        (Door::Library, Shape::EveryStep) => (
            library_state(&upper),
            format!(
                "return {} == KGL_OK{};",
                library_call(&upper, "step", &format!("sample, {upper}_INPUTS")),
                if every {
                    ""
                } else {
                    "\n        && kgl_answered(&model, stream, sizeof stream)"
                }
            ),
        ),
    }
}

fn library_state(upper: &str) -> String {
    format!("KGL_ALIGNED static uint8_t stream[{upper}_STATE_SIZE];")
}

fn library_call(upper: &str, function: &str, input: &str) -> String {
    format!("kgl_{function}(&model, stream, sizeof stream, {input}, output, {upper}_OUTPUTS)")
}

/// The two files of the C itself.
const HEADER: &str = "$HEADER_OF_THE_MODEL";
const SOURCE: &str = "$SOURCE_OF_THE_MODEL";

/// Between two samples of sensors, in the examples below.
const PAUSES: &[&str] = &[
    "    delay(1000);\n",
    "        k_msleep(1000);\n",
    "        vTaskDelay(pdMS_TO_TICKS(1000));\n",
];

const ARDUINO: &[(&str, &str)] = &[
    ("src/$model.h", HEADER),
    ("src/$model.c", SOURCE),
    (
        "library.properties",
        "name=$model
version=$VERSION
author=kinglet export
maintainer=kinglet export
sentence=A recurrent network as plain C.
paragraph=$ABOUT
category=Data Processing
url=$URL
architectures=*
includes=$model.h
",
    ),
    (
        "examples/$model_stream/$model_stream.ino",
        "#include <Arduino.h>
#include <$model.h>

$SENSOR
void setup()
{
    Serial.begin(115200);
    const bool right = $model_self_test($NET) == $MODEL_DIGEST;
    Serial.println(right ? \"self-test passed\" : \"self-test FAILED: this compiler computes something else\");
}

void loop()
{
    float output[$MODEL_OUTPUTS];
    if (next_output(output)) {
        for (int i = 0; i < $MODEL_OUTPUTS; i++) {
            Serial.print(output[i], 6);
            Serial.print(' ');
        }
        Serial.println();
$SAY    }
    delay(1000);
}
",
    ),
    (
        "README.md",
        "# $model for Arduino

$ABOUT

1. Copy this folder into `libraries/` of your sketchbook as `$model`; or pack it as a ZIP file, and Sketch, Include Library, Add .ZIP Library takes it.
2. Open the example: File, Examples, $model, $model_stream.
3. $PUT

Weights are constants: in flash on 32-bit boards, in RAM on AVR.
",
    ),
];

const ZEPHYR: &[(&str, &str)] = &[
    ("include/$model.h", HEADER),
    ("src/$model.c", SOURCE),
    (
        "zephyr/module.yml",
        "name: $model
build:
  cmake: .
  kconfig: Kconfig
",
    ),
    (
        "CMakeLists.txt",
        "if(CONFIG_KINGLET_$MODEL)
  zephyr_include_directories(include)
  zephyr_library_named($model)
  zephyr_library_sources(src/$model.c)
endif()
",
    ),
    (
        "Kconfig",
        "config KINGLET_$MODEL
\tbool \"The recurrent network $model\"
\thelp
\t  $ABOUT
",
    ),
    (
        "samples/stream/CMakeLists.txt",
        "cmake_minimum_required(VERSION 3.20.0)
list(APPEND ZEPHYR_EXTRA_MODULES ${CMAKE_CURRENT_SOURCE_DIR}/../..)
find_package(Zephyr REQUIRED HINTS $ENV{ZEPHYR_BASE})
project($model_stream)
target_sources(app PRIVATE src/main.c)
",
    ),
    (
        "samples/stream/prj.conf",
        "CONFIG_KINGLET_$MODEL=y
# Without it printk shows no floats.
CONFIG_CBPRINTF_FP_SUPPORT=y
",
    ),
    (
        "samples/stream/sample.yaml",
        "sample:
  name: $model stream
tests:
  sample.$model.stream:
    harness: console
    harness_config:
      type: one_line
      regex:
        - \"self-test passed\"
",
    ),
    (
        "samples/stream/src/main.c",
        "#include <zephyr/kernel.h>
#include <zephyr/sys/printk.h>
#include <$model.h>

$SENSOR
int main(void)
{
    printk($model_self_test($NET) == $MODEL_DIGEST ? \"self-test passed\\n\" : \"self-test FAILED\\n\");
    for (;;) {
        float output[$MODEL_OUTPUTS];
        if (next_output(output)) {
            for (int i = 0; i < $MODEL_OUTPUTS; i++) {
                printk(\"%g \", (double)output[i]);
            }
            printk(\"\\n\");
$SAY        }
        k_msleep(1000);
    }
    return 0;
}
",
    ),
    (
        "README.md",
        "# $model for Zephyr

$ABOUT

1. Build the sample: `west build -b qemu_cortex_m3 samples/stream -t run`.
2. In your application, add this folder to `ZEPHYR_EXTRA_MODULES` (or to `west.yml`) and `CONFIG_KINGLET_$MODEL=y` to `prj.conf`.
3. $PUT
",
    ),
];

const ESP_IDF: &[(&str, &str)] = &[
    ("include/$model.h", HEADER),
    ("$model.c", SOURCE),
    (
        "CMakeLists.txt",
        "idf_component_register(SRCS \"$model.c\" INCLUDE_DIRS \"include\")\n",
    ),
    (
        "idf_component.yml",
        "version: \"$VERSION\"
description: \"$ABOUT\"
url: \"$URL\"
dependencies:
  idf: \">=5.0\"
",
    ),
    (
        "examples/stream/CMakeLists.txt",
        "cmake_minimum_required(VERSION 3.16)
set(EXTRA_COMPONENT_DIRS \"${CMAKE_CURRENT_LIST_DIR}/../..\")
include($ENV{IDF_PATH}/tools/cmake/project.cmake)
project($model_stream)
",
    ),
    (
        "examples/stream/main/CMakeLists.txt",
        "idf_component_register(SRCS \"main.c\" INCLUDE_DIRS \".\")\n",
    ),
    (
        "examples/stream/main/main.c",
        "#include <stdio.h>
#include \"freertos/FreeRTOS.h\"
#include \"freertos/task.h\"
#include \"$model.h\"

$SENSOR
void app_main(void)
{
    puts($model_self_test($NET) == $MODEL_DIGEST ? \"self-test passed\" : \"self-test FAILED\");
    for (;;) {
        float output[$MODEL_OUTPUTS];
        if (next_output(output)) {
            for (int i = 0; i < $MODEL_OUTPUTS; i++) {
                printf(\"%g \", (double)output[i]);
            }
            puts(\"\");
$SAY        }
        vTaskDelay(pdMS_TO_TICKS(1000));
    }
}
",
    ),
    (
        "README.md",
        "# $model for ESP-IDF

$ABOUT

1. Build the example: `cd examples/stream && idf.py set-target esp32c3 && idf.py flash monitor`.
2. In your project, put this folder into `components/`.
3. $PUT
",
    ),
];

const PLATFORMIO: &[(&str, &str)] = &[
    ("include/$model.h", HEADER),
    ("src/$model.c", SOURCE),
    (
        "library.json",
        "{
  \"name\": \"$model\",
  \"version\": \"$VERSION\",
  \"description\": \"$ABOUT\",
  \"keywords\": \"neural network, lstm, gru\",
  \"homepage\": \"$URL\",
  \"frameworks\": \"*\",
  \"platforms\": \"*\",
  \"headers\": \"$model.h\"
}
",
    ),
    (
        "examples/stream/platformio.ini",
        "[env:native]
platform = native
lib_deps = symlink://../..
",
    ),
    (
        "examples/stream/src/main.c",
        "#include <stdio.h>
#include \"$model.h\"

$SENSOR
int main(void)
{
    if ($model_self_test($NET) != $MODEL_DIGEST) {
        puts(\"self-test FAILED\");
        return 1;
    }
    puts(\"self-test passed\");
$STREAM    return 0;
}
",
    ),
    (
        "README.md",
        "# $model for PlatformIO

$ABOUT

1. Run the example on this machine: `cd examples/stream && pio run -t exec`; another `platform` in `platformio.ini` is another board.
2. In your project: `lib_deps = symlink://PATH/OF/THIS/FOLDER`.
3. $PUT
",
    ),
];

const RUST_MANIFEST: &str = "[package]
name = \"$model\"
version = \"$VERSION\"
edition = \"2024\"

[dependencies]
kinglet = $ENGINE
";

const RUST_README: &str = "# $model

$WHAT

```rust
$USAGE
```

```text
$TOLD
```

$WATCH`no_std`, no allocation. The model file is `src/$model.kgl`; put another one there and build again.
$UNPUBLISHED
";

const RUST_NET: &str = "//! The network `$model`, which the compiler loads.
//!
//! ```text
//! $DOCS
//! ```
#![no_std]

use kinglet::{Embedded, Net, State, include_model, state_len};

/// The network: [`Self::net`] is a stream at its start.
pub struct $Model;

impl Embedded for $Model {
    const FILE: &'static [u8] = include_model!(\"$model.kgl\");
    type State = State<{ state_len(Self::FILE) }>;
}

impl $Model {
    /// A stream with its state, a few hundred bytes.
    pub fn net() -> Net<$Model> {
        Net::new()
    }
}
";

const RUST_WINDOW: &str = "//! The network `$model`, which takes whole windows.
//!
//! ```text
//! $DOCS
//! ```
#![no_std]

use kinglet::{LoadError, Model, State, include_model, state_len};

/// The model file, aligned.
pub static FILE: &[u8] = include_model!(\"$model.kgl\");

/// The memory of a stream: `model()?.bind_window(&mut Memory::new())`.
pub type Memory = State<{ state_len(FILE) }>;

/// The network; checks its file once.
///
/// # Errors
/// If the file is damaged.
pub fn model() -> Result<Model<'static>, LoadError> {
    Model::from_bytes(FILE)
}
";
