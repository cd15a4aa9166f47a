//! Promises of the suite that Kubernetes keeps a little differently: there is one output, times are whole seconds, and
//! what can never run is refused when it is ordered.

use huisuan_model::{Bytes, DurationMs, EndCause, JobSpec, Stream};

use crate::bench::{Bench, expect_cause, id, order, script};

pub(super) fn runs_and_reports(bench: &mut Bench) {
    let end = bench.run(order(1, script("echo out; echo err >&2; exit 0")));
    expect_cause(&end, EndCause::Exited);
    assert!(end.outcome.success() && end.outcome.signal.is_none() && end.outcome.detail.is_empty(), "{end:?}");
    assert!(end.started_at.expect("it ran") <= end.at);
    assert_eq!(bench.stdout(id(1, 0)), "out\nerr\n");
    assert_eq!(bench.output(id(1, 0), Stream::Stderr), b"");
    bench.engine.acknowledge(&[id(1, 0)]).expect("acknowledged");
    assert_eq!(bench.stdout(id(1, 0)), "out\nerr\n", "output outlives the acknowledgement");
}

pub(super) fn start_failures(bench: &mut Bench) {
    let mut check = |job, spec, hint| bench.fails_to_start(job, spec, hint);
    check(1, JobSpec::command("x", &["/no/such/program"]), "/no/such/program");
    check(2, JobSpec::command("x", &["no-such-program"]), "no-such-program");
    check(3, JobSpec::command("x", &["/etc/passwd"]), "/etc/passwd");
}

pub(super) fn walltime_is_kept(bench: &mut Bench) {
    let spec = JobSpec { walltime: DurationMs(300), ..script("sleep 1000") };
    let end = bench.run(order(1, spec));
    expect_cause(&end, EndCause::Walltime);
    assert_eq!(end.outcome.signal, Some(15));
    let spec =
        JobSpec { walltime: DurationMs(300), ..script("trap 'echo saved; exit 4' TERM; while :; do sleep 0.01; done") };
    let end = bench.run(order(2, spec));
    expect_cause(&end, EndCause::Walltime);
    assert_eq!((end.outcome.exit_code, bench.stdout(id(2, 0))), (Some(4), "saved\n".to_owned()));
}

pub(super) fn memory_is_limited(bench: &mut Bench) {
    let mut spec = script("x=$(head -c 200000000 /dev/zero | tr '\\0' x); sleep 60; echo ${#x}");
    spec.memory = Bytes(50 << 20);
    let end = bench.run(order(1, spec));
    expect_cause(&end, EndCause::Memory);
    assert!(end.outcome.detail.contains("memory"), "{end:?}");
}

pub(super) fn output_of_any_kind(bench: &mut Bench) {
    let end = bench.run(order(1, script("head -c 50000000 /dev/zero")));
    assert!(end.outcome.success(), "{end:?}");
    let zeros = bench.output(id(1, 0), Stream::Stdout);
    assert!(zeros.len() == 50_000_000 && zeros.iter().all(|&byte| byte == 0));
    let end = bench.run(order(2, script(r"printf '汇算\377\000\n'")));
    assert!(end.outcome.success(), "{end:?}");
    assert_eq!(bench.output(id(2, 0), Stream::Stdout), "汇算".bytes().chain([0xff, 0, b'\n']).collect::<Vec<_>>());
    let chunk = bench.engine.logs(id(2, 0), Stream::Stdout, 3, 3).expect("a chunk");
    assert_eq!((chunk.data.as_slice(), chunk.offset, chunk.end), ("算".as_bytes(), 3, false));
    let chunk = bench.engine.logs(id(2, 0), Stream::Stdout, 1000, 10).expect("beyond the end");
    assert_eq!((chunk.data.len(), chunk.end), (0, true));
}
