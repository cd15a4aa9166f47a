//! Gangs at a real Slurm: all tasks are one job over its nodes, which start together or not at all.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
    sync::{Arc, MutexGuard},
    time::{Duration, Instant},
};

use huisuan_drivers::SubmitResult;
use huisuan_model::{
    DurationMs, EndCause, JobSpec, MilliDevices, Millicores, ReportKind, StartOrder, TimeMs, spec::Checkpoint,
};

use crate::{
    bench::{Bench, End, PATIENCE, end_of, expect_cause, id, script, task},
    faults::{DYING, SUFFERING, Stopped, programs, replace, resume_nodes},
    lab::Lab,
    place::{Cluster, Place},
    slurm::{bench_at, job_name, with_devices},
};

/// Tasks of a gang in these tests: two on each node, by their cores.
const TASKS: u32 = 4;

/// A cluster whose accelerators Slurm gives by the node.
static BY_NODE: Cluster = Cluster::of_kind("gamma", 2, "npu:910b");

/// Its orders, each with half of a node's cores.
fn gang(job: u64, spec: JobSpec) -> Vec<StartOrder> {
    let tasks = format!("0-{}", TASKS - 1).parse().expect("ranges");
    let spec = Arc::new(JobSpec { gang: true, tasks, ..spec });
    let half = |index| StartOrder { cores: Millicores(2000), ..task(job, index, &spec) };
    (0..TASKS).map(half).collect()
}

fn bench(lab: &Lab) -> Bench {
    // On a loaded machine a shell takes its time to do what its trap says.
    let bench = bench_at(Place::of(lab, "batch"), |config| config.grace_ms = 4_000);
    bench.engine.inventory().expect("an inventory");
    bench
}

/// A job of somebody else that has a whole node.
fn block(lab: &Lab) -> String {
    let wait = ["--partition=batch", "--nodelist=beta1", "--exclusive", "--output=/dev/null", "--wrap=sleep 1000"];
    let number = lab.call("sbatch", &[&["--parsable"], &wait[..]].concat());
    let until = Instant::now() + PATIENCE;
    while lab.call("squeue", &["--noheader", "--format=%T", "--jobs", &number]) != "RUNNING" {
        assert!(Instant::now() < until, "the other job does not begin");
    }
    number
}

/// Waits until the queue shows the gang's job, and why it waits.
fn waits(bench: &Bench, lab: &Lab, reason: &str) {
    let name = job_name(bench, "gang.1.1");
    let until = Instant::now() + PATIENCE;
    while lab.call("squeue", &["--noheader", "--name", &name, "--format=%r"]) != reason {
        assert!(Instant::now() < until, "it does not wait for {reason}:\n{}", lab.call("squeue", &[]));
        bench.engine.observe(Duration::from_millis(50)).expect("observed");
    }
}

fn ends(bench: &mut Bench, orders: &[StartOrder]) -> Vec<End> {
    orders.iter().map(|order| bench.end(order.attempt)).collect()
}

fn began(bench: &Bench) -> BTreeSet<u32> {
    let begun = bench.reports.iter().filter(|report| report.what == ReportKind::Started);
    begun.map(|report| report.attempt.task).collect()
}

