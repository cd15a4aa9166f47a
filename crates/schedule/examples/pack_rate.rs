//! What placing costs: `cargo run --release -p huisuan-schedule --example pack_rate [NODES [SHAPES [scan]]]`.
//!
//! A full fleet of nodes with 8 devices in 20 pools; then pairs of one task that ends and one that is placed.
//! Prints CPU time for filling and for pairs, and compares 10,000 decisions with a search among all candidates. With
//! `scan` it fills a second fleet by looking at every node for every task, which takes minutes, and says what the index
//! allocates less.
#![expect(
    clippy::disallowed_methods,
    clippy::disallowed_macros,
    reason = "a measurement needs arguments, a clock and output; the crate itself has none of them"
)]

use huisuan_schedule::pack::{Ask, Devices, Fleet, Mix, Packer, Packing, Parts, Room, Rule, Scan, Slot};

const PAIRS: u32 = 200_000;
const COMPARED: u32 = 10_000;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let number = |at: usize| arguments.get(at).map(|text| text.parse::<u32>().expect("a number of nodes or shapes"));
    let nodes = number(0).unwrap_or(66_000);
    let shapes = number(1).unwrap_or(151);
    let mut draw = Draw(1);
    let asks: Vec<Ask> = (0..shapes).map(|_| ask(&mut draw)).collect();
    let fleet = Fleet::new((0..nodes).map(node));
    let mix = Mix::typical(&asks, 95).on(&fleet);
    let rule = Rule::new(Packing::Default, mix, 0);
    let mut scan = arguments.get(2).map(|_| Scan::new(fleet.clone(), rule.clone()));
    let mut packer = Packer::new(fleet, rule.clone());

    let start = cpu_ms();
    let mut held: Vec<Slot> = Vec::new();
    let mut order = Vec::new();
    let mut refused = 0;
    while refused < 2_000 {
        order.push(draw.below(asks.len()));
        match packer.settle(&asks[order[order.len() - 1]]) {
            Some(slot) => held.push(slot),
            None => refused += 1,
        }
    }
    let fill = report("fill", order.len() as u32, cpu_ms() - start, packer.fleet());
    if let Some(scan) = &mut scan {
        let start = cpu_ms();
        for &ask in &order {
            if let Some(slot) = scan.place(&asks[ask]) {
                scan.take(&slot);
            }
        }
        report("fill by scan", order.len() as u32, cpu_ms() - start, scan.fleet());
    }

    let start = cpu_ms();
    let mut rated = 0;
    for _ in 0..PAIRS {
        packer.release(&held.swap_remove(draw.below(held.len())));
        held.extend(packer.settle(&asks[draw.below(asks.len())]));
        rated += packer.candidates().len();
    }
    let pairs = report("pairs", PAIRS, cpu_ms() - start, packer.fleet());
    let candidates = rated as f64 / f64::from(PAIRS);

    for _ in 0..COMPARED {
        packer.release(&held.swap_remove(draw.below(held.len())));
        let ask = &asks[draw.below(asks.len())];
        let found = packer.place(ask);
        let best = packer.candidates().iter().map(|&node| (rule.rate(ask, packer.fleet().room(node), 0, node), node));
        let best = best.max_by_key(|&(rate, node)| (rate.score, std::cmp::Reverse(node)));
        let best = best.map(|(rate, node)| Slot::of(node, packer.fleet().room(node), ask, rate.device));
        assert_eq!(found, best, "the best of all candidates");
        if let Some(slot) = found {
            packer.take(&slot);
            held.push(slot);
        }
    }
    println!("{COMPARED} decisions are the best of their candidates");
    println!(
        "{{\"fill_per_s\": {:.0}, \"fill_percent\": {:.3}, \"pairs_per_s\": {:.0}, \"pairs_percent\": {:.3}, \
         \"candidates\": {candidates:.1}}}",
        fill.0, fill.1, pairs.0, pairs.1
    );
}

/// Decisions for each second of CPU time, and the allocation in percent.
fn report(what: &str, count: u32, ms: f64, fleet: &Fleet) -> (f64, f64) {
    let (free, all) = fleet.rooms().fold((0u64, 0u64), |(free, all), (_, room)| {
        (free + u64::from(room.free_total()), all + u64::from(room.devices) * 1000)
    });
    let allocated = 100.0 * (1.0 - free as f64 / all as f64);
    let rate = f64::from(count) / ms * 1e3;
    println!("{what}: {count} in {ms:.0} ms, {rate:.0} each second, {allocated:.2} % allocated");
    (rate, allocated)
}

fn node(number: u32) -> Room {
    let pool = number % 20;
    let cores = [96_000, 128_000, 64_000, 192_000][pool as usize % 4];
    Room::empty(cores, cores / 1000 * 8192, pool as u8, 8)
}

/// Shapes like those of shared clusters: many fractions, some whole devices, few that need a whole node.
fn ask(draw: &mut Draw) -> Ask {
    let devices = match draw.below(20) {
        0..=1 => Devices::None,
        2..=11 => Devices::Share(50 + 10 * draw.below(90) as u16),
        12..=16 => Devices::Whole(1),
        17 => Devices::Whole(2),
        18 => Devices::Whole(4),
        _ => Devices::Whole(8),
    };
    let each = (devices.thousandths().max(1000) as usize).div_ceil(1000);
    let parts = if draw.below(10) == 0 { Parts(0b111 << draw.below(18)) } else { Parts::ANY };
    Ask {
        cores_milli: (2_000 + 100 * draw.below(120) as u32) * each as u32,
        memory_mib: (4_096 + 1_024 * draw.below(60) as u32) * each as u32,
        devices,
        parts,
    }
}

struct Draw(u64);

impl Draw {
    /// A number below `end` (xorshift; good enough for a load).
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % end as u64) as usize
    }
}

fn cpu_ms() -> f64 {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").expect("Linux");
    text.split(' ').next().and_then(|ns| ns.parse::<f64>().ok()).expect("nanoseconds") / 1e6
}
