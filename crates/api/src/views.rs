//! From the model to the wire, wherever the model alone has the answer.

use huisuan_model::{
    Alarm, Attempt, AttemptState, Centre, CentreId, CentreState, Certificate, EngineKind, Job, Mark, MilliDevices,
    Millicores, Money, Pool, PrecisionRate, Rating, Tariff, Window, job::TaskSets,
};

use crate::{
    centres::{
        AlarmView, CentreView, CertificateView, DoubtView, PoolView, PrecisionRateView, RatingView, TariffView,
        WindowView,
    },
    facts::FactsFields,
    jobs::{AttemptView, DataView, JobSummary, ReasonView, ScoreView, TaskCounts},
    wire::{Amount, EnergyFields},
};

impl From<&TaskSets> for TaskCounts {
    fn from(tasks: &TaskSets) -> Self {
        let [waiting, active, succeeded, failed, cancelled] =
            [&tasks.waiting, &tasks.active, &tasks.succeeded, &tasks.failed, &tasks.cancelled].map(|set| set.len());
        let total = waiting + active + succeeded + failed + cancelled;
        TaskCounts { waiting, active, succeeded, failed, cancelled, total }
    }
}

impl JobSummary {
    /// A job's line, with amounts in `currency`.
    pub fn new(job: &Job, reason: Option<ReasonView>, currency: &str) -> Self {
        JobSummary {
            job_id: job.id.0,
            name: job.spec.name.clone(),
            tenant: job.tenant.to_string(),
            project: job.project.to_string(),
            state: job.state.as_str().to_owned(),
            tasks: TaskCounts::from(&job.tasks),
            centres: job.centres.iter().map(ToString::to_string).collect(),
            submitted_at: job.submitted_at.into(),
            started_at: job.started_at.map(Into::into),
            ended_at: job.ended_at.map(Into::into),
            reason,
            end_reason: job
                .end_reason
                .map(|reason| ReasonView::of_end(&reason, job.ended_at.unwrap_or(job.submitted_at))),
            usage: (&job.usage).into(),
            cost: Amount::new(job.cost, currency),
        }
    }
}

impl AttemptView {
    /// An attempt; class and currency are those of its terms. Its energy is for the caller to fill in.
    pub fn new(attempt: &Attempt) -> Self {
        let (share, currency) = (&attempt.terms.share, &attempt.terms.tariff.currency);
        let outcome = attempt.outcome.as_ref();
        let hold = if attempt.state.terminal() { Money::ZERO } else { attempt.hold };
        AttemptView {
            attempt: attempt.id.to_string(),
            task: attempt.id.task,
            centre: attempt.centre.to_string(),
            pool: attempt.pool.to_string(),
            state: attempt.state.as_str().to_owned(),
            unknown_since: None,
            cause: outcome.map(|outcome| outcome.cause.as_str().to_owned()),
            exit_code: outcome.and_then(|outcome| outcome.exit_code),
            signal: outcome.and_then(|outcome| outcome.signal),
            detail: outcome.map(|outcome| outcome.detail.clone()).filter(|detail| !detail.is_empty()),
            cores: cores(attempt.cores),
            devices: devices(attempt.devices),
            node: attempt.node.map(|share| share.node),
            placed_at: attempt.placed_at.into(),
            started_at: attempt.started_at.map(Into::into),
            ended_at: attempt.ended_at.map(Into::into),
            cpu_ms: attempt.usage.cpu.0,
            wall_ms: attempt.usage.wall.0,
            memory_peak_bytes: attempt.usage.memory_peak.0,
            data: DataView::of(attempt),
            gflop: attempt.work.0,
            class: share.class.to_string(),
            rating_version: share.version,
            hold: Amount::new(hold, currency),
            cost: Amount::new(attempt.cost, currency),
            energy: EnergyFields::default(),
            score: attempt
                .score
                .iter()
                .map(|term| ScoreView { term: term.term.to_string(), value: term.value })
                .collect(),
            mark: mark_word(attempt.terms.mark).to_owned(),
        }
    }
}

impl DataView {
    /// What was moved for an attempt; `None` where nothing is to be.
    fn of(attempt: &Attempt) -> Option<Self> {
        let staged = &attempt.usage.staged;
        let way = match attempt.state {
            AttemptState::Placed => Some("in"),
            AttemptState::Running if !staged.to_take.is_zero() => Some("out"),
            _ => None,
        };
        (!staged.is_none()).then(|| DataView {
            staging: way.map(str::to_owned),
            percent: staged.percent().filter(|_| way.is_some()),
            bytes_in: staged.brought.0,
            bytes_out: staged.taken.0,
            mark: mark_word(Mark::Measured).to_owned(),
        })
    }
}

