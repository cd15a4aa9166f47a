//! A whole import: files in, workload and network out.

use std::path::{Path, PathBuf};

use jiff::tz::TimeZone;
use thiserror::Error;

use super::{
    Assumptions, Format, Job, LeftOut, Network, Options, SizedBy, Workload,
    formats::{self, Told},
    scenario_toml,
};
use crate::read::{
    ReadError, read_text,
    sacct::{SacctCounts, read_sacct},
    sinfo::read_sinfo,
    time::zone,
};

/// What was imported, ready to be run again.
#[derive(Debug, Clone, PartialEq)]
pub struct Imported {
    /// From which format.
    pub format: Format,
    /// What was left out of a dump of `sacct`.
    pub counts: Option<SacctCounts>,
    /// What was left out of other files.
    pub left_out: Vec<LeftOut>,
    /// What the files do not tell and what stood in for it.
    pub assumed: Vec<String>,
    /// The jobs that ran.
    pub workload: Workload,
    /// What they ran on, or what was made for them.
    pub network: Network,
    /// The first submission and the last end, RFC 3339; in 1970 for traces without dates; empty without jobs.
    pub span: (String, String),
}

/// Why files cannot be imported.
#[derive(Debug, Error)]
pub enum ImportError {
    /// A file is not as it should be.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// There is no such time zone.
    #[error("time zone `{0}` is not known\nhint: give an IANA name such as Asia/Shanghai, or UTC")]
    Zone(String),
    /// Nothing ran.
    #[error("file `{file}` tells of no job that ran, in {lines} lines\nhint: take in earlier days with --starttime")]
    Empty {
        /// The file.
        file: String,
        /// Lines below its header.
        lines: u64,
    },
    /// A trace without a job.
    #[error("file `{file}` tells of no job that ran\nhint: is it cut off below its header?")]
    NoJobs {
        /// The file, the first of several.
        file: String,
    },
    /// Several files where one is read.
    #[error("format `{format}` reads one file, {files} were given\nhint: import them one after the other")]
    OneFile {
        /// The format.
        format: &'static str,
        /// How many there were.
        files: usize,
    },
    /// A network has no such centre.
    #[error("file `{file}` has no centre `{centre}`\nhint: one of {known}")]
    Centre {
        /// The network.
        file: String,
        /// What was asked for.
        centre: String,
        /// The centres of the network.
        known: String,
    },
    /// A series without a value for an hour of the day.
    #[error(
        "file `{file}` has no value for the hour from {hour} o'clock\nhint: a series of at least a whole day is needed"
    )]
    Hour {
        /// The series.
        file: String,
        /// The hour of the local day.
        hour: usize,
    },
}

/// The zone of a name.
pub(super) fn zone_of(name: &str) -> Result<TimeZone, ImportError> {
    zone(name).ok_or_else(|| ImportError::Zone(name.to_owned()))
}

/// Reads a dump of `sacct` and, where given, the nodes of `sinfo`.
pub fn import_sacct(dump: &Path, nodes: Option<&Path>, zone_name: Option<&str>) -> Result<Imported, ImportError> {
    let zone = zone_name.map(zone_of).transpose()?;
    let nodes = nodes.map(|file| read_sinfo(&read_text(file)?)).transpose()?.unwrap_or_default();
    let text = read_text(dump)?;
    let dump = read_sacct(&text, zone.as_ref())?;
    if dump.jobs.is_empty() {
        return Err(ImportError::Empty { file: text.file.display().to_string(), lines: dump.counts.lines });
    }
    let ends = dump.jobs.iter().map(|job| job.start_at_ms.saturating_add_unsigned(job.run_ms));
    let first_ms = dump.jobs.first().map_or(0, |job| job.eligible_at_ms);
    Ok(Imported {
        format: Format::Sacct,
        left_out: Vec::new(),
        assumed: Vec::new(),
        workload: Workload::of_sacct(&dump.jobs),
        network: Network::of_sacct(&dump.jobs, &nodes),
        span: (rfc3339(first_ms), rfc3339(ends.max().unwrap_or(0))),
        counts: Some(dump.counts),
    })
}

