//! What the server says of itself, and the plain success of every route, against the document.

use huisuan_model::Class;
use serde_json::{Value, json};

use crate::{
    network::{Network, ended, small_job, started},
    plain::Request,
    text,
};

/// A network in which something of everything has happened.
fn busy() -> Network {
    let network = Network::paused();
    let mut array = small_job();
    array["tasks"] = json!(3);
    network.submit(&array);
    let mut agent = network.agent("hpc-1");
    agent.join(Class::Hpc, 32);
    network.client().resume("hpc-1").expect("resumed");
    let ids: Vec<_> = agent.starts(3).into_iter().map(|start| start.attempt).collect();
    agent.report(vec![started(ids[0]), started(ids[1]), ended(ids[1], 0)]);
    let mut waits = small_job();
    waits["cores"] = json!(32);
    network.submit(&waits);
    network.submit(&waits);
    network.client().cancel(3).expect("cancelled");
    network
}

#[test]
fn every_route_answers_as_the_document_says() {
    let network = busy();
    for target in [
        "/healthz",
        "/readyz",
        "/metrics",
        "/v1/openapi.json",
        "/v1/jobs",
        "/v1/jobs?state=waiting&page_size=1",
        "/v1/jobs/1",
        "/v1/jobs/2",
        "/v1/jobs/1/attempts?page_size=2",
        "/v1/jobs/2/explain",
        "/v1/jobs/3/explain",
        "/v1/centres",
        "/v1/centres/hpc-1",
        "/v1/usage",
        "/v1/ledger",
    ] {
        assert_eq!(network.send(&Request::get(target)).status, 200, "{target}");
    }
    for target in ["/v1/jobs/3/cancel", "/v1/jobs/2/cancel", "/v1/centres/hpc-1/pause", "/v1/centres/hpc-1/resume"] {
        assert_eq!(network.send(&Request::post(target)).status, 200, "{target}");
    }
    let ledger = network.send(&Request::get("/v1/ledger")).value();
    assert_eq!(ledger["balanced"], json!(true));
}

#[test]
fn a_waiting_job_says_why_with_numbers() {
    let network = Network::paused();
    network.submit(&small_job());
    // The planner looks soon after the commit; until then the reason says so itself.
    let explain = loop {
        let explain = network.send(&Request::get("/v1/jobs/1/explain")).value();
        if explain["reason"]["code"] != "not-planned" {
            break explain;
        }
        std::thread::yield_now();
    };
    assert_eq!((&explain["reason"]["code"], &explain["state"]), (&json!("centre-paused"), &json!("waiting")));
    assert_eq!(explain["reason"]["details"], json!({"centre": "hpc-1"}));
    assert_eq!((&explain["rejected"][0]["centre"], &explain["helps"]), (&json!("hpc-1"), &json!([])));
    let listed = network.send(&Request::get("/v1/jobs?state=waiting")).value();
    assert_eq!(listed["jobs"][0]["reason"]["code"], json!("centre-paused"));
}

#[test]
fn a_job_of_no_centre_waits_for_one() {
    let network = Network::empty();
    network.submit(&small_job());
    let codes: [Value; 2] = [json!("no-centre"), json!("not-planned")];
    assert!(codes.contains(&network.send(&Request::get("/v1/jobs/1/explain")).value()["reason"]["code"]));
}

#[test]
fn figures_are_openmetrics_text() {
    let network = busy();
    network.send(&Request::get("/v1/jobs/99"));
    let answer = network.send(&Request::get("/metrics"));
    let figures = text::parse(&answer.text()).expect("OpenMetrics text");
    let value =
        |name: &str| figures.iter().filter(|(known, _)| known.starts_with(name)).map(|(_, value)| value).sum::<f64>();
    assert_eq!(value("huisuan_jobs_ended_total{state=\"cancelled\"}"), 1.0);
    assert_eq!(value("huisuan_tasks_placed_total"), 3.0, "every placed task is counted once");
    assert_eq!((value("huisuan_jobs_live"), value("huisuan_attempts_live")), (2.0, 2.0));
    assert!(value("huisuan_http_requests_total{status=\"404\"}") >= 1.0);
    assert!(value("huisuan_commits_total") >= 1.0 && value("huisuan_commit_entries_count") >= 1.0);
    assert!(value("huisuan_cycle_seconds_count") >= 1.0, "{figures:?}");
    assert_eq!(value("huisuan_build_info"), 1.0);
}
