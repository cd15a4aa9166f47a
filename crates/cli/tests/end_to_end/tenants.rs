//! A second tenant on one network, from the first to the last command.

use serde_json::json;

use crate::{
    site::{Site, until},
    support::Ran,
};

/// Runs the binary with a tenant's token.
fn with_token(site: &Site, token: &str, arguments: &[&str]) -> Ran {
    let mut command = site.home.command();
    command.env("HUISUAN_TOKEN", token).args(["-o", "json"]).args(arguments);
    crate::support::ran(&mut command)
}

#[test]
fn a_second_tenant_works_beside_the_first() {
    let site = Site::open();
    let own = site.json(&["run", "--", "sleep", "30"])["job_id"].to_string();
    let added = site.json(&["tenant", "add", "lab", "--weight", "2", "--fund", "1000", "--project", "alpha:3"]);
    assert_eq!((&added["tenant"], &added["available"]["amount"]), (&json!("lab"), &json!(1_000_000_000)));
    let token = site.json(&["tenant", "token", "lab"])["token"].as_str().expect("a token").to_owned();
    let ran = with_token(&site, &token, &["run", "--project", "alpha", "--wait", "--", "true"]);
    assert_eq!((ran.exit, &ran.json()["state"]), (0, &json!("succeeded")), "{ran:?}");
    let id = ran.json()["job_id"].to_string();
    let shown = with_token(&site, &token, &["show", &id]).json();
    assert_eq!((&shown["tenant"], &shown["project"]), (&json!("lab"), &json!("alpha")));
    assert_eq!(with_token(&site, &token, &["ls"]).json()["jobs"].as_array().map(Vec::len), Some(1));
    for (arguments, exit) in [
        (&["show", &own] as &[&str], 5),
        (&["cancel", &own], 5),
        (&["centre", "pause", "general-1"], 4),
        (&["tenant", "ls"], 4),
        (&["ledger", "balance"], 4),
        (&["run", "--project", "beta", "--", "true"], 2),
    ] {
        let ran = with_token(&site, &token, arguments);
        assert_eq!(ran.exit, exit, "{arguments:?}: {ran:?}");
        assert!(ran.stderr.contains("hint:"), "{ran:?}");
    }
    assert_eq!(with_token(&site, "hst_0_lab", &["ls"]).exit, 4);
    let set = site.json(&["tenant", "set", "lab", "--quota-cores", "0", "--jobs-max", "1"]);
    assert_eq!((&set["quota_cores"], &set["weight"]), (&json!(0.0), &json!(2)));
    let waits = with_token(&site, &token, &["run", "--", "true"]).json()["job_id"].to_string();
    assert_eq!(with_token(&site, &token, &["run", "--", "true"]).exit, 7, "one job at a time");
    site.json(&["tenant", "set", "lab", "--quota-cores", "none"]);
    let waited = with_token(&site, &token, &["wait", &waits]);
    assert_eq!((waited.exit, &waited.json()["jobs"][0]["state"]), (0, &json!("succeeded")), "{waited:?}");
    let usage = with_token(&site, &token, &["usage"]).json();
    assert_eq!(usage["jobs"], json!(2));
    site.cli(&["cancel", &own]);
}

#[test]
fn maintenance_is_declared_listed_and_taken_back() {
    let site = Site::open();
    let centres = site.json(&["centre", "ls"]);
    let name = centres["centres"][0]["centre"].as_str().expect("a name").to_owned();
    let declared = site.json(&["centre", "maintain", &name, "--from", "+1h", "--until", "+3h", "--note", "power"]);
    assert_eq!((&declared["windows"][0]["window"], &declared["windows"][0]["note"]), (&json!(1), &json!("power")));
    assert_eq!(site.json(&["centre", "windows", &name])[0]["window"], json!(1));
    let plan = site.json(&["plan", "--centre", &name, "--walltime", "2h", "--", "true"]);
    let one = plan["candidates"].as_array().and_then(|all| all.iter().find(|one| one["centre"] == json!(name)));
    let one = one.expect("its candidate");
    assert_eq!(one["reason"]["code"], json!("centre-closed"), "{one}");
    assert!(one["start_p50_ms"].as_u64().is_some_and(|ms| ms > 10_000_000 && ms <= 10_800_000), "{one}");
    assert_eq!(site.json(&["centre", "cancel-window", &name, "1"])["windows"], json!([]));
}

#[test]
fn a_second_tenant_gets_what_it_is_due_from_what_may_be_preempted() {
    let site = Site::open();
    let cores: f64 = site.client().centre("hpc-1").expect("a centre").pools.iter().map(|pool| pool.cores).sum();
    let quarter = format!("{:.3}", (cores * 250.0).floor() / 1000.0);
    let each = ["--memory", "64MiB", "--cores", &quarter];
    let (script, release) = site.blocker("elastic.sh");
    let elastic = ["run", "--preemptible", "--tasks", "4"];
    let elastic = site.submit(&[&elastic[..], &each, &["--", "sh", &script]].concat());
    let state = |attempt: &huisuan_api::jobs::AttemptView, state: &str| attempt.state == state;
    let of = |id: u64, wanted: &str| site.job(id).attempts.iter().filter(|one| state(one, wanted)).count();
    until("a full centre", || (of(elastic, "running") == 4).then_some(()));
    site.json(&["tenant", "add", "lab", "--fund", "1000"]);
    let token = site.json(&["tenant", "token", "lab"])["token"].as_str().expect("a token").to_owned();
    let urgent = [&["run", "--wait", "--tasks", "2"][..], &each, &["--", "true"]].concat();
    let ran = with_token(&site, &token, &urgent);
    assert_eq!((ran.exit, &ran.json()["state"]), (0, &json!("succeeded")), "{ran:?}");
    until("what was preempted runs again", || (of(elastic, "running") == 4).then_some(()));
    std::fs::write(release, "").expect("a file");
    let ended = site.ended(elastic);
    assert_eq!((&*ended.summary.state, ended.summary.tasks.succeeded), ("succeeded", 4));
    let preempted: Vec<_> = ended.attempts.iter().filter(|one| one.cause.as_deref() == Some("preempted")).collect();
    // Half of it at most; rates are rounded up task by task, so that two tasks may be more than is due.
    assert!((1..=2).contains(&preempted.len()), "{:?}", ended.attempts);
    assert_eq!(ended.attempts.len(), 4 + preempted.len(), "each of them had one more");
    for attempt in preempted {
        assert!(state(attempt, "cancelled") && attempt.attempt.ends_with(".1"), "{attempt:?}");
        assert!(attempt.wall_ms > 0 && attempt.detail.is_some(), "what ran is metered: {attempt:?}");
    }
    assert!(site.cli(&["show", &elastic.to_string()]).stdout.contains("preempted"));
    site.json(&["doctor"]);
}
