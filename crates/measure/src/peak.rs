//! The computed peak of a processor: cores x clock x operations per cycle.

use crate::host::Host;
use huisuan_model::Precision;

impl Host {
    /// Operations per cycle and physical core, at most: vector lanes x 2 for a fused multiply-add x 2 units
    /// (4 units of 128 bits on Arm). Sources: Intel's and AMD's optimisation manuals, Arm's guides of the
    /// Neoverse cores. A core with fewer units reaches half of it: this is an upper bound, which no
    /// measurement may pass.
    ///
    /// | widest unit | FP64 | FP32 | BF16 | FP16 | INT8 |
    /// |---|---|---|---|---|---|
    /// | AVX-512 | 32 | 64 | 64 (AVX512_BF16: 128) | 64 (AVX512_FP16: 128) | 256 |
    /// | AVX2 with FMA | 16 | 32 | 32 | 32 | 128 |
    /// | ASIMD | 16 | 32 | 32 (BF16: 128) | 32 (ASIMDHP: 64) | 128 (I8MM: 256) |
    /// | AMX tiles | | | 1024 | | 2048 |
    ///
    /// A narrow format without arithmetic of its own is widened, and has the FP32 rate. `None` for anything
    /// older or unknown, and for formats that no processor has.
    pub(crate) fn flop_per_cycle(&self, precision: Precision) -> Option<u32> {
        let fp64 = if self.avx512 {
            32
        } else if (self.avx2 && self.fma) || self.asimd {
            16
        } else {
            return None;
        };
        Some(match precision {
            Precision::Fp64 => fp64,
            Precision::Fp32 => 2 * fp64,
            Precision::Bf16 if self.amx_bf16 => 1_024,
            Precision::Bf16 if self.avx512_bf16 || self.has("bf16") => 128,
            Precision::Fp16 if self.has("avx512_fp16") => 128,
            Precision::Fp16 if self.has("asimdhp") => 64,
            Precision::Bf16 | Precision::Fp16 => 2 * fp64,
            Precision::Int8 if self.has("amx_int8") => 2_048,
            Precision::Int8 if self.has("i8mm") => 256,
            Precision::Int8 => 8 * fp64,
            Precision::Tf32 | Precision::Fp8 => return None,
        })
    }

    /// Whether the processor has arithmetic of its own for the format, rather than that of a wider one.
    pub(crate) fn native(&self, precision: Precision) -> bool {
        match precision {
            Precision::Fp64 | Precision::Fp32 => true,
            Precision::Bf16 => self.amx_bf16 || self.avx512_bf16 || self.has("bf16"),
            Precision::Fp16 => self.has("avx512_fp16") || self.has("asimdhp"),
            Precision::Int8 => {
                ["avx512_vnni", "avx_vnni", "amx_int8", "asimddp", "i8mm"].iter().any(|flag| self.has(flag))
            }
            Precision::Tf32 | Precision::Fp8 => false,
        }
    }

    /// The computed peak of so many physical cores, in GFLOP/s, rounded down.
    pub(crate) fn nameplate_gflops(&self, precision: Precision, physical_cores: u32) -> Option<u64> {
        let per_cycle = u64::from(self.flop_per_cycle(precision)?);
        Some(u64::from(physical_cores) * self.clock_khz? * per_cycle / 1_000_000)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The peak of one core at 2 GHz, and whether the arithmetic is the format's own.
    #[test]
    fn peaks_by_flags() {
        let cases = [
            ("x86_64", "avx2 fma", Precision::Fp64, Some(32), true),
            ("x86_64", "avx2", Precision::Fp64, None, true),
            ("x86_64", "avx2 fma avx512f", Precision::Fp32, Some(128), true),
            ("x86_64", "avx2 fma avx512f", Precision::Bf16, Some(128), false),
            ("x86_64", "avx2 fma avx512f avx512_bf16", Precision::Bf16, Some(256), true),
            ("x86_64", "avx2 fma avx512f avx512_bf16 amx_bf16", Precision::Bf16, Some(2_048), true),
            ("x86_64", "avx2 fma avx512f avx512_fp16", Precision::Fp16, Some(256), true),
            ("x86_64", "avx2 fma avx512f", Precision::Fp16, Some(128), false),
            ("x86_64", "avx2 fma avx512f avx512_vnni", Precision::Int8, Some(512), true),
            ("x86_64", "avx2 fma", Precision::Int8, Some(256), false),
            ("x86_64", "avx2 fma avx512f", Precision::Fp8, None, false),
            ("aarch64", "asimd asimdhp asimddp", Precision::Fp16, Some(128), true),
            ("aarch64", "asimd bf16 i8mm", Precision::Int8, Some(512), true),
        ];
        for (architecture, flags, precision, peak, native) in cases {
            let host = Host::from_cpuinfo(&format!("flags : {flags}\ncpu MHz : 2000.000\n"), architecture);
            assert_eq!(host.nameplate_gflops(precision, 1), peak, "{precision} with {flags}");
            assert_eq!(host.native(precision), native, "{precision} with {flags}");
        }
    }
}
