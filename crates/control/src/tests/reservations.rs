//! Reservations in advance: who may make them, what they keep, who may use them.

use huisuan_model::{
    AskedReservation, AttemptState, Bytes, Class, Command, DurationMs, Event, JobSpec, Millicores, PoolId, Reason,
    ReportKind, ReservationId, TenantId, TimeMs,
    tenant::{Limit, TenantChange},
};
use huisuan_schedule::{Budget, Seed, cycle};
use proptest::prelude::*;

use super::{job, preemption, tasks};
use crate::{
    Refusal,
    testing::{Network, centre, exited, origin},
};

const MINUTE_MS: i64 = 60_000;

/// So many cores of `hpc-1`, which has four, from one minute after the beginning to another.
fn asked(cores: u64, from_minutes: i64, until_minutes: i64) -> AskedReservation {
    AskedReservation {
        tenant: origin().tenant,
        centre: Some(centre("hpc-1")),
        pool: None,
        class: None,
        cores: Some(Millicores(cores * 1000)),
        memory: None,
        devices: None,
        from: TimeMs(1_000 + from_minutes * MINUTE_MS),
        until: TimeMs(1_000 + until_minutes * MINUTE_MS),
        note: String::new(),
        own: false,
    }
}

fn reserve(asked: AskedReservation) -> Command {
    Command::Reserve(Box::new(asked))
}

/// Tasks of one core and a minute at `hpc-1`.
fn here(last_task: u32) -> JobSpec {
    tasks(JobSpec { class: Some(Class::Hpc), ..job("here") }, last_task)
}

fn inside(id: u32, last_task: u32) -> JobSpec {
    JobSpec { reservation: Some(ReservationId(id)), ..here(last_task) }
}

fn reason(network: &Network) -> Reason {
    let snapshot = crate::snapshot(&network.state);
    let plan = cycle(&snapshot, network.state.policy(), network.now, Budget::default(), Seed(1));
    let last = plan.reasons.last().expect("something waits");
    // A shape that names a reservation comes after its like that names none.
    last.reason.clone()
}

/// How many tasks a plan starts.
fn started(network: &mut Network) -> u64 {
    let placed = |event: &Event| match event {
        Event::TasksPlaced { tasks, .. } => tasks.len(),
        _ => 0,
    };
    network.plan().iter().map(placed).sum()
}

#[test]
fn what_is_kept_is_for_those_who_name_it() {
    let mut network = Network::new();
    let events = network.take(reserve(asked(3, 2, 9)));
    assert!(
        matches!(&events[..], [Event::ReservationAdded { reservation, .. }] if reservation.memory == Bytes(6 << 30))
    );
    network.submit(inside(1, 9)).expect("accepted");
    assert_eq!(started(&mut network), 0);
    let from = TimeMs(1_000 + 2 * MINUTE_MS);
    assert_eq!(reason(&network), Reason::ReservationLater { reservation: ReservationId(1), from });
    // What ends before it has all of the pool, then one core.
    network.submit(JobSpec { name: "short".into(), ..here(9) }).expect("accepted");
    assert_eq!(started(&mut network), 4);
    network.pass(MINUTE_MS);
    end_all(&mut network);
    assert_eq!(started(&mut network), 4, "the next minute ends as it begins");
    network.pass(MINUTE_MS);
    end_all(&mut network);
    assert_eq!(started(&mut network), 4, "three within it, one beside");
    assert_eq!(network.state.held_of_reservation(ReservationId(1)).cores, Millicores(3000));
    assert!(matches!(reason(&network), Reason::ReservationFull { needed: 1, fits: 0, .. }));
    network.check_rebuilt();
}

/// Every attempt ends now.
fn end_all(network: &mut Network) {
    let live: Vec<_> = network.state.attempts().map(|attempt| (attempt.id, attempt.centre.clone())).collect();
    for (id, at) in live {
        let end = network.ended(exited(0), 10);
        network.report(at.as_str(), vec![(id, end)]);
    }
}

