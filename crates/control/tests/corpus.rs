//! Journals of format 1, as they are kept in `crates/store/tests/golden`: `v1` as it was first written, and
//! `v1-more` with all that was added to the format since, always optional.
//!
//! The tests fold them with today's reducer and find the rows of then: a change of `apply` that would give old facts
//! a new meaning fails here. The story below makes `v1-more`; it is told again when the format gains something, with
//! `HUISUAN_BLESS=1 cargo test -p huisuan-control --test corpus`. What a network refuses by now, such as an objective,
//! is in `v1` alone.

#![expect(clippy::disallowed_methods, reason = "the corpus lies in files, and only a test reads them")]

use std::{collections::BTreeMap, env, fs, path::PathBuf, sync::Arc};

use huisuan_control::{
    State, apply, execute,
    schedule::{Budget, Seed, cycle},
    snapshot,
};
use huisuan_model::{
    ActorId, AgreedPrice, Alarm, AlarmKind, ApplicationId, AskedReservation, Attempt, AttemptId, AttemptReport, Bytes,
    Centre, CentreId, CentreState, Certificate, ChannelTarget, Class, Command, Contract, Dependency, Doubt, DurationMs,
    EndCause, EndedJob, EngineKind, Entry, Event, Facts, GflopPerS, Job, JobId, JobSpec, JobState, Level, Mark,
    MeterRecord, Metered, Metering, MilliDevices, Millicores, Money, OddityKind, Outcome, PastAttempt, PastRow, Place,
    Pool, PoolId, Precision, PrecisionRate, Presence, ProjectId, RangeSet, Rating, ReportKind, ReservationId, Staged,
    Tariff, TariffRule, Tenant, TenantId, TimeMs, Together, Topology, Usage, When,
    command::{ENTRY_VERSION, Origin},
    facts::{Link, Power},
    spec::{DataReference, DeviceNeed, JobKind, LatencyBound, Need, Objective, Reading, Rerun, Work},
    tenant::{Limit, TenantChange, TokenHash},
};
use serde::Serialize;

#[path = "corpus/additions.rs"]
mod additions;

/// 2026-01-01T00:00:00Z.
const BEGIN: TimeMs = TimeMs(1_767_225_600_000);

/// The folder that the story below writes.
const TOLD: &str = "v1-more";

fn path(folder: &str, file: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../store/tests/golden").join(folder).join(file)
}

fn lines<T: Serialize>(rows: impl IntoIterator<Item = T>) -> String {
    rows.into_iter().map(|row| serde_json::to_string(&row).expect("JSON") + "\n").collect()
}

/// The rows as a store would have them: the last form of each, live or ended.
#[derive(Default)]
struct Rows {
    jobs: BTreeMap<JobId, Job>,
    attempts: BTreeMap<AttemptId, Attempt>,
}

impl Rows {
    fn take(&mut self, state: &mut State) {
        let touched = state.take_touched();
        let jobs = touched.jobs.iter().filter_map(|id| state.job(*id)).chain(touched.jobs_ended.values());
        self.jobs.extend(jobs.map(|job| (job.id, job.clone())));
        let attempts = touched.attempts.iter().filter_map(|id| state.attempt(*id));
        let attempts = attempts.chain(touched.attempts_ended.values());
        self.attempts.extend(attempts.map(|attempt| (attempt.id, attempt.clone())));
    }

