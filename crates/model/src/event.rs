//! What happened: facts that never change meaning. State is their fold.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::{
    advance::{AdvanceReservation, ReservationId},
    alarm::{Alarm, AlarmKind},
    centre::{Centre, CentreState, Pool, Presence, Terms},
    channel::ChannelTarget,
    contract::Contract,
    dependency::Dependency,
    facts::Facts,
    ids::{ActorId, AttemptId, CentreId, JobId, PoolId, ProjectId, TenantId},
    job::JobState,
    meter::{MeterRecord, Reading},
    oddity::Oddity,
    order::{Outcome, Usage},
    place::Place,
    plan::{NodeShare, ScoreTerm},
    quantity::{Gflop, MilliDevices, Millicores, Money, TimeMs},
    ranges::RangeSet,
    rating::{Doubt, Rating},
    spec::{JobSpec, SpecHash},
    starts::Band,
    tariff::TariffRule,
    tenant::{Tenant, TokenHash},
    window::Window,
};

/// A fact. Every amount that a later rule might compute otherwise is written out in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Event {
    /// A tenant was opened or its limits changed.
    TenantSet(Tenant),
    /// A tenant got money to spend.
    Funded {
        /// Who.
        tenant: TenantId,
        /// How much.
        amount: Money,
    },
    /// What a tenant may owe was changed by so much: money to spend comes or goes. What one that is closed may still
    /// spend goes in the same way.
    CreditChanged {
        /// Who.
        tenant: TenantId,
        /// By how much.
        by: Money,
    },
    /// A rule of a tariff holds from its first moment on.
    TariffRuleSet(TariffRule),
    /// A rule of a tariff ends at another moment than was said.
    TariffRuleEnded {
        /// Which.
        rule: u32,
        /// The first moment after it.
        until: TimeMs,
    },
    /// A contract holds from its first moment on.
    ContractMade(Contract),
    /// A contract ends at another moment than was said.
    ContractEnded {
        /// Which.
        contract: u32,
        /// The first moment after it.
        until: TimeMs,
    },
    /// Readings of attempts that ended are priced by another rule: the difference is posted or paid back.
    Rerated {
        /// The rule.
        rule: u32,
        /// What changes, by attempt and number: each names the reading that it corrects, and its cost is the difference.
        corrections: Vec<MeterRecord>,
    },
    /// Use that came after the end of its attempt, and could be: it is posted like any other.
    LateUsed {
        /// What the meter gets, by number; each names the last reading before it.
        records: Vec<MeterRecord>,
    },
    /// A centre reported what cannot be; it was not taken as it is.
    OddityFound {
        /// Where.
        centre: CentreId,
        /// What.
        oddity: Oddity,
    },
    /// A centre became known or its declaration changed.
    CentreSet(Box<Centre>),
    /// What was declared of a centre's place, links and power.
    FactsSet {
        /// Which.
        centre: CentreId,
        /// Where it stands.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        place: Option<Place>,
        /// The rest.
        facts: Facts,
    },
    /// A centre's agent got a token of its own; the one before is void.
    CentreTokenSet {
        /// Which.
        centre: CentreId,
        /// What it is recognised by.
        token: TokenHash,
    },
    /// Something at a centre wants a person's eyes.
    AlarmRaised {
        /// Where.
        centre: CentreId,
        /// What.
        alarm: Alarm,
    },
    /// An alarm is over.
    AlarmCleared {
        /// Where.
        centre: CentreId,
        /// What it was.
        kind: AlarmKind,
        /// What it was about.
        subject: String,
    },
    /// A centre was paused or opened.
    CentreStateSet {
        /// Which.
        centre: CentreId,
        /// How.
        state: CentreState,
    },
    /// A centre's agent went away for long, or came back.
    PresenceSet {
        /// Which.
        centre: CentreId,
        /// Which of the two.
        presence: Presence,
        /// When that was found.
        at: TimeMs,
    },
    /// A centre or a pool of it will run nothing for a while.
    WindowAdded {
        /// Where.
        centre: CentreId,
        /// When, with its number.
        window: Window,
    },
    /// A window was taken back, or is over and forgotten.
    WindowRemoved {
        /// Where.
        centre: CentreId,
        /// Which.
        id: u32,
    },
    /// A part of a pool will be kept for a tenant's jobs for a while.
    ReservationAdded {
        /// Where.
        centre: CentreId,
        /// What and when, with its number.
        reservation: AdvanceReservation,
    },
    /// A reservation in advance was taken back, or is over and forgotten.
    ReservationRemoved {
        /// Where.
        centre: CentreId,
        /// Which.
        id: ReservationId,
    },
    /// A centre's pools, ratings of unchanged ones included.
    InventorySet {
        /// Where.
        centre: CentreId,
        /// What.
        pools: Vec<Pool>,
    },
    /// A pool was rated.
    Rated {
        /// Where.
        centre: CentreId,
        /// Which.
        pool: PoolId,
        /// How fast, with its version, and why it is not believed, if so.
        rating: Rating,
    },
    /// A pool's rating is not believed any more: nothing new is placed there.
    RatingDoubted {
        /// Where.
        centre: CentreId,
        /// Which.
        pool: PoolId,
        /// Why.
        doubt: Doubt,
    },
    /// A doubted rating is believed after all, and its key is the centre's.
    RatingAccepted {
        /// Where.
        centre: CentreId,
        /// Which.
        pool: PoolId,
    },
    /// A job was acknowledged.
    JobSubmitted {
        /// Its number.
        job: JobId,
        /// Who pays.
        tenant: TenantId,
        /// What for.
        project: ProjectId,
        /// Who submitted.
        actor: ActorId,
        /// What was asked.
        spec: Arc<JobSpec>,
        /// Hash of the canonical spec.
        spec_hash: SpecHash,
        /// When.
        at: TimeMs,
        /// The idempotency key.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        key: Option<Arc<str>>,
        /// What it waits for: its dependencies that did not hold already.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        waits_for: Vec<Dependency>,
    },
    /// A job that another waits for has come so far.
    DependencyMet {
        /// The job that waits.
        job: JobId,
        /// The job that it waited for.
        on: JobId,
    },
    /// What a job waits for can no longer come about: all of its tasks are cancelled now.
    DependencyUnmet {
        /// The job that waited.
        job: JobId,
        /// What it waited for.
        on: Dependency,
        /// What became of that.
        ended: JobState,
    },
    /// The rules of every site that could have run it refused a job: what waits of it has failed.
    JobRefused {
        /// Which.
        job: JobId,
    },
    /// What is left of a job's own budget pays for no more of its tasks anywhere: what waits of it has failed.
    JobBudgetSpent {
        /// Which.
        job: JobId,
        /// What the cheapest place asks for one of them, or for the whole gang.
        needed: Money,
        /// What is left.
        left: Money,
    },
    /// Tasks were placed; for each an attempt exists and its hold is taken.
    TasksPlaced {
        /// The job.
        job: JobId,
        /// Its tasks.
        tasks: RangeSet,
        /// Where.
        centre: CentreId,
        /// On what.
        pool: PoolId,
        /// Cores of each.
        cores: Millicores,
        /// Devices of each.
        #[serde(default, skip_serializing_if = "MilliDevices::is_zero")]
        devices: MilliDevices,
        /// Money held for each.
        hold_each: Money,
        /// What its work is counted and priced with.
        terms: Terms,
        /// The entry that ordered it.
        order_seq: u64,
        /// When.
        at: TimeMs,
        /// Why there.
        score: Vec<ScoreTerm>,
        /// At an opaque centre, how large each is, or the whole gang, and how full the pool was before: its start is
        /// learnt from.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        band: Option<Band>,
        /// The node of each, in the order of tasks, where the network chooses them.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        nodes: Vec<NodeShare>,
    },
    /// An attempt runs.
    AttemptStarted {
        /// Which.
        attempt: AttemptId,
        /// When, by the centre's clock, not before it was placed.
        at: TimeMs,
    },
    /// An attempt used more.
    AttemptUsed {
        /// Which.
        attempt: AttemptId,
        /// Cumulative.
        usage: Usage,
        /// Cumulative work in units of the pool's class.
        work: Gflop,
        /// The hours that are full by now: what they cost is posted.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        readings: Vec<Reading>,
        /// What meters of the machine had counted up to the end of the last of them, in joules.
        #[serde(default, skip_serializing_if = "is_zero")]
        metered_joules: u64,
    },
    /// An attempt ended: its cost is posted, the rest of its hold is void.
    AttemptEnded {
        /// Which.
        attempt: AttemptId,
        /// When it began, if it did.
        started_at: Option<TimeMs>,
        /// When it ended.
        at: TimeMs,
        /// How.
        outcome: Outcome,
        /// In all.
        usage: Usage,
        /// In all.
        work: Gflop,
        /// Posted, from its start on.
        cost: Money,
        /// The rest of its meter, after the hours that were read while it ran.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        readings: Vec<Reading>,
        /// True when the task goes back to wait for another attempt.
        retry: bool,
    },
    /// All tasks of a gang wait for another attempt, after one of them failed and the last of them ended.
    GangRetried {
        /// The job.
        job: JobId,
        /// The number of the next attempt of every task.
        attempt: u32,
    },
    /// The centre of an attempt is told to end it.
    StopOrdered {
        /// Which.
        attempt: AttemptId,
        /// The entry that ordered it.
        order_seq: u64,
        /// The job that is to start in its place, when it is preempted: its task waits again then.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        preempted_by: Option<JobId>,
    },
    /// Somebody opened a channel into a session; who, says the entry.
    ChannelOpened {
        /// The attempt that runs it.
        attempt: AttemptId,
        /// The channel's number in that run of the server.
        channel: u64,
        /// What it leads to.
        target: ChannelTarget,
    },
    /// A channel has ended. One that was open when a server ended has no such event.
    ChannelClosed {
        /// The attempt that it led into.
        attempt: AttemptId,
        /// Its number in that run of the server.
        channel: u64,
        /// Bytes that went into the session.
        sent: u64,
        /// Bytes that came out of it.
        received: u64,
    },
    /// Somebody asked to cancel a job: its waiting tasks are cancelled now.
    JobCancelRequested {
        /// Which.
        job: JobId,
    },
    /// A job's last task ended, or nothing of it was left to run.
    JobEnded {
        /// Which.
        job: JobId,
        /// How: one of the terminal states.
        state: JobState,
        /// When.
        at: TimeMs,
    },
    /// A centre's report was taken up to this sequence.
    ReportTaken {
        /// Which centre.
        centre: CentreId,
        /// Up to where.
        seq: u64,
        /// When.
        at: TimeMs,
    },
    /// The server was not there: nothing could be placed, and nobody saw what its centres had.
    Unseen {
        /// The first moment of that.
        from: TimeMs,
        /// The first moment after it.
        until: TimeMs,
    },
    /// Old idempotency keys are gone.
    KeysForgotten {
        /// Those before this moment.
        before: TimeMs,
    },
}

fn is_zero(joules: &u64) -> bool {
    *joules == 0
}
