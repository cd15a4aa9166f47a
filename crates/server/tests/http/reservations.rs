//! Reservations in advance through the doors.

use huisuan_api::{ErrorCode, Timestamp};
use huisuan_model::{Class, TimeMs};
use serde_json::{Value, json};

use crate::{
    network::{Network, small_job},
    plain::Request,
};

fn reserve(body: &Value) -> Request {
    Request::post("/v1/reservations").json(body.to_string())
}

/// A network with a centre of eight cores, and the moments of now and an hour later.
fn open() -> (Network, crate::network::Agent, Timestamp, Timestamp) {
    let network = Network::paused();
    network.client().resume("hpc-1").expect("open");
    let mut agent = network.agent("hpc-1");
    agent.join(Class::Hpc, 8);
    let now = network.client().health().expect("health").now.0;
    (network, agent, Timestamp(now), Timestamp(TimeMs(now.0 + 3_600_000)))
}

#[test]
fn what_is_reserved_is_for_those_who_name_it() {
    let (network, mut agent, from, until) = open();
    let answer =
        network.send(&reserve(&json!({"cores": 7, "class": "hpc", "from": from, "until": until, "note": "x"})));
    assert_eq!(answer.status, 201, "{}", answer.text());
    let made = answer.value();
    assert_eq!((&made["reservation"], &made["tenant"], &made["centre"]), (&json!(1), &json!("local"), &json!("hpc-1")));
    assert_eq!((&made["cores"], &made["state"]), (&json!(7.0), &json!("active")));
    let mut job = small_job();
    (job["cores"], job["walltime"]) = (json!(4), json!("60s"));
    let other = network.submit(&job);
    job["reservation"] = json!(1);
    let own = network.submit(&job);
    assert_eq!(agent.starts(1).remove(0).attempt.job.0, own);
    let reason = network.client().explain(other).expect("an answer").reason.expect("it waits");
    assert_eq!((&*reason.code, &reason.details["reservation"]), ("kept", &json!(1)));
    let listed = network.client().reservations().expect("a list").reservations;
    assert_eq!((listed.len(), listed[0].cores_held), (1, 4.0));
    network.client().cancel_reservation(1).expect("taken back");
    assert_eq!(agent.starts(1).remove(0).attempt.job.0, other, "its room is free at once");
    network.refused(&Request::post("/v1/reservations/1/cancel"), ErrorCode::NotFound);
    network.refused(&Request::post("/v1/jobs").json(job.to_string()), ErrorCode::InvalidSpec);
}

#[test]
fn a_tenant_reserves_for_itself_when_it_has_the_right() {
    let (network, _agent, from, until) = open();
    let client = network.client();
    let add = json!({"tenant": "lab", "settings": {"quota_cores": 4}});
    assert_eq!(network.send(&Request::post("/v1/tenants").json(add.to_string())).status, 201);
    let token = client.tenant_token("lab").expect("a token").token;
    let asked = |cores: u32| reserve(&json!({"cores": cores, "from": from, "until": until})).bearer(&token);
    network.refused(&asked(2), ErrorCode::Forbidden);
    let right = Request::post("/v1/tenants/lab").json(json!({"may_reserve": true}).to_string());
    assert_eq!(network.send(&right).value()["may_reserve"], json!(true));
    network.refused(&asked(5), ErrorCode::Conflict);
    assert_eq!(network.send(&asked(2)).value()["tenant"], json!("lab"));
    let others = json!({"cores": 1, "from": from, "until": until, "tenant": "local"});
    network.refused(&reserve(&others).bearer(&token), ErrorCode::InvalidSpec);
    // An operator's is neither seen nor taken back, and not to be used.
    assert_eq!(network.send(&reserve(&others)).status, 201);
    let seen = network.send(&Request::get("/v1/reservations").bearer(&token)).value();
    assert_eq!(seen["reservations"].as_array().map(Vec::len), Some(1), "{seen}");
    network.refused(&Request::post("/v1/reservations/2/cancel").bearer(&token), ErrorCode::NotFound);
    let mut job = small_job();
    job["reservation"] = json!(2);
    network.refused(&Request::post("/v1/jobs").json(job.to_string()).bearer(&token), ErrorCode::InvalidSpec);
    assert_eq!(network.send(&Request::post("/v1/reservations/1/cancel").bearer(&token)).status, 200);
    assert_eq!(client.reservations().expect("a list").reservations.len(), 1);
}

#[test]
fn what_makes_no_sense_is_refused() {
    let (network, _agent, from, until) = open();
    for (body, code) in [
        (json!({"cores": 1, "from": until, "until": from}), ErrorCode::InvalidSpec),
        (json!({"from": from, "until": until}), ErrorCode::InvalidSpec),
        (json!({"cores": "many", "from": from, "until": until}), ErrorCode::InvalidSpec),
        (json!({"cores": 99, "from": from, "until": until}), ErrorCode::Conflict),
        (json!({"cores": 1, "centre": "nowhere", "from": from, "until": until}), ErrorCode::NotFound),
        (json!({"cores": 1, "tenant": "nobody", "from": from, "until": until}), ErrorCode::NotFound),
        (json!({"nodes": 1, "from": from, "until": until}), ErrorCode::UnknownField),
        (json!({"cores": 1, "from": from}), ErrorCode::BadRequest),
    ] {
        network.refused(&reserve(&body), code);
    }
    network.refused(&Request::post("/v1/reservations/x/cancel"), ErrorCode::NotFound);
    assert_eq!(network.send(&reserve(&json!({"cores": 2, "from": from, "until": until}))).status, 201);
    let mut job = small_job();
    (job["cores"], job["reservation"]) = (json!(4), json!(1));
    network.refused(&Request::post("/v1/jobs").json(job.to_string()), ErrorCode::NeverFits);
    network.refused(&Request::post("/v1/plan").json(job.to_string()), ErrorCode::NeverFits);
}
