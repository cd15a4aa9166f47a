//! The inputs of the products of a device, as bytes, and the check of what it computed.

use half::{bf16, f16};
use huisuan_model::Precision;

use crate::kernel::{Check, Stream};

/// So many different columns are made; matrices repeat them. A prime, so that the tiles of a kernel do not see the same
/// ones again and again.
const COLUMNS: usize = 509;
/// Columns of the product that are fetched for the check, the first and the last among them.
const COLUMNS_CHECKED: usize = 4;
/// Entries of each that are compared.
const ROWS_CHECKED: usize = 16;

/// A precision that cuBLAS multiplies in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    Fp64,
    Fp32,
    Tf32,
    Bf16,
    Fp16,
    Int8,
}

impl Format {
    /// `None` for what this method does not multiply: FP8 needs another library.
    pub(super) fn of(precision: Precision) -> Option<Self> {
        Some(match precision {
            Precision::Fp64 => Self::Fp64,
            Precision::Fp32 => Self::Fp32,
            Precision::Tf32 => Self::Tf32,
            Precision::Bf16 => Self::Bf16,
            Precision::Fp16 => Self::Fp16,
            Precision::Int8 => Self::Int8,
            Precision::Fp8 => return None,
        })
    }

    pub(super) fn input_bytes(self) -> usize {
        match self {
            Self::Fp64 => 8,
            Self::Fp32 | Self::Tf32 => 4,
            Self::Bf16 | Self::Fp16 => 2,
            Self::Int8 => 1,
        }
    }

    /// Sums are kept as they are made: FP64, FP32, or 32-bit integers.
    pub(super) fn output_bytes(self) -> usize {
        if self == Self::Fp64 { 8 } else { 4 }
    }

    fn encode(self, value: f64, into: &mut Vec<u8>) {
        match self {
            Self::Fp64 => into.extend(value.to_ne_bytes()),
            Self::Fp32 => into.extend((value as f32).to_ne_bytes()),
            // The device drops the last 13 bits of an FP32 input: without them its product is exact.
            Self::Tf32 => into.extend(((value as f32).to_bits() & !0x1fff).to_ne_bytes()),
            Self::Bf16 => into.extend(bf16::from_f64(value).to_ne_bytes()),
            Self::Fp16 => into.extend(f16::from_f64(value).to_ne_bytes()),
            Self::Int8 => into.extend(((value * 127.0) as i8).to_ne_bytes()),
        }
    }

    fn input(self, bytes: &[u8]) -> f64 {
        match self {
            Self::Fp64 => f64::from_ne_bytes(array(bytes)),
            Self::Fp32 | Self::Tf32 => f32::from_ne_bytes(array(bytes)).into(),
            Self::Bf16 => bf16::from_ne_bytes(array(bytes)).into(),
            Self::Fp16 => f16::from_ne_bytes(array(bytes)).into(),
            Self::Int8 => i8::from_ne_bytes(array(bytes)).into(),
        }
    }

    fn output(self, bytes: &[u8]) -> f64 {
        match self {
            Self::Fp64 => f64::from_ne_bytes(array(bytes)),
            Self::Int8 => i32::from_ne_bytes(array(bytes)).into(),
            _ => f32::from_ne_bytes(array(bytes)).into(),
        }
    }

    /// The largest error that rounding explains, relative to the sum of absolute products. Inputs are exact in their
    /// format and of random sign, so that errors of the sums cancel: one of FP32 is some 1e-7, whatever the length.
    /// Inputs rounded to TF32 on the way would make 4e-6 of FP32, and sums in FP16 1e-4 of FP16: neither passes for the
    /// other. Matrix units round their sums less carefully than the rest.
    fn bound(self) -> f64 {
        match self {
            Self::Fp64 => 16.0 * f64::EPSILON,
            Self::Fp32 => 16.0 * f64::from(f32::EPSILON),
            Self::Tf32 | Self::Bf16 | Self::Fp16 => 256.0 * f64::from(f32::EPSILON),
            Self::Int8 => 0.0,
        }
    }
}

