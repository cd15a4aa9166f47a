//! Channels into sessions, from both ends: who gets in, and that bytes pass once and in order.

use std::{
    io::Read as _,
    time::{Duration, Instant},
};

use huisuan_api::{
    Channel, ErrorCode,
    channels::{CHANNEL_BYTES_MAX, ChannelOrder, ChannelRequest},
};
use huisuan_model::{ChannelTarget, Class, Event, channel::Frame};
use serde_json::json;

use crate::{
    network::{Agent, Network, centre_id, ended, problem, small_job, started},
    plain::{PATIENCE, Request},
    tenants::{client, tenant},
};

/// A network with a session that runs at `hpc-1`: its number and the agent there.
fn session(network: &Network) -> (u64, Agent) {
    network.client().resume("hpc-1").expect("open");
    let mut agent = network.agent("hpc-1");
    agent.join(Class::Hpc, 32);
    let mut job = small_job();
    job["kind"] = json!("session");
    job["tasks"] = json!("7-7");
    let id = network.submit(&job);
    let attempt = agent.starts(1)[0].attempt;
    agent.report(vec![started(attempt)]);
    (id, agent)
}

/// The next channel that the agent is asked to open.
fn asked(agent: &Agent) -> ChannelOrder {
    let pulled = agent.client.orders(agent.epoch, u64::MAX, Duration::from_secs(20)).expect("orders");
    pulled.channels.into_iter().next().expect("a channel")
}

/// Both ends of a channel to the terminal.
fn opened(network: &Network, id: u64, agent: &Agent) -> (Channel, Channel, ChannelOrder) {
    let user = network.client().open_channel(id, &ChannelRequest { port: None }).expect("a channel");
    let order = asked(agent);
    let site = agent.client.channel(&order);
    (user, site, order)
}

fn until(what: &str, mut look: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !look() {
        assert!(Instant::now() < deadline, "{what} did not come");
        std::thread::yield_now();
    }
}

#[test]
fn what_one_end_says_the_other_hears() {
    let network = Network::paused();
    let (id, mut agent) = session(&network);
    let (mut user, mut site, order) = opened(&network, id, &agent);
    assert_eq!(order.target, ChannelTarget::Terminal);
    let (mut to_user, mut to_site) = (user.receive().expect("a stream"), site.receive().expect("a stream"));
    assert_eq!(user.receive().err().and_then(|e| e.problem().map(|p| p.code)), Some(ErrorCode::Conflict));
    let job = network.client().job(id).expect("a job");
    assert_eq!(job.channels.iter().map(|one| (&*one.target, &*one.actor)).collect::<Vec<_>>(), [("terminal", "user")]);
    let page = network.send(&Request::get(&format!("/jobs/{id}")));
    assert!(page.text().contains("Attached now"), "{}", page.text());
    let mut heard = [0; 5];
    user.send(b"hello").expect("sent");
    to_site.read_exact(&mut heard).expect("heard");
    assert_eq!(&heard, b"hello");
    // More than both pieces and buffers hold, so that it has to wait for its reader.
    let sent: Vec<u8> = (0..3_000_000u32).flat_map(u32::to_be_bytes).collect();
    let text = sent.clone();
    let sending = std::thread::spawn(move || {
        site.send(&text).expect("sent");
        site.end().expect("ended");
    });
    let mut all = Vec::new();
    to_user.read_to_end(&mut all).expect("all of it");
    sending.join().expect("no panic");
    assert!(all == sent, "{} bytes of {} came", all.len(), sent.len());
    assert_eq!(to_site.read(&mut heard).expect("its end"), 0, "one end ends both directions");
    let close = || {
        network.journal().into_iter().find_map(|entry| match entry.events.as_slice() {
            [Event::ChannelClosed { channel, sent, received, .. }] => Some((entry.origin, *channel, *sent, *received)),
            _ => None,
        })
    };
    until("the record of its end", || close().is_some());
    let (origin, channel, into, out_of) = close().expect("it is there");
    assert_eq!((origin.actor.as_str(), channel, into, out_of), ("user", order.channel, 5, sent.len() as u64));
    let opens = |event: &Event| matches!(event, Event::ChannelOpened { channel, .. } if *channel == order.channel);
    assert!(network.journal().iter().any(|entry| entry.events.iter().any(opens)));
    assert_eq!(network.client().job(id).expect("a job").channels, []);
    agent.report(vec![ended(order.attempt, 0)]);
    let gone = network.client().open_channel(id, &ChannelRequest { port: None }).expect_err("it has ended");
    assert_eq!(gone.problem().map(|problem| problem.code), Some(ErrorCode::Conflict));
}

