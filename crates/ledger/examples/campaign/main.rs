//! Random operations with faults against a small reference model:
//! `cargo run --release -p huisuan-ledger --example campaign -- ROUNDS SEED`.
//!
//! `cargo xtask scenario ledger` runs a million rounds. A failure names the seed and the round that repeat it. The
//! test `tests/campaign.rs` runs a few thousand rounds of the same code.

#![allow(clippy::disallowed_methods, clippy::disallowed_macros, reason = "a program beside the pure crate")]

mod draw;
mod faults;
mod meter;
mod names;
mod pieces;
mod reference;
mod round;

use std::process::ExitCode;

fn main() -> ExitCode {
    let numbers: Vec<Option<u64>> = std::env::args().skip(1).map(|word| word.parse().ok()).collect();
    let (rounds, seed) = match numbers[..] {
        [Some(rounds), Some(seed)] => (rounds, seed),
        _ => {
            eprintln!("usage: campaign ROUNDS SEED");
            return ExitCode::from(2);
        }
    };
    let mut total = round::Tally::default();
    for number in 0..rounds {
        match round::run(seed, number) {
            Ok(tally) => total.add(&tally),
            Err(text) => {
                eprintln!("error: seed {seed}, round {number}: {text}");
                eprintln!("hint: it is repeated by `round::run({seed}, {number})`");
                return ExitCode::FAILURE;
            }
        }
    }
    println!("{}", total.json(seed, rounds));
    ExitCode::SUCCESS
}
