//! What is committed is read back, whatever happens to the process, and what cannot be is said clearly.

use std::{collections::BTreeMap, fs, path::Path, sync::Arc};

use huisuan_model::{
    ActorId, ApplicationId, Attempt, AttemptId, AttemptState, Command, Entry, Event, Gflop, Job, JobId, JobSpec,
    JobState, MilliDevices, Millicores, Money, PoolId, ProjectId, RangeSet, Tariff, Tenant, TenantId, TimeMs, Usage,
    centre::{Class, RatedShare, Terms},
    command::{ENTRY_VERSION, Origin},
    job::TaskSets,
    quantity::GflopPerS,
    spec::Work,
};
use huisuan_store::{
    BalanceRow, Batch, DataDirectory, DayEnd, DayRow, EntryChain, EntryHead, FORMAT, JobFilter, KeyRow, Reader, Store,
    StoreError, StoredTransfer, TransferRow,
};

fn open(path: &Path) -> Store {
    Store::open(DataDirectory::open(path).expect("a free directory")).expect("a database")
}

fn origin() -> Origin {
    Origin {
        actor: ActorId::new("tester").expect("a name"),
        tenant: TenantId::new("local").expect("a name"),
        project: ProjectId::new("default").expect("a name"),
        cause: "request 1".into(),
    }
}

fn job(id: u64, state: JobState) -> Job {
    let spec = Arc::new(JobSpec::command("test", &["/bin/echo", "汇算 \"quoted\"\n"]));
    Job {
        id: JobId(id),
        tenant: origin().tenant,
        project: origin().project,
        actor: origin().actor,
        spec_hash: spec.hash(),
        submitted_at: TimeMs(1),
        started_at: None,
        ended_at: None,
        state,
        cancel_requested: false,
        waits_for: Vec::new(),
        end_reason: None,
        tasks: TaskSets { waiting: spec.tasks.clone(), ..TaskSets::default() },
        spec,
        centres: std::collections::BTreeSet::new(),
        retried: BTreeMap::new(),
        preempted: BTreeMap::new(),
        refused_by: BTreeMap::new(),
        usage: BTreeMap::from([(Class::Hpc, Gflop(7))]),
        cost: Money(5),
        ran_ms: 0,
    }
}

fn entry(seq: u64, job: &Job) -> Entry {
    let event = Event::JobSubmitted {
        job: job.id,
        tenant: job.tenant.clone(),
        project: job.project.clone(),
        actor: job.actor.clone(),
        spec: job.spec.clone(),
        spec_hash: job.spec_hash,
        at: job.submitted_at,
        key: Some("key".into()),
        waits_for: Vec::new(),
    };
    let command = Command::Submit { spec: job.spec.clone(), key: Some("key".into()), ended: Vec::new() };
    Entry { seq, at: TimeMs(1), version: ENTRY_VERSION, origin: origin(), command, events: vec![event] }
}

fn attempt(task: u32, number: u32, state: AttemptState) -> Attempt {
    let share = RatedShare { class: Class::Hpc, version: 1, sustained: GflopPerS(60), part: 1, whole: 2 };
    Attempt {
        metered: None,
        oddities: Vec::new(),
        id: AttemptId { job: JobId(1), task, attempt: number },
        centre: "hpc-1".parse().expect("a name"),
        pool: PoolId::new("cpu:x").expect("a name"),
        cores: Millicores(1),
        devices: MilliDevices(0),
        state,
        order_seq: 1,
        placed_at: TimeMs(1),
        started_at: None,
        ended_at: None,
        stop_seq: None,
        preempted_by: None,
        outcome: None,
        terms: Terms {
            share,
            tariff: Tariff { currency: "CNY".into(), price_per_p_h: Money(1) },
            mark: huisuan_model::Mark::Declared,
        },
        usage: Usage::default(),
        work: Gflop(0),
        hold: Money(0),
        cost: Money(0),
        score: Vec::new(),
        band: None,
        node: None,
    }
}

