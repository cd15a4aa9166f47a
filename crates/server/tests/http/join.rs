//! Centres that operators add, and the tokens by which their agents come in.

use huisuan_api::{AgentClient, ErrorCode, agent::Hello, centres::NewCentreRequest};
use huisuan_model::{Class, EngineKind};
use serde_json::{Value, json};

use crate::{
    network::{Network, centre_id, hello, problem},
    plain::Request,
};

fn add(body: &Value) -> Request {
    Request::post("/v1/centres").json(body.to_string())
}

fn agent(network: &Network, centre: &str, token: &str) -> AgentClient {
    AgentClient::new(&network.server.url(), Some(token), centre_id(centre)).expect("a client")
}

#[test]
fn a_centre_is_added_and_joined_by_its_token_alone() {
    let network = Network::empty();
    let asked = json!({"centre": "hpc-7", "class": "hpc", "zone": "Asia/Shanghai", "price_per_p_h": 5_000_000});
    let answer = network.send(&add(&asked));
    assert_eq!(answer.status, 201, "{}", answer.text());
    assert_eq!(answer.value()["tariff"]["price_per_p_h"]["amount"], json!(5_000_000));
    let derived = network.server.agent_token(&centre_id("hpc-7"));
    let token = network.client().centre_token("hpc-7").expect("a token").token;
    assert!(agent(&network, "hpc-7", &derived).hello(&hello(Class::Hpc, 2)).is_err(), "its own token alone is good");
    agent(&network, "hpc-7", &token).hello(&hello(Class::Hpc, 2)).expect("welcome");
    let next = network.client().centre_token("hpc-7").expect("a token").token;
    assert!(agent(&network, "hpc-7", &token).hello(&hello(Class::Hpc, 2)).is_err(), "the one before is void");
    agent(&network, "hpc-7", &next).hello(&hello(Class::Hpc, 2)).expect("welcome");
    network.declare("hpc-8", Class::Hpc);
    assert!(agent(&network, "hpc-8", &next).hello(&hello(Class::Hpc, 2)).is_err(), "it is of one centre");
    let journal = serde_json::to_string(&network.journal()).expect("JSON");
    for secret in [&token, &next] {
        assert!(!journal.contains(&secret[4..]) && journal.contains("set-centre-token"), "hashes alone are stored");
    }
}

#[test]
fn what_is_no_centre_is_refused() {
    let network = Network::paused();
    for (request, code) in [
        (add(&json!({"centre": "hpc-1", "class": "hpc"})), ErrorCode::Conflict),
        (add(&json!({"centre": "a b", "class": "hpc"})), ErrorCode::InvalidSpec),
        (add(&json!({"centre": "x", "class": "fast"})), ErrorCode::InvalidSpec),
        (add(&json!({"centre": "x", "class": "hpc", "engine": "simulated"})), ErrorCode::InvalidSpec),
        (add(&json!({"centre": "x", "class": "hpc", "zone": "a b"})), ErrorCode::InvalidSpec),
        (add(&json!({"centre": "x", "class": "hpc", "price_per_p_h": -1})), ErrorCode::BadRequest),
        (add(&json!({"centre": "x", "klass": "hpc"})), ErrorCode::UnknownField),
        (Request::post("/v1/centres/nowhere/token"), ErrorCode::NotFound),
        (Request::post("/v1/centres/nowhere/alarms/clear"), ErrorCode::NotFound),
    ] {
        network.refused(&request, code);
    }
}

#[test]
fn these_doors_are_for_operators() {
    let network = Network::paused();
    network.send(&Request::post("/v1/tenants").json(json!({"tenant": "lab"}).to_string()));
    let tenant = network.client().tenant_token("lab").expect("a token").token;
    let agent = network.server.agent_token(&centre_id("hpc-1"));
    for request in [
        add(&json!({"centre": "x", "class": "hpc"})),
        Request::post("/v1/centres/hpc-1/token"),
        Request::post("/v1/centres/hpc-1/alarms/clear"),
        Request::get("/v1/alarms"),
    ] {
        network.refused(&request.clone().bearer(&tenant), ErrorCode::Forbidden);
        network.refused(&request.bearer(&agent), ErrorCode::Unauthenticated);
    }
}

#[test]
fn an_agent_drives_the_engine_that_was_declared() {
    let network = Network::empty();
    let asked = NewCentreRequest {
        centre: "k8s-1".into(),
        class: "ai".into(),
        engine: Some("kubernetes".into()),
        zone: None,
        price_per_p_h: None,
    };
    assert_eq!(network.client().add_centre(&asked).expect("added").engine, "kubernetes");
    let token = network.client().centre_token("k8s-1").expect("a token").token;
    let found = hello(Class::Ai, 2);
    let post = |hello: &Hello| {
        let body = serde_json::to_string(hello).expect("JSON");
        network.send(&Request::post("/v1/agent/k8s-1/hello").json(body).bearer(&token))
    };
    let refused = problem(&post(&found));
    assert!(refused.code == ErrorCode::Conflict && refused.detail.contains("kubernetes"), "{refused:?}");
    let found = Hello { engine: EngineKind::Kubernetes, ..found.clone() };
    assert_eq!(post(&found).status, 200);
}
