//! Plain pages for people: the network, its jobs and its centres, as seen at this moment.
//!
//! Everything is made on the server and escaped by `maud`; the one script fetches the same page again and
//! changes what differs. Nothing is fetched from anywhere else. Start reading at `page.rs`.

mod assets;
mod attempts;
mod bars;
mod centres;
mod job;
mod jobs;
mod numbers;
mod overview;
mod page;
mod planned;
mod reasons;
mod spec;
#[cfg(test)]
mod tests;
mod words;

use std::sync::Arc;

use axum::{Router, routing::get};

use crate::server::Shared;

/// The routes of all pages and of what they are made of.
pub(crate) fn routes() -> Router<Arc<Shared>> {
    Router::new()
        .route("/", get(overview::overview))
        .route("/jobs", get(jobs::jobs))
        .route("/jobs/{id}", get(job::job))
        .route("/centres/{id}", get(centres::centre))
        .route("/assets/{name}", get(assets::asset))
}
