//! Whether everything that a plan promises for later can be kept: at every moment of a promise, what runs by its
//! latest end, what the plan starts, what else it promises and what is closed leave room for it.

use std::collections::BTreeMap;

use huisuan_model::{Plan, Pool, Reservation, Shape, TimeMs};

use super::amounts;
use crate::{
    policy::Policy,
    snapshot::{Amounts, CentreView, PoolView, Snapshot},
    violation::Violation,
};

/// Cores, memory and devices.
type Three = [i128; 3];

/// What is taken from one moment to another.
type Taken = (i128, i128, Three);

pub(super) fn check(snapshot: &Snapshot, policy: &Policy, now: TimeMs, plan: &Plan) -> Vec<Violation> {
    let mut found = Vec::new();
    for centre in &snapshot.centres {
        for pool in &centre.pools {
            let here = |promise: &&Reservation| promise.centre == centre.id && promise.pool == pool.pool.id;
            let promises: Vec<&Reservation> = plan.reservations.iter().filter(here).collect();
            let later = promises.iter().filter(|promise| promise.start_at > now).count() as u64;
            if later > policy.reservations_max {
                found.push(Violation::TooManyPromises { centre: centre.id.clone(), pool: pool.pool.id.clone(), later });
            }
            if !promises.is_empty() {
                found.extend(pool_kept(snapshot, now, plan, centre, pool, &promises));
            }
        }
    }
    let known = |promise: &&Reservation| {
        let centre = snapshot.centres.iter().find(|centre| centre.id == promise.centre);
        let pool = centre.and_then(|centre| centre.pools.iter().find(|pool| pool.pool.id == promise.pool));
        pool.is_some() && shape_of(snapshot, promise).is_some() && promise.start_at >= now
    };
    let unknown = plan.reservations.iter().filter(|promise| !known(promise));
    found.extend(unknown.map(|promise| Violation::UnknownPromise { job: promise.job }));
    found
}

fn pool_kept(
    snapshot: &Snapshot,
    now: TimeMs,
    plan: &Plan,
    centre: &CentreView,
    pool: &PoolView,
    promises: &[&Reservation],
) -> Vec<Violation> {
    let has = [pool.pool.cores.0, pool.pool.memory.0, pool.pool.devices.0].map(i128::from);
    let now = i128::from(now.0);
    // What no attempt accounts for stays for ever.
    let mut rest = three(pool.used);
    let mut going: BTreeMap<TimeMs, Three> = BTreeMap::new();
    for (end, amounts) in pool.holdings.ends() {
        rest = sum(rest, three(amounts), -1);
        going.insert(end, three(amounts));
    }
    for group in pool.holdings.owners().iter().flat_map(|own| own.marked()) {
        let ended = plan.preemptions.iter().filter(|ended| {
            let job = group.preemptible.as_ref().filter(|preemptible| preemptible.job == ended.job);
            job.is_some_and(|preemptible| ended.tasks.iter().all(|task| preemptible.tasks.contains(task)))
        });
        let ended: u64 = ended.map(|ended| ended.tasks.len()).sum();
        let leaves = if group.stopping { group.count } else { ended };
        let left = going.entry(group.ends_at).or_default();
        *left = sum(*left, three(group.each).map(|one| one * i128::from(leaves)), -1);
    }
    let until = |end: TimeMs| i128::from(end.0).max(now + 1);
    let mut taken: Vec<Taken> = going.into_iter().map(|(end, amounts)| (now, until(end), amounts)).collect();
    taken.push((now, i128::MAX, rest.map(|one| one.max(0))));
    for placement in &plan.placements {
        let shape = snapshot.shapes.iter().find(|view| view.jobs.iter().any(|job| job.id == placement.job));
        if let Some(shape) = shape.filter(|_| (&placement.centre, &placement.pool) == (&centre.id, &pool.pool.id)) {
            // What runs within a reservation is part of what that takes.
            if shape.shape.reservation.is_some() {
                continue;
            }
            let each = [placement.cores.0, shape.shape.memory.0, placement.devices.0];
            let all = each.map(|one| i128::from(one) * i128::from(placement.tasks.len()));
            taken.push((now, now + i128::from(shape.shape.walltime.0), all));
        }
    }
    for kept in &pool.reserved {
        let (from, until) = (i128::from(kept.from.0).max(now), i128::from(kept.until.0));
        taken.push((from, until, sum(three(kept.amounts), three(kept.used), -1).map(|one| one.max(0))));
    }
    let own: Vec<Taken> = promises
        .iter()
        .filter_map(|promise| Some(of_promise(promise, shape_of(snapshot, promise)?, &pool.pool)))
        .collect();
    taken.extend(&own);
    let mut found = Vec::new();
    for (promise, &(from, to, _)) in promises.iter().zip(&own) {
        // Room changes only where something begins or ends.
        let begins = taken.iter().map(|one| one.0).chain([from]).filter(|&at| from <= at && at < to);
        let full = { begins }.find(|&at| {
            let there = taken.iter().filter(|one| one.0 <= at && at < one.1);
            let used = there.fold([0; 3], |used, one| sum(used, one.2, 1));
            used.into_iter().zip(has).zip(own_need(&own, from)).any(|((used, has), need)| need > 0 && used > has)
        });
        let shut = centre.closed.iter().any(|window| {
            let here = window.pool.as_ref().is_none_or(|closed| *closed == pool.pool.id);
            let some = window.from < window.until;
            some && here && i128::from(window.from.0) < to && from < i128::from(window.until.0)
        });
        if full.is_some() || shut {
            let (centre, pool) = (centre.id.clone(), pool.pool.id.clone());
            found.push(Violation::Promise { job: promise.job, centre, pool, start_at: promise.start_at });
        }
    }
    found
}

fn three(amounts: Amounts) -> Three {
    [amounts.cores.0, amounts.memory.0, amounts.devices.0].map(i128::from)
}

/// What the promise that begins at a moment needs: a resource that it does not need may be full.
fn own_need(own: &[Taken], from: i128) -> Three {
    own.iter().find(|one| one.0 == from).map_or([0; 3], |one| one.2)
}

fn of_promise(promise: &Reservation, shape: &Shape, pool: &Pool) -> Taken {
    let (cores, devices) = amounts(&shape.need, pool);
    let from = i128::from(promise.start_at.0);
    let each = [cores.0, shape.memory.0, devices.0];
    let all = each.map(|one| i128::from(one) * i128::from(promise.tasks.len()));
    (from, from + i128::from(shape.walltime.0), all)
}

fn shape_of<'a>(snapshot: &'a Snapshot, promise: &Reservation) -> Option<&'a Shape> {
    let view = snapshot.shapes.iter().find(|view| view.jobs.iter().any(|job| job.id == promise.job))?;
    let job = view.jobs.iter().find(|job| job.id == promise.job)?;
    let waits = promise.tasks.iter().all(|task| job.waiting.contains(task));
    let whole = u64::from(view.shape.gang.unwrap_or(1)) == promise.tasks.len();
    (waits && whole).then_some(&view.shape)
}

fn sum(one: Three, other: Three, sign: i128) -> Three {
    [one[0] + sign * other[0], one[1] + sign * other[1], one[2] + sign * other[2]]
}
