//! Typed blocking clients: [`Client`] for people's tools, [`AgentClient`] for agents.
//!
//! Neither retries by itself: a caller that wants to repeat a submission gives an idempotency key.

mod address;
mod agent;
mod channel;
mod error;
mod events;
mod request;
mod socket;
#[cfg(test)]
mod tests;

use std::{io::Read, time::Duration};

use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;
use ureq::unversioned::resolver::DefaultResolver;

pub use self::{agent::AgentClient, channel::Channel, error::ClientError, events::Events};

use self::{
    address::{base_url, path},
    request::Wait,
    socket::Watched,
};
use crate::{
    books::{AuditView, DayHeads, LedgerView, UsageView},
    centres::{AlarmList, CentreList, CentreToken, CentreView, NewCentreRequest, PoolRequest, WindowRequest},
    facts::FactsFields,
    health::Health,
    jobs::{AttemptList, Explain, JobCancelled, JobCreated, JobList, JobRequest, JobView},
    plan::PlanView,
    reservations::{ReservationList, ReservationRequest, ReservationView},
    routes::{self, ExportQuery, JobsQuery, LogsQuery, PageQuery, PlanQuery, SubmitQuery},
    tenants::{FundRequest, NewTenantRequest, TenantList, TenantRequest, TenantToken, TenantView},
};

/// How long a connection may take.
const CONNECT_WITHIN: Duration = Duration::from_secs(5);
/// How long an ordinary answer may take.
const ANSWER_WITHIN: Duration = Duration::from_secs(60);
/// The largest answer read into memory, in bytes: orders carry whole scripts.
const ANSWER_BYTES_MAX: u64 = 256 * 1024 * 1024;

/// Speaks to one server on behalf of one user. Cheap to clone; connections are shared.
#[derive(Debug, Clone)]
pub struct Client {
    agent: ureq::Agent,
    base: String,
    token: Option<String>,
}

impl Client {
    /// A client for the server at `url` (`http://HOST:PORT`, or `HOST:PORT`). Connects at the first call.
    pub fn new(url: &str, token: Option<&str>) -> Result<Self, ClientError> {
        let config = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            // A proxy of the environment is for the way out; a server of this network is not out there.
            .proxy(None)
            .timeout_connect(Some(CONNECT_WITHIN))
            .user_agent(concat!("huisuan/", env!("CARGO_PKG_VERSION")))
            .build();
        let agent = ureq::Agent::with_parts(config, Watched, DefaultResolver::default());
        if token.is_some_and(|token| !token.bytes().all(|byte| byte.is_ascii_graphic())) {
            return Err(ClientError::Address("the token has characters that no token has".to_owned()));
        }
        Ok(Client { agent, base: base_url(url)?, token: token.map(str::to_owned) })
    }

    /// The base URL, without a slash at its end.
    pub fn url(&self) -> &str {
        &self.base
    }

    /// Submits a job. With a `key` the call may be repeated: the same key and spec give the same job.
    pub fn submit(&self, job: &JobRequest, key: Option<&str>) -> Result<JobCreated, ClientError> {
        self.submit_for(job, key, &SubmitQuery::default())
    }

    /// The same for a project.
    pub fn submit_for(
        &self,
        job: &JobRequest,
        key: Option<&str>,
        query: &SubmitQuery,
    ) -> Result<JobCreated, ClientError> {
        let body = serde_json::to_vec(job).expect("a job file has string keys and finite numbers only");
        let headers: &[(&str, &str)] = match key {
            Some(key) => &[("content-type", "application/json"), (routes::IDEMPOTENCY_KEY, key)],
            None => &[("content-type", "application/json")],
        };
        self.read(self.send_post(routes::JOBS, query, headers, &body, ANSWER_WITHIN)?)
    }

    /// What would become of a job; nothing is recorded.
    pub fn plan(&self, job: &JobRequest, query: &PlanQuery) -> Result<PlanView, ClientError> {
        let body = serde_json::to_vec(job).expect("a job file has string keys and finite numbers only");
        let headers = [("content-type", "application/json")];
        self.read(self.send_post(routes::PLAN, query, &headers, &body, ANSWER_WITHIN)?)
    }

    /// A page of jobs, newest first.
    pub fn jobs(&self, query: &JobsQuery) -> Result<JobList, ClientError> {
        self.get(routes::JOBS, query)
    }

