//! Which columns are the steps of a row that is a sequence: `t0`, `t1` and so on, wherever they stand, or all from one column to
//! another. A model knows them by their names, as it knows its other inputs.

/// The text and the number of a name such as `t12`.
pub(crate) fn numbered(name: &str) -> Option<(&str, u32)> {
    let digits = name.trim_end_matches(|c: char| c.is_ascii_digit()).len();
    Some((&name[..digits], name[digits..].parse().ok()?))
}

/// All names from one to the other, counted up or down, where both are numbered alike.
fn counted(first: &str, last: &str) -> Option<Vec<String>> {
    // More than a file has columns.
    const MOST: u32 = 1 << 20;
    let ((text, a), (other, b)) = (numbered(first)?, numbered(last)?);
    if text != other || a.abs_diff(b) > MOST {
        return None;
    }
    // As many digits as the shorter one has: 1 to 10, 01 to 10 and 001 to 100.
    let digits = first.len().min(last.len()) - text.len();
    let name = |k: u32| format!("{text}{k:0digits$}");
    let names: Vec<String> = match a <= b {
        true => (a..=b).map(name).collect(),
        false => (b..=a).rev().map(name).collect(),
    };
    (names[0] == first && names[names.len() - 1] == last).then_some(names)
}

/// The columns of the steps from `first` to `last` of a file that has these `columns`, in the order of time, and what there is to say
/// about them.
///
/// # Errors
/// What is wrong with them, and what to do.
pub(super) fn between(
    columns: &[String],
    first: &str,
    last: &str,
) -> Result<(Vec<String>, Option<String>), String> {
    let place = |name: &str| columns.iter().position(|column| column == name);
    let (Some(a), Some(b)) = (place(first), place(last)) else {
        return Err(format!("no columns {first:?} and {last:?}"));
    };
    let inside = &columns[a.min(b)..=a.max(b)];
    let Some(all) = counted(first, last) else {
        return match a <= b {
            true => Ok((inside.to_vec(), None)),
            false => Err(format!(
                "{last:?} stands in front of {first:?}, and without numbers in their names steps are in the order of the file; name the \
                 first one first"
            )),
        };
    };
    let missing: Vec<&String> = all.iter().filter(|name| place(name).is_none()).collect();
    let among = |name: &&String| !all.contains(name);
    let others: Vec<&String> = inside.iter().filter(among).collect();
    if missing.is_empty() {
        let note = (!others.is_empty()).then(|| {
            format!(
                "{} {} among the steps {first:?} to {last:?} and {} left out",
                listed(&others),
                if others.len() == 1 { "stands" } else { "stand" },
                if others.len() == 1 { "is" } else { "are" },
            )
        });
        return Ok((all, note));
    }
    // Every fifth one, say: their numbers go the same way all the same.
    let numbers: Vec<Option<u32>> = (inside.iter())
        .map(|name| all.iter().position(|step| step == name).map(|k| k as u32))
        .collect();
    if let Some(at) = numbers.iter().position(Option::is_none) {
        return Err(format!(
            "column {:?} stands among the steps {first:?} to {last:?}, of which {} missing; move it out of them, or bring back what is missing",
            inside[at],
            are(&missing)
        ));
    }
    if let Some(at) = (1..numbers.len()).find(|&k| numbers[k] <= numbers[k - 1]) {
        return Err(format!(
            "steps go by their numbers, and {:?} stands behind {:?}, while {} missing; bring the columns into their order, or bring back \
             what is missing",
            inside[at],
            inside[at - 1],
            are(&missing)
        ));
    }
    let apart = |pair: &[Option<u32>]| pair[1].zip(pair[0]).map(|(b, a)| b - a);
    let even = numbers
        .windows(2)
        .all(|pair| apart(pair) == apart(&numbers[..2]));
    let note = (!even || inside.len() == 2).then(|| {
        format!(
            "{} missing among the steps {first:?} to {last:?}, so these do not follow at equal distances",
            are(&missing)
        )
    });
    Ok((inside.to_vec(), note))
}

/// As a model file has them: the first and the last, where these tell the others.
pub(super) fn short(names: &[&str]) -> Vec<String> {
    let ends = [names[0], names[names.len() - 1]];
    let tell = counted(ends[0], ends[1]).is_some_and(|all| all == names);
    let kept = if tell { &ends[..] } else { names };
    kept.iter().map(|&name| name.to_owned()).collect()
}

/// All of those that a model file has.
pub fn all(short: &[String]) -> Vec<String> {
    match short {
        [first, last] => counted(first, last),
        _ => None,
    }
    .unwrap_or_else(|| short.to_vec())
}

