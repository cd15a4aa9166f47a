//! The clock that a core really runs at, timed, because virtual machines tell the base clock and boost it.

use std::hint::black_box;
use std::time::Instant;

/// Steps of one chain: 40 to 80 microseconds, shorter than a time slice.
const STEPS: u32 = 100_000;
/// Chains timed; the fastest counts, because an interruption only ever makes one slower.
const CHAINS: u32 = 50;

/// The clock in kHz of the core that the calling thread runs on, from the fastest of several chains of
/// dependent instructions; `None` where the latency of such a chain is not known.
///
/// Each step adds a constant too large for an immediate operand and rotates: two instructions of one
/// cycle each on every 64-bit x86 (Intel's and AMD's optimisation manuals, tables of latencies), which
/// neither compiler nor processor can shorten, for the one does not commute with the other.
pub(crate) fn timed_khz() -> Option<u64> {
    if !cfg!(target_arch = "x86_64") {
        return None;
    }
    let mut fastest_ns = u64::MAX;
    for _ in 0..CHAINS {
        let from = Instant::now();
        black_box(chain(black_box(1)));
        fastest_ns = fastest_ns.min(u64::try_from(from.elapsed().as_nanos()).unwrap_or(u64::MAX).max(1));
    }
    Some(2 * u64::from(STEPS) * 1_000_000 / fastest_ns)
}

#[inline(never)]
fn chain(mut value: u64) -> u64 {
    for _ in 0..STEPS {
        value = value.wrapping_add(0x9e37_79b9_7f4a_7c15).rotate_left(13);
    }
    value
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(target_arch = "x86_64")]
    fn the_timed_clock_is_one_that_processors_have() {
        let khz = timed_khz().expect("known on x86");
        assert!((400_000..8_000_000).contains(&khz), "{khz} kHz");
    }
}