/// A node is busy, the other one has room for half of the gang: none of it starts before all can. Orders come in two
/// parts. Each rank knows who and where it is, and where the others are.
#[test]
fn a_gang_starts_together_or_not_at_all() {
    let lab = SUFFERING.take();
    let mut bench = bench(&lab);
    let other = block(&lab);
    let text = "echo $SLURM_PROCID $SLURM_NTASKS $SLURMD_NODENAME $HUISUAN_GANG_FIRST $HUISUAN_GANG_HOSTS \
                $SLURM_MEM_PER_NODE$SLURM_MEM_PER_CPU [$SLURM_ARRAY_TASK_ID$HUISUAN_NODES]; sleep 0.5";
    let orders = gang(1, script(text));
    bench.submit(&orders[..3]);
    bench.submit(&orders[3..]);
    let until = Instant::now() + Duration::from_secs(4);
    while Instant::now() < until {
        let new = bench.engine.observe(Duration::from_millis(200)).expect("observed");
        bench.reports.extend(new);
    }
    assert_eq!(began(&bench), BTreeSet::new(), "a part of it began");
    waits(&bench, &lab, "Resources");
    lab.call("scancel", &[&other]);
    let ends = ends(&mut bench, &orders);
    let starts: Vec<TimeMs> = ends.iter().map(|end| end.started_at.expect("it ran")).collect();
    let (first, last) = (starts.iter().min().expect("four"), starts.iter().max().expect("four"));
    assert!(last.since(*first) <= DurationMs(1_000), "they began apart: {starts:?}");
    for (rank, end) in ends.iter().enumerate() {
        assert!(end.outcome.success(), "{end:?}");
        let node = format!("beta{}", rank / 2 + 1);
        let said = bench.stdout(id(1, u32::try_from(rank).expect("few")));
        assert_eq!(said, format!("{rank} {TASKS} {node} beta1 beta1:2,beta2:2 64 []\n"));
    }
}

/// One of a gang fails and says so of itself; the others run until they are cancelled, and whoever cancels one ends all.
#[test]
fn a_rank_that_fails_is_told_and_the_rest_is_ended() {
    let lab = SUFFERING.take();
    let mut bench = bench(&lab);
    let text = "[ $SLURM_PROCID = 2 ] && exit 7; [ $SLURM_PROCID = 1 ] && exit 0; trap 'echo asked; sleep 0.1; exit 5' TERM; \
                while :; do sleep 0.05; done";
    let orders = gang(1, script(text));
    bench.submit(&orders);
    assert_eq!(bench.end(id(1, 2)).outcome.exit_code, Some(7));
    assert_eq!(bench.end(id(1, 1)).outcome.exit_code, Some(0));
    // Some looks at the queue, at which its job runs though two of it have ended.
    let until = Instant::now() + Duration::from_secs(4);
    while Instant::now() < until {
        let new = bench.engine.observe(Duration::from_millis(200)).expect("observed");
        bench.reports.extend(new);
    }
    assert!([0, 3].iter().all(|&task| !bench.reports.iter().any(|report| end_of(report, id(1, task)).is_some())));
    bench.engine.cancel(&[id(1, 0)]).expect("cancelled");
    for task in [0, 3] {
        let end = bench.end(id(1, task));
        expect_cause(&end, EndCause::Cancelled);
        // By Slurm, and by its wrapper.
        let asked = bench.stdout(id(1, task)).starts_with("asked\n");
        assert_eq!((end.outcome.exit_code, asked), (Some(5), true), "{end:?}");
    }
}

/// While it is not whole, while it waits in Slurm: all of it ends, and nothing of it ever starts.
#[test]
fn a_gang_that_waits_is_cancelled_whole() {
    let lab = SUFFERING.take();
    let mut bench = bench(&lab);
    let ran = bench.file("ran");
    let orders = gang(2, script(&format!("touch {ran}")));
    bench.submit(&orders[1..]);
    bench.engine.cancel(&[id(2, 3)]).expect("cancelled");
    for end in ends(&mut bench, &orders[1..]) {
        expect_cause(&end, EndCause::Cancelled);
    }
    let late = bench.engine.submit(&orders).expect("submitted");
    assert!(matches!(&late[0], SubmitResult::Refused { why } if why.contains("gang")), "{late:?}");
    assert!(late[1..].iter().all(|result| *result == SubmitResult::Duplicate), "{late:?}");
    let other = block(&lab);
    let orders = gang(1, script(&format!("touch {ran}")));
    bench.submit(&orders);
    waits(&bench, &lab, "Resources");
    bench.engine.cancel(&[id(1, 1)]).expect("cancelled");
    for end in ends(&mut bench, &orders) {
        expect_cause(&end, EndCause::Cancelled);
        assert_eq!(end.started_at, None);
    }
    lab.call("scancel", &[&other]);
    assert!(!fs::exists(ran).expect("readable"), "it ran");
}

