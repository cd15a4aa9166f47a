//! A small network to tell stories with: two centres, one tenant, time that tests move.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use huisuan_ledger::{
    Account, Auditor, TransferKind,
    meter::{Meters, Taken},
};
use huisuan_model::{
    ActorId, AttemptId, AttemptReport, Bytes, Centre, CentreId, Class, Command, DurationMs, EndCause, EngineKind,
    Event, GflopPerS, JobId, JobSpec, Mark, Metered, MilliDevices, Millicores, Money, Outcome, PastAttempt, PastRow,
    Pool, PoolId, ProjectId, Rating, ReportKind, Tariff, Tenant, TenantId, TimeMs, Usage, centre::CURRENCY,
    command::Origin, quantity::GFLOP_PER_P_H,
};
use huisuan_schedule::{Budget, Seed};

use crate::{Refusal, State, Stored, apply, execute, snapshot, used::Used};

pub(crate) struct Network {
    pub(crate) state: State,
    pub(crate) now: TimeMs,
    /// Every event so far, to fold again.
    pub(crate) events: Vec<Event>,
    report_seq: BTreeMap<CentreId, u64>,
}

pub(crate) fn centre(name: &str) -> CentreId {
    CentreId::new(name).expect("a name")
}

pub(crate) fn pool() -> PoolId {
    PoolId::new("cpu:test").expect("a name")
}

pub(crate) fn attempt(job: u64, task: u32, attempt: u32) -> AttemptId {
    AttemptId { job: JobId(job), task, attempt }
}

pub(crate) fn origin() -> Origin {
    Origin {
        actor: ActorId::new("tester").expect("a name"),
        tenant: TenantId::new("local").expect("a name"),
        project: ProjectId::new("default").expect("a name"),
        cause: String::new(),
    }
}

pub(crate) fn exited(code: i32) -> Outcome {
    Outcome { cause: EndCause::Exited, exit_code: Some(code), signal: None, detail: String::new() }
}

pub(crate) fn cancelled() -> Outcome {
    Outcome { cause: EndCause::Cancelled, exit_code: None, signal: Some(15), detail: String::new() }
}

impl Network {
    /// `hpc-1` with four cores and `ai-1` with two, rated 60 GFLOP/s each, and ten yuan to spend.
    pub(crate) fn new() -> Self {
        let mut network =
            Network { state: State::new(), now: TimeMs(1_000), events: Vec::new(), report_seq: BTreeMap::new() };
        let tenant = Tenant::new(origin().tenant, 100);
        network.take(Command::SetTenant(tenant));
        network.take(Command::Fund { amount: Money(10_000_000) });
        network.open("hpc-1", Class::Hpc, 4);
        network.open("ai-1", Class::Ai, 2);
        network
    }

    pub(crate) fn open(&mut self, name: &str, class: Class, cores: u64) {
        self.take(Command::SetCentre(Box::new(Centre::new(
            centre(name),
            class,
            EngineKind::Local,
            "Asia/Shanghai",
            Tariff { currency: "CNY".into(), price_per_p_h: Money(3_000_000_000) },
        ))));
        let found = Pool {
            id: pool(),
            class,
            cores: Millicores(cores * 1000),
            memory: Bytes(8 << 30),
            devices: MilliDevices::ZERO,
            device_memory: Bytes::ZERO,
            rating: None,
            images: false,
            topology: None,
        };
        self.take(Command::Inventory { centre: centre(name), pools: vec![found] });
        let rating = Rating {
            version: 0,
            sustained: GflopPerS(60),
            nameplate: GflopPerS(100),
            method: "test/1".into(),
            mark: Mark::Measured,
            rated_at: self.now,
            certificate: None,
            doubt: None,
        };
        self.take(Command::Rate { centre: centre(name), pool: pool(), rating });
    }

    /// Executes a command and checks every invariant.
    pub(crate) fn execute(&mut self, command: Command) -> Result<Vec<Event>, Refusal> {
        self.execute_from(&origin(), command)
    }

    /// The same for whoever asks.
    pub(crate) fn execute_from(&mut self, origin: &Origin, command: Command) -> Result<Vec<Event>, Refusal> {
        let before = self.state.clone();
        let result = execute(&mut self.state, origin, &command, self.now);
        match &result {
            Ok(events) => self.events.extend(events.iter().cloned()),
            Err(refusal) => assert!(self.state == before, "a refusal changed the state: {refusal}"),
        }
        self.check();
        result
    }

    pub(crate) fn take(&mut self, command: Command) -> Vec<Event> {
        self.execute(command).expect("a command that is taken")
    }

    pub(crate) fn take_from(&mut self, origin: &Origin, command: Command) -> Vec<Event> {
        self.execute_from(origin, command).expect("a command that is taken")
    }

    pub(crate) fn submit(&mut self, spec: JobSpec) -> Result<JobId, Refusal> {
        self.submit_with_key(spec, None)
    }

