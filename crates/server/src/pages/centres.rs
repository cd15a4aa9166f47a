//! Centres: the card of the overview, and a page for each.

use std::sync::Arc;

use axum::{
    extract::{Path, State},
    response::Response,
};
use huisuan_api::{
    ErrorCode,
    centres::{CentreView, PoolView, RatingView},
    jobs::JobSummary,
    routes::JobsQuery,
    site::SiteQosView,
};
use huisuan_model::TimeMs;
use maud::{Markup, html};

use super::{
    bars, jobs,
    numbers::{self, moment, moment_or_dash},
    page::{Page, Place, PlainQuery},
    planned, words,
};
use crate::{
    http::{self, App, Failure, extract::Params},
    identity::Scope,
    server::Shared,
};

/// Jobs looked through for those of one centre.
const JOBS_LOOKED_AT: u32 = 200;
/// Jobs shown on a centre's page.
const JOBS_SHOWN: usize = 20;

pub(super) async fn centre(
    State(shared): App,
    page: Page,
    Path(name): Path<String>,
    query: Result<Params<PlainQuery>, Failure>,
) -> Response {
    page.answer(Place::Network, body(&shared, &page, &name, query).await)
}

async fn body(
    shared: &Arc<Shared>,
    page: &Page,
    name: &str,
    query: Result<Params<PlainQuery>, Failure>,
) -> Result<(String, TimeMs, Markup), Failure> {
    query?;
    let found = http::centres::views(shared).await?.into_iter().find(|centre| centre.centre == name);
    let centre = found.ok_or_else(|| Failure::new(ErrorCode::NotFound, format!("there is no centre `{name}`")))?;
    let newest = JobsQuery { page_size: Some(JOBS_LOOKED_AT), ..JobsQuery::default() };
    let jobs = http::jobs::page(shared, newest, &Scope::All).await?.jobs;
    let here = |job: &JobSummary| job.centres.contains(&centre.centre);
    let jobs: Vec<JobSummary> = jobs.into_iter().filter(here).take(JOBS_SHOWN).collect();
    let now = shared.clock.now();
    let reservations = http::reservations::all(shared, &Scope::All).await?;
    let main = html! {
        div.title {
            h1 { (page.title_of(&centre.centre).unwrap_or(&centre.centre)) }
            @if page.title_of(&centre.centre).is_some() { span.quiet { (centre.centre) } }
            (bars::class(page, &centre.class))
            (bars::state(page, &centre.state))
            (bars::connection(page, centre.connected))
        }
        @if centre.overlapping { p.notice { (page.say(words::OVERLAPPING)) } }
        @if !centre.alarms.is_empty() { (alarms(page, &centre, now)) }
        (facts(page, &centre, now))
        @for pool in &centre.pools { (pool_section(page, &centre, pool, now)) }
        @if centre.pools.is_empty() { p.card.empty { (page.say(words::NO_POOLS)) } }
        (planned::section(page, &centre, &reservations, now))
        section {
            div.section-head {
                h2 { (page.say(words::JOBS_HERE)) }
                p.quiet { (page.fill(words::JOBS_HERE_NOTE, &[&JOBS_LOOKED_AT.to_string()])) }
            }
            @if jobs.is_empty() { p.card.empty { (page.say(words::JOBS_NONE_HERE)) } }
            @else { (jobs::table(page, &jobs, now)) }
        }
    };
    Ok((centre.centre.clone(), now, main))
}

/// What somebody has to look at.
fn alarms(page: &Page, centre: &CentreView, now: TimeMs) -> Markup {
    html! {
        section.card.notice {
            h2 { (page.say(words::ALARMS)) " " span.quiet { (page.say(words::ALARMS_NOTE)) } }
            ul {
                @for alarm in &centre.alarms {
                    li {
                        code { (alarm.kind) } " " strong { (alarm.subject) } " " (alarm.detail) " "
                        span.quiet { (moment(alarm.since, now, page.language)) }
                    }
                }
            }
        }
    }
}

fn facts(page: &Page, centre: &CentreView, now: TimeMs) -> Markup {
    html! {
        dl.card.facts {
            div { dt { (page.say(words::ENGINE)) } dd { (centre.engine) } }
            div { dt { (page.say(words::TARIFF)) } dd { (tariff(page, centre)) } }
            div { dt { (page.say(words::ACTIVE_ATTEMPTS)) } dd { (numbers::grouped(centre.active)) } }
            div {
                dt { (page.say(words::LAST_HEARD)) }
                dd { (moment_or_dash(centre.last_seen_at, now, page.language)) }
            }
            div { dt { (page.say(words::ZONE)) } dd { (centre.zone) } }
            @for qos in centre.site.iter().flat_map(|site| &site.qos).filter(|qos| qos.ours && qos.kept) {
                div { dt { (page.say(words::SITE_QOS)) } dd { (qos.name) " " span.quiet { (limits(page, qos)) } } }
            }
            @if let Some(mode) = &centre.memory_mode {
                div { dt { (page.say(words::MEMORY_LIMITS)) } dd { (mode) } }
            }
        }
    }
}

/// What a quality of service lets one job have.
fn limits(page: &Page, qos: &SiteQosView) -> String {
    let hours = qos.walltime_max_ms.map(|ms| format!("{} min", ms / 60_000));
    let count = |word, most: Option<u64>| most.map(|most| page.fill(word, &[&most.to_string()]));
    let all = [
        hours,
        count(words::CORES_MANY, qos.cores_max),
        count(words::DEVICES_MANY, qos.devices_max),
        count(words::NODES_MANY, qos.nodes_max),
    ];
    all.into_iter().flatten().collect::<Vec<_>>().join(", ")
}