/// Each rank gets its signal and its time, longer than the site's `KillWait`.
#[test]
fn ranks_save_their_state_before_they_are_ended() {
    let lab = SUFFERING.take();
    let mut bench = bench(&lab);
    let text = "trap 'sleep 4; echo $SLURM_PROCID > $HUISUAN_CHECKPOINT_DIR/state; echo saved; exit 3' USR1; \
                while :; do sleep 0.05; done";
    let checkpoint = Some(Checkpoint { signal: "USR1".to_owned(), grace: DurationMs(60_000) });
    let orders = gang(1, JobSpec { checkpoint, walltime: DurationMs(600_000), ..script(text) });
    bench.submit(&orders);
    for order in &orders {
        bench.started(order.attempt);
    }
    bench.engine.cancel(&orders.iter().map(|order| order.attempt).collect::<Vec<_>>()).expect("cancelled");
    for (order, end) in orders.iter().zip(ends(&mut bench, &orders)) {
        expect_cause(&end, EndCause::Cancelled);
        assert_eq!((end.outcome.exit_code, bench.stdout(order.attempt).as_str()), (Some(3), "saved\n"), "{end:?}");
    }
}

#[test]
fn the_walltime_of_a_gang_is_kept() {
    let lab = SUFFERING.take();
    let mut bench = bench(&lab);
    let orders = gang(1, JobSpec { walltime: DurationMs(500), ..script("sleep 1000") });
    bench.submit(&orders);
    for end in ends(&mut bench, &orders) {
        expect_cause(&end, EndCause::Walltime);
    }
}

/// What the cluster's own people cancel is cancelled, with the time that Slurm gives.
#[test]
fn a_gang_that_somebody_else_cancels_is_cancelled() {
    let lab = SUFFERING.take();
    let mut bench = bench(&lab);
    let ready = format!("f={}$HUISUAN_ATTEMPT; echo $$ > $f.new; mv $f.new $f", bench.file(""));
    let text = format!("trap 'echo asked; sleep 0.1; exit 5' TERM; {ready}; while :; do sleep 0.05; done");
    let orders = gang(1, script(&text));
    bench.submit(&orders);
    for order in &orders {
        drop(bench.process_in(&bench.file(&order.attempt.to_string())));
    }
    lab.call("scancel", &["--jobname", &job_name(&bench, "gang.1.1")]);
    for (order, end) in orders.iter().zip(ends(&mut bench, &orders)) {
        expect_cause(&end, EndCause::Cancelled);
        assert!(end.outcome.detail.contains("centre"), "{end:?}");
        assert!(bench.stdout(order.attempt).starts_with("asked\n"));
    }
}

/// Two ranks on a node have accelerators of their own.
#[test]
fn ranks_have_their_own_devices() {
    let lab = SUFFERING.take();
    let mut bench = bench(&lab);
    let mut orders = gang(1, script("echo $CUDA_VISIBLE_DEVICES"));
    orders.iter_mut().for_each(|order| order.devices = MilliDevices(2_000));
    bench.submit(&orders);
    let mut given: BTreeMap<usize, BTreeSet<String>> = BTreeMap::new();
    for (rank, end) in ends(&mut bench, &orders).iter().enumerate() {
        assert!(end.outcome.success(), "{end:?}");
        let said = bench.stdout(orders[rank].attempt);
        given.entry(rank / 2).or_default().extend(said.trim().split(',').map(str::to_owned));
    }
    assert!(given.values().all(|devices| devices.len() == 4), "{given:?}");
}

