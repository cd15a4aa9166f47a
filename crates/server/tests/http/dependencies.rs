//! Jobs that wait for other jobs, through the doors.

use huisuan_api::{ErrorCode, jobs::JobView};
use serde_json::{Value, json};

use crate::{
    network::{Agent, Network, ended, small_job, started},
    plain::Request,
};

fn after(on: &Value) -> Value {
    let mut job = small_job();
    job["after"] = on.clone();
    job
}

fn job(network: &Network, id: u64) -> JobView {
    network.client().job(id).expect("a job")
}

/// Opens the centre, runs one job and ends it with this code.
fn run(network: &Network, agent: &mut Agent, exit_code: i32) -> u64 {
    let id = network.submit(&small_job());
    let start = agent.starts(1).remove(0);
    assert_eq!(start.attempt.job.0, id);
    agent.report(vec![started(start.attempt), ended(start.attempt, exit_code)]);
    id
}

#[test]
fn a_job_waits_says_so_and_is_released_or_ended() {
    let network = Network::paused();
    let first = network.submit(&small_job());
    let good = network.submit(&after(&json!([{"job": first}])));
    let bad = network.submit(&after(&json!([{"job": first, "when": "not-ok"}])));
    let reason = job(&network, good).summary.reason.expect("it waits");
    assert_eq!((&*reason.code, &*reason.message), ("dependency", "it waits for job 1 to succeed"));
    network.client().resume("hpc-1").expect("open");
    let mut agent = network.agent("hpc-1");
    agent.join(huisuan_model::Class::Hpc, 32);
    let start = agent.starts(1).remove(0);
    assert_eq!(start.attempt.job.0, first, "only the first can start");
    agent.report(vec![started(start.attempt), ended(start.attempt, 0)]);
    assert_eq!(agent.starts(1).remove(0).attempt.job.0, good);
    let bad = job(&network, bad);
    let why = bad.summary.end_reason.expect("a reason");
    assert_eq!((&*bad.summary.state, &*why.code), ("cancelled", "dependency-unmet"));
    assert_eq!(why.message, "it waited for job 1 to fail or be cancelled, which ended as succeeded");
}

#[test]
fn jobs_that_have_ended_are_known() {
    let network = Network::paused();
    network.client().resume("hpc-1").expect("open");
    let mut agent = network.agent("hpc-1");
    agent.join(huisuan_model::Class::Hpc, 32);
    let good = run(&network, &mut agent, 0);
    let bad = run(&network, &mut agent, 3);
    let next = network.submit(&after(&json!([{"job": good, "when": "ok"}, {"job": bad, "when": "not-ok"}])));
    assert_eq!(agent.starts(1).remove(0).attempt.job.0, next, "all held already");
    let refused = after(&json!([{"job": bad}]));
    let problem = network.refused(&Request::post("/v1/jobs").json(refused.to_string()), ErrorCode::Conflict);
    assert!(problem.detail.contains("job 2") && problem.detail.contains("failed"), "{problem}");
}

#[test]
fn what_is_not_known_or_not_written_well_is_refused() {
    let network = Network::paused();
    network.submit(&small_job());
    let refused = |on: Value, code, words: &str| {
        let problem = network.refused(&Request::post("/v1/jobs").json(after(&on).to_string()), code);
        assert!(problem.detail.contains(words), "{problem}");
    };
    refused(json!([{"job": 2}]), ErrorCode::InvalidSpec, "job 2, which is not known");
    refused(json!([{"job": 9_999_999_999_999_u64}]), ErrorCode::InvalidSpec, "not known");
    refused(json!([{"job": 1}, {"job": 1, "when": "any"}]), ErrorCode::InvalidSpec, "each job once");
    refused(json!([{"job": 0}]), ErrorCode::InvalidSpec, "after[0].job");
    refused(json!([{"job": 1, "when": "often"}]), ErrorCode::InvalidSpec, "after[0].when");
    refused(json!([{"job": 1, "if": "ok"}]), ErrorCode::UnknownField, "after[0].if");
    refused(json!([{"when": "ok"}]), ErrorCode::InvalidSpec, "after[0].job");
    refused(json!(1), ErrorCode::InvalidSpec, "a list");
}
