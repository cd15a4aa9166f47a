//! Which tasks end for others: the fewest, of the lowest priority, with the least work lost.

use std::cmp::Reverse;

use huisuan_model::{JobId, TimeMs};

use super::{
    Round,
    group::{Group, Part},
};
use crate::{share::Holder, snapshot::Amounts, translate::Candidate};

impl Round<'_> {
    /// Which tasks must end for `unit` tasks to start at a candidate; none when no allowed ones are enough.
    pub(super) fn victims(&self, shape: usize, job: JobId, candidate: &Candidate, unit: u64) -> Option<Vec<Part>> {
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
        let mut tenants = self.tenants.clone();
        let mut parts: Vec<Part> = Vec::new();
        while !self.enough(&lacks, &parts) {
            let left = |group: usize| {
                self.going[group] - parts.iter().filter(|part| part.group == group).map(|part| part.count).sum::<u64>()
            };
            let mut best: Option<(u64, Part)> = None;
            for &group in &self.of_pool[candidate.pool] {
                let part = self.allowed(&tenants, group, left(group));
                let covers = part.map_or(0, |part| self.covers(&lacks, &parts, part));
                if let Some(part) = part.filter(|_| covers > 0 && best.is_none_or(|best| covers > best.0)) {
                    best = Some((covers, part));
                }
            }
            let (_, part) = best?;
            self.count_out(&mut tenants, part);
            parts.push(part);
        }
        Some(self.fewest(&lacks, parts))
    }

    /// The smallest part of a group that can end by itself, where its tenant keeps what it is due.
    fn allowed(&self, tenants: &[Holder], group: usize, left: u64) -> Option<Part> {
        let Group { tasks, found, .. } = &self.groups[group];
        let count = if tasks.gang { left } else { left.min(1) };
        if count == 0 {
            return None;
        }
        let tenant = &tenants[self.problem.holders.projects[found.project].0];
        let share = tenant.share_without(found.class, found.rate.saturating_mul(count));
        (share >= self.problem.holders.due).then_some(Part { group, count })
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
        parts.sort_by_key(|&part| (Reverse(self.lost(part)), part.group));
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
