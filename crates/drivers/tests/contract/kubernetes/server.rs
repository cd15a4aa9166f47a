//! The fake's HTTP: real connections, real JSON, chunked streams, and faults on demand.
//!
//! Faults meet the engine only: who sends the token `kubelet` is never disturbed.

use std::{
    io::{self, BufRead as _, BufReader, Read as _, Seek as _, SeekFrom, Write as _},
    net::{TcpListener, TcpStream},
    path::PathBuf,
    sync::{Arc, Mutex, OnceLock, PoisonError},
    thread,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use super::{
    cluster::{Cluster, Objects, Refusal, text},
    container::lines_from,
    kubelet::Kubelet,
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

/// A fault that waits for requests of a kind: a method, or `LIST`, `WATCH`, `LOG`, `WAY`, `REVIEW`.
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
    kubelet: OnceLock<Arc<Kubelet>>,
}

struct Request {
    method: String,
    path: String,
    query: String,
    token: String,
    /// Of who wants to open a WebSocket.
    key: Option<String>,
    body: Value,
}

impl Request {
    fn parameter(&self, name: &str) -> Option<&str> {
        self.query.split('&').find_map(|part| part.strip_prefix(name)?.strip_prefix('='))
    }

    fn kind(&self) -> &str {
        match self.method.as_str() {
            "GET" if self.key.is_some() => "WAY",
            "POST" if self.path.ends_with("reviews") => "REVIEW",
            "GET" if self.path.ends_with("/log") => "LOG",
            "GET" if self.parameter("watch").is_some() => "WATCH",
            "GET" if self.path.ends_with("/pods") => "LIST",
            method => method,
        }
    }
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
            kubelet: OnceLock::new(),
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

    /// Tells it of the node whose pods are attached to.
    pub(crate) fn know(&self, kubelet: Arc<Kubelet>) {
        assert!(self.kubelet.set(kubelet).is_ok(), "one node");
    }

    /// From now on, faults.
    pub(crate) fn fail(&self, on: &'static str, act: Act, times: u32) {
        self.faults.lock().unwrap_or_else(PoisonError::into_inner).push(Fault { on, act, times });
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
        let Some(request) = read(stream)? else { return Ok(false) };
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
            ("POST", ["api", "v1", "nodes"]) => cluster.with(|objects| {
                let name = text(&request.body, "/metadata/name").to_owned();
                objects.nodes.insert(name, request.body.clone());
                Ok(request.body.clone())
            }),
            ("PATCH", ["api", "v1", "nodes", ..]) => Ok(json!({})),
            ("POST", ["apis", "authorization.k8s.io", "v1", "selfsubjectaccessreviews"]) => {
                let attributes = &request.body["spec"]["resourceAttributes"];
                Ok(
                    json!({ "status": { "allowed": !cluster.lock().forbidden.contains(text(attributes, "/subresource")) } }),
                )
            }
            ("GET", ["apis", "metrics.k8s.io", ..]) => {
                let objects = cluster.lock();
                if objects.metrics.is_empty() {
                    return Err(Refusal(404, "NotFound", "the server could not find the requested resource".into()));
                }
                Ok(json!({ "metadata": {}, "items": objects.metrics.values().collect::<Vec<_>>() }))
            }
            ("GET", [.., "pods"]) => list(&cluster.lock(), request),
            ("POST", ["api", "v1", "namespaces", namespace, "pods"]) => {
                cluster.with(|objects| objects.create(namespace, request.body.clone()))
            }
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
                        json!({ "kind": "Pod", "metadata": { "resourceVersion": objects.version.to_string() } });
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
                if selected(&change.pod, request) {
                    #[expect(clippy::disallowed_methods, reason = "being late is what is asked of it")]
                    thread::sleep(late);
                    chunk(stream, &line(&json!({ "type": change.kind, "object": change.pod })))?;
                }
            }
        }
    }

    /// What the API server passes on to a node.
    fn way(&self, stream: &TcpStream, request: &Request) -> io::Result<()> {
        let mut parts = request.path.rsplit('/');
        let (kind, pod) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
        let kubelet = self.kubelet.get().expect("a node");
        let Some(terminal) = kubelet.terminal_of(pod) else {
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
    let mut found = objects.pods.iter().filter(|(name, pod)| name.as_str() > after && selected(pod, request));
    let page: Vec<_> = found.by_ref().take(limit).collect();
    let next = found.next().and(page.last()).map_or("", |(name, _)| name.as_str());
    let items: Vec<&Value> = page.iter().map(|(_, pod)| *pod).collect();
    Ok(json!({
        "metadata": { "resourceVersion": objects.version.to_string(), "continue": next },
        "items": if items.is_empty() { Value::Null } else { json!(items) },
    }))
}

fn selected(pod: &Value, request: &Request) -> bool {
    let Some(selector) = request.parameter("labelSelector") else { return true };
    let selector = selector.replace("%2F", "/").replace("%3D", "=");
    let (key, value) = selector.split_once('=').expect("the engine asks for one label");
    pod["metadata"]["labels"][key] == value
}

fn read(stream: &TcpStream) -> io::Result<Option<Request>> {
    let mut reader = BufReader::with_capacity(1, stream);
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        if reader.read_until(b'\n', &mut head)? == 0 {
            return Ok(None);
        }
    }
    let head = String::from_utf8_lossy(&head).into_owned();
    let mut lines = head.lines();
    let mut words = lines.next().unwrap_or_default().split(' ');
    let (method, target) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let header = |name: &str| {
        let named = |line: &&str| line.split_once(':').is_some_and(|(key, _)| key.eq_ignore_ascii_case(name));
        head.lines().find(named).and_then(|line| line.split_once(':')).map(|(_, value)| value.trim().to_owned())
    };
    let length: u64 = header("content-length").and_then(|text| text.parse().ok()).unwrap_or(0);
    let mut body = Vec::new();
    reader.take(length).read_to_end(&mut body)?;
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let token = header("authorization").unwrap_or_default().trim_start_matches("Bearer ").to_owned();
    Ok(Some(Request {
        method: method.to_owned(),
        path: path.to_owned(),
        query: query.to_owned(),
        token,
        key: header("sec-websocket-key"),
        body: serde_json::from_slice(&body).unwrap_or(Value::Null),
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
