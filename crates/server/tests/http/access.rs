//! Who may come in, and from where.

use huisuan_api::ErrorCode;

use crate::{
    network::{Network, centre_id, problem, small_job},
    plain::Request,
};

fn submission() -> Request {
    Request::post("/v1/jobs").json(small_job().to_string())
}

#[test]
fn a_wrong_token_is_refused_even_on_loopback() {
    let network = Network::paused();
    let agent = network.server.agent_token(&centre_id("hpc-1"));
    let user = network.server.token().to_owned();
    let wrong = [
        "Bearer hsu_0".to_owned(),
        format!("Bearer {agent}"),
        format!("Bearer {user}x"),
        format!("Bearer {}", &user[..user.len() - 1]),
        "Bearer ".to_owned(),
    ];
    for value in wrong {
        for request in [submission(), Request::get("/v1/jobs"), Request::get("/v1/ledger"), Request::get("/metrics")] {
            let request = request.header("authorization", value.clone());
            network.refused(&request, ErrorCode::Unauthenticated);
            assert_eq!(network.send(&request).header("www-authenticate"), "Bearer");
        }
    }
    assert_eq!(network.send(&submission().bearer(&user)).status, 201);
    assert_eq!(network.send(&submission()).status, 201, "the server's own user needs no token on loopback");
}

#[test]
fn a_server_on_loopback_is_not_reached_under_another_name() {
    let network = Network::paused();
    let port = network.address.port();
    for host in ["evil.example", "127.0.0.1.evil.example:80", "huisuan.local:8700", "10.0.0.1", "[::2]:1"] {
        for request in [submission(), Request::get("/v1/jobs"), Request::get("/healthz"), Request::get("/")] {
            let answer = network.send(&request.header("host", host));
            assert_eq!(problem(&answer).code, ErrorCode::Forbidden, "{host}");
        }
        network.refused(&submission().header("host", host), ErrorCode::Forbidden);
    }
    for host in [format!("localhost:{port}"), format!("[::1]:{port}"), "127.0.0.1".to_owned()] {
        assert_eq!(network.send(&Request::get("/v1/jobs").header("host", host.clone())).status, 200, "{host}");
    }
}

#[test]
fn a_page_of_another_site_sends_no_commands() {
    let network = Network::paused();
    network.submit(&small_job());
    let own = format!("http://{}", network.address);
    for origin in ["https://evil.example", "null", "http://127.0.0.1:1", "http://localhost", &format!("{own}.evil")] {
        for target in ["/v1/jobs/1/cancel", "/v1/centres/hpc-1/resume"] {
            network.refused(&Request::post(target).header("origin", origin), ErrorCode::Forbidden);
        }
        network.refused(&submission().header("origin", origin), ErrorCode::Forbidden);
        let read = network.send(&Request::get("/v1/jobs").header("origin", origin));
        assert_eq!(read.header("access-control-allow-origin"), "", "no other site may read");
    }
    assert_eq!(network.send(&Request::post("/v1/jobs/1/cancel").header("origin", own)).status, 200);
}

#[test]
fn every_answer_tells_browsers_to_be_careful() {
    let network = Network::paused();
    for target in ["/", "/jobs", "/v1/jobs", "/nowhere", "/metrics"] {
        let answer = network.send(&Request::get(target));
        assert_eq!(answer.header("x-content-type-options"), "nosniff", "{target}");
        assert!(answer.header("content-security-policy").contains("default-src 'self'"), "{target}");
    }
}
