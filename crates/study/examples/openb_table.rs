//! All lists under a policy: `cargo run --release -p huisuan-study --example openb_table POLICY SEEDS FIRST_SEED
//! scan|index|loss COPIES [LIST...]`, with `HUISUAN_TRACES` naming the folder of the traces.
//!
//! For each list: mean allocation at 100 % and 130 %, mean processor time of a run, beside what was published for FGD;
//! with `loss` the index is compared with a scan of all nodes instead, on that fleet and on one in which every second
//! copy has twice the cores, which makes twice as many kinds of nodes. The fleet is so many copies of the published one.
//! The last line is JSON.

use std::{
    env, fs,
    path::{Path, PathBuf},
};

use huisuan_schedule::pack::Packing;
use huisuan_study::{OpenbStudy, Search};

fn main() {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let Some(dir) = env::var_os("HUISUAN_TRACES") else {
        eprintln!("error: the lists of openb are not here");
        eprintln!(
            "hint: HUISUAN_TRACES names the folder of the public traces; docs/traces.md says where they come from"
        );
        std::process::exit(2);
    };
    let dir = Path::new(&dir);
    let number = |at: usize| arguments[at].parse().expect("numbers of seeds and copies, a first seed");
    let asked = Asked {
        packing: arguments[0].parse().expect("a policy"),
        seeds: number(2)..number(2) + number(1),
        copies: arguments[4].parse().expect("a number of copies of the nodes"),
    };
    let lists = lists(dir, &arguments[5..]);
    let result = if arguments[3] == "loss" {
        losses(dir, &asked, &lists)
    } else {
        table(dir, &asked, &lists, if arguments[3] == "index" { Search::Index } else { Search::Scan })
    };
    println!("{{{result}}}");
}

struct Asked {
    packing: Packing,
    seeds: std::ops::Range<u64>,
    copies: usize,
}

/// Means over the seeds.
struct Means {
    at_100: f64,
    at_130: f64,
    cpu_ms: f64,
}

/// The lists by name, or all of them.
fn lists(dir: &Path, names: &[String]) -> Vec<(String, PathBuf)> {
    let found = fs::read_dir(dir.join("alibaba2023")).expect("a folder");
    let mut lists: Vec<(String, PathBuf)> = found
        .filter_map(|entry| {
            let path = entry.expect("an entry").path();
            let file = path.file_name()?.to_str()?.to_owned();
            Some((file.strip_prefix("openb_pod_list_")?.strip_suffix(".csv.gz")?.to_owned(), path))
        })
        .filter(|(name, _)| names.is_empty() || names.contains(name))
        .collect();
    lists.sort();
    lists
}

fn study(dir: &Path, list: &Path, copies: usize, kinds: Kinds) -> OpenbStudy {
    let nodes = dir.join("alibaba2023/openb_node_list_gpu_node.csv.gz");
    let mut study = OpenbStudy::read(&nodes, list).expect("lists");
    let published = study.nodes.rooms.len();
    study.nodes.rooms = study.nodes.rooms.repeat(copies);
    if kinds == Kinds::Twice {
        let odd = study.nodes.rooms.chunks_mut(published).skip(1).step_by(2);
        odd.flatten().for_each(|room| room.cores_milli *= 2);
    }
    study
}

/// Which kinds of nodes the fleet has.
#[derive(Clone, Copy, PartialEq)]
enum Kinds {
    /// Those that were published.
    Published,
    /// Each with twice the cores besides.
    Twice,
}

fn means(study: &OpenbStudy, asked: &Asked, search: Search) -> Means {
    let (mut at_100, mut at_130, mut cpu_ms) = (0.0, 0.0, 0.0);
    for seed in asked.seeds.clone() {
        let arrivals = study.arrivals(1300, seed);
        let start = cpu_now_ms();
        let curve = study.run(asked.packing, search, &arrivals, seed).curve;
        cpu_ms += cpu_now_ms() - start;
        at_100 += curve.at(100).unwrap_or(f64::NAN);
        at_130 += curve.at(130).unwrap_or(f64::NAN);
    }
    let seeds = asked.seeds.clone().count() as f64;
    Means { at_100: at_100 / seeds, at_130: at_130 / seeds, cpu_ms: cpu_ms / seeds }
}

