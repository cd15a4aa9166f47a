//! The routes of a server: paths in the form that routers and OpenAPI share, their queries, and the
//! names of headers. The server, the clients and the OpenAPI document all take them from here.

use serde::{Deserialize, Serialize};
use utoipa::IntoParams;

use huisuan_model::Stream;

/// `POST` submits, `GET` lists.
pub const JOBS: &str = "/v1/jobs";
/// `GET` shows one job.
pub const JOB: &str = "/v1/jobs/{id}";
/// `GET` says why it waits.
pub const JOB_EXPLAIN: &str = "/v1/jobs/{id}/explain";
/// `GET` lists its attempts.
pub const JOB_ATTEMPTS: &str = "/v1/jobs/{id}/attempts";
/// `GET` streams its output as text.
pub const JOB_LOGS: &str = "/v1/jobs/{id}/logs";
/// `POST` opens a channel into a session.
pub const JOB_CHANNELS: &str = "/v1/jobs/{id}/channels";
/// `GET` streams what comes out of a channel, `POST` brings what goes in.
pub const JOB_CHANNEL: &str = "/v1/jobs/{id}/channels/{channel}";
/// `POST` ends it.
pub const JOB_CANCEL: &str = "/v1/jobs/{id}/cancel";
/// `POST` says what would become of a job; nothing is recorded.
pub const PLAN: &str = "/v1/plan";
/// `GET` lists the centres, `POST` adds one.
pub const CENTRES: &str = "/v1/centres";
/// `GET` shows one centre.
pub const CENTRE: &str = "/v1/centres/{id}";
/// `POST` stops giving it work.
pub const CENTRE_PAUSE: &str = "/v1/centres/{id}/pause";
/// `POST` gives it work again.
pub const CENTRE_RESUME: &str = "/v1/centres/{id}/resume";
/// `POST` declares its place, links and power.
pub const CENTRE_FACTS: &str = "/v1/centres/{id}/facts";
/// `POST` gives its agent a new token.
pub const CENTRE_TOKEN: &str = "/v1/centres/{id}/token";
/// `POST` clears its alarms; what is still so is raised again.
pub const CENTRE_ALARMS_CLEAR: &str = "/v1/centres/{id}/alarms/clear";
/// `GET` lists what at centres wants a person's eyes.
pub const ALARMS: &str = "/v1/alarms";
/// `POST` has pools measured again when nothing runs there.
pub const CENTRE_MEASURE: &str = "/v1/centres/{id}/measure";
/// `POST` believes doubted ratings and the key that signed them.
pub const CENTRE_ACCEPT: &str = "/v1/centres/{id}/accept-ratings";
/// `POST` declares maintenance.
pub const CENTRE_WINDOWS: &str = "/v1/centres/{id}/windows";
/// `POST` takes a window back.
pub const CENTRE_WINDOW_CANCEL: &str = "/v1/centres/{id}/windows/{window}/cancel";
/// `GET` lists reservations in advance, `POST` makes one.
pub const RESERVATIONS: &str = "/v1/reservations";
/// `POST` takes a reservation back.
pub const RESERVATION_CANCEL: &str = "/v1/reservations/{id}/cancel";
/// `GET` lists the tenants, `POST` adds one.
pub const TENANTS: &str = "/v1/tenants";
/// `GET` shows one tenant, `POST` changes it.
pub const TENANT: &str = "/v1/tenants/{id}";
/// `POST` closes its account.
pub const TENANT_CLOSE: &str = "/v1/tenants/{id}/close";
/// `POST` gives it money.
pub const TENANT_FUND: &str = "/v1/tenants/{id}/fund";
/// `POST` gives it a new token.
pub const TENANT_TOKEN: &str = "/v1/tenants/{id}/token";
/// `GET` tells what the caller's tenant used.
pub const USAGE: &str = "/v1/usage";
/// `GET` tells the ledger's balances.
pub const LEDGER: &str = "/v1/ledger";
/// `GET` audits the stored books.
pub const LEDGER_AUDIT: &str = "/v1/ledger/audit";
/// `GET` lists where the chain of transfers was at the end of each day.
pub const LEDGER_DAYS: &str = "/v1/ledger/days";
/// `GET` exports transfers.
pub const LEDGER_EXPORT: &str = "/v1/ledger/export";
/// `GET` lists the bills of a month.
pub const BILLS: &str = "/v1/bills";
/// `GET` shows a tenant's bill.
pub const BILL: &str = "/v1/bills/{month}/{id}";
/// `GET` gives it in another form.
pub const BILL_EXPORT: &str = "/v1/bills/{month}/{id}/export";
/// `GET` gives the meter records of one of its lines.
pub const BILL_RECORDS: &str = "/v1/bills/{month}/{id}/records";
/// `GET` lists the statements of a month.
pub const STATEMENTS: &str = "/v1/statements";
/// `GET` shows a centre's statement.
pub const STATEMENT: &str = "/v1/statements/{month}/{id}";
/// `GET` gives it in another form.
pub const STATEMENT_EXPORT: &str = "/v1/statements/{month}/{id}/export";
/// `GET` gives the meter records of one of its lines.
pub const STATEMENT_RECORDS: &str = "/v1/statements/{month}/{id}/records";
/// `GET` lists prices and rules.
pub const TARIFFS: &str = "/v1/tariffs";
/// `POST` adds a rule.
pub const TARIFF_RULES: &str = "/v1/tariffs/rules";
/// `POST` ends a rule.
pub const TARIFF_RULE_END: &str = "/v1/tariffs/rules/{id}/end";
/// `POST` prices anew what a rule concerns.
pub const TARIFF_RULE_RERATE: &str = "/v1/tariffs/rules/{id}/rerate";
/// `GET` lists contracts, `POST` makes one.
pub const CONTRACTS: &str = "/v1/contracts";
/// `POST` ends a contract.
pub const CONTRACT_END: &str = "/v1/contracts/{id}/end";
/// `GET` tells capacity and delivery by period.
pub const REPORT_GROWTH: &str = "/v1/reports/growth";
/// `GET` tells what was used, idle and unavailable of every pool by the hour.
pub const REPORT_HOURS: &str = "/v1/reports/hours";
/// `GET` lists what was found odd in the reports of centres.
pub const ODDITIES: &str = "/v1/oddities";
/// `GET` streams events.
pub const EVENTS: &str = "/v1/events";
/// `GET` gives the OpenAPI document.
pub const OPENAPI: &str = "/v1/openapi.json";
/// `GET` answers while the process lives.
pub const HEALTHZ: &str = "/healthz";
/// `GET` answers when commands are accepted.
pub const READYZ: &str = "/readyz";
/// `GET` gives OpenMetrics text.
pub const METRICS: &str = "/metrics";
/// `POST`, by agents: opens a run.
pub const AGENT_HELLO: &str = "/v1/agent/{centre}/hello";
/// `GET`, by agents: waits for orders.
pub const AGENT_ORDERS: &str = "/v1/agent/{centre}/orders";
/// `POST`, by agents: brings news.
pub const AGENT_REPORTS: &str = "/v1/agent/{centre}/reports";
/// `POST`, by agents: says what the engine holds, and is told what the books say otherwise.
pub const AGENT_HELD: &str = "/v1/agent/{centre}/held";
/// `POST`, by agents: brings ratings.
pub const AGENT_RATINGS: &str = "/v1/agent/{centre}/ratings";
/// `POST`, by agents: answers a log request with raw bytes.
pub const AGENT_LOGS: &str = "/v1/agent/{centre}/logs/{id}";
/// `GET`, by agents: streams what goes into a session; `POST` brings what comes out of it.
pub const AGENT_CHANNEL: &str = "/v1/agent/{centre}/channels/{channel}";

