//! A server and two agents as processes of their own, each killed and started again for itself.

use std::{collections::BTreeMap, fs, net::TcpListener, time::Instant};

use huisuan_api::{Client, discovery, join::JoinToken};
use rustix::process::{Pid, Signal, kill_process};

use crate::{
    clocks::Clocks,
    cluster::Cluster,
    disk::Disk,
    judge,
    line::{Line, State},
    links::{self, Links, Trouble},
    random::Random,
    sites::{LOCAL, Site},
    support::running::{Home, PATIENCE, Running, wait_until},
    work::Door,
};

/// The size of a disk, in megabytes: enough for an episode, and quickly full.
const DISK_MEGABYTES: u32 = 256;

/// The network. Dropped in this order: processes before what they write to.
pub(crate) struct Apart {
    server: Option<Running>,
    agents: BTreeMap<&'static str, Running>,
    sites: Vec<Site>,
    /// Join tokens of the centres that were added to a server.
    added: BTreeMap<&'static str, String>,
    cluster: Option<Cluster>,
    between: Between,
    clocks: Option<Clocks>,
    /// The server's, or that of the site at a cluster.
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
/// may get the server's own port and then finds itself. Clusters have theirs above these.
fn free_port(random: &mut Random) -> String {
    let some = || format!("127.0.0.1:{}", 6_000 + random.below(6_000));
    std::iter::repeat_with(some).find(|address| TcpListener::bind(address).is_ok()).expect("a free port")
}

impl Apart {
    pub(crate) fn start(random: &mut Random) -> Apart {
        Apart::behind_a_line(Home::new(), None, None, random)
    }

    /// With a disk of the server's own, where one can be mounted.
    pub(crate) fn on_small_disk(random: &mut Random) -> Apart {
        let home = Home::new();
        let disk = Disk::mount(&home, DISK_MEGABYTES);
        Apart::behind_a_line(home, None, disk, random)
    }

    /// With clocks that can be set, where there is a library for it.
    pub(crate) fn with_clocks(random: &mut Random) -> Option<Apart> {
        let home = Home::new();
        let clocks = Clocks::of(&home)?;
        Some(Apart::behind_a_line(home, Some(clocks), None, random))
    }

    fn behind_a_line(home: Home, clocks: Option<Clocks>, disk: Option<Disk>, random: &mut Random) -> Apart {
        let listen = free_port(random);
        let between = Between::Line(Line::to(&listen));
        let mut apart = Apart::of(Site::local(&home), between, home, listen);
        (apart.clocks, apart.disk) = (clocks, disk);
        apart.begun()
    }

    /// With one centre, which is a Slurm cluster; with clocks that can be set and a disk of the site's own, where there
    /// may be such.
    pub(crate) fn at_cluster(cluster: Cluster, random: &mut Random) -> Apart {
        let (home, listen) = (Home::new(), free_port(random));
        let (between, clocks) = (Between::Line(Line::to(&listen)), Clocks::of(&home));
        let disk = Disk::mount(&home, DISK_MEGABYTES);
        let sites = vec![Site::at_cluster(&home, disk.as_ref(), &cluster)];
        let mut apart = Apart::of(sites, between, home, listen);
        (apart.clocks, apart.disk, apart.cluster) = (clocks, disk, Some(cluster));
        apart.begun()
    }

    /// With each agent at a site of its own. This thread, and what it starts from now on, is on the server's machine:
    /// so are its users.
    pub(crate) fn on_links(links: Links, random: &mut Random) -> Apart {
        links.enter_server();
        let listen = format!("{}:{}", links::SERVER, 20_000 + random.below(12_000));
        let home = Home::new();
        Apart::of(Site::local(&home), Between::Links(links), home, listen).begun()
    }

    /// The names of centres of this machine.
    pub(crate) fn sites() -> [&'static str; LOCAL.len()] {
        LOCAL.map(|(name, _)| name)
    }

    fn of(sites: Vec<Site>, between: Between, home: Home, listen: String) -> Apart {
        let (agents, added, door) = (BTreeMap::new(), BTreeMap::new(), Door::default());
        let (clocks, disk, full) = (None, None, false);
        Apart { server: None, agents, sites, added, cluster: None, between, clocks, disk, full, door, listen, home }
    }

