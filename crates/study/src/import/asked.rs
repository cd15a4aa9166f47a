//! What a job of a trace asks of the network: the same for a run at once and for a scenario file.

use std::collections::BTreeMap;

use huisuan_model::spec::limits;

use super::{Job, Network, Workload, network::id_of};

/// What one job asks. Names are in the alphabet of ids.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Asked {
    pub(super) cores: u64,
    /// Whole MiB, at least one.
    pub(super) memory_bytes: u64,
    pub(super) devices: u64,
    /// The part number that it wants, if it named one that there is: nodes may not tell their types.
    pub(super) part: Option<String>,
    pub(super) walltime_ms: u64,
    /// Where it must run.
    pub(super) centre: Option<String>,
    pub(super) tenant: String,
    pub(super) project: String,
}

/// What all jobs ask, in their order.
pub(super) fn asked(workload: &Workload, network: &Network, anywhere: bool) -> Vec<Asked> {
    let longest_ms = partition_limits(&workload.jobs);
    let of = |job: &Job| {
        let told = job.walltime_ms.or_else(|| longest_ms.get(&(&*job.cluster, &*job.partition)).copied());
        let limit_ms = told.filter(|&limit_ms| limit_ms > 0).unwrap_or(limits::WALLTIME_MS_MAX);
        let home = network.centre_of(job).filter(|_| !anywhere);
        Asked {
            cores: u64::from(job.cores.max(1)),
            memory_bytes: job.memory_bytes.clamp(1, limits::MEMORY_MAX).next_multiple_of(1 << 20),
            devices: u64::from(job.devices),
            part: (job.devices > 0 && network.has_part(&job.part)).then(|| part_id(&job.part)),
            // Slurm ends a job some time after its limit; ours must not be ended earlier than it was.
            walltime_ms: limit_ms.max(job.run_ms).clamp(1, limits::WALLTIME_MS_MAX),
            centre: home.map(|centre| centre.name.clone()),
            tenant: id_of(&job.account, "nobody"),
            project: id_of(&job.user, "nobody"),
        }
    };
    workload.jobs.iter().map(of).collect()
}

/// A part number in the alphabet of ids.
pub(super) fn part_id(part: &str) -> String {
    id_of(part, super::GPU)
}

/// The longest limit that a job of each partition told: that of jobs that told none.
fn partition_limits(jobs: &[Job]) -> BTreeMap<(&str, &str), u64> {
    let mut longest_ms = BTreeMap::new();
    for job in jobs {
        let longest = longest_ms.entry((&*job.cluster, &*job.partition)).or_insert(0);
        *longest = job.walltime_ms.unwrap_or(0).max(*longest);
    }
    longest_ms
}
