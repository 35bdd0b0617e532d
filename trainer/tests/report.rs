//! The report of every kind of task: whole, well-formed, self-contained, and with the engine's own numbers.

use kinglet::Model;
use kinglet::format::{Format, Layout};
use kinglet_trainer::budget::Budget;
use kinglet_trainer::cost::Core;
use kinglet_trainer::data::csv::{Format as CsvFormat, Table};
use kinglet_trainer::data::{Dataset, Part};
use kinglet_trainer::engine::EnginePredictor;
use kinglet_trainer::file::{TestInputs, export};
use kinglet_trainer::net::Layer;
use kinglet_trainer::quant::{Ranges, Stream};
use kinglet_trainer::report::cores::Conditions;
use kinglet_trainer::report::history::{Phase, epochs};
use kinglet_trainer::report::{Page, PairSubject, Stretch, Subject, page, page_of_pair};
use kinglet_trainer::task::{Precision, Task};
use kinglet_trainer::train::pair::{Pair, evaluate_pair};
use kinglet_trainer::train::{Fitted, Options, evaluate, fit};
use roxmltree::{Document, Node, ParsingOptions};
use std::ops::ControlFlow;
use std::path::Path;

const VALUES: &str = r#"
name = "a <b> & 'c'"
[csv]
file = "unused.csv"
[series]
features = ["load <i>", { column = "temperature", unit = "°C & more", transform = "difference" }]
targets = [{ column = "temperature", unit = "°C & more", transform = "difference" }]
[shape]
kind = "many-to-many"
window = 16
horizon = 3
[network]
cell = "gru"
hidden = [8]
[train]
learning_rate = 0.01
epochs = 12
"#;

const CLASSES: &str = r#"
name = "ramps"
[csv]
file = "unused.csv"
[sequences]
steps = ["t0", "t3"]
feature = "x"
label = { column = "label", classes = [{ name = "rising & <up>", labels = ["up"] }, { name = "falling", labels = ["down"] }] }
[shape]
kind = "many-to-one"
[network]
cell = "lstm"
hidden = [6]
[train]
learning_rate = 0.02
epochs = 20
"#;

const TOKENS: &str = r#"
name = "letters"
[text]
text = """
a<b&c a<b&c a<b&c a<b&c
a<b&c a<b&c a<b&c a<b&c
a<b&c a<b&c a<b&c a<b&c
"""
[shape]
kind = "next-token"
window = 6
[network]
cell = "rnn"
hidden = [8]
embedding = 4
[train]
learning_rate = 0.02
epochs = 5
"#;

const WATCHING: &str = r#"
name = "watched"
[csv]
file = "unused.csv"
[series]
features = ["x"]
targets = ["x"]
split = { rows = [500, 200, 200] }
[shape]
kind = "many-to-one"
window = 8
[network]
cell = "gru"
hidden = [8]
[train]
learning_rate = 0.02
epochs = 8
[anomaly]
smoothing = 0.3
labels = { file = "labels.json", key = "wave", time = "second" }
"#;

const PAIRS: &str = r#"
name = "words"
[pairs]
made = { kind = "reversal", pairs = [300, 40, 40] }
vocabulary = { unit = "characters" }
[shape]
kind = "next-token"
window = 8
[network]
cell = "gru"
hidden = [16]
embedding = 6
[train]
learning_rate = 0.02
epochs = 20
"#;

/// A temperature that follows its load a little later.
fn temperatures() -> String {
    let mut csv = String::from("load <i>,temperature\n");
    let mut temperature = 40.0f64;
    for minute in 0..600 {
        let load = (f64::from(minute) * 0.21).sin() + 0.5 * (f64::from(minute) * 0.043).cos();
        temperature += 0.1 * (40.0 + 8.0 * load - temperature);
        csv += &format!("{load:.4},{temperature:.4}\n");
    }
    csv
}

