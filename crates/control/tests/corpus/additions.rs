//! What the story of all additions tells since jobs bring data, reserve, have budgets and are sessions.

use super::*;

impl Story {
    /// Data is brought to one attempt and taken from it; to the next try of another it cannot be brought.
    pub(super) fn data(&mut self) {
        let name = centre("data-1");
        let mut open = self.state.centres()[&centre("hpc-2")].clone();
        (open.id, open.state, open.reported_seq) = (name.clone(), CentreState::Active, 0);
        (open.windows, open.absent_since, open.reported_at, open.window_last) = (Vec::new(), None, None, 0);
        let mut found = open.pools.pop_first().expect("a pool").1;
        let rating = found.rating.take().expect("a rating");
        let pool = found.id.clone();
        self.take("user", "1-30", Command::SetCentre(Box::new(Centre { pools: BTreeMap::new(), ..open })));
        self.take("agent:data-1", "", Command::Inventory { centre: name.clone(), pools: vec![found] });
        self.take("agent:data-1", "", Command::Rate { centre: name.clone(), pool, rating });
        let reference = |url: &str, path: &str| DataReference {
            url: url.to_owned(),
            path: path.to_owned(),
            bytes: None,
            sha256: None,
            at: None,
        };
        let digest = Some("0a".repeat(32));
        let set = reference("https://data.example.org/set.csv", "in/set.csv");
        let inputs = vec![DataReference { bytes: Some(Bytes(90)), sha256: digest, at: Some(name.clone()), ..set }];
        let outputs = vec![reference("s3://results/{job}/{task}", "out.csv")];
        let here = JobSpec { centres: vec![name.clone()], ..JobSpec::command("fit", &["fit"]) };
        self.submit(JobSpec { inputs, outputs, tasks: RangeSet::from_range(0, 1), ..here }, None);
        self.plan();
        let job = JobId(self.state.jobs_total());
        let ids = self.state.attempts().map(|attempt| attempt.id).filter(|id| id.job == job);
        let ids: Vec<AttemptId> = ids.collect();
        let [good, bad] = ids[..] else { panic!("two attempts: {ids:?}") };
        let staged = Staged { brought: Bytes(45), to_bring: Bytes(90), ..Staged::default() };
        let half = ReportKind::Used(Usage { staged, ..Usage::default() });
        self.now.0 += 60_000;
        let ReportKind::Ended { started_at, outcome: well, usage } =
            self.ended(9_000, outcome(EndCause::Exited, Some(0), None, ""))
        else {
            panic!("an end")
        };
        let all = Staged { brought: Bytes(90), to_bring: Bytes(90), taken: Bytes(7), to_take: Bytes(7) };
        let end = ReportKind::Ended { started_at, outcome: well, usage: Usage { staged: all, ..usage } };
        let lost = outcome(EndCause::Staging, None, None, "`https://data.example.org/set.csv` answered 404");
        let lost = ReportKind::Ended { started_at: None, outcome: lost, usage: Usage::default() };
        for (seq, attempt, what) in [(1, good, half), (2, good, end), (3, bad, lost)] {
            let reports = vec![AttemptReport { attempt, at: self.now, what }];
            self.take("agent:data-1", "", Command::Report { centre: name.clone(), seq, reports, past: None });
        }
    }

