//! Reservations in advance in scenarios: every cycle of a debug build is looked at by the judge, so that a run which
//! ends has kept them.

use std::{fs, path::PathBuf};

use huisuan_study::{read::Text, run, scenario::Scenario};

fn parse(more: &str) -> Result<Scenario, String> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../scenarios");
    let small = fs::read_to_string(folder.join("small.toml")).expect("a scenario of the repository");
    Scenario::parse(&Text::new("x.toml", format!("{small}\n{more}")), &folder).map_err(|error| error.to_string())
}

/// Half of the devices of a centre for a course that is held in two hours of the evening, while jobs of the course come
/// all day.
fn course(change: impl FnOnce(String) -> String) -> Result<Scenario, String> {
    parse(&change(
        r#"
[[reservation]]
name = "evening"
tenant = "plant"
centre = "city-ai"
devices = 64
from_h = 18
until_h = 20

[[family]]
name = "course"
jobs_per_day = 60
tenants = { plant = 1 }
reservation = "evening"
cores = 4
devices = 1
memory_gib = 16
walltime_s = 1800
run_s = { median = 600, max = 1500 }
"#
        .to_owned(),
    ))
}

#[test]
fn jobs_of_a_reservation_wait_for_it_and_run_in_it() {
    let (report, _) = run(&course(|text| text).expect("a scenario"), |_| ());
    let course = &report.families["course"];
    assert!(course.jobs > 30 && course.succeeded > 30, "{course:?}");
    // Those that come in the morning wait for the evening, those that come after it are refused.
    let waits = course.wait_s.as_ref().expect("some have started");
    assert!(waits.max > 10.0 * 3600.0 && waits.max <= 20.0 * 3600.0, "{waits:?}");
    assert!(
        course.refused > 0 && course.refusal.as_deref().is_some_and(|text| text.contains("reservation 1")),
        "{course:?}"
    );
    assert_eq!(course.succeeded + course.failed + course.refused, course.jobs, "{course:?}");
    let without = run(&parse("").expect("a scenario"), |_| ()).0;
    assert_ne!(report.decision_hash, without.decision_hash);
}

#[test]
fn what_cannot_be_kept_is_refused_with_its_place() {
    let check = |from: &str, to: &str, parts: &[&str]| {
        let error = course(|text| text.replacen(from, to, 1)).expect_err(to);
        assert!(error.contains("file `x.toml` line") && parts.iter().all(|part| error.contains(part)), "{error}");
    };
    check("devices = 64", "devices = 640", &["reservation", "`evening`", "128 devices", "640 devices"]);
    check("devices = 64", "cores = 4", &["`evening`", "counted by devices"]);
    check("devices = 64", "devices = 0", &["devices", "a number from"]);
    check("devices = 64", "", &["neither cores nor devices"]);
    check("until_h = 20", "until_h = 17", &["until_h"]);
    check("centre = \"city-ai\"", "centre = \"nowhere\"", &["centre", "`nowhere`"]);
    check("tenant = \"plant\"", "tenant = \"plants\"", &["tenant", "`plants`"]);
    check("tenant = \"plant\"", "tenant = \"university\"", &["the family's only tenant"]);
    check("reservation = \"evening\"", "reservation = \"night\"", &["reservation", "`night`"]);
    check(
        "[[family]]",
        "[[reservation]]\nname = \"evening\"\ntenant = \"plant\"\nfrom_h = 1\nuntil_h = 2\n[[family]]",
        &["listed once"],
    );
}
