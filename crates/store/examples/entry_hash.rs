//! What the hash of one entry of the journal costs: `cargo run --release -p huisuan-store --example entry_hash [BYTES]`.
//!
//! The body is as long as that of a submission unless told. Prints the least of many rounds, which other work on the
//! machine disturbs least, as one line of JSON.
#![expect(clippy::print_stdout, reason = "a measurement prints its result")]

use std::{hint::black_box, time::Instant};

use huisuan_model::TimeMs;
use huisuan_store::{EntryChain, EntryLine};

fn main() {
    let bytes: usize = std::env::args().nth(1).map_or(1_000, |text| text.parse().expect("a number of bytes"));
    let body = "x".repeat(bytes);
    let mut chain = EntryChain::default();
    let round = |chain: &mut EntryChain, first: u64| {
        let began = Instant::now();
        for seq in first..first + 1_000 {
            let at = TimeMs(1_700_000_000_000);
            black_box(chain.append(&EntryLine { seq, at, version: 1, actor: "user", tenant: "local", body: &body }));
        }
        began.elapsed().as_nanos() / 1_000
    };
    let least = (0..200).map(|number| round(&mut chain, number * 1_000)).min().expect("rounds");
    println!(r#"{{"body_bytes":{bytes},"ns_per_entry":{least}}}"#);
}
