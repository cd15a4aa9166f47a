//! Prices, rules of tariffs, and what is priced anew on order.

use std::collections::{BTreeMap, BTreeSet, btree_map::Entry};

use axum::{Extension, extract::State, http::StatusCode};
use huisuan_api::{
    Amount, ErrorCode,
    bills::{BasePrice, Rerated, TariffEndRequest, TariffList, TariffRuleRequest, TariffRuleView},
};
use huisuan_control::{
    State as Network,
    ledger::tariff::{Scope, TariffError, Zone},
};
use huisuan_model::{
    AttemptId, CentreId, Class, Command, HourSet, MeterRecord, Metering, Money, PoolId, TariffRule, TenantId, TimeMs,
    centre::CURRENCY,
};

use super::{
    App, Failure,
    door::RequestId,
    extract::{Json, NamePath},
};
use crate::{identity::Identity, server::Shared, writer::Done};

/// Readings that one command prices anew.
const READINGS: usize = 1000;

fn view(rule: &TariffRule) -> TariffRuleView {
    TariffRuleView {
        rule: rule.id,
        centre: rule.centre.to_string(),
        tenant: rule.tenant.as_ref().map(ToString::to_string),
        pool: rule.pool.as_ref().map(ToString::to_string),
        class: rule.class.map(|class| class.to_string()),
        hours: rule.hours.map(|hours| hours.to_string()),
        priority_min: rule.priority_min,
        from: rule.from.into(),
        until: rule.until.map(Into::into),
        price_per_p_h: Amount { amount: rule.price_per_p_h.0, currency: rule.currency.clone() },
    }
}

/// What was agreed with others is not a tenant's to see.
pub(crate) async fn list(
    State(shared): App,
    Extension(identity): Extension<Identity>,
) -> Result<axum::Json<TariffList>, Failure> {
    let scope = identity.scope();
    let seen = move |rule: &&TariffRule| rule.tenant.as_ref().is_none_or(|tenant| scope.has(tenant));
    let look = move |network: &Network| TariffList {
        base: network
            .centres()
            .values()
            .map(|centre| BasePrice {
                centre: centre.id.to_string(),
                price_per_p_h: Amount {
                    amount: centre.tariff.price_per_p_h.0,
                    currency: centre.tariff.currency.clone(),
                },
                zone: centre.zone.clone(),
            })
            .collect(),
        rules: network.tariffs().rules().into_iter().filter(seen).map(view).collect(),
    };
    Ok(axum::Json(shared.writer.look(look).await?))
}

pub(super) fn invalid(field: &str, error: impl std::fmt::Display) -> Failure {
    Failure::new(ErrorCode::InvalidSpec, format!("`{field}`: {error}"))
}

/// The next full hour of a centre's zone.
pub(super) async fn next_hour(shared: &Shared, centre: &CentreId) -> Result<TimeMs, Failure> {
    let (now, centre) = (shared.clock.now(), centre.clone());
    let look = move |network: &Network| {
        let zone = network.centres().get(&centre).and_then(|centre| Zone::named(&centre.zone));
        zone.unwrap_or_default().hour_end(now)
    };
    Ok(shared.writer.look(look).await?)
}

async fn rule_of(shared: &Shared, asked: &TariffRuleRequest) -> Result<TariffRule, Failure> {
    let centre = CentreId::new(&asked.centre).map_err(|error| invalid("centre", error))?;
    let from = match asked.from {
        Some(from) => from.0,
        None => next_hour(shared, &centre).await?,
    };
    let read = |text: &Option<String>| text.clone().unwrap_or_default();
    let tenant = asked.tenant.as_deref().map(TenantId::new).transpose().map_err(|error| invalid("tenant", error))?;
    let pool = asked.pool.as_deref().map(PoolId::new).transpose().map_err(|error| invalid("pool", error))?;
    let class: Option<Class> = asked
        .class
        .is_some()
        .then(|| read(&asked.class).parse())
        .transpose()
        .map_err(|e: String| invalid("class", e))?;
    let hours: Option<HourSet> = asked
        .hours
        .is_some()
        .then(|| read(&asked.hours).parse())
        .transpose()
        .map_err(|e: String| invalid("hours", e))?;
    Ok(TariffRule {
        id: 0,
        centre,
        tenant,
        pool,
        class,
        hours,
        priority_min: asked.priority_min,
        from,
        until: asked.until.map(|until| until.0),
        currency: CURRENCY.to_owned(),
        price_per_p_h: Money(asked.price_per_p_h),
    })
}

pub(crate) async fn add(
    State(shared): App,
    Extension(identity): Extension<Identity>,
    Extension(RequestId(request)): Extension<RequestId>,
    Json(asked): Json<TariffRuleRequest>,
) -> Result<(StatusCode, axum::Json<TariffRuleView>), Failure> {
    let rule = rule_of(&shared, &asked).await?;
    let command = Command::SetTariffRule { rule, rerate: asked.rerate };
    match shared.writer.execute(identity.origin(request)?, command).await? {
        Done::Rule(id) => Ok((StatusCode::CREATED, axum::Json(view(&known(&shared, &id.to_string()).await?)))),
        _ => Err(Failure::new(ErrorCode::Internal, "no rule was set")),
    }
}

/// The rule in the path.
async fn known(shared: &Shared, name: &str) -> Result<TariffRule, Failure> {
    let id: u32 = name.parse().unwrap_or(0);
    let found = shared.writer.look(move |network| network.tariffs().rule(id).cloned()).await?;
    found.ok_or_else(|| huisuan_control::Refusal::from(TariffError::Unknown(id)).into())
}

