//! Whose turn it is, and where to: pods without a node in the order in which they came, each on the fullest node that
//! takes it, a gang on the fewest nodes and only as a whole. Pure; the same line and nodes give the same answer.

use std::{cmp::Reverse, collections::BTreeMap};

use huisuan_model::{AttemptId, DurationMs, TimeMs};

use super::{
    super::{
        objects::{Expression, Term},
        state::PodReference,
    },
    Amounts,
};

/// For so long younger pods may pass one that finds no room; then the nodes that suit it are kept for it.
const PASSED_MAX: DurationMs = DurationMs(600_000);

/// A pod without a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in super::super) struct Waits {
    pub(in super::super) id: AttemptId,
    pub(in super::super) pod: PodReference,
    pub(in super::super) wants: Amounts,
    /// Any of them is enough; anywhere when there is none.
    pub(in super::super) terms: Vec<Term>,
}

/// Pods that get their nodes together: one, or what is left of a gang.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in super::super) struct Group {
    pub(in super::super) members: Vec<Waits>,
    /// When the last of them came.
    pub(in super::super) since: TimeMs,
    /// Some of the gang have nodes: an agent died between two bindings.
    pub(in super::super) begun: bool,
}

/// A node that takes work.
#[derive(Debug, Clone)]
pub(super) struct Place<'a> {
    pub(super) labels: &'a BTreeMap<String, String>,
    /// What nobody holds.
    pub(super) free: Amounts,
    /// What would be free if nothing of this centre were there.
    pub(super) without_ours: Amounts,
    /// It is kept for somebody further ahead in the line.
    pub(super) kept: bool,
}

/// One of the two.
#[derive(Debug, Clone, Copy)]
enum Room {
    Free,
    WithoutOurs,
}

impl Place<'_> {
    /// What may be given of it.
    fn room(&self, room: Room) -> Option<&Amounts> {
        match room {
            Room::Free => (!self.kept).then_some(&self.free),
            Room::WithoutOurs => Some(&self.without_ours),
        }
    }

    fn room_mut(&mut self, room: Room) -> &mut Amounts {
        match room {
            Room::Free => &mut self.free,
            Room::WithoutOurs => &mut self.without_ours,
        }
    }
}

/// Which pods go where.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Chosen {
    /// Pods and their nodes.
    pub(super) bindings: Vec<(Waits, String)>,
    /// Who would find no room if nothing else of this centre ran.
    pub(super) stuck: Vec<AttemptId>,
}

/// A group that found no room.
struct Failed {
    wants: Amounts,
    terms: Vec<Term>,
    count: usize,
    /// It would find none if nothing else of this centre ran.
    stuck: bool,
}

/// Gives nodes to those whose turn it is.
pub(super) fn choose(mut line: Vec<Group>, mut places: BTreeMap<String, Place<'_>>, now: TimeMs) -> Chosen {
    line.retain(|group| !group.members.is_empty());
    line.sort_by_key(|group| (!group.begun, group.since, group.members[0].id));
    let mut chosen = Chosen::default();
    // What found no room finds none later in the same pass, and no more of it does: room only shrinks.
    let mut failed: Vec<Failed> = Vec::new();
    for group in line {
        let (first, count) = (&group.members[0], group.members.len());
        let alike = || failed.iter().filter(|one| one.wants == first.wants && one.terms == first.terms);
        if alike().any(|one| one.count <= count && one.stuck) {
            continue;
        }
        let no_room = alike().any(|one| one.count <= count);
        let could_fit = alike().any(|one| one.count >= count && !one.stuck);
        if no_room && could_fit {
            continue;
        }
        if !no_room && let Some(nodes) = fit(&group.members, &mut places, Room::Free) {
            chosen.bindings.extend(group.members.into_iter().zip(nodes));
            continue;
        }
        let stuck = !could_fit && fit(&group.members, &mut places.clone(), Room::WithoutOurs).is_none();
        failed.push(Failed { wants: first.wants.clone(), terms: first.terms.clone(), count, stuck });
        if stuck {
            chosen.stuck.push(first.id);
        } else if group.begun || now.since(group.since) >= PASSED_MAX {
            let suits = |place: &Place<'_>| group.members.iter().any(|one| suits(place.labels, &one.terms));
            places.values_mut().filter(|place| suits(place)).for_each(|place| place.kept = true);
        }
    }
    chosen
}

/// The nodes of all members, in their order, taken from `room`; nothing is taken where not all find one.
fn fit(members: &[Waits], places: &mut BTreeMap<String, Place<'_>>, room: Room) -> Option<Vec<String>> {
    let mut nodes: Vec<String> = Vec::with_capacity(members.len());
    let mut before: BTreeMap<String, Amounts> = BTreeMap::new();
    while let Some(first) = members.get(nodes.len()) {
        let alike = |one: &&Waits| one.wants == first.wants && one.terms == first.terms;
        let count = members[nodes.len()..].iter().take_while(alike).count() as u64;
        let mut best = None;
        for (name, place) in places.iter().filter(|(_, place)| suits(place.labels, &first.terms)) {
            let Some(free) = place.room(room) else { continue };
            let times = free.times(&first.wants).min(count);
            if times > 0 {
                let rank = (Reverse(times), free.spare(), name);
                best = best.filter(|best| *best <= rank).or(Some(rank));
            }
        }
        let Some((Reverse(times), _, name)) = best.map(|(times, spare, name)| (times, spare, name.clone())) else {
            for (name, amounts) in before {
                *places.get_mut(&name).expect("it was chosen among them").room_mut(room) = amounts;
            }
            return None;
        };
        let free = places.get_mut(&name).expect("it was chosen among them").room_mut(room);
        before.entry(name.clone()).or_insert_with(|| free.clone());
        for _ in 0..times {
            free.subtract(&first.wants);
            nodes.push(name.clone());
        }
    }
    Some(nodes)
}

/// Whether a node has the labels that any of the terms asks for.
fn suits(labels: &BTreeMap<String, String>, terms: &[Term]) -> bool {
    let holds = |expression: &Expression| {
        let label = labels.get(&expression.key);
        match expression.operator.as_str() {
            "In" => label.is_some_and(|label| expression.values.contains(label)),
            "DoesNotExist" => label.is_none(),
            _ => false,
        }
    };
    terms.is_empty() || terms.iter().any(|term| term.match_expressions.iter().all(holds))
}

#[cfg(test)]
mod tests;
