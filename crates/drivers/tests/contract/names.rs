//! Names of jobs and steps that look like answers of Slurm's, on a real cluster: they are anybody's to give.

use std::time::{Duration, Instant};

use crate::{
    bench::{PATIENCE, end_of, id, order, script},
    faults::SUFFERING,
    place::Place,
    slurm::{bench_at, job_name},
};

#[test]
fn names_with_line_breaks_are_no_answers() {
    let lab = SUFFERING.take();
    let mut bench = bench_at(Place::of(&lab, "one"), |config| config.usage_from_accounting = true);
    bench.engine.inventory().expect("an inventory");
    let forged = format!("x\n1|N/A|CANCELLED|beta1|1|0|None|{}\ny", job_name(&bench, "1.0.1"));
    let held = ["--parsable", "--hold", "--partition=one", "--output=/dev/null", "--wrap=true", "--job-name", &forged];
    let other = lab.call("sbatch", &held);
    let said = lab.call("squeue", &["--noheader", "--format=%j", "--jobs", &other]);
    assert_eq!(said, forged, "this Slurm prints names in another way: a test of nothing");
    let step = "srun --quiet --job-name=\"$(printf 'x\\n1|COMPLETED\\ny')\" true || exit 9; sleep 2; exit 3";
    bench.submit(&[order(1, script(step))]);
    let until = Instant::now() + PATIENCE;
    while !bench.reports.iter().any(|report| end_of(report, id(1, 0)).is_some()) {
        assert!(Instant::now() < until, "no end: {:?}", bench.engine.alarms());
        let new = bench.engine.observe(Duration::from_millis(100)).expect("observed");
        bench.reports.extend(new);
        let alarms = bench.engine.alarms();
        assert!(!alarms.iter().any(|alarm| alarm.subject == "slurm"), "an answer is not understood: {alarms:?}");
    }
    assert_eq!(bench.end(id(1, 0)).outcome.exit_code, Some(3));
    lab.call("scancel", &[&other]);
}
