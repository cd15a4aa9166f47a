//! The OpenAPI 3.1 document of every route, made from the wire types; committed as `docs/openapi.json`.

mod books;
mod build;
mod channels;
mod sites;

use utoipa::openapi::{
    OpenApi, Required,
    path::{ParameterBuilder, ParameterIn},
    schema::Type,
};

use crate::{agent, events, health, jobs, plan, problem::ErrorCode, routes, spec::job_file::JobFile, tenants};
use build::{Document, Route, text};

const JSON: &str = "application/json";
const TEXT: &str = "text/plain";
/// How a request that declares something may be refused.
const REFUSED: [ErrorCode; 6] = [
    ErrorCode::BadRequest,
    ErrorCode::UnknownField,
    ErrorCode::InvalidSpec,
    ErrorCode::Forbidden,
    ErrorCode::NotFound,
    ErrorCode::Conflict,
];

/// The document as it is served and committed: two spaces a level, a line feed at the end.
pub fn json() -> String {
    let mut text = document().to_pretty_json().expect("the document has string keys and finite numbers only");
    text.push('\n');
    text
}

/// The document.
pub fn document() -> OpenApi {
    let mut document = Document::default();
    submission_routes(&mut document);
    job_routes(&mut document);
    channels::channel_routes(&mut document);
    sites::network_routes(&mut document);
    sites::site_routes(&mut document);
    sites::reservation_routes(&mut document);
    tenant_routes(&mut document);
    event_routes(&mut document);
    books::books_routes(&mut document);
    server_routes(&mut document);
    agent_routes(&mut document);
    document.finish()
}

fn submission_routes(document: &mut Document) {
    let key = ParameterBuilder::new()
        .name("Idempotency-Key")
        .parameter_in(ParameterIn::Header)
        .required(Required::False)
        .description(Some(
            "1 to 255 printable ASCII characters. Same key and same spec: the same job, never a second one.",
        ))
        .schema(Some(text()))
        .build();
    document.add(
        Route::post(routes::JOBS, "submit", "jobs", "Submits a job. When it answers, the job is on disk.")
            .parameter(key)
            .query::<routes::SubmitQuery>()
            .body::<JobFile>("The job file of a user, as JSON.")
            .answer::<jobs::JobCreated>(201, "The job has its number.")
            .answer::<jobs::JobCreated>(200, "The key is known: the job that it led to, as it is now.")
            .refused(&[
                ErrorCode::UnknownField,
                ErrorCode::InvalidSpec,
                ErrorCode::Budget,
                ErrorCode::KeyReused,
                ErrorCode::Conflict,
                ErrorCode::TooLarge,
                ErrorCode::TooMany,
                ErrorCode::Unavailable,
            ]),
    );
    document.add(
        Route::post(
            routes::PLAN,
            "plan",
            "jobs",
            "Says where, when and for how much a job would run; records nothing.",
        )
        .query::<routes::PlanQuery>()
        .body::<JobFile>("The job file of a user, as JSON.")
        .answer::<plan::PlanView>(200, "Every pool, whether the job can run there or not.")
        .refused(&[
            ErrorCode::BadRequest,
            ErrorCode::UnknownField,
            ErrorCode::InvalidSpec,
            ErrorCode::NotSupported,
            ErrorCode::TooMany,
        ]),
    );
}

fn job_routes(document: &mut Document) {
    let id = |route: Route| route.path_parameter("id", "The job's number.", Type::Integer);
    document.add(
        Route::get(routes::JOBS, "jobs", "jobs", "Lists jobs, newest first.")
            .query::<routes::JobsQuery>()
            .answer::<jobs::JobList>(200, "A page of jobs.")
            .refused(&[ErrorCode::BadRequest]),
    );
    document.add(
        id(Route::get(routes::JOB, "job", "jobs", "Shows one job."))
            .answer::<jobs::JobView>(200, "The job.")
            .refused(&[ErrorCode::NotFound]),
    );
    document.add(
        id(Route::get(routes::JOB_EXPLAIN, "explain", "jobs", "Says why a job waits, and what each centre says."))
            .answer::<jobs::Explain>(200, "The reasons.")
            .refused(&[ErrorCode::NotFound]),
    );
    document.add(
        id(Route::get(routes::JOB_ATTEMPTS, "attempts", "jobs", "Lists a job's attempts by task and try."))
            .query::<routes::PageQuery>()
            .answer::<jobs::AttemptList>(200, "A page of attempts.")
            .refused(&[ErrorCode::BadRequest, ErrorCode::NotFound]),
    );
    document.add(
        id(Route::get(routes::JOB_LOGS, "logs", "jobs", "Streams the output of a task as it was written."))
            .query::<routes::LogsQuery>()
            .raw_answer(TEXT, "The bytes; with `follow` until the task ends.")
            .refused(&[ErrorCode::BadRequest, ErrorCode::NotFound, ErrorCode::Unavailable]),
    );
    document.add(
        id(Route::post(routes::JOB_CANCEL, "cancel", "jobs", "Ends a job; repeating it does no harm."))
            .answer::<jobs::JobCancelled>(200, "The wish is on disk.")
            .refused(&[ErrorCode::NotFound]),
    );
}

