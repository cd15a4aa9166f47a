//! The agents' doors: each centre speaks for itself, in this run of the server.

use huisuan_api::{
    ErrorCode,
    agent::{Hello, PROTOCOL, Reports},
};
use huisuan_model::{AttemptId, Class, JobId};
use serde_json::json;

use crate::{
    network::{Network, centre_id, ended, hello, problem, small_job, started},
    plain::Request,
};

const ATTEMPT: AttemptId = AttemptId { job: JobId(1), task: 0, attempt: 1 };

/// Centre, kind and subject of all alarms.
pub(crate) fn alarms(network: &Network) -> Vec<(String, String, String)> {
    let alarms = network.client().alarms().expect("alarms").alarms;
    alarms.into_iter().map(|alarm| (alarm.centre, alarm.kind, alarm.subject)).collect()
}

pub(crate) fn owned((centre, kind, subject): (&str, &str, &str)) -> (String, String, String) {
    (centre.to_owned(), kind.to_owned(), subject.to_owned())
}

fn body(value: &impl serde::Serialize) -> String {
    serde_json::to_string(value).expect("JSON")
}

#[test]
fn a_rate_that_falls_is_an_alarm_with_both_figures() {
    let network = Network::empty();
    network.declare("hpc-1", Class::Hpc);
    let mut agent = network.agent("hpc-1");
    agent.join(Class::Hpc, 2);
    let alarms = || network.send(&Request::get("/v1/alarms")).value()["alarms"].clone();
    agent.rate(Class::Hpc, 2, 55);
    assert_eq!(alarms(), json!([]), "machines are not alone with themselves");
    agent.rate(Class::Hpc, 2, 30);
    let found = alarms();
    assert_eq!((&found[0]["kind"], &found[0]["centre"]), (&json!("rate-changed"), &json!("hpc-1")), "{found}");
    let detail = found[0]["detail"].as_str().expect("text");
    assert!(detail.starts_with("measured 30 GFLOP/s (version 3), 45 % below the 55 GFLOP/s of version 2"), "{detail}");
    let shown = network.send(&Request::get("/v1/centres/hpc-1")).value();
    assert_eq!(shown["alarms"][0]["detail"], found[0]["detail"]);
    assert_eq!(network.send(&Request::post("/v1/centres/hpc-1/alarms/clear")).status, 200);
    assert_eq!(alarms(), json!([]));
}

#[test]
fn an_agent_speaks_for_its_centre_alone() {
    let network = Network::paused();
    network.declare("ai-1", Class::Ai);
    let other = network.server.agent_token(&centre_id("ai-1"));
    let reports = body(&Reports { epoch: 1, seq: 1, reports: Vec::new() });
    for request in [
        Request::post("/v1/agent/hpc-1/hello").json(body(&hello(Class::Hpc, 2))),
        Request::get("/v1/agent/hpc-1/orders"),
        Request::post("/v1/agent/hpc-1/reports").json(reports),
        Request::post("/v1/agent/hpc-1/ratings").json(json!({"ratings": []}).to_string()),
        Request::post("/v1/agent/hpc-1/logs/1?offset=0&end=true").body("x"),
    ] {
        network.refused(&request, ErrorCode::Unauthenticated);
        network.refused(&request.clone().bearer(network.server.token()), ErrorCode::Unauthenticated);
        network.refused(&request.clone().bearer(&other), ErrorCode::Unauthenticated);
        let elsewhere = Request { target: request.target.replace("hpc-1", "..%2Fhpc-1"), ..request };
        network.refused(&elsewhere.bearer(&other), ErrorCode::Unauthenticated);
    }
}

#[test]
fn a_centre_that_nobody_declared_cannot_join() {
    let network = Network::paused();
    let token = network.server.agent_token(&centre_id("stranger"));
    let request = Request::post("/v1/agent/stranger/hello").json(body(&hello(Class::Hpc, 2))).bearer(&token);
    assert!(network.refused(&request, ErrorCode::NotFound).detail.contains("stranger"));
}

#[test]
fn an_agent_of_another_protocol_is_told() {
    let network = Network::paused();
    let token = network.server.agent_token(&centre_id("hpc-1"));
    for protocol in [0, PROTOCOL + 1] {
        let mut hello = hello(Class::Hpc, 2);
        hello.protocol = protocol;
        let request = Request::post("/v1/agent/hpc-1/hello").json(body(&hello)).bearer(&token);
        assert!(network.refused(&request, ErrorCode::Conflict).hint.contains("update"));
    }
}

