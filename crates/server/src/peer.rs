//! Who is at the other end of a loopback connection: the system knows the user of each socket.
//!
//! A server on loopback serves its own user without a token. Other users of the same machine reach the
//! same address, so the owner of the peer's socket is looked up where Linux lists it.

use std::{
    fs,
    net::{IpAddr, SocketAddr},
    sync::{Arc, OnceLock},
};

use tokio::net::TcpStream;

/// Both ends of a connection, and the user behind the far one once somebody asked.
#[derive(Debug, Clone)]
pub(crate) struct Peer {
    remote: SocketAddr,
    local: Option<SocketAddr>,
    user: Arc<OnceLock<Option<u32>>>,
}

impl Peer {
    pub(crate) fn of(stream: &TcpStream, remote: SocketAddr) -> Self {
        Peer { remote, local: stream.local_addr().ok(), user: Arc::default() }
    }

    /// True when the far end is a process of this server's own user, or root's, on this machine.
    pub(crate) fn is_own_user(&self) -> bool {
        let own = rustix::process::geteuid().as_raw();
        let user = self.user.get_or_init(|| self.look_up());
        user.is_some_and(|user| user == own || user == 0)
    }

    fn look_up(&self) -> Option<u32> {
        let local = self.local?;
        if !self.remote.ip().is_loopback() {
            return None;
        }
        let table = if self.remote.is_ipv4() { "/proc/net/tcp" } else { "/proc/net/tcp6" };
        // In the table the far end's own line has its address first and ours second.
        owner(&fs::read_to_string(table).ok()?, self.remote, local)
    }
}

/// The user of the socket whose near end is `near` and whose far end is `far`.
fn owner(table: &str, near: SocketAddr, far: SocketAddr) -> Option<u32> {
    let (near, far) = (written(near), written(far));
    table.lines().skip(1).find_map(|line| {
        let mut fields = line.split_ascii_whitespace();
        let (_, local, remote) = (fields.next()?, fields.next()?, fields.next()?);
        // After the addresses: state, queues, timer, retransmits, user.
        (local == near && remote == far).then(|| fields.nth(4)?.parse().ok()).flatten()
    })
}

/// An address as the kernel writes it: the words of the address in the machine's order, then the port.
fn written(address: SocketAddr) -> String {
    let words = match address.ip() {
        IpAddr::V4(ip) => format!("{:08X}", u32::from_ne_bytes(ip.octets())),
        IpAddr::V6(ip) => ip
            .octets()
            .chunks_exact(4)
            .map(|word| format!("{:08X}", u32::from_ne_bytes([word[0], word[1], word[2], word[3]])))
            .collect(),
    };
    format!("{words}:{:04X}", address.port())
}

#[cfg(test)]
mod tests {
    use std::net;

    use super::*;

    #[test]
    fn the_owner_of_a_loopback_connection_is_found() {
        for address in ["127.0.0.1:0", "[::1]:0"] {
            let listener = net::TcpListener::bind(address).expect("loopback");
            let client = net::TcpStream::connect(listener.local_addr().expect("an address")).expect("a connection");
            let (_server, remote) = listener.accept().expect("a connection");
            let table = if remote.is_ipv4() { "/proc/net/tcp" } else { "/proc/net/tcp6" };
            let table = fs::read_to_string(table).expect("the kernel's table");
            let far = client.peer_addr().expect("an address");
            assert_eq!(owner(&table, remote, far), Some(rustix::process::geteuid().as_raw()));
            let stranger: SocketAddr = "127.0.0.1:1".parse().expect("an address");
            assert_eq!(owner(&table, stranger, far), None);
        }
    }
}