fn ramps() -> String {
    let mut csv = String::from("t0,t1,t2,t3,label\n");
    for row in 0..120 {
        let (step, label) = if row % 3 == 0 {
            (0.5, "up")
        } else {
            (-0.5, "down")
        };
        let at = |t: i32| f64::from(row % 7) * 0.1 + step * f64::from(t);
        csv += &format!("{},{},{},{},{label}\n", at(0), at(1), at(2), at(3));
    }
    csv
}

fn trained(task: &str, csv: &str) -> (Task, Dataset, Fitted) {
    trained_in(Path::new(""), task, csv)
}

fn trained_in(folder: &Path, task: &str, csv: &str) -> (Task, Dataset, Fitted) {
    let task = Task::parse(task, &folder.join("task.toml")).unwrap();
    let data = if csv.is_empty() {
        Dataset::load(&task).unwrap()
    } else {
        let table = Table::from_reader(csv.as_bytes(), "data.csv", &CsvFormat::default());
        Dataset::from_table(&task, &table.unwrap()).unwrap()
    };
    let go_on = &mut |_: &_| ControlFlow::Continue(());
    let fitted = fit(&task, &data, &Options::default(), go_on).unwrap();
    (task, data, fitted)
}

fn report(task: &Task, data: &Dataset, fitted: &Fitted) -> String {
    drawing(task, data, fitted, Stretch::default())
}

fn drawing(task: &Task, data: &Dataset, fitted: &Fitted, stretch: Stretch) -> String {
    let history: Vec<_> = epochs(Phase::Float, &fitted.history).collect();
    page(&Subject {
        task,
        package: &fitted.package,
        data,
        history: &history,
        others: Vec::new(),
        conditions: Conditions {
            clock: 64e6,
            power: Some(0.02),
        },
        stretch,
        budget: None,
    })
    .unwrap()
    .html
}

/// Parses the page, and looks for what a page on its own must not have.
fn parsed(page: &str) -> Document<'_> {
    let options = ParsingOptions {
        allow_dtd: true,
        ..ParsingOptions::default()
    };
    let document = Document::parse_with_options(page, options).unwrap();
    for word in ["http://", "https://", "url(", "@import", "NaN", "inf"] {
        assert!(!page.contains(word), "{word}");
    }
    for node in document.descendants().filter(Node::is_element) {
        let name = node.tag_name().name();
        assert!(
            !["script", "link", "img", "iframe", "object"].contains(&name),
            "{name}"
        );
        for attribute in node.attributes() {
            let name = attribute.name();
            assert!(
                !name.starts_with("on") && !["src", "href"].contains(&name),
                "{name}"
            );
        }
    }
    document
}

/// The parts of a page by their names, in order.
fn sections(document: &Document<'_>) -> Vec<String> {
    let sections = document.descendants().filter(|n| n.has_tag_name("section"));
    sections
        .map(|n| n.attribute("id").unwrap().to_owned())
        .collect()
}

/// All text of a part.
fn text(document: &Document<'_>, id: &str) -> String {
    let section = document
        .descendants()
        .find(|n| n.attribute("id") == Some(id));
    let texts = section.unwrap().descendants().filter(Node::is_text);
    texts.filter_map(|n| n.text()).collect::<Vec<_>>().join(" ")
}

fn four_digits(value: f64) -> String {
    format!("{value:.*}", 3 - value.log10().floor() as usize)
}

