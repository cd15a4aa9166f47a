//! Budgets under load, and the books before those who look at them, through the real doors.

use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

use huisuan_api::{Client, ErrorCode, books::LedgerView, routes::JobsQuery};
use huisuan_model::{
    AttemptId, AttemptReport, Bytes, Centre, Class, DurationMs, EndCause, EngineKind, Money, Order, Outcome,
    ReportKind, Tariff, TimeMs, Usage,
};
use serde_json::json;

use crate::{
    network::{Agent, Network, centre_id, ended, small_job, started},
    plain::Request,
};

const TENANTS: [&str; 4] = ["a", "b", "c", "d"];
pub(crate) const SUBMITTERS: usize = 64;
const JOBS_EACH: usize = 10;
/// One core sustains 30 GFLOP/s here, so that its second costs 1,000,000 millionths.
const PRICE_PER_P_H: Money = Money(120_000_000_000_000);
/// What a job of a second has held.
pub(crate) const HOLD: i64 = 1_000_000;
/// Not a multiple of a hold: the last unit matters.
pub(crate) const BUDGET: i64 = 7 * HOLD + 123_457;

fn balances(view: &LedgerView) -> BTreeMap<&str, i128> {
    let money = view.accounts.iter().filter(|row| row.asset == "CNY");
    money.map(|row| (row.account.as_str(), row.balance.parse().expect("an integer"))).collect()
}

/// No tenant has less than nothing or more than it was given, and nothing was made or lost.
fn within_budget(view: &LedgerView) {
    assert!(view.balanced);
    let money = balances(view);
    assert_eq!(money.values().sum::<i128>(), 0, "{money:?}");
    for tenant in TENANTS {
        let of = |kind: &str| money.get(format!("{kind}:{tenant}").as_str()).copied().unwrap_or(0);
        let (free, held) = (of("tenant"), of("held"));
        assert!(free >= 0 && held >= 0 && free + held <= i128::from(BUDGET), "{tenant}: {money:?}");
    }
}

/// No tenant can afford another job.
fn the_money_is_gone(client: &Client) -> bool {
    let view = client.ledger().expect("the books");
    let money = balances(&view);
    let of = |kind: &str, tenant: &str| money.get(format!("{kind}:{tenant}").as_str()).copied().unwrap_or(0);
    TENANTS.iter().all(|tenant| of("tenant", tenant) < i128::from(HOLD) && of("held", tenant) == 0)
}

/// Runs whatever is ordered, each for its second, until nothing runs and it is over.
pub(crate) fn run_until(agent: &mut Agent, over: impl Fn() -> bool) {
    let (mut after, mut running) = (0, Vec::<(AttemptId, Instant)>::new());
    loop {
        let pulled = agent.client.orders(agent.epoch, after, Duration::from_millis(200)).expect("orders");
        after = pulled.orders.last().map_or(after, |order| order.seq);
        let ends = running.extract_if(.., |(_, since)| since.elapsed() >= Duration::from_secs(1));
        let reports = ends.map(|(attempt, _)| {
            let outcome = Outcome { cause: EndCause::Exited, exit_code: Some(0), signal: None, detail: String::new() };
            // It claims an hour; the server believes what can be.
            let usage =
                Usage { wall: DurationMs(3_600_000), cpu: DurationMs(1), memory_peak: Bytes(1), ..Usage::default() };
            AttemptReport { attempt, at: TimeMs(2), what: ReportKind::Ended { started_at: None, outcome, usage } }
        });
        let reports: Vec<AttemptReport> = reports.collect();
        if !reports.is_empty() {
            agent.report(reports);
        }
        running.extend(pulled.orders.iter().filter_map(|order| match &order.order {
            Order::Start(start) => Some((start.attempt, Instant::now())),
            Order::Stop(_) => None,
        }));
        if running.is_empty() && over() {
            return;
        }
    }
}

/// A network of one centre of 16 cores with a price, and its agent.
pub(crate) fn priced() -> (Network, Agent) {
    let network = Network::empty();
    let tariff = Tariff { currency: "CNY".into(), price_per_p_h: PRICE_PER_P_H };
    let centre = Centre::new(centre_id("hpc-1"), Class::Hpc, EngineKind::Local, "UTC", tariff);
    network.server.set_centre(centre).expect("a centre");
    let mut agent = network.agent("hpc-1");
    agent.join(Class::Hpc, 16);
    (network, agent)
}