#[test]
fn reports_are_for_this_run_once_and_of_this_centre() {
    let network = Network::paused();
    network.declare("ai-1", Class::Ai);
    let mut stranger = network.agent("ai-1");
    stranger.join(Class::Ai, 2);
    let mut agent = network.agent("hpc-1");
    agent.join(Class::Hpc, 32);
    let mut job = small_job();
    job["class"] = json!("hpc");
    network.submit(&job);
    network.client().resume("hpc-1").expect("resumed");
    assert_eq!(agent.starts(1)[0].attempt, ATTEMPT);
    let token = network.server.agent_token(&centre_id("hpc-1"));
    let post = |reports: &Reports| Request::post("/v1/agent/hpc-1/reports").json(body(reports)).bearer(&token);

    let stale = |epoch| Reports { epoch, ..agent.reports(vec![ended(ATTEMPT, 0)]) };
    assert!(network.refused(&post(&stale(agent.epoch - 1)), ErrorCode::StaleEpoch).hint.contains("hello"));
    assert_eq!(alarms(&network), []);
    let never = problem(&network.send(&post(&stale(agent.epoch + 1))));
    assert_eq!(never.code, ErrorCode::StaleEpoch);
    assert_eq!(alarms(&network), [("hpc-1", "false-epoch", "hpc-1")].map(owned));
    network.refused(&post(&stale(agent.epoch + 2)), ErrorCode::StaleEpoch);
    network.client().clear_alarms("hpc-1").expect("cleared");
    let foreign = Request::post("/v1/agent/ai-1/reports")
        .json(body(&stranger.reports(vec![ended(ATTEMPT, 0)])))
        .bearer(&network.server.agent_token(&centre_id("ai-1")));
    let refused = problem(&network.send(&foreign));
    assert!(refused.code == ErrorCode::Forbidden && refused.detail.contains("hpc-1"), "{refused:?}");
    assert_eq!(alarms(&network), [("ai-1", "false-report", "1.0.1")].map(owned));
    assert_eq!(network.client().job(1).expect("the job").attempts[0].state, "placed", "nothing of it was taken");
    network.refused(&foreign, ErrorCode::Forbidden);
    let many = agent.reports(vec![started(ATTEMPT); 10_001]);
    network.refused(&post(&many), ErrorCode::TooLarge);

    let end = agent.reports(vec![started(ATTEMPT), ended(ATTEMPT, 0)]);
    assert_eq!(network.send(&post(&end)).status, 200);
    let after = network.journal();
    assert_eq!(network.send(&post(&end)).value()["seq"], json!(end.seq), "the same again is taken and changes nothing");
    assert_eq!(network.journal(), after);
    assert_eq!(network.client().job(1).expect("the job").summary.state, "succeeded");
}

#[test]
fn malformed_news_is_refused() {
    let network = Network::paused();
    let token = network.server.agent_token(&centre_id("hpc-1"));
    let post = |target: &str, value: &serde_json::Value| {
        Request::post(&format!("/v1/agent/hpc-1/{target}")).json(value.to_string()).bearer(&token)
    };
    let reports = |reports| json!({"epoch": 1, "seq": 1, "reports": reports});
    for (request, code) in [
        (post("hello", &json!({})), ErrorCode::BadRequest),
        (post("hello", &json!({"protocol": 1, "x": 1})), ErrorCode::UnknownField),
        (post("reports", &reports(json!([{"attempt": "1", "at": 1, "what": "started"}]))), ErrorCode::BadRequest),
        (post("reports", &reports(json!([{"attempt": "1.0.1", "at": 1, "what": "born"}]))), ErrorCode::BadRequest),
        (post("reports", &json!({"epoch": -1, "seq": 1, "reports": []})), ErrorCode::BadRequest),
        (post("ratings", &json!({"ratings": [{"pool": "a b", "rating": {}}]})), ErrorCode::BadRequest),
        (Request::get("/v1/agent/hpc-1/orders?after=x").bearer(&token), ErrorCode::BadRequest),
        (Request::get("/v1/agent/hpc-1/orders?since=1").bearer(&token), ErrorCode::UnknownField),
        (Request::post("/v1/agent/hpc-1/logs/x?offset=0&end=true").bearer(&token), ErrorCode::NotFound),
        (Request::post("/v1/agent/hpc-1/logs/1?offset=x&end=true").bearer(&token), ErrorCode::BadRequest),
    ] {
        network.refused(&request, code);
    }
    let large = Request::post("/v1/agent/hpc-1/reports").json(vec![b' '; 10 << 20]).bearer(&token);
    network.refused(&large, ErrorCode::TooLarge);
}

#[test]
fn a_centre_that_lost_its_folder_ends_what_ran_there() {
    let network = Network::paused();
    network.client().resume("hpc-1").expect("open");
    let mut agent = network.agent("hpc-1");
    agent.join(Class::Hpc, 32);
    let (runs, ordered) = (network.submit(&small_job()), network.submit(&small_job()));
    let starts = agent.starts(2);
    let start = starts.iter().find(|start| start.attempt.job.0 == runs).expect("a start").attempt;
    agent.report(vec![started(start)]);
    let same = network.agent("hpc-1");
    same.client.hello(&hello(Class::Hpc, 32)).expect("welcome");
    assert_eq!(network.client().job(runs).expect("a job").summary.state, "running", "a plain hello changes nothing");
    let fresh = Hello { fresh: true, ..hello(Class::Hpc, 32) };
    network.agent("hpc-1").client.hello(&fresh).expect("welcome");
    let job = network.client().job(runs).expect("a job");
    assert_eq!((&*job.summary.state, job.summary.cost.amount), ("failed", 0));
    assert_eq!(job.attempts[0].cause.as_deref(), Some("lost"));
    assert_eq!(network.client().job(ordered).expect("a job").summary.state, "running", "it is ordered again");
}
