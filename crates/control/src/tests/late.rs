//! What centres say of attempts that are not live: said twice it is harmless, use that can be is billed, and all else
//! is kept as odd.

use huisuan_model::{
    AttemptId, AttemptReport, DurationMs, Event, JobSpec, Millicores, Money, OddityKind, ReportKind, TimeMs, Usage,
    spec::Need,
};
use proptest::prelude::*;

use super::meter::{HOUR, HOUR_COST, long, running, usage};
use crate::{
    Refusal,
    testing::{Network, attempt, cancelled, centre, exited},
};

const BEGIN: i64 = 10 * HOUR;

fn report(attempt: AttemptId, at: i64, what: ReportKind) -> AttemptReport {
    AttemptReport { attempt, at: TimeMs(at), what }
}

/// What an honest centre says of an attempt that began with the hour: samples at rising times, and its end at the last.
fn honest(id: AttemptId, walls: &[i64]) -> Vec<AttemptReport> {
    let used = walls.iter().map(|wall| report(id, BEGIN + wall, ReportKind::Used(usage(*wall))));
    let last = *walls.last().expect("a sample");
    let end = ReportKind::Ended { started_at: Some(TimeMs(BEGIN)), outcome: exited(0), usage: usage(last) };
    let all = [report(id, BEGIN, ReportKind::Started)].into_iter().chain(used);
    all.chain([report(id, BEGIN + last, end)]).collect()
}

/// A network in which attempt 1.0.1 is placed since a second before the hour, five hours later.
fn later() -> (Network, AttemptId) {
    let mut network = Network::new();
    network.pass(BEGIN - 1_000);
    network.submit(long(5)).expect("a job");
    network.plan();
    network.pass(5 * HOUR);
    (network, attempt(1, 0, 1))
}

/// Takes reports in batches of so many; gives the events.
fn tell(network: &mut Network, reports: &[AttemptReport], together: usize) -> Vec<Event> {
    let mut events = Vec::new();
    for batch in reports.chunks(together) {
        let seq = network.state.centres()[&centre("hpc-1")].reported_seq + 1;
        events.extend(network.tell("hpc-1", seq, batch.to_vec()).expect("a report that is taken"));
    }
    events
}

/// All balances, and what each row of the meter is but for its number and its kind.
fn books(network: &Network) -> (Vec<String>, i64, i64, i64) {
    let balances = network.state.ledger.balances().filter(|(.., sum)| *sum != 0);
    let texts = balances.map(|(account, asset, sum)| format!("{account} {asset} {sum}")).collect();
    let rows = || network.state.touched.meters.iter().map(|row| &row.reading);
    let wall = network.state.touched.meters.iter().map(|row| row.wall_ms() as i64).sum();
    (texts, wall, rows().map(|row| row.work).sum(), rows().map(|row| row.cpu.0 as i64).sum())
}

fn kinds(network: &Network) -> Vec<OddityKind> {
    network.state.touched.oddities.iter().map(|(_, oddity)| oddity.kind).collect()
}

/// The books and what is odd after an honest story of an hour and a half, and then something else.
fn after(what: impl FnOnce(&mut Network, AttemptId)) -> (Network, bool) {
    let (mut network, id) = later();
    tell(&mut network, &honest(id, &[HOUR / 2, HOUR, HOUR + HOUR / 2]), 9);
    let before = books(&network);
    what(&mut network, id);
    network.check_meters();
    network.check_rebuilt();
    let same = books(&network) == before;
    (network, same)
}

fn end(code: i32, wall: i64) -> ReportKind {
    ReportKind::Ended { started_at: Some(TimeMs(BEGIN)), outcome: exited(code), usage: usage(wall) }
}

#[test]
fn what_contradicts_the_books_is_kept_and_changes_nothing() {
    let half = HOUR / 2;
    let check = |name: &str, told: &dyn Fn(AttemptId) -> AttemptReport, kind: OddityKind, text: &str| {
        let (network, same) = after(|network, id| {
            for _ in 0..12 {
                tell(network, &[told(id)], 1);
            }
        });
        assert!(same, "the books are as they were: {name}");
        let rows = &network.state.touched.oddities;
        let counts: Vec<_> = rows.iter().map(|(_, oddity)| (oddity.kind, oddity.count)).collect();
        assert_eq!(counts, [(kind, 1), (kind, 10)], "{name}: a row for the first and the tenth time");
        assert!(rows[0].1.detail.contains(text), "{name}: {:?}", rows[0].1);
    };
    let at = BEGIN + HOUR + half;
    let second = "ended as exited with 1 at";
    check("another code", &|id| report(id, at, end(1, HOUR + half)), OddityKind::SecondEnd, second);
    let killed = ReportKind::Ended { started_at: None, outcome: cancelled(), usage: Usage::default() };
    check("cancelled", &|id| report(id, at, killed.clone()), OddityKind::SecondEnd, "it had ended as exited with 0");
    let long = ReportKind::Used(usage(3 * HOUR));
    check("longer than it was", &|id| report(id, at, long.clone()), OddityKind::Late, "more than the 5400000 ms");
    let cpu = Usage { cpu: DurationMs(9 * HOUR as u64), ..usage(HOUR) };
    check("more processor time", &|id| report(id, at, ReportKind::Used(cpu)), OddityKind::Late, "no time is left");
    let unknown = |_| report(attempt(7, 0, 1), at, ReportKind::Started);
    check("never was", &unknown, OddityKind::UnknownAttempt, "there never was one");
    check("second try", &|_| report(attempt(1, 0, 2), at, end(0, 5)), OddityKind::UnknownAttempt, "never was one");
}

