//! Models that are refused, each with what is wrong.

use huisuan_model::{Money, TenantId};

use crate::network::{Hardware, Network, NetworkModel, tests::story};

fn check(spoil: impl FnOnce(&mut NetworkModel), expected: &str) {
    let mut model = story::two_centres();
    model.classes.push(story::work(1, 10, 3_600_000));
    spoil(&mut model);
    let error = Network::new(model).expect_err(expected).to_string();
    assert!(error.contains(expected) && error.contains("hint: "), "{error}");
}

#[test]
fn faults_are_named() {
    check(|model| model.slot_ms = 0, "model: slot_ms is 0, allowed is 1 to");
    check(|model| model.slots = 0, "slots is 0");
    check(|model| model.centres.reverse(), "centres: `east` stands at the wrong place or twice");
    check(|model| model.centres[0].hour = 24, "centre `east`: hour is 24, allowed is 0 to 23");
    check(|model| model.centres[0].pue_permille = 999, "pue_permille is 999");
    check(|model| model.centres[1].pools[0].free.push(1), "number of free slots is 2, allowed is 1 to 1");
    check(|model| model.centres[0].pools[0].start.p50_ms = 1, "start.p90_ms is 0, allowed is 1 to");
    check(|model| model.links[0].to = story::centre_id("mars"), "centre `mars` is not in the model");
    check(|model| model.classes[0].tenant = TenantId::new("x").unwrap(), "class of work 1: tenant `x` is not in");
    check(|model| model.classes[0].worth = Money(-1), "worth is -1");
    check(|model| model.classes[0].tasks = u64::MAX, "tasks is 18446744073709551615");
    check(|model| model.classes.push(model.classes[0].clone()), "stands at the wrong place or twice");
    let zero = |model: &mut NetworkModel| {
        if let Hardware::Parts(parts) = &mut model.classes[0].hardware {
            parts[0].run_ms = 0;
        }
    };
    check(zero, "run_ms is 0");
}
