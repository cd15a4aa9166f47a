//! `bench submit`: how many submissions a server acknowledges, and how fast.
//!
//! The generator shares the machine with the server it measures, so it does as little as possible: one
//! thread, plain sockets, requests built once and patched in place. Every connection waits for its
//! answer before it sends the next request, as a real client does.

use std::{
    cell::Cell as Counter,
    rc::Rc,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use serde::Serialize;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::{
    args::BenchSubmitArgs,
    failure::{Exit, Failure},
    session::Session,
    table::{Cell, Listing},
    text,
};

/// The answer of `bench submit -o json`.
#[derive(Debug, Serialize)]
struct Report {
    submitted: u64,
    per_s: f64,
    p50_ms: f64,
    p99_ms: f64,
    max_ms: f64,
    clients: u32,
    elapsed_ms: u64,
    /// Processor time of the generator itself, which the server did not have.
    client_cpu_ms: u64,
    mark: &'static str,
}

/// The longest that one answer may take.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(60);
/// The largest answer read.
const ANSWER_BYTES_MAX: usize = 64 * 1024;
/// Digits of the counter in an idempotency key.
const KEY_DIGITS: usize = 10;

/// Runs the generator.
pub(crate) fn submit(session: &Session, args: &BenchSubmitArgs) -> Result<(), Failure> {
    let (token, url) = (session.target()?.token, session.client()?.url());
    let authority = url.trim_start_matches("http://");
    let request = Request::new(authority, token.as_deref(), args);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let cpu_before = cpu_time();
    let began = Instant::now();
    let latencies_ns = tokio::task::LocalSet::new().block_on(&runtime, drive(authority, &request, args))?;
    let elapsed = began.elapsed();
    let report = report(latencies_ns, elapsed, cpu_time().saturating_sub(cpu_before), args.clients);
    session.output.one(&report, || listing(&report), |output| output.table(&listing(&report)))
}

/// One request with room for its number: in its key, and in the name of its job where every job is another.
#[derive(Debug, Clone)]
struct Request {
    bytes: Vec<u8>,
    digits_at: Vec<usize>,
}

impl Request {
    fn new(authority: &str, token: Option<&str>, args: &BenchSubmitArgs) -> Request {
        let zeros = format!("{:0KEY_DIGITS$}", 0);
        let name = if args.distinct { format!("bench-{zeros}") } else { "bench".to_owned() };
        let mut job = serde_json::json!({ "name": name, "command": [args.command] });
        if let Some(centre) = &args.park {
            job["centres"] = serde_json::json!([centre]);
        }
        let body = job.to_string();
        // Unique among all runs: a key of an earlier run would be answered without a new job.
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let run = format!("{:x}-{:x}", since.as_nanos(), std::process::id());
        let authorization = token.map(|token| format!("authorization: Bearer {token}\r\n")).unwrap_or_default();
        let head = format!(
            "POST /v1/jobs HTTP/1.1\r\nhost: {authority}\r\n{authorization}content-type: application/json\r\n\
             content-length: {}\r\nidempotency-key: bench-{run}-",
            body.len()
        );
        let text = format!("{head}{zeros}\r\n\r\n{body}");
        let of_name = args.distinct.then(|| text.rfind(&name)).flatten().map(|at| at + name.len() - KEY_DIGITS);
        Request { digits_at: std::iter::once(head.len()).chain(of_name).collect(), bytes: text.into_bytes() }
    }

    fn number(&mut self, number: u64) {
        let digits = format!("{number:0KEY_DIGITS$}");
        for &at in &self.digits_at {
            self.bytes[at..at + KEY_DIGITS].copy_from_slice(digits.as_bytes());
        }
    }
}

/// All connections together; the first error ends them all.
async fn drive(authority: &str, request: &Request, args: &BenchSubmitArgs) -> Result<Vec<u64>, Failure> {
    let next = Rc::new(Counter::new(0));
    let mut connections = Vec::new();
    for _ in 0..u64::from(args.clients).min(args.jobs) {
        let connect = TcpStream::connect(authority.to_owned());
        let (request, next, jobs) = (request.clone(), Rc::clone(&next), args.jobs);
        connections.push(tokio::task::spawn_local(async move {
            let stream = connect.await?;
            stream.set_nodelay(true)?;
            connection(stream, request, &next, jobs).await
        }));
    }
    let mut latencies_ns = Vec::new();
    for connection in connections {
        latencies_ns.extend(connection.await.expect("a connection does not panic")?);
    }
    Ok(latencies_ns)
}

async fn connection(
    mut stream: TcpStream,
    mut request: Request,
    next: &Counter<u64>,
    jobs: u64,
) -> Result<Vec<u64>, Failure> {
    let mut latencies_ns = Vec::new();
    let mut answer = Vec::with_capacity(4096);
    while next.get() < jobs {
        let number = next.get();
        next.set(number + 1);
        request.number(number);
        let began = Instant::now();
        stream.write_all(&request.bytes).await?;
        tokio::time::timeout(ANSWER_TIMEOUT, read_answer(&mut stream, &mut answer))
            .await
            .map_err(|_| Failure::new(Exit::Timeout, "an answer took more than 60 s").hint("see `huisuan doctor`"))??;
        latencies_ns.push(u64::try_from(began.elapsed().as_nanos()).unwrap_or(u64::MAX));
    }
    Ok(latencies_ns)
}

/// Reads one whole answer; anything but 201 is a failure.
async fn read_answer(stream: &mut TcpStream, answer: &mut Vec<u8>) -> Result<(), Failure> {
    answer.clear();
    loop {
        if stream.read_buf(answer).await? == 0 {
            return Err(Failure::new(Exit::Error, "the server closed a connection").hint("see the server's log"));
        }
        if let Some((status, body_at, length)) = head(answer)? {
            if status != 201 && answer.len() >= body_at + length {
                return Err(refused(status, &answer[body_at..body_at + length]));
            }
            if answer.len() >= body_at + length {
                return Ok(());
            }
        }
        if answer.len() > ANSWER_BYTES_MAX {
            return Err(Failure::new(Exit::Error, "an answer is larger than 64 KiB"));
        }
    }
}

/// Status, where the body begins and how long it is; `None` while the head is not complete.
fn head(answer: &[u8]) -> Result<Option<(u16, usize, usize)>, Failure> {
    let mut headers = [httparse::EMPTY_HEADER; 32];
    let mut response = httparse::Response::new(&mut headers);
    let parsed =
        response.parse(answer).map_err(|error| Failure::new(Exit::Error, format!("no HTTP answer: {error}")))?;
    let httparse::Status::Complete(body_at) = parsed else {
        return Ok(None);
    };
    let length = response
        .headers
        .iter()
        .find(|header| header.name.eq_ignore_ascii_case("content-length"))
        .and_then(|header| std::str::from_utf8(header.value).ok()?.parse().ok())
        .ok_or_else(|| Failure::new(Exit::Error, "an answer has no content-length"))?;
    Ok(Some((response.code.unwrap_or(0), body_at, length)))
}

fn refused(status: u16, body: &[u8]) -> Failure {
    match serde_json::from_slice::<huisuan_api::Problem>(body) {
        Ok(problem) => Failure::from(problem),
        Err(_) => Failure::new(Exit::Error, format!("a submission was answered with status {status}")),
    }
}

fn report(mut latencies_ns: Vec<u64>, elapsed: Duration, cpu: Duration, clients: u32) -> Report {
    latencies_ns.sort_unstable();
    let ms = |per_mille| percentile(&latencies_ns, per_mille) as f64 / 1e6;
    Report {
        submitted: latencies_ns.len() as u64,
        per_s: (latencies_ns.len() as f64 / elapsed.as_secs_f64() * 10.0).round() / 10.0,
        p50_ms: ms(500),
        p99_ms: ms(990),
        max_ms: ms(1000),
        clients,
        elapsed_ms: u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX),
        client_cpu_ms: u64::try_from(cpu.as_millis()).unwrap_or(u64::MAX),
        mark: "measured",
    }
}

