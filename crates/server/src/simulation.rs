//! What a server knows of a network that is played: its scenario, its pace and its centres' names.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use huisuan_api::{jobs::AttemptView, views::mark_word};
use huisuan_control::State;
use huisuan_model::{CentreId, EngineKind, Mark};

use crate::server::Shared;

/// A name in both languages of the pages.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Title {
    /// English.
    pub en: String,
    /// Simplified Chinese.
    pub zh: String,
}

/// What the pages of a simulated network say of it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Simulation {
    /// The name of the scenario; empty when it is not known.
    pub scenario: String,
    /// How many simulated seconds pass in one; 0 when it is not known.
    pub speed: u64,
    /// What people call the centres.
    pub titles: BTreeMap<CentreId, Title>,
}

impl Shared {
    /// What is known of the simulation when the engine of any centre is simulated; `None` for a real network.
    pub(crate) async fn simulation(&self) -> Option<Arc<Simulation>> {
        let played = !self.simulated_centres().await.is_empty();
        played.then(|| self.played.get().cloned().unwrap_or_default())
    }

    /// Marks what simulated centres report as modelled.
    pub(crate) async fn mark_simulated(&self, attempts: &mut [AttemptView]) {
        let simulated = self.simulated_centres().await;
        for attempt in attempts.iter_mut().filter(|attempt| simulated.contains(&attempt.centre)) {
            mark_word(Mark::Modelled).clone_into(&mut attempt.mark);
        }
    }

    /// The names of all simulated centres. A server that cannot be asked is about to end, and says so elsewhere.
    async fn simulated_centres(&self) -> BTreeSet<String> {
        let look = |network: &State| {
            let simulated = network.centres().values().filter(|centre| centre.engine == EngineKind::Simulated);
            simulated.map(|centre| centre.id.to_string()).collect()
        };
        self.writer.look(look).await.unwrap_or_default()
    }
}
