//! How a pod is told that it ends, and how long it then has. Pure.

use huisuan_model::{StartOrder, spec::JobKind};
use serde_json::{Value, json};

/// What runs in the container before its runtime is asked to end it. It gives all processes the signal, as a terminal
/// or a process group would: the first one, which `kill -- -1` leaves out, by its number. Then it waits for the first to
/// end, for a node takes the end of this for leave to go on; it ends itself with the container.
pub(super) const HOOK: &str = r#"kill -s "$1" 1; kill -s "$1" -- -1; while kill -0 1 2>/dev/null; do sleep 1; done"#;

/// How an order's pod comes to its end when it is due.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Ending {
    /// So long it may run until it is told, in seconds.
    pub(super) deadline_s: u64,
    /// So long it has from then on, in seconds.
    pub(super) grace_s: u64,
    /// What it is told by, unless that is SIGTERM to its first process.
    signal: Option<String>,
}

impl Ending {
    /// As the job wishes. One that saves its state is told so early that its time is within its walltime; the others
    /// get `grace_s` beyond it.
    pub(super) fn of(order: &StartOrder, grace_s: u32) -> Ending {
        let seconds = |ms: u64| ms.div_ceil(1_000).max(1);
        let walltime_s = seconds(order.walltime().0);
        if let Some(checkpoint) = &order.spec.checkpoint {
            let grace_s = seconds(checkpoint.grace.0);
            let deadline_s = walltime_s.saturating_sub(grace_s).max(1);
            return Ending { deadline_s, grace_s, signal: Some(checkpoint.signal.clone()) };
        }
        // Shells at a terminal ignore SIGTERM; this is what they are told when a terminal is closed.
        let signal = (order.spec.kind == JobKind::Session).then(|| "HUP".to_owned());
        Ending { deadline_s: walltime_s, grace_s: grace_s.into(), signal }
    }

    /// The `lifecycle` of its container.
    pub(super) fn lifecycle(&self) -> Option<Value> {
        let signal = self.signal.as_ref()?;
        let words = json!(["/bin/sh", "-c", HOOK, "huisuan", signal]);
        Some(json!({ "preStop": { "exec": { "command": words } } }))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use huisuan_model::{
        AttemptId, CentreId, DurationMs, JobId, JobSpec, MilliDevices, Millicores, ProjectId, TenantId,
        spec::Checkpoint,
    };

    use super::*;

    fn ending(walltime_ms: u64, checkpoint: Option<(&str, u64)>, kind: JobKind) -> (u64, u64, Option<String>) {
        let checkpoint =
            checkpoint.map(|(signal, grace_ms)| Checkpoint { signal: signal.to_owned(), grace: DurationMs(grace_ms) });
        let walltime = DurationMs(walltime_ms);
        let spec = JobSpec { walltime, checkpoint, kind, ..JobSpec::command("job", &["true"]) };
        let order = StartOrder {
            attempt: AttemptId { job: JobId(1), task: 0, attempt: 1 },
            centre: CentreId::new("here").expect("a name"),
            tenant: TenantId::new("t").expect("a name"),
            project: ProjectId::new("p").expect("a name"),
            spec: Arc::new(spec),
            cores: Millicores(1_000),
            devices: MilliDevices::ZERO,
            pool: None,
            account: None,
        };
        let ending = Ending::of(&order, 30);
        (ending.deadline_s, ending.grace_s, ending.signal)
    }

    #[test]
    fn the_time_to_save_is_within_the_walltime() {
        let check = |walltime_ms, checkpoint, kind, deadline_s, grace_s, signal: Option<&str>| {
            let expected = (deadline_s, grace_s, signal.map(str::to_owned));
            assert_eq!(ending(walltime_ms, checkpoint, kind), expected, "{walltime_ms} ms, {checkpoint:?}");
        };
        check(3_600_000, None, JobKind::Batch, 3_600, 30, None);
        check(300, None, JobKind::Batch, 1, 30, None);
        check(3_600_000, None, JobKind::Session, 3_600, 30, Some("HUP"));
        check(3_600_000, Some(("USR1", 60_000)), JobKind::Batch, 3_540, 60, Some("USR1"));
        check(60_300, Some(("TERM", 60_000)), JobKind::Batch, 1, 60, Some("TERM"));
        check(1_500, Some(("TERM", 1_400)), JobKind::Batch, 1, 2, Some("TERM"));
    }
}
