//! When the server was last there: a file that is written every few seconds, so that the next start knows for how long
//! nobody looked. The journal cannot tell, for a network in which nothing happens has no entries.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use huisuan_model::TimeMs;

/// The file below the data directory.
const FILE: &str = "seen";

/// The file.
#[derive(Debug)]
pub(crate) struct Seen {
    path: PathBuf,
}

impl Seen {
    pub(crate) fn of(data: &Path) -> Self {
        Seen { path: data.join(FILE) }
    }

    /// The last moment that was noted; `None` where none is, or nobody can read it.
    pub(crate) fn last(&self) -> Option<TimeMs> {
        let text = fs::read_to_string(&self.path).ok()?;
        text.trim().parse().ok().map(TimeMs)
    }

    /// Notes a moment. Not synced: what a crash of the machine loses is a few seconds.
    pub(crate) fn note(&self, now: TimeMs) {
        let fresh = self.path.with_extension("new");
        let written: io::Result<()> =
            fs::write(&fresh, format!("{}\n", now.0)).and_then(|()| fs::rename(&fresh, &self.path));
        if let Err(error) = written {
            tracing::warn!(%error, "that the server is there is not noted: a stop will look longer than it is");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_moment_is_read_again() {
        let folder = tempfile::tempdir().expect("a folder");
        let seen = Seen::of(folder.path());
        assert_eq!(seen.last(), None);
        seen.note(TimeMs(7));
        seen.note(TimeMs(1_700_000_000_000));
        assert_eq!(Seen::of(folder.path()).last(), Some(TimeMs(1_700_000_000_000)));
        fs::write(folder.path().join(FILE), "yesterday").expect("written");
        assert_eq!(seen.last(), None);
        // A folder that is gone is no reason to stop.
        drop(folder);
        seen.note(TimeMs(8));
        assert_eq!(seen.last(), None);
    }
}
