//! The bills of all tenants as one FOCUS file: month by month, tenant by tenant.

use std::collections::VecDeque;

use huisuan_control::ledger::{
    invoice::{Aliases, Bill, Party, focus_header, focus_rows},
    tariff::Zone,
};
use huisuan_model::{TenantId, TimeMs};
use huisuan_store::{Reader, StoreError};

use super::export::Span;

/// An export of bills under way. One bill is made at a time.
#[derive(Debug)]
pub(super) struct Bills {
    aliases: Aliases,
    span: Span,
    now: TimeMs,
    /// What is still to come; `None` before the header.
    left: Option<VecDeque<Part>>,
}

/// What of one month's bill of one tenant is within the span.
#[derive(Debug)]
pub(super) struct Part {
    pub(super) tenant: TenantId,
    pub(super) month: i32,
    pub(super) from: TimeMs,
    pub(super) until: TimeMs,
}

impl Bills {
    pub(super) fn new(aliases: Aliases, span: Span, now: TimeMs) -> Self {
        Bills { aliases, span, now, left: None }
    }

    /// The header, then the rows of one bill after another; `None` when all were given.
    pub(super) fn next(&mut self, reader: &Reader) -> Result<Option<String>, StoreError> {
        let Some(left) = &mut self.left else {
            self.left = Some(parts(reader, self.span)?);
            return Ok(Some(focus_header(self.aliases)));
        };
        let Some(Part { tenant, month, from, until }) = left.pop_front() else { return Ok(None) };
        let rows = reader.meters_of_tenant(&tenant, from, until)?;
        let bill = Bill::of(Party::Tenant(tenant), month, self.now, &rows);
        Ok(Some(focus_rows(&bill, self.aliases)))
    }
}

/// Every bill that has records within a span, up to the last one that there is now.
pub(super) fn parts(reader: &Reader, span: Span) -> Result<VecDeque<Part>, StoreError> {
    let mut parts = VecDeque::new();
    let Some((first, last)) = reader.metered_between()? else { return Ok(parts) };
    let begin = span.from.map_or(first, |from| from.max(first));
    let after = TimeMs(last.0.saturating_add(1));
    let end = span.until.map_or(after, |until| until.min(after));
    let zone = Zone::of_bills();
    let mut month = zone.month(begin);
    while begin < end && zone.month_range(month).0 < end {
        let range = zone.month_range(month);
        let (from, until) = (range.0.max(begin), range.1.min(end));
        let billed = reader.billed(from, until)?;
        parts.extend(billed.into_iter().map(|(tenant, ..)| Part { tenant, month, from, until }));
        month += 1;
    }
    Ok(parts)
}
