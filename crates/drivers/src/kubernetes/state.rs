//! What is known of each attempt, and what of it was not told yet. Pure: pods and times come in, reports and errands
//! come out.

mod asked;
#[cfg(test)]
mod tests;
mod waiting;

use std::collections::{BTreeMap, BTreeSet};

use huisuan_model::{AttemptId, AttemptReport, Bytes, DurationMs, EndCause, Outcome, ReportKind, TimeMs, Usage};

use super::{
    gang,
    journal::Entry,
    objects::{Metadata, Pod},
    outcome::{End, Seen, outcome, seen, vanished},
    pod::identity,
};

pub(super) use asked::Look;

/// Something to be done in the cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Errand {
    /// End a pod, with its grace.
    Delete(AttemptId, PodReference),
    /// Keep the output of a pod whose end is recorded elsewhere, and let it go.
    Sweep(AttemptId, PodReference),
}

/// One pod and no other of its name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct PodReference {
    pub(super) name: String,
    pub(super) uid: String,
    /// It has a name in its gang.
    pub(super) gang: bool,
}

/// How long something is waited for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Patience {
    /// For an image to come.
    pub(super) image: DurationMs,
    /// For the exit code of a container whose pod is over, beyond the time that it has to end.
    pub(super) exit_code: DurationMs,
}

/// All attempts of a centre.
#[derive(Debug, Default)]
pub(super) struct State {
    attempts: BTreeMap<AttemptId, Known>,
    /// All that may wait for a node from us, and some that do no more.
    unbound: BTreeSet<AttemptId>,
    outbox: Vec<AttemptReport>,
    /// Counts lists of the whole cluster, so that what was made after a list began is not missed in it.
    round: u64,
}

#[derive(Debug)]
struct Known {
    stage: Stage,
    /// Its end was asked for.
    cancelled: bool,
    /// It is being ended because it cannot begin.
    doomed: Option<String>,
    /// Since when its container cannot be started, and why.
    stuck: Option<(TimeMs, String)>,
    ending_since: Option<TimeMs>,
    sampled_at: Option<TimeMs>,
    used: Usage,
    /// The round in which it was known to be in the cluster.
    confirmed: u64,
    /// How its pod was seen last, while it lives.
    last: Option<Pod>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Stage {
    /// Its pod is being made.
    Creating,
    Waiting,
    Running {
        started_at: TimeMs,
    },
    Ended {
        report: AttemptReport,
        acknowledged: bool,
    },
}

impl Known {
    fn new(stage: Stage) -> Known {
        Known {
            stage,
            cancelled: false,
            doomed: None,
            stuck: None,
            ending_since: None,
            sampled_at: None,
            used: Usage::default(),
            confirmed: 0,
            last: None,
        }
    }

    fn ended(&self) -> bool {
        matches!(self.stage, Stage::Ended { .. })
    }
}

impl State {
    /// What a journal says; the cluster is then asked for the rest.
    pub(super) fn restore(entries: Vec<Entry>) -> State {
        let mut state = State::default();
        for entry in entries {
            match entry {
                Entry::Version(_) => {}
                Entry::Accepted(ids) => ids.into_iter().for_each(|id| {
                    state.attempts.entry(id).or_insert_with(|| Known::new(Stage::Waiting));
                }),
                Entry::Cancelled(ids) => ids.into_iter().for_each(|id| {
                    state.attempts.entry(id).or_insert_with(|| Known::new(Stage::Waiting)).cancelled = true;
                }),
                Entry::Buried { attempts, at } => attempts.into_iter().for_each(|id| state.bury(id, at)),
                Entry::Unknown { attempts, at } => attempts.into_iter().for_each(|id| state.lose(id, at)),
                Entry::Acknowledged(reports) => reports.into_iter().for_each(|report| {
                    let id = report.attempt;
                    state.attempts.insert(id, Known::new(Stage::Ended { report, acknowledged: true }));
                }),
            }
        }
        // Only what nobody acknowledged is told anew.
        let open = |report: &AttemptReport| {
            matches!(&state.attempts[&report.attempt].stage, Stage::Ended { acknowledged: false, .. })
        };
        state.outbox = std::mem::take(&mut state.outbox).into_iter().filter(open).collect();
        state
    }

    /// True when no attempt is known.
    pub(super) fn is_empty(&self) -> bool {
        self.attempts.is_empty()
    }

