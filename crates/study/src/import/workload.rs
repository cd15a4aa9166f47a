//! Jobs as every trace can tell them, and their own file format.

use std::{collections::BTreeSet, fmt::Write as _};

use crate::read::{
    ReadError, SwfJob, Text,
    azure::InferenceRequest,
    gaia::GaiaJob,
    philly::{PhillyJob, SiaJob},
    sacct::SacctJob,
    table::{Layout, Table},
};

/// Jobs in order of submission.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Workload {
    /// The jobs.
    pub jobs: Vec<Job>,
}

/// One job of a trace. What a trace does not tell is empty or `None`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Job {
    /// What its site calls it.
    pub name: String,
    /// When it could first start, in milliseconds since 1970 UTC, or from the start of a trace that has no date.
    pub submit_at_ms: i64,
    /// How long it ran.
    pub run_ms: u64,
    /// How long it might have run.
    pub walltime_ms: Option<u64>,
    /// Cores it held in all.
    pub cores: u32,
    /// Memory it held in all; 0 where it is not told.
    pub memory_bytes: u64,
    /// Accelerators it held in all.
    pub devices: u32,
    /// Their type.
    pub part: String,
    /// Nodes that it was spread over; 0 where it is not told.
    pub nodes: u32,
    /// Who.
    pub user: String,
    /// For whom.
    pub account: String,
    /// The cluster.
    pub cluster: String,
    /// The partition or queue.
    pub partition: String,
    /// How long it waited where it really ran.
    pub observed_wait_ms: Option<u64>,
}

/// How fast a device serves a language model, in tokens per second.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TokenRates {
    /// Tokens of the prompt.
    pub prompt: u32,
    /// Tokens of the answer.
    pub answer: u32,
}

/// The columns of a workload file, in the order in which they are written.
pub const COLUMNS: [&str; 14] = [
    "name",
    "submit_at_ms",
    "run_ms",
    "walltime_ms",
    "cores",
    "memory_bytes",
    "devices",
    "part",
    "nodes",
    "user",
    "account",
    "cluster",
    "partition",
    "observed_wait_ms",
];

impl Workload {
    /// The jobs of a dump of Slurm's accounting. They are submitted when they were eligible: what they waited for
    /// before (other jobs, their begin time, their array's limit) is no matter of a policy.
    pub fn of_sacct(jobs: &[SacctJob]) -> Workload {
        let job = |job: &SacctJob| Job {
            name: job.id.clone(),
            submit_at_ms: job.eligible_at_ms,
            run_ms: job.run_ms,
            walltime_ms: job.walltime_ms,
            cores: job.cores,
            memory_bytes: job.memory_bytes.unwrap_or(0),
            devices: job.devices,
            part: job.part.clone(),
            nodes: job.nodes,
            user: job.user.clone(),
            account: job.account.clone(),
            cluster: job.cluster.clone(),
            partition: job.partition.clone(),
            observed_wait_ms: Some(u64::try_from(job.start_at_ms - job.eligible_at_ms).unwrap_or(0)),
        };
        Workload { jobs: jobs.iter().map(job).collect() }
    }

    /// The jobs of a log in SWF that had processors and ran; a log without dates counts from its beginning. Where the
    /// log tells of several partitions they are kept. What it says of memory is left out, for it does not say what its
    /// machine has.
    pub fn of_swf(jobs: &[SwfJob]) -> Workload {
        let partitions: BTreeSet<u64> = jobs.iter().filter_map(|job| job.partition).collect();
        let named = |prefix: &str, number: Option<u64>| number.map_or_else(String::new, |at| format!("{prefix}{at}"));
        let job = |job: &SwfJob| {
            let held = job.processors().filter(|processors| *processors > 0)?;
            let run_ms = job.run_ms.filter(|run_ms| *run_ms > 0)?;
            Some(Job {
                name: job.number.to_string(),
                submit_at_ms: i64::try_from(job.submit_ms).unwrap_or(i64::MAX),
                run_ms,
                walltime_ms: job.time_requested_ms.filter(|limit_ms| *limit_ms > 0),
                cores: u32::try_from(held).unwrap_or(u32::MAX),
                user: named("u", job.user),
                account: named("g", job.group),
                partition: if partitions.len() > 1 { named("p", job.partition) } else { String::new() },
                observed_wait_ms: job.wait_ms,
                ..Job::default()
            })
        };
        let mut jobs: Vec<Job> = jobs.iter().filter_map(job).collect();
        jobs.sort_by_key(|job| job.submit_at_ms);
        Workload { jobs }
    }

