//! A folder of its own, in which a test runs the command as a user types it.

#![allow(dead_code, reason = "no test needs all of it")]

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use tempfile::TempDir;

pub struct Desk(TempDir);

/// What a run left.
#[derive(Debug)]
pub struct Ran {
    pub code: Option<i32>,
    pub out: String,
    pub err: String,
}

impl From<Output> for Ran {
    fn from(output: Output) -> Self {
        Ran {
            code: output.status.code(),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

impl Desk {
    pub fn new() -> Self {
        Desk(TempDir::new().unwrap())
    }

    pub fn command(&self, arguments: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_kinglet"));
        command
            .args(arguments.split_whitespace())
            .current_dir(&self.0);
        command
    }

    pub fn run(&self, arguments: &str) -> Ran {
        self.command(arguments).output().unwrap().into()
    }

    /// A run with this on standard input.
    pub fn run_on(&self, arguments: &str, input: impl AsRef<[u8]>) -> Ran {
        let mut command = self.command(arguments);
        command.stdin(Stdio::piped());
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        // One that has failed reads nothing.
        let _ = child.stdin.take().unwrap().write_all(input.as_ref());
        child.wait_with_output().unwrap().into()
    }

    /// A run that must succeed.
    #[track_caller]
    pub fn succeeds(&self, arguments: &str) -> Ran {
        let ran = self.run(arguments);
        assert_eq!(ran.code, Some(0), "{arguments}: {}", ran.err);
        ran
    }

    /// Standard output of a run that must succeed.
    #[track_caller]
    pub fn ok(&self, arguments: &str) -> String {
        self.succeeds(arguments).out
    }

    /// A run that must fail with this code and these words and say nothing else, and leave no file behind.
    #[track_caller]
    pub fn fails(&self, arguments: &str, code: i32, words: &[&str]) -> Ran {
        let ran = self.fails_after_notes(arguments, code, words);
        assert!(ran.err.starts_with("error: "), "{arguments}: {}", ran.err);
        ran
    }

    /// The same of a run that has something to say before it comes to the error.
    #[track_caller]
    pub fn fails_after_notes(&self, arguments: &str, code: i32, words: &[&str]) -> Ran {
        let before = self.files();
        let ran = self.run(arguments);
        assert_eq!(ran.code, Some(code), "{arguments}: {ran:?}");
        let mut lines = ran.err.lines();
        assert!(
            lines.any(|line| line.starts_with("error: ")),
            "{arguments}: {}",
            ran.err
        );
        for word in words {
            assert!(ran.err.contains(word), "{word:?} is not in {}", ran.err);
        }
        assert!(!ran.err.contains("panicked"), "{}", ran.err);
        assert_eq!(self.files(), before, "{arguments} left a file");
        ran
    }

    /// Names of all files, in order.
    pub fn files(&self) -> Vec<String> {
        let entries = fs::read_dir(&self.0).unwrap();
        let mut names: Vec<String> = entries
            .map(|e| e.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    pub fn folder(&self) -> &Path {
        self.0.path()
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        fs::write(self.path(name), content).unwrap();
    }

    pub fn read(&self, name: &str) -> Vec<u8> {
        fs::read(self.path(name)).unwrap()
    }

    pub fn text(&self, name: &str) -> String {
        String::from_utf8(self.read(name)).unwrap()
    }
}
