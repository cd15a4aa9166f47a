//! From a file or a command to a job that did what it should.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use serde_json::{Value, json};

use crate::{site::Site, support::Ran};

fn examples() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples")
}

/// A copy of the examples in the site's home, as somebody who cloned the repository has them.
fn checkout(site: &Site) -> PathBuf {
    let folder = PathBuf::from(site.home.path("checkout"));
    for below in ["examples", "examples/data"] {
        fs::create_dir_all(folder.join(below)).expect("a folder");
        let from = examples().parent().expect("a repository").join(below);
        for file in fs::read_dir(from).expect("examples").flatten().filter(|file| file.path().is_file()) {
            fs::copy(file.path(), folder.join(below).join(file.file_name())).expect("a copy");
        }
    }
    folder
}

/// Runs the binary in a folder, against the site.
fn run_in(site: &Site, folder: &Path, arguments: &[&str]) -> Ran {
    let mut command = site.home.command();
    command.current_dir(folder).args(["-o", "json"]).args(arguments);
    crate::support::ran(&mut command)
}

#[test]
fn an_unchanged_slurm_script_counts_the_words() {
    let site = Site::open();
    let folder = checkout(&site);
    let ran = run_in(&site, &folder, &["sbatch", "--wait", "examples/words.sbatch"]);
    assert_eq!((ran.exit, &ran.json()["state"]), (0, &json!("succeeded")), "{ran:?}");
    let id = ran.json()["job_id"].as_u64().expect("a number");
    let text = fs::read_to_string(examples().join("data/station-log.txt")).expect("the text");
    let lines: Vec<&str> = text.lines().collect();
    for task in 1..=4 {
        let (first, last) = (lines.len() * (task - 1) / 4 + 1, lines.len() * task / 4);
        let output = fs::read_to_string(folder.join(format!("words-{id}_{task}.out"))).expect("its output");
        let (head, table) = output.split_once('\n').expect("lines");
        assert_eq!(head, format!("task {task} of 4: lines {first} to {last} of examples/data/station-log.txt"));
        check_words(table, &lines[first - 1..last].join("\n"));
        let logs = site.cli(&["logs", &format!("{id}.{task}")]);
        assert_eq!((logs.exit, logs.stdout), (0, output), "the same through the server");
    }
    let shown = site.json(&["show", &format!("{id}.3")]);
    assert_eq!(shown["attempts"].as_array().map(Vec::len), Some(1), "one task of the array");
    assert_eq!(shown["attempts"][0]["task"], json!(3));
}

/// The twelve most frequent words with their counts; words of the same count may stand in any order.
fn check_words(table: &str, text: &str) {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for word in text.split(|c: char| !c.is_ascii_alphabetic()).filter(|word| !word.is_empty()) {
        *counts.entry(word).or_default() += 1;
    }
    let mut best: Vec<usize> = counts.values().copied().collect();
    best.sort_unstable_by(|a, b| b.cmp(a));
    let found: Vec<(usize, &str)> = table
        .lines()
        .map(|line| line.trim_start().split_once(' ').expect("a count and a word"))
        .map(|(count, word)| (count.parse().expect("a count"), word))
        .collect();
    assert_eq!(found.iter().map(|(count, _)| *count).collect::<Vec<_>>(), best[..12.min(best.len())]);
    assert!(found.iter().all(|(count, word)| counts.get(word) == Some(count)), "{found:?}");
}

#[test]
fn a_check_submits_nothing() {
    let site = Site::open();
    let folder = checkout(&site);
    let ran = run_in(&site, &folder, &["sbatch", "--check", "examples/words.sbatch"]);
    assert_eq!((ran.exit, &ran.json()["ok"]), (0, &json!(true)), "{ran:?}");
    let report = ran.json()["report"].as_array().cloned().expect("a report");
    assert!(report.len() >= 5 && report.iter().all(|line| line["treatment"] == "honoured"), "{report:?}");
    fs::write(folder.join("bad.sbatch"), "#!/bin/sh\n#SBATCH --reservation=x\ntrue\n").expect("a script");
    let ran = run_in(&site, &folder, &["sbatch", "--check", "bad.sbatch"]);
    assert_ne!(ran.exit, 0, "{ran:?}");
    assert_eq!(ran.json()["ok"], json!(false));
    assert_eq!(site.json(&["ls"])["jobs"], json!([]));
}

