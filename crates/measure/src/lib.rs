//! Measures what a share of a CPU really computes, so that every centre is rated by one method.
//!
//! The method is `gemm-gemmkit`, version 2: dense matrix products `C = A * B` of square matrices of order
//! 1,024 with the kernels of the `gemmkit` crate (packed, blocked, dispatching on the SIMD unit), one
//! independent product per core, every thread pinned to its core. A product of order `n` counts as `2 n^3`
//! operations. The rate is the median of several timed runs in processor time, and all raw timings are kept.
//! Memory bandwidth is STREAM's triad.
//!
//! | precision | class | what is multiplied |
//! |---|---|---|
//! | FP64 | `hpc` | FP64 matrices, FP64 accumulation; the unit of its class |
//! | FP32 | `general` | FP32 matrices, FP32 accumulation; the unit of its class |
//! | BF16 | `ai` | BF16 matrices, FP32 accumulation; the unit of its class. By the processor's BF16 arithmetic or widened to FP32 inside the timed region, whichever is faster |
//! | FP16 | `ai` | FP16 matrices, widened to FP32 inside the timed region, FP32 accumulation |
//! | INT8 | `ai` | 8-bit integers, 32-bit accumulation, exact |
//!
//! What this crate must never do: use a number it did not measure in place of one it did, drop a
//! timing, or clip a rate to its nameplate. A record above the computed peak is refused.
//!
//! Start reading at [`measure`] in `run.rs`, then `crew.rs` (threads and times) and `kernel.rs`; `host.rs` and
//! `cpus.rs` read what the machine says about itself, `peak.rs` computes the nameplate, `clock.rs` times the
//! clock, `part.rs` makes the pool's part number; `parts/` is the registry of declared parts and `devices/` finds
//! accelerators. This crate may read a clock.

mod clock;
mod cpus;
mod crew;
mod devices;
mod host;
mod kernel;
mod part;
mod parts;
mod peak;
mod rating;
mod run;
mod spec;
mod stream;

pub use devices::{Device, Found, Unread, devices};
pub use host::{ClockSource, Host};
pub use kernel::Path;
pub use part::cpu_part;
pub use parts::{Confidence, Figure, Part, PartsError, Registry};
pub use rating::{Bandwidth, Basis, METHOD, METHOD_VERSION, Measurement, PrecisionRate, gemm_flop};
pub use run::measure;
pub use spec::{MeasureError, MeasureSpec};
