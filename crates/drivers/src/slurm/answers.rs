//! What Slurm's programs print. The columns are asked for by name, so that versions from 20.11 to 24.x print the same;
//! what still cannot be read is an error, and nothing is decided on it.

mod site;

use std::collections::{BTreeMap, BTreeSet};

use huisuan_model::{Bytes, DurationMs, RangeSet, TimeMs, Usage};

use super::{config::is_word, job::Number};
pub(super) use site::{
    ASSOCIATION_FORMAT, Association, QOS_FORMAT, Reservation, Settings, read_associations, read_qos, read_reservations,
    read_settings,
};

/// What `squeue` is asked for: number, index, state, nodes, when it began, number of its user, reason, name. The name
/// comes last, for it may hold anything.
pub(super) const QUEUE_FORMAT: &str = "%F|%K|%T|%N|%S|%U|%r|%j";

/// What `sacct` is asked for.
pub(super) const ACCOUNT_FORMAT: &str =
    "JobID,State,ExitCode,Start,ElapsedRaw,TotalCPU,MaxRSS,ConsumedEnergyRaw,AllocTRES,NodeList,JobName";

/// What `sinfo` is asked for: node, processors, MiB, accelerators, state, longest job, features as they are now, reason.
/// The reason comes last.
pub(super) const NODE_FORMAT: &str = "%N|%c|%m|%G|%T|%l|%b|%E";

/// How a job stands in Slurm.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum JobState {
    /// Waits; true when it is held by its own user, as we submit it.
    Pending { held: bool },
    /// Runs, or is being started, stopped or cleaned up.
    Active,
    /// Over.
    Over(Ending),
}

/// How Slurm says that a job ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ending {
    Completed,
    Failed,
    Cancelled,
    Timeout,
    OutOfMemory,
    /// A node failed, or could not be booted.
    NodeFailed,
    Preempted,
}

impl JobState {
    /// Reads a state in words, such as `RUNNING` or `CANCELLED by 1000`.
    fn read(text: &str, reason: &str) -> Option<JobState> {
        let word = text.split_ascii_whitespace().next()?.trim_end_matches('+');
        Some(match word {
            "PENDING" => JobState::Pending { held: reason == "JobHeldUser" },
            "REQUEUED" | "REQUEUE_HOLD" | "REQUEUE_FED" | "SPECIAL_EXIT" | "RESV_DEL_HOLD" => {
                JobState::Pending { held: false }
            }
            "RUNNING" | "COMPLETING" | "CONFIGURING" | "SUSPENDED" | "STOPPED" | "SIGNALING" | "STAGE_OUT"
            | "RESIZING" | "POWER_UP_NODE" | "UPDATE_DB" => JobState::Active,
            "COMPLETED" => JobState::Over(Ending::Completed),
            "FAILED" | "LAUNCH_FAILED" | "RECONFIG_FAIL" => JobState::Over(Ending::Failed),
            "CANCELLED" | "REVOKED" => JobState::Over(Ending::Cancelled),
            "TIMEOUT" | "DEADLINE" => JobState::Over(Ending::Timeout),
            "OUT_OF_MEMORY" => JobState::Over(Ending::OutOfMemory),
            "NODE_FAIL" | "BOOT_FAIL" => JobState::Over(Ending::NodeFailed),
            "PREEMPTED" => JobState::Over(Ending::Preempted),
            _ => return None,
        })
    }
}

/// One job of the queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct QueuedJob {
    pub(super) state: JobState,
    /// It runs and is neither being prepared nor cleaned up after.
    pub(super) runs: bool,
    /// Slurm gave it nodes, now or before it ended.
    pub(super) placed: bool,
    /// When it began; for one that waits, when it may.
    pub(super) began: Option<TimeMs>,
    /// Whose it is.
    pub(super) uid: u32,
    /// Why it waits, as Slurm says it.
    pub(super) reason: String,
    pub(super) name: String,
}

