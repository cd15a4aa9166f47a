//! The whole table, row by row.

use huisuan_model::DurationMs;
use proptest::prelude::*;

use super::*;

const AT: TimeMs = TimeMs(10_000);

fn nothing() -> Evidence<'static> {
    Evidence {
        claim: None,
        exit: None,
        used: Used::default(),
        queue: None,
        began: None,
        placed: false,
        left_out: false,
        launches_failed: 0,
        given_up: false,
        memory: Bytes(100),
        contained: false,
        together: false,
        accounts_count: false,
        account: None,
        cancelled: false,
        silent: true,
        now: AT,
    }
}

fn exited(exit_code: Option<i32>, signal: Option<i32>, outside: bool, walltime: bool) -> Exit {
    let how = ExitKind::Exited { started_at: TimeMs(4_000), exit_code, signal, outside, walltime };
    Exit { at: TimeMs(9_000), how, cpu: DurationMs(700) }
}

fn account(state: Ending, exit_code: i32, signal: i32, memory: u64) -> AccountedJob {
    let usage = Usage { wall: DurationMs(3_000), cpu: DurationMs(1), memory_peak: Bytes(memory), ..Usage::default() };
    AccountedJob {
        name: "hs".into(),
        state: JobState::Over(state),
        placed: true,
        began: None,
        exit_code,
        signal,
        usage,
        devices: 0,
    }
}

/// In short: what is to be done, and how it ended.
fn told(evidence: &Evidence<'_>) -> String {
    match judge(evidence) {
        Verdict::Wait => "wait".into(),
        Verdict::Ask => "ask".into(),
        Verdict::Bar(cause, _) => format!("bar {}", cause.as_str()),
        Verdict::SubmitAgain => "again".into(),
        Verdict::Ended(Ended { outcome, .. }) => {
            let number = |number: Option<i32>| number.map_or_else(|| "-".to_owned(), |number| number.to_string());
            format!("{} {} {}", outcome.cause.as_str(), number(outcome.exit_code), number(outcome.signal))
        }
    }
}

#[test]
fn the_done_record_outranks_slurm() {
    let check = |exit: &Exit, queue: Option<JobState>, cancelled: bool, silent: bool, expected: &str| {
        let evidence = Evidence { exit: Some(exit), queue, cancelled, silent, ..nothing() };
        assert_eq!(told(&evidence), expected, "{evidence:?}");
    };
    let over = |ending| Some(JobState::Over(ending));
    let good = exited(Some(0), None, false, false);
    // A finished job that Slurm calls cancelled, forgets, or still runs.
    for queue in [over(Ending::Cancelled), over(Ending::NodeFailed), None, Some(JobState::Active)] {
        check(&good, queue, false, false, "exited 0 -");
        check(&good, queue, true, false, "exited 0 -");
    }
    check(&exited(Some(7), None, false, false), None, false, false, "exited 7 -");
    check(&exited(None, Some(15), true, false), None, true, false, "cancelled - 15");
    check(&exited(None, Some(9), false, false), None, true, false, "cancelled - 9");
    check(&exited(Some(4), None, false, true), None, false, false, "walltime 4 -");
    // Slurm ended it: only Slurm knows why.
    let ended = exited(None, Some(15), true, false);
    check(&ended, None, false, false, "wait");
    check(&ended, Some(JobState::Active), false, false, "wait");
    check(&ended, over(Ending::Timeout), false, false, "walltime - 15");
    check(&ended, over(Ending::Cancelled), false, false, "cancelled - 15");
    check(&ended, over(Ending::Preempted), false, false, "cancelled - 15");
    check(&ended, Some(JobState::Active), false, true, "cancelled - 15");
    check(&ended, None, false, true, "ask");
    // The kernel's way to end what uses too much memory.
    let killed = exited(None, Some(9), false, false);
    check(&killed, None, false, false, "wait");
    check(&killed, over(Ending::OutOfMemory), false, false, "memory - 9");
    check(&killed, over(Ending::Failed), false, false, "exited - 9");
    let used = Used { memory_peak: Bytes(101), ..Used::default() };
    assert_eq!(told(&Evidence { exit: Some(&killed), used, ..nothing() }), "memory - 9");
    let failed = Exit { how: ExitKind::StartFailed("no".into()), ..killed };
    check(&failed, over(Ending::Failed), false, false, "start-failed - -");
}

