//! An agent that starts while nobody of the cluster answers.

use huisuan_drivers::SlurmEngine;

use crate::{
    bench::{Bench, id, open_local, order, script},
    faults::{SUFFERING, Stopped},
    place::Place,
    slurm::{bench_at, config},
};

/// What the cluster had last is told, with an alarm, until its controller answers; orders are taken, and run then.
#[test]
fn what_was_known_last_is_told_while_the_controller_is_away() {
    let lab = SUFFERING.take();
    let mut bench = bench_at(Place::of(&lab, "one"), |_| {});
    let pools = bench.engine.inventory().expect("an inventory");
    assert_eq!(pools.len(), 1);
    let is_told = |bench: &Bench| bench.engine.alarms().iter().any(|alarm| alarm.subject == "inventory");
    assert!(!is_told(&bench));
    // A folder has one engine: the former ends first.
    bench.engine = Box::new(open_local(&bench.folder.path().join("elsewhere"), ""));
    let stopped = Stopped::stop(&lab, "slurmctld");
    let config = config(&bench.folder.path().join("centre"), &lab.conf(), "one");
    bench.engine = Box::new(SlurmEngine::open(config).expect("an engine"));
    assert_eq!(bench.engine.pools().expect("remembered"), pools);
    assert!(is_told(&bench));
    bench.submit(&[order(1, script("exit 3"))]);
    drop(stopped);
    assert_eq!(bench.end(id(1, 0)).outcome.exit_code, Some(3));
    bench.engine.inventory().expect("an inventory");
    assert!(!is_told(&bench), "{:?}", bench.engine.alarms());
}
