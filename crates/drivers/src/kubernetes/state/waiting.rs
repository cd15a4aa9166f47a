//! Who waits for a node from us.

use std::collections::BTreeMap;

use huisuan_model::{AttemptId, AttemptReport, JobId, ReportKind, TimeMs};

use super::{
    super::{
        objects::{Pod, Time},
        placing::{Amounts, Group, Waits},
        pod::{GANG, SCHEDULER},
    },
    Known, Stage, State, reference,
};

/// Whether a pod waits for us and nobody else.
pub(super) fn for_us(pod: &Pod) -> bool {
    is_ours(pod) && pod.spec.scheduling_gates.is_empty()
}

/// Whether a pod gets no node but from us, perhaps once others let it.
fn is_ours(pod: &Pod) -> bool {
    let free = pod.spec.node_name.is_empty() && pod.metadata.deletion_timestamp.is_none();
    free && pod.spec.scheduler_name == SCHEDULER
}

impl State {
    /// Whether any pod gets no node but from us, now or later.
    pub(in super::super) fn needs_us(&self) -> bool {
        self.attempts.values().filter_map(Known::wanted).any(is_ours)
    }

    /// Who waits, in groups that get their nodes together. `bound` knows pods that were bound a moment ago, by their
    /// uids. Of a gang nobody is told before all of it is here.
    pub(in super::super) fn waiting(&mut self, bound: impl Fn(&str) -> bool) -> Vec<Group> {
        let attempts = &self.attempts;
        let waits = |id: &AttemptId| attempts.get(id).and_then(|known| known.waits(&bound));
        self.unbound.retain(|id| attempts.get(id).is_some_and(|known| known.waits(&|_: &str| false).is_some()));
        let mut groups: BTreeMap<(JobId, u32, Option<u32>), Group> = BTreeMap::new();
        for id in &self.unbound {
            let Some(pod) = waits(id) else { continue };
            let alone = gang_of(pod).is_none().then_some(id.task);
            let came = pod.metadata.creation_timestamp.map_or(TimeMs(0), |Time(at)| at);
            let group = groups.entry((id.job, id.attempt, alone)).or_insert_with(|| Group {
                members: Vec::new(),
                since: came,
                begun: false,
            });
            group.since = group.since.max(came);
            let (wants, terms) = (Amounts::of_pod(pod), &pod.spec.affinity.node_affinity.required.node_selector_terms);
            group.members.push(Waits { id: *id, pod: reference(pod), wants, terms: terms.clone() });
        }
        groups
            .retain(|(job, attempt, alone), group| alone.is_some() || self.gang_is_here(*job, *attempt, group, &bound));
        groups.into_values().collect()
    }

    /// Whether all of a gang is here, or some of it has nodes already, which it then says of the group.
    fn gang_is_here(&self, job: JobId, attempt: u32, group: &mut Group, bound: &impl Fn(&str) -> bool) -> bool {
        let id = |task| AttemptId { job, task, attempt };
        let all = self.attempts.range(id(0)..=AttemptId { attempt: u32::MAX, ..id(u32::MAX) });
        let all: Vec<&Known> = all.filter(|(id, _)| id.attempt == attempt).map(|(_, known)| known).collect();
        let has_node = |pod: &Pod| !pod.spec.node_name.is_empty() || bound(&pod.metadata.uid);
        group.begun = all.iter().any(|known| !known.ended() && known.last.as_ref().is_some_and(has_node));
        // The site may have changed its mind between two of them: those whose nodes the cluster chooses go first, for
        // it and we would choose the same room. They may be over when they are looked at.
        group.begun |= all.iter().any(|known| known.ran());
        // One that ended before all of it was here broke the gang: its others are told to end.
        let size = all.iter().find_map(|known| gang_of(known.last.as_ref()?));
        group.begun || size.is_some_and(|size| group.members.len() as u64 == size)
    }
}

impl Known {
    /// It is over, and had begun.
    fn ran(&self) -> bool {
        let began = |report: &AttemptReport| matches!(report.what, ReportKind::Ended { started_at: Some(_), .. });
        matches!(&self.stage, Stage::Ended { report, .. } if began(report))
    }

    /// Its pod, where it is to run.
    fn wanted(&self) -> Option<&Pod> {
        let wanted = !self.ended() && !self.cancelled && self.doomed.is_none();
        self.last.as_ref().filter(|_| wanted)
    }

    /// The same, where it waits for us.
    fn waits(&self, bound: &impl Fn(&str) -> bool) -> Option<&Pod> {
        self.wanted().filter(|pod| for_us(pod) && !bound(&pod.metadata.uid))
    }
}

/// How many tasks the gang of a pod has; `None` for a pod that needs no other.
fn gang_of(pod: &Pod) -> Option<u64> {
    pod.metadata.annotations.get(GANG)?.parse().ok().filter(|&size| size > 1)
}
