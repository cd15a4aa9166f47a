//! The best plan of a small network, by trying everything. Places are those of the judge, not of the planners.

use std::collections::BTreeMap;

use crate::network::{
    NetworkModel, Scarce,
    check::{place, way::Ways},
};

/// One place of a class: value of a task and what it takes.
type Place = (i64, Vec<(usize, u128)>);

/// What the best plan is worth, in millionths.
pub(super) fn best_value(model: &NetworkModel) -> i128 {
    let ways = Ways::new(model);
    let mut rows: BTreeMap<Scarce, usize> = BTreeMap::new();
    let mut room: Vec<u128> = Vec::new();
    let mut classes: Vec<(u64, Vec<Place>)> = Vec::new();
    for work in &model.classes {
        let mut places = Vec::new();
        for centre in &model.centres {
            for pool in &centre.pools {
                for slot in 0..model.slots {
                    let Ok(judged) = place::judge(model, &ways, work, centre, pool, slot) else {
                        continue;
                    };
                    let mut takes = Vec::new();
                    for (of, units) in judged.takes {
                        let next = rows.len();
                        let row = *rows.entry(of.clone()).or_insert(next);
                        if row == room.len() {
                            room.push(place::room(model, &of).expect("what is taken is limited"));
                        }
                        takes.push((row, units));
                    }
                    places.push((judged.value, takes));
                }
            }
        }
        // The most valuable first, so that the first plan tried is a good one.
        places.sort_by_key(|place| -place.0);
        classes.push((work.tasks, places));
    }
    // What all classes from one on could be worth if there were room for all of them.
    let mut hope = vec![0; classes.len() + 1];
    for (at, (tasks, places)) in classes.iter().enumerate().rev() {
        hope[at] = hope[at + 1] + i128::from(*tasks) * i128::from(places.first().map_or(0, |place| place.0));
    }
    let mut search = Search { classes: &classes, hope: &hope, room, best: 0 };
    let first = classes.first().map_or(0, |class| class.0);
    search.step(0, 0, first, 0);
    search.best
}

struct Search<'a> {
    classes: &'a [(u64, Vec<Place>)],
    hope: &'a [i128],
    room: Vec<u128>,
    best: i128,
}

impl Search<'_> {
    /// Tries every number of tasks of a class at its place `at`, `left` of them being left, with `value` so far.
    fn step(&mut self, class: usize, at: usize, left: u64, value: i128) {
        let Some((_, places)) = self.classes.get(class) else {
            self.best = self.best.max(value);
            return;
        };
        let Some((each, takes)) = places.get(at) else {
            let tasks = self.classes.get(class + 1).map_or(0, |class| class.0);
            return self.step(class + 1, 0, tasks, value);
        };
        if value + i128::from(left) * i128::from(*each) + self.hope[class + 1] <= self.best {
            return;
        }
        let most = takes.iter().map(|&(row, units)| self.room[row] / units).min().unwrap_or(u128::MAX);
        let most = u64::try_from(most).unwrap_or(u64::MAX).min(left);
        for count in (0..=most).rev() {
            for &(row, units) in takes {
                self.room[row] -= units * u128::from(count);
            }
            self.step(class, at + 1, left - count, value + i128::from(count) * i128::from(*each));
            for &(row, units) in takes {
                self.room[row] += units * u128::from(count);
            }
        }
    }
}
