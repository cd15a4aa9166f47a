//! Standard output is for data, standard error for people.

use std::io::{self, IsTerminal, Write};

use serde::Serialize;

use crate::{
    args::{Format, Global},
    failure::Failure,
    table::{Listing, Tone},
};

/// How this run writes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Output {
    /// The format of results.
    pub(crate) format: Format,
    /// No remarks.
    pub(crate) quiet: bool,
    /// Colours on standard output.
    pub(crate) colour: bool,
    /// Columns of the terminal on standard output; `None` when it is not one.
    pub(crate) width: Option<u16>,
}

/// The narrowest terminal that tables are laid out for; below, lines are broken by the terminal.
const WIDTH_MIN: u16 = 40;

impl Output {
    /// Looks at flags, environment and terminal.
    pub(crate) fn new(global: &Global) -> Output {
        let terminal = io::stdout().is_terminal();
        let no_color = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let dumb = std::env::var_os("TERM").is_some_and(|value| value == "dumb");
        Output {
            format: global.output,
            quiet: global.quiet,
            colour: terminal && !global.no_color && !no_color && !dumb,
            width: terminal.then(terminal_width),
        }
    }

    /// Writes one line of data.
    pub(crate) fn line(&self, text: &str) -> Result<(), Failure> {
        let mut out = io::stdout().lock();
        out.write_all(text.as_bytes())?;
        out.write_all(b"\n")?;
        Ok(())
    }

    /// Writes a remark for people, unless they asked for quiet.
    pub(crate) fn remark(&self, text: &str) {
        if !self.quiet {
            // Nobody can be told that standard error is closed.
            let _ = writeln!(io::stderr().lock(), "{text}");
        }
    }

    /// One object: JSON in the machine formats, `table` for people. CSV is one header and one line per
    /// row of `listing`.
    pub(crate) fn one<T: Serialize>(
        &self,
        object: &T,
        listing: impl FnOnce() -> Listing,
        people: impl FnOnce(&Output) -> String,
    ) -> Result<(), Failure> {
        match self.format {
            Format::Table => self.line(&people(self)),
            Format::Csv => self.line(&listing().csv()),
            Format::Json => self.json(object),
            Format::Ndjson => self.compact(object),
        }
    }

    /// A list: `object` is the API's answer as a whole, `items` its elements for NDJSON. An empty list is
    /// said on standard error, so that standard output holds data only.
    pub(crate) fn list<T: Serialize, I: Serialize>(
        &self,
        object: &T,
        items: &[I],
        empty: &str,
        listing: impl FnOnce() -> Listing,
    ) -> Result<(), Failure> {
        match self.format {
            Format::Table => {
                let listing = listing();
                if listing.is_empty() {
                    self.remark(empty);
                    return Ok(());
                }
                self.line(&listing.table(self.width, self.colour))
            }
            Format::Csv => self.line(&listing().csv()),
            Format::Json => self.json(object),
            Format::Ndjson => items.iter().try_for_each(|item| self.compact(item)),
        }
    }

    /// JSON: indented on a terminal, one line in a pipe.
    pub(crate) fn json<T: Serialize>(&self, object: &T) -> Result<(), Failure> {
        let text = match self.width {
            Some(_) => serde_json::to_string_pretty(object),
            None => serde_json::to_string(object),
        };
        self.line(&text.expect("wire types have string keys"))
    }

    fn compact<T: Serialize>(&self, object: &T) -> Result<(), Failure> {
        self.line(&serde_json::to_string(object).expect("wire types have string keys"))
    }

    /// A state in its colour.
    pub(crate) fn state(&self, state: &str) -> String {
        Tone::of(state).paint(state, self.colour)
    }

    /// A table for people as part of a larger text.
    pub(crate) fn table(&self, listing: &Listing) -> String {
        listing.table(self.width, self.colour)
    }
}

fn terminal_width() -> u16 {
    match rustix::termios::tcgetwinsize(io::stdout()) {
        Ok(size) if size.ws_col >= WIDTH_MIN => size.ws_col,
        _ => 80,
    }
}

/// Names and values below each other, values in one column.
pub(crate) fn fields(pairs: &[(&str, String)]) -> String {
    let width = pairs.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    let lines: Vec<String> = pairs
        .iter()
        .filter(|(_, value)| !value.is_empty())
        .map(|(name, value)| format!("{name:width$}  {}", crate::failure::one_line(value)))
        .collect();
    lines.join("\n")
}
