//! The thread that looks into the shared folder: wrappers leave an empty file in `news/` for each thing that happened,
//! so one listing shows all, however many attempts there are, and Slurm is not asked for it.

use std::{collections::BTreeMap, fs, io, path::Path, time::Duration};

use huisuan_model::{AttemptId, Bytes};

use super::{
    job::SlurmJob,
    record::{Exit, ExitKind, Used},
    shared::Shared,
    verdict::{Ended, Evidence, Verdict, judge},
};
use crate::{clock::now, engine::EngineError};

/// So many are taken up in one look.
const NEWS_MAX: usize = 100_000;

/// After so many folders that a user put there and that cannot be removed, the rest of its news is not read.
const FOLDERS_MAX: usize = 16;

/// What happened to an attempt since the last look.
#[derive(Debug, Clone, Copy, Default)]
struct News {
    started: bool,
    used: bool,
    ended: bool,
}

/// The thread's loop; returns when the engine stops.
pub(super) fn run(shared: &Shared) {
    let interval = Duration::from_millis(shared.config.look_interval_ms);
    while !shared.stopped() {
        if let Err(error) = look(shared) {
            tracing::error!(%error, "shared folder cannot be read, trying again");
        }
        shared.pause(interval);
    }
}

fn look(shared: &Shared) -> Result<(), EngineError> {
    let folder = shared.files.news();
    let mut news = read_news(&folder, false).map_err(EngineError::file("folder", &folder))?;
    for uid in shared.users.all().into_keys() {
        // What a user makes of its own folder holds up nobody else.
        match read_news(&folder.join(uid.to_string()), true) {
            Ok(own) => {
                let state = shared.lock();
                let of_it = |id| state.open(id).is_some_and(|open| shared.users.is_of(&open.order, uid));
                news.extend(own.into_iter().filter(|(id, _)| of_it(*id)));
            }
            Err(error) => tracing::warn!(uid, %error, "news of a user cannot be read"),
        }
    }
    let mut ends = Vec::new();
    for (id, news) in news {
        if news.started && !news.ended {
            let claim = shared.files.claim(id).map_err(EngineError::file("claim", &folder))?;
            let at = claim.and_then(|claim| claim.at).unwrap_or_else(now);
            shared.lock().note_started(id, at);
            shared.reports.notify_all();
        }
        if news.used
            && let Some(used) = shared.files.used(id)
        {
            shared.lock().note_used(id, used);
            shared.reports.notify_all();
        }
        if news.ended
            && let Some(exit) = shared.files.exit(id).map_err(EngineError::file("done record", &folder))?
        {
            ends.push((id, exit));
        }
    }
    end(shared, &ends)
}

/// Lists what is new and takes it away: who is killed after this reads all records again at the next start. In the
/// engine's own folder there are those of users; in a user's there is nothing else to be.
fn read_news(folder: &Path, of_user: bool) -> io::Result<BTreeMap<AttemptId, News>> {
    let mut all: BTreeMap<AttemptId, News> = BTreeMap::new();
    let mut kept = 0;
    for entry in fs::read_dir(folder)?.take(NEWS_MAX) {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            // Only an empty one goes.
            kept += usize::from(of_user && fs::remove_dir(entry.path()).is_err());
            if kept == FOLDERS_MAX {
                tracing::warn!(folder = %folder.display(), "folders among the news of a user, not read further");
                break;
            }
            continue;
        }
        let name = entry.file_name();
        let parsed = name.to_str().and_then(|name| name.rsplit_once('.'));
        if let Some((id, what)) = parsed
            && let Ok(id) = id.parse::<AttemptId>()
        {
            let news = all.entry(id).or_default();
            match what {
                "start" => news.started = true,
                "used" => news.used = true,
                "end" => news.ended = true,
                _ => {}
            }
        }
        match fs::remove_file(entry.path()) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    Ok(all)
}

/// Ends attempts whose record says how; for those that Slurm ended, only Slurm knows why.
pub(super) fn end(shared: &Shared, exits: &[(AttemptId, Exit)]) -> Result<(), EngineError> {
    if exits.is_empty() {
        return Ok(());
    }
    let mut state = shared.lock();
    let mut ends = Vec::new();
    for (id, exit) in exits {
        if let ExitKind::Exited { started_at, .. } | ExitKind::Lost { started_at, .. } = exit.how {
            state.note_started(*id, started_at);
        }
        let Some(open) = state.open_mut(*id) else { continue };
        let used = shared.files.used(*id).unwrap_or(open.used);
        let (memory, contained) = (open.order.memory(), open.order.spec.image.is_some());
        let (cancelled, accounts_count) = (open.cancelled, shared.config.usage_from_accounting);
        let together = matches!(open.job, Some(SlurmJob::Gang { .. }));
        let known = Evidence { used, memory, contained, together, ..record_alone(exit) };
        let evidence = Evidence { cancelled, accounts_count, ..known };
        match judge(&evidence) {
            Verdict::Ended(end) => ends.push((*id, end)),
            _ => open.exit_seen = true,
        }
    }
    state.finish(ends, &shared.files)?;
    shared.reports.notify_all();
    shared.work.notify_all();
    Ok(())
}

/// How an attempt ended of which nothing but its record is left.
pub(super) fn told_by_record(exit: &Exit) -> Option<Ended> {
    match judge(&Evidence { silent: true, account: Some(None), ..record_alone(exit) }) {
        Verdict::Ended(end) => Some(end),
        _ => None,
    }
}

/// A done record, and nothing asked of Slurm.
fn record_alone(exit: &Exit) -> Evidence<'_> {
    Evidence {
        claim: None,
        exit: Some(exit),
        used: Used::default(),
        queue: None,
        began: None,
        placed: true,
        left_out: false,
        launches_failed: 0,
        given_up: false,
        memory: Bytes(u64::MAX),
        contained: false,
        together: false,
        accounts_count: false,
        account: None,
        cancelled: false,
        silent: false,
        now: now(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Folders among a user's news are removed, or end the look early; in the engine's own they are its users'.
    #[test]
    fn folders_among_news_are_no_litter_for_ever() {
        let scratch = tempfile::tempdir().expect("a scratch folder");
        let left = || fs::read_dir(scratch.path()).expect("readable").count();
        for name in 0..200 {
            fs::create_dir(scratch.path().join(name.to_string())).expect("made");
        }
        fs::write(scratch.path().join("1.0.1.end"), "").expect("written");
        assert_eq!(read_news(scratch.path(), false).expect("read").len(), 1);
        assert_eq!(left(), 200);
        assert!(read_news(scratch.path(), true).expect("read").is_empty());
        assert_eq!(left(), 0);
        for name in 0..FOLDERS_MAX - 1 {
            fs::create_dir_all(scratch.path().join(name.to_string()).join("full")).expect("made");
        }
        fs::write(scratch.path().join("1.0.1.end"), "").expect("written");
        assert_eq!(read_news(scratch.path(), true).expect("read").len(), 1);
        fs::create_dir_all(scratch.path().join("one more/full")).expect("made");
        read_news(scratch.path(), true).expect("as much as is read");
        assert_eq!(left(), FOLDERS_MAX);
    }
}
