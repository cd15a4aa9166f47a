//! Maintenance through the doors.

use huisuan_api::{ErrorCode, Timestamp};
use huisuan_model::{Class, TimeMs};
use serde_json::{Value, json};

use crate::{
    network::{Network, small_job},
    plain::Request,
};

fn maintain(body: &Value) -> Request {
    Request::post("/v1/centres/hpc-1/windows").json(body.to_string())
}

#[test]
fn maintenance_is_declared_shown_and_taken_back() {
    let network = Network::paused();
    network.client().resume("hpc-1").expect("open");
    let in_the_past = Timestamp(TimeMs(0)).to_string();
    let answer = network.send(&maintain(&json!({"from": in_the_past, "until": "9999-01-01T00:00:00Z"})));
    assert_eq!(answer.status, 422, "{}", answer.text());
    let body =
        json!({"from": "2027-01-01T00:00:00Z", "until": "2027-01-02T00:00:00Z", "pool": "cpu:test", "note": "x"});
    let answer = network.send(&maintain(&body));
    assert_eq!(answer.status, 201, "{}", answer.text());
    let expected = json!([{"window": 1, "pool": "cpu:test", "from": "2027-01-01T00:00:00.000Z",
        "until": "2027-01-02T00:00:00.000Z", "note": "x"}]);
    assert_eq!(answer.value()["windows"], expected);
    let view = network.client().cancel_window("hpc-1", 1).expect("taken back");
    assert_eq!(view.windows, []);
    network.refused(&Request::post("/v1/centres/hpc-1/windows/1/cancel"), ErrorCode::NotFound);
}

#[test]
fn work_that_could_run_into_it_waits_and_says_so() {
    let network = Network::paused();
    let now = network.client().health().expect("health").now.0;
    let (from, until) = (Timestamp(TimeMs(now.0 + 30_000)), Timestamp(TimeMs(now.0 + 3_600_000)));
    network.send(&maintain(&json!({"from": from, "until": until})));
    let long = network.submit(&small_job());
    network.client().resume("hpc-1").expect("open");
    let mut short = small_job();
    short["walltime"] = json!("5s");
    let short = network.submit(&short);
    let mut agent = network.agent("hpc-1");
    agent.join(Class::Hpc, 32);
    assert_eq!(agent.starts(1).remove(0).attempt.job.0, short, "it ends before");
    let reason = network.client().explain(long).expect("an answer").reason.expect("it waits");
    assert_eq!((&*reason.code, &reason.details["until"]), ("centre-closed", &json!(until)));
    network.client().cancel_window("hpc-1", 1).expect("taken back");
    assert_eq!(agent.starts(1).remove(0).attempt.job.0, long);
}

#[test]
fn what_makes_no_sense_is_refused() {
    let network = Network::paused();
    let (from, until) = ("2027-01-01T00:00:00Z", "2027-01-02T00:00:00Z");
    for (body, code) in [
        (json!({"from": until, "until": from}), ErrorCode::InvalidSpec),
        (json!({"from": from, "until": until, "pool": "gpu"}), ErrorCode::NotFound),
        (json!({"from": from, "until": until, "pool": "a b"}), ErrorCode::InvalidSpec),
        (json!({"from": from, "until": until, "why": "x"}), ErrorCode::UnknownField),
        (json!({"from": "tomorrow", "until": until}), ErrorCode::BadRequest),
        (json!({"from": from}), ErrorCode::BadRequest),
    ] {
        network.refused(&maintain(&body), code);
    }
    let elsewhere =
        Request::post("/v1/centres/nowhere/windows").json(json!({"from": from, "until": until}).to_string());
    network.refused(&elsewhere, ErrorCode::NotFound);
    network.refused(&Request::post("/v1/centres/hpc-1/windows/x/cancel"), ErrorCode::NotFound);
}
