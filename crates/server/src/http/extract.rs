//! Reading requests: every malformed one gets the same shape of error.

use axum::{
    body::Body,
    extract::{FromRequest, FromRequestParts, Path, Query, Request},
    http::{HeaderMap, Uri, header, request::Parts},
};
use futures_util::StreamExt;
use huisuan_api::{ErrorCode, routes};
use huisuan_control::ledger::tariff::month_of_text;
use huisuan_model::JobId;
use serde::de::DeserializeOwned;

use super::Failure;

/// A larger body than allowed is read and dropped up to here, so that its sender gets to see the answer
/// instead of a broken connection.
const DRAIN_BYTES_MAX: usize = 64 * 1024 * 1024;

/// The bytes of a body within the limit.
pub(crate) struct Bounded(pub(crate) Vec<u8>);

impl<S: Send + Sync> FromRequest<S> for Bounded {
    type Rejection = Failure;

    async fn from_request(request: Request, _: &S) -> Result<Self, Failure> {
        read(request.into_body()).await.map(Bounded)
    }
}

/// The bytes of a body within the limit.
pub(super) async fn read(body: Body) -> Result<Vec<u8>, Failure> {
    let mut stream = body.into_data_stream();
    let mut bytes = Vec::new();
    let mut total = 0;
    while let Some(piece) = stream.next().await {
        let piece =
            piece.map_err(|error| Failure::new(ErrorCode::BadRequest, format!("the body broke off: {error}")))?;
        total += piece.len();
        if total <= routes::BODY_BYTES_MAX {
            bytes.extend_from_slice(&piece);
        } else if total > DRAIN_BYTES_MAX {
            break;
        }
    }
    if total > routes::BODY_BYTES_MAX {
        let most = routes::BODY_BYTES_MAX;
        return Err(Failure::new(ErrorCode::TooLarge, format!("the body is larger than {most} bytes")));
    }
    Ok(bytes)
}

/// A JSON body. The media type must say so: forms of other sites cannot.
pub(crate) struct Json<T>(pub(crate) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Json<T> {
    type Rejection = Failure;

    async fn from_request(request: Request, _: &S) -> Result<Self, Failure> {
        let declared = is_json(request.headers());
        let bytes = read(request.into_body()).await?;
        declared?;
        serde_json::from_slice(&bytes).map(Json).map_err(|error| {
            let text = error.to_string();
            let code = if text.starts_with("unknown field") { ErrorCode::UnknownField } else { ErrorCode::BadRequest };
            Failure::new(code, format!("the body cannot be read: {text}"))
        })
    }
}

/// Whether the body is declared as JSON.
pub(crate) fn is_json(headers: &HeaderMap) -> Result<(), Failure> {
    let declared = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or("");
    let media = declared.split(';').next().unwrap_or("").trim();
    if media.eq_ignore_ascii_case("application/json") {
        return Ok(());
    }
    Err(Failure::new(ErrorCode::BadRequest, format!("content type `{media}` is not application/json"))
        .hint("send the header `Content-Type: application/json`"))
}

/// A query string; unknown parameters are errors.
pub(crate) struct Params<T>(pub(crate) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for Params<T> {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Failure> {
        Params::of(&parts.uri)
    }
}

impl<T: DeserializeOwned> Params<T> {
    pub(super) fn of(uri: &Uri) -> Result<Self, Failure> {
        Query::<T>::try_from_uri(uri).map(|query| Params(query.0)).map_err(|error| {
            let text = error.body_text();
            let code = if text.contains("unknown field") { ErrorCode::UnknownField } else { ErrorCode::BadRequest };
            Failure::new(code, format!("the query cannot be read: {text}"))
        })
    }
}

/// The name in the path, as it was written.
pub(crate) struct NamePath(pub(crate) String);

impl<S: Send + Sync> FromRequestParts<S> for NamePath {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Failure> {
        // What is not even text names nothing that there is.
        let unknown = Failure::new(ErrorCode::NotFound, format!("there is no `{}`", parts.uri.path()));
        Path::<String>::from_request_parts(parts, state).await.map(|Path(name)| NamePath(name)).map_err(|_| unknown)
    }
}

/// The month and the name in the path.
pub(crate) struct MonthPath(pub(crate) i32, pub(crate) String);

impl<S: Send + Sync> FromRequestParts<S> for MonthPath {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Failure> {
        let Ok(Path((month, name))) = Path::<(String, String)>::from_request_parts(parts, state).await else {
            return Err(Failure::new(ErrorCode::NotFound, format!("there is no `{}`", parts.uri.path())));
        };
        self::month(&month).map(|month| MonthPath(month, name))
    }
}

/// A month such as `2026-11`.
pub(crate) fn month(text: &str) -> Result<i32, Failure> {
    month_of_text(text).ok_or_else(|| {
        Failure::new(ErrorCode::BadRequest, format!("`{text}` is not a month")).hint("write it as 2026-11")
    })
}

/// The centre and the window in the path.
pub(crate) struct WindowPath(pub(crate) String, pub(crate) u32);

impl<S: Send + Sync> FromRequestParts<S> for WindowPath {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Failure> {
        let unknown = |text: &str| Failure::new(ErrorCode::NotFound, format!("there is no window `{text}`"));
        let Ok(Path((centre, window))) = Path::<(String, String)>::from_request_parts(parts, state).await else {
            return Err(unknown(parts.uri.path()));
        };
        let id = window.parse().map_err(|_| unknown(&window))?;
        Ok(WindowPath(centre, id))
    }
}

/// The job in the path.
pub(crate) struct JobPath(pub(crate) JobId);

impl<S: Send + Sync> FromRequestParts<S> for JobPath {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Failure> {
        let no_job = |text: &str| Failure::new(ErrorCode::NotFound, format!("there is no job `{text}`"));
        let Ok(Path(text)) = Path::<String>::from_request_parts(parts, state).await else {
            return Err(no_job(parts.uri.path()));
        };
        text.parse().map(JobPath).map_err(|_| no_job(&text))
    }
}