#[test]
fn another_centres_attempt_is_not_reported_on() {
    let (mut network, same) = after(|network, id| {
        network.tell("ai-1", 1, vec![report(id, BEGIN, end(0, HOUR))]).expect("taken");
    });
    assert_eq!((same, kinds(&network)), (true, vec![OddityKind::ForeignAttempt]));
    // A live one is refused with all of its batch, and whoever refuses it may have it kept.
    network.submit(long(5)).expect("a job");
    network.plan();
    let live = attempt(2, 0, 1);
    let refused = network.tell("ai-1", 2, vec![report(live, BEGIN, ReportKind::Started)]);
    assert!(matches!(refused, Err(Refusal::ForeignAttempt { .. })), "{refused:?}");
    let (kind, detail) = (OddityKind::ForeignAttempt, "told of it".to_owned());
    network.take(huisuan_model::Command::NoteOddity { centre: centre("ai-1"), kind, attempt: live, detail });
    assert_eq!(kinds(&network), [OddityKind::ForeignAttempt; 2]);
    network.check_rebuilt();
}

#[test]
fn a_number_that_was_taken_says_nothing_new() {
    let (mut network, id) = later();
    let story = honest(id, &[HOUR / 2, HOUR]);
    network.tell("hpc-1", 5, story[..2].to_vec()).expect("taken");
    let before = books(&network);
    let again = |network: &mut Network, reports: &[AttemptReport]| {
        network.tell("hpc-1", 5, reports.to_vec()).expect("an old number is no error")
    };
    assert_eq!(again(&mut network, &story[..2]), [], "the same again leaves no trace");
    assert_eq!(again(&mut network, &story[..1]), [], "nor does a part of it");
    again(&mut network, &story[2..]);
    assert_eq!(kinds(&network), [OddityKind::NumberReused], "one row for the use, and the end is the second time");
    assert_eq!(books(&network), before);
    let live = network.state.attempt(id).expect("it runs");
    assert_eq!(live.usage.wall.0 as i64, HOUR / 2, "nothing of it was taken");
    tell(&mut network, &story[2..], 9);
    let before = books(&network);
    again(&mut network, &story);
    again(&mut network, &[report(id, BEGIN, end(3, HOUR))]);
    assert_eq!(kinds(&network), [OddityKind::NumberReused, OddityKind::SecondEnd]);
    assert_eq!(books(&network), before);
    network.check_rebuilt();
}

#[test]
fn use_that_came_late_and_can_be_is_billed_as_a_correction() {
    let (mut network, id) = later();
    // It ended after two hours, and was said to have used half an hour of them; the rest comes in two parts.
    let ended = ReportKind::Ended { started_at: Some(TimeMs(BEGIN)), outcome: exited(0), usage: usage(HOUR / 2) };
    tell(&mut network, &[report(id, BEGIN + 2 * HOUR, ended.clone())], 1);
    let rest = [HOUR / 2 + 7, 2 * HOUR].map(|wall| report(id, BEGIN + wall, ReportKind::Used(usage(wall))));
    for _ in 0..2 {
        // The second time it is known.
        tell(&mut network, &rest, 2);
        tell(&mut network, &[report(id, BEGIN + 2 * HOUR, ended.clone())], 1);
        let rows = network.state.touched.meters.iter().map(|row| &row.reading);
        let rows: Vec<_> = rows.map(|row| (row.number, row.adjusts, row.from.0 - BEGIN, row.until.0 - BEGIN)).collect();
        let half = HOUR / 2;
        let expected = [
            (1, None, 0, half),
            (2, Some(1), half, half + 7),
            (3, Some(2), half + 7, HOUR),
            (4, Some(2), HOUR, 2 * HOUR),
        ];
        assert_eq!(rows, expected);
    }
    assert_eq!(kinds(&network), []);
    let earned = network.state.ledger.earned(&centre("hpc-1"), crate::books::home_currency());
    assert_eq!(earned, Money(2 * HOUR_COST), "as if it had come in time");
    network.check_meters();
    network.check_rebuilt();
}

