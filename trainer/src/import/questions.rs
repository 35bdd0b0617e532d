//! What a state dict leaves open, asked all at once: who imports one is not sent back for each flag.

use anyhow::{Result, bail};

/// Questions so far. Whoever asks goes on with some answer, to find what else is open; nothing comes of that before all are answered.
#[derive(Debug, Default)]
pub(super) struct Questions(Vec<String>);

impl Questions {
    /// Layers of one module ask the same thing.
    pub(super) fn ask(&mut self, question: String) {
        if !self.0.contains(&question) {
            self.0.push(question);
        }
    }

    /// # Errors
    /// All that was asked.
    pub(super) fn none(&self) -> Result<()> {
        match &self.0[..] {
            [] => Ok(()),
            [only] => bail!("{only}"),
            all => {
                let numbered = all.iter().enumerate();
                let lines = numbered.map(|(k, question)| format!("\n  {}. {question}", k + 1));
                bail!(
                    "{} things are open, of which each takes a flag:{}",
                    all.len(),
                    lines.collect::<String>()
                )
            }
        }
    }
}
