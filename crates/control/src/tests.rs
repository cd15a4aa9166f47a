//! Stories of jobs, and random ones against the invariants.

use huisuan_model::{
    AttemptState, Bytes, CentreState, Class, Command, Dependency, DurationMs, Event, Gflop, JobSpec, JobState, Money,
    Presence, RangeSet, ReportKind, Usage, When,
    spec::{JobKind, Rerun},
    tenant::{Limit, TenantChange},
};
use proptest::prelude::*;

mod budget;
mod centres;
mod channels;
mod clocks;
mod contracts;
mod dependencies;
mod energy;
mod facts;
mod gangs;
mod late;
mod meter;
mod opaque;
mod outlook;
mod preemption;
mod ratings;
mod rerate;
mod reservations;
mod site;
mod staging;
mod tenants;
mod topology;

use crate::{
    Refusal,
    testing::{Network, attempt, cancelled, centre, exited, origin},
};

fn job(name: &str) -> JobSpec {
    JobSpec { walltime: DurationMs(60_000), ..JobSpec::command(name, &["true"]) }
}

fn tasks(spec: JobSpec, last: u32) -> JobSpec {
    JobSpec { tasks: RangeSet::from_range(0, last), ..spec }
}

/// The state of the job that the events ended.
fn end_state(events: &[Event]) -> Option<JobState> {
    events.iter().find_map(|event| match event {
        Event::JobEnded { state, .. } => Some(*state),
        _ => None,
    })
}

#[test]
fn one_job_is_placed_run_metered_and_paid() {
    let mut network = Network::new();
    let spec = JobSpec { class: Some(Class::Hpc), ..job("one") };
    let id = network.submit(spec).expect("accepted");
    assert_eq!(network.plan().len(), 1);
    let hold = network.state.attempt(attempt(1, 0, 1)).expect("placed").hold;
    assert_eq!(hold, Money(750), "a quarter of 60 GFLOP/s for a minute is 900 GFLOP");
    network.pass(10);
    network.report("hpc-1", vec![(attempt(1, 0, 1), ReportKind::Started)]);
    assert_eq!(network.state.attempt(attempt(1, 0, 1)).map(|a| a.state), Some(AttemptState::Running));
    network.pass(20_000);
    let usage = Usage { wall: DurationMs(10_000), cpu: DurationMs(9_000), memory_peak: Bytes(5), ..Usage::default() };
    network.report("hpc-1", vec![(attempt(1, 0, 1), ReportKind::Used(usage))]);
    assert_eq!(network.state.attempt(attempt(1, 0, 1)).map(|a| a.work), Some(Gflop(150)));
    let end = network.ended(exited(0), 20_000);
    let events = network.report("hpc-1", vec![(attempt(1, 0, 1), end)]);
    assert_eq!(end_state(&events), Some(JobState::Succeeded));
    let touched = network.state.take_touched();
    let row = &touched.jobs_ended[&id];
    assert_eq!((row.cost, row.usage.get(&Class::Hpc)), (Money(250), Some(&Gflop(300))));
    assert_eq!(network.state.attempts().count(), 0);
    network.check_rebuilt();
}

#[test]
fn a_key_answers_once() {
    let mut network = Network::new();
    let first = network.submit_with_key(job("a"), Some("k")).expect("accepted");
    let again = network.submit_with_key(job("a"), Some("k")).expect("known");
    assert_eq!((first, again, network.state.jobs().count()), (first, first, 1));
    let other = network.submit_with_key(job("b"), Some("k"));
    assert!(matches!(other, Err(Refusal::KeyReused { job, .. }) if job == first), "{other:?}");
    network.check_rebuilt();
    network.take(Command::ForgetKeys { before: huisuan_model::TimeMs(i64::MAX) });
    assert_ne!(network.submit_with_key(job("b"), Some("k")).expect("a new key"), first);
}

