//! Tables of separated values whose first line names the columns.

use std::str::FromStr;

use csv::{Reader, ReaderBuilder, StringRecord};

use super::{ReadError, Text};

/// A table being read, one row after the other, with wanted columns found by name.
#[derive(Debug)]
pub struct Table<'a> {
    text: &'a Text,
    reader: Reader<&'a [u8]>,
    names: Vec<String>,
    places: Vec<Option<usize>>,
    record: StringRecord,
    counted: Counted,
}

/// How far the lines of the text were counted.
#[derive(Debug, Clone, Copy, Default)]
struct Counted {
    bytes: usize,
    lines: u64,
}

impl Counted {
    /// The line, from 1, on which a record stands whose reading began at `byte`. The `csv` crate's own count is behind
    /// by the line ends that it skips before a record: empty lines, and the second half of a Windows line end.
    fn line_at(&mut self, text: &str, byte: u64) -> u64 {
        let text = text.as_bytes();
        let begun = usize::try_from(byte).map_or(text.len(), |byte| byte.clamp(self.bytes, text.len()));
        let skipped = text[begun..].iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
        let end = begun + skipped;
        self.lines += text[self.bytes..end].iter().filter(|&&byte| byte == b'\n').count() as u64;
        self.bytes = end;
        self.lines + 1
    }
}

/// What a table's header must look like.
#[derive(Debug, Clone, Copy)]
pub struct Layout<'a> {
    /// What stands between two values of a line.
    pub separator: u8,
    /// Whether values may be quoted with `"`.
    pub quoted: bool,
    /// Columns that must be there.
    pub needed: &'a [&'a str],
    /// Columns that may be there.
    pub welcome: &'a [&'a str],
    /// Whether columns that are neither may be there; what stands in them is not looked at.
    pub others: bool,
}

impl<'a> Layout<'a> {
    /// Comma-separated values with exactly these columns, in any order.
    pub fn csv(needed: &'a [&'a str]) -> Self {
        Layout { separator: b',', quoted: true, needed, welcome: &[], others: false }
    }
}

impl<'a> Table<'a> {
    /// Reads the header. Rows give their values by place in `needed`, followed by `welcome`.
    pub fn open(text: &'a Text, layout: Layout<'_>) -> Result<Self, ReadError> {
        let mut reader = ReaderBuilder::new()
            .delimiter(layout.separator)
            .quoting(layout.quoted)
            .has_headers(false)
            .from_reader(text.text.as_bytes());
        let mut header = StringRecord::new();
        let expected = layout.needed.join(char::from(layout.separator).encode_utf8(&mut [0; 4]));
        let mut counted = Counted::default();
        if !reader.read_record(&mut header).map_err(|error| damaged(text, &mut counted, &error))? {
            return Err(text.form(1, "the file is empty", format!("its first line must name the columns: {expected}")));
        }
        header.trim();
        let names: Vec<&str> = layout.needed.iter().chain(layout.welcome).copied().collect();
        let mut places = vec![None; names.len()];
        for (place, found) in header.iter().enumerate() {
            // Column names are compared without case, as the tools that write them do.
            match names.iter().position(|name| name.eq_ignore_ascii_case(found)) {
                Some(column) if places[column].is_some() => {
                    return Err(text.form(1, format!("column `{}` is there twice", shown(found)), "remove one"));
                }
                Some(column) => places[column] = Some(place),
                None if layout.others => {}
                None => return Err(text.field(1, "header", found, &format!("one of {}", names.join(", ")))),
            }
        }
        if let Some(missing) =
            layout.needed.iter().zip(&places).find_map(|(name, place)| place.is_none().then_some(name))
        {
            return Err(text.form(1, format!("no column `{missing}`"), format!("the first line must name {expected}")));
        }
        let names = names.into_iter().map(str::to_owned).collect();
        Ok(Table { text, reader, names, places, record: header, counted })
    }

    /// Whether the table has the column.
    pub fn has(&self, column: usize) -> bool {
        self.places[column].is_some()
    }

    /// The next row, or `None` after the last. Empty lines are no rows.
    pub fn row(&mut self) -> Result<Option<Row<'_>>, ReadError> {
        let more = self.reader.read_record(&mut self.record);
        if !more.map_err(|error| damaged(self.text, &mut self.counted, &error))? {
            return Ok(None);
        }
        let byte = self.record.position().map_or(0, csv::Position::byte);
        let line = self.counted.line_at(&self.text.text, byte);
        Ok(Some(Row { text: self.text, names: &self.names, places: &self.places, record: &self.record, line }))
    }
}

/// One row of a table.
#[derive(Debug, Clone, Copy)]
pub struct Row<'t> {
    text: &'t Text,
    names: &'t [String],
    places: &'t [Option<usize>],
    record: &'t StringRecord,
    /// Its line in the file, from 1.
    pub line: u64,
}

