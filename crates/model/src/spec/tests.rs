//! Canonical form and limits.

use super::*;

#[test]
fn canonical_form_and_hash_are_pinned() {
    let spec = JobSpec::command("hello", &["/bin/true"]);
    assert_eq!(
        String::from_utf8_lossy(&spec.canonical()),
        concat!(
            r#"{"name":"hello","work":{"command":["/bin/true"]},"tasks":"0","#,
            r#""need":{"hardware":{"cores":1000}},"memory":268435456,"walltime":3600000}"#
        )
    );
    let read: JobSpec = serde_json::from_slice(&spec.canonical()).expect("canonical form is read back");
    assert_eq!(read, spec);
    assert_eq!(spec.hash().to_string().parse(), Ok(spec.hash()));
}

#[test]
fn limits_name_the_field() {
    let good = JobSpec::command("x", &["true"]);
    assert_eq!(good.validate(), Ok(()));
    let bad = |field: &str, change: fn(&mut JobSpec)| {
        let mut spec = good.clone();
        change(&mut spec);
        assert_eq!(spec.validate().map_err(|error| error.field.to_owned()), Err(field.to_owned()));
    };
    bad("name", |s| s.name = "a b".into());
    bad("name", |s| s.name.clear());
    bad("command", |s| s.work = Work::Command(vec![]));
    bad("script", |s| s.work = Work::Script { text: "echo".into(), arguments: vec![] });
    bad("command", |s| s.work = Work::Command(vec!["x".repeat(300_000)]));
    bad("command", |s| s.work = Work::Command(vec!["a\0".into()]));
    let script = |text: &str| Work::Script { text: format!("#!/bin/sh\n{text}"), arguments: vec![] };
    let with = |text: &str| JobSpec { work: script(text), ..good.clone() }.validate().map_err(|error| error.field);
    assert_eq!((with("echo"), with("\0"), with(&"x".repeat(300_000))), (Ok(()), Err("script"), Err("script")));
    bad("environment", |s| drop(s.environment.insert("A-B".into(), String::new())));
    bad("tasks", |s| s.tasks = RangeSet::new());
    bad("tasks", |s| s.tasks = RangeSet::from_range(0, u32::MAX));
    bad("parallel_max", |s| s.parallel_max = Some(0));
    bad("walltime", |s| s.walltime = DurationMs(0));
    bad("walltime", |s| s.walltime = DurationMs(u64::MAX));
    bad("memory", |s| s.memory = Bytes(0));
    bad("cores", |s| s.need = Need::Hardware { cores: Millicores(0), devices: None });
    bad("priority", |s| s.priority = 1001);
    bad("budget", |s| s.budget = Some(Money(-1)));
    bad("preemptible", |s| (s.preemptible, s.gang) = (true, true));
    bad("preemptible", |s| (s.preemptible, s.priority) = (true, 1000));
    let after = |job| Dependency { job: JobId(job), when: crate::dependency::When::Ok };
    assert_eq!(JobSpec { after: vec![after(1), after(3)], ..good.clone() }.validate(), Ok(()));
    for jobs in [vec![3, 1], vec![2, 2], (1..=1001).collect()] {
        let spec = JobSpec { after: jobs.into_iter().map(after).collect(), ..good.clone() };
        assert_eq!(spec.validate().map_err(|error| error.field), Err("after"));
    }
}
