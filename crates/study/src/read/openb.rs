//! Node and task lists of Alibaba's GPU cluster trace of 2023 (`cluster-trace-gpu-v2023`, "openb").
//!
//! Nodes: `sn,cpu_milli,memory_mib,gpu,model`. Tasks: `name,cpu_milli,memory_mib,num_gpu,gpu_milli` and
//! optionally `gpu_spec` (allowed models, separated by `|`); the trace's further columns are known and not used.

use std::collections::BTreeMap;

use huisuan_schedule::pack::{Ask, DEVICES_MAX, Devices, Parts, Room, WHOLE};

use super::{ReadError, Text};

/// A fleet's nodes, sorted by name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenbNodes {
    /// Their names, ascending.
    pub names: Vec<String>,
    /// Their rooms, empty, in the same order.
    pub rooms: Vec<Room>,
    /// The models of their devices, by part number.
    pub models: Vec<String>,
}

impl OpenbNodes {
    /// Capacity in thousandths of a device.
    pub fn capacity_thousandths(&self) -> u64 {
        self.rooms.iter().map(|room| u64::from(room.free_total())).sum()
    }
}

const NODE_COLUMNS: [&str; 5] = ["sn", "cpu_milli", "memory_mib", "gpu", "model"];
const TASK_COLUMNS: [&str; 11] = [
    "name",
    "cpu_milli",
    "memory_mib",
    "num_gpu",
    "gpu_milli",
    "gpu_spec",
    "qos",
    "pod_phase",
    "creation_time",
    "deletion_time",
    "scheduled_time",
];
/// Part numbers that an ask can name; the last one is for nodes without devices.
const MODELS_MAX: usize = 63;
/// The part number of nodes without devices.
const NO_PART: u8 = 63;

/// Reads a list of nodes.
///
/// # Errors
///
/// The first thing that is not as the format says: a column that is missing or unknown, a number that is none, a
/// name that comes twice, more than 16 devices of a node, or more than 63 models.
pub fn read_openb_nodes(text: &Text) -> Result<OpenbNodes, ReadError> {
    let mut table = Table::new(text, &NODE_COLUMNS, 5)?;
    let mut nodes = BTreeMap::new();
    let mut models: Vec<String> = Vec::new();
    while let Some(row) = table.next()? {
        let name = row.name("sn")?;
        let devices = row.number("gpu", DEVICES_MAX as u32)? as u8;
        let model = row.field("model");
        let part = match (devices, model) {
            (0, _) => NO_PART,
            (_, "") => return Err(text.field(row.line, "model", "", "a model name")),
            _ => match models.iter().position(|known| known == model) {
                Some(part) => part as u8,
                None if models.len() < MODELS_MAX => {
                    models.push(model.to_owned());
                    models.len() as u8 - 1
                }
                None => return Err(text.field(row.line, "model", model, "one of at most 63 models")),
            },
        };
        let room = Room::empty(row.number("cpu_milli", u32::MAX)?, row.number("memory_mib", u32::MAX)?, part, devices);
        if nodes.insert(name.to_owned(), room).is_some() {
            return Err(text.field(row.line, "sn", name, "a name that did not come before"));
        }
    }
    if nodes.is_empty() {
        return Err(text.form(1, "no node", "give a list with at least one node"));
    }
    let (names, rooms) = nodes.into_iter().unzip();
    Ok(OpenbNodes { names, rooms, models })
}

