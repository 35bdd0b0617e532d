//! How an error is told: to the command line's user and to Python's.

use std::fmt::{self, Display};

/// An error and its causes in one line, without the causes that a message already quotes.
#[derive(Debug)]
pub struct InOneLine<'e>(pub &'e anyhow::Error);

impl Display for InOneLine<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = String::new();
        for cause in self.0.chain().map(ToString::to_string) {
            if shown.is_empty() {
                shown = cause;
            } else if !shown.contains(&cause) {
                shown = format!("{shown}: {cause}");
            }
        }
        f.write_str(&shown)
    }
}
