//! What may be asked of the network. A command either becomes events or is refused and leaves no trace.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::{
    advance::{AskedReservation, ReservationId},
    alarm::{Alarm, AlarmKind},
    centre::{Centre, CentreState, Pool, Presence},
    channel::ChannelTarget,
    contract::Contract,
    dependency::EndedJob,
    event::Event,
    facts::Facts,
    ids::{ActorId, AttemptId, CentreId, JobId, PoolId, ProjectId, TenantId},
    meter::Metering,
    oddity::OddityKind,
    order::AttemptReport,
    past::PastAttempt,
    place::Place,
    plan::Plan,
    quantity::{Money, TimeMs},
    rating::{Doubt, Rating},
    spec::JobSpec,
    tariff::TariffRule,
    tenant::{Tenant, TenantChange, TokenHash},
};

/// A wish of a door, an agent or a loop.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Command {
    /// Opens a tenant or changes its limits.
    SetTenant(Tenant),
    /// Opens a tenant that is not known yet.
    AddTenant {
        /// Its name.
        tenant: TenantId,
        /// What is not as usual.
        change: TenantChange,
    },
    /// Changes a tenant.
    ChangeTenant {
        /// Which.
        tenant: TenantId,
        /// What.
        change: TenantChange,
    },
    /// Closes the account of a tenant that has no jobs and owes nothing.
    CloseTenant {
        /// Which.
        tenant: TenantId,
    },
    /// Gives a tenant a new token; the one before is void.
    SetTenantToken {
        /// Which.
        tenant: TenantId,
        /// What it is recognised by.
        token: TokenHash,
    },
    /// Gives a tenant money to spend.
    Fund {
        /// How much; positive.
        amount: Money,
    },
    /// Adds a rule to a centre's tariff.
    SetTariffRule {
        /// The rule; its number is given by the network.
        rule: TariffRule,
        /// The order to price anew what was used since the rule's first moment, where that is past.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        rerate: bool,
    },
    /// Ends a rule of a tariff at a moment to come.
    EndTariffRule {
        /// Which.
        rule: u32,
        /// The first moment after it: a full hour.
        until: TimeMs,
    },
    /// Makes a contract between a tenant and a centre.
    MakeContract(Contract),
    /// Ends a contract at a moment to come.
    EndContract {
        /// Which.
        contract: u32,
        /// The first moment after it: a full hour.
        until: TimeMs,
    },
    /// Prices readings of attempts that have ended by a rule that was set with the order to do so.
    Rerate {
        /// The rule.
        rule: u32,
        /// The readings as they are stored, by attempt and number.
        readings: Vec<Metering>,
    },
    /// Makes a centre known or changes what its operator declares. Pools and report state are kept.
    SetCentre(Box<Centre>),
    /// Declares where a centre stands, its links and its power; replaces what was declared before.
    SetFacts {
        /// Which.
        centre: CentreId,
        /// Where it stands; not told when absent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        place: Option<Place>,
        /// The rest.
        facts: Facts,
    },
    /// Makes a centre known whose name is not taken.
    AddCentre(Box<Centre>),
    /// Gives a centre's agent a new token; the one before is void.
    SetCentreToken {
        /// Which.
        centre: CentreId,
        /// What it is recognised by.
        token: TokenHash,
    },
    /// Something at a centre wants a person's eyes, or no longer does.
    SetAlarms {
        /// Where.
        centre: CentreId,
        /// What was found; one that is known already stays as it is.
        raised: Vec<Alarm>,
        /// What is no longer so.
        cleared: Vec<(AlarmKind, String)>,
    },
    /// A centre was silent for so long that attempts of jobs that may be run again are given up there.
    GiveUp {
        /// Where.
        centre: CentreId,
    },
    /// Pauses or opens a centre.
    SetCentreState {
        /// Which.
        centre: CentreId,
        /// How.
        state: CentreState,
    },
    /// A centre's agent went away for long, or came back.
    SetPresence {
        /// Which.
        centre: CentreId,
        /// Which of the two.
        presence: Presence,
    },
    /// A centre or a pool of it is to run nothing for a while.
    AddWindow {
        /// Where.
        centre: CentreId,
        /// The pool; all of the centre when absent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pool: Option<PoolId>,
        /// The first moment.
        from: TimeMs,
        /// The first moment after it.
        until: TimeMs,
        /// Why, for people.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        note: String,
    },
    /// A window is taken back.
    RemoveWindow {
        /// Where.
        centre: CentreId,
        /// Which.
        id: u32,
    },
    /// A part of a pool is to be kept for a tenant's jobs for a while.
    Reserve(Box<AskedReservation>),
    /// A reservation in advance is taken back.
    CancelReservation {
        /// Which.
        id: ReservationId,
        /// Who asks, where that is not an operator: it takes back its own alone.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        tenant: Option<TenantId>,
    },
    /// What a centre's agent found: its pools, without ratings.
    Inventory {
        /// Where.
        centre: CentreId,
        /// What; replaces what was known, ratings of unchanged pools are kept.
        pools: Vec<Pool>,
    },
    /// A new rating of a pool.
    Rate {
        /// Where.
        centre: CentreId,
        /// Which.
        pool: PoolId,
        /// How fast. Its version is set by the network, and so is the doubt: what the door found is here already.
        rating: Rating,
    },
    /// A rating is not believed any more.
    DoubtRating {
        /// Where.
        centre: CentreId,
        /// Which pool.
        pool: PoolId,
        /// Why.
        doubt: Doubt,
    },
    /// An operator has looked at a rating that is doubted, and believes it and its key.
    AcceptRating {
        /// Where.
        centre: CentreId,
        /// Which pool.
        pool: PoolId,
    },
    /// A new job for the entry's tenant and project.
    Submit {
        /// What is asked.
        spec: Arc<JobSpec>,
        /// Same key and same spec: the same answer. Other spec: refused.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        key: Option<Arc<str>>,
        /// Those of the jobs that it waits for which had ended, of the same tenant.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        ended: Vec<EndedJob>,
    },
    /// Ends a job.
    Cancel {
        /// Which.
        job: JobId,
    },
    /// Opens a channel into a session of the entry's tenant.
    OpenChannel {
        /// The attempt that runs it.
        attempt: AttemptId,
        /// The channel's number in this run of the server.
        channel: u64,
        /// What it leads to.
        target: ChannelTarget,
    },
    /// A channel has ended.
    CloseChannel {
        /// The attempt that it led into.
        attempt: AttemptId,
        /// Its number in this run of the server.
        channel: u64,
        /// Bytes that went into the session.
        sent: u64,
        /// Bytes that came out of it.
        received: u64,
    },
    /// The answer of a scheduling cycle.
    Plan(Box<Plan>),
    /// What a centre's agent saw.
    Report {
        /// Where.
        centre: CentreId,
        /// Counts up for every report of a centre; a lower one was seen before.
        seq: u64,
        /// In the order in which it happened.
        reports: Vec<AttemptReport>,
        /// What the rows have of those that are not live, where somebody looked. Without it such reports say nothing;
        /// with none of it they are refused.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        past: Option<Vec<PastAttempt>>,
    },
    /// What a centre said and was refused is kept for its operator to see.
    NoteOddity {
        /// Where.
        centre: CentreId,
        /// In which way.
        kind: OddityKind,
        /// About which attempt.
        attempt: AttemptId,
        /// What was said, and what the books have.
        detail: String,
    },
    /// A centre has lost the folder with all that it knew: what ran there is lost.
    LoseRunning {
        /// Where.
        centre: CentreId,
    },
    /// The server begins to run.
    Resume {
        /// The last moment at which it is known to have run before.
        seen_until: TimeMs,
    },
    /// Idempotency keys given before this moment are forgotten.
    ForgetKeys {
        /// That moment.
        before: TimeMs,
    },
}

