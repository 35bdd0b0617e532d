//! Two coloured shapes as a camera's summary measures them, with noise, and a sentence about them; and a shape that moves, frame
//! by frame. A sentence says of every quantity only what is beyond doubt: where noise could turn it, the scene is drawn again.

use super::{below, one_of, percent};
use crate::train::init::Rng;

/// What is measured of one shape: its light, its corners, its size, where it is.
pub const SHAPE: [&str; 7] = ["red", "green", "blue", "corners", "size", "x", "y"];

const COLOURS: [(&str, [f32; 3]); 4] = [
    ("red", [1.0, 0.0, 0.0]),
    ("green", [0.0, 1.0, 0.0]),
    ("blue", [0.0, 0.0, 1.0]),
    ("yellow", [1.0, 1.0, 0.0]),
];
const SHAPES: [(&str, f32); 3] = [("circle", 0.0), ("triangle", 3.0), ("square", 4.0)];
/// Standard deviation of what is measured.
const NOISE: f32 = 0.1;
const FRAMES: usize = 8;

/// The columns of two shapes.
pub fn columns() -> Vec<String> {
    let of = |n: usize| SHAPE.map(|name| format!("{name}_{n}"));
    [1, 2].into_iter().flat_map(of).collect()
}

/// A shape, and its name.
struct Thing {
    colour: usize,
    shape: usize,
    big: bool,
    size: f32,
}

impl Thing {
    fn draw(rng: &mut Rng) -> Self {
        let big = percent(rng, 50);
        Thing {
            colour: below(rng, COLOURS.len()),
            shape: below(rng, SHAPES.len()),
            big,
            size: rng.uniform() * 0.3 + if big { 0.7 } else { 0.1 },
        }
    }

    fn measured(&self, rng: &mut Rng, [x, y]: [f32; 2]) -> [f32; SHAPE.len()] {
        let (_, [red, green, blue]) = COLOURS[self.colour];
        let mut noisy = |value: f32| value + NOISE * rng.normal();
        let light = [noisy(red), noisy(green), noisy(blue)];
        let corners = noisy(SHAPES[self.shape].1);
        let [red, green, blue] = light;
        [red, green, blue, corners, self.size, x, y]
    }

    fn colour_and_shape(&self) -> String {
        format!("{} {}", COLOURS[self.colour].0, SHAPES[self.shape].0)
    }

    fn name(&self) -> String {
        let size = if self.big { "big" } else { "small" };
        format!("a {size} {}", self.colour_and_shape())
    }
}

/// One sample, and its sentence.
pub fn scene(rng: &mut Rng) -> (Vec<f32>, String) {
    let things = [Thing::draw(rng), Thing::draw(rng)];
    let (places, relation) = loop {
        let mut place = || [rng.uniform(), rng.uniform()];
        let [a, b] = [place(), place()];
        let [x, y] = [b[0] - a[0], b[1] - a[1]];
        if x.abs().max(y.abs()) < 0.2 || (x.abs() - y.abs()).abs() < 0.1 {
            continue;
        }
        let relation = match x.abs() > y.abs() {
            true if x > 0.0 => "left of",
            true => "right of",
            false if y > 0.0 => "below",
            false => "above",
        };
        break ([a, b], relation);
    };
    let of = |(thing, place): (&Thing, [f32; 2])| thing.measured(rng, place);
    let measured: Vec<_> = things.iter().zip(places).map(of).collect();
    let [a, b] = things;
    (
        measured.concat(),
        format!("{} {relation} {}", a.name(), b.name()),
    )
}

/// Some samples, one behind the other, and their sentence.
pub fn clip(rng: &mut Rng) -> (Vec<f32>, String) {
    let thing = Thing::draw(rng);
    let (way, [right, up]) = one_of(
        rng,
        &[
            ("left", [-1.0, 0.0]),
            ("right", [1.0, 0.0]),
            ("up", [0.0, 1.0]),
            ("down", [0.0, -1.0]),
        ],
    );
    let (fast, returns, stands) = (percent(rng, 50), percent(rng, 40), percent(rng, 15));
    // So far in all frames together.
    let far: f32 = match (stands, fast) {
        (true, _) => 0.0,
        (_, true) => 0.6 + 0.2 * rng.uniform(),
        (_, false) => 0.2 + 0.2 * rng.uniform(),
    };
    let begin = [rng.uniform(), rng.uniform()];
    let mut frames = Vec::new();
    for frame in 0..FRAMES {
        let part = frame as f32 / (FRAMES - 1) as f32;
        let part = if returns {
            1.0 - (2.0 * part - 1.0).abs()
        } else {
            part
        };
        let mut at = |begin: f32, along: f32| begin + far * part * along + 0.02 * rng.normal();
        let place = [at(begin[0], right), at(begin[1], up)];
        frames.extend(thing.measured(rng, place));
    }
    let name = thing.colour_and_shape();
    let speed = if fast { "fast" } else { "slowly" };
    let said = match (stands, returns) {
        (true, _) => format!("a {name} stands still"),
        (_, true) => format!("a {name} goes {way} {speed} and comes back"),
        (_, false) => format!("a {name} goes {way} {speed}"),
    };
    (frames, said)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sentence_says_what_was_measured() {
        let mut rng = Rng::new(4);
        for _ in 0..500 {
            let (measured, said) = scene(&mut rng);
            assert_eq!(measured.len(), columns().len());
            let words: Vec<&str> = said.split(' ').collect();
            let size = measured[4];
            assert_eq!(words[1], if size > 0.5 { "big" } else { "small" }, "{said}");
            let [x, y] = [measured[12] - measured[5], measured[13] - measured[6]];
            let expected = match words[4] {
                "left" => x,
                "right" => -x,
                "below" => y,
                _ => -y,
            };
            assert!(expected >= 0.2, "{said}: {x} {y}");
        }
    }

    #[test]
    fn a_clip_moves_as_it_is_told() {
        let mut rng = Rng::new(4);
        for _ in 0..500 {
            let (frames, said) = clip(&mut rng);
            assert_eq!(frames.len(), FRAMES * SHAPE.len());
            let x = |frame: usize| frames[frame * SHAPE.len() + 5];
            let middle = x(FRAMES / 2) - x(0);
            let end = x(FRAMES - 1) - x(0);
            if said.contains("right") {
                assert!(middle > 0.0, "{said}: {middle}");
                assert_eq!(end < 0.12, said.ends_with("back"), "{said}: {end}");
            }
            if said.ends_with("still") {
                assert!(end.abs() < 0.15 && middle.abs() < 0.15, "{said}");
            }
        }
    }
}