fn table(dir: &Path, asked: &Asked, lists: &[(String, PathBuf)], search: Search) -> String {
    let published = fs::read_to_string(dir.join("fgd/SUMMARY_alloc_by_policy.csv")).expect("the published table");
    let packing = if asked.packing == Packing::Default { "fgd" } else { asked.packing.name() };
    let (mut compared, mut worst_100, mut worst_130, mut sum, mut slowest_ms) = (0, f64::MAX, f64::MAX, 0.0, 0.0_f64);
    let mut farthest = [0.0_f64; 2];
    let mut results = Vec::new();
    for (name, path) in lists {
        let line = published.lines().find(|line| {
            let mut fields = line.split(',');
            let list = fields.next().and_then(|list| list.strip_prefix("openb_pod_list_"));
            list == Some(name) && fields.next().is_some_and(|policy| policy.to_lowercase().contains(packing))
        });
        let field = |at: usize| line.and_then(|line| line.split(',').nth(at)?.parse::<f64>().ok()).unwrap_or(f64::NAN);
        let Means { at_100, at_130, cpu_ms } = means(&study(dir, path, asked.copies, Kinds::Published), asked, search);
        let (more_100, more_130) = (at_100 - field(7), at_130 - field(3));
        println!("{name:12} @100 {at_100:.3} ({more_100:+.3})  @130 {at_130:.3} ({more_130:+.3})  {cpu_ms:.0} ms");
        slowest_ms = slowest_ms.max(cpu_ms);
        if more_130.is_finite() {
            compared += 1;
            sum += more_130;
            (worst_100, worst_130) = (worst_100.min(more_100), worst_130.min(more_130));
            farthest = [farthest[0].max(more_100.abs()), farthest[1].max(more_130.abs())];
        }
        results.push(format!("\"{name}\": {{\"at_100\": {at_100:.4}, \"at_130\": {at_130:.4}}}"));
    }
    let mean = sum / f64::from(compared);
    println!(
        "{compared} lists with a published value: mean {mean:+.3}, worst {worst_130:+.3} at 130 %, {worst_100:+.3} at 100 %"
    );
    format!(
        "\"mean_more_130\": {mean:.4}, \"worst_more_130\": {worst_130:.4}, \"worst_more_100\": {worst_100:.4}, \
         \"farthest_100\": {:.4}, \"farthest_130\": {:.4}, \
         \"slowest_cpu_ms\": {slowest_ms:.1}, {}",
        farthest[0],
        farthest[1],
        results.join(", ")
    )
}

fn losses(dir: &Path, asked: &Asked, lists: &[(String, PathBuf)]) -> String {
    let mut worst = [f64::MIN; 2];
    let mut results = Vec::new();
    for (name, path) in lists {
        for (worst, (kinds, word)) in worst.iter_mut().zip([(Kinds::Published, ""), (Kinds::Twice, "-twice")]) {
            let study = study(dir, path, asked.copies, kinds);
            let (index, scan) = (means(&study, asked, Search::Index), means(&study, asked, Search::Scan));
            let (at_100, at_130) = (scan.at_100 - index.at_100, scan.at_130 - index.at_130);
            println!(
                "{name}{word:6} scan @100 {:.3} @130 {:.3} {:.0} ms; index loses {at_100:.3} and {at_130:.3}, {:.0} ms",
                scan.at_100, scan.at_130, scan.cpu_ms, index.cpu_ms
            );
            *worst = worst.max(at_100).max(at_130);
            results.push(format!("\"{name}{word}\": {{\"at_100\": {at_100:.4}, \"at_130\": {at_130:.4}}}"));
        }
    }
    let [published, twice] = worst;
    format!("\"worst\": {published:.4}, \"worst_of_twice_the_kinds\": {twice:.4}, {}", results.join(", "))
}

fn cpu_now_ms() -> f64 {
    let text = fs::read_to_string("/proc/thread-self/schedstat").expect("Linux");
    text.split(' ').next().and_then(|ns| ns.parse::<f64>().ok()).expect("nanoseconds") / 1e6
}
