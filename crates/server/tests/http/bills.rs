//! Bills, statements, tariffs and reports over HTTP: what was posted, line by line and record by record.

use huisuan_model::{AttemptReport, Class, ReportKind, Usage};
use serde_json::{Value, json};

use crate::{
    network::{Network, ended, small_job, started},
    plain::Request,
};

/// Two jobs have run at one centre, one of them for longer than could be.
fn network() -> Network {
    let network = Network::empty();
    network.declare("hpc-1", Class::Hpc);
    let mut agent = network.agent("hpc-1");
    agent.join(Class::Hpc, 2);
    for _ in 0..2 {
        network.submit(&small_job());
    }
    let starts = agent.starts(2);
    for start in starts {
        let id = start.attempt;
        let wall = huisuan_model::DurationMs(40 * 3_600_000);
        let what = ReportKind::Used(Usage { wall, ..Usage::default() });
        let odd = AttemptReport { what, ..started(id) };
        agent.report(vec![started(id)]);
        agent.report(vec![odd]);
        agent.report(vec![ended(id, 0)]);
    }
    network
}

fn get(network: &Network, path: &str) -> Value {
    let answer = network.send(&Request::get(path));
    assert_eq!(answer.status, 200, "{path}: {}", answer.text());
    answer.value()
}

fn sum(rows: &Value, field: &str) -> i64 {
    rows.as_array().expect("rows").iter().map(|row| row[field]["amount"].as_i64().expect("an amount")).sum()
}

#[test]
fn a_bill_adds_up_to_the_ledger_and_opens_down_to_its_records() {
    let network = network();
    let month = get(&network, "/v1/bills")["month"].as_str().expect("a month").to_owned();
    let bill = get(&network, &format!("/v1/bills/{month}/local"));
    let total = bill["total"]["amount"].as_i64().expect("an amount");
    let ledger = get(&network, "/v1/ledger");
    let earned = ledger["accounts"].as_array().expect("accounts").iter().find(|row| row["account"] == "centre:hpc-1");
    let earned: i64 = earned.map_or(0, |row| row["balance"].as_str().expect("text").parse().expect("a number"));
    assert_eq!((total, sum(&bill["lines"], "cost")), (earned, earned));
    assert_eq!(bill["lines"][0]["attempts"], json!(2), "{bill}");
    let statement = get(&network, &format!("/v1/statements/{month}/hpc-1"));
    assert_eq!(statement["total"], bill["total"]);
    let line = bill["lines"][0]["line"].as_str().expect("a name").replace('/', "%2F").replace('@', "%40");
    let records = get(&network, &format!("/v1/bills/{month}/local/records?line={line}"));
    assert_eq!(sum(&records["records"], "cost"), total);
    assert!(records["records"].as_array().is_some_and(|records| records.len() >= 2));
    for (format, first) in [("csv", "bill,month,"), ("focus-1.2", "BilledCost,"), ("html", "<!DOCTYPE html>")] {
        let path = format!("/v1/bills/{month}/local/export?format={format}&language=zh");
        let answer = network.send(&Request::get(&path));
        assert_eq!(answer.status, 200);
        assert!(answer.text().starts_with(first), "{}", answer.text());
    }
}

