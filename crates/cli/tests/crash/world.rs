//! A demo that is started, killed and started again in one folder.

use std::{collections::BTreeMap, fs, path::PathBuf, time::Instant};

use huisuan_api::Client;
use rustix::process::{Pid, Signal, kill_process};

use crate::{
    judge::{self, Lost},
    support::running::{Home, PATIENCE, Running, wait_until},
    work::{Acknowledged, Door},
};

/// The folder, and the demo that runs there now.
pub(crate) struct World {
    pub(crate) home: Home,
    pub(crate) door: Door,
    demo: Option<Running>,
}

impl World {
    pub(crate) fn new() -> World {
        World { home: Home::new(), door: Door::default(), demo: None }
    }

    /// The file in which tasks note their runs.
    pub(crate) fn trace(&self) -> String {
        self.home.path("trace")
    }

    /// Starts the demo; what `armed` names is armed in it and in the supervisors that it starts.
    pub(crate) fn start(&mut self, armed: &str) {
        self.start_doomed(armed);
        assert!(self.demo.is_some(), "the demo does not start");
    }

    /// The same for one that may end before its server listens.
    pub(crate) fn start_doomed(&mut self, armed: &str) {
        let data = self.home.path("data");
        let arguments = ["demo", "--data", &data, "--listen", "127.0.0.1:0"];
        match self.home.try_start(&arguments, &[("FAILPOINTS", armed)]) {
            Ok(demo) => {
                self.door.set(Some(demo.client()));
                self.demo = Some(demo);
            }
            Err(ran) => assert!(!armed.is_empty() && ran.exit == -1, "the demo does not start: {ran:?}"),
        }
    }

    pub(crate) fn client(&self) -> Client {
        self.demo.as_ref().expect("a demo runs").client()
    }

    /// Kills it at once.
    pub(crate) fn kill(&mut self) {
        if let Some(mut demo) = self.demo.take() {
            demo.kill();
        }
        self.door.set(None);
    }

    /// Waits until the demo has ended because of its failpoint: with an exit code, or killed.
    pub(crate) fn wait_dead(&mut self, armed: &str, code: Option<i32>) {
        if let Some(mut demo) = self.demo.take() {
            let deadline = Instant::now() + PATIENCE;
            let ended = wait_until(deadline, || demo.ended());
            let status = ended.unwrap_or_else(|| panic!("`{armed}` was not reached:\n{}", demo.logs()));
            assert_eq!(status.code(), code, "it was to end by `{armed}`:\n{}", demo.logs());
        }
        self.door.set(None);
    }

    /// The supervisors that there are, by folder.
    fn supervisors(&self) -> BTreeMap<PathBuf, i32> {
        let Ok(centres) = fs::read_dir(self.home.path("data/centres")) else { return BTreeMap::new() };
        let lock = |folder: PathBuf| {
            let pid = fs::read_to_string(folder.join("supervisor.lock")).ok()?.trim().parse().ok()?;
            Some((folder, pid))
        };
        centres.flatten().filter_map(|entry| lock(entry.path())).collect()
    }

    /// Waits until a supervisor has ended at its failpoint: another one has its folder.
    pub(crate) fn wait_supervisor_dead(&mut self, armed: &str) {
        let mut seen = BTreeMap::new();
        let replaced = || {
            let now = self.supervisors();
            now.into_iter().any(|(folder, pid)| *seen.entry(folder).or_insert(pid) != pid).then_some(())
        };
        let found = wait_until(Instant::now() + PATIENCE, replaced);
        assert!(found.is_some(), "`{armed}` was not reached");
    }

    /// Kills every supervisor that is left.
    pub(crate) fn kill_supervisors(&self) {
        for (folder, pid) in self.supervisors() {
            let command = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            let ours = String::from_utf8_lossy(&command).contains(&*folder.to_string_lossy());
            if let Some(pid) = Pid::from_raw(pid).filter(|_| ours) {
                // It may have ended by itself.
                let _ = kill_process(pid, Signal::KILL);
            }
        }
    }

    /// Waits for the end of all acknowledged jobs and looks for broken promises; the number of runs.
    pub(crate) fn judge(&self, acknowledged: &Acknowledged, lost: Lost) -> usize {
        judge::judge(&self.client(), acknowledged, &self.trace(), lost).runs
    }

    /// Ends the demo in good order and checks what it leaves.
    pub(crate) fn close(mut self) {
        let demo = self.demo.take().expect("a demo runs");
        judge::end_all(&demo.client());
        let _ = demo.stop();
        judge::check_data(&self.home, &self.home.path("data"));
    }
}
