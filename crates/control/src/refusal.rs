//! Why a command was refused. A refused command changes nothing and leaves no journal entry.

use huisuan_ledger::tariff::{ContractError, TariffError};
use huisuan_model::{
    AttemptId, CentreId, Dependency, JobId, JobState, Money, PoolId, ProjectId, ReservationId, TenantId,
    spec::SpecError,
};

use crate::books::told;

/// The situations in which the network says no.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The spec breaks a limit.
    #[error(transparent)]
    Spec(#[from] SpecError),
    /// The spec asks for what this version cannot run.
    #[error("job spec: `{field}` is not supported yet: {why}")]
    NotSupported {
        /// The field.
        field: &'static str,
        /// Why not.
        why: String,
    },
    /// No centre could ever run it, even empty.
    #[error("job can never run: {detail}")]
    NeverFits {
        /// What each centre lacks.
        detail: String,
        /// What to change.
        hint: String,
    },
    /// Its own budget pays for none of its tasks anywhere.
    #[error(
        "job spec: `budget` is {}, and the cheapest place holds {} for what starts together",
        told(*budget),
        told(*needed)
    )]
    JobBudget {
        /// What the cheapest place asks for one task, or for the whole gang.
        needed: Money,
        /// The budget.
        budget: Money,
    },
    /// The key came before with another spec.
    #[error("idempotency key `{key}` was used for job {job} with another spec")]
    KeyReused {
        /// The key.
        key: String,
        /// The job that has it.
        job: JobId,
    },
    /// A job waits for one that is not known: never submitted, another tenant's, itself or a later one.
    #[error("job spec: `after` names job {0}, which is not known")]
    UnknownDependency(JobId),
    /// A job waits for what can no longer come about.
    #[error("job spec: `after` wants job {} to come to `{}`, but it has ended as {}", on.job, on.when.as_str(), ended.as_str())]
    DependencyUnmet {
        /// What it waits for.
        on: Dependency,
        /// What became of that.
        ended: JobState,
    },
    /// The tenant is not known.
    #[error("tenant `{0}` is not known")]
    NoTenant(TenantId),
    /// The name is taken.
    #[error("tenant `{0}` is there already")]
    TenantExists(TenantId),
    /// What an operator set of a tenant makes no sense.
    #[error("tenant `{tenant}`: {why}")]
    Tenant {
        /// Who.
        tenant: TenantId,
        /// What is wrong.
        why: String,
    },
    /// The tenant has no such project.
    #[error("tenant `{tenant}` has no project `{project}`")]
    NoProject {
        /// Who.
        tenant: TenantId,
        /// Which.
        project: ProjectId,
    },
    /// The tenant has as many jobs as it may.
    #[error("tenant `{tenant}` has {jobs} jobs that have not ended, the most it may have")]
    TooManyJobs {
        /// Who.
        tenant: TenantId,
        /// The limit.
        jobs: u64,
    },
    /// The job has ended or never was.
    #[error("job {0} is not known or has ended")]
    NoJob(JobId),
    /// There is no session to open a channel into.
    #[error("job {job} has no terminal and no ports: {why}")]
    NoSession {
        /// Which.
        job: JobId,
        /// Why not.
        why: &'static str,
    },
    /// The centre is not known.
    #[error("centre `{0}` is not known")]
    NoCentre(CentreId),
    /// The name is taken.
    #[error("centre `{0}` is there already")]
    CentreExists(CentreId),
    /// The pool is not known.
    #[error("centre `{centre}` has no pool `{pool}`")]
    NoPool {
        /// Where.
        centre: CentreId,
        /// Which.
        pool: PoolId,
    },
    /// A maintenance window makes no sense.
    #[error("window of centre `{centre}`: {why}")]
    Window {
        /// Where.
        centre: CentreId,
        /// What is wrong with it.
        why: String,
    },
    /// What was declared of a centre makes no sense.
    #[error("facts of centre `{centre}`: {why}")]
    Facts {
        /// Which.
        centre: CentreId,
        /// What is wrong.
        why: String,
    },
    /// The window is not known.
    #[error("centre `{centre}` has no window {id}")]
    NoWindow {
        /// Where.
        centre: CentreId,
        /// Which.
        id: u32,
    },
    /// A reservation in advance makes no sense.
    #[error("reservation: {why}")]
    Reservation {
        /// What is wrong with it.
        why: String,
    },
    /// The tenant asks for a reservation and has no right to.
    #[error("tenant `{0}` may not reserve")]
    MayNotReserve(TenantId),
    /// No pool has what is to be reserved.
    #[error("no pool can keep it: {detail}")]
    NothingToReserve {
        /// What each of them lacks.
        detail: String,
    },
    /// A job names a reservation that its tenant does not have.
    #[error("the job names reservation {0}, which its tenant does not have")]
    UnknownReservation(ReservationId),
    /// The reservation is not known, or another tenant's.
    #[error("there is no reservation {0}")]
    NoReservation(ReservationId),
    /// A job names a reservation in which it can never run.
    #[error("the job cannot run in reservation {reservation}: {why}")]
    OutsideReservation {
        /// Which.
        reservation: ReservationId,
        /// Why.
        why: String,
    },
    /// A tariff cannot be charged.
    #[error("tariff `{price} {currency}` is not a price: a currency is three letters A to Z, a price not negative")]
    Tariff {
        /// Its currency.
        currency: String,
        /// Its price of one P·h.
        price: Money,
    },
    /// A rule of a tariff makes no sense, or meets another one.
    #[error("{}", fact(.0))]
    TariffRule(#[from] TariffError),
    /// A contract makes no sense, or meets another one.
    #[error("{}", fact(.0))]
    Contract(#[from] ContractError),
    /// What is priced anew does not go together.
    #[error("rating anew by rule {rule}: {why}")]
    Rerate {
        /// The rule.
        rule: u32,
        /// What is wrong.
        why: String,
    },
    /// An amount makes no sense.
    #[error("amount {0} is not positive or does not fit")]
    Amount(Money),
    /// A report names attempts that are not live, and nobody said what the rows have of them.
    #[error("{} attempts of a report are not live, and their rows were not looked at", attempts.len())]
    NotLive {
        /// Which, by number.
        attempts: Vec<AttemptId>,
    },
    /// A report names an attempt of another centre.
    #[error("centre `{centre}` reported attempt {attempt}, which is at `{owner}`")]
    ForeignAttempt {
        /// Who reported.
        centre: CentreId,
        /// What.
        attempt: String,
        /// Whose it is.
        owner: CentreId,
    },
}

/// The part of a text of the ledger before its hint.
fn fact(error: &dyn std::error::Error) -> String {
    let text = error.to_string();
    text.split_once("; hint: ").map_or(text.clone(), |(fact, _)| fact.to_owned())
}

fn hint_of(error: &dyn std::error::Error) -> String {
    error.to_string().split_once("; hint: ").map_or_else(String::new, |(_, hint)| hint.to_owned())
}

impl Refusal {
    /// What to do about it, for people.
    pub fn hint(&self) -> String {
        match self {
            Refusal::Spec(_) => "correct the field and submit again".into(),
            Refusal::NotSupported { .. } => "leave the field out, or follow docs/roadmap.md".into(),
            Refusal::NeverFits { hint, .. } => hint.clone(),
            Refusal::JobBudget { .. } => {
                "give it more, ask for less or for a shorter walltime; what is not used is given back".into()
            }
            Refusal::KeyReused { .. } => "use a new key for a new job, or repeat the first spec unchanged".into(),
            Refusal::UnknownDependency(_) => {
                "name jobs of yours that were submitted before, by number; `huisuan ls` lists them".into()
            }
            Refusal::DependencyUnmet { .. } => "leave this dependency out, or submit the other job again first".into(),
            Refusal::NoTenant(_) => "ask the operator to open the tenant".into(),
            Refusal::TenantExists(_) => "`huisuan tenant set` changes it".into(),
            Refusal::Tenant { .. } => "correct it and ask again".into(),
            Refusal::NoProject { .. } => "leave the project out, or ask the operator to add it".into(),
            Refusal::TooManyJobs { .. } => "wait for jobs to end, or submit an array instead of many jobs".into(),
            Refusal::NoJob(_) => "`huisuan ls` lists jobs".into(),
            Refusal::NoSession { job, .. } => format!("`huisuan show {job}` says what became of it"),
            Refusal::NoCentre(_) | Refusal::NoPool { .. } => "`huisuan centre ls` lists centres and pools".into(),
            Refusal::CentreExists(_) => {
                "`huisuan centre token NAME --rotate` gives its agent a new token; otherwise choose another name".into()
            }
            Refusal::Window { .. } | Refusal::Facts { .. } => "correct it and ask again".into(),
            Refusal::NoWindow { .. } => "`huisuan centre windows CENTRE` lists its windows".into(),
            Refusal::Reservation { .. } => "correct it and ask again".into(),
            Refusal::MayNotReserve(_) => "ask the operator: `huisuan tenant set NAME --may-reserve yes`".into(),
            Refusal::NothingToReserve { .. } => "ask for less, for another time, or for another pool".into(),
            Refusal::NoReservation(_) | Refusal::UnknownReservation(_) => {
                "`huisuan reserve ls` lists reservations".into()
            }
            Refusal::OutsideReservation { .. } => {
                "leave the reservation out, or ask for what it keeps; `huisuan reserve ls` shows it".into()
            }
            Refusal::Tariff { .. } => "correct the tariff and set the centre again".into(),
            Refusal::TariffRule(error) => hint_of(error),
            Refusal::Contract(error) => hint_of(error),
            Refusal::Rerate { .. } => "look at the readings again and repeat the order".into(),
            Refusal::Amount(_) => "give a positive amount in millionths of the currency".into(),
            Refusal::NotLive { .. } => "send it again".into(),
            Refusal::ForeignAttempt { .. } => "check the token and the folder of this centre's agent".into(),
        }
    }
}
