//! A server on a scratch folder, and an agent that says what a test wants it to say.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use huisuan_api::{
    AgentClient, Client, ErrorCode, Problem,
    agent::{Hello, PROTOCOL, PoolRating, Ratings, Reports},
    problem::PROBLEM_MEDIA_TYPE,
};
use huisuan_model::{
    AttemptId, AttemptReport, Bytes, Centre, CentreId, Class, EndCause, EngineKind, Entry, GflopPerS, Mark,
    MilliDevices, Millicores, Money, Order, Outcome, Pool, PoolId, Rating, ReportKind, StartOrder, Tariff, TimeMs,
    Usage,
};
use huisuan_server::{LOCAL_FUNDS, ServeConfig, Server};
use huisuan_store::Reader;
use serde_json::{Value, json};

use crate::{
    document::Document,
    plain::{Answer, Request},
};

pub(crate) struct Network {
    pub(crate) server: Server,
    pub(crate) address: SocketAddr,
    document: Document,
    data: PathBuf,
    // Removed last: the server has files in it.
    _folder: tempfile::TempDir,
}

pub(crate) fn centre_id(name: &str) -> CentreId {
    CentreId::new(name).expect("a name")
}

/// A job that asks for little.
pub(crate) fn small_job() -> Value {
    json!({"command": ["/bin/true"], "memory": "1MiB", "walltime": "1m"})
}

impl Network {
    /// A server without centres.
    pub(crate) fn empty() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let data = folder.path().join("data");
        let server = Server::start(ServeConfig {
            data: data.clone(),
            listen: "127.0.0.1:0".parse().expect("an address"),
            seed: 1,
            funds: LOCAL_FUNDS,
            discovery: None,
        })
        .expect("a server");
        let address: SocketAddr = server.url().trim_start_matches("http://").parse().expect("an address");
        let document = Document::of(&Request::get("/v1/openapi.json").send(address));
        Network { server, address, document, data, _folder: folder }
    }

    /// A server with the paused centre `hpc-1` of 32 cores: jobs wait there until it is opened.
    pub(crate) fn paused() -> Self {
        let network = Network::empty();
        network.declare("hpc-1", Class::Hpc);
        network.client().pause("hpc-1").expect("paused");
        network.agent("hpc-1").join(Class::Hpc, 32);
        network
    }

    pub(crate) fn declare(&self, name: &str, class: Class) {
        let centre = Centre::new(
            centre_id(name),
            class,
            EngineKind::Local,
            "Asia/Shanghai",
            Tariff { currency: "CNY".into(), price_per_p_h: Money(2_400_000_000) },
        );
        self.server.set_centre(centre).expect("a centre");
    }

    pub(crate) fn client(&self) -> Client {
        Client::new(&self.server.url(), Some(self.server.token())).expect("a client")
    }

    pub(crate) fn agent(&self, name: &str) -> Agent {
        let token = self.server.agent_token(&centre_id(name));
        let client = AgentClient::new(&self.server.url(), Some(&token), centre_id(name)).expect("a client");
        Agent { client, epoch: 0, seq: 0, after: 0 }
    }

    /// Sends a request and checks the answer against the OpenAPI document.
    pub(crate) fn send(&self, request: &Request) -> Answer {
        let answer = request.send(self.address);
        self.document.check(request, &answer);
        assert!(!answer.header("x-request-id").is_empty(), "{request:?}: {answer:?}");
        answer
    }

    pub(crate) fn submit(&self, job: &Value) -> u64 {
        let answer = self.send(&Request::post("/v1/jobs").json(job.to_string()));
        assert_eq!(answer.status, 201, "{}", answer.text());
        answer.value()["job_id"].as_u64().expect("a number")
    }

    /// The whole journal, read beside the server.
    pub(crate) fn journal(&self) -> Vec<Entry> {
        let reader = Reader::open(&self.data.join("huisuan.db")).expect("a reader");
        reader.entries(0, 1_000_000).expect("entries")
    }

    /// The request is refused with one clear problem, and nothing changes.
    #[track_caller]
    pub(crate) fn refused(&self, request: &Request, code: ErrorCode) -> Problem {
        let before = self.journal().len();
        let answer = self.send(request);
        let problem = problem(&answer);
        assert_eq!((problem.code, answer.status), (code, code.status()), "{request:?}: {problem:?}");
        assert_eq!(self.journal().len(), before, "a refusal left an entry: {request:?}");
        problem
    }
}