/// The form that other people's checks use.
#[test]
fn the_format_may_come_last() {
    let site = Site::open();
    let folder = checkout(&site);
    for (command, file) in [("run", "examples/hello.yaml"), ("sbatch", "examples/words.sbatch")] {
        let mut asked = site.home.command();
        asked.current_dir(&folder).args([command, file, "-o", "json"]);
        let ran = crate::support::ran(&mut asked);
        assert_eq!((ran.exit, &ran.json()["state"]), (0, &json!("waiting")), "{ran:?}");
        let id = ran.json()["job_id"].as_u64().expect("a number");
        assert_eq!(site.ended(id).summary.state, "succeeded", "the words were no arguments of the script");
    }
    fs::write(folder.join("echo.sh"), "#!/bin/sh\necho \"$@\"\n").expect("a script");
    let ran = run_in(&site, &folder, &["sbatch", "--wait", "echo.sh", "-o", "x", "--flag"]);
    assert_eq!(ran.exit, 0, "{ran:?}");
    assert_eq!(site.cli(&["logs", "last"]).stdout, "-o x --flag\n", "what is no format of ours goes to the script");
}

#[test]
fn every_example_ends_as_it_says() {
    let site = Site::open();
    let folder = checkout(&site);
    for (file, state, exit) in [
        ("examples/hello.yaml", "succeeded", 0),
        ("examples/gang.yaml", "succeeded", 0),
        ("examples/fails.yaml", "failed", 10),
        ("examples/demand.yaml", "succeeded", 0),
    ] {
        let ran = run_in(&site, &folder, &["run", "--wait", file]);
        assert_eq!((ran.exit, &ran.json()["state"]), (exit, &json!(state)), "{file}: {ran:?}");
    }
    let gang = site.job(2);
    assert_eq!(gang.attempts.len(), 4);
    let (last_start, first_end) = (
        gang.attempts.iter().filter_map(|attempt| attempt.started_at).map(|at| at.0).max(),
        gang.attempts.iter().filter_map(|attempt| attempt.ended_at).map(|at| at.0).min(),
    );
    assert!(last_start <= first_end, "they ran together: {:?}", gang.attempts);
    for rank in 0..4 {
        let logs = site.cli(&["logs", &format!("2.{rank}")]);
        assert_eq!(logs.stdout, format!("rank {rank}: pi is about 3.141592654\n"));
    }
    let failed = site.json(&["show", "3"]);
    assert_eq!((&failed["attempts"][0]["exit_code"], &failed["attempts"][0]["cause"]), (&json!(3), &json!("exited")));
    assert_eq!(site.cli(&["logs", "3", "--stream", "stderr"]).stdout, "settings.conf: no such file, as intended\n");
}

/// A demand in GFLOP/s becomes cores by the rating that the centre has.
#[test]
fn a_neutral_demand_becomes_cores() {
    let site = Site::open();
    let centre = site.client().centre("hpc-1").expect("the centre");
    let pool = &centre.pools[0];
    let sustained = pool.rating.as_ref().expect("rated").sustained_gflop_per_s;
    let millicores = (pool.cores * 1000.0) as u64;
    let rate = sustained / 4 + 1;
    let job = json!({"command": ["/bin/true"], "demand": {"class": "hpc", "rate": format!("{rate} GFLOP/s")}});
    fs::write(site.home.path("demand.json"), job.to_string()).expect("a job file");
    let id = site.submit(&["run", "--wait", &site.home.path("demand.json")]);
    let attempt = &site.job(id).attempts[0];
    assert_eq!((attempt.cores * 1000.0) as u64, (rate * millicores).div_ceil(sustained), "{sustained} GFLOP/s");
    let never = format!("{} GFLOP/s", sustained + 1);
    let job = json!({"command": ["/bin/true"], "demand": {"class": "hpc", "rate": never}});
    fs::write(site.home.path("never.json"), job.to_string()).expect("a job file");
    let ran = site.cli(&["run", &site.home.path("never.json")]);
    assert_eq!(ran.exit, 3, "{ran:?}");
    assert!(ran.stderr.contains("hpc-1") && ran.stderr.contains("\nhint: "), "{}", ran.stderr);
}

