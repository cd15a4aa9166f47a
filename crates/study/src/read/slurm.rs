//! How Slurm writes amounts, durations, times and states (seen in 22.05; older forms of `ReqMem` from its manual
//! pages).

use std::str::FromStr;

use jiff::tz::TimeZone;

use super::time::{local, utc_ms};

/// What trackable resources say: `billing=8,cpu=8,gres/gpu:h100=2,mem=2000M,node=1`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Tres {
    /// Processor cores (hardware threads where the site counts those).
    pub cores: u32,
    /// Memory, if said.
    pub memory_bytes: Option<u64>,
    /// Nodes.
    pub nodes: u32,
    /// GPUs of all types.
    pub devices: u32,
    /// The type of most of them; of several as frequent the first in the alphabet; empty where none is said.
    pub part: String,
}

impl Tres {
    /// Reads the list; what it does not know, such as `billing`, licences or other generic resources, is passed over.
    pub fn read(found: &str) -> Option<Tres> {
        let mut tres = Tres::default();
        let (mut untyped, mut typed, mut most) = (0_u32, 0_u32, 0_u32);
        for item in found.split(',').filter(|item| !item.is_empty()) {
            let (name, value) = item.split_once('=')?;
            match name.split_once("gres/gpu:") {
                Some(("", part)) => {
                    let count: u32 = value.parse().ok()?;
                    typed = typed.checked_add(count)?;
                    if count > most || (count == most && count > 0 && part < tres.part.as_str()) {
                        (most, tres.part) = (count, part.to_owned());
                    }
                }
                _ => match name {
                    "cpu" => tres.cores = value.parse().ok()?,
                    "node" => tres.nodes = value.parse().ok()?,
                    "mem" => tres.memory_bytes = Some(memory_bytes(value)?),
                    "gres/gpu" => untyped = value.parse().ok()?,
                    _ => {}
                },
            }
        }
        // Sites that track types say the sum as well: it is not added to them.
        tres.devices = untyped.max(typed);
        Some(tres)
    }
}

/// Bytes of `4000M`, `1.50G` or `2000` (MiB without a unit, as everywhere in Slurm).
pub fn memory_bytes(found: &str) -> Option<u64> {
    let digits = found.trim_end_matches(|letter: char| letter.is_ascii_alphabetic());
    let unit = match &found[digits.len()..] {
        "K" => 1 << 10,
        "" | "M" => 1 << 20,
        "G" => 1 << 30,
        "T" => 1_u64 << 40,
        "P" => 1 << 50,
        _ => return None,
    };
    super::table::scaled_up(digits, unit as f64)
}

/// Bytes of `ReqMem` for a whole job: `4000M`, or before 21.08 for each node (`4Gn`) or core (`4Gc`). `Some(None)` is
/// "all that the nodes have" (`0`) or not known (empty or `?`).
pub fn required_memory_bytes(found: &str, nodes: u32, cores: u32) -> Option<Option<u64>> {
    if found.is_empty() || found == "?" {
        return Some(None);
    }
    let (amount, times) = match found.strip_suffix('n') {
        Some(each) => (each, nodes),
        None => found.strip_suffix('c').map_or((found, 1), |each| (each, cores)),
    };
    let bytes = memory_bytes(amount)?.checked_mul(u64::from(times))?;
    Some((bytes > 0).then_some(bytes))
}

/// Milliseconds of `[days-]hours:minutes:seconds[.fraction]`, or `minutes:seconds`; a fraction is cut off.
pub fn duration_ms(found: &str) -> Option<u64> {
    let (days, rest) = found.split_once('-').unwrap_or(("0", found));
    let (clock, fraction) = rest.split_once('.').unwrap_or((rest, "0"));
    let parts: Vec<u64> = clock.split(':').map(digits).collect::<Option<_>>()?;
    let seconds = match parts[..] {
        [hours, minutes, seconds] if minutes < 60 && seconds < 60 => hours.checked_mul(3600)? + minutes * 60 + seconds,
        [minutes, seconds] if seconds < 60 && days == "0" => minutes.checked_mul(60)? + seconds,
        _ => return None,
    };
    digits(fraction)?;
    digits(days)?.checked_mul(86_400)?.checked_add(seconds)?.checked_mul(1000)
}

