//! What happened at a Slurm site, as its accounting tells it: `sacct --parsable2`.
//!
//! The command to run at the site is [`COMMAND`]. Its first line names the columns; their order does not matter,
//! further columns are passed over, and most may be missing. Free text (`JobName`, `Comment`) must not be asked for:
//! `sacct` does not escape the bar in it.

use jiff::tz::TimeZone;

use super::{
    ReadError, Text,
    slurm::{self, NoTime, State, Tres},
    table::{Layout, Row, Table},
};

/// What to run at the site, with other days. Times then are seconds since 1970 and need no zone.
pub const COMMAND: &str = "SLURM_TIME_FORMAT=%s sacct --allusers --allocations --parsable2 --starttime=2026-01-01 \
    --endtime=2026-02-01 --format=Cluster,JobID,JobIDRaw,User,Account,Partition,QOS,State,Submit,Eligible,Start,End,\
    ElapsedRaw,TimelimitRaw,NNodes,NCPUS,ReqMem,ReqTRES,AllocTRES,Priority,ExitCode,NodeList";

/// Columns that must be there.
const NEEDED: [&str; 6] = ["User", "Partition", "State", "Submit", "Start", "End"];
/// Columns that are read where they are there.
const WELCOME: [&str; 19] = [
    "Account",
    "Cluster",
    "JobID",
    "JobIDRaw",
    "QOS",
    "Eligible",
    "Elapsed",
    "ElapsedRaw",
    "Timelimit",
    "TimelimitRaw",
    "NNodes",
    "AllocNodes",
    "NCPUS",
    "AllocCPUS",
    "ReqCPUS",
    "ReqMem",
    "ReqTRES",
    "AllocTRES",
    "NodeList",
];

/// Places of the columns, `NEEDED` then `WELCOME`.
mod column {
    pub(super) const USER: usize = 0;
    pub(super) const PARTITION: usize = 1;
    pub(super) const STATE: usize = 2;
    pub(super) const SUBMIT: usize = 3;
    pub(super) const START: usize = 4;
    pub(super) const END: usize = 5;
    pub(super) const ACCOUNT: usize = 6;
    pub(super) const CLUSTER: usize = 7;
    pub(super) const JOB_ID: usize = 8;
    pub(super) const JOB_ID_RAW: usize = 9;
    pub(super) const QOS: usize = 10;
    pub(super) const ELIGIBLE: usize = 11;
    pub(super) const ELAPSED: usize = 12;
    pub(super) const ELAPSED_RAW: usize = 13;
    pub(super) const TIMELIMIT: usize = 14;
    pub(super) const TIMELIMIT_RAW: usize = 15;
    pub(super) const N_NODES: usize = 16;
    pub(super) const ALLOC_NODES: usize = 17;
    pub(super) const N_CPUS: usize = 18;
    pub(super) const ALLOC_CPUS: usize = 19;
    pub(super) const REQ_CPUS: usize = 20;
    pub(super) const REQ_MEM: usize = 21;
    pub(super) const REQ_TRES: usize = 22;
    pub(super) const ALLOC_TRES: usize = 23;
    pub(super) const NODE_LIST: usize = 24;
}

/// One job that ran, with what it held.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SacctJob {
    /// Its number; an array's element as `123_4`.
    pub id: String,
    /// The cluster, or empty.
    pub cluster: String,
    /// Who.
    pub user: String,
    /// For whom.
    pub account: String,
    /// Where in the cluster.
    pub partition: String,
    /// The quality of service, or empty.
    pub qos: String,
    /// What became of it.
    pub state: State,
    /// When it was submitted, in milliseconds since 1970 UTC.
    pub submit_at_ms: i64,
    /// When it could first have started: after what it depends on, its begin time, its array's limit. Not before it was
    /// submitted; equal to that where the dump does not say.
    pub eligible_at_ms: i64,
    /// When it started.
    pub start_at_ms: i64,
    /// How long it ran; of one that still ran, until the dump was made.
    pub run_ms: u64,
    /// Its time limit, if it had one of its own.
    pub walltime_ms: Option<u64>,
    /// Nodes it held, at least 1.
    pub nodes: u32,
    /// Cores it held, at least 1.
    pub cores: u32,
    /// Memory it held, if said.
    pub memory_bytes: Option<u64>,
    /// GPUs it held.
    pub devices: u32,
    /// Their type, or empty.
    pub part: String,
    /// The names of its nodes in Slurm's short form, or empty.
    pub node_list: String,
}

