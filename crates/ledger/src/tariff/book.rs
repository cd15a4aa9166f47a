//! All rules of a network, and which of them holds.

use std::{cmp::Reverse, collections::BTreeMap};

use huisuan_model::{
    CentreId, Class, Money, PoolId, TariffRule, TenantId, TimeMs, UnderContract, tenant::limits::MONEY_MAX,
};

use super::{ContractBook, Zone};
use crate::{Currency, invoice::moment};

/// Why a rule is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TariffError {
    /// It overlaps a rule that is about the same.
    #[error(
        "tariff rule for centre `{centre}` overlaps rule {other}, which is about the same at the same time; hint: end \
         rule {other} first, or give the order to rate anew (--rerate)"
    )]
    Overlap {
        /// Whose price.
        centre: CentreId,
        /// The rule that is there.
        other: u32,
    },
    /// It begins in the past.
    #[error(
        "tariff rule for centre `{centre}` begins at {}, which is past; hint: begin at a full hour to come, or \
         give the order to rate anew (--rerate)",
        moment(*from)
    )]
    Retroactive {
        /// Whose price.
        centre: CentreId,
        /// The first moment.
        from: TimeMs,
    },
    /// A field of it makes no sense.
    #[error("tariff rule for centre `{centre}`: {field} {why}; hint: correct it and ask again")]
    Field {
        /// Whose price.
        centre: CentreId,
        /// Which field.
        field: &'static str,
        /// What is wrong with it.
        why: String,
    },
    /// There is no such rule.
    #[error("there is no tariff rule {0}; hint: `huisuan tariff ls` lists the rules")]
    Unknown(u32),
}

/// What a piece of work is to a tariff.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Scope<'a> {
    /// Who pays.
    pub tenant: &'a TenantId,
    /// Where.
    pub centre: &'a CentreId,
    /// On what.
    pub pool: &'a PoolId,
    /// The class of the pool.
    pub class: Class,
    /// The priority of the job.
    pub priority: i32,
}

/// What an hour of a piece of work costs, and by what.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Priced {
    /// The rule of the tariff; 0 for the price of the centre itself.
    pub rule: u32,
    /// The contract that goes before it.
    pub contract: Option<UnderContract>,
    /// Millionths of the currency for one P·h.
    pub price: Money,
}

/// All rules by centre, and the contracts that go before them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TariffBook {
    centres: BTreeMap<CentreId, Vec<TariffRule>>,
    last: u32,
    /// What tenants and centres agreed on.
    pub contracts: ContractBook,
}

impl TariffBook {
    /// The number of the next rule.
    pub fn next_id(&self) -> u32 {
        self.last + 1
    }

    /// Every rule, by number.
    pub fn rules(&self) -> Vec<&TariffRule> {
        let mut rules: Vec<&TariffRule> = self.centres.values().flatten().collect();
        rules.sort_by_key(|rule| rule.id);
        rules
    }

    /// One rule.
    pub fn rule(&self, id: u32) -> Option<&TariffRule> {
        self.centres.values().flatten().find(|rule| rule.id == id)
    }

    /// Whether a rule may be added at `now`. With the order to rate anew it may overlap and begin in the past.
    pub fn check(&self, rule: &TariffRule, rerate: bool, zone: &Zone, now: TimeMs) -> Result<(), TariffError> {
        let centre = || rule.centre.clone();
        let field = |field, why: &str| Err(TariffError::Field { centre: centre(), field, why: why.to_owned() });
        if Currency::new(&rule.currency).is_err() {
            return field("currency", "is not three letters A to Z");
        }
        if !(0..=MONEY_MAX).contains(&rule.price_per_p_h.0) {
            let why = format!("is {}: it is from 0 to 10^12 of the currency", rule.price_per_p_h);
            return field("price", &why);
        }
        if rule.until.is_some_and(|until| until <= rule.from) {
            return field("until", "is not after `from`");
        }
        if !zone.full_hour(rule.from) || rule.until.is_some_and(|until| !zone.full_hour(until)) {
            return field(
                "from or until",
                "is not a full hour of the centre's zone, such as 2026-12-01T00:00:00+08:00",
            );
        }
        if rerate {
            return Ok(());
        }
        if rule.from < now {
            return Err(TariffError::Retroactive { centre: centre(), from: rule.from });
        }
        match self.of(&rule.centre).find(|other| overlap(rule, other)) {
            Some(other) => Err(TariffError::Overlap { centre: centre(), other: other.id }),
            None => Ok(()),
        }
    }

    /// Adds a rule that was checked and numbered.
    pub fn insert(&mut self, rule: TariffRule) {
        self.last = self.last.max(rule.id);
        self.centres.entry(rule.centre.clone()).or_default().push(rule);
    }

