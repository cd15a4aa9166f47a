//! Gangs are taken whole, and what can never start together is found.

use huisuan_model::{JobSpec, TimeMs};
use proptest::{collection::vec, prelude::*};

use super::*;
use crate::slurm::{
    config::example,
    journal::{Journal, order},
};

/// The tasks of gangs 1, 2, ... of so many tasks each.
fn orders(sizes: &[u32]) -> Vec<Arc<StartOrder>> {
    let mut orders = Vec::new();
    for (job, &size) in (1..).zip(sizes) {
        let tasks = format!("0-{}", size - 1).parse().expect("ranges");
        let spec = Arc::new(JobSpec { gang: true, tasks, ..JobSpec::command("x", &["true"]) });
        let one = |task| StartOrder {
            attempt: AttemptId { job: JobId(job), task, attempt: 2 },
            spec: Arc::clone(&spec),
            ..order(job)
        };
        orders.extend((0..size).map(one).map(Arc::new));
    }
    orders
}

fn state(folder: &std::path::Path) -> (State, SlurmConfig) {
    let files = Files::make(&folder.join("centre"), &Users::default()).expect("made");
    let (journal, known) = Journal::open(&files).expect("a new log");
    (State::recover(journal, known), example(folder))
}

proptest! {
    /// In whatever order the tasks come, and however few calls may be made: a gang is taken once, whole, in the
    /// order of ranks; when all have come, all are taken.
    #[test]
    fn a_gang_is_taken_whole(
        sizes in vec(1u32..6, 1..5),
        shuffle in vec(any::<u32>(), 24),
        calls in 1usize..3,
    ) {
        let folder = tempfile::tempdir().expect("a scratch folder");
        let (mut state, config) = state(folder.path());
        let mut coming: Vec<_> = orders(&sizes).into_iter().zip(&shuffle).collect();
        coming.sort_by_key(|(order, place)| (**place, order.attempt));
        let mut seen = BTreeSet::new();
        for (order, _) in coming {
            state.enqueue(order);
            let taken = crate::slurm::request::take(&mut state, &config, &Users::default(), calls, 100);
            prop_assert!(taken.groups.len() <= calls && taken.refused.is_empty());
            for group in &taken.groups {
                let ids: Vec<AttemptId> = group.orders.iter().map(|order| order.attempt).collect();
                prop_assert_eq!(&ids, &members(&group.orders[0]).collect::<Vec<_>>());
                prop_assert!(seen.insert(group.gang));
            }
        }
        prop_assert_eq!(seen.len(), sizes.len());
        let total = sizes.iter().sum::<u32>() as usize;
        prop_assert_eq!(state.room(config.open_max), config.open_max - total);
        prop_assert_eq!(state.room(total), total - sizes.len(), "a gang is one job");
    }
}

#[test]
fn what_can_never_start_together_is_found() {
    let check = |again: &[u32], begun: &[u32], ended: &[u32], acknowledged: bool, expected: &[u32]| {
        let folder = tempfile::tempdir().expect("a scratch folder");
        let (mut state, config) = state(folder.path());
        let files = Files::make(&folder.path().join("centre"), &Users::default()).expect("made");
        let orders = orders(&[4]);
        let id = |task: &u32| orders[*task as usize].attempt;
        orders.iter().for_each(|order| state.enqueue(Arc::clone(order)));
        crate::slurm::request::take(&mut state, &config, &Users::default(), 9, 9);
        begun.iter().for_each(|task| state.open_mut(id(task)).expect("open").started_at = Some(TimeMs(1)));
        let end = |task: &u32| (id(task), never_ran(EndCause::Lost, String::new()));
        state.finish(ended.iter().map(end).collect(), &files).expect("noted");
        if acknowledged {
            ended.iter().for_each(|task| assert!(files.claim_against_start(id(task)).expect("taken")));
            state.acknowledge(&ended.iter().map(id).collect::<Vec<_>>()).expect("noted");
        }
        again.iter().for_each(|task| state.submit_again(id(task)));
        let left = state.gangs.waiting.values().flat_map(|waiting| left(&state, &files, waiting));
        let left: Vec<u32> = left.map(|id| id.task).collect();
        assert_eq!(left, expected, "{again:?} {begun:?} {ended:?} {acknowledged}");
        let whole = crate::slurm::request::take(&mut state, &config, &Users::default(), 9, 9).groups.len();
        assert_eq!(whole, usize::from(again.len() == 4));
    };
    check(&[0, 1, 2, 3], &[], &[], false, &[]);
    check(&[3, 1], &[], &[], false, &[]);
    check(&[3, 1], &[0], &[], false, &[1, 3]);
    for acknowledged in [false, true] {
        check(&[2], &[], &[0], acknowledged, &[2]);
        check(&[2], &[], &[0, 1, 3], acknowledged, &[2]);
        check(&[0, 1, 2], &[], &[3], acknowledged, &[0, 1, 2]);
    }
}