/// Reads what `squeue --array` printed, each job after a word that no name can hold. The error names the line.
pub(super) fn read_queue(text: &str, word: &str) -> Result<BTreeMap<Number, QueuedJob>, String> {
    let mut jobs = BTreeMap::new();
    let start = format!("{word}|");
    let mut lines = text.split(&start).map(|line| line.strip_suffix('\n').unwrap_or(line));
    if let Some(before) = lines.next().filter(|line| !line.trim().is_empty()) {
        return Err(not_understood(before));
    }
    for line in lines {
        let job = || {
            let parts: Vec<&str> = line.splitn(8, '|').collect();
            let [id, index, state, nodes, began, uid, reason, name] = parts.as_slice() else { return None };
            let index = if *index == "N/A" { None } else { Some(index.parse().ok()?) };
            let (runs, state, placed) = (*state == "RUNNING", JobState::read(state, reason)?, is_node(nodes));
            let (began, uid) = (read_time(began), uid.parse().ok()?);
            let (reason, name) = ((*reason).to_owned(), (*name).to_owned());
            Some(((id.parse().ok()?, index), QueuedJob { state, runs, placed, began, uid, reason, name }))
        };
        let (id, job) = job().ok_or_else(|| not_understood(line))?;
        jobs.insert(id, job);
    }
    Ok(jobs)
}

/// A job as accounting has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct AccountedJob {
    pub(super) name: String,
    pub(super) state: JobState,
    pub(super) placed: bool,
    pub(super) began: Option<TimeMs>,
    pub(super) exit_code: i32,
    pub(super) signal: i32,
    pub(super) usage: Usage,
    /// Accelerators that it was given, of any type.
    pub(super) devices: u64,
}

/// Reads what `sacct --parsable2` printed, with a word between the fields that no name can hold: a line for each job and
/// each of its steps. A number may stand for several jobs, because Slurm gives numbers again.
pub(super) fn read_accounts(text: &str, word: &str) -> Result<Vec<(Number, AccountedJob)>, String> {
    let mut jobs: Vec<(Number, AccountedJob)> = Vec::new();
    let mut lines = text.lines().filter(|line| !line.is_empty()).peekable();
    if let Some(first) = lines.peek().filter(|line| !line.contains(word)) {
        return Err(not_understood(first));
    }
    // Lines without the word are the rest of a name.
    for line in lines.filter(|line| line.contains(word)) {
        let parts: Vec<&str> = line.splitn(11, word).collect();
        let [id, state, exit, began, elapsed, cpu, memory, energy, given, nodes, name] = parts.as_slice() else {
            return Err(not_understood(line));
        };
        let memory = read_memory(memory).ok_or_else(|| not_understood(line))?;
        let joules = read_energy(energy).ok_or_else(|| not_understood(line))?;
        if let Some((job, _)) = id.split_once('.') {
            // Only steps have a memory peak; those of a job follow its line. Steps that run beside each other count the
            // same node's energy, each for itself.
            if let Some((last, record)) = jobs.last_mut()
                && read_numbers(job).is_some_and(|numbers| numbers.contains(last))
            {
                record.usage.memory_peak = record.usage.memory_peak.max(memory);
                record.usage.joules = record.usage.joules.max(joules);
            }
            continue;
        }
        let job = || {
            let (exit_code, signal) = exit.split_once(':')?;
            let usage = Usage {
                wall: DurationMs(elapsed.parse::<u64>().ok()?.checked_mul(1000)?),
                cpu: read_cpu(cpu)?,
                memory_peak: memory,
                joules,
                ..Usage::default()
            };
            // A controller that lost its state ends what accounting has of it; whom somebody cancelled says `CANCELLED
            // by`.
            let ended_by_nobody = *state == "CANCELLED";
            let state = if ended_by_nobody { JobState::Active } else { JobState::read(state, "")? };
            let (exit_code, signal) = (exit_code.parse().ok()?, signal.parse().ok()?);
            let (name, placed) = ((*name).to_owned(), is_node(nodes));
            let (began, devices) = (read_time(began), read_devices(given)?);
            let record = AccountedJob { name, state, placed, began, exit_code, signal, usage, devices };
            Some((read_numbers(id)?, record))
        };
        let (numbers, record) = job().ok_or_else(|| not_understood(line))?;
        jobs.extend(numbers.into_iter().map(|number| (number, record.clone())));
    }
    Ok(jobs)
}

/// No array of ours is larger.
const ELEMENTS_MAX: u64 = 1 << 16;

