//! The contract on the local engine, and what only that one does.

use std::{fs, sync::Arc, time::Duration};

use huisuan_drivers::{Engine as _, EngineError};
use huisuan_model::{EndCause, EngineKind, JobSpec, Millicores, Stream};

use crate::{
    bench::{Bench, expect_cause, id, open_local, order, script, task, try_open_local},
    checkpoint, staging, suite,
};

suite::whole_contract!(Bench::local());

#[test]
fn state_is_saved_within_the_walltime() {
    checkpoint::state_is_saved_within_the_walltime(&mut Bench::local());
}

#[test]
fn state_is_saved_when_room_is_taken_away() {
    checkpoint::state_is_saved_when_room_is_taken_away(&mut Bench::local());
}

#[test]
fn data_is_where_the_variable_says() {
    staging::data_is_where_the_variable_says(&mut Bench::local());
}

#[test]
fn the_inventory_is_the_share() {
    let bench = Bench::local();
    let pools = bench.engine.inventory().expect("an inventory");
    let [pool] = pools.as_slice() else { panic!("one pool: {pools:?}") };
    assert_eq!((pool.id.as_str(), pool.memory.0, &pool.rating), ("cpu:test", 1 << 30, &None));
    assert_eq!(pool.topology, Some(huisuan_model::Topology::ONE_NODE), "a machine is one rack");
    assert!(!pool.images && bench.engine.images().is_err_and(|why| why == "none in this test"));
    assert_eq!(bench.engine.measurable_cpus(&pool.id).len() as u64 * 1000, pool.cores.0);
    assert_eq!((bench.engine.kind(), bench.engine.memory_mode().as_str()), (EngineKind::Local, "watched"));
}

#[test]
fn a_gang_finds_itself_on_this_machine() {
    let mut bench = Bench::local();
    let mut gang = script("echo $SLURM_PROCID $HUISUAN_GANG_FIRST $HUISUAN_GANG_HOSTS");
    (gang.gang, gang.tasks) = (true, "3,5".parse().expect("ranges"));
    let gang = Arc::new(gang);
    bench.submit(&[task(1, 3, &gang), task(1, 5, &gang)]);
    for (rank, index) in [(0, 3), (1, 5)] {
        expect_cause(&bench.end(id(1, index)), EndCause::Exited);
        assert_eq!(bench.stdout(id(1, index)), format!("{rank} 127.0.0.1 127.0.0.1:2\n"));
    }
    bench.run(order(2, script("echo [$HUISUAN_GANG_FIRST]")));
    assert_eq!(bench.stdout(id(2, 0)), "[]\n", "a job by itself has no others");
}

#[test]
fn outputs_go_where_the_job_says() {
    let mut bench = Bench::local();
    let folder = bench.file("work");
    fs::create_dir(&folder).expect("a folder");
    let text = "pwd; echo err >&2";
    let spec = |output: Option<&str>, error: Option<&str>| {
        let mut spec = script(text);
        spec.name = "name".into();
        spec.directory = Some(folder.clone());
        spec.output = output.map(Into::into);
        spec.error = error.map(Into::into);
        spec.tasks = "7".parse().expect("an index");
        Arc::new(spec)
    };
    let read = |name: &str| fs::read_to_string(format!("{folder}/{name}")).unwrap_or_else(|e| panic!("{name}: {e}"));
    let mut check = |job: u64, output: Option<&str>, error: Option<&str>| {
        let started = task(job, 7, &spec(output, error));
        let end = bench.run(started);
        assert!(end.outcome.success(), "{end:?}");
        (bench.stdout(id(job, 7)), bench.output(id(job, 7), Stream::Stderr))
    };
    let out = format!("{folder}\n");
    assert_eq!(check(1, None, None), (out.clone(), b"err\n".to_vec()));
    let both = format!("{out}err\n");
    assert_eq!(check(2, Some("%x-%j_%a.out"), None), (both.clone(), both.clone().into_bytes()));
    assert_eq!(read("name-2_7.out"), both);
    assert_eq!(check(3, Some("%A-%3a%%%z"), Some("err")), (out.clone(), b"err\n".to_vec()));
    assert_eq!((read("3-007%%z"), read("err")), (out.clone(), "err\n".to_owned()));
    assert_eq!(check(4, Some("/dev/null"), Some("same-%")), (String::new(), b"err\n".to_vec()));
    assert_eq!(read("same-%"), "err\n");
    assert_eq!(check(5, Some("err"), Some("err")), (both.clone(), both.clone().into_bytes()));
}

