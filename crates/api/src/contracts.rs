//! Contracts between tenants and centres on the wire. Money is in millionths.

use huisuan_model::{AgreedPrice, Contract, TimeMs};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::wire::{Amount, Timestamp};

/// All contracts that somebody may see, by number.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ContractList {
    /// One for each.
    pub contracts: Vec<ContractView>,
}

/// One contract.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ContractView {
    /// Its number.
    pub contract: u32,
    /// Who pays.
    pub tenant: String,
    /// Whose compute it is.
    pub centre: String,
    /// Only this pool.
    pub pool: Option<String>,
    /// Only pools of this class.
    pub class: Option<String>,
    /// Its first moment.
    pub from: Timestamp,
    /// The first moment after it; open when `null`.
    pub until: Option<Timestamp>,
    /// The price of one P·h; `null` where a discount was agreed on.
    pub price_per_p_h: Option<Amount>,
    /// Thousandths less than what the tariff asks; `null` where a price was agreed on.
    pub discount_permille: Option<u16>,
    /// For people.
    pub note: String,
    /// `coming`, `in-force`, `ended`, or `withdrawn` before it began.
    pub state: String,
}

impl ContractView {
    /// A contract as it is at a moment.
    pub fn new(contract: &Contract, now: TimeMs) -> Self {
        let state = match () {
            () if contract.withdrawn() => "withdrawn",
            () if contract.in_force(now) => "in-force",
            () if now < contract.from => "coming",
            () => "ended",
        };
        let (price, discount) = match contract.price {
            AgreedPrice::PerPh(price) => (Some(price), None),
            AgreedPrice::DiscountPermille(less) => (None, Some(less)),
        };
        ContractView {
            contract: contract.id,
            tenant: contract.tenant.to_string(),
            centre: contract.centre.to_string(),
            pool: contract.pool.as_ref().map(ToString::to_string),
            class: contract.class.map(|class| class.to_string()),
            from: contract.from.into(),
            until: contract.until.map(Into::into),
            price_per_p_h: price.map(|price| Amount { amount: price.0, currency: contract.currency.clone() }),
            discount_permille: discount,
            note: contract.note.clone(),
            state: state.to_owned(),
        }
    }
}

/// A new contract: a price or a discount.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ContractRequest {
    /// Who pays.
    pub tenant: String,
    /// Whose compute it is.
    pub centre: String,
    /// Only this pool.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pool: Option<String>,
    /// Only pools of this class.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub class: Option<String>,
    /// Its first moment, a full hour of the centre's zone to come; the next one when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<Timestamp>,
    /// The first moment after it, a full hour.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
    /// Millionths of the network's currency for one P·h.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub price_per_p_h: Option<i64>,
    /// Thousandths less than what the tariff asks in that hour, 1 to 1000.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub discount_permille: Option<u16>,
    /// For people: the number of the paper, for instance; one line.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub note: String,
}

/// The end of a contract.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ContractEndRequest {
    /// The first moment after it: a full hour to come; the next one when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
}
