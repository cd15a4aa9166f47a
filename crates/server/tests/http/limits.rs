//! Budgets of a month, of an hour and of a project under 64 submitters: nobody passes one by a unit, at any moment that
//! anybody looks, and the bills say so afterwards.

use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicBool, Ordering},
    thread,
};

use huisuan_api::{Client, tenants::TenantView};
use serde_json::{Value, json};

use crate::{
    budget::{BUDGET, HOLD, SUBMITTERS, priced, run_until},
    network::small_job,
    plain::Request,
};

const JOBS_EACH: usize = 4;
/// What a job costs for an hour: it has all of it held for its second.
const HOURLY: i64 = HOLD * 3_600;
/// So many at once, and not quite one more.
const AT_ONCE: i64 = 3;

/// A tenant with its money and its limits, and the projects that its jobs are for in turn.
struct Asked {
    name: &'static str,
    money: i64,
    settings: Value,
    projects: &'static [&'static str],
}

fn asked() -> Vec<Asked> {
    let rich = 1_000 * HOLD;
    let of = |name, money, settings, projects| Asked { name, money, settings, projects };
    let both = json!({"x": 1, "y": 1});
    vec![
        of("month", rich, json!({"budget_month": BUDGET}), &["default"]),
        of("hour", BUDGET, json!({"budget_hour": (AT_ONCE + 1) * HOURLY - 1}), &["default"]),
        of("project", rich, json!({"projects": both, "budget_projects": {"x": BUDGET}}), &["x"]),
        of(
            "both",
            rich,
            json!({"projects": both, "budget_month": BUDGET, "budget_projects": {"x": 2 * HOLD + 5}}),
            &["x", "y"],
        ),
    ]
}

fn view<'a>(tenants: &'a [TenantView], name: &str) -> &'a TenantView {
    tenants.iter().find(|tenant| tenant.tenant == name).expect("it is there")
}

fn spent(tenant: &TenantView, project: &str) -> i64 {
    tenant.budget.spent.get(project).copied().unwrap_or(0)
}

/// No limit of any tenant is passed by what is spent and what is held together.
fn within(tenants: &[TenantView]) {
    for tenant in tenants {
        let (held, all) = (tenant.held.amount, tenant.budget.spent.values().sum::<i64>());
        assert!(tenant.budget.month.is_none_or(|most| all + held <= most), "{tenant:?}");
        // What is held for a second is what it costs then.
        assert!(tenant.budget.hour.is_none_or(|most| held * 3_600 <= most), "{tenant:?}");
        assert!(tenant.budget.projects.iter().all(|(name, most)| spent(tenant, name) <= *most), "{tenant:?}");
    }
    let project = view(tenants, "project");
    assert!(spent(project, "x") + project.held.amount <= BUDGET, "{project:?}");
}

/// Nothing is held, and nobody's limits leave room for another job.
fn all_is_spent(client: &Client) -> bool {
    let tenants = client.tenants().expect("tenants").tenants;
    let left = |name: &str| {
        let tenant = view(&tenants, name);
        let all: i64 = tenant.budget.spent.values().sum();
        tenant.available.amount.min(BUDGET - all)
    };
    let asked = asked();
    asked.iter().all(|one| view(&tenants, one.name).held.amount == 0 && left(one.name) < HOLD)
}

#[test]
fn no_limit_is_passed_by_a_unit_under_64_submitters() {
    let (network, mut agent) = priced();
    let (operator, tenants) = (network.client(), asked());
    let tokens: BTreeMap<&str, String> = tenants
        .iter()
        .map(|one| {
            let add =
                Request::post("/v1/tenants").json(json!({"tenant": one.name, "settings": one.settings}).to_string());
            assert_eq!(network.send(&add).status, 201);
            let fund = Request::post(&format!("/v1/tenants/{}/fund", one.name));
            assert_eq!(network.send(&fund.json(json!({"amount": one.money}).to_string())).status, 200);
            (one.name, operator.tenant_token(one.name).expect("a token").token)
        })
        .collect();
    let mut job = small_job();
    (job["walltime"], job["cores"]) = (json!("1s"), json!(1));
    let (body, over) = (job.to_string(), AtomicBool::new(false));
    thread::scope(|scope| {
        for number in 0..SUBMITTERS {
            let one = &tenants[number % tenants.len()];
            let (token, body, address) = (&tokens[one.name], &body, network.address);
            scope.spawn(move || {
                for job in 0..JOBS_EACH {
                    let project = one.projects[(number / 4 + job) % one.projects.len()];
                    let submit = Request::post(&format!("/v1/jobs?project={project}"));
                    let answer = submit.bearer(token).json(body.clone()).send(address);
                    assert_eq!(answer.status, 201, "{}", answer.text());
                }
            });
        }
        let looks = scope.spawn(|| {
            let (client, mut looks, mut most) = (network.client(), 0_u64, 0);
            while !over.load(Ordering::Relaxed) {
                let tenants = client.tenants().expect("tenants").tenants;
                within(&tenants);
                most = most.max(view(&tenants, "hour").held.amount);
                looks += 1;
            }
            (looks, most)
        });
        run_until(&mut agent, || all_is_spent(&operator));
        over.store(true, Ordering::Relaxed);
        let (looks, most) = looks.join().expect("every look was good");
        assert!(looks > 3 && most == AT_ONCE * HOLD, "{looks} looks, at most {most} held for an hour's limit");
    });
    let tenants_now = operator.tenants().expect("tenants").tenants;
    within(&tenants_now);
    for one in &tenants {
        let tenant = view(&tenants_now, one.name);
        let bills = network.send(&Request::get("/v1/bills").bearer(&tokens[one.name])).value();
        let billed: i64 = bills["bills"]
            .as_array()
            .expect("bills")
            .iter()
            .map(|bill| bill["total"]["amount"].as_i64().expect("a sum"))
            .sum();
        assert_eq!(tenant.available.amount + billed, one.money, "{}: paid and left", one.name);
        assert_eq!(tenant.budget.spent.values().sum::<i64>(), billed, "{}: counted and billed", one.name);
        assert!(billed <= BUDGET && billed > BUDGET - HOLD, "{} spent all but less than a hold: {billed}", one.name);
    }
    let both = view(&tenants_now, "both");
    assert_eq!((spent(both, "x"), spent(both, "y") > 0), (2 * HOLD, true), "{both:?}");
    let audit = operator.audit().expect("an audit");
    assert!(audit.ok && audit.transfers > 50, "{audit:?}");
}