#[test]
fn what_cannot_run_is_refused_with_its_reason() {
    let mut network = Network::new();
    let mut refused = |spec: JobSpec, code: &str| {
        let refusal = network.submit(spec).expect_err(code);
        assert!(format!("{refusal:?}").starts_with(code), "{refusal:?}");
        assert!(!refusal.hint().is_empty());
    };
    refused(JobSpec { memory: Bytes(0), ..job("a") }, "Spec");
    refused(JobSpec { kind: JobKind::Service, ..job("a") }, "NotSupported");
    refused(JobSpec { image: Some("x".into()), ..job("a") }, "Spec");
    let image = format!("registry.local/x@sha256:{}", "0a".repeat(32));
    refused(JobSpec { image: Some(image), ..job("a") }, "NeverFits");
    refused(JobSpec { memory: Bytes(1 << 40), ..job("a") }, "NeverFits");
    refused(JobSpec { centres: vec![centre("nowhere")], ..job("a") }, "NeverFits");
    refused(tasks(JobSpec { gang: true, ..job("a") }, 9), "NeverFits");
    for _ in 0..100 {
        network.submit(job("a")).expect("within the limit");
    }
    assert!(matches!(network.submit(job("a")), Err(Refusal::TooManyJobs { jobs: 100, .. })));
}

#[test]
fn of_the_same_priority_the_earlier_deadline_goes_first() {
    let mut network = Network::new();
    let by = |deadline: Option<i64>, priority| JobSpec {
        deadline_at: deadline.map(huisuan_model::TimeMs),
        priority,
        centres: vec![centre("ai-1")],
        ..tasks(job("a"), 1)
    };
    for (deadline, priority) in [(None, 0), (Some(900_000), 0), (Some(500_000), 0), (None, 1), (Some(100_000), -1)] {
        network.submit(by(deadline, priority)).expect("accepted");
    }
    // Two cores: one job after the other.
    let mut order = Vec::new();
    while network.state.jobs_live() > 0 {
        network.plan();
        let placed: Vec<_> = network.state.attempts().map(|attempt| attempt.id).collect();
        order.push(placed[0].job.0);
        let ends: Vec<_> = placed.iter().map(|id| (*id, network.ended(exited(0), 1))).collect();
        network.report("ai-1", ends);
    }
    assert_eq!(order, [4, 3, 2, 1, 5]);
}

#[test]
fn a_deadline_that_cannot_be_met_is_refused() {
    let mut network = Network::new();
    let by = |deadline| JobSpec { deadline_at: Some(huisuan_model::TimeMs(deadline)), ..job("a") };
    for deadline in [0, 1_000, 60_999] {
        let refusal = network.submit(by(deadline)).expect_err("a minute from 1,000 is 61,000");
        assert!(refusal.to_string().contains("`deadline`"), "{refusal}");
    }
    network.submit(by(61_000)).expect("just in time");
}

#[test]
fn cancelling_ends_what_waits_now_and_what_runs_later() {
    let mut network = Network::new();
    network.submit(job("waits")).expect("accepted");
    let events = network.take(Command::Cancel { job: huisuan_model::JobId(1) });
    assert_eq!(end_state(&events), Some(JobState::Cancelled));
    assert!(matches!(network.execute(Command::Cancel { job: huisuan_model::JobId(1) }), Err(Refusal::NoJob(_))));
    network.submit(tasks(job("runs"), 20)).expect("accepted");
    network.plan();
    let running: Vec<_> = network.state.attempts().map(|a| (a.id, a.centre.clone())).collect();
    assert_eq!(running.len(), 6);
    network.take(Command::Cancel { job: huisuan_model::JobId(2) });
    assert_eq!(network.take(Command::Cancel { job: huisuan_model::JobId(2) }), vec![], "once is enough");
    assert!(network.plan().is_empty(), "a cancelled job is not placed");
    let mut last = Vec::new();
    for (id, at) in running {
        let end = network.ended(cancelled(), 0);
        last = network.report(at.as_str(), vec![(id, end)]);
    }
    assert_eq!(end_state(&last), Some(JobState::Cancelled));
    network.check_rebuilt();
}