    pub(crate) fn submit_with_key(&mut self, spec: JobSpec, key: Option<&str>) -> Result<JobId, Refusal> {
        let key: Option<Arc<str>> = key.map(Into::into);
        self.execute(Command::Submit { spec: Arc::new(spec), key: key.clone(), ended: Vec::new() })?;
        let known = key.and_then(|key| self.state.job_of_key(&origin().tenant, &key));
        Ok(known.unwrap_or(JobId(self.state.job_last)))
    }

    /// One scheduling cycle and its plan.
    pub(crate) fn plan(&mut self) -> Vec<Event> {
        let plan = self.plan_alone();
        self.take(Command::Plan(Box::new(plan)))
    }

    /// A plan that is not taken yet.
    pub(crate) fn plan_alone(&self) -> huisuan_model::Plan {
        let snapshot = snapshot(&self.state);
        let plan = huisuan_schedule::cycle(&snapshot, &self.state.policy, self.now, Budget::default(), Seed(1));
        let judged = huisuan_schedule::check(&snapshot, &self.state.policy, self.now, &plan);
        assert!(judged.is_ok(), "a plan breaks a rule: {judged:?}");
        plan
    }

    pub(crate) fn report(&mut self, name: &str, reports: Vec<(AttemptId, ReportKind)>) -> Vec<Event> {
        let seq = self.report_seq.entry(centre(name)).or_default();
        *seq += 1;
        let seq = *seq;
        self.report_with_seq(name, seq, reports).expect("a report that is taken")
    }

    pub(crate) fn report_with_seq(
        &mut self,
        name: &str,
        seq: u64,
        reports: Vec<(AttemptId, ReportKind)>,
    ) -> Result<Vec<Event>, Refusal> {
        let at = self.now;
        let reports = reports.into_iter().map(|(attempt, what)| AttemptReport { attempt, at, what }).collect();
        self.tell(name, seq, reports)
    }

    /// A batch as a server has it taken: rows of attempts that are not live are looked for where they are missed.
    pub(crate) fn tell(&mut self, name: &str, seq: u64, reports: Vec<AttemptReport>) -> Result<Vec<Event>, Refusal> {
        let told = |past| Command::Report { centre: centre(name), seq, reports: reports.clone(), past: Some(past) };
        match self.execute(told(Vec::new())) {
            Err(Refusal::NotLive { attempts }) => {
                let past = attempts.into_iter().map(|id| PastAttempt { id, row: self.past(id).map(Box::new) });
                let past = past.collect();
                self.execute(told(past))
            }
            answer => answer,
        }
    }

    /// The row of an attempt that has ended, with what its meter has.
    fn past(&self, id: AttemptId) -> Option<PastRow> {
        let rows = &self.state.touched;
        let attempt = rows.attempts_ended.get(&id)?.clone();
        let job = self.state.job(id.job).or_else(|| rows.jobs_ended.get(&id.job)).expect("its job");
        let until = attempt.started_at.unwrap_or(attempt.placed_at);
        let mut row = PastRow {
            attempt,
            tenant: job.tenant.clone(),
            project: job.project.clone(),
            priority: job.spec.priority,
            walltime: job.spec.walltime,
            budgeted: job.spec.budget.is_some(),
            metered: Metered { until, ..Metered::default() },
            paid: Money::ZERO,
        };
        rows.meters.iter().filter(|record| record.attempt == id).for_each(|record| row.count(record));
        Some(row)
    }

    /// The report of an end after `wall_ms`, at this moment.
    pub(crate) fn ended(&self, outcome: Outcome, wall_ms: u64) -> ReportKind {
        let usage = Usage {
            wall: DurationMs(wall_ms),
            cpu: DurationMs(wall_ms),
            memory_peak: Bytes(1 << 20),
            ..Usage::default()
        };
        let started_at = Some(TimeMs(self.now.0 - wall_ms as i64));
        ReportKind::Ended { started_at, outcome, usage }
    }

    pub(crate) fn pass(&mut self, ms: i64) {
        self.now.0 += ms;
    }

    /// The invariants that hold after every command.
    pub(crate) fn check(&self) {
        self.state.ledger.audit().expect("the books balance");
        let live = self.state.attempts().map(|attempt| (attempt, &*self.state.jobs[&attempt.id.job]));
        let reserved = crate::reservations::of_centres(&self.state);
        let used = Used::from_attempts(live, reserved, &self.state.policy);
        assert_eq!(used, self.state.used, "what is used is what live attempts have");
        for job in self.state.jobs.values() {
            let tasks = &job.tasks;
            let sets = [&tasks.waiting, &tasks.active, &tasks.succeeded, &tasks.failed, &tasks.cancelled];
            let sum: u64 = sets.iter().map(|set| set.len()).sum();
            assert_eq!(sum, job.spec.tasks.len(), "every task is somewhere, once");
            assert_eq!(
                self.state.attempts_of(job.id).count() as u64,
                tasks.active.len(),
                "an active task has an attempt"
            );
            assert!(!job.state.terminal(), "an ended job is not live");
            if let Some(budget) = job.spec.budget {
                let held: i64 = self.state.attempts_of(job.id).map(|attempt| attempt.hold.0).sum();
                assert!(job.cost.0 + held <= budget.0, "job {} passes its budget: {} and {held}", job.id, job.cost);
            }
            assert!(!(tasks.waiting.is_empty() && tasks.active.is_empty()), "a live job has open tasks");
        }
    }

