//! The contract on the simulated engine, and what only that one does.
//!
//! Of the suite, what a task prints, reads, starts or needs of the machine does not apply, because nothing runs:
//! output, environment, signals, start failures, memory and measured usage. The fates of the rest are read from their
//! scripts: `sleep N` lasts N seconds, `exit N` gives the code.

use std::{path::PathBuf, sync::Arc, time::Duration};

use huisuan_drivers::{Engine as _, EngineError, Fate, SimulatedConfig, SimulatedEngine, SubmitResult};
use huisuan_model::{
    Bytes, Class, DurationMs, EndCause, EngineKind, JobSpec, MilliDevices, Millicores, Pool, PoolId, ReportKind,
    StartOrder, Stream, TimeMs,
    spec::{DeviceNeed, Need, Work},
};

use crate::{
    bench::{Bench, End, end_of, expect_cause, id, order, script, task},
    suite,
};

suite::contract! {
    bench(),
    exit_codes,
    refusals,
    a_queued_attempt_is_cancelled,
    an_unknown_attempt_is_cancelled_for_ever,
    a_report_comes_until_it_is_acknowledged,
}

fn pool(name: &str, devices: u64) -> Pool {
    Pool {
        id: PoolId::new(name).expect("a name"),
        class: Class::General,
        cores: Millicores(2_000),
        memory: Bytes(1 << 30),
        devices: MilliDevices(devices),
        device_memory: Bytes::ZERO,
        rating: None,
        images: false,
        topology: None,
    }
}

fn fate(order: &StartOrder, _: &Pool) -> Fate {
    let Work::Script { text, .. } = &order.spec.work else { panic!("tests submit scripts") };
    let number = |word: &str| {
        let after = text.split_once(word).map(|(_, after)| after.trim_start());
        after.and_then(|after| after.split(|c: char| !c.is_ascii_digit()).next()?.parse::<u64>().ok())
    };
    Fate {
        run_ms: number("sleep").map_or(5, |seconds| seconds * 1_000),
        exit_code: number("exit").map_or(0, |code| i32::try_from(code).expect("a code")),
        busy_percent: 50,
    }
}

fn open(pools: Vec<Pool>, folder: Option<PathBuf>) -> Result<SimulatedEngine, EngineError> {
    SimulatedEngine::open(SimulatedConfig { pools, fate: Box::new(fate), folder })
}

fn bench_of(pools: Vec<Pool>) -> Bench {
    let folder = tempfile::tempdir().expect("a scratch folder");
    let engine = open(pools, Some(folder.path().join("centre"))).expect("a virtual centre");
    Bench::new(engine, folder)
}

fn bench() -> Bench {
    bench_of(vec![pool("cpu:test", 0)])
}

/// Begins anew with what the folder of a bench holds, as after a kill.
fn reopen(bench: &mut Bench) {
    bench.engine = Box::new(open(vec![pool("cpu:test", 0)], Some(bench.folder.path().join("centre"))).expect("again"));
    bench.reports.clear();
}

fn sized(job: u64, text: &str, cores: u64) -> StartOrder {
    StartOrder { cores: Millicores(cores), ..order(job, script(text)) }
}

#[test]
fn it_says_what_it_is() {
    let engine = open(vec![pool("b", 1_000), pool("a", 0)], None).expect("a virtual centre");
    let names: Vec<PoolId> = engine.inventory().expect("an inventory").into_iter().map(|pool| pool.id).collect();
    assert_eq!(names.iter().map(PoolId::as_str).collect::<Vec<_>>(), ["a", "b"]);
    assert_eq!((engine.kind(), engine.memory_mode().as_str()), (EngineKind::Simulated, "simulated"));
    assert!(engine.measurable_cpus(&names[0]).is_empty());
}

