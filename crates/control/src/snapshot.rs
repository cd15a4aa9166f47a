//! What the scheduler sees: centres with what is used of them, and the heads of the queues.

use std::{collections::BTreeMap, sync::Arc};

use huisuan_model::{
    BudgetLimit, Centre, CentreId, CentreState, Job, Money, Pool, PoolId, Presence, Shape, Tariff, TenantId, TimeMs,
};
use huisuan_schedule::{
    CentreView, JobView, PoolView, ProjectView, Quota, Reserved, ShapeView, Snapshot, TenantView, Window, pack::Fleet,
};

use crate::{State, books, budget, contracts, nodes::NodesTaken, queue::Queue, reservations, starts, used::PoolUse};

/// The most jobs that one snapshot carries over all shapes, whatever is free.
pub const WINDOW_JOBS_MAX: usize = 8192;
/// The fewest that it may carry: enough for the tasks of fractions of cores, and for reasons.
const WINDOW_JOBS_MIN: usize = 256;
/// Every shape shows at least this many jobs, so that none is left out by many others.
const WINDOW_SHAPE_MIN: usize = 8;

/// The state as the scheduler sees it.
pub fn snapshot(state: &State) -> Snapshot {
    let window = (window_jobs(state) / state.queues.len().max(1)).max(WINDOW_SHAPE_MIN);
    let shapes = state.queues.iter().map(|(shape, queue)| shape_view(state, shape, queue, window)).collect();
    let mut centres = centre_views(state);
    show_nodes(state, &mut centres);
    let tenants = state.tenants.keys().map(|tenant| tenant_view(state, tenant)).collect();
    Snapshot {
        version: state.version,
        centres,
        shapes,
        tenants,
        targets: None,
        lengths: state.lengths.clone(),
        ways: Some(state.ways.clone()),
        traffic: state.used.traffic().clone(),
    }
}

/// How many jobs a cycle may find a place for: it places at most what is free, so the heads of the queues are
/// enough, and the cost of a snapshot does not grow with what waits. What one cycle leaves out, the next one takes.
fn window_jobs(state: &State) -> usize {
    let free = state.centres.values().flat_map(|centre| centre.pools.values().map(move |pool| (centre, pool)));
    let cores: u64 = free
        .map(|(centre, pool)| pool.cores.saturating_sub(state.used(&centre.id, &pool.id).all.cores).cores_up())
        .fold(0, u64::saturating_add);
    usize::try_from(cores.saturating_mul(2)).unwrap_or(usize::MAX).clamp(WINDOW_JOBS_MIN, WINDOW_JOBS_MAX)
}

pub(crate) fn centre_views(state: &State) -> Vec<CentreView> {
    state.centres.values().map(|centre| centre_view(state, centre)).collect()
}

fn centre_view(state: &State, centre: &Centre) -> CentreView {
    let pools: Vec<PoolView> = centre.pools.values().map(|pool| pool_view(state, centre, pool)).collect();
    CentreView {
        id: centre.id.clone(),
        class: centre.class,
        active: centre.state == CentreState::Active,
        absent: centre.presence() == Presence::Absent,
        closed: centre.windows.iter().map(window_view).collect(),
        tariff: tariff_view(state, centre),
        place: centre.place,
        facts: centre.facts.clone(),
        opaque: starts::view(state, centre, &pools),
        pools,
    }
}

/// The nodes of the pools that tell of them, and by when they come free where a job waits for a rack: what is refused
/// at the door, and what is reserved, does without.
fn show_nodes(state: &State, centres: &mut [CentreView]) {
    let none = NodesTaken::default();
    for centre in &mut *centres {
        for view in &mut centre.pools {
            let taken = state.used.taken(&centre.id, &view.pool.id);
            view.nodes = taken.map_or(&none, |taken| &taken.nodes).fleet(&view.pool);
        }
    }
    if state.queues.iter().any(|(shape, _)| shape.topology.is_some()) {
        show_ends(state, centres);
    }
}

