//! The client of agents.

use std::time::Duration;

use huisuan_model::CentreId;
use serde::Serialize;
use ureq::{Body, http::Response};

use super::{ANSWER_WITHIN, Client, ClientError, Wait, address::path};
use crate::{
    agent::{Held, HeldAnswer, Hello, LogAnswer, Orders, Ratings, Reports, Taken, Welcome},
    routes::{self, OrdersQuery},
};

/// How much longer than asked a wait for orders may take.
const WAIT_GRACE: Duration = Duration::from_secs(15);

/// Speaks to a server on behalf of one centre.
#[derive(Debug, Clone)]
pub struct AgentClient {
    pub(super) client: Client,
    centre: CentreId,
}

impl AgentClient {
    /// An agent's client; `token` is the centre's.
    pub fn new(url: &str, token: Option<&str>, centre: CentreId) -> Result<Self, ClientError> {
        Ok(AgentClient { client: Client::new(url, token)?, centre })
    }

    /// The centre that it speaks for.
    pub fn centre(&self) -> &CentreId {
        &self.centre
    }

    /// Opens a run.
    pub fn hello(&self, hello: &Hello) -> Result<Welcome, ClientError> {
        let answer = self.post_json(routes::AGENT_HELLO, hello)?;
        self.client.read(answer)
    }

    /// Orders of server run `epoch` after sequence `after`; waits up to `wait` for the first one or for a log request.
    pub fn orders(&self, epoch: u64, after: u64, wait: Duration) -> Result<Orders, ClientError> {
        let wait_ms = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX).min(routes::ORDERS_WAIT_MS_MAX);
        let query = OrdersQuery { epoch, after, wait_ms };
        let within = Wait::Answer(Duration::from_millis(wait_ms) + WAIT_GRACE);
        let answer = self.client.send_get(&self.path(routes::AGENT_ORDERS), &query, &[], within)?;
        self.client.read(answer)
    }

    /// Brings news; when it returns, the server has them on disk.
    pub fn reports(&self, reports: &Reports) -> Result<Taken, ClientError> {
        let answer = self.post_json(routes::AGENT_REPORTS, reports)?;
        self.client.read(answer)
    }

    /// Says what the engine holds.
    pub fn held(&self, held: &Held) -> Result<HeldAnswer, ClientError> {
        let answer = self.post_json(routes::AGENT_HELD, held)?;
        self.client.read(answer)
    }

    /// Brings ratings.
    pub fn ratings(&self, ratings: &Ratings) -> Result<(), ClientError> {
        self.post_json(routes::AGENT_RATINGS, ratings).map(drop)
    }

    /// Answers log request `id` with bytes that begin where `answer` says.
    pub fn answer_logs(&self, id: u64, answer: &LogAnswer, bytes: &[u8]) -> Result<(), ClientError> {
        let path = path(&self.path(routes::AGENT_LOGS), &[("id", &id.to_string())]);
        let headers = [("content-type", "application/octet-stream")];
        self.client.send_post(&path, answer, &headers, bytes, ANSWER_WITHIN).map(drop)
    }

    pub(super) fn path(&self, template: &str) -> String {
        path(template, &[("centre", self.centre.as_str())])
    }

    fn post_json(&self, template: &str, body: &impl Serialize) -> Result<Response<Body>, ClientError> {
        let body = serde_json::to_vec(body).expect("wire types have string keys and finite numbers only");
        let headers = [("content-type", "application/json")];
        self.client.send_post(&self.path(template), &(), &headers, &body, ANSWER_WITHIN)
    }
}
