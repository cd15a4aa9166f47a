//! Pages as a browser gets them from a running server, with a centre that the test plays.

use std::{
    io::{Read, Write},
    net::TcpStream,
    time::Duration,
};

use huisuan_api::{
    AgentClient, Client, Timestamp,
    agent::{Hello, PROTOCOL, PoolRating, Ratings, Reports},
    jobs::JobRequest,
};
use huisuan_model::{
    AttemptReport, Bytes, Centre, CentreId, Class, DurationMs, EndCause, EngineKind, GflopPerS, JobSpec, Mark,
    MilliDevices, Millicores, Money, Order, Outcome, Pool, PoolId, RangeSet, Rating, ReportKind, Tariff, TimeMs, Usage,
};
use serde_json::json;
use tempfile::TempDir;

use super::numbers;
use crate::{ServeConfig, Server, Simulation, Title};

/// A server with one centre.
struct Network {
    server: Server,
    client: Client,
    _data: TempDir,
}

fn centre_id() -> CentreId {
    CentreId::new("hpc-1").expect("a name")
}

fn pool_id() -> PoolId {
    PoolId::new("cpu:test").expect("a name")
}

impl Network {
    fn start() -> Network {
        let data = tempfile::tempdir().expect("a scratch folder");
        let server = Server::start(ServeConfig {
            data: data.path().join("data"),
            listen: "127.0.0.1:0".parse().expect("an address"),
            seed: 1,
            funds: Money(1_000_000_000),
            discovery: None,
        })
        .expect("a server");
        let client = Client::new(&server.url(), Some(server.token())).expect("a client");
        Network { server, client, _data: data }
    }

    fn add_centre(&self) {
        self.add_centre_of(EngineKind::Local);
    }

    fn add_centre_of(&self, engine: EngineKind) {
        let centre = Centre {
            overlapping: true,
            ..Centre::new(
                centre_id(),
                Class::Hpc,
                engine,
                "Asia/Shanghai",
                Tariff { currency: "CNY".to_owned(), price_per_p_h: Money(2_400_000_000) },
            )
        };
        self.server.set_centre(centre).expect("a centre");
    }

    /// Plays the centre's agent: joins, rates its pool, takes the first order and reports its end.
    fn run_one(&self) {
        let centre = centre_id();
        let agent = AgentClient::new(&self.server.url(), Some(&self.server.agent_token(&centre)), centre);
        let agent = agent.expect("a client");
        let pool = Pool {
            id: pool_id(),
            class: Class::Hpc,
            cores: Millicores(2000),
            memory: Bytes(2 << 30),
            devices: MilliDevices::ZERO,
            device_memory: Bytes::ZERO,
            rating: None,
            images: false,
            topology: None,
        };
        let engine = EngineKind::Local;
        let hello =
            Hello { protocol: PROTOCOL, pools: vec![pool], engine, memory_mode: "watched".to_owned(), fresh: false };
        let welcome = agent.hello(&hello).expect("a welcome");
        let rating = Rating {
            version: 0,
            sustained: GflopPerS(42),
            nameplate: GflopPerS(84),
            method: "test-method/1".to_owned(),
            mark: Mark::Measured,
            rated_at: TimeMs(1_700_000_000_000),
            certificate: None,
            doubt: None,
        };
        agent.ratings(&Ratings { ratings: vec![PoolRating { pool: pool_id(), rating }] }).expect("a rating");
        let orders = agent.orders(welcome.epoch, 0, Duration::from_secs(30)).expect("orders").orders;
        let Some(Order::Start(start)) = orders.first().map(|order| &order.order) else {
            panic!("the first order is no start: {orders:?}")
        };
        // The server holds these to the time between its order and now.
        let (from, to) = (TimeMs(1_700_000_000_000), TimeMs(1_700_000_010_000));
        let outcome = Outcome { cause: EndCause::Exited, exit_code: Some(7), signal: None, detail: HOSTILE.to_owned() };
        let usage =
            Usage { wall: DurationMs(10_000), cpu: DurationMs(9000), memory_peak: Bytes(3 << 20), ..Usage::default() };
        let ended = ReportKind::Ended { started_at: Some(from), outcome, usage };
        let reports = vec![AttemptReport { attempt: start.attempt, at: to, what: ended }];
        let seq = welcome.reported_seq + 1;
        agent.reports(&Reports { epoch: welcome.epoch, seq, reports }).expect("taken");
    }

    fn submit(&self, spec: JobSpec) -> u64 {
        self.client.submit(&JobRequest(spec), None).expect("a job").job_id
    }

