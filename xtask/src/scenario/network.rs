//! A server and an agent as processes of their own, with everything in one scratch folder.

use std::{
    fs,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::repository::Repository;

/// The longest that a server may take to answer.
const READY_WITHIN: Duration = Duration::from_secs(120);

/// A scratch folder of one measurement, removed at the end.
pub(super) struct Scratch(pub(super) PathBuf);

impl Scratch {
    /// On the disk of the build folder, since a folder in memory would flatter every commit.
    pub(super) fn new(repository: &Repository, name: &str) -> Result<Self> {
        let path = repository.target().join("scenario").join(format!("{name}-{}", std::process::id()));
        fs::create_dir_all(&path).with_context(|| format!("make {}", path.display()))?;
        Ok(Scratch(path))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.0) {
            eprintln!("warning: {} stays: {error}", self.0.display());
        }
    }
}

/// A process that ends with the value.
pub(super) struct Process(Child);

impl Process {
    /// Its number.
    pub(super) fn id(&self) -> u32 {
        self.0.id()
    }

    /// Ends it at once and waits for it.
    pub(super) fn kill(mut self) -> Result<()> {
        self.0.kill()?;
        self.0.wait()?;
        Ok(())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended by itself.
        _ = self.0.kill();
        _ = self.0.wait();
    }
}

/// A running server.
pub(super) struct Server {
    pub(super) process: Process,
    pub(super) url: String,
    /// The join token of centre `bench`.
    pub(super) join: String,
    binary: PathBuf,
    folder: PathBuf,
}

/// The release binary, built.
pub(super) fn binary(repository: &Repository) -> Result<PathBuf> {
    build(repository, &["--package", "huisuan-cli", "--bin", "huisuan"])?;
    Ok(repository.target().join("release/huisuan"))
}

/// Builds for release.
pub(super) fn build(repository: &Repository, what: &[&str]) -> Result<()> {
    let mut cargo = Command::new("cargo");
    cargo.args(["build", "--quiet", "--release"]).args(what).current_dir(repository.root());
    if !cargo.status().context("start cargo")?.success() {
        bail!("cargo build {} failed", what.join(" "));
    }
    Ok(())
}

impl Server {
    /// Starts one on a data directory in `folder`, with a centre `bench` of class `general`.
    pub(super) fn start(binary: &Path, folder: &Path) -> Result<Self> {
        let mut child = Command::new(binary)
            .args(["serve", "--listen", "127.0.0.1:0", "--centre", "bench:general", "--data"])
            .arg(folder.join("server"))
            .env("XDG_RUNTIME_DIR", folder)
            .stdin(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .with_context(|| format!("start {}", binary.display()))?;
        let stderr = child.stderr.take().context("a pipe")?;
        let process = Process(child);
        let (mut url, mut join) = (None, None);
        let mut lines = BufReader::new(stderr).lines();
        while url.is_none() || join.is_none() {
            let line = lines.next().context("the server ended before it was ready")??;
            let word_after =
                |mark: &str| line.split_once(mark)?.1.split([' ', ',', '`', ';']).next().map(str::to_owned);
            url = url.or_else(|| word_after("server at "));
            join = join.or_else(|| word_after("--join "));
        }
        // What it says later is read and dropped, so that it never waits for us.
        std::thread::spawn(move || lines.for_each(drop));
        let (url, join) = (url.unwrap_or_default(), join.unwrap_or_default());
        Ok(Server { process, url, join, binary: binary.to_owned(), folder: folder.to_owned() })
    }

    /// Starts the agent of centre `bench` and waits until the centre is rated.
    pub(super) fn agent(&self) -> Result<Process> {
        let child = Command::new(&self.binary)
            .args(["agent", "--join", &self.join])
            .arg("--data")
            .arg(self.folder.join("agent"))
            .env("XDG_RUNTIME_DIR", &self.folder)
            .stdin(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .context("start the agent")?;
        let process = Process(child);
        let began = Instant::now();
        while began.elapsed() < READY_WITHIN {
            let centres = self.client(&["centre", "ls", "-o", "json"])?;
            if centres.pointer("/centres/0/pools/0/rating/sustained_gflop_per_s").is_some() {
                return Ok(process);
            }
            std::thread::park_timeout(Duration::from_millis(100));
        }
        bail!("the centre was not rated within {} s", READY_WITHIN.as_secs())
    }

    /// Runs a client command and reads its JSON.
    pub(super) fn client(&self, arguments: &[&str]) -> Result<Value> {
        let output = Command::new(&self.binary)
            .args(arguments)
            .args(["--server", &self.url])
            .env("XDG_RUNTIME_DIR", &self.folder)
            .stderr(Stdio::inherit())
            .output()
            .context("start a client")?;
        if !output.status.success() {
            bail!("huisuan {} ended with {}", arguments.join(" "), output.status);
        }
        serde_json::from_slice(&output.stdout)
            .with_context(|| format!("read the answer of huisuan {}", arguments.join(" ")))
    }

    /// Resident memory in MiB.
    pub(super) fn resident_mb(&self) -> Result<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.process.id()))?;
        let kib =
            status.lines().find_map(|line| line.strip_prefix("VmHWM:")?.split_whitespace().next()?.parse::<u64>().ok());
        Ok(kib.context("the system does not tell the memory")? / 1024)
    }
}