#[test]
fn who_leaves_ends_the_channel() {
    let network = Network::paused();
    let (id, agent) = session(&network);
    let (user, site, _) = opened(&network, id, &agent);
    let (to_user, mut to_site) = (user.receive().expect("a stream"), site.receive().expect("a stream"));
    drop((to_user, user));
    assert_eq!(to_site.read(&mut [0; 9]).expect("its end"), 0);
    let (user, site, _) = opened(&network, id, &agent);
    let (mut to_user, to_site) = (user.receive().expect("a stream"), site.receive().expect("a stream"));
    drop((to_site, site));
    assert_eq!(to_user.read(&mut [0; 9]).expect("its end"), 0);
}

#[test]
fn what_the_agent_says_last_is_heard_however_late() {
    let network = Network::paused();
    let (id, agent) = session(&network);
    let (user, mut site, _) = opened(&network, id, &agent);
    let frame = Frame::Refused("no such terminal".into()).bytes();
    site.send(&frame).expect("sent");
    site.end().expect("ended");
    let mut heard = Vec::new();
    user.receive().expect("a stream").read_to_end(&mut heard).expect("its end");
    assert_eq!(heard, frame);
}

#[test]
fn only_who_owns_the_session_and_knows_the_secret_gets_in() {
    let network = Network::paused();
    let (id, agent) = session(&network);
    let (lab, batch) = (tenant(&network, "lab", &json!({})), network.submit(&small_job()));
    network.declare("ai-1", Class::Ai);
    // The planner may write to the journal at any moment, so that its length says nothing.
    let refused = |request: &Request, code| assert_eq!(problem(&network.send(request)).code, code, "{request:?}");
    let post = |id: u64| Request::post(&format!("/v1/jobs/{id}/channels")).json("{}");
    refused(&post(id).bearer(&lab), ErrorCode::NotFound);
    refused(&post(id).bearer("hst_0_lab"), ErrorCode::Unauthenticated);
    refused(&post(99), ErrorCode::NotFound);
    refused(&post(batch), ErrorCode::Conflict);
    refused(&Request::post(&format!("/v1/jobs/{id}/channels")).json(r#"{"port": 0}"#), ErrorCode::BadRequest);
    refused(&Request::post(&format!("/v1/jobs/{id}/channels")).json(r#"{"x": 0}"#), ErrorCode::UnknownField);
    let mut theirs = small_job();
    theirs["kind"] = json!("session");
    let theirs =
        network.send(&Request::post("/v1/jobs").bearer(&lab).json(theirs.to_string())).value()["job_id"].clone();
    let theirs = theirs.as_u64().expect("a number");
    refused(&post(theirs), ErrorCode::Forbidden);
    assert_eq!(client(&network, &lab).job(theirs).expect("its own").summary.tenant, "lab");

    let answer = network.send(&post(id));
    assert_eq!(answer.status, 201, "{}", answer.text());
    let (number, secret) = (answer.value()["channel"].clone(), answer.value()["secret"].clone());
    let (secret, order) = (secret.as_str().expect("a secret").to_owned(), asked(&agent));
    assert_ne!(secret, order.secret);
    let (agents, other) =
        (network.server.agent_token(&centre_id("hpc-1")), network.server.agent_token(&centre_id("ai-1")));
    let path = format!("/v1/jobs/{id}/channels/{number}");
    let of_agent = |centre: &str| format!("/v1/agent/{centre}/channels/{number}");
    let shown = |request: Request, secret: &str| request.header("x-channel-secret", secret);
    for (request, code) in [
        (Request::get(&path), ErrorCode::NotFound),
        (shown(Request::get(&path), ""), ErrorCode::NotFound),
        (shown(Request::get(&path), &order.secret), ErrorCode::NotFound),
        (shown(Request::get(&path), &secret).bearer(&lab), ErrorCode::NotFound),
        (shown(Request::get(&format!("/v1/jobs/{batch}/channels/{number}")), &secret), ErrorCode::NotFound),
        (shown(Request::get(&format!("/v1/jobs/{id}/channels/99")), &secret), ErrorCode::NotFound),
        (shown(Request::get(&of_agent("hpc-1")), &order.secret), ErrorCode::Unauthenticated),
        (shown(Request::get(&of_agent("hpc-1")), &secret).bearer(&agents), ErrorCode::NotFound),
        (shown(Request::get(&of_agent("ai-1")), &order.secret).bearer(&other), ErrorCode::NotFound),
        (shown(Request::post(&format!("{path}?offset=0")), &order.secret), ErrorCode::NotFound),
        (shown(Request::post(&format!("{path}?offset=7")), &secret).body("x"), ErrorCode::Conflict),
        (shown(Request::post(&format!("{path}?offset=x")), &secret), ErrorCode::BadRequest),
        (shown(Request::post(&path), &secret), ErrorCode::BadRequest),
        (
            shown(Request::post(&format!("{path}?offset=0")), &secret).body(vec![0; CHANNEL_BYTES_MAX + 1]),
            ErrorCode::TooLarge,
        ),
    ] {
        refused(&request, code);
    }
    let text = network.journal().iter().map(|entry| format!("{entry:?}")).collect::<String>();
    assert!(!text.contains(&secret) && !text.contains(&order.secret), "no secret is on any disk");
}
