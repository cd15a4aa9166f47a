//! What all pages have in common: language, frame, links, and the shape of an error.

use std::{convert::Infallible, sync::Arc};

use axum::{
    extract::{FromRequestParts, Query},
    http::{HeaderMap, HeaderValue, StatusCode, header, request::Parts},
    response::{Html, IntoResponse, Response},
};
use huisuan_api::ErrorCode;
use huisuan_model::{CentreId, TimeMs};
use maud::{DOCTYPE, Markup, html};
use serde::Deserialize;

use super::{
    assets,
    words::{self, Language, Word},
};
use crate::{http::Failure, server::Shared, simulation::Simulation};

/// The query of a page that has no other.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PlainQuery {
    /// The language wished for; that of the browser when absent. Read by [`Page`], refused here when unknown.
    #[serde(rename = "lang")]
    _lang: Option<Language>,
}

/// One look at a page: its language and how its links keep it.
#[derive(Debug, Clone)]
pub(super) struct Page {
    pub(super) language: Language,
    /// The language was wished for in the address, so links repeat it.
    kept: bool,
    /// Path and query of this page without the language.
    address: String,
    /// What is simulated, if anything.
    simulation: Option<Arc<Simulation>>,
}

/// Which part of the navigation a page belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// The overview and its centres.
    Network,
    /// The list of jobs and each job.
    Jobs,
}

impl FromRequestParts<Arc<Shared>> for Page {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, shared: &Arc<Shared>) -> Result<Self, Infallible> {
        let pairs = Query::<Vec<(String, String)>>::try_from_uri(&parts.uri).map(|query| query.0).unwrap_or_default();
        let wished = pairs.iter().find(|(name, _)| name == "lang").and_then(|(_, value)| language_of(value));
        let others = parts.uri.query().unwrap_or("").split('&').filter(|pair| !pair.starts_with("lang="));
        let others: Vec<&str> = others.filter(|pair| !pair.is_empty()).collect();
        Ok(Page {
            language: wished.unwrap_or_else(|| preferred(&parts.headers)),
            kept: wished.is_some(),
            address: with_query(parts.uri.path(), &others.join("&")),
            simulation: shared.simulation().await,
        })
    }
}

fn language_of(tag: &str) -> Option<Language> {
    let tag = tag.trim().to_ascii_lowercase();
    let primary = tag.split('-').next().unwrap_or("");
    [Language::En, Language::Zh].into_iter().find(|language| language.as_str() == primary)
}

/// The language that the browser likes best among ours; English when it likes neither.
fn preferred(headers: &HeaderMap) -> Language {
    let text = headers.get(header::ACCEPT_LANGUAGE).and_then(|value| value.to_str().ok()).unwrap_or("");
    let mut best: Option<(f32, Language)> = None;
    for wish in text.split(',') {
        let (tag, weight) = wish.split_once(";q=").unwrap_or((wish, "1"));
        let (Some(language), Ok(weight)) = (language_of(tag), weight.trim().parse::<f32>()) else { continue };
        if weight > 0.0 && best.is_none_or(|(most, _)| weight > most) {
            best = Some((weight, language));
        }
    }
    best.map_or(Language::En, |(_, language)| language)
}

fn with_query(path: &str, query: &str) -> String {
    if query.is_empty() { path.to_owned() } else { format!("{path}?{query}") }
}

