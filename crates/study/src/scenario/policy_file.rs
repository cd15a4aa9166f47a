//! A file with one policy, in the table that scenarios have for it.

use std::{collections::BTreeMap, path::Path};

use huisuan_schedule::Policy;
use serde::Deserialize;

use super::{check::Check, syntax};
use crate::{
    policies::POLICIES,
    read::{ReadError, Text, read_text},
};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    policy: BTreeMap<String, Policy>,
}

/// Reads a file with one table `[policy.NAME]`.
///
/// # Errors
/// When it cannot be read, has an unknown or wrong field, or not one policy; the place is named.
pub fn read_policy(path: &Path) -> Result<Policy, ReadError> {
    parse(&read_text(path)?)
}

fn parse(text: &Text) -> Result<Policy, ReadError> {
    let file: File = toml::from_str(&text.text).map_err(|error| syntax::refused(Check { text }, &error))?;
    let mut policies = file.policy.into_iter();
    match (policies.next(), policies.next()) {
        (Some((name, _)), None) if POLICIES.iter().any(|row| row.0 == name) => {
            let problem = format!("policy `{name}` has the name of one that is built in");
            Err(text.form(1, problem, "another name: plans in the journal have nothing else of it"))
        }
        // What starts taught is stored by these bounds, and read by whoever comes next.
        (Some((name, policy)), None) if policy.opaque != Policy::default().opaque => {
            let problem = format!("policy `{name}` has `opaque`");
            Err(text.form(
                1,
                problem,
                "leave it out: a network that lives learns the starts of its centres by one rule",
            ))
        }
        (Some((name, policy)), None) => Ok(Policy { name, ..policy }),
        (None, _) => Err(text.form(1, "no policy", "write one table [policy.NAME]")),
        (_, Some((name, _))) => {
            Err(text.form(1, format!("policy `{name}` beside another"), "keep one [policy.NAME] in each file"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: Result<(&str, i64), &str>) {
        match (parse(&Text::new("p.toml", text)), expected) {
            (Ok(policy), Ok((name, price))) => assert_eq!((policy.name.as_str(), policy.weights.price), (name, price)),
            (Err(error), Err(expected)) => {
                let error = error.to_string();
                assert!(error.contains("file `p.toml` line") && error.contains(expected), "{error}");
            }
            (found, expected) => panic!("{text}: {found:?}, {expected:?}"),
        }
    }

    #[test]
    fn a_policy_file_has_one_policy() {
        check("[policy.mine]\nweights = { price = 7 }\norder = { area_first = true }\n", Ok(("mine", 7)));
        check("[policy.mine]\n", Ok(("mine", 500)));
        check("[policy.mine]\nweights = { prize = 7 }\n", Err("line 2: field `weights`"));
        check("[policy.mine]\nlookahead_ms = -1\n", Err("line 2, field `lookahead_ms`: `-1`"));
        check("[policy.a]\n[policy.b]\n", Err("policy `b` beside another"));
        check("[policy.cheapest]\n", Err("policy `cheapest` has the name"));
        check("[policy.mine.opaque]\nkeep_ms = 5000\n", Err("policy `mine` has `opaque`"));
        check("[policy]\n", Err("no policy"));
        check("name = \"x\"\n[policy.a]\n", Err("line 1: field `name`"));
    }
}