#[test]
fn taken_back_it_leaves_its_room_to_others() {
    let mut network = Network::new();
    network.take(reserve(asked(4, 0, 60)));
    network.submit(inside(1, 1)).expect("accepted");
    assert_eq!(started(&mut network), 2);
    network.submit(here(9)).expect("accepted");
    assert_eq!(started(&mut network), 0);
    assert!(matches!(reason(&network), Reason::Kept { reservation: ReservationId(1), .. }));
    network.take(Command::CancelReservation { id: ReservationId(1), tenant: None });
    network.check_rebuilt();
    assert_eq!((network.state.attempts_live(), started(&mut network)), (2, 2), "what ran goes on");
    assert_eq!(network.submit(inside(1, 0)), Err(Refusal::UnknownReservation(ReservationId(1))));
    let gone = Refusal::NoReservation(ReservationId(1));
    assert_eq!(network.execute(Command::CancelReservation { id: ReservationId(1), tenant: None }), Err(gone));
    let again = network.take(reserve(asked(1, 90, 95)));
    assert!(matches!(&again[..], [Event::ReservationAdded { reservation, .. }] if reservation.id == ReservationId(2)));
}

#[test]
fn its_jobs_wait_with_a_reason_when_it_is_gone() {
    let mut network = Network::new();
    network.take(reserve(asked(4, 5, 60)));
    network.submit(inside(1, 0)).expect("accepted");
    network.take(Command::CancelReservation { id: ReservationId(1), tenant: None });
    assert_eq!(started(&mut network), 0);
    assert_eq!(reason(&network), Reason::ReservationOver { reservation: ReservationId(1), until: None });
    network.check_rebuilt();
}

#[test]
fn a_plan_made_before_it_was_reserved_is_dropped() {
    let mut network = Network::new();
    network.submit(here(3)).expect("accepted");
    let plan = cycle(&crate::snapshot(&network.state), network.state.policy(), network.now, Budget::default(), Seed(1));
    network.take(reserve(asked(1, 0, 60)));
    assert_eq!(network.take(Command::Plan(Box::new(plan))), vec![]);
    assert_eq!(started(&mut network), 3);
}

#[test]
fn only_what_stays_free_can_be_reserved() {
    let mut network = Network::new();
    network.submit(JobSpec { walltime: DurationMs(600_000), ..here(1) }).expect("accepted");
    assert_eq!(started(&mut network), 2);
    let refused = |network: &mut Network, asked| match network.execute(reserve(asked)) {
        Err(refusal @ Refusal::NothingToReserve { .. }) => refusal.to_string(),
        other => panic!("{other:?}"),
    };
    let told = refused(&mut network, asked(3, 1, 60));
    let lack = "it has 4 cores and 8192 MiB, of which 2 cores and";
    assert!(told.contains("cpu:test of hpc-1") && told.contains(lack), "{told}");
    network.take(reserve(asked(2, 1, 60)));
    // After the two tasks have ended at the latest, two are left.
    assert!(refused(&mut network, asked(3, 20, 60)).contains("of which 2 cores"));
    network.take(reserve(asked(2, 20, 60)));
    network.take(reserve(asked(4, 60, 61)));
    let any = AskedReservation { centre: None, ..asked(1, 0, 9) };
    let found = network.take(reserve(any));
    assert!(matches!(&found[..], [Event::ReservationAdded { centre: at, .. }] if *at == centre("ai-1")), "{found:?}");
    network.check_rebuilt();
}

#[test]
fn what_makes_no_sense_is_refused() {
    let mut network = Network::new();
    network.pass(10 * MINUTE_MS);
    let mut check = |asked: AskedReservation, part: &str| {
        let refusal = network.execute(reserve(asked)).expect_err(part);
        assert!(!refusal.hint().is_empty());
        assert!(refusal.to_string().contains(part), "{refusal}");
    };
    check(asked(1, 20, 20), "before it ends");
    check(asked(1, 2, 3), "has ended already");
    check(asked(1, 20, 400 * 1440), "366 days");
    check(asked(1, 400 * 1440, 401 * 1440), "begins in more than");
    check(asked(0, 20, 30), "is none");
    check(AskedReservation { cores: None, ..asked(1, 20, 30) }, "neither cores nor devices");
    check(AskedReservation { note: "two\nlines".into(), ..asked(1, 20, 30) }, "one line");
    check(AskedReservation { centre: Some(centre("nowhere")), ..asked(1, 20, 30) }, "not known");
    let pool = Some(PoolId::new("gpu").expect("a name"));
    check(AskedReservation { pool: pool.clone(), ..asked(1, 20, 30) }, "has no pool `gpu`");
    check(AskedReservation { pool, centre: None, ..asked(1, 20, 30) }, "no pool is of this kind");
    check(AskedReservation { class: Some(Class::General), ..asked(1, 20, 30) }, "no pool is of this kind");
    check(AskedReservation { devices: Some(huisuan_model::MilliDevices(1)), ..asked(1, 20, 30) }, "no devices");
    check(AskedReservation { tenant: TenantId::new("x").expect("a name"), ..asked(1, 20, 30) }, "tenant `x`");
}

