//! Contracts: what a tenant and a centre agreed on for a time. Work under a contract is priced by it, whatever the
//! centre's tariff says.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{
    centre::Class,
    ids::{CentreId, PoolId, TenantId},
    quantity::{Money, TimeMs, mul_div},
};

/// The longest note, in bytes.
pub const NOTE_BYTES_MAX: usize = 200;

/// One contract. Of several that work falls under the one for a pool goes before the one for a class, that before the
/// one for all of a centre, and the later before the earlier.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Contract {
    /// Its number in the network, from 1. It is set by the network.
    pub id: u32,
    /// Who pays.
    pub tenant: TenantId,
    /// Whose compute it is.
    pub centre: CentreId,
    /// Only this pool.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pool: Option<PoolId>,
    /// Only pools of this class.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub class: Option<Class>,
    /// The first moment: a full hour of the centre's zone.
    pub from: TimeMs,
    /// The first moment after it; open when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<TimeMs>,
    /// ISO 4217 code.
    pub currency: String,
    /// What was agreed on.
    pub price: AgreedPrice,
    /// For people: the number of the paper, for instance.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub note: String,
}

impl Contract {
    /// Whether work of a tenant on a pool falls under it at a moment.
    pub fn covers(&self, tenant: &TenantId, pool: &PoolId, class: Class, at: TimeMs) -> bool {
        self.tenant == *tenant
            && self.pool.as_ref().is_none_or(|wanted| wanted == pool)
            && self.class.is_none_or(|wanted| wanted == class)
            && self.in_force(at)
    }

    /// Whether it was taken back before it began: it never holds.
    pub fn withdrawn(&self) -> bool {
        self.until.is_some_and(|until| until <= self.from)
    }

    /// Whether it holds at a moment.
    pub fn in_force(&self, at: TimeMs) -> bool {
        self.from <= at && self.until.is_none_or(|until| at < until)
    }
}

/// The price of a contract.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AgreedPrice {
    /// Millionths of the currency for one P·h, at all hours.
    PerPh(Money),
    /// So many thousandths less than what the tariff asks in that hour.
    DiscountPermille(u16),
}

impl AgreedPrice {
    /// What one P·h costs where the tariff asks `list`, in millionths; a discount is rounded in the tenant's favour.
    pub fn of(self, list: Money) -> Money {
        match self {
            AgreedPrice::PerPh(price) => price,
            AgreedPrice::DiscountPermille(less) => {
                let asked = u64::try_from(list.0).unwrap_or(0);
                let price = mul_div(asked, u64::from(1000_u16.saturating_sub(less)), 1000);
                Money(i64::try_from(price).unwrap_or(i64::MAX))
            }
        }
    }
}

/// What a reading says of the contract that it was priced by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct UnderContract {
    /// The contract.
    pub id: u32,
    /// Millionths of the currency that the tariff asked for one P·h then.
    pub list_price: Money,
}

impl fmt::Display for UnderContract {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "contract-{}", self.id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_price_is_fixed_or_follows_the_tariff() {
        for (price, list, expected) in [
            (AgreedPrice::PerPh(Money(7)), 1_000, 7),
            (AgreedPrice::PerPh(Money(7)), 0, 7),
            (AgreedPrice::DiscountPermille(0), 1_001, 1_001),
            (AgreedPrice::DiscountPermille(150), 1_001, 850),
            (AgreedPrice::DiscountPermille(1000), 1_001, 0),
            (AgreedPrice::DiscountPermille(u16::MAX), i64::MAX, 0),
            (AgreedPrice::DiscountPermille(1), i64::MAX, i64::MAX - i64::MAX / 1000 - 1),
        ] {
            assert_eq!(price.of(Money(list)), Money(expected), "{price:?} of {list}");
        }
    }
}
