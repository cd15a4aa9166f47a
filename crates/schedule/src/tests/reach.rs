//! What lies between centres: latency bounds, data to be moved, power.

use std::sync::Arc;

use huisuan_model::{
    Bytes, CentreId, DurationMs, Mark, Place, PoolId, Reason, Shape, TargetPart, Targets,
    shape::Reach,
    spec::{LatencyBound, Objective, Reading},
};
use proptest::{prelude::*, sample::subsequence};

use crate::{
    CentreView, Policy, Seed, Snapshot, Violation, Weights, check, cycle, helps,
    network::Level,
    never_fits,
    reach::{Loads, Near, Traffic, Ways, near},
    testing::*,
};

/// A city with two partners: `a` is the city, `b` 8 ms away, `c` 22 ms beyond `b`.
fn three(cores: [u64; 3]) -> Vec<CentreView> {
    let [a, b, c] = cores;
    vec![centre("a", a).link("b", 8, 50), centre("b", b).link("c", 22, 25), centre("c", c)]
}

#[test]
fn the_way_is_that_of_the_least_round_trip() {
    let ways = |centres: Vec<CentreView>| Ways::of(&centres);
    let found =
        |ways: &Ways, from, to| ways.between(from, to).map(|way| (way.round_trip_us, way.bytes_per_s, way.mark));
    let chain = ways(three([1, 1, 1]));
    assert_eq!(found(&chain, 0, 2), Some((30_000, Some(25_000_000_000), Mark::Declared)));
    assert_eq!(found(&chain, 2, 0), found(&chain, 0, 2), "links go both ways");
    assert_eq!(found(&chain, 1, 1), Some((0, None, Mark::Declared)));
    let back = ways(vec![centre("a", 1).link("b", 8, 50), centre("b", 1).link("a", 9, 1)]);
    assert_eq!(found(&back, 1, 0), Some((9_000, Some(1_000_000_000), Mark::Declared)), "its own way back");
    let ground = ways(vec![centre("a", 1).place(35, 114), centre("b", 1).place(43, 93), centre("c", 1)]);
    let (us, bytes, mark) = found(&ground, 0, 1).expect("both places are known");
    assert!((19_000..20_500).contains(&us), "{us}");
    assert_eq!((bytes, mark, found(&ground, 0, 2)), (None, Mark::Modelled, None));
    let slow = ways(vec![centre("a", 1).place(35, 114).link("b", 40, 1), centre("b", 1).place(43, 93)]);
    assert_eq!(found(&slow, 0, 1).map(|(us, ..)| us), Some(40_000), "what is declared goes before what is modelled");
}

#[test]
fn a_latency_bound_is_kept_though_what_is_far_is_free() {
    let snapshot = |bound| network(three([2, 8, 64]), vec![(near_to("a", bound, shape(1)), vec![job(1, 20)])]);
    for (bound, placed) in [(5, vec!["1:0-1@a"]), (8, vec!["1:0-1@a", "1:2-9@b"]), (29, vec!["1:0-1@a", "1:2-9@b"])] {
        let plan = plan(&snapshot(bound));
        assert_eq!(places(&plan), placed, "{bound} ms");
        let Reason::Latency { round_trip_max, within, centre, round_trip_us } = reason(&plan) else {
            panic!("{:?}", plan.reasons)
        };
        let far = if bound == 5 { ("b", 8_000) } else { ("c", 30_000) };
        assert_eq!((round_trip_max.0, *within as usize), (bound, placed.len()));
        assert_eq!((centre.as_str(), *round_trip_us), (far.0, Some(far.1)));
    }
    assert_eq!(places(&plan(&snapshot(30))), ["1:0-1@a", "1:2-9@b", "1:10-19@c"]);
}

#[test]
fn what_is_busy_everywhere_is_not_the_fault_of_the_bound() {
    let busy = three([4, 4, 4]).into_iter().map(|centre| centre.used(2)).collect();
    let plan = plan_of(busy, near_to("a", 5, shape(3)));
    assert_eq!(reason(&plan).code(), "capacity");
    let codes: Vec<_> = plan.reasons[0].rejected.iter().map(|(centre, why)| (centre.as_str(), why.code())).collect();
    assert_eq!(codes, [("a", "capacity"), ("b", "latency"), ("c", "latency")]);
}

fn plan_of(centres: Vec<CentreView>, shape: Shape) -> huisuan_model::Plan {
    plan(&network(centres, vec![(shape, vec![job(1, 1)])]))
}

