//! What a model of transcripts has said so far.

use kinglet::Greedy;
use kinglet_trainer::transcript::Beam;

/// A transcript that grows step by step.
pub struct Said {
    greedy: Greedy,
    tokens: Vec<usize>,
    beam: Option<Beam>,
}

impl Said {
    /// Nothing yet; with a beam of this width.
    pub fn new(width: Option<usize>) -> Self {
        Said {
            greedy: Greedy::new(),
            tokens: Vec::new(),
            beam: width.map(Beam::new),
        }
    }

    /// Nothing again.
    pub fn reset(&mut self) {
        *self = Said::new(self.beam.as_ref().map(Beam::width));
    }

    /// Takes a step's probabilities; gives the token that is known with it.
    pub fn push(&mut self, probabilities: &[f32]) -> Option<usize> {
        if let Some(beam) = &mut self.beam {
            beam.push(probabilities);
            return None;
        }
        let token = self.greedy.push(probabilities);
        self.tokens.extend(token);
        token
    }

    /// All of it.
    pub fn tokens(&self) -> &[usize] {
        match &self.beam {
            Some(beam) => beam.best(),
            None => &self.tokens,
        }
    }
}
