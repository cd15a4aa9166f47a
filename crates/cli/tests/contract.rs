//! The JSON that other people's checks rely on, and what the commands make of the server's answers.

mod support;

use serde_json::{Value, json};
use support::{
    Ran, huisuan, ran,
    server::{Answer, Fake, json as answer, problem},
};

fn summary(id: u64, state: &str) -> Value {
    let ended = matches!(state, "succeeded" | "failed" | "cancelled");
    let mut job = json!({
        "job_id": id, "name": "hello", "tenant": "local", "project": "default", "state": state,
        "tasks": {"waiting": u8::from(state == "waiting"), "active": u8::from(state == "running"),
                  "succeeded": u8::from(state == "succeeded"), "failed": u8::from(state == "failed"),
                  "cancelled": u8::from(state == "cancelled"), "total": 1},
        "centres": ["hpc-1"], "submitted_at": "2026-03-01T08:30:00.000Z", "reason": null,
        "usage": {"hpc": {"gflop": 84, "p_h": 2.3e-8}}, "cost": {"amount": 1234, "currency": "CNY"}
    });
    if ended {
        job["started_at"] = "2026-03-01T08:30:01.000Z".into();
        job["ended_at"] = "2026-03-01T08:30:03.500Z".into();
    }
    if state == "waiting" {
        job["reason"] = json!({"code": "capacity", "since": "2026-03-01T08:30:00.000Z",
            "message": "needs 2 cores, 1 of 2 is free at hpc-1", "details": {"needed_cores": 2}});
    }
    job
}

fn view(id: u64, state: &str, exit_code: Option<i32>) -> Value {
    let mut job = summary(id, state);
    let ended = exit_code.is_some();
    job["actor"] = "user".into();
    job["spec"] = json!({"name": "hello"});
    job["spec_hash"] = "ab".repeat(32).into();
    job["cancel_requested"] = false.into();
    for (field, value) in [("energy_kwh", json!(0.002)), ("carbon_kg", Value::Null), ("energy_mark", json!("declared"))]
    {
        job[field] = value;
    }
    job["attempts_total"] = 1.into();
    job["attempts"] = json!([{
        "attempt": format!("{id}.0.1"), "task": 0, "centre": "hpc-1", "pool": "cpu:test", "state": state,
        "cause": "exited", "exit_code": exit_code, "cores": 1.0, "devices": 0.0,
        "placed_at": "2026-03-01T08:30:00.500Z",
        "started_at": ended.then_some("2026-03-01T08:30:01.000Z"), "ended_at": ended.then_some("2026-03-01T08:30:03.500Z"),
        "cpu_ms": 2400, "wall_ms": 2500, "memory_peak_bytes": 1_048_576, "gflop": 84, "class": "hpc",
        "rating_version": 1, "hold": {"amount": 0, "currency": "CNY"}, "cost": {"amount": 1234, "currency": "CNY"},
        "energy_kwh": null, "carbon_kg": null, "energy_mark": null,
        "score": [{"term": "start", "value": 60}], "mark": "measured"
    }]);
    job
}

fn centre(connected: bool) -> Value {
    json!({
        "centre": "hpc-1", "class": "hpc", "engine": "local", "zone": "Asia/Shanghai", "state": "active",
        "overlapping": true, "tariff": {"price_per_p_h": {"amount": 2_400_000_000_u64, "currency": "CNY"}},
        "connected": connected, "memory_mode": "watched", "windows": [], "active": 1,
        "pools": [{"pool": "cpu:test", "class": "hpc", "cores": 2.0, "cores_used": 0.5, "memory_bytes": 1_073_741_824,
            "memory_used_bytes": 0, "devices": 0.0, "devices_used": 0.0, "rating": {"sustained_gflop_per_s": 42,
            "nameplate_gflop_per_s": 140, "method": "gemm-gemmkit/2", "version": 1, "mark": "measured", "certified": true,
            "rated_at": "2026-03-01T08:00:00.000Z"}}]
    })
}

fn asked(answers: &[(&str, Answer)], arguments: &[&str]) -> (Ran, Fake) {
    let fake = Fake::start(answers);
    let ran = huisuan(&[&["--server", &fake.url], arguments].concat());
    (ran, fake)
}

