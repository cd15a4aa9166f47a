//! `twin run` under a policy of one queue.

use huisuan_study::{one_queue::OneQueue, swf::QueuePolicy};
use serde::Serialize;

use super::{run::RunArgs, spent::Spent};
use crate::{
    failure::{Exit, Failure},
    output::fields,
    session::Session,
    table::{Cell, Listing},
    text,
};

/// The answer.
#[derive(Debug, Serialize)]
struct Answer {
    scenario: String,
    policy: &'static str,
    seed: u64,
    /// From the first submission to the last end.
    simulated_s: f64,
    /// Jobs that came, and those of them that the pool can never run.
    jobs: u64,
    refused: u64,
    /// Tasks that ran, each gang one.
    placements: u64,
    procs: u64,
    mean_bounded_slowdown: f64,
    mean_wait_s: f64,
    max_wait_s: f64,
    /// Part of the processors that was held, by the pool's class.
    utilisation: std::collections::BTreeMap<String, f64>,
    decision_hash: String,
    #[serde(flatten)]
    spent: Spent,
    mark: &'static str,
}

/// Runs and reports.
pub(super) fn run(session: &Session, args: &RunArgs, queue: &OneQueue, policy: QueuePolicy) -> Result<(), Failure> {
    if args.out.is_some() {
        let message = format!("policy `{}` orders one queue, of which there are no series and no plots", policy.name());
        return Err(Failure::new(Exit::Usage, message).hint("leave out --out; -o json has the figures"));
    }
    let queued = queue.run(policy);
    let figures = &queued.outcome.figures;
    let answer = Answer {
        scenario: queue.scenario.clone(),
        policy: policy.name(),
        seed: queue.seed,
        simulated_s: queue.lasted_s(&queued.outcome),
        jobs: queue.families.len() as u64,
        refused: queue.refused,
        placements: figures.jobs,
        procs: queue.processors,
        mean_bounded_slowdown: figures.mean_bounded_slowdown(),
        mean_wait_s: figures.mean_wait_s(),
        max_wait_s: figures.wait_max.0 as f64 / 1e3,
        utilisation: [(queue.class.to_string(), figures.utilisation())].into(),
        decision_hash: queued.outcome.decision_hash.clone(),
        spent: Spent::now(),
        mark: "modelled",
    };
    session.output.one(&answer, || listing(&answer), |_| people(&answer))
}

fn people(answer: &Answer) -> String {
    fields(&[
        ("scenario", format!("{}, MODELLED: simulated, not measured", answer.scenario)),
        ("policy", format!("{} of one queue, seed {}", answer.policy, answer.seed)),
        ("jobs", format!("{}, {} refused", text::grouped(answer.jobs), text::grouped(answer.refused))),
        ("processors", text::grouped(answer.procs)),
        ("mean bounded slowdown", format!("{:.2}", answer.mean_bounded_slowdown)),
        ("mean wait", text::span((answer.mean_wait_s * 1e3) as u64)),
        ("longest wait", text::span((answer.max_wait_s * 1e3) as u64)),
        ("utilisation", answer.utilisation.values().map(|part| format!("{:.1} %", part * 100.0)).collect()),
        ("decisions", answer.decision_hash[..16].to_owned()),
    ])
}

fn listing(answer: &Answer) -> Listing {
    let mut listing = Listing::new(&["policy", "jobs", "mean_bounded_slowdown", "mean_wait_s", "max_wait_s"]);
    listing.row(vec![
        Cell::text(answer.policy),
        Cell::figure(answer.jobs, answer.jobs),
        Cell::figure(format!("{:.2}", answer.mean_bounded_slowdown), answer.mean_bounded_slowdown),
        Cell::figure(format!("{:.1}", answer.mean_wait_s), answer.mean_wait_s),
        Cell::figure(format!("{:.1}", answer.max_wait_s), answer.max_wait_s),
    ]);
    listing
}
