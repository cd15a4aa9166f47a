//! What attempts hold of one pool: who holds how much, and when it comes free at the latest.
//!
//! A pool of a city has thousands of attempts that end in different minutes, and a cycle every second asks two things
//! of them: how much each project holds, and how much is free at a moment. So sums are kept by project and by moment as
//! attempts come and go, and no cycle looks at the attempts themselves, but for the few that may be ended or soon are.

use std::{collections::BTreeMap, sync::Arc};

use huisuan_model::{JobId, ProjectId, RangeSet, TenantId, TimeMs};

use crate::snapshot::Amounts;

/// Attempts that take the same of a pool for one project and end together at the latest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunningView {
    /// Who pays.
    pub tenant: TenantId,
    /// What for.
    pub project: ProjectId,
    /// What each takes.
    pub each: Amounts,
    /// How many.
    pub count: u64,
    /// When the last of them ends at the latest: start and walltime.
    pub ends_at: TimeMs,
    /// Set for tasks that may be ended to make room for others.
    pub preemptible: Option<Preemptible>,
    /// Their centre was told to end them: they take room until they have, and nobody counts on them. A round goes on
    /// from the moment in which they are gone, so that nothing else ends for what they end for.
    pub stopping: bool,
}

/// Tasks of one job that may be ended before they are done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Preemptible {
    /// The job.
    pub job: JobId,
    /// The tasks, as many as the group counts.
    pub tasks: RangeSet,
    /// When they began: what they did since is lost with them.
    pub started_at: TimeMs,
    /// Larger is spared longer.
    pub priority: i32,
    /// All of them end together.
    pub gang: bool,
}

/// All that attempts hold of one pool.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Holdings {
    owners: Vec<Holding>,
    ends: BTreeMap<TimeMs, Amounts>,
}

/// What the attempts of one project hold of a pool.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holding {
    tenant: TenantId,
    project: ProjectId,
    going: Vec<(Amounts, u64)>,
    /// Shared, so that a copy of a pool is cheap however many may be preempted.
    marked: BTreeMap<Mark, Arc<RunningView>>,
}

/// What tells groups of one project apart.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Mark {
    each: Amounts,
    ends_at: TimeMs,
    stopping: bool,
    job: Option<JobId>,
}

impl Holding {
    /// Who pays.
    pub fn tenant(&self) -> &TenantId {
        &self.tenant
    }

    /// What for.
    pub fn project(&self) -> &ProjectId {
        &self.project
    }

    /// How many attempts take so much each, in the order of amounts; those that were told to end are left out.
    pub fn going(&self) -> &[(Amounts, u64)] {
        &self.going
    }

    /// The groups that may be preempted, and those that were told to end; nothing else is known group by group.
    pub fn marked(&self) -> impl Iterator<Item = &RunningView> {
        self.marked.values().map(Arc::as_ref)
    }

    /// All of it: what goes on, and what was told to end and takes room until it has.
    pub fn all(&self) -> impl Iterator<Item = (Amounts, u64)> {
        let stopping = self.marked().filter(|group| group.stopping);
        self.going.iter().copied().chain(stopping.map(|group| (group.each, group.count)))
    }
}

impl Holdings {
    /// By tenant and project.
    pub fn owners(&self) -> &[Holding] {
        &self.owners
    }

    /// What comes free at the latest when, in the order of time.
    pub fn ends(&self) -> impl ExactSizeIterator<Item = (TimeMs, Amounts)> {
        self.ends.iter().map(|(&end, &amounts)| (end, amounts))
    }

    /// Counts attempts in.
    pub fn add(&mut self, group: &RunningView) {
        if group.count == 0 {
            return;
        }
        let given = Amounts::default().plus(group.each, group.count);
        if given != Amounts::default() {
            let ending = self.ends.entry(group.ends_at).or_default();
            *ending = ending.plus(given, 1);
        }
        let at = self.place(group).unwrap_or_else(|at| {
            let (tenant, project) = (group.tenant.clone(), group.project.clone());
            self.owners.insert(at, Holding { tenant, project, going: Vec::new(), marked: BTreeMap::new() });
            at
        });
        let Holding { going, marked, .. } = &mut self.owners[at];
        if !group.stopping {
            match going.binary_search_by_key(&group.each, |known| known.0) {
                Ok(at) => going[at].1 += group.count,
                Err(at) => going.insert(at, (group.each, group.count)),
            }
        }
        if let Some(mark) = mark(group) {
            let known = Arc::make_mut(marked.entry(mark).or_insert_with(|| Arc::new(unmade(group))));
            known.count += group.count;
            if let (Some(known), Some(more)) = (&mut known.preemptible, &group.preemptible) {
                known.tasks.insert_all(&more.tasks);
            }
        }
    }

    /// Counts attempts out that were counted in as they are given here.
    ///
    /// # Panics
    ///
    /// When they were not: the caller's books are wrong.
    pub fn remove(&mut self, group: &RunningView) {
        if group.count == 0 {
            return;
        }
        let given = Amounts::default().plus(group.each, group.count);
        if given != Amounts::default() {
            let ending = self.ends.get_mut(&group.ends_at).expect("what is counted out ends when it did");
            *ending = ending.minus(given);
            if *ending == Amounts::default() {
                self.ends.remove(&group.ends_at);
            }
        }
        let at = self.place(group).expect("what is counted out has its owner");
        let Holding { going, marked, .. } = &mut self.owners[at];
        if !group.stopping {
            let at = going.binary_search_by_key(&group.each, |known| known.0).expect("what is counted out was in");
            going[at].1 = going[at].1.checked_sub(group.count).expect("no more is counted out than was in");
            if going[at].1 == 0 {
                going.remove(at);
            }
        }
        if let Some(mark) = mark(group) {
            let known = Arc::make_mut(marked.get_mut(&mark).expect("what is counted out has its group"));
            known.count = known.count.checked_sub(group.count).expect("no more is counted out than was in");
            if let (Some(known), Some(less)) = (&mut known.preemptible, &group.preemptible) {
                less.tasks.iter().for_each(|task| _ = known.tasks.remove(task));
            }
            if known.count == 0 {
                marked.remove(&mark);
            }
        }
        if going.is_empty() && marked.is_empty() {
            self.owners.remove(at);
        }
    }

