//! Invariants of a virtual centre under random calls at random moments.

use std::collections::BTreeMap;

use huisuan_model::{
    AttemptId, AttemptReport, Bytes, Class, DurationMs, JobId, MilliDevices, Millicores, Pool, PoolId, ReportKind,
    TimeMs,
};
use proptest::prelude::*;

use super::{
    Fate,
    task::{Takes, Task},
    timeline::{Entry, Timeline},
};

/// One call.
#[derive(Debug, Clone)]
enum Call {
    Accept { cores: u64, run_ms: u64, walltime_ms: u64 },
    Cancel(u64),
    Acknowledge(u64),
}

fn calls() -> impl Strategy<Value = Vec<(u64, Call)>> {
    let call = prop_oneof![
        6 => (1..=2_000u64, 1..400u64, 1..400u64)
            .prop_map(|(cores, run_ms, walltime_ms)| Call::Accept { cores, run_ms, walltime_ms }),
        1 => (0..40u64).prop_map(Call::Cancel),
        1 => (0..40u64).prop_map(Call::Acknowledge),
    ];
    prop::collection::vec((0..100u64, call), 1..40)
}

fn pools() -> Vec<Pool> {
    vec![Pool {
        id: PoolId::new("cpu:test").expect("a name"),
        class: Class::General,
        cores: Millicores(2_000),
        memory: Bytes(100),
        devices: MilliDevices::ZERO,
        device_memory: Bytes::ZERO,
        rating: None,
        images: false,
        topology: None,
    }]
}

fn id(job: u64) -> AttemptId {
    AttemptId { job: JobId(job), task: 0, attempt: 1 }
}

fn task(job: u64, cores: u64, run_ms: u64, walltime_ms: u64) -> Task {
    Task {
        attempt: id(job),
        takes: Takes { cores: Millicores(cores), memory: Bytes(1), devices: MilliDevices::ZERO },
        pools: vec![PoolId::new("cpu:test").expect("a name")],
        walltime: DurationMs(walltime_ms),
        fate: Fate { run_ms, exit_code: 0, busy_percent: 100 },
    }
}

/// A timeline after these calls, its entries, what it told, and the moment.
fn play(calls: &[(u64, Call)]) -> (Timeline, Vec<Entry>, Vec<AttemptReport>, TimeMs) {
    let (mut timeline, mut now, mut told) = (Timeline::new(&pools()), TimeMs(0), Vec::new());
    for (number, (pause_ms, call)) in (0..).zip(calls) {
        now = now.after(DurationMs(*pause_ms));
        timeline.advance(now);
        match *call {
            Call::Accept { cores, run_ms, walltime_ms } => {
                timeline.accept(task(number, cores, run_ms, walltime_ms));
            }
            Call::Cancel(job) => timeline.cancel(id(job), now),
            Call::Acknowledge(job) => timeline.acknowledge(id(job)),
        }
        timeline.advance(now);
        told.extend(timeline.take_news());
    }
    let entries = timeline.take_fresh();
    (timeline, entries, told, now)
}

/// Every start and end by attempt; a second start or another end fails. The same end is told again to whoever orders
/// a known attempt, such as one that was cancelled before it was ordered.
fn spans(told: &[AttemptReport]) -> BTreeMap<AttemptId, (Option<TimeMs>, Option<TimeMs>)> {
    let mut spans: BTreeMap<AttemptId, (Option<TimeMs>, Option<TimeMs>)> = BTreeMap::new();
    for report in told {
        let (start, end) = spans.entry(report.attempt).or_default();
        let before = match report.what {
            ReportKind::Started => start.replace(report.at),
            ReportKind::Ended { .. } => end.replace(report.at),
            ReportKind::Used(_) => None,
        };
        let again = matches!(report.what, ReportKind::Ended { .. }) && before == Some(report.at);
        assert!(before.is_none() || again, "{report:?} came twice");
    }
    spans
}

proptest! {
    #[test]
    fn everything_starts_and_ends_once_within_capacity(calls in calls()) {
        let (mut timeline, _, mut told, now) = play(&calls);
        // By then all that waits has run, one after the other.
        timeline.advance(now.after(DurationMs(40 * 400)));
        told.extend(timeline.take_news());
        prop_assert_eq!(timeline.next_end(), None);
        let spans = spans(&told);
        let mut changes = Vec::new();
        for (number, (_, call)) in (0..).zip(&calls) {
            let Call::Accept { cores, run_ms, walltime_ms } = call else { continue };
            let (start, end) = spans[&id(number)];
            let end = end.expect("everything ends");
            // What was cancelled in the millisecond of its start took room for no time.
            let Some(start) = start.filter(|&start| start < end) else { continue };
            prop_assert!(end.since(start).0 <= *run_ms.min(walltime_ms));
            let cores = i64::try_from(*cores).expect("few");
            changes.extend([(end, -cores), (start, cores)]);
        }
        changes.sort_unstable();
        let mut used = 0;
        for (_, change) in changes {
            used += change;
            prop_assert!((0..=2_000).contains(&used), "{} millicores at once", used);
        }
    }

    #[test]
    fn entries_give_the_timeline_back(calls in calls()) {
        let (mut live, entries, _, now) = play(&calls);
        let mut restored = Timeline::restore(&pools(), entries);
        restored.take_news();
        let later = now.after(DurationMs(500));
        live.advance(later);
        restored.advance(later);
        prop_assert_eq!(live.take_fresh(), restored.take_fresh());
        prop_assert_eq!(live.take_news(), restored.take_news());
    }
}