#[test]
fn a_task_is_tried_again_only_when_asked() {
    let mut network = Network::new();
    network.submit(JobSpec { retries: 1, ..job("again") }).expect("accepted");
    network.plan();
    let at = network.state.attempt(attempt(1, 0, 1)).expect("placed").centre.clone();
    let end = network.ended(exited(3), 0);
    assert_eq!(end_state(&network.report(at.as_str(), vec![(attempt(1, 0, 1), end)])), None);
    network.check_rebuilt();
    network.plan();
    let at = network.state.attempt(attempt(1, 0, 2)).expect("placed again").centre.clone();
    let end = network.ended(exited(3), 0);
    let events = network.report(at.as_str(), vec![(attempt(1, 0, 2), end)]);
    assert_eq!(end_state(&events), Some(JobState::Failed));
}

#[test]
fn reports_may_come_twice_late_or_from_strangers() {
    let mut network = Network::new();
    network.submit(JobSpec { class: Some(Class::Hpc), ..job("a") }).expect("accepted");
    network.plan();
    let foreign = network.report_with_seq("ai-1", 1, vec![(attempt(1, 0, 1), ReportKind::Started)]);
    assert!(matches!(foreign, Err(Refusal::ForeignAttempt { .. })));
    network.pass(1000);
    let end = network.ended(exited(0), 500);
    network.report("hpc-1", vec![(attempt(1, 0, 1), end.clone())]);
    let cost = network.state.ledger().earned(&centre("hpc-1"), crate::books::home_currency());
    assert_eq!(network.report_with_seq("hpc-1", 1, vec![(attempt(1, 0, 1), end.clone())]), Ok(vec![]));
    let late = network.report("hpc-1", vec![(attempt(1, 0, 1), ReportKind::Started), (attempt(1, 0, 1), end)]);
    assert_eq!(late.len(), 1, "only that the report was taken: {late:?}");
    assert_eq!(network.state.ledger().earned(&centre("hpc-1"), crate::books::home_currency()), cost);
}

#[test]
fn what_ran_at_a_centre_that_lost_its_folder_is_lost_and_costs_nothing() {
    let mut network = Network::new();
    network.submit(JobSpec { retries: 1, centres: vec![centre("hpc-1")], ..tasks(job("a"), 2) }).expect("accepted");
    network.plan();
    network.pass(1000);
    let used = Usage { wall: DurationMs(900), ..Usage::default() };
    for task in 0..2 {
        let id = attempt(1, task, 1);
        network.report("hpc-1", vec![(id, ReportKind::Started), (id, ReportKind::Used(used))]);
    }
    let before = network.state.ledger().available(&origin().tenant, crate::books::home_currency());
    let lose = || Command::LoseRunning { centre: centre("hpc-1") };
    let events = network.take(lose());
    assert_eq!(events.len(), 2, "two ran, one was only ordered: {events:?}");
    let after = network.state.ledger().available(&origin().tenant, crate::books::home_currency());
    assert_eq!((after.0 - before.0, network.state.attempts_live()), (1500, 1), "both holds are void");
    assert_eq!(network.take(lose()), vec![], "nothing runs any more");
    network.check_rebuilt();
    network.plan();
    assert!(network.state.attempt(attempt(1, 0, 2)).is_some(), "retries were asked for");
    let unknown = network.execute(Command::LoseRunning { centre: centre("nowhere") });
    assert!(matches!(unknown, Err(Refusal::NoCentre(_))));
}

