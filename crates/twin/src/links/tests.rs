//! Transfers against a naive model that goes from millisecond to millisecond, and the laws of sharing.

use std::collections::BTreeMap;

use huisuan_model::{Bytes, TimeMs, facts};
use proptest::prelude::*;

use super::Transfers;

/// A transfer of a test: when it begins, over which route, how much, and when it is ended early.
type Asked = (u64, usize, u64, Option<u64>);

/// Lines, routes over them, and transfers.
#[derive(Debug, Clone)]
struct Story {
    lines: Vec<u64>,
    routes: Vec<Vec<usize>>,
    asked: Vec<Asked>,
}

fn any_story() -> impl Strategy<Value = Story> {
    let lines = prop::collection::vec(1_000u64..200_000, 1..5);
    lines.prop_flat_map(|lines| {
        let all: Vec<usize> = (0..lines.len()).collect();
        let most = all.len();
        let routes = prop::collection::vec(prop::sample::subsequence(all, 1..=most), 1..5);
        (Just(lines), routes).prop_flat_map(|(lines, routes)| {
            let count = routes.len();
            let one = (0u64..60, 0..count, 0u64..400, prop::option::weighted(0.2, 0u64..80));
            (Just(lines), Just(routes), prop::collection::vec(one, 1..9)).prop_map(|(lines, routes, asked)| Story {
                lines,
                routes,
                asked,
            })
        })
    })
}

fn network(story: &Story) -> Transfers {
    let mut transfers = Transfers::default();
    story.lines.iter().for_each(|&rate| {
        transfers.add_line(rate);
    });
    story.routes.iter().for_each(|route| {
        transfers.add_route(route.clone());
    });
    transfers
}

/// What happened to each transfer: when it ended by itself, or what of it was moved until it was stopped.
type Fates = BTreeMap<u64, Result<u64, u64>>;

/// Tells a story; `look` sees the transfers after each change.
fn told(story: &Story, mut look: impl FnMut(&mut Transfers)) -> Fates {
    let mut transfers = network(story);
    let mut changes: Vec<(u64, bool, u64)> = Vec::new();
    for (id, (from, _, _, until)) in story.asked.iter().enumerate() {
        changes.push((*from, true, id as u64));
        changes.extend(until.map(|until| (from + until, false, id as u64)));
    }
    changes.sort_unstable_by_key(|&(at, starts, id)| (at, !starts, id));
    let mut fates = Fates::new();
    let note = |fates: &mut Fates, ended: Vec<(TimeMs, u64)>| {
        for (at, id) in ended {
            assert!(fates.insert(id, Ok(at.0 as u64)).is_none(), "{id} ends twice");
        }
    };
    for (at, starts, id) in changes {
        let ended = transfers.advance(TimeMs(at as i64));
        note(&mut fates, ended);
        let (_, route, bytes, _) = story.asked[id as usize];
        if starts {
            transfers.start(id, route, Bytes(bytes));
        } else {
            fates.entry(id).or_insert_with(|| Err(transfers.stop(id).0));
        }
        look(&mut transfers);
    }
    while let Some(at) = transfers.next_end() {
        let ended = transfers.advance(at);
        assert!(!ended.is_empty(), "something ends when it was said to");
        note(&mut fates, ended);
        look(&mut transfers);
    }
    assert!(transfers.is_empty());
    fates
}

/// The same from millisecond to millisecond, transfer by transfer.
fn naive(story: &Story) -> Fates {
    const FINE: u128 = 1 << 20;
    let mut fates = Fates::new();
    let mut served: BTreeMap<usize, u128> = BTreeMap::new();
    for now in 0u64.. {
        served.retain(|&id, sum| {
            let ended = *sum >= u128::from(story.asked[id].2) * 1_000 * FINE;
            if ended {
                fates.insert(id as u64, Ok(now));
            }
            !ended
        });
        for (id, (from, _, bytes, until)) in story.asked.iter().enumerate() {
            if *from == now {
                served.insert(id, 0);
                if *bytes == 0 && until.is_none_or(|until| until > 0) {
                    served.remove(&id);
                    fates.insert(id as u64, Ok(now));
                }
            }
            if let Some(sum) = served.get(&id).filter(|_| until.is_some_and(|until| from + until == now)) {
                fates.insert(id as u64, Err((sum / (1_000 * FINE)) as u64));
                served.remove(&id);
            }
        }
        if fates.len() == story.asked.len() {
            return fates;
        }
        for (id, rate) in naive_rates(story, &served.keys().copied().collect::<Vec<_>>()) {
            *served.get_mut(&id).expect("under way") += rate;
        }
    }
    unreachable!("every transfer ends")
}

/// Raises all rates together; who crosses a full line is raised no more.
fn naive_rates(story: &Story, ids: &[usize]) -> BTreeMap<usize, u128> {
    let mut left: Vec<u128> = story.lines.iter().map(|&rate| u128::from(rate) << 20).collect();
    let crosses = |id: &usize, line: usize| story.routes[story.asked[*id].1].contains(&line);
    let mut rates = BTreeMap::new();
    while rates.len() < ids.len() {
        let open: Vec<usize> = ids.iter().copied().filter(|id| !rates.contains_key(id)).collect();
        let users = |line: usize| open.iter().filter(|id| crosses(id, line)).count() as u128;
        let used = (0..left.len()).filter(|&line| users(line) > 0);
        let tight = used.min_by_key(|&line| (left[line] / users(line), line)).expect("a line in use");
        let rate = left[tight] / users(tight);
        for id in open.iter().filter(|id| crosses(id, tight)) {
            rates.insert(*id, rate);
            (0..left.len()).filter(|&line| crosses(id, line)).for_each(|line| left[line] -= rate);
        }
    }
    rates
}