#[test]
fn a_task_of_values_has_every_part_and_the_engines_numbers() {
    let (task, data, fitted) = trained(VALUES, &temperatures());
    let page = report(&task, &data, &fitted);
    let document = parsed(&page);
    assert_eq!(
        sections(&document),
        [
            "setup",
            "learning",
            "predictions",
            "residuals",
            "precisions",
            "weights",
            "activations",
            "memory",
            "cores"
        ]
    );
    let titles = document.descendants().filter(|n| n.has_tag_name("title"));
    assert_eq!(
        titles.map(|n| n.text()).collect::<Vec<_>>(),
        [Some("a <b> & 'c'")]
    );
    assert!(page.contains("load &lt;i&gt;") && page.contains("°C &amp; more"));

    let streams = Stream::of_dataset(&data);
    let ranges = Ranges::measure(&fitted.package.net, &streams);
    let tests = TestInputs::from_stream(&streams[0], data.inputs());
    let (precisions, memory) = (text(&document, "precisions"), text(&document, "memory"));
    for format in [
        Format::F32,
        Format::F16,
        Format::W8A16,
        Format::W8A8,
        Format::W4A8,
    ] {
        let exported = export(&fitted.package, format, Some(&ranges), &tests).unwrap();
        let model = Model::from_bytes(&exported.bytes).unwrap();
        let rmse = evaluate(&data, Part::Test, &mut EnginePredictor::new(&model))
            .headline()
            .1;
        let shown = four_digits(rmse);
        assert!(precisions.contains(&shown), "{shown}: {precisions}");
        let size = match exported.bytes.len() {
            size @ ..1000 => size.to_string(),
            size => format!("{},{:03}", size / 1000, size % 1000),
        };
        assert!(memory.contains(&size), "{size}: {memory}");
    }
    assert!(text(&document, "learning").contains("12 epochs"));
    let cores = text(&document, "cores");
    for word in [
        "Estimates",
        "Cortex-M0+",
        "Cortex-M4",
        "RV32IMC",
        "at 64 MHz",
        "at 20 mW",
        "µJ",
    ] {
        assert!(cores.contains(word), "{word}: {cores}");
    }
}

#[test]
fn a_task_of_classes_has_a_confusion_matrix_that_adds_up() {
    let (task, data, fitted) = trained(CLASSES, &ramps());
    let page = report(&task, &data, &fitted);
    let document = parsed(&page);
    assert_eq!(
        sections(&document),
        [
            "setup",
            "learning",
            "confusion",
            "precisions",
            "weights",
            "activations",
            "memory",
            "cores"
        ]
    );
    let matrix = document
        .descendants()
        .find(|n| n.attribute("class") == Some("matrix"))
        .unwrap();
    let cells = matrix.descendants().filter(|n| n.has_tag_name("td"));
    let cells: Vec<usize> = cells.map(|n| n.text().unwrap().parse().unwrap()).collect();
    assert_eq!(cells.len(), 4);
    assert_eq!(
        cells.iter().sum::<usize>(),
        data.sequences(Part::Test).count()
    );
    let names: Vec<_> = matrix
        .descendants()
        .filter(|n| n.has_tag_name("th"))
        .filter_map(|n| n.text())
        .collect();
    assert_eq!(names[1..3], ["rising & <up>", "falling"]);
}

#[test]
fn a_task_of_tokens_shows_the_text() {
    let (task, data, fitted) = trained(TOKENS, "");
    let page = report(&task, &data, &fitted);
    let document = parsed(&page);
    assert_eq!(
        sections(&document),
        [
            "setup",
            "learning",
            "predictions",
            "precisions",
            "weights",
            "activations",
            "memory",
            "cores"
        ]
    );
    let tokens = document
        .descendants()
        .find(|n| n.attribute("class") == Some("tokens"))
        .unwrap();
    let tokens: String = tokens
        .descendants()
        .filter(Node::is_text)
        .filter_map(|n| n.text())
        .collect();
    assert!(
        "a<b&c a<b&c a<b&c a<b&c\\n".ends_with(&tokens),
        "{tokens:?}"
    );
    assert!(text(&document, "precisions").contains("bits per token"));
}