/// Reads files of jobs in a format other than `sacct` and puts all of their jobs in order; the network is assumed. Of a
/// log of several partitions each is a centre.
///
/// # Errors
/// When a file is malformed, or none of them tells of a job.
///
/// # Panics
/// When the format gives no jobs: the caller asked [`Format::gives`].
pub fn import_jobs(format: Format, files: &[PathBuf], assume: &Assumptions) -> Result<Imported, ImportError> {
    let mut all = Told::default();
    for file in files {
        let told = formats::jobs(format, &read_text(file)?, assume)?;
        all.workload.jobs.extend(told.workload.jobs);
        all.left_out.extend(told.left_out);
        all.assumed = told.assumed;
        all.processors = told.processors.filter(|_| files.len() == 1);
    }
    let Told { mut workload, left_out, mut assumed, processors } = all;
    if workload.jobs.is_empty() {
        let file = files.first().map(|file| file.display().to_string()).unwrap_or_default();
        return Err(ImportError::NoJobs { file });
    }
    workload.jobs.sort_by_key(|job| job.submit_at_ms);
    let network = Network::of_jobs(&workload, format.name(), processors, format == Format::Swf);
    if network.centres.iter().any(|centre| centre.sized_by == SizedBy::Peak) {
        assumed.push(
            "the network is as large as its jobs would hold at once if none waited longer than it did".to_owned(),
        );
    }
    let waited_ms = |job: &Job| job.observed_wait_ms.unwrap_or(0).saturating_add(job.run_ms);
    let ends = workload.jobs.iter().map(|job| job.submit_at_ms.saturating_add_unsigned(waited_ms(job)));
    let span = (rfc3339(workload.jobs[0].submit_at_ms), rfc3339(ends.max().unwrap_or(0)));
    Ok(Imported { format, counts: None, left_out, assumed, workload, network, span })
}

impl Imported {
    /// The scenario of the jobs on their own network; its trace is [`JOBS_FILE`](super::JOBS_FILE).
    pub fn scenario_toml(&self, name: &str) -> String {
        let assumed: String = self.assumed.iter().map(|assumed| format!("# assumed: {assumed}\n")).collect();
        assumed + &scenario_toml(name, &self.workload, &self.network)
    }

    /// What a reader of the figures must know.
    pub fn caveats(&self, options: &Options) -> Vec<String> {
        let dump = self.format == Format::Sacct;
        let peak = dump && self.network.centres.iter().any(|centre| centre.sized_by == SizedBy::Peak);
        let mut said = vec![
            "every job runs as long as it did: on other nodes or beside other jobs it might not".to_owned(),
            "people submit as they did: with other waits they would have done otherwise".to_owned(),
            "a centre's pool is one whole: that a job must fit on its nodes is not modelled".to_owned(),
            "limits of accounts and users, reservations, priorities and failures of the site are not known".to_owned(),
        ];
        if self.workload.jobs.iter().any(|job| job.observed_wait_ms.is_some()) {
            let of = if dump { "the dump, from the moment a job was eligible" } else { "the log" };
            said.insert(0, format!("observed waits are of {of}; modelled ones are of the twin"));
        }
        if peak {
            let text =
                "centres without `sinfo` are as large as their jobs at once ever were, which may be less than there is";
            said.push(text.to_owned());
        }
        if options.anywhere {
            said.push("jobs go to any centre with their hardware, as if data and users could follow".to_owned());
        }
        let still_running = self.counts.as_ref().map_or(0, |counts| counts.still_running);
        if still_running > 0 {
            said.push(format!("{still_running} jobs still ran: they end when the dump was made"));
        }
        said.extend(self.assumed.iter().map(|assumed| format!("assumed: {assumed}")));
        said
    }
}

fn rfc3339(at_ms: i64) -> String {
    jiff::Timestamp::from_millisecond(at_ms).map_or_else(|_| String::new(), |time| time.to_string())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn files_become_a_site() {
        let folder = tempfile::tempdir().expect("a scratch folder");
        let file = |name: &str, text: &str| {
            fs::write(folder.path().join(name), text).expect("space on disk");
            folder.path().join(name)
        };
        let header = "JobID|User|Account|Partition|State|Submit|Start|End|ElapsedRaw|NCPUS\n";
        let dump = file("dump", &format!("{header}1|a|b|p|COMPLETED|1767225600|1767225660|1767225720|60|4\n"));
        let nodes = file("nodes", "NODELIST|PARTITION|CPUS|MEMORY|GRES\nn1|p|16|16000|(null)\n");
        let site = import_sacct(&dump, Some(&nodes), None).expect("well formed");
        assert_eq!(site.span, ("2026-01-01T00:00:00Z".to_owned(), "2026-01-01T00:02:00Z".to_owned()));
        assert_eq!((site.workload.jobs.len(), site.network.centres[0].pools[0].cores), (1, 16));
        assert!(!site.caveats(&Options::default()).iter().any(|text| text.contains("sinfo")));
        let alone = import_sacct(&dump, None, Some("Asia/Shanghai")).expect("well formed");
        assert!(alone.caveats(&Options::default()).iter().any(|text| text.contains("sinfo")));

        let error = import_sacct(&dump, None, Some("Mars")).expect_err("no such zone").to_string();
        assert!(error.contains("time zone `Mars` is not known"), "{error}");
        let error = import_sacct(&file("empty", header), None, None).expect_err("no jobs").to_string();
        assert!(error.contains("tells of no job that ran, in 0 lines"), "{error}");
        let error = import_sacct(&folder.path().join("gone"), None, None).expect_err("no file").to_string();
        assert!(error.contains("cannot be read"), "{error}");
    }
}
