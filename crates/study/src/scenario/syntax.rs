//! What TOML itself or the types of fields refuse, in the words of those who write scenarios.

use super::check::Check;
use crate::read::ReadError;

/// What a type of this program is called in a scenario.
const WORDS: [(&str, &str); 19] = [
    ("u8", "a whole number, not negative"),
    ("u16", "a whole number, not negative"),
    ("u32", "a whole number, not negative"),
    ("u64", "a whole number, not negative"),
    ("usize", "a whole number, not negative"),
    ("i8", "a whole number"),
    ("i16", "a whole number"),
    ("i32", "a whole number"),
    ("i64", "a whole number"),
    ("i128", "a whole number"),
    ("f32", "a number"),
    ("f64", "a number"),
    ("a boolean", "true or false"),
    ("a string", "a text in quotes"),
    ("a sequence", "a list in brackets"),
    ("a map", "a table such as { name = 1 }"),
    ("a TOML datetime", "a day and time with an offset, such as 2025-07-01T00:00:00+08:00"),
    ("struct DrawFile", "a table such as { median = 60, max = 600 }"),
    ("struct Weights", "a table such as { wait = 1000, price = 100 }"),
];

/// The refusal of a file that has not the form of a scenario.
pub(super) fn refused(check: Check<'_>, error: &toml::de::Error) -> ReadError {
    let text = check.text.text.as_str();
    let span = error.span().unwrap_or(0..0);
    let message = error.message();
    let here = text.get(span.clone()).unwrap_or("");
    let expected = match message.split_once(", expected ") {
        Some((found, expected)) if found.starts_with("invalid ") || found.starts_with("unknown variant") => expected,
        _ if message.starts_with("a number, or a list") => message,
        _ => return form(check, span.start, message),
    };
    match header(text, span.start) {
        Some(name) if expected == "a sequence" => {
            check.text.field(check.line(span.start), name, &format!("[{name}]"), &format!("[[{name}]], one for each"))
        }
        Some(name) => check.text.field(check.line(span.start), name, here, &in_words(expected)),
        None => {
            let found: Vec<&str> = here.split_whitespace().collect();
            check.text.field(check.line(span.start), field(text, span.start), &found.join(" "), &in_words(expected))
        }
    }
}

/// What is no value of a field: an unknown or a missing field, or no TOML at all.
fn form(check: Check<'_>, place: usize, message: &str) -> ReadError {
    let line = check.line(place);
    let text = check.text.text.lines().nth(usize::try_from(line).unwrap_or(1).saturating_sub(1)).unwrap_or("");
    let problem = match text.split_once('=') {
        Some((field, value)) => format!("field `{}`, `{}`: {message}", field.trim(), value.trim()),
        None => message.to_owned(),
    };
    let problem: String = problem.chars().take(500).collect();
    check.text.form(line, problem, "docs/en/scenarios.md lists all fields of a scenario")
}

/// The name of the table that begins at a place.
fn header(text: &str, place: usize) -> Option<&str> {
    let line_start = text.get(..place)?.rfind('\n').map_or(0, |end| end + 1);
    let line = text.get(line_start..)?.lines().next()?.trim_start();
    let inside =
        line.strip_prefix('[').filter(|_| text.get(line_start..place).is_some_and(|gap| gap.trim().is_empty()));
    inside.map(|inside| inside.trim_start_matches('[').split(']').next().unwrap_or("").trim())
}

/// The field that a value at a place belongs to: the key before the last equals sign.
fn field(text: &str, place: usize) -> &str {
    let before = text.get(..place).unwrap_or("");
    let before = before.rfind('=').map_or("", |at| &before[..at]).trim_end();
    let start = before.rfind(|c: char| !(c.is_ascii_alphanumeric() || "_-".contains(c))).map_or(0, |at| at + 1);
    before.get(start..).unwrap_or("")
}

fn in_words(expected: &str) -> String {
    if let Some((_, words)) = WORDS.iter().find(|(kind, _)| *kind == expected) {
        return (*words).to_owned();
    }
    if let Some(count) = expected.strip_prefix("an array of length ") {
        return format!("a list of {count}");
    }
    if expected.starts_with("struct ") || expected.starts_with("enum ") {
        return "a table of fields".to_owned();
    }
    expected.to_owned()
}