/// A dump: jobs in order of eligibility, then as in the file, and what was left out.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SacctDump {
    /// Jobs that ran.
    pub jobs: Vec<SacctJob>,
    /// What was left out, and what was taken with a doubt.
    pub counts: SacctCounts,
}

/// How many lines of a dump were no jobs that ran.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize)]
pub struct SacctCounts {
    /// Lines below the header.
    pub lines: u64,
    /// Steps of jobs (`123.batch`, `123.extern`, `123.0`): part of their job, left out.
    pub steps: u64,
    /// Jobs that still waited: nobody knows how long they will run, left out.
    pub pending: u64,
    /// Jobs that were ended before they started, left out.
    pub never_started: u64,
    /// Jobs that ran on no core by this dump, left out.
    pub without_cores: u64,
    /// Jobs that still ran: taken, with the time they had run.
    pub still_running: u64,
}

/// Reads a dump. Local times are read in `zone`; without one they are refused, for a guess would shift the month.
pub fn read_sacct(text: &Text, zone: Option<&TimeZone>) -> Result<SacctDump, ReadError> {
    let layout = Layout { separator: b'|', quoted: false, needed: &NEEDED, welcome: &WELCOME, others: true };
    let mut table = Table::open(text, layout)?;
    for either in [&[column::JOB_ID_RAW, column::JOB_ID][..], &[column::N_CPUS, column::ALLOC_CPUS, column::ALLOC_TRES]]
    {
        if !either.iter().any(|&column| table.has(column)) {
            let names: Vec<_> = either.iter().map(|&column| WELCOME[column - NEEDED.len()]).collect();
            return Err(text.form(
                1,
                format!("no column {}", names.join(" or ")),
                format!("make the dump with `{COMMAND}`"),
            ));
        }
    }
    let mut dump = SacctDump::default();
    while let Some(row) = table.row()? {
        dump.counts.lines += 1;
        job(text, &row, zone, &mut dump)?;
    }
    dump.jobs.sort_by_key(|job| job.eligible_at_ms);
    Ok(dump)
}

fn job(text: &Text, row: &Row<'_>, zone: Option<&TimeZone>, dump: &mut SacctDump) -> Result<(), ReadError> {
    let id = [column::JOB_ID, column::JOB_ID_RAW].map(|column| row.text(column)).into_iter().find(|id| !id.is_empty());
    let Some(id) = id else {
        return Err(text.field(row.line, "JobID", "", "the number of a job"));
    };
    if id.contains('.') || row.text(column::JOB_ID_RAW).contains('.') {
        dump.counts.steps += 1;
        return Ok(());
    }
    let state: State = row.parse(column::STATE, "a state of Slurm such as COMPLETED or CANCELLED")?;
    let time = |column| at_ms(text, row, column, zone);
    let submit_at_ms =
        time(column::SUBMIT)?.ok_or_else(|| text.field(row.line, "Submit", row.text(column::SUBMIT), TIME))?;
    let end_at_ms = time(column::END)?;
    let start_at_ms = match (state, time(column::START)?) {
        (State::Pending, _) => {
            dump.counts.pending += 1;
            return Ok(());
        }
        // Older versions give the end as the start of what was cancelled while it waited.
        (State::Cancelled, Some(_)) if row.text(column::NODE_LIST) == "None assigned" => None,
        (_, start) => start,
    };
    let Some(start_at_ms) = start_at_ms else {
        dump.counts.never_started += 1;
        return Ok(());
    };
    let held = Held::read(row)?;
    if held.cores == 0 {
        dump.counts.without_cores += 1;
        return Ok(());
    }
    let run_ms = run_ms(text, row, start_at_ms, end_at_ms)?;
    if state == State::Running || end_at_ms.is_none() {
        dump.counts.still_running += 1;
    }
    let eligible_at_ms =
        time(column::ELIGIBLE)?.unwrap_or(submit_at_ms).clamp(submit_at_ms, start_at_ms.max(submit_at_ms));
    let owned = |column| row.text(column).to_owned();
    dump.jobs.push(SacctJob {
        id: id.to_owned(),
        cluster: owned(column::CLUSTER),
        user: owned(column::USER),
        account: owned(column::ACCOUNT),
        partition: owned(column::PARTITION),
        qos: owned(column::QOS),
        state,
        submit_at_ms,
        eligible_at_ms,
        start_at_ms,
        run_ms,
        walltime_ms: walltime_ms(row)?,
        nodes: held.nodes.max(1),
        cores: held.cores,
        memory_bytes: held.memory_bytes,
        devices: held.devices,
        part: held.part,
        node_list: Some(owned(column::NODE_LIST)).filter(|list| list != "None assigned").unwrap_or_default(),
    });
    Ok(())
}

