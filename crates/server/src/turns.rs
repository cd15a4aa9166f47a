//! Whose turn it is to correct readings of a centre: what is corrected is read from what the turn before has committed.
//! An attempt is of one centre, so that centres do not wait for each other.

use std::{
    collections::BTreeMap,
    sync::{Arc, PoisonError},
};

use huisuan_model::CentreId;
use tokio::sync::{Mutex, OwnedMutexGuard};

/// A queue for each centre.
#[derive(Debug, Default)]
pub(crate) struct Turns {
    centres: std::sync::Mutex<BTreeMap<CentreId, Arc<Mutex<()>>>>,
}

impl Turns {
    /// Waits for the turn at a centre that is known; it lasts until the guard is dropped.
    pub(crate) async fn turn(&self, centre: &CentreId) -> OwnedMutexGuard<()> {
        let queue = {
            let mut centres = self.centres.lock().unwrap_or_else(PoisonError::into_inner);
            centres.entry(centre.clone()).or_default().clone()
        };
        queue.lock_owned().await
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    #[tokio::test]
    async fn one_centre_waits_for_itself_alone() {
        let (turns, [one, other]) = (Turns::default(), ["a", "b"].map(|name| CentreId::new(name).expect("a name")));
        let first = turns.turn(&one).await;
        assert!(turns.turn(&one).now_or_never().is_none(), "its turn is taken");
        assert!(turns.turn(&other).now_or_never().is_some(), "another centre has its own");
        drop(first);
        assert!(turns.turn(&one).now_or_never().is_some(), "it is over");
    }
}
