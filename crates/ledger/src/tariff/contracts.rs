//! All contracts of a network, and which of them work falls under.

use std::collections::BTreeMap;

use huisuan_model::{
    AgreedPrice, CentreId, Contract, Money, TenantId, TimeMs, contract::NOTE_BYTES_MAX, tenant::limits::MONEY_MAX,
};

use super::{Scope, Zone};
use crate::{Currency, invoice::moment};

/// Why a contract is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ContractError {
    /// It overlaps a contract that is about the same.
    #[error(
        "contract of `{tenant}` with centre `{centre}` overlaps contract {other}, which is about the same at the same \
         time; hint: end contract {other} first, or begin when it is over"
    )]
    Overlap {
        /// Who pays.
        tenant: String,
        /// Whose compute.
        centre: CentreId,
        /// The contract that is there.
        other: u32,
    },
    /// It begins in the past.
    #[error(
        "contract with centre `{centre}` begins at {}, which is past; hint: begin at a full hour to come, and price \
         what was used before by `huisuan tariff add --tenant NAME --rerate`",
        moment(*from)
    )]
    Retroactive {
        /// Whose compute.
        centre: CentreId,
        /// The first moment.
        from: TimeMs,
    },
    /// A field of it makes no sense.
    #[error("contract with centre `{centre}`: {field} {why}; hint: correct it and ask again")]
    Field {
        /// Whose compute.
        centre: CentreId,
        /// Which field.
        field: &'static str,
        /// What is wrong with it.
        why: String,
    },
    /// There is no such contract.
    #[error("there is no contract {0}; hint: `huisuan contract ls` lists the contracts")]
    Unknown(u32),
}

/// All contracts by centre.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ContractBook {
    centres: BTreeMap<CentreId, Vec<Contract>>,
    last: u32,
}

impl ContractBook {
    /// The number of the next contract.
    pub fn next_id(&self) -> u32 {
        self.last + 1
    }

    /// Whether none was ever made.
    pub fn is_empty(&self) -> bool {
        self.centres.is_empty()
    }

    /// Every contract, by number.
    pub fn all(&self) -> Vec<&Contract> {
        let mut all: Vec<&Contract> = self.centres.values().flatten().collect();
        all.sort_by_key(|contract| contract.id);
        all
    }

    /// One contract.
    pub fn get(&self, id: u32) -> Option<&Contract> {
        self.centres.values().flatten().find(|contract| contract.id == id)
    }

    /// Whether a contract may be made at `now`.
    pub fn check(&self, contract: &Contract, zone: &Zone, now: TimeMs) -> Result<(), ContractError> {
        let centre = || contract.centre.clone();
        let field = |field, why: &str| Err(ContractError::Field { centre: centre(), field, why: why.to_owned() });
        if Currency::new(&contract.currency).is_err() {
            return field("currency", "is not three letters A to Z");
        }
        match contract.price {
            AgreedPrice::PerPh(price) if !(0..=MONEY_MAX).contains(&price.0) => {
                return field("price", &format!("is {price}: it is from 0 to 10^12 of the currency"));
            }
            AgreedPrice::DiscountPermille(less) if !(1..=1000).contains(&less) => {
                return field("discount", "is not from 0.1 to 100 percent");
            }
            _ => {}
        }
        if contract.until.is_some_and(|until| until <= contract.from) {
            return field("until", "is not after `from`");
        }
        if !zone.full_hour(contract.from) || contract.until.is_some_and(|until| !zone.full_hour(until)) {
            return field(
                "from or until",
                "is not a full hour of the centre's zone, such as 2026-12-01T00:00:00+08:00",
            );
        }
        if contract.note.len() > NOTE_BYTES_MAX || contract.note.chars().any(char::is_control) {
            return field("note", "is not one line of at most 200 bytes");
        }
        if contract.from < now {
            return Err(ContractError::Retroactive { centre: centre(), from: contract.from });
        }
        match self.of(&contract.centre).find(|other| overlap(contract, other)) {
            Some(other) => {
                let tenant = contract.tenant.to_string();
                Err(ContractError::Overlap { tenant, centre: centre(), other: other.id })
            }
            None => Ok(()),
        }
    }

    /// Adds a contract that was checked and numbered.
    pub fn insert(&mut self, contract: Contract) {
        self.last = self.last.max(contract.id);
        self.centres.entry(contract.centre.clone()).or_default().push(contract);
    }

    /// Ends a contract at another moment.
    pub fn end(&mut self, id: u32, until: TimeMs) {
        let contract = self.centres.values_mut().flatten().find(|contract| contract.id == id);
        if let Some(contract) = contract {
            contract.until = Some(until);
        }
    }

    /// The contract that work falls under at a moment.
    pub fn holding(&self, scope: &Scope<'_>, at: TimeMs) -> Option<&Contract> {
        let met = self.of(scope.centre).filter(|one| one.covers(scope.tenant, scope.pool, scope.class, at));
        met.max_by_key(|one| (one.pool.is_some(), one.class.is_some(), one.id))
    }

    /// The highest agreed price between two moments where the tariff asks no more than `ceiling`; `None` unless work
    /// is under contract all the time.
    pub fn highest(&self, scope: &Scope<'_>, ceiling: Money, from: TimeMs, until: TimeMs) -> Option<Money> {
        let mut edges: Vec<TimeMs> = self.edges(scope).filter(|edge| *edge > from && *edge < until).collect();
        edges.push(from);
        let prices = edges.into_iter().map(|at| self.holding(scope, at).map(|one| one.price.of(ceiling)));
        prices.collect::<Option<Vec<Money>>>()?.into_iter().max()
    }

    /// Whether a tenant ever had a contract with a centre.
    pub fn any(&self, tenant: &TenantId, centre: &CentreId) -> bool {
        self.of(centre).any(|one| one.tenant == *tenant)
    }

    /// When contracts of the tenant with the centre begin and end.
    pub(super) fn edges<'a>(&'a self, scope: &Scope<'a>) -> impl Iterator<Item = TimeMs> + 'a {
        let tenant = scope.tenant;
        let own = self.of(scope.centre).filter(move |one| one.tenant == *tenant);
        own.flat_map(|one| [Some(one.from), one.until]).flatten()
    }

    fn of(&self, centre: &CentreId) -> impl Iterator<Item = &Contract> {
        self.centres.get(centre).into_iter().flatten()
    }
}

/// Whether two contracts with a centre are about the same at the same time.
fn overlap(a: &Contract, b: &Contract) -> bool {
    let before = |a: &Contract, b: &Contract| a.until.is_some_and(|until| until <= b.from);
    let alike = (&a.tenant, &a.pool, a.class) == (&b.tenant, &b.pool, b.class);
    alike && !a.withdrawn() && !b.withdrawn() && !before(a, b) && !before(b, a)
}

#[cfg(test)]
mod tests;
