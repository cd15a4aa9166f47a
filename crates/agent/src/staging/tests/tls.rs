//! TLS before the web server of the tests, with a certificate that `openssl` made.

use std::{
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::Command,
    sync::Arc,
    thread,
};

use rustls::{
    ServerConfig, ServerConnection, StreamOwned,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
};

/// Makes a certificate for `127.0.0.1`, signed by itself, and gives its file.
pub(super) fn certificate(folder: &Path) -> PathBuf {
    let certificate = folder.join("certificate.pem");
    let mut command = Command::new("openssl");
    command.args(["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=site"]);
    command.args(["-addext", "subjectAltName=IP:127.0.0.1", "-addext", "basicConstraints=critical,CA:FALSE"]);
    command.arg("-keyout").arg(folder.join("key.pem"));
    let made = command.arg("-out").arg(&certificate).output().expect("openssl runs");
    assert!(made.status.success(), "{made:?}");
    certificate
}

/// Takes HTTPS and asks the server behind by HTTP, one request for each connection.
pub(super) fn before(behind: SocketAddr, folder: &Path) -> SocketAddr {
    let chain = vec![CertificateDer::from_pem_file(folder.join("certificate.pem")).expect("a certificate")];
    let key = PrivateKeyDer::from_pem_file(folder.join("key.pem")).expect("a key");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let config = builder.expect("versions of TLS").with_no_client_auth().with_single_cert(chain, key);
    let config = Arc::new(config.expect("a key for its certificate"));
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let config = Arc::clone(&config);
            thread::spawn(move || -> std::io::Result<()> {
                let mut front = StreamOwned::new(ServerConnection::new(config).expect("a connection"), stream);
                let (mut head, mut byte) = (Vec::new(), [0]);
                while !head.ends_with(b"\r\n\r\n") {
                    // Who does not believe the certificate says no more.
                    front.read_exact(&mut byte)?;
                    head.extend(byte);
                }
                let mut back = TcpStream::connect(behind)?;
                back.write_all(&head)?;
                std::io::copy(&mut back, &mut front)?;
                front.conn.send_close_notify();
                front.flush()
            });
        }
    });
    address
}
