//! What people say to a machine, and what it is to do: small talk, and commands for devices in words of a fixed form. A
//! conversation has up to five turns, and the answer is to the last one; `it` is the device that was spoken of before.
//!
//! What means nothing has an empty answer: unknown words, half a command, words in disorder, `it` without anything before.
//! A phrasing is a turn without its device and its number. Those of one part are in no other.

use super::{Pair, below, one_of, percent};
use crate::train::init::Rng;

const DEVICES: [&str; 6] = ["pump", "fan", "heater", "lamp", "valve", "motor"];

/// In a phrasing the places of device and number.
const DEVICE: &str = "<device>";
const NUMBER: &str = "<number>";

/// What a command is about, and how the machine has it.
#[derive(Clone, Copy)]
enum Meaning {
    /// A verb, a device, and a number where the flag says so.
    Command(&'static str, bool),
    Talk(&'static str),
}

const SET: [&str; 8] = [
    "set <device> to <number>",
    "put <device> at <number>",
    "put <device> to <number>",
    "run <device> at <number>",
    "turn <device> to <number>",
    "change <device> to <number>",
    "bring <device> to <number>",
    "let <device> run at <number>",
];
const UP: [&str; 5] = [
    "raise <device> by <number>",
    "increase <device> by <number>",
    "turn <device> up by <number>",
    "turn up <device> by <number>",
    "give <device> <number> more",
];
const DOWN: [&str; 5] = [
    "lower <device> by <number>",
    "decrease <device> by <number>",
    "turn <device> down by <number>",
    "turn down <device> by <number>",
    "give <device> <number> less",
];
const ON: [&str; 7] = [
    "turn on <device>",
    "turn <device> on",
    "switch on <device>",
    "switch <device> on",
    "start <device>",
    "activate <device>",
    "power up <device>",
];
const OFF: [&str; 7] = [
    "turn off <device>",
    "turn <device> off",
    "switch off <device>",
    "switch <device> off",
    "stop <device>",
    "deactivate <device>",
    "shut down <device>",
];
const STATE: [&str; 6] = [
    "how is <device> doing",
    "what is the state of <device>",
    "what does <device> do",
    "tell me about <device>",
    "show me <device>",
    "report on <device>",
];
const GREETING: [&str; 6] = [
    "hello",
    "hi",
    "hey",
    "good morning",
    "good evening",
    "greetings",
];
const THANKS: [&str; 5] = [
    "thanks",
    "thank you",
    "many thanks",
    "well done",
    "good work",
];
const LEAVING: [&str; 5] = ["goodbye", "bye", "see you", "good night", "until tomorrow"];
const NAMES: [&str; 4] = [
    "who are you",
    "what is your name",
    "what are you",
    "what can you do",
];

/// What is said, its meaning, and how often of a hundred it is.
const ALL: [(&[&str], Meaning, usize); 10] = [
    (&SET, Meaning::Command("set", true), 24),
    (&UP, Meaning::Command("up", true), 10),
    (&DOWN, Meaning::Command("down", true), 10),
    (&ON, Meaning::Command("on", false), 14),
    (&OFF, Meaning::Command("off", false), 14),
    (&STATE, Meaning::Command("state", false), 10),
    (&GREETING, Meaning::Talk("hello"), 5),
    (&THANKS, Meaning::Talk("you are welcome"), 4),
    (&LEAVING, Meaning::Talk("goodbye"), 4),
    (&NAMES, Meaning::Talk("i run six devices"), 5),
];

const BEFORE: [&str; 9] = [
    "",
    "please ",
    "now ",
    "and now ",
    "could you ",
    "can you ",
    "would you please ",
    "i want you to ",
    "kinglet ",
];
const BEHIND: [&str; 7] = [
    "",
    " please",
    " now",
    " right now",
    " for me",
    " again",
    " kinglet",
];
const BEFORE_TALK: [&str; 5] = ["", "oh ", "well ", "so ", "kinglet "];
const BEHIND_TALK: [&str; 6] = [
    "",
    " kinglet",
    " again",
    " then",
    " my friend",
    " over there",
];

/// A turn in words of which device and number are left open.
fn phrasing(rng: &mut Rng) -> (String, Meaning) {
    let mut place = below(rng, 100);
    let found = ALL.iter().find(|(.., share)| {
        let found = place < *share;
        place = place.saturating_sub(*share);
        found
    });
    let &(said, meaning, _) = found.unwrap_or(&ALL[0]);
    let said = one_of(rng, said);
    let (before, behind) = match meaning {
        Meaning::Talk(_) => (&BEFORE_TALK[..], &BEHIND_TALK[..]),
        // Nobody says "could you how is the pump doing".
        Meaning::Command(..) if said.starts_with(['h', 'w']) => (&BEFORE[..1], &BEHIND[..]),
        Meaning::Command(..) => (&BEFORE[..], &BEHIND[..]),
    };
    let mut said = format!("{}{said}{}", one_of(rng, before), one_of(rng, behind));
    if percent(rng, 65) {
        said = said.replace(NUMBER, "<number> percent");
    }
    if percent(rng, 75) {
        said = said.replace(DEVICE, "the <device>");
    }
    (said, meaning)
}

/// A turn, with the device that was spoken of last; then with the one that is now.
fn turn(
    rng: &mut Rng,
    belongs: &impl Fn(&str) -> bool,
    last: Option<&'static str>,
) -> (Pair, Option<&'static str>) {
    let (mut said, meaning) = loop {
        let (said, meaning) = phrasing(rng);
        if belongs(&said) {
            break (said, meaning);
        }
    };
    match meaning {
        Meaning::Talk(answer) => ((said, answer.into()), last),
        Meaning::Command(verb, with_number) => {
            let device = match last {
                Some(device) if percent(rng, 60) => {
                    said = said.replace("the <device>", "it").replace(DEVICE, "it");
                    device
                }
                _ => {
                    let device = one_of(rng, &DEVICES);
                    said = said.replace(DEVICE, device);
                    device
                }
            };
            let number = below(rng, 101).to_string();
            said = said.replace(NUMBER, &number);
            let answer = match with_number {
                true => format!("{verb} {device} {number}"),
                false => format!("{verb} {device}"),
            };
            ((said, answer), Some(device))
        }
    }
}

/// A word that nobody has heard.
fn strange(rng: &mut Rng) -> String {
    let length = 3 + below(rng, 7);
    let letter = |_| char::from(b'a' + below(rng, 26) as u8);
    (0..length).map(letter).collect()
}

/// What means nothing, after a device was spoken of or before.
fn nothing(rng: &mut Rng, belongs: &impl Fn(&str) -> bool, last: Option<&'static str>) -> String {
    let kinds = if last.is_none() { 6 } else { 5 };
    match below(rng, kinds) {
        // Of something else.
        0 => {
            let said = loop {
                let (said, _) = phrasing(rng);
                if said.contains(DEVICE) && belongs(&said) {
                    break said;
                }
            };
            let number = below(rng, 101).to_string();
            said.replace(DEVICE, &strange(rng)).replace(NUMBER, &number)
        }
        // Without the device, or the number that it should have.
        1 => {
            let (said, _) = phrasing(rng);
            let missing = match said.contains(NUMBER) && percent(rng, 50) {
                true => NUMBER,
                false if said.contains(DEVICE) => DEVICE,
                false => return strange(rng),
            };
            let words = said.replace("percent", "").replace(missing, "");
            let number = below(rng, 101).to_string();
            let words = words
                .replace(DEVICE, one_of(rng, &DEVICES))
                .replace(NUMBER, &number);
            words.split_whitespace().collect::<Vec<_>>().join(" ")
        }
        // A sentence of which little is known.
        2 => {
            let words = 1 + below(rng, 9);
            let word = |_| match percent(rng, 35) {
                true => some_word(rng),
                false => strange(rng),
            };
            (0..words).map(word).collect::<Vec<_>>().join(" ")
        }
        // Words in disorder.
        3 => {
            let words = 1 + below(rng, 7);
            let words: Vec<_> = (0..words).map(|_| some_word(rng)).collect();
            words.join(" ")
        }
        // An action that nobody knows.
        4 => {
            let device = one_of(rng, &DEVICES);
            match percent(rng, 50) {
                true => format!("{} the {device}", strange(rng)),
                false => format!("{} the {device} {}", strange(rng), strange(rng)),
            }
        }
        // Of what has not been spoken of.
        _ => {
            let ((said, _), _) = turn(rng, belongs, Some("it"));
            match said.contains(" it") {
                true => said.replace("the it", "it"),
                false => strange(rng),
            }
        }
    }
}

/// Any word of any phrasing.
fn some_word(rng: &mut Rng) -> String {
    let (said, _) = phrasing(rng);
    let words: Vec<&str> = said.split_whitespace().collect();
    match one_of(rng, &words) {
        DEVICE => one_of(rng, &DEVICES).into(),
        NUMBER => below(rng, 101).to_string(),
        word => word.into(),
    }
}

/// A conversation of phrasings that belong to a part.
pub fn draw(rng: &mut Rng, belongs: &impl Fn(&str) -> bool) -> Pair {
    let (mut told, mut last) = (Vec::new(), None);
    loop {
        if percent(rng, 18) {
            told.push(nothing(rng, belongs, last));
            return (told.join(" "), String::new());
        }
        let ((said, answer), device) = turn(rng, belongs, last);
        last = device;
        told.push(said);
        if told.len() == 5 || percent(rng, 50) {
            return (told.join(" "), answer);
        }
    }
}
