//! The packing problem behind a network, and the bound of any prices.
//!
//! Maximise the value of whole tasks over columns (class, pool, slot): no class starts more tasks than wait, and no
//! row (a pool, link or power cap in a slot, a quota, what may be in flight) gives more than its room. All uses are
//! positive, so nothing at all is always a plan, and taking away never breaks one.
//!
//! For prices of at least zero on the rows, no plan is worth more than
//! `sum of room * price + sum over classes of tasks * max(0, best of (value - uses * price))`
//! (Lagrangian relaxation; Geoffrion 1974). Prices are integers with [`FRACTION_BITS`] binary places and the sum is
//! exact, so the bound holds whatever computed the prices. With a value below 2^55, at most 2^32 tasks in a class and
//! 40 binary places, each class stays inside 127 bits.

use huisuan_model::Class;

use crate::network::{choice::choices, network::Network, plan::Scarce};

/// Binary places of prices.
pub(super) const FRACTION_BITS: u32 = 40;

/// What one task takes of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Use {
    pub(super) row: u32,
    pub(super) amount: u64,
}

/// A class at a place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Column {
    pub(super) pool: u32,
    pub(super) slot: u32,
    /// Of one task, at least one.
    pub(super) value: i64,
    uses_begin: u32,
    uses_end: u32,
}

/// Columns `begin..end` belong to a class.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ClassSpan {
    pub(super) tasks: u64,
    pub(super) begin: u32,
    pub(super) end: u32,
}

/// The problem in numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Problem {
    /// Room of each row.
    pub(super) room: Vec<u64>,
    /// Rows that stand in for each other, and the work that one unit of each does: pools of one class of compute.
    pub(super) kinds: Vec<Vec<(u32, u64)>>,
    pub(super) classes: Vec<ClassSpan>,
    pub(super) columns: Vec<Column>,
    uses: Vec<Use>,
}

impl Problem {
    pub(super) fn new(network: &Network, rows: &RowIndex) -> Self {
        let mut problem = Problem {
            room: rows.room.clone(),
            kinds: kinds(network, rows),
            classes: Vec::new(),
            columns: Vec::new(),
            uses: Vec::new(),
        };
        for (class, work) in network.model.classes.iter().enumerate() {
            let begin = count(problem.columns.len());
            for pool in 0..network.pools.len() {
                choices(network, rows, class, pool, |slot, answer| {
                    if let Ok((terms, uses)) = answer {
                        let uses_begin = count(problem.uses.len());
                        problem.uses.extend_from_slice(uses);
                        let (pool, uses_end) = (count(pool), count(problem.uses.len()));
                        problem.columns.push(Column { pool, slot, value: terms.value(), uses_begin, uses_end });
                    }
                });
            }
            problem.classes.push(ClassSpan { tasks: work.tasks, begin, end: count(problem.columns.len()) });
        }
        problem
    }

    /// What one task of a column takes.
    pub(super) fn uses(&self, column: usize) -> &[Use] {
        let Column { uses_begin, uses_end, .. } = self.columns[column];
        &self.uses[uses_begin as usize..uses_end as usize]
    }

    /// The largest part of what is there of any row that one task takes, in 2^-32, at least one of them.
    pub(super) fn share(&self, column: usize) -> u64 {
        let part = |one: &Use| (u128::from(one.amount) << 32) / u128::from(self.room[one.row as usize].max(1));
        let most = self.uses(column).iter().map(part).max().unwrap_or(0);
        u64::try_from(most).unwrap_or(u64::MAX).max(1)
    }

    /// Columns of a class.
    pub(super) fn span(&self, class: usize) -> std::ops::Range<usize> {
        let ClassSpan { begin, end, .. } = self.classes[class];
        begin as usize..end as usize
    }

    /// Value of one task of a column less the price of what it takes, with [`FRACTION_BITS`] binary places.
    pub(super) fn profit(&self, column: usize, prices: &[u128]) -> i128 {
        let value = i128::from(self.columns[column].value) << FRACTION_BITS;
        self.uses(column).iter().fold(value, |left, one| {
            // A product beyond 128 bits stands for a price that no value can meet.
            let cost = u128::from(one.amount).saturating_mul(prices[one.row as usize]);
            left.saturating_sub(i128::try_from(cost).unwrap_or(i128::MAX))
        })
    }

