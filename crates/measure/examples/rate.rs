//! Rates CPUs of this machine and prints the measurement as one line of JSON:
//! `cargo run --release -p huisuan-measure --example rate [-- CPUS [PRECISION...]]`.
//! Without arguments all CPUs are rated in all precisions, which `cargo xtask bench measure` compares with a
//! range; the comparison with OpenBLAS (`xtask/tests/openblas.rs`) names CPUs, such as `0,1`, and precisions,
//! and leaves memory out.

use huisuan_measure::{MeasureSpec, measure};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut spec = MeasureSpec::default();
    let mut arguments = std::env::args().skip(1);
    if let Some(cpus) = arguments.next() {
        spec.cpus = cpus.split(',').map(str::parse).collect::<Result<_, _>>()?;
        spec.precisions = arguments.map(|word| word.parse()).collect::<Result<_, String>>()?;
        spec.stream_runs = 0;
    }
    println!("{}", serde_json::to_string(&measure(&spec)?)?);
    Ok(())
}
