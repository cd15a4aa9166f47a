//! The one table of what can be imported: the name of each format, what it is, and what is made of a file in it.

use super::{TokenRates, Workload};
use crate::read::{ReadError, Text, azure::read_azure, gaia::read_gaia, philly, read_swf};

/// A format of files from outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Format {
    /// Slurm's accounting.
    Sacct,
    /// The Standard Workload Format.
    Swf,
    /// GPU jobs of Microsoft's Philly clusters.
    Philly,
    /// Workloads of Sia.
    Sia,
    /// Jobs as prepared for GAIA.
    Gaia,
    /// Requests to language models in Azure.
    Azure,
    /// Prices of electricity.
    Prices,
    /// Carbon intensities of electricity.
    Carbon,
}

/// What a file of a format gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Gives {
    /// Jobs: a workload and a network.
    Jobs,
    /// A figure for every hour of the day of one centre.
    Hours,
}

impl Format {
    /// All formats with their names, what they give, and what they are.
    pub const ALL: [(Format, &str, Gives, &str); 8] = [
        (Format::Sacct, "sacct", Gives::Jobs, "accounting of a Slurm site"),
        (Format::Swf, "swf", Gives::Jobs, "log of a parallel machine in the Standard Workload Format"),
        (Format::Philly, "philly", Gives::Jobs, "GPU jobs of Microsoft's Philly clusters, CSV as prepared for Sia"),
        (Format::Sia, "sia", Gives::Jobs, "workload of Sia, CSV; it tells no run times"),
        (Format::Gaia, "gaia", Gives::Jobs, "jobs as prepared for GAIA, CSV"),
        (Format::Azure, "azure", Gives::Jobs, "requests to a language model in Azure, CSV"),
        (Format::Prices, "prices", Gives::Hours, "day-ahead prices of electricity, CSV in EUR per kWh"),
        (Format::Carbon, "carbon", Gives::Hours, "carbon intensity of electricity, CSV in grams per kWh"),
    ];

    /// What people call it.
    pub fn name(self) -> &'static str {
        self.row().1
    }

    /// What its files give.
    pub fn gives(self) -> Gives {
        self.row().2
    }

    /// What it is, in a few words.
    pub fn is(self) -> &'static str {
        self.row().3
    }

    /// The format of a name.
    pub fn of(name: &str) -> Option<Format> {
        Format::ALL.iter().find(|row| row.1 == name).map(|row| row.0)
    }

    fn row(self) -> &'static (Format, &'static str, Gives, &'static str) {
        Format::ALL.iter().find(|row| row.0 == self).expect("every format has a row")
    }
}

/// What stands in for what a file does not tell. Whatever of it was used is said.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Assumptions {
    /// Cores beside each accelerator.
    pub cores_per_device: u32,
    /// How long a job runs, in milliseconds.
    pub run_ms: u64,
    /// How fast an accelerator serves a language model.
    pub tokens_per_s: TokenRates,
    /// Yuan for one euro.
    pub cny_per_eur: f64,
}

impl Default for Assumptions {
    fn default() -> Self {
        let tokens_per_s = TokenRates { prompt: 4_000, answer: 40 };
        Assumptions { cores_per_device: 8, run_ms: 3_600_000, tokens_per_s, cny_per_eur: 7.8 }
    }
}

/// Lines of a file that became no job, and why.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct LeftOut {
    /// How many.
    pub lines: u64,
    /// Why, as in "3 without processors".
    pub why: &'static str,
}

/// What one file of jobs told.
#[derive(Debug, Default)]
pub(crate) struct Told {
    pub(crate) workload: Workload,
    pub(crate) left_out: Vec<LeftOut>,
    pub(crate) assumed: Vec<String>,
    /// Processors of the machine, where the log says.
    pub(crate) processors: Option<u64>,
}

