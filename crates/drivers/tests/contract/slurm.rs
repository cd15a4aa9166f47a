//! The contract on the Slurm engine with a real cluster, each test on a node of its own, and what only that engine
//! does.

use std::{
    fs,
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use huisuan_drivers::{EngineError, SlurmConfig, SlurmEngine};
use huisuan_model::{
    Bytes, EndCause, EngineKind, JobSpec, MilliDevices, PoolId, StartOrder,
    spec::{DeviceNeed, Need, Work},
};

use crate::{
    bench::{Bench, expect_cause, id, order, script, task},
    checkpoint,
    faults::programs,
    place::{Cluster, Place},
    staging, suite,
};

/// The cluster that works: a node for each of so many tests at once.
pub(crate) static WORKING: Cluster = Cluster::new("alpha", 4);

/// Short times; that of a command is above the laboratory's `MessageTimeout`, as it must be.
pub(crate) fn config(folder: &Path, conf: &Path, partition: &str) -> SlurmConfig {
    let text = format!(
        "folder = \"{}\"\npartitions = [\"{partition}\"]\naccount = \"lab\"\nslurm_conf = \"{}\"\n\
         poll_interval_ms = 500\nlaunch_ms = 15000\nlook_interval_ms = 50\ngrace_ms = 300\nbeat_ms = 500\n\
         command_timeout_ms = 15000\n",
        folder.display(),
        conf.display()
    );
    let path = folder.with_extension("toml");
    fs::write(&path, text).expect("written");
    SlurmConfig::read(&path).expect("a configuration")
}

/// An engine with a scratch folder, on a part of a cluster.
pub(crate) fn bench_at(place: Place, change: impl FnOnce(&mut SlurmConfig)) -> Bench {
    let folder = tempfile::tempdir().expect("a scratch folder");
    let mut config = config(&folder.path().join("centre"), &place.conf, &place.partition);
    change(&mut config);
    let engine = SlurmEngine::open(config).expect("an engine");
    Bench::new(engine, folder).at(place)
}

fn bench() -> Bench {
    bench_at(WORKING.node(), |_| {})
}

suite::whole_contract!(bench());

/// An order for GPUs.
pub(crate) fn with_devices(job: u64, text: &str, count: u64, any_of: &[&str]) -> StartOrder {
    let any_of = any_of.iter().map(|name| PoolId::new(name).expect("a name")).collect();
    let devices = Some(DeviceNeed { count: MilliDevices(count), any_of, memory_min: Bytes::ZERO });
    let mut spec = script(text);
    spec.need = Need::Hardware { cores: huisuan_model::Millicores(1000), devices };
    StartOrder { devices: MilliDevices(count), ..order(job, spec) }
}

#[test]
fn data_is_where_the_variable_says() {
    staging::data_is_where_the_variable_says(&mut bench());
}

#[test]
fn state_is_saved_within_the_walltime() {
    checkpoint::state_is_saved_within_the_walltime(&mut bench());
}

#[test]
fn state_is_saved_when_room_is_taken_away() {
    checkpoint::state_is_saved_when_room_is_taken_away(&mut bench());
}

#[test]
fn the_inventory_is_that_of_the_partitions() {
    let bench = bench_at(WORKING.node(), |config| config.partitions = vec!["batch".to_owned()]);
    let pools = bench.engine.inventory().expect("an inventory");
    let [pool] = pools.as_slice() else { panic!("one pool: {pools:?}") };
    assert_eq!((pool.id.as_str(), pool.cores.0, pool.devices.0), ("gpu:h100", 16_000, 16_000));
    assert_eq!((pool.memory.0, &pool.rating), (32_000 << 20, &None));
    assert!(bench.engine.measurable_cpus(&pool.id).is_empty());
    let [features] = &bench.engine.book().features[..] else { panic!("of one pool") };
    assert_eq!(
        (features.pool.as_str(), features.all.join(","), features.some.len()),
        ("gpu:h100", "fast,ssd".into(), 0)
    );
    assert_eq!((bench.engine.kind(), bench.engine.memory_mode().as_str()), (EngineKind::Slurm, "slurm"));
    let wrong = bench_at(WORKING.node(), |config| config.partitions = vec!["nowhere".to_owned()]);
    assert!(matches!(wrong.engine.inventory(), Err(EngineError::Program { program: "sinfo", .. })));
}

#[test]
fn devices_are_bound_by_slurm() {
    let mut bench = bench();
    bench.engine.inventory().expect("an inventory");
    let text = "echo $CUDA_VISIBLE_DEVICES $SLURM_GPUS_ON_NODE";
    let end = bench.run(with_devices(1, text, 3_000, &["gpu:h100"]));
    assert!(end.outcome.success(), "{end:?}");
    let said = bench.stdout(id(1, 0));
    let devices = said.split_once(' ').expect("two words");
    assert_eq!((devices.0.split(',').count(), devices.1), (3, "3\n"), "{said}");
    for (job, count, any_of, why) in [
        (2, 5_000, &["gpu:h100"][..], "no node"),
        (3, 500, &[][..], "a part of an accelerator"),
        (4, 1_000, &["gpu:a100"][..], "no node"),
    ] {
        let results = bench.engine.submit(&[with_devices(job, "true", count, any_of)]).expect("submitted");
        let refused =
            matches!(&results[..], [huisuan_drivers::SubmitResult::Refused { why: said }] if said.contains(why));
        assert!(refused, "{results:?} does not say `{why}`");
    }
}

/// What accounting saw and the wrapper did not: memory that is taken after its first look, and given back before the next.
/// Slurm's own figures of time and accelerators are those that are metered.
#[test]
fn usage_is_completed_from_accounting() {
    let mut bench = bench_at(WORKING.node(), |config| {
        config.usage_from_accounting = true;
        config.beat_ms = 60_000;
    });
    bench.engine.inventory().expect("an inventory");
    let text = "sleep 1.5; text=$(head -c 10000000 /dev/zero | tr '\\0' a); sleep 3; exit 3";
    let end = bench.run(with_devices(1, text, 2_000, &[]));
    assert_eq!((end.outcome.cause, end.outcome.exit_code), (EndCause::Exited, Some(3)), "{end:?}");
    assert!(end.usage.memory_peak > Bytes(10_000_000), "{end:?}");
    let name = job_name(&bench, "1.0.1");
    let format = "--format=ElapsedRaw,AllocTRES";
    let said = WORKING.take().call("sacct", &["-nXP", "--name", &name, format]);
    let (elapsed_s, given) = said.split_once('|').expect("two columns");
    assert!(given.contains("gres/gpu=2"), "{said}");
    let (elapsed_s, wall_ms) = (elapsed_s.parse::<u64>().expect("seconds"), end.usage.wall.0);
    assert!(wall_ms <= (elapsed_s + 2) * 1000, "{wall_ms} ms, and {said}");
    // No plugin counts energy here.
    assert_eq!(end.usage.joules, 0);
    let alarms =
        |bench: &Bench| bench.engine.alarms().into_iter().filter(|alarm| alarm.subject == "accelerators").count();
    assert_eq!(alarms(&bench), 0);
    // Slurm gives what was not ordered, as where nodes are given out whole.
    let place = bench.place.take().expect("a place");
    drop(bench);
    let mut bench = bench_at(place, |config| {
        config.usage_from_accounting = true;
        let more = "arguments=(); for a in \"$@\"; do arguments+=(\"${a/gpu:h100:1/gpu:h100:3}\"); done; \
                    exec REAL \"${arguments[@]}\"";
        config.programs = Some(programs(config.folder.parent().expect("a folder"), "sbatch", more));
    });
    bench.engine.inventory().expect("an inventory");
    expect_cause(&bench.run(with_devices(1, "true", 1_000, &[])), EndCause::Exited);
    assert_eq!(alarms(&bench), 1, "{:?}", bench.engine.alarms());
}

#[test]
fn lines_for_slurm_in_a_script_are_text() {
    let (place, user) = (WORKING.node(), rustix::process::geteuid().as_raw());
    let partition = place.partition.clone();
    let mut bench = bench_at(place, |_| {});
    let mut spec = script("");
    let text = "#!/bin/bash\n#SBATCH --account=other --uid=65534 --output=/tmp/stolen --partition=batch --time=1\n\
                echo $SLURM_JOB_ACCOUNT $SLURM_JOB_PARTITION $(id -u) \"$0\" \"$1\"\n";
    spec.work = Work::Script { text: text.to_owned(), arguments: vec!["--uid=0; $(id)".to_owned()] };
    let end = bench.run(order(1, spec));
    assert!(end.outcome.success(), "{end:?}");
    let said = bench.stdout(id(1, 0));
    assert!(said.starts_with(&format!("lab {partition} {user} ")) && said.ends_with(" --uid=0; $(id)\n"), "{said}");
}

#[test]
fn an_account_that_slurm_does_not_know_is_a_failed_start() {
    let mut bench = bench_at(WORKING.node(), |config| config.account = Some("nobody-s".into()));
    let end = bench.run(order(1, script("true")));
    expect_cause(&end, EndCause::StartFailed);
    assert!(end.outcome.detail.contains("account"), "{end:?}");
}

#[test]
fn what_somebody_else_cancels_is_cancelled() {
    let mut bench = bench();
    bench.submit(&[order(1, script("sleep 1000"))]);
    bench.started(id(1, 0));
    WORKING.take().call("scancel", &["--jobname", &job_name(&bench, "1.0.1")]);
    let end = bench.end(id(1, 0));
    expect_cause(&end, EndCause::Cancelled);
    assert!(end.outcome.detail.contains("centre"), "{end:?}");
}

/// Attempts of several jobs that ask for the same are one array; what asks for more is none of it. Each element is an
/// attempt like any other: it knows who it is, and is cancelled by itself.
#[test]
fn attempts_that_ask_for_the_same_are_one_submission() {
    let mut bench = bench_at(WORKING.node(), |config| {
        let folder = config.folder.parent().expect("a folder");
        config.programs = Some(programs(folder, "sbatch", "echo >> ONCE; exec REAL \"$@\""));
    });
    bench.engine.inventory().expect("an inventory");
    let go = bench.file("go");
    let text = format!(
        "echo $HUISUAN_ATTEMPT [$SLURM_ARRAY_JOB_ID,$SLURM_ARRAY_TASK_ID]; until [ -e {go} ]; do sleep 0.05; done"
    );
    let array = Arc::new(JobSpec { tasks: "3-7".parse().expect("ranges"), ..script(&text) });
    let mut orders: Vec<StartOrder> = (1..=9).map(|job| order(job, script(&text))).collect();
    orders.extend(array.tasks.iter().map(|index| task(10, index, &array)));
    orders.push(order(11, JobSpec { memory: Bytes(65 << 20), ..script(&text) }));
    bench.submit(&orders);
    bench.started(id(1, 0));
    // Four processors: these wait until others have ended. One is cancelled here, one at the cluster.
    bench.engine.cancel(&[id(8, 0)]).expect("cancelled");
    let lab = WORKING.take();
    let array_name = job_name(&bench, "array.1");
    let number = lab.call("squeue", &["--noheader", "--array", "--name", &array_name, "--format=%F"]);
    lab.call("scancel", &[&format!("{}_8", number.lines().next().expect("a number"))]);
    drop(lab);
    expect_cause(&bench.end(id(8, 0)), EndCause::Cancelled);
    let end = bench.end(id(9, 0));
    expect_cause(&end, EndCause::Cancelled);
    assert!(end.outcome.detail.contains("centre"), "{end:?}");
    fs::write(go, "").expect("a file");
    for own in orders.iter().map(|order| order.attempt).filter(|own| ![8, 9].contains(&own.job.0)) {
        expect_cause(&bench.end(own), EndCause::Exited);
        let said = if own.job.0 == 10 { format!("10,{}", own.task) } else { ",".to_owned() };
        assert_eq!(bench.stdout(own), format!("{own} [{said}]\n"));
    }
    assert_eq!(fs::read_to_string(bench.file("programs/once")).expect("it was called"), "\n\n");
}

#[test]
fn an_array_that_somebody_else_cancels_is_cancelled() {
    let mut bench = bench();
    let orders: Vec<StartOrder> = (1..=6).map(|job| order(job, script("sleep 1000"))).collect();
    bench.submit(&orders);
    bench.started(id(1, 0));
    WORKING.take().call("scancel", &["--jobname", &job_name(&bench, "array.1")]);
    for order in &orders {
        let end = bench.end(order.attempt);
        expect_cause(&end, EndCause::Cancelled);
        assert!(end.outcome.detail.contains("centre"), "{end:?}");
    }
}

/// Elements and jobs of their own are cancelled one after the other: the queue is asked in bulk once in an interval all
/// the same, and `scancel` asks for nothing.
#[test]
fn cancels_cost_no_questions_in_bulk() {
    let from = Instant::now();
    let mut bench = bench_at(WORKING.node(), |config| {
        let folder = config.folder.parent().expect("a folder");
        programs(folder, "scancel", "echo scancel \"$@\" >> ONCE; exec REAL \"$@\"");
        config.programs = Some(programs(folder, "squeue", "echo squeue \"$@\" >> ONCE; exec REAL \"$@\""));
    });
    bench.engine.inventory().expect("an inventory");
    let own = |job: u64| order(job, JobSpec { memory: Bytes(job << 20), ..script("sleep 1000") });
    let mut orders = vec![own(101), own(102)];
    bench.submit(&orders);
    bench.started(id(101, 0));
    bench.started(id(102, 0));
    let array: Vec<StartOrder> = (1..=7).map(|job| order(job, script("sleep 1000"))).collect();
    bench.submit(&array);
    bench.started(id(1, 0));
    orders.extend(array);
    for order in &orders {
        bench.engine.cancel(&[order.attempt]).expect("cancelled");
        let new = bench.engine.observe(Duration::from_millis(100)).expect("observed");
        bench.reports.extend(new);
    }
    for order in &orders {
        expect_cause(&bench.end(order.attempt), EndCause::Cancelled);
    }
    let said = fs::read_to_string(bench.file("programs/once")).expect("they were called");
    let bulk = said.lines().filter(|line| line.starts_with("squeue") && !line.contains("--jobs=")).count();
    let lone = said.lines().filter(|line| line.starts_with("squeue") && line.contains("--jobs=")).count();
    let intervals = usize::try_from(from.elapsed().as_millis() / 500).expect("few") + 1;
    assert!(bulk <= intervals, "{bulk} questions in {intervals} intervals:\n{said}");
    assert!(lone > 0 && lone <= 2 * (bulk + 1), "{lone} and {bulk} questions:\n{said}");
    let filters = ["--jobname", "--state", "--user", "--name"];
    let asks = |line: &&str| line.starts_with("scancel") && filters.iter().any(|filter| line.contains(filter));
    assert_eq!(said.lines().find(asks), None, "it asks for all jobs of the cluster");
}

#[test]
fn one_folder_has_one_engine() {
    let bench = bench();
    let place = bench.place.as_ref().expect("a place");
    let again = SlurmEngine::open(config(&bench.folder.path().join("centre"), &place.conf, &place.partition));
    assert!(matches!(again, Err(EngineError::Refused(_))), "{again:?}");
}

/// What an attempt's job is called in Slurm.
pub(crate) fn job_name(bench: &Bench, attempt: &str) -> String {
    let instance = fs::read_to_string(bench.folder.path().join("centre/instance")).expect("a word");
    format!("hs-{instance}-{attempt}")
}

mod sessions {
    use huisuan_model::{ChannelTarget, EndCause, channel::Frame};

    use super::{bench, id, task};
    use crate::sessions::{Viewer, begun, contract};

    contract!(bench());

    #[test]
    fn a_session_outlives_its_engine() {
        let mut bench = bench();
        let (attempt, mut viewer) = begun(&mut bench, 1, &["/bin/sh"]);
        viewer.types("kept=seven; echo is-$((40 + 2))\n");
        viewer.sees("is-42\r\n");
        let place = bench.place.as_ref().expect("a place");
        let config = super::config(&bench.folder.path().join("centre"), &place.conf, &place.partition);
        // A folder has one engine: the former ends first, with a viewer attached.
        bench.engine = Box::new(crate::bench::open_local(&bench.folder.path().join("elsewhere"), ""));
        assert_eq!(viewer.end(), None);
        bench.engine = Box::new(super::SlurmEngine::open(config).expect("an engine"));
        let mut again = Viewer::of(&bench, attempt);
        again.types("echo still-$kept; exit 3\n");
        again.sees("still-seven\r\n");
        assert_eq!(again.end(), Some(huisuan_model::channel::Frame::Exited(3)));
        assert_eq!(bench.end(attempt).outcome.exit_code, Some(3));
    }

    #[test]
    fn a_port_of_the_node_and_a_batch_job_are_refused() {
        let mut bench = bench();
        let (attempt, _viewer) = begun(&mut bench, 1, &["/bin/sh"]);
        let refused = |bench: &super::Bench, attempt, target, words: &str| {
            let error = bench.engine.attach(attempt, target).expect_err(words).to_string();
            assert!(error.contains(words), "{error}");
        };
        // Of the node, which is this machine, and of nobody's session.
        let foreign = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = foreign.local_addr().expect("an address").port();
        refused(&bench, attempt, ChannelTarget::Port(port), "no process of this session");
        refused(&bench, id(9, 0), ChannelTarget::Port(port), "no session");
        refused(&bench, id(9, 0), ChannelTarget::Terminal, "no session");
        bench.submit(&[task(2, 0, &std::sync::Arc::new(super::script("sleep 60")))]);
        bench.started(id(2, 0));
        refused(&bench, id(2, 0), ChannelTarget::Terminal, "no session");
        bench.engine.cancel(&[attempt, id(2, 0)]).expect("told");
        assert_eq!(bench.end(attempt).outcome.cause, EndCause::Cancelled);
        bench.end(id(2, 0));
    }

    /// A server of the session that says its port, and gives back what it is sent, to several at once.
    const ECHOES: &str = "import socket, threading\n\
        def serve(one):\n    \
            while (data := one.recv(65536)): one.sendall(data)\n    \
            one.close()\n\
        server = socket.create_server(('127.0.0.1', 0))\n\
        print('port', server.getsockname()[1], 'end', flush=True)\n\
        while True: threading.Thread(target=serve, args=(server.accept()[0],), daemon=True).start()\n";

    #[test]
    fn a_port_of_a_session_is_reached_by_several() {
        let mut bench = bench();
        let (attempt, mut viewer) = begun(&mut bench, 1, &["python3", "-c", ECHOES]);
        let said = viewer.sees("end\r\n");
        let port = said.split_ascii_whitespace().nth(1).and_then(|port| port.parse().ok()).expect("a port");
        let mut all: Vec<Viewer> = (0..3).map(|_| Viewer::at(&bench, attempt, ChannelTarget::Port(port))).collect();
        for (number, connection) in all.iter_mut().enumerate() {
            connection.types(&format!("one {number}\n"));
        }
        for (number, connection) in all.iter_mut().enumerate() {
            assert_eq!(connection.sees("\n"), format!("one {number}\n"));
        }
        // Bytes of any kind, more than any buffer on the way holds.
        let bytes: Vec<u8> =
            (0..2_000_000_u32).map(|number| (number.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
        assert_eq!(all[0].echoes(&bytes), bytes);
        // Whoever goes leaves the others.
        drop(all.remove(0));
        all[0].types("still\n");
        assert_eq!(all[0].sees("\n"), "still\n");
        bench.engine.cancel(&[attempt]).expect("told");
        bench.end(attempt);
        assert!(matches!(all[0].end(), None | Some(Frame::End)), "it ends with its session");
    }
}
