//! How fast the books are kept: in memory alone, with the chain, and durable by the way that a server takes.

use std::{path::Path, sync::Arc, time::Instant};

use huisuan_control::{
    State, execute,
    ledger::{Chain, Currency, Ledger, Transfer},
};
use huisuan_model::{
    AttemptId, CentreId, Class, Command, Entry, Gflop, JobId, Money, Tenant, TenantId, TimeMs, centre::CURRENCY,
    command::ENTRY_VERSION,
};
use huisuan_store::{DataDirectory, Store};
use rustix::time::{ClockId, clock_gettime};
use serde::Serialize;

use super::chain::line_of;
use crate::{commit, identity};

/// Accounts that take part: as many as a city has.
const TENANTS: u64 = 1_000;
const CENTRES: u64 = 100;
/// Commands of one transaction: what the writer takes at once at most.
const BATCH: u64 = 256;

/// Postings a second of one thread.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct LedgerRate {
    /// Postings made in memory, without and with the chain.
    pub memory_postings: u64,
    /// By processor time, without the chain.
    pub memory_postings_per_cpu_s: f64,
    /// By processor time, with the chain.
    pub chained_postings_per_cpu_s: f64,
    /// Postings committed.
    pub durable_postings: u64,
    /// By processor time: journal, transfers with their chain, balances.
    pub durable_postings_per_cpu_s: f64,
    /// By the clock on the wall, other processes and waiting for the disk included.
    pub durable_postings_per_s: f64,
}

/// Measures: `attempts` are held and settled in memory, `commands` that each move money are made durable in `data`,
/// an empty directory on the disk that is measured.
///
/// # Errors
/// When the directory cannot be used.
pub fn ledger_rate(data: &Path, attempts: u64, commands: u64) -> anyhow::Result<LedgerRate> {
    let (memory_postings, memory_s) = in_memory(attempts, None);
    let (_, chained_s) = in_memory(attempts, Some(Chain::default()));
    let (durable_postings, cpu_s, wall_s) = durable(data, commands)?;
    let per = |postings: u64, seconds: f64| postings as f64 / seconds;
    Ok(LedgerRate {
        memory_postings,
        memory_postings_per_cpu_s: per(memory_postings, memory_s),
        chained_postings_per_cpu_s: per(memory_postings, chained_s),
        durable_postings,
        durable_postings_per_cpu_s: per(durable_postings, cpu_s),
        durable_postings_per_s: per(durable_postings, wall_s),
    })
}

fn cpu_s() -> f64 {
    let clock = clock_gettime(ClockId::ThreadCPUTime);
    clock.tv_sec as f64 + clock.tv_nsec as f64 / 1e9
}

fn tenant(number: u64) -> TenantId {
    TenantId::new(&format!("tenant-{number}")).expect("a name")
}

/// Holds an attempt and settles it, again and again; gives postings and seconds.
fn in_memory(attempts: u64, mut chain: Option<Chain>) -> (u64, f64) {
    let cny = Currency::new(CURRENCY).expect("a currency");
    let tenants: Vec<TenantId> = (0..TENANTS).map(tenant).collect();
    let centre = |number: u64| CentreId::new(&format!("centre-{number}")).expect("a name");
    let centres: Vec<CentreId> = (0..CENTRES).map(centre).collect();
    let mut ledger = Ledger::new();
    for tenant in &tenants {
        ledger.fund(tenant, cny, Money(i64::MAX / 10_000)).expect("it fits");
    }
    let (began, mut postings) = (cpu_s(), 0);
    // So many attempts run at a time; each that ends makes room for the next.
    let mut running: std::collections::VecDeque<(AttemptId, usize)> = std::collections::VecDeque::new();
    for number in 0..attempts + TENANTS {
        if number < attempts {
            let attempt = AttemptId { job: JobId(number / 16 + 1), task: (number % 16) as u32, attempt: 1 };
            // A step that is prime to the number of tenants visits all of them in no simple order.
            let tenant = &tenants[(number * 389 % TENANTS) as usize];
            let made = ledger.hold(tenant, cny, [attempt], Money(1_000)).expect("it is affordable");
            running.push_back((attempt, (number * 37 % CENTRES) as usize));
            postings += booked(&made, number, chain.as_mut());
        }
        if number >= TENANTS
            && let Some((attempt, at)) = running.pop_front()
        {
            let made = ledger.settle(attempt, &centres[at], Money(700), Class::Hpc, Gflop(9)).expect("it is held");
            postings += booked(&made, number, chain.as_mut());
        }
    }
    let seconds = cpu_s() - began;
    ledger.audit().expect("the books balance");
    (postings, seconds)
}

fn booked(transfers: &[Transfer], seq: u64, chain: Option<&mut Chain>) -> u64 {
    if let Some(chain) = chain {
        for transfer in transfers {
            let row = commit::transfer_row(seq, transfer);
            chain.append(&line_of(&row, TimeMs(1_700_000_000_000)));
        }
    }
    2 * transfers.len() as u64
}

/// Commands that each move money through state, chain and store as the writer takes them, in full batches; gives
/// postings, seconds of processor time and seconds.
fn durable(data: &Path, commands: u64) -> anyhow::Result<(u64, f64, f64)> {
    let mut store = Store::open(DataDirectory::open(data)?)?;
    let (mut state, mut chain) = (State::new(), Chain::default());
    let take = |state: &mut State, tenant: TenantId, command: Command| -> anyhow::Result<Arc<Entry>> {
        let (at, mut origin) = (TimeMs(1_700_000_000_000), identity::server());
        origin.tenant = tenant;
        let events = execute(state, &origin, &command, at)?;
        Ok(Arc::new(Entry { seq: state.version(), at, version: ENTRY_VERSION, origin, command, events }))
    };
    let mut entries = Vec::new();
    for number in 0..TENANTS {
        entries.push(take(&mut state, tenant(number), Command::SetTenant(Tenant::new(tenant(number), 1)))?);
    }
    store.commit([&commit::prepare(&mut state, &entries, &mut chain)])?;
    let (cpu, began) = (cpu_s(), Instant::now());
    for first in (0..commands).step_by(BATCH as usize) {
        entries.clear();
        for number in first..commands.min(first + BATCH) {
            let of = tenant(number * 389 % TENANTS);
            entries.push(take(&mut state, of, Command::Fund { amount: Money(1) })?);
        }
        store.commit([&commit::prepare(&mut state, &entries, &mut chain)])?;
    }
    Ok((2 * commands, cpu_s() - cpu, began.elapsed().as_secs_f64()))
}
