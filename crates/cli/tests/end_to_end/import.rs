//! A Slurm site's past, imported and run again.

use std::fs;

use serde_json::json;

use crate::support::huisuan;

/// Two jobs of all four cores, the second submitted while the first ran and started an hour after its end.
const DUMP: &str = "Cluster|JobIDRaw|User|Account|Partition|State|Submit|Eligible|Start|End|ElapsedRaw|TimelimitRaw|NCPUS\n\
    c|1|ann|lab|p|COMPLETED|1767225600|1767225600|1767225600|1767229200|3600|120|4\n\
    c|2|bo|lab|p|COMPLETED|1767227400|1767227400|1767232800|1767236400|3600|120|4\n\
    c|2.batch|||||||||||\n";

#[test]
fn waits_are_shown_side_by_side() {
    let folder = tempfile::tempdir().expect("a scratch folder");
    let (dump, out) = (folder.path().join("dump"), folder.path().join("out"));
    fs::write(&dump, DUMP).expect("space on disk");
    let path = |path: &std::path::Path| path.to_str().expect("a path").to_owned();
    let (dump, out) = (path(&dump), path(&out));

    let ran = huisuan(&["twin", "import", "sacct", &dump, "--run", "--out", &out, "-o", "json"]);
    assert_eq!(ran.exit, 0, "{ran:?}");
    let answer = ran.json();
    assert_eq!((&answer["jobs"], &answer["dump"]["steps"]), (&json!(2), &json!(1)));
    assert_eq!(answer["centres"][0]["pools"][0]["cores"], json!(4));
    assert_eq!(answer["run"]["mark"], json!("modelled"));
    assert_eq!(answer["run"]["all"]["observed"]["max_s"], json!(5400.0));
    assert_eq!(answer["run"]["all"]["modelled"]["max_s"], json!(1800.0));

    // The scenario that was written decides alike.
    let again = huisuan(&["twin", "run", &format!("{out}/scenario.toml"), "-o", "json"]);
    assert_eq!(again.exit, 0, "{again:?}");
    assert_eq!(again.json()["decision_hash"], answer["run"]["decision_hash"]);

    let people = huisuan(&["twin", "import", "sacct", &dump, "--run"]);
    assert_eq!((people.exit, &*people.stderr), (0, ""), "{people:?}");
    for word in
        ["2 jobs ran from 2026-01-01T00:00:00Z", "left out: 1 of steps", "(modelled)", "1 h 30 min", "30 min 0 s"]
    {
        assert!(people.stdout.contains(word), "{word}: {}", people.stdout);
    }
}

#[test]
fn a_malformed_dump_says_what_to_do() {
    let folder = tempfile::tempdir().expect("a scratch folder");
    let dump = folder.path().join("dump");
    fs::write(&dump, DUMP.replace("1767227400|1767227400", "2026-01-01T00:30:00|1767227400")).expect("space on disk");
    let ran = huisuan(&["twin", "import", "sacct", dump.to_str().expect("a path")]);
    assert_eq!(ran.exit, 2, "{ran:?}");
    assert!(ran.stderr.contains("line 3") && ran.stderr.contains("hint: say it, such as `--zone"), "{ran:?}");
}

