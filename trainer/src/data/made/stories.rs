//! Stories of two facts, a question about them, and its answer, after the tasks of Weston et al. (2015): who is where, who
//! carries what, how many are there, yes or no. What the story leaves open is answered so.
//!
//! For a conversation the training part also has what comes before the end of a story: facts, which are answered with `ok`,
//! and stories in which something was asked before.

use super::{Pair, below, one_of, percent};
use crate::data::split::Part;
use crate::train::init::Rng;

const PEOPLE: [&str; 6] = ["mary", "john", "anna", "peter", "lucy", "tom"];
const PLACES: [&str; 6] = ["kitchen", "garden", "office", "cellar", "hall", "attic"];
const THINGS: [&str; 3] = ["key", "lamp", "book"];
const MOVES: [&str; 5] = ["went to", "moved to", "walked to", "ran to", "is in"];
const TAKES: [&str; 3] = ["took", "picked up", "has"];
const COUNTS: [&str; 3] = ["none", "one", "two"];
const NOBODY: &str = "nobody";
const UNKNOWN: &str = "unknown";

/// Where people are and what they carry: what has been said so far.
#[derive(Default)]
struct World {
    places: [Option<&'static str>; PEOPLE.len()],
    /// Who has it.
    carriers: [Option<usize>; THINGS.len()],
}

impl World {
    /// Something happens, and is told.
    fn happens(&mut self, rng: &mut Rng) -> String {
        let known = (0..PEOPLE.len()).filter(|&k| self.places[k].is_some());
        let known: Vec<usize> = known.collect();
        // The same person again, half of the times.
        let who = match known[..] {
            [] => below(rng, PEOPLE.len()),
            _ if percent(rng, 50) => below(rng, PEOPLE.len()),
            _ => one_of(rng, &known),
        };
        if percent(rng, 25) {
            let thing = below(rng, THINGS.len());
            self.carriers[thing] = Some(who);
            let takes = one_of(rng, &TAKES);
            return format!("{} {takes} the {}", PEOPLE[who], THINGS[thing]);
        }
        let place = one_of(rng, &PLACES);
        self.places[who] = Some(place);
        format!("{} {} the {place}", PEOPLE[who], one_of(rng, &MOVES))
    }

    /// Mostly of what the story is about.
    fn person(&self, rng: &mut Rng) -> usize {
        let known = (0..PEOPLE.len()).filter(|&k| self.places[k].is_some());
        let known: Vec<usize> = known.chain(self.carriers.into_iter().flatten()).collect();
        match known[..] {
            [] => below(rng, PEOPLE.len()),
            _ if percent(rng, 15) => below(rng, PEOPLE.len()),
            _ => one_of(rng, &known),
        }
    }

    fn place(&self, rng: &mut Rng) -> &'static str {
        let known: Vec<&str> = self.places.into_iter().flatten().collect();
        match known[..] {
            [] => one_of(rng, &PLACES),
            _ if percent(rng, 40) => one_of(rng, &PLACES),
            _ => one_of(rng, &known),
        }
    }

    fn thing(&self, rng: &mut Rng) -> usize {
        let carried = (0..THINGS.len()).filter(|&k| self.carriers[k].is_some());
        let carried: Vec<usize> = carried.collect();
        match carried[..] {
            [] => below(rng, THINGS.len()),
            _ => one_of(rng, &carried),
        }
    }