fn pool_section(page: &Page, centre: &CentreView, pool: &PoolView, now: TimeMs) -> Markup {
    let told = centre.site.iter().flat_map(|site| &site.features).find(|one| one.pool == pool.pool);
    let features = told.filter(|one| !one.all.is_empty()).map(|one| one.all.join(", "));
    html! {
        section class={ "card pool-section edge-" (pool.class) } {
            h2 { span.quiet { (page.say(words::POOL)) " " } span.part { (pool.pool) } }
            (bars::pool(page, pool))
            @if let Some(features) = features { p.quiet { (page.fill(words::SITE_FEATURES, &[&features])) } }
            @if let Some(rating) = &pool.rating { (standing(page, rating)) }
            @match &pool.rating {
                None => p.quiet { (page.say(words::UNRATED)) },
                Some(rating) => dl.facts.inner {
                    div {
                        dt { (page.say(words::SUSTAINED)) " " (precision(page, &pool.class)) }
                        dd { (numbers::rate(rating.sustained_gflop_per_s)) " " (bars::mark(page, &rating.mark)) }
                    }
                    div {
                        dt { (page.say(words::NAMEPLATE_HEAD)) }
                        dd { (numbers::rate(rating.nameplate_gflop_per_s)) " " (bars::mark(page, "declared")) }
                    }
                    div { dt { (page.say(words::METHOD)) } dd { code { (rating.method) } } }
                    div {
                        dt { (page.say(words::RATED)) }
                        dd {
                            (moment(rating.rated_at, now, page.language)) ", "
                            (page.fill(words::RATING_VERSION, &[&rating.version.to_string()]))
                        }
                    }
                },
            }
        }
    }
}

/// A centre among others.
pub(super) fn card(page: &Page, centre: &CentreView, now: TimeMs) -> Markup {
    html! {
        article class={ "card centre edge-" (centre.class) } {
            div.card-head {
                h3 {
                    a href=(page.link(&format!("/centres/{}", centre.centre))) {
                        (page.title_of(&centre.centre).unwrap_or(&centre.centre))
                    }
                }
                (bars::class(page, &centre.class))
            }
            @if page.title_of(&centre.centre).is_some() { p.part { (centre.centre) } }
            p.states {
                (bars::connection(page, centre.connected))
                (bars::state(page, &centre.state))
                span.quiet { (page.say(words::ENGINE)) " " (centre.engine) }
            }
            @if !centre.connected {
                p.quiet {
                    (page.say(words::LAST_HEARD)) " "
                    @match centre.last_seen_at {
                        Some(at) => (moment(at, now, page.language)),
                        None => (page.say(words::NEVER_HEARD)),
                    }
                }
            }
            @for pool in &centre.pools {
                div.pool {
                    @match &pool.rating {
                        Some(rating) => (rate(page, pool, rating)),
                        None => p.rate.quiet { (page.say(words::UNRATED)) },
                    }
                    p.part { (pool.pool) }
                    (bars::pool(page, pool))
                }
            }
            @if centre.pools.is_empty() { p.quiet { (page.say(words::NO_POOLS)) } }
            p.foot {
                span { (tariff(page, centre)) }
                span { (page.say(words::ACTIVE_ATTEMPTS)) " " (numbers::grouped(centre.active)) }
            }
            @if centre.overlapping { p.notice { (page.say(words::OVERLAPPING)) } }
        }
    }
}

/// The sustained rate with where it comes from, and the nameplate beneath it.
fn rate(page: &Page, pool: &PoolView, rating: &RatingView) -> Markup {
    let (sustained, nameplate) = (rating.sustained_gflop_per_s, rating.nameplate_gflop_per_s);
    html! {
        p.rate {
            strong { (numbers::rate(sustained)) }
            " " (page.say(words::SUSTAINED_SHORT)) " " (bars::mark(page, &rating.mark))
        }
        p.quiet.small {
            (precision(page, &pool.class)) " · " code { (rating.method) }
            @if let Some(percent) = sustained.saturating_mul(100).checked_div(nameplate) {
                " · " (page.fill(words::OF_NAMEPLATE, &[&percent.to_string()]))
            }
        }
        p.quiet.small { (page.fill(words::NAMEPLATE, &[&numbers::rate(nameplate)])) " " (bars::mark(page, "declared")) }
        p.small { (page.fill(words::USED_NOW, &[&numbers::rate(used_now(pool, sustained))])) }
        (standing(page, rating))
    }
}

/// What an operator has to know of a rating that is not sold.
fn standing(page: &Page, rating: &RatingView) -> Markup {
    html! {
        @if let Some(doubt) = &rating.doubt {
            p.notice { (page.fill(words::DOUBTED, &[&doubt.detail])) }
        } @else if !rating.certified {
            p.quiet.small { (page.say(words::UNCERTIFIED)) }
        }
    }
}

/// The sustained rate of what is given away: of the devices where there are any, of the cores otherwise.
fn used_now(pool: &PoolView, sustained: u64) -> u64 {
    let by_device = pool.devices > 0.0;
    let (used, all) = if by_device { (pool.devices_used, pool.devices) } else { (pool.cores_used, pool.cores) };
    if all > 0.0 { ((used / all).min(1.0) * sustained as f64).round() as u64 } else { 0 }
}

/// The precision that rates of a class are in.
fn precision<'a>(page: &'a Page, class: &'a str) -> &'a str {
    page.known(words::class(class).map(|(_, precision)| precision), class)
}

fn tariff(page: &Page, centre: &CentreView) -> Markup {
    html! { (numbers::money(&centre.tariff.price_per_p_h)) " " (page.say(words::PER_P_H)) }
}
