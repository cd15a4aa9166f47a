//! The products that are timed, and the check that they are right.

use gemmkit::{MatMut, MatRef, Parallelism, gemm, gemm_i8};
use half::slice::HalfFloatSliceExt;
use half::{bf16, f16};
use huisuan_model::Precision;
use serde::{Deserialize, Serialize};

/// Columns of A (and rows of B) that are widened together, so that the widened copies stay in cache.
const WIDEN_BLOCK: usize = 256;
/// Entries of each product compared with the naive one.
const ENTRIES_CHECKED: u32 = 64;

/// How a product in a narrow format is computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Path {
    /// The inputs are multiplied as they are, by the library's kernel for them.
    Direct,
    /// The inputs are widened to FP32 first, inside the timed region, and multiplied in FP32: what a
    /// processor without fast arithmetic of the format really has to do.
    Widened,
}

/// One core's matrices. A product of floating point numbers starts as NaN, so that an entry that is never
/// written is seen.
pub(crate) enum Kernel {
    Fp64(Matrices<f64, f64>),
    Fp32(Matrices<f32, f32>),
    Bf16(Matrices<bf16, bf16>),
    Bf16Widened(Widening<bf16>),
    Fp16Widened(Widening<f16>),
    Int8(Matrices<i8, i32>),
}

/// Two square inputs and their product, row by row.
pub(crate) struct Matrices<Input, Output> {
    order: usize,
    a: Vec<Input>,
    b: Vec<Input>,
    product: Vec<Output>,
}

/// Narrow matrices with the FP32 scratch blocks they are widened into.
pub(crate) struct Widening<Narrow> {
    matrices: Matrices<Narrow, f32>,
    columns_of_a: Vec<f32>,
    rows_of_b: Vec<f32>,
}

/// What the comparison with the naive product found.
pub(crate) struct Check {
    pub(crate) entries: u32,
    /// Largest error relative to the sum of absolute products; NaN when an entry is NaN.
    pub(crate) error_max: f64,
    /// Largest relative error that rounding can explain.
    pub(crate) bound: f64,
}