#[test]
fn a_task_lasts_and_uses_what_its_fate_says() {
    let mut bench = bench();
    let end = bench.run(sized(1, "sleep 1; exit 3", 2_000));
    expect_cause(&end, EndCause::Exited);
    assert_eq!((end.outcome.exit_code, end.usage.wall, end.usage.cpu), (Some(3), DurationMs(1_000), DurationMs(1_000)));
    assert_eq!(end.at.since(end.started_at.expect("it ran")), DurationMs(1_000), "ends are to the millisecond");
    let said = bench.stdout(id(1, 0));
    assert!(said.contains("SIMULATED") && said.contains("1.0.1"), "{said}");
    assert!(bench.output(id(1, 0), Stream::Stderr).is_empty());
    let chunk = bench.engine.logs(id(1, 0), Stream::Stdout, 4, 3).expect("a chunk");
    assert_eq!((chunk.data.as_slice(), chunk.offset, chunk.end), (&b"LAT"[..], 4, false));
}

#[test]
fn the_walltime_is_kept_to_the_millisecond() {
    let mut bench = bench();
    let spec = JobSpec { walltime: DurationMs(120), ..script("sleep 1000") };
    let end = bench.run(order(1, spec));
    expect_cause(&end, EndCause::Walltime);
    assert_eq!((end.outcome.signal, end.outcome.exit_code, end.usage.wall), (Some(15), None, DurationMs(120)));
}

#[test]
fn a_running_attempt_is_cancelled_once() {
    let mut bench = bench();
    bench.submit(&[sized(1, "sleep 1000", 2_000), sized(2, "true", 1_000)]);
    bench.started(id(1, 0));
    bench.engine.cancel(&[id(1, 0), id(1, 0)]).expect("cancelled");
    let end = bench.end(id(1, 0));
    expect_cause(&end, EndCause::Cancelled);
    assert!(end.started_at.is_some() && end.outcome.signal == Some(15), "{end:?}");
    expect_cause(&bench.end(id(2, 0)), EndCause::Exited);
    let ends = bench.reports.iter().filter(|report| end_of(report, id(1, 0)).is_some());
    assert_eq!(ends.count(), 1);
}

#[test]
fn a_duplicate_is_told_its_end_again() {
    let mut bench = bench();
    let twice = sized(1, "true", 1_000);
    let results = bench.engine.submit(&[twice.clone(), twice.clone()]).expect("submitted");
    assert_eq!(results, [SubmitResult::Accepted, SubmitResult::Duplicate]);
    let first = bench.end(id(1, 0));
    bench.engine.acknowledge(&[id(1, 0)]).expect("acknowledged");
    bench.reports.clear();
    assert_eq!(bench.engine.submit(&[twice]).expect("submitted"), [SubmitResult::Duplicate]);
    assert_eq!(bench.end(id(1, 0)).at, first.at, "the same end, not another");
}

/// Replays starts and ends: at no moment more is used than there is, and what came first started first.
#[test]
fn capacity_is_never_exceeded_and_order_is_kept() {
    let mut bench = bench();
    let sizes = [1_000, 500, 500, 700, 2_000, 300, 1_000, 900, 900, 2_000, 100, 1_000];
    let orders: Vec<StartOrder> = (1..).zip(sizes).map(|(job, cores)| sized(job, "true", cores)).collect();
    bench.submit(&orders);
    let mut changes: Vec<(TimeMs, i64)> = Vec::new();
    let mut starts = Vec::new();
    for order in &orders {
        let End { at, started_at, .. } = bench.end(order.attempt);
        let cores = i64::try_from(order.cores.0).expect("few");
        starts.push(started_at.expect("it ran"));
        changes.extend([(at, -cores), (started_at.expect("it ran"), cores)]);
    }
    changes.sort_unstable();
    let mut used = 0;
    for (_, change) in changes {
        used += change;
        assert!((0..=2_000).contains(&used), "{used} millicores of 2000 at once");
    }
    assert!(starts.is_sorted(), "{starts:?}");
}