/// Where a site wants it, accounting adds to what an attempt used, and decides nothing of its end.
#[test]
fn accounts_count_where_the_site_wants_them() {
    let (ended, out_of_time) = (exited(Some(3), None, false, false), exited(None, Some(9), false, true));
    let used = Used { wall: DurationMs(1), cpu: DurationMs(2), memory_peak: Bytes(7) };
    let record = |exit| Evidence { exit: Some(exit), used, accounts_count: true, ..nothing() };
    let mut job = account(Ending::Failed, 9, 0, 50);
    (job.usage.joules, job.usage.cpu) = (1_234, DurationMs(900));
    let check = |evidence: Evidence<'_>, expected: &str| assert_eq!(told(&evidence), expected, "{evidence:?}");
    for (exit, end) in [(&ended, "exited 3 -"), (&out_of_time, "walltime - 9")] {
        check(Evidence { silent: false, ..record(exit) }, "ask");
        check(Evidence { account: Some(None), silent: false, ..record(exit) }, "wait");
        check(Evidence { account: Some(None), ..record(exit) }, end);
        let late = AccountedJob { state: JobState::Active, ..job.clone() };
        check(Evidence { account: Some(Some(&late)), silent: false, ..record(exit) }, "wait");
        check(Evidence { account: Some(Some(&job)), silent: false, ..record(exit) }, end);
        check(Evidence { accounts_count: false, silent: false, ..record(exit) }, end);
    }
    let usage = |evidence: Evidence<'_>| match judge(&evidence) {
        Verdict::Ended(Ended { usage, .. }) => (usage.wall.0, usage.cpu.0, usage.memory_peak.0, usage.joules),
        verdict => panic!("{verdict:?}"),
    };
    // Our own time, and the larger of the rest; of a container only what its node took.
    let told = Some(Some(&job));
    assert_eq!(usage(Evidence { account: told, ..record(&ended) }), (5_000, 900, 50, 1_234));
    assert_eq!(usage(Evidence { account: told, contained: true, ..record(&ended) }), (5_000, 700, 7, 1_234));
    assert_eq!(usage(Evidence { account: Some(None), ..record(&ended) }), (5_000, 700, 7, 0));
    // Hours are metered as they pass: a sum that comes after is of none of them.
    let late = TimeMs(3_600_000 + 9_000);
    assert_eq!(usage(Evidence { account: told, ..record(&Exit { at: late, ..ended.clone() }) }).3, 0);
    let claim = Some(Claim { at: Some(TimeMs(5_000)), job: None });
    let bare = Evidence { claim, account: told, used, ..nothing() };
    assert_eq!(usage(bare), (3_000, 900, 50, 1_234), "its own record is missing");
}

/// A controller that was killed launched a job, forgot it, and ends what it then finds on the node. Nobody cancelled
/// it.
#[test]
fn what_slurm_forgot_is_lost_and_not_cancelled() {
    let ended = exited(None, Some(15), true, false);
    let claim = Some(Claim { at: Some(TimeMs(4_000)), job: None });
    let check = |evidence: Evidence<'_>, expected: &str| assert_eq!(told(&evidence), expected, "{evidence:?}");
    let record = || Evidence { exit: Some(&ended), claim, ..nothing() };
    let over = |ending| Some(JobState::Over(ending));
    for held in [true, false] {
        check(Evidence { queue: Some(JobState::Pending { held }), silent: false, ..record() }, "lost - 15");
    }
    for (began, expected) in [(3_000, "cancelled - 15"), (5_000, "cancelled - 15"), (6_000, "lost - 15")] {
        let began = Some(TimeMs(began));
        for queue in [over(Ending::Cancelled), over(Ending::Failed)] {
            check(Evidence { queue, began, ..record() }, expected);
        }
        let bare = Evidence { queue: over(Ending::Cancelled), began, claim, ..nothing() };
        check(bare, "lost - -");
        let given_up = Evidence { queue: over(Ending::Cancelled), given_up: true, ..record() };
        check(given_up, "lost - 15");
        let asked = Evidence { queue: over(Ending::Cancelled), began, cancelled: true, ..record() };
        check(asked, "cancelled - 15");
    }
    // Neither queue nor accounting has it, or accounting was never told of its end.
    check(Evidence { account: Some(None), ..record() }, "lost - 15");
    let stale = AccountedJob { state: JobState::Active, ..account(Ending::Failed, 0, 0, 0) };
    check(Evidence { account: Some(Some(&stale)), ..record() }, "lost - 15");
    check(Evidence { account: Some(Some(&account(Ending::Cancelled, 0, 15, 0))), ..record() }, "cancelled - 15");
}

