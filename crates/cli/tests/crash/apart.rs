//! A server and two agents as processes of their own, each killed and started again for itself.

use std::{collections::BTreeMap, fs, net::TcpListener, time::Instant};

use huisuan_api::{Client, discovery, join::JoinToken};
use rustix::process::{Pid, Signal, kill_process};

use crate::{
    clocks::Clocks,
    disk::Disk,
    judge,
    line::{Line, State},
    links::{self, Links, Trouble},
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
    between: Between,
    clocks: Option<Clocks>,
    disk: Option<Disk>,
    full: bool,
    pub(crate) door: Door,
    /// Agents must find a restarted server where it was.
    listen: String,
    pub(crate) home: Home,
}

/// What is between the server and its agents.
enum Between {
    Line(Line),
    Links(Links),
}

/// A free port below those that the kernel gives to clients: one of these, looking for a server that is away,
/// may get the server's own port and then finds itself.
fn free_port(random: &mut Random) -> String {
    let some = || format!("127.0.0.1:{}", 20_000 + random.below(12_000));
    std::iter::repeat_with(some).find(|address| TcpListener::bind(address).is_ok()).expect("a free port")
}

impl Apart {
    pub(crate) fn start(random: &mut Random) -> Apart {
        Apart::of(Home::new(), None, None, random)
    }

    /// With a disk of the server's own, where one can be mounted.
    pub(crate) fn on_small_disk(random: &mut Random) -> Apart {
        let home = Home::new();
        let disk = Disk::mount(&home, DISK_MEGABYTES);
        Apart::of(home, None, disk, random)
    }

    /// With clocks that can be set, where there is a library for it.
    pub(crate) fn with_clocks(random: &mut Random) -> Option<Apart> {
        let home = Home::new();
        let clocks = Clocks::of(&home)?;
        Some(Apart::of(home, Some(clocks), None, random))
    }

    fn of(home: Home, clocks: Option<Clocks>, disk: Option<Disk>, random: &mut Random) -> Apart {
        let listen = free_port(random);
        let between = Between::Line(Line::to(&listen));
        Apart::between(between, home, clocks, disk, listen)
    }

    /// With each agent at a site of its own. This thread, and what it starts from now on, is on the server's machine:
    /// so are its users.
    pub(crate) fn on_links(links: Links, random: &mut Random) -> Apart {
        links.enter_server();
        let listen = format!("{}:{}", links::SERVER, 20_000 + random.below(12_000));
        Apart::between(Between::Links(links), Home::new(), None, None, listen)
    }

    /// The names of the centres.
    pub(crate) fn sites() -> [&'static str; CENTRES.len()] {
        CENTRES.map(|(name, _)| name)
    }

    fn between(between: Between, home: Home, clocks: Option<Clocks>, disk: Option<Disk>, listen: String) -> Apart {
        let (agents, door) = (BTreeMap::new(), Door::default());
        let mut apart = Apart { server: None, agents, between, clocks, disk, full: false, door, listen, home };
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

    /// A client with the token that the server leaves for its own user: not on loopback it asks for one.
    pub(crate) fn client(&self) -> Client {
        let left = discovery::Folder::at(self.home.path("huisuan")).read().expect("readable");
        let token = left.map(|running| running.token);
        Client::new(&self.server().url, token.as_deref()).expect("its address is one")
    }

    /// Sets the line that all agents come by.
    pub(crate) fn set_line(&self, state: State) {
        match &self.between {
            Between::Line(line) => line.set(state),
            Between::Links(_) => panic!("there are links, and no line"),
        }
    }

    /// Breaks the link of a site; the site.
    pub(crate) fn break_link(&self, trouble: Trouble, random: &mut Random) -> &'static str {
        let (Between::Links(links), site) = (&self.between, one(random)) else {
            panic!("there is a line, and no links")
        };
        links.trouble(site, trouble);
        site
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
        let environment = self.environment("server", armed);
        match self.home.try_start(&arguments, &pairs(&environment)) {
            Ok(server) => {
                self.server = Some(server);
                self.door.set(Some(self.client()));
            }
            Err(ran) => assert!(!armed.is_empty() && ran.exit == -1, "the server does not start: {ran:?}"),
        }
    }

