//! What an agent says of attempts that are not live: never dropped without a trace that its operator can see.

use huisuan_api::ErrorCode;
use huisuan_model::{AttemptId, AttemptReport, Class, DurationMs, JobId, ReportKind, TimeMs, Usage};
use serde_json::{Value, json};

use crate::{
    network::{Agent, Network, centre_id, ended, small_job, started},
    plain::Request,
};

const ATTEMPT: AttemptId = AttemptId { job: JobId(1), task: 0, attempt: 1 };

/// A network whose one job has ended at `hpc-1`.
fn network() -> (Network, Agent) {
    let network = Network::paused();
    let mut agent = network.agent("hpc-1");
    agent.join(Class::Hpc, 32);
    network.submit(&small_job());
    network.client().resume("hpc-1").expect("resumed");
    assert_eq!(agent.starts(1)[0].attempt, ATTEMPT);
    agent.report(vec![started(ATTEMPT), ended(ATTEMPT, 0)]);
    (network, agent)
}

/// What is odd, the oldest first, without what the clock of these tests makes odd: it stands at the year 1970.
fn odd(network: &Network) -> Vec<(String, String, u64)> {
    let list = network.send(&Request::get("/v1/oddities")).value();
    let rows = list["oddities"].as_array().expect("a list").iter().rev();
    let text = |row: &Value, key: &str| row[key].as_str().expect("text").to_owned();
    let rows = rows.map(|row| (text(row, "kind"), text(row, "attempt"), row["count"].as_u64().expect("a count")));
    rows.filter(|(kind, ..)| kind != "clock-behind").collect()
}

fn found(kind: &str, attempt: &str, count: u64) -> (String, String, u64) {
    (kind.to_owned(), attempt.to_owned(), count)
}

#[test]
fn what_is_said_twice_leaves_no_trace_and_what_contradicts_does() {
    let (network, mut agent) = network();
    let bill = || network.send(&Request::get("/v1/usage")).value();
    let before = bill();
    agent.report(vec![started(ATTEMPT), ended(ATTEMPT, 0)]);
    agent.report(vec![ended(ATTEMPT, 0)]);
    assert_eq!(odd(&network), []);
    for _ in 0..10 {
        agent.report(vec![ended(ATTEMPT, 1)]);
    }
    let never = AttemptId { job: JobId(9), ..ATTEMPT };
    agent.report(vec![started(never)]);
    let long = Usage { wall: DurationMs(9_000_000), ..Usage::default() };
    agent.report(vec![AttemptReport { attempt: ATTEMPT, at: TimeMs(3), what: ReportKind::Used(long) }]);
    let expected = [found("second-end", "1.0.1", 10), found("unknown-attempt", "9.0.1", 1), found("late", "1.0.1", 1)];
    assert_eq!(odd(&network), expected);
    // A number that was taken, with other words.
    agent.seq -= 1;
    agent.report(vec![started(AttemptId { job: JobId(10), ..ATTEMPT })]);
    assert_eq!(odd(&network).last(), Some(&found("unknown-attempt", "10.0.1", 1)));
    assert_eq!(bill(), before, "nothing of it is in the books");
    assert_eq!(network.client().job(1).expect("the job").summary.state, "succeeded");
}

#[test]
fn another_centre_says_nothing_of_it() {
    let (network, _) = network();
    network.declare("ai-1", Class::Ai);
    let mut stranger = network.agent("ai-1");
    stranger.join(Class::Ai, 2);
    stranger.report(vec![ended(ATTEMPT, 0)]);
    assert_eq!(odd(&network), [found("foreign-attempt", "1.0.1", 1)]);
    let mut job = small_job();
    job["class"] = json!("hpc");
    network.submit(&job);
    let token = network.server.agent_token(&centre_id("ai-1"));
    let live = AttemptId { job: JobId(2), ..ATTEMPT };
    // It is live once its order is there.
    let mut agent = network.agent("hpc-1");
    agent.join(Class::Hpc, 32);
    agent.starts(1);
    let reports = serde_json::to_string(&stranger.reports(vec![started(live)])).expect("JSON");
    let refused = network.send(&Request::post("/v1/agent/ai-1/reports").json(reports).bearer(&token));
    assert_eq!(refused.status, ErrorCode::Forbidden.status());
    assert_eq!(odd(&network).last(), Some(&found("foreign-attempt", "2.0.1", 1)));
}
