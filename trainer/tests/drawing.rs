//! Rows that are drawn from a class and a seed: numbers as levels, pictures and motions.

mod desk;

use desk::Desk;
use std::f64::consts::TAU;
use std::fmt::Write;

const SIGNS: &str = r#"
name = "signs"
[csv]
file = "signs.csv"
[series]
features = ["a", "b", "c"]
levels = 4
picture = true
group = "n"
label = { column = "sign", classes = [{ name = "rows", labels = ["r"] }, { name = "columns", labels = ["c"] }] }
[shape]
kind = "next-token"
window = 4
[network]
cell = "gru"
hidden = [16]
embedding = 6
[train]
learning_rate = 0.02
schedule = "cosine"
batch = 8
epochs = 60
[train.quantized]
epochs = 2
[output]
precision = "w8a8"
"#;

/// Pictures of 4 × 3 points: a bright row or a bright column on grey, from 0 to 1.5 in halves.
fn signs() -> String {
    let mut table = String::from("n,sign,a,b,c\n");
    for n in 0..160 {
        let (sign, bright) = (n % 2, n / 2 % 3);
        for row in 0..4 {
            let point = |column: usize| match [row, column][sign] == bright {
                true => 1.5,
                false => [0.0, 0.5][n / 6 % 2],
            };
            let sign = ["r", "c"][sign];
            writeln!(table, "{n},{sign},{},{},{}", point(0), point(1), point(2)).unwrap();
        }
    }
    table
}

/// Of a drawn table: the class and the rows of each group.
fn drawn(table: &str) -> Vec<(String, Vec<Vec<f32>>)> {
    let mut groups: Vec<(String, Vec<Vec<f32>>)> = Vec::new();
    let mut last = "";
    for line in table.lines().skip(1) {
        let fields: Vec<&str> = line.split(',').collect();
        if fields[0] != last {
            groups.push((fields[1].to_owned(), Vec::new()));
            last = fields[0];
        }
        let numbers = fields[2..].iter().map(|field| field.parse().unwrap());
        groups.last_mut().unwrap().1.push(numbers.collect());
    }
    groups
}

#[test]
fn pictures_are_drawn_from_a_class_and_a_seed() {
    let desk = Desk::new();
    desk.write("signs.csv", signs());
    desk.write("signs.toml", SIGNS);
    let trained = desk.ok("train signs.toml --out signs.kgl");
    assert!(trained.contains("bits per token"), "{trained}");
    desk.ok("verify signs.kgl");
    let shown = desk.ok("inspect signs.kgl");
    assert!(
        shown.contains("a=1.5") && shown.contains("columns"),
        "{shown}"
    );

    let table = desk.ok("generate signs.kgl --count 60 --temperature 0.7 --seed 3");
    assert!(table.starts_with("n,sign,a,b,c\n0,rows,"), "{table}");
    let pictures = drawn(&table);
    assert_eq!(pictures.len(), 60);
    // As in the data: of four rows, with one bright row or column.
    let right = pictures.iter().filter(|(sign, rows)| {
        let bright = |row: usize, column: usize| rows[row][column] == 1.5;
        let line = |k: usize| match &sign[..] {
            "rows" => (0..3).all(|column| bright(k, column)),
            _ => (0..4).all(|row| bright(row, k)),
        };
        rows.len() == 4 && (0..3).filter(|&k| line(k)).count() == 1
    });
    let right = right.count();
    assert!(right >= 55, "{right} of 60:\n{table}");

    let again =
        desk.ok("generate signs.kgl --count 60 --temperature 0.7 --seed 3 --kernels scalar");
    assert_eq!(again, table);
    assert_ne!(
        desk.ok("generate signs.kgl --count 60 --temperature 0.7 --seed 4"),
        table
    );
    let one = drawn(&desk.ok("generate signs.kgl --prompt columns --count 2 --length 2"));
    assert!(
        one.iter()
            .all(|(sign, rows)| sign == "columns" && rows.len() == 2),
        "{one:?}"
    );
    desk.fails_after_notes("generate signs.kgl --prompt dots", 2, &["rows, columns"]);

    desk.ok("report signs.toml --model signs.f32.kgl --with signs.kgl --out signs.html");
    let page = desk.text("signs.html");
    assert!(page.contains("id=\"drawn\"") && page.contains("A row per class"));
}