#[test]
fn what_is_committed_is_loaded() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut store = open(folder.path());
    let tenant = Tenant::new(origin().tenant, 3);
    let (waiting, ended) = (job(1, JobState::Waiting), job(2, JobState::Failed));
    let entries = [entry(1, &waiting), entry(2, &ended)];
    let attempts = [attempt(0, 1, AttemptState::Failed), attempt(0, 2, AttemptState::Running)];
    let key =
        KeyRow { tenant: origin().tenant, key: "k".into(), job: JobId(1), spec_hash: waiting.spec_hash, at: TimeMs(1) };
    let balance = BalanceRow { account: "a".into(), asset: "CNY".into(), amount: i128::from(i64::MIN) * 3 };
    let transfer = TransferRow {
        seq: 2,
        kind: "fund".into(),
        asset: "CNY".into(),
        debit: "a".into(),
        credit: "b".into(),
        amount: 1,
        job: Some(JobId(1)),
        attempt: None,
        hash: Some([7; 32]),
    };
    let end = DayEnd { day: 20_000, transfers: 1, hash: [7; 32], entry: 2 };
    let batch = Batch {
        entries: entries.iter().collect(),
        jobs: vec![&waiting, &ended],
        attempts: attempts.iter().collect(),
        tenants: vec![&tenant],
        keys: vec![key.clone()],
        balances: vec![balance.clone()],
        transfers: vec![transfer.clone()],
        ledger_days: vec![end],
        ..Batch::default()
    };
    store.commit([&batch.prepare()]).expect("a commit");
    drop(store);
    let store = open(folder.path());
    let rows = store.load().expect("rows");
    assert_eq!((rows.version, rows.job_last, rows.at), (2, 2, TimeMs(1)));
    assert_eq!((rows.tenants, rows.keys, rows.balances), (vec![tenant], vec![key], vec![balance]));
    assert_eq!(rows.jobs.concat(), vec![waiting.clone()], "ended jobs stay out of the live state");
    assert_eq!(rows.attempts, vec![attempts[1].clone()]);
    let reader = Reader::open(&store.database()).expect("a reader");
    assert_eq!(reader.job(JobId(2)).expect("a query"), Some(ended));
    assert_eq!(reader.job(JobId(u64::MAX)).expect("a query"), None);
    assert_eq!(reader.entries(0, 10).expect("a query"), entries);
    assert_eq!(reader.entries(1, 10).expect("a query").len(), 1);
    assert_eq!(reader.last_attempt(JobId(1), 0).expect("a query"), Some(attempts[1].clone()));
    assert_eq!(reader.attempts(JobId(1), Some((0, 1)), 10).expect("a query").len(), 1);
    let stored = StoredTransfer { id: 1, at: TimeMs(1), row: transfer };
    assert_eq!(reader.transfers(0, 10).expect("a query"), [stored]);
    let lines = reader.stored_entries(0, 10).expect("a query");
    let mut chain = EntryChain::default();
    lines.iter().for_each(|line| assert_eq!(line.hash, Some(chain.append(&line.line()))));
    let head = EntryHead { seq: 2, hash: chain.head() };
    let day = DayRow { day: 20_000, transfers: 1, hash: [7; 32], entry: Some(head) };
    assert_eq!(reader.ledger_days().expect("a query"), [day]);
    assert_eq!((reader.hashed_after().expect("a query"), reader.last_entry().expect("a query")), (0, 2));
    assert_eq!((reader.transfers_total().expect("a query"), reader.attempts_total(JobId(1)).expect("a query")), (1, 2));
}

#[test]
fn lists_are_paged_newest_first() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut store = open(folder.path());
    let jobs: Vec<Job> =
        (1..=10).map(|id| job(id, if id % 2 == 0 { JobState::Waiting } else { JobState::Failed })).collect();
    store.commit([&Batch { jobs: jobs.iter().collect(), ..Batch::default() }.prepare()]).expect("a commit");
    let reader = Reader::open(&store.database()).expect("a reader");
    let list = |state: Option<JobState>, before: Option<u64>, limit: usize| -> Vec<u64> {
        let filter = JobFilter { state, tenant: Some(origin().tenant) };
        let found = reader.jobs(&filter, before.map(JobId), limit).expect("a query");
        found.iter().map(|job| job.id.0).collect()
    };
    assert_eq!(list(None, None, 3), [10, 9, 8]);
    assert_eq!(list(None, Some(8), 3), [7, 6, 5]);
    assert_eq!(list(Some(JobState::Waiting), Some(7), 2), [6, 4]);
    assert_eq!(list(Some(JobState::Failed), None, 9), [9, 7, 5, 3, 1]);
    assert_eq!(list(Some(JobState::Running), None, 9), [0; 0]);
    let stranger = JobFilter { tenant: Some(TenantId::new("other").expect("a name")), state: None };
    assert_eq!(reader.jobs(&stranger, None, 9).expect("a query").len(), 0);
}

