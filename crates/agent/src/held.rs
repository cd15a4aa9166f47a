//! Compares what the engine holds with what the server believes: at each hello, and then again and again.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use huisuan_api::{
    AgentClient,
    agent::{ClosedSpan, EngineAlarm, Held, HeldTasks},
};
use huisuan_drivers::{Alarm, Closed};
use huisuan_model::{AttemptId, JobId, RangeSet, SiteBook, alarm::ALARMS_MAX};

use crate::{agent::now, desk::Desk};

/// How long a comparison is good.
const EVERY: Duration = Duration::from_secs(60);
/// How soon something that was seen for the first time is looked at again: what was only on its way has arrived then.
const AGAIN: Duration = Duration::from_secs(2);
/// The most jobs of one question, so that it stays below what a server reads. A centre with more is not compared.
const JOBS_MAX: usize = 20_000;

/// When it is to be compared next.
#[derive(Debug, Default)]
pub(crate) struct Compared {
    next: Option<Instant>,
    /// What the engine alarmed of then, by subject.
    told: Vec<String>,
}

impl Compared {
    /// How long that is from now.
    pub(crate) fn rest(&self) -> Duration {
        self.next.map_or(Duration::ZERO, |next| next.saturating_duration_since(Instant::now()))
    }

    /// Compares when it is time, or the engine has other alarms than before. What fails is tried again the next time:
    /// nothing is done on half an answer.
    pub(crate) fn when_due(&mut self, desk: Desk<'_>, client: &AgentClient, epoch: u64) {
        let alarms = desk.engine.alarms();
        let subjects: Vec<String> = alarms.iter().map(|alarm| alarm.subject.clone()).collect();
        if !self.rest().is_zero() && subjects == self.told {
            return;
        }
        let again = compare(desk, client, epoch, &alarms);
        self.told = subjects;
        self.next = Some(Instant::now() + if again { AGAIN } else { EVERY });
    }
}

/// True when the same question is worth asking soon.
fn compare(desk: Desk<'_>, client: &AgentClient, epoch: u64, alarms: &[Alarm]) -> bool {
    let mut held = match desk.engine.held() {
        Ok(Some(held)) => held,
        Ok(None) => return false,
        Err(error) => {
            tracing::warn!(%error, "the engine does not say what it holds");
            return false;
        }
    };
    held.live.extend(desk.stager.bringing());
    let (attempts, ended) = (grouped(&held.live), grouped(&held.ended));
    if attempts.len() + ended.len() > JOBS_MAX {
        tracing::warn!(jobs = attempts.len() + ended.len(), "too many jobs here to compare them with the server's");
        return false;
    }
    let book = Some(desk.engine.book()).filter(|book| *book != SiteBook::default());
    let alarms = alarms
        .iter()
        .take(ALARMS_MAX)
        .map(|Alarm { subject, what }| EngineAlarm { subject: subject.clone(), what: what.clone() });
    let (closed, alarms) = (closed(desk), alarms.collect());
    let answer = match client.held(&Held { epoch, attempts, ended, closed, alarms, book }) {
        Ok(answer) => answer,
        Err(error) => {
            // An older server has no such door, a restarted one wants a hello first.
            tracing::debug!(%error, "what the engine holds is not compared");
            return false;
        }
    };
    if !answer.end.is_empty() {
        tracing::warn!(attempts = answer.end.len(), "attempts that have ended in the books are ended here");
    }
    let done = desk.stop(&answer.end).and_then(|()| match answer.missing.is_empty() {
        true => Ok(()),
        false => desk.engine.look_for(&answer.missing),
    });
    if let Err(error) = done {
        tracing::warn!(%error, "the engine cannot be asked about differences, trying again");
        return true;
    }
    answer.again
}

/// When the site's own rules, and the engine's own scheduler, keep what from running.
fn closed(desk: Desk<'_>) -> Vec<ClosedSpan> {
    let hours = desk.gate.policy().closed.as_ref().map(|closed| closed.ahead(now())).unwrap_or_default();
    let hours = hours.into_iter().map(|(from, until)| ClosedSpan { from, until, pool: None, why: String::new() });
    let told = desk.engine.closed().into_iter();
    hours.chain(told.map(|Closed { from, until, pool, why }| ClosedSpan { from, until, pool, why })).collect()
}

/// Tasks of one job together: an array of 100,000 is one line.
fn grouped(held: &[AttemptId]) -> Vec<HeldTasks> {
    let mut jobs: BTreeMap<(JobId, u32), RangeSet> = BTreeMap::new();
    for id in held {
        jobs.entry((id.job, id.attempt)).or_default().insert(id.task);
    }
    jobs.into_iter().map(|((job, attempt), tasks)| HeldTasks { job, attempt, tasks }).collect()
}
