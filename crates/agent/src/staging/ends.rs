//! Ends of attempts as data makes them.

use std::io;

use huisuan_model::{AttemptId, AttemptReport, EndCause, Outcome, ReportKind, Staged};

use crate::agent::not_started;

/// The longest reason, in characters.
const REASON_MAX: usize = 300;

/// The end of an attempt whose data could not be brought.
pub(super) fn failed(attempt: AttemptId, why: &str) -> AttemptReport {
    let detail = why.chars().take(REASON_MAX).collect();
    not_started(attempt, EndCause::Staging, detail)
}

/// Makes a good end one that is not.
pub(super) fn spoil(report: &mut AttemptReport, cause: EndCause, why: &str) {
    if let ReportKind::Ended { outcome, .. } = &mut report.what {
        let detail = why.chars().take(REASON_MAX).collect();
        *outcome = Outcome { cause, detail, ..outcome.clone() };
    }
}

/// Adds what was moved for it.
pub(super) fn add(report: &mut AttemptReport, staged: Staged) {
    if let ReportKind::Ended { usage, .. } = &mut report.what {
        usage.staged = staged;
    }
}

/// The agent's own disk failed.
pub(super) fn unwritten(error: &io::Error) -> String {
    format!("what was moved for it cannot be written down: {error}")
}
