//! Questions about jobs that are not submitted.

use huisuan_api::{ErrorCode, jobs::JobRequest, routes::PlanQuery, spec::read_job_file};
use huisuan_model::Class;
use serde_json::{Value, json};

use crate::{
    network::{Network, small_job},
    plain::Request,
};

fn ask(network: &Network, job: &Value) -> Value {
    let before = network.journal().len();
    let answer = network.send(&Request::post("/v1/plan").json(job.to_string()));
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(network.journal().len(), before, "nothing is recorded");
    answer.value()
}

#[test]
fn a_plan_says_where_when_and_for_how_much() {
    let network = Network::paused();
    let waiting = ask(&network, &small_job());
    let only = &waiting["candidates"][0];
    assert_eq!((&only["feasible"], &only["start_p50_ms"]), (&json!(true), &Value::Null), "nobody can tell");
    assert_eq!(only["reason"]["code"], json!("centre-paused"));
    network.client().resume("hpc-1").expect("open");
    network.declare("ai-1", Class::Ai);
    network.agent("ai-1").join(Class::Ai, 2);
    let mut job = small_job();
    job["cores"] = json!(4);
    let plan = ask(&network, &job);
    assert_eq!((&plan["tasks"], &plan["tasks_now"]), (&json!(1), &json!(1)));
    let [good, bad] = [&plan["candidates"][0], &plan["candidates"][1]];
    assert_eq!(
        (&good["centre"], &good["start_p50_ms"], &good["start_p90_ms"]),
        (&json!("hpc-1"), &json!(0), &json!(0))
    );
    assert_eq!((&good["reason"], &good["energy_kwh"]), (&Value::Null, &Value::Null));
    // Four of 32 cores, each 30 GFLOP/s, for a minute: 7,200 GFLOP at 2,400 CNY for 3.6e9.
    assert_eq!(good["cost"], json!({"amount": 4_800, "currency": "CNY"}));
    assert_eq!((&bad["feasible"], &bad["reason"]["code"]), (&json!(false), &json!("never-fits")));
    assert_eq!(bad["reason"]["message"], json!("needs 4 cores, pool cpu:test has 2"));
    assert!(plan["notes"].as_array().is_some_and(|notes| notes.len() == 3));
    assert_eq!(network.client().jobs(&Default::default()).expect("a list").jobs.len(), 0);
}

/// Work that reaches half of the rating takes twice the time, the money and the energy; what is held stays.
#[test]
fn a_declared_factor_refines_the_quote_and_nothing_else() {
    let network = Network::paused();
    network.client().resume("hpc-1").expect("open");
    let power = json!({"price_cny_per_kwh": [0.5], "carbon_g_per_kwh": [500.0], "pue": 1.0,
        "watts": {"cpu:test": 3600.0}, "utc_offset_minutes": 480});
    let facts = json!({"power": power, "factors": {"cpu:test": {"cfd": 0.5, "llm": 1.25}}});
    let answer = network.send(&Request::post("/v1/centres/hpc-1/facts").json(facts.to_string()));
    assert_eq!((answer.status, &answer.value()["facts"]), (200, &facts), "{}", answer.text());
    let job = json!({"command": ["/bin/true"], "walltime": "1m", "demand": {"class": "hpc", "rate": "120GFLOP/s"}});
    let ask = |job: &Value, query: &str| {
        let answer = network.send(&Request::post(&format!("/v1/plan{query}")).json(job.to_string()));
        assert_eq!(answer.status, 200, "{}", answer.text());
        answer.value()["candidates"][0].clone()
    };
    let plain = ask(&job, "");
    assert_eq!(plain["expected"], Value::Null, "{plain}");
    for (application, factor, run_ms) in [("cfd", 0.5, 120_000), ("llm", 1.25, 48_000)] {
        let quote = ask(&job, &format!("?application={application}"));
        let expected = &quote["expected"];
        assert_eq!((&expected["factor"], &expected["run_ms"]), (&json!(factor), &json!(run_ms)), "{quote}");
        let of = |view: &Value| {
            (view["cost"]["amount"].as_f64().expect("money"), view["energy_kwh"].as_f64().expect("power"))
        };
        let ((cost, energy), (held, most)) = (of(expected), of(&plain));
        assert!((cost - held / factor).abs() <= 1.0 && (energy - most / factor).abs() < 1e-6, "{quote} {plain}");
        assert_eq!(
            (&quote["cost"], &quote["energy_kwh"]),
            (&plain["cost"], &plain["energy_kwh"]),
            "what is held stays"
        );
    }
    assert_eq!(ask(&job, "?application=other")["expected"], Value::Null);
    assert_eq!(ask(&small_job(), "?application=cfd")["expected"], Value::Null, "hardware says nothing of the work");
    network.refused(&Request::post("/v1/plan?application=a%20b").json(job.to_string()), ErrorCode::BadRequest);
}

#[test]
fn what_would_be_refused_is_refused() {
    let network = Network::paused();
    let post = |path: &str, body: &str| Request::post(path).json(body);
    for (request, code) in [
        (post("/v1/plan", "{"), ErrorCode::BadRequest),
        (post("/v1/plan", r#"{"command": ["x"], "x": 1}"#), ErrorCode::UnknownField),
        (post("/v1/plan", r#"{"command": ["x"], "cores": 0}"#), ErrorCode::InvalidSpec),
        (post("/v1/plan", r#"{"command": ["x"], "image": "x"}"#), ErrorCode::InvalidSpec),
        (post("/v1/plan?project=none", r#"{"command": ["x"]}"#), ErrorCode::InvalidSpec),
        (Request::post("/v1/plan").body("{}"), ErrorCode::BadRequest),
    ] {
        network.refused(&request, code);
    }
    let job = JobRequest(read_job_file("command: [/bin/true]").expect("a job"));
    assert_eq!(network.client().plan(&job, &PlanQuery::default()).expect("a plan").candidates.len(), 1);
}