impl Page {
    /// A word in the page's language.
    pub(super) fn say(&self, word: Word) -> &'static str {
        word.text(self.language)
    }

    /// A sentence in the page's language with its places filled.
    pub(super) fn fill(&self, word: Word, values: &[&str]) -> String {
        word.with(self.language, values)
    }

    /// The word of a state, a class or the like, or what the data said where no word is known.
    pub(super) fn known<'a>(&self, word: Option<Word>, otherwise: &'a str) -> &'a str
    where
        'static: 'a,
    {
        word.map_or(otherwise, |word| self.say(word))
    }

    /// What people call a centre; `None` when it has no name but its own.
    pub(super) fn title_of(&self, centre: &str) -> Option<&str> {
        let id = CentreId::new(centre).ok()?;
        let title = self.simulation.as_ref()?.titles.get(&id)?;
        Some(match self.language {
            Language::En => &title.en,
            Language::Zh => &title.zh,
        })
    }

    /// Where figures that an engine reports come from.
    pub(super) fn metered(&self) -> &'static str {
        if self.simulation.is_some() { "modelled" } else { "measured" }
    }

    /// A link to another page that keeps a wished language.
    pub(super) fn link(&self, path: &str) -> String {
        if self.kept { in_language(path, self.language) } else { path.to_owned() }
    }

    /// The answer: the page with its frame, or the error in the same frame.
    pub(super) fn answer(&self, place: Place, body: Result<(String, TimeMs, Markup), Failure>) -> Response {
        let (status, html) = match body {
            Ok((title, now, main)) => (StatusCode::OK, self.frame(place, &title, Some(now), &main)),
            Err(failure) => {
                let problem = failure.problem();
                let status = StatusCode::from_u16(problem.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
                let title = self.known(error(problem.code), &problem.title);
                let main = html! {
                    section.card.problem {
                        h1 { (title) }
                        p { (problem.detail) }
                        p.quiet { (self.fill(words::HINT, &[&problem.hint])) }
                    }
                };
                (status, self.frame(place, title, None, &main))
            }
        };
        let mut response = (status, Html(html.into_string())).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        headers.insert(header::VARY, HeaderValue::from_static("accept-language"));
        response
    }

    /// Says on every page that nothing of this is real.
    fn banner(&self, simulation: &Simulation) -> Markup {
        let pace = match simulation.speed {
            0 => None,
            60 => Some(self.say(words::PACE_MINUTE).to_owned()),
            3600 => Some(self.say(words::PACE_SECOND).to_owned()),
            speed => Some(self.fill(words::PACE, &[&speed.to_string()])),
        };
        html! {
            aside.banner role="note" {
                strong { (words::SIMULATED.text(Language::En)) " · " span lang="zh-Hans" { (words::SIMULATED.text(Language::Zh)) } }
                span {
                    @if !simulation.scenario.is_empty() { b { (simulation.scenario) } " · " }
                    @if let Some(pace) = &pace { (pace) " · " }
                    (self.say(words::ALL_MODELLED))
                }
            }
        }
    }

    fn tab(&self, path: &str, word: Word, current: bool) -> Markup {
        html! { a href=(self.link(path)) aria-current=[current.then_some("page")] { (self.say(word)) } }
    }

    /// The whole document. A page without a moment shows nothing that changes and is not fetched again.
    fn frame(&self, place: Place, title: &str, live_at: Option<TimeMs>, main: &Markup) -> Markup {
        let other = match self.language {
            Language::En => Language::Zh,
            Language::Zh => Language::En,
        };
        html! {
            (DOCTYPE)
            html lang=(self.language.tag()) {
                head {
                    meta charset="utf-8";
                    meta name="viewport" content="width=device-width, initial-scale=1";
                    meta name="color-scheme" content="light dark";
                    title { (title) " · 汇算 Huisuan" }
                    link rel="icon" href=(assets::ICON.address()) type="image/svg+xml";
                    link rel="stylesheet" href=(assets::STYLE.address());
                    @if live_at.is_some() { script src=(assets::SCRIPT.address()) defer {} }
                }
                body {
                    a.skip href="#main" { (self.say(words::SKIP)) }
                    header.top {
                        a.brand href=(self.link("/")) {
                            (mark()) span.han lang="zh-Hans" { "汇算" } " " span.latin { "Huisuan" }
                        }
                        nav {
                            (self.tab("/", words::NETWORK, place == Place::Network))
                            (self.tab("/jobs", words::JOBS, place == Place::Jobs))
                        }
                        @if live_at.is_some() {
                            @let (text, title) = (self.say(words::AGE), self.say(words::STALE_RETRY));
                            p #age role="status" hidden data-text=(text) title=(title) {}
                        }
                        a.language href=(in_language(&self.address, other)) lang=(other.tag()) {
                            (self.say(words::OTHER_LANGUAGE))
                        }
                    }
                    @if let Some(simulation) = &self.simulation { (self.banner(simulation)) }
                    main #main { (main) }
                    footer.bottom { p { (self.say(words::FOOTER)) } }
                }
            }
        }
    }
}

/// What people meet most; other errors have the title of the interface.
fn error(code: ErrorCode) -> Option<Word> {
    Some(match code {
        ErrorCode::NotFound => words::ERROR_NOT_FOUND,
        ErrorCode::BadRequest | ErrorCode::UnknownField => words::ERROR_BAD_REQUEST,
        ErrorCode::Unavailable => words::ERROR_UNAVAILABLE,
        _ => return None,
    })
}

fn in_language(address: &str, language: Language) -> String {
    let separator = if address.contains('?') { '&' } else { '?' };
    format!("{address}{separator}lang={}", language.as_str())
}

/// Three streams that run side by side into one direction, and never into one another.
fn mark() -> Markup {
    html! {
        svg.mark viewBox="0 0 32 32" aria-hidden="true" {
            path.ai d="M4 6c9 0 10 6.5 24 6.5" {}
            path.hpc d="M4 16h24" {}
            path.general d="M4 26c9 0 10-6.5 24-6.5" {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_best_liked_language_is_taken() {
        let check = |text: &'static str, expected: Language| {
            let headers = HeaderMap::from_iter([(header::ACCEPT_LANGUAGE, HeaderValue::from_static(text))]);
            assert_eq!(preferred(&headers), expected, "{text}");
        };
        check("zh-CN,zh;q=0.9,en;q=0.8", Language::Zh);
        check("en-US,en;q=0.9,zh;q=0.8", Language::En);
        check("de,zh;q=0.3,en;q=0.2", Language::Zh);
        check("zh;q=0,de", Language::En);
        check("", Language::En);
        check("zh;q=what", Language::En);
        assert_eq!(preferred(&HeaderMap::new()), Language::En);
    }

    #[test]
    fn links_keep_a_wished_language_only() {
        let mut page = Page { language: Language::Zh, kept: true, address: "/".to_owned(), simulation: None };
        assert_eq!(page.link("/jobs?state=failed"), "/jobs?state=failed&lang=zh");
        page.kept = false;
        assert_eq!(page.link("/jobs"), "/jobs");
    }
}
