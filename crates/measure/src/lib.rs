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
//!
//! # Accelerators
//!
//! The method of [`measure_devices`] is `gemm-cublas`, version 1 (feature `cuda`, `accelerator.rs` and `cuda/`): dense
//! products of square matrices of order 8,192 (4,096 on devices of less than 8 GiB) by cuBLAS on random numbers, in
//! FP64, FP32, BF16, FP16 and TF32 with sums in FP32, and INT8 with 32-bit sums. The order, products and clock are the
//! machine's, so that the rate has all delays in it. Memory is timed by copies within the device. A device that somebody
//! computes on, that is full, or that multiplies wrongly has no rate but a reason ([`Unmeasured`]). TF32 is never given
//! as FP32: sums are compared so closely that one cannot pass for the other.

// The exception is for the makers' libraries alone: without them this crate has no unsafe code, either.
#![cfg_attr(not(feature = "cuda"), forbid(unsafe_code))]

mod accelerator;
mod clock;
mod cpus;
mod crew;
#[cfg(feature = "cuda")]
mod cuda;
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

pub use accelerator::{
    CopyRate, DEVICE_METHOD, DEVICE_METHOD_VERSION, DeviceMeasurement, DeviceOutcome, DeviceRate, DeviceSpec, LeftOut,
    Unmeasured, measurable_devices, measure_devices,
};
pub use devices::{Device, Found, Unread, devices};
pub use host::{ClockSource, Host};
pub use kernel::Path;
pub use part::cpu_part;
pub use parts::{Confidence, Figure, Part, PartsError, Registry};
pub use rating::{Bandwidth, Basis, METHOD, METHOD_VERSION, Measurement, PrecisionRate, gemm_flop};
pub use run::measure;
pub use spec::{MeasureError, MeasureSpec};
