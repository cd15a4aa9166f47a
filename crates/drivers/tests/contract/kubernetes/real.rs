//! A real control plane as the place of the suite: `HUISUAN_KUBERNETES` names its kubeconfig (an administrator's, with
//! a token). Each test has a namespace and nodes of its own, with a label and a taint that nobody else has, and the
//! fake kubelet runs what the real scheduler sends there. The API server fetches output from it over TLS.

use std::{
    fs,
    io::{Read as _, Seek as _, SeekFrom, Write},
    net::{TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    thread,
    time::Duration,
};

use huisuan_drivers::KubernetesConfig;
use rustls::{
    ServerConfig, ServerConnection, StreamOwned,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::{
    api::Api,
    container::{CLAIM, claims, lines_from, user},
    kubelet::Kubelet,
    ways,
};

/// Names the kubeconfig of the control plane.
const VARIABLE: &str = "HUISUAN_KUBERNETES";
/// The label and taint of a test's own nodes.
const MARK: &str = "huisuan-test";

/// A connection of the API server.
type Tls = StreamOwned<ServerConnection, TcpStream>;

static TESTS: AtomicU32 = AtomicU32::new(0);

/// A namespace and nodes of a real cluster; removed when dropped.
pub(crate) struct Real {
    pub(crate) api: Api,
    pub(crate) name: String,
    nodes: usize,
    kubeconfig: String,
    _scratch: TempDir,
}

impl Real {
    /// A place in the cluster that the environment names, if it names one, with so many nodes.
    pub(crate) fn from_environment(nodes: usize) -> Option<Real> {
        let kubeconfig = std::env::var(VARIABLE).ok()?;
        let text = fs::read_to_string(&kubeconfig).expect("a kubeconfig");
        let file: Value = serde_saphyr::from_str(&text).expect("a kubeconfig");
        let value = |path: &str| file.pointer(path).and_then(Value::as_str).expect(path).to_owned();
        let api = Api::new(&value("/clusters/0/cluster/server"), &value("/users/0/user/token"));
        let name = format!("t{}-{}", std::process::id(), TESTS.fetch_add(1, Ordering::Relaxed));
        let scratch = tempfile::tempdir().expect("a scratch folder");
        let mut real = Real { api, name, nodes: 0, kubeconfig, _scratch: scratch };
        real.make_namespace();
        let (logs, pods) = (real._scratch.path().join("logs"), real._scratch.path().join("pods"));
        fs::create_dir_all(&logs).expect("a folder");
        fs::create_dir_all(&pods).expect("a folder");
        real.make_volume();
        let tls = certificate(real._scratch.path());
        for number in 0..nodes {
            let (listener, node) = (TcpListener::bind("127.0.0.1:0").expect("a free port"), real.node(number));
            real.make_node(&node, listener.local_addr().expect("an address").port());
            let (kubelet, tls) = (Kubelet::start(real.api.clone(), &node, &logs, &pods), Arc::clone(&tls));
            thread::spawn(move || serve_api(&listener, &tls, &kubelet));
        }
        real.nodes = nodes;
        Some(real)
    }

    /// The configuration of a centre that has this place only.
    pub(crate) fn config(&self, folder: &Path) -> KubernetesConfig {
        let path = folder.join("kubernetes.toml");
        fs::write(&path, self.text()).expect("written");
        KubernetesConfig::read(&path).expect("a configuration")
    }

    /// The same as its file.
    pub(crate) fn text(&self) -> String {
        format!(
            "namespace = '{0}'\nkubeconfig = '{1}'\nimage = 'site/base'\ngrace_s = 1\nusage_every_s = 1\n\
             user = {2}\nvolume = {{ claim = '{CLAIM}', path = '{3}' }}\n\n\
             [[tolerations]]\nkey = '{MARK}'\nvalue = '{0}'\n\n\
             [[pools]]\nid = 'cpu:test'\nclass = 'general'\nrate_each = 40\nnodes = {{ '{MARK}' = '{0}' }}\n",
            self.name,
            self.kubeconfig,
            user(),
            self.shared().display()
        )
    }

    /// Kills the API server and starts it again, where the environment says how, and waits until it serves.
    pub(crate) fn restart_server(&self) {
        let Ok(program) = std::env::var("HUISUAN_KUBERNETES_RESTART") else { return };
        let done = Command::new(program).status().expect("it runs");
        assert!(done.success(), "the API server came back");
        assert_eq!(self.api.call("GET", "/readyz", "", None).0, 200);
    }

    /// Closes one of its nodes to new pods, or opens it again.
    pub(crate) fn cordon(&self, number: usize, cordoned: bool) {
        let path = format!("/api/v1/nodes/{}", self.node(number));
        let patch = json!({ "spec": { "unschedulable": cordoned } });
        assert_eq!(self.api.patch(&path, &patch), 200);
    }

    /// Waits until no gang has a service.
    pub(crate) fn until_no_services(&self) {
        let path = format!("/api/v1/namespaces/{}/services", self.name);
        let none = || self.api.get(&path)["items"].as_array().is_some_and(Vec::is_empty);
        self.until("namespace without services", none);
    }

    fn make_namespace(&self) {
        let namespace = json!({ "metadata": { "name": self.name } });
        let (code, answer) = self.api.call("POST", "/api/v1/namespaces", "application/json", Some(&namespace));
        assert_eq!(code, 201, "{answer}");
        // Pods are refused until a controller made the account that they all have.
        let account = format!("/api/v1/namespaces/{}/serviceaccounts/default", self.name);
        self.until("service account", || self.api.call("GET", &account, "", None).0 == 200);
    }

    /// What agent and pods share, as the agent sees it.
    fn shared(&self) -> PathBuf {
        claims(&self._scratch.path().join("pods")).join(CLAIM)
    }

    /// The scheduler lets no pod with a claim go that has no volume.
    fn make_volume(&self) {
        fs::create_dir_all(self.shared()).expect("a folder");
        let (room, ways) = (json!({ "storage": "1Gi" }), json!(["ReadWriteMany"]));
        let volume = json!({ "metadata": { "name": self.name }, "spec": {
            "capacity": room, "accessModes": ways, "hostPath": { "path": self.shared() },
            "claimRef": { "namespace": self.name, "name": CLAIM },
        } });
        let claim = json!({ "metadata": { "name": CLAIM }, "spec": {
            "accessModes": ways, "storageClassName": "", "volumeName": self.name, "resources": { "requests": room },
        } });
        let claims = format!("/api/v1/namespaces/{}/persistentvolumeclaims", self.name);
        for (path, object) in [("/api/v1/persistentvolumes", volume), (&claims, claim)] {
            let (code, answer) = self.api.call("POST", path, "application/json", Some(&object));
            assert_eq!(code, 201, "{answer}");
        }
        self.until("bound volume", || {
            self.api.call("GET", &format!("{claims}/{CLAIM}"), "", None).1["status"]["phase"] == "Bound"
        });
    }

    fn until(&self, what: &str, done: impl Fn() -> bool) {
        for _ in 0..600 {
            if done() {
                return;
            }
            #[expect(clippy::disallowed_methods, reason = "a pause between two looks at somebody else's program")]
            thread::sleep(Duration::from_millis(100));
        }
        panic!("no {what} in a minute");
    }

    /// The name of one of its nodes.
    pub(crate) fn node(&self, number: usize) -> String {
        format!("{}-{number}", self.name)
    }

    fn make_node(&self, name: &str, port: u16) {
        let call = |method: &str, path: &str, kind: &str, body: Value| {
            let (code, answer) = self.api.call(method, path, kind, Some(&body));
            assert!((200..300).contains(&code), "{code} {answer}");
        };
        let path = format!("/api/v1/nodes/{name}");
        let node = json!({ "metadata": { "name": name, "labels": { (MARK): self.name } } });
        call("POST", "/api/v1/nodes", "application/json", node);
        let room = json!({ "cpu": "2", "memory": "1Gi", "pods": "500" });
        let status = json!({ "status": {
            "capacity": room,
            "allocatable": room,
            "conditions": [{ "type": "Ready", "status": "True", "reason": "Fake" }],
            "addresses": [{ "type": "InternalIP", "address": "127.0.0.1" }],
            "daemonEndpoints": { "kubeletEndpoint": { "Port": port } },
        } });
        call("PATCH", &format!("{path}/status"), "application/merge-patch+json", status);
        let taints = json!([{ "key": MARK, "value": self.name, "effect": "NoSchedule" }]);
        call("PATCH", &path, "application/merge-patch+json", json!({ "spec": { "taints": taints } }));
    }
}

impl Drop for Real {
    fn drop(&mut self) {
        let merge = "application/merge-patch+json";
        let pods = format!("/api/v1/namespaces/{}/pods", self.name);
        let (_, list) = self.api.call("GET", &pods, "", None);
        for pod in list["items"].as_array().into_iter().flatten() {
            let path = format!("{pods}/{}", pod["metadata"]["name"].as_str().unwrap_or_default());
            self.api.call("PATCH", &path, merge, Some(&json!({ "metadata": { "finalizers": null } })));
            self.api.call("DELETE", &path, "application/json", Some(&json!({ "gracePeriodSeconds": 0 })));
        }
        let nodes = (0..self.nodes).map(|number| format!("nodes/{}", self.node(number)));
        let others = ["namespaces", "persistentvolumes"].map(|kind| format!("{kind}/{}", self.name));
        for object in nodes.chain(others) {
            self.api.call("DELETE", &format!("/api/v1/{object}"), "application/json", Some(&json!({})));
        }
    }
}

fn certificate(folder: &Path) -> Arc<ServerConfig> {
    let (key, certificate) = (folder.join("key.pem"), folder.join("certificate.pem"));
    let mut command = Command::new("openssl");
    command.args(["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=fake-kubelet"]);
    let made = command.arg("-keyout").arg(&key).arg("-out").arg(&certificate).output().expect("openssl runs");
    assert!(made.status.success(), "{made:?}");
    let chain = vec![CertificateDer::from_pem_file(&certificate).expect("a certificate")];
    let key = PrivateKeyDer::from_pem_file(&key).expect("a key");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let config = builder.expect("versions of TLS").with_no_client_auth().with_single_cert(chain, key);
    Arc::new(config.expect("a key for its certificate"))
}

/// What a kubelet answers to `/containerLogs/NAMESPACE/POD/CONTAINER`, `/attach/...` and `/portForward/...`.
fn serve_api(listener: &TcpListener, tls: &Arc<ServerConfig>, kubelet: &Arc<Kubelet>) {
    for stream in listener.incoming().flatten() {
        let (tls, kubelet) = (Arc::clone(tls), Arc::clone(kubelet));
        thread::spawn(move || -> std::io::Result<()> {
            let connection = ServerConnection::new(tls).expect("a connection");
            let mut stream = StreamOwned::new(connection, stream);
            let mut head = Vec::new();
            let mut byte = [0];
            while !head.ends_with(b"\r\n\r\n") {
                stream.read_exact(&mut byte)?;
                head.extend(byte);
            }
            let head = String::from_utf8_lossy(&head).into_owned();
            let target = head.split(' ').nth(1).unwrap_or_default();
            let key = head.lines().find_map(|line| {
                let (name, value) = line.split_once(':')?;
                name.eq_ignore_ascii_case("sec-websocket-key").then_some(value.trim())
            });
            match key {
                Some(key) => open_way(&mut stream, target, key, &kubelet)?,
                None => send_log(&mut stream, target, &kubelet)?,
            }
            stream.conn.send_close_notify();
            stream.flush()
        });
    }
}

fn open_way(stream: &mut Tls, target: &str, key: &str, kubelet: &Kubelet) -> std::io::Result<()> {
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let pod = path.split('/').nth(3).unwrap_or_default();
    let Some(terminal) = kubelet.terminal_of(pod) else {
        return write!(stream, "HTTP/1.1 400 X\r\nconnection: close\r\ncontent-length: 0\r\n\r\n");
    };
    stream.sock.set_read_timeout(Some(ways::LOOK))?;
    let port = query.split('&').find_map(|part| part.strip_prefix("port=")?.parse().ok());
    let socket = ways::accept(stream, key)?;
    match port {
        Some(port) if path.starts_with("/portForward/") => ways::serve_port(socket, port),
        _ => ways::serve_terminal(socket, &terminal),
    }
    Ok(())
}

fn send_log(stream: &mut impl Write, target: &str, kubelet: &Kubelet) -> std::io::Result<()> {
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let pod = path.split('/').nth(3).unwrap_or_default();
    let file = kubelet.uid_of(pod).and_then(|uid| Some((fs::File::open(kubelet.logs.join(&uid)).ok()?, uid)));
    let Some((file, uid)) = file else {
        let why = "container \"task\" is waiting to start";
        return write!(stream, "HTTP/1.1 400 X\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{why}", why.len());
    };
    write!(stream, "HTTP/1.1 200 OK\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\n")?;
    let limit = query.split('&').find_map(|part| part.strip_prefix("limitBytes=")?.parse().ok()).unwrap_or(u64::MAX);
    let lines = query.split('&').find_map(|part| part.strip_prefix("tailLines=")?.parse().ok());
    let mut file = file;
    file.seek(SeekFrom::Start(lines_from(&kubelet.logs.join(&uid), lines)?))?;
    let mut file = file.take(limit);
    let mut piece = vec![0; 64 << 10];
    loop {
        let over = kubelet.is_over(&uid);
        match file.read(&mut piece)? {
            0 if over || !query.contains("follow=true") => return write!(stream, "0\r\n\r\n"),
            0 => {
                stream.flush()?;
                #[expect(clippy::disallowed_methods, reason = "a pause between two looks at a file that grows")]
                thread::sleep(Duration::from_millis(20));
            }
            read => {
                write!(stream, "{read:x}\r\n")?;
                stream.write_all(&piece[..read])?;
                stream.write_all(b"\r\n")?;
            }
        }
    }
}
