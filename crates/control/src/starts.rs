//! How soon opaque centres start work: learnt from every attempt that was handed over with the size and load of then.

use std::sync::Arc;

use huisuan_model::{AttemptId, AttemptState, Centre, TimeMs};
use huisuan_schedule::{OpaqueView, PoolView, hand_over as within};

use crate::State;

/// Learns from an attempt of an opaque centre that waited until `started_at`, unless its start was told before.
pub(crate) fn learn(state: &mut State, attempt: AttemptId, started_at: TimeMs) {
    let attempt = &state.attempts[&attempt];
    // What waited for its data says nothing of the queue.
    let waited = attempt.state == AttemptState::Placed && attempt.usage.staged.to_bring.is_zero();
    let Some(band) = attempt.band.filter(|_| waited) else { return };
    state.touched.note(|rows| rows.centres.insert(attempt.centre.clone()));
    let centre = state.centres.get_mut(&attempt.centre).expect("an attempt names a known centre");
    centre.starts.observe(&state.policy.opaque, band, attempt.placed_at, started_at);
}

/// How many tasks may be handed over to an opaque centre, `unit` of them going together.
pub(crate) fn hand_over(state: &State, centre: &Centre, unit: u64) -> u64 {
    let most = centre.starts.in_flight_most(&state.policy.opaque, heard_at(centre));
    within(state.used.in_flight(&centre.id), most, unit)
}

/// The moment that its pace is seen at: when it was last heard, which a replay knows, too.
fn heard_at(centre: &Centre) -> TimeMs {
    centre.reported_at.unwrap_or(TimeMs(0))
}

/// What the scheduler knows of a centre's queue; `None` of one that starts what it has room for.
pub(crate) fn view(state: &State, centre: &Centre, pools: &[PoolView]) -> Option<Arc<OpaqueView>> {
    let in_flight = state.used.in_flight(&centre.id);
    let view = || OpaqueView::new(&centre.starts, &state.policy.opaque, in_flight, pools, heard_at(centre));
    centre.engine.opaque().then(|| Arc::new(view()))
}
