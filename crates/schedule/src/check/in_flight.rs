//! What waits at opaque centres.

use huisuan_model::Plan;

use crate::{snapshot::Snapshot, violation::Violation};

/// Centres that are given more than may wait there. The last gang may pass the limit.
pub(super) fn broken(snapshot: &Snapshot, plan: &Plan) -> Vec<Violation> {
    let mut found = Vec::new();
    for centre in &snapshot.centres {
        let Some(opaque) = &centre.opaque else { continue };
        let (mut in_flight, most) = (opaque.in_flight, opaque.in_flight_most);
        for placed in plan.placements.iter().filter(|placed| placed.centre == centre.id) {
            let of_job = |view: &&crate::ShapeView| view.jobs.iter().any(|job| job.id == placed.job);
            let gang = snapshot.shapes.iter().find(of_job).is_some_and(|view| view.shape.gang.is_some());
            let before = in_flight;
            in_flight = in_flight.saturating_add(placed.tasks.len());
            if !placed.tasks.is_empty() && in_flight > most && !(gang && before < most) {
                found.push(Violation::InFlight { centre: centre.id.clone(), in_flight, most });
                break;
            }
        }
    }
    found
}
