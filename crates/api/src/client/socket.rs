//! Plain TCP connections that notice when their server is gone: what `ureq` makes by itself waits for as long as a
//! request may take, and gives nobody its sockets.

use std::{
    io::{self, Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    time::Duration,
};

use ureq::{
    Error, Timeout,
    unversioned::transport::{Buffers, ConnectionDetails, Connector, LazyBuffers, NextTimeout, Transport},
};

use crate::alive;

/// Makes connections to servers.
#[derive(Debug)]
pub(super) struct Watched;

impl Connector for Watched {
    type Out = Connection;

    fn connect(&self, details: &ConnectionDetails, _: Option<()>) -> Result<Option<Connection>, Error> {
        let buffers = LazyBuffers::new(details.config.input_buffer_size(), details.config.output_buffer_size());
        let stream = open(&details.addrs, details.timeout)?;
        stream.set_nodelay(details.config.no_delay())?;
        alive::watch_closely(&stream)?;
        Ok(Some(Connection { stream, buffers }))
    }
}

/// A connection to the first address that answers.
fn open(addresses: &[SocketAddr], timeout: NextTimeout) -> Result<TcpStream, Error> {
    let mut failed = Error::HostNotFound;
    for address in addresses {
        let opened = match limit(timeout) {
            Some(within) => TcpStream::connect_timeout(address, within),
            None => TcpStream::connect(address),
        };
        match opened {
            Ok(stream) => return Ok(stream),
            Err(error) if error.kind() == io::ErrorKind::TimedOut => failed = Error::Timeout(Timeout::Connect),
            Err(error) => failed = Error::Io(error),
        }
    }
    Err(failed)
}

/// What is left of the time; never nothing, which would be no limit to the kernel.
fn limit(timeout: NextTimeout) -> Option<Duration> {
    timeout.not_zero().map(|left| *left)
}

/// A call that was blocked for too long is over; a connection that the kernel gave up is a broken one.
fn fault(error: io::Error, reason: Timeout) -> Error {
    match error.kind() {
        io::ErrorKind::WouldBlock => Error::Timeout(reason),
        _ => Error::Io(error),
    }
}

/// A connection of a client.
#[derive(Debug)]
pub(super) struct Connection {
    stream: TcpStream,
    buffers: LazyBuffers,
}

impl Transport for Connection {
    fn buffers(&mut self) -> &mut dyn Buffers {
        &mut self.buffers
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), Error> {
        let timeout = timeout.for_write();
        self.stream.set_write_timeout(limit(timeout))?;
        self.stream.write_all(&self.buffers.output()[..amount]).map_err(|error| fault(error, timeout.reason))
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, Error> {
        let timeout = timeout.for_read();
        self.stream.set_read_timeout(limit(timeout))?;
        let amount = loop {
            match self.stream.read(self.buffers.input_append_buf()) {
                Ok(amount) => break amount,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(fault(error, timeout.reason)),
            }
        };
        self.buffers.input_appended(amount);
        Ok(amount > 0)
    }

    /// A server that has something to say to nobody's request has closed it.
    fn is_open(&mut self) -> bool {
        let looked = self.stream.set_nonblocking(true).and_then(|()| self.stream.peek(&mut [0]));
        let quiet = looked.is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock);
        self.stream.set_nonblocking(false).is_ok() && quiet
    }
}
