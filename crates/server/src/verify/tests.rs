//! A sound directory is found sound; one altered byte anywhere that matters is found.

use std::{
    cell::Cell,
    fs,
    path::Path,
    sync::{Arc, Once},
};

use huisuan_control::{execute, ledger::Chain, schedule, snapshot};
use huisuan_model::{
    AttemptId, AttemptReport, Bytes, Centre, CentreId, Class, Command, DurationMs, EndCause, EngineKind, Event,
    GflopPerS, JobId, JobSpec, Mark, MilliDevices, Millicores, Money, Outcome, Pool, PoolId, Rating, ReportKind,
    Tariff, Tenant, Usage, command::ENTRY_VERSION,
};
use rusqlite::{Connection, params};
use tempfile::TempDir;

use super::*;
use crate::{commit, identity};

/// A network without a server: commands are executed and committed one by one, at fixed times.
struct Network {
    state: State,
    store: Store,
    chain: Chain,
    now: TimeMs,
    report_seq: u64,
}

impl Network {
    fn take(&mut self, command: Command) {
        self.now = TimeMs(self.now.0 + 1_000);
        let (origin, at) = (identity::server(), self.now);
        let events = execute(&mut self.state, &origin, &command, at).expect("accepted");
        assert!(!events.is_empty(), "{command:?} changes something");
        let seq = self.state.version();
        let entry = Arc::new(huisuan_model::Entry { seq, at, version: ENTRY_VERSION, origin, command, events });
        let rows = commit::prepare(&mut self.state, &[entry], &mut self.chain);
        self.store.commit([&rows]).expect("committed");
    }

    fn open(&mut self) {
        let id = CentreId::new("hpc-1").expect("a name");
        self.take(Command::SetTenant(Tenant::new(identity::tenant(), 10)));
        self.take(Command::Fund { amount: Money(10_000_000) });
        self.take(Command::SetCentre(Box::new(Centre::new(
            id.clone(),
            Class::Hpc,
            EngineKind::Local,
            "UTC",
            Tariff { currency: "CNY".into(), price_per_p_h: Money(2_000_000_000) },
        ))));
        let pool = PoolId::new("cpu:test").expect("a name");
        self.take(Command::Inventory {
            centre: id.clone(),
            pools: vec![Pool {
                id: pool.clone(),
                class: Class::Hpc,
                cores: Millicores(2_000),
                memory: Bytes(1 << 30),
                devices: MilliDevices::ZERO,
                device_memory: Bytes::ZERO,
                rating: None,
                images: false,
                topology: None,
            }],
        });
        let rating = Rating {
            version: 1,
            sustained: GflopPerS(60),
            nameplate: GflopPerS(80),
            method: "test/1".into(),
            mark: Mark::Measured,
            rated_at: self.now,
            certificate: None,
            doubt: None,
        };
        self.take(Command::Rate { centre: id, pool, rating });
    }

    fn submit(&mut self, key: &str, change: impl FnOnce(&mut JobSpec)) {
        let mut spec = JobSpec::command(key, &["/bin/true"]);
        change(&mut spec);
        self.take(Command::Submit { spec: Arc::new(spec), key: Some(key.into()), ended: Vec::new() });
    }

    fn plan(&mut self) {
        let (seed, budget) = (schedule::Seed(1), schedule::Budget::default());
        let plan = schedule::cycle(&snapshot(&self.state), self.state.policy(), self.now, budget, seed);
        self.take(Command::Plan(Box::new(plan)));
    }

    /// Reports one thing of every attempt that has not ended.
    fn report(&mut self, what: impl Fn(&Attempt) -> Option<ReportKind>) {
        let now = self.now;
        let report = |attempt: &Attempt| what(attempt).map(|what| AttemptReport { attempt: attempt.id, at: now, what });
        let reports = self.state.attempts().filter_map(report).collect();
        self.report_seq += 1;
        let centre = CentreId::new("hpc-1").expect("a name");
        self.take(Command::Report { centre, seq: self.report_seq, reports, past: None });
    }