#[test]
fn a_task_that_watches_shows_score_threshold_and_alarms() {
    let folder = tempfile::tempdir().unwrap();
    let labels = r#"{"wave": {"windows": [["2026-01-01 00:12:57", "2026-01-01 00:13:40"]]}}"#;
    std::fs::write(folder.path().join("labels.json"), labels).unwrap();
    let mut csv = String::from("second,x\n");
    for second in 0..900i32 {
        // It stands still for a while; not quite regular before, so that some error is normal.
        let place = if (777..800).contains(&second) {
            777
        } else {
            second
        };
        let value = (f64::from(place) * 0.4).sin() + f64::from(place * 37 % 19) * 0.005;
        // From the beginning of 2026.
        csv += &format!("{},{value:.4}\n", 1_767_225_600 + second);
    }
    let (task, data, fitted) = trained_in(folder.path(), WATCHING, &csv);
    let page = report(&task, &data, &fitted);
    let document = parsed(&page);
    assert_eq!(sections(&document)[4], "alarms");
    let section = document
        .descendants()
        .find(|n| n.attribute("id") == Some("alarms"))
        .unwrap();
    let rows = section.descendants().filter(|n| n.has_tag_name("tr"));
    let cells = |row: Node<'_, '_>| -> Vec<String> {
        let cells = row.children().filter_map(|n| n.text());
        cells.map(str::to_owned).collect()
    };
    let rows: Vec<Vec<String>> = rows.map(cells).collect();
    assert_eq!(rows.len(), 1 + 5);
    for row in &rows[1..] {
        assert_eq!(
            (&row[3][..], &row[4][..], &row[5][..]),
            ("1", "1 of 1", "0")
        );
    }
    // Formats have thresholds of their own.
    assert_ne!(rows[1][1], rows[5][1]);
    let class = |class| {
        let all = section.descendants();
        all.filter(move |n| n.attribute("class") == Some(class))
            .count()
    };
    assert_eq!((class("shade baseline"), class("word")), (2, 1));
    assert_eq!((class("line s1"), class("peaks s0")), (1, 1));
}

#[test]
fn groups_that_are_watched_have_a_score_and_a_chart_each() {
    // Two machines at the same time; the first one's sensor stands still up to its last row.
    let task = WATCHING
        .replace("split = { rows = [500, 200, 200] }", "group = \"machine\"")
        .replace(
            "labels = { file = \"labels.json\", key = \"wave\", time = \"second\" }",
            "labels = { column = \"wrong\" }",
        );
    let mut csv = String::from("time,machine,x,wrong\n");
    for minute in 0..900i32 {
        for (machine, offset) in [("press", 0), ("mill", 7)] {
            let wrong = machine == "press" && minute >= 850;
            let place = if wrong { 850 } else { minute } + offset;
            let value = (f64::from(place) * 0.4).sin() + f64::from(place * 37 % 19) * 0.005;
            let (hour, minute) = (minute / 60, minute % 60);
            csv += &format!(
                "2026-03-14 {hour:02}:{minute:02},{machine},{value:.4},{}\n",
                u8::from(wrong)
            );
        }
    }
    let (task, data, fitted) = trained(&task, &csv);
    let page = report(&task, &data, &fitted);
    let document = parsed(&page);
    let section = document
        .descendants()
        .find(|n| n.attribute("id") == Some("alarms"))
        .unwrap();
    let texts = |name: &'static str| -> Vec<String> {
        let all = section.descendants().filter(move |n| n.has_tag_name(name));
        let text = |n: Node<'_, '_>| -> String {
            let texts = n.descendants().filter(Node::is_text);
            texts.map(|n| n.text().unwrap()).collect()
        };
        all.map(text).collect()
    };
    assert_eq!(texts("h3"), ["Group press", "Group mill"]);
    let charts = texts("svg");
    assert_eq!(charts.len(), 4);
    for chart in &charts {
        assert!(
            chart.contains("13:00") && chart.contains("14:00"),
            "{chart}"
        );
    }
    // The mill's score does not begin where the press's ends: it has no alarm, and the press has one.
    let section = text(&document, "alarms");
    let rows = section.split("1 of 1").count() - 1;
    assert_eq!(rows, 5, "{section}");
    // What lies between two times is drawn of every group, and the table stays that of all.
    let stretch = Stretch {
        from: Some("2026-03-14 14:00".into()),
        to: Some("2026-03-14 14:30".into()),
        ..Stretch::default()
    };
    let page = drawing(&task, &data, &fitted, stretch);
    let cut = parsed(&page);
    let cut = text(&cut, "alarms");
    assert!(!cut.contains("13:00") && cut.contains("14:20"), "{cut}");
    assert!(
        cut.contains("Of the 360 watched samples 62 lie from --from to --to"),
        "{cut}"
    );
    assert_eq!(cut.split("1 of 1").count() - 1, 5, "{cut}");
    // Four bits are too few for these forecasts.
    for format in &texts("tr")[1..5] {
        assert!(
            format.contains("11 of 10"),
            "an alarm, and no false one: {format}"
        );
    }
}

