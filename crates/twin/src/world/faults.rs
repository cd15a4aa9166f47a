//! What goes wrong, and what agents and the operator then tell the network.

use huisuan_model::{CentreId, CentreState, Command, DurationMs, Pool, PoolId, Rating, TimeMs, quantity::GflopPerS};

use super::{Observer, World, happening::Happening, site::VirtualCentre};
use crate::setup::{Fault, Span};

/// What happens first for each fault.
pub(super) fn first(index: usize, fault: &Fault) -> Option<(TimeMs, Happening)> {
    let number = u32::try_from(index).expect("less than 2^32 faults");
    match fault {
        Fault::Nodes { .. } => None,
        Fault::Outage { span, .. } | Fault::Maintenance { span, .. } | Fault::LinkLoss { span, .. } => {
            Some((span.from, Happening::Fault(number)))
        }
    }
}

impl<O: Observer> World<O> {
    /// A fault begins, or one more node of a pool fails.
    pub(super) fn fault(&mut self, number: u32, now: TimeMs) {
        let Some(fault) = self.setup.faults.get(number as usize).cloned() else { return };
        match &fault {
            Fault::Nodes { centre, pool, nodes, repair_ms, .. } => {
                let place = self.places[centre];
                let mut stream = self.fault_streams[number as usize].clone();
                self.at(place, |site, later| site.lose_node(pool, *nodes, &mut stream, now, later));
                self.fault_streams[number as usize] = stream;
                self.tell_inventory(centre, now);
                self.schedule(now.after(DurationMs(*repair_ms)), Happening::Mend(number));
                self.next_node_failure(number, now);
            }
            Fault::Outage { centre, span, noticed_after_ms } => {
                let place = self.places[centre];
                self.at(place, |site, later| {
                    site.unlinked += 1;
                    site.lose_all(now, later);
                });
                self.schedule(now.after(DurationMs(*noticed_after_ms)).min(span.until), Happening::Notice(number));
                self.schedule(span.until, Happening::Mend(number));
            }
            Fault::Maintenance { centre, span } => {
                self.set_state(centre, CentreState::Paused, now);
                self.schedule(span.until, Happening::Mend(number));
            }
            Fault::LinkLoss { centre, span } => {
                let place = self.places[centre];
                self.centres[usize::from(place)].unlinked += 1;
                self.schedule(span.until, Happening::Mend(number));
            }
        }
    }

    /// The operator notices that a centre is dark.
    pub(super) fn notice(&mut self, number: u32, now: TimeMs) {
        if let Some(Fault::Outage { centre, span: Span { until, .. }, .. }) =
            self.setup.faults.get(number as usize).cloned()
            && now < until
        {
            self.set_state(&centre, CentreState::Paused, now);
        }
    }

    /// A fault is over, or a node repaired.
    pub(super) fn mend(&mut self, number: u32, now: TimeMs) {
        let Some(fault) = self.setup.faults.get(number as usize).cloned() else { return };
        match &fault {
            Fault::Nodes { centre, pool, nodes, .. } => {
                let place = self.places[centre];
                self.at(place, |site, later| site.mend_node(pool, *nodes, now, later));
                self.tell_inventory(centre, now);
            }
            Fault::Maintenance { centre, .. } => self.set_state(centre, CentreState::Active, now),
            Fault::Outage { centre, .. } => {
                self.relink(centre, now);
                self.set_state(centre, CentreState::Active, now);
            }
            Fault::LinkLoss { centre, .. } => self.relink(centre, now),
        }
    }

    /// The next failure among a pool's nodes: that of each is exponential, and so is the first of many.
    pub(super) fn next_node_failure(&mut self, number: u32, now: TimeMs) {
        let Some(Fault::Nodes { nodes, mean_between_ms, .. }) = self.setup.faults.get(number as usize) else { return };
        // In microseconds, because thousands of nodes fail often.
        let mean_us = mean_between_ms.saturating_mul(1_000) / (*nodes).max(1);
        let gap_ms = self.fault_streams[number as usize].exponential(mean_us) / 1_000;
        self.schedule(now.after(DurationMs(gap_ms.max(1))), Happening::Fault(number));
    }

    fn relink(&mut self, centre: &CentreId, now: TimeMs) {
        let place = self.places[centre];
        self.at(place, |site, later| {
            site.unlinked -= 1;
            if site.unlinked == 0 {
                site.relink(now, later);
            }
        });
    }

    fn set_state(&mut self, centre: &CentreId, state: CentreState, now: TimeMs) {
        let command = Command::SetCentreState { centre: centre.clone(), state };
        self.insist(&self.origins.operator.clone(), &command, now);
    }

    /// Tells the network what a centre has now and how fast that is, as an agent does that says hello.
    pub(super) fn tell_inventory(&mut self, centre: &CentreId, now: TimeMs) {
        let origin = self.origins.agents[usize::from(self.places[centre])].clone();
        let pools = inventory(&self.centres[usize::from(self.places[centre])]);
        self.insist(&origin, &Command::Inventory { centre: centre.clone(), pools }, now);
        let known = self.control().centres()[centre].pools.values();
        let unrated: Vec<PoolId> = known.filter(|pool| pool.rating.is_none()).map(|pool| pool.id.clone()).collect();
        for pool in unrated {
            let Some(rating) = self.measured(centre, &pool, now) else { continue };
            self.insist(&origin, &Command::Rate { centre: centre.clone(), pool, rating }, now);
        }
    }

    /// The rating that a measurement gives: the true rate of what stands, with the noise of its pool.
    fn measured(&self, centre: &CentreId, pool: &PoolId, now: TimeMs) -> Option<Rating> {
        let site = &self.centres[usize::from(self.places[centre])];
        let found = site.pools.get(pool)?;
        let declared = found.pool.rating.as_ref()?;
        let (whole, left) = if found.pool.devices.is_zero() {
            (found.pool.cores.0, found.standing().cores.0)
        } else {
            (found.pool.devices.0, found.standing().devices.0)
        };
        let noise_ppm = u128::from(self.noise_ppm[&(centre.clone(), pool.clone())]);
        let scaled = |rate: GflopPerS| u128::from(rate.0) * u128::from(left) / u128::from(whole.max(1));
        let rate = |rate: u128| GflopPerS(u64::try_from(rate).unwrap_or(u64::MAX));
        Some(Rating {
            sustained: rate(scaled(declared.sustained) * noise_ppm / 1_000_000),
            nameplate: rate(scaled(declared.nameplate)),
            rated_at: now,
            ..declared.clone()
        })
    }
}

fn inventory(site: &VirtualCentre) -> Vec<Pool> {
    let pools = site.pools.values().map(|found| {
        let standing = found.standing();
        let Pool { id, class, device_memory, images, topology, .. } = found.pool.clone();
        let (cores, memory, devices) = (standing.cores, standing.memory, standing.devices);
        Pool { id, class, cores, memory, devices, device_memory, rating: None, images, topology }
    });
    pools.collect()
}