/// `70`, `70_3`, or `70_[0-3,7%2]` for what never began of an array. Of a list that was cut off (`...`) nothing is
/// said.
fn read_numbers(text: &str) -> Option<Vec<Number>> {
    let Some((array, index)) = text.split_once('_') else { return Some(vec![(text.parse().ok()?, None)]) };
    let array = array.parse().ok()?;
    let Some(list) = index.strip_prefix('[') else { return Some(vec![(array, Some(index.parse().ok()?))]) };
    if list.contains("...") {
        return Some(Vec::new());
    }
    let list = list.strip_suffix(']')?.split('%').next()?;
    let indices: RangeSet = list.parse().ok()?;
    if indices.len() > ELEMENTS_MAX {
        return Some(Vec::new());
    }
    Some(indices.iter().map(|index| (array, Some(index))).collect())
}

/// Seconds since 1970; `N/A`, `Unknown` or nothing where there is no time.
fn read_time(text: &str) -> Option<TimeMs> {
    Some(TimeMs(text.parse::<i64>().ok()?.checked_mul(1000)?))
}

fn is_node(text: &str) -> bool {
    !matches!(text.trim(), "" | "None assigned" | "(null)" | "n/a")
}

/// `[[days-]hours:]minutes:seconds[.thousandths]`
fn read_cpu(text: &str) -> Option<DurationMs> {
    if text.is_empty() {
        return Some(DurationMs::default());
    }
    let (days, rest) = text.split_once('-').unwrap_or(("0", text));
    let (whole, part) = rest.split_once('.').unwrap_or((rest, "0"));
    let mut seconds: u64 = days.parse::<u64>().ok()?.checked_mul(24)?;
    let fields: Vec<&str> = whole.split(':').collect();
    let fields: Vec<&str> = if fields.len() == 2 { [&["0"], fields.as_slice()].concat() } else { fields };
    let [hours, minutes, rest] = fields.as_slice() else { return None };
    seconds = seconds.checked_add(hours.parse().ok()?)?.checked_mul(60)?.checked_add(minutes.parse().ok()?)?;
    seconds = seconds.checked_mul(60)?.checked_add(rest.parse().ok()?)?;
    let thousandths: u64 = format!("{part:0<3}").get(..3)?.parse().ok()?;
    Some(DurationMs(seconds.checked_mul(1000)?.checked_add(thousandths)?))
}

/// `4328K`, `1.5G`, `0`, or nothing.
fn read_memory(text: &str) -> Option<Bytes> {
    if text.is_empty() {
        return Some(Bytes::ZERO);
    }
    let unit = match text.as_bytes().last()? {
        b'K' => 10,
        b'M' => 20,
        b'G' => 30,
        b'T' => 40,
        _ => 0,
    };
    let number = if unit == 0 { text } else { &text[..text.len() - 1] };
    let (whole, part) = number.split_once('.').unwrap_or((number, "0"));
    let hundredths: u64 = format!("{part:0<2}").get(..2)?.parse().ok()?;
    let hundredths = whole.parse::<u64>().ok()?.checked_mul(100)?.checked_add(hundredths)?;
    Some(Bytes(hundredths.checked_mul(1 << unit)? / 100))
}

/// Joules; nothing where no plugin counts them. A number that no meter reaches is how some versions say so.
fn read_energy(text: &str) -> Option<u64> {
    match text {
        "" => Some(0),
        text => text.parse().ok().map(|joules: u64| if joules > i64::MAX.unsigned_abs() { 0 } else { joules }),
    }
}

/// Accelerators of `billing=1,cpu=2,gres/gpu:h100=2,gres/gpu=2,mem=10M,node=1`: all of them, or else those of each type.
fn read_devices(text: &str) -> Option<u64> {
    let (mut all, mut typed) = (None, 0_u64);
    for (name, count) in text.split(',').filter_map(|part| part.split_once('=')) {
        match name.strip_prefix("gres/gpu") {
            Some("") => all = Some(count.parse().ok()?),
            Some(kind) if kind.starts_with(':') => typed = typed.checked_add(count.parse().ok()?)?,
            _ => {}
        }
    }
    Some(all.unwrap_or(typed))
}