/// How centres join, and what at them wants a person's eyes.
fn tenant_routes(document: &mut Document) {
    let id = |route: Route| route.path_parameter("id", "The tenant's name.", Type::String);
    let refused = [ErrorCode::UnknownField, ErrorCode::BadRequest, ErrorCode::InvalidSpec, ErrorCode::NotFound];
    document.add(
        Route::get(routes::TENANTS, "tenants", "tenants", "Lists all tenants by name; for operators.")
            .answer::<tenants::TenantList>(200, "The tenants."),
    );
    document.add(
        Route::post(routes::TENANTS, "add-tenant", "tenants", "Adds a tenant; for operators.")
            .body::<tenants::NewTenantRequest>("Its name and what is not as usual.")
            .answer::<tenants::TenantView>(201, "The tenant.")
            .refused(&refused)
            .refused(&[ErrorCode::Conflict]),
    );
    document.add(
        id(Route::get(routes::TENANT, "tenant", "tenants", "Shows one tenant; for operators."))
            .answer::<tenants::TenantView>(200, "The tenant.")
            .refused(&[ErrorCode::NotFound]),
    );
    document.add(
        id(Route::post(routes::TENANT, "set-tenant", "tenants", "Changes a tenant; for operators."))
            .body::<tenants::TenantRequest>("What changes.")
            .answer::<tenants::TenantView>(200, "The tenant as it is now.")
            .refused(&refused),
    );
    document.add(
        id(Route::post(routes::TENANT_FUND, "fund-tenant", "tenants", "Gives a tenant money; for operators."))
            .body::<tenants::FundRequest>("How much.")
            .answer::<tenants::TenantView>(200, "The tenant as it is now.")
            .refused(&refused),
    );
    document.add(
        id(Route::post(routes::TENANT_CLOSE, "close-tenant", "tenants", "Closes a tenant's account; for operators."))
            .answer::<tenants::TenantView>(200, "The tenant as it is now.")
            .refused(&refused),
    );
    document.add(
        id(Route::post(routes::TENANT_TOKEN, "tenant-token", "tenants", "Gives a tenant a new token; for operators."))
            .answer::<tenants::TenantToken>(200, "The token, told once; the one before is void.")
            .refused(&[ErrorCode::NotFound]),
    );
}

fn event_routes(document: &mut Document) {
    document.register::<events::EventView>();
    let last = ParameterBuilder::new()
        .name("Last-Event-ID")
        .parameter_in(ParameterIn::Header)
        .required(Required::False)
        .description(Some("The last `id:` seen; goes before `after`."))
        .schema(Some(text()))
        .build();
    document.add(
        Route::get(
            routes::EVENTS,
            "events",
            "network",
            "Streams events as Server-Sent Events; the data of each is an EventView.",
        )
        .parameter(last)
        .query::<routes::EventsQuery>()
        .raw_answer("text/event-stream", "The stream; it ends when the server ends.")
        .refused(&[ErrorCode::BadRequest]),
    );
}

fn server_routes(document: &mut Document) {
    document.add(
        Route::get(routes::OPENAPI, "openapi", "server", "Gives this document.")
            .public()
            .raw_answer(JSON, "This document."),
    );
    document.add(
        Route::get(routes::HEALTHZ, "healthz", "server", "Answers while the process lives.")
            .public()
            .answer::<health::Health>(200, "It lives."),
    );
    document.add(
        Route::get(routes::READYZ, "readyz", "server", "Answers when commands are accepted.")
            .public()
            .answer::<health::Health>(200, "It is ready.")
            .refused(&[ErrorCode::Unavailable]),
    );
    document.add(
        Route::get(routes::METRICS, "metrics", "server", "Gives metrics as OpenMetrics text.")
            .raw_answer("application/openmetrics-text", "The metrics."),
    );
}

