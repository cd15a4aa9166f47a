//! Reasons that come of reservations in advance, in words.

use huisuan_model::Reason;
use serde_json::{Value, json};

use crate::wire::Timestamp;

/// The sentence and the numbers.
pub(super) fn told(reason: &Reason) -> (String, Value) {
    match reason {
        Reason::Kept { centre, pool, reservation, from, until } => {
            let (from, until) = (Timestamp(*from), Timestamp(*until));
            (
                format!(
                    "it would fit at {centre}, but reach into what reservation {reservation} keeps of {pool} from {from} \
                     until {until}"
                ),
                json!({ "centre": centre, "pool": pool, "reservation": reservation, "from": from, "until": until }),
            )
        }
        Reason::ReservationLater { reservation, from } => {
            let from = Timestamp(*from);
            (
                format!("reservation {reservation}, which it names, begins at {from}"),
                json!({ "reservation": reservation, "from": from }),
            )
        }
        Reason::ReservationOver { reservation, until: Some(until) } => {
            let until = Timestamp(*until);
            (
                format!("reservation {reservation}, which it names, ends at {until}, before a task of it would"),
                json!({ "reservation": reservation, "until": until }),
            )
        }
        Reason::ReservationOver { reservation, until: None } => (
            format!("reservation {reservation}, which it names, is gone"),
            json!({ "reservation": reservation, "until": null }),
        ),
        Reason::ReservationFull { reservation, needed, fits } => (
            format!(
                "other jobs hold what reservation {reservation} keeps: {fits} of its tasks fit now, {needed} must start \
                 together"
            ),
            json!({ "reservation": reservation, "needed_tasks": needed, "fitting_tasks": fits }),
        ),
        _ => unreachable!("only reasons of reservations are told here"),
    }
}

#[cfg(test)]
mod tests {
    use huisuan_model::{CentreId, PoolId, ReservationId, TimeMs};

    use super::*;

    #[test]
    fn reasons_of_reservations_have_sentences() {
        let (reservation, from) = (ReservationId(3), TimeMs(0));
        let centre = CentreId::new("hpc-1").expect("a name");
        let pool = PoolId::new("cpu:x").expect("a name");
        let check = |reason: Reason, sentence: &str| assert_eq!(told(&reason).0, sentence);
        check(
            Reason::Kept { centre, pool, reservation, from, until: TimeMs(1000) },
            "it would fit at hpc-1, but reach into what reservation 3 keeps of cpu:x from 1970-01-01T00:00:00.000Z until \
             1970-01-01T00:00:01.000Z",
        );
        check(
            Reason::ReservationLater { reservation, from },
            "reservation 3, which it names, begins at 1970-01-01T00:00:00.000Z",
        );
        check(
            Reason::ReservationOver { reservation, until: Some(from) },
            "reservation 3, which it names, ends at 1970-01-01T00:00:00.000Z, before a task of it would",
        );
        check(Reason::ReservationOver { reservation, until: None }, "reservation 3, which it names, is gone");
        check(
            Reason::ReservationFull { reservation, needed: 4, fits: 1 },
            "other jobs hold what reservation 3 keeps: 1 of its tasks fit now, 4 must start together",
        );
    }
}
