//! Connections whose other end is gone and did not say so: its machine lost power, or a link lost the packets that
//! would have said it.
//!
//! Who waits for an answer sends nothing, so TCP by itself never notices. The kernel asks instead, and a quiet
//! connection that nobody acknowledges any more breaks [`GONE_AFTER`] at the latest. While data is under way the kernel
//! sends it again and asks nothing: then [`watch_closely`] alone keeps that time, and [`watch`] leaves it to TCP, for which
//! it is a quarter of an hour.

use std::{io, os::fd::AsFd, time::Duration};

use rustix::net::sockopt;

/// A connection on which nothing was heard for this long is asked whether it is there.
const QUIET: Duration = Duration::from_secs(4);
/// It is asked again as often as this.
const EVERY: Duration = Duration::from_secs(2);
/// So many times.
const TIMES: u32 = 3;
/// The longest time for which an end that is gone goes unnoticed, on a quiet connection or one watched closely.
pub const GONE_AFTER: Duration = Duration::from_secs(10);

/// Has the kernel ask a quiet connection whether its other end is there. A few packets of 40 bytes each 4 s.
///
/// # Errors
/// When the socket is none of TCP.
pub fn watch(socket: impl AsFd) -> io::Result<()> {
    let socket = socket.as_fd();
    sockopt::set_tcp_keepidle(socket, QUIET)?;
    sockopt::set_tcp_keepintvl(socket, EVERY)?;
    sockopt::set_tcp_keepcnt(socket, TIMES)?;
    sockopt::set_socket_keepalive(socket, true)?;
    Ok(())
}

/// The same, and what was sent must be acknowledged in [`GONE_AFTER`], too. Not for those who send more than the other
/// end may want to read at once: somebody who pauses a long output is there.
///
/// # Errors
/// When the socket is none of TCP.
pub fn watch_closely(socket: impl AsFd) -> io::Result<()> {
    let socket = socket.as_fd();
    watch(socket)?;
    let within_ms = u32::try_from(GONE_AFTER.as_millis()).expect("some seconds");
    sockopt::set_tcp_user_timeout(socket, within_ms)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};

    use super::*;

    /// What the kernel makes of it is tested on links that lose packets, `cli/tests/crash`.
    #[test]
    fn a_socket_is_watched_for_no_longer_than_is_said() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let client = TcpStream::connect(listener.local_addr().expect("an address")).expect("a connection");
        watch_closely(&client).expect("watched");
        assert!(sockopt::socket_keepalive(&client).expect("an option"));
        let every = sockopt::tcp_keepintvl(&client).expect("an option");
        let asked = every * sockopt::tcp_keepcnt(&client).expect("an option");
        assert_eq!(sockopt::tcp_keepidle(&client).expect("an option") + asked, GONE_AFTER);
        assert_eq!(sockopt::tcp_user_timeout(&client).expect("an option"), 10_000);
        let (server, _) = listener.accept().expect("a connection");
        watch(&server).expect("watched");
        assert_eq!(sockopt::tcp_user_timeout(&server).expect("an option"), 0, "who reads slowly is there");
    }
}
