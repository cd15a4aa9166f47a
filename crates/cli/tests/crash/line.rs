//! The line between agents and server: a proxy that can be cut, as a network is.

use std::{
    io::{ErrorKind, Read as _, Write as _},
    net::{Shutdown, TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicU8, Ordering},
    },
    thread,
    time::Duration,
};

use crate::support::running::pause;

/// How a line is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    /// Bytes pass.
    Open = 0,
    /// Connections are closed and new ones, too.
    Cut = 1,
    /// Nothing passes and nobody is told.
    Silent = 2,
}

/// How often a connection looks how the line is.
const LOOK: Duration = Duration::from_millis(20);

/// Listens until the test's process ends.
pub(crate) struct Line {
    pub(crate) url: String,
    state: Arc<AtomicU8>,
}

impl Line {
    /// A line to the server that listens, or will listen, at `server`.
    pub(crate) fn to(server: &str) -> Line {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let state = Arc::new(AtomicU8::new(State::Open as u8));
        let (server, shared) = (server.to_owned(), Arc::clone(&state));
        thread::spawn(move || {
            for agent in listener.incoming().flatten() {
                let state = Arc::clone(&shared);
                if state.load(Ordering::SeqCst) == State::Cut as u8 {
                    continue;
                }
                // A server that is away is a connection that is closed.
                if let Ok(server) = TcpStream::connect(&server) {
                    let both = (server.try_clone().expect("a handle"), agent.try_clone().expect("a handle"));
                    let other = Arc::clone(&state);
                    thread::spawn(move || carry(agent, server, &state));
                    thread::spawn(move || carry(both.0, both.1, &other));
                }
            }
        });
        Line { url, state }
    }

    pub(crate) fn set(&self, state: State) {
        self.state.store(state as u8, Ordering::SeqCst);
    }
}

/// One direction of a connection.
fn carry(mut from: TcpStream, mut to: TcpStream, state: &AtomicU8) {
    from.set_read_timeout(Some(LOOK)).expect("a timeout");
    let mut bytes = [0; 16 * 1024];
    loop {
        match state.load(Ordering::SeqCst) {
            cut if cut == State::Cut as u8 => break,
            silent if silent == State::Silent as u8 => {
                pause(LOOK);
                continue;
            }
            _ => {}
        }
        match from.read(&mut bytes) {
            Ok(0) => break,
            Ok(count) => {
                if to.write_all(&bytes[..count]).is_err() {
                    break;
                }
            }
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
            Err(_) => break,
        }
    }
    // Either may be closed already.
    _ = from.shutdown(Shutdown::Both);
    _ = to.shutdown(Shutdown::Both);
}
