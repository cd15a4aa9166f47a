//! What a kind of work reaches of the ratings, learnt from its own finished runs: the same work at two places took so
//! much by the rating of each. It refines quotes; what is held and paid is counted with ratings alone.

use std::collections::BTreeMap;

use huisuan_model::{Attempt, CentreId, Job, JobSpec, PoolId, SpecHash, facts::FACTOR_PERMILLE, quantity::mul_div};

/// Fewer runs at a place say nothing: one of them may have been disturbed.
const RUNS_MIN: u64 = 3;

/// A centre and one of its pools.
pub type PoolAt = (CentreId, PoolId);

/// One task that ended well.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Run {
    /// What all runs share that do the same work.
    pub work_hash: SpecHash,
    /// Where it ran.
    pub at: PoolAt,
    /// Its work by the rating of that pool, in GFLOP.
    pub gflop: u64,
}

impl Run {
    /// The run that an attempt of a job was.
    pub fn of(job: &Job, attempt: &Attempt) -> Self {
        let at = (attempt.centre.clone(), attempt.pool.clone());
        Run { work_hash: work_hash(&job.spec), at, gflop: attempt.work.0 }
    }
}

/// What runs share that do the same work: not where, when and for how much they are to do it.
fn work_hash(spec: &JobSpec) -> SpecHash {
    let plain = JobSpec::command("work", &["work"]);
    let same = JobSpec {
        work: spec.work.clone(),
        image: spec.image.clone(),
        environment: spec.environment.clone(),
        need: spec.need.clone(),
        application: spec.application.clone(),
        ..plain
    };
    same.hash()
}

/// What a kind of work reaches at a place, as its own runs say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Learnt {
    /// In thousandths of the rating.
    pub factor_permille: u32,
    /// From so many runs there.
    pub runs: u64,
}

/// Learns from runs of one kind of work. Only what ran at two places says anything: that where it ran most is taken to
/// reach what is declared for it, or its rating, and every other one is compared with it, work by work; of several
/// comparisons the median counts.
pub fn learn(runs: &[Run], declared: impl Fn(&PoolAt) -> Option<u32>) -> BTreeMap<PoolAt, Learnt> {
    let mut works: BTreeMap<SpecHash, BTreeMap<&PoolAt, (u128, u64)>> = BTreeMap::new();
    for run in runs.iter().filter(|run| run.gflop > 0) {
        let (sum, count) = works.entry(run.work_hash).or_default().entry(&run.at).or_default();
        (*sum, *count) = (*sum + u128::from(run.gflop), *count + 1);
    }
    for places in works.values_mut() {
        places.retain(|_, (_, count)| *count >= RUNS_MIN);
    }
    works.retain(|_, places| places.len() > 1);
    let mut counts: BTreeMap<&PoolAt, u64> = BTreeMap::new();
    works.values().flatten().for_each(|(at, (_, count))| *counts.entry(at).or_default() += count);
    // The first of equals.
    let Some((most, _)) = counts.iter().rev().max_by_key(|(_, count)| **count) else { return BTreeMap::new() };
    let anchor = declared(most).unwrap_or(1_000);
    let mut learnt = BTreeMap::new();
    for (at, runs) in &counts {
        let mut ratios: Vec<u64> =
            works.values().filter_map(|places| ratio(places.get(most)?, places.get(at)?)).collect();
        ratios.sort_unstable();
        let Some(ratio) = ratios.get(ratios.len() / 2) else { continue };
        let factor = mul_div(u64::from(anchor), *ratio, 1_000);
        let factor = u32::try_from(factor).unwrap_or(u32::MAX).clamp(*FACTOR_PERMILLE.start(), *FACTOR_PERMILLE.end());
        learnt.insert((*at).clone(), Learnt { factor_permille: factor, runs: *runs });
    }
    learnt
}