    /// The most that any plan is worth, by these prices; see the head of this file.
    pub(super) fn bound(&self, prices: &[u128]) -> i128 {
        let mut sum = Sum::default();
        for (&room, &price) in self.room.iter().zip(prices) {
            match u128::from(room).checked_mul(price).map(i128::try_from) {
                Some(Ok(cost)) => sum.add(cost),
                _ => return i128::MAX,
            }
        }
        for (class, span) in self.classes.iter().enumerate() {
            let best = self.span(class).map(|column| self.profit(column, prices)).max().unwrap_or(0);
            sum.add(best.max(0) * i128::from(span.tasks));
        }
        sum.whole()
    }
}

/// A sum of numbers with binary places that cannot overflow: whole and fraction are kept apart.
#[derive(Default)]
struct Sum {
    whole: i128,
    fraction: i128,
}

impl Sum {
    fn add(&mut self, part: i128) {
        self.whole += part >> FRACTION_BITS;
        self.fraction += part & ((1 << FRACTION_BITS) - 1);
    }

    /// Rounded down: a plan is worth a whole number.
    fn whole(&self) -> i128 {
        self.whole + (self.fraction >> FRACTION_BITS)
    }
}

/// Where the row of each scarce thing is, and how much room it has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct RowIndex {
    room: Vec<u64>,
    names: Vec<RowName>,
    slots: u32,
    links_at: u32,
    power: Vec<Option<u32>>,
    quotas: Vec<[Option<u32>; 3]>,
    in_flight: Vec<Option<u32>>,
}

/// What a row stands for, in numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum RowName {
    Pool(usize, u32),
    Link(usize, u32),
    Power(usize, u32),
    Quota(usize, Class),
    InFlight(usize),
}

impl RowIndex {
    pub(super) fn new(network: &Network) -> Self {
        let model = &network.model;
        let mut index = RowIndex {
            room: Vec::new(),
            names: Vec::new(),
            slots: model.slots,
            links_at: 0,
            power: Vec::new(),
            quotas: Vec::new(),
            in_flight: Vec::new(),
        };
        let hour = |centre: usize, slot: u32| hour_of_slot(network, centre, slot);
        for (number, at) in network.pools.iter().enumerate() {
            let supply = &model.centres[at.centre];
            for slot in 0..model.slots {
                let free = supply.pools[at.pool].free[slot as usize];
                let usable = free * u64::from(supply.usable_permille[hour(at.centre, slot)]) / 1_000;
                index.push(RowName::Pool(number, slot), usable.saturating_mul(model.slot_ms));
            }
        }
        index.links_at = count(index.room.len());
        for (number, link) in model.links.iter().enumerate() {
            let bytes = u128::from(link.bytes_per_s) * u128::from(model.slot_ms) / 1_000;
            for slot in 0..model.slots {
                index.push(RowName::Link(number, slot), u64::try_from(bytes).unwrap_or(u64::MAX));
            }
        }
        for (number, centre) in model.centres.iter().enumerate() {
            let first = centre.power_max_w.as_ref().map(|curve| {
                let watts = |slot| curve[hour(number, slot)];
                let rows = (0..model.slots)
                    .map(|slot| index.push(RowName::Power(number, slot), watts(slot).saturating_mul(model.slot_ms)));
                rows.min().expect("there is at least one slot")
            });
            index.power.push(first);
            let in_flight = centre.in_flight_left.map(|left| index.push(RowName::InFlight(number), left));
            index.in_flight.push(in_flight);
        }
        for (number, tenant) in model.tenants.iter().enumerate() {
            let mut rows = [None; 3];
            for quota in &tenant.quotas {
                rows[quota.class as usize] = Some(index.push(RowName::Quota(number, quota.class), quota.work_max.0));
            }
            index.quotas.push(rows);
        }
        index
    }

    /// How many rows there are.
    pub(super) fn count(&self) -> usize {
        self.room.len()
    }