#[test]
fn a_tenant_needs_the_right_and_stays_within_its_quota() {
    let mut network = Network::new();
    let own = || AskedReservation { own: true, ..asked(2, 5, 9) };
    assert_eq!(network.execute(reserve(own())), Err(Refusal::MayNotReserve(origin().tenant)));
    let change = |may_reserve, cores| TenantChange {
        may_reserve: Some(may_reserve),
        quota_cores: Some(Limit::Most(cores)),
        ..TenantChange::default()
    };
    network.take(Command::ChangeTenant { tenant: origin().tenant, change: change(true, 3_000) });
    network.take(reserve(own()));
    let told = network.execute(reserve(own())).expect_err("above the quota").to_string();
    assert!(told.contains("above its quota"), "{told}");
    network.take(reserve(AskedReservation { own: true, ..asked(2, 9, 12) }));
    let (id, lab) = (ReservationId(1), preemption::lab().tenant);
    let other = Command::CancelReservation { id, tenant: Some(lab) };
    assert_eq!(network.execute(other), Err(Refusal::NoReservation(id)));
    let close = || Command::CloseTenant { tenant: origin().tenant };
    let told = network.execute(close()).expect_err("something is kept").to_string();
    assert!(told.contains("2 reservations that have not ended"), "{told}");
    network.take(Command::CancelReservation { id, tenant: Some(origin().tenant) });
    network.check_rebuilt();
    network.pass(12 * MINUTE_MS);
    network.take(close());
}

#[test]
fn a_job_that_cannot_run_in_it_is_refused() {
    let mut network = Network::new();
    network.take(Command::AddTenant { tenant: preemption::lab().tenant, change: TenantChange::default() });
    network.take(reserve(asked(2, 5, 9)));
    let mut check = |spec: JobSpec, part: &str| {
        let refusal = network.submit(spec).expect_err(part);
        assert!(!refusal.hint().is_empty());
        assert!(refusal.to_string().contains(part), "{refusal}");
    };
    check(inside(2, 0), "reservation 2, which its tenant does not have");
    check(JobSpec { walltime: DurationMs(5 * 60_000), ..inside(1, 0) }, "it lasts for 240000 ms");
    check(JobSpec { class: Some(Class::Ai), ..inside(1, 0) }, "it is at hpc-1");
    check(JobSpec { centres: vec![centre("ai-1")], class: None, ..inside(1, 0) }, "it is at hpc-1");
    check(JobSpec { gang: true, ..inside(1, 2) }, "what starts together needs 3 cores");
    check(JobSpec { memory: Bytes(5 << 30), ..inside(1, 0) }, "it keeps 2 cores and 4096 MiB");
    check(JobSpec { memory: Bytes(1 << 40), ..inside(1, 0) }, "cannot run the job");
    let spec = std::sync::Arc::new(inside(1, 0));
    let refused = network.execute_from(&preemption::lab(), Command::Submit { spec, key: None, ended: Vec::new() });
    assert_eq!(refused, Err(Refusal::UnknownReservation(ReservationId(1))), "another tenant's");
}

/// One step of a random story.
#[derive(Debug, Clone)]
enum Step {
    Reserve { cores: u64, from: i64, span: i64 },
    Cancel(u32),
    Submit { last_task: u32, minutes: u64, gang: bool, inside: Option<u32>, priority: i32 },
    End(usize),
    Pass(i64),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        2 => (1u64..4, 0i64..20, 1i64..20).prop_map(|(cores, from, span)| Step::Reserve { cores, from, span }),
        1 => (1u32..6).prop_map(Step::Cancel),
        6 => (0u32..5, 1u64..15, any::<bool>(), prop::option::of(1u32..6), -1i32..2).prop_map(
            |(last_task, minutes, gang, inside, priority)| Step::Submit { last_task, minutes, gang, inside, priority }
        ),
        3 => (0usize..8).prop_map(Step::End),
        6 => (0i64..5).prop_map(Step::Pass),
    ]
}

