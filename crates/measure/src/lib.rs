//! Measures what a share of a CPU really computes, so that every centre is rated by one method.
//!
//! The method is `gemm-matrixmultiply`, version 1: dense matrix products `C = A * B` of square
//! matrices with the kernels of the `matrixmultiply` crate (a BLIS-like, packed, SIMD-dispatching
//! GEMM), one independent product per core, every thread pinned to its core. A product of order `n`
//! counts as `2 n^3` floating point operations. The rate is the median of several timed runs and all
//! raw timings are kept. Memory bandwidth (STREAM) is not measured yet.
//!
//! | precision | class | what is multiplied |
//! |---|---|---|
//! | FP64 | `hpc` | FP64 matrices, FP64 accumulation |
//! | FP32 | `general` | FP32 matrices, FP32 accumulation |
//! | BF16 | `ai` | matrices stored as BF16, widened to FP32 inside the timed region, FP32 accumulation |
//!
//! What this crate must never do: use a number it did not measure in place of one it did, drop a
//! timing, or clip a rate to its nameplate. A sustained rate above the nameplate is reported as not
//! plausible and kept as measured.
//!
//! Start reading at [`measure`] in `run.rs`, then `kernel.rs`; `host.rs` reads what the machine says
//! about itself, `part.rs` makes the pool's part number from it. This crate may read a clock.

mod bf16;
mod host;
mod kernel;
mod part;
mod rating;
mod run;
mod spec;

pub use bf16::Bf16;
pub use host::{ClockSource, Host};
pub use part::cpu_part;
pub use rating::{METHOD, METHOD_VERSION, Measurement, PrecisionRate, gemm_flop};
pub use run::measure;
pub use spec::{MeasureError, MeasureSpec, Precision};

// Named only so that the dependency, which switches on the AVX-512 kernels, is visibly used.
use matrixmultiply as _;
