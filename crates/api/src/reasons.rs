//! Why a job waits, in words: one English sentence and the same numbers by themselves.
//!
//! The codes are the model's ([`Reason::code`]); the sentences may change, codes and field names may not.

mod end;
mod latency;
mod nodes;
mod reserved;

use huisuan_model::{
    BudgetLimit, Bytes, CentreId, EndReason, JobId, Millicores, Money, QuotaResource, Reason, TimeMs, When,
};
use serde_json::{Value, json};

pub use end::describe_end;

use crate::{
    jobs::{ReasonView, Rejection},
    wire::{Amount, Timestamp},
};

impl ReasonView {
    /// The reason as it is shown, with amounts in `currency`.
    pub fn new(reason: &Reason, since: TimeMs, currency: &str) -> Self {
        let (message, details) = describe(reason, currency);
        ReasonView { code: reason.code().to_owned(), since: since.into(), message, details }
    }
}

impl ReasonView {
    /// Why a job ended at `ended_at` that never ran.
    pub fn of_end(reason: &EndReason, ended_at: TimeMs) -> Self {
        let (message, details) = describe_end(reason);
        ReasonView { code: reason.code().to_owned(), since: ended_at.into(), message, details }
    }
}

impl Rejection {
    /// What one centre said.
    pub fn new(centre: &CentreId, reason: &Reason, currency: &str) -> Self {
        let (message, details) = describe(reason, currency);
        Rejection { centre: centre.to_string(), code: reason.code().to_owned(), message, details }
    }
}

/// The sentence and the numbers of a reason, with amounts in `currency`.
pub fn describe(reason: &Reason, currency: &str) -> (String, Value) {
    match reason {
        Reason::CentrePaused { centre } => {
            (format!("every centre that could take it is paused, {centre} among them"), json!({ "centre": centre }))
        }
        Reason::CentreAbsent { centre } => {
            (format!("every centre that could take it is away, {centre} among them"), json!({ "centre": centre }))
        }
        Reason::CentreClosed { centre, from, until } => {
            let (from, until) = (Timestamp(*from), Timestamp(*until));
            let span = format!("from {from} until {until}");
            (
                format!("it would not end before {centre} closes for maintenance, {span}"),
                json!({ "centre": centre, "from": from, "until": until }),
            )
        }
        Reason::NoCentre { centres } => no_centre(*centres),
        Reason::NoImages { centres } => {
            ("no centre that could take it runs container images".to_owned(), json!({ "centres": centres }))
        }
        Reason::Budget { needed, available, limit } => budget(*needed, *available, *limit, currency),
        Reason::JobBudget { needed, left } => {
            hold(("needed", *needed), ("left", *left), "more than its own budget has left", currency)
        }
        Reason::Quota { resource, needed, held, limit } => quota(*resource, *needed, *held, *limit),
        Reason::Capacity { centre, pool, needed, free, memory_needed, memory_free } => {
            let lack = lack((*needed, *free), (*memory_needed, *memory_free));
            (
                format!("the nearest, {centre}, is busy: {lack} in {pool}"),
                json!({
                    "centre": centre, "pool": pool,
                    "needed_millicores": needed, "free_millicores": free,
                    "memory_needed_bytes": memory_needed, "memory_free_bytes": memory_free,
                }),
            )
        }
        Reason::InFlight { centre, in_flight, most } => handed_over(centre, *in_flight, *most),
        Reason::NodeCapacity { .. } | Reason::TopologyCapacity { .. } => nodes::told(reason),
        Reason::GangCapacity { centre, pool, needed, fits } => (
            format!("its {needed} tasks must start together; at the nearest, {centre}, {fits} fit now in {pool}"),
            json!({ "centre": centre, "pool": pool, "needed_tasks": needed, "fitting_tasks": fits }),
        ),
        Reason::Latency { .. } => latency::told(reason),
        Reason::Behind { ahead, centre } => (
            format!("tasks of higher priority or age went first, {ahead} of them; it would fit at {centre}"),
            json!({ "ahead_tasks": ahead, "centre": centre }),
        ),
        Reason::FairShare { centre, ahead, held_ppm } => fair_share(centre, *ahead, *held_ppm),
        Reason::Reserved { centre, pool, job, start_at } => {
            let start_at = Timestamp(*start_at);
            (
                format!("it would fit at {centre}, but {pool} is kept for job {job}, which starts by {start_at}"),
                json!({ "centre": centre, "pool": pool, "job": job, "start_at": start_at }),
            )
        }
        Reason::Kept { .. }
        | Reason::ReservationLater { .. }
        | Reason::ReservationOver { .. }
        | Reason::ReservationFull { .. } => reserved::told(reason),
        Reason::Dependency { on, when, jobs } => dependency(*on, *when, *jobs),
        Reason::ParallelMax { limit } => (
            format!("its own limit of {limit} {} at once is reached", if *limit == 1 { "task" } else { "tasks" }),
            json!({ "limit_tasks": limit }),
        ),
        Reason::NotPlanned => ("not looked at yet; the next cycle will".to_owned(), json!({})),
    }
}

