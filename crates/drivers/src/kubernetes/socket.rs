//! A WebSocket to the API server, which passes it on to the node of a pod: `attach` and `portforward`. Its messages
//! are bytes of one channel each, whose number comes first (`v4.channel.k8s.io`).

use std::{
    io::{self, ErrorKind, Read, Write},
    net::{TcpStream, ToSocketAddrs as _},
    os::fd::{AsFd, BorrowedFd},
    sync::Arc,
    time::Duration,
};

use rustls::{
    ClientConfig, ClientConnection, RootCertStore, StreamOwned,
    pki_types::{CertificateDer, PrivateKeyDer, ServerName},
};
use tungstenite::{
    Error, HandshakeError, Message, WebSocket,
    client::{ClientRequestBuilder, client_with_config},
    protocol::WebSocketConfig,
};
use ureq::{
    http::Uri,
    tls::{RootCerts, TlsConfig},
};

use super::{client::CallError, objects::Status, unverified::Unverified};

/// How the bytes are laid out; every version of Kubernetes knows it.
const PROTOCOL: &str = "v4.channel.k8s.io";
/// How long one step of the way there may take.
const PATIENCE: Duration = Duration::from_secs(20);
/// The longest message, in bytes; nodes send 32 KiB at once.
const MESSAGE_MAX: usize = 1 << 20;

/// An open way to a pod.
pub(super) struct Socket {
    inner: WebSocket<Wire>,
}

/// What there is to be read.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Received {
    /// Bytes of a channel.
    Bytes { channel: u8, bytes: Vec<u8> },
    /// Nothing now.
    Nothing,
    /// Nothing any more.
    Closed,
}

impl Socket {
    /// Opens a path of the server.
    pub(super) fn open(server: &str, tls: &TlsConfig, token: Option<&str>, path: &str) -> Result<Socket, CallError> {
        let uri: Uri = server.parse().map_err(other).map_err(CallError::Broken)?;
        let wire = Wire::connect(&uri, tls).map_err(CallError::Broken)?;
        let authority = uri.authority().expect("an address was asked for when the configuration was read");
        // Who is spoken to and how is settled by now: of the scheme only its kind is looked at.
        let target = format!("ws://{authority}{}{path}", uri.path().trim_end_matches('/'));
        let mut request = ClientRequestBuilder::new(target.parse().map_err(other).map_err(CallError::Broken)?)
            .with_sub_protocol(PROTOCOL);
        if let Some(token) = token {
            request = request.with_header("authorization", format!("Bearer {token}"));
        }
        let limits = WebSocketConfig::default().max_message_size(Some(MESSAGE_MAX)).max_frame_size(Some(MESSAGE_MAX));
        let (inner, _) = client_with_config(request, wire, Some(limits)).map_err(refused)?;
        inner.get_ref().tcp().set_nonblocking(true).map_err(CallError::Broken)?;
        Ok(Socket { inner })
    }

    /// What came; never waits.
    pub(super) fn receive(&mut self) -> io::Result<Received> {
        loop {
            let message = match self.inner.read() {
                Ok(message) => message,
                Err(Error::Io(error)) if error.kind() == ErrorKind::WouldBlock => return Ok(Received::Nothing),
                Err(Error::ConnectionClosed | Error::AlreadyClosed) => return Ok(Received::Closed),
                // Nodes end a connection without a word.
                Err(Error::Io(error))
                    if matches!(error.kind(), ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset) =>
                {
                    return Ok(Received::Closed);
                }
                Err(Error::Protocol(_)) => return Ok(Received::Closed),
                Err(error) => return Err(other(error)),
            };
            if let Message::Binary(bytes) = message
                && let Some((&channel, bytes)) = bytes.split_first()
            {
                return Ok(Received::Bytes { channel, bytes: bytes.to_vec() });
            }
        }
    }

    /// Takes bytes for a channel; they go with [`Socket::flush`].
    pub(super) fn send(&mut self, channel: u8, bytes: &[u8]) -> io::Result<()> {
        let message = [&[channel], bytes].concat();
        done(self.inner.write(Message::binary(message))).map(|_| ())
    }