#[test]
fn a_longer_round_trip_would_start() {
    let bound = near_to("a", 5, shape(1));
    let snapshot = network(three([1, 1, 4]).into_iter().collect(), vec![(bound.clone(), vec![job(1, 3)])]);
    assert!(helps(&snapshot, &Policy::default(), NOW, &bound).is_empty(), "one of its tasks starts now");
    let mut busy = snapshot;
    busy.centres[0] = busy.centres[0].clone().used(1);
    let found = helps(&busy, &Policy::default(), NOW, &bound);
    let texts: Vec<String> = found.iter().map(|help| format!("{}: {}", help.change, help.starts)).collect();
    assert_eq!(texts, ["latency <= 8 ms: 1"]);
}

#[test]
fn the_door_tells_what_is_too_far() {
    let refused = |centres: &[CentreView], shape: &Shape| never_fits(centres, shape).map(|never| never.to_string());
    let mut centres = three([1, 8, 8]);
    assert_eq!(refused(&centres, &near_to("a", 5, shape(1))), None);
    let text = refused(&centres, &near_to("a", 5, shape(4))).expect("only what is far is large enough");
    assert!(text.contains("b: is 8 ms there and back from a, the job allows 5 ms"), "{text}");
    assert!(text.contains("huisuan network set"), "{text}");
    let text = refused(&centres, &near_to("aa", 5, shape(1))).expect("a centre that nobody knows");
    assert!(text.contains("did you mean `a`?"), "{text}");
    centres[1] = centre("b", 8);
    let text = refused(&centres, &near_to("a", 60, at(&["c"], shape(1)))).expect("no way is known");
    assert!(text.contains("c: has no known way from a"), "{text}");
}

#[test]
fn data_is_read_where_it_lies_unless_that_costs_more() {
    let place = |gib, price| {
        let cheap = vec![centre("a", 4).link("b", 8, 1), centre("b", 4).price(price)];
        let plan = plan_of(cheap, reading("a", gib, shape(1)));
        let transfer = plan.placements[0].score.iter().find(|term| term.term == "transfer").map(|term| term.value);
        (plan.placements[0].centre.as_str().to_owned(), transfer)
    };
    // 1 GiB over 1 GB/s is a second of an hour; 16 TiB are nearly five hours.
    assert_eq!(place(1, 500_000), ("b".to_owned(), Some(499)));
    assert_eq!(place(16 << 10, 500_000), ("a".to_owned(), Some(500)));
    assert_eq!(place(16 << 10, 100_000), ("b".to_owned(), Some(84)), "a fifth of the price is worth the way");
    let plan = plan_of(vec![centre("a", 1).used(1), centre("b", 1)], reading("a", 1, shape(1)));
    assert_eq!(places(&plan), ["1:0@b"], "where no link is known a task may fetch its data in its own way");
}

#[test]
fn data_goes_where_less_is_under_way() {
    let id = |name: &str| CentreId::new(name).expect("a name");
    let centres = || vec![centre("a", 1).used(1).link("b", 8, 1).link("c", 8, 1), centre("b", 4), centre("c", 4)];
    let mut snapshot = network(centres(), vec![(reading("a", 200, shape(1)), vec![job(1, 1)])]);
    let place =
        |snapshot: &Snapshot| places(&plan_with(snapshot, &Policy::default(), crate::Budget::default())).concat();
    assert_eq!(place(&snapshot), "1:0@b", "ties go by name");
    Arc::make_mut(&mut snapshot.traffic).add(&id("a"), &id("b"), Bytes(900 * GIB));
    assert_eq!(place(&snapshot), "1:0@c");
    Arc::make_mut(&mut snapshot.traffic).add(&id("a"), &id("c"), Bytes(900 * GIB));
    Arc::make_mut(&mut snapshot.traffic).add(&id("a"), &id("c"), Bytes(900 * GIB));
    assert_eq!(place(&snapshot), "1:0@b");
}

