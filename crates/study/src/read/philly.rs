//! GPU jobs of Microsoft's Philly clusters as prepared for Sia (SOSP 2023), and Sia's own workloads made from them.
//!
//! Philly: Jeon et al., "Analysis of Large-Scale Multi-Tenant GPU Clusters for DNN Training Workloads", ATC 2019; times
//! are local to clusters that do not say where they are, so they are taken as they stand, as if they were UTC.

use super::{
    ReadError, Text,
    table::{Layout, Table, scaled_up},
    time::{local, utc_ms},
};
use jiff::tz::TimeZone;

/// One job of `philly.csv`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PhillyJob {
    /// When it was submitted, in milliseconds since 1970 on the clusters' clock.
    pub submit_at_ms: i64,
    /// How long it ran.
    pub run_ms: u64,
    /// How many whole GPUs it held.
    pub devices: u32,
    /// The virtual cluster, a hash of six digits.
    pub cluster: String,
}

/// Reads `timestamp,duration,num_gpus,gpu_time,cluster` with seconds. Every line becomes a job, none is dropped; they
/// are put in order of submission (the file is not), equal times in file order. `gpu_time` must be a number and is not
/// used: it repeats `duration * num_gpus`.
pub fn read_philly(text: &Text) -> Result<Vec<PhillyJob>, ReadError> {
    let mut table = Table::open(text, Layout::csv(&["timestamp", "duration", "num_gpus", "gpu_time", "cluster"]))?;
    let mut jobs = Vec::new();
    while let Some(row) = table.row()? {
        row.read(3, "a number of GPU seconds", |found| scaled_up(found, 1.0))?;
        jobs.push(PhillyJob {
            submit_at_ms: row.read(0, "a time such as 2017-10-09 07:01:55", |found| {
                utc_ms(local(found, "%Y-%m-%d %H:%M:%S")?, &TimeZone::UTC)
            })?,
            run_ms: row.read(1, "a number of seconds", |found| scaled_up(found, 1e3))?,
            devices: row.parse(2, "a whole number of GPUs")?,
            cluster: row.text(4).to_owned(),
        });
    }
    jobs.sort_by_key(|job| job.submit_at_ms);
    Ok(jobs)
}

/// One job of a Sia workload. How long it runs depends on the devices it gets, so it has no run time here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SiaJob {
    /// Its name, unique in its file.
    pub name: String,
    /// When it is submitted, from the start of the workload.
    pub submit_at_ms: u64,
    /// What it trains, such as `cifar10`.
    pub application: String,
    /// How many GPUs its user asked for.
    pub replicas: u32,
    /// Its batch size in samples.
    pub batch_size: u32,
}

/// Reads `name,time,application,num_replicas,batch_size` with seconds, in file order; none is dropped.
pub fn read_sia(text: &Text) -> Result<Vec<SiaJob>, ReadError> {
    let mut table = Table::open(text, Layout::csv(&["name", "time", "application", "num_replicas", "batch_size"]))?;
    let mut jobs = Vec::new();
    while let Some(row) = table.row()? {
        jobs.push(SiaJob {
            name: row.text(0).to_owned(),
            submit_at_ms: row.read(1, "a number of seconds", |found| scaled_up(found, 1e3))?,
            application: row.text(2).to_owned(),
            replicas: row.parse(3, "a whole number of replicas")?,
            batch_size: row.parse(4, "a whole number of samples")?,
        });
    }
    Ok(jobs)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn philly_jobs_are_in_order_of_submission() {
        let text = "timestamp,duration,num_gpus,gpu_time,cluster\n2017-10-09 07:01:55,66.0,1,66.0,aaaaaa\n\
                    2017-10-09 06:13:03,2951.5,4,11806.0,bbbbbb\n";
        let job = |submit_at_ms, run_ms, devices, cluster: &str| PhillyJob {
            submit_at_ms,
            run_ms,
            devices,
            cluster: cluster.to_owned(),
        };
        assert_eq!(
            read_philly(&Text::new("philly.csv", text)).expect("well formed"),
            [job(1_507_529_583_000, 2_951_500, 4, "bbbbbb"), job(1_507_532_515_000, 66_000, 1, "aaaaaa")],
        );
    }

    #[test]
    fn what_is_wrong_is_said_with_its_place() {
        fn check(line: &str, expected: &str) {
            let text = format!("timestamp,duration,num_gpus,gpu_time,cluster\n{line}\n");
            let error = read_philly(&Text::new("philly.csv", text)).expect_err("malformed").to_string();
            assert!(error.contains("line 2") && error.contains(expected), "{error}");
        }
        check("2017-10-09,66.0,1,66.0,a", "field `timestamp`: `2017-10-09` where a time");
        check("2017-10-09 07:01:55,-1,1,66.0,a", "field `duration`: `-1`");
        check("2017-10-09 07:01:55,1,1.5,66.0,a", "field `num_gpus`: `1.5`");
        check("2017-10-09 07:01:55,1,1,x,a", "field `gpu_time`: `x`");
        check("2017-10-09 07:01:55,1,1", "3 values where the header names 5");
    }

    #[test]
    fn sia_workloads_keep_their_order() {
        let text = "name,time,application,num_replicas,batch_size\nb-0,107,b,6,2048\na-1,7.5,a,2,320\n";
        let jobs = read_sia(&Text::new("workload.csv", text)).expect("well formed");
        let rows: Vec<_> = jobs.iter().map(|job| (job.name.as_str(), job.submit_at_ms, job.replicas)).collect();
        assert_eq!(rows, [("b-0", 107_000, 6), ("a-1", 7_500, 2)]);
        assert_eq!((jobs[1].application.as_str(), jobs[1].batch_size), ("a", 320));
    }
}
