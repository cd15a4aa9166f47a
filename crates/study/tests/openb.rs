//! The published packing results, on the published lists.
//!
//! The lists are not part of the repository: where `HUISUAN_TRACES` names the folder that holds them these
//! tests run on them, else they say so and do nothing.

use std::{
    fs,
    ops::Range,
    path::{Path, PathBuf},
};

use huisuan_schedule::pack::Packing;
use huisuan_study::{OpenbStudy, Search};

fn traces() -> Option<PathBuf> {
    let dir = std::env::var_os("HUISUAN_TRACES").map(PathBuf::from);
    if dir.is_none() {
        println!("HUISUAN_TRACES is not set: nothing was compared");
    }
    dir
}

/// Mean allocation at 100 % and 130 % over some seeds.
fn means(dir: &Path, list: &str, packing: Packing, seeds: Range<u64>) -> [f64; 2] {
    let file = |name: &str| dir.join("alibaba2023").join(format!("{name}.csv.gz"));
    let study = OpenbStudy::read(&file("openb_node_list_gpu_node"), &file(list)).expect("lists");
    let mut sums = [0.0; 2];
    let count = seeds.clone().count() as f64;
    for seed in seeds {
        let outcome = study.run(packing, Search::Scan, &study.arrivals(1300, seed), seed);
        for (sum, percent) in sums.iter_mut().zip([100, 130]) {
            *sum += outcome.curve.at(percent).expect("demand reaches 130 %") / count;
        }
    }
    sums
}

/// List, policy, published means at 100 % and 130 %.
fn published(dir: &Path) -> Vec<(String, String, [f64; 2])> {
    let text = fs::read_to_string(dir.join("fgd/SUMMARY_alloc_by_policy.csv")).expect("the published table");
    let row = |line: &str| {
        let fields: Vec<&str> = line.split(',').collect();
        let number = |at: usize| fields[at].parse().expect("a number");
        (fields[0].to_owned(), fields[1].to_owned(), [number(7), number(3)])
    };
    text.lines().skip(1).map(row).collect()
}

#[test]
fn published_policies_come_out_as_published() {
    let Some(dir) = traces() else { return };
    for (list, name, expected) in published(&dir) {
        let packing = match name.as_str() {
            "01-Random" => Packing::Random,
            "02-DotProd" => Packing::DotProduct,
            "05-BestFit" => Packing::BestFit,
            "06-FGD" => Packing::Fgd,
            _ => continue,
        };
        // One list is enough for what is only there for comparison.
        if packing != Packing::Fgd && !list.ends_with("default") {
            continue;
        }
        let found = means(&dir, &list, packing, 42..52);
        for (found, expected) in found.into_iter().zip(expected) {
            assert!((found - expected).abs() < 0.6, "{list} {name}: {found:.2} where {expected:.2} was published");
        }
    }
}

#[test]
fn the_default_policy_allocates_more_than_the_published_one() {
    let Some(dir) = traces() else { return };
    let mut gains = Vec::new();
    // Seeds that no weight was ever chosen on.
    for (list, _, published) in published(&dir).into_iter().filter(|(_, name, _)| name == "06-FGD") {
        let [at_100, at_130] = means(&dir, &list, Packing::Default, 1000..1004);
        assert!(at_100 >= published[0] - 0.3, "{list}: {at_100:.2} at 100 % where {:.2} was published", published[0]);
        assert!(at_130 >= published[1] - 0.1, "{list}: {at_130:.2} at 130 % where {:.2} was published", published[1]);
        gains.push(at_130 - published[1]);
    }
    let mean = gains.iter().sum::<f64>() / gains.len() as f64;
    assert!(mean >= 0.3, "{mean:.2} points more on average");
}
