//! What one commit writes.

use std::{ops::Range, sync::Arc};

use huisuan_model::{
    ActorId, Attempt, AttemptId, Centre, CentreId, Command, Contract, Entry, Job, JobId, MeterRecord, Oddity,
    ProjectId, SpecHash, Tally, TariffRule, Tenant, TenantId, TimeMs,
};

use crate::books::{BalanceRow, DayEnd, TransferRow};

/// All rows of one transaction. A row that was there is replaced.
#[derive(Debug, Default)]
pub struct Batch<'a> {
    /// New journal entries, in order.
    pub entries: Vec<&'a Entry>,
    /// Jobs that are new or changed.
    pub jobs: Vec<&'a Job>,
    /// Attempts that are new or changed.
    pub attempts: Vec<&'a Attempt>,
    /// Centres that are new or changed.
    pub centres: Vec<&'a Centre>,
    /// Tenants that are new or changed.
    pub tenants: Vec<&'a Tenant>,
    /// New idempotency keys.
    pub keys: Vec<KeyRow>,
    /// Keys given before this moment go.
    pub keys_forgotten_before: Option<TimeMs>,
    /// Balances that changed.
    pub balances: Vec<BalanceRow>,
    /// New transfers, in order.
    pub transfers: Vec<TransferRow>,
    /// Where the chains are now, for each day that an entry lies on, in order.
    pub ledger_days: Vec<DayEnd>,
    /// New rows of the meter, in order.
    pub meters: Vec<MeterRecord>,
    /// Tallies of tenants that are new or changed.
    pub tallies: Vec<(&'a TenantId, &'a Tally)>,
    /// Rules of tariffs that are new or changed.
    pub rules: Vec<&'a TariffRule>,
    /// Contracts that are new or changed.
    pub contracts: Vec<&'a Contract>,
    /// What was found odd, in order.
    pub oddities: Vec<(CentreId, Oddity)>,
}

/// A batch as it goes to the disk: rows in their stored form, which need nothing of the state any more. So one
/// thread can prepare the next batch while another commits this one.
#[derive(Debug, Default)]
pub struct Prepared {
    /// The JSON of all rows behind one another: one piece of memory instead of one for each row.
    pub(crate) json: String,
    pub(crate) journal: Vec<JournalRow>,
    pub(crate) jobs: Vec<JobRow>,
    pub(crate) attempts: Vec<AttemptRow>,
    pub(crate) centres: Vec<(CentreId, Piece)>,
    pub(crate) tenants: Vec<(TenantId, Piece)>,
    pub(crate) keys: Vec<KeyRow>,
    pub(crate) keys_forgotten_before: Option<TimeMs>,
    pub(crate) balances: Vec<BalanceRow>,
    pub(crate) transfers: Vec<TransferRow>,
    pub(crate) ledger_days: Vec<DayEnd>,
    pub(crate) meters: Vec<MeterRecord>,
    pub(crate) tallies: Vec<(TenantId, Piece)>,
    pub(crate) rules: Vec<(u32, Piece)>,
    pub(crate) contracts: Vec<(u32, Piece)>,
    pub(crate) oddities: Vec<(CentreId, TimeMs, Piece)>,
}

#[derive(Debug)]
pub(crate) struct JournalRow {
    pub(crate) seq: u64,
    pub(crate) at: TimeMs,
    pub(crate) version: u32,
    pub(crate) actor: ActorId,
    pub(crate) tenant: TenantId,
    pub(crate) body: Piece,
    /// Whether it is about a centre, a pool or its capacity.
    pub(crate) of_centre: bool,
}

/// Whether a command may change what a centre has: its entry is noted. The migrations know the same ones.
pub fn of_centre(command: &Command) -> bool {
    matches!(
        command,
        Command::SetCentre(_)
            | Command::AddCentre(_)
            | Command::SetCentreState { .. }
            | Command::SetPresence { .. }
            | Command::AddWindow { .. }
            | Command::RemoveWindow { .. }
            | Command::Inventory { .. }
            | Command::Rate { .. }
            | Command::Resume { .. }
    )
}

