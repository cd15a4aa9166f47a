//! What is said of a job before it is submitted, against what becomes of it then.

use huisuan_model::{
    ApplicationId, Class, Command, DurationMs, GflopPerS, JobSpec, Millicores, Money, Presence, RangeSet, Reason,
    ReportKind, TimeMs, spec::Need,
};
use proptest::prelude::*;

use super::{job, tasks};
use crate::{
    Candidate, Outlook, Run, Why,
    testing::{Network, attempt, centre, exited, origin},
};

fn ask(network: &Network, spec: &JobSpec) -> Vec<Candidate> {
    Outlook::of(&network.state, &origin(), spec, network.now).expect("legal").candidates(network.now)
}

fn at<'a>(candidates: &'a [Candidate], name: &str) -> &'a Candidate {
    candidates.iter().find(|candidate| candidate.centre == centre(name)).expect("a candidate")
}

#[test]
fn a_free_network_says_where_and_for_how_much() {
    let network = Network::new();
    let candidates = ask(&network, &tasks(job("a"), 3));
    assert_eq!(candidates.len(), 2, "one pool of each centre");
    for candidate in &candidates {
        assert!(candidate.feasible && candidate.why.is_none(), "{candidate:?}");
        assert_eq!((candidate.start_p50, candidate.start_p90), (Some(DurationMs(0)), Some(DurationMs(0))));
    }
    assert_eq!(candidates.iter().map(|candidate| candidate.tasks_now).sum::<u64>(), 4, "all start now");
    // A quarter of 60 GFLOP/s for a minute is 900 GFLOP and costs 750; four of them.
    assert_eq!(at(&candidates, "hpc-1").cost, Some(Money(3_000)));
}

#[test]
fn what_never_can_run_is_told_pool_by_pool() {
    let network = Network::new();
    let large = JobSpec { need: Need::Hardware { cores: Millicores(3_000), devices: None }, ..job("large") };
    let candidates = ask(&network, &large);
    assert!(at(&candidates, "hpc-1").feasible);
    let why = |name: &str, candidates: &[Candidate]| match &at(candidates, name).why {
        Some(Why::Never(why)) => why.clone(),
        other => panic!("{other:?}"),
    };
    assert_eq!(why("ai-1", &candidates), "needs 3 cores, pool cpu:test has 2");
    let hpc = ask(&network, &JobSpec { class: Some(Class::Hpc), ..job("a") });
    assert_eq!(why("ai-1", &hpc), "the centre is of class ai, the job asks for hpc");
    let named = ask(&network, &JobSpec { centres: vec![centre("ai-1")], ..job("a") });
    assert_eq!(why("hpc-1", &named), "the job names other centres");
}

#[test]
fn a_busy_network_says_when() {
    let mut network = Network::new();
    network.submit(tasks(job("first"), 5)).expect("accepted");
    network.plan();
    for id in (0..6).map(|task| attempt(1, task, 1)) {
        let at = network.state.attempt(id).expect("placed").centre.clone();
        network.report(at.as_str(), vec![(id, ReportKind::Started)]);
    }
    network.pass(10_000);
    let candidates = ask(&network, &job("next"));
    let next = at(&candidates, "hpc-1");
    // Each runs for a minute at most, half of it by the median; ten seconds are over.
    assert_eq!((next.start_p50, next.start_p90), (Some(DurationMs(20_000)), Some(DurationMs(50_000))));
    assert!(matches!(next.why, Some(Why::Waits(Reason::Capacity { .. }))), "{next:?}");
    // Six more that wait take a minute on six cores.
    network.submit(tasks(job("second"), 5)).expect("accepted");
    let candidates = ask(&network, &job("next"));
    let next = at(&candidates, "hpc-1");
    assert_eq!((next.start_p50, next.start_p90), (Some(DurationMs(50_000)), Some(DurationMs(110_000))));
    let urgent = ask(&network, &JobSpec { priority: 9, ..job("urgent") });
    assert_eq!(at(&urgent, "hpc-1").start_p90, Some(DurationMs(50_000)), "it goes before what waits");
    // An observed mean takes the place of half the walltime.
    let id = attempt(1, 0, 1);
    let place = network.state.attempt(id).expect("placed").centre.clone();
    let ended = network.ended(exited(0), 10_000);
    network.report(place.as_str(), vec![(id, ended)]);
    let candidates =
        ask(&network, &JobSpec { priority: 9, tasks: RangeSet::from_range(0, 9), gang: false, ..job("x") });
    assert!(candidates.iter().any(|candidate| candidate.start_p50 == Some(DurationMs(0))), "a core is free");
}

#[test]
fn nobody_can_tell_of_a_closed_centre_but_maintenance_has_an_end() {
    let mut network = Network::new();
    network.take(Command::SetPresence { centre: centre("ai-1"), presence: Presence::Absent });
    let until = TimeMs(network.now.0 + 300_000);
    network.take(Command::AddWindow {
        centre: centre("hpc-1"),
        pool: None,
        from: network.now,
        until,
        note: String::new(),
    });
    let candidates = ask(&network, &job("a"));
    assert_eq!((at(&candidates, "ai-1").feasible, at(&candidates, "ai-1").start_p50), (true, None));
    assert_eq!(at(&candidates, "hpc-1").start_p50, Some(DurationMs(300_000)));
    assert!(matches!(at(&candidates, "hpc-1").why, Some(Why::Waits(Reason::CentreClosed { .. }))));
}

