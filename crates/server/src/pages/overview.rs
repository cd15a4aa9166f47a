//! The first page: the classes, the centres, the newest jobs and the books at a glance.

use std::sync::Arc;

use axum::{extract::State, response::Response};
use huisuan_api::{
    books::{LedgerView, UsageView},
    centres::CentreView,
    jobs::JobSummary,
    routes::JobsQuery,
};
use huisuan_model::{Class, JobState, Reason, TimeMs};
use maud::{Markup, html};

use super::{
    bars, centres, jobs, numbers,
    page::{Page, Place, PlainQuery},
    words,
};
use crate::{
    http::{self, App, Failure, extract::Params},
    identity::Scope,
    server::Shared,
};

/// Jobs shown on the first page.
const JOBS_SHOWN: u32 = 12;
/// Waiting jobs shown on the first page.
const WAITING_SHOWN: usize = 5;
/// Waiting jobs looked through for them.
const WAITING_LOOKED_AT: u32 = 50;

pub(super) async fn overview(State(shared): App, page: Page, query: Result<Params<PlainQuery>, Failure>) -> Response {
    page.answer(Place::Network, body(&shared, &page, query).await)
}

async fn body(
    shared: &Arc<Shared>,
    page: &Page,
    query: Result<Params<PlainQuery>, Failure>,
) -> Result<(String, TimeMs, Markup), Failure> {
    query?;
    let centres = http::centres::views(shared).await?;
    let usage = http::books::usage_view(shared, &Scope::All).await?;
    let ledger = http::books::ledger_view(shared).await?;
    let live = shared.writer.look(|network| network.jobs_live()).await?;
    let newest = JobsQuery { page_size: Some(JOBS_SHOWN), ..JobsQuery::default() };
    let jobs = http::jobs::page(shared, newest, &Scope::All).await?.jobs;
    let waiting = waiting(shared).await?;
    let now = shared.clock.now();
    let connected = centres.iter().filter(|centre| centre.connected).count();
    let tagline = page.fill(words::TAGLINE, &[&centres.len().to_string(), &connected.to_string()]);
    let main = html! {
        div.title {
            h1 { (page.say(words::NETWORK)) }
            p.quiet {
                (tagline) " · "
                (page.fill(words::JOBS_TOTAL, &[&numbers::grouped(usage.jobs)])) " · "
                (page.fill(words::JOBS_LIVE, &[&numbers::grouped(live)]))
            }
        }
        (classes(page, &centres, &usage, &ledger, now))
        section {
            h2 { (page.say(words::CENTRES)) }
            @if centres.is_empty() { p.card.empty { (page.say(words::CENTRES_NONE)) } }
            div.cards { @for centre in &centres { (centres::card(page, centre, now)) } }
        }
        @if !waiting.is_empty() {
            section {
                div.section-head {
                    h2 { (page.say(words::WAITING_HEAD)) }
                    a href=(page.link("/jobs?state=waiting")) { (page.say(words::ALL_WAITING)) }
                }
                (jobs::table(page, &waiting, now))
            }
        }
        section {
            div.section-head {
                h2 { (page.say(words::RECENT)) }
                a href=(page.link("/jobs")) { (page.say(words::ALL_JOBS)) }
            }
            @if jobs.is_empty() { (jobs::none(page)) } @else { (jobs::table(page, &jobs, now)) }
        }
    };
    Ok((page.say(words::NETWORK).to_owned(), now, main))
}

/// The newest jobs that a cycle has looked at and that wait, with why.
async fn waiting(shared: &Arc<Shared>) -> Result<Vec<JobSummary>, Failure> {
    let newest = JobsQuery {
        state: Some(JobState::Waiting.as_str().to_owned()),
        page_size: Some(WAITING_LOOKED_AT),
        ..JobsQuery::default()
    };
    let mut jobs = http::jobs::page(shared, newest, &Scope::All).await?.jobs;
    jobs.retain(|job| job.reason.as_ref().is_some_and(|reason| reason.code != Reason::NotPlanned.code()));
    jobs.truncate(WAITING_SHOWN);
    Ok(jobs)
}

/// What was used of each class, side by side and never added, and the money beside them.
fn classes(page: &Page, centres: &[CentreView], usage: &UsageView, ledger: &LedgerView, now: TimeMs) -> Markup {
    html! {
        section {
            div.classes {
                @for class in Class::ALL { (one_class(page, class, centres, usage)) }
                div.card.money {
                    h2.card-title { (page.say(words::COST_POSTED)) }
                    p.figure { (numbers::money(&usage.cost)) }
                    p.balance {
                        @if ledger.balanced {
                            span.state.succeeded { (bars::check()) (page.say(words::BALANCED)) }
                        } @else {
                            span.state.failed { (bars::cross()) (page.say(words::UNBALANCED)) }
                        }
                    }
                    p.quiet.small { (page.fill(words::POSTINGS, &[&numbers::grouped(ledger.postings)])) }
                }
            }
            p.quiet.small.note {
                (page.say(words::CLASS_NEVER_ADDED)) " "
                (page.say(words::COUNTED_SINCE)) " " (numbers::moment(usage.since, now, page.language))
                (page.say(words::FULL_STOP))
            }
        }
    }
}

fn one_class(page: &Page, class: Class, centres: &[CentreView], usage: &UsageView) -> Markup {
    let (name, precision) = words::class(class.as_str()).expect("every class of the model has a word");
    let used = usage.usage.0.get(&class).map_or(0, |used| used.gflop);
    let names = centres.iter().filter(|centre| centre.class == class.as_str());
    html! {
        div class={ "card class edge-" (class.as_str()) } {
            h2.card-title { (page.say(name)) " " span.quiet { (page.say(precision)) } }
            @if used == 0 {
                p.figure.none { "0 GFLOP" }
                p.small.quiet { (page.say(words::NOTHING_USED)) }
            } @else {
                @let (figure, other) = numbers::work(used);
                p.figure { (figure) " " span.quiet.small { (page.say(words::USED_SHORT)) } }
                p.small { (other) " " (bars::mark(page, page.metered())) }
            }
            p.small.quiet.names {
                @for (at, centre) in names.enumerate() {
                    @if at > 0 { " · " }
                    a href=(page.link(&format!("/centres/{}", centre.centre))) { (centre.centre) }
                }
            }
        }
    }
}
