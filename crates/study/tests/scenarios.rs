//! Scenarios of the repository against their golden reports, and what a scenario file is refused for.
//!
//! `HUISUAN_BLESS=1 cargo test -p huisuan-study --test scenarios` rewrites the golden files; look at what changed.

use std::{env, fs, path::PathBuf};

use huisuan_study::{
    plot::charts,
    read::Text,
    report::csv,
    run,
    scenario::{Scenario, read_scenario},
};
use proptest::prelude::*;

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../scenarios")
}

fn small() -> String {
    fs::read_to_string(folder().join("small.toml")).expect("a scenario of the repository")
}

fn parse(text: &str) -> Result<Scenario, String> {
    Scenario::parse(&Text::new("x.toml", text), &folder()).map_err(|error| error.to_string())
}

/// The same figures in debug and release builds, on every machine.
#[test]
fn reports_are_as_reviewed() {
    // The city as planned takes half a minute: `cargo xtask bench` runs it.
    // Whole days of the networks of cities take longer than a test should: the first hours of them are enough here.
    let parts =
        [("small", None), ("trace", None), ("racks", None), ("zheng-qing-ha", Some(2)), ("zhengzhou-2025", Some(8))];
    for (name, hours) in parts {
        let mut scenario = read_scenario(&folder().join(format!("{name}.toml"))).expect("a scenario of the repository");
        if let Some(hours) = hours {
            scenario.setup.end = scenario.setup.start.after(huisuan_model::DurationMs(hours * 3_600_000));
        }
        let (report, lines) = run(&scenario, |_| ());
        let json = serde_json::to_string_pretty(&report).expect("string keys") + "\n";
        let path = folder().join(format!("golden/{name}.json"));
        if env::var_os("HUISUAN_BLESS").is_some() {
            fs::write(&path, &json).expect("the golden file is written");
        }
        let golden = fs::read_to_string(&path).expect("the golden file is there");
        assert!(json == golden, "{name} differs from its golden file; look at it, then bless it:\n{json}");
        assert_eq!(csv(&lines).lines().count(), lines.len() + 1);
        assert!(charts(&report, &lines).iter().all(|(_, chart)| chart.svg().contains("MODELLED")));
    }
}

/// Runs share nothing: two side by side, each on a thread of its own, decide what one alone does.
#[test]
fn decisions_are_the_same_on_one_thread_and_on_two() {
    let decided = || run(&parse(&small()).expect("a scenario of the repository"), |_| ()).0.decision_hash;
    let alone = decided();
    let together = std::thread::scope(|scope| {
        let runs = [(), ()].map(|()| scope.spawn(decided));
        runs.map(|run| run.join().expect("a run ends"))
    });
    assert_eq!(together, [alone.clone(), alone]);
}

/// Where two centres cost alike, what fits both leaves the one that another needs, if one cycle sees both.
#[test]
fn where_prices_are_alike_more_starts_by_what_moves() {
    let crowded = [
        ("price_cny_per_p_h = 4.0", "price_cny_per_p_h = 6.0"),
        ("rating_noise_percent = 2", "rating_noise_percent = 0"),
        ("every_ms = 1000", "every_ms = 600000"),
        ("jobs_per_day = 60\n", "jobs_per_day = 200\nburst = 12\n"),
        ("tenants = { university = 3, plant = 1 }", "tenants = { plant = 1 }"),
        ("data_gib = 200\ndata_at = \"city-ai\"\n", ""),
        ("tasks = [1, 2, 4, 8]\ngang = true\n", ""),
        ("priority = 10", "priority = -1"),
    ];
    let crowded = crowded.into_iter().fold(small(), |text, (old, new)| {
        assert!(text.contains(old), "{old}");
        text.replace(old, new)
    });
    let off = crowded.replace("every_ms = 600000", "every_ms = 600000\nimprovement_steps_max = 0");
    let improved = |text: &str| {
        let (report, _) = run(&parse(text).expect("a scenario"), |_| ());
        let wait = report.families["vision"].wait_s.expect("some started").mean;
        (report.improved, report.decision_hash, wait)
    };
    let (with, without) = (improved(&crowded), improved(&off));
    assert!(with.0 > 0 && without.0 == 0, "{with:?} and {without:?}");
    assert!(with.2 < without.2, "what fits one centre alone waits less: {with:?} and {without:?}");
    assert_eq!(with, improved(&crowded), "the same decisions every time");
}