#[test]
fn a_pair_shows_translations_and_both_of_its_networks() {
    let (task, data, fitted) = trained(PAIRS, "");
    let pair = Pair::new(&fitted.package, &data).unwrap();
    let history: Vec<_> = epochs(Phase::Float, &fitted.history).collect();
    let page = page_of_pair(&PairSubject {
        task: &task,
        encoder: &pair.encoder,
        decoder: &pair.decoder,
        data: &data,
        history: &history,
        others: Vec::new(),
        conditions: Conditions::default(),
    });
    let page = page.unwrap().html;
    let document = parsed(&page);
    assert_eq!(
        sections(&document),
        [
            "learning",
            "predictions",
            "sureness",
            "precisions",
            "weights",
            "activations",
            "memory",
            "cores"
        ]
    );
    let section = |id| {
        let all = document.descendants();
        all.filter(|n| n.is_element())
            .find(|n| n.attribute("id") == Some(id))
            .unwrap()
    };
    let rows = |id| -> Vec<Vec<String>> {
        let rows = section(id).descendants().filter(|n| n.has_tag_name("tr"));
        let cells = |row: Node<'_, '_>| {
            let cells = row.children().filter(|n| n.is_element());
            cells.map(|n| n.text().unwrap_or("").to_owned()).collect()
        };
        rows.map(cells).collect()
    };
    // What should have been said is the word backwards.
    let translations = rows("predictions");
    assert_eq!(translations.len(), 1 + 24);
    for row in &translations[1..] {
        assert_eq!(row[0].chars().rev().collect::<String>(), row[1]);
        assert_eq!(row[1] == row[2], row[3].is_empty(), "{row:?}");
    }
    let precisions = rows("precisions");
    for (row, format) in precisions[1..].iter().zip([
        Format::F32,
        Format::F16,
        Format::W8A16,
        Format::W8A8,
        Format::W4A8,
    ]) {
        let files = pair.export(Layout::Portable, format).unwrap();
        let [encoder, decoder] = [0, 1].map(|k: usize| Model::from_bytes(&files[k].bytes).unwrap());
        let (_, right) = evaluate_pair(&data, Part::Test, [&encoder, &decoder]).unwrap();
        let share: f64 = row[1].trim_end_matches(" %").parse().unwrap();
        assert_eq!(row[0], format.name());
        assert!((share - 100.0 * right).abs() < 0.05, "{row:?}: {right}");
    }
    // The higher the threshold, the fewer answers; without one all that were said are given.
    let sureness = rows("sureness");
    let shares = |column: usize| -> Vec<f64> {
        let cells = sureness[1..]
            .iter()
            .map(|row| row[column].trim_end_matches(" %"));
        cells.map(|cell| cell.parse().unwrap_or(f64::NAN)).collect()
    };
    let answered = shares(1);
    assert_eq!(answered[0], 100.0);
    assert!(
        answered.windows(2).all(|pair| pair[0] >= pair[1]),
        "{answered:?}"
    );
    assert!(answered.last() < answered.first(), "{answered:?}");
    let w8a8 = precisions.iter().find(|row| row[0] == "w8a8").unwrap();
    assert_eq!(sureness[1][2], w8a8[1]);

    let swapped = page_of_pair(&PairSubject {
        task: &task,
        encoder: &pair.decoder,
        decoder: &pair.encoder,
        data: &data,
        history: &[],
        others: Vec::new(),
        conditions: Conditions::default(),
    });
    let error = swapped.unwrap_err().to_string();
    assert!(error.contains("was not made for this task"), "{error}");
    for id in ["weights", "activations", "memory", "cores"] {
        let titles = section(id).descendants().filter(|n| n.has_tag_name("h3"));
        assert_eq!(titles.count(), 2, "{id}");
    }
}

