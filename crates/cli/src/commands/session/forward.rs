//! Ports of a session at this machine: each connection here is a channel there.

use std::{
    io::{self, Read, Write},
    net::{Ipv4Addr, Shutdown, TcpListener, TcpStream},
    thread,
};

use huisuan_api::{Channel, Client, ClientError, channels::ChannelRequest};
use huisuan_model::channel::{Frame, PAYLOAD_BYTES_MAX};

use super::attach::each_frame;
use crate::{
    failure::{Exit, Failure},
    parse::Forward,
};

/// Listeners at this machine, for the ports of a session.
pub(super) struct Forwards(Vec<(TcpListener, u16, u16)>);

impl Forwards {
    /// Listens at the loopback address alone: who may use this machine is not asked any further.
    pub(super) fn listen(ports: &[Forward]) -> Result<Self, Failure> {
        let listen = |forward: &Forward| {
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, forward.local));
            let listener = listener.and_then(|listener| Ok((listener.local_addr()?.port(), listener)));
            let (local, listener) = listener.map_err(|error| {
                Failure::new(
                    Exit::Error,
                    format!("port {} of this machine cannot be listened on: {error}", forward.local),
                )
                .hint(format!("choose another one: --port {}:LOCAL", forward.remote))
            })?;
            Ok((listener, forward.remote, local))
        };
        ports.iter().map(listen).collect::<Result<_, _>>().map(Forwards)
    }

    /// Serves connections until this program ends.
    pub(super) fn serve(self, client: &Client, job: u64, say: impl Fn(&str)) {
        for (listener, remote, local) in self.0 {
            say(&format!("127.0.0.1:{local} is port {remote} of session {job}"));
            let client = client.clone();
            let accept = move || {
                for stream in listener.incoming().flatten() {
                    let client = client.clone();
                    // A connection that finds no thread is closed.
                    let _ = thread::Builder::new().name("port".into()).spawn(move || {
                        // Its end is all that the program at the other end of the connection can be told.
                        let _ = connect(&client, job, remote, &stream);
                        let _ = stream.shutdown(Shutdown::Both);
                    });
                }
            };
            if let Err(error) = thread::Builder::new().name("ports".into()).spawn(accept) {
                say(&format!("port {remote} is not forwarded: {error}"));
            }
        }
    }
}

/// One connection: a channel to the port until both directions have ended.
fn connect(client: &Client, job: u64, port: u16, stream: &TcpStream) -> Result<(), ClientError> {
    // Small messages matter more here than full packets.
    let _ = stream.set_nodelay(true);
    let channel = client.open_channel(job, &ChannelRequest { port: Some(port) })?;
    let mut output = channel.receive()?;
    let mut closing = channel.clone();
    thread::scope(|scope| {
        let sender = thread::Builder::new().name("port-out".into()).spawn_scoped(scope, || send(channel, stream));
        if sender.is_ok() {
            // A break ends the connection, as its end does.
            let _ = each_frame(&mut output, |frame| match frame {
                Frame::Data(bytes) => (&*stream).write_all(&bytes).is_ok(),
                Frame::End => stream.shutdown(Shutdown::Write).is_ok(),
                Frame::Refused(_) | Frame::Exited(_) => false,
                Frame::Ready | Frame::Resize { .. } | Frame::Ping => true,
            });
        }
        let _ = stream.shutdown(Shutdown::Both);
        // Nothing is lost when it is closed already.
        let _ = closing.end();
    });
    Ok(())
}

/// Sends what comes from here, until there is no more.
fn send(mut channel: Channel, mut stream: &TcpStream) {
    let mut piece = vec![0; PAYLOAD_BYTES_MAX];
    loop {
        let frame = match stream.read(&mut piece) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Ok(0) | Err(_) => Frame::End,
            Ok(read) => Frame::Data(piece[..read].to_vec()),
        };
        if channel.send(&frame.bytes()).is_err() || frame == Frame::End {
            return;
        }
    }
}