#[test]
fn every_scenario_of_the_repository_is_sound() {
    let files = fs::read_dir(folder()).expect("a folder").flatten().map(|entry| entry.path());
    let scenarios: Vec<PathBuf> = files.filter(|path| path.extension().is_some_and(|end| end == "toml")).collect();
    assert!(scenarios.len() >= 5, "{scenarios:?}");
    for path in scenarios {
        let scenario = read_scenario(&path).unwrap_or_else(|error| panic!("{error}"));
        assert!(scenario.policies().iter().all(|name| scenario.clone().with_policy(name).is_ok()));
    }
}

/// Replaces one line of the small scenario and looks at what is said.
#[track_caller]
fn refused(line: &str, by: &str, parts: &[&str]) {
    let text = small();
    let at = text.lines().position(|found| found == line).unwrap_or_else(|| panic!("no line `{line}`")) + 1;
    let changed: Vec<&str> = text.lines().enumerate().map(|(n, old)| if n + 1 == at { by } else { old }).collect();
    let error = parse(&changed.join("\n")).expect_err(by);
    // What contradicts something else is told at the name of its part.
    let first = text.lines().take(at).enumerate().filter(|(_, line)| line.starts_with('[')).last();
    let last = at + by.lines().count() - 1;
    let placed = (first.map_or(at, |(n, _)| n + 1)..=last).any(|n| error.contains(&format!("file `x.toml` line {n}")));
    assert!(placed && parts.iter().all(|part| error.contains(part)), "up to line {last}: {error}");
}