    /// Notes that a pod is about to be made; false for an attempt that is known, whose end, if any, is told again.
    pub(super) fn begin(&mut self, id: AttemptId) -> bool {
        let fresh = !self.tell_again(id);
        if fresh {
            self.attempts.insert(id, Known::new(Stage::Creating));
        }
        fresh
    }

    /// Its pod is in the cluster.
    pub(super) fn created(&mut self, id: AttemptId, pod: Pod) {
        let Some(known) = self.attempts.get_mut(&id) else { return };
        known.confirmed = self.round;
        if known.stage == Stage::Creating {
            known.stage = Stage::Waiting;
            self.unbound.extend(waiting::for_us(&pod).then_some(id));
            known.last = Some(pod);
        }
    }

    /// Its pod was not made, or nobody knows: the cluster tells if it was.
    pub(super) fn not_created(&mut self, id: AttemptId) {
        if self.attempts.get(&id).is_some_and(|known| known.stage == Stage::Creating) {
            self.attempts.remove(&id);
        }
    }

    /// Marks what lives as cancelled; gives back the pods to end.
    pub(super) fn cancel(&mut self, ids: &[AttemptId]) -> Vec<Errand> {
        let mut errands = Vec::new();
        for &id in ids {
            if let Some(known) = self.attempts.get_mut(&id)
                && !known.ended()
            {
                known.cancelled = true;
                errands.extend(known.last.as_ref().map(|pod| Errand::Delete(id, reference(pod))));
            }
        }
        errands
    }

    /// Ends an attempt that was cancelled before it was heard of.
    pub(super) fn bury(&mut self, id: AttemptId, at: TimeMs) {
        self.end_unheard(id, at, outcome(EndCause::Cancelled, ""));
    }

    /// Ends an attempt that the network believes to be here and that nothing here knows of.
    pub(super) fn lose(&mut self, id: AttemptId, at: TimeMs) {
        self.end_unheard(id, at, outcome(EndCause::Lost, "nothing is known of it here: neither journal nor pod"));
    }

    fn end_unheard(&mut self, id: AttemptId, at: TimeMs, outcome: Outcome) {
        if self.attempts.get(&id).is_none_or(|known| !known.ended()) {
            self.attempts.insert(id, Known::new(Stage::Creating));
            self.end(id, End { at, started_at: None, outcome });
        }
    }

    /// Tells an end again; false for an attempt that is not known.
    pub(super) fn tell_again(&mut self, id: AttemptId) -> bool {
        let Some(known) = self.attempts.get(&id) else { return false };
        if let Stage::Ended { report, .. } = &known.stage {
            self.outbox.push(report.clone());
        }
        true
    }

    /// Notes that these ends are recorded elsewhere; gives back the pods to let go.
    pub(super) fn acknowledge(&mut self, ids: impl Iterator<Item = AttemptId>) -> Vec<Errand> {
        let mut errands = Vec::new();
        for id in ids {
            if let Some(known) = self.attempts.get_mut(&id)
                && let Stage::Ended { acknowledged, .. } = &mut known.stage
            {
                *acknowledged = true;
                errands.extend(known.last.take().map(|pod| Errand::Sweep(id, reference(&pod))));
            }
        }
        errands
    }

    /// Begins a list of the whole cluster.
    pub(super) fn begin_round(&mut self) -> u64 {
        self.round += 1;
        self.round
    }

    /// Takes in how a pod is now.
    pub(super) fn take(&mut self, pod: Pod, now: TimeMs, patience: Patience) -> Option<Errand> {
        let (id, _) = identity(&pod.metadata)?;
        let round = self.round;
        let known = self.attempts.entry(id).or_insert_with(|| Known::new(Stage::Waiting));
        known.confirmed = round;
        let within = patience.exit_code.0 + u64::from(pod.spec.termination_grace_period_seconds) * 1_000;
        let patient = known.ending_since.is_none_or(|since| now.since(since).0 < within);
        let looks = seen(&pod, known.cancelled || known.doomed.is_some(), now, patient);
        let over = matches!(looks, Seen::Ended(_));
        let asked = pod.metadata.deletion_timestamp.is_some();
        let pod_reference = reference(&pod);
        self.unbound.extend(waiting::for_us(&pod).then_some(id));
        if let Stage::Ended { acknowledged, .. } = known.stage {
            // A pod that came late for an attempt that was buried or lost is ended, too.
            known.last = (!acknowledged || !over).then_some(pod);
            return match (over, acknowledged) {
                (true, true) => Some(Errand::Sweep(id, pod_reference)),
                (true, false) => None,
                (false, _) => (!asked).then_some(Errand::Delete(id, pod_reference)),
            };
        }
        known.last = Some(pod);
        match looks {
            Seen::Ended(end) => {
                self.end(id, end);
                return None;
            }
            Seen::Ending => known.ending_since = known.ending_since.or(Some(now)),
            Seen::Running { started_at } => {
                if !matches!(known.stage, Stage::Running { .. }) {
                    known.stage = Stage::Running { started_at };
                    self.outbox.push(AttemptReport { attempt: id, at: started_at, what: ReportKind::Started });
                }
            }
            Seen::Waiting { stuck } => {
                if !matches!(known.stage, Stage::Running { .. }) {
                    known.stage = Stage::Waiting;
                }
                match stuck {
                    None => known.stuck = None,
                    Some(stuck) => {
                        let since = known.stuck.as_ref().map_or(now, |(since, _)| *since);
                        known.stuck = Some((since, stuck.why.clone()));
                        if stuck.for_ever || now.since(since) >= patience.image {
                            known.doomed = Some(stuck.why);
                        }
                    }
                }
            }
        }
        let known = &self.attempts[&id];
        let unwanted = known.cancelled || known.doomed.is_some();
        (unwanted && !asked).then_some(Errand::Delete(id, pod_reference))
    }