/// Ranks that leave a line with their job of Slurm: a gang that is in two jobs cannot find itself.
fn traced(bench: &Bench, job: u64, then: &str) -> Vec<StartOrder> {
    gang(job, script(&format!("echo $HUISUAN_ATTEMPT $SLURM_JOB_ID >> {}; {then}", bench.file("trace"))))
}

/// Sees that each rank of each gang began at most once, and all of a gang in one job. Gives back who began.
fn judge(folder: &Path) -> BTreeSet<String> {
    let text = fs::read_to_string(folder.join("trace")).unwrap_or_default();
    let (mut began, mut jobs) = (BTreeSet::new(), BTreeMap::new());
    for line in text.lines() {
        let (attempt, number) = line.split_once(' ').expect("two words");
        assert!(began.insert(attempt.to_owned()), "{attempt} began twice:\n{text}");
        let job = attempt.split('.').next().expect("a job").to_owned();
        assert_eq!(jobs.entry(job).or_insert_with(|| number.to_owned()), number, "it is in two jobs:\n{text}");
    }
    began
}

/// A time-out that is none, and a submission that happens twice, not held: one of both jobs runs all of the gang.
#[test]
fn a_gang_that_slurm_has_twice_runs_in_one_job() {
    let lab = SUFFERING.take();
    let lies = "REAL \"$@\" >/dev/null; [ -e ONCE ] && exit 1; touch ONCE; \
                echo 'sbatch: error: Batch job submission failed: Socket timed out on send/recv operation' >&2; exit 1";
    let twice = "arguments=(); for a in \"$@\"; do [ \"$a\" = --hold ] || arguments+=(\"$a\"); done; \
                 REAL \"${arguments[@]}\" >/dev/null; REAL \"${arguments[@]}\"";
    for text in [lies, twice] {
        let mut bench = bench_at(Place::of(&lab, "batch"), |config| {
            config.programs = Some(programs(config.folder.parent().expect("a folder"), "sbatch", text));
        });
        bench.engine.inventory().expect("an inventory");
        let orders = traced(&bench, 1, "sleep 0.3; exit $SLURM_PROCID");
        bench.submit(&orders);
        for (rank, end) in (0..).zip(ends(&mut bench, &orders)) {
            assert_eq!(end.outcome.exit_code, Some(rank), "{end:?}");
        }
        assert_eq!(judge(bench.folder.path()).len(), 4);
    }
}

/// `sbatch` waits for an answer until it gives up, again and again, and each time the job may be there later.
#[test]
fn a_gang_submitted_while_the_controller_is_stopped() {
    let lab = SUFFERING.take();
    let mut bench = bench_at(Place::of(&lab, "batch"), |config| config.command_timeout_ms = 1_500);
    bench.engine.inventory().expect("an inventory");
    let stopped = Stopped::stop(&lab, "slurmctld");
    let orders = traced(&bench, 1, "exit $SLURM_PROCID");
    bench.submit(&orders);
    let until = Instant::now() + Duration::from_secs(4);
    while Instant::now() < until {
        let new = bench.engine.observe(Duration::from_millis(500)).expect("observed");
        assert!(new.is_empty(), "something is told while nothing can be known: {new:?}");
    }
    drop(stopped);
    for (rank, end) in (0..).zip(ends(&mut bench, &orders)) {
        assert_eq!(end.outcome.exit_code, Some(rank), "{end:?}");
    }
    assert_eq!(judge(bench.folder.path()).len(), 4);
}

