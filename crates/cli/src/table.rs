//! Lists as calm tables for people and as CSV for machines.

use comfy_table::{CellAlignment, ContentArrangement, Table, presets};

use crate::failure::one_line;

/// What a cell's colour says. Nothing depends on it: the word in the cell says the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tone {
    /// Nothing to be said.
    Plain,
    /// It goes on.
    Busy,
    /// It went well.
    Good,
    /// It waits, or somebody should look.
    Careful,
    /// It went wrong.
    Bad,
}

impl Tone {
    /// A state's colour.
    pub(crate) fn of(state: &str) -> Tone {
        match state {
            "running" | "placed" => Tone::Busy,
            "succeeded" | "active" | "ok" | "yes" => Tone::Good,
            "waiting" | "paused" => Tone::Careful,
            "failed" | "no" => Tone::Bad,
            _ => Tone::Plain,
        }
    }

    fn code(self) -> Option<&'static str> {
        match self {
            Tone::Plain => None,
            Tone::Busy => Some("36"),
            Tone::Good => Some("32"),
            Tone::Careful => Some("33"),
            Tone::Bad => Some("31"),
        }
    }

    /// Wraps a text in this colour.
    pub(crate) fn paint(self, text: &str, colour: bool) -> String {
        match self.code() {
            Some(code) if colour => format!("\u{1b}[{code}m{text}\u{1b}[0m"),
            _ => text.to_owned(),
        }
    }
}

/// Marks the beginning of a coloured text while the table is laid out. Both marks have no width, so
/// the columns stay straight; they are replaced by colour codes in the finished lines.
const MARKS: [(Tone, char); 4] =
    [(Tone::Busy, '\u{2061}'), (Tone::Good, '\u{2062}'), (Tone::Careful, '\u{2063}'), (Tone::Bad, '\u{2064}')];
/// Marks the end of a coloured text.
const MARK_END: char = '\u{2060}';

/// One cell.
#[derive(Debug, Clone)]
pub(crate) struct Cell {
    text: String,
    raw: Option<String>,
    tone: Tone,
    right: bool,
}

impl Cell {
    /// Text that people and machines read alike.
    pub(crate) fn text(text: impl ToString) -> Cell {
        Cell { text: one_line(&text.to_string()), raw: None, tone: Tone::Plain, right: false }
    }

    /// A state: the word, coloured by what it means.
    pub(crate) fn state(state: &str) -> Cell {
        Cell { tone: Tone::of(state), ..Cell::text(state) }
    }

    /// A figure: to the right, with the exact value for machines.
    pub(crate) fn figure(text: impl ToString, raw: impl ToString) -> Cell {
        Cell { raw: Some(raw.to_string()), right: true, ..Cell::text(text) }
    }

    /// Nothing known: a dash for people, nothing for machines.
    pub(crate) fn none() -> Cell {
        Cell { raw: Some(String::new()), ..Cell::text("-") }
    }
}

/// A list: column names and rows.
#[derive(Debug, Clone)]
pub(crate) struct Listing {
    columns: Vec<&'static str>,
    /// The first so many columns are for people too; the rest is in CSV only.
    shown: usize,
    rows: Vec<Vec<Cell>>,
}

