//! Containers on the nodes of real Slurm clusters, and what becomes of them when something is killed.

use std::{
    collections::BTreeSet,
    fs,
    os::unix::fs::{PermissionsExt as _, chown},
    path::Path,
    process::Command,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use huisuan_drivers::{ContainerRules, SlurmConfig, SlurmEngine, SubmitResult};
use huisuan_model::{EndCause, JobSpec, StartOrder};
use rustix::process::{Pid, PidfdFlags, pidfd_open};

use super::{Imaged, container_contract, containers, first_process, left, own};
use crate::{
    bench::{Bench, PATIENCE, ProcessHandle, expect_cause, id, order, script, task},
    faults::{SUFFERING, kill, programs},
    lab::Lab,
    place::Place,
    slurm::{WORKING, config, job_name, with_devices},
    suite,
};

/// An engine whose nodes run containers as this machine does.
fn open(
    folder: &Path,
    place: &Place,
    change: impl FnOnce(&mut SlurmConfig, &mut ContainerRules),
) -> Imaged<SlurmEngine> {
    let mut config = config(&folder.join("centre"), &place.conf, &place.partition);
    let found = containers(&folder.join("probe"));
    let mut rules = ContainerRules { podman: Some(found.podman), runtime: found.runtime, ..ContainerRules::default() };
    change(&mut config, &mut rules);
    config.containers = Some(rules);
    Imaged(SlurmEngine::open(config).expect("an engine"))
}

fn bench_with(change: impl FnOnce(&mut SlurmConfig, &mut ContainerRules)) -> Bench {
    let folder = tempfile::tempdir().expect("a scratch folder");
    let place = WORKING.node();
    let engine = open(folder.path(), &place, change);
    Bench::new(engine, folder).at(place)
}

fn bench() -> Bench {
    bench_with(|_, _| {})
}

container_contract!(bench());

/// Containers are those of the node, whichever cluster it belongs to.
#[test]
fn another_cluster_runs_them_too() {
    let lab = SUFFERING.take();
    for case in [suite::runs_and_reports, suite::exit_codes, super::walltime_and_cancellation_end_the_container] {
        let folder = tempfile::tempdir().expect("a scratch folder");
        let place = Place::of(&lab, "one");
        let engine = open(folder.path(), &place, |_, _| {});
        case(&mut Bench::new(engine, folder).at(place));
    }
}

#[test]
fn an_image_that_is_not_on_the_node_fails_with_its_reason() {
    let mut bench = bench();
    let mut missing = order(1, script("true"));
    let other = format!("localhost/huisuan-test@sha256:{}", "0a".repeat(32));
    Arc::make_mut(&mut missing.spec).image = Some(other);
    let end = bench.run(missing);
    expect_cause(&end, EndCause::StartFailed);
    assert!(end.outcome.detail.contains("image not known"), "{end:?}");
    let mut elsewhere = order(2, script("true"));
    Arc::make_mut(&mut elsewhere.spec).output = Some("/tmp/x".into());
    let results = bench.engine.submit(&[elsewhere]).expect("submitted");
    assert!(matches!(&results[..], [SubmitResult::Refused { why }] if why.contains("file of the node")), "{results:?}");
    assert!(bench.engine.inventory().expect("an inventory").iter().all(|pool| pool.images));
    assert!(bench.engine.images().is_ok_and(|how| how.contains("not tried")));
    assert_eq!(left(&bench), 0);
}

#[test]
fn where_the_site_runs_none_images_are_refused() {
    let bench = bench_with(|_, rules| rules.disabled = true);
    let results = bench.engine.submit(&[order(1, script("true"))]).expect("submitted");
    assert!(matches!(&results[..], [SubmitResult::Refused { why }] if why.contains("processes only")), "{results:?}");
    assert!(bench.engine.images().is_err());
    assert!(bench.engine.inventory().expect("an inventory").iter().all(|pool| !pool.images));
}

/// Waits until podman has nothing left of this bench.
fn nothing_is_left(bench: &Bench) {
    let until = Instant::now() + PATIENCE;
    while left(bench) > 0 {
        assert!(Instant::now() < until, "a container is left behind");
        thread::park_timeout(Duration::from_millis(100));
    }
}

/// A container that sleeps, and its first process.
fn sleeping(bench: &mut Bench) -> ProcessHandle {
    bench.submit(&[order(1, script("sleep 1000"))]);
    bench.started(id(1, 0));
    let first = first_process(bench, id(1, 0));
    assert_eq!(left(bench), 1, "as the other tests count");
    first
}

/// The process of this machine whose command line has all of these words.
fn process(words: &[&str]) -> ProcessHandle {
    let is_it = |pid: &i32| {
        let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        let line = String::from_utf8_lossy(&line).replace('\0', " ");
        words.iter().all(|word| line.contains(word))
    };
    let all = fs::read_dir("/proc").expect("readable").flatten();
    let mut pids = all.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).filter(is_it);
    let pid = pids.next().unwrap_or_else(|| panic!("no process has {words:?}"));
    let pid = Pid::from_raw(pid).expect("a process id");
    ProcessHandle(pidfd_open(pid, PidfdFlags::empty()).expect("it runs"))
}

