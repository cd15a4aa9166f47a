//! Tasks that start together, end together and are tried again together.

use huisuan_model::{Command, Event, JobSpec, JobState};

use super::{end_state, job, tasks};
use crate::testing::{Network, attempt, cancelled, centre, exited};

#[test]
fn a_gang_starts_together_and_ends_together() {
    let mut network = Network::new();
    network.submit(tasks(JobSpec { gang: true, ..job("gang") }, 3)).expect("accepted");
    network.plan();
    assert_eq!(network.state.attempts().count(), 4);
    network.pass(1000);
    let end = network.ended(exited(1), 500);
    let events = network.report("hpc-1", vec![(attempt(1, 2, 1), end)]);
    let stopped = events.iter().filter(|event| matches!(event, Event::StopOrdered { .. })).count();
    assert_eq!(stopped, 3, "{events:?}");
    assert_eq!(network.state.open_orders(&centre("hpc-1")).len(), 6, "starts not yet taken, and stops");
    let ends = [0, 1, 3].map(|task| (attempt(1, task, 1), network.ended(cancelled(), 500)));
    let events = network.report("hpc-1", ends.to_vec());
    assert_eq!(end_state(&events), Some(JobState::Failed));
    network.check_rebuilt();
}

#[test]
fn a_gang_is_tried_again_whole() {
    let mut network = Network::new();
    network.submit(tasks(JobSpec { gang: true, retries: 1, ..job("gang") }, 2)).expect("accepted");
    for number in 1..=2 {
        assert_eq!(network.plan().len(), 1, "one placement of the whole gang");
        network.pass(1000);
        // The first has succeeded already when the second fails; the third is stopped.
        let well = network.ended(exited(0), 500);
        network.report("hpc-1", vec![(attempt(1, 0, number), well)]);
        let badly = network.ended(exited(1), 500);
        let events = network.report("hpc-1", vec![(attempt(1, 1, number), badly)]);
        assert!(events.iter().any(|event| matches!(event, Event::StopOrdered { .. })), "{events:?}");
        assert!(network.plan().is_empty(), "nothing of it starts while one still runs");
        let stopped = network.ended(cancelled(), 500);
        let events = network.report("hpc-1", vec![(attempt(1, 2, number), stopped)]);
        let again = events.iter().any(|event| matches!(event, Event::GangRetried { attempt: 2, .. }));
        assert_eq!(
            (again, end_state(&events)),
            if number == 1 { (true, None) } else { (false, Some(JobState::Failed)) }
        );
        network.check_rebuilt();
    }
}

#[test]
fn a_cancelled_gang_is_not_tried_again() {
    let mut network = Network::new();
    network.submit(tasks(JobSpec { gang: true, retries: 9, ..job("gang") }, 1)).expect("accepted");
    network.plan();
    let badly = network.ended(exited(1), 0);
    network.report("hpc-1", vec![(attempt(1, 0, 1), badly)]);
    network.take(Command::Cancel { job: huisuan_model::JobId(1) });
    let stopped = network.ended(cancelled(), 0);
    let events = network.report("hpc-1", vec![(attempt(1, 1, 1), stopped)]);
    assert_eq!(end_state(&events), Some(JobState::Cancelled));
}