    /// Ends a rule at another moment.
    pub fn end(&mut self, id: u32, until: TimeMs) {
        let rule = self.centres.values_mut().flatten().find(|rule| rule.id == id);
        if let Some(rule) = rule {
            rule.until = Some(until);
        }
    }

    /// The rule that holds for work in the hour that `at` is in; `None` when the centre's own price is asked.
    pub fn holding(&self, scope: &Scope<'_>, at: TimeMs, zone: &Zone) -> Option<&TariffRule> {
        let mut met = self.of(scope.centre).filter(|rule| met(rule, scope) && in_force(rule, at)).peekable();
        met.peek()?;
        let hour = zone.hour(at);
        met.filter(|rule| rule.hours.is_none_or(|hours| hours.contains(hour))).max_by_key(|rule| rank(rule))
    }

    /// What work costs in the hour that `at` is in, where the centre itself asks `base`.
    pub fn price(&self, scope: &Scope<'_>, base: Money, at: TimeMs, zone: &Zone) -> Priced {
        let rule = self.holding(scope, at, zone);
        let (rule, list_price) = rule.map_or((0, base), |rule| (rule.id, rule.price_per_p_h));
        let contract = self.contracts.holding(scope, at);
        Priced {
            rule,
            contract: contract.map(|one| UnderContract { id: one.id, list_price }),
            price: contract.map_or(list_price, |one| one.price.of(list_price)),
        }
    }

    /// The highest price that any hour between two moments has: what is held covers it.
    pub fn highest(&self, scope: &Scope<'_>, base: Money, from: TimeMs, until: TimeMs, zone: &Zone) -> Money {
        if self.of(scope.centre).all(|rule| !met(rule, scope)) && !self.contracts.any(scope.tenant, scope.centre) {
            return base;
        }
        let (mut at, mut highest) = (from, Money::ZERO);
        // A day has every hour; beyond it only rules that begin or end can change anything.
        let edges = self.of(scope.centre).flat_map(|rule| [Some(rule.from), rule.until]).flatten();
        let edges = edges.chain(self.contracts.edges(scope));
        let mut edges: Vec<TimeMs> = edges.filter(|edge| (from..until).contains(edge)).collect();
        edges.extend([from]);
        edges.sort_by_key(|edge| Reverse(*edge));
        while let Some(edge) = edges.pop() {
            at = at.max(edge);
            let stop = TimeMs(edge.0.saturating_add(25 * 3_600_000)).min(until);
            while at < stop {
                highest = highest.max(self.price(scope, base, at, zone).price);
                at = zone.hour_end(at);
            }
        }
        highest
    }

    /// The highest price that a centre may ask of anybody from a moment on.
    pub fn ceiling(&self, centre: &CentreId, base: Money, from: TimeMs) -> Money {
        let ahead = self.of(centre).filter(|rule| rule.until.is_none_or(|until| until > from));
        ahead.map(|rule| rule.price_per_p_h).fold(base, Money::max)
    }

    fn of(&self, centre: &CentreId) -> impl Iterator<Item = &TariffRule> {
        self.centres.get(centre).into_iter().flatten()
    }
}

fn met(rule: &TariffRule, scope: &Scope<'_>) -> bool {
    rule.tenant.as_ref().is_none_or(|tenant| tenant == scope.tenant)
        && rule.pool.as_ref().is_none_or(|pool| pool == scope.pool)
        && rule.class.is_none_or(|class| class == scope.class)
        && rule.priority_min.is_none_or(|priority| scope.priority >= priority)
}

fn in_force(rule: &TariffRule, at: TimeMs) -> bool {
    rule.from <= at && rule.until.is_none_or(|until| at < until)
}

/// Larger goes first; the number last, so that the later of two rules holds.
fn rank(rule: &TariffRule) -> (bool, bool, bool, Option<i32>, bool, u32) {
    (rule.tenant.is_some(), rule.pool.is_some(), rule.class.is_some(), rule.priority_min, rule.hours.is_some(), rule.id)
}

/// Whether two rules of a centre are about the same at the same time.
fn overlap(a: &TariffRule, b: &TariffRule) -> bool {
    let alike = (&a.tenant, &a.pool, a.class, a.priority_min) == (&b.tenant, &b.pool, b.class, b.priority_min);
    let hours = match (a.hours, b.hours) {
        (Some(a), Some(b)) => a.meets(b),
        (None, None) => true,
        _ => false,
    };
    let before = |a: &TariffRule, b: &TariffRule| a.until.is_some_and(|until| until <= b.from);
    alike && hours && !before(a, b) && !before(b, a)
}

#[cfg(test)]
mod tests;