/// The problem that an answer is, with everything that a problem must have.
#[track_caller]
pub(crate) fn problem(answer: &Answer) -> Problem {
    assert_eq!(answer.media_type(), PROBLEM_MEDIA_TYPE, "{}: {}", answer.status, answer.text());
    let problem: Problem = serde_json::from_slice(&answer.body).expect("one problem and nothing after it");
    assert_eq!((problem.status, &*problem.request_id), (answer.status, answer.header("x-request-id")), "{problem:?}");
    assert_eq!(problem.kind, format!("urn:huisuan:error:{}", problem.code));
    for text in [&problem.title, &problem.detail, &problem.hint] {
        assert!(!text.trim().is_empty() && text.len() < 2000 && !text.contains(['\n', '\0']), "{problem:?}");
    }
    problem
}

/// An agent that runs nothing.
pub(crate) struct Agent {
    pub(crate) client: AgentClient,
    pub(crate) epoch: u64,
    pub(crate) seq: u64,
    after: u64,
}

pub(crate) fn pool(class: Class, cores: u64) -> Pool {
    Pool {
        id: PoolId::new("cpu:test").expect("a name"),
        class,
        cores: Millicores(cores * 1000),
        memory: Bytes(64 << 30),
        devices: MilliDevices(0),
        device_memory: Bytes(0),
        rating: None,
        images: false,
        topology: None,
    }
}

pub(crate) fn hello(class: Class, cores: u64) -> Hello {
    let pools = vec![pool(class, cores)];
    Hello { protocol: PROTOCOL, pools, engine: EngineKind::Local, memory_mode: "watched".into(), fresh: false }
}

impl Agent {
    /// Says hello with one pool and rates it.
    pub(crate) fn join(&mut self, class: Class, cores: u64) {
        let welcome = self.client.hello(&hello(class, cores)).expect("welcome");
        (self.epoch, self.seq, self.after) = (welcome.epoch, welcome.reported_seq, 0);
        self.rate(class, cores, 30 * cores);
    }

    /// Says that its pool sustains so many GFLOP/s.
    pub(crate) fn rate(&mut self, class: Class, cores: u64, sustained: u64) {
        let rating = Rating {
            version: 0,
            sustained: GflopPerS(sustained),
            nameplate: GflopPerS(60 * cores),
            method: "test/1".into(),
            mark: Mark::Measured,
            rated_at: TimeMs(1),
            certificate: None,
            doubt: None,
        };
        let rating = PoolRating { pool: pool(class, cores).id, rating };
        self.client.ratings(&Ratings { ratings: vec![rating] }).expect("rated");
    }

    /// The next `count` orders to start something.
    pub(crate) fn starts(&mut self, count: usize) -> Vec<StartOrder> {
        let mut starts = Vec::new();
        while starts.len() < count {
            let pulled = self.client.orders(self.epoch, self.after, Duration::from_secs(20)).expect("orders");
            assert!(!pulled.orders.is_empty(), "{} of {count} orders came", starts.len());
            self.after = pulled.orders.last().map_or(self.after, |order| order.seq);
            starts.extend(pulled.orders.into_iter().filter_map(|order| match order.order {
                Order::Start(start) => Some(*start),
                Order::Stop(_) => None,
            }));
        }
        starts
    }

    pub(crate) fn reports(&self, reports: Vec<AttemptReport>) -> Reports {
        Reports { epoch: self.epoch, seq: self.seq + 1, reports }
    }

    pub(crate) fn report(&mut self, reports: Vec<AttemptReport>) {
        self.client.reports(&self.reports(reports)).expect("taken");
        self.seq += 1;
    }
}

pub(crate) fn started(attempt: AttemptId) -> AttemptReport {
    AttemptReport { attempt, at: TimeMs(1), what: ReportKind::Started }
}

pub(crate) fn ended(attempt: AttemptId, exit_code: i32) -> AttemptReport {
    let outcome = Outcome { cause: EndCause::Exited, exit_code: Some(exit_code), signal: None, detail: String::new() };
    let what = ReportKind::Ended { started_at: Some(TimeMs(1)), outcome, usage: Usage::default() };
    AttemptReport { attempt, at: TimeMs(2), what }
}