#[test]
fn a_named_pipe_is_no_output() {
    let mut bench = Bench::local();
    let pipe = bench.file("pipe");
    let made = std::process::Command::new("mkfifo").arg(&pipe).status().expect("mkfifo");
    assert!(made.success());
    let mut spec = script("true");
    spec.output = Some(pipe);
    expect_cause(&bench.run(order(1, spec)), EndCause::StartFailed);
}

#[test]
fn what_is_left_behind_is_killed_and_told() {
    let mut bench = Bench::local();
    let (pid_file, go) = (bench.file("pid"), bench.file("go"));
    let text = "sleep 1000 & echo $! > PID.new; mv PID.new PID; until [ -e GO ]; do sleep 0.01; done; exit 0";
    bench.submit(&[order(1, script(&text.replace("PID", &pid_file).replace("GO", &go)))]);
    let left = bench.process_in(&pid_file);
    fs::write(go, "").expect("a file");
    let end = bench.end(id(1, 0));
    left.wait_gone();
    assert!(end.outcome.success(), "{end:?}");
    assert!(end.outcome.detail.contains("left behind"), "{end:?}");
}

#[test]
fn whole_cores_are_apart() {
    let mut bench = Bench::local();
    let cores = u32::try_from(bench.cores()).expect("few");
    let allowed = "grep Cpus_allowed_list /proc/self/status; until [ -e $0.go ]; do sleep 0.01; done";
    let mut orders = Vec::new();
    for index in 0..cores {
        orders.push(order(u64::from(index) + 1, script(&allowed.replace("$0.go", &bench.file("go")))));
    }
    bench.submit(&orders);
    for order in &orders {
        bench.started(order.attempt);
    }
    fs::write(bench.file("go"), "").expect("a file");
    let mut lists: Vec<String> = Vec::new();
    for order in &orders {
        bench.end(order.attempt);
        lists.push(bench.stdout(order.attempt));
    }
    lists.sort();
    lists.dedup();
    assert_eq!(lists.len(), orders.len(), "two attempts on one core: {lists:?}");
}

#[test]
fn a_deep_folder_is_no_obstacle() {
    let folder = tempfile::tempdir().expect("a scratch folder");
    let deep = folder.path().join("x".repeat(100)).join("y".repeat(100));
    let engine = open_local(&deep, "");
    let mut bench = Bench::new(engine, folder);
    assert!(bench.run(order(1, script("true"))).outcome.success());
}

#[test]
fn an_agent_restart_changes_nothing() {
    let mut bench = Bench::local();
    let dir = bench.folder.path().join("centre");
    let go = bench.file("go");
    let cores = bench.cores() * 1000;
    let mut waits = order(2, script(&format!("until [ -e {go} ]; do sleep 0.01; done; exit 5")));
    waits.cores = Millicores(cores);
    let mut queued = order(3, script("exit 6"));
    queued.cores = Millicores(cores);
    bench.submit(&[order(1, script("exit 4")), waits, queued, order(4, script("exit 7"))]);
    bench.end(id(1, 0));
    bench.started(id(2, 0));
    bench.engine = Box::new(open_local(&dir, ""));
    bench.reports.clear();
    assert_eq!(bench.end(id(1, 0)).outcome.exit_code, Some(4), "told again, for it was not acknowledged");
    bench.started(id(2, 0));
    bench.engine.acknowledge(&[id(1, 0)]).expect("acknowledged");
    bench.engine = Box::new(open_local(&dir, ""));
    bench.reports.clear();
    fs::write(go, "").expect("a file");
    for (job, code) in [(2, 5), (3, 6), (4, 7)] {
        assert_eq!(bench.end(id(job, 0)).outcome.exit_code, Some(code));
    }
    assert!(bench.reports.iter().all(|report| report.attempt != id(1, 0)), "acknowledged and told again");
}

