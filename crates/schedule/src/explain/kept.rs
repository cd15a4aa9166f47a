//! Why a shape waits because of a reservation in advance: its own one, or another's.

use huisuan_model::{Reason, ReservationId, TimeMs};

use super::Case;
use crate::translate::{Candidate, Place};

/// Why a shape that names a reservation has no candidate.
pub(super) fn no_candidate(case: &Case<'_>) -> Reason {
    let (problem, shape) = (case.problem, &case.view.shape);
    let reservation = shape.reservation.expect("the shape names a reservation");
    let Some((pool, kept)) = problem.shapes[case.shape].reserved.map(|index| problem.reserved[index]) else {
        return Reason::ReservationOver { reservation, until: None };
    };
    let end = problem.now.after(shape.walltime);
    match () {
        () if end > kept.until => Reason::ReservationOver { reservation, until: Some(kept.until) },
        () if problem.now < kept.from => Reason::ReservationLater { reservation, from: kept.from },
        () => super::no_candidate(case, pool..pool + 1),
    }
}

/// That the reservation that a shape names keeps too little for `unit` more tasks; `None` when it has enough, and for
/// shapes that name none.
pub(super) fn full(case: &Case<'_>, candidate: &Candidate, unit: u64) -> Option<Reason> {
    let index = case.problem.shapes[case.shape].reserved?;
    let fits = candidate.demand.times_in(&case.state.reserved[index]);
    let reservation = case.problem.reserved[index].1.id;
    (fits < unit).then_some(Reason::ReservationFull { reservation, needed: unit, fits })
}

/// That a task would reach into what a reservation keeps for others.
pub(super) fn reached(place: Place<'_>, reservation: ReservationId, start_at: TimeMs) -> Reason {
    let known = place.pool.reserved.iter().find(|kept| kept.id == reservation);
    let (from, until) = known.map_or((start_at, start_at), |kept| (kept.from, kept.until));
    Reason::Kept { centre: place.centre.id.clone(), pool: place.pool.pool.id.clone(), reservation, from, until }
}
