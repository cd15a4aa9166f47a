//! The flag `--policy` of the twin's commands: a name of the one list, a file for networks, or all of a kind.

use huisuan_study::{
    one_queue::OneQueue,
    policies::{self, Policy, PolicyError},
    scenario::Scenario,
    swf::QueuePolicy,
};

use crate::failure::{Exit, Failure};

/// The policies asked for.
#[derive(Debug, Clone)]
pub(super) struct Policies<P>(pub(super) Vec<P>);

/// Reads a name by `of`, or `all` for all of them.
pub(super) fn one_or_all<P: Copy>(
    text: &str,
    all: &[P],
    of: impl Fn(&str) -> Result<P, PolicyError>,
) -> Result<Policies<P>, String> {
    if text == "all" {
        return Ok(Policies(all.to_vec()));
    }
    // The hint is a line of its own, which the words around it already say.
    of(text)
        .map(|policy| Policies(vec![policy]))
        .map_err(|error| error.to_string().replace("\nhint: ", "; hint: all, or "))
}

/// A policy for networks by its name, or from a file.
pub(crate) fn of_network(name: &str) -> Result<Policy, Failure> {
    policies::named_or_read(name).map_err(said)
}

/// The policy of one queue that a name means, if none for networks is meant.
pub(super) fn queue_policy(name: &str) -> Option<QueuePolicy> {
    policies::built_in(name).is_none().then(|| policies::queue(name).ok()).flatten()
}

/// An error of two parts: what is wrong, and what follows `hint:`.
pub(super) fn said(error: impl ToString) -> Failure {
    let text = error.to_string();
    match text.split_once("\nhint: ") {
        Some((message, hint)) => Failure::new(Exit::Usage, message).hint(hint),
        None => Failure::new(Exit::Usage, text).hint("correct the file; nothing was run"),
    }
}

/// A scenario and how it is decided.
pub(super) enum Chosen {
    /// By the scheduler, under the scenario's policy.
    Network(Box<Scenario>),
    /// As one queue.
    Queue(OneQueue, QueuePolicy),
}

/// The scenario under a policy for networks, or as one queue under one for queues.
pub(super) fn chosen(scenario: Scenario, policy: Option<&str>) -> Result<Chosen, Failure> {
    let Some(name) = policy else { return Ok(Chosen::Network(Box::new(scenario))) };
    if let Some(policy) = scenario.queue_policy(name) {
        return Ok(Chosen::Queue(OneQueue::of(&scenario).map_err(said)?, policy));
    }
    scenario.with_policy(name).map(|scenario| Chosen::Network(Box::new(scenario))).map_err(said)
}
