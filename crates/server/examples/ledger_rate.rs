//! How many postings a second the books take, in memory and durable:
//! `cargo run --release -p huisuan-server --example ledger_rate [FOLDER] [ATTEMPTS] [COMMANDS]`.
//!
//! The folder must be on the disk that is measured; a scratch folder is made in it. Prints one line of JSON.
#![expect(clippy::print_stdout, reason = "a measurement prints its result")]

fn main() -> anyhow::Result<()> {
    let mut words = std::env::args().skip(1);
    let folder = words.next().unwrap_or_else(|| ".".to_owned());
    let mut numbers = words.map(|text| text.parse::<u64>().expect("a number"));
    let (attempts, commands) = (numbers.next().unwrap_or(500_000), numbers.next().unwrap_or(100_000));
    let scratch = tempfile::tempdir_in(folder)?;
    let rate = huisuan_server::ledger_rate(&scratch.path().join("data"), attempts, commands)?;
    println!("{}", serde_json::to_string(&rate)?);
    Ok(())
}