/// Reads a file of jobs in a format that needs no more than the file: all but `sacct`.
pub(crate) fn jobs(format: Format, text: &Text, assume: &Assumptions) -> Result<Told, ReadError> {
    let Assumptions { cores_per_device, run_ms, tokens_per_s, .. } = *assume;
    let beside = format!("{cores_per_device} cores beside each GPU");
    let untold = "no job tells a limit, so that each might run for 366 days".to_owned();
    let of = |workload, assumed: &[String]| Told { workload, assumed: assumed.to_vec(), ..Told::default() };
    Ok(match format {
        Format::Swf => swf(text)?,
        Format::Philly => of(Workload::of_philly(&philly::read_philly(text)?, cores_per_device), &[beside, untold]),
        Format::Sia => {
            let told = format!("{} s for each job: its run time depends on its GPUs", run_ms / 1_000);
            of(Workload::of_sia(&philly::read_sia(text)?, run_ms, cores_per_device), &[beside, told, untold])
        }
        Format::Gaia => of(Workload::of_gaia(&read_gaia(text)?), &[untold]),
        Format::Azure => {
            let TokenRates { prompt, answer } = tokens_per_s;
            let rates =
                format!("a request holds a GPU alone, {prompt} tokens/s of its prompt and {answer} of its answer");
            of(Workload::of_azure(&read_azure(text)?, tokens_per_s, cores_per_device), &[beside, rates, untold])
        }
        Format::Sacct | Format::Prices | Format::Carbon => unreachable!("read by a function of its own"),
    })
}

fn swf(text: &Text) -> Result<Told, ReadError> {
    let log = read_swf(text)?;
    let workload = Workload::of_swf(&log.jobs);
    let without = log.jobs.iter().filter(|job| job.processors().is_none()).count();
    let idle = log.jobs.len() - without - workload.jobs.len();
    let left_out = [(without, "without processors"), (idle, "without run time")];
    let left_out = left_out.into_iter().filter(|(lines, _)| *lines > 0);
    Ok(Told {
        workload,
        left_out: left_out.map(|(lines, why)| LeftOut { lines: lines as u64, why }).collect(),
        assumed: vec!["memory of jobs is left out: the log does not say what its machine has".to_owned()],
        processors: log.processors_max.or(log.nodes_max),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_format_is_found_by_its_name() {
        for (format, name, ..) in Format::ALL {
            assert_eq!((Format::of(name), format.name()), (Some(format), name));
        }
        assert_eq!(Format::of("csv"), None);
    }

    #[test]
    fn jobs_of_each_format_come_in_order_with_what_was_assumed() {
        let swf = "; MaxProcs: 8\n2 7 3 60 4 -1 -1 4 90 -1 1 5 6 -1 -1 1 -1 -1\n1 5 0 0 4 -1 -1 4 90 -1 5 5 6 -1 -1 1 -1 -1\n\
                   3 6 -1 60 -1 -1 -1 -1 90 -1 1 5 6 -1 -1 1 -1 -1\n4 6 -1 5 2 -1 -1 -1 -1 -1 1 -1 -1 -1 -1 2 -1 -1\n";
        let azure = "TIMESTAMP,ContextTokens,GeneratedTokens\n2023-11-16 18:15:46,4000,20\n";
        let sia = "name,time,application,num_replicas,batch_size\nb-0,107,b,6,2048\na-1,7.5,a,2,320\n";
        // Name, submitted at, run time, limit, cores, devices, partition, wait.
        type Row<'a> = (&'a str, i64, u64, Option<u64>, u32, u32, &'a str, Option<u64>);
        let cases: [(Format, &str, &[Row<'_>], usize, usize); 3] = [
            (
                Format::Swf,
                swf,
                &[
                    ("4", 6_000, 5_000, None, 2, 0, "p2", None),
                    ("2", 7_000, 60_000, Some(90_000), 4, 0, "p1", Some(3_000)),
                ],
                2,
                1,
            ),
            (Format::Azure, azure, &[("1", 1_700_158_546_000, 1_500, None, 8, 1, "", None)], 0, 3),
            (
                Format::Sia,
                sia,
                &[
                    ("a-1", 7_500, 3_600_000, None, 16, 2, "a", None),
                    ("b-0", 107_000, 3_600_000, None, 48, 6, "b", None),
                ],
                0,
                3,
            ),
        ];
        for (format, text, expected, left_out, assumed) in cases {
            let told = jobs(format, &Text::new("any", text), &Assumptions::default()).expect("well formed");
            let rows: Vec<Row<'_>> = told
                .workload
                .jobs
                .iter()
                .map(|job| {
                    let (name, partition) = (job.name.as_str(), job.partition.as_str());
                    let (limit, wait) = (job.walltime_ms, job.observed_wait_ms);
                    (name, job.submit_at_ms, job.run_ms, limit, job.cores, job.devices, partition, wait)
                })
                .collect();
            assert_eq!(rows, expected, "{format:?}");
            assert_eq!((told.left_out.len(), told.assumed.len()), (left_out, assumed), "{format:?}");
        }
    }
}
