//! `cargo xtask lab`: real engines on this machine for people to try things out. The tests start their own.

use crate::repository::Repository;
use crate::setup::{self, Use};
use anyhow::{Context, Result, bail, ensure};
use std::fs::{self, OpenOptions};
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};

/// The script that the tests of the Slurm engine use too.
const SLURM: &str = "crates/drivers/tests/lab/slurm.sh";
/// Below the ports that tests choose.
const PORT: &str = "11900";
const NAME: &str = "lab";

/// What can be started.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Engine {
    /// A Slurm cluster: four nodes with four pretended processors and GPUs each, with accounting.
    Slurm,
}

/// What is done with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Action {
    /// Start it and leave it running.
    Up,
    /// End it and remove its folder.
    Down,
}

/// Starts or ends the Slurm cluster in `dir`.
///
/// # Errors
///
/// When packages are missing, it does not come up, or none is there.
pub fn slurm(repository: &Repository, action: Action, dir: &Path) -> Result<()> {
    match action {
        Action::Up => up(repository, dir),
        Action::Down => down(dir),
    }
}

fn up(repository: &Repository, dir: &Path) -> Result<()> {
    setup::packages(&[Use::Tests])?;
    ensure!(!dir.exists(), "`{}` is there; hint: cargo xtask lab slurm down", dir.display());
    fs::create_dir_all(dir).with_context(|| format!("folder `{}`", dir.display()))?;
    let control = dir.join("control");
    let made = Command::new("mkfifo").arg(&control).status().context("mkfifo")?;
    ensure!(made.success(), "pipe `{}` cannot be made", control.display());
    // Open for writing too, so that the script does not see its end when this program is gone.
    let input = OpenOptions::new().read(true).write(true).open(&control)?;
    let cache = repository.join("target/slurm-lab");
    // Kept open, for the folder goes with a cluster that does not come up.
    let mut log = OpenOptions::new().create(true).read(true).append(true).open(dir.join("lab.log"))?;
    let mut script = Command::new("bash")
        .arg(repository.join(SLURM))
        .arg(dir)
        .args([PORT, NAME, "4", "4", "4"])
        .arg(cache)
        .env("LAB_REMOVE", "1")
        .process_group(0)
        .stdin(Stdio::from(input))
        .stdout(Stdio::piped())
        .stderr(log.try_clone()?)
        .spawn()
        .context("bash")?;
    let mut line = String::new();
    let answers = script.stdout.take().context("a pipe was asked for")?;
    BufReader::new(answers).read_line(&mut line)?;
    if line.trim() != "ready" {
        let _ = script.wait();
        let mut said = String::new();
        log.read_to_string(&mut said)?;
        bail!("the cluster does not come up: {}", said.trim());
    }
    println!("export SLURM_CONF={}", dir.join("slurm.conf").display());
    eprintln!("partitions batch (4 nodes) and one (1 node), account lab; end it with: cargo xtask lab slurm down");
    Ok(())
}

fn down(dir: &Path) -> Result<()> {
    let control = dir.join("control");
    ensure!(control.exists(), "no cluster in `{}`; hint: cargo xtask lab slurm up", dir.display());
    // Opened for reading too, so that this does not wait for a script that is gone.
    let mut input = OpenOptions::new().read(true).write(true).open(&control)?;
    writeln!(input, "down")?;
    // The script removes the folder as its last act.
    for _ in 0..600 {
        if !dir.exists() {
            return Ok(());
        }
        std::thread::park_timeout(std::time::Duration::from_millis(100));
    }
    bail!("the cluster in `{}` does not end; see lab.log there", dir.display())
}
