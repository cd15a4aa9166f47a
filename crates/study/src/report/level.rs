//! An amount over time, and its exact integral.

/// An amount that changes now and then.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Level {
    amount: u64,
    since_ms: i64,
    /// The sum of amount times milliseconds up to `since_ms`.
    sum: u128,
}

impl Level {
    /// Nothing, from a moment on.
    pub(super) fn new(now_ms: i64) -> Self {
        Level { since_ms: now_ms, ..Level::default() }
    }

    pub(super) fn rise(&mut self, now_ms: i64, by: u64) {
        self.sum = self.until(now_ms);
        self.since_ms = now_ms.max(self.since_ms);
        self.amount = self.amount.saturating_add(by);
    }

    pub(super) fn fall(&mut self, now_ms: i64, by: u64) {
        self.sum = self.until(now_ms);
        self.since_ms = now_ms.max(self.since_ms);
        self.amount = self.amount.saturating_sub(by);
    }

    /// Amount times milliseconds up to a moment.
    pub(super) fn until(&self, now_ms: i64) -> u128 {
        let span_ms = u64::try_from(now_ms.saturating_sub(self.since_ms)).unwrap_or(0);
        self.sum + u128::from(self.amount) * u128::from(span_ms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_integral_is_exact() {
        let mut level = Level::new(100);
        level.rise(100, 3);
        level.rise(110, 2);
        assert_eq!((level.until(110), level.until(120)), (30, 80));
        level.fall(120, 4);
        level.fall(121, 9);
        assert_eq!((level.until(1_000), level.amount), (81, 0));
    }
}