#[test]
fn a_centre_cannot_bill_more_time_than_it_had() {
    let mut network = Network::new();
    network.submit(JobSpec { class: Some(Class::Hpc), ..job("a") }).expect("accepted");
    network.plan();
    network.pass(1000);
    let usage = Usage { wall: DurationMs(u64::MAX), cpu: DurationMs(0), memory_peak: Bytes(0), ..Usage::default() };
    let end = ReportKind::Ended { started_at: None, outcome: exited(0), usage };
    network.report("hpc-1", vec![(attempt(1, 0, 1), end)]);
    let touched = network.state.take_touched();
    assert_eq!(touched.attempts_ended[&attempt(1, 0, 1)].work, Gflop(15), "a second of 15 GFLOP/s");
}

#[test]
fn without_money_nothing_starts() {
    let mut network = Network::new();
    // Held for the whole walltime: 366 days of four cores are far beyond ten yuan.
    let year = JobSpec { walltime: DurationMs(366 * 24 * 3_600_000), ..job("long") };
    network.submit(year).expect("accepted");
    assert!(network.plan().is_empty());
    assert!(!network.take(Command::Fund { amount: Money(1_000_000_000_000) }).is_empty());
    assert_eq!(network.plan().len(), 1);
    for amount in [0, -1, i64::MAX] {
        assert!(
            matches!(network.execute(Command::Fund { amount: Money(amount) }), Err(Refusal::Amount(_))),
            "{amount}"
        );
    }
    // All money of the network is counted in 64 bits, however many amounts it came in.
    let most = Command::Fund { amount: Money(i64::MAX / 16) };
    (0..15).for_each(|_| drop(network.take(most.clone())));
    let refused = network.execute(most).expect_err("there is no room for it").to_string();
    assert!(refused.contains("do not fit: the books of this network can take"), "{refused}");
    network.check_rebuilt();
}

/// One step of a random story.
#[derive(Debug, Clone)]
enum Step {
    Submit {
        tasks: u32,
        gang: bool,
        retries: u32,
        priority: i32,
        key: Option<u8>,
    },
    /// A preemptible job, or one of another tenant that may preempt it.
    Contend {
        tasks: u32,
        retries: u32,
        priority: i32,
        lab: bool,
    },
    SubmitAfter {
        back: u64,
        when: When,
    },
    Cancel(u64),
    Plan,
    Report {
        pick: usize,
        kind: u8,
        wall_ms: u64,
    },
    Repeat,
    Pause(bool),
    Quota(u64),
    Absent(bool),
    GiveUp,
    Pass(i64),
    ForgetKeys,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0u32..6, any::<bool>(), 0u32..3, -2i32..3, prop::option::of(0u8..4)).prop_map(
            |(tasks, gang, retries, priority, key)| Step::Submit { tasks, gang, retries, priority, key }
        ),
        3 => (0u32..6, 0u32..2, -2i32..3, any::<bool>()).prop_map(
            |(tasks, retries, priority, lab)| Step::Contend { tasks, retries, priority, lab }
        ),
        2 => (0u64..4, prop::sample::select(When::ALL.to_vec())).prop_map(|(back, when)| Step::SubmitAfter { back, when }),
        1 => (1u64..30).prop_map(Step::Cancel),
        4 => Just(Step::Plan),
        8 => (0usize..64, 0u8..7, 0u64..100_000).prop_map(|(pick, kind, wall_ms)| Step::Report { pick, kind, wall_ms }),
        1 => Just(Step::Repeat),
        1 => any::<bool>().prop_map(Step::Pause),
        1 => (0u64..6).prop_map(Step::Quota),
        1 => any::<bool>().prop_map(Step::Absent),
        1 => Just(Step::GiveUp),
        3 => (0i64..50_000).prop_map(Step::Pass),
        1 => Just(Step::ForgetKeys),
    ]
}