/// What a time must look like.
const TIME: &str = "a time such as 2026-01-31T08:00:00, or seconds since 1970";

fn at_ms(text: &Text, row: &Row<'_>, column: usize, zone: Option<&TimeZone>) -> Result<Option<i64>, ReadError> {
    match slurm::at_ms(row.text(column), zone) {
        Ok(at_ms) => Ok(at_ms),
        Err(NoTime::Form) => row.read(column, TIME, |_| None),
        Err(NoTime::Zone) => Err(text.form(
            row.line,
            format!("`{}` is a local time, and the file does not say of which zone", row.text(column)),
            "say it, such as `--zone Asia/Shanghai`, or make the dump with SLURM_TIME_FORMAT=%s",
        )),
    }
}

fn run_ms(text: &Text, row: &Row<'_>, start_at_ms: i64, end_at_ms: Option<i64>) -> Result<u64, ReadError> {
    // Elapsed leaves out the time that a job was suspended; the clock does not.
    if row.has(column::ELAPSED_RAW) {
        return Ok(row.parse::<u64>(column::ELAPSED_RAW, "whole seconds")?.saturating_mul(1000));
    }
    if row.has(column::ELAPSED) {
        return row.read(column::ELAPSED, "a duration such as 1-02:03:04", slurm::duration_ms);
    }
    let Some(end_at_ms) = end_at_ms else {
        let hint = "add the column ElapsedRaw to the dump, or leave out what still runs";
        return Err(text.form(row.line, "a job that still runs, without the time it has run", hint));
    };
    u64::try_from(end_at_ms - start_at_ms)
        .map_err(|_| text.field(row.line, "End", row.text(column::END), "a time not before the start"))
}

fn walltime_ms(row: &Row<'_>) -> Result<Option<u64>, ReadError> {
    if row.has(column::TIMELIMIT_RAW) {
        return row.read(column::TIMELIMIT_RAW, "whole minutes, UNLIMITED or Partition_Limit", |found| {
            slurm::limit_ms(found, true)
        });
    }
    row.read(column::TIMELIMIT, "a duration such as 1-02:03:04, UNLIMITED or Partition_Limit", |found| {
        slurm::limit_ms(found, false)
    })
}

/// What a job held: what was allocated, and where that is not said, what was asked.
struct Held {
    nodes: u32,
    cores: u32,
    memory_bytes: Option<u64>,
    devices: u32,
    part: String,
}

impl Held {
    fn read(row: &Row<'_>) -> Result<Held, ReadError> {
        let tres = |column| row.read(column, "resources such as cpu=8,mem=2000M,node=1", Tres::read);
        let (allocated, asked) = (tres(column::ALLOC_TRES)?, tres(column::REQ_TRES)?);
        let count = |first: u32, columns: &[usize]| -> Result<u32, ReadError> {
            let mut found = first;
            for &column in columns.iter().filter(|&&column| !row.text(column).is_empty()) {
                let value = row.parse(column, "a whole number")?;
                found = if found == 0 { value } else { found };
            }
            Ok(found)
        };
        let cores = count(allocated.cores, &[column::ALLOC_CPUS, column::N_CPUS, column::REQ_CPUS])?;
        let nodes = count(allocated.nodes, &[column::ALLOC_NODES, column::N_NODES])?;
        let required = row.read(column::REQ_MEM, "an amount of memory such as 4000M, 4Gn or 4Gc", |found| {
            slurm::required_memory_bytes(found, nodes.max(1), cores)
        })?;
        let gpus = if allocated.devices > 0 { allocated.clone() } else { asked.clone() };
        // A sum without types takes the type that was asked.
        let part = if gpus.part.is_empty() { asked.part } else { gpus.part };
        let memory_bytes = allocated.memory_bytes.or(asked.memory_bytes).or(required);
        Ok(Held { nodes, cores, memory_bytes, devices: gpus.devices, part })
    }
}

#[cfg(test)]
#[path = "sacct_tests.rs"]
mod tests;
