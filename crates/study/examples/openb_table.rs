//! All lists under a policy: `cargo run --release -p huisuan-study --example openb_table DIR POLICY SEEDS FIRST_SEED scan|index COPIES [PART_OF_NAME]`.
//!
//! For each list: mean allocation at 100 % and 130 %, mean CPU time, beside what was published for FGD.

use std::{fs, path::Path};

use huisuan_schedule::pack::Packing;
use huisuan_study::{OpenbStudy, Search};

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let dir = Path::new(&arguments[0]);
    let packing: Packing = arguments[1].parse().expect("a policy");
    let seeds: u64 = arguments[2].parse().expect("a number of seeds");
    let first: u64 = arguments[3].parse().expect("a first seed");
    let search = if arguments[4] == "index" { Search::Index } else { Search::Scan };
    let copies: usize = arguments[5].parse().expect("a number of copies of the nodes");
    let nodes = dir.join("alibaba2023/openb_node_list_gpu_node.csv.gz");
    let published = fs::read_to_string(dir.join("fgd/SUMMARY_alloc_by_policy.csv")).expect("the published table");
    let mut lists: Vec<_> = fs::read_dir(dir.join("alibaba2023"))
        .expect("a folder")
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.to_string_lossy().contains("pod_list"))
        .filter(|path| arguments.get(6).is_none_or(|part| path.to_string_lossy().contains(part.as_str())))
        .collect();
    lists.sort();
    let (mut sum, mut count) = (0.0, 0);
    for list in lists {
        let mut study = OpenbStudy::read(&nodes, &list).expect("lists");
        study.nodes.rooms = study.nodes.rooms.repeat(copies);
        let name = list.file_name().expect("a name").to_string_lossy().replace(".csv.gz", "");
        let wanted = if packing == Packing::Default { "fgd".into() } else { packing.name().to_lowercase() };
        let line = published.lines().find(|line| {
            let mut fields = line.split(',');
            let policy = |field: &str| field.to_lowercase().contains(&wanted);
            fields.next() == Some(&name) && fields.next().is_some_and(policy)
        });
        let field = |at: usize| line.and_then(|line| line.split(',').nth(at)?.parse::<f64>().ok()).unwrap_or(f64::NAN);
        let (mut at_100, mut at_130, mut cpu) = (vec![], vec![], 0.0);
        for seed in first..first + seeds {
            let arrivals = study.arrivals(1300, seed);
            let start = cpu_ms();
            let outcome = study.run(packing, search, &arrivals, seed);
            cpu += cpu_ms() - start;
            at_100.push(outcome.curve.at(100).unwrap_or(f64::NAN));
            at_130.push(outcome.curve.at(130).unwrap_or(f64::NAN));
        }
        let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
        let (a, b) = (mean(&at_100), mean(&at_130));
        println!(
            "{:12} @100 {a:.3} ({:+.3})  @130 {b:.3} ({:+.3})  {:.0} ms",
            name.replace("openb_pod_list_", ""),
            a - field(7),
            b - field(3),
            cpu / seeds as f64
        );
        if field(3).is_finite() {
            sum += b - field(3);
            count += 1;
        }
    }
    println!("mean over {count} published lists @130: {:+.3}", sum / count as f64);
}

fn cpu_ms() -> f64 {
    let text = fs::read_to_string("/proc/thread-self/schedstat").expect("Linux");
    text.split(' ').next().and_then(|ns| ns.parse::<f64>().ok()).expect("nanoseconds") / 1e6
}
