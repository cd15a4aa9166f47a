//! The demo: the first thing that anybody starts.

use std::{fs, path::Path};

use serde_json::{Value, json};

use crate::{
    site::{ends_well, until},
    support::running::{Home, PATIENCE},
};

#[test]
fn a_demo_that_runs_once_tells_what_it_did() {
    let home = Home::new();
    let temporary = home.path("temporary");
    fs::create_dir(&temporary).expect("a folder");
    let ran = crate::support::ran(home.command().args(["demo", "--once", "-o", "json"]).env("TMPDIR", &temporary));
    assert_eq!(ran.exit, 0, "{ran:?}");
    let report = ran.json();
    assert_eq!((&report["centres"], &report["ledger_balanced"]), (&json!(3), &json!(true)));
    let figure = |name: &str| report[name].as_u64().unwrap_or_else(|| panic!("no {name}: {report}"));
    // One example fails on purpose and one is cancelled.
    assert_eq!((figure("jobs"), figure("failed"), figure("cancelled")), (figure("succeeded") + 2, 1, 1));
    assert!(figure("succeeded") >= 5 && figure("elapsed_ms") > 0, "{report}");
    let usage = report["usage"].as_object().expect("usage by class");
    assert!(usage.keys().all(|class| ["ai", "hpc", "general"].contains(&class.as_str())), "{report}");
    for (class, used) in usage {
        let (gflop, p_h) = (used["gflop"].as_u64().expect("an integer"), used["p_h"].as_f64().expect("a number"));
        assert!(gflop > 0 && (p_h * 3.6e9 / gflop as f64 - 1.0).abs() < 1e-6, "{class}: {used}");
    }
    assert!(report["cost"]["amount"].as_u64().is_some_and(|amount| amount > 0), "{report}");
    assert_eq!(report["cost"]["currency"], json!("CNY"));
    let left: Vec<_> = fs::read_dir(&temporary).expect("a folder").flatten().map(|entry| entry.path()).collect();
    assert!(left.iter().all(|path| !path.to_string_lossy().contains("huisuan-demo")), "left behind: {left:?}");
}

/// In another terminal nothing but the command is needed.
#[test]
fn a_demo_that_stays_is_found_and_used() {
    let home = Home::new();
    let data = home.path("data");
    let demo = home.start(&["demo", "--data", &data, "--listen", "127.0.0.1:0"], &[]);
    let json = |arguments: &[&str]| -> Value {
        let ran = home.run(&[&["-o", "json"], arguments].concat());
        assert_eq!(ran.exit, 0, "{arguments:?}: {ran:?}");
        ran.json()
    };
    // The demo is busy with its examples: this job waits for its turn.
    let id = json(&["run", "--", "echo", "hi"])["job_id"].as_u64().expect("a number").to_string();
    assert_eq!(json(&["wait", &id])["jobs"][0]["state"], "succeeded");
    let logs = home.run(&["logs", &id]);
    assert_eq!((logs.exit, &*logs.stdout), (0, "hi\n"));
    let shown = json(&["show", &id]);
    assert_eq!((&shown["attempts"][0]["exit_code"], &shown["attempts"][0]["mark"]), (&json!(0), &json!("measured")));
    let centres = json(&["centre", "ls"]);
    assert_eq!(centres["centres"].as_array().map(Vec::len), Some(3));
    until("the end of the examples", || {
        let jobs = json(&["ls"])["jobs"].as_array().cloned().expect("jobs");
        (jobs.len() == 8 && jobs.iter().all(|job| job["ended_at"].is_string())).then_some(())
    });
    assert_eq!(json(&["ledger", "balance"])["balanced"], json!(true));
    let usage = json(&["usage"]);
    assert!(usage["usage"].as_object().is_some_and(|classes| !classes.is_empty()), "{usage}");

    let found = Path::new(&home.path("huisuan")).join("server.json");
    assert!(found.exists());
    ends_well(demo);
    assert!(!found.exists(), "a server that ended is not announced");
    let ran = home.run(&["ls"]);
    assert_eq!(ran.exit, 1, "{ran:?}");

    // The same folder again: the jobs of before are there.
    let mut again = home.start(&["demo", "--data", &data, "--once", "-o", "json", "--listen", "127.0.0.1:0"], &[]);
    let known = again.cli(&["show", &id, "-o", "json"]);
    assert_eq!(known.json()["state"], json!("succeeded"), "{known:?}");
    assert!(again.wait(PATIENCE).success(), "{}", again.stderr());
}

/// An hour of a whole city in a few seconds: real server, planner, agents and books; virtual centres and jobs.
#[test]
fn a_simulated_city_is_busy_and_balanced() {
    let home = Home::new();
    let arguments = ["demo", "--city", "zhengzhou-2025", "--once", "--hours", "1", "--speed", "3600", "--seed", "7"];
    let ran = home.run(&[&arguments[..], &["-o", "json"]].concat());
    assert_eq!(ran.exit, 0, "{ran:?}");
    assert!(ran.stderr.contains("SIMULATED") && ran.stderr.contains("seed 7"), "{}", ran.stderr);
    let report = ran.json();
    let fixed = ["centres", "ledger_balanced", "city", "speed", "seed", "simulated_hours", "mark", "refused"];
    let fixed = fixed.map(|name| report[name].clone());
    let expected = [
        json!(10),
        json!(true),
        json!("zhengzhou-2025"),
        json!(3600),
        json!(7),
        json!(1.0),
        json!("modelled"),
        json!(0),
    ];
    assert_eq!(fixed, expected, "{report}");
    let figure = |name: &str| report[name].as_u64().unwrap_or_else(|| panic!("no {name}: {report}"));
    let by_state = ["succeeded", "failed", "cancelled", "running", "waiting"].map(figure);
    assert_eq!(figure("jobs"), by_state.iter().sum::<u64>());
    assert!(figure("jobs") > 3_000 && figure("succeeded") > 1_000 && figure("elapsed_ms") > 0, "{report}");
    let usage = report["usage"].as_object().expect("usage by class");
    assert_eq!(usage.keys().map(String::as_str).collect::<Vec<_>>(), ["ai", "general", "hpc"], "{report}");
    assert!(report["cost"]["amount"].as_u64().is_some_and(|amount| amount > 0), "{report}");
}

#[test]
fn a_city_that_is_not_carried_is_named() {
    let home = Home::new();
    let ran = home.run(&["demo", "--city", "atlantis"]);
    assert_eq!(ran.exit, 2, "{ran:?}");
    assert!(ran.stderr.contains("atlantis") && ran.stderr.contains("zhengzhou-2025"), "{}", ran.stderr);
    assert_eq!(home.run(&["demo", "--speed", "60"]).exit, 2, "a speed without a city means nothing");
}
