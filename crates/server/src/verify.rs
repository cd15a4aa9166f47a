//! Checks a data directory that no server holds: the fold of its journal against its tables.
//!
//! | invariant | how it shows |
//! |---|---|
//! | no entry was altered, dropped, added or moved | each has a hash over itself and the one before it |
//! | every acknowledged job exists, once for its key | jobs of the fold and rows of the table are the same, keys too |
//! | no job or attempt without an event | as many rows as the fold has |
//! | one live attempt for a task, numbered without gaps | [`apply`] refuses anything else; retries are counted here |
//! | what ended never changes | a row is compared with what the fold had at its end |
//! | what was metered never changes | rows of the meter and of findings are those of the fold |
//! | the books balance, nothing is charged twice | transfers of the fold and rows are the same, the ledger is audited |

use std::{
    collections::VecDeque,
    fmt::Display,
    panic::{AssertUnwindSafe, catch_unwind},
    path::Path,
};

use anyhow::{Context as _, anyhow, bail, ensure};
use huisuan_control::{State, Touched, apply, schedule::Policy};
use huisuan_model::{Attempt, Command, Job, TimeMs, spec::Rerun};
use huisuan_store::{DataDirectory, FORMAT, Reader, Store, StoredEntry, StoredTransfer, TransferRow, of_centre};

use crate::{
    books::{ChainCheck, EntryCheck},
    commit::transfer_row,
    restore::restore,
};

#[cfg(test)]
mod tamper;
#[cfg(test)]
pub(crate) mod tests;

/// Entries and transfers that are read at once.
const PAGE: usize = 1000;

/// What was checked and found well.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Verified {
    /// Journal entries folded.
    pub entries: u64,
    /// The last of them that has no hash of its own, because an older format wrote it; 0 where all have one.
    pub hashed_after: u64,
    /// Jobs, ended ones included.
    pub jobs: u64,
    /// Attempts, ended ones included.
    pub attempts: u64,
    /// True when every asset's balances add up to nothing and every hold is covered.
    pub balanced: bool,
}

/// Folds the whole journal and compares the outcome with the tables. Holds the data directory meanwhile.
///
/// # Errors
/// When the directory is in use or holds no database, when a row cannot be read, and when journal and
/// tables contradict each other or themselves; the first contradiction is named. A journal that cannot be
/// folded makes a thread panic inside, which is caught; the panic hook is the caller's.
pub fn verify(data: &Path) -> anyhow::Result<Verified> {
    ensure!(DataDirectory::has_database(data), "`{}` is no data directory of a server", data.display());
    let store = Store::open(DataDirectory::open(data)?)?;
    let reader = Reader::open(&store.database())?;
    if let Some(damage) = reader.damage()? {
        bail!("the database is damaged: {damage}");
    }
    let mut fold = Fold {
        reader: &reader,
        state: State::new(),
        last_at: TimeMs(i64::MIN),
        jobs_ended: 0,
        attempts_ended: 0,
        meters: 0,
        oddities: 0,
        centre_entries: 0,
        resumed: 0,
    };
    let chain = ChainCheck::from_start(&reader.ledger_days()?);
    let mut transfers = Transfers { reader: &reader, page: VecDeque::new(), last: 0, chain };
    let mut hashes = EntryCheck::from_start(&reader)?;
    loop {
        let entries = reader.stored_entries(hashes.head().seq, PAGE)?;
        if entries.is_empty() {
            break;
        }
        for stored in &entries {
            hashes.take(stored)?;
            let touched = fold.take(stored)?;
            for (seq, transfer) in &touched.transfers {
                transfers.next_is(transfer_row(*seq, transfer))?;
            }
        }
    }
    let hashed_after = hashes.hashed_after();
    hashes.finish()?;
    fold.live_rows()?;
    reader.check_names()?;
    let rows = store.load()?;
    let tables = caught(|| restore(Policy::default(), rows)).context("rows of the tables contradict each other")??;
    compare(&fold.state, &tables)?;
    fold.totals()?;
    notes(&reader, fold.resumed)?;
    let verified = fold.verified(hashed_after);
    ensure!(transfers.peek()?.is_none(), "table `transfer` has rows that no entry of the journal made");
    same("rows in table `transfer`", transfers.last, reader.totals()?.transfers)?;
    transfers.chain.finish()?;
    fold.state.ledger().audit().context("the books do not balance")?;
    Ok(verified)
}

/// The state that the journal makes, as far as it was read.
struct Fold<'a> {
    reader: &'a Reader,
    state: State,
    last_at: TimeMs,
    jobs_ended: u64,
    attempts_ended: u64,
    meters: u64,
    oddities: u64,
    centre_entries: u64,
    /// How often a server began to run.
    resumed: u64,
}

