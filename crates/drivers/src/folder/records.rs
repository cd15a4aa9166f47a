//! What an attempt leaves behind when it ended.

use std::{
    fs,
    io::{self, Write as _},
    os::unix::fs::OpenOptionsExt as _,
};

use huisuan_model::AttemptReport;

use super::paths::AttemptPaths;

/// Writes `done.json` so that it is there whole or not at all. Not synced: `done.log` is.
pub(crate) fn write_done(paths: &AttemptPaths, report: &AttemptReport) -> io::Result<()> {
    let mut text = serde_json::to_vec(report)?;
    text.push(b'\n');
    let mut file =
        fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(paths.done_temporary())?;
    file.write_all(&text)?;
    fs::rename(paths.done_temporary(), paths.done())
}

/// Reads `done.json`; `None` when there is none or it cannot be understood.
pub(crate) fn read_done(paths: &AttemptPaths) -> Option<AttemptReport> {
    serde_json::from_slice(&fs::read(paths.done()).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use huisuan_model::{AttemptId, EndCause, JobId, Outcome, ReportKind, TimeMs, Usage};

    use super::{super::paths::Paths, *};

    fn report() -> AttemptReport {
        let outcome = Outcome { cause: EndCause::Exited, exit_code: Some(0), signal: None, detail: String::new() };
        let what = ReportKind::Ended { started_at: None, outcome, usage: Usage::default() };
        AttemptReport { attempt: AttemptId { job: JobId(1), task: 0, attempt: 1 }, at: TimeMs(5), what }
    }

    #[test]
    fn a_done_record_comes_back() {
        let folder = tempfile::tempdir().expect("a scratch folder");
        let paths = Paths::make(folder.path()).expect("made").attempt(report().attempt);
        paths.make().expect("made");
        assert_eq!(read_done(&paths), None);
        write_done(&paths, &report()).expect("written");
        assert_eq!(read_done(&paths), Some(report()));
    }
}
