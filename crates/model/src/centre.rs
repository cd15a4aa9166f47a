//! Centres, their pools, ratings and tariffs.

mod pool;

use std::{collections::BTreeMap, fmt, str::FromStr, sync::Arc};

pub use pool::{Pool, RatedShare};

use serde::{Deserialize, Serialize};

use crate::{
    advance::AdvanceReservation,
    alarm::Alarm,
    facts::Facts,
    ids::{CentreId, PoolId},
    oddity::OddBook,
    place::Place,
    quantity::{Gflop, Money, TimeMs, mul_div},
    starts::Starts,
    tenant::TokenHash,
    window::Window,
};

/// The currency of this version's books; tariffs name it, so that more can come.
pub const CURRENCY: &str = "CNY";

/// The zone whose calendar months are those of bills and budgets.
pub const BILLING_ZONE: &str = "Asia/Shanghai";

/// The three classes of compute. They are never added together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Class {
    /// 智算: FP16/BF16 dense.
    Ai,
    /// 超算: FP64.
    Hpc,
    /// 通算: FP32.
    General,
}

impl Class {
    /// All classes in their fixed order.
    pub const ALL: [Class; 3] = [Class::Ai, Class::Hpc, Class::General];

    /// The word used in code, API and console.
    pub fn as_str(self) -> &'static str {
        match self {
            Class::Ai => "ai",
            Class::Hpc => "hpc",
            Class::General => "general",
        }
    }

    /// The precision that its unit is pinned to.
    pub fn precision(self) -> &'static str {
        match self {
            Class::Ai => "bf16",
            Class::Hpc => "fp64",
            Class::General => "fp32",
        }
    }
}

impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Class {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        Class::ALL
            .into_iter()
            .find(|class| class.as_str() == text)
            .ok_or_else(|| format!("class `{text}` is none of ai, hpc, general"))
    }
}

/// What a centre runs work with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EngineKind {
    /// Processes of one machine.
    Local,
    /// A Slurm cluster.
    Slurm,
    /// A Kubernetes cluster.
    Kubernetes,
    /// Nothing: a virtual centre, whose figures are modelled.
    Simulated,
}

impl EngineKind {
    /// Whether it has a queue of its own that others fill, too, and does not say when it will start a job.
    pub fn opaque(self) -> bool {
        matches!(self, EngineKind::Slurm | EngineKind::Kubernetes)
    }
}

/// Where a figure comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mark {
    /// Observed on the real thing.
    Measured,
    /// Computed by a model or the twin.
    Modelled,
    /// Said by somebody: nameplate.
    Declared,
}

/// The price of a centre's compute.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tariff {
    /// ISO 4217 code.
    pub currency: String,
    /// Millionths of the currency for one P·h of the centre's class.
    pub price_per_p_h: Money,
}

impl Tariff {
    /// The price of work, rounded down to a millionth. Amounts beyond 64 bits are capped.
    pub fn price(&self, work: Gflop) -> Money {
        let price = u64::try_from(self.price_per_p_h.0).unwrap_or(0);
        let amount = mul_div(work.0, price, crate::quantity::GFLOP_PER_P_H);
        Money(i64::try_from(amount).unwrap_or(i64::MAX))
    }

    /// The same rounded up: what is held, so that it covers what is charged.
    pub fn price_up(&self, work: Gflop) -> Money {
        self.price_per_p_h.price_up(work)
    }
}

/// What was agreed when an attempt was placed: its share of the rating and its price.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Terms {
    /// What its work is counted with.
    pub share: RatedShare,
    /// What its work is priced with.
    pub tariff: Tariff,
    /// Where the rate of its share comes from, and so its work. Terms of earlier versions do not tell, and stand for
    /// measured ones.
    #[serde(default = "measured", skip_serializing_if = "is_measured")]
    pub mark: Mark,
}

fn measured() -> Mark {
    Mark::Measured
}

fn is_measured(mark: &Mark) -> bool {
    *mark == Mark::Measured
}

impl Terms {
    /// The price of running for `ms` milliseconds, rounded up: what is held for it.
    pub fn hold(&self, ms: u64) -> Money {
        self.tariff.price_up(self.share.work(ms))
    }
}

