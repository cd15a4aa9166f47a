//! Waits as they were, beside waits as they would have been.

use std::collections::BTreeMap;

use serde::Serialize;

use super::{Fate, Job, Simulation, Workload};
use crate::statistics::{BOUND_MS, Summary, mean_bounded_slowdown};

/// What is compared, over the jobs that started both times; of a trace that tells no waits, over those that started.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Comparison {
    /// All jobs.
    pub all: Group,
    /// By cluster and partition, in the order of names.
    pub partitions: Vec<Group>,
    /// By user, those with the most core hours first.
    pub users: Vec<Group>,
    /// Jobs that the network would have refused: they are larger than their centre.
    pub refused: u64,
    /// Jobs that were never started.
    pub never_started: u64,
}

/// Some jobs.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Group {
    /// What they share; empty for all.
    pub name: String,
    /// How many they are.
    pub jobs: u64,
    /// What they held.
    pub core_h: f64,
    /// What they held of accelerators.
    pub device_h: f64,
    /// As it was; absent where the trace tells of no wait at all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed: Option<Waits>,
    /// As it would have been.
    pub modelled: Waits,
}

/// How long jobs waited.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Waits {
    /// The mean, in seconds.
    pub mean_s: f64,
    /// The median, in seconds.
    pub p50_s: f64,
    /// What 95 of 100 did not exceed, in seconds.
    pub p95_s: f64,
    /// The longest, in seconds.
    pub max_s: f64,
    /// The mean bounded slowdown, with a bound of 10 s.
    pub mean_bounded_slowdown: f64,
}

/// A job with the wait that it had, where the trace tells waits, and the one that it would have had.
type Twice<'a> = (&'a Job, Option<u64>, u64);

/// Compares a workload with its simulation.
pub fn compare(workload: &Workload, simulation: &Simulation) -> Comparison {
    let fates = || workload.jobs.iter().zip(&simulation.fates);
    let told = workload.jobs.iter().any(|job| job.observed_wait_ms.is_some());
    let both: Vec<Twice<'_>> = fates()
        .filter_map(|(job, fate)| match (job.observed_wait_ms, fate) {
            (None, _) if told => None,
            (observed_ms, Fate::Started { wait_ms }) => Some((job, observed_ms, *wait_ms)),
            _ => None,
        })
        .collect();
    let partition = |job: &Job| match &*job.cluster {
        "" => job.partition.clone(),
        cluster => format!("{cluster}/{}", job.partition),
    };
    let mut users = grouped(&both, |job| job.user.clone());
    users.sort_by(|a, b| b.core_h.total_cmp(&a.core_h).then_with(|| a.name.cmp(&b.name)));
    Comparison {
        all: group(String::new(), &both),
        partitions: grouped(&both, partition),
        users,
        refused: fates().filter(|(_, fate)| matches!(fate, Fate::Refused(_))).count() as u64,
        never_started: fates().filter(|(_, fate)| **fate == Fate::Waiting).count() as u64,
    }
}

fn grouped<'a>(jobs: &[Twice<'a>], name: impl Fn(&Job) -> String) -> Vec<Group> {
    let mut groups: BTreeMap<String, Vec<Twice<'a>>> = BTreeMap::new();
    for job in jobs {
        groups.entry(name(job.0)).or_default().push(*job);
    }
    groups.into_iter().map(|(name, jobs)| group(name, &jobs)).collect()
}

fn group(name: String, jobs: &[Twice<'_>]) -> Group {
    let hours = |held: fn(&Job) -> u32| {
        let held_ms: u128 = jobs.iter().map(|(job, ..)| u128::from(job.run_ms) * u128::from(held(job))).sum();
        held_ms as f64 / 3_600_000.0
    };
    Group {
        name,
        jobs: jobs.len() as u64,
        core_h: hours(|job| job.cores),
        device_h: hours(|job| job.devices),
        observed: jobs
            .iter()
            .all(|(_, observed_ms, _)| observed_ms.is_some())
            .then(|| waits(jobs.iter().map(|(job, observed_ms, _)| (observed_ms.unwrap_or(0), job.run_ms)))),
        modelled: waits(jobs.iter().map(|(job, _, modelled_ms)| (*modelled_ms, job.run_ms))),
    }
}

fn waits(jobs: impl Iterator<Item = (u64, u64)> + Clone) -> Waits {
    let mut waits_ms: Vec<u64> = jobs.clone().map(|(wait_ms, _)| wait_ms).collect();
    let summary = Summary::of(&mut waits_ms);
    let seconds = |value: fn(&Summary) -> f64| summary.as_ref().map_or(0.0, |summary| value(summary) / 1000.0);
    Waits {
        mean_s: seconds(|summary| summary.mean),
        p50_s: seconds(|summary| summary.p50 as f64),
        p95_s: seconds(|summary| summary.p95 as f64),
        max_s: seconds(|summary| summary.max as f64),
        mean_bounded_slowdown: mean_bounded_slowdown(jobs, BOUND_MS).unwrap_or(1.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_hold_the_jobs_that_started_both_times() {
        let job = |user: &str, cluster: &str, observed_s: Option<u64>| Job {
            user: user.into(),
            cluster: cluster.into(),
            partition: "p".into(),
            run_ms: 3_600_000,
            cores: 2,
            observed_wait_ms: observed_s.map(|seconds| seconds * 1000),
            ..Job::default()
        };
        let started = |wait_s: u64| Fate::Started { wait_ms: wait_s * 1000 };
        let rows = [
            (job("ann", "c", Some(10)), started(0)),
            (job("bo", "c", Some(20)), started(40)),
            (job("bo", "", Some(3600)), started(0)),
            (job("bo", "c", None), started(7)),
            (job("cy", "c", Some(1)), Fate::Waiting),
            (job("cy", "c", Some(1)), Fate::Refused("too large".into())),
        ];
        let (jobs, fates) = rows.into_iter().unzip();
        let simulation = Simulation { fates, decision_hash: String::new(), cycles: 0 };
        let found = compare(&Workload { jobs }, &simulation);
        assert_eq!((found.refused, found.never_started, found.all.jobs), (1, 1, 3));
        let names = |groups: &[Group]| groups.iter().map(|group| group.name.clone()).collect::<Vec<_>>();
        assert_eq!(names(&found.partitions), ["c/p", "p"]);
        assert_eq!(names(&found.users), ["bo", "ann"]);
        let bo = &found.users[0];
        let observed = bo.observed.as_ref().expect("waits are told");
        assert_eq!((bo.jobs, bo.core_h, observed.max_s, bo.modelled.mean_s), (2, 4.0, 3600.0, 20.0));
        assert!(observed.mean_bounded_slowdown > 1.5 && bo.modelled.mean_bounded_slowdown < 1.01);
    }

    #[test]
    fn a_trace_without_waits_has_modelled_ones_alone() {
        let jobs = vec![Job { run_ms: 10_000, ..Job::default() }; 2];
        let fates = vec![Fate::Started { wait_ms: 10_000 }, Fate::Started { wait_ms: 0 }];
        let found = compare(&Workload { jobs }, &Simulation { fates, decision_hash: String::new(), cycles: 0 });
        assert_eq!((found.all.jobs, found.all.observed, found.all.modelled.mean_s), (2, None, 5.0));
    }
}
