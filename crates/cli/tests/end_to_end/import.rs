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
