//! `tenant ls|add|set|close|token`.

use std::collections::BTreeMap;

use huisuan_api::tenants::{NewTenantRequest, TenantRequest, TenantView};
use huisuan_model::tenant::Limit;
use serde_json::Value;

use crate::{
    args::{TenantCommand, TenantSettings},
    commands::jobs::amount,
    failure::Failure,
    session::Session,
    table::{Cell, Listing},
    text,
};

/// Runs one of them.
pub(crate) fn tenant(session: &Session, command: &TenantCommand) -> Result<(), Failure> {
    let client = session.client()?;
    let view = match command {
        TenantCommand::Ls => {
            let list = client.tenants()?;
            return session.output.list(&list, &list.tenants, "no tenants", || listing(&list.tenants));
        }
        TenantCommand::Token(args) => {
            let token = client.tenant_token(args.tenant.as_str())?;
            session.output.remark("it is shown this once; the one before is void");
            let mut listing = Listing::new(&["tenant", "token"]);
            listing.row(vec![Cell::text(&token.tenant), Cell::text(&token.token)]);
            return session.output.one(&token, || listing, |_| token.token.clone());
        }
        TenantCommand::Add(args) => {
            let (tenant, settings) = (args.tenant.to_string(), request(&args.settings));
            let added = client.add_tenant(&NewTenantRequest { tenant, settings })?;
            funded(session, args.settings.fund, added)?
        }
        TenantCommand::Close(args) => client.close_tenant(args.tenant.as_str())?,
        TenantCommand::Set(args) => {
            let changed = client.set_tenant(args.tenant.as_str(), &request(&args.settings))?;
            funded(session, args.settings.fund, changed)?
        }
    };
    let one = std::slice::from_ref(&view);
    session.output.one(&view, || listing(one), |output| output.table(&listing(one)))
}

fn request(settings: &TenantSettings) -> TenantRequest {
    let projects = settings.projects.iter().map(|(project, weight)| (project.to_string(), *weight));
    TenantRequest {
        weight: settings.weight,
        jobs_max: settings.jobs_max,
        quota_cores: settings.quota_cores.clone().map(Value::String),
        quota_devices: settings.quota_devices.clone().map(Value::String),
        projects: projects.collect::<BTreeMap<_, _>>(),
        industry: settings.industry.clone(),
        budget_month: settings.budget_month.map(limit),
        budget_hour: settings.budget_hour.map(limit),
        budget_projects: settings.budget_projects.iter().map(|(name, most)| (name.to_string(), limit(*most))).collect(),
        credit: settings.credit.map(|credit| credit.0),
        may_reserve: settings.may_reserve,
    }
}

fn limit(limit: Limit) -> Value {
    limit.amount().map_or_else(|| Value::from("none"), Value::from)
}

fn funded(session: &Session, fund: Option<huisuan_model::Money>, view: TenantView) -> Result<TenantView, Failure> {
    match fund {
        Some(money) => Ok(session.client()?.fund_tenant(&view.tenant, money.0)?),
        None => Ok(view),
    }
}

fn listing(tenants: &[TenantView]) -> Listing {
    let columns = ["tenant", "weight", "jobs", "cores", "devices", "available_millionths", "projects", "token"];
    let details = [
        "jobs_max",
        "quota_cores",
        "quota_devices",
        "held_millionths",
        "currency",
        "industry",
        "budget_month_millionths",
        "budget_hour_millionths",
        "credit_millionths",
        "closed",
        "may_reserve",
    ];
    let mut listing = Listing::with_details(&columns, &details);
    let quota = |limit: Option<f64>| limit.map_or_else(|| "none".to_owned(), |limit| limit.to_string());
    let held = |held: f64, limit: Option<f64>| match limit {
        Some(limit) => Cell::figure(format!("{held}/{limit}"), held),
        None => Cell::figure(held, held),
    };
    for tenant in tenants {
        let projects: Vec<String> =
            tenant.projects.iter().map(|(project, weight)| format!("{project}:{weight}")).collect();
        listing.row(vec![
            Cell::text(&tenant.tenant),
            Cell::text(tenant.weight),
            Cell::figure(text::grouped(tenant.jobs), tenant.jobs),
            held(tenant.cores_held, tenant.quota_cores),
            held(tenant.devices_held, tenant.quota_devices),
            Cell::figure(amount(&tenant.available), tenant.available.amount),
            if projects.is_empty() { Cell::none() } else { Cell::text(projects.join(" ")) },
            Cell::state(if tenant.token { "yes" } else { "no" }),
            Cell::text(tenant.jobs_max),
            Cell::text(quota(tenant.quota_cores)),
            Cell::text(quota(tenant.quota_devices)),
            Cell::text(tenant.held.amount),
            Cell::text(&tenant.held.currency),
            tenant.industry.as_ref().map_or_else(Cell::none, Cell::text),
            tenant.budget.month.map_or_else(Cell::none, Cell::text),
            tenant.budget.hour.map_or_else(Cell::none, Cell::text),
            Cell::text(tenant.budget.credit),
            Cell::text(tenant.closed),
            Cell::text(tenant.may_reserve),
        ]);
    }
    listing
}
