//! Centres with real engines, as their sites would join them, and jobs of theirs.

use std::{fs, path::Path, thread};

use huisuan_api::Client;

use crate::{
    lab::{Lab, Size},
    site::until,
    support::running::{Home, Running},
};

/// Each cluster: four nodes of two pretended accelerators.
const SIZE: Size = Size { nodes: 4, cpus: 4, gpus: 2, kind: "gpu:h100" };
pub(crate) const CLUSTERS: [&str; 2] = ["alpha", "beta"];
pub(crate) const PART: &str = "H100-SXM5-80G";

/// What each centre is told of its cluster. Rates are declared: nothing is measured on pretended nodes.
fn slurm_config(home: &Home, lab: &Lab, name: &str) -> String {
    let file = home.path(&format!("{name}.toml"));
    let text = format!(
        "folder = \"{}\"\npartitions = [\"batch\"]\naccount = \"lab\"\nslurm_conf = \"{}\"\npoll_interval_ms = 1000\n\
         look_interval_ms = 50\n\n[[devices]]\ngres = \"gpu:h100\"\npool = \"{PART}\"\nclass = \"ai\"\n\
         memory = 85899345920\nrate_each = 400000\n",
        home.path(&format!("shared-{name}")),
        lab.conf().display()
    );
    fs::write(&file, text).expect("a file");
    file
}

/// Adds a centre and starts its agent as its site would.
pub(crate) fn joined(home: &Home, name: &str, class: &str, engine: &str, more: &[&str]) -> Running {
    let ran = home.run(&["centre", "add", name, "--class", class, "--engine", engine, "--price", "24", "-o", "json"]);
    assert_eq!(ran.exit, 0, "{ran:?}");
    let token = home.path(&format!("{name}.join"));
    fs::write(&token, ran.json()["join"].as_str().expect("a join token")).expect("a file");
    let (token, data) = (format!("@{token}"), home.path(&format!("agent-{name}")));
    let agent = home.spawn(&[&["agent", "--join", &token, "--data", &data, "--engine", engine], more].concat());
    until("the agent's welcome", || agent.stderr().contains("has joined").then_some(()));
    agent
}

/// Submits a job file and waits for its end.
pub(crate) fn run(home: &Home, client: &Client, name: &str, text: &str) -> huisuan_api::jobs::JobView {
    let file = home.path(name);
    fs::write(&file, text).expect("a file");
    ended(home, client, &["run", &file, "-o", "json"])
}

/// Submits a job by a command line and waits for its end.
pub(crate) fn ended(home: &Home, client: &Client, words: &[&str]) -> huisuan_api::jobs::JobView {
    let ran = home.run(words);
    assert_eq!(ran.exit, 0, "{ran:?}");
    let id = ran.json()["job_id"].as_u64().expect("a number");
    until("the end of the job", || {
        let job = client.job(id).expect("a job");
        matches!(&*job.summary.state, "succeeded" | "failed" | "cancelled").then_some(job)
    })
}

/// Two clusters, started at the same time; below `cache` each keeps its database for the next time.
pub(crate) fn clusters(cache: &str) -> [Lab; 2] {
    let cache = Path::new(env!("CARGO_TARGET_TMPDIR")).join(cache);
    let start = |name: &'static str| {
        let cache = cache.join(name);
        thread::spawn(move || Lab::start(name, SIZE, &cache))
    };
    CLUSTERS.map(start).map(|lab| lab.join().expect("a cluster"))
}

/// Joins both clusters as centres of class `ai`.
pub(crate) fn join_clusters(home: &Home, labs: &[Lab; 2]) -> [Running; 2] {
    [0, 1].map(|at| {
        let config = slurm_config(home, &labs[at], CLUSTERS[at]);
        joined(home, CLUSTERS[at], "ai", "slurm", &["--engine-config", &config])
    })
}

/// More than one cluster has accelerators for, and longer than it takes to place them.
pub(crate) fn array_on_devices() -> String {
    format!(
        "script: |\n  #!/bin/sh\n  echo $HUISUAN_CENTRE $CUDA_VISIBLE_DEVICES\n  sleep 2\ntasks: 1-12\ncores: 1\n\
         memory: 100MiB\nwalltime: 2m\ndevices: {{count: 1, any_of: [{PART}]}}\n"
    )
}
