//! Waiting: until somebody says stop, and between two tries.

use std::{
    sync::{Arc, Condvar, Mutex, PoisonError},
    time::{Duration, SystemTime},
};

/// Tells an agent to end. Clones are the same flag.
#[derive(Debug, Clone, Default)]
pub struct StopFlag {
    inner: Arc<(Mutex<bool>, Condvar)>,
}

impl StopFlag {
    /// A flag that is not set.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets it, for ever.
    pub fn stop(&self) {
        *self.inner.0.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.inner.1.notify_all();
    }

    /// Whether it is set.
    pub fn stopped(&self) -> bool {
        *self.inner.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until it is set, for at most `wait`; true when it is.
    pub fn wait(&self, wait: Duration) -> bool {
        let stopped = self.inner.0.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self.inner.1.wait_timeout_while(stopped, wait, |stopped| !*stopped);
        *waited.unwrap_or_else(PoisonError::into_inner).0
    }
}

/// The first pause.
const PAUSE_MIN: Duration = Duration::from_millis(50);
/// Pauses do not get longer than this.
const PAUSE_MAX: Duration = Duration::from_secs(5);

/// Pauses between tries: each may be twice as long as the last, and is a random part of that, so that the
/// agents of a restarted server do not all come at once.
#[derive(Debug)]
pub(crate) struct Backoff {
    next: Duration,
    random: u64,
}

impl Backoff {
    pub(crate) fn new() -> Self {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        Backoff { next: PAUSE_MIN, random: (u64::from(now.subsec_nanos()) << 32) | u64::from(std::process::id()) | 1 }
    }

    /// It worked: the next pause is the shortest again.
    pub(crate) fn reset(&mut self) {
        self.next = PAUSE_MIN;
    }

    /// How long to wait before the next try: half to all of the present span.
    pub(crate) fn pause(&mut self) -> Duration {
        // Xorshift: enough to tell agents apart.
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        let span = self.next;
        self.next = (span * 2).min(PAUSE_MAX);
        let part = u32::try_from(self.random % 1000).unwrap_or(0);
        span / 2 + span * part / 2000
    }

    /// Waits for the pause; true when the flag was set.
    pub(crate) fn wait(&mut self, stop: &StopFlag) -> bool {
        let pause = self.pause();
        stop.wait(pause)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_a_limit_and_begin_anew() {
        let mut backoff = Backoff::new();
        let mut span = PAUSE_MIN;
        for _ in 0..20 {
            let pause = backoff.pause();
            assert!(pause >= span / 2 && pause <= span, "{pause:?} of {span:?}");
            span = (span * 2).min(PAUSE_MAX);
        }
        assert_eq!(span, PAUSE_MAX);
        backoff.reset();
        assert!(backoff.pause() <= PAUSE_MIN);
    }

    #[test]
    fn a_stop_ends_a_wait() {
        let flag = StopFlag::new();
        assert!(!flag.wait(Duration::ZERO) && !flag.stopped());
        let other = flag.clone();
        let waiter = std::thread::spawn(move || other.wait(Duration::from_secs(60)));
        flag.stop();
        assert!(waiter.join().expect("no panic") && flag.stopped());
    }
}