#[test]
fn run_gives_number_and_state_and_sends_the_key() {
    let created = answer(201, &json!({"job_id": 12, "state": "waiting"}));
    let arguments = ["run", "-o", "json", "--idempotency-key", "k-1", "--cores", "0.5", "--", "echo", "a b"];
    let (ran, fake) = asked(&[("POST /v1/jobs", created.clone())], &arguments);
    assert_eq!((ran.exit, ran.json()), (0, json!({"job_id": 12, "state": "waiting"})));
    let request = &fake.seen()[0];
    assert_eq!(request.headers.get("idempotency-key").map(String::as_str), Some("k-1"));
    let body: Value = serde_json::from_str(&request.body).expect("JSON");
    assert_eq!((&body["command"], &body["cores"]), (&json!(["echo", "a b"]), &json!(0.5)));
    assert!(body["directory"].as_str().is_some_and(|path| path.starts_with('/')), "{body}");

    let (quiet, _) = asked(&[("POST /v1/jobs", created)], &["run", "-q", "--", "true"]);
    assert_eq!((quiet.exit, &*quiet.stdout, &*quiet.stderr), (0, "12\n", ""));
}

#[test]
fn a_relative_directory_is_that_of_the_job_file() {
    let folder = tempfile::tempdir().expect("a scratch folder");
    let file = folder.path().join("job.yaml");
    std::fs::write(&file, "command: [pwd]\ndirectory: ./sub").expect("a file");
    let created = answer(201, &json!({"job_id": 1, "state": "waiting"}));
    let (ran, fake) = asked(&[("POST /v1/jobs", created)], &["run", file.to_str().expect("a path")]);
    assert_eq!(ran.exit, 0, "{ran:?}");
    let body: Value = serde_json::from_str(&fake.seen()[0].body).expect("JSON");
    assert_eq!(body["directory"].as_str(), folder.path().join("sub").to_str());
}

#[test]
fn show_is_the_answer_of_the_api() {
    let job = view(12, "failed", Some(3));
    let answers = [
        ("GET /v1/jobs/12", answer(200, &job)),
        ("GET /v1/jobs?page_size=1", answer(200, &json!({"jobs": [summary(12, "failed")]}))),
    ];
    let (ran, _) = asked(&answers, &["show", "last", "-o", "json"]);
    assert_eq!(ran.json(), job);
    let (people, _) = asked(&answers, &["show", "12"]);
    for part in ["job 12 hello: failed", "exit 3", "hpc 84 GFLOP", "CNY 0.001234", "12.0.1"] {
        assert!(people.stdout.contains(part), "{part} in {}", people.stdout);
    }
    assert!(!people.stdout.contains('\u{1b}'), "no colours in a pipe: {}", people.stdout);
}

#[test]
fn explain_is_the_answer_of_the_api() {
    let explain = json!({"job_id": 12, "state": "waiting", "reason": summary(12, "waiting")["reason"],
        "rejected": [{"centre": "ai-1", "code": "class", "message": "is of class ai", "details": {}}], "helps": []});
    let answers = [("GET /v1/jobs/12/explain", answer(200, &explain))];
    assert_eq!(asked(&answers, &["explain", "12", "-o", "json"]).0.json(), explain);
    let people = asked(&answers, &["explain", "12"]).0.stdout;
    assert!(people.contains("needs 2 cores, 1 of 2 is free at hpc-1") && people.contains("is of class ai"), "{people}");
}