#[test]
fn another_configuration_waits_for_the_work_to_end() {
    let mut bench = Bench::local();
    let dir = bench.folder.path().join("centre");
    bench.submit(&[order(1, script("sleep 1000"))]);
    bench.started(id(1, 0));
    let other = try_open_local(&dir, "", 2 << 30);
    assert!(matches!(other, Err(EngineError::Supervisor { .. })), "{other:?}");
    bench.engine.cancel(&[id(1, 0)]).expect("cancelled");
    bench.end(id(1, 0));
    let other = try_open_local(&dir, "", 2 << 30).expect("it has no work now");
    assert_eq!(other.inventory().expect("an inventory")[0].memory.0, 2 << 30);
}

#[test]
fn an_idle_supervisor_leaves_and_another_takes_over() {
    let mut bench = Bench::local();
    let dir = bench.folder.path().join("centre");
    assert!(bench.run(order(1, script("true"))).outcome.success());
    let supervisor = crate::crash::supervisor(&dir);
    bench.engine = Box::new(open_local(&bench.folder.path().join("elsewhere"), ""));
    supervisor.wait_gone();
    bench.engine = Box::new(open_local(&dir, ""));
    bench.reports.clear();
    assert!(bench.end(id(1, 0)).outcome.success(), "told again by the next");
    assert!(bench.run(order(2, script("true"))).outcome.success());
}

#[test]
fn a_cpu_that_is_not_there_is_refused() {
    let folder = tempfile::tempdir().expect("a scratch folder");
    let config = |cores| huisuan_drivers::LocalConfig {
        dir: folder.path().to_owned(),
        cores,
        memory: huisuan_model::Bytes(1),
        supervisor: vec!["/no/such/program".into()],
        pool: huisuan_model::PoolId::new("cpu:x").expect("a name"),
        class: huisuan_model::Class::Hpc,
        containers: Err("none in this test".to_owned()),
    };
    for cores in [vec![], vec![1023], vec![70_000]] {
        let error = huisuan_drivers::LocalEngine::open(config(cores)).expect_err("refused");
        assert!(matches!(error, EngineError::Refused(_)), "{error}");
    }
    let error = huisuan_drivers::LocalEngine::open(config(vec![0])).expect_err("no supervisor");
    assert!(error.to_string().contains("/no/such/program"), "{error}");
}

#[test]
fn many_short_tasks_all_end_once() {
    let mut bench = Bench::local();
    let mut spec = JobSpec::command("true", &["/bin/true"]);
    spec.tasks = "0-499".parse().expect("indices");
    spec.memory = huisuan_model::Bytes(1 << 20);
    let spec = Arc::new(spec);
    let orders: Vec<_> = spec.tasks.iter().map(|index| task(1, index, &spec)).collect();
    bench.submit(&orders);
    let all = bench.observe_until("500 ends", |reports| {
        let ends: Vec<_> = reports.iter().filter_map(|r| crate::bench::end_of(r, r.attempt)).collect();
        (ends.len() >= 500).then_some(ends)
    });
    assert!(all.len() == 500 && all.iter().all(|end| end.outcome.success() && end.started_at.is_some()));
    let none = bench.engine.observe(Duration::ZERO).expect("observed");
    assert!(none.is_empty(), "{none:?}");
}
