//! Reports of planners and operators: growth, hours of pools, what was found odd.

use std::collections::{BTreeMap, BTreeSet};

use axum::extract::State;
use huisuan_api::{
    ErrorCode,
    reports::{
        GrowthFigures, GrowthQuery, GrowthView, HourList, HourView, HoursQuery, OddityList, OddityView, PeriodView,
        RankView,
    },
    wire::ClassUsage,
};
use huisuan_control::{
    State as Network,
    ledger::growth::{
        Delivered, Figures, HOUR_MS, Hour, Period, Periods, Piece, capacity, hours as account, pieces, table,
    },
};
use huisuan_model::{CentreId, Event, Gflop, PoolId, TenantId, TimeMs, centre::BILLING_ZONE};

use super::{App, Failure, extract::Params};
use crate::server::Shared;

/// Tenants and industries that a report names.
const NAMED: usize = 10;
/// Findings that a list shows.
const ODDITIES: usize = 1000;
/// The longest account of hours: 31 days.
const HOURS_MAX: u32 = 744;

pub(crate) async fn growth(
    State(shared): App,
    Params(query): Params<GrowthQuery>,
) -> Result<axum::Json<GrowthView>, Failure> {
    let (by, word) = match query.by.as_deref() {
        None | Some("month") => (Periods::Month, "month"),
        Some("quarter") => (Periods::Quarter, "quarter"),
        Some(other) => {
            let detail = format!("`{other}` is no period");
            return Err(Failure::new(ErrorCode::BadRequest, detail).hint("use month or quarter"));
        }
    };
    let now = shared.clock.now();
    let look = |network: &Network| {
        let industry = |tenant: &huisuan_model::Tenant| Some((tenant.id.clone(), tenant.industry.clone()?));
        (network.centres().keys().cloned().collect(), network.tenants().values().filter_map(industry).collect())
    };
    let (centres, industries): (Vec<CentreId>, BTreeMap<TenantId, String>) = shared.writer.look(look).await?;
    let periods = measured(&shared, by, centres, now).await?;
    let figures = table(by, &periods);
    let mut views = Vec::new();
    for (period, classes) in periods.iter().zip(&figures) {
        let view = |(class, figures): (&huisuan_model::Class, &Figures)| (*class, growth_view(figures, &industries));
        views.push(PeriodView {
            period: by.label(period.month),
            from: period.from.into(),
            until: period.until.into(),
            complete: period.until <= now,
            classes: classes.iter().map(view).collect(),
        });
    }
    Ok(axum::Json(GrowthView { by: word.to_owned(), zone: BILLING_ZONE.to_owned(), periods: views }))
}

async fn measured(shared: &Shared, by: Periods, centres: Vec<CentreId>, now: TimeMs) -> Result<Vec<Period>, Failure> {
    let read = move |reader: &huisuan_store::Reader| {
        let pieces = history(reader, now)?;
        let of_cores: BTreeSet<(&CentreId, &PoolId)> =
            pieces.iter().filter(|piece| !piece.devices).map(|piece| (&piece.centre, &piece.pool)).collect();
        let first = pieces.iter().map(|piece| piece.from).min();
        let metered = reader.metered_between()?.map(|(first, _)| first);
        let Some(first) = first.into_iter().chain(metered).min() else { return Ok(Vec::new()) };
        let mut periods = Vec::new();
        for (month, from, until) in by.between(first, now) {
            let mut delivered = Vec::new();
            for centre in &centres {
                for total in reader.meter_totals(centre, from, until)? {
                    let cores = of_cores.contains(&(centre, &total.pool));
                    delivered.push(Delivered {
                        tenant: total.tenant,
                        class: total.class,
                        work: i128::from(total.work),
                        given_ms: if cores { total.given_ms } else { 0 },
                        cpu_ms: if cores { i128::from(total.cpu_ms) } else { 0 },
                        energy: total.energy,
                    });
                }
            }
            periods.push(Period { month, from, until, capacity: capacity(&pieces, from, until), delivered });
        }
        Ok(periods)
    };
    Ok(shared.readers.read(read).await?)
}

/// What every pool had at a time, from the entries of the journal that tell.
fn history(reader: &huisuan_store::Reader, now: TimeMs) -> Result<Vec<Piece>, huisuan_store::StoreError> {
    let entries = reader.centre_entries()?;
    let events = entries.iter().map(|entry| (entry.at, entry.events.as_slice() as &[Event]));
    Ok(pieces(events, now))
}

fn usage(gflop: i128) -> ClassUsage {
    Gflop(u64::try_from(gflop).unwrap_or(0)).into()
}

