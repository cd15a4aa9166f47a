//! The products that are timed, and the check that they are right.
//!
//! `ndarray` is used for its safe interface only: `general_mat_mul` on FP32 and FP64 arrays hands the
//! work to `matrixmultiply`, whose own functions take raw pointers.

use crate::bf16::Bf16;
use crate::spec::Precision;
use ndarray::linalg::general_mat_mul;
use ndarray::{Array2, ArrayView2, ArrayViewMut2, Axis, Slice, Zip};

/// Columns of A (and rows of B) that are widened together. It is the depth of a packed block inside
/// `matrixmultiply`, so the widened copies stay in cache and no block is packed twice.
const WIDEN_BLOCK: usize = 256;
/// Entries of each product compared with the naive one.
const ENTRIES_CHECKED: u32 = 64;

/// One core's matrices. The product starts as NaN, so an entry that is never written is seen.
pub(crate) enum Kernel {
    /// FP64 throughout.
    Fp64(Matrices<f64, f64>),
    /// FP32 throughout.
    Fp32(Matrices<f32, f32>),
    /// BF16 inputs and an FP32 product.
    Bf16(Box<Widening>),
}

/// Two inputs and their product.
pub(crate) struct Matrices<Input, Output> {
    a: Array2<Input>,
    b: Array2<Input>,
    product: Array2<Output>,
}

/// BF16 matrices with the FP32 scratch blocks they are widened into.
pub(crate) struct Widening {
    matrices: Matrices<Bf16, f32>,
    columns_of_a: Array2<f32>,
    rows_of_b: Array2<f32>,
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
    /// Matrices of the given order, filled from `seed`: the same seed gives the same matrices.
    pub(crate) fn new(precision: Precision, order: usize, seed: u64) -> Self {
        let mut stream = Stream(seed);
        match precision {
            Precision::Fp64 => Self::Fp64(Matrices::new(order, f64::NAN, || stream.unit())),
            Precision::Fp32 => Self::Fp32(Matrices::new(order, f32::NAN, || stream.unit() as f32)),
            Precision::Bf16 => {
                let next = || Bf16::from_f32(stream.unit() as f32);
                let block = WIDEN_BLOCK.min(order);
                Self::Bf16(Box::new(Widening {
                    matrices: Matrices::new(order, f32::NAN, next),
                    columns_of_a: Array2::zeros((order, block)),
                    rows_of_b: Array2::zeros((block, order)),
                }))
            }
        }
    }

    /// Computes the product once. This is what is timed.
    pub(crate) fn multiply(&mut self) {
        match self {
            Self::Fp64(m) => general_mat_mul(1.0, &m.a, &m.b, 0.0, &mut m.product),
            Self::Fp32(m) => general_mat_mul(1.0, &m.a, &m.b, 0.0, &mut m.product),
            Self::Bf16(widening) => widening.multiply(),
        }
    }

    /// Compares sampled entries of the product with a naive FP64 computation.
    pub(crate) fn check(&self, seed: u64) -> Check {
        match self {
            Self::Fp64(m) => m.check(seed, |x| x, |x| x, f64::EPSILON),
            Self::Fp32(m) => m.check(seed, f64::from, f64::from, f64::from(f32::EPSILON)),
            Self::Bf16(w) => w.matrices.check(seed, |x| f64::from(x.to_f32()), f64::from, f64::from(f32::EPSILON)),
        }
    }
}

impl<Input: Copy, Output: Copy> Matrices<Input, Output> {
    fn new(order: usize, unset: Output, mut next: impl FnMut() -> Input) -> Self {
        let shape = (order, order);
        Self {
            a: Array2::from_shape_simple_fn(shape, &mut next),
            b: Array2::from_shape_simple_fn(shape, &mut next),
            product: Array2::from_elem(shape, unset),
        }
    }

    /// An inner product of length n has a rounding error of at most `n u` times the sum of absolute
    /// products (u: half the machine epsilon), whatever the order of the additions; twice that allows
    /// for the rounding of the naive sum.
    fn check(&self, seed: u64, input: impl Fn(Input) -> f64, output: impl Fn(Output) -> f64, epsilon: f64) -> Check {
        let order = self.a.nrows();
        let mut stream = Stream(seed);
        let mut error_max = 0.0_f64;
        for _ in 0..ENTRIES_CHECKED {
            let (row, column) = (stream.below(order), stream.below(order));
            let (mut sum, mut scale) = (0.0, 0.0);
            for k in 0..order {
                let term = input(self.a[[row, k]]) * input(self.b[[k, column]]);
                sum += term;
                scale += term.abs();
            }
            let error = (output(self.product[[row, column]]) - sum).abs() / scale;
            // `f64::max` would drop a NaN, which is exactly what must not be lost.
            if error.is_nan() || error > error_max {
                error_max = error;
            }
            if error_max.is_nan() {
                break;
            }
        }
        Check { entries: ENTRIES_CHECKED, error_max, bound: order as f64 * epsilon }
    }
}

impl Widening {
    /// Widens each element of A and B once per product, so the conversion costs `O(n^2)` of the
    /// `O(n^3)` total; it is timed, because a CPU without BF16 arithmetic really has to do it.
    fn multiply(&mut self) {
        let order = self.matrices.a.nrows();
        let mut start = 0;
        while start < order {
            let depth = WIDEN_BLOCK.min(order - start);
            let (span, head) = (Slice::from(start..start + depth), Slice::from(..depth));
            let mut columns = self.columns_of_a.slice_axis_mut(Axis(1), head);
            let mut rows = self.rows_of_b.slice_axis_mut(Axis(0), head);
            widen(self.matrices.a.slice_axis(Axis(1), span), &mut columns);
            widen(self.matrices.b.slice_axis(Axis(0), span), &mut rows);
            // The first block overwrites the previous product, the others add to it.
            let keep = if start == 0 { 0.0 } else { 1.0 };
            general_mat_mul(1.0, &columns, &rows, keep, &mut self.matrices.product);
            start += depth;
        }
    }
}

fn widen(from: ArrayView2<'_, Bf16>, to: &mut ArrayViewMut2<'_, f32>) {
    Zip::from(to).and(from).for_each(|wide, narrow| *wide = narrow.to_f32());
}

/// SplitMix64 (Steele, Lea, Flood 2014): the matrices must be reproducible, not unpredictable.
struct Stream(u64);

impl Stream {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Uniform in -1 to 1.
    fn unit(&mut self) -> f64 {
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

    #[test]
    fn every_product_is_right() {
        for precision in Precision::ALL {
            for order in ORDERS {
                let mut kernel = Kernel::new(precision, order, 1);
                kernel.multiply();
                // A second product must replace the first, not add to it.
                kernel.multiply();
                let check = kernel.check(2);
                assert!(
                    check.error_max <= check.bound,
                    "{precision:?} of order {order}: {} > {}",
                    check.error_max,
                    check.bound
                );
            }
        }
    }

    #[test]
    fn a_product_that_was_never_computed_is_seen() {
        for precision in Precision::ALL {
            let check = Kernel::new(precision, 16, 1).check(2);
            assert!(check.error_max.is_nan());
        }
    }

    #[test]
    fn a_wrong_product_is_seen() {
        let mut kernel = Kernel::new(Precision::Fp32, 16, 1);
        kernel.multiply();
        if let Kernel::Fp32(matrices) = &mut kernel {
            matrices.product.mapv_inplace(|x| x + 0.01);
        }
        let check = kernel.check(2);
        assert!(check.error_max > check.bound);
    }
}
