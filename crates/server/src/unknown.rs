//! What nobody can tell: attempts at centres that are away are unknown, whatever was heard of them last.

use std::collections::BTreeMap;

use huisuan_api::jobs::AttemptView;
use huisuan_control::State;
use huisuan_model::TimeMs;

use crate::server::Shared;

impl Shared {
    /// Marks the attempts of which nothing is known, since when. They are started nowhere else.
    pub(crate) async fn mark_unknown(&self, attempts: &mut [AttemptView]) {
        let away = |network: &State| {
            let centres = network.centres().values();
            centres.filter_map(|centre| Some((centre.id.to_string(), centre.absent_since?))).collect()
        };
        let away: BTreeMap<String, TimeMs> = self.writer.look(away).await.unwrap_or_default();
        for attempt in attempts.iter_mut().filter(|attempt| matches!(&*attempt.state, "placed" | "running")) {
            if let Some(since) = away.get(&attempt.centre) {
                "unknown".clone_into(&mut attempt.state);
                attempt.unknown_since = Some((*since).into());
            }
        }
    }
}
