//! What lies between centres, through the doors.

use huisuan_api::ErrorCode;
use huisuan_model::{AttemptReport, Class, DurationMs, ReportKind, Usage};
use serde_json::{Value, json};

use crate::{
    network::{Agent, Network, ended, small_job, started},
    plain::Request,
};

fn facts(centre: &str, body: &Value) -> Request {
    Request::post(&format!("/v1/centres/{centre}/facts")).json(body.to_string())
}

fn link(round_trip_ms: f64) -> Value {
    json!({"links": [{"to": "ai-1", "round_trip_ms": round_trip_ms, "gbit_per_s": 10.0, "price_cny_per_gb": 0.0}]})
}

#[test]
fn facts_are_declared_and_shown_and_plans_tell_energy() {
    let network = Network::paused();
    let body = json!({
        "latitude": 34.75, "longitude": 113.62,
        "power": {"price_cny_per_kwh": [0.5], "carbon_g_per_kwh": [560.0], "pue": 1.25, "watts": {"cpu:test": 10.0},
            "utc_offset_minutes": 480},
    });
    let answer = network.send(&facts("hpc-1", &body));
    assert_eq!((answer.status, &answer.value()["facts"]), (200, &body), "{}", answer.text());
    assert_eq!(network.send(&Request::get("/v1/centres/hpc-1")).value()["facts"], body);
    let plan = network.send(&Request::post("/v1/plan").json(small_job().to_string())).value();
    // One core of 10 W at a PUE of 1.25 for a minute.
    let energy = plan["candidates"][0]["energy_kwh"].as_f64().expect("its power is declared");
    assert!((energy - 0.012_5 / 60.0).abs() < 1e-6, "{energy}");
    let answer = network.send(&facts("hpc-1", &json!({})));
    assert_eq!(answer.value().get("facts"), None, "and taken back");
}

#[test]
fn a_latency_bound_is_kept_and_told() {
    let network = Network::paused();
    network.client().resume("hpc-1").expect("open");
    network.declare("ai-1", Class::Ai);
    network.agent("ai-1").join(Class::Ai, 2);
    network.agent("hpc-1").join(Class::Hpc, 32);
    assert_eq!(network.send(&facts("hpc-1", &link(8.0))).status, 200);
    let mut job = small_job();
    (job["cores"], job["latency"]) = (json!(4), json!({"round_trip": "5ms", "to": "ai-1"}));
    let problem = network.refused(&Request::post("/v1/jobs").json(job.to_string()), ErrorCode::NeverFits);
    let text = format!("{problem:?}");
    assert!(text.contains("is 8 ms there and back from ai-1, the job allows 5 ms"), "{text}");
    let plan = network.send(&Request::post("/v1/plan").json(job.to_string())).value();
    let far = plan["candidates"].as_array().expect("a list").iter().find(|one| one["centre"] == "hpc-1");
    let reason = &far.expect("both centres are told")["reason"];
    assert!(reason["message"].as_str().is_some_and(|text| text.contains("8.000 ms")), "{reason}");
    job["latency"]["round_trip"] = json!("8ms");
    network.submit(&job);
}

