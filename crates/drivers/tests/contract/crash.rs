//! The supervisor is killed, with and without notice. Nothing that was accepted is lost or runs twice.

use std::{
    fs,
    io::Read,
    path::Path,
    process::{Command, Stdio},
};

#[cfg(feature = "failpoints")]
use huisuan_drivers::Engine as _;
use huisuan_drivers::SubmitResult;
use huisuan_model::{EndCause, Millicores};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open};

use crate::bench::{Bench, ProcessHandle, SUPERVISOR_VARIABLE, expect_cause, id, order, script};

/// Finds the supervisor of a folder.
pub(crate) fn supervisor(dir: &Path) -> ProcessHandle {
    let pid = fs::read_to_string(dir.join("supervisor.lock")).expect("a lock file");
    let pid = Pid::from_raw(pid.trim().parse().expect("a process id")).expect("a process id");
    ProcessHandle(pidfd_open(pid, PidfdFlags::empty()).expect("it runs"))
}

#[test]
fn killed_while_one_runs_one_waits_and_one_has_ended() {
    let mut bench = Bench::local();
    let dir = bench.folder.path().join("centre");
    let (go, trace) = (bench.file("go"), bench.file("trace"));
    let cores = Millicores(bench.cores() * 1000);
    let mut runs = order(2, script(&format!("echo 2 >> {trace}; until [ -e {go} ]; do sleep 0.01; done")));
    runs.cores = cores;
    let mut waits = order(3, script(&format!("echo 3 >> {trace}; exit 6")));
    waits.cores = cores;
    bench.submit(&[order(1, script(&format!("echo 1 >> {trace}; exit 4"))), runs.clone(), waits]);
    bench.end(id(1, 0));
    let started_at = bench.started(id(2, 0));
    supervisor(&dir).kill();
    bench.reports.clear();
    assert_eq!(bench.end(id(1, 0)).outcome.exit_code, Some(4));
    assert_eq!(bench.started(id(2, 0)), started_at, "it is the same process");
    assert_eq!(bench.engine.submit(&[runs]).expect("submitted"), [SubmitResult::Duplicate]);
    assert!(bench.reports.iter().all(|report| report.attempt != id(3, 0)), "there is no room for it yet");
    fs::write(go, "").expect("a file");
    let end = bench.end(id(2, 0));
    expect_cause(&end, EndCause::Lost);
    assert_eq!(end.started_at, Some(started_at));
    assert!(end.usage.wall.0 > 0, "{end:?}");
    assert_eq!(bench.end(id(3, 0)).outcome.exit_code, Some(6));
    assert_eq!(fs::read_to_string(trace).expect("they ran"), "1\n2\n3\n");
    bench.engine.acknowledge(&[id(1, 0), id(2, 0)]).expect("acknowledged");
    supervisor(&dir).kill();
    bench.reports.clear();
    assert_eq!(bench.end(id(3, 0)).outcome.exit_code, Some(6));
    let others = bench.reports.iter().filter(|report| report.attempt != id(3, 0));
    assert_eq!(others.count(), 0, "what was acknowledged is told again after a kill");
}

#[test]
fn killed_and_its_running_attempt_with_it() {
    let mut bench = Bench::local();
    let dir = bench.folder.path().join("centre");
    let pid_file = bench.file("pid");
    let text = "sleep 1000 & echo $$ > PID.new; mv PID.new PID; wait";
    bench.submit(&[order(1, script(&text.replace("PID", &pid_file)))]);
    bench.started(id(1, 0));
    let leader = bench.process_in(&pid_file);
    supervisor(&dir).kill();
    leader.kill();
    let end = bench.end(id(1, 0));
    expect_cause(&end, EndCause::Lost);
    assert!(end.started_at.is_some());
    assert!(bench.run(order(2, script("true"))).outcome.success());
}

