//! Who may come in: deny unless a token or the system says who it is.

use std::sync::Arc;

use axum::{
    extract::{ConnectInfo, Request, State},
    http::{HeaderMap, HeaderName, Method, header},
    middleware::Next,
    response::Response,
};
use huisuan_api::ErrorCode;
use huisuan_model::{ActorId, CentreId};

use super::Failure;
use crate::{identity::Identity, peer::Peer, secrets, server::Shared};

/// A server on loopback trusts its user's own processes, and a browser is one of them: a page of another
/// site must neither reach it under a name of its own nor send it commands.
pub(super) fn same_site(shared: &Shared, method: &Method, headers: &HeaderMap) -> Result<(), Failure> {
    let text = |name: HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
    let host = text(header::HOST).unwrap_or("");
    if shared.loopback && !host.is_empty() && !is_loopback_host(host) {
        return Err(Failure::new(ErrorCode::Forbidden, format!("host `{host}` is not an address of this machine"))
            .hint("use the address that the server printed"));
    }
    let foreign = text(header::ORIGIN).is_some_and(|origin| origin.split_once("://").is_none_or(|(_, at)| at != host));
    if foreign && method != Method::GET {
        return Err(Failure::new(ErrorCode::Forbidden, "the request comes from a page of another site"));
    }
    Ok(())
}

fn is_loopback_host(host: &str) -> bool {
    let name =
        host.rsplit_once(':').filter(|(_, port)| port.bytes().all(|b| b.is_ascii_digit())).map_or(host, |(n, _)| n);
    let bare = name.trim_start_matches('[').trim_end_matches(']');
    name == "localhost" || bare.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

/// The token that the request shows. Whoever shows something else shows a token that nobody knows: only a
/// request that shows nothing at all is trusted for where it comes from.
fn bearer(headers: &HeaderMap) -> Option<&str> {
    let shown = headers.get(header::AUTHORIZATION)?;
    Some(shown.to_str().ok().and_then(|text| text.strip_prefix("Bearer ")).unwrap_or(""))
}

/// Lets operators in, and nobody else: what is not said to be for tenants is not.
pub(crate) async fn operators(
    State(shared): State<Arc<Shared>>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    mut request: Request,
    next: Next,
) -> Result<Response, Failure> {
    let identity = identify(&shared, &peer, request.headers())?;
    if !matches!(identity, Identity::Operator(_)) {
        return Err(Failure::new(ErrorCode::Forbidden, "the token is a tenant's, and this is for operators"));
    }
    request.extensions_mut().insert(identity);
    Ok(next.run(request).await)
}

/// Lets operators and tenants in; what a tenant sees is for the doors behind.
pub(crate) async fn people(
    State(shared): State<Arc<Shared>>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    mut request: Request,
    next: Next,
) -> Result<Response, Failure> {
    let identity = identify(&shared, &peer, request.headers())?;
    request.extensions_mut().insert(identity);
    Ok(next.run(request).await)
}

/// Who it is: by token, or on loopback as a process of the server's own user, which is its operator.
pub(super) fn identify(shared: &Shared, peer: &Peer, headers: &HeaderMap) -> Result<Identity, Failure> {
    let operator = || Identity::Operator(ActorId::new("user").expect("the constant is a name"));
    match bearer(headers) {
        Some(token) if secrets::equal(token, &shared.user_token) => Ok(operator()),
        Some(token) => match shared.tokens.tenant_of(token) {
            Some(tenant) => Ok(Identity::Tenant(tenant)),
            None => Err(Failure::new(ErrorCode::Unauthenticated, "the token is not known")),
        },
        None if shared.loopback && peer.is_own_user() => Ok(operator()),
        None => Err(nobody()),
    }
}

/// The answer to whoever shows nothing that is trusted.
pub(super) fn nobody() -> Failure {
    Failure::new(ErrorCode::Unauthenticated, "the request carries no token")
}

/// Lets the agent of the centre in the path in, by that centre's token alone.
pub(crate) async fn agent(
    State(shared): State<Arc<Shared>>,
    mut request: Request,
    next: Next,
) -> Result<Response, Failure> {
    let named = request.uri().path().split('/').nth(3).and_then(|name| CentreId::new(name).ok());
    let (Some(centre), Some(token)) = (named, bearer(request.headers())) else {
        return Err(Failure::new(ErrorCode::Unauthenticated, "an agent names its centre and carries its token"));
    };
    if !shared.centre_tokens.good(&centre, token, || shared.secret.agent_token(&centre)) {
        return Err(Failure::new(ErrorCode::Unauthenticated, format!("the token is not that of centre `{centre}`"))
            .hint("join with what `huisuan centre add` printed; `huisuan centre token NAME --rotate` prints it anew"));
    }
    request.extensions_mut().insert(Identity::Agent(centre));
    Ok(next.run(request).await)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_of_this_machine_are_loopback() {
        for (host, good) in [
            ("127.0.0.1:8080", true),
            ("localhost:1", true),
            ("localhost", true),
            ("[::1]:80", true),
            ("127.0.0.1", true),
            ("evil.example", false),
            ("127.0.0.1.evil.example:80", false),
            ("10.0.0.1:80", false),
            ("", false),
        ] {
            assert_eq!(is_loopback_host(host), good, "{host}");
        }
    }
}