    fn files(&self, state: &State) -> [(&'static str, String); 4] {
        [
            ("job.jsonl", lines(self.jobs.values())),
            ("attempt.jsonl", lines(self.attempts.values())),
            ("centre.jsonl", lines(state.centres().values())),
            ("tenant.jsonl", lines(state.tenants().values())),
        ]
    }
}

#[test]
fn the_first_journal_folds_to_its_rows() {
    check("v1");
}

#[test]
fn the_journal_with_all_additions_folds_to_its_rows() {
    if env::var_os("HUISUAN_BLESS").is_some() {
        write();
    }
    check(TOLD);
}

fn check(folder: &str) {
    let journal = fs::read_to_string(path(folder, "journal.jsonl")).expect("the corpus is in the repository");
    let (mut state, mut rows) = (State::new(), Rows::default());
    for line in journal.lines() {
        let entry: Entry = serde_json::from_str(line).expect("an entry");
        entry.events.iter().for_each(|event| apply(&mut state, event));
        rows.take(&mut state);
    }
    state.ledger().audit().expect("the books balance");
    assert!(state.jobs_live() > 0 && state.attempts_live() > 0, "the story ends with work under way");
    for (file, text) in rows.files(&state) {
        assert_eq!(text, fs::read_to_string(path(folder, file)).expect("the corpus is there"), "{file}");
    }
}

fn write() {
    let mut story = Story { state: State::new(), now: BEGIN, journal: Vec::new(), rows: Rows::default(), reported: 0 };
    story.open();
    story.one_of_everything();
    story.ends();
    story.later();
    story.dependencies();
    story.centres();
    story.preempts();
    story.ratings();
    story.money();
    story.reaches();
    story.sites();
    story.energy();
    story.images();
    story.data();
    story.reserves();
    story.own_budgets();
    story.sessions();
    story.racks();
    story.contracts();
    story.returns();
    story.late();
    let files = story.rows.files(&story.state).into_iter().chain([("journal.jsonl", lines(&story.journal))]);
    for (file, text) in files {
        fs::create_dir_all(path(TOLD, "")).expect("a folder");
        fs::write(path(TOLD, file), text).expect("a file");
    }
}

struct Story {
    state: State,
    now: TimeMs,
    journal: Vec<Entry>,
    rows: Rows,
    /// The last report sequence of `hpc-1`.
    reported: u64,
}

fn centre(name: &str) -> CentreId {
    CentreId::new(name).expect("a name")
}

fn pool(name: &str) -> PoolId {
    PoolId::new(name).expect("a name")
}

fn tenant() -> TenantId {
    TenantId::new("local").expect("a name")
}

fn outcome(cause: EndCause, exit_code: Option<i32>, signal: Option<i32>, detail: &str) -> Outcome {
    Outcome { cause, exit_code, signal, detail: detail.to_owned() }
}

impl Story {
    fn take(&mut self, actor: &str, cause: &str, command: Command) -> Vec<Event> {
        self.take_of(tenant(), actor, cause, command)
    }

    fn take_of(&mut self, tenant: TenantId, actor: &str, cause: &str, command: Command) -> Vec<Event> {
        self.now.0 += 7;
        let actor = ActorId::new(actor).expect("a name");
        let project = ProjectId::new("default").expect("a name");
        let origin = Origin { actor, tenant, project, cause: cause.to_owned() };
        let events = execute(&mut self.state, &origin, &command, self.now).expect("a command that is taken");
        assert!(!events.is_empty(), "{command:?} changes nothing");
        let (seq, at, version) = (self.state.version(), self.now, ENTRY_VERSION);
        self.journal.push(Entry { seq, at, version, origin, command, events: events.clone() });
        self.rows.take(&mut self.state);
        events
    }

    fn submit(&mut self, spec: JobSpec, key: Option<&str>) {
        self.submit_after(spec, key, Vec::new());
    }

    fn submit_after(&mut self, spec: JobSpec, key: Option<&str>, ended: Vec<EndedJob>) {
        self.take("user", "1-1", Command::Submit { spec: Arc::new(spec), key: key.map(Into::into), ended });
    }

    fn plan(&mut self) {
        let snapshot = snapshot(&self.state);
        let plan = cycle(&snapshot, self.state.policy(), self.now, Budget::default(), Seed(1));
        self.take("planner", "", Command::Plan(Box::new(plan)));
    }

    fn report(&mut self, reports: Vec<(&str, ReportKind)>) {
        self.reported += 1;
        let at = self.now;
        let report = |(id, what): (&str, ReportKind)| AttemptReport { attempt: id.parse().expect("an id"), at, what };
        let reports = reports.into_iter().map(report).collect();
        let command = Command::Report { centre: centre("hpc-1"), seq: self.reported, reports, past: None };
        self.take("agent:hpc-1", "", command);
    }

    fn ended(&self, wall_ms: u64, outcome: Outcome) -> ReportKind {
        let usage = Usage {
            wall: DurationMs(wall_ms),
            cpu: DurationMs(wall_ms / 2),
            memory_peak: Bytes(wall_ms * 1024),
            ..Usage::default()
        };
        let started_at = (wall_ms > 0).then(|| TimeMs(self.now.0 - wall_ms as i64));
        ReportKind::Ended { started_at, outcome, usage }
    }

