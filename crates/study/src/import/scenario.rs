//! A site as a scenario file with its trace, to be changed by hand and run with `huisuan twin run`.

use std::fmt::Write as _;

use super::{
    ImportedCentre, ImportedPool, Job, Network, Workload,
    asked::{Asked, asked, part_id},
    network::id_of,
    simulate::{CORE_GFLOP_PER_S, DEVICE_GFLOP_PER_S, PLAN_EVERY_MS, room_gib},
};

/// The name of the trace that the scenario refers to, in the same folder.
pub const JOBS_FILE: &str = "jobs.csv";

/// The most cores and GiB that a scenario's node may have; larger pools are made of several.
const NODE_MAX: u64 = 1_000_000;

/// The longest scenario, in hours: ten years.
const HOURS_MAX: u64 = 87_840;

/// The seed of what is made: nothing in it is drawn at random.
pub const SEED: u64 = 1;

/// The scenario file: centres, tenants, and the trace [`JOBS_FILE`].
pub fn scenario_toml(name: &str, workload: &Workload, network: &Network) -> String {
    let (jobs, name) = (&workload.jobs, id_of(name, "site"));
    let start_ms = jobs.first().map_or(0, |job| job.submit_at_ms);
    let asked = asked(workload, network, false);
    let hours = (span_ms(jobs, &asked, network) / 3_600_000 + 1).min(HOURS_MAX);
    let start = jiff::Timestamp::from_millisecond(start_ms).map_or_else(|_| String::new(), |time| time.to_string());
    let mut text = format!(
        "# A trace, made into a scenario by `huisuan twin import`. Jobs run as long as they did; prices and rates are assumed:\n\
         # nothing is paid, and a core counts {CORE_GFLOP_PER_S} GFLOP/s, an accelerator {DEVICE_GFLOP_PER_S}.\n\
         name = \"{name}\"\nstart = {start}\nhours = {hours}\nseed = {SEED}\n\n\
         [planning]\nevery_ms = {PLAN_EVERY_MS}\n"
    );
    let mut tenants: Vec<String> = asked.into_iter().map(|asked| asked.tenant).collect();
    tenants.sort();
    tenants.dedup();
    for tenant in tenants {
        let _ = write!(text, "\n[[tenant]]\nid = \"{tenant}\"\nfunds_cny = 0\njobs_max = {}\n", jobs.len());
    }
    for centre in &network.centres {
        centre_toml(&mut text, centre);
    }
    let _ = write!(text, "\n[[trace]]\nname = \"{name}\"\nfile = \"{JOBS_FILE}\"\n");
    text
}

/// How long the scenario lasts, in milliseconds: long enough for other policies than the site's, too. What leaves no
/// room idle for which a job waits takes at most `s + 1` times the best possible with `s` resources (Garey & Graham
/// 1975). Pools counted one after the other leave room for policies that keep some idle for a promise.
fn span_ms(jobs: &[Job], asked: &[Asked], network: &Network) -> u64 {
    const RESOURCES: u64 = 3;
    let start_ms = jobs.first().map_or(0, |job| job.submit_at_ms);
    let submitting_ms = jobs.last().map_or(0, |job| job.submit_at_ms.abs_diff(start_ms));
    let longest_ms = jobs.iter().map(|job| job.run_ms).max().unwrap_or(0);
    let filled_ms = jobs.iter().zip(asked).fold(0_u64, |sum, (job, asked)| {
        sum.saturating_add(network.pool_of(asked).map_or(job.run_ms, |pool| filled_ms(job.run_ms, asked, pool)))
    });
    let list_ms = filled_ms.saturating_add(longest_ms).saturating_mul(RESOURCES + 1);
    submitting_ms.saturating_add(list_ms)
}

/// How long a whole pool would be busy with one job, in milliseconds, by what it takes most of.
fn filled_ms(run_ms: u64, asked: &Asked, pool: &ImportedPool) -> u64 {
    let share = |part: u64, whole: u64| {
        let filled = u128::from(run_ms) * u128::from(part);
        u64::try_from(filled.div_ceil(u128::from(whole.max(1)))).unwrap_or(u64::MAX).min(run_ms)
    };
    share(asked.cores, pool.cores)
        .max(share(asked.devices, pool.devices))
        .max(share(asked.memory_bytes, room_gib(pool) << 30))
}

