//! Which jobs of the queue are ours: by their names and, for arrays and gangs, by the lists of these.

use std::collections::{BTreeMap, BTreeSet, btree_map::Entry};

use huisuan_model::AttemptId;

use super::{
    answers::{JobState, QueuedJob},
    files::{Files, Named},
    job::{Number, SlurmJob},
    open::Doom,
    state::State,
    users::Users,
};
use crate::engine::EngineError;

/// What the queue has of ours.
#[derive(Debug, Default)]
pub(super) struct Ours {
    pub(super) jobs: BTreeMap<AttemptId, BTreeMap<SlurmJob, QueuedJob>>,
    /// Arrays of which anything is there: number, and number of the list.
    arrays: BTreeSet<(u64, u64)>,
    /// Elements that wait and are in no list, with the names that they have: they are nobody's and are to go. Not as
    /// long as others of their array are held: what is released then must not get the array's own number, see
    /// `request.rs`.
    pub(super) strange: Vec<(SlurmJob, Doom)>,
}

impl Ours {
    /// Leaves out jobs of other users than those who run the attempts that they are called after: a name is anybody's
    /// to give. Of an attempt that is not open nothing is started, so that whose job it is does not matter.
    pub(super) fn leave_out_forged(&mut self, state: &State, users: &Users) {
        for (&id, jobs) in &mut self.jobs {
            let Some(open) = state.open(id) else { continue };
            jobs.retain(|job, queued| {
                let own = users.is_of(&open.order, queued.uid);
                if !own {
                    tracing::warn!(attempt = %id, %job, uid = queued.uid, "job of another user has an attempt's name");
                }
                own
            });
        }
    }

    /// Whether the queue has the array that an element belongs to: an element that is not in it then was taken out.
    pub(super) fn have_the_rest_of(&self, job: Option<SlurmJob>) -> bool {
        matches!(job, Some(SlurmJob::Element(number, _, list)) if self.arrays.contains(&(number, list)))
    }
}

/// Finds our attempts in the queue by the names of their jobs and the lists of arrays.
pub(super) fn recognise(files: &Files, queue: &BTreeMap<Number, QueuedJob>) -> Result<Ours, EngineError> {
    let mut ours = Ours::default();
    let mut lists: BTreeMap<u64, Vec<AttemptId>> = BTreeMap::new();
    let mut held: BTreeSet<u64> = BTreeSet::new();
    for (&(number, index), queued) in queue {
        let list = match files.read_name(&queued.name) {
            Some(Named::Array(list)) => list,
            Some(Named::Gang(gang)) if index.is_none() => {
                let failed = EngineError::file("list of a gang", &files.gang(gang));
                for id in files.gang_list(gang).map_err(failed)? {
                    ours.jobs.entry(id).or_default().insert(SlurmJob::Gang { gang: number }, queued.clone());
                }
                continue;
            }
            Some(Named::Attempt(id)) if index.is_none() => {
                ours.jobs.entry(id).or_default().insert(SlurmJob::Single(number), queued.clone());
                continue;
            }
            _ => continue,
        };
        ours.arrays.insert((number, list));
        // An array that was cancelled as a whole has no elements.
        let Some(index) = index else { continue };
        let attempts = match lists.entry(list) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(new) => {
                let failed = EngineError::file("list of an array", &files.lists.path(list));
                new.insert(files.lists.read(list).map_err(failed)?)
            }
        };
        let job = SlurmJob::Element(number, index, list);
        match usize::try_from(index).ok().and_then(|index| attempts.get(index)) {
            Some(&id) => {
                if queued.state == (JobState::Pending { held: true }) {
                    held.insert(number);
                }
                ours.jobs.entry(id).or_default().insert(job, queued.clone());
            }
            None if matches!(queued.state, JobState::Pending { .. }) => {
                ours.strange.push((job, Doom { name: queued.name.clone(), while_it_waits: true, gently: false }));
            }
            None => {}
        }
    }
    ours.strange.retain(|(job, _)| !held.contains(&job.number().0));
    Ok(ours)
}
