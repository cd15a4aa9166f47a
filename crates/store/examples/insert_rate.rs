//! How fast one process inserts the rows of submissions, with no server around it:
//! `cargo run --release -p huisuan-store --example insert_rate [JOBS] [BATCH]`.
//!
//! The rows are those that a server writes for a submission: journal entry, job, idempotency key; made
//! before the clock starts, committed in batches, durable. Prints one line of JSON.
#![expect(clippy::print_stdout, reason = "a measurement prints its result")]

use std::{sync::Arc, time::Instant};

use huisuan_model::{
    ActorId, Command, Entry, Event, Job, JobId, JobSpec, JobState, Money, ProjectId, TenantId, TimeMs,
    command::{ENTRY_VERSION, Origin},
    job::TaskSets,
};
use huisuan_store::{Batch, DataDirectory, KeyRow, Store};

fn main() {
    let mut arguments = std::env::args().skip(1).map(|text| text.parse::<u64>().expect("a number"));
    let (jobs, batch) = (arguments.next().unwrap_or(100_000), arguments.next().unwrap_or(100));
    let folder = tempfile::tempdir_in(".").expect("a folder on the disk that is measured");
    let mut store = Store::open(DataDirectory::open(folder.path()).expect("a directory")).expect("a database");
    let rows: Vec<(Entry, Job, KeyRow)> = (1..=jobs).map(row).collect();
    let began = Instant::now();
    for chunk in rows.chunks(usize::try_from(batch).expect("a count")) {
        let written = Batch {
            entries: chunk.iter().map(|(entry, ..)| entry).collect(),
            jobs: chunk.iter().map(|(_, job, _)| job).collect(),
            keys: chunk.iter().map(|(.., key)| key.clone()).collect(),
            ..Batch::default()
        };
        store.commit([&written.prepare()]).expect("a commit");
    }
    let elapsed = began.elapsed();
    let per_s = jobs as f64 / elapsed.as_secs_f64();
    println!(r#"{{"jobs":{jobs},"batch":{batch},"per_s":{per_s:.1},"elapsed_ms":{}}}"#, elapsed.as_millis());
}

fn row(number: u64) -> (Entry, Job, KeyRow) {
    let name = |text: &str| text.to_owned();
    let tenant = TenantId::new("local").expect("a name");
    let (project, actor) = (ProjectId::new("default").expect("a name"), ActorId::new("user").expect("a name"));
    let spec = Arc::new(JobSpec::command("bench", &["/bin/true"]));
    let (id, at, spec_hash) = (JobId(number), TimeMs(1_700_000_000_000), spec.hash());
    let key: Arc<str> = format!("bench-18c3f0a5b1e2d3c4-{number:010}").into();
    let origin =
        Origin { actor: actor.clone(), tenant: tenant.clone(), project: project.clone(), cause: name("1-100") };
    let event = Event::JobSubmitted {
        job: id,
        tenant: tenant.clone(),
        project: project.clone(),
        actor: actor.clone(),
        spec: spec.clone(),
        spec_hash,
        at,
        key: Some(key.clone()),
        waits_for: Vec::new(),
    };
    let command = Command::Submit { spec: spec.clone(), key: Some(key.clone()), ended: Vec::new() };
    let entry = Entry { seq: number, at, version: ENTRY_VERSION, origin, command, events: vec![event] };
    let row = KeyRow { tenant: tenant.clone(), key, job: id, spec_hash, at };
    let job = Job {
        id,
        tenant,
        project,
        actor,
        tasks: TaskSets { waiting: spec.tasks.clone(), ..TaskSets::default() },
        spec,
        spec_hash,
        submitted_at: at,
        started_at: None,
        ended_at: None,
        state: JobState::Waiting,
        cancel_requested: false,
        waits_for: Vec::new(),
        end_reason: None,
        centres: std::collections::BTreeSet::new(),
        retried: std::collections::BTreeMap::new(),
        preempted: std::collections::BTreeMap::new(),
        refused_by: std::collections::BTreeMap::new(),
        usage: std::collections::BTreeMap::new(),
        cost: Money::ZERO,
        ran_ms: 0,
    };
    (entry, job, row)
}
