//! How many calls of `sbatch` may be made.

use std::time::Instant;

/// A token bucket.
#[derive(Debug)]
pub(super) struct Bucket {
    per_s: f64,
    burst: f64,
    level: f64,
    filled: Instant,
}

impl Bucket {
    /// Full, with so many tokens a second.
    pub(super) fn new(per_s: u32, burst: u32) -> Self {
        Bucket { per_s: per_s.into(), burst: burst.into(), level: burst.into(), filled: Instant::now() }
    }

    /// Whole tokens that are there.
    pub(super) fn level(&mut self) -> usize {
        let since = self.filled.elapsed();
        self.filled += since;
        self.level = (self.level + since.as_secs_f64() * self.per_s).min(self.burst);
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 0 and a burst")]
        let whole = self.level as usize;
        whole
    }

    /// Takes tokens that are there.
    pub(super) fn take(&mut self, tokens: usize) {
        #[expect(clippy::cast_precision_loss, reason = "at most a batch")]
        let tokens = tokens as f64;
        self.level -= tokens;
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_bucket_gives_its_burst_and_no_more() {
        let mut bucket = Bucket::new(1, 3);
        assert_eq!(bucket.level(), 3);
        bucket.take(3);
        assert_eq!(bucket.level(), 0);
        bucket.filled -= Duration::from_millis(2_100);
        assert_eq!(bucket.level(), 2);
        bucket.filled -= Duration::from_secs(100);
        assert_eq!(bucket.level(), 3);
    }
}