    /// Shows whatever lies between that the way is in use.
    pub(super) fn ping(&mut self) -> io::Result<()> {
        done(self.inner.write(Message::Ping(Vec::new().into()))).map(|_| ())
    }

    /// Sends what was taken as far as that goes without waiting; true when all of it went.
    pub(super) fn flush(&mut self) -> io::Result<bool> {
        done(self.inner.flush())
    }

    /// Sends the rest, and says that nobody is here any more. Waits for a node that is slow, not for one that is gone.
    pub(super) fn close(&mut self) {
        let _ = self.inner.get_ref().tcp().set_nonblocking(false);
        let _ = self.inner.close(None);
        let _ = self.inner.flush();
    }
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.inner.get_ref().tcp().as_fd()
    }
}

fn done(result: Result<(), Error>) -> io::Result<bool> {
    match result {
        Ok(()) => Ok(true),
        Err(Error::Io(error)) if error.kind() == ErrorKind::WouldBlock => Ok(false),
        Err(error) => Err(other(error)),
    }
}

fn other(error: impl std::error::Error + Send + Sync + 'static) -> io::Error {
    io::Error::other(error)
}

fn refused<R: tungstenite::handshake::HandshakeRole>(error: HandshakeError<R>) -> CallError {
    match error {
        HandshakeError::Interrupted(_) => CallError::Broken(ErrorKind::TimedOut.into()),
        HandshakeError::Failure(Error::Http(response)) => {
            let code = response.status().as_u16();
            let text = response.into_body().unwrap_or_default();
            let mut status: Status = serde_json::from_slice(&text).unwrap_or_default();
            if status.message.is_empty() {
                status.message = String::from_utf8_lossy(&text).chars().take(300).collect();
            }
            CallError::Answer(Status { code, ..status })
        }
        HandshakeError::Failure(error) => CallError::Broken(other(error)),
    }
}

/// The connection beneath.
enum Wire {
    Plain(TcpStream),
    Tls(Box<StreamOwned<ClientConnection, TcpStream>>),
}

impl Wire {
    fn connect(uri: &Uri, tls: &TlsConfig) -> io::Result<Wire> {
        let secured = uri.scheme_str() == Some("https");
        let host = uri.host().unwrap_or_default().trim_matches(['[', ']']);
        let port = uri.port_u16().unwrap_or(if secured { 443 } else { 80 });
        let mut last = io::Error::other(format!("host `{host}` has no address"));
        for address in (host, port).to_socket_addrs()? {
            match TcpStream::connect_timeout(&address, PATIENCE) {
                Ok(tcp) => {
                    tcp.set_read_timeout(Some(PATIENCE))?;
                    tcp.set_write_timeout(Some(PATIENCE))?;
                    // Keys are typed one by one, and waited for.
                    tcp.set_nodelay(true)?;
                    if !secured {
                        return Ok(Wire::Plain(tcp));
                    }
                    let name = ServerName::try_from(host.to_owned()).map_err(other)?;
                    let connection = ClientConnection::new(client_config(tls)?, name).map_err(other)?;
                    return Ok(Wire::Tls(Box::new(StreamOwned::new(connection, tcp))));
                }
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    fn tcp(&self) -> &TcpStream {
        match self {
            Wire::Plain(tcp) => tcp,
            Wire::Tls(stream) => &stream.sock,
        }
    }
}

impl Read for Wire {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Wire::Plain(tcp) => tcp.read(buffer),
            Wire::Tls(stream) => stream.read(buffer),
        }
    }
}

impl Write for Wire {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Wire::Plain(tcp) => tcp.write(bytes),
            Wire::Tls(stream) => stream.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Wire::Plain(tcp) => tcp.flush(),
            Wire::Tls(stream) => stream.flush(),
        }
    }
}

