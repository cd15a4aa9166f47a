//! What a latency bound has to do with waiting, in words.

use huisuan_model::{Millicores, Reason};
use serde_json::{Value, json};

use super::decimal;

/// The sentence and its numbers.
pub(super) fn told(reason: &Reason) -> (String, Value) {
    let Reason::Latency { round_trip_max: bound, within, centre, round_trip_us } = reason else {
        return (String::new(), Value::Null);
    };
    let within = *within;
    let near = match within {
        0 => "no centre with hardware for it is".to_owned(),
        1 => "one centre is".to_owned(),
        many => format!("{many} centres are"),
    };
    let away = match round_trip_us {
        Some(us) => format!("is {} ms away", decimal(Millicores(*us))),
        None => "has no known way to its users".to_owned(),
    };
    let message = match within {
        0 => format!("latency bound {} ms: {near} so near; the nearest, {centre}, {away}", bound.0),
        _ => format!("latency bound {} ms: {near} near enough and full; {centre}, which has room, {away}", bound.0),
    };
    let details = json!({
        "round_trip_max_ms": bound.0, "within_centres": within, "centre": centre, "round_trip_us": round_trip_us,
    });
    (message, details)
}

#[cfg(test)]
mod tests {
    use huisuan_model::{CentreId, DurationMs};

    use super::super::describe;
    use super::*;

    #[test]
    fn a_bound_is_told_with_what_lies_beyond_it() {
        let centre = CentreId::new("hpc-1").expect("a name");
        for (within, round_trip_us, sentence) in [
            (0, Some(8_000), "no centre with hardware for it is so near; the nearest, hpc-1, is 8 ms away"),
            (1, Some(8_250), "one centre is near enough and full; hpc-1, which has room, is 8.25 ms away"),
            (3, None, "3 centres are near enough and full; hpc-1, which has room, has no known way to its users"),
        ] {
            let reason =
                Reason::Latency { round_trip_max: DurationMs(5), within, centre: centre.clone(), round_trip_us };
            let details = json!({
                "round_trip_max_ms": 5, "within_centres": within, "centre": "hpc-1", "round_trip_us": round_trip_us,
            });
            assert_eq!(describe(&reason, "CNY"), (format!("latency bound 5 ms: {sentence}"), details));
        }
    }
}
