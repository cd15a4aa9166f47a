//! How bandwidth is shared: max-min fair by progressive filling (Bertsekas, Gallager: "Data Networks", 1992, 6.5.2).

use std::collections::BTreeMap;

use super::transfers::Route;

/// What is left of a line while shares are given out.
struct Left {
    rate: u128,
    transfers: u128,
}

/// Gives each transfer on the `active` routes the same rate wherever its lines allow: nobody's share can be raised but
/// at the cost of one that has no more. All transfers of a route have the same share, so that the cost grows with the
/// routes in use and their lines, not with what is under way on them. Shares are rounded down: what all of a line
/// have together never passes what it carries.
pub(super) fn share(lines: &[u128], routes: &mut [Route], active: &[usize]) {
    let mut left: BTreeMap<usize, Left> = BTreeMap::new();
    for &route in active {
        for &line in &routes[route].lines {
            let left = left.entry(line).or_insert(Left { rate: lines[line], transfers: 0 });
            left.transfers += routes[route].under_way();
        }
    }
    let mut open = active.to_vec();
    while !open.is_empty() {
        let shares = left.iter().filter(|(_, left)| left.transfers > 0);
        let tightest = shares.map(|(&line, left)| (left.rate / left.transfers, line)).min();
        let (rate, tight) = tightest.expect("a route with transfers has a line");
        open.retain(|&route| {
            let route = &mut routes[route];
            if !route.lines.contains(&tight) {
                return true;
            }
            route.rate = rate;
            let transfers = route.under_way();
            for line in &route.lines {
                let left = left.get_mut(line).expect("all lines of an active route are known");
                left.rate -= rate * transfers;
                left.transfers -= transfers;
            }
            false
        });
    }
}
