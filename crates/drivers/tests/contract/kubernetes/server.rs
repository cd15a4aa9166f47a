//! The fake's HTTP: real connections, real JSON, chunked streams, and faults on demand.
//!
//! Faults meet the engine only: who sends the token `kubelet` is never disturbed.

use std::{
    io::{self, Read as _, Seek as _, SeekFrom, Write as _},
    net::{TcpListener, TcpStream},
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
    thread,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use super::{
    cluster::{Cluster, Objects, Refusal, text},
    container::lines_from,
    kubelet::Kubelet,
    request::Request,
    ways,
};

/// What goes wrong with a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Act {
    /// It is answered with this code and not carried out.
    Answer(u16),
    /// The connection ends before anything is done.
    DropBefore,
    /// It is carried out, and the connection ends without an answer.
    DropAfter,
    /// Of a watch: each event comes this many milliseconds late.
    Slow(u64),
}

/// A fault that waits for requests of a kind: a method, or `LIST`, `WATCH`, `LOG`, `WAY`, `REVIEW`, `BIND`, `SERVE`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Fault {
    pub(crate) on: &'static str,
    pub(crate) act: Act,
    pub(crate) times: u32,
}

/// A running fake.
#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) cluster: Cluster,
    faults: Mutex<Vec<Fault>>,
    /// Requests of the engine: kind and path.
    pub(crate) requests: Mutex<Vec<(String, String)>>,
    /// Where the fake kubelet writes outputs, by uid.
    pub(crate) logs: PathBuf,
    pub(crate) port: u16,
    /// Whose pods are attached to.
    kubelets: Mutex<Vec<Arc<Kubelet>>>,
}

