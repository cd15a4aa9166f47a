//! Two real Slurm clusters and this machine as one network: accelerators by type, output, exit codes, books.

use std::fs;

use huisuan_api::Client;
use serde_json::Value;

use crate::{
    engines::{CLUSTERS, PART, array_on_devices, clusters, join_clusters, joined, run},
    lab::Lab,
    sessions::Person,
    site::until,
    support::running::Home,
};

#[test]
fn two_clusters_and_a_machine_are_one_network() {
    let home = Home::new();
    let server = home.start(&["serve", "--data", &home.path("server"), "--listen", "127.0.0.1:0"], &[]);
    let client = server.client();
    let labs = clusters("slurm-lab-clusters");
    let _local = joined(&home, "here", "hpc", "local", &[]);
    let _agents = join_clusters(&home, &labs);
    let job = run(&home, &client, "array.yaml", &array_on_devices());
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
    a_terminal_is_on_a_node(&home);
    drained_nodes_are_alarms(&client, &labs[0]);
    let audit: Value = home.run(&["ledger", "audit", "-o", "json"]).json();
    assert_eq!(audit["ok"], true, "{audit}");
    let usage = client.usage().expect("usage");
    assert!(usage.cost.amount > 0, "{usage:?}");
}

/// Typed into here, run on a compute node: left, found again, and ended with its exit code.
fn a_terminal_is_on_a_node(home: &Home) {
    let file = home.path("session.yaml");
    let text = format!(
        "kind: session\ncommand: [/bin/sh]\ncentres: [alpha]\ncores: 1\nmemory: 64MiB\nwalltime: 5m\n\
         devices: {{count: 1, any_of: [{PART}]}}\n"
    );
    fs::write(&file, text).expect("a file");
    let id = home.run(&["run", &file, "-o", "json"]).json()["job_id"].to_string();
    let mut first = Person::at(home, &["session", "attach", &id]);
    first.types("echo on-$SLURMD_NODENAME-$((40 + 2)); kept=seven\r");
    first.sees("-42\r\n");
    assert!(first.screen().contains("on-alpha"), "{}", first.screen());
    first.types("\r~.");
    assert!(first.leaves().success(), "{}", first.screen());
    let mut second = Person::at(home, &["session", "attach", &id]);
    second.types("echo still-$kept; exit 7\r");
    second.sees("still-seven\r\n");
    assert_eq!(second.leaves().code(), Some(7), "{}", second.screen());
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