#[test]
fn what_cannot_be_is_refused_with_its_place() {
    refused("seed = 1", "seed = -1", &["seed", "-1"]);
    refused("seed = 1", "sead = 1", &["unknown field `sead`"]);
    refused("hours = 24", "hours = nan", &["hours", "a number from"]);
    refused("hours = 24", "hours = \"day\"", &["field `hours`", "`\"day\"` where a number was expected"]);
    refused("start = 2025-07-01T00:00:00+08:00", "start = 2025-07-01", &["start", "with an offset"]);
    refused("sample_minutes = 30", "sample_minutes = 0", &["sample_minutes"]);
    refused("every_ms = 1000", "every_ms = 0", &["every_ms", "a whole number from 1"]);
    refused("every_ms = 1000", "policy = \"best\"", &["policy", "`best`", "balanced, soonest, cheapest, tightest"]);
    refused(
        "weights = { wait = 10, price = 10000, fit = 10 }",
        "weights = { weight = 1 }",
        &["unknown field `weight`"],
    );
    refused("id = \"plant\"", "id = \"university\"", &["id", "a tenant that is listed once"]);
    refused("id = \"west-ai\"", "id = \"city-ai\"", &["id", "a centre that is listed once"]);
    refused("id = \"west-ai\"", "id = \"west ai\"", &["id", "a name of 1 to 64 characters"]);
    refused("longitude = 107.6", "longitude = 207.6", &["longitude", "-180 to 180"]);
    refused("price_cny_per_p_h = 4.0", "price_cny_per_p_h = -4.0", &["price_cny_per_p_h", "`-4`"]);
    refused("pue = 1.15", "pue = 0.9", &["pue", "a number from 1 to 5"]);
    refused("power_cny_per_kwh = 0.65", "power_cny_per_kwh = [1, 2]", &["24 numbers"]);
    refused("carbon_g_per_kwh = 320", "carbon_g_per_kwh = -1", &["carbon_g_per_kwh", "numbers from 0"]);
    refused("nodes = 16", "nodes = 0", &["nodes", "`0`"]);
    refused("nodes = 16", "nodes = 16\ndeclared_p = 1", &["`nodes` or `declared_p`"]);
    refused("declared_p = 0.4", "declared_p = 0", &["declared_p"]);
    refused("nodes = 16", "nodes = 16\nrack_nodes = 0", &["rack_nodes", "`0`"]);
    refused("nodes = 16", "nodes = 16\npod_racks = 2", &["pod_racks", "`rack_nodes` beside it"]);
    refused("nodes = 16", "nodes = 70000\nrack_nodes = 8", &["rack_nodes", "at most 66000 nodes"]);
    refused("gang = true", "gang = true\ntopology = \"row\"", &["topology", "`row`", "preferred, rack or pod"]);
    refused("gang = true", "topology = \"rack\"", &["topology", "`gang: true` with it"]);
    // Its nodes fail one by one.
    let shown = parse(&small().replace("nodes = 32", "nodes = 32\nrack_nodes = 8")).expect_err("not modelled");
    assert!(shown.contains("node_failures") && shown.contains("without `rack_nodes`"), "{shown}");
    refused("node_cores = 128", "node_cores = 0", &["node_cores"]);
    refused("sustained_percent = 80", "sustained_percent = 101", &["sustained_percent"]);
    refused("node_watts_busy = 700", "node_watts_busy = 100", &["node_watts_busy", "a number from 220"]);
    refused("to = \"west-ai\"", "to = \"nowhere\"", &["to", "`nowhere`", "a centre of this file (city-ai, west-ai, "]);
    refused("to = \"west-ai\"", "to = \"city-ai\"", &["another centre than `from`"]);
    refused("gbit_per_s = 10", "gbit_per_s = 0", &["gbit_per_s"]);
    refused("jobs_per_day = 60", "jobs_per_day = -60", &["jobs_per_day", "-60"]);
    refused("jobs_per_day = 60", "jobs_per_day = 60\nafter = \"vision\"", &["either `jobs_per_day` or `after`"]);
    refused("after = \"screening\"", "after = \"summary\"", &["after", "in a circle"]);
    refused("after = \"screening\"", "after = \"nothing\"", &["after", "a family of this file"]);
    refused("tenants = { plant = 1 }", "tenants = { plants = 1 }", &["tenants", "`plants`"]);
    refused("tenants = { plant = 1 }", "tenants = { plant = 0 }", &["tenants", "weights from 1"]);
    refused("devices = 0.25", "devices = 0", &["devices"]);
    refused("tasks = [1, 2, 4, 8]", "tasks = []", &["tasks", "at least one"]);
    refused("tasks = [1, 2, 4, 8]", "tasks = [0]", &["tasks", "`0`"]);
    refused("priority = 10", "priority = 10000", &["priority", "-1000 to 1000"]);
    refused("walltime_s = 900", "walltime_s = 0", &["walltime_s"]);
    refused(
        "run_s = { median = 240, spread = 1.5, max = 800 }",
        "run_s = { median = 900, max = 800 }",
        &["run_s", "median"],
    );
    refused("run_s = { median = 600 }", "busy_percent = 10", &["either `run_s` or `work_p_h`"]);
    refused("rate_gflops = 300", "rate_gflops = 300\ncores = 1", &["either `cores` or `rate_gflops`"]);
    refused("users_at = \"city-ai\"", "retries = 0", &["`users_at` beside `round_trip_ms_max`"]);
    refused("users_at = \"city-ai\"", "users_at = \"city-ai\"\ncentres = [\"west-ai\"]", &["within reach"]);
    refused("mean_between_h = 200", "mean_between_h = 0", &["mean_between_h"]);
    refused("until_h = 11.5", "until_h = 9", &["until_h", "a number from 10"]);
    refused("devices = 8", "devices = 100000", &["family", "`training`", "some pool could run", "can never run"]);
    let twice = "until_h = 16\n[[maintenance]]\ncentre = \"west-ai\"\nfrom_h = 15\nuntil_h = 17";
    refused("until_h = 16", twice, &["centre", "`west-ai`", "at the same time"]);
    refused("retries = 2", "retries = 101", &["retries", "`101` where at most 100"]);
    refused("funds_cny = 1e7", "funds_cny = 1e7\njobs_max = 0", &["jobs_max", "`0`", "a whole number from 1"]);
}

#[test]
fn a_trace_is_refused_with_its_place() {
    let trace = fs::read_to_string(folder().join("trace.csv")).expect("a trace of the repository");
    let check = |from: &str, to: &str, parts: &[&str]| {
        let scratch = tempfile::tempdir().expect("a scratch folder");
        let changed = trace.replacen(from, to, 1);
        assert_ne!(changed, trace, "{from}");
        fs::write(scratch.path().join("trace.csv"), changed).expect("space on disk");
        let text = fs::read_to_string(folder().join("trace.toml")).expect("a scenario of the repository");
        let error = Scenario::parse(&Text::new("x.toml", text), scratch.path()).expect_err(to).to_string();
        assert!(parts.iter().all(|part| error.contains(part)), "{error}");
    };
    check("submit_ms,", "submit,", &["line 1", "no column `submit_ms`"]);
    check("60000,120000,", "60000,soon,", &["line 3", "run_ms", "`soon`", "a whole number"]);
    check(",research,", ",nobody,", &["tenant", "`nobody`", "a tenant of the scenario"]);
    check(",general,,", ",general,mars,", &["centre", "`mars`", "a centre of the scenario"]);
    check(",general,", ",generals,", &["class", "`generals`"]);
    check("0,90000,", "0,90000,1,", &["line 2"]);
}