/// A node, in one partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Node {
    pub(super) name: String,
    pub(super) cpus: u64,
    pub(super) memory: Bytes,
    /// Accelerators by type, such as `gpu:h100`, and how many.
    pub(super) devices: BTreeMap<String, u64>,
    /// As Slurm says it, such as `idle`, `drained*`.
    pub(super) state: String,
    /// The longest job that the partition takes; `None` without limit.
    pub(super) walltime_max: Option<DurationMs>,
    /// What the site says of it by a word each.
    pub(super) features: BTreeSet<String>,
    pub(super) reason: String,
}

impl Node {
    /// Whether it runs work, now or when it has ended what it runs.
    pub(super) fn usable(&self) -> bool {
        let word = self.state.trim_end_matches(|c: char| !c.is_ascii_alphanumeric());
        let bad = ["down", "drain", "fail", "unknown", "maint", "error", "inval", "future"];
        !self.state.contains('*') && !bad.iter().any(|bad| word.to_ascii_lowercase().contains(bad))
    }

    /// Whether it could be used, but for a reservation for maintenance.
    pub(super) fn maintained(&self) -> bool {
        self.state.eq_ignore_ascii_case("maint")
    }

    /// The first type of its accelerators, and how many.
    pub(super) fn device(&self) -> Option<(&str, u64)> {
        self.devices.iter().find(|(_, count)| **count > 0).map(|(name, count)| (name.as_str(), *count))
    }
}

/// Reads what `sinfo --Node` printed.
pub(super) fn read_nodes(text: &str) -> Result<Vec<Node>, String> {
    let mut nodes = Vec::new();
    for line in text.lines().filter(|line| !line.is_empty()) {
        let parts: Vec<&str> = line.splitn(8, '|').collect();
        let [name, cpus, memory, gres, state, limit, features, reason] = parts.as_slice() else {
            return Err(not_understood(line));
        };
        let node = || {
            // A `+` says that nodes of a group differ, which one line for each node rules out.
            let memory = memory.trim_end_matches('+').parse::<u64>().ok()?.checked_mul(1 << 20)?;
            Some(Node {
                name: (*name).to_owned(),
                cpus: cpus.trim_end_matches('+').parse().ok()?,
                memory: Bytes(memory),
                devices: read_gres(gres)?,
                state: (*state).to_owned(),
                walltime_max: read_limit(limit)?,
                features: read_features(features),
                reason: if *reason == "none" { String::new() } else { (*reason).to_owned() },
            })
        };
        nodes.push(node().ok_or_else(|| not_understood(line))?);
    }
    Ok(nodes)
}

/// `fast,ssd`, `(null)`.
fn read_features(text: &str) -> BTreeSet<String> {
    let names = text.split(',').filter(|name| is_word(name));
    names.map(str::to_owned).collect()
}

/// `gpu:h100:4(S:0-1),gpu:a100:2`, `gpu:4`, `(null)`.
fn read_gres(text: &str) -> Option<BTreeMap<String, u64>> {
    let mut devices = BTreeMap::new();
    if text.is_empty() || text == "(null)" || text == "N/A" {
        return Some(devices);
    }
    // Commas within parentheses, as in `(IDX:0,2)`, separate nothing.
    let mut depth = 0;
    let plain = text.chars().filter(|&c| {
        depth += i32::from(c == '(');
        let outside = depth == 0;
        depth -= i32::from(c == ')');
        outside
    });
    let plain: String = plain.collect();
    for part in plain.split(',') {
        let fields: Vec<&str> = part.split(':').collect();
        let (name, count) = match fields.as_slice() {
            [name] => ((*name).to_owned(), 1),
            [name, last] => match last.parse() {
                Ok(count) => ((*name).to_owned(), count),
                Err(_) => (format!("{name}:{last}"), 1),
            },
            // `gpu:h100:no_consume:4` is what it says: a count that jobs do not use up.
            [name, kind, .., count] => (format!("{name}:{kind}"), count.parse().ok()?),
            [] => return None,
        };
        *devices.entry(name).or_insert(0) += count;
    }
    Some(devices)
}

/// `7-00:00:00`, `1:00:00`, `30:00`, `infinite`, `n/a`.
fn read_limit(text: &str) -> Option<Option<DurationMs>> {
    match text {
        "infinite" | "n/a" | "UNLIMITED" => Some(None),
        text => read_cpu(text).map(Some),
    }
}

fn not_understood(line: &str) -> String {
    format!("printed what is not understood: `{}`", line.chars().take(200).collect::<String>())
}

#[cfg(test)]
mod tests;
