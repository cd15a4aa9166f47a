//! What centres are to do, read off the state: orders are events that an agent performs, never calls.

use huisuan_model::{Attempt, AttemptState, CentreId, Event, Order, StartOrder};

use crate::State;

/// The start order of a live attempt.
fn order_of_start(state: &State, attempt: &Attempt) -> Option<Order> {
    let job = state.jobs.get(&attempt.id.job)?;
    Some(Order::Start(Box::new(StartOrder {
        attempt: attempt.id,
        centre: attempt.centre.clone(),
        tenant: job.tenant.clone(),
        project: job.project.clone(),
        spec: job.spec.clone(),
        cores: attempt.cores,
        devices: attempt.devices,
        pool: Some(attempt.pool.clone()),
        account: None,
    })))
}

impl State {
    /// Every order that a centre may not have taken yet, the oldest first: all that a newly connected agent
    /// has to be told.
    pub fn open_orders(&self, centre: &CentreId) -> Vec<Order> {
        let mut orders = Vec::new();
        for attempt in self.attempts.values().filter(|attempt| attempt.centre == *centre) {
            if attempt.state == AttemptState::Placed {
                orders.extend(order_of_start(self, attempt).map(|order| (attempt.order_seq, order)));
            }
            orders.extend(attempt.stop_seq.map(|seq| (seq, Order::Stop(attempt.id))));
        }
        orders.sort_by_key(|(seq, _)| *seq);
        orders.into_iter().map(|(_, order)| order).collect()
    }
}

/// The orders that an event gives, each with its centre. Called right after the event was applied.
pub fn orders_of(state: &State, event: &Event) -> Vec<(CentreId, Order)> {
    match event {
        Event::TasksPlaced { job, tasks, centre, .. } => {
            let Some(row) = state.jobs.get(job) else { return Vec::new() };
            let attempts = tasks.iter().filter_map(|task| {
                let attempt = row.attempt_of(task);
                state.attempts.get(&huisuan_model::AttemptId { job: *job, task, attempt })
            });
            attempts.filter_map(|attempt| Some((centre.clone(), order_of_start(state, attempt)?))).collect()
        }
        Event::StopOrdered { attempt, .. } => {
            let Some(row) = state.attempts.get(attempt) else { return Vec::new() };
            vec![(row.centre.clone(), Order::Stop(*attempt))]
        }
        _ => Vec::new(),
    }
}

/// Whether an event may let the scheduler place more than before, so that a cycle is worth making. Called after the
/// event was applied.
pub fn wakes_planner(state: &State, event: &Event) -> bool {
    // What starts at an opaque centre makes room in its queue.
    let started = |id| state.attempt(id).is_some_and(|attempt| attempt.band.is_some());
    matches!(event, Event::AttemptStarted { attempt, .. } if started(*attempt))
        || matches!(
            event,
            Event::JobSubmitted { .. }
                | Event::DependencyMet { .. }
                | Event::AttemptEnded { .. }
                | Event::InventorySet { .. }
                | Event::Rated { .. }
                | Event::CentreSet(_)
                | Event::CentreStateSet { .. }
                | Event::PresenceSet { .. }
                | Event::WindowAdded { .. }
                | Event::WindowRemoved { .. }
                | Event::ReservationAdded { .. }
                | Event::ReservationRemoved { .. }
                | Event::Funded { .. }
                | Event::CreditChanged { .. }
                | Event::TenantSet(_)
                | Event::JobCancelRequested { .. }
        )
}