impl Kernel {
    /// The ways in which a processor can compute a product of this precision; empty when there is no kernel.
    pub(crate) fn paths(precision: Precision) -> &'static [Path] {
        match precision {
            Precision::Fp64 | Precision::Fp32 | Precision::Int8 => &[Path::Direct],
            Precision::Bf16 => &[Path::Direct, Path::Widened],
            Precision::Fp16 => &[Path::Widened],
            Precision::Tf32 | Precision::Fp8 => &[],
        }
    }

    /// Matrices of the given order, filled from `seed`: the same seed gives the same matrices.
    /// `None` for what is not among [`Kernel::paths`].
    pub(crate) fn new(precision: Precision, path: Path, order: usize, seed: u64) -> Option<Self> {
        let mut stream = Stream(seed);
        let mut single = || stream.unit() as f32;
        Some(match (precision, path) {
            (Precision::Fp64, Path::Direct) => {
                let mut stream = Stream(seed);
                Self::Fp64(Matrices::new(order, f64::NAN, || stream.unit()))
            }
            (Precision::Fp32, Path::Direct) => Self::Fp32(Matrices::new(order, f32::NAN, single)),
            (Precision::Bf16, Path::Direct) => Self::Bf16(Matrices::new(order, bf16::NAN, || bf16::from_f32(single()))),
            (Precision::Bf16, Path::Widened) => Self::Bf16Widened(Widening::new(order, || bf16::from_f32(single()))),
            (Precision::Fp16, Path::Widened) => Self::Fp16Widened(Widening::new(order, || f16::from_f32(single()))),
            // Inputs of full size never sum up to the unset value: it is beyond what the largest order reaches.
            (Precision::Int8, Path::Direct) => Self::Int8(Matrices::new(order, i32::MIN, || (single() * 127.0) as i8)),
            _ => return None,
        })
    }

    /// Computes the product once. This is what is timed.
    pub(crate) fn multiply(&mut self) {
        match self {
            Self::Fp64(m) => {
                let n = m.order;
                let (a, b) = (MatRef::from_row_major(&m.a, n, n), MatRef::from_row_major(&m.b, n, n));
                gemm(1.0, a, b, 0.0, MatMut::from_row_major(&mut m.product, n, n), Parallelism::Serial);
            }
            Self::Fp32(m) => {
                let n = m.order;
                let (a, b) = (MatRef::from_row_major(&m.a, n, n), MatRef::from_row_major(&m.b, n, n));
                gemm(1.0, a, b, 0.0, MatMut::from_row_major(&mut m.product, n, n), Parallelism::Serial);
            }
            Self::Bf16(m) => {
                let n = m.order;
                let (a, b) = (MatRef::from_row_major(&m.a, n, n), MatRef::from_row_major(&m.b, n, n));
                let product = MatMut::from_row_major(&mut m.product, n, n);
                gemm(bf16::ONE, a, b, bf16::ZERO, product, Parallelism::Serial);
            }
            Self::Int8(m) => {
                let n = m.order;
                let (a, b) = (MatRef::from_row_major(&m.a, n, n), MatRef::from_row_major(&m.b, n, n));
                gemm_i8(1, a, b, 0, MatMut::from_row_major(&mut m.product, n, n), Parallelism::Serial);
            }
            Self::Bf16Widened(widening) => widening.multiply(),
            Self::Fp16Widened(widening) => widening.multiply(),
        }
    }

    /// Compares sampled entries of the product with a naive FP64 computation.
    pub(crate) fn check(&self, seed: u64) -> Check {
        let single = f64::from(f32::EPSILON);
        match self {
            Self::Fp64(m) => m.check(seed, |x| x, |x| x, f64::EPSILON, 0.0),
            Self::Fp32(m) => m.check(seed, f64::from, f64::from, single, 0.0),
            // The product is rounded to BF16 once.
            Self::Bf16(m) => m.check(seed, f64::from, f64::from, single, f64::from(bf16::EPSILON)),
            Self::Bf16Widened(w) => w.matrices.check(seed, f64::from, f64::from, single, 0.0),
            Self::Fp16Widened(w) => w.matrices.check(seed, f64::from, f64::from, single, 0.0),
            // Integers are exact.
            Self::Int8(m) => m.check(seed, f64::from, f64::from, 0.0, 0.0),
        }
    }
}

impl<Input: Copy, Output: Copy> Matrices<Input, Output> {
    fn new(order: usize, unset: Output, mut next: impl FnMut() -> Input) -> Self {
        let elements = order * order;
        let a = (0..elements).map(|_| next()).collect();
        let b = (0..elements).map(|_| next()).collect();
        Self { order, a, b, product: vec![unset; elements] }
    }

    /// An inner product of length n has a rounding error of at most `n u` times the sum of absolute
    /// products (u: half the machine epsilon), whatever the order of the additions; twice that allows
    /// for the rounding of the naive sum. `rounded` is the epsilon of a last rounding of the product.
    fn check(
        &self,
        seed: u64,
        input: impl Fn(Input) -> f64,
        output: impl Fn(Output) -> f64,
        epsilon: f64,
        rounded: f64,
    ) -> Check {
        let order = self.order;
        let mut stream = Stream(seed);
        let mut error_max = 0.0_f64;
        for _ in 0..ENTRIES_CHECKED {
            let (row, column) = (stream.below(order), stream.below(order));
            let (mut sum, mut scale) = (0.0, 0.0);
            for k in 0..order {
                let term = input(self.a[row * order + k]) * input(self.b[k * order + column]);
                sum += term;
                scale += term.abs();
            }
            let error = (output(self.product[row * order + column]) - sum).abs() / scale;
            // `f64::max` would drop a NaN, which is exactly what must not be lost.
            if error.is_nan() || error > error_max {
                error_max = error;
            }
            if error_max.is_nan() {
                break;
            }
        }
        Check { entries: ENTRIES_CHECKED, error_max, bound: order as f64 * epsilon + rounded }
    }
}