    /// A tenant with money and two centres: one of processors, one of accelerators.
    fn open(&mut self) {
        self.take("server", "", Command::SetTenant(Tenant::new(tenant(), 1000)));
        self.take("server", "", Command::Fund { amount: Money(1_000_000_000) });
        let place = Place { latitude_microdegrees: 31_230_400, longitude_microdegrees: 121_473_700 };
        let declared =
            [("ai-1", Class::Ai, EngineKind::Kubernetes, None), ("hpc-1", Class::Hpc, EngineKind::Local, Some(place))];
        for (name, class, engine, place) in declared {
            let centre = Centre {
                place,
                overlapping: class == Class::Hpc,
                ..Centre::new(
                    centre(name),
                    class,
                    engine,
                    "Asia/Shanghai",
                    Tariff { currency: "CNY".into(), price_per_p_h: Money(2_400_000_000) },
                )
            };
            self.take("server", "", Command::SetCentre(Box::new(centre)));
        }
        let processors = Pool {
            id: pool("cpu:EPYC-7742"),
            class: Class::Hpc,
            cores: Millicores(16_000),
            memory: Bytes(64 << 30),
            devices: MilliDevices(0),
            device_memory: Bytes(0),
            rating: None,
            images: false,
            topology: None,
        };
        let devices = Pool {
            id: pool("A100-SXM4-80G"),
            class: Class::Ai,
            devices: MilliDevices(8000),
            device_memory: Bytes(80 << 30),
            ..processors.clone()
        };
        let found = [("hpc-1", processors, 300, Mark::Measured), ("ai-1", devices, 2_496_000, Mark::Declared)];
        for (name, found, sustained, mark) in found {
            let (centre, pool) = (centre(name), found.id.clone());
            self.take("agent:x", "", Command::Inventory { centre: centre.clone(), pools: vec![found] });
            let (sustained, nameplate) = (GflopPerS(sustained), GflopPerS(sustained * 2));
            let (method, rated_at) = ("gemm-matrixmultiply/1".to_owned(), self.now);
            let rating =
                Rating { version: 0, sustained, nameplate, method, mark, rated_at, certificate: None, doubt: None };
            self.take("agent:x", "", Command::Rate { centre, pool, rating });
        }
    }

    /// Jobs 1 to 4: an array with every field of a spec that can be run, a gang, a rate, accelerators.
    fn one_of_everything(&mut self) {
        let array = JobSpec {
            work: Work::Command(vec!["/bin/echo".into(), "汇算 \"quoted\"\n".into()]),
            environment: BTreeMap::from([("LANG".into(), "C.UTF-8".into()), ("EMPTY".into(), String::new())]),
            directory: Some("/srv/data".into()),
            output: Some("out-%A_%a.txt".into()),
            error: Some("err-%A_%a.txt".into()),
            tasks: "1-9:2,20".parse().expect("indices"),
            parallel_max: Some(5),
            class: Some(Class::Hpc),
            centres: vec![centre("hpc-1")],
            priority: -5,
            retries: 1,
            ..JobSpec::command("array", &["x"])
        };
        self.submit(array, Some("key 1"));
        let text = "#!/bin/sh\necho \"$1\"\n".to_owned();
        let work = Work::Script { text, arguments: vec!["argument".into()] };
        let gang = JobSpec { work, gang: true, tasks: RangeSet::from_range(0, 3), ..JobSpec::command("gang", &["x"]) };
        self.submit(JobSpec { class: Some(Class::Hpc), retries: 1, ..gang }, None);
        let need = Need::Rate { class: Class::Hpc, rate: GflopPerS(20), device_memory_min: Bytes(0) };
        self.submit(JobSpec { need, ..JobSpec::command("rate", &["/bin/true"]) }, Some("key-3"));
        let any_of = vec![pool("A100-SXM4-80G")];
        let devices = DeviceNeed { count: MilliDevices(500), any_of, memory_min: Bytes(40 << 30) };
        let need = Need::Hardware { cores: Millicores(250), devices: Some(devices) };
        self.submit(JobSpec { need, ..JobSpec::command("devices", &["/bin/true"]) }, None);
        self.plan();
    }

