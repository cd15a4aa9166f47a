//! Two real Slurm clusters and this machine as one network: accelerators by type, output, exit codes, books.

use std::{fs, path::Path, thread};

use huisuan_api::Client;
use serde_json::Value;

use crate::{
    lab::{Lab, Size},
    site::until,
    support::running::{Home, Running},
};

/// Each cluster: four nodes of two pretended accelerators.
const SIZE: Size = Size { nodes: 4, cpus: 4, gpus: 2 };
const CLUSTERS: [&str; 2] = ["alpha", "beta"];
const PART: &str = "H100-SXM5-80G";

/// What each centre is told of its cluster. Rates are declared: nothing is measured on pretended nodes.
fn engine_config(home: &Home, lab: &Lab, name: &str) -> String {
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
fn joined(home: &Home, name: &str, class: &str, more: &[&str]) -> Running {
    let engine = if more.is_empty() { "local" } else { "slurm" };
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
fn run(home: &Home, client: &Client, name: &str, text: &str) -> huisuan_api::jobs::JobView {
    let file = home.path(name);
    fs::write(&file, text).expect("a file");
    let ran = home.run(&["run", &file, "-o", "json"]);
    assert_eq!(ran.exit, 0, "{ran:?}");
    let id = ran.json()["job_id"].as_u64().expect("a number");
    until("the end of the job", || {
        let job = client.job(id).expect("a job");
        matches!(&*job.summary.state, "succeeded" | "failed" | "cancelled").then_some(job)
    })
}

#[test]
fn two_clusters_and_a_machine_are_one_network() {
    let home = Home::new();
    let server = home.start(&["serve", "--data", &home.path("server"), "--listen", "127.0.0.1:0"], &[]);
    let client = server.client();
    let cache = Path::new(env!("CARGO_TARGET_TMPDIR")).join("slurm-lab-clusters");
    let start = |name: &'static str| {
        let cache = cache.join(name);
        thread::spawn(move || Lab::start(name, SIZE, &cache))
    };
    let labs = CLUSTERS.map(start).map(|lab| lab.join().expect("a cluster"));
    let _local = joined(&home, "here", "hpc", &[]);
    let _agents = [0, 1].map(|at| {
        let config = engine_config(&home, &labs[at], CLUSTERS[at]);
        joined(&home, CLUSTERS[at], "ai", &["--engine-config", &config])
    });
    // More than one cluster has accelerators for, and longer than it takes to place them.
    let array = format!(
        "script: |\n  #!/bin/sh\n  echo $HUISUAN_CENTRE $CUDA_VISIBLE_DEVICES\n  sleep 2\ntasks: 1-12\ncores: 1\n\
         memory: 100MiB\nwalltime: 2m\ndevices: {{count: 1, any_of: [{PART}]}}\n"
    );
    let job = run(&home, &client, "array.yaml", &array);
    assert_eq!(job.summary.state, "succeeded", "{job:?}");
    for name in CLUSTERS {
        let there = job.attempts.iter().filter(|attempt| attempt.centre == name).count();
        assert!(there >= 4, "{name} ran {there}: {:?}", job.attempts);
    }
    let said = home.run(&["logs", &format!("{}.1", job.summary.job_id)]);
    let words: Vec<&str> = said.stdout.split_whitespace().collect();
    assert!(matches!(words[..], ["alpha" | "beta", device] if device.parse::<u32>().is_ok()), "{said:?}");
    let fails = run(
        &home,
        &client,
        "fails.yaml",
        &format!(
            "command: [/bin/sh, -c, exit 3]\ncentres: [beta]\nwalltime: 2m\ndevices: {{count: 1, any_of: [{PART}]}}\n"
        ),
    );
    let end = &fails.attempts[0];
    assert_eq!((&*fails.summary.state, end.exit_code), ("failed", Some(3)), "{fails:?}");
    let here = run(&home, &client, "here.yaml", "command: [\"true\"]\nclass: hpc\nwalltime: 1m\n");
    assert_eq!((&*here.summary.state, &*here.attempts[0].centre), ("succeeded", "here"), "{here:?}");
    drained_nodes_are_alarms(&client, &labs[0]);
    let audit: Value = home.run(&["ledger", "audit", "-o", "json"]).json();
    assert_eq!(audit["ok"], true, "{audit}");
    let usage = client.usage().expect("usage");
    assert!(usage.cost.amount > 0, "{usage:?}");
}

/// An operator of the network sees what an operator of the cluster did, once, until it is undone.
fn drained_nodes_are_alarms(client: &Client, lab: &Lab) {
    let engine_alarms = || {
        let alarms = client.alarms().expect("alarms").alarms;
        let of_engine = alarms.into_iter().filter(|alarm| alarm.kind == "engine");
        of_engine.map(|alarm| (alarm.centre, alarm.subject, alarm.detail)).collect::<Vec<_>>()
    };
    assert_eq!(engine_alarms(), []);
    lab.call("scontrol", &["update", "nodename=alpha2", "state=drain", "reason=fan"]);
    let alarms = until("the alarm", || Some(engine_alarms()).filter(|alarms| !alarms.is_empty()));
    let [(centre, subject, detail)] = &alarms[..] else { panic!("one alarm: {alarms:?}") };
    assert_eq!((&**centre, &**subject), ("alpha", "node alpha2"));
    assert!(detail.contains("drained") && detail.contains("fan"), "{detail}");
    lab.call("scontrol", &["update", "nodename=alpha2", "state=resume"]);
    until("its end", || engine_alarms().is_empty().then_some(()));
}