impl Fold<'_> {
    /// Folds one entry and compares what ended by it with its rows, which nothing may have changed since.
    fn take(&mut self, stored: &StoredEntry) -> anyhow::Result<Touched> {
        let (seq, entry) = (stored.seq, stored.entry()?);
        ensure!(entry.at >= self.last_at, "entry {seq} of the journal is older than the one before it");
        self.last_at = entry.at;
        let origin = &entry.origin;
        let columns = [stored.actor.as_str(), stored.tenant.as_str()];
        ensure!(columns == [origin.actor.as_str(), origin.tenant.as_str()], "entry {seq} names two origins");
        let state = &mut self.state;
        caught(|| entry.events.iter().for_each(|event| apply(state, event)))
            .with_context(|| format!("entry {seq} of the journal contradicts those before it"))?;
        self.state.set_version(seq);
        let touched = self.state.take_touched();
        for job in touched.jobs_ended.values() {
            self.jobs_ended += 1;
            is_job(self.reader, job)?;
        }
        for attempt in touched.attempts_ended.values() {
            self.attempts_ended += 1;
            is_attempt(self.reader, attempt)?;
        }
        for record in &touched.meters {
            self.meters += 1;
            let (id, number) = (record.attempt, record.reading.number);
            let row = self.reader.meter(id, number)?;
            ensure!(row.as_ref() == Some(record), "meter record {id}/{number}: journal and table `meter` differ");
        }
        for (centre, oddity) in &touched.oddities {
            self.oddities += 1;
            let row = self.reader.checked_oddity(self.oddities)?;
            let same = row.as_ref().is_some_and(|row| (&row.0, &row.1) == (centre, oddity));
            ensure!(same, "finding {}: journal and table `oddity` differ", self.oddities);
        }
        let noted = self.reader.centre_entry(seq)?;
        ensure!(noted == of_centre(&entry.command), "entry {seq}: journal and table `centre_entry` differ");
        self.centre_entries += u64::from(noted);
        self.resumed += u64::from(matches!(entry.command, Command::Resume { .. }));
        Ok(touched)
    }

    /// Rows of what has not ended, columns included.
    fn live_rows(&self) -> anyhow::Result<()> {
        self.state.jobs().try_for_each(|job| is_job(self.reader, job))?;
        self.state.attempts().try_for_each(|attempt| is_attempt(self.reader, attempt))
    }

    /// No table has more rows than the journal made.
    fn totals(&self) -> anyhow::Result<()> {
        let totals = self.reader.totals()?;
        same("rows in table `journal`", self.state.version(), totals.entries)?;
        same("rows in table `job`", self.jobs_ended + self.state.jobs_live(), totals.jobs)?;
        same("rows in table `attempt`", self.attempts_ended + self.state.attempts_live(), totals.attempts)?;
        same("rows in table `meter`", self.meters, totals.meters)?;
        same("rows in table `oddity`", self.oddities, totals.oddities)?;
        same("rows in table `centre_entry`", self.centre_entries, totals.centre_entries)
    }

    fn verified(&self, hashed_after: u64) -> Verified {
        Verified {
            entries: self.state.version(),
            hashed_after,
            jobs: self.jobs_ended + self.state.jobs_live(),
            attempts: self.attempts_ended + self.state.attempts_live(),
            balanced: self.state.ledger().audit().is_ok(),
        }
    }
}

/// What the database notes of itself.
fn notes(reader: &Reader, resumed: u64) -> anyhow::Result<()> {
    let notes = reader.notes()?;
    let find = |name: &str| notes.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str());
    ensure!(
        find("format") == Some(&*FORMAT.to_string()),
        "the format of the database is noted as {:?}",
        find("format")
    );
    let (epoch, copy) = (find("epoch"), find("epoch_copy"));
    ensure!(epoch == copy, "the epoch of the server is noted as {epoch:?} and as {copy:?}");
    let epoch: u64 = epoch.map_or(Ok(0), str::parse).context("the epoch of the server")?;
    ensure!(epoch >= resumed, "servers began to run {resumed} times, and the epoch is {epoch}");
    let known = ["format", "epoch", "epoch_copy", "hashed_after"];
    match notes.iter().find(|(name, _)| !known.contains(&name.as_str())) {
        Some((name, _)) => bail!("table `meta` has a row `{name}`, which nothing writes"),
        None => Ok(()),
    }
}