#[test]
fn all_that_is_under_way_on_a_link_shares_it() {
    let ways = Ways::of(&three([1, 1, 1]));
    let mut traffic = Traffic::default();
    let id = |name: &str| CentreId::new(name).expect("a name");
    let check = |traffic: &Traffic, ends, each, tasks, ms| {
        let found = Loads::of(traffic, &ways).transfer_ms(&ways, ends, Bytes(each), tasks);
        assert_eq!(found, Some(ms), "{ends:?} {each} * {tasks}");
    };
    const GB: u64 = 1_000_000_000;
    // 50 GB/s and 8 ms to b, 25 GB/s and 22 ms on to c.
    check(&traffic, (0, 1), 100 * GB, 1, 2_008);
    check(&traffic, (0, 2), 100 * GB, 2, 8_030);
    check(&traffic, (1, 1), 100 * GB, 2, 0);
    traffic.add(&id("a"), &id("c"), Bytes(300 * GB));
    traffic.add(&id("a"), &id("c"), Bytes(100 * GB));
    check(&traffic, (0, 1), 10 * GB, 1, 608);
    check(&traffic, (0, 1), 500 * GB, 1, 18_008);
    check(&traffic, (1, 0), 100 * GB, 1, 2_008);
    check(&traffic, (1, 2), 100 * GB, 3, 20_022);
    traffic.remove(&id("a"), &id("c"), Bytes(300 * GB));
    check(&traffic, (0, 1), 500 * GB, 1, 12_008);
    traffic.remove(&id("a"), &id("c"), Bytes(100 * GB));
    assert!(traffic.is_empty() && traffic == Traffic::default());
}

#[test]
fn what_prefers_the_green_goes_there() {
    let centres = || vec![centre("a", 4).carbon(600), centre("b", 4).carbon(200).price(1_500_000), centre("c", 4)];
    let place = |shape: Shape| places(&plan_of(centres(), shape)).concat();
    assert_eq!(place(shape(1)), "1:0@a", "carbon counts for those who mind");
    assert_eq!(place(preferring(Objective::Greenest, shape(1))), "1:0@b");
    let plan = plan_of(centres(), preferring(Objective::Greenest, shape(1)));
    assert_eq!((plan.placements[0].score[0].term.as_ref(), plan.placements[0].score[0].value), ("carbon", 4000));
    let green = Policy { weights: Weights { carbon: 1_000, ..Weights::default() }, ..Policy::default() };
    let snapshot = network(centres(), vec![(shape(1), vec![job(1, 1)])]);
    assert_eq!(places(&plan_with(&snapshot, &green, crate::Budget::default())), ["1:0@b"]);
}

#[test]
fn targets_of_the_network_level_tip_the_scale() {
    let mut snapshot = network(vec![centre("a", 4), centre("b", 4)], vec![(shape(1), vec![job(1, 1)])]);
    let part = TargetPart {
        centre: CentreId::new("b").expect("a name"),
        pool: PoolId::new("cpu:x").expect("a name"),
        permille: 700,
    };
    let kinds = [(shape(1).kind(), vec![part])].into();
    snapshot.targets = Some(Arc::new(Targets { kinds, ..Targets::default() }));
    assert_eq!(places(&plan(&snapshot)), ["1:0@b"]);
    snapshot.centres[1] = snapshot.centres[1].clone().used(4);
    assert_eq!(places(&plan(&snapshot)), ["1:0@a"], "a target keeps nothing from starting");
}

#[test]
fn the_judge_finds_what_is_too_far() {
    let snapshot = network(three([2, 8, 8]), vec![(near_to("a", 5, shape(1)), vec![job(1, 1)])]);
    let mut plan = plan(&snapshot);
    plan.placements[0].centre = CentreId::new("b").expect("a name");
    let found = check(&snapshot, &Policy::default(), NOW, &plan).expect_err("it is too far");
    assert!(matches!(&found[..], [Violation::Forbidden { why, .. }] if why.contains("latency")), "{found:?}");
}

const NAMES: [&str; 4] = ["a", "b", "c", "d"];

fn any_centre(name: &'static str) -> impl Strategy<Value = CentreView> {
    let others: Vec<&str> = NAMES.into_iter().filter(|other| *other != name).collect();
    let links = subsequence(others, 0..=2).prop_flat_map(|ends| {
        let count = ends.len();
        (Just(ends), prop::collection::vec((1u64..30, 1u64..50), count))
    });
    let place = prop::option::of((20i32..50, 80i32..120));
    (1u64..6, 0u64..4, 0i64..4, links, place, prop::option::of(50u32..900)).prop_map(
        move |(cores, used, price, (ends, figures), place, carbon)| {
            let mut made = centre(name, cores).used(used.min(cores)).price(price * 500_000);
            for (end, (ms, gb)) in ends.into_iter().zip(figures) {
                made = made.link(end, ms, gb);
            }
            made = place.map_or(made.clone(), |(latitude, longitude)| made.place(latitude, longitude));
            carbon.map_or(made.clone(), |grams| made.carbon(grams))
        },
    )
}

