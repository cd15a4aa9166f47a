//! Every engine as one network: two real Slurm clusters, a real Kubernetes control plane and this machine run the jobs
//! of the demo and jobs on accelerators; usage is metered everywhere and the books balance.
//!
//! Only the nodes of Kubernetes are fakes. `cargo xtask test` builds and starts its control plane and names it in
//! `HUISUAN_KUBERNETES`; without one there is nothing to test here.

#[path = "../support/engines.rs"]
mod engines;
#[path = "../../../drivers/tests/lab/mod.rs"]
mod lab;
#[expect(dead_code, reason = "the tests of the engine use all of it")]
mod node;
mod pods;
#[path = "../end_to_end/site.rs"]
#[expect(dead_code, reason = "the end-to-end tests use all of it")]
mod site;
#[path = "../support/mod.rs"]
mod support;

use std::{collections::BTreeMap, fs, path::Path};

use huisuan_api::jobs::JobView;
use serde_json::Value;

use crate::{
    engines::{CLUSTERS, array_on_devices, clusters, ended, join_clusters, joined, run},
    node::real::Real,
    support::running::Home,
};

/// The jobs of the demo that end by themselves, and with what.
const EXAMPLES: [(&str, &str); 6] = [
    ("hello.yaml", "succeeded"),
    ("montecarlo.yaml", "succeeded"),
    ("demand.yaml", "succeeded"),
    ("gang.yaml", "succeeded"),
    ("words.sbatch", "succeeded"),
    ("fails.yaml", "failed"),
];

/// A copy of the examples: some of them write beside their file.
fn examples(home: &Home) -> String {
    let folder = home.path("examples");
    let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples");
    for part in ["", "data"] {
        let to = Path::new(&folder).join(part);
        fs::create_dir_all(&to).expect("a folder");
        for entry in fs::read_dir(from.join(part)).expect("the examples").flatten() {
            if entry.path().is_file() {
                fs::copy(entry.path(), to.join(entry.file_name())).expect("a copy");
            }
        }
    }
    folder
}

/// How many attempts ended at each centre, of these jobs.
fn attempts(jobs: &[JobView]) -> BTreeMap<String, usize> {
    let mut all = BTreeMap::new();
    for attempt in jobs.iter().flat_map(|job| &job.attempts) {
        *all.entry(attempt.centre.clone()).or_default() += 1;
    }
    all
}

#[test]
fn every_engine_is_part_of_one_network() {
    let node = Real::from_environment(1).expect("HUISUAN_KUBERNETES is set by `cargo xtask kubernetes`");
    let home = Home::new();
    let server = home.start(&["serve", "--data", &home.path("server"), "--listen", "127.0.0.1:0"], &[]);
    let client = server.client();
    let labs = clusters("slurm-lab-federation");
    let _clusters = join_clusters(&home, &labs);
    let _local = joined(&home, "here", "hpc", "local", &[]);
    let config = home.path("kubernetes.toml");
    fs::write(&config, node.text()).expect("a file");
    let _pods = joined(&home, "pods", "general", "kubernetes", &["--engine-config", &config]);

    let folder = examples(&home);
    let mut jobs = Vec::new();
    for (name, state) in EXAMPLES {
        // They are submitted beside the folder, as in the repository.
        let (file, beside) = (format!("{folder}/{name}"), home.path(""));
        let variable = format!("SLURM_SUBMIT_DIR={beside}");
        let job = ended(&home, &client, &["run", &file, "--dir", &beside, "--env", &variable, "-o", "json"]);
        assert_eq!(job.summary.state, state, "{name}: {job:?}");
        jobs.push(job);
    }
    jobs.push(run(&home, &client, "array.yaml", &array_on_devices()));
    let pods = "script: |\n  #!/bin/sh\n  sleep 2; echo $HUISUAN_CENTRE $HUISUAN_TASK\ntasks: 1-4\nclass: general\n\
                memory: 64MiB\nwalltime: 2m\n";
    jobs.push(run(&home, &client, "pods.yaml", pods));
    assert!(jobs[EXAMPLES.len()..].iter().all(|job| job.summary.state == "succeeded"), "{jobs:?}");
    let said = home.run(&["logs", &format!("{}.3", jobs.last().expect("a job").summary.job_id)]);
    assert_eq!(said.stdout, "pods 3\n", "{said:?}");

    let there = attempts(&jobs);
    for centre in [CLUSTERS[0], CLUSTERS[1], "here", "pods"] {
        assert!(there.get(centre).is_some_and(|&count| count > 0), "{centre} ran nothing: {there:?}");
    }
    let audit: Value = home.run(&["ledger", "audit", "-o", "json"]).json();
    assert_eq!(audit["ok"], true, "{audit}");
    let usage = client.usage().expect("usage");
    let used = usage.usage.0.iter().filter(|(_, used)| used.gflop > 0);
    assert_eq!(used.map(|(class, _)| class.as_str()).collect::<Vec<_>>(), ["ai", "hpc", "general"], "{usage:?}");
    assert!(usage.cost.amount > 0, "{usage:?}");
}
