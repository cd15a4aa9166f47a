//! Data moved by a stager, from and to a real web server and real folders.

mod bring;
mod server;
mod take;
mod tls;

use std::{
    fs,
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

use huisuan_drivers::staging::data_folder;
use huisuan_model::{
    AttemptId, AttemptReport, EndCause, JobId, JobSpec, MilliDevices, Millicores, Outcome, ReportKind, Staged,
    StartOrder, TimeMs, Usage, hex, spec::DataReference,
};
use sha2::{Digest as _, Sha256};

use self::server::{Page, Server};
use super::{DataFile, Stager};

const PATIENCE: Duration = Duration::from_secs(60);

/// A site: its folders, a web server of its own, and who stages.
struct Bench {
    server: Server,
    scratch: tempfile::TempDir,
    rules: String,
    stager: Stager,
}

/// What came of an attempt's data.
#[derive(Debug)]
enum Came {
    Ready,
    Ended(AttemptReport),
}

impl Bench {
    /// With more rules; the web server and two folders are allowed in any case.
    fn new(rules: &str) -> Bench {
        let (server, scratch) = (Server::new(), tempfile::tempdir().expect("a scratch folder"));
        for folder in ["in", "out", "centre"] {
            fs::create_dir(scratch.path().join(folder)).expect("made");
        }
        let path = scratch.path().display();
        let rules = format!(
            "{rules}\nprivate = ['{}']\n[[folders]]\npath = '{path}/in'\n[[folders]]\npath = '{path}/out'\nwrite = true\n",
            server.address
        );
        let stager = stager(&rules, &scratch);
        Bench { server, scratch, rules, stager }
    }

    /// As after a kill of the agent: all that it knows is on disk.
    fn restart(&mut self) {
        self.stager = stager(&self.rules, &self.scratch);
    }

    fn data(&self) -> PathBuf {
        data_folder(&self.scratch.path().join("centre/staging"), id())
    }

    /// Waits for the attempt to be ready or ended.
    fn came(&self) -> (Came, Staged) {
        let (begun, mut staged) = (Instant::now(), Staged::default());
        loop {
            if self.stager.ready().iter().any(|order| order.attempt == id()) {
                return (Came::Ready, staged);
            }
            for report in self.stager.news() {
                match &report.what {
                    ReportKind::Used(usage) => staged = usage.staged,
                    ReportKind::Ended { usage, .. } => return (Came::Ended(report.clone()), usage.staged),
                    ReportKind::Started => panic!("nothing runs here"),
                }
            }
            assert!(begun.elapsed() < PATIENCE, "nothing came of it");
            std::thread::yield_now();
        }
    }

    /// Brings, and says why it failed; nothing when it did not.
    fn bring(&self, inputs: Vec<DataReference>) -> Option<String> {
        self.stager.bring(order(inputs, vec![])).expect("a centre with files");
        self.outcome()
    }

    fn outcome(&self) -> Option<String> {
        match self.came().0 {
            Came::Ready => None,
            Came::Ended(report) => Some(why(&report, EndCause::Staging)),
        }
    }

    fn file(&self, folder: &str, name: &str) -> String {
        format!("file://{}/{folder}/{name}", self.scratch.path().display())
    }
}

fn stager(rules: &str, scratch: &tempfile::TempDir) -> Stager {
    let rules = toml::from_str::<DataFile>(rules).expect(rules).read().expect(rules);
    Stager::new(Some(scratch.path().join("centre/staging")), rules)
}

fn id() -> AttemptId {
    AttemptId { job: JobId(7), task: 3, attempt: 2 }
}

fn order(inputs: Vec<DataReference>, outputs: Vec<DataReference>) -> StartOrder {
    StartOrder {
        attempt: id(),
        centre: "here".parse().expect("a name"),
        tenant: "t".parse().expect("a name"),
        project: "p".parse().expect("a name"),
        spec: Arc::new(JobSpec { inputs, outputs, ..JobSpec::command("x", &["/bin/true"]) }),
        cores: Millicores(1000),
        devices: MilliDevices::ZERO,
        pool: None,
        account: None,
    }
}

fn reference(url: &str, path: &str) -> DataReference {
    DataReference { url: url.to_owned(), path: path.to_owned(), bytes: None, sha256: None, at: None }
}

fn ended_well() -> AttemptReport {
    let outcome = Outcome { cause: EndCause::Exited, exit_code: Some(0), signal: None, detail: String::new() };
    let what = ReportKind::Ended { started_at: Some(TimeMs(1)), outcome, usage: Usage::default() };
    AttemptReport { attempt: id(), at: TimeMs(2), what }
}

/// Why an attempt ended, which must be for this cause.
fn why(report: &AttemptReport, expected: EndCause) -> String {
    let ReportKind::Ended { outcome, .. } = &report.what else { panic!("no end: {report:?}") };
    assert_eq!(outcome.cause, expected, "{report:?}");
    outcome.detail.clone()
}

/// Bytes that no two places of which look alike.
fn noise(length: usize) -> Vec<u8> {
    (0..length as u64 / 8 + 1).flat_map(|i| i.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_le_bytes()).take(length).collect()
}

fn sha256(bytes: &[u8]) -> Option<String> {
    Some(hex::encode(&Sha256::digest(bytes)))
}

#[test]
fn a_stop_ends_a_transfer_at_once() {
    let bench = Bench::new("");
    bench.server.page("/f", Page { stalls: Some(10), ..Page::of(&noise(1000)) });
    bench.stager.bring(order(vec![reference(&bench.server.url("/f"), "f")], vec![])).expect("a centre with files");
    let begun = Instant::now();
    while bench.server.ranges("/f").is_empty() {
        assert!(begun.elapsed() < PATIENCE, "nothing is asked for");
        std::thread::yield_now();
    }
    bench.stager.stop(&[id()]);
    assert!(bench.stager.bringing().is_empty() && bench.stager.ready().is_empty());
    assert!(begun.elapsed() < Duration::from_secs(20), "well before a server is given up");
    bench.stager.forget(&[id()]);

    // What is to be taken ends as cancelled.
    let bench = Bench::new("");
    bench.server.page("/put", Page { statuses: vec![500; 50], ..Page::of(b"x") });
    bench.stager.bring(order(vec![], vec![reference(&bench.server.url("/put"), "f")])).expect("a centre with files");
    let (Came::Ready, _) = bench.came() else { panic!("there was nothing to bring") };
    fs::write(bench.data().join("f"), "result").expect("written");
    assert!(bench.stager.hold_back(vec![ended_well()]).is_empty());
    bench.stager.stop(&[id()]);
    let (Came::Ended(report), _) = bench.came() else { panic!("it ended") };
    why(&report, EndCause::Cancelled);
}

#[test]
fn a_centre_without_files_says_so() {
    let stager = Stager::new(None, super::DataRules::default());
    let refused = stager.bring(order(vec![reference("https://h/f", "f")], vec![]));
    assert!(refused.is_err_and(|why| why.contains("hint:")));
    assert_eq!(stager.hold_back(vec![ended_well()]), [ended_well()]);
}
