//! Token names on one line: `\n`, `\r`, `\t` and `\\` stand for what a text file cannot show.

/// The name as it is written; `None` if anything else follows a backslash.
pub fn unescape(text: &str) -> Option<String> {
    let mut name = String::new();
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        name.push(match c {
            '\\' => match chars.next()? {
                'n' => '\n',
                'r' => '\r',
                't' => '\t',
                '\\' => '\\',
                _ => return None,
            },
            c => c,
        });
    }
    Some(name)
}

/// The inverse of [`unescape`].
pub fn escape(name: &str) -> String {
    let mut text = String::new();
    for c in name.chars() {
        match c {
            '\n' => text.push_str("\\n"),
            '\r' => text.push_str("\\r"),
            '\t' => text.push_str("\\t"),
            '\\' => text.push_str("\\\\"),
            c => text.push(c),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escaping_is_undone() {
        let name = "a\n\\n\t\r b";
        assert_eq!(escape(name), "a\\n\\\\n\\t\\r b");
        assert_eq!(unescape(&escape(name)).as_deref(), Some(name));
        assert_eq!(unescape("\\x"), None);
        assert_eq!(unescape("\\"), None);
    }
}
