//! A site joins a running server by the word that `centre add` printed, and keeps its own rules.

use std::fs;

use crate::{
    site::{ends_well, until},
    support::running::{Home, Running},
};

/// A server that knows no centre, and a home for one.
fn open() -> (Home, Running) {
    let home = Home::new();
    let server = home.start(&["serve", "--data", &home.path("server"), "--listen", "127.0.0.1:0"], &[]);
    (home, server)
}

/// Adds `hpc-1` and gives its join token.
fn added(home: &Home) -> String {
    let ran = home.run(&["centre", "add", "hpc-1", "--class", "hpc", "--price", "12", "-o", "json"]);
    assert_eq!(ran.exit, 0, "{ran:?}");
    let answer = ran.json();
    let join = answer["join"].as_str().expect("a join token").to_owned();
    assert_eq!(answer["command"], format!("huisuan agent --join {join}"));
    join
}

/// Starts the agent with what was printed and nothing else but its share of this machine.
fn joined(home: &Home, join: &str, more: &[&str]) -> Running {
    let folder = home.path("site");
    fs::write(home.path("join"), join).expect("a file");
    let file = format!("@{}", home.path("join"));
    let agent = home.spawn(&[&["agent", "--join", &file, "--memory", "1GiB", "--data", &folder], more].concat());
    until("the agent's welcome", || agent.stderr().contains("has joined").then_some(()));
    agent
}

#[test]
fn a_site_joins_by_one_word_and_keeps_its_rules() {
    let (home, server) = open();
    let join = added(&home);
    let policy = home.path("policy.toml");
    fs::write(&policy, "tenants = ['local']\nlargest = { memory = '512MiB' }\nattempts_max = 1\n").expect("a file");
    let check = home.run(&["agent", "--join", &join, "--check", "--policy", &policy, "-o", "json"]);
    assert_eq!(check.exit, 0, "{check:?}");
    let levels = check.json();
    let levels = levels["checks"].as_array().expect("checks").iter().map(|check| check["name"].as_str());
    for name in ["policy", "folder", "disk", "server", "protocol", "clock", "token", "engine"] {
        assert!(levels.clone().any(|found| found == Some(name)), "{name}: {check:?}");
    }
    let agent = joined(&home, &join, &["--policy", &policy]);

    let small = home.run(&["run", "--wait", "--tasks", "3", "--memory", "64MiB", "--", "true"]);
    assert_eq!(small.exit, 0, "one after the other: {small:?}");
    let large = home.run(&["run", "--wait", "--memory", "600MiB", "--", "true"]);
    assert_eq!(large.exit, 10, "{large:?}");
    let job = home.run(&["show", "last", "-o", "json"]).json();
    let attempts = job["attempts"].as_array().expect("attempts");
    assert_eq!((attempts.len(), &attempts[0]["cause"]), (1, &"refused".into()), "no storm of attempts: {job}");
    let rule = job["refused_by"]["hpc-1"].as_str().expect("a rule");
    assert!(rule.contains("`largest.memory`"), "{rule}");

    let drained = home.run(&["centre", "drain", "hpc-1", "--timeout", "1m", "-o", "json"]).json();
    assert_eq!((&drained["state"], &drained["active"]), (&"paused".into(), &0.into()));
    assert_eq!(home.run(&["centre", "resume", "hpc-1"]).exit, 0);
    assert_eq!(home.run(&["doctor"]).exit, 0);
    let alarms = home.run(&["centre", "alarms", "-o", "json"]).json();
    assert_eq!(alarms["alarms"], serde_json::json!([]));
    assert!(agent.stop().success());
    ends_well(server);
}

#[test]
fn a_rotated_token_is_void_and_the_check_says_so() {
    let (home, server) = open();
    let old = added(&home);
    assert_eq!(home.run(&["centre", "add", "hpc-1", "--class", "hpc"]).exit, 6, "the name is taken");
    assert_eq!(home.run(&["centre", "token", "hpc-1"]).exit, 2, "nothing is made void unasked");
    let rotated = home.run(&["centre", "token", "hpc-1", "--rotate", "-o", "json"]).json();
    let new = rotated["join"].as_str().expect("a join token");
    let share = ["--memory", "1GiB", "--data", &home.path("site")];
    let check = home.run(&[&["agent", "--check", "--join", &old], &share[..]].concat());
    assert!(check.exit == 1 && check.stdout.contains("--rotate"), "{check:?}");
    let refused = home.run(&[&["agent", "--join", &old], &share[..]].concat());
    assert_eq!(refused.exit, 4, "{refused:?}");
    assert!(joined(&home, new, &[]).stop().success());
    ends_well(server);
    // What the operator gave outlives the server.
    let server = home.start(&["serve", "--data", &home.path("server"), "--listen", "127.0.0.1:0"], &[]);
    let client = server.client();
    assert_eq!(client.centre("hpc-1").expect("a centre").tariff.price_per_p_h.amount, 12_000_000);
    ends_well(server);
}

#[test]
fn what_an_agent_is_told_wrong_it_says_at_once() {
    let home = Home::new();
    let join = format!("hsj_{}_{}", "00".repeat(3), "0".repeat(64));
    fs::write(home.path("policy.toml"), "tenant = ['x']\n").expect("a file");
    let place = "687474703a2f2f3132372e302e302e313a31206120687063";
    let good = format!("hsj_{place}_{}", "0".repeat(64));
    for (arguments, said) in [
        (vec!["agent", "--join", &join], "no whole join token"),
        (vec!["agent", "--join", "@/nowhere"], "cannot be read"),
        (vec!["agent"], "--join"),
        (vec!["agent", "--join", &good, "--policy", &home.path("policy.toml")], "unknown field `tenant`"),
        (vec!["agent", "--join", &good, "--engine", "slurm"], "--engine-config"),
        (vec!["agent", "--join", &good, "--engine-config", "x.toml"], "cannot be read"),
    ] {
        let ran = home.run(&arguments);
        assert!(ran.exit == 2 && ran.stderr.contains(said), "{arguments:?}: {ran:?}");
    }
}