/// Why these columns are not the `steps` of a model.
pub fn lacking(columns: &[String], steps: &[String]) -> Option<String> {
    let missing: Vec<&String> = (steps.iter())
        .filter(|step| !columns.contains(step))
        .collect();
    if missing.is_empty() {
        return None;
    }
    let ends = (steps.first()?, steps.last()?);
    let there = match missing.len() == steps.len() {
        true => "none of them is there".into(),
        false => format!("{} missing", are(&missing)),
    };
    Some(format!(
        "a row of the training data was a sequence of {} steps, in the columns {:?} to {:?}: {there}",
        steps.len(),
        ends.0,
        ends.1
    ))
}

/// What is to be told of columns that go on where the `steps` of a model end.
pub fn beyond(columns: &[String], steps: &[String]) -> Option<String> {
    let (first, last) = (steps.first()?, steps.last()?);
    let ((text, a), (other, b)) = (numbered(first)?, numbered(last)?);
    // Columns that are numbers alone may be of anything.
    if text != other || text.is_empty() {
        return None;
    }
    let is_behind = |name: &&String| {
        numbered(name).is_some_and(|(of, k)| of == text && if a <= b { k > b } else { k < b })
    };
    let behind: Vec<&String> = columns.iter().filter(is_behind).collect();
    (!behind.is_empty()).then(|| {
        format!(
            "{} behind the last of the {} steps that the model looks at, {last:?}, {} left out",
            listed(&behind),
            steps.len(),
            if behind.len() == 1 { "is" } else { "are" },
        )
    })
}

/// Some names with the verb.
fn are(names: &[&String]) -> String {
    let verb = if names.len() == 1 { "is" } else { "are" };
    format!("{} {verb}", listed(names))
}

fn listed(names: &[&String]) -> String {
    const SHOWN: usize = 6;
    let shown: Vec<String> = (names.iter().take(SHOWN))
        .map(|n| format!("{n:?}"))
        .collect();
    match names.len().saturating_sub(SHOWN) {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(text: &str) -> Vec<String> {
        text.split(' ').map(str::to_owned).collect()
    }

    #[test]
    fn numbered_steps_are_taken_by_their_numbers() {
        let steps = |columns: &str, first, last| between(&names(columns), first, last);
        let four = names("t0 t1 t2 t3");
        for file in ["id t0 t1 t2 t3 y", "t3 t2 t1 t0", "t0 t3 t1 t2"] {
            assert_eq!(steps(file, "t0", "t3"), Ok((four.clone(), None)), "{file}");
        }
        assert_eq!(
            steps("lag1 lag2 lag3", "lag3", "lag1").unwrap().0,
            names("lag3 lag2 lag1")
        );
        let (found, note) = steps("t0 t1 temp t2 t3", "t0", "t3").unwrap();
        assert_eq!(found, four);
        assert_eq!(
            note.unwrap(),
            "\"temp\" stands among the steps \"t0\" to \"t3\" and is left out"
        );
        assert_eq!(
            steps("t00 t05 t10", "t00", "t10"),
            Ok((names("t00 t05 t10"), None))
        );
        let (_, note) = steps("t0 t1 t3", "t0", "t3").unwrap();
        assert!(note.unwrap().starts_with("\"t2\" is missing among"));
        let problem = |file, first, last| steps(file, first, last).unwrap_err();
        assert!(problem("t0 t10 t5 t15", "t0", "t15").contains("\"t5\" stands behind \"t10\""));
        assert!(problem("t0 temp t3", "t0", "t3").starts_with("column \"temp\" stands among"));
        assert!(problem("mar feb jan", "jan", "mar").starts_with("\"mar\" stands in front of"));
        assert_eq!(
            steps("jan feb mar", "jan", "mar"),
            Ok((names("jan feb mar"), None))
        );
    }

    #[test]
    fn a_model_knows_its_steps() {
        for (steps, kept) in [
            ("t0 t1 t2", "t0 t2"),
            ("t098 t099 t100", "t098 t100"),
            ("t3 t2 t1", "t3 t1"),
            ("t0 t5 t10", "t0 t5 t10"),
            ("jan feb mar", "jan feb mar"),
        ] {
            let steps = names(steps);
            let texts: Vec<&str> = steps.iter().map(String::as_str).collect();
            assert_eq!(short(&texts), names(kept));
            assert_eq!(all(&names(kept)), steps);
        }
        let (steps, file) = (names("t0 t1 t2"), names("t0 t2 t3 y"));
        assert_eq!(
            lacking(&file, &steps).unwrap(),
            "a row of the training data was a sequence of 3 steps, in the columns \"t0\" to \"t2\": \"t1\" is missing"
        );
        assert_eq!(
            beyond(&file, &steps).unwrap(),
            "\"t3\" behind the last of the 3 steps that the model looks at, \"t2\", is left out"
        );
        assert_eq!(beyond(&names("t2 t1 t0 note"), &steps), None);
    }
}