    /// The rows of the meter are whole, and what they cost is what was posted for each attempt.
    pub(crate) fn check_meters(&self) {
        let mut meters = Meters::default();
        let mut costs: BTreeMap<AttemptId, i128> = BTreeMap::new();
        for record in &self.state.touched.meters {
            assert_eq!(meters.take(record.clone()), Ok(Taken::New));
            *costs.entry(record.attempt).or_default() += i128::from(record.reading.cost.0);
        }
        meters.check().expect("a whole meter");
        let mut posted: BTreeMap<AttemptId, i128> = BTreeMap::new();
        for (_, transfer) in &self.state.touched.transfers {
            let Some(attempt) = transfer.attempt else { continue };
            let amount = i128::from(transfer.amount);
            match (transfer.kind, &transfer.debit) {
                (TransferKind::Post, _) | (TransferKind::Correct, Account::Tenant(_)) => {
                    *posted.entry(attempt).or_default() += amount;
                }
                (TransferKind::Correct, _) => *posted.entry(attempt).or_default() -= amount,
                _ => {}
            }
        }
        costs.retain(|_, cost| *cost != 0);
        posted.retain(|_, cost| *cost != 0);
        assert_eq!(costs, posted, "every millionth that was posted is in a row of the meter");
        for ((tenant, line, class), (work, cost)) in meters.totals() {
            let exact = huisuan_ledger::meter::exact(work as i64, line.price) / i128::from(GFLOP_PER_P_H);
            let corrected = self.state.touched.meters.iter().any(|record| record.reading.adjusts.is_some());
            // What a hold does not cover is not charged: a rule may come after it was taken.
            let book = &self.state.tariffs;
            let fair =
                if book.rules().is_empty() && book.contracts.all().is_empty() { cost == exact } else { cost <= exact };
            assert!(corrected || fair, "{tenant} {line:?} {class}: {cost} for {work}, exactly {exact}");
        }
    }

    /// The same state by folding the events, and by loading the rows, as after a restart.
    pub(crate) fn check_rebuilt(&self) {
        let mut folded = State::new();
        self.events.iter().for_each(|event| apply(&mut folded, event));
        folded.set_version(self.state.version);
        assert!(folded == self.state, "the fold of the journal is the state");
        let restored = State::restore(self.stored()).expect("the books balance");
        assert!(restored == self.state, "the rows are the state");
        self.check_audited();
    }

    /// The auditor, by its own code, comes to the same balances.
    fn check_audited(&self) {
        let mut auditor = Auditor::new();
        for event in &self.events {
            auditor.event(1, event, CURRENCY).expect("every end has its beginning");
        }
        let balances = self.state.ledger.balances().filter(|(.., sum)| *sum != 0);
        let texts = balances.map(|(account, asset, sum)| (account.to_string(), asset.to_string(), sum));
        let audited = auditor.balances().map(|(account, asset, sum)| (account.to_owned(), asset.to_owned(), sum));
        assert_eq!(audited.collect::<BTreeSet<_>>(), texts.collect::<BTreeSet<_>>());
        assert_eq!(auditor.unresolved(), Vec::<String>::new());
    }

    fn stored(&self) -> Stored {
        let state = &self.state;
        let keys = self.events.iter().filter_map(|event| match event {
            Event::JobSubmitted { job, tenant, spec_hash, at, key: Some(key), .. } => Some(crate::KeyRecord {
                tenant: tenant.clone(),
                key: key.clone(),
                job: *job,
                spec_hash: *spec_hash,
                at: *at,
            }),
            _ => None,
        });
        Stored {
            version: state.version,
            job_last: state.job_last,
            tenants: json(state.tenants.values()),
            centres: json(state.centres.values()),
            jobs: vec![json(state.jobs())],
            attempts: json(state.attempts()),
            keys: keys.collect(),
            tallies: state.tallies.iter().map(|(tenant, tally)| (tenant.clone(), tally.clone())).collect(),
            rules: json(state.tariffs.rules().into_iter()),
            contracts: json(state.tariffs.contracts.all().into_iter()),
            balances: state.ledger.balances().map(|(account, asset, sum)| ((account.clone(), asset), sum)).collect(),
        }
    }
}

/// Rows as the store keeps them: written to JSON and read back.
fn json<'a, T: Clone + serde::Serialize + serde::de::DeserializeOwned + 'a>(
    rows: impl Iterator<Item = &'a T>,
) -> Vec<T> {
    rows.map(|row| {
        let text = serde_json::to_string(row).expect("a row is JSON");
        serde_json::from_str(&text).expect("what was written is read")
    })
    .collect()
}