    pub(crate) fn kill_agent(&mut self, random: &mut Random) {
        self.kill_agent_of(one(random));
    }

    pub(crate) fn kill_agent_of(&mut self, site: &str) {
        if let Some(agent) = self.agents.get_mut(site) {
            agent.kill();
        }
    }

    pub(crate) fn kill_agents(&mut self) {
        self.agents.values_mut().for_each(Running::kill);
    }

    pub(crate) fn kill_supervisors(&self) {
        let pids = CENTRES.iter().filter_map(|(site, _)| self.supervisor_pid_of(site));
        for pid in pids.filter_map(Pid::from_raw) {
            // It may have ended by itself.
            _ = kill_process(pid, Signal::KILL);
        }
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
            let environment = self.environment(centre, armed);
            let start = || self.home.spawn_with(&arguments, &pairs(&environment));
            let agent = match &self.between {
                Between::Line(_) => start(),
                Between::Links(links) => links.at_site(centre, start),
            };
            self.agents.insert(centre, agent);
        }
    }

    /// Waits until all agents have joined: their engines are open then.
    pub(crate) fn wait_joined(&self) {
        let joined = || self.agents.values().all(|agent| agent.stderr().contains("has joined")).then_some(());
        wait_until(Instant::now() + PATIENCE, joined).expect("the agents join");
    }

    /// What processes of a machine have in their environment.
    fn environment(&self, machine: &str, armed: &str) -> Vec<(String, String)> {
        let clock = self.clocks.as_ref().map(|clocks| clocks.environment(machine));
        clock.unwrap_or_default().into_iter().chain([("FAILPOINTS".to_owned(), armed.to_owned())]).collect()
    }

    pub(crate) fn has_clocks(&self) -> bool {
        self.clocks.is_some()
    }

    /// Sets the clock of the server's machine.
    pub(crate) fn set_server_clock(&self, seconds: i64) {
        self.clocks.as_ref().expect("clocks that can be set").set("server", seconds);
    }

    /// Sets the clock of one of the sites.
    pub(crate) fn set_site_clock(&self, seconds: i64, random: &mut Random) {
        self.clocks.as_ref().expect("clocks that can be set").set(one(random), seconds);
    }

    /// Sets the clocks of all sites.
    pub(crate) fn set_site_clocks(&self, seconds: i64) {
        let clocks = self.clocks.as_ref().expect("clocks that can be set");
        CENTRES.iter().for_each(|(site, _)| clocks.set(site, seconds));
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
        let server = match &self.between {
            Between::Line(line) => line.url.clone(),
            Between::Links(_) => join.server.clone(),
        };
        Some(JoinToken { server, ..join }.to_string())
    }

    /// Mends what is broken: the line or the links, the disk, processes that have ended.
    pub(crate) fn mend(&mut self) {
        match &self.between {
            Between::Line(line) => line.set(State::Open),
            Between::Links(links) => links.mend(),
        }
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
        self.supervisor_pid_of(one(random))
    }

    fn supervisor_pid_of(&self, site: &str) -> Option<i32> {
        let folder = self.home.path(site);
        let pid: i32 = fs::read_to_string(format!("{folder}/supervisor.lock")).ok()?.trim().parse().ok()?;
        // The number may be another process's by now.
        let command = fs::read(format!("/proc/{pid}/cmdline")).ok()?;
        String::from_utf8_lossy(&command).contains(&folder).then_some(pid)
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

fn pairs(environment: &[(String, String)]) -> Vec<(&str, &str)> {
    environment.iter().map(|(name, value)| (&**name, &**value)).collect()
}

/// The name of one of the centres.
fn one(random: &mut Random) -> &'static str {
    CENTRES[usize::try_from(random.below(CENTRES.len() as u64)).expect("a small number")].0
}