    /// Every way in which an attempt ends.
    fn ends(&mut self) {
        self.now.0 += 60_000;
        let used = Usage {
            wall: DurationMs(30_000),
            cpu: DurationMs(29_000),
            memory_peak: Bytes(1 << 20),
            ..Usage::default()
        };
        self.report(vec![
            ("1.1.1", ReportKind::Started),
            ("2.0.1", ReportKind::Started),
            ("1.1.1", ReportKind::Used(used)),
        ]);
        self.now.0 += 1000;
        let exited = |code| outcome(EndCause::Exited, Some(code), None, "");
        let killed = outcome(EndCause::Exited, None, Some(11), "");
        self.report(vec![
            ("1.1.1", self.ended(61_000, exited(0))),
            ("1.3.1", self.ended(50_000, exited(1))),
            ("1.5.1", self.ended(40_000, outcome(EndCause::Memory, None, Some(9), "used 300 MiB of 256 MiB"))),
            ("1.7.1", self.ended(0, outcome(EndCause::StartFailed, None, None, "no such program"))),
            ("1.9.1", self.ended(10, outcome(EndCause::Lost, None, None, ""))),
            ("2.2.1", self.ended(20, killed)),
            ("3.0.1", self.ended(60_000, outcome(EndCause::Walltime, None, Some(15), "walltime of 1h is over"))),
        ]);
        let cancelled = outcome(EndCause::Cancelled, None, Some(15), "");
        let stopped = ["2.0.1", "2.1.1", "2.3.1"].map(|id| (id, self.ended(100, cancelled.clone())));
        self.report(stopped.to_vec());
        self.plan();
    }

    /// A pause, cancellations, keys forgotten; one job waits at the end.
    fn later(&mut self) {
        let set = |state| Command::SetCentreState { centre: centre("hpc-1"), state };
        self.take("user", "1-7", set(CentreState::Paused));
        self.submit(JobSpec::command("cancelled", &["/bin/true"]), None);
        self.take("user", "1-9", Command::Cancel { job: JobId(5) });
        self.take("user", "1-10", Command::Cancel { job: JobId(1) });
        self.take("user", "1-11", set(CentreState::Active));
        self.take("server", "", Command::ForgetKeys { before: self.now });
        self.submit(JobSpec { class: Some(Class::Hpc), ..JobSpec::command("waits", &["/bin/true"]) }, Some("key 2"));
    }

    /// Jobs that wait for others: one is released, one ends because it never can be, one goes on waiting.
    fn dependencies(&mut self) {
        let after = |job, when| Dependency { job: JobId(job), when };
        let deadline_at = Some(TimeMs(BEGIN.0 + 86_400_000));
        let first = JobSpec { class: Some(Class::Hpc), deadline_at, ..JobSpec::command("first", &["/bin/true"]) };
        let first = JobSpec { preemptible: true, ..first };
        self.submit(first.clone(), None);
        let waits = |after| JobSpec { after, ..first.clone() };
        let ended = vec![EndedJob { job: JobId(3), state: JobState::Failed }];
        self.submit_after(waits(vec![after(3, When::NotOk), after(7, When::Any)]), None, ended);
        self.submit(waits(vec![after(7, When::Ok)]), None);
        self.submit(waits(vec![after(6, When::Start), after(8, When::Ok)]), None);
        self.take("user", "1-12", Command::Cancel { job: JobId(7) });
    }

    /// A centre that goes away and comes back, and one that stays away.
    fn centres(&mut self) {
        let set = |name, presence| Command::SetPresence { centre: centre(name), presence };
        self.take("server", "", set("hpc-1", Presence::Absent));
        self.take("server", "", set("hpc-1", Presence::Present));
        self.take("server", "", set("ai-1", Presence::Absent));
        let started =
            AttemptReport { attempt: "2.0.2".parse().expect("an id"), at: self.now, what: ReportKind::Started };
        self.reported += 1;
        let (centre_id, seq) = (centre("hpc-1"), self.reported);
        self.take(
            "agent:hpc-1",
            "",
            Command::Report { centre: centre_id.clone(), seq, reports: vec![started], past: None },
        );
        self.take("agent:hpc-1", "", Command::LoseRunning { centre: centre_id });
        let maintain = |pool, from, until, note: &str| Command::AddWindow {
            centre: centre("hpc-1"),
            pool,
            from: TimeMs(BEGIN.0 + from),
            until: TimeMs(BEGIN.0 + until),
            note: note.to_owned(),
        };
        self.take("user", "1-13", maintain(None, 0, 600_000, ""));
        self.take("user", "1-14", maintain(Some(pool("cpu:EPYC-7742")), 0, 86_400_000, "new switches"));
        self.take("user", "1-15", Command::RemoveWindow { centre: centre("hpc-1"), id: 1 });
        let lab = TenantId::new("lab").expect("a name");
        let change = TenantChange {
            weight: Some(3),
            jobs_max: Some(50),
            quota_cores: Some(Limit::Most(8_000)),
            quota_devices: Some(Limit::Most(500)),
            projects: BTreeMap::from([(ProjectId::new("alpha").expect("a name"), 2)]),
            ..TenantChange::default()
        };
        self.take("user", "1-16", Command::AddTenant { tenant: lab.clone(), change });
        let change = TenantChange { quota_devices: Some(Limit::None), ..TenantChange::default() };
        self.take("user", "1-17", Command::ChangeTenant { tenant: lab.clone(), change });
        self.take("user", "1-18", Command::SetTenantToken { tenant: lab, token: TokenHash([7; 32]) });
    }

