//! From what a pod says of itself to what is reported of its attempt. Pure.

use huisuan_model::{DurationMs, EndCause, Outcome, TimeMs, Usage};

use super::objects::{Pod, Terminated, Time};
use crate::container::code_and_signal;

/// The longest explanation that is reported, in characters.
const DETAIL_MAX: usize = 300;

/// What can be seen of an attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Seen {
    /// Its pod has no running container yet; `stuck` says why it may never have one.
    Waiting {
        /// Kubernetes' own reason and message.
        stuck: Option<Stuck>,
    },
    /// Its container runs.
    Running {
        /// Since when.
        started_at: TimeMs,
    },
    /// Its pod is over, but its container has not been said to be: wait for its exit code, though not for ever.
    Ending,
    /// It is over.
    Ended(End),
}

/// Why a container does not begin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Stuck {
    /// True when no waiting will help.
    pub(super) for_ever: bool,
    /// For people.
    pub(super) why: String,
}

/// How an attempt ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct End {
    pub(super) at: TimeMs,
    pub(super) started_at: Option<TimeMs>,
    pub(super) outcome: Outcome,
}

impl End {
    /// What it used as far as its own times tell.
    pub(super) fn usage(&self) -> Usage {
        let wall = self.started_at.map_or(DurationMs(0), |started_at| self.at.since(started_at));
        Usage { wall, ..Usage::default() }
    }
}

/// What can be seen of a pod. `cancelled` says whether its end was asked for by us; `now` is used where the pod tells
/// no time; `patient` is false when an exit code was waited for long enough.
pub(super) fn seen(pod: &Pod, cancelled: bool, now: TimeMs, patient: bool) -> Seen {
    let states: Vec<_> = pod.status.container_statuses.iter().map(|status| &status.state).collect();
    let terminated = states.iter().find_map(|state| state.terminated.as_ref());
    let running = states.iter().find_map(|state| state.running.as_ref());
    let over = matches!(pod.status.phase.as_str(), "Succeeded" | "Failed");
    let gone = pod.metadata.deletion_grace_period_seconds == Some(0) && pod.metadata.deletion_timestamp.is_some();
    if let Some(terminated) = terminated {
        return Seen::Ended(of_container(pod, terminated, cancelled, now));
    }
    if over || gone {
        let started_at = running.map(|running| running.started_at.map_or(now, |Time(at)| at));
        if started_at.is_some() && !gone && patient {
            return Seen::Ending;
        }
        return Seen::Ended(without_exit_code(pod, started_at, cancelled, now));
    }
    if let Some(running) = running {
        return Seen::Running { started_at: running.started_at.map_or(now, |Time(at)| at) };
    }
    let unscheduled = pod.metadata.deletion_timestamp.is_some() && pod.spec.node_name.is_empty();
    if unscheduled {
        return Seen::Ended(without_exit_code(pod, None, cancelled, now));
    }
    let waiting = states.iter().find_map(|state| state.waiting.as_ref());
    Seen::Waiting { stuck: waiting.and_then(|waiting| stuck(&waiting.reason, &waiting.message)) }
}

/// The end of an attempt whose pod is in the cluster no more. `last` is how it was seen last.
pub(super) fn vanished(last: Option<&Pod>, cancelled: bool, now: TimeMs) -> End {
    let started_at = match last.map(|pod| seen(pod, cancelled, now, false)) {
        Some(Seen::Ended(end)) => return end,
        Some(Seen::Running { started_at }) => Some(started_at),
        _ => None,
    };
    let outcome = match (cancelled, started_at) {
        (true, None) => outcome(EndCause::Cancelled, ""),
        _ => outcome(EndCause::Lost, "its pod was removed from the cluster by somebody else"),
    };
    End { at: now, started_at, outcome }
}

/// An end with a cause and an explanation only.
pub(super) fn outcome(cause: EndCause, detail: &str) -> Outcome {
    Outcome { cause, exit_code: None, signal: None, detail: detail.chars().take(DETAIL_MAX).collect() }
}