/// Slurm could not make the step, as when a node fails at that moment: nothing began, and all of it is launched again.
/// Once a part of it began, the rest never does, whether or not the network has the ends of that part already.
#[test]
fn ranks_that_are_not_launched() {
    let lab = SUFFERING.take();
    let none = "[ -e ONCE ] && exec REAL \"$@\"; touch ONCE; exit 1";
    let half = "exec REAL --ntasks=2 --nodes=1 --ntasks-per-node=2 \"${@:2}\"";
    for (text, ran, acknowledged) in [(none, 4, false), (half, 2, false), (half, 2, true)] {
        let mut bench = bench_at(Place::of(&lab, "batch"), |config| {
            config.programs = Some(programs(config.folder.parent().expect("a folder"), "srun", text));
        });
        bench.engine.inventory().expect("an inventory");
        let orders = traced(&bench, 1, if acknowledged { "true" } else { "exit $SLURM_PROCID" });
        bench.submit(&orders);
        for (rank, order) in (0..).zip(&orders) {
            let end = bench.end(order.attempt);
            if rank < ran {
                assert_eq!(end.outcome.exit_code, Some(if acknowledged { 0 } else { rank }), "{end:?}");
                if acknowledged {
                    bench.engine.acknowledge(&[order.attempt]).expect("acknowledged");
                }
            } else {
                expect_cause(&end, EndCause::Lost);
                assert!(end.started_at.is_none() && end.outcome.detail.contains("without it"), "{end:?}");
            }
        }
        assert_eq!(i32::try_from(judge(bench.folder.path()).len()).ok(), Some(ran));
    }
}

/// A part of it runs, and the rest is never launched: the rest is lost in time, and who runs is left in peace.
#[test]
fn ranks_run_on_without_those_that_are_not_launched() {
    let lab = SUFFERING.take();
    let half = "exec REAL --ntasks=2 --nodes=1 --ntasks-per-node=2 \"${@:2}\"";
    let mut bench = bench_at(Place::of(&lab, "batch"), |config| {
        config.launch_ms = 2_000;
        config.programs = Some(programs(config.folder.parent().expect("a folder"), "srun", half));
    });
    bench.engine.inventory().expect("an inventory");
    let go = bench.file("go");
    let orders = traced(&bench, 1, &format!("until [ -e {go} ]; do sleep 0.05; done; exit $SLURM_PROCID"));
    bench.submit(&orders);
    for order in &orders[2..] {
        let end = bench.end(order.attempt);
        expect_cause(&end, EndCause::Lost);
        assert!(end.started_at.is_none() && end.outcome.detail.contains("without it"), "{end:?}");
    }
    fs::write(go, "").expect("a file");
    for (rank, order) in (0..).zip(&orders[..2]) {
        assert_eq!(bench.end(order.attempt).outcome.exit_code, Some(rank));
    }
    assert_eq!(judge(bench.folder.path()).len(), 2);
}

/// A node goes down: its ranks are lost, and so are the others, whom Slurm ends with it.
#[test]
fn a_node_that_fails_ends_its_gang() {
    let lab = DYING.take();
    let mut bench = bench(&lab);
    let orders = gang(1, script("sleep 1000"));
    bench.submit(&orders);
    // A controller that another test killed may find a node missing at first, which is none to resume yet.
    let until = Instant::now() + PATIENCE;
    while bench.reports.is_empty() && Instant::now() < until {
        resume_nodes(&lab);
        let reports = bench.engine.observe(Duration::from_millis(500)).expect("observed");
        bench.reports.extend(reports);
    }
    for order in &orders {
        bench.started(order.attempt);
    }
    lab.call("scontrol", &["update", "nodename=gamma2", "state=down", "reason=test"]);
    let ends = ends(&mut bench, &orders);
    resume_nodes(&lab);
    for end in ends {
        expect_cause(&end, EndCause::Lost);
        assert!(end.outcome.detail.contains("node"), "{end:?}");
    }
}

