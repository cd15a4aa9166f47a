//! A network of the kernel's own: the server in one namespace, each site in another, a link between each of them and
//! the server's. Other than the line of `line.rs`, which is a proxy, a link that is down loses packets and tells
//! nobody, and what TCP makes of that is tested too.
//!
//! A namespace lives as long as the process that keeps it, and that ends with the test, however the test ends.

use std::{
    collections::BTreeMap,
    fs::File,
    io::{BufRead as _, BufReader},
    os::fd::AsFd as _,
    process::{Child, Command, Stdio},
    thread,
};

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

/// Where the server is for all sites, whatever link they come by.
pub(crate) const SERVER: &str = "10.77.0.1";

/// What is wrong with a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// The server's end is down: what the site sends vanishes.
    DownAtServer,
    /// The site's end is down: it has no way to the server, and is told so.
    DownAtSite,
    /// What the site sends vanishes, what the server sends arrives.
    OneWay,
    /// Every third packet vanishes.
    Lossy,
    /// A line of a few kilobytes a second with a long queue.
    Slow,
}

/// A network namespace of the kernel.
struct Namespace {
    /// Waits for the end of its input, which is the end of this process or this value.
    keeper: Child,
    file: File,
}

/// All of them. Dropped after the processes that run there.
pub(crate) struct Links {
    server: Namespace,
    sites: BTreeMap<&'static str, Site>,
}

struct Site {
    namespace: Namespace,
    /// The name of the server's end, and its address.
    near: String,
    gateway: String,
}

impl Namespace {
    /// Only root may make one: an error says why there is none.
    fn new() -> Result<Namespace, String> {
        let mut command = Command::new("unshare");
        command.args(["--net", "sh", "-c", "echo made && exec cat >/dev/null"]);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut keeper = command.spawn().map_err(|error| format!("unshare: {error}"))?;
        let mut said = String::new();
        let stdout = keeper.stdout.take().expect("standard output is a pipe");
        let read = BufReader::new(stdout).read_line(&mut said);
        if read.is_err() || said.trim() != "made" {
            let output = keeper.wait_with_output().map_err(|error| format!("unshare: {error}"))?;
            return Err(String::from_utf8_lossy(&output.stderr).trim().to_owned());
        }
        let file = File::open(format!("/proc/{}/ns/net", keeper.id())).expect("the keeper lives");
        let namespace = Namespace { keeper, file };
        namespace.run(&["ip", "link", "set", "lo", "up"])?;
        Ok(namespace)
    }

    /// Moves this thread, and what it starts from now on, into the namespace.
    fn enter(&self) -> Result<(), String> {
        move_into_link_name_space(self.file.as_fd(), Some(LinkNameSpaceType::Network))
            .map_err(|error| format!("a namespace cannot be entered: {error}"))
    }

    /// Does something as a thread of the namespace.
    fn within<T: Send>(&self, work: impl FnOnce() -> T + Send) -> Result<T, String> {
        thread::scope(|scope| {
            let inside = scope.spawn(|| self.enter().map(|()| work()));
            inside.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })
    }

    fn run(&self, words: &[&str]) -> Result<(), String> {
        let output = self.within(|| Command::new(words[0]).args(&words[1..]).stdin(Stdio::null()).output())?;
        let output = output.map_err(|error| format!("{}: {error}", words[0]))?;
        if output.status.success() {
            return Ok(());
        }
        Err(format!("{}: {}", words.join(" "), String::from_utf8_lossy(&output.stderr).trim()))
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        drop(self.keeper.stdin.take());
        _ = self.keeper.wait();
    }
}