fn of_container(pod: &Pod, terminated: &Terminated, cancelled: bool, now: TimeMs) -> End {
    let at = terminated.finished_at.map_or(now, |Time(at)| at);
    let started_at = terminated.started_at.map(|Time(at)| at);
    if matches!(terminated.reason.as_str(), "StartError" | "ContainerCannotRun") {
        let detail = format!("its container cannot be started: {}", terminated.message);
        return End { at, started_at: None, outcome: outcome(EndCause::StartFailed, &detail) };
    }
    if terminated.reason == "ContainerStatusUnknown" {
        let detail = format!("its node lost sight of it: {}", terminated.message);
        return End { at, started_at, outcome: outcome(EndCause::Lost, &detail) };
    }
    let (cause, detail) = match (pod.status.reason.as_str(), terminated.reason.as_str()) {
        ("DeadlineExceeded", _) => (EndCause::Walltime, String::new()),
        (_, "OOMKilled") => (EndCause::Memory, "it used more memory than it asked for".to_owned()),
        _ if cancelled && pod.metadata.deletion_timestamp.is_some() => (EndCause::Cancelled, String::new()),
        ("", _) if pod.metadata.deletion_timestamp.is_none() => (EndCause::Exited, String::new()),
        // What ended well before it was told to end did end well.
        _ if terminated.exit_code == 0 => (EndCause::Exited, String::new()),
        ("", _) => (EndCause::Lost, "its pod was deleted by somebody else".to_owned()),
        (reason, _) => (EndCause::Lost, format!("its node ended it: {reason}: {}", pod.status.message)),
    };
    // A node that tells a signal apart tells it beside the code.
    let code = if terminated.signal == 0 { terminated.exit_code } else { terminated.signal.saturating_add(128) };
    let (exit_code, signal) = code_and_signal(code);
    let outcome = Outcome { exit_code, signal, ..outcome(cause, &detail) };
    End { at, started_at: started_at.or(Some(at)), outcome }
}

fn without_exit_code(pod: &Pod, started_at: Option<TimeMs>, cancelled: bool, now: TimeMs) -> End {
    let status = &pod.status;
    let cause = match (status.reason.as_str(), started_at) {
        ("DeadlineExceeded", _) => EndCause::Walltime,
        _ if cancelled => EndCause::Cancelled,
        ("" | "Evicted" | "NodeLost" | "Shutdown" | "Terminated" | "NodeShutdown" | "Preempting", _) => EndCause::Lost,
        // The node refused it before it began: OutOfcpu, NodeAffinity, UnexpectedAdmissionError. Elsewhere there may be
        // room.
        (_, None) => EndCause::Refused,
        (_, Some(_)) => EndCause::Lost,
    };
    let detail = match (cause, status.reason.is_empty()) {
        (EndCause::Cancelled, _) if started_at.is_some() => "its node did not say how it ended".to_owned(),
        (EndCause::Cancelled | EndCause::Walltime, _) => String::new(),
        (_, true) => "its pod was deleted and its node did not say how it ended".to_owned(),
        (_, false) => format!("{}: {}", status.reason, status.message),
    };
    End { at: now, started_at, outcome: outcome(cause, &detail) }
}