#[test]
fn late_use_passes_no_limit() {
    use huisuan_model::tenant::{Limit, TenantChange};
    let check = |spec: huisuan_model::JobSpec, change: TenantChange, text: &str| {
        let mut network = Network::new();
        network.pass(BEGIN - 1_000);
        network.submit(spec).expect("a job");
        network.plan();
        network.pass(5 * HOUR);
        let id = attempt(1, 0, 1);
        let ended = ReportKind::Ended { started_at: Some(TimeMs(BEGIN)), outcome: exited(0), usage: usage(HOUR) };
        tell(&mut network, &[report(id, BEGIN + 2 * HOUR, ended)], 1);
        super::budget::limit(&mut network, change).expect("a limit");
        let before = books(&network);
        tell(&mut network, &[report(id, BEGIN + 2 * HOUR, ReportKind::Used(usage(2 * HOUR)))], 1);
        assert_eq!((books(&network), kinds(&network)), (before, vec![OddityKind::Late]));
        assert!(network.state.touched.oddities[0].1.detail.contains(text), "{:?}", network.state.touched.oddities);
        network.check_rebuilt();
    };
    let most = |amount: i64| Some(Limit::Most(amount as u64));
    let month = TenantChange { budget_month: most(2 * HOUR_COST - 1), ..TenantChange::default() };
    check(long(5), month, "45000 millionths are not charged, for 44999 millionths are left");
    let own = huisuan_model::JobSpec { budget: Some(Money(9 * HOUR_COST)), ..long(5) };
    check(own, TenantChange::default(), "a budget of its own");
    // What would fit is billed.
    let (network, same) = after(|network, id| {
        let month = TenantChange { budget_month: most(3 * HOUR_COST), ..TenantChange::default() };
        super::budget::limit(network, month).expect("a limit");
        tell(network, &[report(id, BEGIN + HOUR, ReportKind::Used(usage(HOUR + HOUR / 2)))], 1);
    });
    assert_eq!((same, kinds(&network)), (true, Vec::new()), "it was known");
}

#[test]
fn what_ended_before_there_were_meters_is_not_billed_again() {
    let (mut network, id) = later();
    let ended = ReportKind::Ended { started_at: Some(TimeMs(BEGIN)), outcome: exited(0), usage: usage(HOUR) };
    tell(&mut network, &[report(id, BEGIN + 2 * HOUR, ended)], 1);
    // Its row as the first formats stored it: it says what was charged, and no reading does.
    network.state.touched.meters.clear();
    assert_eq!(network.state.touched.attempts_ended[&id].cost, Money(HOUR_COST));
    let before = books(&network);
    tell(&mut network, &[report(id, BEGIN + 2 * HOUR, ReportKind::Used(usage(2 * HOUR)))], 1);
    assert_eq!((books(&network), kinds(&network)), (before, vec![OddityKind::Late]));
    assert!(network.state.touched.oddities[0].1.detail.contains("no reading says"));
    network.check_rebuilt();
}

