//! A server of one thread for each connection that gives canned answers, so that formats and exit codes are tested
//! without a network.

use std::{
    collections::BTreeMap,
    io::{BufRead, BufReader, Write},
    net::{TcpListener, TcpStream},
    sync::{Arc, Mutex},
    thread,
};

use serde_json::Value;

/// Status, media type, body.
pub(crate) type Answer = (u16, &'static str, String);

/// A request as it came.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    pub(crate) line: String,
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) body: String,
}

/// Answers `"METHOD /path"` with what is in the map, everything else with a problem.
pub(crate) struct Fake {
    pub(crate) url: String,
    seen: Arc<Mutex<Vec<Request>>>,
}

impl Fake {
    /// Listens on a free port until the test's process ends.
    pub(crate) fn start(answers: &[(&str, Answer)]) -> Fake {
        let answers: BTreeMap<String, Answer> =
            answers.iter().map(|(line, answer)| ((*line).to_owned(), answer.clone())).collect();
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let seen = Arc::new(Mutex::new(Vec::new()));
        let (answers, record) = (Arc::new(answers), Arc::clone(&seen));
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (answers, record) = (Arc::clone(&answers), Arc::clone(&record));
                thread::spawn(move || serve(&stream, &answers, &record));
            }
        });
        Fake { url, seen }
    }

    /// All requests so far.
    pub(crate) fn seen(&self) -> Vec<Request> {
        self.seen.lock().expect("no test thread panicked").clone()
    }
}

/// A JSON answer.
pub(crate) fn json(status: u16, body: &Value) -> Answer {
    (status, "application/json", body.to_string())
}

/// An RFC 9457 answer.
pub(crate) fn problem(status: u16, code: &str, detail: &str, hint: &str) -> Answer {
    let body = serde_json::json!({
        "type": format!("urn:huisuan:error:{code}"), "title": "a title", "status": status, "detail": detail,
        "code": code, "hint": hint, "request_id": "1-1"
    });
    (status, "application/problem+json", body.to_string())
}

fn serve(stream: &TcpStream, answers: &BTreeMap<String, Answer>, seen: &Mutex<Vec<Request>>) {
    let mut reader = BufReader::new(stream);
    while let Some(request) = read(&mut reader) {
        let answer = answers.get(&request.line).cloned();
        let line = request.line.clone();
        seen.lock().expect("no test thread panicked").push(request);
        let (status, media, body) =
            answer.unwrap_or_else(|| problem(404, "not-found", &format!("no answer for {line}"), "a hint"));
        let text = format!(
            "HTTP/1.1 {status} Status\r\ncontent-type: {media}\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        );
        if (&mut &*stream).write_all(text.as_bytes()).is_err() {
            return;
        }
    }
}

fn read(reader: &mut impl BufRead) -> Option<Request> {
    let mut line = String::new();
    reader.read_line(&mut line).ok().filter(|&read| read > 0)?;
    let line = line.trim_end().trim_end_matches(" HTTP/1.1").to_owned();
    let mut headers = BTreeMap::new();
    loop {
        let mut header = String::new();
        reader.read_line(&mut header).ok()?;
        let Some((name, value)) = header.trim_end().split_once(": ") else {
            break;
        };
        headers.insert(name.to_ascii_lowercase(), value.to_owned());
    }
    let length = headers.get("content-length").and_then(|value| value.parse().ok()).unwrap_or(0);
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some(Request { line, headers, body: String::from_utf8_lossy(&body).into_owned() })
}
