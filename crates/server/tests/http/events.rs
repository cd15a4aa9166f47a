//! The event stream: whoever comes back goes on where it was, with nothing missing and nothing twice.

use std::{
    io::{BufRead, BufReader, Write},
    net::TcpStream,
};

use huisuan_api::{ErrorCode, events::EventView};
use huisuan_model::{Class, Entry};
use serde_json::json;

use crate::{
    network::{Network, ended, small_job, started},
    plain::{Request, connect, read_head},
};

/// What a watcher tells events apart by.
type Seen = (u64, String, Option<u64>);

/// A watcher that speaks HTTP/1.0, so that the body is the stream itself.
struct Watcher {
    lines: BufReader<TcpStream>,
    last_id: Option<String>,
}

impl Watcher {
    fn open(network: &Network, query: &str, last_id: Option<&str>) -> Self {
        let mut stream = connect(network.address);
        let resume = last_id.map(|id| format!("Last-Event-ID: {id}\r\n")).unwrap_or_default();
        write!(stream, "GET /v1/events{query} HTTP/1.0\r\nhost: {}\r\n{resume}\r\n", network.address).expect("sent");
        let mut lines = BufReader::new(stream);
        let (status, headers) = read_head(&mut lines).expect("a head");
        assert_eq!((status, headers["content-type"].as_str()), (200, "text/event-stream"));
        Watcher { lines, last_id: last_id.map(str::to_owned) }
    }

    /// The next event, read as the standard says.
    fn next(&mut self) -> Seen {
        let (mut data, mut kind) = (String::new(), String::new());
        loop {
            let mut line = String::new();
            assert!(self.lines.read_line(&mut line).expect("an event in time") > 0, "the stream ended");
            // The server says that it lives when it has had nothing to say for long.
            assert!(!line.starts_with(':'), "an event is missing after {:?}", self.last_id);
            match line.trim_end_matches(['\r', '\n']).split_once(':') {
                Some(("id", id)) => self.last_id = Some(id.trim_start().to_owned()),
                Some(("event", word)) => kind = word.trim_start().to_owned(),
                Some(("data", text)) => data.push_str(text.trim_start()),
                None if !data.is_empty() => break,
                _ => {}
            }
        }
        let view: EventView = serde_json::from_str(&data).expect("an event");
        assert_eq!(view.kind, kind);
        (view.seq, view.kind, view.job_id)
    }
}

/// What the journal says was to be seen.
fn expected(journal: &[Entry]) -> Vec<Seen> {
    let events = journal.iter().flat_map(|entry| entry.events.iter().map(move |event| (entry.seq, event)));
    let seen = events.map(|(seq, event)| {
        let value = serde_json::to_value(event).expect("JSON");
        let (kind, data) = value.as_object().and_then(|fields| fields.iter().next()).expect("one field");
        let of_attempt = |id: &str| id.split('.').next().and_then(|job| job.parse().ok());
        let job = data["job"].as_u64().or_else(|| data["attempt"].as_str().and_then(of_attempt));
        (seq, kind.clone(), job)
    });
    seen.collect()
}

#[test]
fn a_stream_that_breaks_goes_on_without_gap_or_repetition() {
    const CLIENTS: u64 = 4;
    const JOBS: u64 = 30;
    let network = Network::paused();
    let begin = expected(&network.journal()).len();
    // Each job is submitted and cancelled: an entry of one event and an entry of two.
    let wanted = begin + 3 * (CLIENTS * JOBS) as usize;
    let seen = std::thread::scope(|scope| {
        for _ in 0..CLIENTS {
            scope.spawn(|| {
                let client = network.client();
                for _ in 0..JOBS {
                    let id = network.submit(&small_job());
                    client.cancel(id).expect("cancelled");
                }
            });
        }
        let mut seen = Vec::new();
        let mut last_id = Some("0".to_owned());
        // Breaks off after one event, then two, and so on, so that breaks fall into entries too.
        for lives in (1..=5).cycle() {
            let mut watcher = Watcher::open(&network, "", last_id.as_deref());
            for _ in 0..lives {
                if seen.len() < wanted {
                    seen.push(watcher.next());
                }
            }
            last_id = watcher.last_id;
            if seen.len() == wanted {
                break;
            }
        }
        seen
    });
    assert_eq!(seen, expected(&network.journal()));
}

#[test]
fn a_break_within_a_report_loses_nothing() {
    let network = Network::paused();
    let mut job = small_job();
    job["tasks"] = json!(5);
    network.submit(&job);
    let mut agent = network.agent("hpc-1");
    agent.join(Class::Hpc, 32);
    network.client().resume("hpc-1").expect("resumed");
    let attempts: Vec<_> = agent.starts(5).into_iter().map(|start| start.attempt).collect();
    let reports = attempts.iter().flat_map(|id| [started(*id), ended(*id, 0)]);
    agent.report(reports.collect());
    let expected = expected(&network.journal());
    for broken_after in 1..expected.len() {
        let mut watcher = Watcher::open(&network, "?after=0", None);
        let mut seen: Vec<Seen> = (0..broken_after).map(|_| watcher.next()).collect();
        let mut watcher = Watcher::open(&network, "", watcher.last_id.as_deref());
        seen.extend((broken_after..expected.len()).map(|_| watcher.next()));
        assert_eq!(seen, expected, "broken after {broken_after}");
    }
}

/// More commits than the server keeps for a watcher, each larger than what the system buffers.
#[test]
fn a_watcher_that_sleeps_misses_nothing() {
    const CLIENTS: usize = 8;
    const JOBS: usize = 40;
    let network = Network::paused();
    let mut job = small_job();
    job["environment"] = json!({"PADDING": "x".repeat(60_000)});
    let mut watcher = Watcher::open(&network, "", None);
    let begin = network.journal().last().map_or(0, |entry| entry.seq);
    std::thread::scope(|scope| {
        for _ in 0..CLIENTS {
            scope.spawn(|| (0..JOBS).for_each(|_| _ = network.submit(&job)));
        }
    });
    let expected: Vec<Seen> = expected(&network.journal()).into_iter().filter(|(seq, ..)| *seq > begin).collect();
    assert_eq!(expected.len(), CLIENTS * JOBS);
    let seen: Vec<Seen> = expected.iter().map(|_| watcher.next()).collect();
    assert_eq!(seen, expected);
}

#[test]
fn where_to_go_on_must_be_said_well() {
    let network = Network::paused();
    for id in ["x", "-1", "", "1.x", "99999999999999999999"] {
        network.refused(&Request::get("/v1/events").header("last-event-id", id), ErrorCode::BadRequest);
    }
    for query in ["after=x", "after=-1", "after="] {
        network.refused(&Request::get(&format!("/v1/events?{query}")), ErrorCode::BadRequest);
    }
    // Beyond the end there is nothing yet; what comes later with a lower number was not asked for.
    let mut watcher = Watcher::open(&network, "?after=4", Some("2"));
    assert_eq!(watcher.next().0, 3, "the header goes before the query");
}