/// Reads a list of tasks for nodes of these models, in the order of their names.
///
/// A model that no node has is allowed: the task just cannot go there.
///
/// # Errors
///
/// The first thing that is not as the format says: a column that is missing or unknown, a number that is none, a
/// name that comes twice, a fraction of several devices, or thousandths without a device.
pub fn read_openb_tasks(text: &Text, models: &[String]) -> Result<Vec<Ask>, ReadError> {
    let mut table = Table::new(text, &TASK_COLUMNS, 5)?;
    let mut tasks = BTreeMap::new();
    while let Some(row) = table.next()? {
        let name = row.name("name")?;
        let count = row.number("num_gpu", DEVICES_MAX as u32)?;
        let milli = row.number("gpu_milli", u32::from(WHOLE))?;
        let devices = match (count, milli) {
            (0, 0) => Devices::None,
            (1, 1..1000) => Devices::Share(milli as u16),
            (1.., 1000) => Devices::Whole(count as u8),
            (0, _) => {
                return Err(text.field(row.line, "gpu_milli", &milli.to_string(), "0 for a task without devices"));
            }
            (1, _) => return Err(text.field(row.line, "gpu_milli", &milli.to_string(), "a number from 1 to 1000")),
            _ => return Err(text.field(row.line, "gpu_milli", &milli.to_string(), "1000 for several devices")),
        };
        let ask = Ask {
            cores_milli: row.number("cpu_milli", u32::MAX)?,
            memory_mib: row.number("memory_mib", u32::MAX)?,
            devices,
            parts: parts(row.field("gpu_spec"), models),
        };
        if tasks.insert(name.to_owned(), ask).is_some() {
            return Err(text.field(row.line, "name", name, "a name that did not come before"));
        }
    }
    if tasks.is_empty() {
        return Err(text.form(1, "no task", "give a list with at least one task"));
    }
    Ok(tasks.into_values().collect())
}

/// The allowed models as part numbers; all when none is named.
fn parts(spec: &str, models: &[String]) -> Parts {
    let mut named = spec.split('|').filter(|model| !model.is_empty()).peekable();
    if named.peek().is_none() {
        return Parts::ANY;
    }
    let part = |model: &str| models.iter().position(|known| known == model);
    Parts(named.filter_map(part).fold(0, |parts, part| parts | 1 << part))
}

/// A CSV table with named columns, all of them known.
struct Table<'a> {
    text: &'a Text,
    reader: csv::Reader<&'a [u8]>,
    columns: Vec<String>,
}

/// One row of a table.
struct Row<'a> {
    text: &'a Text,
    line: u64,
    columns: Vec<String>,
    record: csv::StringRecord,
}

impl<'a> Table<'a> {
    /// Reads the header; the first `needed` known columns must be there.
    fn new(text: &'a Text, known: &[&str], needed: usize) -> Result<Self, ReadError> {
        let mut reader = csv::ReaderBuilder::new().from_reader(text.text.as_bytes());
        let header = reader.headers().map_err(|error| malformed(text, &error))?;
        let columns: Vec<String> = header.iter().map(str::to_owned).collect();
        for (place, column) in columns.iter().enumerate() {
            if !known.contains(&column.as_str()) || columns[..place].contains(column) {
                return Err(text.field(1, "header", column, &format!("one of {}, each once", known.join(", "))));
            }
        }
        if let Some(missing) = known[..needed].iter().find(|&&name| !columns.iter().any(|column| column == name)) {
            return Err(text.form(1, format!("column `{missing}` is missing"), "take the lists as they are published"));
        }
        Ok(Table { text, reader, columns })
    }

    fn next(&mut self) -> Result<Option<Row<'a>>, ReadError> {
        let mut record = csv::StringRecord::new();
        if !self.reader.read_record(&mut record).map_err(|error| malformed(self.text, &error))? {
            return Ok(None);
        }
        let line = record.position().map_or(1, csv::Position::line);
        Ok(Some(Row { text: self.text, line, columns: self.columns.clone(), record }))
    }
}

impl Row<'_> {
    /// A field; empty where the table has no such column.
    fn field(&self, name: &str) -> &str {
        let place = self.columns.iter().position(|column| column == name);
        place.and_then(|place| self.record.get(place)).unwrap_or_default()
    }

    fn name(&self, column: &str) -> Result<&str, ReadError> {
        match self.field(column) {
            "" => Err(self.text.field(self.line, column, "", "a name")),
            name => Ok(name),
        }
    }

    fn number(&self, column: &str, most: u32) -> Result<u32, ReadError> {
        let found = self.field(column);
        let wrong = || self.text.field(self.line, column, found, &format!("a whole number from 0 to {most}"));
        found.parse().ok().filter(|&number| number <= most).ok_or_else(wrong)
    }
}