    /// Status, head and body of a GET, as a browser without a token sends it.
    fn get(&self, path: &str, language: &str) -> (u16, String, String) {
        let address = self.server.url().replace("http://", "");
        let mut stream = TcpStream::connect(&address).expect("a connection");
        let request = format!(
            "GET {path} HTTP/1.1\r\nhost: {address}\r\naccept-language: {language}\r\nconnection: close\r\n\r\n"
        );
        stream.write_all(request.as_bytes()).expect("sent");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("an answer in UTF-8");
        let (head, body) = answer.split_once("\r\n\r\n").expect("a head and a body");
        let status = head.split(' ').nth(1).and_then(|word| word.parse().ok()).expect("a status");
        (status, head.to_ascii_lowercase(), body.to_owned())
    }

    #[track_caller]
    fn page(&self, path: &str, status: u16) -> String {
        let (found, head, body) = self.get(path, "en");
        assert_eq!(found, status, "{path}: {body}");
        assert!(head.contains("content-type: text/html; charset=utf-8"), "{path}: {head}");
        clean(path, &body);
        body
    }
}

/// Text that would do harm if it were not escaped.
const HOSTILE: &str = "</pre><script>alert(1)</script><img src=x onerror=\"alert(2)\">'";

fn hostile() -> JobSpec {
    let mut spec = JobSpec::command("night-run", &["/bin/sh", "-c", HOSTILE]);
    spec.environment.insert("HARM".to_owned(), HOSTILE.to_owned());
    spec
}

/// The content security policy allows only scripts, styles and pictures with an address of our own.
#[track_caller]
fn clean(path: &str, body: &str) {
    assert_eq!(body.matches("<script").count(), body.matches("<script src=\"/assets/").count(), "{path}");
    for never in [" style=", "<style", "<img", " onerror=\"", "javascript:", "href=\"http", "src=\"http"] {
        assert!(!body.contains(never), "{path} has {never}");
    }
}

#[track_caller]
fn has(body: &str, texts: &[&str]) {
    for text in texts {
        assert!(body.contains(text), "`{text}` is missing in {body}");
    }
}

#[test]
fn an_empty_network_says_so() {
    let network = Network::start();
    has(&network.page("/", 200), &["No centre has joined yet.", "huisuan run -- echo hello", "ledger balanced"]);
    has(&network.page("/jobs", 200), &["No jobs yet."]);
    has(&network.page("/?lang=zh", 200), &["算力网", "尚无算力中心加入", "账目平衡", "lang=\"zh-Hans\""]);
    network.server.stop();
}

#[test]
fn a_waiting_job_is_shown_with_its_reason() {
    let network = Network::start();
    let id = network.submit(hostile());
    let job = format!("/jobs/{id}");
    has(&network.page("/", 200), &["night-run", "waiting", "0 / 1"]);
    let page = network.page(&job, 200);
    has(&page, &["Why it waits", "night-run", "&lt;script&gt;alert(1)", "HARM", "Nothing has been placed yet."]);
    has(&network.page(&format!("{job}?lang=zh"), 200), &["等待原因", "尚未放置。", "/jobs?lang=zh"]);
    has(&network.page("/jobs?state=waiting", 200), &["night-run"]);
    has(&network.page("/jobs?state=failed&lang=zh", 200), &["此处没有作业。", "/jobs?state=failed&amp;lang=en"]);
    network.server.stop();
}

#[test]
fn an_ended_job_shows_where_it_ran_and_what_it_cost() {
    let network = Network::start();
    network.add_centre();
    let id = network.submit(hostile());
    network.run_one();
    let view = network.client.job(id).expect("the job");
    let work = view.summary.usage.0.get(&Class::Hpc).expect("its work").gflop;
    let (work, cost) = (numbers::gflop(work), numbers::money(&view.summary.cost));
    let facts = ["failed", "hpc-1", &work, &cost, "measured"];
    let page = network.page(&format!("/jobs/{id}"), 200);
    has(&page, &facts);
    has(&page, &["cpu:test", "exit code 7", "3 MiB", "no wait", &numbers::p_h(view.attempts[0].gflop)]);
    has(&page, &[&format!("/v1/jobs/{id}/logs?task=0&amp;stream=stderr"), "&lt;img src=x"]);
    let overview = network.page("/", 200);
    has(&overview, &facts);
    has(
        &overview,
        &["connected", "0 / 2 cores", "42 GFLOP/s", "nameplate 84 GFLOP/s", "50 % of nameplate", "test-method/1"],
    );
    has(&overview, &["CNY 2,400.00 per P·h", "never sum", "never added together"]);
    has(&network.page("/centres/hpc-1?lang=zh", 200), &["超算", "实测", "切勿相加", "night-run", "watched", "第 1 版"]);
    network.server.stop();
}