fn any_reach() -> impl Strategy<Value = Reach> {
    let id = |name: &str| CentreId::new(name).expect("a name");
    let place = (20i32..50, 80i32..120).prop_map(|(latitude, longitude)| Place {
        latitude_microdegrees: latitude * 1_000_000,
        longitude_microdegrees: longitude * 1_000_000,
    });
    let end = prop_oneof![
        3 => prop::sample::select(NAMES.to_vec()).prop_map(move |name| (Some(id(name)), None)),
        1 => place.prop_map(|place| (None, Some(place))),
    ];
    let latency =
        (end, 1u64..60).prop_map(|((to, place), ms)| LatencyBound { round_trip_max: DurationMs(ms), to, place });
    let reads = subsequence(NAMES.to_vec(), 0..3).prop_flat_map(|names| {
        let count = names.len();
        (Just(names), prop::collection::vec(0u64..100_000, count))
    });
    let objectives = vec![Objective::Balanced, Objective::Soonest, Objective::Cheapest, Objective::Greenest];
    (prop::option::of(latency), reads, prop::sample::select(objectives)).prop_map(
        move |(latency, (names, gib), objective)| {
            let reads = names.iter().zip(gib).map(|(name, gib)| Reading { at: id(name), bytes: Bytes(gib * GIB) });
            Reach { latency, reads: reads.collect(), objective }
        },
    )
}

fn any_snapshot() -> impl Strategy<Value = Snapshot> {
    let centres = (any_centre("a"), any_centre("b"), any_centre("c"), any_centre("d"));
    let centres = centres.prop_map(|(a, b, c, d)| vec![a, b, c, d]);
    let kinds = prop::collection::vec((any_reach(), 1u64..4, 1u32..6, prop::option::of(1u32..4)), 1..4);
    (centres, kinds).prop_map(|(centres, kinds)| {
        let mut jobs: Vec<(Shape, Vec<crate::JobView>)> = Vec::new();
        for (number, (reach, cores, tasks, gang)) in kinds.into_iter().enumerate() {
            let shape = Shape { reach: Some(Arc::new(reach)), gang, ..shape(cores) };
            let job = job(number as u64 + 1, gang.unwrap_or(tasks));
            match jobs.iter_mut().find(|(known, _)| *known == shape) {
                Some((_, known)) => known.push(job),
                None => jobs.push((shape, vec![job])),
            }
        }
        network(centres, jobs)
    })
}

