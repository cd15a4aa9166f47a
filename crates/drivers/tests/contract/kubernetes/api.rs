//! A client of any API server, the fake one or a real one, for what stands in for nodes and operators.

use std::{io::Read, thread, time::Duration};

use serde_json::Value;

/// How to speak to an API server.
#[derive(Debug, Clone)]
pub(crate) struct Api {
    agent: ureq::Agent,
    server: String,
    token: String,
}

impl Api {
    pub(crate) fn new(server: &str, token: &str) -> Api {
        let tls = ureq::tls::TlsConfig::builder().disable_verification(true).build();
        let config = ureq::Agent::config_builder().http_status_as_error(false).proxy(None).tls_config(tls);
        Api { agent: config.build().new_agent(), server: server.to_owned(), token: token.to_owned() }
    }

    /// One request; the status and the answer, or 0 when the connection broke.
    pub(crate) fn call(&self, method: &str, path: &str, kind: &str, body: Option<&Value>) -> (u16, Value) {
        let request = ureq::http::Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.server))
            .header("authorization", format!("Bearer {}", self.token))
            .header("content-type", kind)
            .body(body.map(Value::to_string).unwrap_or_default().into_bytes())
            .expect("a request");
        let sent = match method {
            "GET" => self.agent.run(request.map(|_| ())),
            _ => self.agent.run(self.agent.configure_request(request).allow_non_standard_methods(true).build()),
        };
        match sent {
            Ok(mut response) => {
                let body = response.body_mut().with_config().limit(64 << 20).read_to_string().unwrap_or_default();
                (response.status().as_u16(), serde_json::from_str(&body).unwrap_or(Value::Null))
            }
            Err(_) => (0, Value::Null),
        }
    }

    /// Reads an object, however long its server is away.
    pub(crate) fn get(&self, path: &str) -> Value {
        loop {
            match self.call("GET", path, "", None) {
                (0 | 429 | 500.., _) => pause(),
                (_, object) => return object,
            }
        }
    }

    /// An answer that goes on.
    pub(crate) fn stream(&self, path: &str) -> Option<impl Read> {
        let url = format!("{}{path}", self.server);
        let asked = self.agent.get(url).header("authorization", format!("Bearer {}", self.token)).call();
        Some(asked.ok()?.into_body().into_reader())
    }

    pub(crate) fn patch(&self, path: &str, patch: &Value) -> u16 {
        self.call("PATCH", path, "application/merge-patch+json", Some(patch)).0
    }
}

/// Before it is tried again.
#[expect(clippy::disallowed_methods, reason = "a pause between two tries to reach somebody else's program")]
pub(crate) fn pause() {
    thread::sleep(Duration::from_millis(200));
}