/// What a program of Slurm says, once its controller has time to answer: other tests keep it busy.
fn asked(lab: &Lab, program: &str, arguments: &[&str]) -> String {
    let ask = || Command::new(program).args(arguments).env("SLURM_CONF", lab.conf()).output().expect("it is there");
    let answer = (0..10).map(|_| ask()).find(|answer| answer.status.success()).expect("the controller answers");
    String::from_utf8_lossy(&answer.stdout).trim().to_owned()
}

/// Slurm kills what it finds of the job, which is not the container.
#[test]
fn a_job_that_slurm_kills_leaves_no_container() {
    let mut bench = bench();
    let first = sleeping(&mut bench);
    let name = job_name(&bench, "1.0.1");
    asked(&WORKING.take(), "scancel", &["--full", "--signal=KILL", "--jobname", &name]);
    first.wait_gone();
    nothing_is_left(&bench);
    let end = bench.end(id(1, 0));
    assert!(!end.outcome.success(), "{end:?}");
}

#[test]
fn a_killed_wrapper_leaves_no_container() {
    let mut bench = bench();
    let first = sleeping(&mut bench);
    let folder = bench.folder.path().display().to_string();
    process(&["slurm_script", &folder, "1.0.1"]).kill();
    first.wait_gone();
    nothing_is_left(&bench);
    let end = bench.end(id(1, 0));
    assert!(!end.outcome.success(), "{end:?}");
}

#[test]
fn a_killed_client_ends_its_container() {
    let mut bench = bench();
    let first = sleeping(&mut bench);
    let folder = bench.folder.path().display().to_string();
    process(&["podman", " run ", &folder, "1.0.1"]).kill();
    let end = bench.end(id(1, 0));
    expect_cause(&end, EndCause::Lost);
    assert!(end.outcome.detail.contains("client was killed"), "{end:?}");
    first.wait_gone();
    assert_eq!(left(&bench), 0);
}

/// The keeper is there for the end of the wrapper alone: without it the task goes on, and its end is told.
#[test]
fn a_killed_keeper_changes_nothing() {
    let mut bench = bench();
    bench.submit(&[order(1, script("until [ -e go ]; do sleep 0.05; done; exit 5"))]);
    bench.started(id(1, 0));
    let folder = bench.folder.path().display().to_string();
    process(&["while IFS= read", &folder, "/1/0.1"]).kill();
    fs::write(own(&bench, id(1, 0), "go"), "").expect("a file");
    let end = bench.end(id(1, 0));
    assert_eq!((end.outcome.cause, end.outcome.exit_code), (EndCause::Exited, Some(5)), "{end:?}");
    assert_eq!(left(&bench), 0);
}

/// The node's daemon and the step die; the wrapper is nobody's then, and sees its container to the end.
#[test]
fn a_killed_step_leaves_no_container() {
    let mut bench = bench();
    bench.submit(&[order(1, script("until [ -e go ]; do sleep 0.05; done; exit 5"))]);
    bench.started(id(1, 0));
    let first = first_process(&bench, id(1, 0));
    let place = bench.place.as_ref().expect("a place");
    let daemon = format!("slurmd.{}", place.partition.trim_start_matches("alone"));
    let mut lab = WORKING.take();
    let name = job_name(&bench, "1.0.1");
    let number = asked(&lab, "squeue", &["--noheader", "--name", &name, "--format=%A"]);
    kill(&lab, &daemon);
    process(&["slurmstepd:", &format!("[{number}.batch]")]).kill();
    lab.restart(&daemon);
    drop(lab);
    fs::write(own(&bench, id(1, 0), "go"), "").expect("a file");
    first.wait_gone();
    nothing_is_left(&bench);
    let end = bench.end(id(1, 0));
    assert_eq!((end.outcome.cause, end.outcome.exit_code), (EndCause::Exited, Some(5)), "{end:?}");
}

