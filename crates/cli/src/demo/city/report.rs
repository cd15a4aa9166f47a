//! What a simulated network tells at its end.

use std::{collections::BTreeMap, time::Duration};

use huisuan_api::{
    Client,
    books::LedgerView,
    centres::CentreView,
    routes::{JobsQuery, PAGE_SIZE_MAX},
    wire::{Amount, Usage},
};
use huisuan_model::TimeMs;
use serde::Serialize;

use crate::{
    args::DemoArgs,
    commands::{
        books::accounts_listing,
        centres::centres_listing,
        jobs::{amount, usage_text},
    },
    failure::Failure,
    output::{Output, fields},
    table::{Cell, Listing},
    text,
};

/// The answer of `demo --city NAME --once -o json`: the fields of any demo, and those of a simulated one.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Report {
    /// How many centres joined.
    pub(super) centres: u64,
    /// How many jobs were submitted.
    pub(super) jobs: u64,
    /// How many ended well.
    pub(super) succeeded: u64,
    /// How many ended badly.
    pub(super) failed: u64,
    /// How many were cancelled.
    pub(super) cancelled: u64,
    /// How many run.
    pub(super) running: u64,
    /// How many wait.
    pub(super) waiting: u64,
    /// How many were refused at the door.
    pub(super) refused: u64,
    /// Work by class in real time; classes are never added.
    pub(super) usage: Usage,
    /// Posted cost in real time.
    pub(super) cost: Amount,
    /// Whether the books add up to nothing.
    pub(super) ledger_balanced: bool,
    /// From the start of the program to its end.
    pub(super) elapsed_ms: u64,
    /// The scenario.
    pub(super) city: String,
    /// How many simulated seconds passed in one.
    pub(super) speed: u64,
    /// Seed of everything random.
    pub(super) seed: u64,
    /// How far the scenario was played.
    pub(super) simulated_hours: f64,
    /// Where the figures come from.
    pub(super) mark: &'static str,
}

/// A look at the network at its end.
pub(super) struct Played {
    pub(super) report: Report,
    centres: Vec<CentreView>,
    ledger: LedgerView,
}

/// How the load came.
pub(super) struct Course {
    /// How far it came.
    pub(super) reached: Duration,
    /// Jobs that were refused.
    pub(super) refused: u64,
    /// Since the start of the program.
    pub(super) elapsed: Duration,
}

impl Played {
    /// Looks through the API, as any client could.
    pub(super) fn look(client: &Client, city: &str, args: &DemoArgs, course: &Course) -> Result<Played, Failure> {
        let states = count_by_state(client)?;
        let count = |state: &str| states.get(state).copied().unwrap_or(0);
        let (centres, ledger, usage) = (client.centres()?.centres, client.ledger()?, client.usage()?);
        let speed = args.city.speed;
        let report = Report {
            centres: centres.len() as u64,
            jobs: states.values().sum(),
            succeeded: count("succeeded"),
            failed: count("failed"),
            cancelled: count("cancelled"),
            running: count("running"),
            waiting: count("waiting"),
            refused: course.refused,
            usage: usage.usage,
            cost: usage.cost,
            ledger_balanced: ledger.balanced,
            elapsed_ms: u64::try_from(course.elapsed.as_millis()).unwrap_or(u64::MAX),
            city: city.to_owned(),
            speed,
            seed: args.seed,
            simulated_hours: (course.reached.as_secs_f64() * speed as f64 / 36.0).round() / 100.0,
            mark: "modelled",
        };
        Ok(Played { report, centres, ledger })
    }

    /// The jobs by state.
    pub(super) fn listing(&self) -> Listing {
        let mut listing = Listing::new(&["state", "jobs"]);
        let Report { succeeded, failed, cancelled, running, waiting, .. } = self.report;
        let counts = [succeeded, failed, cancelled, running, waiting];
        for (state, count) in ["succeeded", "failed", "cancelled", "running", "waiting"].into_iter().zip(counts) {
            listing.row(vec![Cell::state(state), Cell::figure(text::grouped(count), count)]);
        }
        listing
    }

    /// The tables.
    pub(super) fn text(&self, output: &Output, now: TimeMs) -> String {
        let report = &self.report;
        let verdict = if report.ledger_balanced { "balanced" } else { "NOT BALANCED" };
        let summary = fields(&[
            ("SIMULATED", format!("{}, {} hours, seed {}", report.city, report.simulated_hours, report.seed)),
            ("work", format!("{} (modelled, in real time; classes are never added)", usage_text(&report.usage))),
            ("cost", format!("{} (modelled, in real time)", amount(&report.cost))),
            ("ledger", format!("{}, {verdict}", text::count(self.ledger.postings, "posting"))),
            ("took", text::span(report.elapsed_ms)),
        ]);
        let tables = [
            output.table(&centres_listing(&self.centres, now)),
            output.table(&self.listing()),
            output.table(&accounts_listing(&self.ledger)),
        ];
        format!("{}\n\n{summary}", tables.join("\n\n"))
    }
}

/// How many jobs are in each state, page by page.
fn count_by_state(client: &Client) -> Result<BTreeMap<String, u64>, Failure> {
    let mut counts: BTreeMap<String, u64> = BTreeMap::new();
    let mut query = JobsQuery { page_size: Some(PAGE_SIZE_MAX), ..JobsQuery::default() };
    loop {
        let page = client.jobs(&query)?;
        for job in page.jobs {
            *counts.entry(job.state).or_default() += 1;
        }
        match page.next_page_token {
            Some(token) => query.page_token = Some(token),
            None => return Ok(counts),
        }
    }
}