#[test]
fn a_budget_shows_the_trade_off_of_formats_with_the_choice() {
    let task = VALUES.replace("hidden = [8]", "hidden = [16, 12]");
    let (task, data, fitted) = trained(&task, &temperatures());
    let budget = Budget {
        flash: Some(3500),
        core: Core::named("cortex-m4"),
        ..Budget::default()
    };
    let page = page(&Subject {
        task: &task,
        package: &fitted.package,
        data: &data,
        history: &[],
        others: Vec::new(),
        conditions: Conditions::default(),
        stretch: Stretch::default(),
        budget: Some(budget),
    });
    let page = page.unwrap().html;
    let document = parsed(&page);
    let section = document
        .descendants()
        .find(|n| n.attribute("id") == Some("mixed"))
        .unwrap();
    let rows = section.descendants().filter(|n| n.has_tag_name("tr"));
    let rows: Vec<Vec<&str>> = rows
        .map(|row| {
            let cells = row.children().filter(|n| n.is_element());
            cells.map(|n| n.text().unwrap_or("")).collect()
        })
        .collect();
    let flash = |row: &[&str]| row[1].replace(',', "").parse::<usize>().unwrap();
    let chosen: Vec<_> = rows[1..].iter().filter(|row| row[5] == "chosen").collect();
    assert_eq!(chosen.len(), 1, "{rows:?}");
    assert!(flash(chosen[0]) <= 3500, "{rows:?}");
    let error = |row: &[&str]| row[3].parse::<f64>().unwrap();
    for row in rows[1..].iter().filter(|row| flash(row) <= 3500) {
        assert!(error(chosen[0]) <= error(row), "{rows:?}");
    }
    assert!(rows.iter().any(|row| flash_above(row, 3500)), "{rows:?}");
    // Against flash, and against instructions.
    let charts = section.descendants().filter(|n| n.has_tag_name("svg"));
    assert_eq!(charts.count(), 2);
}

fn flash_above(row: &[&str], limit: usize) -> bool {
    row[1]
        .replace(',', "")
        .parse()
        .is_ok_and(|flash: usize| flash > limit)
}

#[test]
fn the_figures_at_the_top_are_for_the_model_that_is_meant_for_the_device() {
    let (mut task, data, fitted) = trained(VALUES, &temperatures());
    let page = |task: &Task, others: &[&str], budget: Option<Budget>| {
        let streams = Stream::of_dataset(&data);
        let ranges = Ranges::measure(&fitted.package.net, &streams);
        let tests = TestInputs::of(&fitted.package, &streams);
        let file = || export(&fitted.package, Format::W4A8, Some(&ranges), &tests).unwrap();
        page(&Subject {
            task,
            package: &fitted.package,
            data: &data,
            history: &[],
            others: others
                .iter()
                .map(|&name| (name.to_owned(), file().bytes))
                .collect(),
            conditions: Conditions::default(),
            stretch: Stretch::default(),
            budget,
        })
        .unwrap()
    };
    // The tile's number is that of the figures, and the curve is of the same model.
    let of = |page: &Page, name: &str, headline: &str| {
        assert_eq!(page.headline, headline);
        let html = page.html.replace("&#39;", "'");
        assert!(html.contains(&format!("above are for {headline}; they")));
        let figure = page.figures.iter().find(|figure| figure.name == name);
        let value = four_digits(figure.unwrap().metrics.headline().1);
        let document = parsed(&page.html);
        let tiles = document
            .descendants()
            .find(|n| n.attribute("class") == Some("tiles"));
        let tile = tiles
            .unwrap()
            .descendants()
            .find(|n| n.has_tag_name("b"))
            .unwrap();
        assert_eq!(tile.text().unwrap().split(' ').next(), Some(&*value));
        let drawn = text(&document, "predictions");
        assert!(drawn.contains(name), "{drawn}");
        let seen = text(&document, "activations");
        seen.split(" in ")
            .nth(1)
            .unwrap()
            .split(',')
            .next()
            .unwrap()
            .to_owned()
    };
    let none = "w8a8, as the task names no precision and no model was given --with";
    assert_eq!(of(&page(&task, &[], None), "w8a8", none), "w8a8");
    let f16 = Precision::One(Format::F16);
    for (precision, headline, seen) in [
        (f16, "f16, the task's precision", "w8a8"),
        (
            Precision::One(Format::W8A16),
            "w8a16, the task's precision",
            "w8a16",
        ),
    ] {
        task.output.precision = Some(precision);
        assert_eq!(
            of(&page(&task, &[], None), precision.name(), headline),
            seen
        );
    }
    let given = page(&task, &["b.kgl", "a.kgl"], None);
    assert_eq!(of(&given, "b.kgl", "b.kgl, the first of --with"), "w8a8");
    task.output.precision = Some(Precision::Mixed);
    let budget = Budget {
        flash: Some(4000),
        ..Budget::default()
    };
    let searched = page(&task, &[], Some(budget));
    of(&searched, "mixed", "mixed, the task's precision");
    let mixed = searched.figures.iter().find(|f| f.name == "mixed").unwrap();
    assert!(mixed.file_bytes.unwrap() <= 4000);
}

