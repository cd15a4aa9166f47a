//! How jobs end, and what waiting for them tells.

use std::fs;

use serde_json::json;

use crate::{
    site::{Site, until},
    support::running::wait_until,
};

/// The first attempt of an ended job: state, cause and exit code.
fn end(site: &Site, id: u64) -> (String, Option<String>, Option<i32>) {
    let attempt = site.ended(id).attempts.swap_remove(0);
    (attempt.state, attempt.cause, attempt.exit_code)
}

#[test]
fn waiting_tells_how_it_ended() {
    let site = Site::open();
    let good = site.submit(&["run", "--", "true"]).to_string();
    let bad = site.submit(&["run", "--", "/bin/sh", "-c", "echo why >&2; exit 7"]).to_string();
    assert_eq!(site.cli(&["wait", &good]).exit, 0);
    let failed = site.cli(&["wait", &good, &bad, "-o", "json"]);
    assert_eq!(failed.exit, 10, "{failed:?}");
    let states: Vec<_> =
        failed.json()["jobs"].as_array().expect("jobs").iter().map(|job| job["state"].clone()).collect();
    assert_eq!(states, [json!("succeeded"), json!("failed")]);
    assert!(failed.stderr.contains(&format!("huisuan logs {bad}.0 --stream stderr")), "{}", failed.stderr);
    let (script, release) = site.blocker("slow");
    let slow = site.submit(&["run", "--", "/bin/sh", &script]).to_string();
    let late = site.cli(&["wait", &slow, "--timeout", "200ms"]);
    assert_eq!((late.exit, &*late.stdout), (8, ""), "{late:?}");
    assert!(late.stderr.contains("\nhint: "), "{}", late.stderr);
    fs::write(release, "").expect("released");
    assert_eq!(site.cli(&["wait", "last", "--timeout", "1m"]).exit, 0);
}

#[test]
fn cancelling_ends_what_runs_and_what_waits() {
    let site = Site::open();
    let (script, _) = site.blocker("runs");
    let runs = site.submit(&["run", "--cores", "2", "--", "/bin/sh", &script]);
    site.running(runs);
    let waits = site.submit(&["run", "--", "true"]);
    let cancelled = site.json(&["cancel", &waits.to_string()]);
    let one = &cancelled[0];
    assert_eq!((&one["state"], &one["cancel_requested"]), (&json!("cancelled"), &json!(true)), "a list, always");
    assert_eq!(site.job(waits).attempts.len(), 0, "it never ran");
    assert_eq!(site.cli(&["cancel", &runs.to_string()]).exit, 0);
    assert_eq!(end(&site, runs), ("cancelled".into(), Some("cancelled".into()), None));
    assert_eq!(site.ended(runs).summary.state, "cancelled");
    assert_eq!(site.cli(&["cancel", &runs.to_string()]).exit, 0, "repeating it does no harm");
    assert_eq!(site.cli(&["wait", &runs.to_string()]).exit, 10);
    assert_eq!(site.cli(&["cancel", "99"]).exit, 5);
    // The processor is free again.
    assert_eq!(site.cli(&["run", "--wait", "--cores", "2", "--", "true"]).exit, 0);
}

/// The whole group goes, not only the process that was started.
#[test]
fn a_job_beyond_its_limits_is_ended() {
    let site = Site::open();
    let child = "sleep 600 & echo $! > child; wait";
    let dir = site.home.path("limits");
    fs::create_dir(&dir).expect("a folder");
    let long = site.submit(&["run", "--walltime", "300ms", "--dir", &dir, "--", "/bin/sh", "-c", child]);
    assert_eq!(end(&site, long), ("failed".into(), Some("walltime".into()), None));
    let pid = fs::read_to_string(format!("{dir}/child")).expect("the child's number");
    let gone = || (!std::path::Path::new(&format!("/proc/{}", pid.trim())).exists()).then_some(());
    until("the end of the child", gone);
    let attempt = site.job(long).attempts.swap_remove(0);
    assert!((300..30_000).contains(&attempt.wall_ms), "{attempt:?}");

    // Keeps 200 MB in memory and never ends by itself.
    let greedy = "kept=$(head -c 200000000 /dev/zero | tr '\\0' x); sleep 600";
    let large = site.submit(&["run", "--memory", "32MiB", "--", "/bin/sh", "-c", greedy]);
    let (state, cause, _) = end(&site, large);
    assert_eq!((&*state, cause.as_deref()), ("failed", Some("memory")));
    let attempt = site.job(large).attempts.swap_remove(0);
    assert!(attempt.memory_peak_bytes > 32 << 20, "{attempt:?}");
    let missing = site.submit(&["run", "--", "/no/such/program"]);
    let (state, cause, _) = end(&site, missing);
    assert_eq!((&*state, cause.as_deref()), ("failed", Some("start-failed")));
    assert!(site.job(missing).attempts[0].detail.as_ref().is_some_and(|detail| detail.contains("/no/such/program")));
}

