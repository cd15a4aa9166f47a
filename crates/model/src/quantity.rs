//! Integer quantities in fixed units, each with its own type, so that seconds cannot meet bytes.

use std::fmt;

use serde::{Deserialize, Serialize};

macro_rules! quantities {
    ($($(#[$doc:meta])* $name:ident($inner:ty) $unit:literal;)*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub $inner);

        impl $name {
            /// Nothing of it.
            pub const ZERO: Self = Self(0);

            /// The sum, or `None` when it overflows.
            pub fn checked_add(self, other: Self) -> Option<Self> {
                self.0.checked_add(other.0).map(Self)
            }

            /// The difference, never below the smallest value of the type.
            pub fn saturating_sub(self, other: Self) -> Self {
                Self(self.0.saturating_sub(other.0))
            }

            /// The sum, never above the largest value of the type.
            pub fn saturating_add(self, other: Self) -> Self {
                Self(self.0.saturating_add(other.0))
            }

            /// True for nothing.
            pub fn is_zero(&self) -> bool {
                self.0 == 0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!("{}", $unit), self.0)
            }
        }
    )*};
}

quantities! {
    /// A moment: milliseconds since 1970-01-01T00:00:00Z.
    TimeMs(i64) " ms";
    /// A span of time in milliseconds.
    DurationMs(u64) " ms";
    /// Thousandths of a processor core.
    Millicores(u64) " millicores";
    /// Bytes.
    Bytes(u64) " B";
    /// Thousandths of an accelerator device.
    MilliDevices(u64) " thousandths of a device";
    /// Work: thousand millions of floating point operations in the precision of a class.
    Gflop(u64) " GFLOP";
    /// Rate of work: GFLOP in a second, in the precision of a class.
    GflopPerS(u64) " GFLOP/s";
    /// Millionths of a currency unit.
    Money(i64) " millionths";
}

/// GFLOP in one P·h (10^15 FLOP/s for an hour).
pub const GFLOP_PER_P_H: u64 = 3_600_000_000;

impl Money {
    /// What work costs at this price of one P·h, rounded up: what is held, so that it covers what is charged. Amounts
    /// beyond 64 bits are capped.
    pub fn price_up(self, work: Gflop) -> Money {
        let price = u128::try_from(self.0).unwrap_or(0);
        let amount = (u128::from(work.0) * price).div_ceil(u128::from(GFLOP_PER_P_H));
        Money(i64::try_from(amount).unwrap_or(i64::MAX))
    }
}

impl TimeMs {
    /// The span from `earlier` to this moment; nothing when the clock stepped back.
    pub fn since(self, earlier: TimeMs) -> DurationMs {
        DurationMs(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }

    /// This moment and a span.
    pub fn after(self, span: DurationMs) -> TimeMs {
        TimeMs(self.0.saturating_add(i64::try_from(span.0).unwrap_or(i64::MAX)))
    }
}

impl Millicores {
    /// Whole cores, rounded up: what an engine that knows only whole cores must give.
    pub fn cores_up(self) -> u64 {
        self.0.div_ceil(1000)
    }
}

impl Gflop {
    /// Display form in P·h; never used in accounts.
    pub fn p_h(self) -> f64 {
        self.0 as f64 / GFLOP_PER_P_H as f64
    }
}

/// `a * b / c` in 128 bits, rounded down, capped at `u64::MAX`; 0 when `c` is 0.
///
/// Meter arithmetic multiplies three 64-bit quantities; the intermediate must not overflow and a
/// division by an empty pool must not panic.
pub fn mul_div(a: u64, b: u64, c: u64) -> u64 {
    if c == 0 {
        return 0;
    }
    u64::try_from(u128::from(a) * u128::from(b) / u128::from(c)).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mul_div_neither_overflows_nor_divides_by_zero() {
        assert_eq!(mul_div(7, 3, 2), 10);
        assert_eq!(mul_div(u64::MAX, u64::MAX, u64::MAX), u64::MAX);
        assert_eq!(mul_div(u64::MAX, 2, 1), u64::MAX);
        assert_eq!(mul_div(1, 1, 0), 0);
    }

    #[test]
    fn time_never_runs_backwards() {
        assert_eq!(TimeMs(10).since(TimeMs(4)), DurationMs(6));
        assert_eq!(TimeMs(4).since(TimeMs(10)), DurationMs(0));
        assert_eq!(TimeMs(i64::MAX).after(DurationMs(1)), TimeMs(i64::MAX));
    }
}
