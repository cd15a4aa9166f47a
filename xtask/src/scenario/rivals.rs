//! The replay of one log by other simulators of queues and by `huisuan twin swf`, in one run on one machine.
//!
//! AccaSim comes from PyPI. pyss does not: what PyPI has under that name (1.1.7) runs scripts. The simulator is at
//! <https://github.com/dinesh121991/pyss>, for Python 2 and under the GPL: where `HUISUAN_PYSS` names the folder `src` of
//! a checkout and there is a `python2`, it runs, too. Nothing of either is part of this repository.

use std::{
    env,
    fmt::Write as _,
    fs::{self, File},
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};

use super::{
    network::{Scratch, binary},
    queue::made_up,
};
use crate::{limit, python, repository::Repository};

/// The rival from PyPI, with the packages that it was tried with.
const ACCASIM: [&str; 3] = ["accasim==1.1.3", "numpy==2.4.6", "scipy==1.17.1"];
const ACCASIM_PROGRAM: &str = include_str!("rivals/accasim.py");
const PYSS_PROGRAM: &str = include_str!("rivals/pyss.py");
/// The log of the comparison below `HUISUAN_TRACES`.
const KTH: &str = "swf/predictsim-KTH-SP2-filtered.swf.gz";
/// Jobs of the made-up log that stands in for it.
const MADE_UP_JOBS: usize = 5_000;
/// The longest that one replay may take.
const WITHIN: Duration = Duration::from_secs(600);

/// A log in plain text.
struct Log {
    file: PathBuf,
    name: &'static str,
    processors: u64,
}

pub(super) fn run(repository: &Repository) -> Result<Value> {
    let scratch = Scratch::new(repository, "rivals")?;
    let log = log(&scratch.0)?;
    let ours = ours(&binary(repository)?, &log)?;
    let accasim = accasim(repository, &scratch.0, &log, &ours)?;
    let pyss = match pyss(&scratch.0, &log, &ours) {
        Ok(pyss) => pyss,
        Err(error) => json!({ "not_run": format!("{error:#}") }),
    };
    let result = json!({ "log": log.name, "huisuan": ours, "accasim": accasim, "pyss": pyss });
    eprintln!("{}", table(&result)?);
    Ok(result)
}

fn log(folder: &Path) -> Result<Log> {
    let file = folder.join("log.swf");
    let (text, name) = match env::var_os("HUISUAN_TRACES") {
        Some(traces) => {
            let output = Command::new("gzip").arg("-dc").arg(Path::new(&traces).join(KTH)).output()?;
            ensure!(output.status.success(), "unpack {KTH}: {}", String::from_utf8_lossy(&output.stderr));
            (String::from_utf8(output.stdout)?, "KTH-SP2")
        }
        None => {
            let lines: Vec<String> = made_up().lines().take(MADE_UP_JOBS + 1).map(str::to_owned).collect();
            (lines.join("\n") + "\n", "made up")
        }
    };
    let processors = text.lines().find_map(|line| line.strip_prefix("; MaxProcs:")).context("MaxProcs of the log")?;
    let processors = processors.trim().parse().context("MaxProcs is a number")?;
    let text: String = text.lines().map(|line| plain(line) + "\n").collect();
    fs::write(&file, text).with_context(|| format!("write {}", file.display()))?;
    Ok(Log { file, name, processors })
}

/// A line whose job was given as many processors as it asked for: some simulators go by the one, some by the other.
fn plain(line: &str) -> String {
    let mut words: Vec<&str> = line.split_whitespace().collect();
    if let [_, _, _, _, given, _, _, asked, ..] = &mut words[..]
        && !line.starts_with(';')
        && *asked != "-1"
    {
        *given = *asked;
        return words.join(" ");
    }
    line.to_owned()
}

/// Our own replay under each policy.
fn ours(binary: &Path, log: &Log) -> Result<Value> {
    let output = Command::new(binary).args(["twin", "swf", "-o", "json"]).arg(&log.file).output()?;
    ensure!(output.status.success(), "twin swf failed: {}", String::from_utf8_lossy(&output.stderr));
    let answer: Value = serde_json::from_slice(&output.stdout).context("read the answer of twin swf")?;
    let mut ours = json!({});
    for found in answer["policies"].as_array().context("a list of policies")? {
        let policy = found["policy"].as_str().context("a policy's name")?;
        let figure = |name: &str| found[name].as_f64().with_context(|| format!("figure {name}"));
        ours[policy] = json!({
            "jobs": figure("jobs")?,
            "mean_wait_s": figure("mean_wait_s")?,
            "max_wait_s": figure("max_wait_s")?,
            "cpu_s": figure("cpu_ms")? / 1e3,
        });
    }
    Ok(ours)
}