#[test]
fn what_is_planned_at_a_centre_is_shown() {
    let network = Network::start();
    network.add_centre();
    network.submit(hostile());
    network.run_one();
    let page = network.page("/centres/hpc-1", 200);
    assert!(!page.contains("Planned"), "nothing is");
    let now = network.client.health().expect("health").now.0;
    let hours = |hours: i64| Timestamp(TimeMs(now.0 + hours * 3_600_000));
    let window = json!({"from": hours(3), "until": hours(4), "note": "new <img src=x> fans"});
    network.client.maintain("hpc-1", &serde_json::from_value(window).expect("a request")).expect("a window");
    let kept = json!({"cores": 1, "memory": "1MiB", "centre": "hpc-1", "from": hours(1), "until": hours(2)});
    network.client.reserve(&serde_json::from_value(kept).expect("a request")).expect("a reservation");
    let page = network.page("/centres/hpc-1", 200);
    has(&page, &["Planned", "reservation 1", "0 / 1 cores", "local", "maintenance", "&lt;img src=x"]);
    let (first, second) = (page.find("reservation 1"), page.find("maintenance"));
    assert!(first < second, "the first to begin is first");
    has(&network.page("/centres/hpc-1?lang=zh", 200), &["计划", "预约 1", "检修"]);
    network.server.stop();
}

#[test]
fn lists_have_pages() {
    let network = Network::start();
    for _ in 0..51 {
        network.submit(JobSpec { tasks: RangeSet::from_range(0, 9), ..JobSpec::command("many", &["true"]) });
    }
    let first = network.page("/jobs?lang=en", 200);
    has(&first, &["/jobs?before=2&amp;lang=en", "0 / 10", "/jobs/51?lang=en"]);
    assert!(!first.contains("/jobs/1?"));
    let second = network.page("/jobs?before=2&lang=en", 200);
    has(&second, &["/jobs/1?lang=en", "Newest"]);
    assert!(!second.contains("Older jobs"));
    network.server.stop();
}

#[test]
fn errors_are_pages_too() {
    let network = Network::start();
    has(&network.page("/jobs/99", 404), &["There is nothing here", "there is no job `99`", "What to do"]);
    has(&network.page("/jobs/%3Cscript%3E?lang=zh", 404), &["&lt;script&gt;", "建议"]);
    has(&network.page("/centres/nowhere", 404), &["nowhere"]);
    for path in ["/jobs?state=lost", "/jobs?before=x", "/jobs?colour=red", "/?lang=xx", "/?x=1", "/jobs/1?x=1"] {
        network.page(path, 400);
    }
    network.server.stop();
}

#[test]
fn the_browser_chooses_the_language_until_the_address_does() {
    let network = Network::start();
    let (_, head, body) = network.get("/", "zh-CN,zh;q=0.9,en;q=0.5");
    has(&body, &["算力网", "href=\"/?lang=en\"", "href=\"/jobs\""]);
    has(&head, &["vary: accept-language", "cache-control: no-store", "content-security-policy"]);
    has(&network.get("/?lang=en", "zh-CN").2, &["Network", "href=\"/jobs?lang=en\"", "href=\"/?lang=zh\""]);
    network.server.stop();
}

#[test]
fn what_pages_are_made_of_is_served() {
    let network = Network::start();
    let page = network.page("/", 200);
    for (name, media_type) in [("style.css", "text/css"), ("live.js", "text/javascript"), ("icon.svg", "image/svg+xml")]
    {
        let from = page.find(&format!("/assets/{name}?v=")).expect("the page refers to it");
        let address = page[from..].split('"').next().expect("the end of the attribute");
        let (status, head, body) = network.get(address, "en");
        assert_eq!(status, 200);
        has(&head, &[&format!("content-type: {media_type}"), "max-age="]);
        assert!(body.len() > 100, "{name}");
    }
    assert_eq!(network.get("/assets/other.js", "en").0, 404);
    network.server.stop();
}

#[test]
fn a_simulated_network_says_so_on_every_page() {
    let network = Network::start();
    assert!(!network.page("/", 200).contains("SIMULATED"));
    network.add_centre_of(EngineKind::Simulated);
    // Without a word of whoever plays it, the engine alone is enough.
    has(&network.page("/", 200), &["SIMULATED", "nothing runs"]);
    let title = Title { en: "Supercomputer of the West".to_owned(), zh: "西部超算".to_owned() };
    let titles = [(centre_id(), title)].into();
    network.server.set_simulation(Simulation { scenario: "west-2030".to_owned(), speed: 60, titles });
    for path in ["/", "/jobs", "/centres/hpc-1", "/jobs/99"] {
        let status = if path == "/jobs/99" { 404 } else { 200 };
        has(&network.page(path, status), &["SIMULATED", "模拟", "west-2030", "one minute stands for one hour"]);
    }
    has(&network.page("/", 200), &["Supercomputer of the West", "hpc-1"]);
    has(&network.page("/centres/hpc-1?lang=zh", 200), &["西部超算", "一分钟代表一小时", "模型推算"]);
    network.add_centre();
    assert!(!network.page("/", 200).contains("SIMULATED"), "a real network is not called simulated");
    network.server.stop();
}
