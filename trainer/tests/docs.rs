//! The commands of the documentation (`docs/src`), run as they stand: those of a page one after the other, in a folder of their own.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("..")
        .canonicalize()
        .unwrap()
}

/// The blocks of a page that are marked so, with the line where each begins.
fn blocks(page: &str, mark: &str) -> Vec<(usize, String)> {
    let mut blocks: Vec<(usize, String)> = Vec::new();
    let mut inside = None;
    for (number, line) in page.lines().enumerate() {
        if line.starts_with("```") {
            inside = if inside.is_none() {
                Some(&line[3..] == mark)
            } else {
                None
            };
            if inside == Some(true) {
                blocks.push((number + 1, String::new()));
            }
        } else if inside == Some(true)
            && let Some((_, block)) = blocks.last_mut()
        {
            *block += line;
            block.push('\n');
        }
    }
    blocks
}

/// All pages, by name.
fn pages() -> Vec<(String, String)> {
    let folder = repository().join("docs/src");
    let mut pages: Vec<(String, String)> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| {
            let path = entry.unwrap().path();
            (
                path.file_name().unwrap().to_str().unwrap().to_owned(),
                fs::read_to_string(&path).unwrap(),
            )
        })
        .collect();
    pages.sort();
    pages
}

/// Runs blocks as one script, so that a variable of one is there in the next.
fn run(name: &str, blocks: &[(usize, String)], folder: &Path) {
    let mut script = String::new();
    for (line, block) in blocks {
        script += &format!("echo 'docs/src/{name}:{line}' >&2\n{block}");
    }
    let binary = Path::new(env!("CARGO_BIN_EXE_kinglet")).parent().unwrap();
    let path = std::env::var("PATH").unwrap();
    let ran = Command::new("sh")
        .args(["-eu", "-c", &script])
        .current_dir(folder)
        .env("PATH", format!("{}:{path}", binary.display()))
        .env("KINGLET_REPOSITORY", repository())
        .output()
        .unwrap();
    assert!(
        ran.status.success(),
        "{}",
        String::from_utf8_lossy(&ran.stderr)
    );
}

#[test]
fn every_command_runs() {
    let mut commands = 0;
    for (name, page) in pages() {
        let blocks = blocks(&page, "sh");
        commands += blocks
            .iter()
            .flat_map(|(_, block)| block.lines())
            .filter(|l| l.starts_with("kinglet "))
            .count();
        let folder = tempfile::tempdir().unwrap();
        run(&name, &blocks, folder.path());
    }
    assert!(commands > 20, "{commands}");
}

/// Builds in release mode; `.ci/run --long` has the time.
#[test]
#[ignore = "builds the command in release mode"]
fn every_command_in_the_repository_runs() {
    for (name, page) in pages() {
        run(&name, &blocks(&page, "sh repository"), &repository());
    }
}

#[test]
fn every_link_leads_somewhere() {
    let heading = |line: &str| {
        let plain = line.trim_start_matches('#').trim().to_lowercase();
        let kept = plain
            .chars()
            .filter(|c| c.is_alphanumeric() || *c == ' ' || *c == '-');
        kept.map(|c| if c == ' ' { '-' } else { c })
            .collect::<String>()
    };
    let pages = pages();
    for (name, page) in &pages {
        for link in page.split("](").skip(1) {
            let link = link.split(')').next().unwrap();
            if link.starts_with("https://") {
                continue;
            }
            let (file, anchor) = link.split_once('#').unwrap_or((link, ""));
            let target = if file.is_empty() { name } else { file };
            let found = pages.iter().find(|(other, _)| other == target);
            let (_, text) = found.unwrap_or_else(|| panic!("{name}: there is no page {target}"));
            let there = anchor.is_empty()
                || text
                    .lines()
                    .any(|l| l.starts_with('#') && heading(l) == anchor);
            assert!(there, "{name}: {target} has no heading {anchor}");
        }
    }
    let summary = &pages
        .iter()
        .find(|(name, _)| name == "SUMMARY.md")
        .unwrap()
        .1;
    for (name, _) in pages.iter().filter(|(name, _)| name != "SUMMARY.md") {
        assert!(
            summary.contains(&format!("({name})")),
            "{name} is not in SUMMARY.md"
        );
    }
}

#[test]
fn the_command_alone_prints_its_help_and_cargo_run_the_demo() {
    let alone = || {
        let mut command = Command::new(env!("CARGO_BIN_EXE_kinglet"));
        command.env_remove("KINGLET_WITHOUT_COMMAND");
        command
    };
    let help = alone().output().unwrap();
    let text = String::from_utf8(help.stdout).unwrap();
    assert!(
        help.status.success() && text.contains("Usage: kinglet"),
        "{text}"
    );
    for page in [
        "start",
        "task",
        "shapes",
        "streaming",
        "formats",
        "anywhere",
        "fleet",
        "importing",
        "reading-reports",
        "errors",
        "train",
    ] {
        assert!(text.contains(page), "{page} is not in {text}");
        let page = alone().args(["help", page]).output().unwrap();
        assert!(page.status.success() && page.stdout.len() > 500);
    }
    let wrong = alone().args(["help", "taks"]).output().unwrap();
    let said = String::from_utf8(wrong.stderr).unwrap();
    assert!(
        wrong.status.code() == Some(2) && said.contains("did you mean \"task\"?"),
        "{said}"
    );

    // What `cargo run --release` sets in the repository.
    let settings = fs::read_to_string(repository().join(".cargo/config.toml")).unwrap();
    assert!(
        settings.contains("\nKINGLET_WITHOUT_COMMAND = \"demo\"\n"),
        "{settings}"
    );
    let folder = tempfile::tempdir().unwrap();
    let mut demo = alone()
        .env("KINGLET_WITHOUT_COMMAND", "demo")
        .current_dir(&folder)
        .spawn()
        .unwrap();
    let begun = (0..600).any(|_| {
        std::thread::sleep(std::time::Duration::from_millis(100));
        folder.path().join("kinglet-demo").exists()
    });
    demo.kill().unwrap();
    demo.wait().unwrap();
    assert!(begun, "the demo writes kinglet-demo/");
}

#[test]
fn every_task_on_public_data_names_source_and_licence() {
    let tasks = repository().join("trainer/tasks");
    let fetched = fs::read_to_string(tasks.join("data.sh")).unwrap();
    for entry in fs::read_dir(&tasks).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        if path.extension().is_none_or(|e| e != "toml") {
            continue;
        }
        let text = fs::read_to_string(&path).unwrap();
        if text.contains("shared/data/") {
            assert!(text.contains("\n# Data: "), "{name}");
            let is_named = |line: &str| {
                line.split([' ', ':']).find(|w| !w.is_empty()) == Some(&name)
                    || line.starts_with(&format!("made=\"{name}:"))
            };
            assert!(fetched.lines().any(is_named), "{name} is not in data.sh");
        }
    }
}
