//! The contract of [`huisuan_drivers::Engine`], without a word about any one engine.

use std::{collections::BTreeMap, fs, sync::Arc, time::Duration};

use crate::bench::{Bench, expect_cause, id, order, script, task};
use huisuan_drivers::{EngineError, Held, SubmitResult};
use huisuan_model::{
    Bytes, DurationMs, EndCause, EngineKind, JobSpec, Millicores, RangeSet, ReportKind, Stream, spec::Work,
};

/// The whole contract as tests, each on an engine of its own that the expression makes.
macro_rules! whole_contract {
    ($bench:expr) => {
        $crate::suite::contract! {
            $bench,
            runs_and_reports,
            exit_codes,
            signals,
            start_failures,
            refusals,
            arrays_know_who_they_are,
            environment,
            output_of_any_kind,
            output_can_be_followed,
            walltime_is_kept,
            a_queued_attempt_is_cancelled,
            a_running_attempt_is_cancelled_with_all_it_started,
            an_unknown_attempt_is_cancelled_for_ever,
            memory_is_limited,
            usage_is_measured,
            a_duplicate_runs_once,
            capacity_is_never_exceeded,
            a_report_comes_until_it_is_acknowledged,
            what_is_held_is_told_and_what_is_missing_is_looked_for,
        }
    };
}

/// Those named of it.
macro_rules! contract {
    ($bench:expr, $($name:ident),* $(,)?) => {$(
        #[test]
        fn $name() {
            $crate::suite::$name(&mut $bench);
        }
    )*};
}

pub(crate) use {contract, whole_contract};

pub(crate) fn runs_and_reports(bench: &mut Bench) {
    let end = bench.run(order(1, script("echo out; echo err >&2; exit 0")));
    expect_cause(&end, EndCause::Exited);
    assert!(end.outcome.success() && end.outcome.signal.is_none() && end.outcome.detail.is_empty(), "{end:?}");
    let started_at = end.started_at.expect("it ran");
    assert!(started_at <= end.at);
    assert_eq!(bench.stdout(id(1, 0)), "out\n");
    assert_eq!(bench.output(id(1, 0), Stream::Stderr), b"err\n");
    bench.engine.acknowledge(&[id(1, 0)]).expect("acknowledged");
    assert_eq!(bench.stdout(id(1, 0)), "out\n", "output outlives the acknowledgement");
}

pub(crate) fn exit_codes(bench: &mut Bench) {
    for (job, code) in [(1, 0), (2, 1), (3, 3), (4, 127), (5, 255)] {
        let end = bench.run(order(job, script(&format!("exit {code}"))));
        expect_cause(&end, EndCause::Exited);
        assert_eq!((end.outcome.exit_code, end.outcome.signal), (Some(code), None));
    }
}

pub(crate) fn signals(bench: &mut Bench) {
    for (job, signal, number) in [(1, "TERM", 15), (2, "KILL", 9), (3, "SEGV", 11)] {
        let end = bench.run(order(job, script(&format!("kill -{signal} $$"))));
        expect_cause(&end, EndCause::Exited);
        assert_eq!((end.outcome.exit_code, end.outcome.signal), (None, Some(number)));
    }
}

pub(crate) fn start_failures(bench: &mut Bench) {
    let mut check = |job, spec, hint| bench.fails_to_start(job, spec, hint);
    check(1, JobSpec::command("x", &["/no/such/program"]), "/no/such/program");
    check(2, JobSpec::command("x", &["no-such-program"]), "no-such-program");
    check(3, JobSpec::command("x", &["/etc/passwd"]), "/etc/passwd");
    let mut spec = script("true");
    spec.directory = Some("/no/such/folder".into());
    check(4, spec, "/no/such/folder");
    let text = |text: &str| {
        let mut spec = script("");
        spec.work = Work::Script { text: text.into(), arguments: vec![] };
        spec
    };
    check(5, text("#!/no/such/interpreter\n"), "/no/such/interpreter");
    check(6, text("#!/bin/sh\r\necho\r\n"), "Windows");
    check(7, text("echo"), "#!");
    let mut spec = script("true");
    spec.output = Some("/no/such/folder/out".into());
    check(8, spec, "/no/such/folder");
}

