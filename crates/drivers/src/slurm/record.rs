//! What a wrapper writes down: its claim, what its task uses, how it ended. Nothing of it is believed before it is
//! whole, and a task may have written it itself: it decides on that task alone.

use huisuan_model::{Bytes, DurationMs, TimeMs};

/// The wrapper's exit code when another one claimed the attempt.
pub(super) const CLAIMED_ELSEWHERE: i32 = 113;
/// The wrapper's exit code when it cannot write into the attempt's folder.
pub(super) const FOLDER_UNUSABLE: i32 = 114;

/// Who may start an attempt, and since when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Claim {
    /// When it was made, as far as that could be written down.
    pub(super) at: Option<TimeMs>,
    /// What Slurm calls the job within itself, an element of an array too.
    pub(super) job: Option<u64>,
}

/// How a wrapper says that its attempt ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Exit {
    pub(super) at: TimeMs,
    pub(super) how: ExitKind,
    pub(super) cpu: DurationMs,
}

/// The ways in which an attempt ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum ExitKind {
    /// It could not be started: a sentence for people.
    StartFailed(String),
    /// Its wrapper lost sight of it and ended what was left: a sentence for people.
    Lost { started_at: TimeMs, detail: String },
    /// It ran.
    Exited {
        started_at: TimeMs,
        exit_code: Option<i32>,
        signal: Option<i32>,
        /// It was asked to end by Slurm: a cancel, the walltime in Slurm, a preemption.
        outside: bool,
        /// Its walltime was over.
        walltime: bool,
    },
}

/// A sign of life.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Used {
    pub(super) wall: DurationMs,
    pub(super) cpu: DurationMs,
    pub(super) memory_peak: Bytes,
}

impl Claim {
    /// A claim counts once it is there, whatever it says.
    pub(super) fn read(text: &str) -> Claim {
        let at = field(text, "at").and_then(|at| at.parse().ok()).map(TimeMs);
        Claim { at, job: field(text, "job").and_then(|job| job.parse().ok()) }
    }
}

impl Exit {
    /// `None` while it is being written, or when it cannot be understood.
    pub(super) fn read(text: &str) -> Option<Exit> {
        let body = text.strip_suffix("complete\n")?;
        let number = |name| field(body, name)?.parse::<i64>().ok();
        let detail = || Some(field(body, "detail")?.chars().take(300).collect());
        let how = match field(body, "cause")? {
            "start-failed" => ExitKind::StartFailed(detail()?),
            "lost" => ExitKind::Lost { started_at: TimeMs(number("started_at")?), detail: detail()? },
            "exited" => {
                let status = i32::try_from(number("status")?).ok()?;
                let signal = number("signal").and_then(|signal| i32::try_from(signal).ok());
                ExitKind::Exited {
                    started_at: TimeMs(number("started_at")?),
                    exit_code: signal.is_none().then_some(status),
                    signal,
                    outside: number("outside")? > 0,
                    walltime: number("walltime")? > 0,
                }
            }
            _ => return None,
        };
        // The last line of bash's `times`: processor time of all children, in and out of the kernel.
        let times = body.lines().next_back()?;
        let mut parts = times.split_ascii_whitespace().map(read_minutes);
        let cpu = parts.try_fold(0, |sum: u64, part| sum.checked_add(part?))?;
        Some(Exit { at: TimeMs(number("at")?), how, cpu: DurationMs(cpu) })
    }
}

impl Used {
    /// `None` while it is being written.
    pub(super) fn read(text: &str) -> Option<Used> {
        let body = text.strip_suffix("complete\n")?;
        let number = |name| field(body, name)?.parse().ok();
        let wall = DurationMs(number("wall_ms")?);
        Some(Used { wall, cpu: DurationMs(number("cpu_ms")?), memory_peak: Bytes(number("memory_peak")?) })
    }
}

fn field<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('='))
}

/// `1m2.345s` in milliseconds.
fn read_minutes(text: &str) -> Option<u64> {
    let (minutes, rest) = text.strip_suffix('s')?.split_once('m')?;
    let (seconds, part) = rest.split_once('.')?;
    let thousandths: u64 = format!("{part:0<3}").get(..3)?.parse().ok()?;
    let seconds = minutes.parse::<u64>().ok()?.checked_mul(60)?.checked_add(seconds.parse().ok()?)?;
    seconds.checked_mul(1000)?.checked_add(thousandths)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_read_when_it_is_whole() {
        // Recorded on bash 5.2.
        let text = "version=1\nat=9\ncause=exited\nstarted_at=4\nstatus=137\nsignal=9\noutside=0\nwalltime=1\n\
                    0m0.004s 0m0.000s\n1m2.345s 0m0.005s\ncomplete\n";
        let exit = Exit::read(text).expect("whole");
        assert_eq!((exit.at, exit.cpu), (TimeMs(9), DurationMs(62_350)));
        let how = ExitKind::Exited {
            started_at: TimeMs(4),
            exit_code: None,
            signal: Some(9),
            outside: false,
            walltime: true,
        };
        assert_eq!(exit.how, how);
        for length in 0..text.len() {
            assert_eq!(Exit::read(&text[..length]), None, "{length} bytes");
        }
        let forged = text.replace("1m2.345s", "18446744073709551615m2.345s");
        assert_eq!(Exit::read(&forged), None, "more than there can be");
        let failed =
            "version=1\nat=9\ncause=start-failed\ndetail=no cause=exited\n0m0.0s 0m0.0s\n0m0.0s 0m0.0s\ncomplete\n";
        assert_eq!(Exit::read(failed).map(|exit| exit.how), Some(ExitKind::StartFailed("no cause=exited".into())));
    }
}
