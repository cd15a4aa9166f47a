//! What the demo tells at its end.

use std::collections::BTreeMap;

use huisuan_api::{
    books::LedgerView,
    centres::CentreView,
    jobs::JobSummary,
    wire::{Amount, Usage},
};
use huisuan_model::{Class, Gflop, TimeMs};
use serde::Serialize;

use crate::{
    commands::{
        books::accounts_listing,
        centres::centres_listing,
        jobs::{amount, jobs_listing, usage_text},
    },
    output::{Output, fields},
    table::Listing,
    text,
};

/// The answer of `demo --once -o json`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Report {
    /// How many centres joined.
    pub(crate) centres: u64,
    /// How many jobs were submitted.
    pub(crate) jobs: u64,
    /// How many ended well.
    pub(crate) succeeded: u64,
    /// How many ended badly; one example does so on purpose.
    pub(crate) failed: u64,
    /// How many were cancelled; the demo cancels one example.
    pub(crate) cancelled: u64,
    /// Work by class; classes are never added.
    pub(crate) usage: Usage,
    /// Posted cost.
    pub(crate) cost: Amount,
    /// Whether the books add up to nothing.
    pub(crate) ledger_balanced: bool,
    /// From the start of the program to the end of the last job.
    pub(crate) elapsed_ms: u64,
    /// True when the three centres have the same cores: their capacities must not be added.
    pub(crate) overlapping: bool,
    /// Where the figures come from.
    pub(crate) mark: &'static str,
}

/// Everything that the closing tables show.
#[derive(Debug, Clone)]
pub(crate) struct Closing {
    /// The centres as they are now.
    pub(crate) centres: Vec<CentreView>,
    /// The jobs in the order in which they were submitted.
    pub(crate) jobs: Vec<JobSummary>,
    /// The books.
    pub(crate) ledger: LedgerView,
    /// See [`Report::elapsed_ms`].
    pub(crate) elapsed_ms: u64,
}

impl Closing {
    /// The figures alone.
    pub(crate) fn report(&self) -> Report {
        let count = |state: &str| self.jobs.iter().filter(|job| job.state == state).count() as u64;
        Report {
            centres: self.centres.len() as u64,
            jobs: self.jobs.len() as u64,
            succeeded: count("succeeded"),
            failed: count("failed"),
            cancelled: count("cancelled"),
            usage: self.usage(),
            cost: self.cost(),
            ledger_balanced: self.ledger.balanced,
            elapsed_ms: self.elapsed_ms,
            overlapping: self.centres.iter().any(|centre| centre.overlapping),
            mark: "measured",
        }
    }

    /// The jobs alone.
    pub(crate) fn jobs_listing(&self, now: TimeMs) -> Listing {
        jobs_listing(&self.jobs, now)
    }

    /// Work of these jobs alone, by class: the network may have run others before.
    fn usage(&self) -> Usage {
        let mut work: BTreeMap<Class, Gflop> = BTreeMap::new();
        for (class, usage) in self.jobs.iter().flat_map(|job| &job.usage.0) {
            let sum = work.entry(*class).or_default();
            *sum = sum.saturating_add(Gflop(usage.gflop));
        }
        Usage::from(&work)
    }

    fn cost(&self) -> Amount {
        let currency = self.jobs.first().map(|job| job.cost.currency.clone()).unwrap_or_default();
        Amount { amount: self.jobs.iter().map(|job| job.cost.amount).sum(), currency }
    }

    /// The tables.
    pub(crate) fn text(&self, output: &Output, now: TimeMs) -> String {
        let verdict = if self.ledger.balanced { "balanced" } else { "NOT BALANCED" };
        let summary = fields(&[
            ("work", format!("{} (measured; classes are never added)", usage_text(&self.usage()))),
            ("cost", amount(&self.cost())),
            ("ledger", format!("{}, {verdict}", text::count(self.ledger.postings, "posting"))),
            ("took", text::span(self.elapsed_ms)),
        ]);
        let tables = [
            output.table(&centres_listing(&self.centres, now)),
            output.table(&jobs_listing(&self.jobs, now)),
            output.table(&accounts_listing(&self.ledger)),
        ];
        format!("{}\n\n{summary}", tables.join("\n\n"))
    }
}
