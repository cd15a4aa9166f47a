//! Our rates against OpenBLAS through numpy, on the same processors, with matrices of the same order: an
//! independent program must find the same machine within 15 percent.
//!
//! Both are timed in processor time, and the best of a few rounds of each is compared: other load makes single
//! rounds slower, never faster.

use serde_json::Value;
use std::process::{Command, Stdio};
use xtask::python;
use xtask::repository::Repository;
use xtask::step::cargo;

/// What numpy is asked: products of one order on one pinned processor for about a third of a second, the
/// median rate of seven runs in GFLOP/s.
const SCRIPT: &str = r"
import os, sys, time
import numpy
cpu, kind, order = int(sys.argv[1]), sys.argv[2], int(sys.argv[3])
os.sched_setaffinity(0, [cpu])
generator = numpy.random.default_rng(cpu)
a = generator.uniform(-1, 1, (order, order)).astype(kind)
b = generator.uniform(-1, 1, (order, order)).astype(kind)
product = numpy.empty_like(a)
for _ in range(4):
    numpy.matmul(a, b, out=product)
times = []
for _ in range(7):
    before = time.thread_time()
    numpy.matmul(a, b, out=product)
    times.append(time.thread_time() - before)
print(2 * order ** 3 / sorted(times)[3] / 1e9)
";
const NUMPY: &str = "numpy==2.4.6";
const ROUNDS: usize = 5;
const TOLERANCE: f64 = 0.15;

/// The rate of each precision as we measure it on these processors together, in GFLOP/s, and the order.
fn ours(repository: &Repository, cpus: &str) -> Vec<(f64, u64)> {
    let arguments = "run --quiet --package huisuan-measure --example rate --";
    let output = cargo()
        .current_dir(repository.root())
        .args(arguments.split(' '))
        .args([cpus, "fp64", "fp32"])
        .stderr(Stdio::inherit())
        .output()
        .expect("cargo runs");
    let measured: Value = serde_json::from_slice(&output.stdout).expect("a measurement");
    let rates = measured["rates"].as_array().expect("rates");
    let figure = |rate: &Value| (rate["sustained_gflops"].as_f64().unwrap_or(0.0), rate["order"].as_u64().unwrap_or(0));
    rates.iter().map(figure).collect()
}

/// The rate of OpenBLAS on these processors together: one process with one thread on each, all at once.
fn theirs(python: &std::path::Path, cpus: &str, kind: &str, order: u64) -> f64 {
    let start = |cpu: &str| {
        Command::new(python)
            .args(["-c", SCRIPT, cpu, kind, &order.to_string()])
            .env("OPENBLAS_NUM_THREADS", "1")
            .stdout(Stdio::piped())
            .spawn()
            .expect("python starts")
    };
    let children: Vec<_> = cpus.split(',').map(start).collect();
    let rate = |child: std::process::Child| {
        let output = child.wait_with_output().expect("python ends");
        String::from_utf8_lossy(&output.stdout).trim().parse::<f64>().expect("a rate")
    };
    // The slowest processor counts for all, as in our own measurement.
    let rates: Vec<f64> = children.into_iter().map(rate).collect();
    rates.iter().copied().fold(f64::INFINITY, f64::min) * rates.len() as f64
}

fn check(cpus: &str) {
    let repository = Repository::locate().expect("the repository");
    let python = python::venv(&repository, "numpy", &[NUMPY]).expect("a Python environment");
    for (index, kind) in ["float64", "float32"].into_iter().enumerate() {
        let (mut best_ours, mut best_theirs) = (0.0_f64, 0.0_f64);
        for _ in 0..ROUNDS {
            let (rate, order) = ours(&repository, cpus)[index];
            best_ours = best_ours.max(rate);
            best_theirs = best_theirs.max(theirs(&python, cpus, kind, order));
            if (best_ours / best_theirs - 1.0).abs() <= TOLERANCE {
                break;
            }
        }
        eprintln!("{kind} on CPUs {cpus}: {best_ours:.0} GFLOP/s here, {best_theirs:.0} by OpenBLAS");
        let off = (best_ours / best_theirs - 1.0).abs();
        assert!(off <= TOLERANCE, "{kind} on {cpus}: {best_ours} here, {best_theirs} by OpenBLAS");
    }
}

#[test]
fn openblas_finds_the_same_machine() {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux");
    let list = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:")).expect("a list").trim();
    let mut cpus: Vec<String> = Vec::new();
    for part in list.split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last): (u32, u32) = (first.parse().expect("a CPU"), last.parse().expect("a CPU"));
        cpus.extend((first..=last).map(|cpu| cpu.to_string()));
    }
    check(&cpus[0]);
    // Beyond eight a round would start hundreds of processes; eight show what sharing does.
    cpus.truncate(8);
    check(&cpus.join(","));
}
