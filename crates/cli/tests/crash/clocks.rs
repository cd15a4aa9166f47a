//! Machines whose clocks jump. Their processes run with libfaketime (Debian's package `faketime`), which asks a file of
//! each machine how wrong its clock is, so that it can be set while they run. The kernel's monotonic clock stays as it
//! is, as when somebody sets the time of a machine.

use std::{fs, path::PathBuf};

use crate::support::running::Home;

/// The clocks of the machines of one network.
pub(crate) struct Clocks {
    library: PathBuf,
    folder: PathBuf,
}

/// The library that tells processes another time; `None` where it is not installed.
fn library() -> Option<PathBuf> {
    let folders = fs::read_dir("/usr/lib").ok()?.flatten();
    folders.map(|entry| entry.path().join("faketime/libfaketimeMT.so.1")).find(|path| path.exists())
}

impl Clocks {
    /// Clocks below a test's home; `None`, and a line that says why, where there is no library.
    pub(crate) fn of(home: &Home) -> Option<Clocks> {
        let Some(library) = library() else {
            eprintln!("not tested: clocks that jump need the package faketime");
            return None;
        };
        let folder = PathBuf::from(home.path("clocks"));
        fs::create_dir(&folder).expect("a folder");
        Some(Clocks { library, folder })
    }

    fn file(&self, machine: &str) -> PathBuf {
        self.folder.join(machine)
    }

    /// Has the clock of a machine be wrong by so many seconds from now on.
    pub(crate) fn set(&self, machine: &str, seconds: i64) {
        let new = self.file(&format!("{machine}.new"));
        fs::write(&new, format!("{seconds:+}\n")).expect("a file");
        // Processes read it at any moment: the old file or the new one, never half of it.
        fs::rename(new, self.file(machine)).expect("renamed");
    }

    /// What processes of a machine need in their environment.
    pub(crate) fn environment(&self, machine: &str) -> Vec<(String, String)> {
        if !self.file(machine).exists() {
            self.set(machine, 0);
        }
        let text = |path: PathBuf| path.to_str().expect("scratch paths are UTF-8").to_owned();
        let file = text(self.file(machine));
        [
            ("LD_PRELOAD", text(self.library.clone())),
            ("FAKETIME_TIMESTAMP_FILE", file),
            ("FAKETIME_NO_CACHE", "1".to_owned()),
            ("FAKETIME_DONT_FAKE_MONOTONIC", "1".to_owned()),
            ("NO_FAKE_STAT", "1".to_owned()),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .to_vec()
    }
}
