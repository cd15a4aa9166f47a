//! bfloat16 as a storage format: the upper half of a binary32.

/// A bfloat16 number: 1 sign bit, 8 exponent bits, 7 fraction bits. Storage only; arithmetic happens
/// after widening, which is exact.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Bf16(u16);

impl Bf16 {
    /// Rounds to the nearest bfloat16, ties to even. NaN stays NaN; what is too large becomes infinite.
    #[must_use]
    pub const fn from_f32(value: f32) -> Self {
        let bits = value.to_bits();
        if value.is_nan() {
            // The quiet bit is set so that dropping the low half can never turn a NaN into infinity.
            return Self((bits >> 16) as u16 | 0x0040);
        }
        let ties_to_even = 0x7fff + ((bits >> 16) & 1);
        Self((bits.wrapping_add(ties_to_even) >> 16) as u16)
    }

    /// Widens to binary32, exactly.
    #[must_use]
    pub const fn to_f32(self) -> f32 {
        f32::from_bits((self.0 as u32) << 16)
    }

    /// The stored bits.
    #[must_use]
    pub const fn to_bits(self) -> u16 {
        self.0
    }

    /// A number from its stored bits.
    #[must_use]
    pub const fn from_bits(bits: u16) -> Self {
        Self(bits)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn known_values() {
        for (value, bits) in [
            (0.0_f32, 0x0000),
            (-0.0, 0x8000),
            (1.0, 0x3f80),
            (-2.0, 0xc000),
            (f32::INFINITY, 0x7f80),
            (f32::MAX, 0x7f80),
            // Exactly between 1.0 and the next number: the even one wins.
            (1.0 + 1.0 / 256.0, 0x3f80),
            (1.0 + 3.0 / 256.0, 0x3f82),
        ] {
            assert_eq!(Bf16::from_f32(value).to_bits(), bits, "{value}");
        }
        assert!(Bf16::from_f32(f32::from_bits(0x7f80_0001)).to_f32().is_nan());
    }

    proptest! {
        #[test]
        fn every_stored_number_survives_the_round_trip(bits: u16) {
            let wide = Bf16::from_bits(bits).to_f32();
            if wide.is_nan() {
                prop_assert!(Bf16::from_f32(wide).to_f32().is_nan());
            } else {
                prop_assert_eq!(Bf16::from_f32(wide).to_bits(), bits);
            }
        }

        #[test]
        fn rounding_is_within_half_a_unit(value in -1.0e30_f32..1.0e30) {
            prop_assume!(value.abs() > 1.0e-30);
            let error = (f64::from(Bf16::from_f32(value).to_f32()) - f64::from(value)).abs();
            prop_assert!(error <= f64::from(value.abs()) / 256.0);
        }
    }
}
