//! Whatever a cluster says in whatever order: one start, one end, and nothing after it.

use std::collections::BTreeSet;

use huisuan_model::{JobId, Outcome};
use proptest::prelude::*;
use serde_json::json;

use super::*;

const PATIENCE: Patience = Patience { image: DurationMs(600_000), exit_code: DurationMs(90_000) };

fn id(job: u64) -> AttemptId {
    AttemptId { job: JobId(job), task: 0, attempt: 1 }
}

/// A pod of a job in one of its states; `deleted` is the grace that its deletion has.
fn pod(job: u64, state: u8, deleted: Option<i64>) -> Pod {
    let time = "2026-01-01T00:00:00Z";
    let (phase, state) = match state {
        0 => ("Pending", json!({})),
        1 => ("Pending", json!({ "waiting": { "reason": "InvalidImageName", "message": "bad" } })),
        2 => ("Running", json!({ "running": { "startedAt": time } })),
        3 => ("Failed", json!({ "running": { "startedAt": time } })),
        4 => ("Succeeded", json!({ "terminated": { "exitCode": 0, "startedAt": time, "finishedAt": time } })),
        _ => ("Failed", json!({ "terminated": { "exitCode": 137, "startedAt": time, "finishedAt": time } })),
    };
    let mut pod = json!({
        "metadata": { "name": format!("hs-x-{job}-0-1"), "uid": "u", "annotations": {
            "huisuan.io/attempt": format!("{job}.0.1"), "huisuan.io/spec": "hash" } },
        "spec": { "nodeName": "node" },
        "status": { "phase": phase, "containerStatuses": [{ "state": state }] },
    });
    if let Some(grace) = deleted {
        pod["metadata"]["deletionTimestamp"] = json!(time);
        pod["metadata"]["deletionGracePeriodSeconds"] = json!(grace);
    }
    serde_json::from_value(pod).expect("a pod")
}

fn outcome_of(report: &AttemptReport) -> Option<&Outcome> {
    match &report.what {
        ReportKind::Ended { outcome, .. } => Some(outcome),
        _ => None,
    }
}

/// Something that happens to an attempt.
#[derive(Debug, Clone)]
enum Step {
    Pod(u8, Option<i64>),
    Gone,
    Cancel,
    Acknowledge,
    Tick,
    Sample,
    Missing,
}

fn step() -> impl Strategy<Value = Step> {
    let grace = prop_oneof![3 => Just(None), 1 => Just(Some(30)), 1 => Just(Some(0))];
    prop_oneof![
        6 => (0u8..6, grace).prop_map(|(state, deleted)| Step::Pod(state, deleted)),
        1 => Just(Step::Gone),
        1 => Just(Step::Cancel),
        1 => Just(Step::Acknowledge),
        1 => Just(Step::Tick),
        1 => Just(Step::Sample),
        1 => Just(Step::Missing),
    ]
}

proptest! {
    #[test]
    fn an_attempt_starts_and_ends_at_most_once(steps in prop::collection::vec(step(), 1..40)) {
        let mut state = State::default();
        prop_assert!(state.begin(id(1)));
        state.created(id(1), pod(1, 0, None));
        let mut told = Vec::new();
        for (at, step) in (1..).zip(&steps) {
            let now = TimeMs(1_800_000_000_000 + at * 50_000);
            let errands = match step {
                Step::Pod(looks, deleted) => state.take(pod(1, *looks, *deleted), now, PATIENCE).into_iter().collect(),
                Step::Gone => { state.gone(id(1), None, now); Vec::new() }
                Step::Cancel => state.cancel(&[id(1)]),
                Step::Acknowledge => state.acknowledge(std::iter::once(id(1))),
                Step::Tick => state.tick(now, PATIENCE),
                Step::Sample => { state.sample(now, &BTreeMap::new()); Vec::new() }
                Step::Missing => {
                    let round = state.begin_round();
                    for id in state.missing(round, &BTreeSet::new()) {
                        state.gone(id, None, now);
                    }
                    Vec::new()
                }
            };
            let ended = told.iter().chain(&state.outbox).any(|report| outcome_of(report).is_some());
            let sweeps = errands.iter().any(|errand| matches!(errand, Errand::Sweep(..)));
            prop_assert!(!sweeps || ended, "a pod is let go only after its end");
            told.extend(state.take_news());
        }
        prop_assert!(!state.begin(id(1)), "it is never made again");
        let starts = told.iter().filter(|report| report.what == ReportKind::Started).count();
        let ends: Vec<_> = told.iter().enumerate().filter(|(_, report)| outcome_of(report).is_some()).collect();
        prop_assert!(starts <= 1 && ends.len() <= 1, "{told:#?}");
        if let [(last, _)] = ends[..] {
            prop_assert_eq!(last + 1, told.len(), "nothing is told after an end");
        }
    }

    #[test]
    fn a_journal_brings_back_what_was_told(cancelled: bool, acknowledged: bool) {
        let mut entries = vec![Entry::Accepted(vec![id(1)])];
        if cancelled {
            entries.push(Entry::Cancelled(vec![id(1)]));
        }
        let mut state = State::restore(entries.clone());
        prop_assert_eq!(state.missing(1, &BTreeSet::new()), vec![id(1)]);
        state.gone(id(1), None, TimeMs(5));
        let news = state.take_news();
        let cause = outcome_of(&news[0]).expect("an end").cause;
        prop_assert_eq!(cause, if cancelled { EndCause::Cancelled } else { EndCause::Lost });
        if acknowledged {
            entries.push(Entry::Acknowledged(news.clone()));
        }
        let mut again = State::restore(entries);
        prop_assert!(again.take_news().is_empty());
        prop_assert!(!again.begin(id(1)));
        prop_assert_eq!(again.take_news(), if acknowledged { news } else { Vec::new() });
    }
}