/// Whether new work may be placed at a centre.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CentreState {
    /// Takes work.
    Active,
    /// Takes no new work; what runs goes on.
    Paused,
}

/// Whether a centre's agent is heard.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Presence {
    /// It is.
    Present,
    /// It has been silent for long; it gets no new work until it is back.
    Absent,
}

/// One site with one operator, one engine, a place, a tariff.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Centre {
    /// Its name.
    pub id: CentreId,
    /// The class it is run as.
    pub class: Class,
    /// What it runs work with.
    pub engine: EngineKind,
    /// IANA time zone, for tariffs and auction hours.
    pub zone: String,
    /// Where it stands.
    pub place: Option<Place>,
    /// Its price.
    pub tariff: Tariff,
    /// True when its cores are also another centre's: such capacities are never summed.
    pub overlapping: bool,
    /// Whether it takes work.
    pub state: CentreState,
    /// Its pools by part number.
    pub pools: BTreeMap<PoolId, Pool>,
    /// The highest report sequence applied, so that a repeated report is harmless.
    pub reported_seq: u64,
    /// When its agent was last heard with something to record.
    pub reported_at: Option<TimeMs>,
    /// Since when its agent is taken to be away; `None` while it is there, and before it ever joined.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub absent_since: Option<TimeMs>,
    /// When it runs nothing, by number. Those that have ended go when another is added.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub windows: Vec<Window>,
    /// The number of the last window that it was given.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub window_last: u32,
    /// What is kept of it in advance, by number. Those that have ended go when another is added.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reservations: Vec<AdvanceReservation>,
    /// The number of the last reservation in advance that it was given.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub reservation_last: u32,
    /// Its links and its power, where they are declared.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub facts: Option<Arc<Facts>>,
    /// What its agent's token is recognised by, once an operator gave it one of its own. Until then the token that the
    /// server derives for it is good.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<TokenHash>,
    /// What somebody has to look at there, by what it is about.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub alarms: Vec<Alarm>,
    /// The key that its ratings are signed with: that of the first signed one, or one that an operator accepted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rating_key: Option<String>,
    /// The last version of the ratings of pools that changed or went since: the next rating of such a pool has the one
    /// after, so that a version names one rating for ever.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub rating_versions: BTreeMap<PoolId, u32>,
    /// How soon it starts work, as far as that was learnt: of opaque centres.
    #[serde(default, skip_serializing_if = "Starts::is_empty")]
    pub starts: Starts,
    /// What it reported lately that cannot be.
    #[serde(default, skip_serializing_if = "OddBook::is_empty")]
    pub odd: OddBook,
}

fn is_zero(number: &u32) -> bool {
    *number == 0
}

impl Centre {
    /// A centre as its operator declares it: active, without pools, never heard.
    pub fn new(id: CentreId, class: Class, engine: EngineKind, zone: &str, tariff: Tariff) -> Self {
        Centre {
            id,
            class,
            engine,
            zone: zone.to_owned(),
            place: None,
            tariff,
            overlapping: false,
            state: CentreState::Active,
            pools: BTreeMap::new(),
            reported_seq: 0,
            reported_at: None,
            absent_since: None,
            windows: Vec::new(),
            window_last: 0,
            reservations: Vec::new(),
            reservation_last: 0,
            facts: None,
            token: None,
            alarms: Vec::new(),
            rating_key: None,
            rating_versions: BTreeMap::new(),
            starts: Starts::default(),
            odd: OddBook::default(),
        }
    }

    /// Whether its agent is heard, as far as the state knows.
    pub fn presence(&self) -> Presence {
        if self.absent_since.is_some() { Presence::Absent } else { Presence::Present }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn price_is_rounded_down_to_a_millionth() {
        let tariff = Tariff { currency: "CNY".into(), price_per_p_h: Money(3_000_000_000) };
        assert_eq!(tariff.price(Gflop(3_600_000_000)), Money(3_000_000_000));
        assert_eq!(tariff.price(Gflop(600)), Money(500));
        assert_eq!(tariff.price(Gflop(1)), Money(0));
        assert_eq!((tariff.price_up(Gflop(1)), tariff.price_up(Gflop(600))), (Money(1), Money(500)));
    }
}
