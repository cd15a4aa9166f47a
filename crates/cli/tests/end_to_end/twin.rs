//! The twin: scenarios, comparisons, and the plans of a real journal made again.

use std::fs;

use serde_json::{Value, json};

use crate::support::{huisuan, running::Home};

/// A scenario of the repository.
fn scenario(name: &str) -> String {
    format!("{}/../../scenarios/{name}.toml", env!("CARGO_MANIFEST_DIR"))
}

fn json_of(arguments: &[&str]) -> Value {
    let ran = huisuan(&[arguments, &["-o", "json"]].concat());
    assert_eq!(ran.exit, 0, "{ran:?}");
    ran.json()
}

#[test]
fn a_scenario_is_run_and_reported() {
    let home = Home::new();
    let out = home.path("out");
    let report = json_of(&["twin", "run", &scenario("trace"), "--out", &out]);
    let golden = fs::read_to_string(scenario("golden/trace").replace(".toml", ".json")).expect("a golden report");
    let golden: Value = serde_json::from_str(&golden).expect("JSON");
    for field in ["simulated_s", "jobs", "placements", "decision_hash", "utilisation", "seed", "mark"] {
        assert_eq!(report[field], golden[field], "{field}");
    }
    assert!(report["cpu_ms"].is_u64() && report["peak_rss_mb"].as_u64().is_some_and(|mb| mb > 0), "{report}");
    for file in ["report.json", "series.csv", "utilisation.svg", "queue.svg", "waits.svg", "power.svg"] {
        assert!(fs::metadata(format!("{out}/{file}")).is_ok_and(|found| found.len() > 100), "{file}");
    }
    let other = json_of(&["twin", "run", &scenario("trace"), "--seed", "9", "--policy", "cheapest"]);
    assert_eq!((&other["seed"], &other["policy"]), (&json!(9), &json!("cheapest")));
    let people = huisuan(&["twin", "run", &scenario("trace")]);
    assert!(people.exit == 0 && people.stdout.contains("MODELLED"), "{people:?}");
}

#[test]
fn what_cannot_be_run_is_a_mistake_of_use() {
    let ran = huisuan(&["twin", "run", &scenario("trace"), "--policy", "best"]);
    assert_eq!(ran.exit, 2, "{ran:?}");
    assert!(ran.stderr.contains("`best`") && ran.stderr.contains("balanced, soonest"), "{ran:?}");
    let home = Home::new();
    let path = home.path("bad.toml");
    fs::write(&path, "name = \"x\"\nhours = -1\n").expect("space on disk");
    let ran = huisuan(&["twin", "run", &path]);
    assert!(ran.exit == 2 && ran.stderr.contains("bad.toml` line") && ran.stderr.contains("hint: "), "{ran:?}");
}

#[test]
fn two_policies_are_compared_seed_by_seed() {
    let answer = json_of(&["twin", "diff", &scenario("trace"), "--policies", "dearest,cheapest", "--seeds", "2"]);
    assert_eq!((&answer["seeds"], &answer["mark"]), (&json!([1, 2]), &json!("modelled")));
    let cost = &answer["figures"]["cost_cny"];
    assert!(cost["after"].as_f64() < cost["before"].as_f64(), "{cost}");
    assert_eq!(cost["difference"]["pairs"], json!(2));
    assert!(answer["figures"]["cost_cny/tenant/research"].is_object(), "{answer}");
    assert_eq!(huisuan(&["twin", "diff", &scenario("trace")]).exit, 2);
}

/// The live network and the twin decide alike.
#[test]
fn the_plans_of_a_demo_are_made_again_byte_for_byte() {
    let home = Home::new();
    let data = home.path("data");
    let ran = home.run(&["demo", "--once", "--data", &data, "-o", "json"]);
    assert_eq!(ran.exit, 0, "{ran:?}");
    let same = json_of(&["twin", "replay", &data]);
    assert!(same["plans"].as_u64().is_some_and(|plans| plans > 3), "{same}");
    assert_eq!((&same["identical"], &same["without_basis"]), (&same["plans"], &json!(0)), "{same}");
    assert_eq!(same["before"], same["after"]);
    let other = json_of(&["twin", "replay", &data, "--policy", "cheapest"]);
    assert_eq!((&other["policy"], &other["plans"]), (&json!("cheapest"), &same["plans"]));
    let nothing = home.run(&["twin", "replay", &home.path("nothing")]);
    assert!(nothing.exit == 1 && nothing.stderr.contains("no data directory"), "{nothing:?}");
}
