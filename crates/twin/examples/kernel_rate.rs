//! How many events a second the kernel takes, against a binary heap: each event taken schedules one more, in a
//! window of a day, while a fixed number waits. `cargo run --release -p huisuan-twin --example kernel_rate`. The last
//! line is JSON: events of the kernel for each second of processor time, by how many wait.

#![expect(
    clippy::disallowed_methods,
    clippy::disallowed_macros,
    reason = "a measurement needs a clock and output; the crate itself has neither"
)]

use std::{cmp::Reverse, collections::BinaryHeap, fs};

use huisuan_model::TimeMs;
use huisuan_twin::{
    kernel::{Kernel, Rank},
    random::Stream,
};

const EVENTS: u64 = 10_000_000;

/// Processor time of this thread in nanoseconds: the machine may be shared.
fn cpu_ns() -> u64 {
    let text = fs::read_to_string("/proc/thread-self/schedstat").expect("Linux with schedstat");
    text.split(' ').next().and_then(|word| word.parse().ok()).expect("a number")
}

fn per_second(work: impl FnOnce() -> u64) -> (u64, u64) {
    let started = cpu_ns();
    let check = work();
    (EVENTS * 1_000_000_000 / (cpu_ns() - started).max(1), check)
}

fn gap(stream: &mut Stream) -> i64 {
    i64::try_from(stream.below(86_400_000)).expect("a day")
}

fn main() {
    let mut rates = Vec::new();
    for waiting in [1_000, 30_000, 1_000_000] {
        let (kernel, same) = per_second(|| {
            let mut stream = Stream::new(1, "gaps");
            let mut kernel = Kernel::new(TimeMs(0));
            (0..waiting).for_each(|event| kernel.schedule(TimeMs(gap(&mut stream)), Rank::new(1), event));
            let mut check = 0;
            for _ in 0..EVENTS {
                let (now, event) = kernel.take().expect("one more for each taken");
                check ^= event ^ now.0 as u64;
                kernel.schedule(TimeMs(now.0 + gap(&mut stream)), Rank::new(1), event);
            }
            check
        });
        let (heap, other) = per_second(|| {
            let mut stream = Stream::new(1, "gaps");
            let mut heap = BinaryHeap::new();
            let mut number = 0;
            for event in 0..waiting {
                heap.push(Reverse((gap(&mut stream), 1u8, number, event)));
                number += 1;
            }
            let mut check = 0;
            for _ in 0..EVENTS {
                let Reverse((now, _, _, event)) = heap.pop().expect("one more for each taken");
                check ^= event ^ now as u64;
                heap.push(Reverse((now + gap(&mut stream), 1u8, number, event)));
                number += 1;
            }
            check
        });
        assert_eq!(same, other, "both orders are the same");
        println!("waiting {waiting}: kernel {kernel} events/s, binary heap {heap} events/s");
        rates.push(format!("\"{waiting}\": {kernel}"));
    }
    println!("{{\"events_per_s\": {{{}}}}}", rates.join(", "));
}