#[test]
fn what_was_buried_stays_so() {
    let mut state = State::restore(vec![Entry::Buried { attempts: vec![id(1)], at: TimeMs(5) }]);
    assert_eq!(outcome_of(&state.take_news()[0]).expect("an end").cause, EndCause::Cancelled);
    assert!(!state.begin(id(1)));
    // A create that was on its way when its answer was given up comes late.
    let late = state.take(pod(1, 2, None), TimeMs(6), PATIENCE);
    assert!(matches!(late, Some(Errand::Delete(..))), "{late:?}");
}

#[test]
fn an_exit_code_is_waited_for_but_not_for_ever() {
    let mut state = State::default();
    state.take(pod(1, 2, None), TimeMs(0), PATIENCE);
    state.take(pod(1, 3, None), TimeMs(1_000), PATIENCE);
    state.tick(TimeMs(60_000), PATIENCE);
    assert!(state.take_news().iter().all(|report| outcome_of(report).is_none()));
    state.tick(TimeMs(100_000), PATIENCE);
    assert_eq!(
        state.take_news().iter().filter_map(outcome_of).map(|end| end.cause).collect::<Vec<_>>(),
        [EndCause::Lost]
    );
}

#[test]
fn an_image_may_take_its_time_but_not_for_ever() {
    let mut stuck = pod(1, 1, None);
    stuck.status.container_statuses[0].state.waiting.as_mut().expect("it waits").reason = "ErrImagePull".into();
    let mut state = State::default();
    assert_eq!(state.take(stuck.clone(), TimeMs(0), PATIENCE), None);
    assert!(state.tick(TimeMs(599_000), PATIENCE).is_empty());
    assert!(matches!(state.tick(TimeMs(600_000), PATIENCE)[..], [Errand::Delete(..)]));
    let mut deleted = stuck;
    deleted.metadata = pod(1, 1, Some(0)).metadata;
    state.take(deleted, TimeMs(601_000), PATIENCE);
    let news = state.take_news();
    let end = outcome_of(&news[0]).expect("an end");
    assert!(end.cause == EndCause::StartFailed && end.detail.contains("ErrImagePull"), "{end:?}");
}

/// A task of a gang of three that has no node; who is to choose one, and how many gates hold it back.
fn of_gang(task: u32, scheduler: &str, gates: usize) -> Pod {
    let mut pod = pod(1, 0, None);
    pod.metadata.name = format!("hs-x-1-{task}-1");
    pod.metadata.uid = format!("u-{task}");
    pod.metadata.annotations.insert("huisuan.io/attempt".into(), format!("1.{task}.1"));
    pod.metadata.annotations.insert("huisuan.io/gang".into(), "3".into());
    pod.spec.node_name.clear();
    pod.spec.scheduler_name = scheduler.into();
    pod.spec.scheduling_gates = vec![json!({ "name": "kueue.x-k8s.io/admission" }); gates];
    pod
}

#[test]
fn a_gang_in_part_waits_for_those_whose_nodes_the_cluster_chooses() {
    let check = |pods: &[Pod], needs_us: bool, turns: &[usize]| {
        let mut state = State::default();
        pods.iter().for_each(|pod| drop(state.take(pod.clone(), TimeMs(0), PATIENCE)));
        let groups = state.waiting(|_| false).into_iter().map(|group| group.members.len()).collect::<Vec<_>>();
        assert_eq!((state.needs_us(), groups), (needs_us, turns.to_vec()), "{pods:#?}");
    };
    let (ours, theirs) = ("huisuan", "default-scheduler");
    check(&[0, 1, 2].map(|task| of_gang(task, ours, 0)), true, &[3]);
    check(&[of_gang(0, ours, 0), of_gang(1, ours, 0)], true, &[]);
    check(&[of_gang(0, ours, 0), of_gang(1, ours, 0), of_gang(2, theirs, 0)], true, &[]);
    check(&[0, 1, 2].map(|task| of_gang(task, ours, 1)), true, &[]);
    check(&[0, 1, 2].map(|task| of_gang(task, theirs, 0)), false, &[]);
    let mut bound = of_gang(1, theirs, 0);
    bound.spec.node_name = "node".into();
    check(&[of_gang(0, ours, 0), bound.clone()], true, &[1]);
    bound.status = pod(1, 4, None).status;
    check(&[of_gang(0, ours, 0), of_gang(2, ours, 0), bound], true, &[2]);
    let mut leaving = of_gang(0, ours, 0);
    leaving.metadata.deletion_timestamp = pod(1, 0, Some(30)).metadata.deletion_timestamp;
    check(&[leaving], false, &[]);
}
