//! What is asked of the state, and changes nothing of it.

use std::collections::BTreeSet;

use huisuan_model::{AttemptId, AttemptReport, JobId, Outcome, ReportKind, TimeMs};

use super::{super::gang::Try, Known, PodReference, Stage, State, reference};
use crate::Held;

/// What can be told of an attempt at a glance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in super::super) struct Look {
    pub(in super::super) ended: bool,
    /// It runs at a terminal.
    pub(in super::super) session: bool,
    /// Its pod, unless it was let go or never was.
    pub(in super::super) pod: Option<PodReference>,
}

impl State {
    /// What can be told of an attempt; `None` for one that is not known.
    pub(in super::super) fn look(&self, id: AttemptId) -> Option<Look> {
        let known = self.attempts.get(&id)?;
        let has_terminal = known.last.as_ref().is_some_and(|pod| pod.spec.containers.iter().any(|one| one.tty));
        Some(Look {
            ended: known.ended(),
            session: has_terminal && matches!(known.stage, Stage::Running { .. }),
            pod: known.last.as_ref().map(reference),
        })
    }

    /// How an attempt ended; `None` while it has not.
    pub(in super::super) fn end_of(&self, id: AttemptId) -> Option<&Outcome> {
        match &self.attempts.get(&id)?.stage {
            Stage::Ended { report: AttemptReport { what: ReportKind::Ended { outcome, .. }, .. }, .. } => Some(outcome),
            _ => None,
        }
    }

    /// What cannot begin, and why.
    pub(in super::super) fn stuck(&self) -> impl Iterator<Item = (AttemptId, &str)> {
        let open = self.attempts.iter().filter(|(_, known)| !known.ended());
        open.filter_map(|(&id, known)| Some((id, known.stuck.as_ref()?.1.as_str())))
    }

    /// What has not ended, and what has and was not acknowledged.
    pub(in super::super) fn held(&self) -> Held {
        let mut held = Held::default();
        for (&id, known) in &self.attempts {
            match known.stage {
                Stage::Ended { acknowledged: true, .. } => {}
                Stage::Ended { acknowledged: false, .. } => held.ended.push(id),
                Stage::Creating | Stage::Waiting | Stage::Running { .. } => held.live.push(id),
            }
        }
        held
    }

    /// The ends of these attempts that were not acknowledged before.
    pub(in super::super) fn unacknowledged(&self, ids: &[AttemptId]) -> Vec<AttemptReport> {
        let ids: BTreeSet<_> = ids.iter().collect();
        let found = ids.into_iter().filter_map(|id| match &self.attempts.get(id)?.stage {
            Stage::Ended { report, acknowledged: false } => Some(report.clone()),
            _ => None,
        });
        found.collect()
    }

    /// Until when a task was needed here: for ever while an end of it is not acknowledged; `None` for one that is not
    /// known.
    pub(in super::super) fn needed_until(&self, job: JobId, task: u32) -> Option<TimeMs> {
        let id = |attempt| AttemptId { job, task, attempt };
        let all = self.attempts.range(id(0)..=id(u32::MAX));
        let until = all.map(|(_, known)| match &known.stage {
            Stage::Ended { report, acknowledged: true } => report.at,
            _ => TimeMs(i64::MAX),
        });
        until.max()
    }

    /// Whether nothing is left of a gang's try: all ends that are known of are recorded elsewhere. `None` where nothing
    /// is known of it: it is about to begin, or was refused.
    pub(in super::super) fn is_over(&self, gang: Try) -> Option<bool> {
        let id = |task, attempt| AttemptId { job: gang.job, task, attempt };
        let all = self.attempts.range(id(0, 0)..=id(u32::MAX, u32::MAX));
        let own: Vec<&Known> = all.filter(|(id, _)| id.attempt == gang.attempt).map(|(_, known)| known).collect();
        let over = |known: &&Known| matches!(known.stage, Stage::Ended { acknowledged: true, .. });
        (!own.is_empty()).then(|| own.iter().all(over))
    }

    /// What should have been in the list that began with `round`, and was not.
    pub(in super::super) fn missing(&self, round: u64, listed: &BTreeSet<AttemptId>) -> Vec<AttemptId> {
        let missing = |(id, known): &(&AttemptId, &Known)| {
            !known.ended() && known.stage != Stage::Creating && known.confirmed < round && !listed.contains(id)
        };
        self.attempts.iter().filter(missing).map(|(&id, _)| id).collect()
    }
}