#[test]
fn alone_it_takes_bytes_by_rate() {
    for (bytes, rate) in [(0, 7), (1, 1_000), (1, 999), (1 << 40, 25_000_000_000), (12_345, 3)] {
        let story = Story { lines: vec![rate * 2, rate], routes: vec![vec![0, 1]], asked: vec![(5, 0, bytes, None)] };
        let expected = 5 + facts::transfer_ms(Bytes(bytes), rate);
        assert_eq!(told(&story, |_| ()), BTreeMap::from([(0, Ok(expected))]), "{bytes} at {rate}");
    }
}

#[test]
fn a_line_is_shared_and_what_others_leave_is_used() {
    // 0 and 1 share the first line; 2 has the second for itself, but for what 1 takes of it.
    let story = Story {
        lines: vec![1_000, 3_000],
        routes: vec![vec![0], vec![0, 1], vec![1]],
        asked: vec![(0, 0, 1_000, None), (0, 1, 1_000, None), (0, 2, 5_000, None)],
    };
    // 500, 500 and 2,500 bytes a second for two seconds, and all end together.
    assert_eq!(told(&story, |_| ()), (0..3).map(|id| (id, Ok(2_000))).collect());
    let mut transfers = network(&story);
    transfers.advance(TimeMs(0));
    (0..3).for_each(|id| transfers.start(id, id as usize, Bytes(1_000)));
    assert_eq!([0, 1, 2].map(|id| transfers.bytes_per_s(id)), [Some(500), Some(500), Some(2_500)]);
    transfers.advance(TimeMs(100));
    assert_eq!(transfers.stop(0), Bytes(50));
    assert_eq!((transfers.bytes_per_s(1), transfers.bytes_per_s(2)), (Some(1_000), Some(2_000)));
    assert_eq!((transfers.stop(9), transfers.len()), (Bytes::ZERO, 2));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// Every byte is moved, at the millisecond at which the naive model has moved it.
    #[test]
    fn ends_are_those_of_the_naive_model(story in any_story()) {
        prop_assert_eq!(told(&story, |_| ()), naive(&story));
    }

    #[test]
    fn no_line_carries_more_than_it_can_and_none_idles_that_is_wanted(story in any_story()) {
        told(&story, |transfers| {
            let rate = |id: usize, transfers: &mut Transfers| transfers.bytes_per_s(id as u64);
            let rates: Vec<Option<u64>> = (0..story.asked.len()).map(|id| rate(id, transfers)).collect();
            let on = |line: usize| -> Vec<u64> {
                let on = rates.iter().enumerate().filter(|(id, _)| story.routes[story.asked[*id].1].contains(&line));
                on.filter_map(|(_, rate)| *rate).collect()
            };
            for (line, &most) in story.lines.iter().enumerate() {
                assert!(on(line).iter().sum::<u64>() <= most, "line {line} of {most}: {rates:?}");
            }
            // Max-min: each has a full line of whose transfers it is one of the fastest.
            for (id, rate) in rates.iter().enumerate() {
                let Some(rate) = *rate else { continue };
                let held = story.routes[story.asked[id].1].iter().any(|&line| {
                    let on = on(line);
                    let full = on.iter().sum::<u64>() + on.len() as u64 >= story.lines[line];
                    full && on.iter().all(|other| *other <= rate + 1)
                });
                assert!(held, "{id} could be faster: {rates:?}");
            }
        });
    }

    #[test]
    fn another_transfer_never_makes_one_on_its_line_end_earlier(
        rate in 1_000u64..100_000,
        asked in prop::collection::vec((0u64..60, 0u64..4_000), 1..7),
        (from, bytes) in (0u64..60, 0u64..4_000),
    ) {
        let asked: Vec<Asked> = asked.into_iter().map(|(from, bytes)| (from, 0, bytes, None)).collect();
        let story = Story { lines: vec![rate], routes: vec![vec![0]], asked };
        let mut more = story.clone();
        more.asked.push((from, 0, bytes, None));
        let (before, after) = (told(&story, |_| ()), told(&more, |_| ()));
        for (id, end) in before {
            prop_assert!(after[&id] >= end, "{id}: {end:?}, then {:?}", after[&id]);
        }
    }

    /// Ids tell transfers apart and nothing else: told in another order, each ends as it did.
    #[test]
    fn the_order_of_ids_changes_nothing(story in any_story()) {
        let count = story.asked.len() as u64;
        let mut turned = story.clone();
        turned.asked.reverse();
        let fates: Fates = told(&turned, |_| ()).into_iter().map(|(id, fate)| (count - 1 - id, fate)).collect();
        prop_assert_eq!(fates, told(&story, |_| ()));
    }
}
