//! How long work ran lately beside how long it might have: people ask for far more time than they need.

use std::collections::BTreeMap;

use huisuan_model::{DurationMs, ProjectId, TenantId};

use crate::{holdings::Holdings, snapshot::Amounts};

/// Of so many runs the latest count: older ones fade.
const RUNS_MAX: u64 = 32;
/// The most kinds that are learnt; what comes beyond is taken to run for half of its walltime.
const KINDS_MAX: usize = 4_096;
/// What is taken of work that nobody has seen end yet.
const UNKNOWN_PERMILLE: u64 = 500;

/// Mean run times by who asks, what for, and for how long: a limit tells an owner's kinds of work apart.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Lengths(BTreeMap<(TenantId, ProjectId, DurationMs), Mean>);

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Mean {
    runs: u64,
    mean_ms: u64,
}

impl Lengths {
    /// A task that might have run for `walltime` ended by itself, or by that, after so long.
    pub fn learn(&mut self, tenant: &TenantId, project: &ProjectId, walltime: DurationMs, ran: DurationMs) {
        let key = (tenant.clone(), project.clone(), walltime);
        if self.0.len() >= KINDS_MAX && !self.0.contains_key(&key) {
            return;
        }
        let mean = self.0.entry(key).or_default();
        mean.runs = (mean.runs + 1).min(RUNS_MAX);
        let sum = u128::from(mean.mean_ms) * u128::from(mean.runs - 1) + u128::from(ran.0);
        mean.mean_ms = u64::try_from(sum / u128::from(mean.runs)).unwrap_or(u64::MAX);
    }

    /// How long a task of this kind is likely to run, in milliseconds; half of its walltime where none has ended.
    pub fn likely_ms(&self, tenant: &TenantId, project: &ProjectId, walltime: DurationMs) -> u64 {
        let known = self.0.get(&(tenant.clone(), project.clone(), walltime));
        known.map_or(walltime.0 * UNKNOWN_PERMILLE / 1_000, |mean| mean.mean_ms.min(walltime.0))
    }

    /// Which part of the time until its latest end what runs in a pool will go on for, in thousandths: the mean over
    /// its owners by what they hold, of cores or of devices.
    pub(super) fn part_permille(&self, holdings: &Holdings, of: impl Fn(&Amounts) -> u64) -> u64 {
        let (mut parts, mut all) = (0u128, 0u128);
        for owner in holdings.owners() {
            let held: u128 = owner.going().iter().map(|(each, count)| u128::from(of(each)) * u128::from(*count)).sum();
            parts += held * u128::from(self.owner_permille(owner.tenant(), owner.project()));
            all += held;
        }
        parts.checked_div(all).map_or(UNKNOWN_PERMILLE, |part| u64::try_from(part).unwrap_or(UNKNOWN_PERMILLE))
    }

    /// The part of their walltimes that an owner's runs took, over all of its limits.
    fn owner_permille(&self, tenant: &TenantId, project: &ProjectId) -> u64 {
        let key = |walltime| (tenant.clone(), project.clone(), DurationMs(walltime));
        let (mut runs, mut limits) = (0u128, 0u128);
        for ((_, _, walltime), mean) in self.0.range(key(0)..=key(u64::MAX)) {
            runs += u128::from(mean.mean_ms) * u128::from(mean.runs);
            limits += u128::from(walltime.0) * u128::from(mean.runs);
        }
        let part = (runs * 1_000).checked_div(limits);
        part.map_or(UNKNOWN_PERMILLE, |part| u64::try_from(part.min(1_000)).unwrap_or(UNKNOWN_PERMILLE))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR_MS: u64 = 3_600_000;

    fn names(tenant: &str, project: &str) -> (TenantId, ProjectId) {
        (TenantId::new(tenant).expect("a valid name"), ProjectId::new(project).expect("a valid name"))
    }

    #[test]
    fn runs_of_one_owner_and_limit_count_together() {
        let (lab, p) = names("lab", "p");
        let (hour, day) = (DurationMs(HOUR_MS), DurationMs(24 * HOUR_MS));
        let mut lengths = Lengths::default();
        assert_eq!(lengths.likely_ms(&lab, &p, hour), HOUR_MS / 2);
        assert_eq!(lengths.owner_permille(&lab, &p), 500);
        lengths.learn(&lab, &p, hour, DurationMs(100_000));
        lengths.learn(&lab, &p, hour, DurationMs(300_000));
        assert_eq!(lengths.likely_ms(&lab, &p, hour), 200_000);
        assert_eq!(lengths.likely_ms(&lab, &p, day), 12 * HOUR_MS);
        // Two runs of 200 s within an hour, one of a whole day.
        lengths.learn(&lab, &p, day, day);
        assert_eq!(lengths.owner_permille(&lab, &p), (400_000 + 86_400_000) * 1_000 / (7_200_000 + 86_400_000));
        assert_eq!(lengths.likely_ms(&names("uni", "p").0, &p, hour), HOUR_MS / 2);
    }

    #[test]
    fn the_latest_runs_count_most_and_no_run_is_longer_than_its_limit() {
        let (lab, p) = names("lab", "p");
        let hour = DurationMs(HOUR_MS);
        let mut lengths = Lengths::default();
        (0..100).for_each(|_| lengths.learn(&lab, &p, hour, DurationMs(1_000)));
        (0..100).for_each(|_| lengths.learn(&lab, &p, hour, DurationMs(10 * HOUR_MS)));
        assert_eq!(lengths.likely_ms(&lab, &p, hour), HOUR_MS);
        (0..200).for_each(|_| lengths.learn(&lab, &p, hour, DurationMs(2_000)));
        assert!((2_000..200_000).contains(&lengths.likely_ms(&lab, &p, hour)), "{lengths:?}");
    }
}
