//! Reservations in advance: a part of a pool that is kept for the jobs of one tenant from one moment to another.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::{
    centre::Class,
    ids::{CentreId, PoolId, TenantId},
    quantity::{Bytes, DurationMs, MilliDevices, Millicores, TimeMs},
};

/// The number of a reservation in advance in its network, from 1; never given again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ReservationId(pub u32);

impl fmt::Display for ReservationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for ReservationId {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let number = text.parse().ok().filter(|&number: &u32| number > 0);
        number.map(ReservationId).ok_or_else(|| format!("reservation `{text}` is not a number from 1"))
    }
}

/// A part of a pool, kept for the jobs of a tenant that name it. Others start there only what ends before it or leaves
/// it free.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AdvanceReservation {
    /// Its number.
    pub id: ReservationId,
    /// Whose jobs may name it.
    pub tenant: TenantId,
    /// The pool of its centre.
    pub pool: PoolId,
    /// Cores.
    pub cores: Millicores,
    /// Memory.
    pub memory: Bytes,
    /// Accelerators, in thousandths.
    #[serde(default, skip_serializing_if = "MilliDevices::is_zero")]
    pub devices: MilliDevices,
    /// Its first moment.
    pub from: TimeMs,
    /// The first moment after it. Its jobs end before, too.
    pub until: TimeMs,
    /// What for, for people.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub note: String,
}

impl AdvanceReservation {
    /// Whether a task of one of its jobs that starts at `now` and may run for `walltime` stays within it.
    pub fn holds(&self, now: TimeMs, walltime: DurationMs) -> bool {
        self.from <= now && now.after(walltime) <= self.until
    }

    /// Whether it keeps something at some moment from `from` to before `until`.
    pub fn meets(&self, from: TimeMs, until: TimeMs) -> bool {
        self.from.max(from) < self.until.min(until)
    }
}

/// What is asked to be kept. Cores and memory that are not named are the pool's, in proportion to its devices or cores.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AskedReservation {
    /// For whom.
    pub tenant: TenantId,
    /// Only at this centre.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub centre: Option<CentreId>,
    /// Only of this pool.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pool: Option<PoolId>,
    /// Only of this class.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub class: Option<Class>,
    /// Cores.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cores: Option<Millicores>,
    /// Memory.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory: Option<Bytes>,
    /// Accelerators, in thousandths.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub devices: Option<MilliDevices>,
    /// The first moment.
    pub from: TimeMs,
    /// The first moment after it.
    pub until: TimeMs,
    /// What for, for people.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub note: String,
    /// The tenant asks for itself: it needs the right to reserve.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub own: bool,
}

/// The most reservations of a centre that have not ended.
pub const RESERVATIONS_MAX: usize = 100;
/// The longest reservation, and the longest time before it begins: 366 days.
pub const AHEAD_MS_MAX: u64 = 366 * 24 * 3600 * 1000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_task_is_held_from_the_first_moment_to_the_last() {
        let kept = AdvanceReservation {
            id: ReservationId(1),
            tenant: TenantId::new("lab").expect("a name"),
            pool: PoolId::new("cpu:x").expect("a name"),
            cores: Millicores(1000),
            memory: Bytes(1),
            devices: MilliDevices(0),
            from: TimeMs(100),
            until: TimeMs(200),
            note: String::new(),
        };
        let cases =
            [(99, 10, false), (100, 100, true), (100, 101, false), (199, 1, true), (200, 0, true), (201, 0, false)];
        for (now, walltime, held) in cases {
            assert_eq!(kept.holds(TimeMs(now), DurationMs(walltime)), held, "{now} {walltime}");
        }
        for (from, until, meets) in [(0, 100, false), (0, 101, true), (199, 300, true), (200, 300, false)] {
            assert_eq!(kept.meets(TimeMs(from), TimeMs(until)), meets, "{from} {until}");
        }
    }

    #[test]
    fn its_number_is_read_and_written() {
        assert_eq!("7".parse(), Ok(ReservationId(7)));
        for wrong in ["0", "-1", "x", "", "4294967296"] {
            assert_eq!(wrong.parse::<ReservationId>(), Err(format!("reservation `{wrong}` is not a number from 1")));
        }
        assert_eq!(serde_json::to_string(&ReservationId(7)).expect("JSON"), "7");
    }
}
