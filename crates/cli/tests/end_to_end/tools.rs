//! Load generator, doctor, completions, plain requests.

use serde_json::json;

use crate::{
    site::Site,
    support::{huisuan, running::Home},
};

#[test]
fn the_load_generator_counts_what_the_server_has() {
    let site = Site::open();
    site.json(&["centre", "pause", "hpc-1"]);
    let report = site.json(&["bench", "submit", "--clients", "8", "--jobs", "300", "--park", "hpc-1"]);
    assert_eq!(report["submitted"], json!(300));
    let figure = |name: &str| report[name].as_f64().unwrap_or_else(|| panic!("no {name}: {report}"));
    assert!(figure("per_s") > 0.0 && figure("p50_ms") > 0.0 && figure("p99_ms") >= figure("p50_ms"), "{report}");
    let waiting = site.json(&["ls", "--state", "waiting", "--limit", "1000"]);
    assert_eq!(waiting["jobs"].as_array().map(Vec::len), Some(300), "each was acknowledged once");
}

#[test]
fn the_doctor_finds_a_healthy_network_and_a_sick_one() {
    let site = Site::open();
    let healthy = site.json(&["doctor"]);
    let checks = healthy["checks"].as_array().expect("checks");
    assert!(checks.len() >= 8, "{healthy}");
    for check in checks {
        let (name, hint) = (check["name"].as_str().expect("a name"), check["hint"].as_str().expect("a hint"));
        assert!(check["ok"] == true && hint.is_empty(), "{name}: {check}");
    }
    site.json(&["centre", "pause", "hpc-1"]);
    let sick = site.cli(&["doctor", "-o", "json"]);
    assert_eq!(sick.exit, 1, "{sick:?}");
    let sick = sick.json();
    let bad: Vec<_> = sick["checks"].as_array().expect("checks").iter().filter(|check| check["ok"] == false).collect();
    assert_eq!(bad.len(), 1, "{bad:?}");
    assert!(bad[0]["hint"].as_str().is_some_and(|hint| hint.contains("huisuan centre resume hpc-1")), "{bad:?}");
    let nobody = Home::new().run(&["doctor", "-o", "json"]);
    assert_eq!((nobody.exit, &nobody.json()["checks"][0]["ok"]), (1, &json!(false)));
}

#[test]
fn shells_can_complete() {
    for (shell, word) in [("bash", "complete -F"), ("zsh", "#compdef huisuan"), ("fish", "complete -c huisuan")] {
        let ran = huisuan(&["completions", shell]);
        assert_eq!(ran.exit, 0, "{ran:?}");
        assert!(ran.stdout.contains(word) && ran.stdout.contains("sbatch"), "{shell}");
    }
    let script = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(script.path(), huisuan(&["completions", "bash"]).stdout).expect("written");
    let checked = std::process::Command::new("bash").arg("-n").arg(script.path()).status().expect("bash runs");
    assert!(checked.success(), "bash reads it");
    assert_eq!(huisuan(&["completions", "tcsh"]).exit, 2);
}

#[test]
fn the_machine_is_measured_in_every_class() {
    let ran = huisuan(&["measure", "-o", "json"]);
    assert_eq!(ran.exit, 0, "{ran:?}");
    let measured = ran.json();
    let ratings = measured["ratings"].as_array().expect("ratings");
    let classes: Vec<_> = ratings.iter().map(|rating| (rating["class"].clone(), rating["precision"].clone())).collect();
    for pair in [("ai", "bf16"), ("hpc", "fp64"), ("general", "fp32")] {
        assert!(classes.contains(&(json!(pair.0), json!(pair.1))), "{pair:?}: {classes:?}");
    }
    for rating in ratings {
        assert!(rating["sustained_gflops"].as_f64().is_some_and(|rate| rate > 0.0), "{rating}");
        assert!(rating["nameplate_gflops"].as_f64() >= rating["sustained_gflops"].as_f64(), "{rating}");
        for field in ["pool", "method", "version"] {
            assert!(rating.get(field).is_some(), "no {field}: {rating}");
        }
    }
}

#[test]
fn a_name_of_many_parts_is_asked_back() {
    let ids = |name: &str| {
        let ran = huisuan(&["measure", "parts", name, "-o", "json"]);
        let parts = ran.json()["parts"].as_array().expect("parts").clone();
        (parts.iter().map(|part| part["id"].as_str().expect("an id").to_owned()).collect::<Vec<_>>(), ran.stderr)
    };
    let (found, remark) = ids("Ascend 910B");
    assert_eq!(found.len(), 4, "{found:?}");
    assert!(remark.contains("which one?"), "{remark}");
    let (found, remark) = ids("A100-SXM4-80G");
    assert_eq!((found, remark.as_str()), (vec!["A100-SXM4-80G".to_owned()], ""));
    assert_eq!(huisuan(&["measure", "parts", "no such thing"]).exit, 5);

    let file = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(file.path(), "[[part]]\nid = \"X1\"\nsparse = true\n").expect("written");
    let ran = huisuan(&["measure", "parts", "--parts", file.path().to_str().expect("a path")]);
    assert_eq!(ran.exit, 2, "{ran:?}");
    assert!(ran.stderr.contains("hint: "), "{ran:?}");
}

#[test]
fn a_plain_request_gives_the_plain_answer() {
    let site = Site::open();
    site.submit(&["run", "--wait", "--", "true"]);
    let ran = site.cli(&["api", "GET", "/v1/jobs/1"]);
    assert_eq!((ran.exit, &ran.json()["state"]), (0, &json!("succeeded")), "{ran:?}");
    assert_eq!(site.cli(&["api", "GET", "/v1/jobs/2"]).exit, 5);
}
