//! A real Slurm cluster for tests and benchmarks, on this machine; `slurm.sh` beside this file does the work.

#[allow(dead_code, reason = "not every program that uses the laboratory needs an image")]
pub(crate) mod image;

use std::{
    fs,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::TcpListener,
    os::unix::process::CommandExt as _,
    path::{Path, PathBuf},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    sync::atomic::{AtomicU16, Ordering},
};

/// A cluster that runs. It ends, with all that it started, when this value is dropped or this process ends, however
/// it ends: the script sees the end of its standard input.
pub(crate) struct Lab {
    /// Its folder.
    pub(crate) dir: PathBuf,
    script: Child,
    input: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
}

/// How large a cluster is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Size {
    /// Nodes in partition `batch`; the first of them is partition `one` too, and number N partition `aloneN`.
    pub(crate) nodes: u16,
    /// Pretended processors of each node.
    pub(crate) cpus: u16,
    /// Pretended accelerators of each node.
    pub(crate) gpus: u16,
    /// What they are called: `gpu:h100`.
    pub(crate) kind: &'static str,
}

#[allow(dead_code, reason = "not every program that uses the laboratory needs all of it")]
impl Lab {
    /// Starts a cluster and waits until its nodes are idle: 5 to 20 s. Folder `cache` keeps a database for the next
    /// time.
    pub(crate) fn start(name: &str, size: Size, cache: &Path) -> Lab {
        let ports = free_ports(size.nodes + 3);
        let dir = std::env::temp_dir().join(format!("huisuan-lab-{}-{ports}", std::process::id()));
        fs::create_dir_all(&dir).expect("a folder for the cluster");
        // Kept open, for the folder goes with a cluster that did not come up.
        let path = dir.join("lab.log");
        let mut log =
            fs::File::options().create(true).read(true).append(true).open(path).expect("a log of the cluster");
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../drivers/tests/lab/slurm.sh");
        let numbers = [size.nodes, size.cpus, size.gpus].map(|number| number.to_string());
        let mut command = Command::new("bash");
        command.arg(script).arg(&dir).arg(ports.to_string()).arg(name).args(numbers).arg(cache).arg(size.kind);
        // A group of its own: what ends this process must not end the one that cleans up behind it.
        command.env("LAB_REMOVE", "1").process_group(0);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(log.try_clone().expect("a handle"));
        let mut script = command.spawn().expect("bash");
        let input = script.stdin.take();
        let answers = BufReader::new(script.stdout.take().expect("a pipe"));
        let mut lab = Lab { dir, script, input, answers };
        if lab.answer() != "ready" {
            let _ = lab.script.wait();
            let mut said = String::new();
            log.read_to_string(&mut said).expect("what the script said");
            panic!("no cluster: {said}");
        }
        lab
    }

    /// The configuration file that Slurm's programs need.
    pub(crate) fn conf(&self) -> PathBuf {
        self.dir.join("slurm.conf")
    }

    /// The process id of a daemon: `slurmctld`, `slurmdbd`, `slurmd.1`.
    pub(crate) fn pid(&self, process: &str) -> i32 {
        let text = fs::read_to_string(self.dir.join("pids").join(process)).expect("it was started");
        text.trim().parse().expect("a process id")
    }

    /// Starts a daemon again that was ended.
    pub(crate) fn restart(&mut self, process: &str) {
        let input = self.input.as_mut().expect("it is taken in `drop` only");
        writeln!(input, "start {process}").expect("the script runs");
        assert_eq!(self.answer(), "ok");
    }

    /// Runs one of Slurm's programs and gives back what it printed.
    pub(crate) fn call(&self, program: &str, arguments: &[&str]) -> String {
        let output = Command::new(program).args(arguments).env("SLURM_CONF", self.conf()).output().expect(program);
        assert!(output.status.success(), "{program} {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }

    fn answer(&mut self) -> String {
        let mut line = String::new();
        self.answers.read_line(&mut line).expect("a pipe");
        line.trim().to_owned()
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        drop(self.input.take());
        let _ = self.script.wait();
    }
}

/// The first of so many neighbouring ports that are free, below those that the system gives to clients. Clusters of one
/// process get different ones even when they start at the same moment; those of several begin to look at different
/// places.
fn free_ports(count: u16) -> u16 {
    static CLUSTERS: AtomicU16 = AtomicU16::new(0);
    let cluster = CLUSTERS.fetch_add(1, Ordering::Relaxed);
    let from = 12_000 + u16::try_from(std::process::id() % 150).expect("below 150") * 120 + cluster % 4 * 30;
    let free = |first: &u16| (*first..*first + count).all(|port| TcpListener::bind(("127.0.0.1", port)).is_ok());
    (from..31_500).step_by(120).find(free).expect("free ports")
}
