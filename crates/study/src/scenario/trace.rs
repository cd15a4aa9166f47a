//! Jobs of a trace file: comma-separated values with a header line.

use std::sync::Arc;

use huisuan_model::{
    Bytes, CentreId, Class, DurationMs, JobSpec, MilliDevices, Millicores, PoolId, ProjectId, RangeSet, TenantId,
    TimeMs,
    spec::{DeviceNeed, Need},
};
use huisuan_twin::{
    random::Stream,
    setup::Site,
    workload::{Arrival, Length, Truth},
};

use crate::read::{ReadError, Text};

/// The columns of a trace file, in any order. `submit_ms` counts from the start of the scenario; a task runs `run_ms`
/// and is ended after `walltime_ms`; `gang` is 0 or 1; `class`, `centre` and `part` may be empty for any; cores and
/// devices are those of one task.
pub const COLUMNS: [&str; 14] = [
    "submit_ms",
    "run_ms",
    "walltime_ms",
    "tasks",
    "gang",
    "millicores",
    "millidevices",
    "memory_mib",
    "class",
    "centre",
    "part",
    "tenant",
    "project",
    "exit_code",
];

/// What the jobs of a trace are checked against and made with.
pub(super) struct Frame<'a> {
    pub(super) start: TimeMs,
    pub(super) shift_s: i64,
    pub(super) seed: u64,
    /// The index that stands for this trace among families.
    pub(super) family: usize,
    pub(super) name: &'a str,
    pub(super) tenants: &'a [TenantId],
    pub(super) sites: &'a [Site],
}

/// Reads the jobs of a text.
pub(super) fn parse(text: &Text, frame: &Frame<'_>) -> Result<Vec<Arrival>, ReadError> {
    let mut reader = csv::ReaderBuilder::new().flexible(false).from_reader(text.text.as_bytes());
    let header = reader.headers().map_err(|error| malformed(text, &error))?.clone();
    let mut places = [0; COLUMNS.len()];
    for (place, column) in places.iter_mut().zip(COLUMNS) {
        let hint = format!("the header needs all of {}", COLUMNS.join(","));
        let found = header.iter().position(|name| name.trim() == column);
        *place = found.ok_or_else(|| text.form(1, format!("no column `{column}`"), hint))?;
    }
    let streams = Stream::new(frame.seed, &format!("trace/{}", frame.name));
    let mut jobs = Vec::new();
    let mut last: Option<Arc<JobSpec>> = None;
    for (number, record) in reader.records().enumerate() {
        let record = record.map_err(|error| malformed(text, &error))?;
        let row =
            Row { text, line: record.position().map_or(0, csv::Position::line), record: &record, places: &places };
        let mut job = row.arrival(frame, streams.child(number as u64))?;
        match &last {
            // Neighbours are often alike, and then one spec is enough for both.
            Some(before) if **before == *job.spec => job.spec = before.clone(),
            _ => last = Some(job.spec.clone()),
        }
        jobs.push(job);
    }
    Ok(jobs)
}

fn malformed(text: &Text, error: &csv::Error) -> ReadError {
    let line = error.position().map_or(1, csv::Position::line);
    text.form(line, error.to_string(), "every line needs as many fields as the header")
}

struct Row<'a> {
    text: &'a Text,
    line: u64,
    record: &'a csv::StringRecord,
    places: &'a [usize; COLUMNS.len()],
}

impl Row<'_> {
    fn field(&self, column: usize) -> &str {
        self.record.get(self.places[column]).unwrap_or("").trim()
    }

    fn refuse(&self, column: usize, expected: &str) -> ReadError {
        self.text.field(self.line, COLUMNS[column], self.field(column), expected)
    }

    fn number(&self, column: usize) -> Result<u64, ReadError> {
        self.field(column).parse().map_err(|_| self.refuse(column, "a whole number, not negative"))
    }

    fn name<T: std::str::FromStr>(&self, column: usize, kind: &str) -> Result<Option<T>, ReadError> {
        let text = self.field(column);
        if text.is_empty() {
            return Ok(None);
        }
        text.parse().map(Some).map_err(|_| self.refuse(column, kind))
    }

    fn arrival(&self, frame: &Frame<'_>, stream: Stream) -> Result<Arrival, ReadError> {
        let submit_ms: i64 = self.field(0).parse().map_err(|_| self.refuse(0, "a whole number of milliseconds"))?;
        let tenant: TenantId = self.name(11, "a tenant of the scenario")?.ok_or_else(|| self.refuse(11, "a tenant"))?;
        if !frame.tenants.contains(&tenant) {
            return Err(self.refuse(11, "a tenant of the scenario"));
        }
        let default = || ProjectId::new("default").expect("the constant is a name");
        let project = self.name(12, "a project name")?.unwrap_or_else(default);
        let exit_code = self.number(13)?;
        let at = frame.start.0.saturating_add(submit_ms).saturating_add(frame.shift_s.saturating_mul(1_000));
        let truth = Truth {
            family: frame.family,
            length: Length::Ms(self.number(1)?.max(1)),
            task_spread_percent: 100,
            failing_ppm: if exit_code == 0 { 0 } else { 1_000_000 },
            busy_percent: 100,
            stream,
        };
        Ok(Arrival { at: TimeMs(at), tenant, project, spec: Arc::new(self.spec(frame)?), truth })
    }

    fn spec(&self, frame: &Frame<'_>) -> Result<JobSpec, ReadError> {
        let mut spec = JobSpec::command(frame.name, &["simulated"]);
        let last = self.number(3)?.checked_sub(1).and_then(|last| u32::try_from(last).ok());
        spec.tasks = RangeSet::from_range(0, last.ok_or_else(|| self.refuse(3, "a number of tasks from 1"))?);
        spec.gang = match self.field(4) {
            "0" => false,
            "1" => true,
            _ => return Err(self.refuse(4, "0 or 1")),
        };
        let part: Option<PoolId> = self.name(10, "a part number, or nothing")?;
        let devices = match self.number(6)? {
            0 => None,
            count => Some(DeviceNeed {
                count: MilliDevices(count),
                any_of: part.into_iter().collect(),
                memory_min: Bytes::ZERO,
            }),
        };
        spec.need = Need::Hardware { cores: Millicores(self.number(5)?), devices };
        spec.memory = Bytes(self.number(7)?.saturating_mul(1 << 20));
        spec.walltime = DurationMs(self.number(2)?);
        spec.class = self.name::<Class>(8, "ai, hpc, general, or nothing")?;
        let centre: Option<CentreId> = self.name(9, "a centre's name, or nothing")?;
        let known = |id: &CentreId| frame.sites.iter().any(|site| site.centre.id == *id);
        if centre.as_ref().is_some_and(|id| !known(id)) {
            return Err(self.refuse(9, "a centre of the scenario, or nothing"));
        }
        spec.centres = centre.into_iter().collect();
        let field = |error: huisuan_model::spec::SpecError| {
            self.text.field(self.line, error.field, &error.value, &error.expected)
        };
        spec.validate().map_err(field)?;
        Ok(spec)
    }
}