#[test]
fn a_key_gives_the_same_job() {
    let site = Site::open();
    let run = |word: &str| site.cli(&["run", "-o", "json", "--idempotency-key", "mine", "--", "echo", word]);
    let first = run("a");
    assert_eq!((first.exit, first.json()), (0, json!({"job_id": 1, "state": "waiting"})));
    site.ended(1);
    let again = run("a");
    assert_eq!((again.exit, again.json()), (0, json!({"job_id": 1, "state": "succeeded"})));
    let other = run("b");
    assert_eq!((other.exit, &*other.stdout), (6, ""));
    assert!(other.stderr.starts_with("error: ") && other.stderr.contains("\nhint: "), "{}", other.stderr);
    assert_eq!(site.json(&["ls"])["jobs"].as_array().map(Vec::len), Some(1));
}

#[test]
fn flags_reach_the_task() {
    let site = Site::open();
    let folder = site.home.path("work here");
    fs::create_dir(&folder).expect("a folder");
    let script = "pwd; echo \"$GREETING\"; echo \"$SLURM_ARRAY_TASK_ID of $SLURM_ARRAY_TASK_COUNT\"; echo \"$SLURM_CPUS_PER_TASK\"";
    let arguments = ["run", "--wait", "--name", "flags", "--tasks", "3,7", "--cores", "2", "--memory", "64MiB"];
    let more =
        ["--walltime", "1m", "--class", "hpc", "--centre", "hpc-1", "--env", "GREETING=你好 \"x\"", "--dir", &folder];
    let id = site.submit(&[&arguments[..], &more[..], &["--", "/bin/sh", "-c", script]].concat());
    let shown = site.json(&["show", "last"]);
    assert_eq!((&shown["job_id"], &shown["name"], &shown["tasks"]["total"]), (&json!(id), &json!("flags"), &json!(2)));
    let logs = site.cli(&["logs", &format!("{id}.7")]);
    assert_eq!(logs.stdout, format!("{folder}\n你好 \"x\"\n7 of 2\n2\n"));
    let attempts: &Vec<Value> = shown["attempts"].as_array().expect("attempts");
    assert!(attempts.iter().all(|attempt| attempt["cores"] == json!(2.0)), "{attempts:?}");
}

/// Slurm's `-o` in front of the script is its output file, unless it names a format of ours.
#[test]
fn an_output_file_on_the_command_line_is_slurms() {
    let site = Site::open();
    let folder = checkout(&site);
    fs::write(folder.join("say.sbatch"), "#!/bin/sh\necho said\n").expect("a script");
    let mut command = site.home.command();
    command.current_dir(&folder).args(["sbatch", "-o", "out-%j.txt", "--wait", "say.sbatch", "-o", "json"]);
    let ran = crate::support::ran(&mut command);
    assert_eq!((ran.exit, &ran.json()["state"]), (0, &json!("succeeded")), "{ran:?}");
    let file = folder.join(format!("out-{}.txt", ran.json()["job_id"]));
    assert_eq!(fs::read_to_string(file).expect("its output"), "said\n");
}