#[test]
fn a_place_that_a_jobs_budget_does_not_pay_is_told() {
    let mut network = Network::new();
    let spec = |budget| JobSpec { budget: Some(Money(budget)), ..tasks(job("thrifty"), 3) };
    let candidates = ask(&network, &spec(749));
    let why = |name| at(&candidates, name).why.clone();
    // A quarter of 60 GFLOP/s for a minute costs 750, a half of it twice as much.
    let no = |text: &str| Some(Why::Never(text.to_owned()));
    assert_eq!(why("hpc-1"), no("it holds CNY 0.000750 for what starts together, the job's budget is CNY 0.000749"));
    assert!(!candidates.iter().any(|candidate| candidate.feasible), "{candidates:?}");
    let candidates = ask(&network, &spec(1_600));
    assert_eq!(candidates.iter().map(|candidate| candidate.tasks_now).sum::<u64>(), 2, "{candidates:?}");
    network.submit(spec(1_600)).expect("accepted");
    network.plan();
    assert_eq!(network.state.attempts_live(), 2);
}

/// The same work took twice as long at `hpc-2` as at `hpc-1`, of the same rating: it reaches half of it there.
#[test]
fn a_quote_learns_from_finished_runs() {
    let mut network = Network::new();
    network.open("hpc-2", Class::Hpc, 4);
    let cfd = ApplicationId::new("cfd").expect("a name");
    let rate = GflopPerS(15);
    let need = Need::Rate { class: Class::Hpc, rate, device_memory_min: huisuan_model::Bytes(0) };
    let solve = JobSpec { need, application: Some(cfd), ..tasks(job("solve"), 2) };
    let pinned = |name| JobSpec { centres: vec![centre(name)], ..solve.clone() };
    for (number, (name, ran_ms)) in [("hpc-1", 10_000), ("hpc-2", 20_000)].into_iter().enumerate() {
        network.submit(pinned(name)).expect("accepted");
        network.plan();
        network.pass(ran_ms as i64);
        for task in 0..3 {
            let ended = network.ended(exited(0), ran_ms);
            network.report(name, vec![(attempt(number as u64 + 1, task, 1), ended)]);
        }
    }
    let rows = &network.state.touched;
    let runs: Vec<Run> =
        rows.attempts_ended.values().map(|attempt| Run::of(&rows.jobs_ended[&attempt.id.job], attempt)).collect();
    let outlook = Outlook::of(&network.state, &origin(), &solve, network.now).expect("legal");
    let expected = |outlook: &Outlook, name: &str| {
        let candidates = outlook.candidates(network.now);
        at(&candidates, name).expected.clone().map(|one| (one.factor_permille, one.runs, one.run))
    };
    assert_eq!(expected(&outlook, "hpc-2"), None, "nothing is declared, and nothing known");
    let outlook = outlook.knowing(&runs);
    assert_eq!(expected(&outlook, "hpc-1"), Some((1_000, Some(3), DurationMs(60_000))));
    assert_eq!(expected(&outlook, "hpc-2"), Some((500, Some(3), DurationMs(120_000))));
    assert_eq!(expected(&outlook, "ai-1"), None, "it never ran there");
}

#[test]
fn what_would_be_refused_is_refused() {
    let network = Network::new();
    let bad = JobSpec { retries: 1000, ..job("a") };
    assert!(Outlook::of(&network.state, &origin(), &bad, network.now).is_err());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    /// What is said of now comes true: the same tasks are placed at the same pools when the job is submitted next.
    #[test]
    fn what_is_planned_is_what_happens(
        before in prop::collection::vec((0u32..4, 0i32..3, any::<bool>()), 0..4),
        (last, priority, gang) in (0u32..5, 0i32..3, any::<bool>()),
        budget in prop::option::of(0..6_000_i64),
    ) {
        let mut network = Network::new();
        for (last, priority, plan) in before {
            _ = network.submit(JobSpec { priority, ..tasks(job("before"), last) });
            if plan {
                network.plan();
            }
        }
        let budget = budget.map(Money);
        let spec = JobSpec { priority, budget, gang: gang && last < 4, ..tasks(job("asked"), last) };
        let version = network.state.version();
        let Ok(outlook) = Outlook::of(&network.state, &origin(), &spec, network.now) else { return Ok(()) };
        let candidates = outlook.candidates(network.now);
        prop_assert_eq!(network.state.version(), version, "nothing is recorded");
        let fits = candidates.iter().any(|candidate| candidate.feasible);
        let submitted = network.submit(spec);
        prop_assert_eq!(submitted.is_ok(), fits);
        let Ok(id) = submitted else { return Ok(()) };
        network.plan();
        for candidate in &candidates {
            let here = network.state.attempts().filter(|a| a.id.job == id && a.centre == candidate.centre).count();
            prop_assert_eq!(here as u64, candidate.tasks_now, "{:?}", candidate);
            prop_assert!(candidate.start_p50 <= candidate.start_p90);
            prop_assert!(candidate.tasks_now == 0 || candidate.start_p50 == Some(DurationMs(0)));
        }
    }
}