#[test]
fn without_a_done_record_slurm_is_asked_and_signs_of_life_count() {
    let claim = Some(Claim { at: Some(TimeMs(5_000)), job: None });
    let check = |evidence: Evidence<'_>, expected: &str| assert_eq!(told(&evidence), expected, "{evidence:?}");
    for queue in [JobState::Pending { held: false }, JobState::Active] {
        check(Evidence { queue: Some(queue), ..nothing() }, "wait");
        check(Evidence { queue: Some(queue), claim, ..nothing() }, "wait");
    }
    let over = |ending| Evidence { queue: Some(JobState::Over(ending)), claim, ..nothing() };
    // Called cancelled while it runs: seen on Slurm 22.05 after a restart of its controller.
    check(Evidence { silent: false, ..over(Ending::Cancelled) }, "wait");
    // Seen after 200 rounds of faults: nobody had cancelled it, and its job was as old as the attempt.
    check(over(Ending::Cancelled), "lost - -");
    check(Evidence { cancelled: true, ..over(Ending::Cancelled) }, "cancelled - 9");
    check(over(Ending::Completed), "exited 0 -");
    check(over(Ending::NodeFailed), "lost - -");
    check(over(Ending::Timeout), "walltime - 9");
    check(over(Ending::OutOfMemory), "memory - 9");
    check(over(Ending::Failed), "ask");
    check(Evidence { account: Some(None), ..over(Ending::Failed) }, "lost - -");
    let with = |exit_code, signal, memory| {
        let job = account(Ending::Failed, exit_code, signal, memory);
        told(&Evidence { account: Some(Some(&job)), ..over(Ending::Failed) })
    };
    assert_eq!((with(3, 0, 1).as_str(), with(0, 11, 1).as_str()), ("exited 3 -", "exited - 11"));
    assert_eq!((with(0, 9, 101).as_str(), with(113, 0, 1).as_str()), ("memory - 9", "lost - -"));
    // Gone from the queue.
    check(Evidence { claim, silent: false, ..nothing() }, "wait");
    check(Evidence { claim, ..nothing() }, "ask");
    check(Evidence { claim, account: Some(None), ..nothing() }, "lost - -");
    let job = account(Ending::Completed, 0, 0, 1);
    check(Evidence { claim, account: Some(Some(&job)), ..nothing() }, "exited 0 -");
}

#[test]
fn what_never_began_is_submitted_again_or_barred() {
    let check = |evidence: Evidence<'_>, expected: &str| assert_eq!(told(&evidence), expected, "{evidence:?}");
    check(Evidence { silent: false, ..nothing() }, "wait");
    check(nothing(), "ask");
    check(Evidence { account: Some(None), ..nothing() }, "again");
    check(Evidence { account: Some(None), cancelled: true, ..nothing() }, "bar cancelled");
    let stale = AccountedJob { state: JobState::Pending { held: false }, ..account(Ending::Failed, 0, 0, 0) };
    check(Evidence { account: Some(Some(&stale)), ..nothing() }, "again");
    let over = |ending| Evidence { queue: Some(JobState::Over(ending)), ..nothing() };
    check(over(Ending::Cancelled), "bar cancelled");
    let cancelled = AccountedJob { placed: false, ..account(Ending::Cancelled, 0, 0, 0) };
    check(Evidence { account: Some(Some(&cancelled)), ..nothing() }, "again");
    check(Evidence { account: Some(Some(&cancelled)), left_out: true, ..nothing() }, "bar cancelled");
    check(over(Ending::NodeFailed), "again");
    check(Evidence { placed: true, ..over(Ending::Cancelled) }, "again");
    check(Evidence { placed: true, cancelled: true, ..over(Ending::Cancelled) }, "bar cancelled");
    check(Evidence { placed: true, launches_failed: 5, ..over(Ending::Cancelled) }, "bar start-failed");
    check(
        Evidence { account: Some(Some(&account(Ending::Failed, 114, 0, 0))), ..over(Ending::Failed) },
        "bar start-failed",
    );
    check(Evidence { account: Some(Some(&account(Ending::Failed, 113, 0, 0))), ..over(Ending::Failed) }, "wait");
}

fn queues() -> impl Strategy<Value = Option<JobState>> {
    use Ending::{Cancelled, Completed, Failed, NodeFailed, OutOfMemory, Preempted, Timeout};
    let endings = [Completed, Failed, Cancelled, Timeout, OutOfMemory, NodeFailed, Preempted].map(JobState::Over);
    let mut all: Vec<Option<JobState>> = endings.into_iter().map(Some).collect();
    all.extend([None, Some(JobState::Active), Some(JobState::Pending { held: true })]);
    prop::sample::select(all)
}

