//! The scenarios that the binary carries, so that the demo runs wherever the binary is.

use std::path::Path;

use clap::builder::PossibleValuesParser;
use huisuan_study::{read::Text, scenario::Scenario};

use crate::failure::{Exit, Failure};

/// Those that need no other file.
const SCENARIOS: [(&str, &str); 5] = [
    ("zhengzhou-2025", include_str!("../../../../../scenarios/zhengzhou-2025.toml")),
    ("zhengzhou-plan", include_str!("../../../../../scenarios/zhengzhou-plan.toml")),
    ("zheng-qing-ha", include_str!("../../../../../scenarios/zheng-qing-ha.toml")),
    ("racks", include_str!("../../../../../scenarios/racks.toml")),
    ("small", include_str!("../../../../../scenarios/small.toml")),
];

/// Their names, for the command line.
pub(super) fn names() -> PossibleValuesParser {
    PossibleValuesParser::new(SCENARIOS.map(|(name, _)| name))
}

/// The scenario of this name.
pub(super) fn find(name: &str) -> Result<Scenario, Failure> {
    let text = SCENARIOS.iter().find(|(known, _)| *known == name).map_or("", |(_, text)| text);
    Scenario::parse(&Text::new(format!("scenarios/{name}.toml"), text), Path::new(""))
        .map_err(|error| Failure::new(Exit::Error, error).hint("this is a fault of the program"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_scenario_is_carried_whole() {
        for (name, _) in SCENARIOS {
            let found = find(name).unwrap_or_else(|error| panic!("{name}: {}", error.message));
            assert_eq!(found.name, name);
        }
    }
}