    /// A tenant with the right reserves for itself, a job runs within, another waits for what is taken back.
    pub(super) fn reserves(&mut self) {
        let (name, lab) = (centre("hpc-3"), TenantId::new("lab").expect("a name"));
        let known = self.state.centres()[&centre("hpc-1")].clone();
        let mut found = known.pools.values().next().expect("a pool").clone();
        let rating = found.rating.take().expect("a rating");
        let sustained = GflopPerS(rating.nameplate.0 / 2);
        let rating = Rating { doubt: None, certificate: None, sustained, ..rating };
        (found.cores, found.id) = (Millicores(4_000), pool("cpu:small"));
        let open = Centre::new(name.clone(), Class::Hpc, EngineKind::Local, "Asia/Shanghai", known.tariff);
        self.take("user", "1-40", Command::SetCentre(Box::new(open)));
        self.take("agent:hpc-3", "", Command::Inventory { centre: name.clone(), pools: vec![found] });
        let pool = pool("cpu:small");
        self.take("agent:hpc-3", "", Command::Rate { centre: name.clone(), pool: pool.clone(), rating });
        let change = TenantChange {
            may_reserve: Some(true),
            quota_cores: Some(Limit::None),
            quota_devices: Some(Limit::None),
            ..TenantChange::default()
        };
        self.take("user", "1-41", Command::ChangeTenant { tenant: lab.clone(), change });
        let asked = AskedReservation {
            tenant: lab.clone(),
            centre: Some(name),
            pool: Some(pool),
            class: Some(Class::Hpc),
            cores: Some(Millicores(2_000)),
            memory: Some(Bytes(1 << 30)),
            devices: None,
            from: self.now,
            until: TimeMs(self.now.0 + 86_400_000),
            note: "course".into(),
            own: true,
        };
        let own = |change: &dyn Fn(&mut AskedReservation)| {
            let mut asked = asked.clone();
            change(&mut asked);
            Command::Reserve(Box::new(asked))
        };
        self.take_of(lab.clone(), "tenant:lab", "1-42", own(&|_| {}));
        let later = |asked: &mut AskedReservation| (asked.from, asked.own) = (TimeMs(asked.from.0 + 3_600_000), false);
        self.take("user", "1-43", own(&later));
        for reservation in [1, 2] {
            let spec =
                JobSpec { reservation: Some(ReservationId(reservation)), ..JobSpec::command("course", &["/bin/true"]) };
            let command = Command::Submit { spec: Arc::new(spec), key: None, ended: Vec::new() };
            self.take_of(lab.clone(), "tenant:lab", "1-44", command);
        }
        self.plan();
        let gone = Command::CancelReservation { id: ReservationId(2), tenant: Some(lab.clone()) };
        self.take_of(lab, "tenant:lab", "1-45", gone);
    }

    /// Jobs with budgets of their own: one has spent it, another one runs, with energy that is measured, some of it
    /// odd.
    pub(super) fn own_budgets(&mut self) {
        let name = centre("hpc-4");
        let mut open = self.state.centres()[&centre("hpc-2")].clone();
        (open.id, open.reported_seq, open.reported_at) = (name.clone(), 0, None);
        let found = std::mem::take(&mut open.pools).pop_first().expect("a pool").1;
        let found = Pool { rating: None, ..found };
        self.take("user", "1-50", Command::AddCentre(Box::new(open)));
        self.take("agent:hpc-4", "", Command::Inventory { centre: name.clone(), pools: vec![found] });
        let rating = Rating::plain(GflopPerS(300), GflopPerS(620), "gemm-gemmkit/2", Mark::Measured, self.now);
        self.take("agent:hpc-4", "", Command::Rate { centre: name.clone(), pool: pool("cpu:small"), rating });
        let hour = 3_600_000;
        let here = JobSpec { centres: vec![name.clone()], ..JobSpec::command("thrifty", &["/bin/true"]) };
        let budget = Some(Money(300_000));
        let spent = JobSpec { tasks: RangeSet::from_range(0, 2), walltime: DurationMs(hour), budget, ..here.clone() };
        self.submit(spent, None);
        let spent = self.state.jobs_total();
        self.submit(JobSpec { walltime: DurationMs(9 * hour), budget: Some(Money(i64::MAX)), ..here }, None);
        let measured = self.state.jobs_total();
        self.plan();
        let ids: Vec<AttemptId> = self.state.attempts().map(|one| one.id).filter(|id| id.job.0 >= spent).collect();
        let (first, last) = (ids[0], *ids.last().expect("attempts"));
        assert!(ids.len() == 2 && last.job == JobId(measured), "one task of each: {ids:?}");
        self.now.0 += hour as i64;
        let whole = self.ended(hour, outcome(EndCause::Exited, Some(0), None, ""));
        let used =
            |wall: u64, joules| Usage { wall: DurationMs(wall), cpu: DurationMs(wall), joules, ..Usage::default() };
        let report = |at, attempt, what| AttemptReport { attempt, at, what };
        let reports = vec![
            report(self.now, first, whole),
            report(self.now, last, ReportKind::Started),
            report(self.now, last, ReportKind::Used(used(hour - 1, 7_200))),
        ];
        let events =
            self.take("agent:hpc-4", "", Command::Report { centre: name.clone(), seq: 1, reports, past: None });
        assert!(events.iter().any(|event| matches!(event, Event::JobBudgetSpent { .. })), "{events:?}");
        self.now.0 += 2 * hour as i64;
        let reports = vec![report(self.now, last, ReportKind::Used(used(2 * hour, 36_000)))];
        let events = self.take("agent:hpc-4", "", Command::Report { centre: name, seq: 2, reports, past: None });
        assert!(
            events.iter().any(|event| matches!(event, Event::AttemptUsed { metered_joules: 1.., .. })),
            "{events:?}"
        );
        // The pool goes while its attempt runs; the version of its rating is remembered.
        self.take("agent:hpc-4", "", Command::Inventory { centre: centre("hpc-4"), pools: Vec::new() });
    }