impl Server {
    /// Starts a fake that keeps outputs in a folder.
    pub(crate) fn start(logs: PathBuf) -> Arc<Server> {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let port = listener.local_addr().expect("an address").port();
        let server = Arc::new(Server {
            cluster: Cluster::default(),
            faults: Mutex::default(),
            requests: Mutex::default(),
            logs,
            port,
            kubelets: Mutex::default(),
        });
        let accepting = Arc::clone(&server);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let server = Arc::clone(&accepting);
                thread::spawn(move || while let Ok(true) = server.serve(&stream) {});
            }
        });
        let scheduling = Arc::clone(&server);
        thread::spawn(move || scheduling.schedule());
        server
    }

    /// Tells it of a node whose pods are attached to.
    pub(crate) fn know(&self, kubelet: Arc<Kubelet>) {
        self.kubelets.lock().unwrap_or_else(PoisonError::into_inner).push(kubelet);
    }

    /// From now on, faults.
    pub(crate) fn fail(&self, on: &'static str, act: Act, times: u32) {
        self.faults.lock().unwrap_or_else(PoisonError::into_inner).push(Fault { on, act, times });
    }

    /// From now on, no faults.
    pub(crate) fn heal(&self) {
        self.faults.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// How many requests of a kind the engine made.
    pub(crate) fn count(&self, kind: &str) -> usize {
        let requests = self.requests.lock().unwrap_or_else(PoisonError::into_inner);
        requests.iter().filter(|(made, _)| made == kind).count()
    }

    fn schedule(&self) {
        let mut objects = self.cluster.lock();
        loop {
            if objects.schedule() {
                self.cluster.changed.notify_all();
            }
            objects = self.cluster.changed.wait(objects).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn fault(&self, request: &Request) -> Option<Act> {
        if request.token == "kubelet" {
            return None;
        }
        let kind = request.kind();
        let whole = (kind.to_owned(), format!("{}?{}", request.path, request.query));
        self.requests.lock().unwrap_or_else(PoisonError::into_inner).push(whole);
        let mut faults = self.faults.lock().unwrap_or_else(PoisonError::into_inner);
        let fault = faults.iter_mut().find(|fault| fault.on == kind && fault.times > 0)?;
        fault.times -= 1;
        Some(fault.act)
    }

    /// One request; false when the connection is to end.
    fn serve(&self, stream: &TcpStream) -> io::Result<bool> {
        let Some(request) = Request::read(stream)? else { return Ok(false) };
        let act = self.fault(&request);
        match act {
            Some(Act::DropBefore) => return Ok(false),
            Some(Act::Answer(code)) => {
                let reason = if code == 409 { "Conflict" } else { "InternalError" };
                return answer(stream, Err(Refusal(code, reason, "a fault of the fake".into()))).map(|()| true);
            }
            _ => {}
        }
        match request.kind() {
            "WATCH" => {
                let late = if let Some(Act::Slow(late_ms)) = act { late_ms } else { 0 };
                self.watch(stream, &request, Duration::from_millis(late)).map(|()| false)
            }
            "LOG" => self.log(stream, &request).map(|()| false),
            "WAY" => self.way(stream, &request).map(|()| false),
            _ => {
                let result = self.carry_out(&request);
                if act == Some(Act::DropAfter) {
                    return Ok(false);
                }
                answer(stream, result).map(|()| true)
            }
        }
    }

    fn carry_out(&self, request: &Request) -> Result<Value, Refusal> {
        let parts: Vec<&str> = request.path.trim_matches('/').split('/').collect();
        let cluster = &self.cluster;
        match (request.method.as_str(), parts.as_slice()) {
            ("GET", ["version"]) => Ok(json!({ "gitVersion": "v0.0.0-fake" })),
            ("GET", ["api", "v1", "nodes"]) => {
                let objects = cluster.lock();
                let nodes: Vec<_> = objects.nodes.values().collect();
                Ok(json!({ "metadata": { "resourceVersion": objects.version.to_string() }, "items": nodes }))
            }
            ("GET", ["api", "v1", "nodes", name]) => {
                let missing = || Refusal(404, "NotFound", format!("nodes \"{name}\" not found"));
                cluster.lock().nodes.get(*name).cloned().ok_or_else(missing)
            }
            ("POST", ["apis", "authorization.k8s.io", "v1", "selfsubjectaccessreviews"]) => {
                let attributes = &request.body["spec"]["resourceAttributes"];
                let named = ["/subresource", "/resource"].map(|path| text(attributes, path));
                let allowed = named.iter().all(|name| !cluster.lock().forbidden.contains(*name));
                Ok(json!({ "status": { "allowed": allowed } }))
            }
            ("GET", ["apis", "metrics.k8s.io", ..]) => {
                let objects = cluster.lock();
                if objects.metrics.is_empty() {
                    return Err(Refusal(404, "NotFound", "the server could not find the requested resource".into()));
                }
                Ok(json!({ "metadata": {}, "items": objects.metrics.values().collect::<Vec<_>>() }))
            }
            ("GET", [.., "services"]) => {
                let objects = cluster.lock();
                let found: Vec<_> = objects.services.values().filter(|service| request.selects(service)).collect();
                Ok(json!({ "metadata": { "resourceVersion": objects.version.to_string() }, "items": found }))
            }
            ("POST", [.., namespace, "services"]) => cluster.with(|objects| objects.serve(namespace, &request.body)),
            ("DELETE", [.., "services", name]) => cluster.with(|objects| {
                let missing = || Refusal(404, "NotFound", format!("services \"{name}\" not found"));
                objects.services.remove(*name).ok_or_else(missing)
            }),
            ("GET", [.., "pods"]) => list(&cluster.lock(), request),
            ("POST", ["api", "v1", "namespaces", namespace, "pods"]) => {
                cluster.with(|objects| objects.create(namespace, request.body.clone()))
            }
            ("POST", [.., "pods", name, "binding"]) => cluster.with(|objects| objects.bind(name, &request.body)),
            ("GET", [.., "pods", name]) => cluster.lock().find(name),
            ("PATCH", [.., "pods", name, "status"]) => cluster.with(|all| all.patch(name, &request.body, true)),
            ("PATCH", [.., "pods", name]) => cluster.with(|objects| objects.patch(name, &request.body, false)),
            ("DELETE", [.., "pods", name]) => cluster.with(|objects| objects.delete(name, &request.body)),
            _ => Err(Refusal(404, "NotFound", format!("{} {}", request.method, request.path))),
        }
    }

    fn watch(&self, stream: &TcpStream, request: &Request, late: Duration) -> io::Result<()> {
        let seconds = request.parameter("timeoutSeconds").and_then(|text| text.parse().ok()).unwrap_or(300);
        let deadline = Instant::now() + Duration::from_secs(seconds);
        let mut since: u64 = request.parameter("resourceVersion").and_then(|text| text.parse().ok()).unwrap_or(0);
        let begun = self.cluster.lock().cut;
        if since < self.cluster.lock().forgotten {
            return answer(stream, Err(Refusal(410, "Expired", format!("too old resource version: {since}"))));
        }
        begin_chunks(stream)?;
        loop {
            let objects = self.cluster.lock();
            if objects.cut != begun {
                let status = status(&Refusal(410, "Expired", "the event in requested index is outdated".into()));
                return chunk(stream, &line(&json!({ "type": "ERROR", "object": status })));
            }
            let fresh: Vec<_> = objects.changes.iter().filter(|change| change.version > since).cloned().collect();
            if fresh.is_empty() {
                let left = deadline.saturating_duration_since(Instant::now());
                if left.is_zero() {
                    let bookmark =
                        json!({ "kind": "Any", "metadata": { "resourceVersion": objects.version.to_string() } });
                    drop(objects);
                    chunk(stream, &line(&json!({ "type": "BOOKMARK", "object": bookmark })))?;
                    return chunk(stream, b"");
                }
                drop(self.cluster.changed.wait_timeout(objects, left).unwrap_or_else(PoisonError::into_inner));
                continue;
            }
            drop(objects);
            for change in fresh {
                since = change.version;
                if let Some(kind) = request.sees(&change) {
                    #[expect(clippy::disallowed_methods, reason = "being late is what is asked of it")]
                    thread::sleep(late);
                    chunk(stream, &line(&json!({ "type": kind, "object": change.object })))?;
                }
            }
        }
    }

    /// What the API server passes on to a node.
    fn way(&self, stream: &TcpStream, request: &Request) -> io::Result<()> {
        let mut parts = request.path.rsplit('/');
        let (kind, pod) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
        let kubelets = self.kubelets.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let Some(terminal) = kubelets.iter().find_map(|kubelet| kubelet.terminal_of(pod)) else {
            return answer(stream, Err(Refusal(400, "BadRequest", format!("container of {pod} has no terminal"))));
        };
        let socket = ways::accept(stream, request.key.as_deref().unwrap_or_default())?;
        stream.set_read_timeout(Some(ways::LOOK))?;
        match request.parameter("ports").and_then(|port| port.parse().ok()) {
            Some(port) if kind == "portforward" => ways::serve_port(socket, port),
            _ => ways::serve_terminal(socket, &terminal),
        }
        Ok(())
    }

    fn log(&self, stream: &TcpStream, request: &Request) -> io::Result<()> {
        let name = request.path.trim_end_matches("/log").rsplit('/').next().unwrap_or_default();
        let pod = match self.cluster.lock().find(name) {
            Ok(pod) => pod,
            Err(refusal) => return answer(stream, Err(refusal)),
        };
        let path = self.logs.join(text(&pod, "/metadata/uid"));
        if !path.exists() {
            let why = format!("container \"task\" in pod \"{name}\" is waiting to start: ContainerCreating");
            return answer(stream, Err(Refusal(400, "BadRequest", why)));
        }
        begin_chunks(stream)?;
        let limit: u64 = request.parameter("limitBytes").and_then(|text| text.parse().ok()).unwrap_or(u64::MAX);
        let lines = request.parameter("tailLines").and_then(|text| text.parse().ok());
        let mut file = std::fs::File::open(&path)?;
        file.seek(SeekFrom::Start(lines_from(&path, lines)?))?;
        let mut file = file.take(limit);
        let mut piece = vec![0; 64 << 10];
        loop {
            // Looked up before reading: what was written until then is all there is.
            let over = {
                let objects = self.cluster.lock();
                let found = objects.find(name);
                found.map_or(true, |pod| pod.pointer("/status/containerStatuses/0/state/terminated").is_some())
            };
            match file.read(&mut piece)? {
                0 if over || request.parameter("follow").is_none() => return chunk(stream, b""),
                0 => {
                    let objects = self.cluster.lock();
                    let wait = Duration::from_millis(20);
                    drop(self.cluster.changed.wait_timeout(objects, wait).unwrap_or_else(PoisonError::into_inner));
                }
                read => chunk(stream, &piece[..read])?,
            }
        }
    }
}

fn list(objects: &Objects, request: &Request) -> Result<Value, Refusal> {
    let limit: usize = request.parameter("limit").and_then(|text| text.parse().ok()).unwrap_or(usize::MAX);
    let after = request.parameter("continue").unwrap_or_default();
    let mut found = objects.pods.iter().filter(|(name, pod)| name.as_str() > after && request.selects(pod));
    let page: Vec<_> = found.by_ref().take(limit).collect();
    let next = found.next().and(page.last()).map_or("", |(name, _)| name.as_str());
    let items: Vec<&Value> = page.iter().map(|(_, pod)| *pod).collect();
    Ok(json!({
        "metadata": { "resourceVersion": objects.version.to_string(), "continue": next },
        "items": if items.is_empty() { Value::Null } else { json!(items) },
    }))
}

fn status(Refusal(code, reason, message): &Refusal) -> Value {
    json!({ "kind": "Status", "status": "Failure", "code": code, "reason": reason, "message": message })
}

fn answer(mut stream: &TcpStream, result: Result<Value, Refusal>) -> io::Result<()> {
    let (code, body) = match &result {
        Ok(object) => (200, object.to_string()),
        Err(refusal) => (refusal.0, status(refusal).to_string()),
    };
    let head = format!("HTTP/1.1 {code} X\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n", body.len());
    stream.write_all(format!("{head}{body}").as_bytes())
}

fn begin_chunks(mut stream: &TcpStream) -> io::Result<()> {
    stream.write_all(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")
}

fn chunk(mut stream: &TcpStream, bytes: &[u8]) -> io::Result<()> {
    let mut framed = format!("{:x}\r\n", bytes.len()).into_bytes();
    framed.extend_from_slice(bytes);
    framed.extend_from_slice(b"\r\n");
    stream.write_all(&framed)
}

fn line(value: &Value) -> Vec<u8> {
    format!("{value}\n").into_bytes()
}
