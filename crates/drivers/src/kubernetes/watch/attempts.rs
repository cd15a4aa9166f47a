//! The pods of this centre.

use std::{collections::BTreeSet, sync::atomic::Ordering};

use super::{
    super::{client::CallError, objects::Pod, pod::identity, shared::Shared},
    Subject,
};
use crate::clock::now;

/// Tells the state of them.
#[derive(Debug, Default)]
pub(in super::super) struct Attempts {
    /// The list that is under way.
    round: u64,
}

impl Subject for Attempts {
    type Object = Pod;
    const DOING: &'static str = "watching pods";

    fn path(&self, shared: &Shared) -> String {
        shared.pods_path()
    }

    fn query(&self, shared: &Shared) -> String {
        shared.selector()
    }

    fn begin(&mut self, shared: &Shared) {
        self.round = shared.state().begin_round();
    }

    fn all(&mut self, shared: &Shared, pods: Vec<Pod>) -> Result<(), CallError> {
        let mut present = BTreeSet::new();
        for pod in pods {
            present.extend(identity(&pod.metadata).map(|(id, _)| id));
            self.take(shared, pod);
        }
        let missing = shared.state().missing(self.round, &present);
        for id in missing {
            // A list may lie behind a cache; only the object itself is proof.
            match shared.find(id)? {
                Some(pod) => self.take(shared, pod),
                None => shared.state().gone(id, None, now()),
            }
        }
        shared.changed([]);
        Ok(())
    }

    fn take(&mut self, shared: &Shared, pod: Pod) {
        // Its room counts before its gang is seen to have begun, whichever watch is the first to tell of it.
        if shared.nodes_watched.load(Ordering::Relaxed) {
            shared.binding.told(&pod);
        }
        let errand = shared.state().take(pod, now(), shared.patience());
        shared.changed(errand);
    }

    fn gone(&mut self, shared: &Shared, pod: Pod) {
        if let Some((id, _)) = identity(&pod.metadata) {
            shared.binding.forget(&pod);
            shared.state().gone(id, Some(&pod), now());
            shared.changed([]);
        }
    }
}
