//! Which tasks end for others: the fewest, of the lowest priority, with the least work lost.

use std::{cmp::Reverse, collections::BTreeMap};

use huisuan_model::{JobId, TimeMs};

use super::{
    Round, Side,
    group::{Group, Part},
};
use crate::{share::Holder, snapshot::Amounts, translate::Candidate};

/// Groups of a pool beyond which only the greedy choice is tried.
const SEARCHED_GROUPS_MAX: usize = 64;

/// What tenants would hold where it differs from what they hold now.
type Changed = BTreeMap<usize, Holder>;

impl Round<'_> {
    /// Which tasks must end for `unit` tasks to start at a candidate; none when no allowed ones are enough.
    ///
    /// The greedy choice takes what covers the most of what is lacking. Where that ends at what somebody is due,
    /// another set may still do: all are searched, while steps are left.
    pub(super) fn victims(&mut self, shape: usize, job: JobId, candidate: &Candidate, unit: u64) -> Option<Vec<Part>> {
        // Which nodes would come free is not known.
        if self.state.nodes[candidate.pool].is_some() {
            return None;
        }
        let pool = &self.problem.pools[candidate.pool].pool.pool;
        let has = Amounts { cores: pool.cores, memory: pool.memory, devices: pool.devices };
        let used = self.state.loads[candidate.pool].used();
        let need = Amounts::default().plus(candidate.each(), unit);
        // What was placed ahead must come free first: nobody is ended for that.
        if used.less(has) != Amounts::default() {
            return None;
        }
        let end = self.problem.now.after(self.problem.snapshot.shapes[shape].shape.walltime);
        let mut lacks = vec![(self.problem.now, need.less(has.less(used)))];
        lacks.extend(self.state.agendas[candidate.pool].lacking(job, need, end));
        let all = std::mem::take(&mut self.of_pool[candidate.pool]);
        let winner = self.tenant(shape);
        let loser = |&group: &usize| self.problem.holders.projects[self.groups[group].found.project].0;
        let others = |group: &usize| loser(group) != winner && self.sides[loser(group)] != Some(Side::Gains);
        let groups: Vec<usize> = all.iter().copied().filter(others).collect();
        let mut parts = self.greedy(&lacks, &groups);
        if parts.is_none() && groups.len() <= SEARCHED_GROUPS_MAX {
            let mut found = Vec::new();
            parts = self.search(&lacks, &groups, &mut found, &mut Changed::new()).then_some(found);
        }
        self.of_pool[candidate.pool] = all;
        parts.map(|parts| self.fewest(&lacks, parts))
    }

    fn greedy(&self, lacks: &[(TimeMs, Amounts)], groups: &[usize]) -> Option<Vec<Part>> {
        let mut changed = Changed::new();
        let mut parts: Vec<Part> = Vec::new();
        while !self.enough(lacks, &parts) {
            let mut best: Option<(u64, Part)> = None;
            for &group in groups {
                let ended: u64 = parts.iter().filter(|part| part.group == group).map(|part| part.count).sum();
                let part = self.allowed(&changed, group, self.going[group] - ended, 1);
                let covers = part.map_or(0, |part| self.covers(lacks, &parts, part));
                if let Some(part) = part.filter(|_| covers > 0 && best.is_none_or(|best| covers > best.0)) {
                    best = Some((covers, part));
                }
            }
            let (_, part) = best?;
            self.count_out(&mut changed, part);
            parts.push(part);
        }
        Some(parts)
    }

    /// Tries every set of tasks, group by group, the larger part of each first.
    fn search(
        &mut self,
        lacks: &[(TimeMs, Amounts)],
        groups: &[usize],
        parts: &mut Vec<Part>,
        changed: &mut Changed,
    ) -> bool {
        if self.enough(lacks, parts) {
            return true;
        }
        let [group, rest @ ..] = groups else { return false };
        let all: Vec<Part> = groups.iter().map(|&group| Part { group, count: self.going[group] }).collect();
        if self.steps == 0 || !self.enough(lacks, &[&parts[..], &all].concat()) {
            return false;
        }
        self.steps -= 1;
        for count in (0..=self.going[*group]).rev() {
            let whole = count == 0 || !self.groups[*group].tasks.gang || count == self.going[*group];
            let part = self.allowed(changed, *group, count, count);
            if !whole || (count > 0 && part.is_none()) {
                continue;
            }
            let before = changed.clone();
            if let Some(part) = part {
                self.count_out(changed, part);
                parts.push(part);
            }
            if self.search(lacks, rest, parts, changed) {
                return true;
            }
            if part.is_some() {
                parts.pop();
            }
            *changed = before;
        }
        false
    }

    /// So many tasks of a group, all that are `left` when they end together, where its tenant keeps what it is due.
    fn allowed(&self, changed: &Changed, group: usize, left: u64, count: u64) -> Option<Part> {
        let Group { tasks, found, .. } = &self.groups[group];
        let count = if tasks.gang { left } else { left.min(count) };
        if count == 0 {
            return None;
        }
        let tenant = self.problem.holders.projects[found.project].0;
        let tenant = changed.get(&tenant).unwrap_or(&self.tenants[tenant]);
        let share = tenant.share_without(found.class, found.rate.saturating_mul(count));
        (share >= self.problem.holders.due).then_some(Part { group, count })
    }

    fn count_out(&self, changed: &mut Changed, part: Part) {
        let found = self.groups[part.group].found;
        let tenant = self.problem.holders.projects[found.project].0;
        let holder = changed.entry(tenant).or_insert(self.tenants[tenant]);
        holder.take(found.class, found.rate.saturating_mul(part.count));
    }

    /// How much of what is still lacking a part gives, in millionths of the resource that it gives least of.
    fn covers(&self, lacks: &[(TimeMs, Amounts)], parts: &[Part], part: Part) -> u64 {
        let given = self.given(part);
        let mut least = u64::MAX;
        for &(at, lack) in lacks {
            let lack = parts.iter().fold(lack, |lack, &part| lack.less(self.given_at(part, at)));
            let given = if self.runs_at(part, at) { given } else { Amounts::default() };
            for (lack, given) in
                [(lack.cores.0, given.cores.0), (lack.memory.0, given.memory.0), (lack.devices.0, given.devices.0)]
            {
                if lack > 0 {
                    least = least.min(huisuan_model::quantity::mul_div(given.min(lack), 1_000_000, lack));
                }
            }
        }
        least
    }

    /// Spares every part without which the others are still enough, the most lost work first.
    fn fewest(&self, lacks: &[(TimeMs, Amounts)], mut parts: Vec<Part>) -> Vec<Part> {
        parts.sort_by_key(|&part| (self.groups[part.group].placement.is_some(), Reverse(self.lost(part)), part.group));
        let mut at = 0;
        while at < parts.len() {
            let part = parts.remove(at);
            if !self.enough(lacks, &parts) {
                parts.insert(at, part);
                at += 1;
            }
        }
        parts
    }

    fn enough(&self, lacks: &[(TimeMs, Amounts)], parts: &[Part]) -> bool {
        lacks.iter().all(|&(at, lack)| {
            parts.iter().fold(lack, |lack, &part| lack.less(self.given_at(part, at))) == Amounts::default()
        })
    }

    /// What a part gives back.
    pub(super) fn given(&self, part: Part) -> Amounts {
        Amounts::default().plus(self.groups[part.group].view.each, part.count)
    }

    /// The same at a later moment: what would have ended by then gives nothing.
    fn given_at(&self, part: Part, at: TimeMs) -> Amounts {
        if self.runs_at(part, at) { self.given(part) } else { Amounts::default() }
    }

    fn runs_at(&self, part: Part, at: TimeMs) -> bool {
        self.end(part.group) > at
    }
}