pub(crate) fn refusals(bench: &mut Bench) {
    let too_many = Millicores(bench.cores() * 1000 + 1);
    let mut orders = vec![order(1, script("true")), order(2, script("true")), order(3, script("true"))];
    orders[0].cores = too_many;
    orders[1].spec = Arc::new(JobSpec { memory: Bytes(1 << 50), ..script("true") });
    let results = bench.engine.submit(&orders).expect("submitted");
    assert!(matches!(&results[0], SubmitResult::Refused { why } if why.contains("cores")), "{results:?}");
    assert!(matches!(&results[1], SubmitResult::Refused { why } if why.contains("memory")), "{results:?}");
    assert_eq!(results[2], SubmitResult::Accepted);
    expect_cause(&bench.end(id(3, 0)), EndCause::Exited);
    assert!(matches!(bench.engine.logs(id(9, 9), Stream::Stdout, 0, 10), Err(EngineError::UnknownAttempt(_))));
}

pub(crate) fn arrays_know_who_they_are(bench: &mut Bench) {
    let mut spec = script(
        "echo $SLURM_ARRAY_JOB_ID $SLURM_ARRAY_TASK_ID $SLURM_ARRAY_TASK_COUNT $SLURM_ARRAY_TASK_MIN \
         $SLURM_ARRAY_TASK_MAX $HUISUAN_TASK $HUISUAN_ATTEMPT $SLURM_PROCID",
    );
    spec.tasks = "2,5-6".parse::<RangeSet>().expect("ranges");
    let spec = Arc::new(spec);
    let orders: Vec<_> = spec.tasks.iter().map(|index| task(7, index, &spec)).collect();
    bench.submit(&orders);
    for index in [2, 5, 6] {
        expect_cause(&bench.end(id(7, index)), EndCause::Exited);
        assert_eq!(bench.stdout(id(7, index)), format!("7 {index} 3 2 6 {index} 7.{index}.1 0\n"));
    }
    let mut gang = script("echo $SLURM_PROCID $SLURM_NTASKS [$SLURM_ARRAY_TASK_ID]");
    gang.tasks = "0,4".parse::<RangeSet>().expect("ranges");
    gang.gang = true;
    let gang = Arc::new(gang);
    bench.submit(&[task(8, 0, &gang), task(8, 4, &gang)]);
    for (rank, index) in [(0, 0), (1, 4)] {
        expect_cause(&bench.end(id(8, index)), EndCause::Exited);
        assert_eq!(bench.stdout(id(8, index)), format!("{rank} 2 []\n"));
    }
}

pub(crate) fn environment(bench: &mut Bench) {
    let mut spec = JobSpec::command("name", &["env"]);
    spec.environment = BTreeMap::from([
        ("SPACES".to_owned(), " a  b ".to_owned()),
        ("QUOTES".to_owned(), "'\"$(id)`id`\\".to_owned()),
        ("HUISUAN_JOB_ID".to_owned(), "forged".to_owned()),
    ]);
    spec.memory = Bytes(100 << 20);
    let mut order = order(3, spec);
    order.cores = Millicores(500);
    let end = bench.run(order);
    assert!(end.outcome.success(), "{end:?}");
    let text = bench.stdout(id(3, 0));
    let variables: BTreeMap<&str, &str> = text.lines().filter_map(|line| line.split_once('=')).collect();
    for (name, value) in [
        ("SPACES", " a  b "),
        ("QUOTES", "'\"$(id)`id`\\"),
        ("HUISUAN_JOB_ID", "3"),
        ("HUISUAN_CENTRE", "here"),
        ("HUISUAN_CORES", "0.5"),
        ("SLURM_JOB_NAME", "name"),
        ("SLURM_CPUS_PER_TASK", "1"),
        ("SLURM_NTASKS", "1"),
        ("SLURM_MEM_PER_NODE", "100"),
        ("CUDA_VISIBLE_DEVICES", ""),
    ] {
        assert_eq!(variables.get(name), Some(&value), "{name}");
    }
    // In Slurm it is the number of Slurm's job, for `srun` inside of the task needs that one.
    let number = variables.get("SLURM_JOB_ID").map(|number| number.parse::<u64>().expect("a number"));
    assert!(number == Some(3) || (number.is_some() && bench.engine.kind() == EngineKind::Slurm), "{number:?}");
    assert!(variables.contains_key("PATH") && variables.contains_key("SLURM_SUBMIT_DIR"));
    assert!(!variables.contains_key("SLURM_ARRAY_TASK_ID"), "a plain job is no array");
    let foreign = ["CARGO", "CARGO_MANIFEST_DIR", crate::bench::SUPERVISOR_VARIABLE];
    assert!(foreign.iter().all(|name| !variables.contains_key(name)), "the agent's own environment leaks");
}