#[test]
fn finished_runs_of_a_kind_of_work_are_found() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut store = open(folder.path());
    let application = |name| ApplicationId::new(name).expect("a name");
    let of = |id: u64, kind: Option<&'static str>| {
        let mut job = job(id, JobState::Succeeded);
        job.spec = Arc::new(JobSpec { application: kind.map(application), ..(*job.spec).clone() });
        job
    };
    let jobs = [of(1, Some("cfd")), of(2, None), of(3, Some("llm")), of(4, Some("cfd"))];
    let ended = |job: u64, task, state| {
        let mut row = attempt(task, 1, state);
        row.id.job = JobId(job);
        row
    };
    let (good, bad) = (AttemptState::Succeeded, AttemptState::Failed);
    let attempts = [
        ended(1, 0, good),
        ended(1, 1, bad),
        ended(2, 0, good),
        ended(3, 0, good),
        ended(4, 0, good),
        ended(4, 1, good),
    ];
    let (jobs, attempts) = (jobs.iter().collect(), attempts.iter().collect());
    store.commit([&Batch { jobs, attempts, ..Batch::default() }.prepare()]).expect("a commit");
    let reader = Reader::open(&store.database()).expect("a reader");
    let found = |tenant: &str, kind, jobs_max, attempts_max| {
        let tenant = TenantId::new(tenant).expect("a name");
        let rows = reader.runs(&tenant, &application(kind), jobs_max, attempts_max).expect("rows");
        rows.iter().map(|(job, attempt)| (job.id.0, attempt.id.job.0, attempt.id.task)).collect::<Vec<_>>()
    };
    assert_eq!(found("local", "cfd", 9, 9), [(4, 4, 0), (4, 4, 1), (1, 1, 0)]);
    assert_eq!(found("local", "cfd", 1, 9), [(4, 4, 0), (4, 4, 1)]);
    assert_eq!(found("local", "cfd", 9, 1), [(4, 4, 0)]);
    assert_eq!(found("local", "other", 9, 9), []);
    assert_eq!(found("lab", "cfd", 9, 9), [], "another tenant's are not told");
}

#[test]
fn a_row_that_changed_is_replaced() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut store = open(folder.path());
    let mut row = job(1, JobState::Waiting);
    store.commit([&Batch { jobs: vec![&row], ..Batch::default() }.prepare()]).expect("a commit");
    row.state = JobState::Running;
    row.tasks = TaskSets { active: RangeSet::from_range(0, 0), ..TaskSets::default() };
    store.commit([&Batch { jobs: vec![&row], ..Batch::default() }.prepare()]).expect("a commit");
    assert_eq!(store.load().expect("rows").jobs.concat(), vec![row]);
}

#[test]
fn a_batch_is_all_or_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut store = open(folder.path());
    let row = job(1, JobState::Waiting);
    let twice = entry(1, &row);
    let error =
        store.commit([&Batch { jobs: vec![&row], entries: vec![&twice, &twice], ..Batch::default() }.prepare()]);
    assert!(matches!(error, Err(StoreError::Database(_))), "{error:?}");
    let rows = store.load().expect("rows");
    assert_eq!((rows.version, rows.jobs.concat().len()), (0, 0));
}

#[test]
fn epochs_count_up_over_restarts() {
    let folder = tempfile::tempdir().expect("a folder");
    for epoch in 1..=3 {
        assert_eq!(open(folder.path()).next_epoch().expect("an epoch"), epoch);
    }
    let path = open(folder.path()).database();
    let alter = |sql| rusqlite::Connection::open(&path).expect("the database").execute_batch(sql).expect("altered");
    alter("UPDATE meta SET value = '2' WHERE name = 'epoch'");
    let error = open(folder.path()).next_epoch().expect_err("it was altered").to_string();
    assert!(error.contains("row epoch: is 2, and its copy 3"), "{error}");
}

#[test]
fn a_directory_in_use_or_beyond_reach_is_said() {
    let folder = tempfile::tempdir().expect("a folder");
    let _held = open(folder.path());
    let again = DataDirectory::open(folder.path());
    assert!(matches!(&again, Err(StoreError::InUse(path)) if path == folder.path()), "{again:?}");
    let file = folder.path().join("file");
    fs::write(&file, "x").expect("a file");
    let under_file = DataDirectory::open(&file.join("data"));
    assert!(
        matches!(&under_file, Err(error @ StoreError::NotWritable { .. }) if !error.hint().is_empty()),
        "{under_file:?}"
    );
}

