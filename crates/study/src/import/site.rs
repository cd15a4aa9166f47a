//! A whole import of one site: files in, workload and network out.

use std::path::Path;

use thiserror::Error;

use super::{Network, Options, SizedBy, Workload};
use crate::read::{
    ReadError, read_text,
    sacct::{SacctCounts, read_sacct},
    sinfo::read_sinfo,
    time::zone,
};

/// A site's past, ready to be run again.
#[derive(Debug, Clone, PartialEq)]
pub struct SiteImport {
    /// What was left out of the dump.
    pub counts: SacctCounts,
    /// The jobs that ran.
    pub workload: Workload,
    /// What they ran on.
    pub network: Network,
    /// The first submission and the last end, RFC 3339; empty without jobs.
    pub span: (String, String),
}

/// Why a site cannot be imported.
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
}

/// Reads a dump of `sacct` and, where given, the nodes of `sinfo`.
pub fn import_sacct(dump: &Path, nodes: Option<&Path>, zone_name: Option<&str>) -> Result<SiteImport, ImportError> {
    let zone = match zone_name {
        Some(name) => Some(zone(name).ok_or_else(|| ImportError::Zone(name.to_owned()))?),
        None => None,
    };
    let nodes = nodes.map(|file| read_sinfo(&read_text(file)?)).transpose()?.unwrap_or_default();
    let text = read_text(dump)?;
    let dump = read_sacct(&text, zone.as_ref())?;
    if dump.jobs.is_empty() {
        return Err(ImportError::Empty { file: text.file.display().to_string(), lines: dump.counts.lines });
    }
    let ends = dump.jobs.iter().map(|job| job.start_at_ms.saturating_add_unsigned(job.run_ms));
    let first_ms = dump.jobs.first().map_or(0, |job| job.eligible_at_ms);
    Ok(SiteImport {
        counts: dump.counts,
        workload: Workload::of_sacct(&dump.jobs),
        network: Network::of_sacct(&dump.jobs, &nodes),
        span: (rfc3339(first_ms), rfc3339(ends.max().unwrap_or(0))),
    })
}

impl SiteImport {
    /// What a reader of the figures must know.
    pub fn caveats(&self, options: &Options) -> Vec<String> {
        let peak = self.network.centres.iter().any(|centre| centre.sized_by == SizedBy::Peak);
        let mut said = vec![
            "observed waits are of the dump, from the moment a job was eligible; modelled ones are of the twin"
                .to_owned(),
            "every job runs as long as it did: on other nodes or beside other jobs it might not".to_owned(),
            "people submit as they did: with other waits they would have done otherwise".to_owned(),
            "a centre's pool is one whole: that a job must fit on its nodes is not modelled".to_owned(),
            "limits of accounts and users, reservations, priorities and failures of the site are not known".to_owned(),
        ];
        if peak {
            let text =
                "centres without `sinfo` are as large as their jobs at once ever were, which may be less than there is";
            said.push(text.to_owned());
        }
        if options.anywhere {
            said.push("jobs go to any centre with their hardware, as if data and users could follow".to_owned());
        }
        if self.counts.still_running > 0 {
            said.push(format!("{} jobs still ran: they end when the dump was made", self.counts.still_running));
        }
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
