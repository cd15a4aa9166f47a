//! Names of the few that take part, from their numbers.

use huisuan_ledger::Currency;
use huisuan_model::{AttemptId, CentreId, JobId, TenantId};

pub(crate) fn tenant(number: u8) -> TenantId {
    TenantId::new(&format!("t{number}")).expect("a name")
}

pub(crate) fn centre(number: u8) -> CentreId {
    CentreId::new(&format!("c{number}")).expect("a name")
}

pub(crate) fn currency(number: u8) -> Currency {
    Currency::new(["CNY", "EUR"][usize::from(number)]).expect("a currency")
}

pub(crate) fn attempt(number: u32) -> AttemptId {
    AttemptId { job: JobId(u64::from(number / 4) + 1), task: number % 4, attempt: 1 }
}