#[test]
fn a_trace_becomes_a_scenario_that_runs() {
    let folder = tempfile::tempdir().expect("a scratch folder");
    let path = |name: &str| folder.path().join(name).to_str().expect("a path").to_owned();
    let text = |name: &str, text: &str| {
        fs::write(folder.path().join(name), text).expect("space on disk");
        path(name)
    };
    let swf = "; MaxProcs: 4\n1 0 0 3600 4 -1 -1 4 7200 -1 1 1 1 -1 1 -1 -1 -1\n2 60 9000 600 4 -1 -1 4 600 -1 1 2 1 -1 1 -1 -1 -1\n\
               3 70 -1 0 4 -1 -1 4 600 -1 5 2 1 -1 1 -1 -1 -1\n";
    let philly = "timestamp,duration,num_gpus,gpu_time,cluster\n2017-10-09 07:01:55,66.0,1,66.0,aa\n\
                  2017-10-09 06:13:03,2951.5,4,11806.0,bb\n";
    let sia = "name,time,application,num_replicas,batch_size\nb-0,107,b,6,2048\n";
    let azure = "TIMESTAMP,ContextTokens,GeneratedTokens\n2023-11-16 18:15:46.6805900,374,44\n";
    for (format, file, jobs, left_out, assumed) in [
        ("swf", text("log.swf", swf), 2, 1, 1),
        ("philly", text("philly.csv", philly), 2, 0, 3),
        ("sia", text("sia.csv", sia), 1, 0, 4),
        ("gaia", text("gaia.csv", "arrival_time,length,cpus\n10.5,0.25,2\n0.0,19.5,4\n"), 2, 0, 2),
        ("azure", text("azure.csv", azure), 1, 0, 4),
    ] {
        let out = path(format);
        let ran = huisuan(&["twin", "import", format, &file, "--run", "--out", &out, "-o", "json"]);
        assert_eq!(ran.exit, 0, "{ran:?}");
        let answer = ran.json();
        let counts = [&answer["left_out"], &answer["assumed"]].map(|list| list.as_array().map_or(0, Vec::len));
        assert_eq!((&answer["jobs"], counts), (&json!(jobs), [left_out, assumed]), "{answer}");
        assert_eq!((&answer["seed"], &answer["run"]["all"]["jobs"]), (&json!(1), &json!(jobs)), "{answer}");
        assert_eq!(answer["run"]["all"]["observed"].is_object(), format == "swf", "{answer}");
        let again = huisuan(&["twin", "run", &format!("{out}/scenario.toml"), "-o", "json"]);
        assert_eq!(again.exit, 0, "{again:?}");
        assert_eq!(again.json()["decision_hash"], answer["run"]["decision_hash"], "{format}");
    }
    let people = huisuan(&["twin", "import", "swf", &path("log.swf"), "--run"]);
    for word in ["left out: 1 without run time", "seed 1", "assumed: memory", "2 h 30 min", "log"] {
        assert!(people.stdout.contains(word), "{word}: {}", people.stdout);
    }
    let unknown = huisuan(&["twin", "import", "csv", &path("log.swf")]);
    assert!(unknown.exit == 2 && unknown.stderr.contains("philly"), "{unknown:?}");
}

#[test]
fn a_trace_and_prices_go_into_a_network() {
    let folder = tempfile::tempdir().expect("a scratch folder");
    let path = |name: &str| folder.path().join(name).to_str().expect("a path").to_owned();
    let network = format!("{}/../../scenarios/trace.toml", env!("CARGO_MANIFEST_DIR"));
    fs::write(path("gaia.csv"), "arrival_time,length,cpus\n1,2,4\n1.5,0.5,2\n").expect("space on disk");
    let (jobs, dear) = (path("jobs"), path("dear"));
    let arguments = ["twin", "import", "gaia", &path("gaia.csv"), "--network", &network, "--run", "--out", &jobs];
    let ran = huisuan(&[&arguments[..], &["-o", "json"]].concat());
    assert_eq!(ran.exit, 0, "{ran:?}");
    assert_eq!((&ran.json()["run"]["all"]["jobs"], &ran.json()["centres"]), (&json!(2), &json!(null)));

    let rows = (0..24).map(|hour| format!("01jan2022 {hour:02}:00:00,0.{hour:02}\n"));
    fs::write(path("prices.csv"), format!("time,DAM_price\n{}", rows.collect::<String>())).expect("space on disk");
    let of = |rest: &[&str]| {
        let network = format!("{jobs}/scenario.toml");
        huisuan(&[&["twin", "import", "prices", &path("prices.csv"), "--network", &network], rest].concat())
    };
    let ran = of(&["--centre", "west", "--run", "--out", &dear, "-o", "json"]);
    assert_eq!(ran.exit, 0, "{ran:?}");
    let answer = ran.json();
    assert_eq!((&answer["values"], &answer["means"][2]), (&json!(24), &json!(0.156)), "{answer}");
    let again = huisuan(&["twin", "run", &format!("{dear}/scenario.toml"), "-o", "json"]);
    assert_eq!(again.exit, 0, "{again:?}");
    assert_eq!(again.json()["decision_hash"], answer["run"]["decision_hash"]);
    for (rest, said) in
        [(vec!["--centre", "north"], "hint: one of east, west"), (vec![], "hint: name one of the network")]
    {
        let ran = of(&rest);
        assert!(ran.exit == 2 && ran.stderr.contains(said), "{ran:?}");
    }
    let alone = huisuan(&["twin", "import", "prices", &path("prices.csv")]);
    assert!(alone.exit == 2 && alone.stderr.contains("--network FILE"), "{alone:?}");
}
