//! Places on the globe and how far they are from each other, in integers: the same everywhere.

use serde::{Deserialize, Serialize};

/// A place on the globe in millionths of a degree, for latency.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Place {
    /// Latitude, north positive.
    pub latitude_microdegrees: i32,
    /// Longitude, east positive.
    pub longitude_microdegrees: i32,
}

/// Mean radius of the earth, in metres (IUGG).
const EARTH_M: i128 = 6_371_009;
/// Binary places of the fractions below.
const BITS: u32 = 48;
const ONE: i128 = 1 << BITS;
/// π with [`BITS`] binary places.
const PI: i128 = 884_279_719_003_555;
const HALF_TURN_MICRODEGREES: i128 = 180_000_000;

/// Nanoseconds that light needs for a metre of fibre and back, rounded down: the group index of standard fibre is
/// 1.468 at 1,550 nm (ITU-T G.652), the speed of light 299,792,458 m/s.
const ROUND_TRIP_NS_PER_M_TIMES_1000: u128 = 9_793;

impl Place {
    /// Whether it lies on the globe.
    pub fn valid(&self) -> bool {
        self.latitude_microdegrees.unsigned_abs() <= 90_000_000
            && self.longitude_microdegrees.unsigned_abs() <= 180_000_000
    }

    /// How far another place is along the ground of a round earth, in metres. Never more than it is but for its
    /// flattening (0.5 %); to the other side of the earth up to a tenth less.
    pub fn distance_m(&self, other: &Place) -> u64 {
        let (one, two) = (self.vector(), other.vector());
        let squares = one.iter().zip(two).map(|(a, b)| (a - b) * (a - b)).sum::<i128>().unsigned_abs();
        // Half the straight line through the earth, as a part of its radius, and the angle that belongs to it: a series
        // whose terms are all positive, so that what is left out makes it less.
        let sine = i128::try_from(squares.isqrt() / 2).unwrap_or(ONE).min(ONE);
        let square = product(sine, sine);
        let mut term = sine;
        let mut angle = sine;
        for step in 0..12 {
            let (odd, even) = (2 * step + 1, 2 * step + 2);
            term = product(term, square) * odd / even;
            angle += term / (even + 1);
        }
        u64::try_from((2 * EARTH_M * angle) >> BITS).unwrap_or(0)
    }

    /// The shortest round trip over fibre along the ground to another place, in microseconds: no network is faster,
    /// and real ones take detours and have equipment, so that a measured figure is a better one.
    pub fn round_trip_us_least(&self, other: &Place) -> u64 {
        let ns = u128::from(self.distance_m(other)) * ROUND_TRIP_NS_PER_M_TIMES_1000 / 1_000;
        u64::try_from(ns / 1_000).unwrap_or(u64::MAX)
    }

    /// The way to it from the middle of an earth of radius one.
    fn vector(&self) -> [i128; 3] {
        let radians = |microdegrees: i32| i128::from(microdegrees) * PI / HALF_TURN_MICRODEGREES;
        let [latitude, longitude] = [radians(self.latitude_microdegrees), radians(self.longitude_microdegrees)];
        let level = cosine(latitude);
        [product(level, cosine(longitude)), product(level, sine(longitude)), sine(latitude)]
    }
}

fn product(a: i128, b: i128) -> i128 {
    (a * b) >> BITS
}

fn cosine(angle: i128) -> i128 {
    sine(angle + PI / 2)
}

/// By its series, which 14 terms end below 2^-48 for angles up to three quarters of a turn.
fn sine(angle: i128) -> i128 {
    let square = product(angle, angle);
    let (mut term, mut sum) = (angle, angle);
    for step in 1..=14 {
        term = -product(term, square) / ((2 * step) * (2 * step + 1));
        sum += term;
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn place(latitude: f64, longitude: f64) -> Place {
        Place { latitude_microdegrees: (latitude * 1e6) as i32, longitude_microdegrees: (longitude * 1e6) as i32 }
    }

    /// The haversine formula in floats, for a round earth.
    fn haversine_m(one: Place, two: Place) -> f64 {
        let radians = |microdegrees: i32| (f64::from(microdegrees) / 1e6).to_radians();
        let (a, b) = (radians(one.latitude_microdegrees), radians(two.latitude_microdegrees));
        let longitude = radians(two.longitude_microdegrees) - radians(one.longitude_microdegrees);
        let square = ((b - a) / 2.0).sin().powi(2) + a.cos() * b.cos() * (longitude / 2.0).sin().powi(2);
        2.0 * 6_371_009.0 * square.sqrt().min(1.0).asin()
    }

    #[test]
    fn distances_and_round_trips_of_known_places() {
        let zhengzhou = place(34.75, 113.62);
        for (there, km, ms) in [
            (zhengzhou, 0, 0.0),
            (place(35.71, 107.64), 553, 5.42),   // Qingyang
            (place(42.83, 93.51), 1_953, 19.14), // Hami
        ] {
            assert_eq!(zhengzhou.distance_m(&there) / 1_000, km);
            assert!((zhengzhou.round_trip_us_least(&there) as f64 / 1_000.0 - ms).abs() < 0.05, "{km} km");
        }
    }

    proptest! {
        #[test]
        fn distances_are_those_of_the_haversine_formula(
            a in -90.0..=90.0f64, b in -180.0..=180.0f64, c in -90.0..=90.0f64, d in -180.0..=180.0f64,
        ) {
            let (one, two) = (place(a, b), place(c, d));
            let (found, true_m) = (one.distance_m(&two) as f64, haversine_m(one, two));
            prop_assert!(found <= true_m + 2.0, "{found} above {true_m}");
            let least = if true_m < 15_000_000.0 { true_m * 0.99 } else { true_m * 0.88 };
            prop_assert!(found >= least - 2.0, "{found} below {true_m}");
            prop_assert_eq!(one.distance_m(&two), two.distance_m(&one));
        }
    }
}