/// A time limit: `Some(None)` when there is none of the job's own (`UNLIMITED`, `Partition_Limit`, empty). `raw` is the
/// form of `TimelimitRaw`, whole minutes.
pub fn limit_ms(found: &str, raw: bool) -> Option<Option<u64>> {
    match found {
        "" | "UNLIMITED" | "Partition_Limit" => Some(None),
        _ if raw => Some(Some(digits(found)?.checked_mul(60_000)?)),
        _ => duration_ms(found).map(Some),
    }
}

/// A time, or `Ok(None)` for one that did not come (`Unknown`, `None`, `N/A`, empty).
///
/// # Errors
///
/// [`NoTime::Zone`] for a local time without a zone to read it in, [`NoTime::Form`] for what is no time.
pub fn at_ms(found: &str, zone: Option<&TimeZone>) -> Result<Option<i64>, NoTime> {
    if matches!(found, "" | "Unknown" | "None" | "N/A") {
        return Ok(None);
    }
    // With SLURM_TIME_FORMAT=%s these are seconds since 1970, in no zone.
    if let Some(seconds) = digits(found) {
        let time = i64::try_from(seconds).ok().and_then(|seconds| jiff::Timestamp::from_second(seconds).ok());
        return time.map(|time| Some(time.as_millisecond())).ok_or(NoTime::Form);
    }
    let time = local(found, "%Y-%m-%dT%H:%M:%S").ok_or(NoTime::Form)?;
    utc_ms(time, zone.ok_or(NoTime::Zone)?).map(Some).ok_or(NoTime::Form)
}

/// Why a text gave no time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoTime {
    /// It is none.
    Form,
    /// It is local, and nobody said where.
    Zone,
}

/// What became of a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum State {
    /// It waits.
    Pending,
    /// It runs, or did so when the dump was made.
    Running,
    /// It ended well.
    Completed,
    /// It ended otherwise: failed, out of time or memory, its node failed, preempted.
    Failed,
    /// Somebody ended it, before or after it started.
    Cancelled,
}

impl FromStr for State {
    type Err = ();
    fn from_str(found: &str) -> Result<Self, ()> {
        // `CANCELLED by 1000` names who did it.
        Ok(match found.split_whitespace().next().unwrap_or("") {
            "PENDING" | "REQUEUED" | "REQUEUE_HOLD" | "REQUEUE_FED" | "SPECIAL_EXIT" | "RESV_DEL_HOLD" => {
                State::Pending
            }
            "RUNNING" | "COMPLETING" | "CONFIGURING" | "SUSPENDED" | "STOPPED" | "STAGE_OUT" | "RESIZING"
            | "SIGNALING" => State::Running,
            "COMPLETED" => State::Completed,
            "FAILED" | "TIMEOUT" | "OUT_OF_MEMORY" | "NODE_FAIL" | "BOOT_FAIL" | "LAUNCH_FAILED" | "RECONFIG_FAIL"
            | "DEADLINE" | "PREEMPTED" => State::Failed,
            "CANCELLED" | "REVOKED" => State::Cancelled,
            _ => return Err(()),
        })
    }
}

