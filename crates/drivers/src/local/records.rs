//! The records that outlive processes: the claim of an attempt, its done record, the two logs' lines.

use std::{
    fs::{self, File},
    io,
    os::unix::fs::OpenOptionsExt as _,
};

use huisuan_model::{AttemptId, AttemptReport, TimeMs};
use serde::{Deserialize, Serialize};

use super::wire::write_line;
use crate::folder::{batch::Batch, paths::AttemptPaths};

/// The first line of `claim`. Whoever creates that file, and nobody else ever, may start the attempt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Claim {
    pub(crate) version: u32,
    pub(crate) attempt: AttemptId,
    /// The boot of the machine in which it was claimed: process ids of another boot mean nothing.
    pub(crate) boot_id: String,
    pub(crate) claimed_at: TimeMs,
    /// Where standard output goes, when not to the attempt's folder.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) stdout: Option<String>,
    /// The same for standard error.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) stderr: Option<String>,
}

/// The second line of `claim`, appended once the process runs. One file with two lines instead of two
/// files saves four system calls for every attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Running {
    pub(crate) pid: i32,
    /// Field 22 of `/proc/PID/stat`: with the pid it names one process of a boot.
    pub(crate) start_ticks: u64,
    pub(crate) started_at: TimeMs,
}

/// A line of `accepted.log`: one submit.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct AcceptedLine {
    pub(crate) boot_id: String,
    pub(crate) batch: Batch,
}

/// A line of `done.log`.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) enum DoneLine {
    /// An attempt ended; always a report of the kind `Ended`.
    Ended(AttemptReport),
    /// The network committed these ends.
    Acknowledged(Vec<AttemptId>),
}

/// Creates the claim file. `AlreadyExists` means that the attempt was claimed before.
pub(crate) fn write_claim(paths: &AttemptPaths, claim: &Claim) -> io::Result<File> {
    let mut file = fs::OpenOptions::new().append(true).create_new(true).mode(0o600).open(paths.claim())?;
    write_line(&mut file, claim)?;
    Ok(file)
}

/// Reads a claim and, when the process is known to have been started, which it is. `None` when there is
/// no claim; a claim that was cut off while it was written counts as made, for the file is there.
pub(crate) fn read_claim(paths: &AttemptPaths) -> io::Result<Option<(Option<Claim>, Option<Running>)>> {
    let text = match fs::read(paths.claim()) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let mut lines = text.split_inclusive(|&byte| byte == b'\n').filter(|line| line.ends_with(b"\n"));
    let claim = lines.next().and_then(|line| serde_json::from_slice(line).ok());
    let running = lines.next().and_then(|line| serde_json::from_slice(line).ok());
    Ok(Some((claim, running)))
}

#[cfg(test)]
mod tests {
    use huisuan_model::JobId;

    use std::io::Write as _;

    use super::*;
    use crate::folder::paths::Paths;

    fn attempt() -> AttemptId {
        AttemptId { job: JobId(1), task: 0, attempt: 1 }
    }

    /// Whatever else failed, an attempt has one claim: of many at once exactly one makes it, and it stays theirs.
    #[test]
    fn an_attempt_is_claimed_once() {
        let folder = tempfile::tempdir().expect("a folder");
        let paths = Paths::make(folder.path()).expect("a folder").attempt(attempt());
        paths.make().expect("a folder of its own");
        let claim = |at| Claim {
            version: 1,
            attempt: attempt(),
            boot_id: "boot".into(),
            claimed_at: TimeMs(at),
            stdout: None,
            stderr: None,
        };
        let made: usize = std::thread::scope(|scope| {
            let claims: Vec<_> = (0..8)
                .map(|at| {
                    scope.spawn({
                        let paths = &paths;
                        move || write_claim(paths, &claim(at)).is_ok()
                    })
                })
                .collect();
            claims.into_iter().map(|claimed| usize::from(claimed.join().expect("no panic"))).sum()
        });
        assert_eq!(made, 1);
        let before = fs::read(paths.claim()).expect("a claim");
        let error = write_claim(&paths, &claim(99)).expect_err("claimed before");
        assert_eq!(error.kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(fs::read(paths.claim()).expect("a claim"), before, "the claim is not written over");
    }

    #[test]
    fn a_claim_is_made_once_and_read_even_when_cut_off() {
        let folder = tempfile::tempdir().expect("a scratch folder");
        let paths = Paths::make(folder.path()).expect("made").attempt(attempt());
        paths.make().expect("made");
        assert_eq!(read_claim(&paths).expect("readable"), None);
        let claim = Claim {
            version: 1,
            attempt: attempt(),
            boot_id: "b".into(),
            claimed_at: TimeMs(1),
            stdout: None,
            stderr: None,
        };
        let mut file = write_claim(&paths, &claim).expect("the first claim");
        let again = write_claim(&paths, &claim).map_err(|error| error.kind());
        assert!(matches!(again, Err(io::ErrorKind::AlreadyExists)), "{again:?}");
        assert_eq!(read_claim(&paths).expect("readable"), Some((Some(claim.clone()), None)));
        file.write_all(b"{\"pid\":7,\"start").expect("a cut line");
        assert_eq!(read_claim(&paths).expect("readable"), Some((Some(claim.clone()), None)));
        file.write_all(b"_ticks\":8,\"started_at\":9}\n").expect("the rest");
        let running = Running { pid: 7, start_ticks: 8, started_at: TimeMs(9) };
        assert_eq!(read_claim(&paths).expect("readable"), Some((Some(claim), Some(running))));
        fs::write(paths.claim(), "").expect("emptied");
        assert_eq!(read_claim(&paths).expect("readable"), Some((None, None)));
    }
}