    fn place(&self, group: &RunningView) -> Result<usize, usize> {
        let wanted = (&group.tenant, &group.project);
        self.owners.binary_search_by(|holding| (&holding.tenant, &holding.project).cmp(&wanted))
    }
}

impl FromIterator<RunningView> for Holdings {
    fn from_iter<I: IntoIterator<Item = RunningView>>(groups: I) -> Self {
        let mut holdings = Holdings::default();
        groups.into_iter().for_each(|group| holdings.add(&group));
        holdings
    }
}

/// What a group is known by; `None` for one that need not be told apart.
fn mark(group: &RunningView) -> Option<Mark> {
    let job = group.preemptible.as_ref().map(|preemptible| preemptible.job);
    let mark = Mark { each: group.each, ends_at: group.ends_at, stopping: group.stopping, job };
    (group.stopping || job.is_some()).then_some(mark)
}

/// The group without its attempts.
fn unmade(group: &RunningView) -> RunningView {
    let mut empty = RunningView { count: 0, ..group.clone() };
    if let Some(preemptible) = &mut empty.preemptible {
        preemptible.tasks = RangeSet::new();
    }
    empty
}

#[cfg(test)]
mod tests {
    use huisuan_model::{Bytes, MilliDevices, Millicores};
    use proptest::prelude::*;

    use super::*;

    /// Two tenants with two projects each, few amounts and ends, so that much is alike; every third job may be
    /// preempted.
    fn group(number: u32, owner: u8, cores: u64, end: i64, kind: u8) -> RunningView {
        let job = u64::from(number / 2 + 1);
        let preemptible = (kind == 1).then(|| Preemptible {
            job: JobId(job),
            tasks: RangeSet::from_range(number, number),
            started_at: TimeMs(end - 9),
            priority: 0,
            gang: false,
        });
        RunningView {
            tenant: TenantId::new(["a", "b"][usize::from(owner / 2)]).expect("a valid name"),
            project: ProjectId::new(["p", "q"][usize::from(owner % 2)]).expect("a valid name"),
            each: Amounts { cores: Millicores(cores), memory: Bytes(cores), devices: MilliDevices(0) },
            count: 1,
            ends_at: TimeMs(end),
            preemptible,
            stopping: kind == 2,
        }
    }

    fn groups() -> impl Strategy<Value = Vec<RunningView>> {
        let one = (0u8..4, 1u64..4, 10i64..14, 0u8..4);
        prop::collection::vec(one, 0..24).prop_map(|all| {
            let numbered = (0..).zip(all);
            numbered.map(|(number, (owner, cores, end, kind))| group(number, owner, cores, end, kind)).collect()
        })
    }

    proptest! {
        /// Whatever came and went before: the sums are those of what is there.
        #[test]
        fn sums_are_those_of_what_is_there(there in groups(), gone in groups()) {
            let mut holdings = Holdings::default();
            // What goes has jobs of its own.
            let mut gone = gone;
            for group in gone.iter_mut().filter_map(|group| group.preemptible.as_mut()) {
                group.job.0 += 1_000;
            }
            let most = there.len().max(gone.len());
            for at in 0..most {
                gone.get(at).iter().for_each(|group| holdings.add(group));
                there.get(at).iter().for_each(|group| holdings.add(group));
            }
            gone.iter().rev().for_each(|group| holdings.remove(group));
            prop_assert_eq!(&holdings, &there.iter().cloned().collect::<Holdings>());
            for holding in holdings.owners() {
                let own = there.iter().filter(|one| (&one.tenant, &one.project) == (holding.tenant(), holding.project()));
                let own: Vec<&RunningView> = own.collect();
                let cores = |(each, count): &(Amounts, u64)| each.cores.0 * count;
                prop_assert_eq!(
                    holding.all().map(|one| cores(&one)).sum::<u64>(),
                    own.iter().map(|one| one.each.cores.0).sum::<u64>()
                );
                let going = own.iter().filter(|one| !one.stopping);
                prop_assert_eq!(
                    holding.going().iter().map(cores).sum::<u64>(),
                    going.map(|one| one.each.cores.0).sum::<u64>()
                );
                let marked = own.iter().filter(|one| one.stopping || one.preemptible.is_some());
                prop_assert_eq!(holding.marked().map(|one| one.count).sum::<u64>(), marked.count() as u64);
                for group in holding.marked() {
                    let tasks = group.preemptible.as_ref().map_or(group.count, |preemptible| preemptible.tasks.len());
                    prop_assert_eq!(tasks, group.count);
                }
            }
            for (end, amounts) in holdings.ends() {
                let ending = there.iter().filter(|one| one.ends_at == end).map(|one| one.each.cores.0);
                prop_assert_eq!(amounts.cores.0, ending.sum::<u64>());
            }
            there.iter().for_each(|group| holdings.remove(group));
            prop_assert_eq!(holdings, Holdings::default());
        }
    }
}
