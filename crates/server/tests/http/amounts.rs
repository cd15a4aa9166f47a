//! Amounts at the ends of their type and beyond: each is refused with the object, the value and a way out, and the books
//! can take the next one.

use serde_json::{Value, json};

use crate::{
    network::{Network, problem, small_job},
    plain::Request,
};

/// Refuses the request, naming the value; nothing changes.
fn refused(network: &Network, request: &Request, status: u16, text: &str) {
    let before = network.journal().len();
    let answer = network.send(request);
    let problem = problem(&answer);
    assert_eq!(answer.status, status, "{request:?}: {problem:?}");
    assert!(problem.detail.contains(text) && !problem.hint.is_empty(), "`{text}` is not in {problem:?}");
    assert_eq!(network.journal().len(), before, "{request:?}");
}

fn put(value: &str) -> Value {
    serde_json::from_str(value).expect("JSON")
}

#[test]
fn amounts_that_do_not_fit_are_refused_with_their_value() {
    let network = Network::paused();
    let post = |path: &str, body: String| Request::post(path).json(body);
    assert_eq!(network.send(&post("/v1/tenants", json!({"tenant": "lab"}).to_string())).status, 201);
    let most = i64::MAX.to_string();
    let beyond = "9223372036854775808";
    for (value, text) in
        [(most.as_str(), most.as_str()), ("0", "0 "), ("-5", "-5"), (beyond, beyond), ("1e30", "expected i64")]
    {
        refused(&network, &post("/v1/tenants/lab/fund", format!("{{\"amount\": {value}}}")), 400, text);
    }
    for field in ["budget_month", "budget_hour", "credit"] {
        for value in [most.as_str(), "-1", "1.5"] {
            let body = format!("{{\"tenant\": \"x\", \"settings\": {{\"{field}\": {value}}}}}");
            let answer = network.send(&post("/v1/tenants", body));
            assert!((400..500).contains(&answer.status), "{field} {value}: {}", answer.text());
            assert!(!problem(&answer).hint.is_empty());
        }
    }
    let projects = json!({"tenant": "x", "settings": {"projects": {"a": 1}, "budget_projects": {"a": put(&most)}}});
    refused(&network, &post("/v1/tenants", projects.to_string()), 422, "from 0 to 10^12");
    for (path, body) in [
        ("/v1/tariffs/rules", json!({"centre": "hpc-1", "price_per_p_h": put(&most)})),
        ("/v1/tariffs/rules", json!({"centre": "hpc-1", "price_per_p_h": -1})),
        ("/v1/contracts", json!({"tenant": "lab", "centre": "hpc-1", "price_per_p_h": put(&most)})),
    ] {
        refused(&network, &post(path, body.to_string()), 422, "price");
    }
    for budget in [json!("99999999999999999999"), json!("-1"), json!("1e9")] {
        let mut job = small_job();
        job["budget"] = budget.clone();
        refused(&network, &post("/v1/jobs", job.to_string()), 422, budget.as_str().expect("text"));
    }
}

#[test]
fn the_books_are_full_and_say_so() {
    let network = Network::paused();
    let post = |path: &str, body: Value| Request::post(path).json(body.to_string());
    assert_eq!(network.send(&post("/v1/tenants", json!({"tenant": "lab"}))).status, 201);
    let (fund, amount) = ("/v1/tenants/lab/fund", i64::MAX / 16);
    let taken = (0..16).filter(|_| network.send(&post(fund, json!({"amount": amount}))).status == 200).count();
    assert_eq!(taken, 15, "the money that the network begins with is there, too");
    refused(&network, &post(fund, json!({"amount": amount})), 422, &amount.to_string());
    refused(
        &network,
        &post("/v1/tenants", json!({"tenant": "x", "settings": {"credit": 1_000_000_000_000_000_000_i64}})),
        422,
        "do not fit",
    );
    assert_eq!(network.send(&post(fund, json!({"amount": 1}))).status, 200, "what fits is taken");
    assert!(network.client().audit().expect("an audit").ok);
}