impl CentreView {
    /// A centre as its operator declared it, with `pools` as [`PoolView::new`] makes them. Whether its
    /// agent is connected is for the caller to fill in.
    pub fn new(centre: &Centre, pools: Vec<PoolView>, active: u64) -> Self {
        CentreView {
            centre: centre.id.to_string(),
            class: centre.class.to_string(),
            engine: engine_word(centre.engine).to_owned(),
            zone: centre.zone.clone(),
            state: state_word(centre.state).to_owned(),
            overlapping: centre.overlapping,
            tariff: (&centre.tariff).into(),
            connected: false,
            absent_since: centre.absent_since.map(Into::into),
            last_seen_at: centre.reported_at.map(Into::into),
            memory_mode: None,
            images: centre.pools.values().any(|pool| pool.images),
            windows: centre.windows.iter().map(Into::into).collect(),
            site: None,
            facts: FactsFields::of(centre),
            alarms: centre.alarms.iter().map(|alarm| AlarmView::new(&centre.id, alarm)).collect(),
            pools,
            active,
        }
    }
}

impl AlarmView {
    /// An alarm of a centre.
    pub fn new(centre: &CentreId, alarm: &Alarm) -> Self {
        AlarmView {
            centre: centre.to_string(),
            kind: alarm.kind.as_str().to_owned(),
            subject: alarm.subject.clone(),
            detail: alarm.detail.clone(),
            since: alarm.since.into(),
        }
    }
}

impl From<&Window> for WindowView {
    fn from(window: &Window) -> Self {
        WindowView {
            window: window.id,
            pool: window.pool.as_ref().map(ToString::to_string),
            from: window.from.into(),
            until: window.until.into(),
            note: window.note.clone(),
        }
    }
}

impl From<&Tariff> for TariffView {
    fn from(tariff: &Tariff) -> Self {
        TariffView { price_per_p_h: Amount::new(tariff.price_per_p_h, &tariff.currency) }
    }
}

impl PoolView {
    /// A pool and what of it is given away.
    pub fn new(
        pool: &Pool,
        cores_used: Millicores,
        memory_used: huisuan_model::Bytes,
        devices_used: MilliDevices,
    ) -> Self {
        PoolView {
            pool: pool.id.to_string(),
            class: pool.class.to_string(),
            cores: cores(pool.cores),
            cores_used: cores(cores_used),
            memory_bytes: pool.memory.0,
            memory_used_bytes: memory_used.0,
            devices: devices(pool.devices),
            devices_used: devices(devices_used),
            rating: pool.rating.as_ref().map(Into::into),
        }
    }
}

impl From<&Rating> for RatingView {
    fn from(rating: &Rating) -> Self {
        RatingView {
            sustained_gflop_per_s: rating.sustained.0,
            nameplate_gflop_per_s: rating.nameplate.0,
            method: rating.method.clone(),
            version: rating.version,
            mark: mark_word(rating.mark).to_owned(),
            rated_at: rating.rated_at.into(),
            certified: rating.certified(),
            doubt: rating
                .doubt
                .as_ref()
                .map(|doubt| DoubtView { code: doubt.code().to_owned(), detail: doubt.to_string() }),
            certificate: rating.certificate.as_deref().map(Into::into),
        }
    }
}

impl From<&Certificate> for CertificateView {
    fn from(certificate: &Certificate) -> Self {
        let rate = |rate: &PrecisionRate| PrecisionRateView {
            precision: rate.precision.to_string(),
            sustained_gflop_per_s: rate.sustained.map(|rate| rate.0),
            nameplate_gflop_per_s: rate.nameplate.map(|rate| rate.0),
        };
        CertificateView {
            rates: certificate.rates.iter().map(rate).collect(),
            memory_bytes: certificate.memory.0,
            bandwidth_mb_per_s: certificate.bandwidth_mb_per_s,
            watts: certificate.watts,
            host_hash: certificate.host_hash.clone(),
            data_hash: certificate.data_hash.clone(),
            expires_at: certificate.expires_at.into(),
            key: certificate.key.clone(),
            signature: certificate.signature.clone(),
        }
    }
}

/// The word of an engine in JSON and tables.
pub fn engine_word(engine: EngineKind) -> &'static str {
    match engine {
        EngineKind::Local => "local",
        EngineKind::Slurm => "slurm",
        EngineKind::Kubernetes => "kubernetes",
        EngineKind::Simulated => "simulated",
    }
}