impl<'t> Row<'t> {
    /// What stands in a column, without blanks around it; empty where the table has no such column.
    pub fn text(&self, column: usize) -> &'t str {
        self.places[column].and_then(|place| self.record.get(place)).unwrap_or("").trim()
    }

    /// Whether the table has the column.
    pub fn has(&self, column: usize) -> bool {
        self.places[column].is_some()
    }

    /// A value made by `read`, or the error that names what was `expected`.
    pub fn read<T>(&self, column: usize, expected: &str, read: impl FnOnce(&str) -> Option<T>) -> Result<T, ReadError> {
        let found = self.text(column);
        read(found).ok_or_else(|| self.text.field(self.line, &self.names[column], found, expected))
    }

    /// A value as its type reads itself.
    pub fn parse<T: FromStr>(&self, column: usize, expected: &str) -> Result<T, ReadError> {
        self.read(column, expected, |found| found.parse().ok())
    }
}

/// A decimal number times `scale`, to the nearest integer; `None` when it is none, or too large to be exact in a float.
pub fn scaled(found: &str, scale: f64) -> Option<i64> {
    let plain = |byte: u8| byte.is_ascii_digit() || b"+-.eE".contains(&byte);
    let value = found.bytes().all(plain).then(|| found.parse::<f64>().ok())?? * scale;
    (value.abs() < 9e15).then(|| value.round() as i64)
}

/// Like [`scaled`], for what cannot be negative.
pub fn scaled_up(found: &str, scale: f64) -> Option<u64> {
    scaled(found, scale).and_then(|value| u64::try_from(value).ok())
}

fn damaged(text: &Text, counted: &mut Counted, error: &csv::Error) -> ReadError {
    let line = counted.line_at(&text.text, error.position().map_or(0, csv::Position::byte));
    match error.kind() {
        csv::ErrorKind::UnequalLengths { expected_len, len, .. } => text.form(
            line,
            format!("{len} values where the header names {expected_len} columns"),
            "is the line cut, or does a value hold the separator?",
        ),
        _ => text.form(line, format!("not a table: {error}"), "see docs/traces.md for the format"),
    }
}

fn shown(found: &str) -> String {
    found.chars().take(80).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str, layout: Layout<'_>) -> Result<Vec<String>, String> {
        let text = Text::new("t.csv", text);
        let mut table = Table::open(&text, layout).map_err(|error| error.to_string())?;
        let mut rows = Vec::new();
        while let Some(row) = table.row().map_err(|error| error.to_string())? {
            rows.push(format!("{}:{}/{}", row.line, row.text(0), row.text(1)));
        }
        Ok(rows)
    }

    #[test]
    fn columns_are_found_by_name() {
        let exact = Layout::csv(&["a", "b"]);
        let bars = Layout { separator: b'|', quoted: false, needed: &["a"], welcome: &["b"], others: true };
        for (text, layout, expected) in [
            ("a,b\n1,2\n", exact, Ok(vec!["2:1/2"])),
            ("B,A\r\n1, 2 \r\n\r\n3,\"4,5\"", exact, Ok(vec!["2:2/1", "4:4,5/3"])),
            ("a,b\n", exact, Ok(vec![])),
            ("", exact, Err("line 1: the file is empty")),
            ("a\n", exact, Err("no column `b`")),
            ("a,b,c\n", exact, Err("`c` where one of a, b was expected")),
            ("a,b,a\n", exact, Err("column `a` is there twice")),
            ("a,b\r\n\r\n1\r\n", exact, Err("line 3: 1 values")),
            ("a,b\n1\n", exact, Err("line 2: 1 values where the header names 2 columns")),
            ("x|A\n1|2\"\n", bars, Ok(vec!["2:2\"/"])),
            ("b|A\n1|2\n", bars, Ok(vec!["2:2/1"])),
            ("b\n1\n", bars, Err("no column `a`")),
        ] {
            match (read(text, layout), expected) {
                (Ok(rows), Ok(expected)) => assert_eq!(rows, expected, "{text:?}"),
                (Err(error), Err(expected)) => assert!(error.contains(expected), "{text:?}: {error}"),
                (found, _) => panic!("{text:?}: {found:?}"),
            }
        }
    }

    #[test]
    fn numbers_are_scaled_to_integers() {
        for (found, scale, expected) in [
            ("25.408055555555556", 3_600_000.0, Some(91_469_000)),
            (".0820199966430664", 1e6, Some(82_020)),
            ("-.0006999999880791", 1e6, Some(-700)),
            ("66.0", 1e3, Some(66_000)),
            ("1e3", 1.0, Some(1000)),
            ("", 1.0, None),
            ("inf", 1.0, None),
            ("NaN", 1.0, None),
            ("1e300", 1e300, None),
            ("1 2", 1.0, None),
            ("0x10", 1.0, None),
        ] {
            assert_eq!(scaled(found, scale), expected, "{found}");
        }
        assert_eq!(scaled_up("-1", 1.0), None);
        assert_eq!(scaled_up("0.5", 1000.0), Some(500));
    }
}
