//! Rates all CPUs this process may run on and prints the measurement as one line of JSON, which
//! `cargo xtask bench measure` compares with a range:
//! `cargo run --release -p huisuan-measure --example rate`.

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let measurement = huisuan_measure::measure(&huisuan_measure::MeasureSpec::default())?;
    println!("{}", serde_json::to_string(&measurement)?);
    Ok(())
}
