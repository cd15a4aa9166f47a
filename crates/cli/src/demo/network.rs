//! Starts and stops the parts of the demo's network: one server and one agent for each centre.

use std::{path::Path, thread::JoinHandle, time::Duration};

use huisuan_agent::StopFlag;
use huisuan_api::discovery;
use huisuan_drivers::LocalLimits;
use huisuan_measure::Registry;
use huisuan_model::{Centre, Money};
use huisuan_server::{LOCAL_FUNDS, ServeConfig, Server};

use super::layout::{CentrePlan, Layout};
use crate::{
    args::DemoArgs,
    commands::{
        agent::{self, LocalCentre},
        parts, serve,
    },
    failure::Failure,
    parse::Declared,
};

/// Supervisors of a scratch folder end soon after their agents: their folder is about to go.
const SCRATCH_LINGER: Duration = Duration::from_millis(200);

/// A running network.
pub(crate) struct Network {
    /// `None` once it was stopped.
    server: Option<Server>,
    url: String,
    token: String,
    stop: StopFlag,
    agents: Vec<JoinHandle<()>>,
}

impl Network {
    /// Starts the server and declares the centres of a divided machine.
    pub(crate) fn start(folder: &Path, args: &DemoArgs, layout: &Layout) -> Result<Network, Failure> {
        Network::of(folder, args, LOCAL_FUNDS, layout.centres.iter().map(|plan| declared(plan, layout.overlapping)))
    }

    /// Starts the server and declares the centres; `funds` is what the local tenant may spend.
    pub(crate) fn of(
        folder: &Path,
        args: &DemoArgs,
        funds: Money,
        centres: impl Iterator<Item = Centre>,
    ) -> Result<Network, Failure> {
        let server = Server::start(ServeConfig {
            data: folder.join("server"),
            listen: args.listen,
            seed: args.seed,
            funds,
            discovery: announced(),
        })?;
        server.set_ceilings(parts::ceilings(&Registry::built_in()));
        for centre in centres {
            server.set_centre(centre)?;
        }
        let (url, token) = (server.url(), server.token().to_owned());
        Ok(Network { server: Some(server), url, token, stop: StopFlag::default(), agents: Vec::new() })
    }

    /// Starts the agent of one centre; on return it has joined and measured its cores. Centres join one
    /// after another, because those that share cores would disturb each other's measurement.
    pub(crate) fn join(&mut self, folder: &Path, plan: &CentrePlan, scratch: bool) -> Result<(), Failure> {
        let Some(server) = &self.server else { return Ok(()) };
        let linger = if scratch { SCRATCH_LINGER } else { LocalLimits::default().linger };
        let local = LocalCentre {
            centre: plan.centre.clone(),
            class: plan.class,
            folder: folder.join("centres").join(plan.centre.as_str()),
            cores: plan.cores.clone(),
            memory: plan.memory,
            limits: LocalLimits { linger, ..LocalLimits::default() },
            containers: Err("a demo runs processes only".to_owned()),
        };
        let token = server.agent_token(&plan.centre);
        self.agents.push(agent::start(local, &self.url, &token, self.stop.clone())?);
        Ok(())
    }

    /// Lends the server.
    pub(crate) fn server(&self) -> &Server {
        self.server.as_ref().expect("it is there until it is dropped")
    }

    /// Joins a centre by a thread of its own that runs until the flag is set.
    pub(crate) fn join_with(
        &mut self,
        start: impl FnOnce(&Server, StopFlag) -> Result<JoinHandle<()>, Failure>,
    ) -> Result<(), Failure> {
        if let Some(server) = &self.server {
            self.agents.push(start(server, self.stop.clone())?);
        }
        Ok(())
    }

    /// Where the server listens.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// The token of the person who runs the demo.
    pub(crate) fn token(&self) -> &str {
        &self.token
    }
}

impl Drop for Network {
    /// Ends all parts. Agents wait for orders until the server ends their questions, so it goes before
    /// them; whatever they could not report is reported by the next agent of a kept folder.
    fn drop(&mut self) {
        self.stop.stop();
        if let Some(server) = self.server.take() {
            server.stop();
        }
        for agent in self.agents.drain(..) {
            // An agent that panicked has said so already.
            let _ = agent.join();
        }
    }
}

/// Clients find the demo by themselves, unless they would lose another server that runs for this user.
fn announced() -> Option<discovery::Folder> {
    let folder = discovery::Folder::of_user();
    let other = folder.read().ok().flatten().is_some_and(|running| running.alive());
    (!other).then_some(folder)
}

/// What the operator of a centre would declare of it.
fn declared(plan: &CentrePlan, overlapping: bool) -> Centre {
    let declared = Declared {
        centre: plan.centre.clone(),
        class: plan.class,
        price_per_p_h: plan.price_per_p_h,
        zone: plan.zone.to_owned(),
    };
    Centre { overlapping, ..serve::centre(&declared) }
}