fn show_ends(state: &State, centres: &mut [CentreView]) {
    let shown = centres.iter_mut().flat_map(|centre| {
        let id = centre.id.clone();
        centre
            .pools
            .iter_mut()
            .filter(|view| view.nodes.is_some())
            .map(move |view| ((id.clone(), view.pool.id.clone()), view))
    });
    let mut shown: BTreeMap<(CentreId, PoolId), &mut PoolView> = shown.collect();
    for view in shown.values_mut() {
        view.node_ends = vec![TimeMs(0); view.nodes.as_ref().map_or(0, Fleet::len)];
    }
    for attempt in state.attempts.values() {
        let (Some(share), Some(job)) = (attempt.node, state.job(attempt.id.job)) else { continue };
        let Some(view) = shown.get_mut(&(attempt.centre.clone(), attempt.pool.clone())) else { continue };
        if let Some(end) = view.node_ends.get_mut(share.node as usize) {
            *end = state.used.group(attempt, job).ends_at.max(*end);
        }
    }
}

/// One pool of a centre, without its nodes.
pub(crate) fn pool_view(state: &State, centre: &Centre, pool: &Pool) -> PoolView {
    let taken = state.used.taken(&centre.id, &pool.id);
    let sums = taken.map_or_else(PoolUse::default, |taken| taken.sums);
    let holdings = taken.map_or_else(Arc::default, |taken| taken.holdings.clone());
    let reserved = centre.reservations.iter().filter(|known| known.pool == pool.id).map(|known| Reserved {
        id: known.id,
        tenant: known.tenant.clone(),
        from: known.from,
        until: known.until,
        amounts: reservations::amounts(known),
        used: state.used.reserved(known.id),
    });
    let reserved = reserved.collect();
    PoolView {
        pool: pool.clone(),
        used: sums.all,
        long: sums.long,
        holdings,
        nodes: None,
        node_ends: Vec::new(),
        reserved,
    }
}

/// The price that the scheduler counts with: the dearest to come.
pub(crate) fn tariff_view(state: &State, centre: &Centre) -> Tariff {
    let price_per_p_h = state.tariffs.ceiling(&centre.id, centre.tariff.price_per_p_h, state.seen_at);
    Tariff { price_per_p_h, ..centre.tariff.clone() }
}

fn window_view(window: &huisuan_model::Window) -> Window {
    Window { from: window.from, until: window.until, pool: window.pool.clone() }
}

fn shape_view(state: &State, shape: &Arc<Shape>, queue: &Queue, window: usize) -> ShapeView {
    let jobs: Vec<JobView> = queue.head(window).filter_map(|id| state.job(id)).map(job_view).collect();
    let more = queue.len().saturating_sub(jobs.len()) as u64;
    let budget = shape.own_budget.and_then(|id| budget::left_of_job(state, state.job(id)?));
    let (left, agreed) = (available(state, shape), contracts::agreed(state, shape, state.seen_at));
    let (available, limit) = left.unzip();
    ShapeView { more, available, limit, budget, agreed, ..ShapeView::new((**shape).clone(), jobs) }
}

/// What may be held for a shape beside its tenant's money, and by which limit.
pub(crate) fn available(state: &State, shape: &Shape) -> Option<(Money, BudgetLimit)> {
    let tenant = state.tenants.get(&shape.tenant).filter(|tenant| !tenant.budget.is_unlimited())?;
    budget::left_of_shape(state, tenant, &shape.project, shape.walltime.0, state.seen_at)
}

fn job_view(job: &Job) -> JobView {
    JobView {
        id: job.id,
        priority: job.spec.priority,
        submitted_at: job.submitted_at,
        waiting: job.tasks.waiting.clone(),
        active: job.tasks.active.len(),
        parallel_max: job.spec.parallel_max,
        mean_run_ms: job.mean_run_ms(),
        deadline_at: job.spec.deadline_at,
        preemptible: job.spec.preemptible,
    }
}

fn tenant_view(state: &State, tenant: &TenantId) -> TenantView {
    let available: Money = state.ledger.available(tenant, books::home_currency());
    let known = &state.tenants[tenant];
    let month = budget::left_of_tenant(state, known, state.seen_at).filter(|left| *left < available);
    let (available, limit) = month.map_or((available, None), |left| (left, Some(BudgetLimit::Month)));
    let projects = known.projects.iter().filter(|(_, weight)| **weight != 1);
    TenantView {
        limit,
        weight: known.weight,
        quota: Quota { cores: known.quota_cores, devices: known.quota_devices },
        projects: projects.map(|(id, weight)| ProjectView { id: id.clone(), weight: *weight }).collect(),
        ..TenantView::new(tenant.clone(), available)
    }
}
