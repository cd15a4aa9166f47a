//! A small made-up log: its outcome is kept, so that a build that decides otherwise is seen.

use huisuan_model::{DurationMs, JobId, TimeMs};
use huisuan_schedule::queue::QueuePolicy;

use super::*;

/// A busy log of 400 jobs from a linear congruence (Knuth, MMIX), the same everywhere.
fn made_up() -> Vec<LogJob> {
    let mut state = 1_u64;
    let mut draw = |below: u64| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % below
    };
    let mut at_ms = 0;
    let job = |id| {
        at_ms += i64::try_from(draw(1_200_000)).expect("small");
        let limit = DurationMs(60_000 * (1 + draw(600)));
        let run = DurationMs(limit.0 * (1 + draw(100)) / 100);
        LogJob { id: JobId(id), submitted_at: TimeMs(at_ms), run, limit, width: 1 + draw(32), owner: Some(draw(7)) }
    };
    (1..=400).map(job).collect()
}

fn run(log: &[LogJob], policy: QueuePolicy) -> Outcome {
    replay(log, 64, policy.open(64), &mut |_| {}).expect("a log that can be replayed")
}

#[test]
fn a_kept_log_is_decided_as_ever() {
    let decided = |policy| {
        let Outcome { figures, decision_hash, starts } = run(&made_up(), policy);
        assert_eq!((starts.len(), figures.jobs), (400, 400));
        format!("{policy}: {} s, {}", figures.mean_wait_s() as u64, &decision_hash[..16])
    };
    let expected = [
        "fifo: 447161 s, 41c1fcd849d99cd3",
        "easy: 263721 s, ae4b09a38734224d",
        "easy-sjbf: 243972 s, 35f0d8e6c8017b79",
        "conservative: 244021 s, 3ab5939abd30a94d",
        "saf-guard: 238497 s, 02623d3bd38c28f6",
    ];
    assert_eq!(QueuePolicy::ALL.map(decided), expected);
}

#[test]
fn figures_are_those_of_the_starts() {
    let job = |id, at_s: i64, run_s: u64, width| {
        let run = DurationMs(run_s * 1000);
        LogJob { id: JobId(id), submitted_at: TimeMs(at_s * 1000), run, limit: run, width, owner: None }
    };
    // The second waits for 40 s and runs for 5 s, which counts as 10 s; the third waits for 35 s.
    let log = [job(1, 0, 50, 4), job(2, 10, 5, 2), job(3, 20, 100, 4)];
    let Outcome { figures, starts, .. } =
        replay(&log, 4, QueuePolicy::Fifo.open(4), &mut |_| {}).expect("a log that can be replayed");
    assert_eq!(starts, [TimeMs(0), TimeMs(50_000), TimeMs(55_000)]);
    assert_eq!(figures.slowdown_sum_ppm, 1_000_000 + 4_500_000 + 1_350_000);
    assert_eq!((figures.wait_sum_ms, figures.wait_max), (75_000, DurationMs(40_000)));
    assert_eq!((figures.used_ms, figures.capacity_ms), (610_000, 4 * 155_000));
}

#[test]
fn a_job_without_length_and_one_past_its_limit_are_replayed() {
    for policy in QueuePolicy::ALL {
        let mut log = made_up();
        for job in log.iter_mut().step_by(3) {
            job.run = DurationMs(0);
        }
        for job in log.iter_mut().skip(1).step_by(5) {
            job.run = DurationMs(3 * job.limit.0);
        }
        assert_eq!(run(&log, policy).figures.jobs, 400);
    }
}

#[test]
fn what_cannot_be_replayed_is_said() {
    let mut log = made_up();
    log[7].width = 65;
    let replayed = replay(&log, 64, QueuePolicy::Easy.open(64), &mut |_| {});
    assert_eq!(replayed, Err(ReplayError::Width { job: JobId(8), width: 65, processors: 64 }));
    log[7] = LogJob { submitted_at: TimeMs(0), width: 1, ..log[7] };
    let replayed = replay(&log, 64, QueuePolicy::Easy.open(64), &mut |_| {});
    assert_eq!(replayed, Err(ReplayError::Order { job: JobId(8) }));
}