    /// One job with the first page of its attempts.
    pub fn job(&self, job_id: u64) -> Result<JobView, ClientError> {
        self.get(&path(routes::JOB, &[("id", &job_id.to_string())]), &())
    }

    /// Why a job waits.
    pub fn explain(&self, job_id: u64) -> Result<Explain, ClientError> {
        self.get(&path(routes::JOB_EXPLAIN, &[("id", &job_id.to_string())]), &())
    }

    /// A page of a job's attempts.
    pub fn attempts(&self, job_id: u64, query: &PageQuery) -> Result<AttemptList, ClientError> {
        self.get(&path(routes::JOB_ATTEMPTS, &[("id", &job_id.to_string())]), query)
    }

    /// The output of a task, as it comes. With `follow` a read may wait as long as the task is silent.
    pub fn logs(&self, job_id: u64, query: &LogsQuery) -> Result<impl Read + Send + use<>, ClientError> {
        let path = path(routes::JOB_LOGS, &[("id", &job_id.to_string())]);
        Ok(self.send_get(&path, query, &[], Wait::Stream)?.into_body().into_reader())
    }

    /// Asks to end a job.
    pub fn cancel(&self, job_id: u64) -> Result<JobCancelled, ClientError> {
        self.post(&path(routes::JOB_CANCEL, &[("id", &job_id.to_string())]))
    }

    /// All centres.
    pub fn centres(&self) -> Result<CentreList, ClientError> {
        self.get(routes::CENTRES, &())
    }

    /// Makes a centre known.
    pub fn add_centre(&self, centre: &NewCentreRequest) -> Result<CentreView, ClientError> {
        self.post_json(routes::CENTRES, centre)
    }

    /// Gives the agent of a centre a new token.
    pub fn centre_token(&self, centre: &str) -> Result<CentreToken, ClientError> {
        self.post(&path(routes::CENTRE_TOKEN, &[("id", centre)]))
    }

    /// Clears the alarms of a centre.
    pub fn clear_alarms(&self, centre: &str) -> Result<CentreView, ClientError> {
        self.post(&path(routes::CENTRE_ALARMS_CLEAR, &[("id", centre)]))
    }

    /// What at centres wants a person's eyes.
    pub fn alarms(&self) -> Result<AlarmList, ClientError> {
        self.get(routes::ALARMS, &())
    }

    /// One centre.
    pub fn centre(&self, centre: &str) -> Result<CentreView, ClientError> {
        self.get(&path(routes::CENTRE, &[("id", centre)]), &())
    }

    /// Stops giving work to a centre.
    pub fn pause(&self, centre: &str) -> Result<CentreView, ClientError> {
        self.post(&path(routes::CENTRE_PAUSE, &[("id", centre)]))
    }

    /// Has pools of a centre measured again when nothing runs there.
    pub fn measure(&self, centre: &str, pools: &PoolRequest) -> Result<CentreView, ClientError> {
        self.post_json(&path(routes::CENTRE_MEASURE, &[("id", centre)]), pools)
    }

    /// Believes doubted ratings of a centre and the key that signed them.
    pub fn accept_ratings(&self, centre: &str, pools: &PoolRequest) -> Result<CentreView, ClientError> {
        self.post_json(&path(routes::CENTRE_ACCEPT, &[("id", centre)]), pools)
    }

    /// Gives work to a centre again.
    pub fn resume(&self, centre: &str) -> Result<CentreView, ClientError> {
        self.post(&path(routes::CENTRE_RESUME, &[("id", centre)]))
    }

    /// Declares place, links and power of a centre; what was declared before is replaced.
    pub fn set_facts(&self, centre: &str, facts: &FactsFields) -> Result<CentreView, ClientError> {
        self.post_json(&path(routes::CENTRE_FACTS, &[("id", centre)]), facts)
    }

    /// Declares maintenance.
    pub fn maintain(&self, centre: &str, window: &WindowRequest) -> Result<CentreView, ClientError> {
        self.post_json(&path(routes::CENTRE_WINDOWS, &[("id", centre)]), window)
    }

    /// Takes maintenance back.
    pub fn cancel_window(&self, centre: &str, window: u32) -> Result<CentreView, ClientError> {
        self.post(&path(routes::CENTRE_WINDOW_CANCEL, &[("id", centre), ("window", &window.to_string())]))
    }

    /// Reservations in advance; a tenant's own.
    pub fn reservations(&self) -> Result<ReservationList, ClientError> {
        self.get(routes::RESERVATIONS, &())
    }

