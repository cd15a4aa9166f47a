//! The doors over HTTP: routes, who may use them, and the shape of every error.

mod access;
pub(crate) mod agents;
mod bills;
pub(crate) mod books;
pub(crate) mod centres;
mod channels;
mod contracts;
mod dependencies;
mod door;
mod events;
pub(crate) mod extract;
mod failure;
mod held;
mod helps;
mod job_files;
pub(crate) mod jobs;
mod logs;
mod plan;
mod reports;
pub(crate) mod reservations;
mod status;
mod tariffs;
mod tenants;

use std::sync::Arc;

use axum::{
    Router,
    extract::DefaultBodyLimit,
    middleware,
    routing::{get, post},
};
use huisuan_api::routes;

pub(crate) use door::Door;
pub(crate) use failure::Failure;
pub(crate) use job_files::JobFiles;

use crate::{pages, server::Shared};

/// What every handler sees.
pub(crate) type App = axum::extract::State<Arc<Shared>>;

/// All routes of a server but the one for submissions, which [`Door`] knows.
fn router(shared: Arc<Shared>) -> Router {
    let people = people().layer(middleware::from_fn_with_state(shared.clone(), access::people));
    let operators = operators().layer(middleware::from_fn_with_state(shared.clone(), access::operators));
    let agents = Router::new()
        .route(routes::AGENT_HELLO, post(agents::hello))
        .route(routes::AGENT_ORDERS, get(agents::orders))
        .route(routes::AGENT_REPORTS, post(agents::reports))
        .route(routes::AGENT_HELD, post(held::held))
        .route(routes::AGENT_RATINGS, post(agents::ratings))
        .route(routes::AGENT_LOGS, post(agents::logs))
        .route(routes::AGENT_CHANNEL, get(channels::to_agent).post(channels::of_agent))
        .layer(middleware::from_fn_with_state(shared.clone(), access::agent));
    let anybody = Router::new()
        .route(routes::HEALTHZ, get(status::health))
        .route(routes::READYZ, get(status::ready))
        .route(routes::OPENAPI, get(status::openapi));
    people
        .merge(operators)
        .merge(agents)
        .merge(anybody)
        .method_not_allowed_fallback(failure::method_not_allowed)
        .fallback(failure::no_route)
        .layer(DefaultBodyLimit::disable())
        .with_state(shared)
}

/// For tenants, each behind its door seeing its own.
fn people() -> Router<Arc<Shared>> {
    Router::new()
        .route(routes::JOBS, get(jobs::list))
        .route(routes::JOB, get(jobs::show))
        .route(routes::JOB_EXPLAIN, get(jobs::explain))
        .route(routes::JOB_ATTEMPTS, get(jobs::attempts))
        .route(routes::JOB_LOGS, get(logs::logs))
        .route(routes::JOB_CHANNELS, post(channels::open))
        .route(routes::JOB_CHANNEL, get(channels::to_user).post(channels::of_user))
        .route(routes::JOB_CANCEL, post(jobs::cancel))
        .route(routes::PLAN, post(plan::plan))
        .route(routes::CENTRES, get(centres::list))
        .route(routes::CENTRE, get(centres::show))
        .route(routes::RESERVATIONS, post(reservations::add).get(reservations::list))
        .route(routes::RESERVATION_CANCEL, post(reservations::cancel))
        .route(routes::USAGE, get(books::usage))
        .route(routes::BILLS, get(bills::list))
        .route(routes::BILL, get(bills::show))
        .route(routes::BILL_EXPORT, get(bills::export))
        .route(routes::BILL_RECORDS, get(bills::records))
        .route(routes::TARIFFS, get(tariffs::list))
        .route(routes::CONTRACTS, get(contracts::list))
}

/// All else that people do: what is not said to be for tenants is for operators.
fn operators() -> Router<Arc<Shared>> {
    Router::new()
        .route(routes::CENTRES, post(centres::add))
        .route(routes::CENTRE_TOKEN, post(centres::token))
        .route(routes::CENTRE_ALARMS_CLEAR, post(centres::clear_alarms))
        .route(routes::ALARMS, get(centres::alarms))
        .route(routes::CENTRE_PAUSE, post(centres::pause))
        .route(routes::CENTRE_RESUME, post(centres::resume))
        .route(routes::CENTRE_FACTS, post(centres::set_facts))
        .route(routes::CENTRE_MEASURE, post(centres::measure))
        .route(routes::CENTRE_ACCEPT, post(centres::accept_ratings))
        .route(routes::CENTRE_WINDOWS, post(centres::maintain))
        .route(routes::CENTRE_WINDOW_CANCEL, post(centres::cancel_window))
        .route(routes::TENANTS, post(tenants::add).get(tenants::list))
        .route(routes::TENANT, post(tenants::change).get(tenants::show))
        .route(routes::TENANT_CLOSE, post(tenants::close))
        .route(routes::TENANT_FUND, post(tenants::fund))
        .route(routes::TENANT_TOKEN, post(tenants::token))
        .route(routes::LEDGER, get(books::ledger))
        .route(routes::LEDGER_AUDIT, get(books::audit))
        .route(routes::LEDGER_DAYS, get(books::days))
        .route(routes::LEDGER_EXPORT, get(books::export))
        .route(routes::STATEMENTS, get(bills::statements))
        .route(routes::STATEMENT, get(bills::statement))
        .route(routes::STATEMENT_EXPORT, get(bills::export_statement))
        .route(routes::STATEMENT_RECORDS, get(bills::statement_records))
        .route(routes::CONTRACTS, post(contracts::make))
        .route(routes::CONTRACT_END, post(contracts::end))
        .route(routes::TARIFF_RULES, post(tariffs::add))
        .route(routes::TARIFF_RULE_END, post(tariffs::end))
        .route(routes::TARIFF_RULE_RERATE, post(tariffs::rerate))
        .route(routes::REPORT_GROWTH, get(reports::growth))
        .route(routes::REPORT_HOURS, get(reports::hours))
        .route(routes::ODDITIES, get(reports::oddities))
        .route(routes::EVENTS, get(events::events))
        .route(routes::METRICS, get(status::metrics))
        .merge(pages::routes())
}
