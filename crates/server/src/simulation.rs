//! What a server knows of a network that is played: its scenario, its pace and its centres' names.

use std::{collections::BTreeMap, sync::Arc};

use huisuan_model::{CentreId, EngineKind};

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
        let played = self
            .writer
            .look(|network| network.centres().values().any(|centre| centre.engine == EngineKind::Simulated))
            .await;
        // A server that cannot be asked is about to end, and says so in the page itself.
        played.unwrap_or(false).then(|| self.played.get().cloned().unwrap_or_default())
    }
}
