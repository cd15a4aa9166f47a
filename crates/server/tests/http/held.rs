//! What an engine holds against what the books say.

use huisuan_api::agent::{Held, HeldAnswer, HeldTasks};
use huisuan_model::{AttemptId, Class, JobId, RangeSet};
use serde_json::json;

use crate::{
    agents::{alarms, owned},
    network::{Agent, Network, ended, small_job, started},
};

fn id(job: u64, task: u32) -> AttemptId {
    AttemptId { job: JobId(job), task, attempt: 1 }
}

fn held(agent: &Agent, attempts: &[AttemptId]) -> HeldAnswer {
    let one =
        |id: &AttemptId| HeldTasks { job: id.job, attempt: id.attempt, tasks: RangeSet::from_range(id.task, id.task) };
    let held = Held { epoch: agent.epoch, attempts: attempts.iter().map(one).collect() };
    agent.client.held(&held).expect("an answer")
}

/// `hpc-1` runs an array of two tasks.
fn running() -> (Network, Agent) {
    let network = Network::paused();
    let mut agent = network.agent("hpc-1");
    agent.join(Class::Hpc, 32);
    let mut job = small_job();
    job["tasks"] = json!(2);
    network.submit(&job);
    network.client().resume("hpc-1").expect("open");
    agent.starts(2);
    agent.report(vec![started(id(1, 0)), started(id(1, 1))]);
    (network, agent)
}

#[test]
fn what_agrees_raises_nothing() {
    let (network, agent) = running();
    let before = network.journal().len();
    for _ in 0..2 {
        assert_eq!(held(&agent, &[id(1, 0), id(1, 1)]), HeldAnswer::default());
    }
    assert_eq!((network.journal().len(), alarms(&network)), (before, vec![]));
}

#[test]
fn what_was_never_ordered_is_left_alone_and_alarmed_when_it_stays() {
    let (network, agent) = running();
    let all = [id(1, 0), id(1, 1), id(77, 3)];
    let first = held(&agent, &all);
    assert!(first.again && first.end.is_empty() && alarms(&network).is_empty(), "it may only be on its way: {first:?}");
    let second = held(&agent, &all);
    assert_eq!(second, HeldAnswer::default(), "it is not ended");
    assert_eq!(alarms(&network), [("hpc-1", "unknown-attempt", "77.3.1")].map(owned));
    assert_eq!(network.client().centre("hpc-1").expect("a centre").alarms.len(), 1);
    held(&agent, &all[..2]);
    assert_eq!(alarms(&network), [], "it is gone, and so is the alarm");
}

#[test]
fn what_has_ended_in_the_books_is_ended_there() {
    let (network, mut agent) = running();
    agent.report(vec![ended(id(1, 0), 0)]);
    let all = [id(1, 0), id(1, 1)];
    assert_eq!((held(&agent, &all).end, alarms(&network)), (vec![], vec![]), "its end may have crossed the question");
    assert_eq!(held(&agent, &all).end, [id(1, 0)]);
    assert_eq!(alarms(&network), [("hpc-1", "ended-attempt", "1.0.1")].map(owned));
}

#[test]
fn what_is_missing_is_looked_for_and_not_called_lost() {
    let (network, agent) = running();
    assert_eq!(held(&agent, &[id(1, 0)]).missing, [id(1, 1)]);
    assert_eq!(alarms(&network), []);
    assert_eq!(held(&agent, &[id(1, 0)]).missing, [id(1, 1)]);
    assert_eq!(alarms(&network), [("hpc-1", "missing-attempt", "1.1.1")].map(owned));
    let job = network.client().job(1).expect("a job");
    assert!(job.attempts.iter().all(|attempt| attempt.state == "running"), "nobody but the engine can say: {job:?}");
}

#[test]
fn what_is_another_centres_is_not_believed() {
    let (network, _) = running();
    network.declare("ai-1", Class::Ai);
    let mut other = network.agent("ai-1");
    other.join(Class::Ai, 2);
    for _ in 0..2 {
        assert_eq!(held(&other, &[id(1, 0)]).end, []);
    }
    assert_eq!(alarms(&network), [("ai-1", "foreign-attempt", "1.0.1")].map(owned));
    assert_eq!(network.client().job(1).expect("a job").attempts[0].centre, "hpc-1");
}