#[test]
fn what_was_given_up_or_ended_long_ago_is_not_charged() {
    let (mut network, id) = running(long(5));
    network.pass(HOUR);
    network.take(huisuan_model::Command::LoseRunning { centre: centre("hpc-1") });
    let before = books(&network);
    tell(&mut network, &[report(id, BEGIN + HOUR, ReportKind::Used(usage(HOUR)))], 1);
    tell(&mut network, &[report(id, BEGIN + HOUR, end(0, HOUR))], 1);
    assert_eq!((books(&network), kinds(&network)), (before, vec![OddityKind::Late, OddityKind::SecondEnd]));
    network.check_rebuilt();
    let (mut network, id) = later();
    let short = ReportKind::Ended { started_at: Some(TimeMs(BEGIN)), outcome: exited(0), usage: usage(HOUR) };
    tell(&mut network, &[report(id, BEGIN + 2 * HOUR, short)], 1);
    network.pass(8 * 24 * HOUR);
    tell(&mut network, &[report(id, BEGIN + 2 * HOUR, ReportKind::Used(usage(2 * HOUR)))], 1);
    assert_eq!(kinds(&network), [OddityKind::Late]);
    assert!(network.state.touched.oddities[0].1.detail.contains("more than 7 days after"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    /// Whatever comes twice, late or in another order, in batches of any size: the books are those of the same story
    /// told once and in order, and nothing is odd.
    #[test]
    fn an_honest_story_in_any_order_gives_the_same_books(
        walls in prop::collection::btree_set(1..4 * HOUR, 1..6),
        order in prop::collection::vec(any::<prop::sample::Index>(), 0..30),
        together in 1..9_usize,
    ) {
        let walls: Vec<i64> = walls.into_iter().collect();
        let (mut plain, id) = later();
        let story = honest(id, &walls);
        tell(&mut plain, &story, 1);
        let (mut other, _) = later();
        let drawn: Vec<AttemptReport> = order.iter().map(|at| story[at.index(story.len())].clone()).collect();
        tell(&mut other, &drawn, together);
        tell(&mut other, &story, together);
        prop_assert_eq!(books(&other), books(&plain));
        prop_assert_eq!(kinds(&other), vec![]);
        other.check_meters();
        other.check_rebuilt();
    }

    /// Whatever a centre says of an attempt after its end: nothing is billed beyond the time that it ran, nor beyond
    /// what was held, and what changes nothing without being known leaves a trace.
    #[test]
    fn lies_about_the_past_cost_nobody_more_than_was_held(
        told in prop::collection::vec((0..4_u8, 0..6 * HOUR, 0..6 * HOUR), 1..20),
        used in 1..2 * HOUR,
    ) {
        let (mut network, id) = later();
        let first = ReportKind::Ended { started_at: Some(TimeMs(BEGIN)), outcome: exited(0), usage: usage(used) };
        tell(&mut network, &[report(id, BEGIN + 2 * HOUR, first)], 1);
        let held = network.state.touched.attempts_ended[&id].hold;
        for (what, wall, at) in told {
            let (before, odd) = (books(&network), network.state.centres()[&centre("hpc-1")].odd.clone());
            let what = match what {
                0 => ReportKind::Used(usage(wall)),
                1 => end(0, wall),
                2 => end(1, wall),
                _ => ReportKind::Started,
            };
            let news = !matches!(what, ReportKind::Started) && wall > before.1.max(used) + 300_000;
            tell(&mut network, &[report(id, BEGIN + at, what)], 1);
            let traced = odd != network.state.centres()[&centre("hpc-1")].odd;
            prop_assert!(!news || traced || books(&network) != before);
            prop_assert!(!traced || books(&network) == before, "what is odd is not billed");
        }
        let (_, wall, ..) = books(&network);
        prop_assert!(wall <= 2 * HOUR);
        prop_assert!(network.state.ledger.earned(&centre("hpc-1"), crate::books::home_currency()) <= held);
        network.check_meters();
        network.check_rebuilt();
    }

    /// Whatever share was given, of a millionth of a GFLOP/ms too: what is said late a second time, under whatever
    /// number, adds nothing to what the first time left.
    #[test]
    fn the_same_said_late_again_adds_nothing(
        told in prop::collection::vec((any::<bool>(), 0..2 * HOUR, prop_oneof![Just(0), 0..HOUR], 0..9_u64), 1..8),
        used in prop_oneof![Just(1), 1..HOUR],
        millicores in prop_oneof![Just(1), 1..1_000_u64],
    ) {
        let mut network = Network::new();
        network.pass(BEGIN - 1_000);
        let need = Need::Hardware { cores: Millicores(millicores), devices: None };
        network.submit(JobSpec { need, ..long(5) }).expect("a job");
        network.plan();
        network.pass(5 * HOUR);
        let id = attempt(1, 0, 1);
        let of = |wall: i64, cpu: i64, joules| Usage { cpu: DurationMs(cpu as u64), joules, ..usage(wall) };
        let end = |usage| ReportKind::Ended { started_at: Some(TimeMs(BEGIN)), outcome: exited(0), usage };
        tell(&mut network, &[report(id, BEGIN + 2 * HOUR, end(of(used, 0, 0)))], 1);
        for (ends, step, cpu, joules) in told {
            // Steps of a few milliseconds are too short for work.
            let wall = books(&network).1 + if step % 2 == 0 { step % 9 } else { step };
            let usage = of(wall, cpu, joules);
            let what = if ends { end(usage) } else { ReportKind::Used(usage) };
            let said = [report(id, BEGIN + wall, what)];
            let first = tell(&mut network, &said, 1);
            let (before, rows) = (books(&network), network.state.touched.meters.len());
            for _ in 0..3 {
                let again = tell(&mut network, &said, 1);
                prop_assert_eq!((books(&network), network.state.touched.meters.len()), (before.clone(), rows));
                let taken = first.iter().any(|event| matches!(event, Event::LateUsed { .. }));
                let quiet = again.iter().all(|event| matches!(event, Event::ReportTaken { .. }));
                prop_assert!(!taken || quiet, "{:?} after {:?}", again, first);
            }
        }
        network.check_meters();
        network.check_rebuilt();
    }
}
