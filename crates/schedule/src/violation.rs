//! What the judge of plans can find.

use huisuan_model::{CentreId, JobId, Level, MilliDevices, Millicores, PoolId, ReservationId, TenantId, TimeMs};

/// A rule that a plan breaks.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Violation {
    /// The plan was made from another version.
    #[error("plan is of version {plan}, the snapshot of version {snapshot}")]
    Version {
        /// Of the plan.
        plan: u64,
        /// Of the snapshot.
        snapshot: u64,
    },
    /// A placement names a job that does not wait.
    #[error("job {job} is placed and does not wait")]
    UnknownJob {
        /// Which.
        job: JobId,
    },
    /// A placement names a pool that is not known.
    #[error("job {job} is placed on pool `{pool}` of centre `{centre}`, which is not known")]
    UnknownPool {
        /// Which job.
        job: JobId,
        /// Where.
        centre: CentreId,
        /// On what.
        pool: PoolId,
    },
    /// A placement has no task.
    #[error("job {job} has a placement without tasks")]
    NoTasks {
        /// Which.
        job: JobId,
    },
    /// A placed task does not wait, or it is placed twice.
    #[error("task {task} of job {job} is placed and does not wait, or is placed twice")]
    TaskNotWaiting {
        /// Which job.
        job: JobId,
        /// Which task.
        task: u32,
    },
    /// Tasks of a gang are placed apart or not all of them.
    #[error("gang of job {job} is split: {placed} of {waiting} tasks are placed together")]
    GangSplit {
        /// Which.
        job: JobId,
        /// Tasks of the placement.
        placed: u64,
        /// Tasks that wait.
        waiting: u64,
    },
    /// More tasks of a job are placed than its own limit allows.
    #[error("job {job} would have {active} active tasks, above its limit of {limit}")]
    ParallelMax {
        /// Which.
        job: JobId,
        /// Placed, running and planned tasks.
        active: u64,
        /// Its limit.
        limit: u32,
    },
    /// The pool must not run the job: other centre, other class, paused, not rated, or other hardware.
    #[error("job {job} is placed on pool `{pool}` of centre `{centre}`: {why}")]
    Forbidden {
        /// Which job.
        job: JobId,
        /// Where.
        centre: CentreId,
        /// On what.
        pool: PoolId,
        /// Which rule.
        why: &'static str,
    },
    /// The placement gives other amounts than the job needs there.
    #[error("job {job} is given {cores} and {devices} a task, it needs {cores_needed} and {devices_needed}")]
    Amounts {
        /// Which.
        job: JobId,
        /// Given.
        cores: Millicores,
        /// Needed.
        cores_needed: Millicores,
        /// Given.
        devices: MilliDevices,
        /// Needed.
        devices_needed: MilliDevices,
    },
    /// More is used of a pool than it has, or than may be placed ahead with tasks of this length.
    #[error("job {job} takes the {resource} used of pool `{pool}` of centre `{centre}` to {used}, above {most}")]
    Capacity {
        /// The job that does it.
        job: JobId,
        /// Where.
        centre: CentreId,
        /// On what.
        pool: PoolId,
        /// `millicores`, `bytes of memory` or `thousandths of a device`.
        resource: &'static str,
        /// Used after it.
        used: u128,
        /// The most that may be used.
        most: u128,
    },
    /// More is handed over to an opaque centre than may wait there.
    #[error("centre `{centre}` would have {in_flight} tasks that did not start, above the most of {most}")]
    InFlight {
        /// Where.
        centre: CentreId,
        /// Tasks that did not start, with those of the plan.
        in_flight: u64,
        /// The most that there may be.
        most: u64,
    },
    /// The holds are above what a tenant may spend.
    #[error("tenant `{tenant}` would have {held} millionths held, above the {available} that it may spend")]
    Budget {
        /// Who.
        tenant: TenantId,
        /// The sum of the plan's holds, in millionths.
        held: i128,
        /// What it may spend, in millionths.
        available: i128,
    },
    /// The holds are above what may be held for a shape: of a project's or of a job's own budget.
    #[error("job {job} and those like it would have {held} millionths held, above the {left} that are left for them")]
    ShapeBudget {
        /// One of them.
        job: JobId,
        /// The sum of the plan's holds, in millionths.
        held: i128,
        /// What may be held, in millionths.
        left: i128,
    },
    /// A tenant would hold more than its quota.
    #[error("tenant `{tenant}` would hold {held} thousandths, above its quota of {limit}")]
    Quota {
        /// Who.
        tenant: TenantId,
        /// Cores or devices held after the plan, in thousandths.
        held: u128,
        /// The most that it may hold, in thousandths.
        limit: u64,
    },
    /// A promise is for a job that does not wait, for a part of a gang, for a place that is not known, or for the past.
    #[error("job {job} is promised a start and does not wait so, or the place is not known")]
    UnknownPromise {
        /// Which.
        job: JobId,
    },
    /// What is promised cannot be kept.
    #[error(
        "job {job} is promised a start at {start_at} on pool `{pool}` of centre `{centre}`, where there is no room"
    )]
    Promise {
        /// Which.
        job: JobId,
        /// Where.
        centre: CentreId,
        /// On what.
        pool: PoolId,
        /// When.
        start_at: TimeMs,
    },
    /// More is promised of a pool than the policy allows.
    #[error("{later} promises are made for pool `{pool}` of centre `{centre}`, more than the policy allows")]
    TooManyPromises {
        /// Where.
        centre: CentreId,
        /// On what.
        pool: PoolId,
        /// How many.
        later: u64,
    },
    /// A task that names a reservation in advance runs elsewhere, for another tenant, or beyond its times.
    #[error("job {job} is placed outside of reservation {reservation}, which it names")]
    OutsideReservation {
        /// Which.
        job: JobId,
        /// The reservation.
        reservation: ReservationId,
    },
    /// More is taken of a reservation in advance than it keeps, or others reach into it.
    #[error("pool `{pool}` of centre `{centre}` would not have what reservation {reservation} keeps")]
    Reservation {
        /// Which.
        reservation: ReservationId,
        /// Where.
        centre: CentreId,
        /// On what.
        pool: PoolId,
    },
    /// A preemption that is not allowed.
    #[error("job {job} is preempted: {why}")]
    Preemption {
        /// Whose tasks would end.
        job: JobId,
        /// Which rule.
        why: &'static str,
    },
    /// What moved so that others could start lost by it, or they do not start.
    #[error("an improvement concerns job {job}: {why}")]
    Improvement {
        /// Whose tasks moved, or should start.
        job: JobId,
        /// Which rule.
        why: &'static str,
    },
    /// Tasks of a gang lie in several domains of the level that it requires, or it is promised a start in none.
    #[error("gang of job {job} is not within one {level} of pool `{pool}` of centre `{centre}`")]
    Apart {
        /// Which.
        job: JobId,
        /// Where.
        centre: CentreId,
        /// On what.
        pool: PoolId,
        /// What it requires.
        level: Level,
    },
    /// A task has no node, one without room, or devices that it did not ask for.
    #[error("job {job} is placed on pool `{pool}` of centre `{centre}` without room on its nodes")]
    Nodes {
        /// Which.
        job: JobId,
        /// Where.
        centre: CentreId,
        /// On what.
        pool: PoolId,
    },
}
