//! The way that data takes, for the judge: Dijkstra's search, where the planners have Bellman's and Ford's.

use std::collections::{BTreeMap, BTreeSet};

use huisuan_model::CentreId;

use crate::network::model::{Link, NetworkModel};

/// Latency, price, and links of the way.
type Rank = (u128, u128, usize, Vec<usize>);

/// Ways from everywhere to everywhere.
pub(in crate::network) struct Ways<'a> {
    best: BTreeMap<(&'a CentreId, &'a CentreId), Rank>,
    links: &'a [Link],
}

/// A way.
pub(in crate::network) struct Way<'a> {
    pub(in crate::network) latency_us: u128,
    pub(in crate::network) price_per_gb: u128,
    pub(in crate::network) links: Vec<&'a Link>,
}

impl<'a> Ways<'a> {
    pub(in crate::network) fn new(model: &'a NetworkModel) -> Self {
        let mut best = BTreeMap::new();
        for centre in &model.centres {
            let from = &centre.id;
            let mut open: BTreeSet<(Rank, &CentreId)> = BTreeSet::from([((0, 0, 0, Vec::new()), from)]);
            while let Some((rank, at)) = open.pop_first() {
                if best.contains_key(&(from, at)) {
                    continue;
                }
                for (number, link) in model.links.iter().enumerate() {
                    if link.from == *at && link.bytes_per_s > 0 {
                        let (latency, price) =
                            (u128::from(link.latency_us), u128::from(link.price_per_gb.0.unsigned_abs()));
                        let links = rank.3.iter().copied().chain([number]).collect();
                        open.insert(((rank.0 + latency, rank.1 + price, rank.2 + 1, links), &link.to));
                    }
                }
                best.insert((from, at), rank);
            }
        }
        Ways { best, links: &model.links }
    }

    pub(in crate::network) fn between(&self, from: &'a CentreId, to: &'a CentreId) -> Option<Way<'a>> {
        let (latency_us, price_per_gb, _, links) = self.best.get(&(from, to))?;
        let links = links.iter().map(|&number| &self.links[number]).collect();
        Some(Way { latency_us: *latency_us, price_per_gb: *price_per_gb, links })
    }
}
