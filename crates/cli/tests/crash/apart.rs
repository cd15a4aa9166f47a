//! A server and two agents as processes of their own, each killed and started again for itself.

use std::{collections::BTreeMap, net::TcpListener, time::Instant};

use huisuan_api::Client;

use crate::{
    judge,
    random::Random,
    support::running::{Home, PATIENCE, Running, wait_until},
    work::Door,
};

const CENTRES: [(&str, &str); 2] = [("general-1", "general-1:general:1200"), ("hpc-1", "hpc-1:hpc:2400")];

/// The network.
pub(crate) struct Apart {
    pub(crate) home: Home,
    pub(crate) door: Door,
    /// Agents must find a restarted server where it was.
    listen: String,
    server: Option<Running>,
    agents: BTreeMap<&'static str, Running>,
}

/// A free port below those that the kernel gives to clients: one of these, looking for a server that is away,
/// may get the server's own port and then finds itself.
fn free_port(random: &mut Random) -> String {
    let some = || format!("127.0.0.1:{}", 20_000 + random.below(12_000));
    std::iter::repeat_with(some).find(|address| TcpListener::bind(address).is_ok()).expect("a free port")
}

impl Apart {
    pub(crate) fn start(random: &mut Random) -> Apart {
        let listen = free_port(random);
        let mut apart =
            Apart { home: Home::new(), door: Door::default(), listen, server: None, agents: BTreeMap::new() };
        apart.start_server();
        apart.start_agents();
        apart
    }

    /// The file in which tasks note their runs.
    pub(crate) fn trace(&self) -> String {
        self.home.path("trace")
    }

    fn server(&self) -> &Running {
        self.server.as_ref().expect("a server runs")
    }

    pub(crate) fn client(&self) -> Client {
        self.server().client()
    }

    pub(crate) fn kill_server(&mut self) {
        self.door.set(None);
        self.server.as_mut().expect("a server runs").kill();
    }

    pub(crate) fn start_server(&mut self) {
        let data = self.home.path("server");
        let mut arguments = vec!["serve", "--data", &data, "--listen", &self.listen];
        arguments.extend(CENTRES.iter().flat_map(|(_, declared)| ["--centre", declared]));
        let server = self.home.start(&arguments, &[]);
        self.door.set(Some(&server.url));
        self.server = Some(server);
    }

    pub(crate) fn kill_agent(&mut self, random: &mut Random) {
        let at = usize::try_from(random.below(CENTRES.len() as u64)).expect("a small number");
        if let Some(agent) = self.agents.get_mut(CENTRES[at].0) {
            agent.kill();
        }
    }

    /// Starts the agents that do not run: those that were killed, and those that had not joined when the server
    /// was killed. A service manager would do so.
    pub(crate) fn start_agents(&mut self) {
        for (centre, _) in CENTRES {
            if self.agents.get_mut(centre).is_some_and(|agent| agent.ended().is_none()) {
                continue;
            }
            let said = || {
                self.server()
                    .stderr()
                    .lines()
                    .find(|line| line.starts_with(&format!("centre {centre}:")))
                    .map(str::to_owned)
            };
            let line = wait_until(Instant::now() + PATIENCE, said).expect("the line for the agent");
            let command = line.split('`').nth(1).expect("a command in backticks");
            let folder = self.home.path(centre);
            let mut arguments: Vec<&str> = command.split(' ').skip(1).collect();
            arguments.extend(["--memory", "1GiB", "--data", &folder]);
            let agent = self.home.spawn(&arguments);
            self.agents.insert(centre, agent);
        }
    }

    /// Ends everything in good order and checks what it leaves.
    pub(crate) fn close(mut self) {
        judge::end_all(&self.client());
        for (_, agent) in std::mem::take(&mut self.agents) {
            assert!(agent.stop().success(), "an agent ends well");
        }
        let server = self.server.take().expect("a server runs");
        assert!(server.stop().success(), "the server ends well");
        judge::check_data(&self.home, &self.home.path("server"));
    }
}
