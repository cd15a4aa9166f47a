//! The API over HTTP: requests that may be repeated, and answers read into our own types.

use std::{
    io::{self, BufRead as _, BufReader, Read},
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use ureq::{Body, http::Request, http::Response, tls::TlsConfig};

use super::{
    kubeconfig::{Access, Token},
    objects::{AccessReview, Status},
    socket::Socket,
};
use crate::EngineError;

/// How often one request is made before its caller is told.
const TRIES: u32 = 4;
/// The pause after the first failure; doubled after each.
const PAUSE: Duration = Duration::from_millis(50);
/// The longest pause that a server can ask for.
const PAUSE_MAX: Duration = Duration::from_secs(5);
/// How long one step of a request may take.
const PATIENCE: Duration = Duration::from_secs(20);
/// The largest answer, in bytes; pages are far smaller.
const ANSWER_MAX: u64 = 64 << 20;
/// How long a token from a file is used before it is read again.
const TOKEN_FRESH: Duration = Duration::from_secs(60);

/// Speaks with one cluster.
pub(super) struct Client {
    agent: ureq::Agent,
    server: String,
    tls: TlsConfig,
    token: Token,
    from_file: Mutex<Option<(Instant, String)>>,
}

/// Why a request was not answered as hoped.
#[derive(Debug)]
pub(super) enum CallError {
    /// The server answered, and said no.
    Answer(Status),
    /// The connection broke: whether the request was carried out is not known.
    Broken(io::Error),
}

impl CallError {
    /// The HTTP status; 0 when there was no answer.
    pub(super) fn code(&self) -> u16 {
        match self {
            CallError::Answer(status) => status.code,
            CallError::Broken(_) => 0,
        }
    }

    /// The same for the engine's callers.
    pub(super) fn during(self, doing: &'static str) -> EngineError {
        match self {
            CallError::Broken(source) => EngineError::Connection { doing, source },
            CallError::Answer(status) => {
                let hint = match status.code {
                    401 => "; hint: the token has run out or was revoked",
                    403 => "; hint: the agent's role lacks this right, see docs/en/kubernetes.md",
                    _ => "",
                };
                EngineError::Refused(format!("{doing}: {} {}{hint}", status.code, status.message))
            }
        }
    }
}

/// The way a patch is written.
#[derive(Debug, Clone, Copy)]
pub(super) enum Method {
    Get,
    Post,
    Delete,
    /// A merge patch.
    Patch,
}

impl Client {
    /// Connects at the first request.
    pub(super) fn new(access: Access) -> Client {
        let agent = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            // A cluster is a neighbour; a proxy of the environment is for the way out.
            .proxy(None)
            .tls_config(access.tls.clone())
            .timeout_connect(Some(PATIENCE))
            .timeout_per_read(Some(PATIENCE))
            .timeout_per_write(Some(PATIENCE))
            .user_agent(concat!("huisuan/", env!("CARGO_PKG_VERSION")))
            .build()
            .new_agent();
        let Access { server, tls, token } = access;
        Client { agent, server, tls, token, from_file: Mutex::new(None) }
    }

    /// Reads an object.
    pub(super) fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, CallError> {
        self.call(Method::Get, path, None)
    }

    /// Whether the cluster lets its caller do this: attributes of a resource, as `SelfSubjectAccessReview` has them.
    pub(super) fn allows(&self, attributes: &Value) -> Result<bool, CallError> {
        let question = json!({ "apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview",
                               "spec": { "resourceAttributes": attributes } });
        let path = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews";
        Ok(self.call::<AccessReview>(Method::Post, path, Some(&question))?.status.allowed)
    }

    /// Makes a request, again where the failure is of the moment. The caller sees to it that a repeated request does
    /// no harm: every object has one name, and every change names the version or the object that it is for.
    pub(super) fn call<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<T, CallError> {
        patiently(|| self.once(method, path, body).and_then(read_answer))
    }

    /// Opens an answer that is read as it comes.
    pub(super) fn stream(&self, path: &str) -> Result<Box<dyn Read + Send>, CallError> {
        patiently(|| {
            let response = self.once(Method::Get, path, None)?;
            if !response.status().is_success() {
                return Err(read_answer::<Value>(response).err().unwrap_or_else(|| (unexpected("no success"), None)));
            }
            Ok(Box::new(response.into_body().into_reader()) as Box<dyn Read + Send>)
        })
    }

    /// Opens a way to a pod. It is tried once: somebody waits.
    pub(super) fn socket(&self, path: &str) -> Result<Socket, CallError> {
        let token = self.bearer().map_err(CallError::Broken)?;
        Socket::open(&self.server, &self.tls, token.as_deref(), path)
    }

    fn once(&self, method: Method, path: &str, body: Option<&Value>) -> Result<Response<Body>, Failure> {
        let (verb, kind) = match method {
            Method::Get => ("GET", ""),
            Method::Post => ("POST", "application/json"),
            Method::Delete => ("DELETE", "application/json"),
            Method::Patch => ("PATCH", "application/merge-patch+json"),
        };
        let mut request = Request::builder().method(verb).uri(format!("{}{path}", self.server));
        if let Some(token) = self.bearer().map_err(|error| (CallError::Broken(error), None))? {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        request = request.header("accept", "application/json");
        if !kind.is_empty() {
            request = request.header("content-type", kind);
        }
        let bytes = body.map(|body| body.to_string().into_bytes()).unwrap_or_default();
        let built = request.body(bytes).map_err(|error| (unexpected(&error.to_string()), None))?;
        let agent = &self.agent;
        let sent = match method {
            // A body of no bytes would be announced by a header that some proxies refuse.
            Method::Get => agent.run(built.map(|_| ())),
            // Some verbs have a body in Kubernetes that have none elsewhere.
            _ => agent.run(agent.configure_request(built).allow_non_standard_methods(true).build()),
        };
        sent.map_err(|error| (CallError::Broken(broken(error)), None))
    }

    fn bearer(&self) -> io::Result<Option<String>> {
        let path = match &self.token {
            Token::None => return Ok(None),
            Token::Fixed(token) => return Ok(Some(token.clone())),
            Token::File(path) => path,
        };
        let mut held = self.from_file.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, token)) = held.as_ref().filter(|(read_at, _)| read_at.elapsed() < TOKEN_FRESH) {
            return Ok(Some(token.clone()));
        }
        let token = std::fs::read_to_string(path)?.trim().to_owned();
        *held = Some((Instant::now(), token.clone()));
        Ok(Some(token))
    }
}