impl Listing {
    /// An empty list. Column names are those of CSV; people see them in capitals, without their unit.
    pub(crate) fn new(columns: &[&'static str]) -> Listing {
        Listing::with_details(columns, &[])
    }

    /// An empty list with more columns at its end that only CSV has.
    pub(crate) fn with_details(columns: &[&'static str], details: &[&'static str]) -> Listing {
        Listing { columns: [columns, details].concat(), shown: columns.len(), rows: Vec::new() }
    }

    /// Adds a row; it has as many cells as there are columns.
    pub(crate) fn row(&mut self, cells: Vec<Cell>) {
        debug_assert_eq!(cells.len(), self.columns.len());
        self.rows.push(cells);
    }

    /// True without rows.
    pub(crate) fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Lays the table out. Rows are broken to `width` columns where one is given (a terminal) and stay
    /// on one line each where not (a pipe).
    pub(crate) fn table(&self, width: Option<u16>, colour: bool) -> String {
        let mut table = Table::new();
        table.load_style(presets::NOTHING);
        if let Some(width) = width {
            table.set_content_arrangement(ContentArrangement::Dynamic).set_width(width);
        }
        table.set_header(self.columns[..self.shown].iter().map(|name| heading(name)).collect::<Vec<_>>());
        for row in &self.rows {
            table.add_row(row[..self.shown].iter().map(|cell| laid_out(cell, colour)).collect::<Vec<_>>());
        }
        let last = self.shown.saturating_sub(1);
        for (at, column) in table.column_iter_mut().enumerate() {
            column.set_padding((0, if at == last { 0 } else { 2 }));
            if self.rows.iter().any(|row| row[at].right) {
                column.set_cell_alignment(CellAlignment::Right);
            }
        }
        let lines: Vec<String> = table.lines().map(|line| painted(line.trim_end())).collect();
        lines.join("\n")
    }

    /// RFC 4180, with the exact values.
    pub(crate) fn csv(&self) -> String {
        let mut text = self.columns.join(",");
        for row in &self.rows {
            text.push('\n');
            let fields: Vec<String> =
                row.iter().map(|cell| csv_field(cell.raw.as_deref().unwrap_or(&cell.text))).collect();
            text.push_str(&fields.join(","));
        }
        text
    }
}

/// Cells for people carry their units themselves.
fn heading(column: &str) -> String {
    let units = ["_ms", "_bytes", "_millionths", "_gflop_per_s", "_gflop", "_id"];
    let name = units.iter().find_map(|unit| column.strip_suffix(unit)).unwrap_or(column);
    name.replace('_', " ").to_uppercase()
}

fn laid_out(cell: &Cell, colour: bool) -> comfy_table::Cell {
    let mark = MARKS.iter().find(|(tone, _)| *tone == cell.tone && colour);
    let text = match mark {
        Some((_, mark)) => format!("{mark}{}{MARK_END}", cell.text),
        None => cell.text.clone(),
    };
    comfy_table::Cell::new_owned(text)
}

fn painted(line: &str) -> String {
    let mut text = String::with_capacity(line.len());
    for character in line.chars() {
        match MARKS.iter().find(|(_, mark)| *mark == character) {
            Some((tone, _)) => text.push_str(&format!("\u{1b}[{}m", tone.code().unwrap_or("0"))),
            None if character == MARK_END => text.push_str("\u{1b}[0m"),
            None => text.push(character),
        }
    }
    text
}

fn csv_field(text: &str) -> String {
    if text.contains([',', '"', '\n', '\r']) { format!("\"{}\"", text.replace('"', "\"\"")) } else { text.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listing() -> Listing {
        let mut listing = Listing::with_details(&["job_id", "state", "cost_millionths"], &["note"]);
        listing.row(vec![Cell::text(1), Cell::state("running"), Cell::figure("CNY 1.50", 1_500_000), Cell::none()]);
        listing.row(vec![Cell::text("算力, \"网\""), Cell::state("failed"), Cell::none(), Cell::text("x")]);
        listing
    }

    #[test]
    fn columns_stay_straight_with_wide_characters_and_colours() {
        let plain = listing().table(None, false);
        assert_eq!(
            plain,
            "JOB         STATE        COST\n1           running  CNY 1.50\n算力, \"网\"  failed          -"
        );
        let coloured = listing().table(None, true);
        assert_eq!(coloured.replace("\u{1b}[36m", "").replace("\u{1b}[31m", "").replace("\u{1b}[0m", ""), plain);
        assert!(coloured.contains("\u{1b}[36mrunning\u{1b}[0m"), "{coloured}");
    }

    #[test]
    fn a_terminal_is_never_overrun() {
        let mut listing = listing();
        listing.row(vec![Cell::text("word ".repeat(40)), Cell::state("waiting"), Cell::none(), Cell::none()]);
        for line in listing.table(Some(40), false).lines() {
            assert!(line.chars().count() <= 40, "{line}");
        }
    }

    #[test]
    fn csv_quotes_what_must_be_quoted_and_keeps_exact_values() {
        assert_eq!(
            listing().csv(),
            "job_id,state,cost_millionths,note\n1,running,1500000,\n\"算力, \"\"网\"\"\",failed,,x"
        );
    }
}