#[test]
fn no_tenant_exceeds_its_budget_by_a_unit_under_64_submitters() {
    let (network, mut agent) = priced();
    let operator = network.client();
    let tokens = TENANTS.map(|name| {
        let add = Request::post("/v1/tenants").json(json!({"tenant": name}).to_string());
        assert_eq!(network.send(&add).status, 201);
        let fund = Request::post(&format!("/v1/tenants/{name}/fund")).json(json!({"amount": BUDGET}).to_string());
        assert_eq!(network.send(&fund).status, 200);
        operator.tenant_token(name).expect("a token").token
    });
    let mut job = small_job();
    (job["walltime"], job["cores"]) = (json!("1s"), json!(1));
    let body = job.to_string();
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        for number in 0..SUBMITTERS {
            let (token, body, address) = (&tokens[number % TENANTS.len()], &body, network.address);
            scope.spawn(move || {
                for _ in 0..JOBS_EACH {
                    let answer = Request::post("/v1/jobs").bearer(token).json(body.clone()).send(address);
                    assert_eq!(answer.status, 201, "{}", answer.text());
                }
            });
        }
        let looks = scope.spawn(|| {
            let (client, mut looks) = (network.client(), 0_u64);
            while !over.load(Ordering::Relaxed) {
                within_budget(&client.ledger().expect("the books"));
                looks += 1;
            }
            looks
        });
        run_until(&mut agent, || the_money_is_gone(&operator));
        over.store(true, Ordering::Relaxed);
        assert!(looks.join().expect("every look was good") > 3);
    });
    let view = operator.ledger().expect("the books");
    within_budget(&view);
    let money = balances(&view);
    for (name, token) in TENANTS.iter().zip(&tokens) {
        let client = Client::new(&network.server.url(), Some(token)).expect("a client");
        let usage = client.usage().expect("its usage");
        let free = money[format!("tenant:{name}").as_str()];
        assert_eq!(free + i128::from(usage.cost.amount), i128::from(BUDGET), "{name}: paid and left");
        assert!(usage.cost.amount > BUDGET - HOLD, "{name} spent all but less than a hold: {}", usage.cost.amount);
        let asked = JobsQuery { state: Some("waiting".into()), ..JobsQuery::default() };
        let waiting = client.jobs(&asked).expect("jobs").jobs;
        assert!(!waiting.is_empty(), "{name} wanted more than it could pay");
    }
    let audit = operator.audit().expect("an audit");
    assert!(audit.ok && audit.transfers > 80, "{audit:?}");
}

#[test]
fn the_books_are_audited_and_exported_for_operators() {
    let network = Network::paused();
    network.client().resume("hpc-1").expect("open");
    network.submit(&small_job());
    let mut agent = network.agent("hpc-1");
    agent.join(Class::Hpc, 32);
    let attempt = agent.starts(1)[0].attempt;
    agent.report(vec![started(attempt), ended(attempt, 0)]);
    let get = |path: &str| network.send(&Request::get(path));
    let audit = get("/v1/ledger/audit").value();
    assert_eq!((&audit["ok"], audit["checks"].as_array().map(Vec::len)), (&json!(true), Some(9)), "{audit}");
    let days = get("/v1/ledger/days").value();
    assert_eq!((&days["days"][0]["head"], &days["days"][0]["transfers"]), (&audit["head"], &audit["transfers"]));
    let csv = get("/v1/ledger/export?format=csv");
    assert_eq!(csv.media_type(), "text/csv");
    assert_eq!(csv.text().lines().count() as u64, audit["transfers"].as_u64().expect("a count") + 1);
    let beancount = get("/v1/ledger/export?format=beancount&from=2020-01-01").text();
    assert!(
        beancount.contains("Liabilities:Held:Xlocal") && beancount.contains("balance Assets:Funding"),
        "{beancount}"
    );
    let none = get("/v1/ledger/export?format=json&to=2020-01-01T00:00:00Z").value();
    assert_eq!(none["transfers"], json!([]));
    for (bad, code) in [
        ("format=xml", ErrorCode::BadRequest),
        ("format=csv&from=soon", ErrorCode::BadRequest),
        ("", ErrorCode::BadRequest),
        ("format=csv&until=2020-01-01", ErrorCode::UnknownField),
    ] {
        network.refused(&Request::get(&format!("/v1/ledger/export?{bad}")), code);
    }
}
