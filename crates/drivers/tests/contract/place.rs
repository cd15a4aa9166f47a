//! Where the jobs of one test run: a partition of a real cluster that is empty before the test and after it, so that no
//! test waits behind what another one left.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::{Condvar, Mutex, MutexGuard, OnceLock, PoisonError},
    thread,
    time::{Duration, Instant},
};

use crate::{
    bench::PATIENCE,
    lab::{Lab, Size},
};

/// So much of the controller's log is told.
const LINES: usize = 80;

/// How often it is looked whether a place is empty.
const PAUSE: Duration = Duration::from_millis(100);

/// A cluster that is started by the first test that needs it, and ends with this program.
pub(crate) struct Cluster {
    name: &'static str,
    nodes: u16,
    /// What its accelerators are called.
    kind: &'static str,
    lab: OnceLock<Mutex<Lab>>,
    /// Nodes that a test has for itself.
    taken: Mutex<BTreeSet<u16>>,
    given_back: Condvar,
}

impl Cluster {
    pub(crate) const fn new(name: &'static str, nodes: u16) -> Self {
        Cluster::of_kind(name, nodes, "gpu:h100")
    }

    pub(crate) const fn of_kind(name: &'static str, nodes: u16, kind: &'static str) -> Self {
        let taken = Mutex::new(BTreeSet::new());
        Cluster { name, nodes, kind, lab: OnceLock::new(), taken, given_back: Condvar::new() }
    }

    /// For as long as it is not given back, no other test has it.
    pub(crate) fn take(&self) -> MutexGuard<'_, Lab> {
        let cache = Path::new(env!("CARGO_TARGET_TMPDIR")).join("slurm-lab");
        let size = Size { nodes: self.nodes, cpus: 4, gpus: 4, kind: self.kind };
        let lab = self.lab.get_or_init(|| Mutex::new(Lab::start(self.name, size, &cache)));
        lab.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A node of this cluster that no other test has until the place goes.
    pub(crate) fn node(&'static self) -> Place {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let node = loop {
            match (1..=self.nodes).find(|node| !taken.contains(node)) {
                Some(node) => break node,
                None => taken = self.given_back.wait(taken).unwrap_or_else(PoisonError::into_inner),
            }
        };
        taken.insert(node);
        drop(taken);
        let mut place = Place::of(&self.take(), &format!("alone{node}"));
        place.node = Some((self, node));
        assert!(place.empty(), "a former test left something in {}:\n{}", place.partition, place.queue());
        place
    }
}

/// A partition, by one test at a time.
pub(crate) struct Place {
    pub(crate) conf: PathBuf,
    pub(crate) partition: String,
    node: Option<(&'static Cluster, u16)>,
}

impl Place {
    /// A partition of a cluster that the test holds as a whole.
    pub(crate) fn of(lab: &Lab, partition: &str) -> Place {
        Place { conf: lab.conf(), partition: partition.to_owned(), node: None }
    }

    /// Says what is in the queue and what was, and what the controller did last: for who must find out why a test
    /// failed.
    pub(crate) fn tell(&self) {
        eprintln!("partition {} while the test failed:\n{}", self.partition, self.queue());
        let log = fs::read_to_string(self.conf.with_file_name("log/slurmctld")).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        eprintln!("slurmctld:\n{}", lines[lines.len().saturating_sub(LINES)..].join("\n"));
    }

    /// Number, index, state, begin, end, why it waits or where it runs, name.
    fn queue(&self) -> String {
        self.call("squeue", &["--array", "--states=all", "--format=%F %K %T %S %e %R %j"])
            .unwrap_or_else(|| "squeue does not answer".to_owned())
    }

    fn empty(&self) -> bool {
        self.call("squeue", &["--noheader"]).is_some_and(|text| text.is_empty())
    }

    /// `None` when the program failed.
    fn call(&self, program: &str, arguments: &[&str]) -> Option<String> {
        let mut command = Command::new(program);
        command.arg(format!("--partition={}", self.partition)).args(arguments).env("SLURM_CONF", &self.conf);
        let output = command.stderr(Stdio::null()).output().ok().filter(|output| output.status.success())?;
        Some(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    }
}

impl Drop for Place {
    /// Ends what the test left, and waits until it has gone. An engine that is dropped gives up what it was about to
    /// cancel.
    fn drop(&mut self) {
        let until = Instant::now() + PATIENCE;
        while !self.empty() && Instant::now() < until {
            let _ = self.call("scancel", &["--state=pending"]);
            let _ = self.call("scancel", &["--state=running"]);
            thread::park_timeout(PAUSE);
        }
        if let Some((cluster, node)) = self.node {
            cluster.taken.lock().unwrap_or_else(PoisonError::into_inner).remove(&node);
            cluster.given_back.notify_all();
        }
        let good = thread::panicking() || self.empty();
        assert!(good, "partition {} cannot be emptied:\n{}", self.partition, self.queue());
    }
}