fn no_centre(centres: u32) -> (String, Value) {
    let message = match centres {
        0 => "no centre has joined the network yet".to_owned(),
        1 => "the one centre known cannot take it now: not connected, not rated or not of this kind".to_owned(),
        _ => format!("none of {centres} centres can take it now: not connected, not rated or not of this kind"),
    };
    (message, json!({ "centres": centres }))
}

fn handed_over(centre: &CentreId, in_flight: u64, most: u64) -> (String, Value) {
    let message = format!(
        "at the nearest, {centre}, {in_flight} tasks were handed over and did not start yet; {most} may be at once"
    );
    (message, json!({ "centre": centre, "in_flight_tasks": in_flight, "most_tasks": most }))
}

fn fair_share(centre: &CentreId, ahead: u64, held_ppm: u64) -> (String, Value) {
    let held = format!("{}.{}", held_ppm / 10_000, held_ppm / 1_000 % 10);
    let message = format!(
        "tenants that hold less of their share went first, {ahead} tasks of them; its own holds {held} % of what it is \
         due; it would fit at {centre}"
    );
    (message, json!({ "centre": centre, "ahead_tasks": ahead, "held_ppm": held_ppm }))
}

fn quota(resource: QuotaResource, needed: u64, held: u64, limit: u64) -> (String, Value) {
    let word = match resource {
        QuotaResource::Cores => "cores",
        QuotaResource::Devices => "devices",
    };
    let [need, holds, most] = [needed, held, limit].map(|thousandths| decimal(Millicores(thousandths)));
    (
        format!("it needs {need} {word}, its tenant holds {holds} of the {most} that its quota allows"),
        json!({
            "resource": resource, "needed_thousandths": needed, "held_thousandths": held, "limit_thousandths": limit,
        }),
    )
}

fn dependency(on: JobId, when: When, jobs: u32) -> (String, Value) {
    let others = match jobs.saturating_sub(1) {
        0 => String::new(),
        1 => ", and for one other job".to_owned(),
        others => format!(", and for {others} other jobs"),
    };
    let message = format!("it waits for job {on} to {}{others}", becomes(when));
    (message, json!({ "job_id": on, "when": when, "jobs": jobs }))
}

/// What leaves too little for a hold: the tenant's money, or a limit on it.
fn budget(needed: Money, available: Money, limit: Option<BudgetLimit>, currency: &str) -> (String, Value) {
    let told = match limit {
        None => "more than the tenant has free",
        Some(BudgetLimit::Month) => "more than its tenant's budget of the month has left",
        Some(BudgetLimit::Hour) => "more than its tenant's cap on an hour leaves for its walltime",
        Some(BudgetLimit::Project) => "more than its project's budget of the month has left",
    };
    let (told, mut details) = hold(("needed", needed), ("available", available), told, currency);
    if let Some(limit) = limit {
        details["limit"] = json!(limit);
    }
    (told, details)
}

/// A hold that is too much, and what there is.
fn hold(needed: (&str, Money), there: (&str, Money), told: &str, currency: &str) -> (String, Value) {
    let (amount, left) = (Amount::new(needed.1, currency), Amount::new(there.1, currency));
    (format!("its hold of {amount} is {told}: {left}"), json!({ needed.0: amount, there.0: left }))
}

/// What a pool has too little of, each as needed and free.
fn lack((needed, free): (Millicores, Millicores), (memory_needed, memory_free): (Bytes, Bytes)) -> String {
    match (needed > free, memory_needed > memory_free) {
        (true, false) => format!("a task needs {}, {} free", cores(needed), free_cores(free)),
        (false, true) => format!("a task needs {} of memory, {} free", size(memory_needed), is(memory_free)),
        _ => format!(
            "a task needs {} and {} of memory, free are {} and {}",
            cores(needed),
            size(memory_needed),
            cores(free),
            size(memory_free)
        ),
    }
}

/// What a job is waited for to do.
fn becomes(when: When) -> &'static str {
    match when {
        When::Ok => "succeed",
        When::Any => "end",
        When::NotOk => "fail or be cancelled",
        When::Start => "start",
    }
}