impl Command {
    /// The word for logs and metrics.
    pub fn name(&self) -> &'static str {
        match self {
            Command::SetTenant(_) => "set-tenant",
            Command::AddTenant { .. } => "add-tenant",
            Command::ChangeTenant { .. } => "change-tenant",
            Command::CloseTenant { .. } => "close-tenant",
            Command::SetTenantToken { .. } => "set-tenant-token",
            Command::Fund { .. } => "fund",
            Command::SetTariffRule { .. } => "set-tariff-rule",
            Command::EndTariffRule { .. } => "end-tariff-rule",
            Command::MakeContract(_) => "make-contract",
            Command::EndContract { .. } => "end-contract",
            Command::Rerate { .. } => "rerate",
            Command::SetCentre(_) => "set-centre",
            Command::SetFacts { .. } => "set-facts",
            Command::AddCentre(_) => "add-centre",
            Command::SetCentreToken { .. } => "set-centre-token",
            Command::SetAlarms { .. } => "set-alarms",
            Command::GiveUp { .. } => "give-up",
            Command::SetCentreState { .. } => "set-centre-state",
            Command::SetPresence { .. } => "set-presence",
            Command::AddWindow { .. } => "add-window",
            Command::RemoveWindow { .. } => "remove-window",
            Command::Reserve(_) => "reserve",
            Command::CancelReservation { .. } => "cancel-reservation",
            Command::Inventory { .. } => "inventory",
            Command::Rate { .. } => "rate",
            Command::DoubtRating { .. } => "doubt-rating",
            Command::AcceptRating { .. } => "accept-rating",
            Command::Submit { .. } => "submit",
            Command::Cancel { .. } => "cancel",
            Command::OpenChannel { .. } => "open-channel",
            Command::CloseChannel { .. } => "close-channel",
            Command::Plan(_) => "plan",
            Command::Report { .. } => "report",
            Command::NoteOddity { .. } => "note-oddity",
            Command::LoseRunning { .. } => "lose-running",
            Command::Resume { .. } => "resume",
            Command::ForgetKeys { .. } => "forget-keys",
        }
    }
}

/// Who asks, for whom, and why: goes with every command.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Origin {
    /// Who acts.
    pub actor: ActorId,
    /// Who pays.
    pub tenant: TenantId,
    /// What for.
    pub project: ProjectId,
    /// The request or loop that led to it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub cause: String,
}

/// One line of the journal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Counts up by one, from 1.
    pub seq: u64,
    /// When it was decided.
    pub at: TimeMs,
    /// Format of `command` and `events`.
    pub version: u32,
    /// Who asked.
    pub origin: Origin,
    /// What was asked.
    pub command: Command,
    /// What became of it.
    pub events: Vec<Event>,
}

/// The journal format that this version writes.
pub const ENTRY_VERSION: u32 = 1;
