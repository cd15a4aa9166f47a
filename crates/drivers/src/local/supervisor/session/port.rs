//! Which TCP ports the processes of a session listen on, as Linux tells it in `/proc`.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

use crate::local::supervisor::process::{pids, processes_of, stat};

/// The state of a socket that listens, as the kernel's tables write it.
const LISTENS: &str = "0A";

/// Which loopback address a listener takes connections at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Family {
    V4,
    V6,
}

impl Family {
    pub(super) fn is_v6(self) -> bool {
        self == Family::V6
    }
}

/// Where a process of the session listens on this port: one that descends from its first process, or that was told its
/// folder by its environment.
pub(super) fn listener(port: u16, leader: Option<i32>, attempt_dir: &Path) -> Option<Family> {
    let mut sockets = BTreeMap::new();
    for (table, family) in [("/proc/net/tcp6", Family::V6), ("/proc/net/tcp", Family::V4)] {
        let table = fs::read_to_string(table).unwrap_or_default();
        // Of two, the older address family is the one that more programs mean.
        sockets.extend(listening(&table, port).map(|inode| (inode, family)));
    }
    if sockets.is_empty() {
        return None;
    }
    let mut own = leader.map(descendants).unwrap_or_default();
    own.extend(processes_of(attempt_dir).into_iter().map(|process| process.pid));
    let found: BTreeSet<Family> = own.iter().flat_map(|&pid| held(pid, &sockets)).collect();
    found.into_iter().next()
}

/// The sockets in one of the kernel's tables that listen on a port.
fn listening(table: &str, port: u16) -> impl Iterator<Item = u64> + '_ {
    table.lines().skip(1).filter_map(move |line| {
        let mut fields = line.split_ascii_whitespace();
        let (local, state) = (fields.nth(1)?, fields.nth(1)?);
        let at = u16::from_str_radix(local.rsplit_once(':')?.1, 16).ok()?;
        // After the state: queues, timer, retransmits, user, timeout, inode.
        (at == port && state == LISTENS).then(|| fields.nth(5)?.parse().ok()).flatten()
    })
}

/// A process and all that it started, as long as its parents live.
fn descendants(leader: i32) -> BTreeSet<i32> {
    let mut children: BTreeMap<i32, Vec<i32>> = BTreeMap::new();
    for process in pids().into_iter().filter_map(stat) {
        children.entry(process.parent).or_default().push(process.pid);
    }
    let (mut found, mut open) = (BTreeSet::from([leader]), vec![leader]);
    while let Some(pid) = open.pop() {
        let new = children.get(&pid).into_iter().flatten().filter(|child| found.insert(**child));
        open.extend(new);
    }
    found
}

/// Those of the sockets that a process has open.
fn held(pid: i32, sockets: &BTreeMap<u64, Family>) -> Vec<Family> {
    let Ok(descriptors) = fs::read_dir(format!("/proc/{pid}/fd")) else { return Vec::new() };
    let inode = |link: &Path| link.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?.parse::<u64>().ok();
    let links = descriptors.flatten().filter_map(|descriptor| fs::read_link(descriptor.path()).ok());
    links.filter_map(|link| sockets.get(&inode(&link)?).copied()).collect()
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn a_port_is_its_listeners_alone() {
        let nobody = Path::new("/nowhere");
        let own = i32::try_from(std::process::id()).ok();
        for (address, family) in [("127.0.0.1:0", Family::V4), ("[::1]:0", Family::V6)] {
            let socket = TcpListener::bind(address).expect("loopback");
            let port = socket.local_addr().expect("an address").port();
            assert_eq!(listener(port, own, nobody), Some(family), "{address}");
            assert_eq!(listener(port, None, nobody), None);
            // A process that is not ours and has no such socket.
            assert_eq!(listener(port, Some(i32::MAX), nobody), None);
            drop(socket);
            assert_eq!(listener(port, own, nobody), None);
        }
    }
}