#[test]
fn lists_come_as_table_csv_json_and_lines() {
    let list = json!({"jobs": [summary(2, "waiting"), summary(1, "succeeded")]});
    let answers = [("GET /v1/jobs?page_size=100", answer(200, &list))];
    assert_eq!(asked(&answers, &["ls", "-o", "json"]).0.json(), list);
    let lines = asked(&answers, &["ls", "-o", "ndjson"]).0.stdout;
    assert_eq!(lines.lines().count(), 2, "{lines}");
    let csv = asked(&answers, &["ls", "-o", "csv"]).0.stdout;
    assert!(csv.starts_with("job_id,name,state,tasks,centres,time_ms,cost_millionths,reason,"), "{csv}");
    assert!(csv.contains("\n1,hello,succeeded,1,hpc-1,2500,1234,,1,0,local,"), "{csv}");
    let table = asked(&answers, &["ls"]).0.stdout;
    assert!(table.lines().all(|line| line.chars().count() <= 80 && line.trim_end() == line), "{table}");
    assert!(table.contains("capacity"), "the reason is in the list: {table}");
    let empty = [("GET /v1/jobs?page_size=100", answer(200, &json!({"jobs": []})))];
    let ran = asked(&empty, &["ls"]).0;
    assert_eq!((ran.exit, &*ran.stdout), (0, ""));
}

#[test]
fn wait_tells_success_failure_and_timeout_apart() {
    let jobs = |state: &str, code| [("GET /v1/jobs/3", answer(200, &view(3, state, code)))];
    assert_eq!(asked(&jobs("succeeded", Some(0)), &["wait", "3"]).0.exit, 0);
    let failed = asked(&jobs("failed", Some(3)), &["wait", "3", "-o", "json"]).0;
    assert_eq!((failed.exit, &failed.json()["jobs"][0]["state"]), (10, &json!("failed")));
    assert_eq!(
        failed.stderr,
        "error: job 3 failed: task 0 at hpc-1: exit 3\nhint: see what it wrote: huisuan logs 3.0 --stream stderr\n"
    );
    assert_eq!(asked(&jobs("cancelled", None), &["wait", "3"]).0.exit, 10);
    let late = asked(&jobs("running", None), &["wait", "3", "--timeout", "50ms", "-q"]).0;
    assert_eq!((late.exit, &*late.stdout), (8, ""));
    assert!(late.stderr.contains("error: 1 job not ended in time: 3\n"), "{late:?}");
}

#[test]
fn logs_are_bytes() {
    let text = "one\n\u{1b}[1mtwo\nno line end";
    let answers =
        [("GET /v1/jobs/3/logs?follow=false&offset=0&stream=stderr&task=1", (200, "text/plain", text.to_owned()))];
    let (ran, fake) = asked(&answers, &["logs", "3.1", "--stream", "stderr"]);
    assert_eq!((ran.exit, &*ran.stdout), (0, text), "{:?}", fake.seen());
}

#[test]
fn doctor_finds_what_is_wrong() {
    let health = json!({"ready": true, "version": env!("CARGO_PKG_VERSION"), "protocol": 1,
        "now": "2026-03-01T08:30:00.000Z", "started_at": "2026-03-01T08:00:00.000Z", "data_free_bytes": 1000});
    let answers = [
        ("GET /readyz", answer(200, &health)),
        ("GET /v1/jobs?page_size=1", problem(401, "unauthenticated", "the token is not known", "set HUISUAN_TOKEN")),
        ("GET /v1/centres", answer(200, &json!({"centres": [centre(false)]}))),
        ("GET /v1/ledger", answer(200, &json!({"balanced": true, "accounts": [], "postings": 4}))),
    ];
    let (ran, _) = asked(&answers, &["doctor", "-o", "json"]);
    assert_eq!(ran.exit, 1, "{ran:?}");
    let checks = ran.json()["checks"].as_array().cloned().expect("checks");
    let bad: Vec<&str> =
        checks.iter().filter(|check| check["ok"] == false).filter_map(|check| check["name"].as_str()).collect();
    assert_eq!(bad, ["clock", "data", "token", "hpc-1 agent"]);
    assert!(
        checks.iter().all(|check| check["ok"] == true || check["hint"].as_str().is_some_and(|hint| !hint.is_empty()))
    );
    let nobody = huisuan(&["doctor", "-o", "json", "--server", "http://127.0.0.1:1"]);
    assert_eq!((nobody.exit, &nobody.json()["checks"][0]["name"]), (1, &json!("server")));
}

