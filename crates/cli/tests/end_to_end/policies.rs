//! Policies by name and from files: in scenarios, imports and the live network, and what cannot be used where.

use std::fs;

use serde_json::json;

use crate::{
    site::{ends_well, until},
    support::{huisuan, running::Home},
};

/// The second needs the whole machine; the third could go ahead of it.
const LOG: &str = "; MaxProcs: 4\n1 0 0 3600 3 -1 -1 3 3600 -1 1 1 1 -1 1 -1 -1 -1\n\
    2 60 3540 600 4 -1 -1 4 600 -1 1 2 1 -1 1 -1 -1 -1\n3 70 4130 300 1 -1 -1 1 300 -1 1 3 1 -1 1 -1 -1 -1\n";

#[test]
fn a_queue_policy_decides_a_scenario_of_one_pool_as_it_decides_a_log() {
    let home = Home::new();
    let (log, out) = (home.path("log.swf"), home.path("out"));
    fs::write(&log, LOG).expect("space on disk");
    assert_eq!(huisuan(&["twin", "import", "swf", &log, "--out", &out]).exit, 0);
    for (policy, mean_wait_s) in [("fifo", 2_556.667), ("easy", 1_180.0), ("saf-guard", 1_180.0)] {
        let log = huisuan(&["twin", "swf", &log, "--policy", policy, "-o", "json"]);
        let scenario = huisuan(&["twin", "run", &format!("{out}/scenario.toml"), "--policy", policy, "-o", "json"]);
        assert_eq!((log.exit, scenario.exit), (0, 0), "{log:?} {scenario:?}");
        let (log, scenario) = (log.json(), scenario.json());
        let wait_s = log["mean_wait_s"].as_f64().expect("a figure");
        assert!((wait_s - mean_wait_s).abs() < 0.01, "{policy}: {wait_s}");
        for figure in ["mean_wait_s", "max_wait_s", "mean_bounded_slowdown", "procs", "jobs", "policy"] {
            assert_eq!(log[figure], scenario[figure], "{policy}: {figure}");
        }
        for field in ["simulated_s", "placements", "utilisation", "decision_hash", "cpu_ms", "peak_rss_mb"] {
            assert!(!scenario[field].is_null(), "{field}: {scenario}");
        }
    }
    let ran = huisuan(&["twin", "import", "swf", &log, "--run", "--policy", "fifo", "-o", "json"]);
    assert_eq!(ran.exit, 0, "{ran:?}");
    let run = &ran.json()["run"];
    assert_eq!((&run["policy"], &run["all"]["modelled"]["max_s"]), (&json!("fifo"), &json!(4130.0)), "{run}");
}

#[test]
fn a_policy_that_does_not_apply_is_refused_with_its_reason() {
    let home = Home::new();
    let log = home.path("log.swf");
    fs::write(&log, LOG).expect("space on disk");
    fs::write(home.path("bad.toml"), "[policy.mine]\nweights = { prize = 1 }\n").expect("space on disk");
    let scenario = format!("{}/../../scenarios/trace.toml", env!("CARGO_MANIFEST_DIR"));
    let check = |arguments: &[&str], expected: &[&str]| {
        let ran = home.run(arguments);
        assert_eq!(ran.exit, 2, "{ran:?}");
        assert!(expected.iter().all(|text| ran.stderr.contains(text)), "{expected:?}: {ran:?}");
    };
    let two = ["there are 2 in 2 centres", "hint: take a policy for networks"];
    check(&["twin", "run", &scenario, "--policy", "easy"], &two);
    let nodes = ["`fgd` decides nodes and devices", "a network of centres", "balanced, soonest"];
    check(&["twin", "run", &scenario, "--policy", "fgd"], &nodes);
    check(&["twin", "swf", &log, "--policy", "fgd"], &["`fgd` decides nodes", "saf-guard"]);
    check(
        &["twin", "import", "swf", &log, "--run", "--policy", "best"],
        &["`best` is not known", "easy-sjbf", "dotprod"],
    );
    let serve = |policy: &str| -> [String; 7] {
        ["serve", "--data", &home.path("server"), "--listen", "127.0.0.1:0", "--policy", policy].map(str::to_owned)
    };
    for (policy, expected) in [
        ("easy", ["`easy` decides the queue of one pool", "balanced, soonest"]),
        (home.path("bad.toml").as_str(), ["bad.toml` line 2", "prize"]),
        (home.path("gone.toml").as_str(), ["gone.toml", "cannot be read"]),
    ] {
        check(&serve(policy).each_ref().map(String::as_str), &expected);
    }
}

/// The journal says the name of the policy; the file says the rest, to the server and to the replay.
#[test]
fn a_live_network_is_planned_by_the_policy_of_a_file() {
    let home = Home::new();
    let (policy, data) = (home.path("mine.toml"), home.path("server"));
    fs::write(&policy, "[policy.mine]\nlookahead_ms = 0\nweights = { fit = 900 }\n").expect("space on disk");
    let words = ["serve", "--data", &data, "--listen", "127.0.0.1:0", "--policy", &policy, "--centre", "lab:hpc"];
    let server = home.start(&words, &[]);
    let line = until("the line for the agent", || {
        server.stderr().lines().find(|line| line.contains("join it with")).map(str::to_owned)
    });
    assert!(server.stderr().contains("policy mine;"), "{}", server.stderr());
    let join = line.split('`').nth(1).expect("a command").split(' ').next_back().expect("a token").to_owned();
    let agent = home.spawn(&["agent", "--join", &join, "--memory", "1GiB", "--data", &home.path("centre")]);
    until("the agent's welcome", || agent.stderr().contains("has joined").then_some(()));
    let ran = home.run(&["run", "--cores", "0.1", "--wait", "--", "/bin/true"]);
    assert_eq!(ran.exit, 0, "{ran:?}");
    assert!(agent.stop().success());
    ends_well(server);
    let known = home.run(&["twin", "replay", &data, "--policy", &policy, "-o", "json"]);
    assert_eq!(known.exit, 0, "{known:?}");
    let known = known.json();
    assert!(known["plans"].as_u64().is_some_and(|plans| plans > 0), "{known}");
    assert_eq!((&known["identical"], &known["without_policy"]), (&known["plans"], &json!(0)), "{known}");
    let alone = home.run(&["twin", "replay", &data, "-o", "json"]).json();
    assert_eq!(alone["without_policy"], known["plans"], "{alone}");
}
