//! One job: why it waits, how far it is, what was asked, where it ran and what it cost.

use std::sync::Arc;

use axum::{extract::State, response::Response};
use huisuan_api::jobs::JobView;
use huisuan_model::TimeMs;
use maud::{Markup, html};

use super::{
    attempts, bars, jobs,
    numbers::{self, moment, moment_or_dash},
    page::{Page, Place, PlainQuery},
    reasons, spec,
    words::{self, Word},
};
use crate::{
    http::{
        self, App, Failure,
        extract::{JobPath, Params},
    },
    identity::Scope,
    server::Shared,
};

pub(super) async fn job(
    State(shared): App,
    page: Page,
    id: Result<JobPath, Failure>,
    query: Result<Params<PlainQuery>, Failure>,
) -> Response {
    page.answer(Place::Jobs, body(&shared, &page, id, query).await)
}

async fn body(
    shared: &Arc<Shared>,
    page: &Page,
    id: Result<JobPath, Failure>,
    query: Result<Params<PlainQuery>, Failure>,
) -> Result<(String, TimeMs, Markup), Failure> {
    let JobPath(id) = id?;
    query?;
    let view = http::jobs::view(shared, id, &Scope::All).await?;
    let explain = http::jobs::why(shared, id, &Scope::All).await?;
    let now = shared.clock.now();
    let job = &view.summary;
    let main = html! {
        div.title {
            h1 { span.quiet { (page.say(words::JOB)) " " (job.job_id) } " " span.name { (job.name) } }
            (bars::state(page, &job.state))
            @if view.cancel_requested && job.ended_at.is_none() { span.chip { (page.say(words::CANCEL_REQUESTED)) } }
        }
        @if let Some(reason) = &explain.reason { (reasons::card(page, &explain, reason, now)) }
        @if let Some(reason) = &job.end_reason {
            p.card title=(reason.code) { (reasons::sentence(page, &reason.code, &reason.message, &reason.details)) }
        }
        @if job.tasks.total > 1 { (progress(page, &view)) }
        (facts(page, &view, now))
        (attempts::section(page, &view, now))
        (spec::section(page, &view))
    };
    Ok((format!("{} {}", job.job_id, job.name), now, main))
}

/// The tasks by state: a bar, and each number with its symbol and word.
fn progress(page: &Page, view: &JobView) -> Markup {
    let tasks = &view.summary.tasks;
    html! {
        section.card.progress {
            h2.card-title { (page.say(words::TASKS)) }
            (bars::tasks(page, tasks))
            p.legend {
                @for (state, count) in bars::pieces(tasks) {
                    @if count > 0 { span { (bars::state(page, state)) " " strong { (numbers::grouped(count)) } } }
                }
            }
        }
    }
}

fn facts(page: &Page, view: &JobView, now: TimeMs) -> Markup {
    let job = &view.summary;
    let waited = job.started_at.map(|at| at.0.since(job.submitted_at.0).0);
    let took = job.started_at.map(|from| job.ended_at.map_or(now, |to| to.0).since(from.0).0);
    let took_word = if job.ended_at.is_some() { words::TOOK } else { words::RUNNING_FOR };
    let centres = &job.centres;
    html! {
        dl.card.facts {
            div { dt { (page.say(words::SUBMITTED)) } dd { (moment(job.submitted_at, now, page.language)) } }
            div {
                dt { (page.say(words::STARTED)) }
                dd { (moment_or_dash(job.started_at, now, page.language)) (span_under(page, words::WAITED, waited)) }
            }
            div {
                dt { (page.say(words::ENDED)) }
                dd { (moment_or_dash(job.ended_at, now, page.language)) (span_under(page, took_word, took)) }
            }
            div {
                dt { (page.say(words::CENTRES)) }
                dd { @if centres.is_empty() { (numbers::dash()) } (jobs::names(page, centres)) }
            }
            div { dt { (page.say(words::COST)) } dd { (numbers::money(&job.cost)) } }
            @if let Some(energy) = view.energy.energy_text() {
                div {
                    dt { (page.say(words::ENERGY)) }
                    dd {
                        (energy) " " (bars::mark(page, view.energy.energy_mark.as_deref().unwrap_or_default()))
                        @if let Some(carbon) = view.energy.carbon_text() {
                            span.quiet.small.under { (page.fill(words::EMITTED, &[&carbon])) }
                        }
                    }
                }
            }
            div {
                dt { (page.say(words::TENANT)) " / " (page.say(words::PROJECT)) }
                dd { (job.tenant) " / " (job.project) }
            }
            div { dt { (page.say(words::SUBMITTED_BY)) } dd { (view.actor) } }
            @if !view.channels.is_empty() {
                div.wide {
                    dt { (page.say(words::ATTACHED)) }
                    dd {
                        @for channel in &view.channels {
                            span.line {
                                (channel.actor) " " span.quiet { (channel.target) } " "
                                (moment(channel.opened_at, now, page.language))
                            }
                        }
                    }
                }
            }
            div.wide {
                dt { (page.say(words::WORK)) }
                dd {
                    @if job.usage.0.is_empty() { (numbers::dash()) }
                    @for (class, used) in &job.usage.0 {
                        span.line {
                            (numbers::gflop(used.gflop)) " "
                            span.quiet { (numbers::p_h(used.gflop)) } " "
                            (bars::class(page, class.as_str()))
                        }
                    }
                }
            }
        }
    }
}

/// A span beneath a moment, where there is one.
fn span_under(page: &Page, word: Word, ms: Option<u64>) -> Markup {
    html! {
        @if let Some(ms) = ms { span.quiet.small.under { (page.fill(word, &[&numbers::span(ms)])) } }
    }
}