/// The secret of a channel: who shows it is the one who opened it, or the agent that was asked.
pub const CHANNEL_SECRET: &str = "x-channel-secret";
/// Same key and same spec: the same job, however often it is sent.
pub const IDEMPOTENCY_KEY: &str = "idempotency-key";
/// The longest key, in bytes.
pub const IDEMPOTENCY_KEY_LENGTH_MAX: usize = 255;
/// Names a request in answers and logs.
pub const REQUEST_ID: &str = "x-request-id";
/// Where a broken event stream goes on.
pub const LAST_EVENT_ID: &str = "last-event-id";

/// Entries of a page when the caller does not say.
pub const PAGE_SIZE_DEFAULT: u32 = 100;
/// The most entries of a page.
pub const PAGE_SIZE_MAX: u32 = 1000;
/// The longest that `orders` waits for something to do, in milliseconds.
pub const ORDERS_WAIT_MS_MAX: u64 = 30_000;
/// The largest body that a server reads, in bytes: a script of 256 KiB in JSON, escaped, and the rest.
pub const BODY_BYTES_MAX: usize = 2 * 1024 * 1024;

/// The query of a list of jobs.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct JobsQuery {
    /// Only jobs in this state.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<String>,
    /// Only jobs of this tenant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant: Option<String>,
    /// Entries of a page, 1 to 1000; 100 when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub page_size: Option<u32>,
    /// What the page before gave as `next_page_token`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub page_token: Option<String>,
}

/// The query of a submission.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct SubmitQuery {
    /// The project of the caller's tenant that it is for; `default` when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub project: Option<String>,
}

/// The query of a question about a job that is not submitted.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct PlanQuery {
    /// The project of the caller's tenant that it is for; `default` when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub project: Option<String>,
    /// The kind of work that it is, such as `llm-train`: `expected` is told where that is declared for a pool.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub application: Option<String>,
}

/// The query of any other list.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct PageQuery {
    /// Entries of a page, 1 to 1000; 100 when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub page_size: Option<u32>,
    /// What the page before gave as `next_page_token`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub page_token: Option<String>,
}

/// The query of a job's output.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct LogsQuery {
    /// The task; the first of the job when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task: Option<u32>,
    /// Which output; `stdout` when absent.
    #[serde(default)]
    #[param(value_type = String, pattern = "^(stdout|stderr)$")]
    pub stream: Stream,
    /// Go on until the task ends.
    #[serde(default)]
    pub follow: bool,
    /// The first byte wanted, from 0.
    #[serde(default)]
    pub offset: u64,
}

/// The query of bytes that are brought to a channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ChannelQuery {
    /// How many bytes were brought in this direction before: the same bytes may be sent again, and count once.
    pub offset: u64,
    /// Nothing more comes in this direction.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub end: bool,
}

/// The query of an export of the books.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ExportQuery {
    /// `beancount`, `csv` or `json` for transfers; `focus-1.2` or `focus-1.0` for the bills of all tenants.
    #[param(pattern = "^(beancount|csv|json|focus-1.2|focus-1.0)$")]
    pub format: String,
    /// Only what was booked at this moment or later: a day such as 2026-11-22, or a time in RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// Only what was booked before this moment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
}

/// The query of the event stream.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct EventsQuery {
    /// Events after this sequence; `Last-Event-ID` goes before it. Only new ones when both are absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<u64>,
}

/// The query of an agent that waits for orders.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct OrdersQuery {
    /// The run of the server that the agent said hello to.
    pub epoch: u64,
    /// Orders after this sequence.
    #[serde(default)]
    pub after: u64,
    /// How long to wait for the first one, in milliseconds; 0 to 30000.
    #[serde(default)]
    pub wait_ms: u64,
}
