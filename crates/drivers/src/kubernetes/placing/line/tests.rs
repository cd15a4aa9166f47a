//! Nobody gets what is not there, a gang gets all or nothing, and nobody waits for ever behind those who came later.

use huisuan_model::JobId;
use proptest::prelude::*;
use serde_json::json;

use super::{
    super::super::objects::{Node, Pod},
    *,
};

const NOW: TimeMs = TimeMs(1_000_000);

fn amounts(cpu_milli: u64) -> Amounts {
    let node =
        json!({ "status": { "allocatable": { "cpu": format!("{cpu_milli}m"), "memory": "1Gi", "pods": "110" } } });
    Amounts::of_node(&serde_json::from_value::<Node>(node).expect("a node"))
}

fn wants(cpu_milli: u64) -> Amounts {
    let container = json!({ "resources": { "requests": { "cpu": format!("{cpu_milli}m") } } });
    let pod = json!({ "spec": { "containers": [container] } });
    Amounts::of_pod(&serde_json::from_value::<Pod>(pod).expect("a pod"))
}

fn group(job: u64, count: u32, cpu_milli: u64, since: i64) -> Group {
    let member = |task| Waits {
        id: AttemptId { job: JobId(job), task, attempt: 1 },
        pod: PodReference { name: format!("{job}-{task}"), uid: format!("{job}-{task}"), gang: count > 1 },
        wants: wants(cpu_milli),
        terms: Vec::new(),
    };
    Group { members: (0..count).map(member).collect(), since: TimeMs(since), begun: false }
}

/// Nodes `a`, `b`, ... with so many millicores, of which so many are held by this centre.
fn places<'a>(labels: &'a BTreeMap<String, String>, rooms: &[(u64, u64)]) -> BTreeMap<String, Place<'a>> {
    let place = |(name, &(all, held)): (char, &(u64, u64))| {
        let (free, without_ours) = (amounts(all - held), amounts(all));
        (name.to_string(), Place { labels, free, without_ours, kept: false })
    };
    ('a'..).zip(rooms).map(place).collect()
}

/// Who goes where, as `JOB.TASK@NODE`, and who is stuck.
fn chosen(line: Vec<Group>, rooms: &[(u64, u64)]) -> (Vec<String>, Vec<u64>) {
    let labels = BTreeMap::new();
    let Chosen { bindings, stuck } = choose(line, places(&labels, rooms), NOW);
    let named = bindings.iter().map(|(one, node)| format!("{}.{}@{node}", one.id.job, one.id.task)).collect();
    (named, stuck.iter().map(|id| id.job.0).collect())
}

#[test]
fn a_pod_goes_to_the_fullest_node_and_a_gang_to_the_fewest() {
    let check = |line: Vec<Group>, rooms: &[(u64, u64)], expected: &[&str]| {
        assert_eq!(chosen(line, rooms).0, expected, "{rooms:?}");
    };
    check(vec![group(1, 1, 1_000, 0)], &[(4_000, 0), (4_000, 2_000), (4_000, 3_500)], &["1.0@b"]);
    check(vec![group(1, 1, 1_000, 0)], &[(4_000, 0), (4_000, 0)], &["1.0@a"]);
    check(vec![group(1, 2, 1_000, 0)], &[(4_000, 3_000), (4_000, 2_000), (4_000, 0)], &["1.0@b", "1.1@b"]);
    check(vec![group(1, 3, 1_000, 0)], &[(2_000, 0), (2_000, 1_000)], &["1.0@a", "1.1@a", "1.2@b"]);
    check(vec![group(1, 3, 1_000, 0)], &[(2_000, 1_000), (2_000, 1_000)], &[]);
    // Whoever came first is first, whatever its number.
    check(vec![group(1, 1, 1_000, 5), group(2, 1, 1_000, 4)], &[(1_000, 0)], &["2.0@a"]);
    check(vec![], &[(1_000, 0)], &[]);
}

#[test]
fn labels_say_where_a_pod_may_go() {
    let term = |key: &str, operator: &str, values: &[&str]| Term {
        match_expressions: vec![Expression {
            key: key.to_owned(),
            operator: operator.to_owned(),
            values: values.iter().map(|&value| value.to_owned()).collect(),
        }],
    };
    let labels = [("zone".to_owned(), "x".to_owned())].into();
    let check = |terms: &[Term], expected: bool| assert_eq!(suits(&labels, terms), expected, "{terms:?}");
    check(&[], true);
    check(&[term("zone", "In", &["x"])], true);
    check(&[term("zone", "In", &["y"])], false);
    check(&[term("zone", "In", &["y"]), term("gpu", "DoesNotExist", &[])], true);
    check(&[term("zone", "DoesNotExist", &[])], false);
    check(&[term("zone", "Gt", &["1"])], false);
}