/// A controller that is killed while gangs are submitted, wait and run.
#[test]
fn gangs_outlive_their_controller() {
    let mut lab: MutexGuard<'_, Lab> = DYING.take();
    let mut bench = bench_at(Place::of(&lab, "batch"), |_| {});
    bench.engine.inventory().expect("an inventory");
    let mut orders = Vec::new();
    for job in 1..=4 {
        let gang = traced(&bench, job, "sleep 0.3; exit 7");
        bench.submit(&gang);
        let until = Instant::now() + PATIENCE;
        // The second and the fourth are killed before anything of them began.
        while job % 2 == 1 && !bench.reports.iter().any(|report| report.attempt.job.0 == job) {
            assert!(Instant::now() < until, "gang {job} does not begin: {:?}", bench.engine.alarms());
            resume_nodes(&lab);
            let new = bench.engine.observe(Duration::from_millis(200)).expect("observed");
            bench.reports.extend(new);
        }
        orders.extend(gang);
        replace(&mut lab, "slurmctld");
        resume_nodes(&lab);
    }
    let until = Instant::now() + 2 * PATIENCE;
    let ended =
        |bench: &Bench, order: &StartOrder| bench.reports.iter().any(|report| end_of(report, order.attempt).is_some());
    while !orders.iter().all(|order| ended(&bench, order)) {
        assert!(Instant::now() < until, "no end of all: {:?}", bench.engine.alarms());
        resume_nodes(&lab);
        let new = bench.engine.observe(Duration::from_millis(500)).expect("observed");
        bench.reports.extend(new);
    }
    let began = judge(bench.folder.path());
    let mut forgotten = Vec::new();
    for order in &orders {
        let end = bench.end(order.attempt);
        match end.outcome.cause {
            EndCause::Exited => {
                assert_eq!(end.outcome.exit_code, Some(7), "{end:?}");
                assert!(began.contains(&order.attempt.to_string()));
            }
            // What Slurm ended because it forgot it, and what could not begin any more when others of its gang had.
            EndCause::Lost => forgotten.push(order.attempt),
            cause => panic!("{cause:?}: {end:?}"),
        }
    }
    println!("forgotten by the controller and ended: {forgotten:?}");
}

/// Accelerators that are not called `gpu`: one job all the same, laid out so that each node gives as many as its tasks need.
#[test]
fn a_gang_with_accelerators_of_another_name_is_one_job() {
    let lab = BY_NODE.take();
    let mut bench = bench(&lab);
    let text = "echo $SLURM_PROCID $SLURM_LOCALID $SLURMD_NODENAME $SLURM_NTASKS; sleep 0.5";
    let orders = |job: u64, tasks: u32| -> Vec<StartOrder> {
        let StartOrder { spec, devices, .. } = with_devices(job, text, 2_000, &["npu:910b"]);
        let tasks_set = format!("0-{}", tasks - 1).parse().expect("ranges");
        let spec = Arc::new(JobSpec { gang: true, tasks: tasks_set, ..JobSpec::clone(&spec) });
        (0..tasks).map(|index| StartOrder { devices, ..task(job, index, &spec) }).collect()
    };
    let refused = bench.engine.submit(&orders(2, 5)).expect("submitted");
    let full = |result: &SubmitResult| matches!(result, SubmitResult::Refused { why } if why.contains("no room for 5"));
    assert!(refused.iter().all(full), "{refused:?}");
    let orders = orders(1, 3);
    bench.submit(&orders);
    let ends = ends(&mut bench, &orders);
    assert!(ends.iter().all(|end| end.outcome.success()), "{ends:?}");
    let starts: Vec<TimeMs> = ends.iter().map(|end| end.started_at.expect("it ran")).collect();
    let (first, last) = (starts.iter().min().expect("three"), starts.iter().max().expect("three"));
    assert!(last.since(*first) <= DurationMs(1_000), "they began apart: {starts:?}");
    let said: Vec<String> = orders.iter().map(|order| bench.stdout(order.attempt)).collect();
    assert_eq!(said, ["0 0 gamma1 3\n", "1 1 gamma1 3\n", "2 0 gamma2 3\n"]);
    // Two places for tasks on each of two nodes, one of which stays free.
    let name = job_name(&bench, "gang.1.1");
    let given = lab.call("squeue", &["--noheader", "--states=all", "--name", &name, "--format=%D %b"]);
    assert_eq!(given.trim_start_matches("2 gres:"), "npu:910b:4", "{given}");
}