/// The least round trip over links by trying every way without a circle, else that along the ground.
fn naive_us(snapshot: &Snapshot, from: usize, to: usize) -> Option<u64> {
    fn over(centres: &[CentreView], path: &mut Vec<usize>, to: usize) -> Option<u64> {
        let here = *path.last().expect("a path begins somewhere");
        if here == to {
            return Some(0);
        }
        let link = |one: usize, other: usize| {
            let links = centres[one].facts.iter().flat_map(|facts| &facts.links);
            links.filter(|link| link.to == centres[other].id).map(|link| link.round_trip_us).next()
        };
        let mut best = None;
        for next in 0..centres.len() {
            let Some(us) = link(here, next).or_else(|| link(next, here)).filter(|_| !path.contains(&next)) else {
                continue;
            };
            path.push(next);
            let rest = over(centres, path, to).map(|rest| rest + us);
            path.pop();
            best = [best, rest].into_iter().flatten().min();
        }
        best
    }
    let ground = || Some(snapshot.centres[from].place?.round_trip_us_least(&snapshot.centres[to].place?));
    over(&snapshot.centres, &mut vec![from], to).or_else(ground)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    /// What a way says of itself is what its links say together.
    #[test]
    fn every_way_adds_up_over_its_path(snapshot in any_snapshot()) {
        let ways = Ways::of(&snapshot.centres);
        for (from, to) in (0..16).map(|pair| (pair / 4, pair % 4)) {
            let over_links = ways.between(from, to).filter(|way| way.mark == Mark::Declared);
            let Some(path) = ways.path(from, to) else {
                prop_assert!(over_links.is_none(), "{from} {to}: {over_links:?}");
                continue;
            };
            let way = over_links.expect("a path is a way over links");
            prop_assert_eq!((path.first(), path.last()), (Some(&from), Some(&to)));
            let link = |pair: &[usize]| {
                let links = |at: usize| snapshot.centres[at].facts.iter().flat_map(|facts| &facts.links);
                let there = links(pair[0]).find(|link| link.to == snapshot.centres[pair[1]].id);
                let back = || links(pair[1]).find(|link| link.to == snapshot.centres[pair[0]].id);
                there.or_else(back).expect("a link between neighbours").clone()
            };
            let links: Vec<_> = path.windows(2).map(link).collect();
            prop_assert_eq!(way.links as usize, links.len());
            prop_assert_eq!(way.round_trip_us, links.iter().map(|link| link.round_trip_us).sum::<u64>());
            prop_assert_eq!(way.bytes_per_s, links.iter().map(|link| link.bytes_per_s).min());
        }
    }

    #[test]
    fn no_latency_bound_is_ever_broken(snapshot in any_snapshot()) {
        let plan = plan(&snapshot);
        for placement in &plan.placements {
            let view = snapshot.shapes.iter().find(|view| view.jobs.iter().any(|job| job.id == placement.job));
            let reach = view.and_then(|view| view.shape.reach.clone()).expect("all shapes have one");
            let Some(bound) = &reach.latency else { continue };
            let index = |id: &CentreId| snapshot.centres.iter().position(|centre| centre.id == *id).expect("known");
            let here = index(&placement.centre);
            let us = match (&bound.to, &bound.place) {
                (Some(to), _) => naive_us(&snapshot, index(to), here),
                (_, Some(place)) => snapshot.centres[here].place.map(|there| place.round_trip_us_least(&there)),
                _ => None,
            };
            prop_assert!(us.is_some_and(|us| us <= bound.round_trip_max.0 * 1_000), "{us:?} {bound:?}");
        }
    }

    #[test]
    fn ways_are_the_least_of_all(snapshot in any_snapshot()) {
        let ways = Ways::of(&snapshot.centres);
        for from in 0..4 {
            for to in 0..4 {
                let found = ways.between(from, to).map(|way| way.round_trip_us);
                prop_assert_eq!(found, naive_us(&snapshot, from, to));
            }
        }
    }

    #[test]
    fn with_the_network_level_plans_are_as_legal_and_the_same_every_time(snapshot in any_snapshot()) {
        let policy = Policy { targets_every_ms: 60_000, ..Policy::default() };
        let wanted = [(); 2].map(|()| {
            let mut seen = snapshot.clone();
            Level::default().before(&mut seen, &policy, NOW);
            seen
        });
        prop_assert_eq!(&wanted[0], &wanted[1]);
        // Judged: bounds are kept, and no centre is given more than it has.
        let with = plan(&wanted[0]);
        let facts = snapshot.centres.iter().any(|centre| centre.facts.is_some());
        prop_assert_eq!(wanted[0].targets.is_some(), facts);
        if !facts {
            prop_assert_eq!(with, plan(&snapshot));
        }
    }

    #[test]
    fn the_same_snapshot_gives_the_same_plan(snapshot in any_snapshot(), seed in any::<u64>()) {
        let policy = Policy::default();
        let plans = [1, seed].map(|seed| cycle(&snapshot, &policy, NOW, crate::Budget::default(), Seed(seed)));
        prop_assert_eq!(&plans[0], &plans[1]);
    }

    #[test]
    fn what_waits_for_its_bound_has_a_reason_that_is_true(snapshot in any_snapshot()) {
        let plan = plan(&snapshot);
        let ways = Ways::of(&snapshot.centres);
        for found in &plan.reasons {
            let Reason::Latency { within, centre, .. } = &found.reason else { continue };
            let at = ways.index(centre).expect("a known centre");
            prop_assert_ne!(near(&ways, at, &found.shape), Near::Within);
            let fits = |at: &usize| snapshot.centres[*at].pools.iter().any(|pool| crate::demand(&pool.pool, &found.shape).is_some());
            let near = (0..4).filter(|at| near(&ways, *at, &found.shape) == Near::Within).filter(fits).count();
            prop_assert_eq!(*within as usize, near);
        }
    }

    #[test]
    fn every_help_does_what_it_says(snapshot in any_snapshot()) {
        for view in &snapshot.shapes {
            for help in helps(&snapshot, &Policy::default(), NOW, &view.shape) {
                let job = view.jobs.iter().find(|job| !job.waiting.is_empty()).expect("it has helps").id;
                let changed = help.change.apply(&snapshot, &view.shape).expect("a help is a change");
                let starts = plan(&changed).placements.iter().filter(|one| one.job == job).map(|one| one.tasks.len()).sum::<u64>();
                prop_assert_eq!(starts, help.starts, "{}", help.change);
            }
        }
    }
}