/// Ends what has run for its walltime, plans, and starts what was placed.
fn go_on(network: &mut Network) {
    let over = |network: &Network, attempt: &huisuan_model::Attempt| {
        let job = network.state.job(attempt.id.job).expect("a live job");
        attempt.started_at.is_some_and(|at| at.after(job.spec.walltime) <= network.now)
    };
    let live = network.state.attempts().filter(|attempt| over(network, attempt));
    for (id, at) in live.map(|attempt| (attempt.id, attempt.centre.clone())).collect::<Vec<_>>() {
        let ran = network.state.job(id.job).expect("a live job").spec.walltime;
        let end = network.ended(exited(0), ran.0);
        network.report(at.as_str(), vec![(id, end)]);
    }
    network.plan();
    let placed = network.state.attempts().filter(|attempt| attempt.state == AttemptState::Placed);
    for (id, at) in placed.map(|attempt| (attempt.id, attempt.centre.clone())).collect::<Vec<_>>() {
        network.report(at.as_str(), vec![(id, ReportKind::Started)]);
    }
}

/// Beside what is reserved now at `hpc-1`, the tasks of others fit into what is left of its cores.
fn check_kept(network: &Network) {
    let all = &network.state.centres()[&centre("hpc-1")].reservations;
    let now: Vec<_> = all.iter().filter(|kept| kept.from <= network.now && network.now < kept.until).collect();
    let kept: u64 = now.iter().map(|kept| kept.cores.0).sum();
    let here = network.state.attempts().filter(|attempt| attempt.centre == centre("hpc-1"));
    let (mut beside, mut within) = (0, 0);
    for attempt in here {
        let own = network.state.job(attempt.id.job).and_then(|job| job.spec.reservation);
        match now.iter().any(|kept| Some(kept.id) == own) {
            true => within += attempt.cores.0,
            false => beside += attempt.cores.0,
        }
    }
    assert!(beside + kept <= 4_000 && within <= kept, "{beside} beside {within} of {kept} at {}", network.now);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// Whatever happens, nobody's task is where something is kept for others, and state, journal and rows agree.
    #[test]
    fn any_story_keeps_reservations(steps in prop::collection::vec(step(), 1..60)) {
        let mut network = Network::new();
        network.take(Command::Fund { amount: huisuan_model::Money(1_000_000_000) });
        for step in steps {
            match step {
                Step::Reserve { cores, from, span } => {
                    // It begins with the network, and moments are counted from there.
                    let from = from + (network.now.0 - 1_000) / MINUTE_MS;
                    _ = network.execute(reserve(asked(cores, from, from + span)));
                }
                Step::Cancel(id) => {
                    _ = network.execute(Command::CancelReservation { id: ReservationId(id), tenant: None });
                }
                Step::Submit { last_task, minutes, gang, inside, priority } => {
                    let spec = JobSpec {
                        walltime: DurationMs(minutes * 60_000),
                        gang: gang && last_task < 4,
                        reservation: inside.map(ReservationId),
                        priority,
                        ..here(last_task)
                    };
                    _ = network.submit(spec);
                }
                Step::End(pick) => {
                    // Jobs of which more waits would be known as short, and then be placed ahead.
                    let whole = |id| network.state.job(id).is_some_and(|job| job.tasks.waiting.is_empty());
                    let ends = network.state.attempts().filter(|one| whole(one.id.job));
                    let picked = ends.map(|one| (one.id, one.centre.clone())).nth(pick);
                    if let Some((id, at)) = picked {
                        let end = network.ended(exited(0), 10);
                        network.report(at.as_str(), vec![(id, end)]);
                    }
                }
                Step::Pass(minutes) => network.pass(minutes * MINUTE_MS),
            }
            go_on(&mut network);
            check_kept(&network);
        }
        network.check_rebuilt();
    }
}
