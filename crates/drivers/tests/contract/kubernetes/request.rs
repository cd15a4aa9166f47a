//! A request as the fake reads it, and what it asks for.

use std::{
    io::{self, BufRead as _, BufReader, Read as _},
    net::TcpStream,
};

use serde_json::Value;

use super::cluster::{Change, text};

/// One request.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) query: String,
    pub(crate) token: String,
    /// Of who wants to open a WebSocket.
    pub(crate) key: Option<String>,
    pub(crate) body: Value,
}

impl Request {
    /// The next one of a connection; `None` when there is none.
    pub(crate) fn read(stream: &TcpStream) -> io::Result<Option<Request>> {
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

    /// A parameter of its query.
    pub(crate) fn parameter(&self, name: &str) -> Option<&str> {
        self.query.split('&').find_map(|part| part.strip_prefix(name)?.strip_prefix('='))
    }

    /// Whether an object is one of those that are asked for.
    pub(crate) fn selects(&self, object: &Value) -> bool {
        let namespace = self.path.strip_prefix("/api/v1/namespaces/").and_then(|rest| rest.split('/').next());
        let [labels, fields] = ["labelSelector", "fieldSelector"].map(|name| {
            let text = self.parameter(name).unwrap_or_default();
            text.replace("%2F", "/").replace("%3D", "=").replace("%21", "!").replace("%2C", ",")
        });
        let label = |one: &str| {
            let (key, value) = one.split_once('=').expect("the engine asks for labels that are");
            object["metadata"]["labels"][key] == value
        };
        let field = |one: &str| {
            let (path, value) = one.split_once('=').expect("fields are compared");
            let (path, wanted) = path.strip_suffix('!').map_or((path, true), |path| (path, false));
            (text(object, &format!("/{}", path.replace('.', "/"))) == value) == wanted
        };
        namespace.is_none_or(|namespace| text(object, "/metadata/namespace") == namespace)
            && labels.split(',').filter(|one| !one.is_empty()).all(label)
            && fields.split(',').filter(|one| !one.is_empty()).all(field)
    }

    /// What a watcher is told of a change: what is selected no more is deleted to it.
    pub(crate) fn sees(&self, change: &Change) -> Option<&'static str> {
        let was = change.before.as_ref().is_some_and(|before| self.selects(before));
        let is = !change.deleted && self.selects(&change.object);
        let of_these = self.path.ends_with(&format!("/{}", change.of));
        match (was, is) {
            (false, true) if of_these => Some("ADDED"),
            (true, true) if of_these => Some("MODIFIED"),
            (true, false) if of_these => Some("DELETED"),
            _ => None,
        }
    }

    /// What faults know it by.
    pub(crate) fn kind(&self) -> &str {
        match self.method.as_str() {
            "GET" if self.key.is_some() => "WAY",
            "POST" if self.path.ends_with("reviews") => "REVIEW",
            "GET" if self.path.ends_with("/log") => "LOG",
            "GET" if self.parameter("watch").is_some() => "WATCH",
            "GET" if self.path.ends_with("/pods") => "LIST",
            "POST" if self.path.ends_with("/binding") => "BIND",
            "POST" if self.path.ends_with("/services") => "SERVE",
            "GET" if self.path.ends_with("/services") => "SERVICES",
            method => method,
        }
    }
}
