//! A real Slurm cluster whose daemons are killed and hang, and whoever looks after it: starts what ended, resumes nodes
//! that Slurm drained.

use std::{
    fs,
    path::Path,
    process::{Command, Stdio},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};

use crate::{
    lab::{Lab, Size},
    support::running::{PATIENCE, wait_until},
};

/// Nodes of a cluster.
pub(crate) const NODES: u16 = 2;
/// What the nodes pretend to have; this machine has two processors.
const SIZE: Size = Size { nodes: NODES, cpus: 8, gpus: 0, kind: "gpu:h100" };
/// Daemons that are started again when they have ended.
const DAEMONS: [&str; 4] = ["slurmdbd", "slurmctld", "slurmd.1", "slurmd.2"];
/// Nodes are resumed once in this time: to ask for it costs a process.
const RESUMED_EVERY: Duration = Duration::from_secs(2);
/// Lines of the controller's log that are told of a round that failed.
const LINES: usize = 80;

/// Clones are the same cluster, which ends with the last of them.
#[derive(Clone)]
pub(crate) struct Cluster(Arc<Mutex<Tended>>);

struct Tended {
    lab: Lab,
    name: &'static str,
    resumed_at: Instant,
}

impl Cluster {
    /// Starts one: 5 to 20 s.
    pub(crate) fn start(name: &'static str) -> Cluster {
        let cache = Path::new(env!("CARGO_TARGET_TMPDIR")).join("slurm-lab");
        let lab = Lab::start(name, SIZE, &cache);
        Cluster(Arc::new(Mutex::new(Tended { lab, name, resumed_at: Instant::now() })))
    }

    fn tended(&self) -> MutexGuard<'_, Tended> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What an agent is told of it; its own files go below `folder`. It gives a command up long before Slurm does.
    pub(crate) fn config(&self, folder: &str) -> String {
        format!(
            "folder = \"{folder}\"\npartitions = [\"batch\"]\naccount = \"lab\"\nslurm_conf = \"{}\"\nrate_each = 10\n\
             poll_interval_ms = 500\nlaunch_ms = 15000\nlook_interval_ms = 50\ngrace_ms = 300\nbeat_ms = 500\n\
             command_timeout_ms = 4000\n",
            self.tended().lab.conf().display()
        )
    }

    /// The process id of a daemon.
    pub(crate) fn pid(&self, process: &str) -> i32 {
        self.tended().lab.pid(process)
    }

    /// Kills a daemon, as `kill -9` does.
    pub(crate) fn kill(&self, process: &str) {
        if let Some(pid) = Pid::from_raw(self.pid(process)) {
            // It may have ended by itself.
            _ = kill_process(pid, Signal::KILL);
        }
    }

    /// Starts the daemons that have ended and now and then resumes nodes: a controller that was killed may start a job
    /// twice, which drains its node (seen in 22.05).
    pub(crate) fn tend(&self) {
        let mut tended = self.tended();
        for daemon in DAEMONS {
            if has_ended(tended.lab.pid(daemon)) {
                tended.lab.restart(daemon);
            }
        }
        if tended.resumed_at.elapsed() >= RESUMED_EVERY {
            tended.resumed_at = Instant::now();
            let nodes = format!("nodename={}[1-{NODES}]", tended.name);
            tended.call("scontrol", &["update", &nodes, "state=resume"]);
        }
    }

    /// Ends what is left in the queue, such as what a controller gave a second number, so that the next network finds
    /// the nodes free.
    pub(crate) fn empty(&self) {
        let empty = || {
            self.tend();
            let tended = self.tended();
            let queue = tended.call("squeue", &["--noheader"])?;
            if !queue.is_empty() {
                // Another look will see what became of it.
                _ = tended.call("scancel", &["--state=pending"]);
                _ = tended.call("scancel", &["--state=running"]);
            }
            queue.is_empty().then_some(())
        };
        let emptied = wait_until(Instant::now() + PATIENCE, empty);
        assert!(emptied.is_some(), "the cluster cannot be emptied");
    }

    /// Says what is in the queue, what the controller did last, what the engine's folder has of attempts whose end it does
    /// not know, and what the threads of its agent wait for.
    pub(crate) fn tell(&self, folder: &str, agent: Option<i32>) {
        let attempts = format!(
            "cd {folder}/attempts && for d in */*; do [ -e $d/done.json ] || {{ echo \"$d: $(ls $d | xargs)\"; \
             head -n 9 $d/claim $d/exit; }}; done 2>&1; ps -eo pid,stat,lstart,args | grep '[w]rapper.sh {folder}'; \
             cd /proc/{}/task && for t in *; do echo \"$(cat $t/comm) $(cat $t/wchan) $(cat $t/syscall)\"; done",
            agent.unwrap_or_default()
        );
        let left = Command::new("sh").args(["-c", &attempts]).output().expect("a shell");
        eprintln!("--- attempts without an end\n{}", String::from_utf8_lossy(&left.stdout));
        let tended = self.tended();
        let shown = ["--array", "--states=running,pending,completing", "--format=%F %K %T %S %e %R %j"];
        let queue = tended.call("squeue", &shown);
        eprintln!("--- queue\n{}", queue.as_deref().unwrap_or("squeue does not answer"));
        let log = fs::read_to_string(tended.lab.dir.join("log/slurmctld")).unwrap_or_default();
        // Nodes that are asked to resume and never were drained.
        let lines: Vec<&str> = log.lines().filter(|line| !line.contains("Invalid node state")).collect();
        eprintln!("--- slurmctld\n{}", lines[lines.len().saturating_sub(LINES)..].join("\n"));
    }
}

impl Tended {
    /// What one of Slurm's programs said; `None` when it failed.
    fn call(&self, program: &str, arguments: &[&str]) -> Option<String> {
        let mut command = Command::new(program);
        command.args(arguments).env("SLURM_CONF", self.lab.conf()).stdin(Stdio::null()).stderr(Stdio::null());
        let output = command.output().ok().filter(|output| output.status.success())?;
        Some(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    }
}

/// Whether a child of the laboratory's shell has ended: it is a zombie until it is started again.
fn has_ended(pid: i32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit(") ").next().is_none_or(|rest| rest.is_empty() || rest.starts_with('Z'))
}