    /// Takes in that a pod is in the cluster no more.
    pub(super) fn gone(&mut self, id: AttemptId, last: Option<&Pod>, now: TimeMs) {
        let Some(known) = self.attempts.get_mut(&id) else { return };
        let held = known.last.take();
        if known.ended() || known.stage == Stage::Creating {
            return;
        }
        let mut end = vanished(last.or(held.as_ref()), known.cancelled || known.doomed.is_some(), now);
        if let Stage::Running { started_at } = known.stage {
            end.started_at = end.started_at.or(Some(started_at));
        }
        self.end(id, end);
    }

    /// Looks again at what waits for something, and again at ends that were asked for.
    pub(super) fn tick(&mut self, now: TimeMs, patience: Patience) -> Vec<Errand> {
        let waits = |known: &Known| {
            let open = known.cancelled || known.stuck.is_some() || known.ending_since.is_some();
            open && !known.ended()
        };
        let pods: Vec<Pod> =
            self.attempts.values().filter(|known| waits(known)).filter_map(|k| k.last.clone()).collect();
        pods.into_iter().filter_map(|pod| self.take(pod, now, patience)).collect()
    }

    /// Tells what everything that runs used until now. `rates` are millicores and bytes of those that are metered.
    pub(super) fn sample(&mut self, now: TimeMs, rates: &BTreeMap<AttemptId, (u64, Bytes)>) {
        for (&id, known) in &mut self.attempts {
            let Stage::Running { started_at } = known.stage else { continue };
            if let Some(&(millicores, memory)) = rates.get(&id) {
                let span = now.since(known.sampled_at.unwrap_or(started_at).max(started_at));
                known.used.cpu = known.used.cpu.saturating_add(DurationMs(millicores.saturating_mul(span.0) / 1_000));
                known.used.memory_peak = known.used.memory_peak.max(memory);
            }
            known.sampled_at = Some(now);
            known.used.wall = now.since(started_at);
            self.outbox.push(AttemptReport { attempt: id, at: now, what: ReportKind::Used(known.used) });
        }
    }

    /// Whether something was not told yet.
    pub(super) fn has_news(&self) -> bool {
        !self.outbox.is_empty()
    }

    /// What was not told yet.
    pub(super) fn take_news(&mut self) -> Vec<AttemptReport> {
        std::mem::take(&mut self.outbox)
    }

    fn end(&mut self, id: AttemptId, end: End) {
        let known = self.attempts.get_mut(&id).expect("only what is known ends");
        let mut end = end;
        if let Some(why) = known.doomed.take()
            && end.started_at.is_none()
            && !known.cancelled
        {
            end.outcome = outcome(EndCause::StartFailed, &why);
        }
        let usage = Usage { wall: end.usage().wall, ..known.used };
        let what = ReportKind::Ended { started_at: end.started_at, outcome: end.outcome, usage };
        let report = AttemptReport { attempt: id, at: end.at, what };
        known.stage = Stage::Ended { report: report.clone(), acknowledged: false };
        self.outbox.push(report);
    }
}

fn reference(pod: &Pod) -> PodReference {
    let Metadata { name, uid, labels, .. } = &pod.metadata;
    PodReference { name: name.clone(), uid: uid.clone(), gang: labels.contains_key(gang::LABEL) }
}