#[test]
fn an_adopted_attempt_can_be_cancelled_and_keeps_its_walltime() {
    let mut bench = Bench::local();
    let dir = bench.folder.path().join("centre");
    let mut short = script("sleep 1000");
    short.walltime = huisuan_model::DurationMs(2_000);
    let mut orders = [order(1, script("sleep 1000")), order(2, short)];
    orders.iter_mut().for_each(|order| order.cores = Millicores(500));
    bench.submit(&orders);
    bench.started(id(1, 0));
    bench.started(id(2, 0));
    supervisor(&dir).kill();
    bench.engine.cancel(&[id(1, 0)]).expect("cancelled");
    expect_cause(&bench.end(id(1, 0)), EndCause::Cancelled);
    let end = bench.end(id(2, 0));
    expect_cause(&end, EndCause::Walltime);
    assert!(end.at.since(end.started_at.expect("it ran")).0 >= 2_000);
}

#[test]
fn a_reboot_loses_what_had_not_ended() {
    let mut bench = Bench::local();
    let dir = bench.folder.path().join("centre");
    let mut blocker = order(1, script("sleep 1000"));
    blocker.cores = Millicores(bench.cores() * 1000);
    bench.submit(&[blocker, order(2, script("true"))]);
    bench.started(id(1, 0));
    let supervisor = supervisor(&dir);
    supervisor.kill();
    // The next supervisor must think that the machine was restarted in between.
    let log = dir.join("accepted.log");
    let boot_id = fs::read_to_string("/proc/sys/kernel/random/boot_id").expect("readable");
    let text = fs::read_to_string(&log).expect("readable");
    assert!(text.contains(boot_id.trim()));
    fs::write(&log, text.replace(boot_id.trim(), "another-boot")).expect("written");
    bench.reports.clear();
    expect_cause(&bench.end(id(1, 0)), EndCause::Lost);
    let end = bench.end(id(2, 0));
    expect_cause(&end, EndCause::Lost);
    assert!(end.outcome.detail.contains("restarted"), "{end:?}");
    kill_leftovers(&dir);
}

/// The pretended reboot did not really end what ran.
fn kill_leftovers(dir: &Path) {
    let claim = fs::read_to_string(dir.join("attempts/1/0.1/claim")).expect("a claim");
    let running = claim.lines().nth(1).expect("it ran");
    let digits: String = running.chars().skip_while(|c| !c.is_ascii_digit()).take_while(char::is_ascii_digit).collect();
    let group = Pid::from_raw(digits.parse().expect("a process id")).expect("a process id");
    rustix::process::kill_process_group(group, Signal::KILL).expect("killed");
}

#[test]
fn damage_is_named_and_nothing_is_changed() {
    let mut bench = Bench::local();
    let dir = bench.folder.path().join("centre");
    assert!(bench.run(order(1, script("true"))).outcome.success());
    supervisor(&dir).kill();
    let log = dir.join("accepted.log");
    let text = format!("{{\"broken\n{}", fs::read_to_string(&log).expect("readable"));
    fs::write(&log, &text).expect("written");
    let error = bench.engine.observe(std::time::Duration::ZERO).expect_err("it cannot start");
    assert!(error.to_string().contains("supervisor"), "{error}");
    assert_eq!(fs::read_to_string(&log).expect("readable"), text);
    let said = fs::read_to_string(dir.join("supervisor.log")).expect("a log");
    assert!(said.contains("accepted.log") && said.contains("Damaged"), "{said}");
}

/// Runs one attempt through a supervisor that dies at `point`; the next has no failpoints.
#[cfg(feature = "failpoints")]
fn die_at(point: &str, text: &str, check: impl FnOnce(&mut Bench, &str)) {
    let mut bench = Bench::local();
    let dir = bench.folder.path().join("point");
    let trace = bench.file("trace");
    let doomed = crate::bench::open_local(&dir, &format!("{point}=return"));
    let process = supervisor(&dir);
    // Dying in the middle of it, the supervisor may or may not have answered; the engine then repeats the
    // request with a supervisor that dies as well, and gives up.
    let _ = doomed.submit(&[order(1, script(&format!("echo ran >> {trace}; {text}")))]);
    process.wait_gone();
    drop(doomed);
    bench.engine = Box::new(crate::bench::open_local(&dir, ""));
    bench.reports.clear();
    check(&mut bench, &trace);
    let again = bench.engine.submit(&[order(1, script("exit 0"))]).expect("submitted");
    assert_eq!(again, [SubmitResult::Duplicate], "what was once accepted stays known");
    let ends = bench.reports.iter().filter(|report| matches!(report.what, huisuan_model::ReportKind::Ended { .. }));
    assert_eq!(ends.count(), 1);
}

