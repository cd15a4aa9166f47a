//! Tests of [`super::Network`].

use super::*;
use crate::read::slurm::State;

/// A job in partition `p` of cluster `c` with four cores.
fn job(partition: &str, start_s: i64, run_s: u64, devices: u32, part: &str, node_list: &str) -> SacctJob {
    SacctJob {
        id: "1".into(),
        cluster: "c".into(),
        user: "ann".into(),
        account: "lab".into(),
        partition: partition.into(),
        qos: String::new(),
        state: State::Completed,
        submit_at_ms: 0,
        eligible_at_ms: 0,
        start_at_ms: start_s * 1000,
        run_ms: run_s * 1000,
        walltime_ms: None,
        nodes: 1,
        cores: 4,
        memory_bytes: Some(1 << 30),
        devices,
        part: part.into(),
        node_list: node_list.into(),
    }
}

fn node(name: &str, partition: &str, cores: u32, devices: u32, part: &str) -> SinfoNode {
    SinfoNode {
        name: name.into(),
        partition: partition.into(),
        cores,
        memory_bytes: 8 << 30,
        devices,
        part: part.into(),
    }
}

/// `name[partitions] part cores/devices/GiB ...` of every centre.
fn shown(network: &Network) -> Vec<String> {
    let pool =
        |pool: &ImportedPool| format!(" {} {}/{}/{}", pool.part, pool.cores, pool.devices, pool.memory_bytes >> 30);
    let centre = |centre: &ImportedCentre| {
        let pools: String = centre.pools.iter().map(pool).collect();
        format!("{}[{}]{pools}", centre.name, centre.partitions.join(","))
    };
    network.centres.iter().map(centre).collect()
}

#[test]
fn a_centre_is_as_large_as_its_jobs_were_at_once() {
    let jobs = [
        job("p", 0, 10, 0, "", ""),
        job("p", 5, 10, 0, "", ""),
        job("p", 10, 10, 0, "", ""),
        job("q", 0, 0, 0, "", ""),
    ];
    let network = Network::of_sacct(&jobs, &[]);
    assert_eq!(shown(&network), ["c-p[p] cpu 8/0/2", "c-q[q] cpu 4/0/1"]);
    assert_eq!(network.centres[0].sized_by, SizedBy::Peak);
}

#[test]
fn partitions_that_share_nodes_are_one_centre() {
    let jobs = [
        job("p", 0, 10, 0, "", "n[1-3]"),
        job("q", 0, 10, 0, "", "n3"),
        job("r", 0, 10, 0, "", "m1"),
        job("s", 0, 9, 0, "", "["),
    ];
    let network = Network::of_sacct(&jobs, &[]);
    assert_eq!(shown(&network), ["c[p,q] cpu 8/0/2", "c-r[r] cpu 4/0/1", "c-s[s] cpu 4/0/1"]);
    let told = Network::of_sacct(&jobs[2..], &[node("x", "r", 4, 0, ""), node("x", "s", 4, 0, "")]);
    assert_eq!(shown(&told), ["c[r,s] cpu 4/0/8"], "a node of two partitions counts once");
}

#[test]
fn accelerators_without_a_type_belong_to_the_only_one() {
    let jobs = [job("p", 0, 10, 2, "h100", ""), job("p", 0, 10, 1, "", "")];
    let network = Network::of_sacct(&jobs, &[]);
    assert_eq!(shown(&network), ["c-p[p] h100 8/3/2"]);
    let jobs = [job("p", 0, 10, 2, "h100", ""), job("p", 0, 10, 2, "a100", ""), job("p", 0, 10, 1, "", "")];
    let network = Network::of_sacct(&jobs, &[]);
    assert_eq!(shown(&network), ["c-p[p] a100 4/2/1 gpu 4/1/1 h100 4/2/1"]);
}

#[test]
fn nodes_with_accelerators_serve_jobs_without_too() {
    let nodes = [node("n1", "p", 16, 4, "h100"), node("n2", "p", 16, 4, "h100"), node("n3", "p", 32, 0, "")];
    let with = |jobs: &[SacctJob]| shown(&Network::of_sacct(jobs, &nodes));
    // One core for each device in use: eight of the 32 cores stay with the eight devices.
    let both = [job("p", 0, 10, 4, "h100", ""), job("p", 0, 10, 0, "", "")];
    assert_eq!(with(&both), ["c-p[p] cpu 56/0/22 h100 8/8/2"]);
    // A job for every device takes all cores.
    let hungry = [job("p", 0, 10, 1, "h100", ""), job("p", 0, 10, 0, "", "")];
    assert_eq!(with(&hungry), ["c-p[p] cpu 32/0/16 h100 32/8/8"]);
    let untyped = [job("p", 0, 10, 1, "", ""), job("p", 0, 10, 0, "", "")];
    assert_eq!(with(&untyped), ["c-p[p] cpu 32/0/16 h100 32/8/8"], "jobs need not tell the type that nodes tell");
    assert_eq!(with(&both[..1]), ["c-p[p] cpu 32/0/8 h100 32/8/16"], "nobody needs more processors");
}

#[test]
fn names_are_ids_and_differ() {
    for (text, id) in [("a b", "a-b"), ("_x", "x"), ("汇算", "site"), ("", "site"), ("a.b:c-d", "a.b:c-d")] {
        assert_eq!(id_of(text, "site"), id, "{text}");
    }
    let jobs = [job("a b", 0, 1, 0, "", ""), job("a/b", 0, 1, 0, "", "")];
    assert_eq!(shown(&Network::of_sacct(&jobs, &[])), ["c-a-b[a b] cpu 4/0/1", "c-a-b-2[a/b] cpu 4/0/1"]);
}
