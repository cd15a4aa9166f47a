//! A few thousand rounds of the campaign in `examples/campaign`, which `cargo xtask scenario ledger` runs a million of.

#[path = "../examples/campaign/draw.rs"]
mod draw;
#[path = "../examples/campaign/faults.rs"]
mod faults;
#[path = "../examples/campaign/meter.rs"]
mod meter;
#[path = "../examples/campaign/names.rs"]
mod names;
#[path = "../examples/campaign/pieces.rs"]
mod pieces;
#[path = "../examples/campaign/reference.rs"]
mod reference;
#[path = "../examples/campaign/round.rs"]
mod round;

#[test]
fn the_ledger_is_the_reference_under_faults() {
    let (seed, mut total) = (1, round::Tally::default());
    for number in 0..2_000 {
        match round::run(seed, number) {
            Ok(tally) => total.add(&tally),
            Err(text) => panic!("seed {seed}, round {number}: {text}"),
        }
    }
    // Most operations must get through and every fault must have been there, or nothing was tested.
    let json: serde_json::Value = serde_json::from_str(&total.json(seed, 2_000)).expect("JSON");
    let count = |key: &str| json[key].as_u64().expect("a count");
    assert!(count("accepted") * 3 > count("operations"), "{json}");
    assert!(["crashes", "duplicates", "late", "reordered"].into_iter().all(|fault| count(fault) > 2_000), "{json}");
    let kinds = ["meter_records", "late_records", "corrections", "repeated", "conflicts"];
    assert!(kinds.into_iter().all(|kind| count(kind) > 1_000), "{json}");
}
