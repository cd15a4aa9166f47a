//! A server that does what the test says: as much HTTP as the agent's client speaks.

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{TcpListener, TcpStream},
    sync::{Arc, Condvar, Mutex},
    thread,
    time::Duration,
};

use huisuan_api::{
    ErrorCode, Problem,
    agent::{
        Held, HeldAnswer, HeldTasks, Hello, LogRequest, Orders, PoolRating, Ratings, Reports, SequencedOrder, Taken,
        Welcome,
    },
};
use huisuan_model::{AttemptId, AttemptReport, EndCause, Order, PoolId, ReportKind};

const PATIENCE: Duration = Duration::from_secs(30);

#[derive(Clone)]
pub(crate) struct PretendedServer {
    url: String,
    shared: Arc<Shared>,
    _listening: Arc<Listening>,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    epoch: u64,
    reported_seq: u64,
    orders: Vec<Order>,
    questions: Vec<LogRequest>,
    answers: Vec<(String, Vec<u8>)>,
    tried: Vec<Reports>,
    taken: Vec<Reports>,
    ratings: Vec<PoolRating>,
    held: Vec<Vec<HeldTasks>>,
    differences: HeldAnswer,
    measure: Vec<PoolId>,
    hellos: u32,
    fresh: Vec<bool>,
    /// How many the last hello brought.
    pools: usize,
    failing_reports: u32,
    failing_ratings: u32,
    lost_answers: u32,
    hello_refusal: Option<ErrorCode>,
    /// A batch with a report of this attempt is refused for good.
    foreign: Option<AttemptId>,
}

/// Ends the listener when the last clone of the server is dropped.
struct Listening(std::net::SocketAddr, Arc<std::sync::atomic::AtomicBool>);

impl Drop for Listening {
    fn drop(&mut self) {
        self.1.store(true, std::sync::atomic::Ordering::SeqCst);
        // Wakes the accepting thread so that it sees the flag.
        let _ = TcpStream::connect(self.0);
    }
}