#[test]
fn a_container_outlives_its_agent() {
    let mut bench = bench();
    bench.submit(&[order(1, script("until [ -e go ]; do sleep 0.05; done; echo done; exit 5"))]);
    bench.started(id(1, 0));
    // A folder has one engine: the former ends first.
    bench.engine = Box::new(crate::bench::open_local(&bench.folder.path().join("elsewhere"), ""));
    bench.engine = Box::new(open(bench.folder.path(), bench.place.as_ref().expect("a place"), |_, _| {}));
    fs::write(own(&bench, id(1, 0), "go"), "").expect("a file");
    let end = bench.end(id(1, 0));
    assert_eq!((end.outcome.cause, end.outcome.exit_code), (EndCause::Exited, Some(5)), "{end:?}");
    assert_eq!((bench.stdout(id(1, 0)), left(&bench)), ("done\n".to_owned(), 0));
}

/// Two jobs of Slurm for one attempt: one container.
#[test]
fn a_submission_that_happened_twice_makes_one_container() {
    let text = "arguments=(); for a in \"$@\"; do [ \"$a\" = --hold ] || arguments+=(\"$a\"); done; \
                REAL \"${arguments[@]}\" >/dev/null; REAL \"${arguments[@]}\"";
    let mut bench = bench_with(|config, _| {
        config.programs = Some(programs(config.folder.parent().expect("a folder"), "sbatch", text));
    });
    let end = bench.run(order(1, script("echo ran >> trace; sleep 0.5; exit 3")));
    assert_eq!(end.outcome.exit_code, Some(3), "{end:?}");
    assert_eq!(fs::read_to_string(own(&bench, id(1, 0), "trace")).expect("it ran"), "ran\n");
    assert_eq!(left(&bench), 0);
}

/// Makes device nodes that stand in for those of accelerators: harmless ones of the kernel, in a folder. They belong to a
/// group, as real ones do. None of any maker's were there where this was written.
fn make_nodes(root: &Path, names: &[&str]) {
    const GROUP: u32 = 44;
    let _ = fs::remove_dir_all(root);
    for name in names {
        let node = root.join(name);
        fs::create_dir_all(node.parent().expect("a folder")).expect("made");
        // The numbers of /dev/zero.
        let made = Command::new("mknod").arg(&node).args(["c", "1", "5"]).status().expect("mknod");
        assert!(made.success(), "the tests of devices are run as root");
        chown(&node, None, Some(GROUP)).expect("given to a group");
        fs::set_permissions(&node, fs::Permissions::from_mode(0o660)).expect("closed to others");
    }
}

/// Says which nodes there are that no container has by itself, and reads each.
const DEVICES: &str = "for node in /dev/* /dev/dri/*; do [ -c $node ] || continue; case $node in \
    /dev/console | /dev/full | /dev/null | /dev/ptmx | /dev/*random | /dev/std* | /dev/tty | /dev/zero) ;; \
    *) head -c 1 $node >/dev/null && printf '%s ' ${node#/dev/} ;; esac; done; echo [${CUDA_VISIBLE_DEVICES-unset}]";

fn sees(bench: &mut Bench, order: StartOrder) -> Vec<String> {
    let attempt = order.attempt;
    let end = bench.run(order);
    assert!(end.outcome.success(), "{end:?}");
    bench.stdout(attempt).split_ascii_whitespace().map(str::to_owned).collect()
}

/// Each sees its own, and not its neighbour's.
#[test]
fn an_attempt_sees_the_devices_that_it_was_given() {
    let mut bench = bench_with(|config, rules| {
        rules.device_root = Some(config.folder.with_file_name("dev"));
    });
    bench.engine.inventory().expect("an inventory");
    let root = bench.folder.path().join("dev");
    make_nodes(
        &root,
        &["nvidia0", "nvidia1", "nvidia2", "nvidia3", "nvidiactl", "nvidia-uvm", "nvidia-modeset", "sda"],
    );
    let waits = format!("{DEVICES}; until [ -e go ]; do sleep 0.05; done");
    bench.submit(&[with_devices(1, &waits, 1_000, &[]), with_devices(2, &waits, 2_000, &[])]);
    bench.started(id(1, 0));
    bench.started(id(2, 0));
    for job in [1, 2] {
        fs::write(own(&bench, id(job, 0), "go"), "").expect("a file");
        assert!(bench.end(id(job, 0)).outcome.success());
    }
    let mut own: Vec<String> = Vec::new();
    for (job, count) in [(1, 1), (2, 2)] {
        let said = bench.stdout(id(job, 0));
        let words: Vec<&str> = said.split_ascii_whitespace().collect();
        let (devices, rest) = words.split_at(count.min(words.len()));
        // Shells sort their own: `nvidia-uvm` comes first.
        assert_eq!(words.len(), count + 3, "{said}");
        let numbered = |word: &&&str| word.trim_start_matches("nvidia").parse::<u8>().is_ok();
        let mine: Vec<String> = words.iter().filter(numbered).map(|word| (*word).to_owned()).collect();
        assert_eq!(mine.len(), count, "{devices:?} {rest:?}");
        assert!(["nvidiactl", "nvidia-uvm", "[unset]"].iter().all(|word| words.contains(word)), "{said}");
        own.extend(mine);
    }
    own.sort();
    own.dedup();
    assert_eq!(own.len(), 3, "one was given twice: {own:?}");
    assert_eq!(sees(&mut bench, order(3, script(DEVICES))), ["[]"], "none was given");
}