impl<Narrow: Copy> Widening<Narrow>
where
    [Narrow]: HalfFloatSliceExt,
{
    fn new(order: usize, next: impl FnMut() -> Narrow) -> Self {
        let scratch = order * WIDEN_BLOCK.min(order);
        Self {
            matrices: Matrices::new(order, f32::NAN, next),
            columns_of_a: vec![0.0; scratch],
            rows_of_b: vec![0.0; scratch],
        }
    }

    /// Widens each element of A and B once per product, so the conversion costs `O(n^2)` of the
    /// `O(n^3)` total; it is timed, because a CPU without the arithmetic really has to do it.
    fn multiply(&mut self) {
        let order = self.matrices.order;
        let mut start = 0;
        while start < order {
            let depth = WIDEN_BLOCK.min(order - start);
            for (row, wide) in self.columns_of_a.chunks_exact_mut(depth).take(order).enumerate() {
                let from = row * order + start;
                self.matrices.a[from..from + depth].convert_to_f32_slice(wide);
            }
            let rows = &mut self.rows_of_b[..depth * order];
            self.matrices.b[start * order..(start + depth) * order].convert_to_f32_slice(rows);
            let a = MatRef::from_row_major(&self.columns_of_a[..order * depth], order, depth);
            let b = MatRef::from_row_major(rows, depth, order);
            let product = MatMut::from_row_major(&mut self.matrices.product, order, order);
            // The first block overwrites the previous product, the others add to it.
            gemm(1.0, a, b, if start == 0 { 0.0 } else { 1.0 }, product, Parallelism::Serial);
            start += depth;
        }
    }
}

/// SplitMix64 (Steele, Lea, Flood 2014): the matrices must be reproducible, not unpredictable.
pub(crate) struct Stream(u64);

impl Stream {
    #[cfg(feature = "cuda")]
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Uniform in -1 to 1.
    pub(crate) fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 52) as f64 - 1.0
    }

    /// An index below `end`; the bias for such small ends is below 2^-50.
    fn below(&mut self, end: usize) -> usize {
        (self.next() % end as u64) as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Orders below, at and above the widening block, none a multiple of a SIMD tile.
    const ORDERS: [usize; 4] = [9, 64, 256, 301];

    fn each(mut check: impl FnMut(Precision, Path)) {
        for precision in Precision::ALL {
            for &path in Kernel::paths(precision) {
                check(precision, path);
            }
        }
    }

    #[test]
    fn every_product_is_right() {
        each(|precision, path| {
            for order in ORDERS {
                let mut kernel = Kernel::new(precision, path, order, 1).expect("a listed path has a kernel");
                kernel.multiply();
                // A second product must replace the first, not add to it.
                kernel.multiply();
                let Check { error_max, bound, .. } = kernel.check(2);
                assert!(error_max <= bound, "{precision:?} {path:?} of order {order}: {error_max} > {bound}");
            }
        });
    }

    #[test]
    fn a_product_that_was_never_computed_is_seen() {
        each(|precision, path| {
            let Check { error_max, bound, .. } = Kernel::new(precision, path, 16, 1).expect("a kernel").check(2);
            assert!(error_max.is_nan() || error_max > bound, "{precision:?} {path:?}");
        });
    }

    #[test]
    fn a_wrong_product_is_seen() {
        let mut kernel = Kernel::new(Precision::Fp32, Path::Direct, 16, 1).expect("a kernel");
        kernel.multiply();
        if let Kernel::Fp32(matrices) = &mut kernel {
            matrices.product.iter_mut().for_each(|x| *x += 0.01);
        }
        let check = kernel.check(2);
        assert!(check.error_max > check.bound);
    }

    #[test]
    fn what_a_processor_has_no_kernel_for_is_none() {
        for (precision, path) in
            [(Precision::Tf32, Path::Direct), (Precision::Fp8, Path::Direct), (Precision::Fp64, Path::Widened)]
        {
            assert!(Kernel::new(precision, path, 16, 1).is_none());
        }
    }
}