    /// What lies between centres, and a job that minds it.
    fn reaches(&mut self) {
        let curve = |figure| [Money(figure); 24];
        let power = Power {
            offset_minutes: 480,
            price_per_kwh: curve(450_000),
            carbon_g_per_kwh: [560; 24],
            pue_permille: 1_250,
            draw_mw: BTreeMap::from([(pool("cpu:EPYC-7742"), 3_500)]),
        };
        let link =
            Link { to: centre("ai-1"), round_trip_us: 8_000, bytes_per_s: 1 << 30, price_per_gb: Money(250_000) };
        let facts = Facts { links: vec![link], power: Some(Box::new(power)), ..Facts::default() };
        let place = Some(Place { latitude_microdegrees: 34_750_000, longitude_microdegrees: 113_620_000 });
        self.take("user", "1-22", Command::SetFacts { centre: centre("hpc-1"), place, facts });
        let latency = LatencyBound { round_trip_max: DurationMs(10), to: Some(centre("hpc-1")), place: None };
        let reads = vec![Reading { at: centre("hpc-1"), bytes: Bytes(1 << 30) }];
        let objective = Objective::Greenest;
        self.submit(
            JobSpec { latency: Some(latency), reads, objective, ..JobSpec::command("near", &["/bin/true"]) },
            None,
        );
        self.plan();
    }

    /// Budgets and credit, rules of a tariff, hours posted while an attempt runs, what is priced anew, what is odd.
    fn money(&mut self) {
        let lab = TenantId::new("lab").expect("a name");
        let alpha = ProjectId::new("alpha").expect("a name");
        let change = TenantChange {
            industry: Some("car plants".into()),
            budget_month: Some(Limit::Most(900_000_000)),
            budget_hour: Some(Limit::Most(500_000_000)),
            budget_projects: BTreeMap::from([(alpha, Limit::Most(5))]),
            credit: Some(Money(7)),
            ..TenantChange::default()
        };
        self.take("user", "1-22", Command::ChangeTenant { tenant: lab.clone(), change });
        let hour = 3_600_000;
        let rule = TariffRule {
            id: 0,
            centre: centre("hpc-2"),
            tenant: None,
            pool: Some(pool("cpu:small")),
            class: Some(Class::Hpc),
            hours: Some("8-20".parse().expect("hours")),
            priority_min: Some(-5),
            from: TimeMs(BEGIN.0 + hour),
            until: Some(TimeMs(BEGIN.0 + 900 * hour)),
            currency: "CNY".into(),
            price_per_p_h: Money(3_000_000_000),
        };
        self.take("user", "1-23", Command::SetTariffRule { rule: rule.clone(), rerate: false });
        self.take("user", "1-24", Command::EndTariffRule { rule: 1, until: TimeMs(BEGIN.0 + 800 * hour) });
        let mine = self.state.attempts().find(|one| one.centre == centre("hpc-2") && one.stop_seq.is_none());
        let id = mine.expect("an attempt").id;
        let report = |at: TimeMs, what| AttemptReport { attempt: id, at, what };
        let used = |wall: i64| Usage {
            wall: DurationMs(wall as u64),
            cpu: DurationMs(9),
            memory_peak: Bytes(1),
            ..Usage::default()
        };
        let take = |story: &mut Self, seq, reports| {
            story.take("agent:hpc-2", "", Command::Report { centre: centre("hpc-2"), seq, reports, past: None });
        };
        take(self, 2, vec![report(self.now, ReportKind::Started)]);
        self.now.0 += 2 * hour;
        take(self, 3, vec![report(self.now, ReportKind::Used(used(hour + hour / 2)))]);
        let odd = ReportKind::Used(Usage { cpu: DurationMs(1), ..used(hour + hour / 2 + 1) });
        take(self, 4, vec![report(self.now, odd)]);
        let end = self.ended(hour as u64 + 1_900_000, outcome(EndCause::Exited, Some(0), None, ""));
        let events = {
            let command =
                Command::Report { centre: centre("hpc-2"), seq: 5, reports: vec![report(self.now, end)], past: None };
            self.take("agent:hpc-2", "", command)
        };
        let read = events.iter().find_map(|event| match event {
            Event::AttemptEnded { readings, .. } => readings.last().cloned(),
            _ => None,
        });
        let reading = read.expect("a reading");
        let share = self.rows.attempts[&id].terms.share;
        let job = &self.rows.jobs[&id.job];
        let (tenant, project) = (job.tenant.clone(), job.project.clone());
        let next = reading.number + 1;
        let (centre, pool) = (centre("hpc-2"), pool("cpu:small"));
        let of = MeterRecord { attempt: id, tenant, project, centre, pool, share, reading };
        let anew = TariffRule { until: None, from: TimeMs(BEGIN.0), ..rule };
        let anew = TariffRule { price_per_p_h: Money(1_000_000_000), ..anew };
        self.take("user", "1-25", Command::SetTariffRule { rule: anew, rerate: true });
        let readings = vec![Metering { of, priority: 0, next, running: false }];
        self.take("user", "1-26", Command::Rerate { rule: 2, readings });
        // One that still runs has been read once.
        let other = self.state.attempts().find(|one| one.centre.as_str() == "hpc-2").expect("an attempt").id;
        let of = |what| AttemptReport { attempt: other, at: self.now, what };
        let reports = vec![of(ReportKind::Started), of(ReportKind::Used(used(hour + 5)))];
        take(self, 6, reports);
    }

