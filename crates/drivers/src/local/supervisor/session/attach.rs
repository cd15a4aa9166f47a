//! One channel into a session: a connection of the agent that from now on speaks frames.

use std::{
    io::{self, Read as _, Write as _},
    net::{Ipv4Addr, Ipv6Addr, Shutdown, SocketAddr, TcpStream},
    os::unix::net::UnixStream,
    sync::Arc,
    thread,
    time::Duration,
};

use huisuan_model::{
    AttemptId, ChannelTarget,
    channel::{Frame, PAYLOAD_BYTES_MAX},
};

use super::{port, terminal::Terminal};
use crate::{
    local::{
        supervisor::{
            attempt::Attempt,
            shared::{Shared, lock},
        },
        wire::{Reply, write_line},
    },
    viewers::each_frame,
};

/// How long a process that listens has to take a connection.
const CONNECT_WITHIN: Duration = Duration::from_secs(5);

/// What a connection was asked to become.
enum Way {
    Terminal(Arc<Terminal>),
    Port(TcpStream),
}

/// Answers the request, and serves the channel until one of its ends closes it.
pub(crate) fn attach(
    shared: &Shared,
    attempt: AttemptId,
    target: ChannelTarget,
    mut stream: UnixStream,
) -> io::Result<()> {
    let running = lock(&shared.state).running.get(&attempt).cloned();
    let way = match running.as_ref().and_then(|running| Some((running, running.terminal.get()?))) {
        Some((running, terminal)) => find(shared, running, terminal, target),
        None => Err(format!("attempt {attempt} is no session that runs here")),
    };
    match way {
        Err(why) => write_line(&mut stream, &Reply::Refused(why)),
        Ok(way) => {
            write_line(&mut stream, &Reply::Done)?;
            stream.write_all(&Frame::Ready.bytes())?;
            match way {
                Way::Terminal(terminal) => serve_terminal(&terminal, stream),
                Way::Port(port) => serve_port(&port, &stream),
            }
        }
    }
}

/// What the channel leads to; an error says for people why there is none.
fn find(shared: &Shared, attempt: &Attempt, terminal: &Arc<Terminal>, target: ChannelTarget) -> Result<Way, String> {
    let port = match target {
        ChannelTarget::Terminal => return Ok(Way::Terminal(Arc::clone(terminal))),
        ChannelTarget::Port(port) => port,
    };
    // A port of the machine is not the session's unless a process of it listens there: the agent's own user may be
    // trusted by other services at the loopback address.
    let leader = attempt.process.get().map(|process| process.pid);
    let address = port::listener(port, leader, &shared.paths.attempt(attempt.order.attempt).dir);
    let address = address.ok_or_else(|| format!("no process of this session listens on port {port}"))?;
    let ip = if address.is_v6() { Ipv6Addr::LOCALHOST.into() } else { Ipv4Addr::LOCALHOST.into() };
    let connected = TcpStream::connect_timeout(&SocketAddr::new(ip, port), CONNECT_WITHIN);
    connected.map(Way::Port).map_err(|error| format!("port {port} of this session takes no connection: {error}"))
}

fn serve_terminal(terminal: &Terminal, stream: UnixStream) -> io::Result<()> {
    let number = terminal.attach(&stream)?;
    let ended = each_frame(&stream, |frame| match frame {
        Frame::Data(bytes) => terminal.type_in(&bytes),
        Frame::Resize { rows, columns } => {
            terminal.resize(rows, columns);
            Ok(())
        }
        Frame::End => terminal.end_input(),
        Frame::Ready | Frame::Exited(_) | Frame::Refused(_) | Frame::Ping => Ok(()),
    });
    terminal.detach(number);
    // Who writes to it at the moment is told by an error.
    let _ = stream.shutdown(Shutdown::Both);
    ended
}

fn serve_port(port: &TcpStream, stream: &UnixStream) -> io::Result<()> {
    // Small messages matter more here than full packets.
    let _ = port.set_nodelay(true);
    thread::scope(|scope| {
        let back = thread::Builder::new().name("port".into()).spawn_scoped(scope, || {
            let copied = copy_back(port, stream);
            // The other side sends no more, whatever happened; what comes from the channel may still be wanted.
            let _ = stream.shutdown(Shutdown::Write);
            if copied.is_err() {
                let _ = stream.shutdown(Shutdown::Read);
            }
        });
        let ended = back.and_then(|_| {
            each_frame(stream, |frame| match frame {
                Frame::Data(bytes) => (&*port).write_all(&bytes),
                Frame::End => port.shutdown(Shutdown::Write),
                _ => Ok(()),
            })
        });
        // The channel's end is the connection's end.
        let _ = port.shutdown(Shutdown::Both);
        let _ = stream.shutdown(Shutdown::Both);
        ended
    })
}

/// What the process of the session sends, until it sends no more.
fn copy_back(mut port: &TcpStream, mut stream: &UnixStream) -> io::Result<()> {
    let mut piece = vec![0; PAYLOAD_BYTES_MAX];
    loop {
        match port.read(&mut piece) {
            Ok(0) => return stream.write_all(&Frame::End.bytes()),
            Ok(read) => stream.write_all(&Frame::Data(piece[..read].to_vec()).bytes())?,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}