/// The smallest value that at least so many thousandths of all values do not exceed.
fn percentile(sorted: &[u64], per_mille: usize) -> u64 {
    let rank = (sorted.len() * per_mille).div_ceil(1000).max(1);
    sorted.get(rank - 1).copied().unwrap_or(0)
}

fn listing(report: &Report) -> Listing {
    let mut listing = Listing::new(&["submitted", "per_s", "p50", "p99", "max", "clients", "client_cpu_ms"]);
    let ms = |value: f64| Cell::figure(format!("{value:.2} ms"), value);
    listing.row(vec![
        Cell::figure(text::grouped(report.submitted), report.submitted),
        Cell::figure(format!("{:.0}", report.per_s), report.per_s),
        ms(report.p50_ms),
        ms(report.p99_ms),
        ms(report.max_ms),
        Cell::figure(report.clients, report.clients),
        Cell::figure(text::span(report.client_cpu_ms), report.client_cpu_ms),
    ]);
    listing
}

fn cpu_time() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    Duration::new(u64::try_from(time.tv_sec).unwrap_or(0), u32::try_from(time.tv_nsec).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_values_that_were_measured() {
        let sorted: Vec<u64> = (1..=200).collect();
        assert_eq!(percentile(&sorted, 500), 100);
        assert_eq!(percentile(&sorted, 990), 198);
        assert_eq!(percentile(&sorted, 1000), 200);
        assert_eq!(percentile(&[7], 500), 7);
        assert_eq!(percentile(&[], 500), 0);
    }

    #[test]
    fn every_request_has_a_key_of_its_own_and_a_true_length() {
        for distinct in [false, true] {
            let args = BenchSubmitArgs { clients: 1, jobs: 2, park: None, distinct, command: "/bin/true".to_owned() };
            let mut request = Request::new("127.0.0.1:1", Some("secret"), &args);
            let before = request.bytes.clone();
            request.number(42);
            assert_eq!(before.len(), request.bytes.len());
            let text = String::from_utf8(request.bytes).expect("text");
            assert!(text.contains("-0000000042\r\n\r\n{"), "{text}");
            assert!(text.contains("authorization: Bearer secret\r\n"), "{text}");
            let (head, body) = text.split_once("\r\n\r\n").expect("a head and a body");
            assert!(head.contains(&format!("content-length: {}\r\n", body.len())), "{text}");
            assert_eq!(body.contains("\"bench-0000000042\""), distinct, "{text}");
        }
    }

    #[test]
    fn an_answer_is_complete_when_its_body_is() {
        let text = b"HTTP/1.1 201 Created\r\ncontent-length: 2\r\n\r\n{}";
        assert!(matches!(head(text), Ok(Some((201, 43, 2)))), "{:?}", head(text));
        assert!(matches!(head(&text[..30]), Ok(None)));
        assert!(head(b"HTTP/1.1 201 Created\r\n\r\n").is_err());
        assert!(head(b"SMTP ready\r\n").is_err());
    }
}
