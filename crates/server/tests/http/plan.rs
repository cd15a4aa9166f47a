//! Questions about jobs that are not submitted.

use huisuan_api::{ErrorCode, jobs::JobRequest, routes::SubmitQuery, spec::read_job_file};
use huisuan_model::Class;
use serde_json::{Value, json};

use crate::{
    network::{Network, small_job},
    plain::Request,
};

fn ask(network: &Network, job: &Value) -> Value {
    let before = network.journal().len();
    let answer = network.send(&Request::post("/v1/plan").json(job.to_string()));
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(network.journal().len(), before, "nothing is recorded");
    answer.value()
}

#[test]
fn a_plan_says_where_when_and_for_how_much() {
    let network = Network::paused();
    let waiting = ask(&network, &small_job());
    let only = &waiting["candidates"][0];
    assert_eq!((&only["feasible"], &only["start_p50_ms"]), (&json!(true), &Value::Null), "nobody can tell");
    assert_eq!(only["reason"]["code"], json!("centre-paused"));
    network.client().resume("hpc-1").expect("open");
    network.declare("ai-1", Class::Ai);
    network.agent("ai-1").join(Class::Ai, 2);
    let mut job = small_job();
    job["cores"] = json!(4);
    let plan = ask(&network, &job);
    assert_eq!((&plan["tasks"], &plan["tasks_now"]), (&json!(1), &json!(1)));
    let [good, bad] = [&plan["candidates"][0], &plan["candidates"][1]];
    assert_eq!(
        (&good["centre"], &good["start_p50_ms"], &good["start_p90_ms"]),
        (&json!("hpc-1"), &json!(0), &json!(0))
    );
    assert_eq!((&good["reason"], &good["energy_kwh"]), (&Value::Null, &Value::Null));
    // Four of 32 cores, each 30 GFLOP/s, for a minute: 7,200 GFLOP at 2,400 CNY for 3.6e9.
    assert_eq!(good["cost"], json!({"amount": 4_800, "currency": "CNY"}));
    assert_eq!((&bad["feasible"], &bad["reason"]["code"]), (&json!(false), &json!("never-fits")));
    assert_eq!(bad["reason"]["message"], json!("needs 4 cores, pool cpu:test has 2"));
    assert!(plan["notes"].as_array().is_some_and(|notes| notes.len() == 3));
    assert_eq!(network.client().jobs(&Default::default()).expect("a list").jobs.len(), 0);
}

#[test]
fn what_would_be_refused_is_refused() {
    let network = Network::paused();
    let post = |path: &str, body: &str| Request::post(path).json(body);
    for (request, code) in [
        (post("/v1/plan", "{"), ErrorCode::BadRequest),
        (post("/v1/plan", r#"{"command": ["x"], "x": 1}"#), ErrorCode::UnknownField),
        (post("/v1/plan", r#"{"command": ["x"], "cores": 0}"#), ErrorCode::InvalidSpec),
        (post("/v1/plan", r#"{"command": ["x"], "image": "x"}"#), ErrorCode::InvalidSpec),
        (post("/v1/plan?project=none", r#"{"command": ["x"]}"#), ErrorCode::InvalidSpec),
        (Request::post("/v1/plan").body("{}"), ErrorCode::BadRequest),
    ] {
        network.refused(&request, code);
    }
    let job = JobRequest(read_job_file("command: [/bin/true]").expect("a job"));
    assert_eq!(network.client().plan(&job, &SubmitQuery::default()).expect("a plan").candidates.len(), 1);
}