fn array<const N: usize>(bytes: &[u8]) -> [u8; N] {
    bytes.try_into().expect("elements are cut by their size")
}

/// The different columns of one input.
pub(super) struct Panel {
    format: Format,
    order: usize,
    bytes: Vec<u8>,
}

impl Panel {
    /// Numbers uniform in -1 to 1 (-127 to 127 for integers) from `seed`: the same seed makes the same columns. What is
    /// multiplied matters: a device that multiplies zeros takes less power, and is faster than it is.
    pub(super) fn new(format: Format, order: usize, seed: u64) -> Self {
        let mut stream = Stream::new(seed);
        let elements = order * COLUMNS.min(order);
        let mut bytes = Vec::with_capacity(elements * format.input_bytes());
        for _ in 0..elements {
            format.encode(stream.unit(), &mut bytes);
        }
        Self { format, order, bytes }
    }

    /// The pieces of the whole matrix in order, each with its offset in bytes.
    pub(super) fn pieces(&self) -> impl Iterator<Item = (usize, &[u8])> {
        let whole = self.order * self.order * self.format.input_bytes();
        let piece = move |offset| (offset, &self.bytes[..self.bytes.len().min(whole - offset)]);
        (0..whole).step_by(self.bytes.len()).map(piece)
    }

    fn column(&self, index: usize) -> impl Iterator<Item = f64> {
        let size = self.format.input_bytes();
        let length = self.order * size;
        let start = index % COLUMNS.min(self.order) * length;
        self.bytes[start..start + length].chunks_exact(size).map(|bytes| self.format.input(bytes))
    }
}

/// The columns of the product that are checked: the first and the last, and some between.
pub(super) fn columns_checked(order: usize) -> Vec<usize> {
    spread(order, COLUMNS_CHECKED)
}

fn spread(order: usize, count: usize) -> Vec<usize> {
    let count = count.min(order);
    (0..count).map(|at| if count == 1 { 0 } else { at * (order - 1) / (count - 1) }).collect()
}

