//! What an engine promises to tasks that save their state before they are ended.

use huisuan_drivers::SubmitResult;
use huisuan_model::{AttemptId, DurationMs, EndCause, JobSpec, StartOrder, spec::Checkpoint};

use crate::bench::{Bench, expect_cause, id, order, script};

/// Begins where the last attempt left off, says so, and works on until it is told to save. What a shell says of a
/// command that the signal ended is no matter here.
const COUNTS: &str = r#"
state=$HUISUAN_CHECKPOINT_DIR/state
trap 'echo $((begun + 1)) > $state; echo saved; exit 3' USR1
begun=$(cat $state 2>/dev/null || echo 0)
echo begun $begun
[ -z "$MARKER" ] || { echo $$ > $MARKER.new; mv $MARKER.new $MARKER; }
while :; do sleep 0.01; done 2>/dev/null"#;

/// So long that a test in which no signal comes fails for it.
const GRACE_MS: u64 = 60_000;

fn counting(walltime_ms: u64) -> JobSpec {
    let checkpoint = Some(Checkpoint { signal: "USR1".to_owned(), grace: DurationMs(GRACE_MS) });
    JobSpec { checkpoint, walltime: DurationMs(walltime_ms), ..script(COUNTS) }
}

fn attempt(job: u64, attempt: u32, spec: JobSpec) -> StartOrder {
    let order = order(job, spec);
    StartOrder { attempt: AttemptId { attempt, ..order.attempt }, ..order }
}

/// The signal comes so early that the time to save is within the walltime, and the next attempt goes on.
pub(crate) fn state_is_saved_within_the_walltime(bench: &mut Bench) {
    let walltime_ms = GRACE_MS + 300;
    for number in 1..=3 {
        let end = bench.run(attempt(1, number, counting(walltime_ms)));
        expect_cause(&end, EndCause::Walltime);
        assert_eq!(end.outcome.exit_code, Some(3), "{end:?}");
        assert!(end.usage.wall < DurationMs(walltime_ms), "{end:?}");
        let id = AttemptId { attempt: number, ..id(1, 0) };
        assert_eq!(bench.stdout(id), format!("begun {}\nsaved\n", number - 1));
    }
}

/// The same when somebody else gets the room.
pub(crate) fn state_is_saved_when_room_is_taken_away(bench: &mut Bench) {
    let mut spec = counting(10 * GRACE_MS);
    let marker = bench.file("begun");
    spec.environment.insert("MARKER".to_owned(), marker.clone());
    bench.submit(&[attempt(2, 1, spec)]);
    bench.started(id(2, 0));
    let process = bench.process_in(&marker);
    bench.engine.cancel(&[id(2, 0)]).expect("cancelled");
    let end = bench.end(id(2, 0));
    process.wait_gone();
    expect_cause(&end, EndCause::Cancelled);
    assert_eq!((end.outcome.exit_code, bench.stdout(id(2, 0))), (Some(3), "begun 0\nsaved\n".to_owned()));
}

/// An engine that does not tell tasks to save their state refuses those that are to: they would be lost.
pub(crate) fn is_refused(bench: &mut Bench) {
    let results = bench.engine.submit(&[attempt(3, 1, counting(2 * GRACE_MS))]).expect("submitted");
    assert!(matches!(&results[..], [SubmitResult::Refused { why }] if why.contains("save its state")), "{results:?}");
}
