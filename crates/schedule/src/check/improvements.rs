//! Whether what a plan says that it moved lost nothing by it, and what it says to have started for that starts.

use huisuan_model::{CentreId, JobId, Moved, Placement, Plan, Pool, PoolId, RangeSet, spec::Need};

use super::{amounts, hold};
use crate::{
    snapshot::{CentreView, PoolView, ShapeView, Snapshot},
    violation::Violation,
};

pub(super) fn check(snapshot: &Snapshot, plan: &Plan) -> Vec<Violation> {
    let mut found = Vec::new();
    let mut broken = |job, why| found.push(Violation::Improvement { job, why });
    for improvement in &plan.improvements {
        if improvement.tasks.is_empty()
            || !improvement.tasks.iter().all(|task| place(plan, improvement.job, task).is_some())
        {
            broken(improvement.job, "others moved for it, and it does not start");
        }
        for moved in &improvement.moved {
            if let Some(why) = loses(snapshot, plan, moved) {
                broken(moved.job, why);
            }
        }
    }
    found
}

/// Where a task is placed.
fn place(plan: &Plan, job: JobId, task: u32) -> Option<&Placement> {
    plan.placements.iter().find(|placement| placement.job == job && placement.tasks.contains(task))
}

/// What tasks would lose by their move, if they would.
fn loses(snapshot: &Snapshot, plan: &Plan, moved: &Moved) -> Option<&'static str> {
    let known = snapshot.shapes.iter().find(|view| view.jobs.iter().any(|job| job.id == moved.job));
    let (Some(view), Some(there)) = (known, pool_of(snapshot, &moved.centre, &moved.pool)) else {
        return Some("the job or the place is not known");
    };
    for task in moved.tasks.iter() {
        let Some(placement) = place(plan, moved.job, task) else { return Some("it does not start") };
        if (&placement.centre, &placement.pool) == (&moved.centre, &moved.pool) {
            return Some("it starts where it would have anyway");
        }
        let Some(here) = pool_of(snapshot, &placement.centre, &placement.pool) else { continue };
        if costs(view, moved, here) > costs(view, moved, there) {
            return Some("it costs more");
        }
        if here.1.pool.class != there.1.pool.class {
            return Some("it starts in another class");
        }
        if matches!(view.shape.need, Need::Hardware { .. }) && slower(view, &here.1.pool, &there.1.pool) {
            return Some("it starts on slower hardware");
        }
    }
    None
}

fn pool_of<'a>(snapshot: &'a Snapshot, centre: &CentreId, pool: &PoolId) -> Option<(&'a CentreView, &'a PoolView)> {
    let centre = snapshot.centres.iter().find(|view| view.id == *centre)?;
    Some((centre, centre.pools.iter().find(|view| view.pool.id == *pool)?))
}

/// What is held for one task of a shape at a pool.
fn costs(view: &ShapeView, moved: &Moved, (centre, pool): (&CentreView, &PoolView)) -> i128 {
    let (cores, devices) = amounts(&view.shape.need, &pool.pool);
    let one = Placement {
        job: moved.job,
        tasks: RangeSet::from_range(0, 0),
        centre: centre.id.clone(),
        pool: pool.pool.id.clone(),
        cores,
        devices,
        nodes: Vec::new(),
        score: Vec::new(),
    };
    hold(&one, view, centre, pool)
}

/// Whether a task has less of a rate at one pool than at another, in GFLOP/s, rounded up; by more than five in a hundred
/// where both have the same part number.
fn slower(view: &ShapeView, here: &Pool, there: &Pool) -> bool {
    let part = |pool: &Pool| {
        let (cores, devices) = amounts(&view.shape.need, pool);
        let sustained = pool.rating.as_ref().map_or(0, |rating| u128::from(rating.sustained.0));
        match pool.devices.0 {
            0 => (u128::from(cores.0) * sustained, u128::from(pool.cores.0).max(1)),
            all => (u128::from(devices.0) * sustained, u128::from(all)),
        }
    };
    let same = here.id == there.id;
    let ((here, of_here), (there, of_there)) = (part(here), part(there));
    let (rate_here, rate_there) = (here.div_ceil(of_here), there.div_ceil(of_there));
    if same { rate_here * 100 < rate_there * 95 } else { rate_here < rate_there }
}