fn accasim(repository: &Repository, scratch: &Path, log: &Log, ours: &Value) -> Result<Value> {
    let python = python::venv(repository, "accasim", &ACCASIM)?;
    let mut found = json!({ "version": ACCASIM[0] });
    for policy in ["fifo", "easy"] {
        let folder = scratch.join(format!("accasim-{policy}"));
        fs::create_dir_all(&folder)?;
        let mut command = Command::new(&python);
        command.args(["-c", ACCASIM_PROGRAM]).arg(&log.file).arg(log.processors.to_string()).arg(policy).arg(&folder);
        found[policy] = replay(command, &folder, policy, ours)?;
    }
    Ok(found)
}

fn pyss(scratch: &Path, log: &Log, ours: &Value) -> Result<Value> {
    let Some(source) = env::var_os("HUISUAN_PYSS") else {
        bail!("HUISUAN_PYSS names no checkout; PyPI's pyss is another program");
    };
    let mut found = json!({ "version": "checkout" });
    for policy in ["fifo", "easy", "conservative"] {
        let folder = scratch.join(format!("pyss-{policy}"));
        fs::create_dir_all(&folder)?;
        let mut command = Command::new("python2");
        command
            .args(["-O", "-c", PYSS_PROGRAM])
            .arg(&log.file)
            .arg(log.processors.to_string())
            .arg(policy)
            .arg(&source);
        found[policy] = replay(command, &folder, policy, ours)?;
    }
    Ok(found)
}

/// Runs a rival whose last line is JSON, and adds how far its waits are from ours and how much faster we are.
fn replay(mut command: Command, folder: &Path, policy: &str, ours: &Value) -> Result<Value> {
    let (said, warned) = (folder.join("said"), folder.join("warned"));
    command.stdout(File::create(&said)?).stderr(File::create(&warned)?).env("PYTHONDONTWRITEBYTECODE", "1");
    let ended = limit::run(&mut command, WITHIN)?.with_context(|| format!("{policy}: no end within {WITHIN:?}"))?;
    let last_lines = |file: &Path| fs::read_to_string(file).map(|text| text.lines().last().unwrap_or("").to_owned());
    ensure!(ended.success(), "{policy}: {ended}: {}", last_lines(&warned)?);
    let mut found: Value =
        serde_json::from_str(&last_lines(&said)?).with_context(|| format!("{policy}: its last line"))?;
    let figure = |of: &Value, name: &str| of[name].as_f64().with_context(|| format!("{policy}: figure {name}"));
    let (theirs, mine) = (found.clone(), &ours[policy]);
    found["wait_more_s"] = json!(figure(&theirs, "mean_wait_s")? - figure(mine, "mean_wait_s")?);
    found["times_our_cpu"] = json!(figure(&theirs, "cpu_s")? / figure(mine, "cpu_s")?.max(1e-6));
    found["jobs_per_cpu_s"] = json!(figure(&theirs, "jobs")? / figure(&theirs, "cpu_s")?.max(1e-6));
    Ok(found)
}

/// All of it as a table for docs/benchmarks.md.
fn table(result: &Value) -> Result<String> {
    let mut text = format!(
        "\n{}:\n| | policy | mean wait | longest wait | CPU | jobs/s of CPU |\n|---|---|---|---|---|---|",
        result["log"]
    );
    for who in ["huisuan", "accasim", "pyss"] {
        for (policy, found) in result[who].as_object().context("an object")? {
            let figure = |name: &str| found[name].as_f64();
            let (Some(jobs), Some(cpu_s)) = (figure("jobs"), figure("cpu_s")) else { continue };
            let waits = [figure("mean_wait_s"), figure("max_wait_s")].map(Option::unwrap_or_default);
            write!(
                text,
                "\n| {who} | `{policy}` | {:.1} s | {:.0} s | {cpu_s:.3} s | {:.0} |",
                waits[0],
                waits[1],
                jobs / cpu_s
            )?;
        }
    }
    if let Some(reason) = result["pyss"]["not_run"].as_str() {
        write!(text, "\npyss was not run: {reason}")?;
    }
    Ok(text)
}
