//! From the engine to the server: what happened, in numbered batches, until the server has it on disk.

use std::time::Duration;

use huisuan_api::{
    AgentClient, ClientError, ErrorCode,
    agent::{Reports, Welcome},
};
use huisuan_drivers::{EngineError, failpoint};
use huisuan_model::{AttemptId, AttemptReport, ReportKind};

use crate::{
    agent::now,
    desk::Desk,
    pause::{Backoff, StopFlag},
};

/// The most reports of one batch.
const BATCH_MAX: usize = 1000;

/// How long the engine may keep the thread waiting; refused orders wait that long too.
const OBSERVE_WAIT: Duration = Duration::from_millis(500);

/// The batch numbers of one run of an agent begin at the run's number times this.
///
/// A killed agent may have a batch under way that arrives after its successor's hello. Were the
/// successor's first batch numbered the same, the server would take one of the two for a repetition, and
/// the ends in it would be acknowledged without anybody having them.
const SEQ_PER_RUN: u64 = 1 << 32;

/// The loop of the reporting thread.
pub(crate) struct Reporter<'a> {
    pub(crate) client: &'a AgentClient,
    pub(crate) desk: Desk<'a>,
    /// Counts the runs of this agent.
    pub(crate) run: u64,
}

/// What became of a batch.
enum Sent {
    Taken,
    /// The server was restarted: there must be a hello first.
    Stale,
    /// It may work later.
    Later,
    /// The server will never take it as it is.
    Refused,
}

impl Reporter<'_> {
    /// Reports until it is stopped. What the server does not have then, the engine gives again.
    pub(crate) fn work(&self, stop: &StopFlag) {
        let mut backoff = Backoff::new();
        let mut seq_last = 0;
        let mut waiting: Vec<AttemptReport> = Vec::new();
        while !stop.stopped() {
            waiting.append(&mut self.desk.contact.take_own());
            match self.observe(waiting.is_empty()) {
                Ok(reports) => {
                    let mut reports = self.desk.stager.hold_back(reports);
                    reports.append(&mut self.desk.stager.news());
                    self.desk.gate.ended(&ends(&reports));
                    self.start_due();
                    waiting.append(&mut reports);
                }
                Err(error) => {
                    tracing::warn!(%error, "engine cannot be observed, trying again");
                    backoff.wait(stop);
                    continue;
                }
            }
            while !waiting.is_empty() && !stop.stopped() {
                let rest = waiting.split_off(waiting.len().min(BATCH_MAX));
                let batch = std::mem::replace(&mut waiting, rest);
                let Some(taken) = self.deliver(batch, seq_last, &mut backoff, stop) else { return };
                seq_last = taken;
            }
            backoff.reset();
        }
    }

    /// Hands over the orders whose time has come, and those whose data is there.
    fn start_due(&self) {
        let due = self.desk.gate.due(now());
        if !due.is_empty()
            && let Err(error) = self.desk.take(due.clone())
        {
            tracing::warn!(%error, "engine does not take orders that waited, trying again");
            self.desk.gate.put_back(due);
        }
        self.desk.submit_ready();
    }

    fn observe(&self, may_wait: bool) -> Result<Vec<AttemptReport>, EngineError> {
        self.desk.engine.observe(if may_wait { OBSERVE_WAIT } else { Duration::ZERO })
    }

    /// Sends one batch until the server has it, always under the same number. Gives back that number;
    /// `None` when the agent is to stop.
    fn deliver(&self, batch: Vec<AttemptReport>, seq_last: u64, backoff: &mut Backoff, stop: &StopFlag) -> Option<u64> {
        let ended = ends(&batch);
        let (mut seq, mut refused) = (None, false);
        let mut batch = Reports { epoch: 0, seq: 0, reports: batch };
        loop {
            let Welcome { epoch, reported_seq, .. } = self.desk.contact.wait(stop)?;
            let first = seq_last.max(reported_seq).max(self.run.saturating_mul(SEQ_PER_RUN)) + 1;
            let number = *seq.get_or_insert(first);
            if number <= reported_seq {
                // The answer was lost, the batch was not: the server said so in its welcome.
                break;
            }
            (batch.epoch, batch.seq) = (epoch, number);
            failpoint::reach("agent-before-report");
            match self.send(&batch) {
                Sent::Taken => break,
                Sent::Stale => self.desk.contact.close(epoch),
                Sent::Refused if !refused => {
                    // It may be the agent itself that is refused: only a server that greets it again means the batch.
                    refused = true;
                    self.desk.contact.close(epoch);
                }
                Sent::Refused if batch.reports.len() > 1 => {
                    // One report may spoil the others: each half goes by itself, down to the one that is refused.
                    let rest = batch.reports.split_off(batch.reports.len() / 2);
                    let seq = self.deliver(batch.reports, seq_last, backoff, stop)?;
                    return self.deliver(rest, seq, backoff, stop);
                }
                Sent::Refused => {
                    let report = &batch.reports[0];
                    tracing::error!(attempt = %report.attempt, "a report is refused for good and given up");
                    // Its number was not taken.
                    self.acknowledge(&ended);
                    return Some(seq_last);
                }
                Sent::Later => {
                    if backoff.wait(stop) {
                        return None;
                    }
                }
            }
        }
        failpoint::reach("agent-after-report");
        self.acknowledge(&ended);
        Some(batch.seq)
    }

    fn acknowledge(&self, ended: &[AttemptId]) {
        if let Err(error) = self.desk.engine.acknowledge(ended) {
            // The engine will give these ends again, and the server will find that it has them.
            tracing::warn!(%error, "engine cannot be told that ends are committed");
        }
        self.desk.stager.forget(ended);
    }

    fn send(&self, batch: &Reports) -> Sent {
        match self.client.reports(batch) {
            Ok(_) => Sent::Taken,
            Err(ClientError::Problem(problem)) if problem.code == ErrorCode::StaleEpoch => Sent::Stale,
            Err(error) if error.retryable() => {
                tracing::info!(%error, "reports are not taken yet");
                Sent::Later
            }
            Err(ClientError::Problem(problem)) if refused_for_good(problem.code) => {
                tracing::error!(error = %problem, seq = batch.seq, "reports are refused");
                Sent::Refused
            }
            Err(error) => {
                tracing::error!(%error, seq = batch.seq, "reports cannot be sent, trying again");
                Sent::Later
            }
        }
    }
}

/// Whether repeating can never help: the server reads the reports and says no to what is in them. A token that is
/// not known or a centre that is not there may be mended by an operator.
fn refused_for_good(code: ErrorCode) -> bool {
    matches!(code, ErrorCode::BadRequest | ErrorCode::UnknownField | ErrorCode::Forbidden | ErrorCode::TooLarge)
}

/// The attempts whose end is in a batch.
fn ends(batch: &[AttemptReport]) -> Vec<AttemptId> {
    let ended = |report: &&AttemptReport| matches!(report.what, ReportKind::Ended { .. });
    batch.iter().filter(ended).map(|report| report.attempt).collect()
}