fn play(network: &mut Network, step: &Step, last: &mut Option<Command>) {
    match step {
        Step::Submit { tasks: last_task, gang, retries, priority, key } => {
            let rerun = if *gang || *retries == 0 { Rerun::Never } else { Rerun::Allowed };
            let spec = JobSpec { gang: *gang, retries: *retries, priority: *priority, rerun, ..job("random") };
            let key = key.map(|key| format!("key-{key}"));
            // Refusals are part of the story; the harness checks that they change nothing.
            _ = network.submit_with_key(tasks(spec, *last_task), key.as_deref());
        }
        Step::Contend { tasks: last_task, retries, priority, lab } => {
            let spec = JobSpec { retries: *retries, priority: *priority, preemptible: !lab, ..job("contends") };
            let spec = std::sync::Arc::new(tasks(spec, *last_task));
            let origin = if *lab { preemption::lab() } else { origin() };
            _ = network.execute_from(&origin, Command::Submit { spec, key: None, ended: Vec::new() });
        }
        Step::SubmitAfter { back, when } => {
            // The last job, or one before it; one that is not live any more is refused.
            let on = huisuan_model::JobId(network.state.jobs_total().saturating_sub(*back));
            _ = network.submit(JobSpec { after: vec![Dependency { job: on, when: *when }], ..job("after") });
        }
        Step::Cancel(id) => _ = network.execute(Command::Cancel { job: huisuan_model::JobId(*id) }),
        Step::Plan => _ = network.plan(),
        Step::Report { pick, kind, wall_ms } => {
            let picked = network.state.attempts().map(|a| (a.id, a.centre.clone())).nth(*pick);
            let Some((id, at)) = picked else { return };
            let usage = Usage { wall: DurationMs(*wall_ms), ..Usage::default() };
            let what = match kind {
                0 => ReportKind::Started,
                1 => ReportKind::Used(usage),
                2 => network.ended(exited(0), *wall_ms),
                3 => network.ended(exited(1), *wall_ms),
                4 => network.ended(cancelled(), *wall_ms),
                5 => site::refused(network),
                _ => ReportKind::Ended { started_at: None, outcome: exited(0), usage },
            };
            network.report(at.as_str(), vec![(id, what)]);
            let seq = network.state.centres()[&at].reported_seq;
            *last = Some(Command::Report { centre: at, seq, reports: Vec::new(), past: None });
        }
        Step::Repeat => {
            if let Some(command) = last {
                assert_eq!(network.take(command.clone()), vec![], "a report is taken once");
            }
        }
        Step::Pause(paused) => {
            let state = if *paused { CentreState::Paused } else { CentreState::Active };
            network.take(Command::SetCentreState { centre: centre("hpc-1"), state });
        }
        Step::Absent(absent) => {
            let presence = if *absent { Presence::Absent } else { Presence::Present };
            network.take(Command::SetPresence { centre: centre("hpc-1"), presence });
        }
        Step::Quota(cores) => {
            let quota_cores = Some(if *cores == 5 { Limit::None } else { Limit::Most(cores * 1000) });
            let change = TenantChange { quota_cores, ..TenantChange::default() };
            network.take(Command::ChangeTenant { tenant: origin().tenant, change });
        }
        Step::Pass(ms) => network.pass(*ms),
        Step::GiveUp => _ = network.take(Command::GiveUp { centre: centre("hpc-1") }),
        Step::ForgetKeys => {}
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// Whatever happens, the books balance, the sets of tasks partition every job, and both the fold of the
    /// journal and the rows of the store give the state back.
    #[test]
    fn any_story_keeps_the_invariants(steps in prop::collection::vec(step(), 1..80)) {
        let mut network = Network::new();
        network.take(Command::AddTenant { tenant: preemption::lab().tenant, change: TenantChange::default() });
        network.take_from(&preemption::lab(), Command::Fund { amount: Money(10_000_000) });
        let mut last = None;
        for step in &steps {
            play(&mut network, step, &mut last);
        }
        network.check_rebuilt();
        prop_assert_eq!(network.state.ledger().available(&origin().tenant, crate::books::home_currency()).0 >= 0, true);
    }
}
