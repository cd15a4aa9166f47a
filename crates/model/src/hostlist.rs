//! Slurm's short form of many node names: `gpu[01-03,7],login`.

/// The most names that one list may stand for: no cluster is larger, and a list is short enough to type.
const NAMES_MAX: usize = 1 << 17;

/// The names of a list, in its order; `None` when it is malformed or stands for too many.
pub fn names(list: &str) -> Option<Vec<String>> {
    let mut names = Vec::new();
    for item in items(list)? {
        expand(item, &mut names)?;
    }
    Some(names)
}

/// Parts between commas that are outside brackets.
fn items(list: &str) -> Option<Vec<&str>> {
    let (mut items, mut from, mut inside) = (Vec::new(), 0, false);
    for (at, letter) in list.char_indices() {
        match letter {
            '[' if inside => return None,
            '[' => inside = true,
            ']' if !inside => return None,
            ']' => inside = false,
            ',' if !inside => {
                items.push(&list[from..at]);
                from = at + 1;
            }
            _ => {}
        }
    }
    items.push(&list[from..]);
    (!inside).then(|| items.into_iter().filter(|item| !item.is_empty()).collect())
}

/// Expands the brackets of one item, one after the other.
fn expand(item: &str, names: &mut Vec<String>) -> Option<()> {
    let mut heads = vec![String::new()];
    let mut rest = item;
    while let Some((before, after)) = rest.split_once('[') {
        let (ranges, tail) = after.split_once(']')?;
        let mut next = Vec::new();
        for range in ranges.split(',') {
            let (low, high) = range.split_once('-').unwrap_or((range, range));
            let (first, last) = (number(low)?, number(high)?);
            let count = usize::try_from(last.checked_sub(first)?).ok()?;
            if count.saturating_add(1).saturating_mul(heads.len()) > NAMES_MAX - names.len() - next.len() {
                return None;
            }
            for head in &heads {
                next.extend((first..=last).map(|number| format!("{head}{before}{number:0width$}", width = low.len())));
            }
        }
        (heads, rest) = (next, tail);
    }
    if names.len() + heads.len() > NAMES_MAX {
        return None;
    }
    names.extend(heads.into_iter().map(|head| head + rest));
    Some(())
}

/// At most nine digits, so that no width is absurd.
fn number(digits: &str) -> Option<u32> {
    let plain = (1..=9).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit());
    plain.then(|| digits.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_expanded() {
        for (list, expected) in [
            ("", Some(vec![])),
            ("n1", Some(vec!["n1"])),
            ("n1,n2", Some(vec!["n1", "n2"])),
            ("n[1-3,5]", Some(vec!["n1", "n2", "n3", "n5"])),
            ("n[08-10]", Some(vec!["n08", "n09", "n10"])),
            ("r[1-2]n[1-2],x", Some(vec!["r1n1", "r1n2", "r2n1", "r2n2", "x"])),
            ("n[1-2]-ib", Some(vec!["n1-ib", "n2-ib"])),
            ("n[1-", None),
            ("n]1[", None),
            ("n[[1]]", None),
            ("n[2-1]", None),
            ("n[a-b]", None),
            ("n[]", None),
            ("n[1-999999999]", None),
            ("n[1-9999999999]", None),
            ("a[1-1000]b[1-1000]", None),
        ] {
            let expected = expected.map(|names| names.into_iter().map(str::to_owned).collect::<Vec<_>>());
            assert_eq!(names(list), expected, "{list}");
        }
    }
}
