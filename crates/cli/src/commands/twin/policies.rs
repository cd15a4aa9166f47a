//! The flag `--policy` of commands that compare: one policy by its name, or all of them.

use std::str::FromStr;

/// The policies asked for.
#[derive(Debug, Clone)]
pub(super) struct Policies<P>(pub(super) Vec<P>);

/// Reads a name among `all`, or `all` itself.
pub(super) fn one_or_all<P: Copy + FromStr>(
    text: &str,
    all: &[P],
    name: impl Fn(P) -> &'static str,
) -> Result<Policies<P>, String> {
    if text == "all" {
        return Ok(Policies(all.to_vec()));
    }
    let known = || all.iter().map(|&policy| name(policy)).collect::<Vec<_>>().join(", ");
    text.parse().map(|policy| Policies(vec![policy])).map_err(|_| format!("known are {} and all", known()))
}
