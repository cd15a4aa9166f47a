//! The operator's doors for tenants.

use axum::{Extension, extract::State, http::StatusCode};
use huisuan_api::{
    Amount, ErrorCode,
    tenants::{BudgetView, FundRequest, NewTenantRequest, TenantList, TenantRequest, TenantToken, TenantView},
};
use huisuan_control::{State as Network, ledger::Currency};
use huisuan_model::{Command, Money, Tenant, TenantId, centre::CURRENCY};

use super::{
    App, Failure,
    door::RequestId,
    extract::{Json, NamePath},
};
use crate::{
    identity::{self, Identity},
    server::Shared,
    tenant_tokens,
};

fn view(network: &Network, tenant: &Tenant) -> TenantView {
    let currency = Currency::new(CURRENCY).expect("the constant is a currency code");
    let held = network.held(&tenant.id);
    let count = |thousandths: u64| thousandths as f64 / 1000.0;
    TenantView {
        tenant: tenant.id.to_string(),
        weight: tenant.weight,
        jobs_max: tenant.jobs_max,
        jobs: network.jobs_of(&tenant.id),
        quota_cores: tenant.quota_cores.map(|most| count(most.0)),
        cores_held: count(held.cores.0),
        quota_devices: tenant.quota_devices.map(|most| count(most.0)),
        devices_held: count(held.devices.0),
        projects: tenant.projects.iter().map(|(project, weight)| (project.to_string(), *weight)).collect(),
        available: Amount::new(network.ledger().available(&tenant.id, currency), CURRENCY),
        held: Amount::new(network.ledger().held(&tenant.id, currency), CURRENCY),
        token: tenant.token.is_some(),
        industry: tenant.industry.clone(),
        budget: budget(network, tenant),
        closed: tenant.closed,
        may_reserve: tenant.may_reserve,
    }
}

fn budget(network: &Network, tenant: &Tenant) -> BudgetView {
    let limits = &tenant.budget;
    let spent = network.tally(&tenant.id).map(|tally| &tally.spent).into_iter().flatten();
    BudgetView {
        month: limits.month.map(|most| most.0),
        hour: limits.hour.map(|most| most.0),
        projects: limits.projects.iter().map(|(project, most)| (project.to_string(), most.0)).collect(),
        credit: limits.credit.0,
        spent: spent.map(|(project, amount)| (project.to_string(), amount.0)).collect(),
    }
}

async fn one(shared: &Shared, id: &TenantId) -> Result<TenantView, Failure> {
    let name = id.clone();
    let found = shared.writer.look(move |network| Some(view(network, network.tenants().get(&name)?))).await?;
    found.ok_or_else(|| no_tenant(id.as_str()))
}

fn no_tenant(name: &str) -> Failure {
    Failure::new(ErrorCode::NotFound, format!("there is no tenant `{name}`"))
        .hint("`huisuan tenant ls` lists the tenants")
}

/// The tenant in the path; a malformed name is "not found" like any other unknown one.
async fn known(shared: &Shared, name: &str) -> Result<TenantId, Failure> {
    let id = TenantId::new(name).map_err(|_| no_tenant(name))?;
    one(shared, &id).await.map(|_| id)
}

pub(crate) async fn list(State(shared): App) -> Result<axum::Json<TenantList>, Failure> {
    let all = |network: &Network| network.tenants().values().map(|tenant| view(network, tenant)).collect();
    Ok(axum::Json(TenantList { tenants: shared.writer.look(all).await? }))
}

pub(crate) async fn show(State(shared): App, NamePath(name): NamePath) -> Result<axum::Json<TenantView>, Failure> {
    let id = known(&shared, &name).await?;
    Ok(axum::Json(one(&shared, &id).await?))
}

pub(crate) async fn add(
    State(shared): App,
    Extension(identity): Extension<Identity>,
    Extension(RequestId(request)): Extension<RequestId>,
    Json(asked): Json<NewTenantRequest>,
) -> Result<(StatusCode, axum::Json<TenantView>), Failure> {
    let tenant =
        TenantId::new(&asked.tenant).map_err(|error| Failure::new(ErrorCode::InvalidSpec, error.to_string()))?;
    let change = asked.settings.change().map_err(|problem| problem.to_problem())?;
    let origin = identity.origin(request)?;
    shared.writer.execute(origin, Command::AddTenant { tenant: tenant.clone(), change }).await?;
    Ok((StatusCode::CREATED, axum::Json(one(&shared, &tenant).await?)))
}

pub(crate) async fn change(
    State(shared): App,
    Extension(identity): Extension<Identity>,
    Extension(RequestId(request)): Extension<RequestId>,
    NamePath(name): NamePath,
    Json(asked): Json<TenantRequest>,
) -> Result<axum::Json<TenantView>, Failure> {
    let tenant = known(&shared, &name).await?;
    let change = asked.change().map_err(|problem| problem.to_problem())?;
    let origin = identity.origin(request)?;
    shared.writer.execute(origin, Command::ChangeTenant { tenant: tenant.clone(), change }).await?;
    Ok(axum::Json(one(&shared, &tenant).await?))
}

pub(crate) async fn fund(
    State(shared): App,
    Extension(identity): Extension<Identity>,
    Extension(RequestId(request)): Extension<RequestId>,
    NamePath(name): NamePath,
    Json(asked): Json<FundRequest>,
) -> Result<axum::Json<TenantView>, Failure> {
    let tenant = known(&shared, &name).await?;
    let origin = identity::for_tenant(identity.origin(request)?, tenant.clone());
    shared.writer.execute(origin, Command::Fund { amount: Money(asked.amount) }).await?;
    Ok(axum::Json(one(&shared, &tenant).await?))
}

pub(crate) async fn close(
    State(shared): App,
    Extension(identity): Extension<Identity>,
    Extension(RequestId(request)): Extension<RequestId>,
    NamePath(name): NamePath,
) -> Result<axum::Json<TenantView>, Failure> {
    let tenant = known(&shared, &name).await?;
    if tenant == identity::tenant() {
        let detail = format!("tenant `{tenant}` is the one that operators work for");
        return Err(Failure::new(ErrorCode::Conflict, detail).hint("close another one"));
    }
    shared.writer.execute(identity.origin(request)?, Command::CloseTenant { tenant: tenant.clone() }).await?;
    Ok(axum::Json(one(&shared, &tenant).await?))
}

/// The token is in this answer alone: the state and the journal have its hash.
pub(crate) async fn token(
    State(shared): App,
    Extension(identity): Extension<Identity>,
    Extension(RequestId(request)): Extension<RequestId>,
    NamePath(name): NamePath,
) -> Result<axum::Json<TenantToken>, Failure> {
    let tenant = known(&shared, &name).await?;
    let fault = |error: std::io::Error| Failure::new(ErrorCode::Internal, format!("no random bytes: {error}"));
    let token = tenant_tokens::make(&tenant).map_err(fault)?;
    let hash = tenant_tokens::hash(&token);
    let origin = identity.origin(request)?;
    // One after the other, so that the token known here is the one of the state.
    let _turn = shared.tokens.turn.lock().await;
    shared.writer.execute(origin, Command::SetTenantToken { tenant: tenant.clone(), token: hash }).await?;
    shared.tokens.set(tenant, hash);
    Ok(axum::Json(TenantToken { tenant: name, token }))
}