    /// A job that may be preempted fills a centre of its own, and another tenant's takes some of it: one attempt has
    /// ended, and one of another job is told to.
    fn preempts(&mut self) {
        let name = centre("hpc-2");
        let mut open = self.state.centres()[&centre("hpc-1")].clone();
        (open.id, open.state, open.reported_seq) = (name.clone(), CentreState::Active, 0);
        (open.windows, open.absent_since, open.reported_at, open.window_last) = (Vec::new(), None, None, 0);
        let mut found = open.pools.pop_first().expect("a pool").1;
        let rating = found.rating.take().expect("a rating");
        (found.cores, found.id) = (Millicores(4_000), pool("cpu:small"));
        self.take("user", "1-19", Command::SetCentre(Box::new(Centre { pools: BTreeMap::new(), ..open })));
        self.take("agent:hpc-2", "", Command::Inventory { centre: name.clone(), pools: vec![found] });
        let pool = pool("cpu:small");
        self.take("agent:hpc-2", "", Command::Rate { centre: name.clone(), pool, rating });
        let here = JobSpec { centres: vec![name.clone()], ..JobSpec::command("elastic", &["/bin/true"]) };
        let here = JobSpec { tasks: RangeSet::from_range(0, 3), ..here };
        self.submit(JobSpec { preemptible: true, ..here.clone() }, None);
        let elastic = self.state.jobs_total();
        self.plan();
        self.now = TimeMs(self.now.0 + 1_000);
        let lab = || TenantId::new("lab").expect("a name");
        self.take_of(lab(), "user", "1-20", Command::Fund { amount: Money(100_000_000) });
        let spec = Arc::new(JobSpec { name: "urgent".into(), ..here });
        self.take_of(lab(), "user", "1-21", Command::Submit { spec, key: None, ended: Vec::new() });
        self.plan();
        let stops = self.state.attempts().filter(|one| one.preempted_by.is_some());
        let stops: Vec<AttemptId> = stops.map(|attempt| attempt.id).collect();
        let stop = *stops.iter().find(|id| id.job == JobId(elastic)).expect("one of them");
        assert!(stops.len() > 1, "{stops:?}");
        let what = self.ended(500, outcome(EndCause::Cancelled, None, Some(15), ""));
        let report = AttemptReport { attempt: stop, at: self.now, what };
        self.take("agent:hpc-2", "", Command::Report { centre: name, seq: 1, reports: vec![report], past: None });
    }

