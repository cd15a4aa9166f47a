//! Indicator series that somebody else published, to set beside a report: CSV with the columns `period`, `name` and
//! `value`. They are declared figures and stay marked as such.

use std::collections::BTreeMap;

/// Why a file is refused. Nothing of it is taken then.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IndicatorError {
    /// A column is missing.
    #[error("indicator file has no column `{0}`; hint: its first line names the columns period, name and value")]
    Column(&'static str),
    /// A line cannot be read.
    #[error("indicator file, line {line}: {why}; hint: a line is a period such as 2026-11, a name and a number")]
    Line {
        /// Its number, from 1.
        line: u64,
        /// What is wrong with it.
        why: String,
    },
}

/// Values by name and period.
pub type Indicators = BTreeMap<String, BTreeMap<String, f64>>;

/// The most series of one file.
const SERIES_MAX: usize = 100;

/// Reads a file's text.
///
/// # Errors
/// When a column is missing, a value is no finite number, or a series has two values for one period.
pub fn read_indicators(text: &str) -> Result<Indicators, IndicatorError> {
    let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::All).from_reader(text.as_bytes());
    let unreadable = |error: &csv::Error| {
        let line = error.position().map_or(1, csv::Position::line);
        IndicatorError::Line { line, why: error.to_string() }
    };
    let header = reader.headers().map_err(|error| unreadable(&error))?.clone();
    let column = |name: &'static str| header.iter().position(|known| known == name).ok_or(IndicatorError::Column(name));
    let (period, name, value) = (column("period")?, column("name")?, column("value")?);
    let mut series = Indicators::new();
    for record in reader.records() {
        let record = record.map_err(|error| unreadable(&error))?;
        let line = record.position().map_or(0, csv::Position::line);
        let wrong = |why: String| IndicatorError::Line { line, why };
        let field = |at: usize| record.get(at).unwrap_or("").to_owned();
        let number: f64 = field(value).parse().map_err(|_| wrong(format!("`{}` is not a number", field(value))))?;
        if !number.is_finite() || field(name).is_empty() || field(period).is_empty() {
            return Err(wrong("a period, a name and a finite number are needed".to_owned()));
        }
        if series.len() == SERIES_MAX && !series.contains_key(&field(name)) {
            return Err(wrong(format!("there are more than {SERIES_MAX} series")));
        }
        if series.entry(field(name)).or_default().insert(field(period), number).is_some() {
            return Err(wrong(format!("`{}` has two values for {}", field(name), field(period))));
        }
    }
    Ok(series)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn series_are_read_by_name_and_period() {
        let text = "name,period,value,source\n工业机器人产量,2026-10,5.1,news\n\"servers, units\",2026-10, 46.8 ,x\n\
                    工业机器人产量,2026-11,-3,news\n";
        let series = read_indicators(text).expect("a file");
        assert_eq!(series["工业机器人产量"]["2026-11"], -3.0);
        assert_eq!(series["servers, units"]["2026-10"], 46.8);
    }

    #[test]
    fn bad_files_are_refused_with_their_line() {
        for (text, expected) in [
            ("", "no column `period`"),
            ("period,name\n", "no column `value`"),
            ("period,name,value\n2026-10,a,many\n", "line 2: `many` is not a number"),
            ("period,name,value\n2026-10,a,NaN\n", "a finite number"),
            ("period,name,value\n,a,1\n", "a period, a name"),
            ("period,name,value\n2026-10,a,1\n2026-10,a,2\n", "line 3: `a` has two values"),
            ("period,name,value\n2026-10,a\n", "line 2"),
        ] {
            let error = read_indicators(text).expect_err(expected).to_string();
            assert!(error.contains(expected) && error.contains("; hint: "), "{error}");
        }
    }
}
