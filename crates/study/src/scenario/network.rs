//! Centres, pools and links, from the format to what the twin runs.

use std::collections::BTreeMap;

use huisuan_model::{
    Bytes, Centre, GflopPerS, Mark, MilliDevices, Millicores, Money, Place, Pool, PoolId, Rating, StartDelay, Tariff,
    TimeMs, centre::CURRENCY,
};
use huisuan_twin::setup::{HiddenQueue, Site};

use super::{
    check::{Check, in_units},
    file::{CentreFile, Hourly, LinkFile, PoolFile},
    racks,
    read::Title,
    routes::Routes,
};
use crate::read::ReadError;

/// Hours of a day.
pub const HOURS: usize = 24;
/// How long an order and a report take where the file does not say: a poll that waits, and a report twice a second.
const ORDER_DELAY_MS: u64 = 10;
const REPORT_DELAY_MS: u64 = 500;

/// What a report knows of a centre besides the control plane.
#[derive(Debug, Clone, PartialEq)]
pub struct SiteFacts {
    /// What people call it.
    pub title: Title,
    /// Energy of the whole site for one of its machines.
    pub pue: f64,
    /// Yuan for one kWh, by hour of the local day.
    pub power_cny_per_kwh: [f64; HOURS],
    /// Grams of CO2 for one kWh, by hour of the local day.
    pub carbon_g_per_kwh: [f64; HOURS],
    /// By part number.
    pub pools: BTreeMap<PoolId, PoolFacts>,
}

/// What a report knows of a pool besides the control plane.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PoolFacts {
    /// Of how many nodes it is made.
    pub nodes: u64,
    /// What a node draws without work.
    pub node_watts_idle: f64,
    /// What a node draws when all of it works.
    pub node_watts_busy: f64,
}

/// What a report knows of one direction of a link.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LinkFacts {
    /// What it carries.
    pub gbit_per_s: f64,
    /// Yuan for 10^9 bytes.
    pub price_cny_per_gb: f64,
    /// Energy of 10^9 bytes.
    pub wh_per_gb: f64,
}

/// A centre and what only reports know of it.
pub(super) fn site(check: Check<'_>, file: &CentreFile, seed: u64) -> Result<(Site, SiteFacts), ReadError> {
    let price = check.number("price_cny_per_p_h", &file.price_cny_per_p_h, 0.0..=1e6)?;
    let coordinate = |field, value: Option<&toml::Spanned<f64>>, most: f64| {
        let degrees = value.map(|value| check.number(field, value, -most..=most)).transpose()?;
        Ok::<_, ReadError>(degrees.map(|degrees| (degrees * 1e6).round() as i32))
    };
    let place = coordinate("latitude", file.latitude.as_ref(), 90.0)?
        .zip(coordinate("longitude", file.longitude.as_ref(), 180.0)?)
        .map(|(latitude_microdegrees, longitude_microdegrees)| Place { latitude_microdegrees, longitude_microdegrees });
    let tariff = Tariff { currency: CURRENCY.to_owned(), price_per_p_h: Money(in_units(price, 1e6) as i64) };
    let centre =
        Centre { place, ..Centre::new(check.name("id", &file.id)?, file.class, file.engine, &file.zone, tariff) };
    let mut pools: Vec<Pool> = Vec::new();
    let mut facts = BTreeMap::new();
    for found in &file.pool {
        let (made, known) = pool(check, file, found)?;
        let twice = facts.insert(made.id.clone(), known).is_some();
        check.holds(!twice, "part", &found.part, &made.id, "a part number that its centre has once")?;
        pools.push(made);
    }
    check.holds(!pools.is_empty(), "pool", &file.id, "none", "at least one pool in a centre")?;
    let facts = SiteFacts {
        title: Title::of(&file.title, file.id.get_ref()),
        pue: check.number_or("pue", file.pue.as_ref(), 1.0, 1.0..=5.0)?,
        power_cny_per_kwh: hourly(check, "power_cny_per_kwh", file.power_cny_per_kwh.as_ref(), 100.0)?,
        carbon_g_per_kwh: hourly(check, "carbon_g_per_kwh", file.carbon_g_per_kwh.as_ref(), 5_000.0)?,
        pools: facts,
    };
    let site = Site {
        centre,
        pools,
        order_delay_ms: file.order_delay_ms.unwrap_or(ORDER_DELAY_MS),
        report_delay_ms: file.report_delay_ms.unwrap_or(REPORT_DELAY_MS),
        hidden: hidden(check, file, seed)?,
    };
    Ok((site, facts))
}

/// A queue that the network does not see; only an engine that keeps one to itself has it.
fn hidden(check: Check<'_>, file: &CentreFile, seed: u64) -> Result<Option<HiddenQueue>, ReadError> {
    let Some(wait) = &file.hidden_wait_minutes else { return Ok(None) };
    let (field, [median, most]) = ("hidden_wait_minutes", *wait.get_ref());
    let found = || format!("[{median}, {most}]");
    let legal = (0.0..=1e6).contains(&median) && (median..=1e6).contains(&most);
    check.holds(legal, field, wait, found(), "a median and no less for nine tenths, in minutes up to a million")?;
    let expected = "engine `slurm` or `kubernetes` beside it: the others start what they have room for";
    check.holds(file.engine.opaque(), field, wait, found(), expected)?;
    let delay = StartDelay { p50_ms: in_units(median, 60_000.0), p90_ms: in_units(most, 60_000.0) };
    Ok(Some(HiddenQueue { delay, seed }))
}