    /// More of a job that has ended: a second that it can have run, and an end that it did not have.
    fn late(&mut self) {
        let attempt = AttemptId { job: JobId(2), task: 0, attempt: 1 };
        let past = Reader::open(&self.store.database()).expect("a reader").past(&[attempt]).expect("its row");
        assert!(past[0].row.as_ref().is_some_and(|row| row.metered.wall == DurationMs(700)), "{past:?}");
        let used = Usage { wall: DurationMs(1_700), cpu: DurationMs(400), ..Usage::default() };
        let said = [Some(ReportKind::Used(used)), ended(3)].into_iter().flatten();
        let reports = said.map(|what| AttemptReport { attempt, at: self.now, what }).collect();
        self.report_seq += 1;
        let (centre, seq) = (CentreId::new("hpc-1").expect("a name"), self.report_seq);
        self.take(Command::Report { centre, seq, reports, past: Some(past) });
        let (late, odd) = {
            let reader = Reader::open(&self.store.database()).expect("a reader");
            let rows = reader.meters_of_attempt(attempt).expect("rows");
            (rows.last().map(|row| (row.reading.adjusts, row.wall_ms())), reader.oddities(9).expect("rows"))
        };
        assert_eq!((late, odd.len()), (Some((Some(1), 1_000)), 1), "{odd:?}");
    }
}

fn ended(code: i32) -> Option<ReportKind> {
    let outcome = Outcome { cause: EndCause::Exited, exit_code: Some(code), signal: None, detail: "said".into() };
    let usage = Usage { wall: DurationMs(700), cpu: DurationMs(300), memory_peak: Bytes(4096), ..Usage::default() };
    Some(ReportKind::Ended { started_at: None, outcome, usage })
}

const DAY_MS: i64 = 86_400_000;

/// A directory with jobs that ended, one of them after a retry, one that runs and one that waits.
pub(crate) fn directory() -> TempDir {
    let folder = tempfile::tempdir().expect("a scratch folder");
    let store = Store::open(DataDirectory::open(folder.path()).expect("a free directory")).expect("a database");
    let mut network =
        Network { state: State::new(), store, chain: Chain::default(), now: TimeMs(1_000_000), report_seq: 0 };
    network.open();
    network.submit("fails-once", |spec| spec.retries = 1);
    network.submit("array", |spec| spec.tasks = "0-2".parse().expect("tasks"));
    network.plan();
    network.report(|_| Some(ReportKind::Started));
    // Each of the three is another day of the books.
    network.now.0 += DAY_MS;
    network.report(|attempt| ended(i32::from(attempt.id.job == JobId(1))));
    network.now.0 += DAY_MS;
    network.late();
    network.submit("cancelled", |_| {});
    network.take(Command::Cancel { job: JobId(3) });
    network.plan();
    network.report(|attempt| (attempt.id.job == JobId(1)).then(|| ended(0)).flatten());
    network.report(|_| Some(ReportKind::Started));
    network.submit("waits", |_| {});
    assert!(network.state.jobs_live() == 2 && network.state.attempts_live() == 1, "{:?}", network.state);
    folder
}

#[test]
fn a_sound_directory_is_sound() {
    let folder = directory();
    let verified = verify(folder.path()).expect("sound");
    assert_eq!((verified.jobs, verified.attempts, verified.balanced), (4, 4, true));
    assert!(verified.entries > 12);
    assert_eq!(verify(folder.path()).expect("sound"), verified, "looking changes nothing");
}

#[test]
fn what_is_no_data_directory_is_left_alone() {
    let folder = tempfile::tempdir().expect("a scratch folder");
    let error = verify(folder.path()).expect_err("it is empty");
    assert!(error.to_string().contains("is no data directory"), "{error}");
    assert_eq!(fs::read_dir(folder.path()).expect("readable").count(), 0);
}

#[test]
fn a_directory_in_use_is_refused() {
    let folder = directory();
    let _held = DataDirectory::open(folder.path()).expect("free");
    let error = verify(folder.path()).expect_err("it is held");
    assert!(error.to_string().contains("is in use"), "{error}");
}

/// Alters one byte of a text in such a way that it stays text: a digit to another, a letter to another.
fn altered(text: &str, at: usize) -> String {
    let mut bytes = text.as_bytes().to_vec();
    bytes[at] = match bytes[at] {
        b'9' | b'z' | b'Z' => bytes[at] - 1,
        byte if byte.is_ascii_alphanumeric() => byte + 1,
        b'_' => b'-',
        _ => b'_',
    };
    String::from_utf8(bytes).expect("ASCII stays ASCII")
}