#[test]
fn newer_and_damaged_databases_are_refused() {
    let damaged = |sql: &str| {
        let folder = tempfile::tempdir().expect("a folder");
        let mut store = open(folder.path());
        store
            .commit([&Batch { jobs: vec![&job(1, JobState::Waiting)], ..Batch::default() }.prepare()])
            .expect("a commit");
        let path = store.database();
        drop(store);
        rusqlite::Connection::open(path).expect("the database").execute_batch(sql).expect("damage");
        let store = DataDirectory::open(folder.path()).and_then(Store::open);
        let error = store.and_then(|store| store.load()).expect_err("damage is found");
        assert!(!error.hint().is_empty());
        error.to_string()
    };
    let newer = FORMAT + 1;
    let found = damaged(&format!("UPDATE meta SET value = '{newer}' WHERE name = 'format'"));
    assert!(found.contains(&format!("format {newer}")), "{found}");
    let found = damaged("UPDATE job SET data = replace(data, '\"state\"', '\"stat\"')");
    assert!(found.starts_with("table `job`, row 1: missing field `state`"), "{found}");
    let found = damaged("UPDATE meta SET value = 'x' WHERE name = 'format'");
    assert!(found.contains("not a number"), "{found}");
}

#[test]
fn a_database_of_format_1_is_brought_up_to_date() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("huisuan.db");
    let old = rusqlite::Connection::open(path).expect("a database");
    old.execute_batch(include_str!("../migrations/sqlite/0001_first.sql")).expect("the first format");
    old.execute_batch(
        "INSERT INTO meta VALUES ('format', '1');
         INSERT INTO journal VALUES (1, 5, 1, 'server', 'local', '{}');
         INSERT INTO transfer (seq, kind, asset, debit, credit, amount) VALUES (1, 'fund', 'CNY', 'a', 'b', 3);",
    )
    .expect("rows");
    drop(old);
    let store = open(folder.path());
    let reader = Reader::open(&store.database()).expect("a reader");
    let rows = reader.transfers(0, 10).expect("a query");
    assert_eq!((rows.len(), rows[0].row.hash, rows[0].at), (1, None, TimeMs(5)));
    assert_eq!(reader.ledger_days().expect("a query"), []);
    assert_eq!(reader.hashed_after().expect("a query"), 1);
    // The first entry that has a hash covers those that have none; one without a hash after it is damage.
    drop(store);
    let mut store = open(folder.path());
    let next = entry(2, &job(1, JobState::Waiting));
    store.commit([&Batch { entries: vec![&next], ..Batch::default() }.prepare()]).expect("a commit");
    let lines = reader.stored_entries(0, 10).expect("a query");
    let mut chain = EntryChain::default();
    let hashes: Vec<_> = lines.iter().map(|line| Some(chain.append(&line.line()))).collect();
    assert_eq!((lines[0].hash, lines[1].hash), (None, hashes[1]));
    let database = store.database();
    drop(store);
    let bare = "UPDATE journal SET hash = NULL";
    rusqlite::Connection::open(database).expect("the database").execute_batch(bare).expect("altered");
    let error = DataDirectory::open(folder.path()).and_then(Store::open).expect_err("it is damage").to_string();
    assert!(error.contains("table `journal`, row 2: has no hash"), "{error}");
}

/// How often SQLite began its log anew, from the head of the log (https://sqlite.org/fileformat2.html#walformat).
fn log_generation(database: &Path) -> u32 {
    let mut log = database.as_os_str().to_owned();
    log.push("-wal");
    let head = fs::read(log).expect("a log");
    u32::from_be_bytes(head[12..16].try_into().expect("four bytes"))
}

#[test]
fn the_log_begins_anew_while_commits_go_on() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut store = open(folder.path());
    let database = store.database();
    let mut row = job(1, JobState::Waiting);
    Arc::make_mut(&mut row.spec).work = Work::Script { text: "#".repeat(60_000), arguments: Vec::new() };
    let mut written = 0;
    let mut commit = |store: &mut Store, entries: u64| {
        let entries: Vec<_> = (written + 1..=written + entries).map(|seq| entry(seq, &row)).collect();
        written += entries.len() as u64;
        store.commit([&Batch { entries: entries.iter().collect(), ..Batch::default() }.prepare()]).expect("a commit");
    };
    commit(&mut store, 1);
    let before = log_generation(&database);
    // Thirty pages each: more than a checkpoint waits for.
    commit(&mut store, 400);
    let began = std::time::Instant::now();
    while log_generation(&database) == before {
        assert!(began.elapsed().as_secs() < 60, "no checkpoint in a minute of commits");
        commit(&mut store, 1);
    }
    drop(store);
    let loaded = Reader::open(&database).expect("a reader").entries(0, 1_000_000).expect("entries");
    assert_eq!(loaded.len() as u64, written, "every entry is there");
}