    /// Makes a reservation.
    pub fn reserve(&self, asked: &ReservationRequest) -> Result<ReservationView, ClientError> {
        self.post_json(routes::RESERVATIONS, asked)
    }

    /// Takes a reservation back; the answer is what it was.
    pub fn cancel_reservation(&self, id: u32) -> Result<ReservationView, ClientError> {
        self.post(&path(routes::RESERVATION_CANCEL, &[("id", &id.to_string())]))
    }

    /// All tenants.
    pub fn tenants(&self) -> Result<TenantList, ClientError> {
        self.get(routes::TENANTS, &())
    }

    /// Adds a tenant.
    pub fn add_tenant(&self, tenant: &NewTenantRequest) -> Result<TenantView, ClientError> {
        self.post_json(routes::TENANTS, tenant)
    }

    /// Changes a tenant.
    pub fn set_tenant(&self, tenant: &str, change: &TenantRequest) -> Result<TenantView, ClientError> {
        self.post_json(&path(routes::TENANT, &[("id", tenant)]), change)
    }

    /// Gives a tenant money.
    pub fn fund_tenant(&self, tenant: &str, amount: i64) -> Result<TenantView, ClientError> {
        self.post_json(&path(routes::TENANT_FUND, &[("id", tenant)]), &FundRequest { amount })
    }

    /// Closes a tenant's account.
    pub fn close_tenant(&self, tenant: &str) -> Result<TenantView, ClientError> {
        self.post(&path(routes::TENANT_CLOSE, &[("id", tenant)]))
    }

    /// Gives a tenant a new token.
    pub fn tenant_token(&self, tenant: &str) -> Result<TenantToken, ClientError> {
        self.post(&path(routes::TENANT_TOKEN, &[("id", tenant)]))
    }

    /// What the caller's tenant used.
    pub fn usage(&self) -> Result<UsageView, ClientError> {
        self.get(routes::USAGE, &())
    }

    /// The ledger's balances.
    pub fn ledger(&self) -> Result<LedgerView, ClientError> {
        self.get(routes::LEDGER, &())
    }

    /// An audit of the stored books; it reads all of them.
    pub fn audit(&self) -> Result<AuditView, ClientError> {
        self.read(self.send_get(routes::LEDGER_AUDIT, &(), &[], Wait::Stream)?)
    }

    /// Where the chain of transfers was at the end of each day.
    pub fn ledger_days(&self) -> Result<DayHeads, ClientError> {
        self.get(routes::LEDGER_DAYS, &())
    }

    /// The text of an export, as it comes.
    pub fn export(&self, query: &ExportQuery) -> Result<impl Read + Send + use<>, ClientError> {
        Ok(self.send_get(routes::LEDGER_EXPORT, query, &[], Wait::Stream)?.into_body().into_reader())
    }

    /// Any query of a route below `/v1`, with its answer as a type of this crate.
    pub fn ask<T: DeserializeOwned>(
        &self,
        route: &str,
        parts: &[(&str, &str)],
        query: &impl Serialize,
    ) -> Result<T, ClientError> {
        self.get(&path(route, parts), query)
    }

    /// The same of a body as it comes.
    pub fn ask_raw(
        &self,
        route: &str,
        parts: &[(&str, &str)],
        query: &impl Serialize,
    ) -> Result<Box<dyn Read + Send>, ClientError> {
        Ok(Box::new(self.send_get(&path(route, parts), query, &[], Wait::Stream)?.into_body().into_reader()))
    }

    /// Any order of a route below `/v1`.
    pub fn order<T: DeserializeOwned>(
        &self,
        route: &str,
        parts: &[(&str, &str)],
        body: &impl Serialize,
    ) -> Result<T, ClientError> {
        self.post_json(&path(route, parts), body)
    }

    /// Whether the server accepts commands.
    pub fn health(&self) -> Result<Health, ClientError> {
        self.get(routes::READYZ, &())
    }

    /// Any JSON route, for what has no method here. `path_and_query` begins with a slash.
    pub fn get_json(&self, path_and_query: &str) -> Result<Value, ClientError> {
        self.get(path_and_query, &())
    }

    /// Any route's body as it comes, for what is not JSON.
    pub fn get_raw(&self, path_and_query: &str) -> Result<impl Read + Send + use<>, ClientError> {
        Ok(self.send_get(path_and_query, &(), &[], Wait::Stream)?.into_body().into_reader())
    }
}