pub(crate) fn output_of_any_kind(bench: &mut Bench) {
    let end = bench.run(order(1, script("head -c 50000000 /dev/zero")));
    assert!(end.outcome.success(), "{end:?}");
    let zeros = bench.output(id(1, 0), Stream::Stdout);
    assert!(zeros.len() == 50_000_000 && zeros.iter().all(|&byte| byte == 0));
    let end = bench.run(order(2, script(r"printf '汇算\377\000\n'; printf 'é' >&2")));
    assert!(end.outcome.success(), "{end:?}");
    assert_eq!(bench.output(id(2, 0), Stream::Stdout), "汇算".bytes().chain([0xff, 0, b'\n']).collect::<Vec<_>>());
    assert_eq!(bench.output(id(2, 0), Stream::Stderr), "é".as_bytes());
    let chunk = bench.engine.logs(id(2, 0), Stream::Stdout, 3, 3).expect("a chunk");
    assert_eq!((chunk.data.as_slice(), chunk.offset, chunk.end), ("算".as_bytes(), 3, false));
    let chunk = bench.engine.logs(id(2, 0), Stream::Stdout, 1000, 10).expect("beyond the end");
    assert_eq!((chunk.data.len(), chunk.end), (0, true));
}

pub(crate) fn output_can_be_followed(bench: &mut Bench) {
    let go = bench.file("go");
    bench.submit(&[order(1, script(&format!("echo one; until [ -e {go} ]; do sleep 0.01; done; echo two")))]);
    bench.started(id(1, 0));
    let mut seen = Vec::new();
    while seen != b"one\n" {
        let chunk = bench.engine.logs(id(1, 0), Stream::Stdout, seen.len() as u64, 100).expect("a chunk");
        assert!(!chunk.end, "it still runs");
        seen.extend(chunk.data);
    }
    fs::write(go, "").expect("a file");
    bench.end(id(1, 0));
    assert_eq!(bench.stdout(id(1, 0)), "one\ntwo\n");
}

pub(crate) fn walltime_is_kept(bench: &mut Bench) {
    let mut spec = script("sleep 1000");
    spec.walltime = DurationMs(300);
    let end = bench.run(order(1, spec));
    expect_cause(&end, EndCause::Walltime);
    assert_eq!(end.outcome.signal, Some(15));
    assert!(end.usage.wall >= DurationMs(300) && end.usage.wall < DurationMs(20_000), "{end:?}");
    let mut spec = script("trap 'echo saved; exit 4' TERM; while :; do sleep 0.01; done");
    spec.walltime = DurationMs(300);
    let end = bench.run(order(2, spec));
    expect_cause(&end, EndCause::Walltime);
    assert_eq!((end.outcome.exit_code, bench.stdout(id(2, 0))), (Some(4), "saved\n".to_owned()));
}

pub(crate) fn a_queued_attempt_is_cancelled(bench: &mut Bench) {
    let mut blocker = order(1, script("sleep 1000"));
    blocker.cores = Millicores(bench.cores() * 1000);
    let marker = bench.file("ran");
    bench.submit(&[blocker, order(2, script(&format!("touch {marker}"))), order(3, script("true"))]);
    bench.started(id(1, 0));
    let chunk = bench.engine.logs(id(2, 0), Stream::Stdout, 0, 10).expect("nothing yet");
    assert!(chunk.data.is_empty() && !chunk.end);
    bench.engine.cancel(&[id(2, 0)]).expect("cancelled");
    let end = bench.end(id(2, 0));
    expect_cause(&end, EndCause::Cancelled);
    assert_eq!((end.started_at, end.outcome.exit_code), (None, None));
    bench.engine.cancel(&[id(1, 0), id(2, 0)]).expect("cancelled, once more");
    expect_cause(&bench.end(id(1, 0)), EndCause::Cancelled);
    expect_cause(&bench.end(id(3, 0)), EndCause::Exited);
    assert!(!fs::exists(marker).expect("readable"), "it ran after it was cancelled");
    assert!(bench.output(id(2, 0), Stream::Stdout).is_empty());
}

