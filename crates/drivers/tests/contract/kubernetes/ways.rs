//! The node's end of ways into pods, over a real WebSocket: `attach` to a terminal and `portforward`. The fake API server
//! has it in its own process; the real one passes the connection on to the fake kubelet.
//!
//! A port is one of this machine: processes here have no network of their own.

use std::{
    fs::File,
    io::{self, ErrorKind, Read, Write},
    net::TcpStream,
    os::unix::ffi::OsStrExt as _,
    path::Path,
    sync::{
        Arc, Mutex, PoisonError,
        mpsc::{Receiver, Sender, TryRecvError, channel},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use rustix::{
    pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt},
    termios::{Winsize, tcsetwinsize},
};
use serde_json::{Value, json};
use tungstenite::{Error, Message, WebSocket, handshake::derive_accept_key, protocol::Role};

/// How long one look at a connection takes; set as its timeout by who accepted it.
pub(crate) const LOOK: Duration = Duration::from_millis(10);

/// The terminal of a container.
#[derive(Debug)]
pub(crate) struct Terminal {
    master: File,
    viewers: Mutex<Vec<Sender<Vec<u8>>>>,
}

impl Terminal {
    /// A new one: itself, and the end for the process.
    pub(crate) fn open() -> (Arc<Terminal>, File) {
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).expect("a terminal");
        grantpt(&master).and_then(|()| unlockpt(&master)).expect("a terminal");
        let name = ptsname(&master, Vec::new()).expect("its name");
        let slave = Path::new(std::ffi::OsStr::from_bytes(name.to_bytes()));
        let slave = File::options().read(true).write(true).open(slave).expect("its other end");
        (Arc::new(Terminal { master: master.into(), viewers: Mutex::default() }), slave)
    }

    /// Passes on what is written until nobody has the other end any more.
    pub(crate) fn serve(self: &Arc<Self>, mut log: File) -> JoinHandle<()> {
        let terminal = Arc::clone(self);
        thread::spawn(move || {
            let mut piece = [0; 4096];
            while let Ok(read @ 1..) = (&terminal.master).read(&mut piece) {
                let mut viewers = terminal.viewers.lock().unwrap_or_else(PoisonError::into_inner);
                log.write_all(&piece[..read]).expect("written");
                viewers.retain(|viewer| viewer.send(piece[..read].to_vec()).is_ok());
            }
            terminal.viewers.lock().unwrap_or_else(PoisonError::into_inner).clear();
        })
    }

    fn watch(&self) -> Receiver<Vec<u8>> {
        let (sender, receiver) = channel();
        self.viewers.lock().unwrap_or_else(PoisonError::into_inner).push(sender);
        receiver
    }
}

/// What the head of a request to open a WebSocket is answered with, and the socket.
pub(crate) fn accept<S: Read + Write>(mut stream: S, key: &str) -> io::Result<WebSocket<S>> {
    let accepted = derive_accept_key(key.as_bytes());
    write!(
        stream,
        "HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: Upgrade\r\n\
         sec-websocket-accept: {accepted}\r\nsec-websocket-protocol: v4.channel.k8s.io\r\n\r\n"
    )?;
    stream.flush()?;
    Ok(WebSocket::from_raw_socket(stream, Role::Server, None))
}

/// Serves whoever is attached until one of both ends.
pub(crate) fn serve_terminal<S: Read + Write>(mut socket: WebSocket<S>, terminal: &Terminal) {
    let output = terminal.watch();
    let _ = socket.send(Message::binary(vec![1]));
    while let Some(message) = look(&mut socket) {
        match message.split_first() {
            Some((0, keys)) => (&terminal.master).write_all(keys).expect("typed"),
            Some((4, size)) => {
                let size: Value = serde_json::from_slice(size).expect("a size");
                let number = |name: &str| u16::try_from(size[name].as_u64().expect("a number")).expect("small");
                let size = Winsize { ws_row: number("Height"), ws_col: number("Width"), ws_xpixel: 0, ws_ypixel: 0 };
                tcsetwinsize(&terminal.master, size).expect("set");
            }
            _ => {}
        }
        loop {
            match output.try_recv() {
                Ok(bytes) => drop(socket.send(Message::binary([&[1], bytes.as_slice()].concat()))),
                Err(TryRecvError::Empty) => break,
                Err(TryRecvError::Disconnected) => {
                    let status = json!({ "metadata": {}, "status": "Success" }).to_string();
                    let _ = socket.send(Message::binary([&[3], status.as_bytes()].concat()));
                    return close(socket);
                }
            }
        }
    }
}

/// Serves a port of this machine.
pub(crate) fn serve_port<S: Read + Write>(mut socket: WebSocket<S>, port: u16) {
    let number = port.to_le_bytes();
    let _ = socket.send(Message::binary([&[0], &number[..]].concat()));
    let _ = socket.send(Message::binary([&[1], &number[..]].concat()));
    let mut there = match TcpStream::connect(("127.0.0.1", port)) {
        Ok(there) => there,
        Err(error) => {
            let why = format!("error forwarding port {port}: {error}");
            let _ = socket.send(Message::binary([&[1], why.as_bytes()].concat()));
            return close(socket);
        }
    };
    there.set_read_timeout(Some(LOOK)).expect("a timeout");
    let mut piece = [0; 4096];
    while let Some(message) = look(&mut socket) {
        if let Some((0, bytes)) = message.split_first() {
            there.write_all(bytes).expect("written");
        }
        match there.read(&mut piece) {
            Ok(0) => return close(socket),
            Ok(read) => drop(socket.send(Message::binary([&[0], &piece[..read]].concat()))),
            Err(_) => {}
        }
    }
}

/// The next message, an empty one where none comes within a look; `None` at the end.
fn look<S: Read + Write>(socket: &mut WebSocket<S>) -> Option<Vec<u8>> {
    match socket.read() {
        Ok(Message::Binary(bytes)) => Some(bytes.to_vec()),
        Ok(Message::Close(_)) => None,
        Ok(_) => Some(Vec::new()),
        Err(Error::Io(error)) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
            Some(Vec::new())
        }
        Err(_) => None,
    }
}

fn close<S: Read + Write>(mut socket: WebSocket<S>) {
    let _ = socket.close(None);
    // Until the other end says the same.
    while look(&mut socket).is_some_and(|_| socket.can_read()) {}
}
