//! The list of jobs, and the table that other pages show too.

use std::sync::Arc;

use axum::{extract::State, response::Response};
use huisuan_api::{jobs::JobSummary, routes::JobsQuery};
use huisuan_model::{JobState, TimeMs};
use maud::{Markup, html};
use serde::Deserialize;

use super::{
    bars,
    numbers::{self, dash, moment, moment_or_dash},
    page::{Page, Place},
    reasons,
    words::{self, Language},
};
use crate::{
    http::{self, App, Failure, extract::Params},
    identity::Scope,
    server::Shared,
};

/// Jobs of one page.
const JOBS_SHOWN: u32 = 50;

/// What the address of the list says.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ListQuery {
    #[serde(rename = "lang")]
    _lang: Option<Language>,
    /// Only jobs in this state.
    state: Option<String>,
    /// Only jobs before this one.
    before: Option<String>,
}

pub(super) async fn jobs(State(shared): App, page: Page, query: Result<Params<ListQuery>, Failure>) -> Response {
    page.answer(Place::Jobs, body(&shared, &page, query).await)
}

async fn body(
    shared: &Arc<Shared>,
    page: &Page,
    query: Result<Params<ListQuery>, Failure>,
) -> Result<(String, TimeMs, Markup), Failure> {
    let Params(ListQuery { state, before, .. }) = query?;
    let asked =
        JobsQuery { state: state.clone(), page_size: Some(JOBS_SHOWN), page_token: before.clone(), tenant: None };
    let list = http::jobs::page(shared, asked, &Scope::All).await?;
    let now = shared.clock.now();
    let main = html! {
        div.title { h1 { (page.say(words::JOBS)) } }
        (filter(page, state.as_deref()))
        @if !list.jobs.is_empty() { (table(page, &list.jobs, now)) }
        @else if state.is_none() && before.is_none() { (none(page)) }
        @else { p.card.empty { (page.say(words::JOBS_NONE_HERE)) } }
        p.pages {
            @if before.is_some() {
                a href=(page.link(&address(state.as_deref(), None))) { "← " (page.say(words::NEWEST)) }
            }
            @if let Some(next) = &list.next_page_token {
                a.next href=(page.link(&address(state.as_deref(), Some(next)))) rel="next" {
                    (page.say(words::NEXT)) " →"
                }
            }
        }
    };
    Ok((page.say(words::JOBS).to_owned(), now, main))
}

/// The list with a state and a place in it. Both are checked words or numbers by now.
fn address(state: Option<&str>, before: Option<&str>) -> String {
    let pairs = [("state", state), ("before", before)];
    let pairs: Vec<String> =
        pairs.into_iter().filter_map(|(name, value)| value.map(|value| format!("{name}={value}"))).collect();
    if pairs.is_empty() { "/jobs".to_owned() } else { format!("/jobs?{}", pairs.join("&")) }
}

fn filter(page: &Page, chosen: Option<&str>) -> Markup {
    let current = |state: Option<&str>| (state == chosen).then_some("true");
    html! {
        nav.filter aria-label=(page.say(words::STATE)) {
            a href=(page.link("/jobs")) aria-current=[current(None)] { (page.say(words::ALL_STATES)) }
            @for state in JobState::ALL.map(JobState::as_str) {
                a href=(page.link(&address(Some(state), None))) aria-current=[current(Some(state))] {
                    (bars::state(page, state))
                }
            }
        }
    }
}

/// Said where no job was ever submitted.
pub(super) fn none(page: &Page) -> Markup {
    html! { p.card.empty { (page.say(words::JOBS_NONE)) " " code { "huisuan run -- echo hello" } } }
}

/// Jobs as lines. On narrow screens each line becomes a small card, with its headings inside.
pub(super) fn table(page: &Page, jobs: &[JobSummary], now: TimeMs) -> Markup {
    html! {
        div.card.table {
            table.lines.jobs {
                thead {
                    tr {
                        th scope="col" { (page.say(words::JOB)) }
                        th scope="col" { (page.say(words::STATE)) }
                        th scope="col" { (page.say(words::WHERE)) }
                        th scope="col" { (page.say(words::TASKS)) }
                        th scope="col" { (page.say(words::STARTED)) }
                        th scope="col" { (page.say(words::ENDED)) }
                        th.number scope="col" { (page.say(words::COST)) }
                    }
                }
                tbody { @for job in jobs { (row(page, job, now)) } }
            }
        }
    }
}

fn row(page: &Page, job: &JobSummary, now: TimeMs) -> Markup {
    html! {
        tr {
            td.job-name {
                a href=(page.link(&format!("/jobs/{}", job.job_id))) {
                    span.job-number { (job.job_id) } " " span.name { (job.name) }
                }
            }
            td data-label=(page.say(words::STATE)) { (bars::state(page, &job.state)) }
            td.where data-label=(page.say(words::WHERE)) { (place(page, job)) }
            td data-label=(page.say(words::TASKS)) { (bars::tasks(page, &job.tasks)) }
            td data-label=(page.say(words::STARTED)) { (moment_or_dash(job.started_at, now, page.language)) }
            td data-label=(page.say(words::ENDED)) { (ended(page, job, now)) }
            td.number data-label=(page.say(words::COST)) { (numbers::money(&job.cost)) }
        }
    }
}

/// The centres of a job, and why it waits where it does.
fn place(page: &Page, job: &JobSummary) -> Markup {
    let centres = &job.centres;
    html! {
        @if !centres.is_empty() { span.centres { (names(page, centres)) } }
        @if let Some(reason) = &job.reason { (reasons::line(page, reason)) }
        @else if centres.is_empty() { (dash()) }
    }
}

/// Centres as links.
pub(super) fn names(page: &Page, centres: &[String]) -> Markup {
    html! {
        @for (at, centre) in centres.iter().enumerate() {
            @if at > 0 { ", " }
            a href=(page.link(&format!("/centres/{centre}"))) { (centre) }
        }
    }
}

/// When a job ended, and how long it ran.
fn ended(page: &Page, job: &JobSummary, now: TimeMs) -> Markup {
    html! {
        @if let Some(at) = job.ended_at {
            (moment(at, now, page.language))
            @if let Some(started) = job.started_at {
                span.quiet.small.under { (page.fill(words::TOOK, &[&numbers::span(at.0.since(started.0).0)])) }
            }
        } @else { (dash()) }
    }
}