#[test]
fn what_is_not_there_or_not_ones_own_is_refused() {
    let network = network();
    let month = get(&network, "/v1/bills")["month"].as_str().expect("a month").to_owned();
    let lab = network.send(&Request::post("/v1/tenants").json(json!({"tenant": "lab"}).to_string()));
    assert_eq!(lab.status, 201, "{}", lab.text());
    let token =
        network.send(&Request::post("/v1/tenants/lab/token")).value()["token"].as_str().expect("one").to_owned();
    for (path, status) in [
        (format!("/v1/bills/{month}/lab"), 200),
        ("/v1/bills".to_owned(), 200),
        ("/v1/tariffs".to_owned(), 200),
        (format!("/v1/bills/{month}/local"), 404),
        (format!("/v1/bills/{month}/local/records?line=x"), 404),
        (format!("/v1/bills/{month}/lab/records?line=x"), 404),
        ("/v1/bills/2026-13/lab".to_owned(), 400),
        ("/v1/bills?month=soon".to_owned(), 400),
        (format!("/v1/bills/{month}/lab/export?format=pdf"), 400),
        (format!("/v1/bills/{month}/lab/export?format=html&language=fr"), 400),
        (format!("/v1/statements/{month}/hpc-1"), 403),
        ("/v1/reports/growth".to_owned(), 403),
        ("/v1/reports/hours".to_owned(), 403),
        ("/v1/oddities".to_owned(), 403),
    ] {
        let answer = network.send(&Request::get(&path).bearer(&token));
        assert_eq!(answer.status, status, "{path}: {}", answer.text());
    }
    for tenant in ["lab", "local"] {
        let rule = json!({"centre": "hpc-1", "tenant": tenant, "price_per_p_h": 1_000_000});
        assert_eq!(network.send(&Request::post("/v1/tariffs/rules").json(rule.to_string())).status, 201);
    }
    let rules = |answer: Value| answer["rules"].as_array().map(Vec::len);
    assert_eq!(rules(get(&network, "/v1/tariffs")), Some(2));
    let seen = network.send(&Request::get("/v1/tariffs").bearer(&token)).value();
    assert_eq!((&seen["rules"][0]["tenant"], rules(seen.clone())), (&json!("lab"), Some(1)), "others' prices are not");
    assert_eq!(get(&network, "/v1/bills")["bills"].as_array().map(Vec::len), Some(1));
    let own = network.send(&Request::get("/v1/bills").bearer(&token)).value();
    assert_eq!(own["bills"], json!([]), "others' bills are not listed");
}

#[test]
fn tariffs_are_checked_and_the_past_is_priced_anew_on_order() {
    let network = network();
    let post = |path: &str, body: Value| network.send(&Request::post(path).json(body.to_string()));
    let rule = json!({"centre": "hpc-1", "hours": "22-6", "price_per_p_h": 5_000_000});
    assert_eq!(post("/v1/tariffs/rules", rule.clone()).status, 201);
    for (change, status) in [
        (json!({}), 409),
        (json!({"from": "2026-01-01T00:00:00Z", "hours": "7-8"}), 409),
        (json!({"hours": "25-26"}), 422),
        (json!({"class": "big"}), 422),
        (json!({"centre": "none"}), 404),
        (json!({"pool": "gpu"}), 404),
        (json!({"tenant": "nobody"}), 404),
        (json!({"price_per_p_h": -1, "hours": "7-8"}), 422),
        (json!({"colour": "red"}), 400),
    ] {
        let mut body = rule.clone();
        body.as_object_mut().expect("an object").extend(change.as_object().expect("an object").clone());
        let answer = post("/v1/tariffs/rules", body);
        assert_eq!(answer.status, status, "{change}: {}", answer.text());
    }
    let free = json!({"centre": "hpc-1", "price_per_p_h": 0, "from": "2020-01-01T00:00:00Z", "rerate": true});
    assert_eq!(post("/v1/tariffs/rules", free).value()["rule"], json!(2));
    let before = get(&network, "/v1/bills")["bills"][0]["total"]["amount"].as_i64().expect("an amount");
    let done = post("/v1/tariffs/rules/2/rerate", json!({})).value();
    assert_eq!(done["difference"]["amount"], json!(-before), "{done}");
    assert_eq!(post("/v1/tariffs/rules/2/rerate", json!({})).value()["corrected"], json!(0));
    assert_eq!(get(&network, "/v1/bills")["bills"][0]["total"]["amount"], json!(0));
    assert_eq!(get(&network, "/v1/ledger")["balanced"], json!(true));
    assert_eq!(post("/v1/tariffs/rules/9/rerate", json!({})).status, 404);
    assert_eq!(post("/v1/tariffs/rules/1/end", json!({"until": "2020-01-01T00:00:00Z"})).status, 409);
    assert_eq!(get(&network, "/v1/tariffs")["rules"].as_array().map(Vec::len), Some(2));
}

