//! A checker of OpenMetrics 1.0 text: a small part of the standard, enough to catch what scrapers refuse.

use std::collections::{BTreeMap, BTreeSet};

/// Every sample by its name and labels as written. Says the first line that is wrong.
pub(crate) fn parse(text: &str) -> Result<BTreeMap<String, f64>, String> {
    let body = text.strip_suffix("# EOF\n").ok_or("the last line is not `# EOF`")?;
    let mut families: BTreeMap<String, String> = BTreeMap::new();
    let mut family: Option<(String, String)> = None;
    let mut samples = BTreeMap::new();
    for line in body.lines() {
        let wrong = |why: &str| format!("{why}: `{line}`");
        if let Some(comment) = line.strip_prefix("# ") {
            let mut words = comment.splitn(3, ' ');
            let (kind, name, rest) = (words.next(), words.next().unwrap_or(""), words.next().unwrap_or(""));
            match kind {
                Some("HELP") if !rest.is_empty() => {}
                Some("UNIT") if name.ends_with(&format!("_{rest}")) => {}
                Some("TYPE") => {
                    if families.insert(name.to_owned(), rest.to_owned()).is_some() {
                        return Err(wrong("a family twice"));
                    }
                    family = Some((name.to_owned(), rest.to_owned()));
                }
                _ => return Err(wrong("not a comment that is known")),
            }
            continue;
        }
        let (name, value) = line.rsplit_once(' ').ok_or_else(|| wrong("no value"))?;
        let value: f64 = value.parse().map_err(|_| wrong("no number"))?;
        let (bare, labels) = name.split_once('{').map_or((name, ""), |(bare, labels)| (bare, labels));
        let known = family.as_ref().ok_or_else(|| wrong("a sample before its TYPE"))?;
        let suffix = bare.strip_prefix(&known.0).ok_or_else(|| wrong("a sample outside its family"))?;
        let suffixes: &[&str] = match known.1.as_str() {
            "counter" => &["_total", "_created"],
            "gauge" => &[""],
            "histogram" => &["_bucket", "_sum", "_count", "_created"],
            "info" => &["_info"],
            _ => return Err(wrong("a type that is not known")),
        };
        if !suffixes.contains(&suffix) {
            return Err(wrong("a suffix that its type has not"));
        }
        check_labels(labels).map_err(|why| wrong(&why))?;
        if samples.insert(name.to_owned(), value).is_some() {
            return Err(wrong("a sample twice"));
        }
    }
    Ok(samples)
}

/// `name="value",...}` with every name once and quotes escaped.
fn check_labels(labels: &str) -> Result<(), String> {
    if labels.is_empty() {
        return Ok(());
    }
    let mut rest = labels.strip_suffix('}').ok_or("no closing brace")?;
    let mut names = BTreeSet::new();
    while !rest.is_empty() {
        let (name, after) = rest.split_once("=\"").ok_or("a label without value")?;
        let good = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
            && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
        if !good || !names.insert(name) {
            return Err(format!("label `{name}`"));
        }
        let mut escaped = false;
        let end = after.find(|c: char| match c {
            _ if std::mem::take(&mut escaped) => false,
            '\\' => {
                escaped = true;
                false
            }
            c => c == '"',
        });
        rest = &after[end.ok_or("a value without end")? + 1..];
        rest = rest.strip_prefix(',').unwrap_or(rest);
    }
    Ok(())
}

#[test]
fn the_checker_tells_good_from_bad() {
    for (text, good) in [
        ("# TYPE a counter\na_total{x=\"y\\\"z\",w=\"\"} 1\n# EOF\n", true),
        ("# HELP a_seconds A b.\n# TYPE a_seconds histogram\n# UNIT a_seconds seconds\na_seconds_sum 1\n# EOF\n", true),
        ("# TYPE a counter\na_total 1\n", false),
        ("# TYPE a counter\na 1\n# EOF\n", false),
        ("a_total 1\n# EOF\n", false),
        ("# TYPE a gauge\na{x=\"1\",x=\"2\"} 1\n# EOF\n", false),
        ("# TYPE a gauge\na one\n# EOF\n", false),
        ("# TYPE a gauge\na 1\na 1\n# EOF\n", false),
    ] {
        assert_eq!(parse(text).is_ok(), good, "{text}: {:?}", parse(text));
    }
}
