//! Data moved by a stager, from and to a real web server and real folders.

mod server;

use std::{
    fs,
    os::unix::fs::symlink,
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

use huisuan_drivers::staging::data_folder;
use huisuan_model::{
    AttemptId, AttemptReport, Bytes, EndCause, JobId, JobSpec, MilliDevices, Millicores, Outcome, ReportKind, Staged,
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
fn inputs_are_brought_whole_and_counted() {
    let bench = Bench::new("");
    let (a, b) = (noise(700_000), noise(10));
    bench.server.page("/a", Page::of(&a));
    fs::write(bench.scratch.path().join("in/b"), &b).expect("written");
    let first =
        DataReference { bytes: Some(Bytes(700_000)), sha256: sha256(&a), ..reference(&bench.server.url("/a"), "x/a") };
    bench
        .stager
        .bring(order(vec![first, reference(&bench.file("in", "b"), "b")], vec![]))
        .expect("a centre with files");
    assert_eq!(bench.stager.bringing(), [id()]);
    let (Came::Ready, _) = bench.came() else { panic!("it failed") };
    assert_eq!(fs::read(bench.data().join("x/a")).expect("there"), a);
    assert_eq!(fs::read(bench.data().join("b")).expect("there"), b);
    // The end of it says how much that was.
    let [told] = bench.stager.hold_back(vec![ended_well()]).try_into().expect("nothing to take");
    let ReportKind::Ended { usage, .. } = told.what else { panic!("an end") };
    assert_eq!((usage.staged.brought, usage.staged.to_bring), (Bytes(700_010), Bytes(700_010)));
    bench.stager.forget(&[id()]);
    let begun = Instant::now();
    while bench.data().exists() {
        assert!(begun.elapsed() < PATIENCE, "its data is not removed");
        std::thread::yield_now();
    }
}

#[test]
fn a_connection_that_breaks_is_taken_up_where_it_was() {
    let bench = Bench::new("");
    let body = noise(900_000);
    bench.server.page("/f", Page { breaks: vec![300_000, 300_001], statuses: vec![503], ..Page::of(&body) });
    let input = DataReference { sha256: sha256(&body), ..reference(&bench.server.url("/f"), "f") };
    assert_eq!(bench.bring(vec![input]), None);
    assert_eq!(fs::read(bench.data().join("f")).expect("there"), body);
    assert_eq!(bench.server.ranges("/f"), ["", "", "bytes=300000-", "bytes=600001-"]);
}

#[test]
fn a_killed_agent_goes_on_where_it_was() {
    let mut bench = Bench::new("");
    let body = noise(600_000);
    bench.server.page("/f", Page { stalls: Some(400_000), ..Page::of(&body) });
    let input = DataReference { sha256: sha256(&body), ..reference(&bench.server.url("/f"), "f") };
    let other = DataReference { sha256: sha256(b"small"), ..reference(&bench.server.url("/g"), "g") };
    bench.server.page("/g", Page::of(b"small"));
    bench.stager.bring(order(vec![other.clone(), input.clone()], vec![])).expect("a centre with files");
    let part = bench.scratch.path().join("centre/staging/7/3.2/parts/1");
    let begun = Instant::now();
    while fs::metadata(&part).map_or(0, |part| part.len()) < 400_000 || !bench.data().join("g").exists() {
        assert!(begun.elapsed() < PATIENCE, "it does not come so far");
        std::thread::yield_now();
    }
    assert!(!bench.data().join("f").exists(), "half of it is not the task's");
    bench.restart();
    bench.server.page("/f", Page::of(&body));
    assert_eq!(bench.bring(vec![other, input]), None);
    assert_eq!(fs::read(bench.data().join("f")).expect("there"), body);
    assert_eq!(bench.server.ranges("/f"), ["", "bytes=400000-"]);
    assert_eq!(bench.server.ranges("/g"), [""], "what is whole is not asked for again");
    // What is there is there: a second restart asks nobody.
    bench.restart();
    assert_eq!(bench.bring(vec![]), None);
    assert_eq!(bench.server.ranges("/f").len(), 2);
}

#[test]
fn two_halves_are_of_one_version() {
    let mut bench = Bench::new("");
    let (old, new) = (noise(500_000), vec![7; 500_000]);
    bench.server.page("/f", Page { stalls: Some(100_000), ..Page::of(&old) });
    let input = reference(&bench.server.url("/f"), "f");
    bench.stager.bring(order(vec![input.clone()], vec![])).expect("a centre with files");
    let part = bench.scratch.path().join("centre/staging/7/3.2/parts/0");
    let begun = Instant::now();
    while fs::metadata(&part).map_or(0, |part| part.len()) < 100_000 {
        assert!(begun.elapsed() < PATIENCE, "it does not come so far");
        std::thread::yield_now();
    }
    bench.restart();
    bench.server.page("/f", Page { tag: "\"v2\"".into(), ..Page::of(&new) });
    assert_eq!(bench.bring(vec![input]), None);
    assert_eq!(fs::read(bench.data().join("f")).expect("there"), new);
}

#[test]
fn a_server_without_parts_or_sizes_is_read_from_the_beginning() {
    let bench = Bench::new("");
    let body = noise(200_000);
    bench.server.page("/f", Page { ranges: false, breaks: vec![150_000, 20_000], ..Page::of(&body) });
    bench.server.page("/g", Page { sized: false, tag: String::new(), ..Page::of(&body) });
    let inputs = ["f", "g"].map(|name| reference(&bench.server.url(&format!("/{name}")), name));
    assert_eq!(bench.bring(inputs.to_vec()), None);
    assert_eq!(fs::read(bench.data().join("f")).expect("there"), body);
    assert_eq!(fs::read(bench.data().join("g")).expect("there"), body);
}

/// Fails for a reason that names `said`, and leaves nothing for a task to see.
#[track_caller]
fn check_refused(bench: &Bench, input: DataReference, said: &str) {
    let path = bench.data().join(&input.path);
    let why = bench.bring(vec![input.clone()]).unwrap_or_else(|| panic!("{} was brought", input.url));
    assert!(why.contains(said), "{}: {why}", input.url);
    assert!(!path.exists(), "{}", path.display());
}

#[test]
fn what_is_not_what_was_wanted_is_not_given() {
    let page = Page::of(b"twelve bytes");
    let check = |page: &Page, change: &dyn Fn(&mut DataReference), rules: &str, said: &str| {
        let bench = Bench::new(rules);
        bench.server.page("/f", page.clone());
        let mut input = reference(&bench.server.url("/f"), "f");
        change(&mut input);
        check_refused(&bench, input, said);
    };
    check(&page, &|input| input.sha256 = sha256(b"other bytes"), "", "SHA-256");
    check(&page, &|input| input.bytes = Some(Bytes(11)), "", "the job declares 11");
    check(&page, &|input| input.bytes = Some(Bytes(13)), "", "12 bytes, the job declares 13");
    check(&page, &|_| {}, "largest = '11B'", "`data.largest`");
    let unsized_page = Page { sized: false, ..page.clone() };
    check(&unsized_page, &|_| {}, "largest = '11B'", "`data.largest`");
    check(&unsized_page, &|input| input.bytes = Some(Bytes(11)), "", "the job declares 11");
    check(&page, &|input| input.url += "x", "", "answered 404");
    check(&Page { statuses: vec![403], ..page.clone() }, &|_| {}, "", "answered 403");
    check(&Page { location: Some("/f".into()), ..page.clone() }, &|_| {}, "", "leads elsewhere");
}

#[test]
fn no_redirect_and_no_name_leads_to_an_address_that_is_not_public() {
    let inner = Server::new();
    inner.page("/secret", Page::of(b"secret"));
    for (location, said) in [
        (inner.url("/secret"), "`data.hosts`"),
        (format!("https://{}/secret", inner.address), "no public address"),
        (format!("https://localhost:{}/secret", inner.address.port()), "no public address"),
        ("https://169.254.169.254/latest/meta-data".to_owned(), "no public address"),
        ("https://2130706433/f".to_owned(), "no public address"),
        ("https://0x7f.1/f".to_owned(), "no public address"),
        ("file:///etc/passwd".to_owned(), "`data.hosts`"),
    ] {
        let bench = Bench::new("");
        bench.server.page("/f", Page { location: Some(location.clone()), ..Page::of(b"") });
        check_refused(&bench, reference(&bench.server.url("/f"), "f"), said);
        if location.starts_with("https") {
            let bench = Bench::new("");
            check_refused(&bench, reference(&location, "f"), said);
        }
    }
    assert!(inner.ranges("/secret").is_empty(), "nobody was asked");
}

#[test]
fn files_of_the_site_are_those_below_its_folders() {
    for (name, said) in [("link", "is a link"), ("up/secret", "is a link"), ("none", "cannot be read")] {
        let bench = Bench::new("");
        let scratch = bench.scratch.path();
        fs::write(scratch.join("secret"), "secret").expect("written");
        symlink(scratch.join("secret"), scratch.join("in/link")).expect("linked");
        symlink(scratch, scratch.join("in/up")).expect("linked");
        check_refused(&bench, reference(&bench.file("in", name), "f"), said);
    }
}

/// Brings nothing, lets the task leave what it wants, and takes `path` to `url`.
fn take(bench: &Bench, url: &str, task: impl FnOnce(PathBuf)) -> Option<String> {
    bench.stager.bring(order(vec![], vec![reference(url, "out/f")])).expect("a centre with files");
    let (Came::Ready, _) = bench.came() else { panic!("there was nothing to bring") };
    fs::create_dir(bench.data().join("out")).expect("made");
    task(bench.data());
    assert!(bench.stager.hold_back(vec![ended_well()]).is_empty(), "not before its outputs are safe");
    let (Came::Ended(report), _) = bench.came() else { panic!("it ended") };
    let ReportKind::Ended { outcome, .. } = &report.what else { panic!("an end") };
    (!outcome.success()).then(|| why(&report, EndCause::Staging))
}

#[test]
fn outputs_are_taken_whole_and_counted() {
    let mut bench = Bench::new("");
    let body = noise(600_000);
    let write = |data: PathBuf| fs::write(data.join("out/f"), &body).expect("written");
    assert_eq!(take(&bench, &bench.server.url("/put"), write), None);
    assert_eq!(bench.server.written("/put"), Some(body.clone()));
    // An end that is given again after a kill is told at once: its outputs are safe.
    bench.restart();
    let [told] = bench.stager.hold_back(vec![ended_well()]).try_into().expect("nothing to do");
    let ReportKind::Ended { usage, .. } = told.what else { panic!("an end") };
    assert_eq!((usage.staged.taken, usage.staged.to_take), (Bytes(600_000), Bytes(600_000)));

    let bench = Bench::new("");
    assert_eq!(take(&bench, &bench.file("out", "deep/{job}-{task}"), write), None);
    let out = bench.scratch.path().join("out/deep");
    assert_eq!(fs::read(out.join("7-3")).expect("there"), body);
    assert_eq!(fs::read_dir(out).expect("a folder").count(), 1, "nothing is left beside it");
}

#[test]
fn a_put_is_repeated_and_follows_a_redirect() {
    let bench = Bench::new("");
    bench.server.page("/put", Page { statuses: vec![500], location: Some("/there".into()), ..Page::of(b"") });
    let write = |data: PathBuf| fs::write(data.join("out/f"), "result").expect("written");
    assert_eq!(take(&bench, &bench.server.url("/put"), write), None);
    assert_eq!(bench.server.written("/there"), Some(b"result".to_vec()));
}

#[test]
fn nothing_that_a_task_plants_is_taken() {
    let secret = tempfile::tempdir().expect("a scratch folder");
    fs::write(secret.path().join("f"), "secret").expect("written");
    let check = |said: &str, task: &dyn Fn(PathBuf)| {
        let bench = Bench::new("largest = '100B'");
        let why = take(&bench, &bench.file("out", "f"), task);
        assert!(why.as_ref().is_some_and(|why| why.contains(said)), "{said}: {why:?}");
        assert_eq!(fs::read_dir(bench.scratch.path().join("out")).expect("a folder").count(), 0);
    };
    check("is a link", &|data| symlink(secret.path().join("f"), data.join("out/f")).expect("linked"));
    check("is a link", &|data| {
        fs::remove_dir(data.join("out")).expect("removed");
        symlink(secret.path(), data.join("out")).expect("linked");
    });
    check("more than one name", &|data| {
        fs::hard_link(secret.path().join("f"), data.join("out/f")).expect("linked");
    });
    check("no plain file", &|data| fs::create_dir(data.join("out/f")).expect("made"));
    check("no plain file", &|data| {
        let mode = rustix::fs::Mode::from_raw_mode(0o600);
        rustix::fs::mkfifoat(rustix::fs::CWD, data.join("out/f"), mode).expect("a pipe");
    });
    check("HUISUAN_DATA_DIR", &|_| {});
    check("`data.largest`", &|data| fs::write(data.join("out/f"), [0; 101]).expect("written"));
}

#[test]
fn a_task_that_failed_leaves_nothing_to_take() {
    let bench = Bench::new("");
    bench.stager.bring(order(vec![], vec![reference(&bench.server.url("/put"), "f")])).expect("a centre with files");
    let (Came::Ready, _) = bench.came() else { panic!("there was nothing to bring") };
    fs::write(bench.data().join("f"), "half").expect("written");
    let mut report = ended_well();
    if let ReportKind::Ended { outcome, .. } = &mut report.what {
        outcome.exit_code = Some(1);
    }
    assert_eq!(bench.stager.hold_back(vec![report.clone()]), [report]);
    assert_eq!(bench.server.written("/put"), None);
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
