//! The files beside the pages, carried in the binary.

use axum::{
    extract::Path,
    http::header,
    response::{IntoResponse, Response},
};
use huisuan_api::ErrorCode;

use crate::http::Failure;

/// A file that pages refer to.
#[derive(Debug)]
pub(super) struct Asset {
    name: &'static str,
    media_type: &'static str,
    text: &'static str,
    version: u64,
}

/// The look of all pages.
pub(super) static STYLE: Asset = Asset::new("style.css", "text/css; charset=utf-8", include_str!("assets/style.css"));
/// Fetches the page again and again.
pub(super) static SCRIPT: Asset =
    Asset::new("live.js", "text/javascript; charset=utf-8", include_str!("assets/live.js"));
/// The mark in a browser's tab.
pub(super) static ICON: Asset = Asset::new("icon.svg", "image/svg+xml", include_str!("assets/icon.svg"));

impl Asset {
    const fn new(name: &'static str, media_type: &'static str, text: &'static str) -> Self {
        Asset { name, media_type, text, version: fnv(text.as_bytes()) }
    }

    /// Where pages find it. The address changes with the text, so browsers may keep what they have.
    pub(super) fn address(&self) -> String {
        format!("/assets/{}?v={:016x}", self.name, self.version)
    }
}

/// FNV-1a of 64 bits: tells one build's file from another's, nothing more.
const fn fnv(bytes: &[u8]) -> u64 {
    let mut hash = 0xcbf2_9ce4_8422_2325;
    let mut at = 0;
    while at < bytes.len() {
        hash = (hash ^ bytes[at] as u64).wrapping_mul(0x0000_0100_0000_01b3);
        at += 1;
    }
    hash
}

pub(super) async fn asset(Path(name): Path<String>) -> Result<Response, Failure> {
    let found = [&STYLE, &SCRIPT, &ICON].into_iter().find(|asset| asset.name == name);
    let asset = found.ok_or_else(|| Failure::new(ErrorCode::NotFound, format!("there is no asset `{name}`")))?;
    let headers = [(header::CONTENT_TYPE, asset.media_type), (header::CACHE_CONTROL, "private, max-age=86400")];
    Ok((headers, asset.text).into_response())
}