pub(crate) async fn end(
    State(shared): App,
    Extension(identity): Extension<Identity>,
    Extension(RequestId(request)): Extension<RequestId>,
    NamePath(name): NamePath,
    Json(asked): Json<TariffEndRequest>,
) -> Result<axum::Json<TariffRuleView>, Failure> {
    let rule = known(&shared, &name).await?;
    let until = match asked.until {
        Some(until) => until.0,
        None => next_hour(&shared, &rule.centre).await?,
    };
    let command = Command::EndTariffRule { rule: rule.id, until };
    shared.writer.execute(identity.origin(request)?, command).await?;
    Ok(axum::Json(view(&known(&shared, &name).await?)))
}

pub(crate) async fn rerate(
    State(shared): App,
    Extension(identity): Extension<Identity>,
    Extension(RequestId(request)): Extension<RequestId>,
    NamePath(name): NamePath,
) -> Result<axum::Json<Rerated>, Failure> {
    let rule = known(&shared, &name).await?;
    // One after the other: what is corrected is read from what the turn before has committed.
    let _turn = shared.correcting.turn(&rule.centre).await;
    let (from, now, centre) = (rule.from, shared.clock.now(), rule.centre.clone());
    // What has ended by now is durable with all of its rows when this is told; what is booked later is left out.
    let live: BTreeSet<AttemptId> = {
        let centre = centre.clone();
        let here = move |network: &Network| {
            network.attempts().filter(|attempt| attempt.centre == centre).map(|attempt| attempt.id).collect()
        };
        shared.writer.look(here).await?
    };
    let until = TimeMs(now.0.saturating_add(1));
    let rows = shared.readers.read(move |reader| reader.meters_of_centre(&centre, from, until)).await?;
    let readings = meterings(&shared, &rule, rows, &live).await?;
    let mut answer = Rerated { rule: rule.id, corrected: 0, difference: Amount::new(Money(0), CURRENCY), running: 0 };
    for page in pages(readings) {
        let flagged: Vec<AttemptId> = page.iter().filter(|one| one.running).map(|one| one.of.attempt).collect();
        let command = Command::Rerate { rule: rule.id, readings: page };
        let done = shared.writer.execute(identity.origin(request.clone())?, command).await?;
        if let Done::Rerated { corrected, difference } = done {
            answer.corrected += corrected;
            answer.difference.amount = answer.difference.amount.saturating_add(difference.0);
        }
        let gone = move |network: &Network| flagged.iter().filter(|id| network.attempt(**id).is_none()).count() as u64;
        answer.running += shared.writer.look(gone).await?;
    }
    Ok(axum::Json(answer))
}

/// What a rule holds for among rows of its centre: readings as they are after their corrections. All readings of one
/// attempt are kept together.
async fn meterings(
    shared: &Shared,
    rule: &TariffRule,
    rows: Vec<MeterRecord>,
    live: &BTreeSet<AttemptId>,
) -> Result<Vec<Metering>, Failure> {
    let mut readings: BTreeMap<(AttemptId, u32), MeterRecord> = BTreeMap::new();
    let mut last: BTreeMap<AttemptId, u32> = BTreeMap::new();
    for row in &rows {
        let number = last.entry(row.attempt).or_default();
        *number = (*number).max(row.reading.number);
        if row.reading.timed() {
            readings.insert((row.attempt, row.reading.number), row.clone());
        }
    }
    for row in rows.iter().filter(|row| !row.reading.timed()) {
        let named = row.reading.adjusts.and_then(|number| readings.get_mut(&(row.attempt, number)));
        if let Some(named) = named {
            named.reading.cost = named.reading.cost.saturating_add(row.reading.cost);
            named.reading.price = row.reading.price;
        }
    }
    let ids: Vec<AttemptId> = last.keys().copied().collect();
    let jobs = shared.readers.read(move |reader| {
        let mut priorities = BTreeMap::new();
        for id in ids {
            if let Entry::Vacant(unknown) = priorities.entry(id.job) {
                unknown.insert(reader.job(id.job)?.map_or(0, |job| job.spec.priority));
            }
        }
        Ok(priorities)
    });
    let priorities = jobs.await?;
    let mut found = Vec::new();
    for ((attempt, _), of) in readings {
        let priority = priorities.get(&attempt.job).copied().unwrap_or(0);
        let scope = Scope { tenant: &of.tenant, centre: &of.centre, pool: &of.pool, class: of.share.class, priority };
        if of.reading.from < rule.from || !concerns(rule, &scope) {
            continue;
        }
        found.push(Metering { of, priority, next: last[&attempt] + 1, running: live.contains(&attempt) });
    }
    Ok(found)
}

/// Pieces of about so many readings; those of one attempt are in one piece, as their corrections are numbered there.
fn pages(readings: Vec<Metering>) -> Vec<Vec<Metering>> {
    let mut pages: Vec<Vec<Metering>> = Vec::new();
    for metering in readings {
        match pages.last_mut() {
            Some(page)
                if page.len() < READINGS || page.last().is_some_and(|last| last.of.attempt == metering.of.attempt) =>
            {
                page.push(metering);
            }
            _ => pages.push(vec![metering]),
        }
    }
    pages
}

fn concerns(rule: &TariffRule, scope: &Scope<'_>) -> bool {
    rule.tenant.as_ref().is_none_or(|tenant| tenant == scope.tenant)
        && rule.pool.as_ref().is_none_or(|pool| pool == scope.pool)
        && rule.class.is_none_or(|class| class == scope.class)
}