    fn push(&mut self, name: RowName, room: u64) -> u32 {
        let row = count(self.room.len());
        self.room.push(room);
        self.names.push(name);
        row
    }

    pub(super) fn room(&self, row: u32) -> u64 {
        self.room[row as usize]
    }

    pub(super) fn pool(&self, pool: usize, slot: u32) -> u32 {
        count(pool) * self.slots + slot
    }

    pub(super) fn link(&self, link: usize, slot: u32) -> u32 {
        self.links_at + count(link) * self.slots + slot
    }

    pub(super) fn power(&self, centre: usize, slot: u32) -> Option<u32> {
        self.power[centre].map(|first| first + slot)
    }

    pub(super) fn quota(&self, tenant: usize, class: Class) -> Option<u32> {
        self.quotas[tenant][class as usize]
    }

    pub(super) fn in_flight(&self, centre: usize) -> Option<u32> {
        self.in_flight[centre]
    }

    /// The thing that a row stands for, by name.
    pub(super) fn scarce(&self, network: &Network, row: usize) -> Scarce {
        let model = &network.model;
        let centre_id = |centre: usize| model.centres[centre].id.clone();
        match self.names[row] {
            RowName::Pool(pool, slot) => {
                let at = network.pools[pool];
                let pool = model.centres[at.centre].pools[at.pool].id.clone();
                Scarce::Pool { centre: centre_id(at.centre), pool, slot }
            }
            RowName::Link(link, slot) => {
                Scarce::Link { from: model.links[link].from.clone(), to: model.links[link].to.clone(), slot }
            }
            RowName::Power(centre, slot) => Scarce::Power { centre: centre_id(centre), slot },
            RowName::Quota(tenant, class) => Scarce::Quota { tenant: model.tenants[tenant].id.clone(), class },
            RowName::InFlight(centre) => Scarce::InFlight { centre: centre_id(centre) },
        }
    }

    /// The row of a thing by name, if this network has it.
    pub(super) fn row_of(&self, network: &Network, scarce: &Scarce) -> Option<u32> {
        let slot_known = |slot: &u32| *slot < self.slots;
        match scarce {
            Scarce::Pool { centre, pool, slot } => {
                network.pool_index(centre, pool).filter(|_| slot_known(slot)).map(|pool| self.pool(pool, *slot))
            }
            Scarce::Link { from, to, slot } => {
                let links = &network.model.links;
                let at = links.binary_search_by(|link| (&link.from, &link.to).cmp(&(from, to))).ok()?;
                slot_known(slot).then(|| self.link(at, *slot))
            }
            Scarce::Power { centre, slot } => {
                network.centre_index(centre).filter(|_| slot_known(slot)).and_then(|at| self.power(at, *slot))
            }
            Scarce::Quota { tenant, class } => network.tenant_index(tenant).and_then(|at| self.quota(at, *class)),
            Scarce::InFlight { centre } => network.centre_index(centre).and_then(|at| self.in_flight(at)),
        }
    }
}

/// The rows of pools by class of compute, with their rates.
fn kinds(network: &Network, rows: &RowIndex) -> Vec<Vec<(u32, u64)>> {
    let mut kinds = vec![Vec::new(); Class::ALL.len()];
    for (number, at) in network.pools.iter().enumerate() {
        let pool = &network.model.centres[at.centre].pools[at.pool];
        for slot in 0..network.model.slots {
            kinds[pool.class as usize].push((rows.pool(number, slot), pool.rate.0));
        }
    }
    kinds
}

/// Local hour of the day at the beginning of a slot.
fn hour_of_slot(network: &Network, centre: usize, slot: u32) -> usize {
    let since_ms = u64::from(slot) * network.model.slot_ms;
    let hour = (u64::from(network.model.centres[centre].hour) + since_ms / 3_600_000) % 24;
    usize::try_from(hour).expect("an hour of the day")
}

/// Rows, columns and uses are counted in 32 bits, which halves what the solvers read.
fn count(number: usize) -> u32 {
    u32::try_from(number).expect("a network has fewer than 2^32 rows, columns and uses")
}
