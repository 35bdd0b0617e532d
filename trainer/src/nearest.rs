//! The name that somebody meant: few slips of the keyboard away, or the same but for capitals.

/// Of `known`, what is most like `name`, if anything is.
pub fn nearest<'k>(name: &str, known: impl IntoIterator<Item = &'k str>) -> Option<&'k str> {
    let small = name.to_lowercase();
    let letters = small.chars().count();
    let slips = |other: &str| strsim::damerau_levenshtein(&small, &other.to_lowercase());
    let others = known.into_iter().filter(|other| *other != name);
    // What begins so is nearer than what has as few letters.
    let longer = |other: &str| letters >= 3 && other.to_lowercase().starts_with(&small);
    let found = others.min_by_key(|other| if longer(other) { 0 } else { slips(other) })?;
    // One slip in a short word, three in a long one, none in a single letter; or one begins with the other.
    let begins = letters >= 3
        && (found.to_lowercase().starts_with(&small) || small.starts_with(&found.to_lowercase()));
    // The smallest number of slips is none: only the capitals differ.
    let same = slips(found) == 0;
    (same
        || letters >= 2 && slips(found) <= (letters / 3).clamp(1, 3)
        || begins && !found.is_empty())
    .then_some(found)
}

/// `; did you mean "window"?`, or nothing.
pub fn did_you_mean<'k>(name: &str, known: impl IntoIterator<Item = &'k str>) -> String {
    nearest(name, known).map_or(String::new(), |known| format!("; did you mean {known:?}?"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_is_found_and_another_word_is_not() {
        let known = ["window", "hop", "horizon", "stateful"];
        assert_eq!(nearest("windows", known), Some("window"));
        assert_eq!(nearest("horzion", known), Some("horizon"));
        assert_eq!(nearest("Window", known), Some("window"));
        assert_eq!(nearest("state", known), Some("stateful"));
        assert_eq!(
            nearest("diff", ["none", "log", "difference"]),
            Some("difference")
        );
        assert_eq!(nearest("batch", known), None);
        assert_eq!(nearest("x", []), None);
        assert_eq!(nearest("x", ["y"]), None);
        assert_eq!(nearest("X", ["y", "x"]), Some("x"));
        assert_eq!(did_you_mean("hopp", known), "; did you mean \"hop\"?");
    }
}