impl Links {
    /// Namespaces with a link each; an error says why there are none.
    pub(crate) fn lay(sites: &[&'static str]) -> Result<Links, String> {
        let server = Namespace::new()?;
        server.run(&["ip", "address", "add", &format!("{SERVER}/32"), "dev", "lo"])?;
        let mut links = Links { server, sites: BTreeMap::new() };
        for (number, name) in (1..).zip(sites) {
            let site = links.join(number)?;
            links.sites.insert(name, site);
        }
        Ok(links)
    }

    fn join(&self, number: u8) -> Result<Site, String> {
        let (namespace, near) = (Namespace::new()?, format!("site-{number}"));
        let (gateway, address) = (format!("10.77.{number}.1"), format!("10.77.{number}.2/24"));
        let keeper = namespace.keeper.id().to_string();
        let pair = ["ip", "link", "add", &near, "type", "veth", "peer", "name", "server", "netns", &keeper];
        self.server.run(&pair)?;
        self.server.run(&["ip", "address", "add", &format!("{gateway}/24"), "dev", &near])?;
        self.server.run(&["ip", "link", "set", &near, "up"])?;
        namespace.run(&["ip", "address", "add", &address, "dev", "server"])?;
        let site = Site { namespace, near, gateway };
        site.up()?;
        Ok(site)
    }

    /// Moves this thread, and what it starts from now on, to the server's machine.
    pub(crate) fn enter_server(&self) {
        self.server.enter().expect("the namespace lives");
    }

    /// Does something at a site, such as starting its agent.
    pub(crate) fn at_site<T: Send>(&self, site: &str, work: impl FnOnce() -> T + Send) -> T {
        self.sites[site].namespace.within(work).expect("the namespace lives")
    }

    /// Breaks the link of a site.
    pub(crate) fn trouble(&self, site: &str, trouble: Trouble) {
        let site = &self.sites[site];
        let near = &*site.near;
        let done = match trouble {
            Trouble::DownAtServer => self.server.run(&["ip", "link", "set", near, "down"]),
            Trouble::DownAtSite => site.namespace.run(&["ip", "link", "set", "server", "down"]),
            Trouble::OneWay => self.server.run(&["iptables", "-A", "INPUT", "-i", near, "-j", "DROP"]),
            Trouble::Lossy => ["INPUT", "OUTPUT"].into_iter().try_for_each(|chain| {
                let way = if chain == "INPUT" { "-i" } else { "-o" };
                let third = ["statistic", "--mode", "random", "--probability", "0.33"];
                let rule = [&["iptables", "-A", chain, way, near, "-m"], &third[..], &["-j", "DROP"]].concat();
                self.server.run(&rule)
            }),
            Trouble::Slow => {
                let shape = ["root", "tbf", "rate", "64kbit", "burst", "4kb", "latency", "2s"];
                let rule = |device| [&["tc", "qdisc", "replace", "dev", device], &shape[..]].concat();
                self.server.run(&rule(near)).and_then(|()| site.namespace.run(&rule("server")))
            }
        };
        done.expect("the link is there");
    }

    /// From now on what the server's machine has to say for a process that was killed is soon given up, as if the machine
    /// had lost its power with it.
    pub(crate) fn forget_the_dead(&self) {
        let order = "echo 1 >/proc/sys/net/ipv4/tcp_orphan_retries";
        self.server.run(&["sh", "-c", order]).expect("a namespace has this setting");
    }

    /// Mends all links.
    pub(crate) fn mend(&self) {
        self.server.run(&["iptables", "-F"]).expect("there are tables");
        for site in self.sites.values() {
            self.server.run(&["ip", "link", "set", &site.near, "up"]).expect("the link is there");
            site.up().expect("the link is there");
            // Most are not slow.
            _ = self.server.run(&["tc", "qdisc", "delete", "dev", &site.near, "root"]);
            _ = site.namespace.run(&["tc", "qdisc", "delete", "dev", "server", "root"]);
        }
    }
}

impl Site {
    fn up(&self) -> Result<(), String> {
        self.namespace.run(&["ip", "link", "set", "server", "up"])?;
        self.namespace.run(&["ip", "route", "replace", "default", "via", &self.gateway])
    }
}