pub(crate) fn a_running_attempt_is_cancelled_with_all_it_started(bench: &mut Bench) {
    let pid_file = bench.file("child");
    let stubborn = format!(
        "trap '' TERM\n(echo $(exec sh -c 'echo $PPID') > {pid_file}.new; mv {pid_file}.new {pid_file}; \
         while :; do sleep 0.05; done) &\nwait; while :; do sleep 0.05; done"
    );
    bench.submit(&[order(1, script(&stubborn))]);
    bench.started(id(1, 0));
    let child = bench.process_in(&pid_file);
    bench.engine.cancel(&[id(1, 0)]).expect("cancelled");
    let end = bench.end(id(1, 0));
    expect_cause(&end, EndCause::Cancelled);
    assert_eq!(end.outcome.signal, Some(9), "it ignores SIGTERM");
    child.wait_gone();
    bench.engine.cancel(&[id(1, 0)]).expect("a late cancel does nothing");
    expect_cause(&bench.run(order(2, script("true"))), EndCause::Exited);
    let ends = bench.reports.iter().filter(|r| r.attempt == id(1, 0) && matches!(r.what, ReportKind::Ended { .. }));
    assert_eq!(ends.count(), 1);
}

pub(crate) fn an_unknown_attempt_is_cancelled_for_ever(bench: &mut Bench) {
    bench.engine.cancel(&[id(1, 0)]).expect("cancelled");
    let end = bench.end(id(1, 0));
    expect_cause(&end, EndCause::Cancelled);
    assert_eq!(end.started_at, None);
    let late = bench.engine.submit(&[order(1, script("true"))]).expect("submitted");
    assert_eq!(late, [SubmitResult::Duplicate]);
}

pub(crate) fn memory_is_limited(bench: &mut Bench) {
    let mut spec = script("x=$(head -c 200000000 /dev/zero | tr '\\0' x); sleep 60; echo ${#x}");
    spec.memory = Bytes(50 << 20);
    let end = bench.run(order(1, spec));
    expect_cause(&end, EndCause::Memory);
    assert!(end.usage.memory_peak > Bytes(50 << 20), "{end:?}");
    assert!(end.outcome.detail.contains("memory"), "{end:?}");
}

pub(crate) fn usage_is_measured(bench: &mut Bench) {
    let mut spec = script("i=0; while [ $i -lt 1000000 ]; do i=$((i+1)); done; sleep 1.5");
    spec.memory = Bytes(200 << 20);
    let end = bench.run(order(1, spec));
    assert!(end.outcome.success(), "{end:?}");
    assert!(end.usage.cpu >= DurationMs(50) && end.usage.cpu <= end.usage.wall, "{end:?}");
    assert!(end.usage.wall >= DurationMs(1500), "{end:?}");
    assert!(end.usage.memory_peak > Bytes::ZERO && end.usage.memory_peak < Bytes(20 << 20), "{end:?}");
    let used = bench.reports.iter().filter_map(|report| match report.what {
        ReportKind::Used(usage) => Some(usage),
        _ => None,
    });
    let samples: Vec<_> = used.collect();
    assert!(!samples.is_empty(), "an attempt of more than a second is sampled while it runs");
    assert!(samples.iter().all(|sample| sample.wall <= end.usage.wall && sample.cpu <= end.usage.wall));
}

pub(crate) fn a_duplicate_runs_once(bench: &mut Bench) {
    let file = bench.file("ran");
    let twice = order(1, script(&format!("echo ran >> {file}")));
    let results = bench.engine.submit(&[twice.clone(), twice.clone()]).expect("submitted");
    assert_eq!(results, [SubmitResult::Accepted, SubmitResult::Duplicate]);
    assert_eq!(bench.engine.submit(std::slice::from_ref(&twice)).expect("submitted"), [SubmitResult::Duplicate]);
    bench.end(id(1, 0));
    assert_eq!(bench.engine.submit(std::slice::from_ref(&twice)).expect("submitted"), [SubmitResult::Duplicate]);
    bench.engine.acknowledge(&[id(1, 0)]).expect("acknowledged");
    bench.reports.clear();
    assert_eq!(bench.engine.submit(&[twice]).expect("submitted"), [SubmitResult::Duplicate]);
    let again = bench.end(id(1, 0));
    assert!(again.outcome.success(), "who asks again for a known attempt is told its end again");
    expect_cause(&bench.run(order(2, script("true"))), EndCause::Exited);
    assert_eq!(fs::read_to_string(file).expect("it ran"), "ran\n");
}

