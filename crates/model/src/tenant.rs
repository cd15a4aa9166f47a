//! Tenants: who pays, how much they are due, how much they may hold.

use std::{collections::BTreeMap, fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::{
    hex,
    ids::{ProjectId, TenantId},
    quantity::{MilliDevices, Millicores, Money},
};

/// Who pays.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tenant {
    /// Its name.
    pub id: TenantId,
    /// The most jobs it may have that have not ended, so that one tenant cannot fill the network's memory.
    pub jobs_max: u64,
    /// Twice the weight is due twice the share; from 1.
    #[serde(default = "one", skip_serializing_if = "is_one")]
    pub weight: u32,
    /// The most cores that its attempts may hold at once, over all centres; no limit when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quota_cores: Option<Millicores>,
    /// The same of accelerators.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quota_devices: Option<MilliDevices>,
    /// The weights of its projects within its share. `default` is always there, with weight 1 unless it is listed.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub projects: BTreeMap<ProjectId, u32>,
    /// What its token is recognised by; without one nobody comes in for it but the operator.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<TokenHash>,
    /// The industry that its use is counted under in reports.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub industry: Option<String>,
    /// What it may spend.
    #[serde(default, skip_serializing_if = "Budget::is_unlimited")]
    pub budget: Budget,
    /// Its account is closed: it submits nothing and gets no money. Its bills stay.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub closed: bool,
    /// It may reserve capacity in advance for itself, up to its quota.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub may_reserve: bool,
}

/// What a tenant may spend. Limits act when work is placed: what is held counts as spent, so that no limit is ever
/// passed by a unit.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Budget {
    /// In a calendar month of the zone of bills.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub month: Option<Money>,
    /// For an hour of all that runs at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hour: Option<Money>,
    /// In a calendar month, by project.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub projects: BTreeMap<ProjectId, Money>,
    /// What it may owe: it pays when the bill has come. Nothing for those who pay before.
    #[serde(default, skip_serializing_if = "Money::is_zero")]
    pub credit: Money,
}

impl Budget {
    /// Whether nothing is limited and nothing may be owed.
    pub fn is_unlimited(&self) -> bool {
        *self == Budget::default()
    }
}

fn one() -> u32 {
    1
}

fn is_one(weight: &u32) -> bool {
    *weight == 1
}

impl Tenant {
    /// A tenant of weight 1 without quotas, projects or a token.
    pub fn new(id: TenantId, jobs_max: u64) -> Self {
        let projects = BTreeMap::new();
        let (industry, budget) = (None, Budget::default());
        let (quota_cores, quota_devices, token) = (None, None, None);
        Tenant {
            id,
            jobs_max,
            weight: 1,
            quota_cores,
            quota_devices,
            projects,
            token,
            industry,
            budget,
            closed: false,
            may_reserve: false,
        }
    }
}

/// SHA-256 of a tenant's token: the token itself is nowhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TokenHash(pub [u8; 32]);

impl fmt::Display for TokenHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(&self.0))
    }
}

impl FromStr for TokenHash {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        hex::decode(text).map(TokenHash).ok_or_else(|| "a token's hash is 64 hexadecimal characters".to_owned())
    }
}

impl Serialize for TokenHash {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for TokenHash {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

/// What an operator changes of a tenant; what is absent stays as it is.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct TenantChange {
    /// Its weight.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weight: Option<u32>,
    /// The most jobs that have not ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jobs_max: Option<u64>,
    /// The most cores, in thousandths.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quota_cores: Option<Limit>,
    /// The most accelerators, in thousandths.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quota_devices: Option<Limit>,
    /// Weights of projects; others stay as they are.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub projects: BTreeMap<ProjectId, u32>,
    /// The industry.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub industry: Option<String>,
    /// The most money in a month, in millionths.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub budget_month: Option<Limit>,
    /// The most money for an hour of all that runs at once, in millionths.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub budget_hour: Option<Limit>,
    /// The most money of a project in a month; others stay as they are.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub budget_projects: BTreeMap<ProjectId, Limit>,
    /// What it may owe.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credit: Option<Money>,
    /// Whether it may reserve capacity in advance for itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub may_reserve: Option<bool>,
}

/// A limit that may be taken away.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Limit {
    /// No limit.
    None,
    /// So much.
    Most(u64),
}

impl Limit {
    /// The amount; `None` without a limit.
    pub fn amount(self) -> Option<u64> {
        match self {
            Limit::None => None,
            Limit::Most(amount) => Some(amount),
        }
    }
}

/// Bounds of what an operator sets.
pub mod limits {
    /// The largest weight.
    pub const WEIGHT_MAX: u32 = 1_000_000;
    /// The most jobs of one tenant that have not ended.
    pub const JOBS_MAX: u64 = 10_000_000;
    /// The most projects of one tenant.
    pub const PROJECTS_MAX: usize = 1000;
    /// The longest name of an industry, in characters.
    pub const INDUSTRY_LENGTH_MAX: usize = 64;
    /// The largest price of one P·h and the largest budget, in millionths: 10^12 of the currency.
    pub const MONEY_MAX: i64 = 1_000_000_000_000_000_000;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plain_tenant_is_written_as_before() {
        let plain = Tenant::new(TenantId::new("lab").expect("a name"), 9);
        let text = r#"{"id":"lab","jobs_max":9}"#;
        assert_eq!(serde_json::to_string(&plain).expect("JSON"), text);
        assert_eq!(serde_json::from_str::<Tenant>(text).expect("a tenant"), plain);
        let hash = TokenHash([7; 32]);
        assert_eq!(hash.to_string().parse(), Ok(hash));
        assert!("7".parse::<TokenHash>().is_err());
    }
}