#[test]
fn what_levels_do_not_go_with_is_said() {
    let desk = Desk::new();
    desk.write("signs.csv", signs());
    for (from, to, words) in [
        ("levels = 4\n", "", "picture"),
        ("levels = 4", "levels = 1", "at least 2"),
        ("\"next-token\"", "\"many-to-many\"", "next-token"),
        ("embedding = 6\n", "", "embedding"),
        (
            "\"b\"",
            "{ column = \"b\", transform = \"log\" }",
            "transform",
        ),
        ("levels = 4", "levels = 4\ntargets = [\"a\"]", "targets"),
        ("name = \"rows\"", "name = \"r=1\"", "has no ="),
        ("levels = 4", "levels = 4\npad = \"back\"", "remove pad"),
        (
            "window = 4",
            "window = 3\nhop = 3\nhorizon = 0\nstateful = true",
            "stateful",
        ),
    ] {
        let task = SIGNS.replace(from, to);
        assert_ne!(task, SIGNS, "{from}");
        desk.write("signs.toml", task);
        desk.fails_after_notes("train signs.toml --out signs.kgl", 1, &[words]);
    }
}

/// Two joints whose angles are sines, and noise.
fn joints() -> String {
    let mut table = String::from("take,hip,knee\n");
    let mut noise = 1u32;
    for take in 0..24 {
        let phase = f64::from(take) / 7.0;
        for t in 0..72 {
            let mut angle = |harmonic: f64, shift: f64| {
                noise = noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                let noise = f64::from(noise >> 8) / f64::from(1 << 24) - 0.5;
                30.0 * (TAU * (harmonic * (f64::from(t) / 12.0 + phase) + shift)).sin()
                    + 4.0 * noise
            };
            let (hip, knee) = (angle(1.0, 0.0), angle(2.0, 0.2));
            writeln!(table, "{take},{hip:.2},{knee:.2}").unwrap();
        }
    }
    table
}

const JOINTS: &str = r#"
name = "joints"
[csv]
file = "joints.csv"
[series]
features = ["hip", "knee"]
levels = 16
group = "take"
[shape]
kind = "next-token"
window = 24
hop = 12
[network]
cell = "gru"
hidden = [32]
embedding = 8
[train]
learning_rate = 0.02
schedule = "cosine"
batch = 16
epochs = 40
[output]
precision = "w8a8"
"#;

#[test]
fn motions_are_drawn_with_the_variance_and_the_period_of_the_real_ones() {
    let desk = Desk::new();
    desk.write("joints.csv", joints());
    desk.write("joints.toml", JOINTS);
    let said = desk.succeeds("train joints.toml --out joints.kgl").err;
    assert!(said.contains("become 16 levels"), "{said}");
    let table = desk.ok("generate joints.kgl --count 40 --length 24 --seed 5");
    assert!(table.starts_with("take,hip,knee\n0,"), "{table}");
    for (column, harmonic) in [(1, 1), (2, 2)] {
        let values = table
            .lines()
            .skip(1)
            .map(|line| line.split(',').nth(column).unwrap());
        let values: Vec<f64> = values.map(|value| value.parse().unwrap()).collect();
        let count = values.len() as f64;
        let variance = values.iter().map(|x| x * x).sum::<f64>() / count;
        // Of the sine and the noise, by hand: 450 + 16 / 12.
        assert!((variance / 451.3 - 1.0).abs() < 0.2, "{column}: {variance}");
        let whole: Vec<&[f64]> = values.chunks_exact(24).collect();
        let power = |frequency: usize| -> f64 {
            let of = |motion: &&[f64]| {
                let parts = motion.iter().enumerate().map(|(t, x)| {
                    let angle = TAU * (frequency * t) as f64 / 24.0;
                    (x * angle.cos(), x * angle.sin())
                });
                let (a, b) = parts.fold((0.0, 0.0), |(a, b), (x, y)| (a + x, b + y));
                2.0 * (a * a + b * b) / (24.0 * 24.0)
            };
            whole.iter().map(of).sum::<f64>() / whole.len() as f64
        };
        let own = 2 * harmonic;
        let near: f64 = (own - 1..=own + 1).map(power).sum();
        assert!(near > 0.8 * 450.0, "{column}: {near} of {variance}");
    }
    desk.ok("report joints.toml --model joints.f32.kgl --out joints.html");
    let page = desk.text("joints.html");
    assert!(page.contains("Spectrum of knee") && page.contains("variance, real"));
    desk.fails_after_notes("generate joints.kgl --prompt walk", 2, &["without classes"]);
}
