//! Lets held jobs run.

use std::{collections::BTreeMap, sync::Arc};

use huisuan_model::{AttemptId, RangeSet};

use super::{client::first_line, job::Number, open::Phase, shared::Shared, submit::IDS_MAX, users::User};
use crate::failpoint;

/// So many attempts are released at once: their indices must fit into the words of one call.
const ELEMENTS_MAX: usize = 10_000;

type Held = Vec<(AttemptId, Number)>;

/// Lets all that are held run, each user's by itself. Doing so twice is harmless, so an error needs no care: the queue
/// will show who is still held.
pub(super) fn release(shared: &Shared) {
    let mut users: BTreeMap<Option<u32>, (Option<Arc<User>>, Held)> = BTreeMap::new();
    {
        let state = shared.lock();
        let jobs = state.held.iter().filter_map(|&id| {
            let open = state.open(id)?;
            // Whose tenant has no user any more stays held: nobody may let it run.
            Some((shared.users.of(&open.order).ok()?, id, open.job?.number()))
        });
        for (user, id, number) in jobs.take(ELEMENTS_MAX) {
            let held = users.entry(user.as_ref().map(|user| user.uid)).or_insert((user, Held::new()));
            held.1.push((id, number));
        }
    }
    for (user, held) in users.into_values() {
        release_of(shared, user.as_deref(), held);
    }
}

fn release_of(shared: &Shared, user: Option<&User>, held: Held) {
    let words = words(held.iter().map(|&(_, number)| number));
    let (now, later) = words.split_at(IDS_MAX.min(words.len()));
    if now.is_empty() {
        return;
    }
    failpoint::reach("slurm-before-release");
    let arguments: Vec<&str> = ["release"].into_iter().chain(now.iter().map(|(_, word)| word.as_str())).collect();
    let answer = shared.client.call_as(user, "scontrol", &arguments);
    if !answer.success {
        tracing::warn!(why = first_line(&answer.stderr), "jobs may not be released, the queue will tell");
    }
    failpoint::reach("slurm-after-release");
    let mut state = shared.lock();
    for (id, (number, _)) in held {
        if later.iter().any(|(late, _)| *late == number) {
            continue;
        }
        state.held.remove(&id);
        if let Some(open) = state.open_mut(id).filter(|open| open.phase == Phase::Held) {
            open.phase = Phase::Released;
        }
    }
}

/// What `scontrol release` is told, by the number of the job or array: `70`, or `70_[0-3,7]`. Elements are named, for
/// the array has one more that never runs, see [`super::request`]. What comes first here gets the higher priority,
/// whatever the numbers are that calls of `sbatch` got which ran at the same time.
fn words(held: impl Iterator<Item = Number>) -> Vec<(u64, String)> {
    let mut places: BTreeMap<u64, usize> = BTreeMap::new();
    let mut jobs: Vec<(u64, Vec<u32>)> = Vec::new();
    for (number, index) in held {
        let place = *places.entry(number).or_insert(jobs.len());
        if place == jobs.len() {
            jobs.push((number, Vec::new()));
        }
        jobs[place].1.extend(index);
    }
    let word = |(number, indices): (u64, Vec<u32>)| match indices.into_iter().collect::<RangeSet>() {
        none if none.is_empty() => (number, number.to_string()),
        indices => (number, format!("{number}_[{indices}]")),
    };
    jobs.into_iter().map(word).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_are_named_and_the_order_is_kept() {
        let held = [(8, None), (7, Some(3)), (7, Some(0)), (9, Some(5)), (7, Some(1)), (6, None)];
        let words: Vec<String> = words(held.into_iter()).into_iter().map(|(_, word)| word).collect();
        assert_eq!(words, ["8", "7_[0-1,3]", "9_[5]", "6"]);
    }
}