    fn question(&self, rng: &mut Rng) -> Pair {
        let carried = self.carriers.iter().any(Option::is_some);
        let there = |place: &str| {
            let places = (0..PEOPLE.len()).filter(|&k| self.places[k] == Some(place));
            places.collect::<Vec<_>>()
        };
        match below(rng, if carried { 8 } else { 6 }) {
            0 | 1 => {
                let who = self.person(rng);
                let answer = self.places[who].unwrap_or(UNKNOWN);
                (format!("where is {}", PEOPLE[who]), answer.into())
            }
            2 | 3 => {
                let (who, place) = (self.person(rng), self.place(rng));
                let answer = match self.places[who] {
                    Some(at) if at == place => "yes",
                    Some(_) => "no",
                    None => UNKNOWN,
                };
                (
                    format!("is {} in the {place}", PEOPLE[who]),
                    answer.to_owned(),
                )
            }
            4 => {
                let place = self.place(rng);
                let count = COUNTS[there(place).len().min(2)];
                (format!("how many are in the {place}"), count.into())
            }
            5 => {
                let place = self.place(rng);
                let names: Vec<&str> = there(place).into_iter().map(|k| PEOPLE[k]).collect();
                let answer = match names[..] {
                    [] => NOBODY.to_owned(),
                    _ => names.join(" and "),
                };
                (format!("who is in the {place}"), answer)
            }
            6 => {
                let thing = self.thing(rng);
                let carrier = self.carriers[thing].map_or(UNKNOWN, |who| PEOPLE[who]);
                (format!("who has the {}", THINGS[thing]), carrier.into())
            }
            _ => {
                let thing = self.thing(rng);
                let place = self.carriers[thing].and_then(|who| self.places[who]);
                let answer = place.unwrap_or(UNKNOWN).to_owned();
                (format!("where is the {}", THINGS[thing]), answer)
            }
        }
    }
}

/// Two facts and a question. In training one in five breaks off, or has a question before.
pub fn draw(rng: &mut Rng, part: Part) -> Pair {
    let mut world = World::default();
    let mut told = vec![world.happens(rng)];
    let whole = part != Part::Train || percent(rng, 80);
    if !whole && percent(rng, 30) {
        return (told.concat(), "ok".into());
    }
    if !whole && percent(rng, 50) {
        told.push(world.question(rng).0);
    }
    told.push(world.happens(rng));
    if !whole && percent(rng, 50) {
        return (told.join(" "), "ok".into());
    }
    let (question, answer) = world.question(rng);
    told.push(question);
    (told.join(" "), answer)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(facts: &[(usize, &'static str)], carriers: [Option<usize>; 3]) -> World {
        let mut world = World {
            carriers,
            ..World::default()
        };
        for &(who, place) in facts {
            world.places[who] = Some(place);
        }
        world
    }

    /// What is asked is drawn, so ask until everything has been.
    fn answers(world: &World) -> std::collections::BTreeMap<String, String> {
        let mut rng = Rng::new(5);
        (0..4000).map(|_| world.question(&mut rng)).collect()
    }

    #[test]
    fn answers_follow_from_what_was_said() {
        let all = answers(&said(
            &[(0, "kitchen"), (1, "garden")],
            [Some(1), None, Some(4)],
        ));
        for (question, answer) in [
            ("where is mary", "kitchen"),
            ("where is anna", UNKNOWN),
            ("is john in the garden", "yes"),
            ("is mary in the garden", "no"),
            ("is tom in the garden", UNKNOWN),
            ("how many are in the kitchen", "one"),
            ("how many are in the attic", "none"),
            ("who is in the garden", "john"),
            ("who is in the hall", NOBODY),
            ("who has the key", "john"),
            ("where is the key", "garden"),
            ("where is the book", UNKNOWN),
        ] {
            assert_eq!(
                all.get(question).map(String::as_str),
                Some(answer),
                "{question}"
            );
        }
        let together = answers(&said(&[(0, "attic"), (1, "attic")], [None; 3]));
        assert_eq!(together["how many are in the attic"], "two");
        assert_eq!(together["who is in the attic"], "mary and john");
    }

    #[test]
    fn only_training_has_stories_that_break_off() {
        let mut rng = Rng::new(1);
        let mut broken = |part| (0..500).filter(|_| draw(&mut rng, part).1 == "ok").count();
        assert_eq!(broken(Part::Test), 0);
        assert!((20..120).contains(&broken(Part::Train)));
    }
}
