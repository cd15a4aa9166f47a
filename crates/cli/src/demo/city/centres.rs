//! The sites of a scenario as virtual centres, each with a real agent.

use std::{
    collections::BTreeMap,
    path::PathBuf,
    thread,
    time::{Duration, SystemTime},
};

use huisuan_agent::{Agent, AgentConfig, SitePolicy, StopFlag};
use huisuan_api::{
    AgentClient, Client,
    agent::{PoolRating, Ratings},
};
use huisuan_drivers::{Fate, Oracle, SimulatedConfig, SimulatedEngine};
use huisuan_model::{Centre, EngineKind, Money, Pool, Rating, StartOrder, TimeMs};
use huisuan_server::{Server, Simulation, Title};
use huisuan_study::{
    lapse::{self, Course},
    scenario::{Scenario, Site},
};

use super::super::{Folder, network::Network};
use crate::{
    args::DemoArgs,
    commands::agent::refused,
    failure::{Exit, Failure},
};

/// How long the server may hold a question for orders.
const POLL_WAIT: Duration = Duration::from_secs(25);

/// The most that a tenant is given: a hundred thousand million yuan, well below what the books can count.
const FUNDS_MAX: Money = Money(100_000_000_000_000_000);

/// Starts the server with the scenario's centres declared.
pub(super) fn start(folder: &Folder, args: &DemoArgs, scenario: &Scenario) -> Result<Network, Failure> {
    let setup = &scenario.setup;
    // One tenant stands for all of the scenario's, so it has what they have together.
    let funds: i64 = setup.tenants.iter().map(|(_, funds)| funds.0).sum();
    let funds = Money(funds.clamp(1, FUNDS_MAX.0));
    let declared = setup.sites.iter().map(|site| Centre { engine: EngineKind::Simulated, ..site.centre.clone() });
    let network = Network::of(&folder.path, args, funds, declared)?;
    network.server().set_simulation(simulation(scenario, args.city.speed));
    Ok(network)
}

fn simulation(scenario: &Scenario, speed: u64) -> Simulation {
    let titles: BTreeMap<_, _> = (scenario.setup.sites.iter())
        .zip(&scenario.facts.sites)
        .map(|(site, facts)| {
            let title = Title { en: facts.title.en.clone(), zh: facts.title.zh.clone() };
            (site.centre.id.clone(), title)
        })
        .collect();
    Simulation { scenario: scenario.name.clone(), speed, titles }
}

/// Joins all centres. Their ratings come from the scenario: there is nothing to measure.
pub(super) fn join(network: &mut Network, folder: &Folder, scenario: &Scenario, seed: u64) -> Result<(), Failure> {
    for site in &scenario.setup.sites {
        let dir = folder.path.join("centres").join(site.centre.id.as_str());
        // A scratch folder is never opened again, so nothing needs to survive there.
        let journal = (!folder.scratch).then(|| dir.clone());
        let config = SimulatedConfig { pools: site.pools.clone(), fate: fate(seed), folder: journal };
        network.join_with(|server, stop| agent(server, site, config, dir, stop))?;
    }
    Ok(())
}

/// Every task has the fate that its job carries.
fn fate(seed: u64) -> Oracle {
    Box::new(move |order: &StartOrder, pool: &Pool| {
        let Course { run_ms, exit_code, busy_percent } =
            lapse::course(order, pool.share(order.cores, order.devices), seed);
        Fate { run_ms, exit_code, busy_percent }
    })
}

/// Joins one centre; on return it is welcomed and rated.
fn agent(
    server: &Server,
    site: &Site,
    config: SimulatedConfig,
    dir: PathBuf,
    stop: StopFlag,
) -> Result<thread::JoinHandle<()>, Failure> {
    let (url, centre) = (server.url(), site.centre.id.clone());
    let token = server.agent_token(&centre);
    let engine = SimulatedEngine::open(config).map_err(|error| Failure::new(Exit::Error, error))?;
    let config = AgentConfig {
        server: url.clone(),
        token: token.clone(),
        centre: centre.clone(),
        dir,
        policy: SitePolicy::default(),
        poll_wait: POLL_WAIT,
    };
    let agent = Agent::join(config, Box::new(engine), false).map_err(|error| refused(error, &centre))?;
    rate(&url, server.token(), &token, site)?;
    let run = move || {
        if let Err(error) = agent.run(&stop) {
            tracing::error!(%error, "agent ended");
        }
    };
    Ok(thread::Builder::new().name(format!("agent-{centre}")).spawn(run)?)
}

/// Tells the scenario's ratings of the pools that have none, as the agent would after measuring.
fn rate(url: &str, user_token: &str, agent_token: &str, site: &Site) -> Result<(), Failure> {
    let known = Client::new(url, Some(user_token))?.centre(site.centre.id.as_str())?;
    let unrated = |pool: &&Pool| known.pools.iter().any(|view| view.pool == pool.id.as_str() && view.rating.is_none());
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let now = TimeMs(i64::try_from(since.as_millis()).unwrap_or(i64::MAX));
    let rating = |pool: &Pool| {
        let rating = Rating { version: 1, rated_at: now, ..pool.rating.clone()? };
        Some(PoolRating { pool: pool.id.clone(), rating })
    };
    let ratings: Vec<PoolRating> = site.pools.iter().filter(unrated).filter_map(rating).collect();
    if !ratings.is_empty() {
        AgentClient::new(url, Some(agent_token), site.centre.id.clone())?.ratings(&Ratings { ratings })?;
    }
    Ok(())
}
