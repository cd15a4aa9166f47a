//! A server and two agents as processes of their own, each killed and started again for itself.

use std::{collections::BTreeMap, fs, net::TcpListener, time::Instant};

use huisuan_api::{Client, join::JoinToken};

use crate::{
    disk::Disk,
    judge,
    line::{Line, State},
    random::Random,
    support::running::{Home, PATIENCE, Running, wait_until},
    work::Door,
};

const CENTRES: [(&str, &str); 2] = [("general-1", "general-1:general:1200"), ("hpc-1", "hpc-1:hpc:2400")];

/// The size of the server's own disk, in megabytes: enough for an episode, and quickly full.
const DISK_MEGABYTES: u32 = 256;

/// The network. Dropped in this order: processes before what they write to.
pub(crate) struct Apart {
    server: Option<Running>,
    agents: BTreeMap<&'static str, Running>,
    line: Line,
    disk: Option<Disk>,
    full: bool,
    pub(crate) door: Door,
    /// Agents must find a restarted server where it was.
    listen: String,
    pub(crate) home: Home,
}

/// A free port below those that the kernel gives to clients: one of these, looking for a server that is away,
/// may get the server's own port and then finds itself.
fn free_port(random: &mut Random) -> String {
    let some = || format!("127.0.0.1:{}", 20_000 + random.below(12_000));
    std::iter::repeat_with(some).find(|address| TcpListener::bind(address).is_ok()).expect("a free port")
}

impl Apart {
    pub(crate) fn start(random: &mut Random) -> Apart {
        Apart::of(Home::new(), None, random)
    }

    /// With a disk of the server's own, where one can be mounted.
    pub(crate) fn on_small_disk(random: &mut Random) -> Apart {
        let home = Home::new();
        let disk = Disk::mount(&home, DISK_MEGABYTES);
        Apart::of(home, disk, random)
    }

    fn of(home: Home, disk: Option<Disk>, random: &mut Random) -> Apart {
        let listen = free_port(random);
        let (line, door) = (Line::to(&listen), Door::default());
        let mut apart = Apart { server: None, agents: BTreeMap::new(), line, disk, full: false, door, listen, home };
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

    pub(crate) fn line(&self) -> &Line {
        &self.line
    }

    pub(crate) fn kill_server(&mut self) {
        self.door.set(None);
        self.server.as_mut().expect("a server runs").kill();
    }

    fn data(&self) -> String {
        self.disk.as_ref().map_or_else(|| self.home.path("server"), |disk| disk.path("server"))
    }

    pub(crate) fn start_server(&mut self) {
        self.arm_server("");
        assert!(self.server.is_some(), "the server does not start");
    }

    /// Starts a server that ends at a failpoint, perhaps before it listens.
    pub(crate) fn arm_server(&mut self, armed: &str) {
        let data = self.data();
        let mut arguments = vec!["serve", "--data", &data, "--listen", &self.listen];
        arguments.extend(CENTRES.iter().flat_map(|(_, declared)| ["--centre", declared]));
        match self.home.try_start(&arguments, &[("FAILPOINTS", armed)]) {
            Ok(server) => {
                self.door.set(Some(&server.url));
                self.server = Some(server);
            }
            Err(ran) => assert!(!armed.is_empty() && ran.exit == -1, "the server does not start: {ran:?}"),
        }
    }

    pub(crate) fn kill_agent(&mut self, random: &mut Random) {
        if let Some(agent) = self.agents.get_mut(one(random)) {
            agent.kill();
        }
    }

    pub(crate) fn kill_agents(&mut self) {
        self.agents.values_mut().for_each(Running::kill);
    }

    /// Starts the agents that do not run: those that were killed, and those that had not joined when the server
    /// was killed. A service manager would do so.
    pub(crate) fn start_agents(&mut self) {
        self.arm_agents("");
    }

    /// The same; what is started ends at a failpoint.
    pub(crate) fn arm_agents(&mut self, armed: &str) {
        for (centre, _) in CENTRES {
            if self.agents.get_mut(centre).is_some_and(|agent| agent.ended().is_none()) {
                continue;
            }
            let Some(join) = self.join(centre) else { return };
            let folder = self.home.path(centre);
            let arguments = ["agent", "--join", &join, "--memory", "1GiB", "--data", &folder];
            let agent = self.home.spawn_with(&arguments, &[("FAILPOINTS", armed)]);
            self.agents.insert(centre, agent);
        }
    }

    /// What the server printed for a centre, along the line; `None` when it ended before.
    fn join(&mut self, centre: &str) -> Option<String> {
        let server = self.server.as_mut()?;
        let said = || {
            let text = server.stderr();
            let line = text.lines().find(|line| line.starts_with(&format!("centre {centre}:"))).map(str::to_owned);
            line.map(Some).or_else(|| server.ended().map(|_| None))
        };
        let line = wait_until(Instant::now() + PATIENCE, said).expect("the line for the agent")?;
        let word = line.split('`').nth(1).and_then(|command| command.split(' ').next_back()).expect("a command");
        let join: JoinToken = word.parse().expect("a join token");
        Some(JoinToken { server: self.line.url.clone(), ..join }.to_string())
    }

    /// Mends what is broken: the line, the disk, processes that have ended.
    pub(crate) fn mend(&mut self) {
        self.line.set(State::Open);
        if self.full {
            self.disk.as_ref().expect("it was filled").clear();
            self.full = false;
        }
        if self.server.as_mut().is_none_or(|server| server.ended().is_some()) {
            self.door.set(None);
            self.start_server();
        }
        self.start_agents();
    }

    pub(crate) fn has_disk(&self) -> bool {
        self.disk.is_some()
    }

    pub(crate) fn fill_disk(&mut self) {
        self.disk.as_ref().expect("a disk of its own").fill();
        self.full = true;
    }

    pub(crate) fn server_pid(&self) -> Option<i32> {
        self.server.as_ref().and_then(|server| i32::try_from(server.pid()).ok())
    }

    pub(crate) fn agent_pid(&self, random: &mut Random) -> Option<i32> {
        self.agents.get(one(random)).and_then(|agent| i32::try_from(agent.pid()).ok())
    }

    pub(crate) fn supervisor_pid(&self, random: &mut Random) -> Option<i32> {
        fs::read_to_string(self.home.path(one(random)) + "/supervisor.lock").ok()?.trim().parse().ok()
    }

    /// Ends everything in good order and checks what it leaves.
    pub(crate) fn close(mut self) {
        judge::end_all(&self.client());
        for (_, agent) in std::mem::take(&mut self.agents) {
            assert!(agent.stop().success(), "an agent ends well");
        }
        let server = self.server.take().expect("a server runs");
        assert!(server.stop().success(), "the server ends well");
        judge::check_data(&self.home, &self.data());
    }
}

/// The name of one of the centres.
fn one(random: &mut Random) -> &'static str {
    CENTRES[usize::try_from(random.below(CENTRES.len() as u64)).expect("a small number")].0
}
