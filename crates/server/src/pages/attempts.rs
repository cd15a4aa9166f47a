//! The attempts of a job: where each ran, why there, how it ended, what it used.

use huisuan_api::jobs::{AttemptView, JobView, ScoreView};
use huisuan_model::TimeMs;
use maud::{Markup, html};

use super::{
    bars,
    numbers::{self, dash, moment, moment_or_dash},
    page::Page,
    words,
};

/// The table of attempts.
pub(super) fn section(page: &Page, view: &JobView, now: TimeMs) -> Markup {
    let attempts = &view.attempts;
    html! {
        section {
            div.section-head {
                h2 { (page.say(words::ATTEMPTS)) }
                @if view.attempts_total > attempts.len() as u64 {
                    @let shown = numbers::grouped(attempts.len() as u64);
                    @let all = numbers::grouped(view.attempts_total);
                    p.quiet { (page.fill(words::ATTEMPTS_CUT, &[&shown, &all])) }
                }
            }
            @let none = if view.summary.ended_at.is_some() { words::ATTEMPTS_NEVER } else { words::ATTEMPTS_NONE };
            @if attempts.is_empty() { p.card.empty { (page.say(none)) } }
            @else { (table(page, view, now)) }
        }
    }
}

fn table(page: &Page, view: &JobView, now: TimeMs) -> Markup {
    let mark = common_mark(&view.attempts);
    html! {
        div.card.table {
            table.lines.attempts {
                thead {
                    tr {
                        th scope="col" { (page.say(words::ATTEMPT)) }
                        th scope="col" { (page.say(words::STATE)) }
                        th scope="col" { (page.say(words::WHERE)) }
                        th scope="col" { (page.say(words::WHY_HERE)) }
                        th scope="col" { (page.say(words::STARTED)) }
                        th scope="col" { (page.say(words::EXIT)) }
                        th scope="col" { (page.say(words::USED)) }
                        th scope="col" {
                            (page.say(words::WORK))
                            @if let Some(mark) = mark { " " (bars::mark(page, mark)) }
                        }
                        th.number scope="col" { (page.say(words::COST)) }
                        th scope="col" { (page.say(words::LOGS)) }
                    }
                }
                tbody {
                    @for (at, attempt) in view.attempts.iter().enumerate() {
                        // Output is kept of a task's last attempt, which stands last among its own.
                        @let last = view.attempts.get(at + 1).is_none_or(|next| next.task != attempt.task);
                        (row(page, view.summary.job_id, attempt, mark.is_none(), last, now))
                    }
                }
            }
        }
    }
}

/// Where the figures of all attempts come from, when it is the same for all.
fn common_mark(attempts: &[AttemptView]) -> Option<&str> {
    let first = &attempts.first()?.mark;
    attempts.iter().all(|attempt| attempt.mark == *first).then_some(first)
}

fn row(page: &Page, job: u64, attempt: &AttemptView, marked: bool, last: bool, now: TimeMs) -> Markup {
    html! {
        tr {
            td.job-name title=(attempt.attempt) { span.quiet { (page.say(words::TASK)) " " } (try_of(attempt)) }
            td data-label=(page.say(words::STATE)) { (bars::state(page, &attempt.state)) }
            td data-label=(page.say(words::WHERE)) {
                a href=(page.link(&format!("/centres/{}", attempt.centre))) { (attempt.centre) }
                span.part.under { (attempt.pool) }
                span.quiet.small.under { (given(page, attempt)) }
            }
            td.why data-label=(page.say(words::WHY_HERE)) { (score(page, &attempt.score)) }
            td data-label=(page.say(words::STARTED)) {
                (moment_or_dash(attempt.started_at, now, page.language))
                span.quiet.small.under { (page.say(words::PLACED)) " " (moment(attempt.placed_at, now, page.language)) }
            }
            td data-label=(page.say(words::EXIT)) { (exit(page, attempt)) }
            td data-label=(page.say(words::USED)) {
                (page.fill(words::CPU_TIME, &[&numbers::span(attempt.cpu_ms)]))
                span.under { (page.fill(words::PEAK, &[&numbers::memory(attempt.memory_peak_bytes)])) }
            }
            td data-label=(page.say(words::WORK)) { (work(page, attempt, marked)) }
            td.number data-label=(page.say(words::COST)) { (cost(page, attempt)) }
            td data-label=(page.say(words::LOGS)) { @if last { (logs(page, job, attempt)) } @else { (dash()) } }
        }
    }
}

/// Task and try without the job, such as `3.1`.
fn try_of(attempt: &AttemptView) -> &str {
    attempt.attempt.split_once('.').map_or(&attempt.attempt, |(_, rest)| rest)
}

fn given(page: &Page, attempt: &AttemptView) -> String {
    let cores = numbers::cores(attempt.cores, page.language);
    match attempt.devices > 0.0 {
        true => format!("{cores}, {}", numbers::devices(attempt.devices, page.language)),
        false => cores,
    }
}

/// The terms of the score, the largest first.
fn score(page: &Page, terms: &[ScoreView]) -> Markup {
    html! {
        @if terms.is_empty() { (dash()) }
        @for term in terms {
            span.term {
                span.term-name { (page.known(words::term(&term.term), &term.term)) }
                span.term-value { (signed(term.value)) }
            }
        }
    }
}

fn signed(value: i64) -> String {
    let sign = if value < 0 { "−" } else { "+" };
    format!("{sign}{}", numbers::grouped(value.unsigned_abs()))
}

fn exit(page: &Page, attempt: &AttemptView) -> Markup {
    let took = attempt.wall_ms;
    let word = if attempt.cause.is_some() { words::TOOK } else { words::RUNNING_FOR };
    html! {
        @match &attempt.cause {
            None => (dash()),
            Some(cause) => {
                @match (attempt.exit_code, attempt.signal) {
                    (Some(code), _) => (page.fill(words::EXIT_CODE, &[&code.to_string()])),
                    (None, Some(signal)) => (page.fill(words::SIGNAL, &[&signal.to_string()])),
                    (None, None) => (page.known(words::cause(cause), cause)),
                }
                @if cause != "exited" && (attempt.exit_code.is_some() || attempt.signal.is_some()) {
                    span.under { (page.known(words::cause(cause), cause)) }
                }
            },
        }
        @if took > 0 { span.quiet.small.under { (page.fill(word, &[&numbers::span(took)])) } }
        @if let Some(detail) = &attempt.detail { span.detail.under { (detail) } }
    }
}

fn work(page: &Page, attempt: &AttemptView, marked: bool) -> Markup {
    html! {
        (numbers::gflop(attempt.gflop))
        span.quiet.small.under { (numbers::p_h(attempt.gflop)) }
        span.under { (bars::class(page, &attempt.class)) @if marked { " " (bars::mark(page, &attempt.mark)) } }
    }
}

/// What was posted, or what is held until the end.
fn cost(page: &Page, attempt: &AttemptView) -> Markup {
    html! {
        @if attempt.ended_at.is_none() && attempt.hold.amount > 0 {
            (page.fill(words::HELD, &[&numbers::money(&attempt.hold)]))
        } @else {
            (numbers::money(&attempt.cost))
        }
    }
}

fn logs(page: &Page, job: u64, attempt: &AttemptView) -> Markup {
    let address = |stream: &str| format!("/v1/jobs/{job}/logs?task={}&stream={stream}", attempt.task);
    html! {
        a href=(address("stdout")) { (page.say(words::OUTPUT_LOG)) }
        span.under { a href=(address("stderr")) { (page.say(words::ERROR_LOG)) } }
    }
}
