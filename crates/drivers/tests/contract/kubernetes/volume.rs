//! What agent and pods share: which folders a pod is given, and what happens where there are none.

use std::{
    fs,
    os::unix::fs::MetadataExt as _,
    time::{Duration, Instant, SystemTime},
};

use huisuan_drivers::{KubernetesConfig, KubernetesEngine, SubmitResult};
use huisuan_model::{
    DurationMs, EndCause, JobSpec,
    spec::{Checkpoint, DataReference},
};
use serde_json::json;

use super::{HERE, Lab, config, container::user};
use crate::{
    bench::{Bench, PATIENCE, expect_cause, order, script},
    checkpoint,
};

fn saving(signal: &str, grace_ms: u64) -> Option<Checkpoint> {
    Some(Checkpoint { signal: signal.to_owned(), grace: DurationMs(grace_ms) })
}

fn refused(bench: &Bench, job: u64, spec: JobSpec, hint: &str) {
    let results = bench.engine.submit(&[order(job, spec)]).expect("submitted");
    assert!(matches!(&results[..], [SubmitResult::Refused { why }] if why.contains(hint)), "{results:?}: {hint}");
}

fn with_input() -> JobSpec {
    let input = DataReference { url: "https://h/x".into(), path: "in".into(), bytes: None, sha256: None, at: None };
    JobSpec { inputs: vec![input], ..script("true") }
}

#[test]
fn without_a_volume_nothing_is_saved_or_brought() {
    let mut lab = Lab::new();
    lab.close();
    let opened = KubernetesEngine::open(KubernetesConfig { volume: None, ..config(&lab) });
    lab.bench.engine = Box::new(opened.expect("again"));
    assert_eq!(lab.bench.engine.staging_folder(), None);
    checkpoint::is_refused(&mut lab.bench);
    refused(&lab.bench, 4, with_input(), "data is to be brought");
}

/// A pod sees its own folders of the volume alone, is told to save by its own signal, and has its own time.
#[test]
fn a_pod_gets_its_own_folders_only() {
    let lab = Lab::new();
    let plain = script("true");
    lab.bench.submit(&[
        order(1, JobSpec { checkpoint: saving("USR1", 90_000), walltime: DurationMs(600_000), ..with_input() }),
        order(2, plain),
    ]);
    let objects = lab.server.cluster.lock();
    let spec = &objects.pods[&lab.pod(1)]["spec"];
    let container = &spec["containers"][0];
    let mounts: Vec<_> =
        container["volumeMounts"].as_array().expect("mounts").iter().filter(|one| one["name"] == "shared").collect();
    let expected = [
        json!({ "name": "shared", "mountPath": "/huisuan/checkpoint", "subPath": format!("{HERE}/checkpoints/1/0") }),
        json!({ "name": "shared", "mountPath": "/huisuan/data", "subPath": format!("{HERE}/staging/1/0.1/data") }),
    ];
    assert_eq!(mounts, expected.iter().collect::<Vec<_>>());
    assert_eq!(spec["volumes"][2], json!({ "name": "shared", "persistentVolumeClaim": { "claimName": "shared" } }));
    assert_eq!((&spec["activeDeadlineSeconds"], &spec["terminationGracePeriodSeconds"]), (&json!(510), &json!(90)));
    assert_eq!(container["lifecycle"]["preStop"]["exec"]["command"][4], "USR1");
    for path in ["checkpoints/1/0", "staging/1/0.1/data"] {
        let folder = fs::metadata(lab.shared.join(HERE).join(path)).expect("made before the pod");
        assert_eq!((folder.uid(), folder.mode() & 0o777), (user(), 0o700), "{path}");
    }
    let other = &objects.pods[&lab.pod(2)]["spec"];
    assert_eq!(other["volumes"].as_array().map(Vec::len), Some(2), "no job gets what it did not ask for");
    assert_eq!(other["containers"][0].get("lifecycle"), None);
}

/// The pod of an order may be there by a creation that nobody answered: a volume that fails ends no attempt, and holds
/// up nobody who does not need it.
#[test]
fn a_volume_that_fails_is_no_refusal() {
    let lab = Lab::new();
    let orders = [order(1, JobSpec { checkpoint: saving("USR1", 1_000), ..script("true") }), order(2, script("true"))];
    let folder = lab.shared.join(HERE).join("checkpoints");
    fs::remove_dir(&folder).expect("removed");
    fs::write(&folder, "in its place").expect("written");
    let error = lab.bench.engine.submit(&orders).expect_err("asked again").to_string();
    assert!(error.contains("volume") && error.contains("hint:"), "{error}");
    let made = |job| lab.server.cluster.lock().pods.contains_key(&lab.pod(job));
    assert_eq!((made(1), made(2)), (false, true));
    fs::remove_file(&folder).expect("removed");
    let results = lab.bench.engine.submit(&orders).expect("submitted");
    assert_eq!(results, [SubmitResult::Accepted, SubmitResult::Duplicate]);
}

/// A task whose data cannot be where it looks for it is not started; another centre may have it.
#[test]
fn a_volume_that_is_not_there_any_more_is_noticed() {
    let mut lab = Lab::new();
    let away = lab.shared.with_extension("away");
    fs::rename(&lab.shared, &away).expect("unmounted");
    fs::create_dir_all(lab.shared.join(HERE)).expect("an empty place");
    refused(&lab.bench, 1, with_input(), "not at");
    expect_cause(&lab.bench.run(order(2, script("exit 0"))), EndCause::Exited);
    lab.close();
    let Err(error) = KubernetesEngine::open(config(&lab)) else { panic!("another volume") };
    assert!(error.to_string().contains("not the volume that was there before"), "{error}");
    fs::remove_dir_all(&lab.shared).expect("removed");
    fs::rename(&away, &lab.shared).expect("mounted again");
    lab.reopen();
    lab.bench.submit(&[order(3, with_input())]);
}

/// What was saved long ago by tasks that nobody knows of goes; what is about to be used stays, however old.
#[test]
fn what_was_saved_is_kept_as_long_as_the_site_says() {
    let mut lab = Lab::new();
    lab.close();
    let folder = |job: u64| lab.shared.join(HERE).join(format!("checkpoints/{job}/0"));
    for job in [1, 2] {
        fs::create_dir_all(folder(job)).expect("made");
        let long_ago = SystemTime::now() - Duration::from_secs(40 * 86_400);
        fs::File::open(folder(job)).and_then(|folder| folder.set_modified(long_ago)).expect("set");
    }
    let (old, used) = (folder(1), folder(2));
    let mut config = config(&lab);
    config.volume.as_mut().expect("a volume").keep_days = Some(30);
    lab.bench.engine = Box::new(KubernetesEngine::open(config).expect("again"));
    let saves = JobSpec { checkpoint: saving("USR1", 1_000), walltime: DurationMs(600_000), ..script("true") };
    lab.bench.submit(&[order(2, saves)]);
    let deadline = Instant::now() + PATIENCE;
    while old.exists() {
        assert!(Instant::now() < deadline, "it is still there");
        lab.bench.engine.observe(Duration::from_millis(20)).expect("observed");
    }
    assert!(used.exists(), "a task was given it a moment ago");
}