    /// The jobs of a Sia workload; their applications are partitions. How long such a job runs depends on its devices,
    /// so that the workload does not say it: each is given `run_ms`, and each GPU `cores_per_device`.
    pub fn of_sia(jobs: &[SiaJob], run_ms: u64, cores_per_device: u32) -> Workload {
        let job = |job: &SiaJob| Job {
            name: job.name.clone(),
            submit_at_ms: i64::try_from(job.submit_at_ms).unwrap_or(i64::MAX),
            run_ms,
            cores: job.replicas.saturating_mul(cores_per_device),
            devices: job.replicas,
            partition: job.application.clone(),
            ..Job::default()
        };
        let mut jobs: Vec<Job> = jobs.iter().map(job).collect();
        jobs.sort_by_key(|job| job.submit_at_ms);
        Workload { jobs }
    }

    /// Requests to a language model, numbered from 1: each holds one device alone for as long as its prompt is read and
    /// its answer written, at these tokens per second (at least one).
    pub fn of_azure(requests: &[InferenceRequest], per_s: TokenRates, cores_per_device: u32) -> Workload {
        let ms = |tokens: u32, per_s: u32| (u64::from(tokens) * 1_000).div_ceil(u64::from(per_s.max(1)));
        let job = |(number, request): (usize, &InferenceRequest)| Job {
            name: (number + 1).to_string(),
            submit_at_ms: request.at_ms,
            run_ms: ms(request.context_tokens, per_s.prompt) + ms(request.generated_tokens, per_s.answer),
            cores: cores_per_device,
            devices: 1,
            ..Job::default()
        };
        Workload { jobs: requests.iter().enumerate().map(job).collect() }
    }

    /// Philly's jobs, numbered from 1. The trace tells no cores; each GPU is given `cores_per_device`.
    pub fn of_philly(jobs: &[PhillyJob], cores_per_device: u32) -> Workload {
        let job = |(number, job): (usize, &PhillyJob)| Job {
            name: (number + 1).to_string(),
            submit_at_ms: job.submit_at_ms,
            run_ms: job.run_ms,
            cores: job.devices.saturating_mul(cores_per_device),
            devices: job.devices,
            account: job.cluster.clone(),
            partition: job.cluster.clone(),
            ..Job::default()
        };
        Workload { jobs: jobs.iter().enumerate().map(job).collect() }
    }

    /// GAIA's jobs, numbered from 1.
    pub fn of_gaia(jobs: &[GaiaJob]) -> Workload {
        let job = |(number, job): (usize, &GaiaJob)| Job {
            name: (number + 1).to_string(),
            submit_at_ms: i64::try_from(job.submit_at_ms).unwrap_or(i64::MAX),
            run_ms: job.run_ms,
            cores: job.cores,
            ..Job::default()
        };
        Workload { jobs: jobs.iter().enumerate().map(job).collect() }
    }

    /// Reads what [`Workload::to_csv`] wrote; columns may stand in any order, jobs must be in order of submission.
    pub fn read(text: &Text) -> Result<Workload, ReadError> {
        let mut table = Table::open(text, Layout::csv(&COLUMNS))?;
        let mut jobs: Vec<Job> = Vec::new();
        while let Some(row) = table.row()? {
            let owned = |column| row.text(column).to_owned();
            let amount = |column| row.parse(column, "a whole number");
            let duration = |column| row.parse::<u64>(column, "whole milliseconds");
            let maybe = |column| if row.text(column).is_empty() { Ok(None) } else { duration(column).map(Some) };
            let submit_at_ms = row.parse(1, "whole milliseconds")?;
            if jobs.last().is_some_and(|last| last.submit_at_ms > submit_at_ms) {
                return Err(text.field(row.line, COLUMNS[1], row.text(1), "a time not before that of the line before"));
            }
            jobs.push(Job {
                name: owned(0),
                submit_at_ms,
                run_ms: duration(2)?,
                walltime_ms: maybe(3)?,
                cores: amount(4)?,
                memory_bytes: row.parse(5, "a whole number of bytes")?,
                devices: amount(6)?,
                part: owned(7),
                nodes: amount(8)?,
                user: owned(9),
                account: owned(10),
                cluster: owned(11),
                partition: owned(12),
                observed_wait_ms: maybe(13)?,
            });
        }
        Ok(Workload { jobs })
    }

