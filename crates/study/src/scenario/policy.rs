//! Policies by name.

use std::collections::BTreeMap;

use huisuan_schedule::{Policy, Weights};

/// Names that every scenario knows, each with what it is for.
pub const POLICIES: [(&str, &str); 4] = [
    ("balanced", "the default of the live network"),
    ("soonest", "free capacity first, whatever it costs"),
    ("cheapest", "the lowest price first, even where it means to queue"),
    ("tightest", "full machines first, so that large tasks find whole ones"),
];

/// The built-in policy of a name; `None` when there is none.
pub fn policy(name: &str) -> Option<Policy> {
    find(name, &BTreeMap::new())
}

/// The policy of a name: those of the file go before the built-in ones.
pub(super) fn find(name: &str, own: &BTreeMap<String, Policy>) -> Option<Policy> {
    let named = |wait, price, fit| {
        let weights = Weights { wait, price, fit, ..Weights::default() };
        Policy { name: name.to_owned(), weights, ..Policy::default() }
    };
    if let Some(policy) = own.get(name) {
        return Some(Policy { name: name.to_owned(), ..policy.clone() });
    }
    match name {
        "balanced" => Some(Policy::default()),
        "soonest" => Some(named(1_000, 10, 10)),
        "cheapest" => Some(named(100, 10_000, 10)),
        "tightest" => Some(named(1_000, 100, 1_000)),
        _ => None,
    }
}