fn is_job(reader: &Reader, job: &Job) -> anyhow::Result<()> {
    let row = reader.checked_job(job.id)?;
    ensure!(row.as_ref() == Some(job), "job {}: journal and table `job` differ", job.id);
    // Those that made room for others were no tries, and what may run again does so whenever its centre is given up.
    let preempted = |task| job.preempted.get(task).copied().unwrap_or(0);
    let tries = job.retried.iter().map(|(task, attempts)| attempts.saturating_sub(preempted(task))).max().unwrap_or(1);
    let bounded = job.spec.rerun != Rerun::Allowed;
    ensure!(!bounded || tries <= job.spec.retries + 1, "job {}: a task was tried {tries} times", job.id);
    Ok(())
}

fn is_attempt(reader: &Reader, attempt: &Attempt) -> anyhow::Result<()> {
    let row = reader.checked_attempt(attempt.id)?;
    ensure!(row.as_ref() == Some(attempt), "attempt {}: journal and table `attempt` differ", attempt.id);
    ensure!(attempt.cost <= attempt.hold, "attempt {}: it cost more than was held for it", attempt.id);
    Ok(())
}

/// The rows of the table of transfers, one after another.
struct Transfers<'a> {
    reader: &'a Reader,
    page: VecDeque<StoredTransfer>,
    last: u64,
    chain: ChainCheck,
}

impl Transfers<'_> {
    fn peek(&mut self) -> anyhow::Result<Option<&StoredTransfer>> {
        if self.page.is_empty() {
            self.page = self.reader.transfers(self.last, PAGE)?.into();
        }
        Ok(self.page.front())
    }

    fn next_is(&mut self, mut expected: TransferRow) -> anyhow::Result<()> {
        let seq = expected.seq;
        let found = self.peek()?.map(|transfer| transfer.row.clone());
        match &found {
            // Rows of format 1 name the last entry of their batch.
            Some(TransferRow { hash: None, seq, .. }) => expected.seq = *seq,
            Some(row) => expected.hash = row.hash,
            None => {}
        }
        ensure!(
            found.as_ref() == Some(&expected),
            "entry {seq}: journal and table `transfer` differ: {expected:?}, {found:?}"
        );
        if let Some(transfer) = self.page.pop_front() {
            self.chain.take(&transfer)?;
            self.last = transfer.id;
        }
        Ok(())
    }
}

/// Compares the fold of the journal with the state of the tables, part by part for a useful message.
fn compare(journal: &State, tables: &State) -> anyhow::Result<()> {
    same("the number of the last entry", journal.version(), tables.version())?;
    each("tenant", journal.tenants().iter(), tables.tenants().iter())?;
    each("centre", journal.centres().iter(), tables.centres().iter())?;
    each("job", journal.jobs().map(|job| (job.id, job)), tables.jobs().map(|job| (job.id, job)))?;
    let attempts = |state: &'_ State| state.attempts().map(|row| (row.id, row.clone())).collect::<Vec<_>>();
    each("attempt", attempts(journal).into_iter(), attempts(tables).into_iter())?;
    let balances = |state: &'_ State| {
        let named = state.ledger().balances().map(|(account, asset, amount)| (format!("{account} {asset}"), amount));
        named.collect::<Vec<_>>()
    };
    each("balance", balances(journal).into_iter(), balances(tables).into_iter())?;
    ensure!(journal == tables, "journal and tables differ in idempotency keys or in what follows from the rest");
    Ok(())
}

/// Names the first of two lists' rows that differs.
fn each<N: Display + Ord, R: PartialEq>(
    kind: &str,
    mut journal: impl Iterator<Item = (N, R)>,
    mut tables: impl Iterator<Item = (N, R)>,
) -> anyhow::Result<()> {
    loop {
        match (journal.next(), tables.next()) {
            (None, None) => return Ok(()),
            (Some(ours), Some(theirs)) if ours == theirs => {}
            (Some((ours, _)), Some((theirs, _))) => bail!("{kind} {}: journal and tables differ", ours.min(theirs)),
            (Some((ours, _)), None) => bail!("{kind} {ours} is in the journal and not in the tables"),
            (None, Some((theirs, _))) => bail!("{kind} {theirs} is in the tables and not in the journal"),
        }
    }
}

fn same(what: &str, journal: u64, tables: u64) -> anyhow::Result<()> {
    ensure!(journal == tables, "{what}: {journal} by the journal, {tables} found");
    Ok(())
}

/// Runs what panics on contradictions.
fn caught<T>(run: impl FnOnce() -> T) -> anyhow::Result<T> {
    catch_unwind(AssertUnwindSafe(run)).map_err(|panic| {
        let text = panic.downcast_ref::<String>().map(String::as_str);
        let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
        anyhow!("{}", text.unwrap_or("it cannot be applied"))
    })
}
