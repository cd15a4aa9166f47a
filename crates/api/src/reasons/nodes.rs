//! Why what is free in sum does not do, in words: it lies on too many nodes, or in too many racks.

use huisuan_model::{Millicores, Reason};
use serde_json::{Value, json};

use super::decimal;

/// The sentence and its numbers.
pub(super) fn told(reason: &Reason) -> (String, Value) {
    match reason {
        Reason::NodeCapacity { centre, pool, needed, node_free, free } => {
            let [need, node, sum] = [needed, node_free, free].map(|devices| decimal(Millicores(devices.0)));
            let message = format!(
                "in {pool} of the nearest, {centre}, {sum} devices are free, but at most {node} on one node; a task \
                 needs {need}"
            );
            let details = json!({
                "centre": centre, "pool": pool, "needed_thousandths": needed,
                "node_free_thousandths": node_free, "free_thousandths": free,
            });
            (message, details)
        }
        Reason::TopologyCapacity { centre, pool, level, needed, fits, free } => {
            let message = format!(
                "its {needed} tasks must lie in one {level}; the roomiest {level} of {pool} at {centre} takes {fits} now \
                 ({free} in the whole pool)"
            );
            let details = json!({
                "centre": centre, "pool": pool, "level": level, "needed_tasks": needed,
                "fitting_tasks": fits, "pool_tasks": free,
            });
            (message, details)
        }
        _ => (String::new(), Value::Null),
    }
}

#[cfg(test)]
mod tests {
    use huisuan_model::{CentreId, Level, MilliDevices, PoolId};

    use super::{super::describe, *};

    #[test]
    fn nodes_and_racks_are_told_with_their_numbers() {
        let (centre, pool) = (CentreId::new("ai-1").expect("a name"), PoolId::new("A100").expect("a name"));
        let [needed, node_free, free] = [2000, 1500, 9000].map(MilliDevices);
        let reason = Reason::NodeCapacity { centre: centre.clone(), pool: pool.clone(), needed, node_free, free };
        let sentence = "in A100 of the nearest, ai-1, 9 devices are free, but at most 1.5 on one node; a task needs 2";
        let details = json!({"centre": "ai-1", "pool": "A100", "needed_thousandths": 2000,
            "node_free_thousandths": 1500, "free_thousandths": 9000});
        assert_eq!(describe(&reason, "CNY"), (sentence.to_owned(), details));
        let reason = Reason::TopologyCapacity { centre, pool, level: Level::Rack, needed: 8, fits: 5, free: 12 };
        let sentence =
            "its 8 tasks must lie in one rack; the roomiest rack of A100 at ai-1 takes 5 now (12 in the whole pool)";
        let details = json!({"centre": "ai-1", "pool": "A100", "level": "rack", "needed_tasks": 8,
            "fitting_tasks": 5, "pool_tasks": 12});
        assert_eq!(describe(&reason, "CNY"), (sentence.to_owned(), details));
    }
}