    /// A rating with all that one can carry, which is doubted and believed again, and one that stays in doubt.
    fn ratings(&mut self) {
        let (name, pool) = (centre("hpc-1"), pool("cpu:EPYC-7742"));
        let rate = |precision, sustained| PrecisionRate {
            precision,
            sustained: Some(GflopPerS(sustained)),
            nameplate: Some(GflopPerS(2 * sustained)),
        };
        let certificate = Certificate {
            rates: vec![rate(Precision::Fp64, 310), rate(Precision::Int8, 2_480)],
            memory: Bytes(64 << 30),
            bandwidth_mb_per_s: Some(190_000),
            watts: Some(225),
            host_hash: "ab".repeat(32),
            data_hash: "cd".repeat(32),
            expires_at: TimeMs(self.now.0 + 7_776_000_000),
            key: "12".repeat(32),
            signature: "34".repeat(64),
        };
        let plain = Rating::plain(GflopPerS(310), GflopPerS(620), "gemm-gemmkit/2", Mark::Measured, self.now);
        let signed = Rating { certificate: Some(Arc::new(certificate)), ..plain.clone() };
        let rate = |rating| Command::Rate { centre: name.clone(), pool: pool.clone(), rating };
        self.take("agent:hpc-1", "", rate(signed));
        let doubt = Doubt::Expired { at: TimeMs(self.now.0 + 7_776_000_000) };
        self.take("server", "", Command::DoubtRating { centre: name.clone(), pool: pool.clone(), doubt });
        self.take("user", "1-22", Command::AcceptRating { centre: name.clone(), pool: pool.clone() });
        self.take("agent:hpc-1", "", rate(Rating { sustained: GflopPerS(700), ..plain }));
    }

    /// A centre whose power is declared, and the end of an attempt there, whose readings know their energy.
    fn energy(&mut self) {
        let power = Power {
            offset_minutes: 480,
            price_per_kwh: [Money(450_000); 24],
            carbon_g_per_kwh: [560; 24],
            pue_permille: 1_250,
            draw_mw: BTreeMap::from([(pool("cpu:site"), 3_500)]),
        };
        let application = ApplicationId::new("llm-train").expect("a name");
        let factors = BTreeMap::from([(application, 860)]);
        let facts =
            Facts { links: Vec::new(), power: Some(Box::new(power)), factors: [(pool("cpu:site"), factors)].into() };
        let name = centre("site-1");
        self.take("user", "1-27", Command::SetFacts { centre: name.clone(), place: None, facts });
        let attempt = self.state.attempts().find(|one| one.centre == name).expect("one that is placed").id;
        self.now.0 += 3_600_000;
        let what = self.ended(1_800_000, outcome(EndCause::Exited, Some(0), None, ""));
        let report = AttemptReport { attempt, at: self.now, what };
        let events =
            self.take("agent:site-1", "", Command::Report { centre: name, seq: 2, reports: vec![report], past: None });
        let known = |event: &Event| match event {
            Event::AttemptEnded { readings, .. } => readings.iter().all(|reading| reading.energy.is_some()),
            _ => true,
        };
        assert!(events.iter().all(known), "{events:?}");
        // A price that was agreed with one tenant.
        let rule = TariffRule {
            id: 0,
            centre: centre("site-1"),
            tenant: Some(tenant()),
            pool: None,
            class: None,
            hours: None,
            priority_min: None,
            from: TimeMs(BEGIN.0 + 900 * 3_600_000),
            until: None,
            currency: "CNY".into(),
            price_per_p_h: Money(2_000_000_000),
        };
        self.take("user", "1-28", Command::SetTariffRule { rule, rerate: false });
        let gone = TenantId::new("gone").expect("a name");
        self.take("user", "1-29", Command::AddTenant { tenant: gone.clone(), change: TenantChange::default() });
        self.take("user", "1-30", Command::CloseTenant { tenant: gone });
    }