#[test]
fn contracts_are_made_by_operators_and_seen_by_their_tenants() {
    let network = network();
    let post = |path: &str, body: Value| network.send(&Request::post(path).json(body.to_string()));
    assert_eq!(post("/v1/tenants", json!({"tenant": "lab"})).status, 201);
    let agreed = json!({"tenant": "lab", "centre": "hpc-1", "price_per_p_h": 5_000_000, "note": "K-7"});
    let made = post("/v1/contracts", agreed.clone());
    assert_eq!(made.status, 201, "{}", made.text());
    let told = (made.value()["contract"].clone(), made.value()["state"].clone(), made.value()["note"].clone());
    assert_eq!(told, (json!(1), json!("coming"), json!("K-7")));
    for (change, status) in [
        (json!({}), 409),
        (json!({"from": "2026-01-01T00:00:00Z"}), 409),
        (json!({"discount_permille": 100}), 422),
        (json!({"price_per_p_h": null}), 422),
        (json!({"price_per_p_h": null, "discount_permille": 2000}), 422),
        (json!({"class": "big"}), 422),
        (json!({"centre": "none"}), 404),
        (json!({"pool": "gpu"}), 404),
        (json!({"tenant": "nobody"}), 404),
        (json!({"colour": "red"}), 400),
    ] {
        let mut body = agreed.clone();
        body.as_object_mut().expect("an object").extend(change.as_object().expect("an object").clone());
        let answer = post("/v1/contracts", body);
        assert_eq!(answer.status, status, "{change}: {}", answer.text());
    }
    let other = json!({"tenant": "local", "centre": "hpc-1", "discount_permille": 125});
    assert_eq!(post("/v1/contracts", other).status, 201);
    let token = post("/v1/tenants/lab/token", json!({})).value()["token"].as_str().expect("one").to_owned();
    let seen = network.send(&Request::get("/v1/contracts").bearer(&token)).value();
    assert_eq!((seen["contracts"].as_array().map(Vec::len), &seen["contracts"][0]["contract"]), (Some(1), &json!(1)));
    assert_eq!(network.send(&Request::post("/v1/contracts").json(agreed.to_string()).bearer(&token)).status, 403);
    assert_eq!(get(&network, "/v1/contracts")["contracts"].as_array().map(Vec::len), Some(2));
    assert_eq!(post("/v1/contracts/9/end", json!({})).status, 404);
    assert_eq!(post("/v1/contracts/1/end", json!({"until": "2020-01-01T00:00:00Z"})).status, 422);
}

#[test]
fn reports_account_for_every_hour_and_tell_what_is_odd() {
    let network = network();
    let oddities = get(&network, "/v1/oddities");
    let kinds: Vec<&str> =
        oddities["oddities"].as_array().expect("a list").iter().filter_map(|row| row["kind"].as_str()).collect();
    assert_eq!(kinds, ["too-long", "clock-behind", "too-long", "clock-behind"], "{oddities}");
    let hours = get(&network, "/v1/reports/hours?centre=hpc-1&hours=2");
    let hours = hours["hours"].as_array().expect("hours");
    assert!(!hours.is_empty());
    for hour in hours {
        let value = |name: &str| hour[name].as_i64().expect("a number");
        assert_eq!(value("used") + value("idle") + value("unavailable"), value("capacity"), "{hour}");
    }
    let growth = get(&network, "/v1/reports/growth?by=quarter");
    let last = &growth["periods"].as_array().expect("periods").last().expect("one")["classes"]["hpc"];
    assert_eq!(last["tenants"][0]["name"], json!("local"), "{growth}");
    let usage = get(&network, "/v1/usage");
    assert_eq!(last["delivered"]["gflop"].as_u64(), Some(usage["usage"]["hpc"]["gflop"].as_u64().unwrap_or(0)));
    for bad in ["/v1/reports/growth?by=week", "/v1/reports/hours?hours=0", "/v1/reports/hours?hours=745"] {
        assert_eq!(network.send(&Request::get(bad)).status, 400, "{bad}");
    }
    assert_eq!(network.send(&Request::get("/v1/reports/hours?centre=x")).status, 404);
}