/// The same trust and the same certificate as those of all other requests.
fn client_config(tls: &TlsConfig) -> io::Result<Arc<ClientConfig>> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider));
    let builder = builder.with_safe_default_protocol_versions().map_err(other)?;
    let builder = if tls.disable_verification() {
        builder.dangerous().with_custom_certificate_verifier(Arc::new(Unverified(provider)))
    } else {
        let mut roots = RootCertStore::empty();
        if let RootCerts::Specific(certificates) = tls.root_certs() {
            roots.add_parsable_certificates(certificates.iter().map(|one| CertificateDer::from(one.der())));
        }
        builder.with_root_certificates(roots)
    };
    let config = match tls.client_cert() {
        None => builder.with_no_client_auth(),
        Some(own) => {
            let chain = own.certs().iter().map(|one| CertificateDer::from(one.der().to_vec())).collect();
            let key = PrivateKeyDer::try_from(own.private_key().der().to_vec()).map_err(io::Error::other)?;
            builder.with_client_auth_cert(chain, key).map_err(other)?
        }
    };
    Ok(Arc::new(config))
}

#[cfg(test)]
mod tests {
    use std::{net::TcpListener, path::Path, process::Command, thread};

    use rustls::{ServerConfig, ServerConnection, pki_types::pem::PemObject as _};
    use ureq::tls::Certificate;

    use super::*;

    /// A key and a certificate for this machine, by openssl, which tests of the real control plane need as well.
    fn certificate(folder: &Path, name: &str) -> (Vec<u8>, Arc<ServerConfig>) {
        let (key, pem) = (folder.join(format!("{name}.key")), folder.join(format!("{name}.pem")));
        let mut command = Command::new("openssl");
        command
            .args(["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj"])
            .arg(format!("/CN={name}"));
        command.args(["-addext", "subjectAltName=IP:127.0.0.1", "-addext", "basicConstraints=critical,CA:FALSE"]);
        let made = command.arg("-keyout").arg(&key).arg("-out").arg(&pem).output().expect("openssl runs");
        assert!(made.status.success(), "{made:?}");
        let chain = vec![CertificateDer::from_pem_file(&pem).expect("a certificate")];
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
        let builder = builder.expect("versions of TLS").with_no_client_auth();
        let config = builder.with_single_cert(chain, PrivateKeyDer::from_pem_file(&key).expect("a key"));
        (std::fs::read(&pem).expect("a certificate"), Arc::new(config.expect("a key for its certificate")))
    }

    /// Lets in one connection, says no to what it asks, and gives back whether it was asked at all.
    fn refuses(config: Arc<ServerConfig>) -> (u16, thread::JoinHandle<bool>) {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let port = listener.local_addr().expect("an address").port();
        let serve = move || {
            let (tcp, _) = listener.accept().expect("a connection");
            let mut stream = StreamOwned::new(ServerConnection::new(config).expect("a connection"), tcp);
            let (mut head, mut byte) = (Vec::new(), [0]);
            while !head.ends_with(b"\r\n\r\n") {
                if stream.read_exact(&mut byte).is_err() {
                    return false;
                }
                head.extend(byte);
            }
            let body = r#"{"kind":"Status","code":403,"reason":"Forbidden","message":"not you"}"#;
            let text = format!("HTTP/1.1 403 Forbidden\r\ncontent-length: {}\r\n\r\n{body}", body.len());
            stream.write_all(text.as_bytes()).and_then(|()| stream.flush()).expect("answered");
            true
        };
        (port, thread::spawn(serve))
    }

    #[test]
    fn a_server_that_nobody_vouches_for_is_not_spoken_to() {
        let scratch = tempfile::tempdir().expect("a scratch folder");
        let (known, server) = certificate(scratch.path(), "known");
        let (other, _) = certificate(scratch.path(), "other");
        let check = |roots: Option<&[u8]>, code: u16| {
            let (port, served) = refuses(Arc::clone(&server));
            let tls = TlsConfig::builder().disable_verification(roots.is_none());
            let tls = match roots {
                Some(pem) => tls.root_certs(RootCerts::from([Certificate::from_pem(pem).expect("a certificate")])),
                None => tls,
            };
            let opened = Socket::open(&format!("https://127.0.0.1:{port}"), &tls.build(), Some("secret"), "/way");
            let Err(error) = opened else { panic!("let in") };
            assert_eq!(error.code(), code, "{error:?}");
            assert_eq!(served.join().expect("no panic"), code != 0, "a token that somebody else got");
        };
        check(Some(&known), 403);
        check(Some(&other), 0);
        check(None, 403);
    }
}
