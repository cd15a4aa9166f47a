//! What the machine's processors and memory take, as the kernel counts it, and the part of each attempt.
//!
//! Linux shows running average power limits (RAPL) of Intel and AMD processors under `/sys/class/powercap`: a counter
//! of microjoules for each package, and often one for its memory, which begin anew at a range of their own. Most
//! systems let the superuser alone read them; an operator may give them to the agent's user. Where there are none, as
//! in most virtual machines, nothing is measured, and what is declared of the site counts.
//!
//! The energy between two looks is split by processor time: an attempt gets the part that its processes had of the time
//! that all processes of the machine used. So idling is carried by those that run, nobody is told more than the machine
//! took, and other people's processes take their own part.

use std::{
    env, fs,
    path::{Path, PathBuf},
};

use huisuan_model::DurationMs;

/// Where the kernel shows the counters.
const POWERCAP: &str = "/sys/class/powercap";

/// The variable that says where they are instead: in a container they lie where the host's `/sys` was put.
const POWERCAP_VARIABLE: &str = "HUISUAN_POWERCAP";

/// Where it says how long its processors worked.
const STAT: &str = "/proc/stat";

/// The counters of a machine and what they said last.
#[derive(Debug)]
pub(crate) struct Meter {
    zones: Vec<Zone>,
    stat: PathBuf,
    ticks_per_second: u64,
    before: Option<Look>,
}

/// One counter.
#[derive(Debug)]
struct Zone {
    counter: PathBuf,
    /// It begins anew after this much.
    range_uj: u64,
}

#[derive(Debug)]
struct Look {
    counters_uj: Vec<u64>,
    busy_ms: u64,
}

impl Meter {
    /// The counters of this machine; without any it measures nothing and costs nothing.
    pub(crate) fn of_machine() -> Self {
        let folder = env::var_os(POWERCAP_VARIABLE).map_or_else(|| PathBuf::from(POWERCAP), PathBuf::from);
        let meter = Meter::at(&folder, Path::new(STAT));
        tracing::info!(counters = meter.zones.len(), "energy of processors");
        meter
    }

    fn at(powercap: &Path, stat: &Path) -> Self {
        Meter {
            zones: zones(powercap),
            stat: stat.to_owned(),
            ticks_per_second: rustix::param::clock_ticks_per_second().max(1),
            before: None,
        }
    }

    /// Nothing runs: what is taken until the next look is nobody's.
    pub(crate) fn rest(&mut self) {
        self.before = None;
    }

    /// What each took since the last look, in microjoules, by the processor time that it used since then.
    pub(crate) fn parts(&mut self, used: &[DurationMs]) -> Vec<u64> {
        let none = vec![0; used.len()];
        let Some(now) = self.look() else { return none };
        let Some(before) = self.before.replace(now) else { return none };
        let now = self.before.as_ref().expect("it was put there just now");
        let counters = self.zones.iter().zip(before.counters_uj.iter().zip(&now.counters_uj));
        let energy_uj = counters.map(|(zone, (before, now))| zone.since(*before, *now)).sum::<u64>();
        // Time of a process is told late at times: what all used is never less than what these did.
        let own_ms = used.iter().map(|used| used.0).sum::<u64>();
        let all_ms = now.busy_ms.saturating_sub(before.busy_ms).max(own_ms);
        let part = |used: &DurationMs| match all_ms {
            0 => 0,
            _ => huisuan_model::quantity::mul_div(energy_uj, used.0, all_ms),
        };
        used.iter().map(part).collect()
    }

    /// `None` where nothing counts.
    fn look(&self) -> Option<Look> {
        if self.zones.is_empty() {
            return None;
        }
        let counters_uj = self.zones.iter().map(|zone| number(&zone.counter)).collect::<Option<Vec<u64>>>()?;
        let busy_ms = busy_ticks(&fs::read_to_string(&self.stat).ok()?)? * 1_000 / self.ticks_per_second;
        Some(Look { counters_uj, busy_ms })
    }
}

impl Zone {
    /// What it counted between two looks; it comes round at most once in that time.
    fn since(&self, before: u64, now: u64) -> u64 {
        if now >= before { now - before } else { now.saturating_add(self.range_uj.saturating_sub(before)) }
    }
}

/// The counters of all packages and of their memory, where all of them can be read: a part of them would be a part of
/// the truth. Other zones (cores, the whole platform) are parts of a package or hold one.
fn zones(powercap: &Path) -> Vec<Zone> {
    let Ok(entries) = fs::read_dir(powercap) else { return Vec::new() };
    let mut folders: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    folders.sort();
    let counted = folders.into_iter().filter(|folder| {
        let name = fs::read_to_string(folder.join("name")).unwrap_or_default();
        name.starts_with("package-") || name.trim() == "dram"
    });
    let zones: Option<Vec<Zone>> = counted
        .map(|folder| {
            let counter = folder.join("energy_uj");
            number(&counter)?;
            Some(Zone { counter, range_uj: number(&folder.join("max_energy_range_uj"))? })
        })
        .collect();
    zones.unwrap_or_default()
}