#[test]
fn bench_counts_what_the_server_acknowledged() {
    let created = answer(201, &json!({"job_id": 1, "state": "waiting"}));
    let (ran, fake) =
        asked(&[("POST /v1/jobs", created)], &["bench", "submit", "--clients", "4", "--jobs", "50", "-o", "json"]);
    let report = ran.json();
    assert_eq!((ran.exit, &report["submitted"], &report["clients"]), (0, &json!(50), &json!(4)));
    assert!(report["per_s"].as_f64().is_some_and(|rate| rate > 0.0), "{report}");
    assert!(report["p99_ms"].as_f64() >= report["p50_ms"].as_f64(), "{report}");
    let keys: std::collections::BTreeSet<_> =
        fake.seen().iter().filter_map(|request| request.headers.get("idempotency-key").cloned()).collect();
    assert_eq!(keys.len(), 50);
    let refused = [("POST /v1/jobs", problem(429, "too-many", "10 tasks wait", "wait"))];
    let (ran, _) = asked(&refused, &["bench", "submit", "--clients", "2", "--jobs", "5"]);
    assert_eq!((ran.exit, &*ran.stderr), (7, "error: 10 tasks wait\nhint: wait\n"));
}

#[test]
fn centres_usage_and_books_for_people_and_machines() {
    let centres = json!({"centres": [centre(true)]});
    let usage = json!({"usage": {"ai": {"gflop": 1, "p_h": 2.8e-10}, "hpc": {"gflop": 84, "p_h": 2.3e-8}},
        "cost": {"amount": 1234, "currency": "CNY"}, "jobs": 2,
        "data": {"bytes_in": 7, "bytes_out": 0, "mark": "measured"},
        "energy_kwh": 1.5, "carbon_kg": 0.84, "energy_mark": "modelled", "since": "2026-03-01T08:00:00.000Z"});
    let ledger = json!({"balanced": false, "postings": 2,
        "accounts": [{"account": "tenant:local", "asset": "CNY", "balance": "-1234"}]});
    let answers = [
        ("GET /v1/centres", answer(200, &centres)),
        ("GET /v1/centres/hpc-1", answer(200, &centre(true))),
        ("POST /v1/centres/hpc-1/pause", answer(200, &centre(true))),
        ("GET /v1/usage", answer(200, &usage)),
        ("GET /v1/ledger", answer(200, &ledger)),
        ("POST /v1/jobs/3/cancel", answer(200, &json!({"job_id": 3, "state": "running", "cancel_requested": true}))),
    ];
    let get = |arguments: &[&str]| asked(&answers, arguments).0;
    assert_eq!(get(&["centre", "ls", "-o", "json"]).json(), centres);
    assert_eq!(get(&["centre", "show", "hpc-1", "-o", "json"]).json(), centre(true));
    assert_eq!(get(&["centre", "pause", "hpc-1", "-o", "json"]).json(), centre(true));
    assert!(get(&["centre", "ls"]).stderr.contains("do not add them up"));
    assert!(get(&["centre", "show", "hpc-1"]).stdout.contains("42 GFLOP/s measured"));
    assert_eq!(get(&["usage", "-o", "json"]).json(), usage);
    let people = get(&["usage"]).stdout;
    assert!(people.contains("84 GFLOP") && people.contains("1.5 kWh (modelled), 840 g CO2"), "{people}");
    let books = get(&["ledger", "balance", "-o", "json"]);
    assert_eq!((books.exit, books.json()), (1, ledger), "an imbalance is never silent");
    assert_eq!(get(&["cancel", "3", "-o", "json"]).json()[0]["cancel_requested"], true);
}