/// Alters every `step`th byte of the texts in a column, one at a time, where `matters` says that the altered
/// text means something else. Gives back what was not found.
fn unnoticed(
    folder: &Path,
    table: &str,
    column: &str,
    step: usize,
    matters: impl Fn(&str, &str) -> bool,
) -> Vec<String> {
    let connection = Connection::open(folder.join("huisuan.db")).expect("a database");
    let keys = match table {
        "attempt" => "job || '.' || task || '.' || attempt",
        "balance" => "account || ' ' || asset",
        "journal" => "seq",
        "idempotency_key" => "key",
        _ => "id",
    };
    let column_text = format!("CAST({column} AS TEXT)");
    let sql = format!("SELECT CAST({keys} AS TEXT), {column_text} FROM {table} WHERE {column} IS NOT NULL");
    let rows: Vec<(String, String)> = {
        let mut rows = connection.prepare(&sql).expect("SQL");
        let rows = rows.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).expect("rows");
        rows.collect::<Result<_, _>>().expect("texts")
    };
    assert!(!rows.is_empty(), "{table} has rows");
    let update = format!("UPDATE {table} SET {column} = ?2 WHERE CAST({keys} AS TEXT) = ?1");
    let mut missed = Vec::new();
    for (key, text) in &rows {
        for bad in (0..text.len()).step_by(step).map(|at| altered(text, at)).filter(|bad| matters(text, bad)) {
            connection.execute(&update, params![key, bad]).expect("altered");
            if quietly(|| verify(folder)).is_ok() {
                missed.push(format!("{table} {key}: {bad}"));
            }
        }
        connection.execute(&update, params![key, text]).expect("restored");
    }
    drop(connection);
    verify(folder).expect("everything was put back");
    missed
}

thread_local! {
    /// Panics of this thread are expected and would only fill the test's output.
    static QUIET: Cell<bool> = const { Cell::new(false) };
}

pub(super) fn quietly<T>(run: impl FnOnce() -> T) -> T {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let hook = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            if !QUIET.get() {
                hook(panic);
            }
        }));
    });
    QUIET.set(true);
    let result = run();
    QUIET.set(false);
    result
}

#[test]
fn one_altered_byte_of_a_row_is_found() {
    let folder = directory();
    for (table, column, step) in [
        ("job", "data", 7),
        ("job", "state", 1),
        ("job", "tenant", 1),
        ("attempt", "data", 13),
        ("attempt", "state", 1),
        ("centre", "data", 5),
        ("tenant", "data", 1),
        ("balance", "amount", 1),
        ("transfer", "kind", 1),
        ("transfer", "asset", 1),
        ("transfer", "debit", 1),
        ("transfer", "credit", 1),
        ("transfer", "seq", 1),
        ("transfer", "amount", 1),
        ("transfer", "job", 1),
        ("idempotency_key", "spec_hash", 11),
    ] {
        // The name of a field without a value may be anything: it means the same.
        let matters = |text: &str, bad: &str| match table {
            "centre" => read::<Centre>(text) != read::<Centre>(bad),
            "attempt" if column == "data" => read::<Attempt>(text) != read::<Attempt>(bad),
            _ => true,
        };
        let missed = unnoticed(folder.path(), table, column, step, matters);
        assert_eq!(missed, Vec::<String>::new(), "{table}.{column}");
    }
}

fn read<T: serde::de::DeserializeOwned>(data: &str) -> Option<T> {
    serde_json::from_str(data).ok()
}

/// The events of an entry that rows depend on for ever. Others are replaced by later ones of their kind.
fn lasting(body: &str) -> Option<Vec<Event>> {
    let body: serde_json::Value = serde_json::from_str(body).ok()?;
    let mut events: Vec<Event> = serde_json::from_value(body.get("events")?.clone()).ok()?;
    events.retain(|event| !matches!(event, Event::AttemptStarted { .. } | Event::ReportTaken { .. }));
    for event in &mut events {
        if let Event::CentreSet(centre) = event {
            centre.reported_seq = 0;
        }
    }
    Some(events)
}

#[test]
fn one_altered_byte_of_an_event_is_found() {
    let folder = directory();
    let matters = |text: &str, bad: &str| lasting(text) != lasting(bad);
    let missed = unnoticed(folder.path(), "journal", "body", 5, matters);
    assert_eq!(missed, Vec::<String>::new());
}
