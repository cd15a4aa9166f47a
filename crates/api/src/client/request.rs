//! One request and its answer: headers, times, and what can go wrong on the way.

use std::{io, time::Duration};

use serde::{Serialize, de::DeserializeOwned};
use ureq::{Body, http::Response};

use super::{ANSWER_BYTES_MAX, ANSWER_WITHIN, Client, ClientError, address::pairs};
use crate::problem::{PROBLEM_MEDIA_TYPE, Problem};

impl Client {
    pub(super) fn get<T: DeserializeOwned>(&self, path: &str, query: &impl Serialize) -> Result<T, ClientError> {
        self.read(self.send_get(path, query, &[], Wait::Answer(ANSWER_WITHIN))?)
    }

    pub(super) fn post<T: DeserializeOwned>(&self, path: &str) -> Result<T, ClientError> {
        self.read(self.send_post(path, &(), &[], &[], ANSWER_WITHIN)?)
    }

    pub(super) fn post_json<T: DeserializeOwned>(&self, path: &str, body: &impl Serialize) -> Result<T, ClientError> {
        let body = serde_json::to_vec(body).expect("wire types have string keys and finite numbers only");
        self.read(self.send_post(path, &(), &[("content-type", "application/json")], &body, ANSWER_WITHIN)?)
    }

    pub(super) fn send_get(
        &self,
        path: &str,
        query: &impl Serialize,
        headers: &[(&str, &str)],
        wait: Wait,
    ) -> Result<Response<Body>, ClientError> {
        let mut request = self.agent.get(format!("{}{path}", self.base)).query_pairs(pairs(query));
        for &(name, value) in headers {
            request = request.header(name, value);
        }
        if let Some(token) = &self.token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        let request = match wait {
            Wait::Answer(within) => request.config().timeout_global(Some(within)).build(),
            Wait::Stream => request.config().timeout_recv_response(Some(ANSWER_WITHIN)).build(),
        };
        self.taken(request.call())
    }

    pub(super) fn send_post(
        &self,
        path: &str,
        query: &impl Serialize,
        headers: &[(&str, &str)],
        body: &[u8],
        within: Duration,
    ) -> Result<Response<Body>, ClientError> {
        let mut request = self.agent.post(format!("{}{path}", self.base)).query_pairs(pairs(query));
        for &(name, value) in headers {
            request = request.header(name, value);
        }
        if let Some(token) = &self.token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        self.taken(request.config().timeout_global(Some(within)).build().send(body))
    }

    /// Turns faults of the way and refusals of the server into errors.
    pub(super) fn taken(&self, sent: Result<Response<Body>, ureq::Error>) -> Result<Response<Body>, ClientError> {
        let mut answer = sent.map_err(|error| self.fault(&error))?;
        let status = answer.status().as_u16();
        if answer.status().is_success() {
            return Ok(answer);
        }
        let problem = answer.body().mime_type() == Some(PROBLEM_MEDIA_TYPE);
        let body = answer.body_mut().with_config().limit(1024 * 1024).read_to_vec().unwrap_or_default();
        match serde_json::from_slice::<Problem>(&body) {
            Ok(found) if problem => Err(ClientError::Problem(Box::new(found))),
            _ => Err(self.not_understood(format!("status {status} without problem details"))),
        }
    }

    pub(super) fn read<T: DeserializeOwned>(&self, mut answer: Response<Body>) -> Result<T, ClientError> {
        let body = answer.body_mut().with_config().limit(ANSWER_BYTES_MAX).read_to_vec();
        let body = body.map_err(|error| self.fault(&error))?;
        serde_json::from_slice(&body).map_err(|error| self.not_understood(error.to_string()))
    }

    pub(super) fn not_understood(&self, what: String) -> ClientError {
        ClientError::Answer { url: self.base.clone(), what }
    }

    pub(super) fn fault(&self, error: &ureq::Error) -> ClientError {
        let (url, what) = (self.base.clone(), error.to_string());
        match error {
            ureq::Error::Timeout(ureq::Timeout::Connect | ureq::Timeout::Resolve) => {
                ClientError::Connection { url, what }
            }
            ureq::Error::Timeout(_) => ClientError::Timeout { url, what },
            ureq::Error::Io(error) if error.kind() == io::ErrorKind::TimedOut => ClientError::Timeout { url, what },
            ureq::Error::Io(_) | ureq::Error::ConnectionFailed | ureq::Error::HostNotFound => {
                ClientError::Connection { url, what }
            }
            ureq::Error::BadUri(_) | ureq::Error::Http(_) => ClientError::Address(what),
            _ => ClientError::Answer { url, what },
        }
    }
}

#[derive(Clone, Copy)]
pub(super) enum Wait {
    /// The whole answer within this time.
    Answer(Duration),
    /// The head within the ordinary time, the body as long as it takes.
    Stream,
}
