//! Usage and ledger on the wire.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::wire::{Amount, EnergyFields, Timestamp, Usage};

/// What the caller's tenant used.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct UsageView {
    /// Work by class.
    pub usage: Usage,
    /// Posted cost.
    pub cost: Amount,
    /// Energy and CO2 of what was metered and knows it.
    #[serde(flatten)]
    pub energy: EnergyFields,
    /// Data moved for its attempts that ended; it has no price.
    #[serde(default)]
    pub data: MovedView,
    /// How many jobs it comes from.
    pub jobs: u64,
    /// From when on.
    pub since: Timestamp,
}

/// Data moved for attempts, as their agents counted it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
pub struct MovedView {
    /// Brought to them, in bytes.
    pub bytes_in: u64,
    /// Taken from them, in bytes.
    pub bytes_out: u64,
    /// Where the figures come from: `measured`.
    pub mark: String,
}

/// The ledger's balances.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct LedgerView {
    /// True when the balances of every asset add up to nothing, as they must.
    pub balanced: bool,
    /// Every account in the order of its name.
    pub accounts: Vec<AccountView>,
    /// How many postings there are.
    pub postings: u64,
}

/// One account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AccountView {
    /// Its name.
    pub account: String,
    /// What it counts: a currency or the work of a class.
    pub asset: String,
    /// The balance in the asset's smallest unit: an integer as text, because it may have 128 bits.
    pub balance: String,
}

/// What an audit of the stored books came to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AuditView {
    /// True when nothing was found.
    pub ok: bool,
    /// Journal entries read.
    pub entries: u64,
    /// The last of them that has no hash of its own, because an older version wrote it; 0 where all have one. The first
    /// entry after it covers it and all before it.
    #[serde(default)]
    pub hashed_after: u64,
    /// The hash of the last entry, which covers all of them: 64 characters of 0-9 a-f; zeros when an entry is wrong.
    #[serde(default)]
    pub journal: String,
    /// Transfers read.
    pub transfers: u64,
    /// The hash of the last transfer, which covers all of them: 64 characters of 0-9 a-f.
    pub head: String,
    /// Rows of the meter that the journal made.
    #[serde(default)]
    pub meters: u64,
    /// Every rule that was checked.
    pub checks: Vec<AuditCheck>,
}

/// One rule of the books.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AuditCheck {
    /// Its name, as in the handbook.
    pub name: String,
    /// True when nothing was found.
    pub ok: bool,
    /// What was found; the first few.
    pub findings: Vec<String>,
}

/// Where the chains of transfers and of journal entries were at the end of one day. Who keeps some of these elsewhere
/// can tell later whether anything before them was altered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DayHead {
    /// The day in UTC, such as `2026-11-22`.
    pub day: String,
    /// How many transfers there were at its end.
    pub transfers: u64,
    /// The hash of the last one: 64 characters of 0-9 a-f; zeros before the first.
    pub head: String,
    /// The last entry of the journal then; days that an older version ended name none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub entries: Option<u64>,
    /// Its hash.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub journal: Option<String>,
}

/// The heads of all days on which something happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DayHeads {
    /// In the order of days.
    pub days: Vec<DayHead>,
}

/// A bound of an export: a time in RFC 3339, or a day, which means its beginning in UTC.
pub fn moment(text: &str) -> Result<Timestamp, String> {
    let day = text.len() == 10 && !text.contains('T');
    let long = if day { format!("{text}T00:00:00Z") } else { text.to_owned() };
    long.parse().map_err(|_| format!("`{text}` is no day such as 2026-11-22 and no time such as 2026-11-22T08:00:00Z"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_are_days_and_times() {
        fn check(text: &str, expected: Option<&str>) {
            assert_eq!(moment(text).ok().map(|at| at.to_string()).as_deref(), expected, "{text}");
        }
        check("2026-11-22", Some("2026-11-22T00:00:00.000Z"));
        check("2026-11-22T08:00:00+08:00", Some("2026-11-22T00:00:00.000Z"));
        check("2026-13-22", None);
        check("yesterday", None);
        check("", None);
    }
}