proptest! {
    /// An attempt with a done record of success is never called anything else, whatever Slurm says; one that was
    /// claimed is never submitted again; one that gives signs of life never ends without a record.
    #[test]
    fn the_promises_hold(
        queue in queues(),
        claimed: bool,
        cancelled: bool,
        silent: bool,
        accounted in prop::option::of(prop::option::of(0i32..200)),
    ) {
        let job = accounted.flatten().map(|code| account(Ending::Failed, code, 0, 0));
        let claim = claimed.then_some(Claim { at: None, job: None });
        let account = accounted.map(|_| job.as_ref());
        let evidence = Evidence { claim, queue, account, cancelled, silent, ..nothing() };
        let verdict = judge(&evidence);
        prop_assert!(!(claimed && matches!(verdict, Verdict::SubmitAgain | Verdict::Bar(..))), "{verdict:?}");
        prop_assert!(silent || verdict == Verdict::Wait, "{verdict:?}");
        let exit = exited(Some(0), None, false, false);
        let good = judge(&Evidence { exit: Some(&exit), ..evidence });
        prop_assert!(matches!(&good, Verdict::Ended(end) if end.outcome.success()), "{good:?}");
    }
}

/// A record of a container that its wrapper lost sight of says so, and what podman's client used is not the task's.
#[test]
fn of_a_container_only_what_was_seen_of_it_counts() {
    let how = ExitKind::Lost { started_at: TimeMs(4_000), detail: "its client was killed".into() };
    let lost = Exit { at: TimeMs(9_000), how, cpu: DurationMs::ZERO };
    assert_eq!(told(&Evidence { exit: Some(&lost), cancelled: true, ..nothing() }), "lost - -");
    let claim = Some(Claim { at: Some(TimeMs(4_000)), job: None });
    let killed = account(Ending::Failed, 0, 9, 500);
    let check = |contained: bool, expected: (&str, u64)| {
        let evidence = Evidence { claim, contained, account: Some(Some(&killed)), ..nothing() };
        let Verdict::Ended(end) = judge(&evidence) else { panic!("it ended: {evidence:?}") };
        assert_eq!((end.outcome.cause.as_str(), end.usage.memory_peak.0), expected);
    };
    check(false, ("memory", 500));
    check(true, ("exited", 0));
}

/// Slurm tells one exit code, and what was used, for all of a gang.
#[test]
fn what_slurm_says_of_a_gang_is_of_no_single_task() {
    let claim = Some(Claim { at: Some(TimeMs(4_000)), job: None });
    let check = |state: Ending, together: bool, expected: (&str, Option<i32>, u64)| {
        let job = account(state, 7, 0, 500);
        let evidence = Evidence { claim, together, account: Some(Some(&job)), ..nothing() };
        let Verdict::Ended(end) = judge(&evidence) else { panic!("it ended: {evidence:?}") };
        let Ended { outcome, usage, .. } = end;
        assert_eq!((outcome.cause.as_str(), outcome.exit_code, usage.memory_peak.0), expected);
    };
    check(Ending::Failed, false, ("exited", Some(7), 500));
    check(Ending::Failed, true, ("lost", None, 0));
    check(Ending::Completed, true, ("exited", Some(0), 0));
    // Its job was launched again after a launch that failed, and found its own claim.
    let again = account(Ending::Failed, 113, 0, 0);
    let evidence = |together| Evidence { together, account: Some(Some(&again)), ..nothing() };
    assert_eq!((told(&evidence(true)).as_str(), told(&evidence(false)).as_str()), ("again", "wait"));
    // Another node failed: Slurm asked this task to end.
    let exit = exited(Some(5), None, true, false);
    let queue = Some(JobState::Over(Ending::NodeFailed));
    let told = |together| told(&Evidence { exit: Some(&exit), queue, together, ..nothing() });
    assert_eq!((told(true).as_str(), told(false).as_str()), ("lost 5 -", "cancelled 5 -"));
    // The rest of its job is not cleared yet: seen for five seconds after a node failed.
    let queue = Some(JobState::Active);
    let later = |after| TimeMs(exit.at.0 + after);
    let cleared = |now| self::told(&Evidence { exit: Some(&exit), queue, together: true, now, ..nothing() });
    assert_eq!((cleared(later(39_999)).as_str(), cleared(later(40_000)).as_str()), ("wait", "lost 5 -"));
}