#[derive(Debug)]
pub(crate) struct JobRow {
    pub(crate) id: JobId,
    pub(crate) tenant: TenantId,
    pub(crate) project: ProjectId,
    pub(crate) actor: ActorId,
    pub(crate) state: &'static str,
    pub(crate) data: Piece,
}

#[derive(Debug)]
pub(crate) struct AttemptRow {
    pub(crate) id: AttemptId,
    pub(crate) centre: CentreId,
    pub(crate) state: &'static str,
    pub(crate) data: Piece,
}

/// Where a row's JSON lies in that of its batch.
pub(crate) type Piece = Range<usize>;

/// What a submission's rows take, so that the text of most batches is never moved.
const ROW_BYTES: usize = 768;

/// Rows in their stored form, as they are written behind one another.
struct Text(Vec<u8>);

impl Text {
    fn add<T: serde::Serialize>(&mut self, value: &T) -> Piece {
        let start = self.0.len();
        serde_json::to_writer(&mut self.0, value).expect("stored rows have string keys and finite numbers only");
        start..self.0.len()
    }
}

#[derive(serde::Serialize)]
struct Body<'a> {
    origin: &'a huisuan_model::command::Origin,
    command: &'a huisuan_model::Command,
    events: &'a [huisuan_model::Event],
}

impl Batch<'_> {
    /// Every row in its stored form.
    pub fn prepare(self) -> Prepared {
        let mut text =
            Text(Vec::with_capacity((self.entries.len() + self.jobs.len() + self.attempts.len()) * ROW_BYTES));
        let journal = self.entries.iter().map(|entry| JournalRow {
            seq: entry.seq,
            at: entry.at,
            version: entry.version,
            actor: entry.origin.actor.clone(),
            tenant: entry.origin.tenant.clone(),
            body: text.add(&Body { origin: &entry.origin, command: &entry.command, events: &entry.events }),
            of_centre: of_centre(&entry.command),
        });
        let journal = journal.collect();
        let jobs = self.jobs.iter().map(|job| JobRow {
            id: job.id,
            tenant: job.tenant.clone(),
            project: job.project.clone(),
            actor: job.actor.clone(),
            state: job.state.as_str(),
            data: text.add(job),
        });
        let jobs = jobs.collect();
        let attempts = self.attempts.iter().map(|attempt| AttemptRow {
            id: attempt.id,
            centre: attempt.centre.clone(),
            state: attempt.state.as_str(),
            data: text.add(attempt),
        });
        let attempts = attempts.collect();
        let centres = self.centres.iter().map(|centre| (centre.id.clone(), text.add(centre))).collect();
        let tenants = self.tenants.iter().map(|tenant| (tenant.id.clone(), text.add(tenant))).collect();
        let tallies = self.tallies.iter().map(|(tenant, tally)| ((*tenant).clone(), text.add(tally))).collect();
        let rules = self.rules.iter().map(|rule| (rule.id, text.add(rule))).collect();
        let contracts = self.contracts.iter().map(|contract| (contract.id, text.add(contract))).collect();
        let oddities = self.oddities.iter().map(|(centre, oddity)| (centre.clone(), oddity.at, text.add(oddity)));
        let oddities = oddities.collect();
        Prepared {
            json: String::from_utf8(text.0).expect("JSON is text"),
            journal,
            jobs,
            attempts,
            centres,
            tenants,
            keys: self.keys,
            keys_forgotten_before: self.keys_forgotten_before,
            balances: self.balances,
            transfers: self.transfers,
            ledger_days: self.ledger_days,
            meters: self.meters,
            tallies,
            rules,
            contracts,
            oddities,
        }
    }
}

/// One idempotency key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyRow {
    /// Whose.
    pub tenant: TenantId,
    /// The key.
    pub key: Arc<str>,
    /// The job that it led to.
    pub job: JobId,
    /// The spec that it came with.
    pub spec_hash: SpecHash,
    /// When.
    pub at: TimeMs,
}