    fn begun(mut self) -> Apart {
        self.start_server();
        let added = self.sites.iter().filter(|site| site.declared.is_none());
        self.added = added.map(|site| (site.name, site.add(&self.home))).collect();
        self.start_agents();
        self
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
        let (Between::Links(links), site) = (&self.between, self.one(random)) else {
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
        let disk = self.disk.as_ref().filter(|_| self.cluster.is_none());
        disk.map_or_else(|| self.home.path("server"), |disk| disk.path("server"))
    }

    pub(crate) fn start_server(&mut self) {
        self.arm_server("");
        assert!(self.server.is_some(), "the server does not start");
    }

    /// Starts a server that ends at a failpoint, perhaps before it listens.
    pub(crate) fn arm_server(&mut self, armed: &str) {
        let data = self.data();
        let mut arguments = vec!["serve", "--data", &data, "--listen", &self.listen];
        arguments
            .extend(self.sites.iter().filter_map(|site| site.declared).flat_map(|declared| ["--centre", declared]));
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
        self.kill_agent_of(self.one(random));
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
        let pids = self.sites.iter().filter_map(|site| self.supervisor_pid_of(site.name));
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
        for at in 0..self.sites.len() {
            let name = self.sites[at].name;
            if self.agents.get_mut(name).is_some_and(|agent| agent.ended().is_none()) {
                continue;
            }
            let Some(join) = self.join(name) else { return };
            let site = &self.sites[at];
            let mut arguments = vec!["agent", "--join", &join, "--data", &site.data];
            arguments.extend(site.engine.iter().map(String::as_str));
            let environment = self.environment(name, armed);
            let start = || self.home.spawn_with(&arguments, &pairs(&environment));
            let agent = match &self.between {
                Between::Line(_) => start(),
                Between::Links(links) => links.at_site(name, start),
            };
            self.agents.insert(name, agent);
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
        self.clocks.as_ref().expect("clocks that can be set").set(self.one(random), seconds);
    }

    /// Sets the clocks of all sites.
    pub(crate) fn set_site_clocks(&self, seconds: i64) {
        let clocks = self.clocks.as_ref().expect("clocks that can be set");
        self.sites.iter().for_each(|site| clocks.set(site.name, seconds));
    }

    /// What the agent of a centre is told, to come along the line; `None` when the server ended before it said so.
    fn join(&mut self, centre: &str) -> Option<String> {
        let word = match self.added.get(centre) {
            Some(word) => word.clone(),
            None => self.printed(centre)?,
        };
        let join: JoinToken = word.parse().expect("a join token");
        let server = match &self.between {
            Between::Line(line) => line.url.clone(),
            Between::Links(_) => join.server.clone(),
        };
        Some(JoinToken { server, ..join }.to_string())
    }

    /// What the server printed for a centre.
    fn printed(&mut self, centre: &str) -> Option<String> {
        let server = self.server.as_mut()?;
        let said = || {
            let text = server.stderr();
            let line = text.lines().find(|line| line.starts_with(&format!("centre {centre}:"))).map(str::to_owned);
            line.map(Some).or_else(|| server.ended().map(|_| None))
        };
        let line = wait_until(Instant::now() + PATIENCE, said).expect("the line for the agent")?;
        let word = line.split('`').nth(1).and_then(|command| command.split(' ').next_back());
        Some(word.expect("a command").to_owned())
    }

    /// Mends what is broken: the line or the links, the disk, processes that have ended.
    pub(crate) fn mend(&mut self) {
        self.tend();
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

    pub(crate) fn at_a_cluster(&self) -> bool {
        self.cluster.is_some()
    }

    pub(crate) fn cluster(&self) -> &Cluster {
        self.cluster.as_ref().expect("a cluster")
    }

    /// Looks after the cluster, where there is one.
    pub(crate) fn tend(&self) {
        if let Some(cluster) = &self.cluster {
            cluster.tend();
        }
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
        self.agents.get(self.one(random)).and_then(|agent| i32::try_from(agent.pid()).ok())
    }

    pub(crate) fn supervisor_pid(&self, random: &mut Random) -> Option<i32> {
        self.supervisor_pid_of(self.one(random))
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
        if let Some(cluster) = &self.cluster {
            cluster.empty();
        }
    }

    /// Says what a cluster is at.
    pub(crate) fn tell(&self) {
        if let Some(cluster) = &self.cluster {
            let agent = self.agents.values().next();
            agent.inspect(|agent| eprintln!("{}", agent.logs()));
            cluster.tell(&self.sites[0].shared, agent.and_then(|agent| i32::try_from(agent.pid()).ok()));
        }
    }

    /// The name of one of the centres.
    fn one(&self, random: &mut Random) -> &'static str {
        self.sites[usize::try_from(random.below(self.sites.len() as u64)).expect("a small number")].name
    }
}

impl Drop for Apart {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.tell();
        }
    }
}

fn pairs(environment: &[(String, String)]) -> Vec<(&str, &str)> {
    environment.iter().map(|(name, value)| (&**name, &**value)).collect()
}
