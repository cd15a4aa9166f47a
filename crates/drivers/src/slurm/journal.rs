//! The engine's memory on disk: one log of JSON lines, read whole at a start.

use std::{collections::BTreeMap, sync::Arc};

use huisuan_model::{AttemptId, AttemptReport, StartOrder};
use serde::{Deserialize, Serialize};

use super::{files::Files, job::SlurmJob};
use crate::{
    engine::EngineError,
    folder::{
        batch::Batch,
        log::{Log, append_line, read_log},
    },
};

/// A line of `slurm.log`.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) enum Line {
    /// Orders; on disk before they are answered.
    Accepted(Batch),
    /// Slurm gave this number to an attempt's job. Not synced: what is lost of it is asked for by name.
    Submitted(AttemptId, SlurmJob),
    /// These are to end; on disk before it is answered.
    Cancelled(Vec<AttemptId>),
    /// It ended; always a report of the kind `Ended`, on disk before it is told.
    Ended(AttemptReport),
    /// The network has these ends. Not synced: at worst they are told again.
    Acknowledged(Vec<AttemptId>),
}

/// What a log says of an attempt that is not acknowledged.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Remembered {
    pub(super) order: Option<Arc<StartOrder>>,
    pub(super) job: Option<SlurmJob>,
    pub(super) cancelled: bool,
    pub(super) end: Option<AttemptReport>,
}

/// The log, open for more.
#[derive(Debug)]
pub(super) struct Journal {
    log: Log,
}

impl Journal {
    /// Reads the log and shortens it to what is still needed.
    pub(super) fn open(files: &Files) -> Result<(Journal, BTreeMap<AttemptId, Remembered>), EngineError> {
        let path = files.journal();
        let mut known: BTreeMap<AttemptId, Remembered> = BTreeMap::new();
        for line in read_log::<Line>(&path)? {
            remember(&mut known, line).map_err(|detail| EngineError::Damaged {
                path: path.clone(),
                line: 0,
                detail,
            })?;
        }
        let log = Log::rewrite(&path, lines(&known)).map_err(EngineError::file("log", &path))?;
        Ok((Journal { log }, known))
    }

    /// Adds lines and, when asked, waits until they are on disk.
    pub(super) fn append(&mut self, lines: &[Line], sync: bool) -> Result<(), EngineError> {
        let mut text = Vec::new();
        let path = self.log.path().to_owned();
        for line in lines {
            append_line(&mut text, line).map_err(EngineError::file("log", &path))?;
        }
        self.log.append(&text, sync).map_err(EngineError::file("log", &path))
    }

    /// Whether most of the log is probably history.
    pub(super) fn worth_rewriting(&self) -> bool {
        self.log.worth_rewriting()
    }

    /// Replaces the log by what is known.
    pub(super) fn rewrite(&mut self, known: &BTreeMap<AttemptId, Remembered>) -> Result<(), EngineError> {
        let path = self.log.path().to_owned();
        self.log = Log::rewrite(&path, lines(known)).map_err(EngineError::file("log", &path))?;
        Ok(())
    }
}

fn remember(known: &mut BTreeMap<AttemptId, Remembered>, line: Line) -> Result<(), String> {
    match line {
        Line::Accepted(batch) => {
            for order in batch.orders().ok_or("an order names a spec that is not in its line")? {
                let id = order.attempt;
                known.entry(id).or_default().order = Some(Arc::new(order));
            }
        }
        Line::Submitted(id, job) => known.entry(id).or_default().job = Some(job),
        Line::Cancelled(ids) => ids.into_iter().for_each(|id| known.entry(id).or_default().cancelled = true),
        Line::Ended(report) => {
            let id = report.attempt;
            known.entry(id).or_default().end = Some(report);
        }
        Line::Acknowledged(ids) => ids.iter().for_each(|id| drop(known.remove(id))),
    }
    Ok(())
}

fn lines(known: &BTreeMap<AttemptId, Remembered>) -> Vec<Line> {
    let open = known.values().filter(|one| one.end.is_none());
    let mut lines = vec![Line::Accepted(Batch::new(open.filter_map(|one| one.order.as_deref())))];
    let mut cancelled = Vec::new();
    for (&id, one) in known {
        match &one.end {
            Some(end) => lines.push(Line::Ended(end.clone())),
            None => {
                lines.extend(one.job.map(|job| Line::Submitted(id, job)));
                cancelled.extend(one.cancelled.then_some(id));
            }
        }
    }
    lines.push(Line::Cancelled(cancelled));
    lines
}

/// An order for tests: one task of a job.
#[cfg(test)]
pub(super) fn order(job: u64) -> StartOrder {
    use huisuan_model::{CentreId, JobId, JobSpec, MilliDevices, Millicores, ProjectId, TenantId};

    StartOrder {
        attempt: AttemptId { job: JobId(job), task: 0, attempt: 1 },
        centre: CentreId::new("c").expect("a name"),
        tenant: TenantId::new("t").expect("a name"),
        project: ProjectId::new("p").expect("a name"),
        spec: Arc::new(JobSpec::command("x", &["true"])),
        cores: Millicores(1000),
        devices: MilliDevices::ZERO,
        pool: None,
        account: None,
    }
}

#[cfg(test)]
mod tests {
    use huisuan_model::{EndCause, Outcome, ReportKind, TimeMs, Usage};

    use super::*;
    use crate::slurm::users::Users;

    #[test]
    fn what_is_open_or_not_acknowledged_comes_back() {
        let folder = tempfile::tempdir().expect("a scratch folder");
        let files = Files::make(&folder.path().join("centre"), &Users::default()).expect("made");
        let id = |job| order(job).attempt;
        let outcome = Outcome { cause: EndCause::Exited, exit_code: Some(0), signal: None, detail: String::new() };
        let ended = |job| {
            let what = ReportKind::Ended { started_at: None, outcome: outcome.clone(), usage: Usage::default() };
            AttemptReport { attempt: id(job), at: TimeMs(5), what }
        };
        let (mut journal, known) = Journal::open(&files).expect("a new log");
        assert!(known.is_empty());
        let orders: Vec<StartOrder> = (1..=5).map(order).collect();
        let lines = [
            Line::Accepted(Batch::new(&orders)),
            Line::Submitted(id(2), SlurmJob::Single(70)),
            Line::Submitted(id(3), SlurmJob::Element(71, 0, 1)),
            // Slurm forgot it, and gave it another number.
            Line::Submitted(id(2), SlurmJob::Single(72)),
            Line::Cancelled(vec![id(3)]),
            Line::Ended(ended(4)),
            Line::Ended(ended(5)),
            Line::Acknowledged(vec![id(5)]),
        ];
        journal.append(&lines, true).expect("appended");
        drop(journal);
        // The second time from the shortened log.
        for _ in 0..2 {
            let (_, known) = Journal::open(&files).expect("a log");
            let one = |job: u64| known.get(&id(job)).cloned().unwrap_or_default();
            assert_eq!(known.keys().map(|id| id.job.0).collect::<Vec<_>>(), [1, 2, 3, 4]);
            let (second, third) = (SlurmJob::Single(72), SlurmJob::Element(71, 0, 1));
            assert_eq!((one(1).job, one(2).job, one(3).job), (None, Some(second), Some(third)));
            assert_eq!((one(2).cancelled, one(3).cancelled), (false, true));
            assert_eq!((one(1).order.as_deref(), one(4).end), (Some(&orders[0]), Some(ended(4))));
        }
    }
}
