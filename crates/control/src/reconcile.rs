//! Compares what a centre's engine holds with what the books say that it has.

use std::collections::BTreeSet;

use huisuan_model::{AttemptId, AttemptState, CentreId};

use crate::State;

/// Where a centre and the books differ.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Differences {
    /// Held there, and no live attempt of this network. Whether it has ended or never was, the rows tell.
    pub not_live: Vec<AttemptId>,
    /// Held there, and given to another centre.
    pub foreign: Vec<(AttemptId, CentreId)>,
    /// Said to run there, and not held. What is only ordered is ordered again by the next hello.
    pub missing: Vec<AttemptId>,
}

impl State {
    /// The differences of one centre. `held` are its attempts that have not ended, waiting ones included.
    pub fn differences(&self, centre: &CentreId, held: &BTreeSet<AttemptId>) -> Differences {
        let mut differences = Differences::default();
        for id in held {
            match self.attempts.get(id) {
                None => differences.not_live.push(*id),
                Some(attempt) if attempt.centre != *centre => differences.foreign.push((*id, attempt.centre.clone())),
                Some(_) => {}
            }
        }
        let runs = self.attempts.values().filter(|attempt| attempt.centre == *centre);
        let runs = runs.filter(|attempt| attempt.state == AttemptState::Running);
        differences.missing = runs.map(|attempt| attempt.id).filter(|id| !held.contains(id)).collect();
        differences
    }
}