#[test]
fn a_network_that_a_naive_rule_beats_is_called_so() {
    let task = CLASSES
        .replace("0.02", "0.000001")
        .replace("epochs = 20", "epochs = 1\nseed = 3");
    let (task, data, mut fitted) = trained(&task, &ramps());
    let good = {
        let (task, data, fitted) = trained(CLASSES, &ramps());
        report(&task, &data, &fitted)
    };
    assert!(
        good.contains("is 1.000, against 0.6667 of the rule “majority”"),
        "{good}"
    );
    // Whatever it sees, it says the class that is rare.
    if let Some(Layer::Dense(head)) = fitted.package.net.layers.last_mut() {
        head.bias = vec![5.0, -5.0];
    }
    let page = report(&task, &data, &fitted);
    parsed(&page);
    assert!(
        page.contains("The rule “majority” is as good as this network or better:"),
        "{page}"
    );
}

/// Two machines, a row every hour.
#[test]
fn a_group_and_a_stretch_of_time_are_drawn_and_what_is_not_there_is_refused() {
    let mut csv = String::from("machine,when,x\n");
    for machine in ["press", "lathe"] {
        for hour in 0..300 {
            let (day, hour) = (1 + hour / 24, hour % 24);
            let x = (f64::from(day * 24 + hour) * 0.26).sin();
            csv += &format!("{machine},2026-03-{day:02} {hour:02}:00,{x:.4}\n");
        }
    }
    let task = "name = \"machines\"\n[csv]\nfile = \"machines.csv\"\n[series]\nfeatures = [\"x\"]\ntargets = [\"x\"]\n\
                group = \"machine\"\n[shape]\nkind = \"many-to-one\"\nwindow = 6\n[network]\ncell = \"rnn\"\nhidden = [4]\n\
                [train]\nepochs = 3\n";
    let (task, data, fitted) = trained(task, &csv);
    let drawn = |group: Option<&str>, from: Option<&str>, to: Option<&str>| {
        let text = |text: Option<&str>| text.map(str::to_owned);
        page(&Subject {
            task: &task,
            package: &fitted.package,
            data: &data,
            history: &[],
            others: Vec::new(),
            conditions: Conditions::default(),
            stretch: Stretch {
                group: text(group),
                from: text(from),
                to: text(to),
                ..Stretch::default()
            },
            budget: None,
        })
        .map(|page| page.html)
    };
    // The last fifth of 300 hours, from 2026-03-11 00:00 to 2026-03-13 11:00.
    let whole = drawn(None, None, None).unwrap();
    let document = parsed(&whole);
    let words = text(&document, "predictions");
    assert!(
        words.contains(
            "All 60 steps of the test part, group press; --group, --from and --to show others."
        ),
        "{words}"
    );
    assert!(words.contains("time, 2026-03-11 to 2026-03-13"), "{words}");
    // Both machines, which ran at the same time.
    let residuals = text(&document, "residuals");
    assert!(
        residuals.contains("time, 2026-03-11 to 2026-03-13"),
        "{residuals}"
    );
    let setup = text(&document, "setup");
    for word in [
        "machines.csv",
        "in time within each group",
        "by machine: 2",
        "learning rate 0.001",
        "train",
    ] {
        assert!(setup.contains(word), "{word}: {setup}");
    }
    let part = drawn(
        Some("lathe"),
        Some("2026-03-12 06:00"),
        Some("2026-03-12 12:00"),
    )
    .unwrap();
    let words = text(&parsed(&part), "predictions");
    assert!(
        words.contains("7 of 60 steps of the test part, group lathe."),
        "{words}"
    );
    assert!(words.contains("time, 2026-03-12"), "{words}");
    for (group, from, message) in [
        (
            Some("saw"),
            None,
            "--group \"saw\": not in the test part, whose groups are press, lathe",
        ),
        (
            None,
            Some("soon"),
            "--from \"soon\": expected a time, such as 2026-03-15",
        ),
        (
            None,
            Some("2027"),
            "--from and --to: nothing of the test part lies between them, which is from 2026-03-11 00:00:00 to 2026-03-13 11:00:00",
        ),
    ] {
        let from = from.map(|from| if from == "2027" { "2027-01-01" } else { from });
        let error = drawn(group, from, None).unwrap_err().to_string();
        assert!(error.starts_with(message), "{error}");
    }
}