    /// A tenant and a centre agree on a price, one job runs under it, and it is ended before its time.
    pub(super) fn contracts(&mut self) {
        let name = centre("hpc-6");
        let mut open = self.state.centres()[&centre("hpc-2")].clone();
        (open.id, open.reported_seq, open.reported_at, open.windows) = (name.clone(), 0, None, Vec::new());
        let mut found = std::mem::take(&mut open.pools).pop_first().expect("a pool").1;
        let (rating, pool) = (found.rating.take().expect("a rating"), found.id.clone());
        self.take("user", "1-70", Command::AddCentre(Box::new(open)));
        self.take("agent:hpc-6", "", Command::Inventory { centre: name.clone(), pools: vec![found] });
        self.take("agent:hpc-6", "", Command::Rate { centre: name.clone(), pool: pool.clone(), rating });
        let hour = 3_600_000;
        let begin = TimeMs((self.now.0 / hour + 1) * hour);
        let fixed = Contract {
            id: 0,
            tenant: TenantId::new("local").expect("a name"),
            centre: name.clone(),
            pool: Some(pool),
            class: None,
            from: begin,
            until: Some(TimeMs(begin.0 + 24 * hour)),
            currency: "CNY".into(),
            price: AgreedPrice::PerPh(Money(1_000_000)),
            note: "K-2026-7".into(),
        };
        let less = AgreedPrice::DiscountPermille(125);
        let wide = Contract {
            price: less,
            pool: None,
            class: Some(Class::Hpc),
            until: None,
            note: String::new(),
            ..fixed.clone()
        };
        self.take("user", "1-71", Command::MakeContract(fixed));
        self.take("user", "1-72", Command::MakeContract(wide));
        self.now = begin;
        let here = JobSpec { centres: vec![name.clone()], ..JobSpec::command("agreed", &["/bin/true"]) };
        self.submit(JobSpec { walltime: DurationMs(2 * hour as u64), ..here }, None);
        self.plan();
        let attempt: AttemptId = format!("{}.0.1", self.state.jobs_total()).parse().expect("an id");
        self.now.0 += hour;
        let end = self.ended(hour as u64, outcome(EndCause::Exited, Some(0), None, ""));
        let reports = vec![AttemptReport { attempt, at: self.now, what: end }];
        self.take("agent:hpc-6", "", Command::Report { centre: name, seq: 1, reports, past: None });
        self.take("user", "1-73", Command::EndContract { contract: 1, until: TimeMs(begin.0 + 2 * hour) });
    }

    /// Somebody attaches to a session and leaves it.
    pub(super) fn sessions(&mut self) {
        let name = centre("hpc-5");
        let mut open = self.state.centres()[&centre("hpc-2")].clone();
        (open.id, open.reported_seq, open.reported_at, open.windows) = (name.clone(), 0, None, Vec::new());
        let mut found = std::mem::take(&mut open.pools).pop_first().expect("a pool").1;
        let (rating, pool) = (found.rating.take().expect("a rating"), found.id.clone());
        self.take("user", "1-60", Command::AddCentre(Box::new(open)));
        self.take("agent:hpc-5", "", Command::Inventory { centre: name.clone(), pools: vec![found] });
        self.take("agent:hpc-5", "", Command::Rate { centre: name.clone(), pool, rating });
        let shell = JobSpec::command("shell", &["bash"]);
        self.submit(JobSpec { kind: JobKind::Session, centres: vec![name.clone()], ..shell }, None);
        self.plan();
        let attempt: AttemptId = format!("{}.0.1", self.state.jobs_total()).parse().expect("an id");
        let reports = vec![AttemptReport { attempt, at: self.now, what: ReportKind::Started }];
        self.take("agent:hpc-5", "", Command::Report { centre: name, seq: 1, reports, past: None });
        for (channel, target) in [(1, ChannelTarget::Terminal), (2, ChannelTarget::Port(8888))] {
            self.take("user", "1-61", Command::OpenChannel { attempt, channel, target });
            self.take("user", "1-61", Command::CloseChannel { attempt, channel, sent: 12, received: 3456 });
        }
    }