#[cfg(feature = "failpoints")]
fn ran(trace: &str) -> usize {
    fs::read_to_string(trace).unwrap_or_default().lines().count()
}

#[cfg(feature = "failpoints")]
#[test]
fn dead_after_accept() {
    die_at("supervisor-after-accept", "exit 3", |bench, trace| {
        assert_eq!(bench.end(id(1, 0)).outcome.exit_code, Some(3));
        assert_eq!(ran(trace), 1);
    });
}

#[cfg(feature = "failpoints")]
#[test]
fn dead_after_claim() {
    die_at("supervisor-after-claim", "exit 3", |bench, trace| {
        expect_cause(&bench.end(id(1, 0)), EndCause::Lost);
        assert_eq!(ran(trace), 0, "a claim that may have become a process never becomes another");
    });
}

#[cfg(feature = "failpoints")]
#[test]
fn dead_after_spawn() {
    die_at("supervisor-after-spawn", "exec sleep 1000", |bench, trace| {
        bench.started(id(1, 0));
        bench.engine.cancel(&[id(1, 0)]).expect("cancelled");
        let end = bench.end(id(1, 0));
        expect_cause(&end, EndCause::Cancelled);
        assert!(end.started_at.is_some(), "it was found by its environment");
        assert!(ran(trace) <= 1, "it ran twice");
    });
}

#[cfg(feature = "failpoints")]
#[test]
fn dead_after_done() {
    die_at("supervisor-after-done", "exit 3", |bench, trace| {
        assert_eq!(bench.end(id(1, 0)).outcome.exit_code, Some(3), "its end was on disk");
        assert_eq!(ran(trace), 1);
    });
}

#[test]
fn known_attempts_are_never_reported_as_started_before_they_are() {
    let mut bench = Bench::local();
    bench.submit(&[order(1, script("true"))]);
    let end = bench.end(id(1, 0));
    for report in &bench.reports {
        assert!(report.at >= end.started_at.expect("it ran") && report.at <= end.at, "{report:?}");
    }
}

/// Waits until the test program's own text is out, which comes before the supervisor begins.
fn wait_for_text(stdout: &mut impl Read, text: &str) {
    let mut said = Vec::new();
    while !String::from_utf8_lossy(&said).contains(text) {
        let mut byte = [0];
        stdout.read_exact(&mut byte).expect("the program goes on");
        said.extend(byte);
    }
}

#[test]
fn its_agent_is_killed_while_it_starts() {
    let mut bench = Bench::local();
    let dir = bench.folder.path().join("centre");
    let pid_file = bench.file("pid");
    let mut blocks =
        order(1, script("echo $$ > PID.new; mv PID.new PID; exec sleep 1000".replace("PID", &pid_file).as_str()));
    let mut waits = order(2, script("sleep 0.2; exit 6"));
    (blocks.cores, waits.cores) = (Millicores(bench.cores() * 1000), Millicores(bench.cores() * 1000));
    bench.submit(&[blocks, waits]);
    let blocking = bench.process_in(&pid_file);
    supervisor(&dir).kill();
    blocking.kill();
    // The successor cannot begin before the reader of its first words is gone.
    let lock = fs::File::options().write(true).open(dir.join("supervisor.lock")).expect("a lock file");
    lock.lock().expect("locked");
    let mut successor = Command::new(std::env::current_exe().expect("the path of this test program"))
        .env(SUPERVISOR_VARIABLE, "1")
        .args(["supervisor_entry", "--exact", "--nocapture", "--", "--dir"])
        .arg(&dir)
        .stdout(Stdio::piped())
        .spawn()
        .expect("it starts");
    let mut stdout = successor.stdout.take().expect("a pipe");
    wait_for_text(&mut stdout, "running 1 test\n");
    drop(stdout);
    drop(lock);
    assert_eq!(bench.end(id(2, 0)).outcome.exit_code, Some(6), "nobody killed the supervisor that started it");
    assert!(successor.try_wait().expect("looked at").is_none(), "it went on without its agent");
    let _ = successor.kill();
    successor.wait().expect("reaped");
}
