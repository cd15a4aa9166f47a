//! A network of two centres in a few readable words: `east`, beside its users, and `west`, where power is cheap.

use huisuan_model::{Bytes, CentreId, Class, GflopPerS, Money, PoolId, TenantId};

use crate::network::{
    Budget, CentreSupply, Greedy, Hardware, Linear, Link, Network, NetworkModel, NetworkPlan, NetworkPlanner, Part,
    PoolSupply, StartDelay, TenantDue, Wishes, WorkClass, WorkClassId, check_network,
};

/// An hour in milliseconds.
pub(super) const HOUR_MS: u64 = 3_600_000;
/// A currency unit.
pub(super) const UNIT: i64 = 1_000_000;

pub(super) fn centre_id(name: &str) -> CentreId {
    CentreId::new(name).expect("a valid name")
}

/// A centre with one pool of ten devices `GPU` of a kilowatt, 100 GFLOP/s and one unit an hour.
pub(super) fn centre(name: &str, power_price: i64, carbon_g: u32, slots: u32) -> CentreSupply {
    let pool = PoolSupply {
        id: PoolId::new("GPU").expect("a valid name"),
        class: Class::Ai,
        free: vec![10_000; slots as usize],
        rate: GflopPerS(100),
        device_memory: Bytes(80),
        power_mw: 1_000_000,
        price_per_h: Money(UNIT),
        start: StartDelay::default(),
    };
    CentreSupply {
        id: centre_id(name),
        hour: 0,
        power_price_per_kwh: [Money(power_price); 24],
        carbon_g_per_kwh: [carbon_g; 24],
        pue_permille: 1_000,
        usable_permille: [1_000; 24],
        power_max_w: None,
        in_flight_left: None,
        pools: vec![pool],
    }
}

/// East at 0.8 units for a kWh and 800 g, west at 0.3 and 100 g; 15 ms between them, one slot of an hour.
pub(super) fn two_centres() -> NetworkModel {
    let link = |from, to| Link {
        from: centre_id(from),
        to: centre_id(to),
        bytes_per_s: 1_000_000_000,
        latency_us: 15_000,
        price_per_gb: Money(10_000),
    };
    NetworkModel {
        slot_ms: HOUR_MS,
        slots: 1,
        centres: vec![centre("east", 800_000, 800, 1), centre("west", 300_000, 100, 1)],
        links: vec![link("east", "west"), link("west", "east")],
        tenants: vec![TenantDue { id: TenantId::new("lab").expect("a name"), lift_permille: 0, quotas: Vec::new() }],
        classes: Vec::new(),
    }
}

/// Tasks of one device, worth five units each, whose owner minds all cost.
pub(super) fn work(id: u64, tasks: u64, run_ms: u64) -> WorkClass {
    let part = Part { id: PoolId::new("GPU").expect("a valid name"), width: 1_000, run_ms };
    WorkClass {
        id: WorkClassId(id),
        tenant: TenantId::new("lab").expect("a valid name"),
        tasks,
        hardware: Hardware::Parts(vec![part]),
        device_memory_min: Bytes(0),
        centres: Vec::new(),
        data: None,
        users: None,
        deadline_ms: None,
        worth: Money(5 * UNIT),
        wishes: Wishes { cost_permille: 1_000, ..Wishes::default() },
        agreed: Vec::new(),
    }
}

/// Both planners' plans, judged; and where they put a class: (centre, pool, slot, tasks), which must be the same.
pub(super) fn places(model: &NetworkModel, class: u64) -> Vec<(String, String, u32, u64)> {
    let network = Network::new(model.clone()).unwrap();
    let of = |planner: &dyn NetworkPlanner| {
        let plan = planner.plan(&network, None, Budget::default());
        assert_eq!(check_network(model, &plan), Ok(()));
        let of_class = plan.amounts.iter().filter(|amount| amount.class.0 == class);
        of_class.map(|one| (one.centre.to_string(), one.pool.to_string(), one.slot, one.tasks)).collect::<Vec<_>>()
    };
    let greedy = of(&Greedy);
    assert_eq!(greedy, of(&Linear));
    greedy
}

/// The plan by linear program.
pub(super) fn plan(model: &NetworkModel) -> NetworkPlan {
    Linear.plan(&Network::new(model.clone()).unwrap(), None, Budget::default())
}