    /// The jobs as comma-separated values under [`COLUMNS`]; the same jobs give the same bytes.
    pub fn to_csv(&self) -> String {
        let mut text = COLUMNS.join(",");
        text.push('\n');
        for job in &self.jobs {
            let maybe = |value: Option<u64>| value.map_or_else(String::new, |value| value.to_string());
            let _ = writeln!(
                text,
                "{},{},{},{},{},{},{},{},{},{},{},{},{},{}",
                quoted(&job.name),
                job.submit_at_ms,
                job.run_ms,
                maybe(job.walltime_ms),
                job.cores,
                job.memory_bytes,
                job.devices,
                quoted(&job.part),
                job.nodes,
                quoted(&job.user),
                quoted(&job.account),
                quoted(&job.cluster),
                quoted(&job.partition),
                maybe(job.observed_wait_ms),
            );
        }
        text
    }
}

/// A value as RFC 4180 wants it.
fn quoted(value: &str) -> String {
    if value.contains([',', '"', '\n', '\r']) {
        format!("\"{}\"", value.replace('"', "\"\""))
    } else {
        value.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_form_of_the_file_is_pinned() {
        let job = Job {
            name: "7_2".into(),
            submit_at_ms: 1000,
            run_ms: 5,
            cores: 4,
            user: "a,\"b".into(),
            observed_wait_ms: Some(0),
            ..Job::default()
        };
        let text = "name,submit_at_ms,run_ms,walltime_ms,cores,memory_bytes,devices,part,nodes,user,account,cluster,\
                    partition,observed_wait_ms\n7_2,1000,5,,4,0,0,,0,\"a,\"\"b\",,,,0\n";
        let workload = Workload { jobs: vec![job] };
        assert_eq!(workload.to_csv(), text);
        assert_eq!(Workload::read(&Text::new("w.csv", text)).expect("well formed"), workload);
    }

    #[test]
    fn what_is_wrong_is_said_with_its_place() {
        fn check(rows: &str, expected: &str) {
            let text = Text::new("w.csv", format!("{}\n{rows}", COLUMNS.join(",")));
            let error = Workload::read(&text).expect_err("malformed").to_string();
            assert!(error.contains(expected), "{error}");
        }
        check("a,x,5,,4,0,0,,0,,,,,\n", "line 2, field `submit_at_ms`: `x`");
        check("a,1,5,,-4,0,0,,0,,,,,\n", "line 2, field `cores`: `-4` where a whole number");
        check("a,1,5,never,4,0,0,,0,,,,,\n", "line 2, field `walltime_ms`: `never`");
        check(
            "a,2,5,,4,0,0,,0,,,,,\na,1,5,,4,0,0,,0,,,,,\n",
            "line 3, field `submit_at_ms`: `1` where a time not before",
        );
        check("a,2,5\n", "line 2: 3 values where the header names 14");
    }

    #[test]
    fn traces_without_users_become_jobs() {
        let philly = [PhillyJob { submit_at_ms: 5, run_ms: 7, devices: 2, cluster: "aa".into() }];
        let job = &Workload::of_philly(&philly, 3).jobs[0];
        assert_eq!((&*job.name, job.submit_at_ms, job.run_ms, job.devices, job.cores), ("1", 5, 7, 2, 6));
        let job = &Workload::of_gaia(&[GaiaJob { submit_at_ms: 5, run_ms: 7, cores: 4 }]).jobs[0];
        assert_eq!((job.submit_at_ms, job.run_ms, job.cores, job.observed_wait_ms), (5, 7, 4, None));
    }

    /// A value without blanks around it, which the reader takes off.
    fn word() -> impl Strategy<Value = String> {
        "[ -~\u{6c47}\n]{0,9}".prop_map(|text| text.trim().to_owned())
    }

    fn job() -> impl Strategy<Value = Job> {
        let numbers = (any::<i64>(), any::<u64>(), any::<Option<u64>>(), any::<u32>(), any::<u64>(), any::<u32>());
        let words = (word(), word(), word(), word(), word());
        (numbers, words, any::<u32>(), any::<Option<u64>>()).prop_map(|(numbers, words, nodes, observed_wait_ms)| Job {
            submit_at_ms: numbers.0,
            run_ms: numbers.1,
            walltime_ms: numbers.2,
            cores: numbers.3,
            memory_bytes: numbers.4,
            devices: numbers.5,
            name: words.0,
            part: words.1,
            user: words.2,
            account: words.3,
            cluster: words.4.clone(),
            partition: words.4,
            nodes,
            observed_wait_ms,
        })
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(mut jobs in prop::collection::vec(job(), 0..8)) {
            jobs.sort_by_key(|job| job.submit_at_ms);
            let workload = Workload { jobs };
            let read = Workload::read(&Text::new("w.csv", workload.to_csv()));
            prop_assert_eq!(read.map_err(|error| error.to_string()), Ok(workload));
        }
    }
}
