//! The network of jobs that nobody told a network of: assumed, and as large as they need.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    CPU, GPU, ImportedCentre, ImportedPool, Job, Network, SizedBy, Workload,
    network::{free_name, id_of},
    peak::Peak,
};

impl Network {
    /// One centre for all of these jobs, or, with `apart`, one for each of their partitions; of the given names
    /// or those of the partitions. Each has the processors that the log told of its one machine, else as many
    /// as its jobs would hold at once if none waited longer than it did; in one pool for jobs with accelerators of a
    /// type, and one for those without.
    pub fn of_jobs(workload: &Workload, name: &str, processors: Option<u64>, apart: bool) -> Network {
        let mut groups: BTreeMap<String, Vec<&Job>> = BTreeMap::new();
        for job in &workload.jobs {
            groups.entry(if apart { job.partition.clone() } else { name.to_owned() }).or_default().push(job);
        }
        let processors = processors.filter(|_| groups.len() == 1);
        let mut names = BTreeSet::new();
        let mut centres: Vec<ImportedCentre> = groups
            .into_iter()
            .map(|(wanted, jobs)| centre(free_name(&id_of(&wanted, name), &mut names), &jobs, processors))
            .collect();
        centres.sort_by(|a, b| a.name.cmp(&b.name));
        Network { centres }
    }
}

fn centre(name: String, jobs: &[&Job], processors: Option<u64>) -> ImportedCentre {
    let partitions: BTreeSet<&str> = jobs.iter().map(|job| job.partition.as_str()).collect();
    let mut peaks: BTreeMap<&str, Peak> = BTreeMap::new();
    for job in jobs {
        let part = match (job.devices, &*job.part) {
            (0, _) => CPU,
            (_, "") => GPU,
            (_, part) => part,
        };
        let started_ms = job.submit_at_ms.saturating_add_unsigned(job.observed_wait_ms.unwrap_or(0));
        let held = [u64::from(job.cores), job.memory_bytes, u64::from(job.devices)];
        peaks.entry(part).or_default().add(started_ms, job.run_ms, held);
    }
    let mut pools: Vec<ImportedPool> = peaks.into_iter().map(|(part, peak)| peak.pool(part)).collect();
    let mut sized_by = SizedBy::Peak;
    if let ([only], Some(processors)) = (&mut pools[..], processors)
        && only.devices == 0
    {
        (only.cores, sized_by) = (processors, SizedBy::Log);
    }
    ImportedCentre {
        name,
        cluster: String::new(),
        partitions: partitions.into_iter().map(str::to_owned).collect(),
        sized_by,
        pools,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn job(partition: &str, submit_at_ms: i64, wait_ms: u64, cores: u32, devices: u32) -> Job {
        Job {
            partition: partition.into(),
            submit_at_ms,
            observed_wait_ms: Some(wait_ms),
            run_ms: 10,
            cores,
            devices,
            ..Job::default()
        }
    }

    fn check(jobs: &[Job], processors: Option<u64>, apart: bool, expected: &[(&str, &str, u64, u64)]) {
        let network = Network::of_jobs(&Workload { jobs: jobs.to_vec() }, "log", processors, apart);
        let pools = network.centres.iter().flat_map(|centre| {
            centre.pools.iter().map(|pool| (centre.name.as_str(), pool.part.as_str(), pool.cores, pool.devices))
        });
        assert_eq!(pools.collect::<Vec<_>>(), expected);
        for job in jobs {
            assert!(network.centre_of(job).is_some(), "{job:?}");
        }
    }

    #[test]
    fn a_centre_is_as_large_as_its_jobs_need() {
        let jobs = [job("p", 0, 0, 4, 0), job("q", 5, 0, 3, 0), job("q", 5, 5, 2, 1)];
        check(&jobs, None, false, &[("log", CPU, 7, 0), ("log", GPU, 2, 1)]);
        check(&jobs[..2], Some(128), false, &[("log", CPU, 128, 0)]);
        // Processors of the whole machine are those of no single partition.
        check(&jobs, Some(128), true, &[("p", CPU, 4, 0), ("q", CPU, 3, 0), ("q", GPU, 2, 1)]);
        check(&[], None, false, &[]);
    }
}