    /// The server was away for an hour; then work is placed by a rate that is only declared, by a plan that tells by
    /// which moment it counted.
    pub(super) fn returns(&mut self) {
        let seen_until = self.now;
        self.now.0 += 3_600_000;
        let told = self.take("server", "", Command::Resume { seen_until });
        assert_eq!(told, [Event::Unseen { from: seen_until, until: self.now }]);
        let name = centre("data-1");
        let known = self.state.centres()[&name].pools.values().next().expect("a pool").clone();
        let rating = Rating { mark: Mark::Declared, ..known.rating.expect("rated") };
        self.take("agent:data-1", "", Command::Rate { centre: name.clone(), pool: known.id, rating });
        self.submit(JobSpec { centres: vec![name], ..JobSpec::command("declared", &["/bin/true"]) }, None);
        let plan = cycle(&snapshot(&self.state), self.state.policy(), self.now, Budget::default(), Seed(1));
        let plan = plan.made_with(self.now, 1, "balanced").seen_at(Some(self.state.seen_at()));
        self.take("planner", "", Command::Plan(Box::new(plan)));
        let job = JobId(self.state.jobs_total());
        let placed = self.state.attempts().find(|attempt| attempt.id.job == job).expect("placed");
        assert_eq!(placed.terms.mark, Mark::Declared);
    }

    /// A centre says more of an attempt that has ended: use that can be, an end that was not, and an attempt that never
    /// was.
    pub(super) fn late(&mut self) {
        let name = centre("hpc-6");
        let here = JobSpec { centres: vec![name.clone()], ..JobSpec::command("told-late", &["/bin/true"]) };
        self.submit(JobSpec { walltime: DurationMs(7_200_000), ..here }, None);
        self.plan();
        let job = JobId(self.state.jobs_total());
        let id = AttemptId { job, task: 0, attempt: 1 };
        self.now.0 += 3_600_000;
        let ReportKind::Ended { started_at, outcome: well, usage } =
            self.ended(3_000_000, outcome(EndCause::Exited, Some(0), None, ""))
        else {
            panic!("an end")
        };
        let half = Usage { wall: DurationMs(usage.wall.0 / 2), ..usage };
        let of = |attempt, what| AttemptReport { attempt, at: self.now, what };
        let end = vec![of(id, ReportKind::Ended { started_at, outcome: well, usage: half })];
        let failed = outcome(EndCause::Exited, Some(1), None, "");
        let never = AttemptId { job: JobId(job.0 + 1), ..id };
        let more = vec![
            of(id, ReportKind::Used(usage)),
            of(id, ReportKind::Ended { started_at, outcome: failed, usage }),
            of(never, ReportKind::Started),
        ];
        let command = Command::Report { centre: name.clone(), seq: 2, reports: end, past: None };
        let events = self.take("agent:hpc-6", "", command);
        let read = events.iter().find_map(|event| match event {
            Event::AttemptEnded { readings, cost, .. } => Some((readings.last().expect("one").clone(), *cost)),
            _ => None,
        });
        let (last, paid) = read.expect("an end");
        let (attempt, of_job) = (self.rows.attempts[&id].clone(), &self.rows.jobs[&job]);
        let metered = Metered {
            number: last.number,
            until: last.until,
            wall: half.wall,
            cpu: half.cpu,
            work: attempt.work.0,
            joules: 0,
        };
        let row = PastRow {
            attempt,
            tenant: of_job.tenant.clone(),
            project: of_job.project.clone(),
            priority: of_job.spec.priority,
            walltime: of_job.spec.walltime,
            budgeted: of_job.spec.budget.is_some(),
            metered,
            paid,
        };
        let past = Some(vec![PastAttempt { id, row: Some(Box::new(row)) }, PastAttempt { id: never, row: None }]);
        let command = Command::Report { centre: name.clone(), seq: 3, reports: more, past };
        let events = self.take("agent:hpc-6", "", command);
        assert!(matches!(events[..], [Event::LateUsed { .. }, Event::OddityFound { .. }, ..]), "{events:?}");
        let (kind, detail) = (OddityKind::ForeignAttempt, "told of it; it is at centre `hpc-6`".to_owned());
        self.take("server", "", Command::NoteOddity { centre: centre("data-1"), kind, attempt: id, detail });
    }
}
