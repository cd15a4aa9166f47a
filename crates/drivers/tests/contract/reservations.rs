//! Reservations of a real Slurm: what they close, what they take, and what is ours.

use std::{sync::MutexGuard, time::Instant};

use huisuan_drivers::{Closed, SlurmConfig};
use huisuan_model::TimeMs;

use crate::{
    bench::{Bench, PATIENCE, id, order, script},
    faults::SUFFERING,
    lab::Lab,
    place::Place,
    slurm::bench_at,
};

/// A reservation that goes with this value.
struct Reserved<'a> {
    lab: &'a Lab,
    name: &'static str,
}

impl<'a> Reserved<'a> {
    fn make(lab: &'a Lab, name: &'static str, what: &[&str]) -> Self {
        let own = [&format!("ReservationName={name}"), "Accounts=lab"];
        lab.call("scontrol", &[&["create", "reservation"], &own[..], what].concat());
        Reserved { lab, name }
    }
}

impl Drop for Reserved<'_> {
    fn drop(&mut self) {
        self.lab.call("scontrol", &["delete", &format!("ReservationName={}", self.name)]);
    }
}

/// Both nodes; the site is asked whenever nodes are.
fn bench(lab: &MutexGuard<'_, Lab>, change: impl FnOnce(&mut SlurmConfig)) -> Bench {
    bench_at(Place::of(lab, "batch"), |config| {
        config.site_interval_ms = 1;
        change(config);
    })
}

/// Waits until so many cores and spans are told, and these reservations: what was asked just before may be told first.
fn sees(bench: &Bench, cores: u64, closed: usize, reservations: &[&str]) {
    let until = Instant::now() + PATIENCE;
    loop {
        let pools = bench.engine.inventory().expect("an inventory");
        let sum: u64 = pools.iter().map(|pool| pool.cores.0 / 1000).sum();
        let seen = (sum, bench.engine.closed().len(), told(bench));
        if (seen.0, seen.1) == (cores, closed) && seen.2 == reservations {
            return;
        }
        assert!(Instant::now() < until, "{seen:?}, expected {cores} {closed} {reservations:?}");
    }
}

fn told(bench: &Bench) -> Vec<String> {
    let told = bench.engine.book().reservations.into_iter();
    told.map(|one| format!("{} {} {} {}", one.name, one.nodes, one.pools.len(), one.maintenance)).collect()
}

#[test]
fn reservations_close_pools_and_take_nodes_until_they_go() {
    let lab = SUFFERING.take();
    let mut bench = bench(&lab, |_| {});
    sees(&bench, 8, 0, &[]);
    {
        let ahead = ["StartTime=now+2hours", "Duration=60", "Nodes=ALL", "Flags=MAINT,IGNORE_JOBS"];
        let _maintenance = Reserved::make(&lab, "maint1", &ahead);
        sees(&bench, 8, 1, &["maint1 2 1 true"]);
        let closed = bench.engine.closed();
        let [Closed { from, until, pool: None, why }] = closed.as_slice() else { panic!("one span: {closed:?}") };
        assert_eq!((until.since(*from).0, why.as_str()), (3_600_000, "maintenance maint1"));
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after 1970");
        let now = TimeMs(i64::try_from(now.as_millis()).expect("a short time"));
        let minutes = from.since(now).0 / 60_000;
        assert!((115..=120).contains(&minutes), "in {minutes} minutes");
        // What would not end before it waits in Slurm, what would runs.
        assert!(bench.run(order(1, script("true"))).outcome.success());
    }
    sees(&bench, 8, 0, &[]);
    {
        let now = ["StartTime=now", "Duration=60", "Nodes=beta1"];
        let _others = Reserved::make(&lab, "others", &now);
        sees(&bench, 4, 0, &["others 1 0 false"]);
        assert_eq!(bench.engine.alarms(), []);
        assert!(bench.run(order(2, script("echo $SLURMD_NODENAME"))).outcome.success());
        assert_eq!(bench.stdout(id(2, 0)), "beta2\n");
    }
    {
        let now = ["StartTime=now", "Duration=60", "Nodes=ALL", "Flags=MAINT"];
        let _maintenance = Reserved::make(&lab, "maint2", &now);
        // Closed, and as large as it was.
        sees(&bench, 8, 1, &["maint2 2 1 true"]);
        assert_eq!(bench.engine.alarms(), []);
    }
    sees(&bench, 8, 0, &[]);
}

#[test]
fn a_reservation_of_ours_is_all_that_is_there() {
    let lab = SUFFERING.take();
    let ours = |config: &mut SlurmConfig| config.reservation = Some("ours".to_owned());
    {
        let _own = Reserved::make(&lab, "ours", &["StartTime=now", "Duration=60", "Nodes=beta2"]);
        let mut bench = bench(&lab, ours);
        sees(&bench, 4, 0, &["ours 1 1 false"]);
        assert!(bench.run(order(1, script("echo $SLURMD_NODENAME"))).outcome.success());
        assert_eq!(bench.stdout(id(1, 0)), "beta2\n");
        assert_eq!(bench.engine.alarms(), []);
    }
    let bench = bench(&lab, ours);
    sees(&bench, 8, 0, &[]);
    let subjects: Vec<String> = bench.engine.alarms().into_iter().map(|alarm| alarm.subject).collect();
    assert_eq!(subjects, ["reservation ours"]);
}