#[test]
fn layers_that_quantizing_puts_in_are_no_layers_of_the_network() {
    let task = VALUES.replace(
        "[network]",
        "[network]\nconv = [{ filters = 5, kernel = 3, activation = \"elu\" }]",
    );
    let (task, data, mut fitted) = trained(&task, &temperatures());
    let Layer::Conv(conv) = &mut fitted.package.net.layers[0] else {
        panic!("no convolution first")
    };
    // Far enough beyond ±1 that the cells in eight bits do not see all of it.
    conv.dense.weight.iter_mut().for_each(|w| *w *= 8.0);
    let page = report(&task, &data, &fitted);
    let document = parsed(&page);
    assert!(text(&document, "activations").contains("GRU 5 → 8"));
}

#[test]
fn a_model_of_another_task_is_refused() {
    let (task, data, _) = trained(VALUES, &temperatures());
    let (_, _, fitted) = trained(CLASSES, &ramps());
    let subject = Subject {
        task: &task,
        package: &fitted.package,
        data: &data,
        history: &[],
        others: Vec::new(),
        conditions: Conditions::default(),
        stretch: Stretch::default(),
        budget: None,
    };
    let error = page(&subject).unwrap_err().to_string();
    assert_eq!(
        error,
        "the model was not made for this task: its inputs are x, the task's are load <i>, temperature"
    );
}

/// Trained in January, looked at in February: the normalisation is the model's, and f32 gives what it gave.
#[test]
fn data_of_another_month_is_normalised_as_the_model_was_trained() {
    let (_, january, fitted) = trained(VALUES, &temperatures());
    let warmer: String = temperatures()
        .lines()
        .map(|line| match line.split_once(',') {
            Some((load, t)) if t != "temperature" => {
                format!("{load},{}\n", t.parse::<f64>().unwrap() * 2.0)
            }
            _ => format!("{line}\n"),
        })
        .collect();
    let (task, february, _) = trained(&VALUES.replace("epochs = 12", "epochs = 1"), &warmer);
    assert_ne!(january.input(), february.input());
    let page = report(&task, &february, &fitted);
    let document = parsed(&page);
    let float = fitted.package.clone();
    let tests = TestInputs::synthetic(&float);
    let exported = export(&float, Format::F32, None, &tests).unwrap();
    let model = Model::from_bytes(&exported.bytes).unwrap();
    let rmse = evaluate(&february, Part::Test, &mut EnginePredictor::new(&model))
        .headline()
        .1;
    let shown = four_digits(rmse);
    let precisions = text(&document, "precisions");
    assert!(precisions.contains(&shown), "{shown}: {precisions}");
}
