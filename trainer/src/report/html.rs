//! Text, tables and sections of the page. Whatever comes from a task or a model passes through [`text`], so a column
//! called `<b>` is shown and not obeyed. The page is well-formed XML too, which is what its tests read it as.

use std::fmt::Write;

/// Characters as they are shown: markup escaped, what XML cannot hold replaced.
pub(super) fn text(plain: &str) -> String {
    let mut html = String::with_capacity(plain.len());
    for c in plain.chars() {
        match c {
            '&' => html.push_str("&amp;"),
            '<' => html.push_str("&lt;"),
            '>' => html.push_str("&gt;"),
            '"' => html.push_str("&quot;"),
            '\'' => html.push_str("&#39;"),
            '\n' | '\t' => html.push(' '),
            '\u{fffe}' | '\u{ffff}' => html.push('\u{fffd}'),
            c if c.is_control() => html.push('\u{fffd}'),
            c => html.push(c),
        }
    }
    html
}

/// A paragraph of plain text.
pub(super) fn paragraph(plain: &str) -> String {
    format!("<p>{}</p>\n", text(plain))
}

/// A part of the page with a heading.
pub(super) fn section(id: &str, title: &str, body: &str) -> String {
    format!(
        "<section id=\"{id}\">\n<h2>{}</h2>\n{body}</section>\n",
        text(title)
    )
}

/// Bodies of a section one after the other, each below its title if it has one.
pub(super) fn titled(parts: impl Iterator<Item = (&'static str, String)>) -> String {
    let part = |(title, body): (&str, String)| match title {
        "" => body,
        title => heading(title) + &body,
    };
    parts.map(part).collect()
}

/// A smaller heading inside a section.
pub(super) fn heading(title: &str) -> String {
    format!("<h3>{}</h3>\n", text(title))
}

/// A chart with what it shows.
pub(super) fn figure(svg: &str, caption: &str) -> String {
    format!(
        "<figure>\n{svg}<figcaption>{}</figcaption>\n</figure>\n",
        text(caption)
    )
}

/// A table of plain text: names on the left, numbers to the right.
pub(super) struct Table {
    html: String,
}

impl Table {
    pub(super) fn new<S: AsRef<str>>(head: &[S]) -> Self {
        let mut html = String::from("<div class=\"wide\"><table>\n<thead><tr>");
        for name in head {
            // Writing to a string cannot fail, here and below.
            let _ = write!(html, "<th>{}</th>", text(name.as_ref()));
        }
        html.push_str("</tr></thead>\n<tbody>\n");
        Table { html }
    }

    pub(super) fn row<S: AsRef<str>>(&mut self, cells: &[S]) {
        self.html.push_str("<tr>");
        for cell in cells {
            let _ = write!(self.html, "<td>{}</td>", text(cell.as_ref()));
        }
        self.html.push_str("</tr>\n");
    }

    pub(super) fn finish(mut self) -> String {
        self.html.push_str("</tbody>\n</table></div>\n");
        self.html
    }
}

/// Four significant digits; a dash for what is no number.
pub(super) fn number(value: f64) -> String {
    if !value.is_finite() {
        return "–".into();
    }
    let magnitude = value.abs();
    let shown = if magnitude == 0.0 {
        "0".into()
    } else if !(1e-4..1e7).contains(&magnitude) {
        format!("{value:.3e}")
    } else {
        let before = magnitude.log10().floor() as i32;
        format!("{value:.*}", (3 - before).max(0) as usize)
    };
    shown.replace('-', "−")
}

/// With a separator at every third digit.
pub(super) fn count(value: usize) -> String {
    let digits = value.to_string();
    let mut shown = String::new();
    for (k, digit) in digits.chars().enumerate() {
        if k > 0 && (digits.len() - k).is_multiple_of(3) {
            shown.push(',');
        }
        shown.push(digit);
    }
    shown
}

/// A share as a percentage.
pub(super) fn percent(share: f64) -> String {
    if share.is_finite() {
        format!("{} %", number(share * 100.0))
    } else {
        "–".into()
    }
}

/// A name with its unit.
pub(super) fn with_unit(name: &str, unit: &str) -> String {
    if unit.is_empty() {
        name.to_owned()
    } else {
        format!("{name}, {unit}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_cannot_become_markup() {
        assert_eq!(
            text("<b a='1'>&\"\u{0}\n"),
            "&lt;b a=&#39;1&#39;&gt;&amp;&quot;\u{fffd} "
        );
        let mut table = Table::new(&["<i>"]);
        table.row(&["</td>"]);
        let html = table.finish();
        assert!(
            html.contains("&lt;i&gt;") && html.contains("&lt;/td&gt;"),
            "{html}"
        );
    }

    #[test]
    fn numbers_keep_four_digits() {
        let shown = [0.0, 2.31499, -0.012345, 12_345.6, 1.5e9, f64::NAN].map(number);
        assert_eq!(shown, ["0", "2.315", "−0.01235", "12346", "1.500e9", "–"]);
        assert_eq!(
            [0, 999, 1000, 1_234_567].map(count),
            ["0", "999", "1,000", "1,234,567"]
        );
        assert_eq!(percent(0.12345), "12.35 %");
    }
}