#[test]
fn contracts_between_tenants_and_centres() {
    let contract = |price: Value, discount: Value| {
        json!({"contract": 2, "tenant": "lab", "centre": "hpc-1", "pool": null, "class": "hpc",
            "from": "2026-12-01T00:00:00.000Z", "until": null, "price_per_p_h": price, "discount_permille": discount,
            "note": "K-7", "state": "coming"})
    };
    let (fixed, less) =
        (contract(json!({"amount": 1_800_000_000, "currency": "CNY"}), json!(null)), contract(json!(null), json!(125)));
    let list = json!({"contracts": [fixed, less]});
    let answers = [
        ("GET /v1/contracts", answer(200, &list)),
        ("POST /v1/contracts", answer(201, &fixed)),
        ("POST /v1/contracts/2/end", answer(200, &less)),
    ];
    assert_eq!(asked(&answers, &["contract", "ls", "-o", "json"]).0.json(), list);
    let people = asked(&answers, &["contract", "ls"]).0.stdout;
    assert!(people.contains("CNY 1,800.00") && people.contains("-12.5%"), "{people}");
    let add = ["contract", "add", "lab", "hpc-1", "--class", "hpc", "--note", "K-7", "-o", "json"];
    for (terms, field, value) in
        [(["--price", "1800"], "price_per_p_h", 1_800_000_000_i64), (["--discount", "12.5%"], "discount_permille", 125)]
    {
        let (ran, fake) = asked(&answers, &[&add[..], &terms].concat());
        assert_eq!(ran.json(), fixed);
        let sent: Value = serde_json::from_str(&fake.seen()[0].body).expect("JSON");
        let expected = json!({"tenant": "lab", "centre": "hpc-1", "class": "hpc", "note": "K-7", field: value});
        assert_eq!(sent, expected);
    }
    assert_eq!(asked(&answers, &["contract", "end", "2", "-o", "json"]).0.json(), less);
    assert_eq!(huisuan(&add).exit, 2, "neither a price nor a discount");
    assert_eq!(huisuan(&[&add[..], &["--price", "1", "--discount", "1%"]].concat()).exit, 2, "both");
}

#[test]
fn books_for_outsiders() {
    let head = "0".repeat(64);
    let audit = |ok: bool| {
        let findings = if ok { json!([]) } else { json!(["transfer 3 was altered"]) };
        let rule = json!({"name": "append-only", "ok": ok, "findings": findings});
        let (entries, transfers, meters) = (9, 4, 2);
        json!({"ok": ok, "entries": entries, "hashed_after": 0, "journal": head, "transfers": transfers, "head": head,
               "meters": meters, "checks": [rule]})
    };
    let days = json!({"days": [{"day": "2026-02-28", "transfers": 4, "head": head},
        {"day": "2026-03-01", "transfers": 4, "head": head, "entries": 9, "journal": head}]});
    let csv = (200, "text/csv", "number,seq\n1,2\n".to_owned());
    for ok in [true, false] {
        let answers = [
            ("GET /v1/ledger/audit", answer(200, &audit(ok))),
            ("GET /v1/ledger/days", answer(200, &days)),
            ("GET /v1/ledger/export?format=csv&from=2026-03-01T00%3A00%3A00.000Z", csv.clone()),
        ];
        let get = |arguments: &[&str]| asked(&answers, arguments).0;
        let ran = get(&["ledger", "audit", "-o", "json"]);
        assert_eq!((ran.exit, ran.json()), (i32::from(!ok), audit(ok)));
        assert!(get(&["ledger", "audit"]).stdout.contains(if ok { "yes" } else { "transfer 3 was altered" }));
        assert_eq!(get(&["ledger", "days", "-o", "json"]).json(), days);
        let ran = get(&["ledger", "export", "--format", "csv", "--from", "2026-03-01"]);
        assert_eq!((ran.exit, &*ran.stdout), (0, "number,seq\n1,2\n"), "{ran:?}");
    }
    assert_eq!(huisuan(&["ledger", "export", "--format", "xml"]).exit, 2);
    assert_eq!(huisuan(&["ledger", "export", "--format", "csv", "--from", "soon"]).exit, 2);
    let nothing = huisuan(&["ledger", "audit", "--data", "/nonexistent/folder"]);
    assert!(nothing.exit == 1 && nothing.stderr.contains("is no data directory"), "{nothing:?}");
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let fake = Fake::start(&[("GET /v1/x", (200, "text/plain", "line\n".repeat(100_000)))]);
    let shell = format!("{} api GET /v1/x --server {} | head -n 1", env!("CARGO_BIN_EXE_huisuan"), fake.url);
    let out = ran(std::process::Command::new("/bin/sh").arg("-c").arg(shell));
    assert_eq!((out.exit, &*out.stdout, &*out.stderr), (0, "line\n", ""));
}