fn centre_toml(text: &mut String, centre: &ImportedCentre) {
    let class = if centre.pools.iter().any(|pool| pool.devices > 0) { "ai" } else { "hpc" };
    let _ = write!(
        text,
        "\n[[centre]]\nid = \"{}\"\nclass = \"{class}\"\nengine = \"simulated\"\nzone = \"UTC\"\n\
         price_cny_per_p_h = 0\norder_delay_ms = 0\nreport_delay_ms = 0\n",
        centre.name,
    );
    for pool in &centre.pools {
        pool_toml(text, pool);
    }
}

fn pool_toml(text: &mut String, pool: &ImportedPool) {
    let gib = room_gib(pool);
    let nodes = pool.cores.max(gib).div_ceil(NODE_MAX).max(1);
    let (count, each) =
        if pool.devices > 0 { (pool.devices, DEVICE_GFLOP_PER_S) } else { (pool.cores, CORE_GFLOP_PER_S) };
    let _ = write!(
        text,
        "[[centre.pool]]\npart = \"{}\"\nnodes = {nodes}\nnode_tflops = {}\nnode_devices = {}\nnode_cores = {}\n\
         node_memory_gib = {}\nsustained_percent = 100\n",
        part_id(&pool.part),
        (count.max(1) as f64) * each as f64 / 1000.0 / nodes as f64,
        pool.devices.div_ceil(nodes),
        pool.cores.div_ceil(nodes).max(1),
        gib.div_ceil(nodes),
    );
}

/// The trace of the scenario, in the columns that scenarios read.
pub fn jobs_csv(workload: &Workload, network: &Network, anywhere: bool) -> String {
    let start_ms = workload.jobs.first().map_or(0, |job| job.submit_at_ms);
    let mut text =
        "submit_ms,run_ms,walltime_ms,tasks,gang,millicores,millidevices,memory_mib,class,centre,part,tenant,\
                    project,exit_code\n"
            .to_owned();
    for (job, asked) in workload.jobs.iter().zip(asked(workload, network, anywhere)) {
        let _ = writeln!(
            text,
            "{},{},{},1,0,{},{},{},,{},{},{},{},0",
            job.submit_at_ms - start_ms,
            job.run_ms,
            asked.walltime_ms,
            asked.cores * 1000,
            asked.devices * 1000,
            asked.memory_bytes >> 20,
            asked.centre.unwrap_or_default(),
            asked.part.unwrap_or_default(),
            asked.tenant,
            asked.project,
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::import::{CPU, SizedBy};

    #[test]
    fn a_site_is_written_as_a_scenario() {
        let pool =
            |part: &str, cores, devices| ImportedPool { part: part.into(), cores, memory_bytes: 3 << 30, devices };
        let centre = ImportedCentre {
            name: "c".into(),
            cluster: "c".into(),
            partitions: vec!["p".into()],
            sized_by: SizedBy::Nodes,
            pools: vec![pool(CPU, 1_500_000, 0), pool("h100", 8, 2)],
        };
        let network = Network { centres: vec![centre] };
        let job = Job {
            submit_at_ms: 1_767_225_600_000,
            run_ms: 60_000,
            cores: 4,
            devices: 1,
            part: "h100".into(),
            account: "lab a".into(),
            cluster: "c".into(),
            partition: "p".into(),
            ..Job::default()
        };
        let later = Job { submit_at_ms: 1_767_225_601_000, devices: 0, walltime_ms: Some(5), ..job.clone() };
        let workload = Workload { jobs: vec![job, later] };
        let toml = scenario_toml("site", &workload, &network);
        for part in [
            "start = 2026-01-01T00:00:00Z\nhours = 1\n",
            "[[tenant]]\nid = \"lab-a\"\n",
            "[[centre]]\nid = \"c\"\nclass = \"ai\"\n",
            "part = \"cpu\"\nnodes = 2\nnode_tflops = 7500\nnode_devices = 0\nnode_cores = 750000\nnode_memory_gib = 734\n",
            "part = \"h100\"\nnodes = 1\nnode_tflops = 200\nnode_devices = 2\nnode_cores = 8\nnode_memory_gib = 4\n",
            "[[trace]]\nname = \"site\"\nfile = \"jobs.csv\"\n",
        ] {
            assert!(toml.contains(part), "{part} in {toml}");
        }
        let csv = jobs_csv(&workload, &network, false);
        let rows: Vec<&str> = csv.lines().skip(1).collect();
        assert_eq!(
            rows,
            [
                "0,60000,60000,1,0,4000,1000,1,,c,h100,lab-a,nobody,0",
                "1000,60000,60000,1,0,4000,0,1,,c,,lab-a,nobody,0"
            ],
        );
        assert!(jobs_csv(&workload, &network, true).contains(",1,,,h100,"));
    }
}