impl PretendedServer {
    pub(crate) fn new(epoch: u64) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address");
        let shared = Arc::new(Shared::default());
        shared.state.lock().expect("no panic").epoch = epoch;
        let gone = Arc::new(std::sync::atomic::AtomicBool::new(false));
        let (serving, flag) = (Arc::clone(&shared), Arc::clone(&gone));
        thread::spawn(move || {
            for stream in listener.incoming() {
                if flag.load(std::sync::atomic::Ordering::SeqCst) {
                    return;
                }
                let shared = Arc::clone(&serving);
                thread::spawn(move || serve(&shared, stream.expect("a connection")));
            }
        });
        PretendedServer { url: format!("http://{address}"), shared, _listening: Arc::new(Listening(address, gone)) }
    }

    pub(crate) fn url(&self) -> String {
        self.url.clone()
    }

    pub(crate) fn set_url(&mut self, url: String) {
        self.url = url;
    }

    fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let changed = change(&mut self.shared.state.lock().expect("no panic"));
        self.shared.changed.notify_all();
        changed
    }

    fn until<T>(&self, what: &str, done: impl Fn(&State) -> Option<T>) -> T {
        let state = self.shared.state.lock().expect("no panic");
        let (state, timeout) =
            self.shared.changed.wait_timeout_while(state, PATIENCE, |state| done(state).is_none()).expect("no panic");
        assert!(!timeout.timed_out(), "no {what} in {PATIENCE:?}; batches tried: {:#?}", state.tried);
        done(&state).expect("the wait ended because of it")
    }

    pub(crate) fn order(&self, order: Order) {
        self.change(|state| state.orders.push(order));
    }

    pub(crate) fn ask(&self, request: LogRequest) {
        self.change(|state| state.questions.push(request));
    }

    /// Another run of the server: it has forgotten its orders, not the reports.
    pub(crate) fn restart(&self, epoch: u64) {
        self.change(|state| {
            state.epoch = epoch;
            state.orders.clear();
        });
    }

    pub(crate) fn fail_reports(&self, count: u32) {
        self.change(|state| state.failing_reports = count);
    }

    pub(crate) fn fail_ratings(&self, count: u32) {
        self.change(|state| state.failing_ratings = count);
    }

    pub(crate) fn refuse_reports_of(&self, attempt: AttemptId) {
        self.change(|state| state.foreign = Some(attempt));
    }

    pub(crate) fn lose_answers(&self, count: u32) {
        self.change(|state| state.lost_answers = count);
    }

    /// What it answers when it is told what the engine holds.
    pub(crate) fn differ(&self, differences: HeldAnswer) {
        self.change(|state| state.differences = differences);
    }

    pub(crate) fn until_held(&self) -> Vec<HeldTasks> {
        self.until("comparison", |state| state.held.first().cloned())
    }

    pub(crate) fn refuse_hello(&self, code: ErrorCode) {
        self.change(|state| state.hello_refusal = Some(code));
    }

    /// What each hello said of its folder.
    pub(crate) fn fresh(&self) -> Vec<bool> {
        self.change(|state| state.fresh.clone())
    }

    /// How many pools the last hello told of.
    pub(crate) fn pools(&self) -> usize {
        self.change(|state| state.pools)
    }

    pub(crate) fn hellos(&self) -> u32 {
        self.change(|state| state.hellos)
    }

    pub(crate) fn tried(&self) -> Vec<Reports> {
        self.change(|state| state.tried.clone())
    }

    pub(crate) fn taken(&self) -> Vec<Reports> {
        self.change(|state| state.taken.clone())
    }

    pub(crate) fn ratings(&self) -> Vec<PoolRating> {
        self.change(|state| state.ratings.clone())
    }

    /// Has a pool measured with the next answer.
    pub(crate) fn measure(&self, pool: PoolId) {
        self.change(|state| state.measure.push(pool));
    }

    pub(crate) fn until_ratings(&self, count: usize) -> Vec<PoolRating> {
        self.until("ratings", |state| (state.ratings.len() >= count).then(|| state.ratings.clone()))
    }

    pub(crate) fn until_taken(&self, what: &str) -> Reports {
        self.until(what, |state| state.taken.first().cloned())
    }

    /// Waits until so many orders were refused by the site.
    pub(crate) fn until_refused(&self, count: usize) {
        let refused = |report: &AttemptReport| matches!(&report.what, ReportKind::Ended { outcome, .. } if outcome.cause == EndCause::Refused);
        self.until("refusal", |state| {
            let reports = state.taken.iter().flat_map(|batch| &batch.reports);
            (reports.filter(|report| refused(report)).count() >= count).then_some(())
        });
    }

    pub(crate) fn until_tried(&self, count: usize) {
        self.until("try", |state| (state.tried.len() >= count).then_some(()));
    }

    pub(crate) fn until_hellos(&self, count: u32) {
        self.until("hello", |state| (state.hellos >= count).then_some(()));
    }

    pub(crate) fn until_answers(&self, count: usize) -> Vec<(String, Vec<u8>)> {
        self.until("answers", |state| (state.answers.len() >= count).then(|| state.answers.clone()))
    }
}

/// One request for each connection.
fn serve(shared: &Shared, mut stream: TcpStream) {
    let mut reader = BufReader::new(stream.try_clone().expect("a second handle"));
    let mut head = Vec::new();
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).unwrap_or(0) == 0 {
            return;
        }
        if line.trim().is_empty() {
            break;
        }
        head.push(line.trim().to_owned());
    }
    let header = |name: &str| {
        head.iter().find_map(|line| {
            let (key, value) = line.split_once(':')?;
            key.eq_ignore_ascii_case(name).then(|| value.trim().to_owned())
        })
    };
    assert_eq!(header("authorization").as_deref(), Some("Bearer token"));
    let length = header("content-length").map_or(0, |text| text.parse().expect("a length"));
    let mut body = vec![0; length];
    reader.read_exact(&mut body).expect("a body");
    let target = head[0].split(' ').nth(1).expect("a path").to_owned();
    let Some((status, answer)) = answer(shared, &target, body) else { return };
    let kind = if status < 300 { "application/json" } else { "application/problem+json" };
    let head = format!(
        "HTTP/1.1 {status} X\r\ncontent-type: {kind}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
        answer.len()
    );
    // The agent may have been stopped in the meantime.
    let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(&answer));
}