#[test]
fn a_waiting_job_explains_itself() {
    let site = Site::open();
    let (script, release) = site.blocker("fills");
    let fills = site.submit(&["run", "--cores", "2", "--", "/bin/sh", &script]);
    site.running(fills);
    let waits = site.submit(&["run", "--cores", "1.5", "--", "true"]).to_string();
    let reason = |code: &str| {
        until(code, || {
            let explain = site.json(&["explain", &waits]);
            (explain["reason"]["code"] == code).then_some(explain)
        })
    };
    let explain = reason("capacity");
    let reason_given = &explain["reason"];
    assert_eq!(reason_given["details"]["needed_millicores"], json!(1500), "{explain}");
    assert_eq!(
        (&reason_given["details"]["free_millicores"], &reason_given["details"]["centre"]),
        (&json!(0), &json!("hpc-1"))
    );
    assert!(reason_given["message"].as_str().is_some_and(|text| text.contains("1.5 cores")), "{explain}");
    let since = reason_given["since"].as_str().expect("a moment");
    assert!(since.len() == 24 && since.ends_with('Z'), "RFC 3339 UTC in milliseconds: {since}");
    assert_eq!((&explain["rejected"][0]["centre"], &explain["helps"]), (&json!("hpc-1"), &json!([])));
    assert_eq!((&explain["state"], explain["job_id"].to_string()), (&json!("waiting"), waits.clone()));
    assert_eq!(site.json(&["show", &waits])["reason"]["code"], json!("capacity"));

    assert_eq!(site.json(&["centre", "pause", "hpc-1"])["state"], json!("paused"));
    let explain = reason("centre-paused");
    assert_eq!(explain["reason"]["details"], json!({"centre": "hpc-1"}));
    let people = site.cli(&["explain", &waits]);
    assert!(people.stdout.contains("hpc-1") && people.stdout.contains("paused"), "{}", people.stdout);
    fs::write(release, "").expect("released");
    site.ended(fills);
    assert_eq!(site.job(waits.parse().expect("a number")).attempts.len(), 0, "nothing starts at a paused centre");
    site.json(&["centre", "resume", "hpc-1"]);
    assert_eq!(site.cli(&["wait", &waits]).exit, 0);
    assert_eq!(site.json(&["explain", &waits])["reason"], json!(null), "nothing of it waits");
}

/// A pipe from `wait` in the background hears of the end by itself, not by looking now and then.
#[test]
fn whoever_waits_hears_of_the_end() {
    let site = Site::open();
    let (script, release) = site.blocker("awaited");
    let id = site.submit(&["run", "--", "/bin/sh", &script]);
    let mut command = site.home.command();
    let mut waiting = command.args(["wait", &id.to_string(), "-q"]).spawn().expect("a waiting client");
    site.running(id);
    assert!(waiting.try_wait().expect("a child").is_none(), "it waits while the job runs");
    fs::write(release, "").expect("released");
    let deadline = std::time::Instant::now() + crate::support::running::PATIENCE;
    let status = wait_until(deadline, || waiting.try_wait().expect("a child"));
    assert!(status.expect("an end").success());
}

/// Each attempt gets its signal before the walltime is over, and the next one goes on where it left off.
#[test]
fn a_job_that_saves_its_state_goes_on() {
    let site = Site::open();
    let file = site.home.path("resumes.yaml");
    let job = r#"
script: |
  #!/bin/sh
  state=$HUISUAN_CHECKPOINT_DIR/state
  begun=$(cat $state 2>/dev/null || echo 0)
  trap 'echo $((begun + 1)) > $state; exit 1' USR1
  echo begun $begun
  [ $begun -lt 2 ] || exit 0
  while :; do sleep 0.01; done
checkpoint: {signal: USR1, grace: 1m}
walltime: 60300ms
retries: 2
"#;
    fs::write(&file, job).expect("written");
    let id = site.submit(&["run", &file]);
    let ended = site.ended(id);
    assert_eq!(ended.summary.state, "succeeded", "{ended:?}");
    let mut ends: Vec<_> =
        ended.attempts.iter().map(|attempt| (attempt.attempt.clone(), attempt.cause.clone())).collect();
    ends.sort();
    let cause = |word: &str| Some(word.to_owned());
    let expected = [("1", "walltime"), ("2", "walltime"), ("3", "exited")];
    let expected: Vec<_> = expected.map(|(number, word)| (format!("{id}.0.{number}"), cause(word))).into();
    assert_eq!(ends, expected);
}