fn agent_routes(document: &mut Document) {
    let centre = |route: Route| route.path_parameter("centre", "The centre that the agent speaks for.", Type::String);
    document.add(
        centre(Route::post(routes::AGENT_HELLO, "agent-hello", "agent", "Opens a run and says from where to go on."))
            .body::<agent::Hello>("What the agent found.")
            .answer::<agent::Welcome>(200, "The run's epoch and sequence.")
            .refused(&[ErrorCode::BadRequest, ErrorCode::Forbidden, ErrorCode::NotFound, ErrorCode::Conflict]),
    );
    document.register::<agent::SequencedOrder>();
    document.add(
        centre(Route::get(routes::AGENT_ORDERS, "agent-orders", "agent", "Waits for orders and log requests."))
            .query::<routes::OrdersQuery>()
            .answer::<agent::Orders>(200, "What to do; empty when the wait is over.")
            .refused(&[ErrorCode::BadRequest, ErrorCode::NotFound]),
    );
    document.add(
        centre(Route::post(routes::AGENT_REPORTS, "agent-reports", "agent", "Brings news of attempts."))
            .body::<agent::Reports>("A batch.")
            .answer::<agent::Taken>(200, "They are on disk.")
            .refused(&[ErrorCode::BadRequest, ErrorCode::Forbidden, ErrorCode::StaleEpoch]),
    );
    document.add(
        centre(Route::post(routes::AGENT_HELD, "agent-held", "agent", "Says what the engine holds."))
            .body::<agent::Held>("What has not ended there.")
            .answer::<agent::HeldAnswer>(200, "Where the books differ.")
            .refused(&[ErrorCode::BadRequest, ErrorCode::StaleEpoch, ErrorCode::TooLarge]),
    );
    document.add(
        centre(Route::post(routes::AGENT_RATINGS, "agent-ratings", "agent", "Brings ratings of pools."))
            .body::<agent::Ratings>("One for each pool.")
            .no_answer("They are on disk.")
            .refused(&[ErrorCode::BadRequest, ErrorCode::Forbidden, ErrorCode::NotFound]),
    );
    document.add(
        centre(Route::post(routes::AGENT_LOGS, "agent-logs", "agent", "Answers a log request with raw bytes."))
            .path_parameter("id", "The log request.", Type::Integer)
            .query::<agent::LogAnswer>()
            .raw_body("The bytes.")
            .no_answer("The reader has them.")
            .refused(&[ErrorCode::BadRequest, ErrorCode::Forbidden, ErrorCode::NotFound]),
    );
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, fs, path::Path};

    use serde_json::Value;

    use super::*;

    fn references(value: &Value, found: &mut BTreeSet<String>) {
        match value {
            Value::Object(map) => {
                if let Some(Value::String(reference)) = map.get("$ref") {
                    found.insert(reference.clone());
                }
                map.values().for_each(|value| references(value, found));
            }
            Value::Array(items) => items.iter().for_each(|value| references(value, found)),
            _ => {}
        }
    }

    #[test]
    fn the_committed_document_is_the_one_of_this_build() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/openapi.json");
        if std::env::var_os("HUISUAN_BLESS").is_some() {
            fs::write(&path, json()).expect("the document can be written");
        }
        let committed = fs::read_to_string(&path).unwrap_or_default();
        assert!(
            committed == json(),
            "docs/openapi.json is old; run: HUISUAN_BLESS=1 cargo test -p huisuan-api openapi"
        );
    }

    #[test]
    fn every_reference_has_its_schema() {
        let document: Value = serde_json::from_str(&json()).expect("JSON");
        assert!(document["openapi"].as_str().is_some_and(|version| version.starts_with("3.1")));
        let mut found = BTreeSet::new();
        references(&document, &mut found);
        assert!(found.len() > 20, "{found:?}");
        for reference in &found {
            let pointer = reference.strip_prefix('#').expect("a local reference");
            assert!(document.pointer(pointer).is_some(), "{reference}");
        }
        let schemas = document["components"]["schemas"].as_object().expect("schemas");
        for name in schemas.keys() {
            let used = found.contains(&format!("#/components/schemas/{name}"));
            assert!(used || name == "EventView", "schema {name} is not used");
        }
    }

    #[test]
    fn path_parameters_are_described() {
        let document: Value = serde_json::from_str(&json()).expect("JSON");
        for (path, methods) in document["paths"].as_object().expect("paths") {
            for (method, operation) in methods.as_object().expect("methods") {
                let none = Vec::new();
                let parameters = operation["parameters"].as_array().unwrap_or(&none);
                let in_path: BTreeSet<_> =
                    parameters.iter().filter(|p| p["in"] == "path").filter_map(|p| p["name"].as_str()).collect();
                let named: BTreeSet<_> =
                    path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}')).collect();
                assert_eq!(in_path, named, "{method} {path}");
                assert!(operation["summary"].is_string() && operation["operationId"].is_string(), "{method} {path}");
            }
        }
    }
}
