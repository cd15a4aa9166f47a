//! Doors for contracts: operators make and end them, tenants see their own.

use axum::{Extension, extract::State, http::StatusCode};
use huisuan_api::{
    ErrorCode,
    contracts::{ContractEndRequest, ContractList, ContractRequest, ContractView},
};
use huisuan_control::{State as Network, ledger::tariff::ContractError};
use huisuan_model::{AgreedPrice, CentreId, Class, Command, Contract, Money, PoolId, TenantId, centre::CURRENCY};

use super::{
    App, Failure,
    door::RequestId,
    extract::{Json, NamePath},
    tariffs::{invalid, next_hour},
};
use crate::{identity::Identity, server::Shared, writer::Done};

pub(crate) async fn list(
    State(shared): App,
    Extension(identity): Extension<Identity>,
) -> Result<axum::Json<ContractList>, Failure> {
    let (scope, now) = (identity.scope(), shared.clock.now());
    let look = move |network: &Network| {
        let own = network.tariffs().contracts.all().into_iter().filter(|contract| scope.has(&contract.tenant));
        ContractList { contracts: own.map(|contract| ContractView::new(contract, now)).collect() }
    };
    Ok(axum::Json(shared.writer.look(look).await?))
}

async fn contract_of(shared: &Shared, asked: ContractRequest) -> Result<Contract, Failure> {
    let centre = CentreId::new(&asked.centre).map_err(|error| invalid("centre", error))?;
    let price = match (asked.price_per_p_h, asked.discount_permille) {
        (Some(price), None) => AgreedPrice::PerPh(Money(price)),
        (None, Some(less)) => AgreedPrice::DiscountPermille(less),
        _ => return Err(invalid("price_per_p_h", "name either a price or `discount_permille`")),
    };
    let class = asked.class.map(|text| text.parse::<Class>()).transpose();
    let from = match asked.from {
        Some(from) => from.0,
        None => next_hour(shared, &centre).await?,
    };
    Ok(Contract {
        id: 0,
        tenant: TenantId::new(&asked.tenant).map_err(|error| invalid("tenant", error))?,
        pool: asked.pool.map(|pool| PoolId::new(&pool)).transpose().map_err(|error| invalid("pool", error))?,
        class: class.map_err(|error| invalid("class", error))?,
        centre,
        from,
        until: asked.until.map(|until| until.0),
        currency: CURRENCY.to_owned(),
        price,
        note: asked.note,
    })
}

/// The contract in the path, or of an answer.
async fn known(shared: &Shared, name: &str) -> Result<Contract, Failure> {
    let id: u32 = name.parse().unwrap_or(0);
    let found = shared.writer.look(move |network| network.tariffs().contracts.get(id).cloned()).await?;
    found.ok_or_else(|| huisuan_control::Refusal::from(ContractError::Unknown(id)).into())
}

async fn view(shared: &Shared, name: &str) -> Result<axum::Json<ContractView>, Failure> {
    Ok(axum::Json(ContractView::new(&known(shared, name).await?, shared.clock.now())))
}

pub(crate) async fn make(
    State(shared): App,
    Extension(identity): Extension<Identity>,
    Extension(RequestId(request)): Extension<RequestId>,
    Json(asked): Json<ContractRequest>,
) -> Result<(StatusCode, axum::Json<ContractView>), Failure> {
    let command = Command::MakeContract(contract_of(&shared, asked).await?);
    match shared.writer.execute(identity.origin(request)?, command).await? {
        Done::Contract(id) => Ok((StatusCode::CREATED, view(&shared, &id.to_string()).await?)),
        done => Err(Failure::new(ErrorCode::Internal, format!("a contract became {done:?}"))),
    }
}

pub(crate) async fn end(
    State(shared): App,
    Extension(identity): Extension<Identity>,
    Extension(RequestId(request)): Extension<RequestId>,
    NamePath(name): NamePath,
    Json(asked): Json<ContractEndRequest>,
) -> Result<axum::Json<ContractView>, Failure> {
    let contract = known(&shared, &name).await?;
    let until = match asked.until {
        Some(until) => until.0,
        None => next_hour(&shared, &contract.centre).await?,
    };
    let command = Command::EndContract { contract: contract.id, until };
    shared.writer.execute(identity.origin(request)?, command).await?;
    view(&shared, &name).await
}