#[test]
fn accelerators_are_given_by_the_task_where_slurm_can() {
    let words = |gres, spread| layout(3, 2, 101, gres, spread).join(" ");
    assert_eq!(words(None, None), "--ntasks=3 --mem-per-cpu=51M");
    assert_eq!(words(Some("gpu:h100:2"), None), "--ntasks=3 --mem-per-cpu=51M --gpus-per-task=h100:2");
    assert_eq!(words(Some("gpu:2"), None), "--ntasks=3 --mem-per-cpu=51M --gpus-per-task=2");
    let spread = Some(Spread { nodes: 2, tasks_per_node: 2 });
    let of_nodes = "--ntasks=3 --mem-per-cpu=51M --nodes=2 --ntasks-per-node=2 --gres=npu:910b:4";
    assert_eq!(words(Some("npu:910b:2"), spread), of_nodes);
    assert!(by_task("gpu") && by_task("gpu:h100") && !by_task("npu:910b") && !by_task("gpus:x"));
}

#[test]
fn a_gang_lies_evenly_on_nodes_that_give_by_the_node() {
    let check = |tasks: u64, takes: &[(u64, u64)], expected: Option<(u64, u64)>| {
        let found = spread(tasks, &takes.iter().copied().collect());
        assert_eq!(found.map(|one| (one.nodes, one.tasks_per_node)), expected, "{tasks} on {takes:?}");
    };
    check(4, &[(4, 2)], Some((1, 4)));
    check(4, &[(3, 2)], Some((2, 2)));
    check(8, &[(8, 1), (4, 9)], Some((1, 8)));
    check(8, &[(4, 9)], Some((2, 4)));
    // Five do not lie evenly on two nodes of four: five nodes of one, or one place too many.
    check(5, &[(4, 5)], Some((5, 1)));
    check(5, &[(4, 2)], Some((2, 3)));
    check(5, &[(4, 1), (1, 1)], None);
    check(2, &[(0, 9)], None);
    check(1, &[], None);
}

proptest! {
    /// Where it lies there is room, for all tasks and on no more nodes than there are; where there is none, even the most
    /// crowded way has too few nodes.
    #[test]
    fn a_spread_fits(tasks in 1u64..40, takes in proptest::collection::btree_map(0u64..9, 1u64..6, 0..4)) {
        let there = |each: u64| takes.range(each..).map(|(_, count)| count).sum::<u64>();
        match spread(tasks, &takes) {
            Some(Spread { nodes, tasks_per_node }) => {
                prop_assert!(nodes * tasks_per_node >= tasks && (nodes - 1) * tasks_per_node < tasks);
                prop_assert!(nodes <= there(tasks_per_node));
            }
            None => prop_assert!((1..9).all(|each| there(each) * each < tasks)),
        }
    }
}

#[test]
fn a_gang_that_stays_incomplete_is_an_alarm_until_it_is_whole() {
    let folder = tempfile::tempdir().expect("a scratch folder");
    let (mut state, config) = state(folder.path());
    let orders = orders(&[3, 2]);
    let alarms =
        |state: &State| state.alarms().into_iter().map(|alarm| alarm.subject + " " + &alarm.what).collect::<Vec<_>>();
    orders[..2].iter().chain(&orders[3..]).for_each(|order| state.enqueue(Arc::clone(order)));
    assert_eq!(alarms(&state), Vec::<String>::new());
    state.gangs.since.values_mut().for_each(|since| *since -= INCOMPLETE);
    let told = alarms(&state);
    assert!(matches!(&told[..], [one] if one.starts_with("gang 1.2 waits: 2 of its 3 tasks")), "{told:?}");
    state.enqueue(Arc::clone(&orders[2]));
    assert_eq!(alarms(&state), Vec::<String>::new());
    crate::slurm::request::take(&mut state, &config, &Users::default(), 9, 9);
    assert!(state.gangs.since.is_empty() && state.gangs.waiting.is_empty());
}

#[test]
fn the_name_of_a_gang_is_read_as_written() {
    for (text, expected) in [("7.2", Some("7.2")), ("7", None), ("7.2.1", None), ("7.x", None), ("+7.2", None)] {
        let read = text.parse::<Gang>().ok().map(|gang| gang.to_string());
        assert_eq!(read.as_deref(), expected, "{text}");
    }
}