fn growth_view(figures: &Figures, industries: &BTreeMap<TenantId, String>) -> GrowthFigures {
    let of = |part: i128, whole: i128| (whole > 0).then(|| part as f64 / whole as f64);
    let more = |before: Option<i128>, now: i128| of(now - before?, before?);
    let mut by_industry: BTreeMap<&str, i128> = BTreeMap::new();
    for (tenant, work) in &figures.tenants {
        *by_industry.entry(industries.get(tenant).map_or("-", String::as_str)).or_default() += work;
    }
    let mut by_industry: Vec<(String, i128)> =
        by_industry.into_iter().map(|(name, work)| (name.to_owned(), work)).collect();
    by_industry.sort_by(|(a, more), (b, less)| less.cmp(more).then_with(|| a.cmp(b)));
    let tenants = figures.tenants.iter().map(|(tenant, work)| (tenant.to_string(), *work));
    let rank = |all: Vec<(String, i128)>| -> Vec<RankView> {
        let ranked = (1..).zip(all).take(NAMED);
        ranked
            .map(|(rank, (name, work))| RankView {
                name,
                rank,
                delivered: usage(work),
                share: of(work, figures.delivered).unwrap_or(0.0),
            })
            .collect()
    };
    GrowthFigures {
        capacity: usage(figures.capacity),
        delivered: usage(figures.delivered),
        allocated_share: of(figures.delivered, figures.capacity),
        used_share: of(figures.cpu_ms * 1000, figures.given_ms),
        energy: figures.energy.into(),
        growth: more(figures.before, figures.delivered),
        growth_year: more(figures.year_before, figures.delivered),
        to_date: usage(figures.to_date),
        growth_to_date: more(figures.to_date_before, figures.to_date),
        tenants: rank(tenants.collect()),
        industries: rank(by_industry),
    }
}

pub(crate) async fn hours(
    State(shared): App,
    Params(query): Params<HoursQuery>,
) -> Result<axum::Json<HourList>, Failure> {
    let span = query.hours.unwrap_or(24);
    if !(1..=HOURS_MAX).contains(&span) {
        let detail = format!("{span} hours cannot be shown");
        return Err(Failure::new(ErrorCode::BadRequest, detail).hint(format!("ask for 1 to {HOURS_MAX}")));
    }
    let now = shared.clock.now();
    let until = TimeMs(now.0.div_euclid(HOUR_MS) * HOUR_MS + HOUR_MS);
    let from = TimeMs(until.0 - i64::from(span) * HOUR_MS);
    let known: Vec<CentreId> = shared.writer.look(|network| network.centres().keys().cloned().collect()).await?;
    let only = query.centre;
    let asked: Vec<CentreId> =
        known.into_iter().filter(|centre| only.as_ref().is_none_or(|only| only == centre.as_str())).collect();
    if let Some(only) = only.filter(|_| asked.is_empty()) {
        return Err(Failure::new(ErrorCode::NotFound, format!("there is no centre `{only}`"))
            .hint("`huisuan centre ls` lists the centres"));
    }
    let read = move |reader: &huisuan_store::Reader| {
        let pieces: Vec<Piece> =
            history(reader, now)?.into_iter().filter(|piece| asked.contains(&piece.centre)).collect();
        let mut rows = Vec::new();
        for centre in &asked {
            // What was used in an hour is booked in it or later.
            rows.extend(reader.meters_of_centre(centre, from, TimeMs(i64::MAX))?);
        }
        Ok(account(&pieces, &rows, from, until))
    };
    let found = shared.readers.read(read).await?;
    Ok(axum::Json(HourList { hours: found.iter().map(hour).collect() }))
}

fn hour(hour: &Hour) -> HourView {
    let narrow = |value: i128| i64::try_from(value).unwrap_or(i64::MAX);
    HourView {
        centre: hour.centre.to_string(),
        pool: hour.pool.to_string(),
        class: hour.class.to_string(),
        from: hour.from.into(),
        capacity: narrow(hour.capacity),
        used: narrow(hour.used),
        idle: narrow(hour.idle),
        unavailable: narrow(hour.unavailable),
        beyond: narrow(hour.beyond),
    }
}

pub(crate) async fn oddities(State(shared): App) -> Result<axum::Json<OddityList>, Failure> {
    let rows = shared.readers.read(|reader| reader.oddities(ODDITIES)).await?;
    let view = |row: huisuan_store::OddityRow| OddityView {
        number: row.id,
        centre: row.centre.to_string(),
        attempt: row.oddity.attempt.to_string(),
        kind: row.oddity.kind.as_str().to_owned(),
        at: row.oddity.at.into(),
        detail: row.oddity.detail,
        count: row.oddity.count,
        since: row.oddity.since.unwrap_or(row.oddity.at).into(),
    };
    // What came again has a row that tells so; the rows before it are of the same finding.
    let mut told = BTreeSet::new();
    let first = |row: &huisuan_store::OddityRow| {
        let Some(since) = row.oddity.since else { return true };
        told.insert((row.centre.clone(), row.oddity.kind, row.oddity.attempt, since))
    };
    Ok(axum::Json(OddityList { oddities: rows.into_iter().filter(first).map(view).collect() }))
}
