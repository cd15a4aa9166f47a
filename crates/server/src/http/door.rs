//! What every request comes through, whatever it asks for.
//!
//! Behind it stands the router, with one exception: submissions, of which tens of thousands come in a second, go
//! straight to their handler. Each layer of a router costs a request boxes and clones of all layers below it
//! (measured: 4 of the 16 us that a submission costs the thread that serves it).

use std::sync::Arc;

use axum::{
    Router,
    extract::{ConnectInfo, Request},
    http::{HeaderName, HeaderValue, Method, header},
    response::{IntoResponse, Response},
};
use huisuan_api::routes::{self, REQUEST_ID};
use tower_service::Service;

use super::{Failure, access, failure, jobs};
use crate::{peer::Peer, server::Shared};

const REQUEST_ID_HEADER: HeaderName = HeaderName::from_static(REQUEST_ID);
const CONTENT_SECURITY: HeaderValue =
    HeaderValue::from_static("default-src 'self'; frame-ancestors 'none'; form-action 'self'; base-uri 'none'");

/// Names a request in answers and logs.
#[derive(Debug, Clone)]
pub(crate) struct RequestId(pub(crate) String);

/// The way in: an id for each request, headers that browsers heed, and the guard against pages of other sites.
#[derive(Clone)]
pub(crate) struct Door {
    shared: Arc<Shared>,
    router: Router,
}

impl Door {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        let router = super::router(shared.clone());
        Door { shared, router }
    }

    /// The answer to a request, whatever it is.
    pub(crate) async fn answer(mut self, mut request: Request) -> Response {
        let id = self.shared.next_request_id();
        let mut response = match access::same_site(&self.shared, request.method(), request.headers()) {
            Err(failure) => failure.into_response(),
            Ok(()) if request.method() == Method::POST && request.uri().path() == routes::JOBS => {
                self.submission(request, &id).await.unwrap_or_else(Failure::into_response)
            }
            Ok(()) => {
                request.extensions_mut().insert(RequestId(id.clone()));
                self.router.call(request).await.unwrap_or_else(|never| match never {})
            }
        };
        failure::finish(&mut response, &id);
        self.shared.metrics.request(response.status().as_u16());
        let headers = response.headers_mut();
        if let Ok(value) = HeaderValue::try_from(id) {
            headers.insert(REQUEST_ID_HEADER, value);
        }
        headers.insert(header::X_CONTENT_TYPE_OPTIONS, const { HeaderValue::from_static("nosniff") });
        headers.insert(header::REFERRER_POLICY, const { HeaderValue::from_static("same-origin") });
        headers.insert(header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY);
        response
    }

    async fn submission(&self, request: Request, id: &str) -> Result<Response, Failure> {
        let Some(ConnectInfo(peer)) = request.extensions().get::<ConnectInfo<Peer>>() else {
            return Err(access::nobody());
        };
        let identity = access::identify(&self.shared, peer, request.headers())?;
        jobs::submit(&self.shared, &identity, id, request).await
    }
}