/// What ran where power is declared is shown with energy and CO2, down to the record and up to the report; what ran
/// before says nothing.
#[test]
fn energy_and_carbon_of_what_ran_are_shown_everywhere() {
    let network = Network::empty();
    network.declare("hpc-1", Class::Hpc);
    let mut agent = network.agent("hpc-1");
    agent.join(Class::Hpc, 2);
    let run = |agent: &mut Agent| {
        network.submit(&small_job());
        let id = agent.starts(1)[0].attempt;
        // More than can be: what counts is the time since it was placed, on one core.
        let hours = DurationMs(40 * 3_600_000);
        let what = ReportKind::Used(Usage { wall: hours, cpu: hours, ..Usage::default() });
        agent.report(vec![started(id)]);
        agent.report(vec![AttemptReport { what, ..started(id) }]);
        agent.report(vec![ended(id, 0)]);
        id.job.0
    };
    let get = |path: &str| {
        let answer = network.send(&Request::get(path));
        assert_eq!(answer.status, 200, "{path}: {}", answer.text());
        answer.value()
    };
    let dark = run(&mut agent);
    for path in [format!("/v1/jobs/{dark}"), "/v1/usage".to_owned()] {
        let view = get(&path);
        assert_eq!((&view["energy_kwh"], &view["energy_mark"]), (&Value::Null, &Value::Null), "{view}");
    }
    // A megawatt for a core: a job of milliseconds shows.
    let power = json!({"price_cny_per_kwh": [0.5], "carbon_g_per_kwh": [500.0], "pue": 1.0,
        "watts": {"cpu:test": 1e6}, "utc_offset_minutes": 480});
    assert_eq!(network.send(&facts("hpc-1", &json!({ "power": power }))).status, 200);
    let lit = run(&mut agent);
    let job = get(&format!("/v1/jobs/{lit}"));
    let energy = job["energy_kwh"].as_f64().expect("its power is declared");
    let month = get("/v1/bills")["month"].as_str().expect("a month").to_owned();
    let bill = get(&format!("/v1/bills/{month}/local"));
    let statement = get(&format!("/v1/statements/{month}/hpc-1"));
    let growth = get("/v1/reports/growth");
    let period =
        growth["periods"].as_array().and_then(|periods| periods.last()).expect("a period")["classes"]["hpc"].clone();
    let views =
        [&job, &job["attempts"][0], &get("/v1/usage"), &bill, &bill["lines"][0], &statement, &period].map(Value::clone);
    for view in views {
        assert_eq!((view["energy_kwh"].as_f64(), &view["energy_mark"]), (Some(energy), &json!("modelled")), "{view}");
        let carbon = view["carbon_kg"].as_f64().expect("the grid is known");
        assert!((carbon - energy / 2.0).abs() < 1e-5, "{carbon} {energy}");
    }
    let line = bill["lines"][0]["line"].as_str().expect("a name").replace('/', "%2F").replace('@', "%40");
    let records = get(&format!("/v1/bills/{month}/local/records?line={line}"));
    let known: Vec<&Value> =
        records["records"].as_array().expect("a list").iter().filter(|row| !row["energy_j"].is_null()).collect();
    let joules: f64 = known.iter().map(|row| row["energy_j"].as_f64().expect("a number")).sum();
    assert!((joules / 3.6e6 - energy).abs() < 1e-9 && energy > 0.0, "{records}");
    assert!(known.iter().all(|row| row["carbon_g_per_kwh"] == json!(500) && row["energy_mark"] == json!("modelled")));
    let page = network.send(&Request::get(&format!("/jobs/{lit}"))).text().to_owned();
    assert!(page.contains("of CO2"), "{page}");
}

#[test]
fn facts_that_make_no_sense_are_refused() {
    let network = Network::paused();
    let no_zone = json!({"power": {"price_cny_per_kwh": [0.5, 0.6], "carbon_g_per_kwh": [1.0], "pue": 1.2}});
    for (body, code) in [
        (json!({"latitude": 91.0, "longitude": 0.0}), ErrorCode::InvalidSpec),
        (json!({"latitude": 1.0}), ErrorCode::InvalidSpec),
        (link(-1.0), ErrorCode::InvalidSpec),
        (json!({"links": [{"to": "hpc-1", "round_trip_ms": 1.0, "gbit_per_s": 1.0}]}), ErrorCode::InvalidSpec),
        (no_zone, ErrorCode::InvalidSpec),
        (json!({"where": "here"}), ErrorCode::UnknownField),
    ] {
        network.refused(&facts("hpc-1", &body), code);
    }
    network.refused(&facts("nowhere", &json!({})), ErrorCode::NotFound);
}