/// The word of a centre's state in JSON and tables.
pub fn state_word(state: CentreState) -> &'static str {
    match state {
        CentreState::Active => "active",
        CentreState::Paused => "paused",
    }
}

/// The word of an honesty mark in JSON and tables.
pub fn mark_word(mark: Mark) -> &'static str {
    match mark {
        Mark::Measured => "measured",
        Mark::Modelled => "modelled",
        Mark::Declared => "declared",
    }
}

fn cores(count: Millicores) -> f64 {
    count.0 as f64 / 1000.0
}

fn devices(count: MilliDevices) -> f64 {
    count.0 as f64 / 1000.0
}

#[cfg(test)]
mod tests {
    use huisuan_model::{
        AttemptId, AttemptState, Bytes, CentreId, Class, DurationMs, EndCause, Gflop, GflopPerS, JobId, Outcome,
        PoolId, ScoreTerm, TimeMs, Usage,
        centre::{RatedShare, Terms},
    };
    use serde_json::json;

    use super::*;

    fn attempt() -> Attempt {
        Attempt {
            metered: None,
            oddities: Vec::new(),
            id: AttemptId { job: JobId(12), task: 3, attempt: 1 },
            centre: CentreId::new("hpc-1").expect("a name"),
            pool: PoolId::new("cpu:x").expect("a name"),
            cores: Millicores(1500),
            devices: MilliDevices::ZERO,
            state: AttemptState::Running,
            order_seq: 9,
            placed_at: TimeMs(1000),
            started_at: None,
            ended_at: None,
            stop_seq: None,
            preempted_by: None,
            outcome: None,
            terms: Terms {
                share: RatedShare { class: Class::Hpc, version: 2, sustained: GflopPerS(4), part: 1500, whole: 2000 },
                tariff: Tariff { currency: "CNY".into(), price_per_p_h: Money(1) },
                mark: Mark::Measured,
            },
            usage: Usage { wall: DurationMs(10), cpu: DurationMs(20), memory_peak: Bytes(30), ..Usage::default() },
            work: Gflop(40),
            hold: Money(50),
            cost: Money::ZERO,
            score: vec![ScoreTerm { term: "price".into(), value: -3 }],
            band: None,
            node: None,
        }
    }

    #[test]
    fn an_attempt_shows_null_until_it_is_known() {
        let json = serde_json::to_value(AttemptView::new(&attempt())).expect("JSON");
        assert_eq!(
            json,
            json!({
                "attempt": "12.3.1", "task": 3, "centre": "hpc-1", "pool": "cpu:x", "state": "running",
                "exit_code": null, "cores": 1.5, "devices": 0.0, "placed_at": "1970-01-01T00:00:01.000Z",
                "started_at": null, "ended_at": null, "cpu_ms": 20, "wall_ms": 10, "memory_peak_bytes": 30,
                "gflop": 40, "class": "hpc", "rating_version": 2, "hold": {"amount": 50, "currency": "CNY"},
                "cost": {"amount": 0, "currency": "CNY"}, "score": [{"term": "price", "value": -3}],
                "energy_kwh": null, "carbon_kg": null, "energy_mark": null, "mark": "measured",
            })
        );
    }

    #[test]
    fn work_has_the_mark_of_its_rating() {
        for mark in [Mark::Measured, Mark::Modelled, Mark::Declared] {
            let mut attempt = attempt();
            attempt.terms.mark = mark;
            assert_eq!(AttemptView::new(&attempt).mark, mark_word(mark));
        }
    }

    #[test]
    fn an_ended_attempt_holds_nothing() {
        let mut attempt = attempt();
        attempt.state = AttemptState::Failed;
        attempt.outcome =
            Some(Outcome { cause: EndCause::Exited, exit_code: Some(3), signal: None, detail: String::new() });
        let view = AttemptView::new(&attempt);
        assert_eq!((view.hold.amount, view.exit_code, view.cause.as_deref()), (0, Some(3), Some("exited")));
        assert_eq!(view.detail, None);
    }

    #[test]
    fn words_are_those_of_the_model() {
        for engine in [EngineKind::Local, EngineKind::Slurm, EngineKind::Kubernetes] {
            assert_eq!(json!(engine), engine_word(engine));
        }
        for state in [CentreState::Active, CentreState::Paused] {
            assert_eq!(json!(state), state_word(state));
        }
        for mark in [Mark::Measured, Mark::Modelled, Mark::Declared] {
            assert_eq!(json!(mark), mark_word(mark));
        }
    }
}
