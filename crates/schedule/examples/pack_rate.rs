//! What placing costs: `cargo run --release -p huisuan-schedule --example pack_rate [NODES [KINDS [SHAPES [scan]]]]`.
//!
//! A full fleet of nodes with 8 devices in so many pools, 3 to 64; then pairs of one task that ends and one that is placed.
//! Prints CPU time for filling and for pairs, and compares 10,000 decisions with a scan of all nodes on the same states.
//! With `scan` it does all of it again by looking at every node for every task, which takes minutes.
#![expect(
    clippy::disallowed_methods,
    clippy::disallowed_macros,
    reason = "a measurement needs arguments, a clock and output; the crate itself has none of them"
)]

use huisuan_schedule::pack::{Ask, Devices, Fleet, Mix, Packer, Packing, Parts, Room, Rule, Scan, Slot};

const PAIRS: usize = 200_000;
const COMPARED: u32 = 10_000;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let number = |at: usize, without: u32| match arguments.get(at) {
        Some(text) => text.parse::<u32>().expect("a number of nodes, kinds or shapes"),
        None => without,
    };
    let (nodes, kinds, shapes) = (number(0, 66_000), number(1, 20), number(2, 151));
    let mut draw = Draw(1);
    let asks: Vec<Ask> = (0..shapes).map(|_| ask(&mut draw, kinds)).collect();
    let fleet = Fleet::new((0..nodes).map(|number| node(number, kinds)));
    let rule = Rule::new(Packing::Default, Mix::typical(&asks, 95).on(&fleet), 0);
    let mut load = Load { asks, order: Vec::new(), pairs: Vec::new() };
    let mut packer = Packer::new(fleet.clone(), rule.clone());
    let (fill, mut held) = load.fill(&mut draw, &mut packer);
    let pairs = load.pairs(&mut draw, &mut packer, &mut held);
    let compared = compare(&load.asks, &mut draw, &rule, &mut packer, &mut held);
    let mut result = format!(
        "\"fill_per_s\": {:.0}, \"fill_percent\": {:.3}, \"pairs_per_s\": {:.0}, \"pairs_percent\": {:.3}, {compared}",
        fill.0, fill.1, pairs.0, pairs.1
    );
    if arguments.get(3).is_some() {
        let (fill, pairs) = load.again(Scan::new(fleet, rule));
        result += &format!(", \"scan_fill_percent\": {:.3}, \"scan_pairs_percent\": {:.3}", fill.1, pairs.1);
    }
    println!("{{{result}}}");
}

/// What was asked of the first placer, to ask it of another one.
struct Load {
    asks: Vec<Ask>,
    order: Vec<usize>,
    /// The place among the slots held that is given back, and what is placed then.
    pairs: Vec<(usize, usize)>,
}

impl Load {
    fn fill(&mut self, draw: &mut Draw, packer: &mut Packer) -> ((f64, f64), Vec<Slot>) {
        let start = cpu_ms();
        let (mut held, mut refused) = (Vec::new(), 0);
        while refused < 2_000 {
            let ask = draw.below(self.asks.len());
            self.order.push(ask);
            match packer.settle(&self.asks[ask]) {
                Some(slot) => held.push(slot),
                None => refused += 1,
            }
        }
        (report("fill", self.order.len(), cpu_ms() - start, packer.fleet()), held)
    }

    fn pairs(&mut self, draw: &mut Draw, packer: &mut Packer, held: &mut Vec<Slot>) -> (f64, f64) {
        let start = cpu_ms();
        for _ in 0..PAIRS {
            let pair = (draw.below(held.len()), draw.below(self.asks.len()));
            packer.release(&held.swap_remove(pair.0));
            held.extend(packer.settle(&self.asks[pair.1]));
            self.pairs.push(pair);
        }
        report("pairs", PAIRS, cpu_ms() - start, packer.fleet())
    }

    fn again(&self, mut scan: Scan) -> ((f64, f64), (f64, f64)) {
        let settle = |scan: &mut Scan, ask: usize| {
            let slot = scan.place(&self.asks[ask]);
            slot.inspect(|slot| scan.take(slot))
        };
        let start = cpu_ms();
        let mut held: Vec<Slot> = self.order.iter().filter_map(|&ask| settle(&mut scan, ask)).collect();
        let fill = report("fill by scan", self.order.len(), cpu_ms() - start, scan.fleet());
        let start = cpu_ms();
        for &(slot, ask) in &self.pairs {
            // It may hold fewer slots than the first placer did.
            let slot = held.swap_remove(slot % held.len());
            scan.release(&slot);
            held.extend(settle(&mut scan, ask));
        }
        (fill, report("pairs by scan", PAIRS, cpu_ms() - start, scan.fleet()))
    }
}

/// Compares decisions with those of a scan on the same states: how many differ, and by how many points of a score that
/// counts a hundred for a thousandth of a device.
fn compare(asks: &[Ask], draw: &mut Draw, rule: &Rule, packer: &mut Packer, held: &mut Vec<Slot>) -> String {
    let mut scan = Scan::new(packer.fleet().clone(), rule.clone());
    let (mut differ, mut regret) = (0_u32, 0_i64);
    for _ in 0..COMPARED {
        let slot = held.swap_remove(draw.below(held.len()));
        packer.release(&slot);
        scan.release(&slot);
        let ask = &asks[draw.below(asks.len())];
        let (found, best) = (packer.place(ask), scan.place(ask));
        assert_eq!(found.is_some(), best.is_some(), "what fits is found");
        if let (Some(found), Some(best)) = (found, best) {
            let score = |node: u32| rule.rate(ask, packer.fleet().room(node), 0, node).score;
            differ += u32::from(found != best);
            regret += score(best.node) - score(found.node);
            packer.take(&found);
            scan.take(&found);
            held.push(found);
        }
    }
    let mean = regret as f64 / f64::from(COMPARED);
    println!("{differ} of {COMPARED} decisions differ from a scan's, by {mean:.1} of the score on average over all");
    format!("\"differ\": {differ}, \"regret\": {mean:.2}")
}

/// Decisions for each second of CPU time, and the allocation in percent.
fn report(what: &str, count: usize, ms: f64, fleet: &Fleet) -> (f64, f64) {
    let (free, all) = fleet.rooms().fold((0u64, 0u64), |(free, all), (_, room)| {
        (free + u64::from(room.free_total()), all + u64::from(room.devices) * 1000)
    });
    let allocated = 100.0 * (1.0 - free as f64 / all as f64);
    let rate = count as f64 / ms * 1e3;
    println!("{what}: {count} in {ms:.0} ms, {rate:.0} each second, {allocated:.2} % allocated");
    (rate, allocated)
}

fn node(number: u32, kinds: u32) -> Room {
    let pool = number % kinds;
    let cores = [96_000, 128_000, 64_000, 192_000][pool as usize % 4];
    Room::empty(cores, cores / 1000 * 8192, pool as u8, 8)
}

/// Shapes like those of shared clusters: many fractions, some whole devices, few that need a whole node.
fn ask(draw: &mut Draw, kinds: u32) -> Ask {
    let devices = match draw.below(20) {
        0..=1 => Devices::None,
        2..=11 => Devices::Share(50 + 10 * draw.below(90) as u16),
        12..=16 => Devices::Whole(1),
        17 => Devices::Whole(2),
        18 => Devices::Whole(4),
        _ => Devices::Whole(8),
    };
    let each = (devices.thousandths().max(1000) as usize).div_ceil(1000);
    let parts = if draw.below(10) == 0 { Parts(0b111 << draw.below(kinds as usize - 2)) } else { Parts::ANY };
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