fn digits(found: &str) -> Option<u64> {
    found.bytes().all(|byte| byte.is_ascii_digit()).then(|| found.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    const GIB: u64 = 1 << 30;

    #[test]
    fn resources_are_read() {
        fn check(found: &str, expected: Option<(u32, Option<u64>, u32, u32, &str)>) {
            let tres = Tres::read(found);
            let row = tres.as_ref().map(|tres| (tres.cores, tres.memory_bytes, tres.nodes, tres.devices, &*tres.part));
            assert_eq!(row, expected, "{found}");
        }
        check("", Some((0, None, 0, 0, "")));
        check("billing=8,cpu=8,mem=2G,node=2", Some((8, Some(2 * GIB), 2, 0, "")));
        check("cpu=4,gres/gpu=4,node=2", Some((4, None, 2, 4, "")));
        check("cpu=4,gres/gpu:h100=4,gres/gpu=4", Some((4, None, 0, 4, "h100")));
        check("gres/gpu:b=1,gres/gpu:a=1,gres/gpumem=80G,license/x=1", Some((0, None, 0, 2, "a")));
        check("gres/gpu:a=1,gres/gpu:b=3", Some((0, None, 0, 4, "b")));
        check("cpu", None);
        check("cpu=x", None);
        check("cpu=-1", None);
        check("mem=2Q", None);
    }

    #[test]
    fn memory_is_for_the_whole_job() {
        fn check(found: &str, expected: Option<Option<u64>>) {
            assert_eq!(required_memory_bytes(found, 2, 8), expected, "{found}");
        }
        check("1G", Some(Some(GIB)));
        check("4Gn", Some(Some(8 * GIB)));
        check("4Gc", Some(Some(32 * GIB)));
        check("1.50G", Some(Some(GIB + GIB / 2)));
        check("1024", Some(Some(GIB)));
        check("1T", Some(Some(1024 * GIB)));
        check("512K", Some(Some(512 * 1024)));
        check("1P", Some(Some(GIB << 20)));
        check("0n", Some(None));
        check("?", Some(None));
        check("", Some(None));
        check("G", None);
        check("9999999999P", None);
    }

    #[test]
    fn durations_and_limits_are_milliseconds() {
        for (found, expected) in [
            ("00:02:30", Some(150_000)),
            ("1-00:00:00", Some(86_400_000)),
            ("7-23:59:59", Some(691_199_000)),
            ("02:30", Some(150_000)),
            ("00:00:00.500", Some(0)),
            ("100:00:00", Some(360_000_000)),
            ("00:60:00", None),
            ("x", None),
            ("", None),
            ("-1:00:00", None),
            ("99999999999999999999-00:00:00", None),
        ] {
            assert_eq!(duration_ms(found), expected, "{found}");
        }
        assert_eq!(limit_ms("UNLIMITED", true), Some(None));
        assert_eq!(limit_ms("Partition_Limit", false), Some(None));
        assert_eq!(limit_ms("60", true), Some(Some(3_600_000)));
        assert_eq!(limit_ms("1-00:00:00", false), Some(Some(86_400_000)));
        assert_eq!(limit_ms("1:x", false), None);
    }

    #[test]
    fn times_need_a_zone_or_are_seconds() {
        let shanghai = super::super::time::zone("Asia/Shanghai");
        for (found, zone, expected) in [
            ("1795343552", None, Ok(Some(1_795_343_552_000))),
            ("2026-11-22T10:32:32", Some(&TimeZone::UTC), Ok(Some(1_795_343_552_000))),
            ("2026-11-22T18:32:32", shanghai.as_ref(), Ok(Some(1_795_343_552_000))),
            ("2026-11-22T10:32:32", None, Err(NoTime::Zone)),
            ("Unknown", None, Ok(None)),
            ("None", None, Ok(None)),
            ("yesterday", None, Err(NoTime::Form)),
            ("99999999999999", None, Err(NoTime::Form)),
        ] {
            assert_eq!(at_ms(found, zone), expected, "{found}");
        }
    }

    #[test]
    fn states_are_known_words() {
        for (found, expected) in [
            ("COMPLETED", Ok(State::Completed)),
            ("CANCELLED by 1000", Ok(State::Cancelled)),
            ("OUT_OF_MEMORY", Ok(State::Failed)),
            ("PENDING", Ok(State::Pending)),
            ("RUNNING", Ok(State::Running)),
            ("completed", Err(())),
            ("", Err(())),
        ] {
            assert_eq!(found.parse(), expected, "{found}");
        }
    }
}
