//! The clients against a server of one answer.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::TcpListener,
    thread::JoinHandle,
    time::Duration,
};

use huisuan_model::{AttemptId, AttemptReport, CentreId, JobId, JobSpec, ReportKind, Stream, TimeMs};
use serde_json::json;

use super::*;
use crate::{
    agent::{LogAnswer, Reports},
    problem::{ErrorCode, PROBLEM_MEDIA_TYPE, Problem},
};

/// Answers one request and hands it back.
struct Once {
    url: String,
    thread: JoinHandle<String>,
}

impl Once {
    fn new(status: &str, media_type: &str, body: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let answer = format!(
            "HTTP/1.1 {status}\r\ncontent-type: {media_type}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
            body.len()
        );
        let thread = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().expect("a connection");
            let mut reader = BufReader::new(stream.try_clone().expect("a second handle"));
            let mut request = String::new();
            let mut length = 0;
            loop {
                let mut line = String::new();
                reader.read_line(&mut line).expect("a line");
                if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                    length = value.trim().parse().expect("a length");
                }
                request.push_str(&line);
                if line == "\r\n" {
                    break;
                }
            }
            let mut body = vec![0; length];
            reader.read_exact(&mut body).expect("a body");
            stream.write_all(answer.as_bytes()).expect("an answer sent");
            request + &String::from_utf8(body).expect("text")
        });
        Once { url, thread }
    }

    fn json(value: &serde_json::Value) -> Self {
        Once::new("200 OK", "application/json", &value.to_string())
    }

    fn client(&self) -> Client {
        Client::new(&self.url, Some("secret")).expect("a client")
    }

    fn agent(&self) -> AgentClient {
        AgentClient::new(&self.url, Some("secret"), CentreId::new("hpc-1").expect("a name")).expect("a client")
    }

    fn request(self) -> String {
        self.thread.join().expect("the server had no fault")
    }
}

#[test]
fn a_submission_carries_key_token_and_file() {
    let once = Once::new("201 Created", "application/json", r#"{"job_id": 7, "state": "waiting", "new": 1}"#);
    let job = JobRequest(JobSpec::command("hello", &["/bin/true"]));
    let created = once.client().submit(&job, Some("k-1")).expect("submitted");
    assert_eq!((created.job_id, created.state.as_str()), (7, "waiting"));
    let request = once.request();
    let (head, body) = request.split_once("\r\n\r\n").expect("head and body");
    assert!(head.starts_with("POST /v1/jobs HTTP/1.1\r\n"), "{head}");
    for header in ["idempotency-key: k-1", "authorization: Bearer secret", "content-type: application/json"] {
        assert!(head.lines().any(|line| line == header), "{header}: {head}");
    }
    assert_eq!(crate::spec::read_job_file(body), Ok(job.0));
}

#[test]
fn a_refusal_is_a_problem_with_hint_and_exit_code() {
    let problem = Problem::new(ErrorCode::NeverFits, "cores: 9 is more than any pool has");
    let body = serde_json::to_string(&problem).expect("JSON");
    let once = Once::new("422 Unprocessable Content", PROBLEM_MEDIA_TYPE, &body);
    let error = once.client().job(7).expect_err("refused");
    assert_eq!((error.exit_code(), error.hint()), (3, problem.hint.clone()));
    assert_eq!(error.problem(), Some(&problem));
    assert!(once.request().starts_with("GET /v1/jobs/7 HTTP/1.1\r\n"));
}

#[test]
fn other_answers_are_not_understood() {
    let check = |status: &str, media_type: &str, body: &str| {
        let once = Once::new(status, media_type, body);
        let error = once.client().centres().expect_err(body);
        assert!(matches!(error, ClientError::Answer { .. }), "{error}");
        once.request();
    };
    check("200 OK", "text/html", "<html>");
    check("404 Not Found", "text/html", "<html>");
    check("404 Not Found", PROBLEM_MEDIA_TYPE, "{}");
    check("302 Found", "text/plain", "");
}

#[test]
fn nobody_there_is_a_connection_error() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    drop(listener);
    let error = Client::new(&url, None).expect("a client").health().expect_err("nobody there");
    assert!(matches!(error, ClientError::Connection { .. }), "{error}");
    assert!(error.hint().contains("huisuan demo"), "{}", error.hint());
    assert!(error.retryable());
    assert!(Client::new(&url, Some("a\nb")).is_err());
}

#[test]
fn output_is_read_as_it_is() {
    let once = Once::new("200 OK", "text/plain", "line\n\u{0}\n");
    let query = LogsQuery { task: Some(3), stream: Stream::Stderr, follow: true, offset: 5 };
    let mut text = String::new();
    once.client().logs(12, &query).expect("a stream").read_to_string(&mut text).expect("text");
    assert_eq!(text, "line\n\u{0}\n");
    let request = once.request();
    let target = "GET /v1/jobs/12/logs?follow=true&offset=5&stream=stderr&task=3 HTTP/1.1\r\n";
    assert!(request.starts_with(target), "{request}");
}

#[test]
fn events_keep_their_place() {
    let event = json!({"seq": 9, "at": "2026-03-01T08:30:00.000Z", "kind": "job-submitted", "job_id": 1, "data": {}});
    let once = Once::new("200 OK", "text/event-stream", &format!(": hello\n\nid: 9\nevent: x\ndata: {event}\n\n"));
    let mut events = once.client().events(Some(8)).expect("a stream");
    let first = events.next().expect("an event").expect("understood");
    assert_eq!((first.seq, first.kind.as_str(), first.job_id), (9, "job-submitted", Some(1)));
    assert_eq!(events.last_id(), Some("9"));
    assert!(events.next().is_none());
    assert!(once.request().starts_with("GET /v1/events?after=8 HTTP/1.1\r\n"));
}

#[test]
fn agents_speak_for_their_centre() {
    let orders =
        Once::json(&json!({"epoch": 3, "orders": [{"seq": 5, "order": {"stop": "1.0.1"}}], "log_requests": []}));
    let answer = orders.agent().orders(3, 4, Duration::from_secs(3600)).expect("orders");
    assert_eq!((answer.epoch, answer.orders[0].seq), (3, 5));
    let request = orders.request();
    assert!(request.starts_with("GET /v1/agent/hpc-1/orders?after=4&epoch=3&wait_ms=30000 HTTP/1.1\r\n"), "{request}");

    let reports = Once::json(&json!({"seq": 2}));
    let attempt = AttemptId { job: JobId(1), task: 0, attempt: 1 };
    let news = AttemptReport { attempt, at: TimeMs(1), what: ReportKind::Started };
    let sent = Reports { epoch: 3, seq: 2, reports: vec![news] };
    assert_eq!(reports.agent().reports(&sent).expect("taken").seq, 2);
    let request = reports.request();
    let body = request.split_once("\r\n\r\n").expect("a body").1;
    assert_eq!(serde_json::from_str::<Reports>(body).expect("reports"), sent);

    let logs = Once::new("204 No Content", "text/plain", "");
    let answer = LogAnswer { offset: 7, end: true, error: Some("no such file".into()) };
    logs.agent().answer_logs(11, &answer, b"bytes").expect("taken");
    let request = logs.request();
    let target = "POST /v1/agent/hpc-1/logs/11?end=true&error=no%20such%20file&offset=7 HTTP/1.1\r\n";
    assert!(request.starts_with(target), "{request}");
    assert!(request.ends_with("\r\n\r\nbytes"), "{request}");
}