/// `2 cores`, `1 core`, `0.25 cores`.
fn cores(count: Millicores) -> String {
    let number = decimal(count);
    let plural = if count.0 == 1000 { "" } else { "s" };
    format!("{number} core{plural}")
}

fn free_cores(count: Millicores) -> String {
    match count.0 {
        0 => "none is".to_owned(),
        1000 => "1 is".to_owned(),
        _ => format!("{} are", decimal(count)),
    }
}

fn decimal(count: Millicores) -> String {
    let text = format!("{}.{:03}", count.0 / 1000, count.0 % 1000);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

fn is(bytes: Bytes) -> String {
    if bytes.is_zero() { "none is".to_owned() } else { format!("{} is", size(bytes)) }
}

/// A size with one decimal in the largest fitting unit, for people: `1.5 GiB`.
fn size(bytes: Bytes) -> String {
    for (shift, unit) in [(50, "PiB"), (40, "TiB"), (30, "GiB"), (20, "MiB"), (10, "KiB")] {
        if bytes.0 >> shift > 0 {
            // Rounded down: what is free must not look larger than it is.
            let tenths = (u128::from(bytes.0) * 10) >> shift;
            let (whole, tenth) = (tenths / 10, tenths % 10);
            return if tenth == 0 { format!("{whole} {unit}") } else { format!("{whole}.{tenth} {unit}") };
        }
    }
    format!("{} B", bytes.0)
}

#[cfg(test)]
mod tests {
    use huisuan_model::{JobState, PoolId};

    use super::*;

    fn check(reason: &Reason, sentence: &str, details: &Value) {
        assert_eq!(describe(reason, "CNY"), (sentence.to_owned(), details.clone()));
    }

    fn capacity(needed: u64, free: u64, memory_needed: u64, memory_free: u64) -> Reason {
        Reason::Capacity {
            centre: CentreId::new("hpc-1").expect("a name"),
            pool: PoolId::new("cpu:x").expect("a name"),
            needed: Millicores(needed),
            free: Millicores(free),
            memory_needed: Bytes(memory_needed),
            memory_free: Bytes(memory_free),
        }
    }

    #[test]
    #[expect(clippy::too_many_lines, reason = "a list of cases")]
    fn sentences_carry_the_numbers() {
        let centre = || CentreId::new("hpc-1").expect("a name");
        let pool = || PoolId::new("cpu:x").expect("a name");
        check(
            &Reason::CentrePaused { centre: centre() },
            "every centre that could take it is paused, hpc-1 among them",
            &json!({"centre": "hpc-1"}),
        );
        check(
            &Reason::CentreAbsent { centre: centre() },
            "every centre that could take it is away, hpc-1 among them",
            &json!({"centre": "hpc-1"}),
        );
        check(
            &Reason::CentreClosed { centre: centre(), from: TimeMs(0), until: TimeMs(1000) },
            "it would not end before hpc-1 closes for maintenance, from 1970-01-01T00:00:00.000Z until 1970-01-01T00:00:01.000Z",
            &json!({"centre": "hpc-1", "from": "1970-01-01T00:00:00.000Z", "until": "1970-01-01T00:00:01.000Z"}),
        );
        check(&Reason::NoCentre { centres: 0 }, "no centre has joined the network yet", &json!({"centres": 0}));
        check(
            &Reason::NoImages { centres: 2 },
            "no centre that could take it runs container images",
            &json!({"centres": 2}),
        );
        check(
            &Reason::Budget { needed: Money(2_500_000), available: Money(0), limit: None },
            "its hold of CNY 2.500000 is more than the tenant has free: CNY 0.000000",
            &json!({"needed": {"amount": 2_500_000, "currency": "CNY"}, "available": {"amount": 0, "currency": "CNY"}}),
        );
        check(
            &Reason::Budget { needed: Money(2_500_000), available: Money(7), limit: Some(BudgetLimit::Hour) },
            "its hold of CNY 2.500000 is more than its tenant's cap on an hour leaves for its walltime: CNY 0.000007",
            &json!({"needed": {"amount": 2_500_000, "currency": "CNY"}, "available": {"amount": 7, "currency": "CNY"}, "limit": "hour"}),
        );
        check(
            &Reason::JobBudget { needed: Money(2_500_000), left: Money(1) },
            "its hold of CNY 2.500000 is more than its own budget has left: CNY 0.000001",
            &json!({"needed": {"amount": 2_500_000, "currency": "CNY"}, "left": {"amount": 1, "currency": "CNY"}}),
        );
        check(
            &Reason::InFlight { centre: centre(), in_flight: 70, most: 64 },
            "at the nearest, hpc-1, 70 tasks were handed over and did not start yet; 64 may be at once",
            &json!({"centre": "hpc-1", "in_flight_tasks": 70, "most_tasks": 64}),
        );
        check(
            &Reason::GangCapacity { centre: centre(), pool: pool(), needed: 4, fits: 3 },
            "its 4 tasks must start together; at the nearest, hpc-1, 3 fit now in cpu:x",
            &json!({"centre": "hpc-1", "pool": "cpu:x", "needed_tasks": 4, "fitting_tasks": 3}),
        );
        check(
            &Reason::Behind { ahead: 7, centre: centre() },
            "tasks of higher priority or age went first, 7 of them; it would fit at hpc-1",
            &json!({"ahead_tasks": 7, "centre": "hpc-1"}),
        );
        check(
            &Reason::FairShare { centre: centre(), ahead: 7, held_ppm: 1_234_567 },
            "tenants that hold less of their share went first, 7 tasks of them; its own holds 123.4 % of what it is due; \
             it would fit at hpc-1",
            &json!({"centre": "hpc-1", "ahead_tasks": 7, "held_ppm": 1_234_567}),
        );
        check(
            &Reason::Reserved { centre: centre(), pool: pool(), job: JobId(9), start_at: TimeMs(0) },
            "it would fit at hpc-1, but cpu:x is kept for job 9, which starts by 1970-01-01T00:00:00.000Z",
            &json!({"centre": "hpc-1", "pool": "cpu:x", "job": 9, "start_at": "1970-01-01T00:00:00.000Z"}),
        );
        check(
            &Reason::ParallelMax { limit: 2 },
            "its own limit of 2 tasks at once is reached",
            &json!({"limit_tasks": 2}),
        );
        for (when, jobs, sentence) in [
            (When::Ok, 1, "it waits for job 7 to succeed"),
            (When::NotOk, 2, "it waits for job 7 to fail or be cancelled, and for one other job"),
            (When::Start, 4, "it waits for job 7 to start, and for 3 other jobs"),
        ] {
            let reason = Reason::Dependency { on: JobId(7), when, jobs };
            check(&reason, sentence, &json!({"job_id": 7, "when": when, "jobs": jobs}));
        }
        let end = EndReason::DependencyUnmet { on: JobId(7), when: When::Ok, ended: JobState::Failed };
        let details = json!({"job_id": 7, "when": "ok", "ended": "failed"});
        assert_eq!(describe_end(&end), ("it waited for job 7 to succeed, which ended as failed".to_owned(), details));
        check(
            &Reason::Quota { resource: QuotaResource::Cores, needed: 500, held: 4000, limit: 4250 },
            "it needs 0.5 cores, its tenant holds 4 of the 4.25 that its quota allows",
            &json!({
                "resource": "cores", "needed_thousandths": 500, "held_thousandths": 4000, "limit_thousandths": 4250,
            }),
        );
        check(&Reason::NotPlanned, "not looked at yet; the next cycle will", &json!({}));
    }

    #[test]
    fn capacity_names_what_lacks() {
        let sentence = |needed, free, memory_needed, memory_free| {
            describe(&capacity(needed, free, memory_needed, memory_free), "CNY").0
        };
        assert_eq!(
            sentence(1000, 500, 1, 2),
            "the nearest, hpc-1, is busy: a task needs 1 core, 0.5 are free in cpu:x"
        );
        assert_eq!(sentence(1000, 0, 1, 2), "the nearest, hpc-1, is busy: a task needs 1 core, none is free in cpu:x");
        assert_eq!(
            sentence(1, 2, 3 << 29, 1 << 30),
            "the nearest, hpc-1, is busy: a task needs 1.5 GiB of memory, 1 GiB is free in cpu:x"
        );
        assert_eq!(
            sentence(2000, 1000, 1 << 30, 700),
            "the nearest, hpc-1, is busy: a task needs 2 cores and 1 GiB of memory, free are 1 core and 700 B in cpu:x"
        );
    }

    #[test]
    fn a_view_keeps_code_and_moment() {
        let view = ReasonView::new(&capacity(2, 1, 1, 1), TimeMs(1000), "CNY");
        let json = serde_json::to_value(&view).expect("JSON");
        assert_eq!((&json["code"], &json["since"]), (&json!("capacity"), &json!("1970-01-01T00:00:01.000Z")));
        assert_eq!(json["details"]["needed_millicores"], 2);
    }
}