fn number(path: &Path) -> Option<u64> {
    fs::read_to_string(path).ok()?.trim().parse().ok()
}

/// Ticks in which any processor worked, of the first line of `/proc/stat`: user, nice, system, interrupts. Time of
/// guests is in the user time, and stolen time was somebody else's.
fn busy_ticks(stat: &str) -> Option<u64> {
    let line = stat.lines().next()?.strip_prefix("cpu ")?;
    let fields: Vec<u64> = line.split_ascii_whitespace().map_while(|field| field.parse().ok()).collect();
    let [user, nice, system, _idle, _waiting, interrupts, soft_interrupts, ..] = fields[..] else { return None };
    Some(user + nice + system + interrupts + soft_interrupts)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A machine whose counters a test writes: two packages, one of them with memory; cores and platform beside.
    struct Machine(tempfile::TempDir);

    impl Machine {
        fn new() -> Self {
            let machine = Machine(tempfile::tempdir().expect("a folder"));
            for (folder, name) in [
                ("intel-rapl:0", "package-0"),
                ("intel-rapl:0:0", "core"),
                ("intel-rapl:0:1", "dram"),
                ("intel-rapl:1", "package-1"),
                ("intel-rapl:2", "psys"),
            ] {
                let folder = machine.0.path().join(folder);
                fs::create_dir(&folder).expect("a folder");
                fs::write(folder.join("name"), format!("{name}\n")).expect("a name");
                fs::write(folder.join("max_energy_range_uj"), "1000000\n").expect("a range");
                fs::write(folder.join("energy_uj"), "7\n").expect("a counter");
            }
            machine.work(0);
            machine
        }

        fn count(&self, folder: &str, uj: u64) {
            fs::write(self.0.path().join(folder).join("energy_uj"), format!("{uj}\n")).expect("a counter");
        }

        /// So many milliseconds in which a processor worked, in all.
        fn work(&self, ms: u64) {
            let ticks = ms * rustix::param::clock_ticks_per_second() / 1_000;
            let stat = format!("cpu  {ticks} 0 0 99 99 0 0 5 0 0\ncpu0 1 1 1 1\n");
            fs::write(self.0.path().join("stat"), stat).expect("a file");
        }

        fn meter(&self) -> Meter {
            Meter::at(self.0.path(), &self.0.path().join("stat"))
        }
    }

    #[test]
    fn energy_is_split_by_processor_time() {
        let (machine, ms) = (Machine::new(), |ms: &[u64]| ms.iter().copied().map(DurationMs).collect::<Vec<_>>());
        let mut meter = machine.meter();
        assert_eq!(meter.parts(&ms(&[50])), [0], "the first look begins");
        machine.count("intel-rapl:0", 100_007);
        machine.count("intel-rapl:0:1", 50_007);
        machine.count("intel-rapl:1", 50_007);
        // Part of a package, and what holds all of them: counted already.
        machine.count("intel-rapl:0:0", 80_007);
        machine.count("intel-rapl:2", 900_007);
        machine.work(1_000);
        assert_eq!(meter.parts(&ms(&[500, 250, 0])), [100_000, 50_000, 0], "a quarter is others'");
        // A counter came round; the time of all is told late.
        machine.count("intel-rapl:0", 7);
        assert_eq!(meter.parts(&ms(&[300, 100])), [(900_000 * 3) / 4, 900_000 / 4]);
        machine.count("intel-rapl:1", 60_007);
        meter.rest();
        assert_eq!(meter.parts(&ms(&[100])), [0], "what was taken while nothing ran is nobody's");
    }

    #[test]
    fn what_cannot_be_read_whole_is_not_measured() {
        let machine = Machine::new();
        assert_eq!(machine.meter().zones.len(), 3);
        fs::write(machine.0.path().join("intel-rapl:1/energy_uj"), "not a number").expect("a file");
        let mut meter = machine.meter();
        assert!(meter.zones.is_empty());
        assert_eq!(meter.parts(&[DurationMs(5)]), [0]);
        assert!(Meter::at(Path::new("/nowhere"), Path::new("/nowhere")).zones.is_empty());
        for bad in ["", "cpu 1 2", "intr 1 2 3 4 5 6 7 8"] {
            assert_eq!(busy_ticks(bad), None, "{bad}");
        }
    }

    proptest! {
        /// All parts together are never more than what was counted.
        #[test]
        fn nobody_is_told_more_than_was_taken(
            used in prop::collection::vec(0..100_000_u64, 0..9),
            busy in 0..1_000_000_u64,
            taken in 0..900_000_u64,
        ) {
            let machine = Machine::new();
            let mut meter = machine.meter();
            meter.parts(&[]);
            machine.count("intel-rapl:1", 7 + taken);
            machine.work(busy);
            let parts = meter.parts(&used.into_iter().map(DurationMs).collect::<Vec<_>>());
            prop_assert!(parts.iter().sum::<u64>() <= taken);
        }
    }
}