/// An error, and the pause that the server asked for.
type Failure = (CallError, Option<Duration>);

/// Does something again while its failure is of the moment.
fn patiently<T>(mut once: impl FnMut() -> Result<T, Failure>) -> Result<T, CallError> {
    let mut pause = PAUSE;
    for tried in 1.. {
        let (error, wait) = match once() {
            Ok(answer) => return Ok(answer),
            Err(error) => error,
        };
        let of_the_moment = matches!(error.code(), 0 | 429 | 500 | 502 | 503 | 504);
        if !of_the_moment || tried >= TRIES {
            return Err(error);
        }
        #[expect(clippy::disallowed_methods, reason = "a retry pause of at most five seconds, on a thread that waits")]
        std::thread::sleep(wait.unwrap_or(pause).min(PAUSE_MAX));
        pause *= 2;
    }
    unreachable!("the loop returns at its last try")
}

fn read_answer<T: DeserializeOwned>(response: Response<Body>) -> Result<T, Failure> {
    let code = response.status().as_u16();
    let header = response.headers().get("retry-after").and_then(|value| value.to_str().ok()?.parse().ok());
    let wait = header.map(Duration::from_secs);
    let mut bytes = Vec::new();
    let reader = response.into_body().into_reader();
    reader.take(ANSWER_MAX).read_to_end(&mut bytes).map_err(|error| (CallError::Broken(error), None))?;
    if (200..300).contains(&code) {
        return serde_json::from_slice(&bytes)
            .map_err(|error| (unexpected(&format!("answer cannot be understood: {error}")), None));
    }
    let mut status: Status = serde_json::from_slice(&bytes).unwrap_or_default();
    if status.message.is_empty() {
        status.message = String::from_utf8_lossy(&bytes).chars().take(300).collect();
    }
    status.code = code;
    Err((CallError::Answer(status), wait))
}

/// Something that no Kubernetes says; its code 1 is none of HTTP, so nobody tries again.
fn unexpected(message: &str) -> CallError {
    CallError::Answer(Status { code: 1, reason: String::new(), message: message.to_owned() })
}

fn broken(error: ureq::Error) -> io::Error {
    match error {
        ureq::Error::Io(error) => error,
        ureq::Error::Timeout(_) => io::Error::new(io::ErrorKind::TimedOut, error.to_string()),
        other => io::Error::other(other.to_string()),
    }
}

/// Lines of a stream, each at most as long as an object can be.
pub(super) struct Lines {
    reader: BufReader<Box<dyn Read + Send>>,
}

impl Lines {
    /// The longest line, in bytes: twice the largest object that etcd takes.
    const LINE_MAX: u64 = 4 << 20;

    pub(super) fn new(stream: Box<dyn Read + Send>) -> Lines {
        Lines { reader: BufReader::new(stream) }
    }

    /// The next line; `None` at the end of the stream, and for a line that was cut off.
    pub(super) fn next(&mut self) -> io::Result<Option<Vec<u8>>> {
        let mut line = Vec::new();
        (&mut self.reader).take(Self::LINE_MAX).read_until(b'\n', &mut line)?;
        Ok((line.pop() == Some(b'\n')).then_some(line))
    }
}