/// Ranks of a gang on one node share none either.
#[test]
fn ranks_in_containers_see_their_own_devices() {
    let mut bench = bench_with(|config, rules| {
        rules.device_root = Some(config.folder.with_file_name("dev"));
    });
    bench.engine.inventory().expect("an inventory");
    let nodes = ["nvidia0", "nvidia1", "nvidia2", "nvidia3", "nvidiactl"];
    make_nodes(&bench.folder.path().join("dev"), &nodes);
    let one = with_devices(1, DEVICES, 2_000, &[]);
    let gang = Arc::new(JobSpec { gang: true, tasks: "0-1".parse().expect("ranges"), ..(*one.spec).clone() });
    let orders = [0, 1].map(|index| StartOrder { devices: one.devices, ..task(1, index, &gang) });
    bench.submit(&orders);
    let mut own = BTreeSet::new();
    for order in &orders {
        let end = bench.end(order.attempt);
        assert!(end.outcome.success(), "{end:?}");
        let said = bench.stdout(order.attempt);
        let numbered = |word: &&str| word.trim_start_matches("nvidia").parse::<u8>().is_ok();
        let mine: Vec<&str> = said.split_ascii_whitespace().filter(numbered).collect();
        assert_eq!(mine.len(), 2, "{said}");
        own.extend(mine.into_iter().map(str::to_owned));
    }
    assert_eq!(own.len(), 4, "one was given twice: {own:?}");
}

/// Of each maker's devices, by the table; one that has no node is a reason.
#[test]
fn devices_of_each_maker_are_known_by_their_nodes() {
    let mut bench = bench_with(|config, rules| {
        rules.device_root = Some(config.folder.with_file_name("dev"));
    });
    bench.engine.inventory().expect("an inventory");
    let root = bench.folder.path().join("dev");
    let four = |name: &str, from: usize| (from..from + 4).map(|number| format!("{name}{number}")).collect::<Vec<_>>();
    let mut check = |job: u64, numbered: &[Vec<String>], rest: &[&str], expected: &[&str]| {
        let names: Vec<&str> = numbered.iter().flatten().map(String::as_str).chain(rest.iter().copied()).collect();
        make_nodes(&root, &names);
        let mut said = sees(&mut bench, with_devices(job, DEVICES, 4_000, &[]));
        assert_eq!(said.pop().as_deref(), Some("[unset]"));
        said.sort();
        let mut expected: Vec<String> = expected.iter().map(|&name| name.to_owned()).collect();
        expected.extend(numbered.iter().flatten().cloned());
        expected.sort();
        assert_eq!(said, expected);
    };
    let ascend = ["davinci_manager", "devmm_svm", "hisi_hdc", "log_drv"];
    check(1, &[four("davinci", 0)], &ascend, &ascend[..3]);
    check(2, &[four("dri/renderD", 128)], &["kfd", "dri/card0"], &["kfd"]);
    check(3, &[four("cambricon_dev", 0), four("cambricon_ipcm", 0)], &["cambricon_ctl"], &["cambricon_ctl"]);
    make_nodes(&root, &["nvidiactl"]);
    let end = bench.run(with_devices(4, DEVICES, 1_000, &[]));
    expect_cause(&end, EndCause::StartFailed);
    assert!(end.outcome.detail.contains("has no device node"), "{end:?}");
    make_nodes(&root, &["other"]);
    let end = bench.run(with_devices(5, DEVICES, 1_000, &[]));
    expect_cause(&end, EndCause::StartFailed);
    assert!(end.outcome.detail.contains("accelerators that are known"), "{end:?}");
}
