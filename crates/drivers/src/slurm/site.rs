//! What the site announces and keeps to: reservations, qualities of service. They are asked for rarely; what follows from
//! them is in the inventory.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::PoisonError,
    time::{Duration, Instant},
};

use huisuan_model::{PoolId, SiteReservation, TimeMs, site::LINES_MAX};

use super::{
    answers::{
        ASSOCIATION_FORMAT, Node, QOS_FORMAT, Reservation, read_associations, read_qos, read_reservations,
        read_settings,
    },
    limits::Limits,
    shared::Shared,
    state::State,
    users::own_name,
};
use crate::engine::{Alarm, Closed, EngineError};

/// The subject of the alarm when they cannot be read, and of that of our own.
const RESERVATIONS: &str = "reservations";

/// The subject of the alarm when qualities of service cannot be read.
const QOS: &str = "qos";

/// What was read last.
#[derive(Debug, Default)]
pub(super) struct Site {
    pub(super) reservations: Vec<Reservation>,
    pub(super) limits: Limits,
    /// Whether they were ever read.
    known: bool,
}

/// Asks when it is time; who comes meanwhile waits for the answer. What cannot be read changes nothing of what is known,
/// and is an alarm.
pub(super) fn refresh_when_due(shared: &Shared) {
    let mut asked = shared.site_asked.lock().unwrap_or_else(PoisonError::into_inner);
    let interval = Duration::from_millis(shared.config.site_interval_ms);
    if asked.is_some_and(|asked| asked.elapsed() < interval) {
        return;
    }
    let reservations = reservations(shared);
    let limits = limits(shared);
    let mut state = shared.lock();
    if let Some(reservations) = told(&mut state, RESERVATIONS, reservations) {
        state.site.note(reservations);
    }
    if let Some(limits) = told(&mut state, QOS, limits) {
        state.site.limits = limits;
    }
    drop(state);
    *asked = Some(Instant::now());
}

fn told<T>(state: &mut State, subject: &str, asked: Result<T, EngineError>) -> Option<T> {
    match asked {
        Ok(told) => {
            state.alarms.remove(subject);
            Some(told)
        }
        Err(error) => {
            tracing::warn!(%error, subject, "what the site keeps to is not known");
            state.alarms.insert(subject.to_owned(), error.to_string());
            None
        }
    }
}

/// Nothing where the site keeps no accounts: then there are none.
fn limits(shared: &Shared) -> Result<Limits, EngineError> {
    if !shared.config.accounting {
        return Ok(Limits::default());
    }
    let wrong = |program| move |what| EngineError::Program { program, what };
    let ask = |what: &[&str]| shared.client.ask("sacctmgr", &[&["--noheader", "--parsable2", "show"], what].concat());
    let settings = shared.client.ask("scontrol", &["show", "config"])?;
    let settings = read_settings(&settings).map_err(wrong("scontrol"))?;
    let qos = read_qos(&ask(&["qos", QOS_FORMAT])?).map_err(wrong("sacctmgr"))?;
    let own = own_name().map_err(wrong("id"))?;
    let users = match shared.users.some() {
        true => shared.users.all().into_values().map(|user| user.name.clone()).collect(),
        false => vec![own.clone()],
    };
    let whose = [format!("cluster={}", settings.cluster), format!("user={}", users.join(","))];
    let associations = ask(&["associations", &whose[0], &whose[1], ASSOCIATION_FORMAT])?;
    let associations = read_associations(&associations).map_err(wrong("sacctmgr"))?;
    Ok(Limits { own, settings: Some(settings), qos, associations })
}

fn reservations(shared: &Shared) -> Result<Vec<Reservation>, EngineError> {
    let text = shared.client.ask("scontrol", &["--oneliner", "show", "reservation"])?;
    read_reservations(&text).map_err(|what| EngineError::Program { program: "scontrol", what })
}

impl Site {
    /// These are all.
    pub(super) fn note(&mut self, reservations: Vec<Reservation>) {
        (self.reservations, self.known) = (reservations, true);
    }

    pub(super) fn reservation(&self, name: &str) -> Option<&Reservation> {
        self.reservations.iter().find(|one| one.name == name)
    }

    /// Our jobs run in this reservation, and wait while it is not on.
    pub(super) fn alarm_of_own(&self, name: &str, now: TimeMs) -> Option<Alarm> {
        let is = match self.reservation(name) {
            _ if !self.known => return None,
            None => "is not there".to_owned(),
            Some(own) if own.until <= now => "is over".to_owned(),
            Some(own) if now < own.from => format!("begins in {} minutes", own.from.since(now).0.div_ceil(60_000)),
            Some(_) => return None,
        };
        let what = format!("{is}, and jobs here run in it alone; hint: scontrol show reservation {name}");
        Some(Alarm { subject: format!("reservation {name}"), what })
    }
}

impl Reservation {
    /// Whether it has a node at a moment.
    pub(super) fn has_at(&self, node: &str, now: TimeMs) -> bool {
        self.from <= now && now < self.until && self.nodes.contains(node)
    }

    /// Whether it takes its nodes as a whole; not where it has fewer processors than those of them that are known.
    pub(super) fn takes_nodes(&self, known: &BTreeMap<&str, &Node>) -> bool {
        let all = self.nodes.iter().filter_map(|name| known.get(name.as_str())).map(|node| node.cpus).sum::<u64>();
        self.cpus.is_none_or(|cpus| cpus >= all)
    }
}

/// What reservations of others close, and what is told of all of them. A pool is closed by one that has all of its
/// nodes; of the others the network hears as pools that are smaller while they are on.
pub(super) fn ahead(
    others: &[&Reservation],
    own: Option<&Reservation>,
    known: &BTreeMap<&str, &Node>,
    pools: &BTreeMap<PoolId, BTreeSet<&str>>,
    now: TimeMs,
) -> (Vec<Closed>, Vec<SiteReservation>) {
    let (mut closed, mut told) = (Vec::new(), Vec::new());
    for one in others.iter().copied().chain(own).filter(|one| one.until > now) {
        let nodes = known.keys().filter(|name| one.nodes.contains(**name)).count() as u64;
        if nodes == 0 {
            continue;
        }
        let ours = own.is_some_and(|own| own.name == one.name);
        let takes = |nodes: &BTreeSet<&str>| nodes.iter().all(|name| one.nodes.contains(*name));
        let whole = one.takes_nodes(known);
        let taken: Vec<PoolId> =
            pools.iter().filter(|(_, nodes)| whole && takes(nodes)).map(|(id, _)| id.clone()).collect();
        if !ours {
            let what = if one.maintenance { "maintenance" } else { "reservation" };
            let span = |pool| Closed { from: one.from, until: one.until, pool, why: format!("{what} {}", one.name) };
            match taken.len() == pools.len() {
                true => closed.extend((!pools.is_empty()).then(|| span(None))),
                false => closed.extend(taken.iter().cloned().map(Some).map(span)),
            }
        }
        let Reservation { name, maintenance, from, until, .. } = one.clone();
        told.push(SiteReservation { name, maintenance, ours, from, until, nodes, pools: taken });
    }
    closed.sort();
    told.sort_by(|a, b| (a.from, &a.name).cmp(&(b.from, &b.name)));
    told.truncate(LINES_MAX);
    (closed, told)
}
