//! Lists and single jobs for people and machines.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::site::Site;

#[test]
fn jobs_are_listed_in_every_format() {
    let site = Site::open();
    for word in ["one", "two", "three"] {
        site.submit(&["run", "--wait", "--name", word, "--", "echo", word]);
    }
    let bad = site.submit(&["run", "--name", "bad", "--", "false"]);
    site.ended(bad);
    let list = site.json(&["ls"]);
    let names: Vec<_> = list["jobs"].as_array().expect("jobs").iter().map(|job| job["name"].clone()).collect();
    assert_eq!(names, [json!("bad"), json!("three"), json!("two"), json!("one")], "newest first");
    let failed = site.json(&["ls", "--state", "failed"]);
    assert_eq!((failed["jobs"].as_array().map(Vec::len), &failed["jobs"][0]["job_id"]), (Some(1), &json!(bad)));
    assert_eq!(site.json(&["ls", "--limit", "2"])["jobs"].as_array().map(Vec::len), Some(2));

    let lines = site.cli(&["ls", "-o", "ndjson"]).stdout;
    let lines: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert_eq!(json!(lines), list["jobs"]);

    let csv = site.cli(&["ls", "-o", "csv"]).stdout;
    let mut rows = csv.lines().map(|line| line.split(',').collect::<Vec<_>>());
    let header = rows.next().expect("a header");
    let column =
        |name: &str| header.iter().position(|known| *known == name).unwrap_or_else(|| panic!("{name}: {header:?}"));
    let rows: Vec<_> = rows.collect();
    assert!(rows.len() == 4 && rows.iter().all(|row| row.len() == header.len()), "{csv}");
    let states: Vec<_> = rows.iter().map(|row| row[column("state")]).collect();
    assert_eq!(states, ["failed", "succeeded", "succeeded", "succeeded"]);
    assert!(rows.iter().all(|row| row[column("cost_millionths")].parse::<i64>().is_ok_and(|cost| cost >= 0)));

    let table = site.cli(&["ls"]).stdout;
    assert!(table.lines().count() >= 5 && !table.contains('\u{1b}'), "{table}");
    assert!(table.lines().all(|line| line.chars().count() <= 100), "{table}");
}

#[test]
fn a_job_shows_all_that_happened_to_it() {
    let site = Site::open();
    let id = site.submit(&["run", "--wait", "--tasks", "12", "--cores", "0.5", "--", "/bin/sh", "-c", "exit 0"]);
    let job = site.json(&["show", &id.to_string()]);
    for field in
        ["job_id", "state", "reason", "attempts", "spec", "spec_hash", "usage", "cost", "submitted_at", "ended_at"]
    {
        assert!(job.get(field).is_some(), "no {field}: {job}");
    }
    assert_eq!((&job["job_id"], &job["state"], &job["reason"]), (&json!(id), &json!("succeeded"), &json!(null)));
    let attempts = job["attempts"].as_array().expect("attempts");
    assert_eq!((attempts.len(), &job["attempts_total"]), (12, &json!(12)));
    for attempt in attempts {
        assert_eq!(
            (&attempt["centre"], &attempt["state"], &attempt["exit_code"]),
            (&json!("hpc-1"), &json!("succeeded"), &json!(0))
        );
        let (start, end) =
            (attempt["started_at"].as_str().expect("a start"), attempt["ended_at"].as_str().expect("an end"));
        assert!(start <= end && start >= job["submitted_at"].as_str().expect("a moment"), "{attempt}");
        assert_eq!(
            (&attempt["class"], &attempt["rating_version"], &attempt["mark"]),
            (&json!("hpc"), &json!(1), &json!("measured"))
        );
    }
    let tasks: BTreeSet<_> = attempts.iter().filter_map(|attempt| attempt["task"].as_u64()).collect();
    assert_eq!(tasks, (0..12).collect());
    assert_eq!(site.json(&["show", "last"]), job);
    let one = site.json(&["show", &format!("{id}.7")]);
    assert_eq!((one["attempts"].as_array().map(Vec::len), &one["attempts"][0]["task"]), (Some(1), &json!(7)));
    assert_eq!(site.cli(&["show", &format!("{id}.12")]).exit, 5);
    let text = site.cli(&["show", &id.to_string()]).stdout;
    assert!(text.contains("succeeded") && text.contains("hpc-1"), "{text}");

    // Every figure of the books comes from these attempts.
    let sum = |name: &str| attempts.iter().filter_map(|attempt| attempt[name]["amount"].as_i64()).sum::<i64>();
    assert_eq!(job["cost"]["amount"].as_i64(), Some(sum("cost")));
    let work: u64 = attempts.iter().filter_map(|attempt| attempt["gflop"].as_u64()).sum();
    assert_eq!(job["usage"]["hpc"]["gflop"].as_u64().unwrap_or(0), work);
    let books = site.json(&["ledger", "balance"]);
    let balance = |account: &str, asset: &str| {
        let accounts = books["accounts"].as_array().expect("accounts");
        let row = accounts.iter().find(|row| row["account"] == account && row["asset"] == asset);
        row.and_then(|row| row["balance"].as_str()?.parse::<i128>().ok()).unwrap_or(0)
    };
    assert_eq!(balance("centre:hpc-1", "CNY"), i128::from(sum("cost")));
    assert_eq!(balance("held:local", "CNY"), 0, "no hold is left");
    assert_eq!(balance("used:local", "work:hpc"), i128::from(work));
    assert_eq!(site.json(&["usage"])["cost"]["amount"].as_i64(), Some(sum("cost")));
}
