//! What nobody can tell: attempts at centres that are away are unknown, whatever was heard of them last.

use std::collections::BTreeMap;

use huisuan_api::jobs::AttemptView;
use huisuan_control::State;
use huisuan_model::TimeMs;

use crate::server::Shared;

impl Shared {
    /// Marks the attempts of which nothing is known, since when. They are started nowhere else.
    pub(crate) async fn mark_unknown(&self, attempts: &mut [AttemptView]) {
        // A server that cannot be asked is about to end, and says so elsewhere.
        let away = self.writer.look(away).await.unwrap_or_default();
        attempts.iter_mut().for_each(|attempt| mark(attempt, &away));
    }
}

/// The centres that are away, since when.
fn away(network: &State) -> BTreeMap<String, TimeMs> {
    let centres = network.centres().values();
    centres.filter_map(|centre| Some((centre.id.to_string(), centre.absent_since?))).collect()
}

fn mark(attempt: &mut AttemptView, away: &BTreeMap<String, TimeMs>) {
    let open = matches!(&*attempt.state, "placed" | "running");
    if let Some(since) = away.get(&attempt.centre).filter(|_| open) {
        "unknown".clone_into(&mut attempt.state);
        attempt.unknown_since = Some((*since).into());
    }
}

#[cfg(test)]
mod tests {
    use huisuan_model::{
        Attempt, AttemptId, AttemptState, CentreId, Class, Gflop, GflopPerS, JobId, MilliDevices, Millicores, Money,
        PoolId, RatedShare, Tariff, Terms, Usage,
    };

    use super::*;

    fn attempt(state: AttemptState) -> AttemptView {
        let share = RatedShare { class: Class::Hpc, version: 1, sustained: GflopPerS(1), part: 1, whole: 1 };
        let tariff = Tariff { currency: "CNY".into(), price_per_p_h: Money::ZERO };
        AttemptView::new(&Attempt {
            id: AttemptId { job: JobId(1), task: 0, attempt: 1 },
            centre: CentreId::new("hpc-1").expect("a name"),
            pool: PoolId::new("cpu").expect("a name"),
            cores: Millicores(1000),
            devices: MilliDevices::ZERO,
            state,
            order_seq: 1,
            placed_at: TimeMs(0),
            started_at: None,
            ended_at: None,
            stop_seq: None,
            preempted_by: None,
            outcome: None,
            terms: Terms { share, tariff, mark: huisuan_model::Mark::Measured },
            usage: Usage::default(),
            work: Gflop::ZERO,
            hold: Money::ZERO,
            cost: Money::ZERO,
            score: Vec::new(),
            band: None,
            node: None,
            metered: None,
            oddities: Vec::new(),
        })
    }

    #[test]
    fn only_what_is_open_at_a_centre_that_is_away_is_unknown() {
        let check = |state: AttemptState, away: &str, expected: &str| {
            let mut view = attempt(state);
            mark(&mut view, &BTreeMap::from([(away.to_owned(), TimeMs(7_000))]));
            let since = (expected == "unknown").then(|| TimeMs(7_000).into());
            assert_eq!((&*view.state, view.unknown_since), (expected, since), "{state:?} {away}");
        };
        check(AttemptState::Running, "hpc-1", "unknown");
        check(AttemptState::Placed, "hpc-1", "unknown");
        check(AttemptState::Running, "ai-1", "running");
        check(AttemptState::Succeeded, "hpc-1", "succeeded");
        check(AttemptState::Failed, "hpc-1", "failed");
    }
}