/// Status and body; `None` hangs up without an answer.
fn answer(shared: &Shared, target: &str, body: Vec<u8>) -> Option<(u16, Vec<u8>)> {
    let path = target.split('?').next().unwrap_or(target);
    let mut state = shared.state.lock().expect("no panic");
    let found = match path {
        "/v1/agent/here/hello" => hello(&mut state, &body),
        "/v1/agent/here/reports" => reports(&mut state, &body)?,
        "/v1/agent/here/held" => {
            let held: Held = serde_json::from_slice(&body).expect("what is held");
            state.held.push(held.attempts);
            json(&state.differences)
        }
        "/v1/agent/here/orders" => {
            let after: u64 = parameter(target, "after");
            let wait = Duration::from_millis(parameter(target, "wait_ms"));
            let nothing = |state: &mut State| state.orders.len() as u64 <= after && state.questions.is_empty();
            state = shared.changed.wait_timeout_while(state, wait, nothing).expect("no panic").0;
            orders(&mut state, after)
        }
        "/v1/agent/here/ratings" if state.failing_ratings > 0 => {
            state.failing_ratings -= 1;
            problem(ErrorCode::Unavailable)
        }
        "/v1/agent/here/ratings" => {
            state.ratings.extend(serde_json::from_slice::<Ratings>(&body).expect("ratings").ratings);
            (204, Vec::new())
        }
        _ if path.starts_with("/v1/agent/here/logs/") => {
            state.answers.push((target.to_owned(), body));
            (204, Vec::new())
        }
        _ => problem(ErrorCode::NotFound),
    };
    drop(state);
    shared.changed.notify_all();
    Some(found)
}

fn parameter(target: &str, name: &str) -> u64 {
    let query = target.split_once('?').expect("a query").1;
    let value = query.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='));
    value.expect("a parameter").parse().expect("a number")
}

fn json(value: &impl serde::Serialize) -> (u16, Vec<u8>) {
    (200, serde_json::to_vec(value).expect("JSON"))
}

fn problem(code: ErrorCode) -> (u16, Vec<u8>) {
    (code.status(), serde_json::to_vec(&Problem::new(code, "pretended")).expect("JSON"))
}

fn hello(state: &mut State, body: &[u8]) -> (u16, Vec<u8>) {
    state.hellos += 1;
    let hello: Hello = serde_json::from_slice(body).expect("a hello");
    state.fresh.push(hello.fresh);
    state.pools = hello.pools.len();
    let unrated = hello.pools.into_iter().map(|pool| pool.id).collect();
    match state.hello_refusal {
        Some(code) => problem(code),
        None => json(&Welcome { protocol: 1, epoch: state.epoch, reported_seq: state.reported_seq, unrated }),
    }
}

fn orders(state: &mut State, after: u64) -> (u16, Vec<u8>) {
    let numbered = (1..).zip(&state.orders).filter(|(seq, _)| *seq > after);
    let orders = numbered.map(|(seq, order)| SequencedOrder { seq, order: order.clone() }).collect();
    json(&Orders {
        epoch: state.epoch,
        orders,
        log_requests: std::mem::take(&mut state.questions),
        measure: std::mem::take(&mut state.measure),
        channels: Vec::new(),
    })
}

fn reports(state: &mut State, body: &[u8]) -> Option<(u16, Vec<u8>)> {
    let batch: Reports = serde_json::from_slice(body).expect("a batch");
    state.tried.push(batch.clone());
    if batch.epoch != state.epoch {
        return Some(problem(ErrorCode::StaleEpoch));
    }
    if state.failing_reports > 0 {
        state.failing_reports -= 1;
        return Some(problem(ErrorCode::Unavailable));
    }
    if state.foreign.is_some_and(|foreign| batch.reports.iter().any(|report| report.attempt == foreign)) {
        return Some(problem(ErrorCode::Forbidden));
    }
    if batch.seq > state.reported_seq {
        state.reported_seq = batch.seq;
        state.taken.push(batch.clone());
    }
    if state.lost_answers > 0 {
        state.lost_answers -= 1;
        return None;
    }
    Some(json(&Taken { seq: batch.seq }))
}