/// Compares entries of the fetched columns of the product with inner products in FP64.
pub(super) fn check(a: &Panel, b: &Panel, columns: &[(usize, Vec<u8>)]) -> Check {
    let format = a.format;
    let rows = spread(a.order, ROWS_CHECKED);
    let mut error_max = 0.0_f64;
    for (column, bytes) in columns {
        for &row in &rows {
            let (mut sum, mut scale) = (0.0, 0.0);
            for (left, right) in a.column(row).zip(b.column(*column)) {
                sum += left * right;
                scale += (left * right).abs();
            }
            let size = format.output_bytes();
            let entry = format.output(&bytes[row * size..(row + 1) * size]);
            let error = (entry - sum).abs() / scale;
            // `f64::max` would drop a NaN, which is exactly what must not be lost.
            if error.is_nan() {
                return Check { entries: 0, error_max: f64::NAN, bound: format.bound() };
            }
            error_max = error_max.max(error);
        }
    }
    let entries = u32::try_from(rows.len() * columns.len()).unwrap_or(u32::MAX);
    Check { entries, error_max, bound: format.bound() }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FORMATS: [Format; 6] = [Format::Fp64, Format::Fp32, Format::Tf32, Format::Bf16, Format::Fp16, Format::Int8];

    type Entry = fn(&[f64], &[f64]) -> f64;

    /// The column of the product, each entry by `entry` from the two columns of the inputs.
    fn columns(a: &Panel, b: &Panel, order: usize, entry: impl Fn(&[f64], &[f64]) -> f64) -> Vec<(usize, Vec<u8>)> {
        let column = |at: usize| {
            let right: Vec<f64> = b.column(at).collect();
            let mut bytes = Vec::new();
            for row in 0..order {
                let left: Vec<f64> = a.column(row).collect();
                let value = entry(&left, &right);
                match a.format {
                    Format::Fp64 => bytes.extend(value.to_ne_bytes()),
                    Format::Int8 => bytes.extend((value as i32).to_ne_bytes()),
                    _ => bytes.extend((value as f32).to_ne_bytes()),
                }
            }
            (at, bytes)
        };
        columns_checked(order).into_iter().map(column).collect()
    }

    fn inner(left: &[f64], right: &[f64]) -> f64 {
        left.iter().zip(right).map(|(l, r)| l * r).sum()
    }

    #[test]
    fn a_right_product_passes_and_others_do_not() {
        let order = 640;
        for format in FORMATS {
            let (a, b) = (Panel::new(format, order, 1), Panel::new(format, order, 2));
            let checked = |entry: Entry| check(&a, &b, &columns(&a, &b, order, entry));
            let right = checked(inner);
            assert!(right.error_max <= right.bound, "{format:?}: {} > {}", right.error_max, right.bound);
            assert_eq!(right.entries, 64);
            let wrong: [Entry; 3] =
                [|_, _| 0.0, |left, right| inner(left, right) * 1.001, |left, right| inner(right, left) + 1.0];
            for entry in wrong {
                let wrong = checked(entry);
                assert!(wrong.error_max > wrong.bound, "{format:?}");
            }
            // The entries of the transposed product are others.
            let mut transposed = columns(&b, &a, order, inner);
            let wrong = check(&a, &b, &transposed);
            assert!(wrong.error_max > wrong.bound, "{format:?}");
            if format != Format::Int8 {
                transposed[0].1.fill(0xff);
                assert!(check(&a, &b, &transposed).error_max.is_nan(), "{format:?}");
            }
        }
    }

    /// What must not pass as FP32: inputs that lost 13 bits on the way. What must not pass as FP16 with FP32 sums: sums
    /// in FP16.
    #[test]
    fn a_product_of_less_precision_is_seen() {
        let order = 2_048;
        let tf32 = |value: f64| f64::from(f32::from_bits((value as f32).to_bits().wrapping_add(0x1000) & !0x1fff));
        let (a, b) = (Panel::new(Format::Fp32, order, 1), Panel::new(Format::Fp32, order, 2));
        let rounded = |left: &[f64], right: &[f64]| left.iter().zip(right).map(|(l, r)| tf32(*l) * tf32(*r)).sum();
        let seen = check(&a, &b, &columns(&a, &b, order, rounded));
        assert!(seen.error_max > seen.bound, "{} <= {}", seen.error_max, seen.bound);
        // FP32 itself passes, with sums one after another.
        let single = |left: &[f64], right: &[f64]| {
            left.iter().zip(right).fold(0.0_f32, |sum, (l, r)| (*l as f32).mul_add(*r as f32, sum)).into()
        };
        let seen = check(&a, &b, &columns(&a, &b, order, single));
        assert!(seen.error_max <= seen.bound, "{} > {}", seen.error_max, seen.bound);
        let (a, b) = (Panel::new(Format::Fp16, order, 1), Panel::new(Format::Fp16, order, 2));
        let half_sums = |left: &[f64], right: &[f64]| {
            left.iter().zip(right).fold(f16::ZERO, |sum, (l, r)| f16::from_f64(f64::from(sum) + l * r)).into()
        };
        let seen = check(&a, &b, &columns(&a, &b, order, half_sums));
        assert!(seen.error_max > seen.bound, "{} <= {}", seen.error_max, seen.bound);
    }

    #[test]
    fn pieces_make_the_whole_matrix() {
        for order in [16, COLUMNS, 640, 1_100] {
            let panel = Panel::new(Format::Int8, order, 3);
            let mut whole: Vec<u8> = Vec::new();
            for (offset, piece) in panel.pieces() {
                assert_eq!(offset, whole.len());
                whole.extend(piece);
            }
            assert_eq!(whole.len(), order * order);
            for at in columns_checked(order) {
                let bytes = &whole[at * order..(at + 1) * order];
                let column: Vec<f64> = bytes.iter().map(|&byte| f64::from(byte.cast_signed())).collect();
                assert_eq!(column, panel.column(at).collect::<Vec<_>>());
            }
        }
        assert_eq!((spread(1, 4), spread(8, 4)), (vec![0], vec![0, 2, 4, 7]));
    }
}