#[test]
fn the_young_may_pass_for_a_while() {
    let held = [(2_000, 1_000)];
    let patient = NOW.0 - PASSED_MAX.0.cast_signed();
    let line = |since| vec![group(1, 1, 2_000, since), group(2, 1, 1_000, NOW.0)];
    assert_eq!(chosen(line(patient + 1), &held), (vec!["2.0@a".to_owned()], vec![]));
    assert_eq!(chosen(line(patient), &held), (vec![], vec![]), "it has waited for long enough");
    // What could never run holds nobody up.
    let line = vec![group(1, 1, 3_000, 0), group(2, 1, 1_000, NOW.0)];
    assert_eq!(chosen(line, &held), (vec!["2.0@a".to_owned()], vec![1]));
    // A gang of which a part has nodes waits for nobody, and nobody passes it.
    let begun = Group { begun: true, ..group(3, 1, 2_000, NOW.0) };
    assert_eq!(chosen(vec![group(2, 1, 1_000, 0), begun], &held), (vec![], vec![]));
}

#[test]
fn what_could_never_run_is_told_while_fewer_of_the_same_wait() {
    let check = |counts: &[u32], rooms: &[(u64, u64)], expected: &[u64]| {
        let line = (1..).zip(counts).map(|(job, &count)| group(job, count, 1_000, job.cast_signed())).collect();
        assert_eq!(chosen(line, rooms), (vec![], expected.to_vec()), "{counts:?} {rooms:?}");
    };
    let full = [(2_000, 2_000), (1_000, 1_000)];
    check(&[1, 1, 4, 3, 1], &full, &[3]);
    check(&[2, 3], &full, &[]);
    // One alarm is enough for all that are alike and no smaller.
    check(&[4, 4, 5], &full, &[1]);
    check(&[5, 4, 3], &full, &[1, 2]);
}

proptest! {
    #[test]
    fn nothing_is_given_twice_and_no_gang_in_part(
        line in prop::collection::vec(
            (1u32..6, prop_oneof![1u64..3_000, Just(1_000)], 0i64..1_000_000, any::<bool>()),
            0..20,
        ),
        rooms in prop::collection::vec((0u64..5_000).prop_flat_map(|all| (Just(all), 0..=all)), 0..8),
    ) {
        let groups: Vec<Group> = (1..)
            .zip(&line)
            .map(|(job, &(count, cpu, since, begun))| Group { begun, ..group(job, count, cpu, since) })
            .collect();
        let labels = BTreeMap::new();
        let Chosen { bindings, stuck } = choose(groups.clone(), places(&labels, &rooms), NOW);
        let mut reversed = groups.clone();
        reversed.reverse();
        let again = choose(reversed, places(&labels, &rooms), NOW);
        prop_assert_eq!(&bindings, &again.bindings, "whoever tells of them first");
        let mut left: BTreeMap<String, u64> = ('a'..).zip(&rooms).map(|(name, (all, held))| (name.to_string(), all - held)).collect();
        let mut counts: BTreeMap<u64, u32> = BTreeMap::new();
        for (one, node) in &bindings {
            let cpu = line[usize::try_from(one.id.job.0 - 1).expect("small")].1;
            let free = left.get_mut(node).expect("a node that is there");
            prop_assert!(*free >= cpu, "node {node} has {free}");
            *free -= cpu;
            *counts.entry(one.id.job.0).or_default() += 1;
        }
        for (job, &(count, cpu, _, _)) in (1u64..).zip(&line) {
            let bound = counts.get(&job).copied().unwrap_or(0);
            prop_assert!(bound == 0 || bound == count, "{bound} of {count} tasks of job {job}");
            let most: u64 = rooms.iter().map(|(all, _)| all / cpu).sum();
            if stuck.iter().any(|id| id.job.0 == job) {
                prop_assert!(bound == 0 && most < u64::from(count), "job {job} is stuck and {most} would fit");
            }
            if most < u64::from(count) {
                let told = |id: &AttemptId| {
                    let (fewer, same, ..) = line[usize::try_from(id.job.0 - 1).expect("small")];
                    same == cpu && fewer <= count
                };
                prop_assert!(stuck.iter().any(told), "nobody is told of job {job}");
            }
        }
        // Where nobody is kept out, whoever comes first and fits into what is left does get a node.
        if let Some(first) = groups.iter().min_by_key(|group| (!group.begun, group.since, group.members[0].id)) {
            let (count, cpu, ..) = line[usize::try_from(first.members[0].id.job.0 - 1).expect("small")];
            let room: u64 = rooms.iter().map(|(all, held)| (all - held) / cpu).sum();
            let bound = counts.contains_key(&first.members[0].id.job.0);
            prop_assert_eq!(bound, room >= u64::from(count), "the first in line");
        }
    }
}