/// A value of another kind in the place of each field's first one: what is expected is said in words of the file's
/// language, with the field and its line.
#[test]
fn a_value_of_another_kind_is_refused_in_plain_words() {
    let wrong = ["\"x\"", "1.5", "-1", "true", "[]", "[\"x\"]", "{ x = 1 }", "2025-01-01", "99999999999999999999"];
    let rust =
        ["u8", "u16", "u32", "u64", "usize", "i32", "i64", "i128", "f64", "struct", "enum", "sequence", "map", "tuple"];
    let mut fields = std::collections::BTreeSet::new();
    for name in ["small", "racks", "trace", "zheng-qing-ha"] {
        let text = fs::read_to_string(folder().join(format!("{name}.toml"))).expect("a scenario of the repository");
        for (number, line) in text.lines().enumerate() {
            let Some((field, value)) = line.split_once(" = ").filter(|(field, _)| !field.contains(['#', ' '])) else {
                continue;
            };
            // A list over several lines is another test's.
            if value.trim_end() == "[" || value.ends_with(',') || !fields.insert(field.to_owned()) {
                continue;
            }
            for by in wrong {
                let with = format!("{field} = {by}");
                let changed: Vec<&str> =
                    text.lines().enumerate().map(|(n, old)| if n == number { with.as_str() } else { old }).collect();
                let Err(error) = parse(&changed.join("\n")) else { continue };
                let words = error.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| rust.contains(word));
                assert_eq!(words.collect::<Vec<_>>(), [""; 0], "{with}: {error}");
                assert!(error.contains("file `x.toml` line"), "{with}: {error}");
            }
        }
    }
    assert!(fields.len() > 60, "{fields:?}");
}

/// Kinds that stand deeper than one line.
#[test]
fn what_is_wrong_within_a_list_or_table_is_found() {
    refused("weights = { wait = 10, price = 10000, fit = 10 }", "weights = { wait = \"x\" }", &["`wait`", "`\"x\"`"]);
    refused("run_s = { median = 600 }", "run_s = { median = \"long\" }", &["`median`", "`\"long\"` where a number"]);
    refused("run_s = { median = 600 }", "run_s = 600", &["`run_s`", "a table such as { median = 60, max = 600 }"]);
    refused("tasks = [1, 2, 4, 8]", "tasks = [1, 2.5]", &["`tasks`", "`2.5` where a whole number, not negative"]);
    refused("class = \"general\"", "class = \"big\"", &["`class`", "`\"big\"`", "general"]);
    refused("[[node_failures]]", "[node_failures]", &["`node_failures`", "[[node_failures]], one for each"]);
    refused("gbit_per_s = 10", "gbit_per_s = 10\nwh_per_gb = -1", &["wh_per_gb", "a number from 0"]);
    refused("gbit_per_s = 10", "gbit_per_s = 10\nprice_cny_per_gb = -1", &["price_cny_per_gb", "a number from 0"]);
    refused("to = \"city-cpu\"", "to = \"west-ai\"", &["to", "a link that is listed once"]);
}

proptest! {
    #[test]
    fn no_text_makes_the_reader_panic(text: String) {
        let _ = parse(&text);
    }

    /// Damage of a good file reaches deeper than a random text.
    #[test]
    fn no_damage_makes_the_reader_panic(at in 0usize..4_000, cut in 0usize..40, with in "[-0-9a-z\"=\\[\\]{},. \n]{0,12}") {
        let mut bytes = small().into_bytes();
        let start = at.min(bytes.len());
        let end = (start + cut).min(bytes.len());
        bytes.splice(start..end, with.bytes());
        let _ = parse(&String::from_utf8_lossy(&bytes));
    }

    #[test]
    fn no_trace_makes_the_reader_panic(rows in "[-0-9a-z,.\"\n]{0,200}") {
        let scratch = tempfile::tempdir().expect("a scratch folder");
        let header = huisuan_study::scenario::COLUMNS.join(",");
        fs::write(scratch.path().join("trace.csv"), format!("{header}\n{rows}")).expect("space on disk");
        let text = fs::read_to_string(folder().join("trace.toml")).expect("a scenario of the repository");
        let _ = Scenario::parse(&Text::new("x.toml", text), scratch.path());
    }
}