/// The mean work at one place of that at another, in thousandths: what takes more by the rating reaches less of it.
fn ratio(one: &(u128, u64), other: &(u128, u64)) -> Option<u64> {
    let (one, other) = (one.0 / u128::from(one.1), other.0 / u128::from(other.1));
    u64::try_from(one.saturating_mul(1_000).checked_div(other)?).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(name: &str) -> PoolAt {
        (CentreId::new(name).expect("a name"), PoolId::new("cpu:x").expect("a name"))
    }

    /// So many runs of a work at a place.
    fn runs(work: u8, name: &str, gflop: u64, count: usize) -> Vec<Run> {
        vec![Run { work_hash: SpecHash([work; 32]), at: at(name), gflop }; count]
    }

    #[test]
    fn what_took_more_by_its_rating_reaches_less_of_it() {
        let check = |runs: &[Vec<Run>], declared: Option<u32>, expected: &[(&str, u32, u64)]| {
            let learnt = learn(&runs.concat(), |place| declared.filter(|_| place.0.as_str() == "a"));
            let found = learnt.iter().map(|(at, one)| (at.0.as_str(), one.factor_permille, one.runs));
            assert_eq!(found.collect::<Vec<_>>(), expected, "{runs:?}");
        };
        let (a, b) = (runs(1, "a", 100, 5), runs(1, "b", 200, 3));
        check(&[a.clone(), b.clone()], None, &[("a", 1_000, 5), ("b", 500, 3)]);
        check(&[a.clone(), b.clone()], Some(800), &[("a", 800, 5), ("b", 400, 3)]);
        // One place alone, too few runs, and other works say nothing.
        check(std::slice::from_ref(&a), None, &[]);
        check(&[a.clone(), runs(1, "b", 200, 2)], None, &[]);
        check(&[a.clone(), runs(2, "b", 200, 9)], None, &[]);
        check(&[a.clone(), runs(1, "b", 0, 9)], None, &[]);
        // Several works: the median of what they say; a third place is compared with the same one.
        let more = [runs(2, "a", 10, 3), runs(2, "b", 10, 3), runs(3, "a", 10, 3), runs(3, "b", 40, 3)];
        let all = [vec![a, b], more.to_vec(), vec![runs(3, "c", 5, 4)]].concat();
        check(&all, None, &[("a", 1_000, 11), ("b", 500, 9), ("c", 2_000, 4)]);
    }

    #[test]
    fn runs_of_the_same_work_are_known_wherever_they_may_go() {
        let spec = JobSpec::command("a", &["/bin/solve", "5"]);
        let there = JobSpec { centres: vec![at("b").0], priority: 5, name: "other".into(), ..spec.clone() };
        assert_eq!(work_hash(&spec), work_hash(&there));
        for other in [JobSpec::command("a", &["/bin/solve", "6"]), JobSpec { image: Some("x".into()), ..spec.clone() }]
        {
            assert_ne!(work_hash(&spec), work_hash(&other));
        }
    }

    proptest! {
        /// The order of runs says nothing, and no factor leaves what may be declared.
        #[test]
        fn the_order_of_runs_says_nothing(
            found in prop::collection::vec((0..3_u8, 0..4_usize, any::<u64>()), 0..60),
            declared in prop::option::of(10..10_000_u32),
        ) {
            let run = |(work, place, gflop): &(u8, usize, u64)| {
                Run { work_hash: SpecHash([*work; 32]), at: at(["a", "b", "c", "d"][*place]), gflop: *gflop }
            };
            let there: Vec<Run> = found.iter().map(run).collect();
            let back: Vec<Run> = found.iter().rev().map(run).collect();
            let learnt = learn(&there, |_| declared);
            prop_assert_eq!(&learnt, &learn(&back, |_| declared));
            let fine = |one: &Learnt| FACTOR_PERMILLE.contains(&one.factor_permille);
            prop_assert!(learnt.values().all(|one| fine(one) && one.runs >= RUNS_MIN));
        }
    }
}