pub(crate) fn capacity_is_never_exceeded(bench: &mut Bench) {
    let file = bench.file("steps");
    let cores = bench.cores() * 1000;
    let text = |cores: u64| script(&format!("echo +{cores} >> {file}; sleep 0.03; echo -{cores} >> {file}"));
    let sizes = [1000, 500, 500, 700, cores, 300, 1000, 900, 900, cores, 100, 1000];
    let orders: Vec<_> = (1..)
        .zip(sizes.into_iter().cycle().take(48))
        .map(|(job, cores)| {
            let mut order = order(job, text(cores));
            order.cores = Millicores(cores);
            order
        })
        .collect();
    bench.submit(&orders);
    for order in &orders {
        expect_cause(&bench.end(order.attempt), EndCause::Exited);
    }
    let steps = fs::read_to_string(file).expect("they ran");
    let (mut used, mut most) = (0i64, 0);
    for step in steps.lines() {
        used += step.parse::<i64>().expect("a number");
        most = most.max(used);
    }
    assert_eq!((used, steps.lines().count()), (0, 96));
    assert!(most <= i64::try_from(cores).expect("few"), "{most} millicores of {cores} at once");
    assert!(most > 500, "nothing ran at the same time");
}

pub(crate) fn a_report_comes_until_it_is_acknowledged(bench: &mut Bench) {
    bench.submit(&[order(1, script("true")), order(2, script("true"))]);
    bench.end(id(1, 0));
    bench.end(id(2, 0));
    let more = bench.engine.observe(Duration::ZERO).expect("observed");
    assert!(more.is_empty(), "the same engine value does not tell twice: {more:?}");
    bench.engine.acknowledge(&[id(1, 0), id(9, 9)]).expect("acknowledged, and one that is not known");
}

/// What the network and the engine may differ in: the engine says what it has, and what became of the rest.
pub(crate) fn what_is_held_is_told_and_what_is_missing_is_looked_for(bench: &mut Bench) {
    let held = |bench: &Bench| bench.engine.held().expect("asked").expect("this engine can tell");
    assert_eq!(held(bench), Held::default());
    let file = bench.file("go");
    bench.submit(&[order(1, script(&format!("until [ -e {file} ]; do sleep 0.02; done; exit 3")))]);
    bench.started(id(1, 0));
    assert_eq!(held(bench), Held { live: vec![id(1, 0)], ended: vec![] });
    bench.engine.look_for(&[id(1, 0)]).expect("asked");
    fs::write(&file, "").expect("written");
    let end = bench.end(id(1, 0));
    assert_eq!((end.outcome.cause, end.outcome.exit_code), (EndCause::Exited, Some(3)), "what runs is not called lost");
    assert_eq!(held(bench), Held { live: vec![], ended: vec![id(1, 0)] }, "its end is on its way");
    bench.engine.acknowledge(&[id(1, 0)]).expect("acknowledged");
    assert_eq!(held(bench), Held::default());
    assert!(bench.engine.knows(id(1, 0)).expect("asked") && !bench.engine.knows(id(2, 0)).expect("asked"));

    // The network has forgotten an end, and believes in an attempt that never was.
    bench.reports.clear();
    bench.engine.look_for(&[id(1, 0), id(2, 0)]).expect("asked");
    let again = bench.end(id(1, 0));
    assert_eq!((again.outcome.cause, again.outcome.exit_code), (EndCause::Exited, Some(3)), "its record says so");
    expect_cause(&bench.end(id(2, 0)), EndCause::Lost);
    let late = bench.engine.submit(&[order(2, script("exit 0"))]).expect("submitted");
    assert_eq!(late, [SubmitResult::Duplicate], "what was called lost never starts");
}
