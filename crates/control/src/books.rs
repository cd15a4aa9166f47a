//! Where money meets the ledger: currencies of tariffs.

use huisuan_ledger::Currency;
use huisuan_model::{Tariff, centre::CURRENCY};

use crate::Refusal;

/// The currency of tenants' balances.
pub(crate) fn home_currency() -> Currency {
    Currency::new(CURRENCY).expect("the constant is a currency code")
}

/// The currency of a tariff that passed [`check`].
pub(crate) fn currency(tariff: &Tariff) -> Currency {
    Currency::new(&tariff.currency).expect("a tariff is checked before it is stored")
}

/// Whether work can be charged by a tariff.
pub(crate) fn check(tariff: &Tariff) -> Result<(), Refusal> {
    if Currency::new(&tariff.currency).is_ok() && tariff.price_per_p_h.0 >= 0 {
        return Ok(());
    }
    Err(Refusal::Tariff { currency: tariff.currency.clone(), price: tariff.price_per_p_h })
}
