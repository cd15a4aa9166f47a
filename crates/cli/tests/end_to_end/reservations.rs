//! Capacity that is kept in advance, from the command that asks for it to the task that runs in it.

use serde_json::json;

use crate::site::{Site, until};

#[test]
fn capacity_is_kept_for_the_jobs_that_name_it() {
    let site = Site::open();
    let cores: f64 = site.client().centre("hpc-1").expect("a centre").pools.iter().map(|pool| pool.cores).sum();
    // All of it from now on, and half of it in an hour.
    let (all, half) = (cores.to_string(), (cores / 2.0).to_string());
    let add = ["reserve", "add", "--centre", "hpc-1", "--memory", "256MiB", "--cores"];
    let made = site.json(&[&add[..], &[&all, "--from", "now", "--until", "+1h", "--note", "a course"]].concat());
    assert_eq!((&made["reservation"], &made["state"], &made["cores"]), (&json!(1), &json!("active"), &json!(cores)));
    let coming = site.json(&[&add[..], &[&half, "--from", "+1h", "--until", "+2h"]].concat());
    assert_eq!((&coming["reservation"], &coming["state"]), (&json!(2), &json!("coming")));
    let refused = site.cli(&[&add[..], &[&half, "--from", "now", "--until", "+1h"]].concat());
    assert_eq!(refused.exit, 6, "{refused:?}");
    assert!(refused.stderr.contains("stay free all the time") && refused.stderr.contains("hint:"), "{refused:?}");
    let small = ["--memory", "64MiB", "--walltime", "10m", "--centre", "hpc-1", "--", "true"];
    let other = site.submit(&[&["run"][..], &small].concat());
    let own = site.submit(&[&["run", "--reservation", "1"][..], &small].concat());
    let later = site.submit(&[&["run", "--reservation", "2"][..], &small].concat());
    assert_eq!(&*site.ended(own).summary.state, "succeeded");
    let code = |id: u64| {
        let explained = site.json(&["explain", &id.to_string()]);
        (explained["reason"]["code"].as_str()? != "not-planned").then(|| explained["reason"].clone())
    };
    let reason = until("a reason", || code(other));
    assert_eq!((&reason["code"], &reason["details"]["reservation"]), (&json!("kept"), &json!(1)), "{reason}");
    let reason = until("a reason", || code(later));
    assert_eq!(
        (&reason["code"], &reason["details"]["reservation"]),
        (&json!("reservation-later"), &json!(2)),
        "{reason}"
    );
    let plan = site.json(&[&["plan", "--reservation", "2"][..], &small].concat());
    let one = &plan["candidates"].as_array().expect("candidates")[0];
    assert!(one["start_p50_ms"].as_u64().is_some_and(|ms| (3_000_000..=3_600_000).contains(&ms)), "{one}");
    assert_eq!(site.cli(&[&["run", "--reservation", "3"][..], &small].concat()).exit, 2);
    assert_eq!(site.json(&["reserve", "ls"])["reservations"].as_array().map(Vec::len), Some(2));
    assert!(site.cli(&["reserve", "cancel", "1"]).stdout.contains("reservation 1 cancelled"));
    assert_eq!(&*site.ended(other).summary.state, "succeeded", "its room is free at once");
    site.json(&["cancel", &later.to_string()]);
    site.json(&["doctor"]);
}
