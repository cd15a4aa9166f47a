//! Where money meets the ledger: currencies of tariffs.

use huisuan_ledger::Currency;
use huisuan_model::{Money, Tariff, centre::CURRENCY};

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

/// An amount of the network's currency for people: `CNY 0.000750`.
pub(crate) fn told(amount: Money) -> String {
    let (sign, parts) = (if amount.0 < 0 { "-" } else { "" }, amount.0.unsigned_abs());
    format!("{CURRENCY} {sign}{}.{:06}", parts / 1_000_000, parts % 1_000_000)
}
