//! What lies between centres, through the doors.

use huisuan_api::ErrorCode;
use huisuan_model::Class;
use serde_json::{Value, json};

use crate::{
    network::{Network, small_job},
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