fn pool(check: Check<'_>, centre: &CentreFile, file: &PoolFile) -> Result<(Pool, PoolFacts), ReadError> {
    let node_tflops = check.number("node_tflops", &file.node_tflops, 1e-6..=1e9)?;
    let nodes = match (&file.nodes, &file.declared_p) {
        (Some(nodes), None) => check.whole("nodes", nodes, 1..=100_000_000)?,
        (None, Some(declared)) => {
            let declared_p = check.number("declared_p", declared, 1e-6..=1e9)?;
            in_units(declared_p, 1_000.0 / node_tflops).clamp(1, 100_000_000)
        }
        _ => {
            return Err(check.refuse(
                "nodes",
                &file.part,
                file.part.get_ref(),
                "a size: either `nodes` or `declared_p`",
            ));
        }
    };
    let node_cores = check.whole("node_cores", &file.node_cores, 1..=1_000_000)?;
    let node_memory_gib = check.whole("node_memory_gib", &file.node_memory_gib, 1..=1_000_000)?;
    let sustained_percent = check.number("sustained_percent", &file.sustained_percent, 0.001..=100.0)?;
    let idle = check.number_or("node_watts_idle", file.node_watts_idle.as_ref(), 0.0, 0.0..=1e6)?;
    let busy = check.number_or("node_watts_busy", file.node_watts_busy.as_ref(), idle, idle..=1e6)?;
    let nameplate = nodes as f64 * node_tflops * 1_000.0;
    let rating = Rating {
        version: 0,
        sustained: GflopPerS(in_units(nameplate, sustained_percent / 100.0).max(1)),
        nameplate: GflopPerS(in_units(nameplate, 1.0).max(1)),
        method: "scenario/1".to_owned(),
        mark: Mark::Modelled,
        rated_at: TimeMs(0),
        certificate: None,
        doubt: None,
    };
    let whole = |each: u64, unit: u64| {
        let all = u128::from(nodes) * u128::from(each) * u128::from(unit);
        // A factor of four below the type's end, so that no sum of use and need overflows.
        let refused = || check.refuse("part", &file.part, file.part.get_ref(), "a pool that 64 bits can count");
        u64::try_from(all).ok().filter(|&all| all < u64::MAX / 4).ok_or_else(refused)
    };
    let mut pool = Pool {
        id: check.name("part", &file.part)?,
        class: centre.class,
        cores: Millicores(whole(node_cores, 1_000)?),
        memory: Bytes(whole(node_memory_gib, 1 << 30)?),
        devices: MilliDevices(whole(file.node_devices, 1_000)?),
        device_memory: Bytes(file.device_memory_gib.unwrap_or(0).min(1_000_000) << 30),
        rating: Some(rating),
        images: false,
        topology: None,
    };
    pool.topology = racks::topology(check, file, &pool, nodes)?;
    Ok((pool, PoolFacts { nodes, node_watts_idle: idle, node_watts_busy: busy }))
}

fn hourly(
    check: Check<'_>,
    field: &str,
    value: Option<&toml::Spanned<Hourly>>,
    most: f64,
) -> Result<[f64; HOURS], ReadError> {
    let Some(value) = value else { return Ok([0.0; HOURS]) };
    let hours = match value.get_ref() {
        Hourly::Constant(figure) => [*figure; HOURS],
        Hourly::ByHour(hours) => **hours,
    };
    match hours.iter().find(|figure| !(0.0..=most).contains(*figure)) {
        Some(bad) => Err(check.refuse(field, value, bad, &format!("numbers from 0 to {most}"))),
        None => Ok(hours),
    }
}

/// Links by the places of their ends, each direction for itself.
pub(super) type Links = BTreeMap<(usize, usize), LinkFacts>;

/// All ways between centres, and the links that they lead over. A link goes both ways, unless another one is told from
/// its end to its beginning.
pub(super) fn routes(check: Check<'_>, sites: &[Site], files: &[LinkFile]) -> Result<(Routes, Links), ReadError> {
    let ids = || sites.iter().map(|site| site.centre.id.as_str());
    let (mut round_trips, mut links) = (Vec::new(), Links::new());
    let mut back = Links::new();
    for file in files {
        let from = check.known("from", &file.from, "centre", ids())?;
        let to = check.known("to", &file.to, "centre", ids())?;
        check.holds(from != to, "to", &file.to, file.to.get_ref(), "another centre than `from`")?;
        let facts = LinkFacts {
            gbit_per_s: check.number("gbit_per_s", &file.gbit_per_s, 0.001..=1e6)?,
            price_cny_per_gb: check.number_or("price_cny_per_gb", file.price_cny_per_gb.as_ref(), 0.0, 0.0..=1e6)?,
            wh_per_gb: check.number_or("wh_per_gb", file.wh_per_gb.as_ref(), 0.0, 0.0..=1e6)?,
        };
        let twice = links.insert((from, to), facts).is_some();
        check.holds(!twice, "to", &file.to, file.to.get_ref(), "a link that is listed once")?;
        back.insert((to, from), facts);
        round_trips.push((from, to, check.number("round_trip_ms", &file.round_trip_ms, 0.0..=60_000.0)?));
    }
    for (ends, facts) in back {
        links.entry(ends).or_insert(facts);
    }
    Ok((Routes::new(sites.len(), &round_trips), links))
}
