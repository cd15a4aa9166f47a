//! The way between two centres: of least latency, then cheapest, then of fewest links.

use crate::network::model::Link;

/// The way from one centre to another.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Route {
    /// Of one way, in microseconds.
    pub(super) latency_us: u64,
    /// What 10^9 bytes cost over all its links, in millionths.
    pub(super) price_per_gb: i64,
    /// Links in order of travel.
    pub(super) links: Vec<u32>,
    /// Of the thinnest link; `u64::MAX` for the way from a centre to itself.
    pub(super) bytes_per_s: u64,
}

/// Ways from every centre to every other, `routes[from][to]`. `ends` are the centres of each link.
pub(super) fn routes(centres: usize, links: &[Link], ends: &[(usize, usize)]) -> Vec<Vec<Option<Route>>> {
    (0..centres).map(|from| routes_from(from, centres, links, ends)).collect()
}

/// Bellman and Ford: a network has dozens of centres, and all links that a pass changes are few.
fn routes_from(from: usize, centres: usize, links: &[Link], ends: &[(usize, usize)]) -> Vec<Option<Route>> {
    let mut found: Vec<Option<Route>> = vec![None; centres];
    found[from] = Some(Route { bytes_per_s: u64::MAX, ..Route::default() });
    for _ in 0..centres {
        let mut changed = false;
        for (number, (link, &(tail, head))) in links.iter().zip(ends).enumerate() {
            let Some(way) = found[tail].as_ref().filter(|_| link.bytes_per_s > 0) else {
                continue;
            };
            let mut longer = Route {
                latency_us: way.latency_us + link.latency_us,
                price_per_gb: way.price_per_gb + link.price_per_gb.0,
                links: way.links.clone(),
                bytes_per_s: way.bytes_per_s.min(link.bytes_per_s),
            };
            longer.links.push(u32::try_from(number).expect("links are counted in 32 bits"));
            if found[head].as_ref().is_none_or(|known| rank(&longer) < rank(known)) {
                found[head] = Some(longer);
                changed = true;
            }
        }
        if !changed {
            break;
        }
    }
    found
}

fn rank(route: &Route) -> (u64, i64, usize, &[u32]) {
    (route.latency_us, route.price_per_gb, route.links.len(), &route.links)
}