#[test]
fn devices_go_to_the_pool_that_is_named() {
    let mut bench = bench_of(vec![pool("npu:a", 4_000), pool("npu:b", 4_000)]);
    let with = |job, part: &str, count| {
        let any_of = vec![PoolId::new(part).expect("a name")];
        let devices = Some(DeviceNeed { count: MilliDevices(count), any_of, memory_min: Bytes::ZERO });
        let spec = JobSpec { need: Need::Hardware { cores: Millicores(500), devices }, ..script("sleep 1000") };
        StartOrder { devices: MilliDevices(count), cores: Millicores(500), ..order(job, spec) }
    };
    bench.submit(&[with(1, "npu:a", 4_000), with(2, "npu:a", 1_000), with(3, "npu:b", 4_000)]);
    bench.started(id(1, 0));
    bench.started(id(3, 0));
    let waits = !bench.reports.iter().any(|report| report.attempt == id(2, 0));
    assert!(waits, "a pool that is full is passed over for another pool only");
    let refused = bench.engine.submit(&[with(4, "npu:c", 1_000), with(5, "npu:a", 5_000)]).expect("submitted");
    assert!(matches!(&refused[0], SubmitResult::Refused { why } if why.contains("this hardware")), "{refused:?}");
    assert!(matches!(&refused[1], SubmitResult::Refused { why } if why.contains("device")), "{refused:?}");
}

#[test]
fn a_restart_goes_on_where_it_is_by_now() {
    let mut bench = bench();
    bench.submit(&[sized(1, "sleep 1", 1_000), sized(2, "sleep 1000", 1_000), sized(3, "true", 2_000)]);
    let started_at = bench.started(id(1, 0));
    bench.engine.cancel(&[id(9, 0)]).expect("a tombstone");
    bench.end(id(9, 0));
    bench.engine.acknowledge(&[id(9, 0)]).expect("acknowledged");
    reopen(&mut bench);
    assert_eq!(bench.started(id(1, 0)), started_at, "what runs is told again and did not begin anew");
    let end = bench.end(id(1, 0));
    assert_eq!(end.at.since(started_at), DurationMs(1_000));
    reopen(&mut bench);
    assert_eq!(bench.end(id(1, 0)).at, end.at, "an end comes until it is acknowledged");
    bench.engine.acknowledge(&[id(1, 0)]).expect("acknowledged");
    reopen(&mut bench);
    bench.started(id(2, 0));
    bench.engine.cancel(&[id(2, 0)]).expect("cancelled");
    expect_cause(&bench.end(id(3, 0)), EndCause::Exited);
    let acknowledged = |report: &&huisuan_model::AttemptReport| [id(1, 0), id(9, 0)].contains(&report.attempt);
    assert_eq!(bench.reports.iter().filter(acknowledged).count(), 0);
    let known: Vec<StartOrder> = [1, 2, 3, 9].map(|job| sized(job, "true", 1_000)).to_vec();
    assert_eq!(bench.engine.submit(&known).expect("submitted"), vec![SubmitResult::Duplicate; 4]);
}

#[test]
fn a_journal_may_end_in_a_cut_line_but_not_lie() {
    let mut bench = bench();
    bench.run(sized(1, "true", 1_000));
    let path = bench.folder.path().join("centre/simulated.log");
    let whole = std::fs::read_to_string(&path).expect("a journal");
    std::fs::write(&path, format!("{whole}{{\"accep")).expect("written");
    reopen(&mut bench);
    bench.end(id(1, 0));
    bench.run(sized(2, "true", 1_000));
    reopen(&mut bench);
    bench.end(id(2, 0));
    std::fs::write(&path, format!("nonsense\n{whole}")).expect("written");
    let damaged = open(vec![pool("cpu:test", 0)], Some(bench.folder.path().join("centre")));
    assert!(matches!(damaged, Err(EngineError::Damaged { line: 1, .. })));
}

#[test]
fn tasks_of_an_array_are_apart() {
    let mut bench = bench();
    let spec = Arc::new(JobSpec { tasks: "2,5-6".parse().expect("ranges"), ..script("exit 0") });
    let orders: Vec<StartOrder> = spec.tasks.iter().map(|index| task(7, index, &spec)).collect();
    bench.submit(&orders);
    for index in [2, 5, 6] {
        expect_cause(&bench.end(id(7, index)), EndCause::Exited);
        assert!(bench.stdout(id(7, index)).contains(&format!("7.{index}.1")));
    }
    let again = bench.engine.observe(Duration::ZERO).expect("observed");
    assert!(!again.iter().any(|report| matches!(report.what, ReportKind::Ended { .. })), "{again:?}");
}