fn stuck(reason: &str, message: &str) -> Option<Stuck> {
    let for_ever = match reason {
        "InvalidImageName" | "ErrImageNeverPull" | "CreateContainerConfigError" => true,
        "ErrImagePull"
        | "ImagePullBackOff"
        | "CreateContainerError"
        | "RunContainerError"
        | "ImageInspectError"
        | "RegistryUnavailable" => false,
        _ => return None,
    };
    Some(Stuck { for_ever, why: format!("its container cannot be started: {reason}: {message}") })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pod(json: &str) -> Pod {
        serde_json::from_str(json).expect("a pod")
    }

    fn ended(json: &str, cancelled: bool) -> (EndCause, Option<i32>, Option<i32>, bool) {
        match seen(&pod(json), cancelled, TimeMs(9_000), false) {
            Seen::Ended(end) => {
                (end.outcome.cause, end.outcome.exit_code, end.outcome.signal, end.started_at.is_some())
            }
            other => panic!("{json} is {other:?}"),
        }
    }

    fn exited(code: i32, container: &str, status: &str, metadata: &str) -> String {
        format!(
            r#"{{"metadata":{{{metadata}}},"spec":{{"nodeName":"n"}},"status":{{"phase":"Failed"{status},
            "containerStatuses":[{{"state":{{"terminated":{{"exitCode":{code}{container},
            "startedAt":"1970-01-01T00:00:01Z","finishedAt":"1970-01-01T00:00:05Z"}}}}}}]}}}}"#
        )
    }

    const DELETED: &str = r#""deletionTimestamp":"1970-01-01T00:00:04Z","deletionGracePeriodSeconds":30"#;
    const FORCED: &str = r#""deletionTimestamp":"1970-01-01T00:00:04Z","deletionGracePeriodSeconds":0"#;

    #[test]
    fn codes_signals_and_causes() {
        use EndCause::{Cancelled, Exited, Lost, Memory, StartFailed, Walltime};
        let check = |json: String, cancelled: bool, expected| {
            assert_eq!(ended(&json, cancelled), expected, "{json}");
        };
        check(exited(0, "", "", ""), false, (Exited, Some(0), None, true));
        check(exited(3, "", "", ""), false, (Exited, Some(3), None, true));
        check(exited(255, "", "", ""), false, (Exited, Some(255), None, true));
        check(exited(128, "", "", ""), false, (Exited, Some(128), None, true));
        check(exited(137, "", "", ""), false, (Exited, None, Some(9), true));
        check(exited(1, r#","signal":15"#, "", ""), false, (Exited, None, Some(15), true));
        check(exited(137, r#","reason":"OOMKilled""#, "", ""), false, (Memory, None, Some(9), true));
        check(exited(128, r#","reason":"StartError""#, "", ""), false, (StartFailed, None, None, false));
        check(exited(137, r#","reason":"ContainerStatusUnknown""#, "", ""), false, (Lost, None, None, true));
        check(exited(143, "", r#","reason":"DeadlineExceeded""#, ""), false, (Walltime, None, Some(15), true));
        check(exited(4, "", r#","reason":"DeadlineExceeded""#, ""), false, (Walltime, Some(4), None, true));
        check(exited(137, "", r#","reason":"Evicted","message":"disk""#, ""), false, (Lost, None, Some(9), true));
        check(exited(143, "", "", DELETED), true, (Cancelled, None, Some(15), true));
        check(exited(143, "", "", DELETED), false, (Lost, None, Some(15), true));
        check(exited(0, "", "", DELETED), false, (Exited, Some(0), None, true));
    }

    #[test]
    fn what_never_began_or_told_no_code() {
        use EndCause::{Cancelled, Lost, Refused, Walltime};
        let check = |json: &str, cancelled: bool, expected| assert_eq!(ended(json, cancelled), expected, "{json}");
        let pending = format!(r#"{{"metadata":{{{DELETED}}},"status":{{"phase":"Pending"}}}}"#);
        check(&pending, true, (Cancelled, None, None, false));
        check(&pending, false, (Lost, None, None, false));
        let refused = r#"{"spec":{"nodeName":"n"},"status":{"phase":"Failed","reason":"OutOfcpu"}}"#;
        check(refused, false, (Refused, None, None, false));
        let running = r#""containerStatuses":[{"state":{"running":{"startedAt":"1970-01-01T00:00:01Z"}}}]"#;
        let forced = format!(r#"{{"metadata":{{{FORCED}}},"spec":{{"nodeName":"n"}},"status":{{{running}}}}}"#);
        check(&forced, false, (Lost, None, None, true));
        check(&forced, true, (Cancelled, None, None, true));
        let late = format!(r#"{{"status":{{"phase":"Failed","reason":"DeadlineExceeded",{running}}}}}"#);
        assert_eq!(seen(&pod(&late), false, TimeMs(9_000), true), Seen::Ending, "its exit code may still come");
        check(&late, false, (Walltime, None, None, true));
    }

    #[test]
    fn what_waits_says_why() {
        let waits = |reason: &str| {
            let json = format!(
                r#"{{"status":{{"phase":"Pending","containerStatuses":[{{"state":{{"waiting":{{"reason":"{reason}"}}}}}}]}}}}"#
            );
            match seen(&pod(&json), false, TimeMs(0), true) {
                Seen::Waiting { stuck } => stuck.map(|stuck| stuck.for_ever),
                other => panic!("{reason} is {other:?}"),
            }
        };
        assert_eq!(waits("ContainerCreating"), None);
        assert_eq!(waits("ImagePullBackOff"), Some(false));
        assert_eq!(waits("InvalidImageName"), Some(true));
    }

    #[test]
    fn a_pod_that_vanished_is_lost_unless_it_never_ran_and_was_cancelled() {
        let cause = |last: Option<&Pod>, cancelled| vanished(last, cancelled, TimeMs(9_000)).outcome.cause;
        assert_eq!(cause(None, false), EndCause::Lost);
        assert_eq!(cause(None, true), EndCause::Cancelled);
        let ended = pod(&exited(0, "", "", ""));
        assert_eq!(cause(Some(&ended), false), EndCause::Exited, "what it said last is how it ended");
    }
}
