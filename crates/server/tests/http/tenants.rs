//! Two tenants on one network: who may do what, who sees what, who may hold how much.

use huisuan_api::{Client, ClientError, ErrorCode, routes::JobsQuery};
use huisuan_model::Class;
use serde_json::{Value, json};

use crate::{
    network::{Network, ended, small_job, started},
    plain::Request,
};

/// Adds a tenant with some money and gives its token.
pub(crate) fn tenant(network: &Network, name: &str, settings: &Value) -> String {
    let body = json!({"tenant": name, "settings": settings});
    let answer = network.send(&Request::post("/v1/tenants").json(body.to_string()));
    assert_eq!(answer.status, 201, "{}", answer.text());
    let fund = Request::post(&format!("/v1/tenants/{name}/fund")).json(json!({"amount": 1_000_000_000}).to_string());
    assert_eq!(network.send(&fund).value()["available"]["amount"], json!(1_000_000_000));
    let answer = network.send(&Request::post(&format!("/v1/tenants/{name}/token")));
    answer.value()["token"].as_str().expect("a token").to_owned()
}

pub(crate) fn client(network: &Network, token: &str) -> Client {
    Client::new(&network.server.url(), Some(token)).expect("a client")
}

#[track_caller]
fn code<T: std::fmt::Debug>(answer: Result<T, ClientError>) -> ErrorCode {
    match answer {
        Err(ClientError::Problem(problem)) => problem.code,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_tenant_sees_and_ends_its_own_jobs_alone() {
    let network = Network::paused();
    let (lab, uni) = (tenant(&network, "lab", &json!({})), tenant(&network, "uni", &json!({})));
    let submit = |token: &str| {
        let answer = network.send(&Request::post("/v1/jobs").bearer(token).json(small_job().to_string()));
        assert_eq!(answer.status, 201, "{}", answer.text());
        answer.value()["job_id"].as_u64().expect("a number")
    };
    let (of_lab, of_uni, of_local) = (submit(&lab), submit(&uni), network.submit(&small_job()));
    let lab = client(&network, &lab);
    let seen = |client: &Client, query: &JobsQuery| -> Vec<u64> {
        client.jobs(query).expect("a list").jobs.iter().map(|job| job.job_id).collect()
    };
    assert_eq!(seen(&lab, &JobsQuery::default()), [of_lab]);
    assert_eq!(seen(&network.client(), &JobsQuery::default()), [of_local, of_uni, of_lab]);
    let asked = JobsQuery { tenant: Some("uni".into()), ..JobsQuery::default() };
    assert_eq!(code(lab.jobs(&asked)), ErrorCode::Forbidden);
    for other in [of_uni, of_local, 99] {
        assert_eq!(code(lab.job(other)), ErrorCode::NotFound);
        assert_eq!(code(lab.explain(other)), ErrorCode::NotFound);
        assert_eq!(code(lab.cancel(other)), ErrorCode::NotFound);
        assert_eq!(code(lab.attempts(other, &Default::default())), ErrorCode::NotFound);
        assert_eq!(code(lab.logs(other, &Default::default()).map(drop)), ErrorCode::NotFound);
    }
    let view = lab.job(of_lab).expect("its own");
    assert_eq!((&*view.summary.tenant, &*view.actor), ("lab", "tenant:lab"));
    assert_eq!(lab.cancel(of_lab).expect("its own").state, "cancelled");
    assert_eq!(network.client().job(of_uni).expect("there").summary.state, "waiting");
    assert_eq!((lab.usage().expect("its own").jobs, network.client().usage().expect("all").jobs), (1, 3));
}

#[test]
fn what_is_not_for_tenants_is_denied() {
    let network = Network::paused();
    let token = tenant(&network, "lab", &json!({}));
    let denied = [
        Request::get("/v1/ledger"),
        Request::get("/v1/ledger/audit"),
        Request::get("/v1/ledger/days"),
        Request::get("/v1/ledger/export?format=csv"),
        Request::get("/v1/events"),
        Request::get("/metrics"),
        Request::get("/"),
        Request::get("/jobs"),
        Request::get("/v1/tenants"),
        Request::get("/v1/tenants/lab"),
        Request::post("/v1/tenants").json(json!({"tenant": "mine"}).to_string()),
        Request::post("/v1/tenants/lab").json(json!({"weight": 9}).to_string()),
        Request::post("/v1/tenants/lab/fund").json(json!({"amount": 1}).to_string()),
        Request::post("/v1/tenants/lab/token"),
        Request::post("/v1/centres/hpc-1/pause"),
        Request::post("/v1/centres/hpc-1/resume"),
        Request::post("/v1/centres/hpc-1/facts").json(json!({}).to_string()),
        Request::post("/v1/centres/hpc-1/windows").json(json!({}).to_string()),
        Request::post("/v1/centres/hpc-1/windows/1/cancel"),
    ];
    for request in denied {
        network.refused(&request.bearer(&token), ErrorCode::Forbidden);
    }
    let agent = Request::post("/v1/agent/hpc-1/hello").json("{}").bearer(&token);
    network.refused(&agent, ErrorCode::Unauthenticated);
    for allowed in ["/v1/jobs", "/v1/centres", "/v1/centres/hpc-1", "/v1/usage"] {
        assert_eq!(network.send(&Request::get(allowed).bearer(&token)).status, 200, "{allowed}");
    }
}

#[test]
fn a_new_token_voids_the_one_before_and_only_its_hash_is_stored() {
    let network = Network::paused();
    let first = tenant(&network, "lab", &json!({}));
    let second = network.client().tenant_token("lab").expect("a token").token;
    network.refused(&Request::get("/v1/jobs").bearer(&first), ErrorCode::Unauthenticated);
    assert_eq!(network.send(&Request::get("/v1/jobs").bearer(&second)).status, 200);
    let journal = serde_json::to_string(&network.journal()).expect("JSON");
    let secret = second.trim_start_matches("hst_").split('_').next().expect("a secret");
    assert!(!journal.contains(secret) && journal.contains("set-tenant-token"));
    let bent = second.replace("_lab", "_local");
    network.refused(&Request::get("/v1/jobs").bearer(&bent), ErrorCode::Unauthenticated);
}

#[test]
fn a_quota_holds_one_tenant_back_and_not_the_other() {
    let network = Network::paused();
    let lab = tenant(&network, "lab", &json!({"quota_cores": 2, "weight": 3, "projects": {"alpha": 2}}));
    let uni = tenant(&network, "uni", &json!({}));
    let mut array = small_job();
    array["tasks"] = json!(5);
    let submit = |token: &str, path: &str| {
        let answer = network.send(&Request::post(path).bearer(token).json(array.to_string()));
        answer.value()["job_id"].as_u64().unwrap_or_else(|| panic!("{}", answer.text()))
    };
    let (held, free) = (submit(&lab, "/v1/jobs?project=alpha"), submit(&uni, "/v1/jobs"));
    network.client().resume("hpc-1").expect("open");
    let mut agent = network.agent("hpc-1");
    agent.join(Class::Hpc, 32);
    let starts = agent.starts(7);
    let of = |id: u64| starts.iter().filter(|start| start.attempt.job.0 == id).count();
    assert_eq!((of(held), of(free)), (2, 5));
    let reason = client(&network, &lab).explain(held).expect("an answer").reason.expect("it waits");
    assert_eq!(reason.code, "quota");
    assert_eq!(
        (&reason.details["held_thousandths"], &reason.details["limit_thousandths"]),
        (&json!(2000), &json!(2000))
    );
    let done = starts.iter().find(|start| start.attempt.job.0 == held).expect("a start").attempt;
    agent.report(vec![started(done), ended(done, 0)]);
    assert_eq!(agent.starts(1)[0].attempt.job.0, held, "one ended, the next one starts");
    let view = network.client().job(held).expect("a job");
    assert_eq!((&*view.summary.tenant, &*view.summary.project), ("lab", "alpha"));
    let tenants = network.client().tenants().expect("tenants").tenants;
    let lab = tenants.iter().find(|view| view.tenant == "lab").expect("lab");
    assert_eq!((lab.weight, lab.quota_cores, lab.cores_held, lab.jobs), (3, Some(2.0), 2.0, 1));
}

#[test]
fn what_operators_ask_for_in_vain() {
    let network = Network::paused();
    let token = tenant(&network, "lab", &json!({}));
    let add = |body: Value| Request::post("/v1/tenants").json(body.to_string());
    let set = |body: Value| Request::post("/v1/tenants/lab").json(body.to_string());
    for (request, code) in [
        (add(json!({"tenant": "lab"})), ErrorCode::Conflict),
        (add(json!({"tenant": "a b"})), ErrorCode::InvalidSpec),
        (add(json!({"tenant": "x", "weight": 2})), ErrorCode::UnknownField),
        (add(json!({"tenant": "x", "settings": {"wight": 2}})), ErrorCode::UnknownField),
        (set(json!({"weight": 0})), ErrorCode::InvalidSpec),
        (set(json!({"quota_cores": "lots"})), ErrorCode::InvalidSpec),
        (set(json!({"jobs_max": 99_999_999_999_u64})), ErrorCode::InvalidSpec),
        (Request::get("/v1/tenants/nobody"), ErrorCode::NotFound),
        (Request::post("/v1/tenants/nobody/token"), ErrorCode::NotFound),
        (Request::post("/v1/tenants/lab/fund").json(json!({"amount": -1}).to_string()), ErrorCode::BadRequest),
        (Request::post("/v1/jobs?project=none").bearer(&token).json(small_job().to_string()), ErrorCode::InvalidSpec),
        (Request::post("/v1/jobs?project=a%20b").json(small_job().to_string()), ErrorCode::InvalidSpec),
    ] {
        network.refused(&request, code);
    }
}
