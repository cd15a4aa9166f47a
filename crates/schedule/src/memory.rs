//! What a planner remembers from one cycle to the next: where the shapes that waited lately can run, and what it costs
//! there. Centres change once in a while and cycles are made every second, so that most of them would find the same
//! again. It is no part of the state: a plan made with it equals one made from nothing (`tests/memory.rs`).

use std::sync::Arc;

use huisuan_model::{Shape, Targets};

use crate::{
    policy::{Policy, Weights},
    reach::{Traffic, Ways},
    snapshot::{Agreed, Amounts, CentreView, ShapeView, Snapshot},
    translate::{Places, asked},
};

/// The most kinds of shapes that are remembered. When there are more, all are found anew.
const KINDS_MAX: usize = 4_096;

/// Of one planner, for one network.
#[derive(Debug, Clone, Default)]
pub struct Memory {
    ground: Option<Ground>,
    /// In the order of what is asked and what was agreed on; who asks does not matter.
    known: Vec<(Shape, Vec<Agreed>, Arc<Places>)>,
    /// What is under way, which says how long data takes: what shapes that read some cost depends on it.
    traffic: Arc<Traffic>,
}

/// All that places depend on besides the shape.
#[derive(Debug, Clone)]
struct Ground {
    policy: Policy,
    /// Without what is used of them.
    centres: Vec<CentreView>,
    ways: Option<Arc<Ways>>,
    targets: Option<Arc<Targets>>,
}

impl Ground {
    fn of(snapshot: &Snapshot, policy: &Policy) -> Self {
        let mut centres = snapshot.centres.clone();
        for pool in centres.iter_mut().flat_map(|centre| &mut centre.pools) {
            (pool.used, pool.long) = (Amounts::default(), Amounts::default());
            // Kept, it would have to be copied before it changes.
            (pool.holdings, pool.nodes, pool.reserved) = (Arc::default(), None, Vec::new());
            pool.node_ends = Vec::new();
        }
        let (ways, targets) = (snapshot.ways.clone(), snapshot.targets.clone());
        Ground { policy: policy.clone(), centres, ways, targets }
    }

    fn holds(&self, snapshot: &Snapshot, policy: &Policy) -> bool {
        let Ground { policy: known, centres, ways, targets } = self;
        same(ways.as_ref(), snapshot.ways.as_ref())
            && same(targets.as_ref(), snapshot.targets.as_ref())
            && known == policy
            && centres.len() == snapshot.centres.len()
            && centres.iter().zip(&snapshot.centres).all(|(known, view)| same_centre(known, view))
    }
}

/// Whether both are one and the same, or none.
fn same<T>(one: Option<&Arc<T>>, other: Option<&Arc<T>>) -> bool {
    match (one, other) {
        (Some(one), Some(other)) => Arc::ptr_eq(one, other),
        (one, other) => one.is_none() && other.is_none(),
    }
}

fn same_centre(known: &CentreView, view: &CentreView) -> bool {
    let CentreView { id, class, active, tariff, pools, absent, closed, place, facts, opaque } = known;
    (id, class, active, absent, place) == (&view.id, &view.class, &view.active, &view.absent, &view.place)
        && same(facts.as_ref(), view.facts.as_ref())
        && (tariff, closed, opaque.is_some()) == (&view.tariff, &view.closed, view.opaque.is_some())
        && pools.len() == view.pools.len()
        && pools.iter().zip(&view.pools).all(|(known, view)| known.pool == view.pool)
}

fn reads(shape: &Shape) -> bool {
    shape.reach.as_ref().is_some_and(|reach| !reach.reads.is_empty())
}

impl Memory {
    /// Forgets what no longer holds.
    pub(crate) fn look(&mut self, snapshot: &Snapshot, policy: &Policy) {
        let holds = self.ground.as_ref().is_some_and(|ground| ground.holds(snapshot, policy));
        if !holds || self.known.len() >= KINDS_MAX {
            self.known.clear();
            self.ground = Some(Ground::of(snapshot, policy));
        }
        if self.traffic != snapshot.traffic {
            self.known.retain(|(shape, ..)| !reads(shape));
            self.traffic = snapshot.traffic.clone();
        }
    }

    /// The places of a shape with these weights, found by `find` where they are not known or change with time.
    pub(crate) fn places(&mut self, view: &ShapeView, weights: &Weights, find: impl FnOnce() -> Places) -> Arc<Places> {
        let shape = &view.shape;
        // Windows come and go, and how soon an opaque centre starts work changes with all that it has.
        let changes = |centre: &CentreView| !centre.closed.is_empty() || centre.opaque.is_some();
        let changing = self.ground.iter().flat_map(|ground| &ground.centres).any(changes);
        if changing || shape.reservation.is_some() || weights.energy != 0 || weights.carbon != 0 {
            return Arc::new(find());
        }
        let wanted = (asked(shape), &view.agreed);
        match self.known.binary_search_by(|(known, agreed, _)| (asked(known), agreed).cmp(&wanted)) {
            Ok(at) => self.known[at].2.clone(),
            Err(at) => {
                let places = Arc::new(find());
                self.known.insert(at, (shape.clone(), view.agreed.clone(), places.clone()));
                places
            }
        }
    }
}