    /// A centre that an operator adds, with a token and an alarm; its rules refuse one job, and another one may be run
    /// again when it stays silent.
    fn sites(&mut self) {
        let name = centre("site-1");
        let mut open = self.state.centres()[&centre("hpc-2")].clone();
        (open.id, open.class, open.reported_seq, open.reported_at) = (name.clone(), Class::General, 0, None);
        let mut found = std::mem::take(&mut open.pools).pop_first().expect("a pool").1;
        let rating = found.rating.take().expect("a rating");
        (found.class, found.id) = (Class::General, pool("cpu:site"));
        self.take("user", "1-22", Command::AddCentre(Box::new(open)));
        let token = TokenHash([9; 32]);
        self.take("user", "1-23", Command::SetCentreToken { centre: name.clone(), token });
        self.take("agent:site-1", "", Command::Inventory { centre: name.clone(), pools: vec![found] });
        self.take("agent:site-1", "", Command::Rate { centre: name.clone(), pool: pool("cpu:site"), rating });
        let here = JobSpec { class: Some(Class::General), ..JobSpec::command("refused", &["/bin/true"]) };
        let tasks = RangeSet::from_range(0, 1);
        self.submit(JobSpec { tasks, parallel_max: Some(1), ..here.clone() }, None);
        let refused = self.state.jobs_total();
        self.submit(JobSpec { name: "again".into(), rerun: Rerun::Allowed, ..here }, None);
        let again = self.state.jobs_total();
        self.plan();
        let detail = "site rule `tenants`: `local/default` may not run at site-1";
        let what = ReportKind::Ended {
            started_at: None,
            outcome: outcome(EndCause::Refused, None, None, detail),
            usage: Usage::default(),
        };
        let report = AttemptReport { attempt: format!("{refused}.0.1").parse().expect("an id"), at: self.now, what };
        self.take(
            "agent:site-1",
            "",
            Command::Report { centre: name.clone(), seq: 1, reports: vec![report], past: None },
        );
        assert!(self.state.attempt(format!("{again}.0.1").parse().expect("an id")).is_some(), "it is placed");
        let presence = Presence::Absent;
        self.take("server", "", Command::SetPresence { centre: name.clone(), presence });
        self.take("server", "", Command::GiveUp { centre: name.clone() });
        let alarm = |subject: &str| Alarm {
            kind: AlarmKind::UnknownAttempt,
            subject: subject.to_owned(),
            detail: "runs and was never ordered by this network: left alone".to_owned(),
            since: self.now,
        };
        let raised = vec![alarm("900.0.1"), alarm("901.0.1")];
        let set = |raised, cleared| Command::SetAlarms { centre: centre("site-1"), raised, cleared };
        self.take("agent:site-1", "", set(raised, Vec::new()));
        self.take("agent:site-1", "", set(Vec::new(), vec![(AlarmKind::UnknownAttempt, "900.0.1".to_owned())]));
    }

    /// A centre begins to run container images, and a job in one waits for it.
    fn images(&mut self) {
        let name = centre("hpc-2");
        let pools = self.state.centres()[&name].pools.values();
        let pools = pools.map(|pool| Pool { rating: None, images: true, ..pool.clone() }).collect();
        self.take("agent:hpc-2", "", Command::Inventory { centre: name.clone(), pools });
        let image = Some(format!("registry.local/tools/blast@sha256:{}", "0a".repeat(32)));
        self.submit(JobSpec { image, class: Some(Class::Hpc), ..JobSpec::command("blast", &["blastn"]) }, None);
    }
    /// A centre that tells of its racks, and a gang that must lie in one.
    fn racks(&mut self) {
        let name = centre("racks-1");
        let mut open = self.state.centres()[&centre("hpc-2")].clone();
        (open.id, open.class, open.reported_seq, open.reported_at) = (name.clone(), Class::General, 0, None);
        open.engine = EngineKind::Simulated;
        let mut found = std::mem::take(&mut open.pools).pop_first().expect("a pool").1;
        (found.class, found.id, found.images) = (Class::General, pool("cpu:racks"), false);
        (found.cores, found.memory) = (Millicores(8_000), Bytes(16 << 30));
        found.topology = Some(Topology { nodes: 8, rack_nodes: 2, pod_racks: Some(2) });
        let rating = Rating::plain(GflopPerS(300), GflopPerS(300), "declared/1", Mark::Modelled, self.now);
        self.take("user", "1-24", Command::AddCentre(Box::new(open)));
        self.take("agent:racks-1", "", Command::Inventory { centre: name.clone(), pools: vec![found] });
        self.take("agent:racks-1", "", Command::Rate { centre: name.clone(), pool: pool("cpu:racks"), rating });
        let tasks = RangeSet::from_range(0, 1);
        let topology = Together::Required(Level::Rack);
        let spec =
            JobSpec { tasks, gang: true, topology, centres: vec![name], ..JobSpec::command("near", &["/bin/true"]) };
        self.submit(spec, None);
        let near = self.state.jobs_total();
        self.plan();
        let attempt = self.state.attempt(format!("{near}.0.1").parse().expect("an id"));
        assert!(attempt.is_some_and(|attempt| attempt.node.is_some()), "it is placed on a node");
    }
}