fn malformed(text: &Text, error: &csv::Error) -> ReadError {
    let line = error.position().map_or(1, csv::Position::line);
    text.form(line, error.to_string(), "give every line as many fields as the header has")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NODES: &str = "sn,cpu_milli,memory_mib,gpu,model\nb,96000,1000,8,G2\na,64000,2000,2,T4\nc,32000,3000,0,\n";

    fn models() -> Vec<String> {
        vec!["G2".to_owned(), "T4".to_owned()]
    }

    fn task(fields: &str) -> Result<Vec<Ask>, ReadError> {
        let text = format!("name,cpu_milli,memory_mib,num_gpu,gpu_milli,gpu_spec\n{fields}\n");
        read_openb_tasks(&Text::new("tasks.csv", text), &models())
    }

    fn refused(result: Result<impl std::fmt::Debug, ReadError>, part: &str) {
        let message = result.expect_err("refused").to_string();
        assert!(message.contains(part), "{message}");
    }

    #[test]
    fn nodes_are_sorted_by_name() {
        let nodes = read_openb_nodes(&Text::new("nodes.csv", NODES)).expect("a list");
        assert_eq!(nodes.names, ["a", "b", "c"]);
        assert_eq!(nodes.models, ["G2", "T4"]);
        assert_eq!(nodes.rooms[0], Room::empty(64_000, 2000, 1, 2));
        assert_eq!(nodes.rooms[2], Room::empty(32_000, 3000, NO_PART, 0));
        assert_eq!(nodes.capacity_thousandths(), 10_000);
    }

    #[test]
    fn tasks_say_what_they_take() {
        let asks = task("c,1,2,1,810,\nb,1,2,4,1000,T4|H100\na,3,4,0,0,").expect("a list");
        let ask = |cores_milli, memory_mib, devices, parts| Ask { cores_milli, memory_mib, devices, parts };
        assert_eq!(asks[0], ask(3, 4, Devices::None, Parts::ANY));
        assert_eq!(asks[1], ask(1, 2, Devices::Whole(4), Parts(2)));
        assert_eq!(asks[2], ask(1, 2, Devices::Share(810), Parts::ANY));
    }

    #[test]
    fn what_is_wrong_is_said_with_line_and_field() {
        for (fields, part) in [
            ("a,x,2,0,0,", "line 2, field `cpu_milli`: `x`"),
            ("a,1,2,0,0,\na,1,2,0,0,", "line 3, field `name`: `a`"),
            ("a,1,2,2,500,", "1000 for several devices"),
            ("a,1,2,0,500,", "0 for a task without devices"),
            ("a,1,2,1,0,", "a number from 1 to 1000"),
            ("a,1,2,17,1000,", "from 0 to 16"),
            ("a,1,2", "line 2"),
            (",1,2,0,0,", "a name"),
        ] {
            refused(task(fields), part);
        }
        refused(read_openb_tasks(&Text::new("t", "name,cpu_milli\n"), &models()), "column `memory_mib` is missing");
        refused(read_openb_nodes(&Text::new("n", "sn,cpu_milli,memory_mib,gpu,model,rack\n")), "`rack`");
        refused(read_openb_nodes(&Text::new("n", "sn,cpu_milli,memory_mib,gpu,model\n")), "no node");
        refused(read_openb_nodes(&Text::new("n", "sn,cpu_milli,memory_mib,gpu,model\na,1,1,1,\n")), "`model`");
    }

    proptest! {
        #[test]
        fn no_text_makes_the_readers_panic(text in "(name|sn|,|cpu_milli|memory_mib|gpu|model|num_gpu|gpu_milli|[0-9a-z\"|\n\r]){0,60}") {
            let text = Text::new("any.csv", text);
            let _ = read_openb_nodes(&text);
            let _ = read_openb_tasks(&text, &models());
        }

        #[test]
        fn no_row_makes_the_reader_panic(rows in "([0-9a-z\"|, -]{0,12}[,\n]){0,20}") {
            let _ = task(&rows);
            let _ = read_openb_nodes(&Text::new("any.csv", format!("sn,cpu_milli,memory_mib,gpu,model\n{rows}")));
        }
    }
}