/// Jobs that wait for jobs, as people write them: with Slurm's directive and with our flag.
#[test]
fn a_job_starts_after_those_that_it_names() {
    let site = Site::open();
    let folder = checkout(&site);
    let first = site.json(&["run", "--", "sh", "-c", "sleep 0.3; exit 3"])["job_id"].as_u64().expect("a number");
    let on = |when: &str| format!("{when}:{first}");
    let never = site.json(&["run", "--after", &first.to_string(), "--", "true"])["job_id"].clone();
    let cleans = site.json(&["run", "--after", &on("not-ok"), "--wait", "--", "true"]);
    assert_eq!(cleans["state"], json!("succeeded"));
    let never = site.json(&["show", &never.to_string()]);
    assert_eq!((&never["state"], &never["end_reason"]["code"]), (&json!("cancelled"), &json!("dependency-unmet")));
    assert_eq!(never["end_reason"]["details"]["job_id"], json!(first));
    fs::write(folder.join("last.sbatch"), format!("#!/bin/sh\n#SBATCH -d {}\ntrue\n", on("afterany")))
        .expect("a script");
    let ran = run_in(&site, &folder, &["sbatch", "--wait", "last.sbatch"]);
    assert_eq!((ran.exit, &ran.json()["state"]), (0, &json!("succeeded")), "{ran:?}");
    let ran = run_in(&site, &folder, &["run", "--after", &on("ok"), "--", "true"]);
    assert_eq!(ran.exit, 6, "it has failed by now: {ran:?}");
    assert!(ran.stderr.contains(&format!("job {first}")) && ran.stderr.contains("failed"), "{ran:?}");
    assert_eq!(run_in(&site, &folder, &["run", "--after", "9999", "--", "true"]).exit, 2);
}

/// The form that other people's checks use.
#[test]
fn a_plan_names_candidates_and_submits_nothing() {
    let site = Site::open();
    let folder = checkout(&site);
    let plan = run_in(&site, &folder, &["plan", "examples/hello.yaml"]);
    assert_eq!(plan.exit, 0, "{plan:?}");
    let candidates = plan.json()["candidates"].as_array().cloned().expect("candidates");
    assert!(!candidates.is_empty());
    for field in ["centre", "pool", "start_p50_ms", "start_p90_ms", "cost", "energy_kwh", "feasible", "reason"] {
        assert!(candidates.iter().all(|candidate| candidate.get(field).is_some()), "{field}: {candidates:?}");
    }
    assert!(candidates.iter().any(|candidate| candidate["start_p50_ms"] == json!(0)), "{candidates:?}");
    assert_eq!(run_in(&site, &folder, &["plan", "examples/words.sbatch"]).exit, 0);
    let never = run_in(&site, &folder, &["plan", "--memory", "900TiB", "--", "true"]);
    assert_eq!(never.exit, 3, "{never:?}");
    assert_eq!(never.json()["candidates"][0]["feasible"], json!(false));
    assert_eq!(site.json(&["ls"])["jobs"], json!([]));
}

#[test]
fn what_would_help_a_waiting_job_helps() {
    let site = Site::open();
    let cores: f64 = site.client().centre("hpc-1").expect("a centre").pools.iter().map(|pool| pool.cores).sum();
    let (script, release) = site.blocker("half.sh");
    let running = site.submit(&["run", "--cores", &format!("{:.3}", cores / 2.0), "--", "sh", &script]);
    site.running(running);
    let all = format!("{cores:.3}");
    let waits = site.submit(&["run", "--cores", &all, "--", "true"]).to_string();
    let explained = site.json(&["explain", &waits]);
    let helps = explained["helps"].as_array().expect("a list").iter();
    let change = helps.filter_map(|help| help["change"].as_str()).find_map(|text| text.strip_suffix(" cores a task"));
    let fewer = change.unwrap_or_else(|| panic!("fewer cores would help: {explained}"));
    assert!(site.cli(&["explain", &waits]).stdout.contains("would start now"));
    site.cli(&["cancel", &waits]);
    let ran = site.json(&["run", "--wait", "--cores", fewer, "--", "true"]);
    assert_eq!(ran["state"], json!("succeeded"), "beside what still runs");
    assert_eq!(site.job(running).summary.state, "running");
    fs::write(release, "").expect("a file");
    site.ended(running);
}
