//! Rate limits: token buckets of one session, and of one user on all threads.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use super::Timestamp;

/// A token bucket: `burst` requests at once, then `per_second`.
#[derive(Debug, Clone, Copy)]
pub struct RateLimit {
    per_second: f64,
    burst: f64,
    tokens: f64,
    at: Timestamp,
}

impl RateLimit {
    /// A full bucket.
    #[must_use]
    pub fn new(per_second: u32, burst: u32, now: Timestamp) -> Self {
        let burst = f64::from(burst.max(1));
        Self { per_second: f64::from(per_second.max(1)), burst, tokens: burst, at: now }
    }

    fn filled(&self, now: Timestamp) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "an idle time in microseconds fits 2^53")]
        let idle_seconds = (now.0 - self.at.0).max(0) as f64 / 1e6;
        (self.tokens + idle_seconds * self.per_second).min(self.burst)
    }

    /// Takes one request's token.
    ///
    /// # Errors
    /// The milliseconds until the next token.
    pub fn take(&mut self, now: Timestamp) -> Result<(), u64> {
        self.tokens = self.filled(now);
        self.at = self.at.max(now);
        if self.tokens >= 1.0 {
            self.tokens -= 1.0;
            return Ok(());
        }
        let wait = (1.0 - self.tokens) / self.per_second * 1e3;
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "between 0 and 1,000"
        )]
        let wait = wait.ceil() as u64;
        Err(wait.max(1))
    }
}

/// A token bucket that threads share without a lock. Times are since any fixed moment, and must be
/// monotonic.
#[derive(Debug)]
pub struct SharedRateLimit {
    /// The microseconds per token, and per whole burst.
    interval: i64,
    capacity: i64,
    /// Time at which the bucket is full again.
    full_at: AtomicI64,
}

impl SharedRateLimit {
    /// A full bucket.
    #[must_use]
    pub fn new(per_second: u32, burst: u32) -> Self {
        let interval = 1_000_000 / i64::from(per_second.max(1));
        let capacity = interval.saturating_mul(i64::from(burst.max(1)));
        Self { interval, capacity, full_at: AtomicI64::new(0) }
    }

    /// A full bucket of `count` requests, which is full again after `span`.
    #[must_use]
    pub fn over(span: Duration, count: u32) -> Self {
        let interval = micros(span) / i64::from(count.max(1));
        let capacity = interval.saturating_mul(i64::from(count.max(1)));
        Self { interval, capacity, full_at: AtomicI64::new(0) }
    }

    /// True if a whole burst may pass at `now`, as if the bucket had never been used.
    #[must_use]
    pub fn is_full(&self, now: Duration) -> bool {
        self.full_at.load(Ordering::Relaxed) <= micros(now)
    }

    /// Takes one request's token.
    ///
    /// # Errors
    /// The milliseconds until the next token.
    pub fn take(&self, now: Duration) -> Result<(), u64> {
        let now = micros(now);
        let fits = |full_at| self.taken(full_at, now).ok();
        let full_at = self.full_at.fetch_update(Ordering::Relaxed, Ordering::Relaxed, fits);
        full_at.map(drop).or_else(|full_at| self.taken(full_at, now).map(drop))
    }

    /// Checks that there is a token, and takes none.
    ///
    /// # Errors
    /// The milliseconds until the next token.
    pub fn check(&self, now: Duration) -> Result<(), u64> {
        self.taken(self.full_at.load(Ordering::Relaxed), micros(now)).map(drop)
    }

    /// Time at which a bucket is full again of which one token is taken; or the wait, in milliseconds.
    fn taken(&self, full_at: i64, now: i64) -> Result<i64, u64> {
        let taken = full_at.max(now).saturating_add(self.interval);
        match taken.saturating_sub(now.saturating_add(self.capacity)) {
            ..=0 => Ok(taken),
            wait => Err(u64::try_from(wait).unwrap_or_default().div_ceil(1_000).max(1)),
        }
    }
}

fn micros(time: Duration) -> i64 {
    i64::try_from(time.as_micros()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_passes_and_what_follows_waits_its_turn() {
        let mut limit = RateLimit::new(20, 3, Timestamp(0));
        for _ in 0..3 {
            assert_eq!(limit.take(Timestamp(0)), Ok(()));
        }
        assert_eq!(limit.take(Timestamp(0)), Err(50));
        assert_eq!(limit.take(Timestamp(49_500)), Err(1));
        assert_eq!(limit.take(Timestamp(50_100)), Ok(()));
    }

    #[test]
    fn a_long_rest_saves_up_no_more_than_a_burst() {
        let mut limit = RateLimit::new(20, 2, Timestamp(0));
        let later = Timestamp(3_600_000_000);
        assert_eq!([limit.take(later), limit.take(later)], [Ok(()), Ok(())]);
        assert!(limit.take(later).is_err());
    }

    #[test]
    fn a_clock_that_steps_back_gives_nothing_away() {
        let mut limit = RateLimit::new(1, 1, Timestamp(10_000_000));
        assert_eq!(limit.take(Timestamp(10_000_000)), Ok(()));
        assert!(limit.take(Timestamp(0)).is_err());
        assert!(limit.take(Timestamp(10_500_000)).is_err());
    }

    #[test]
    fn a_shared_burst_passes_and_what_follows_waits_its_turn() {
        let limit = SharedRateLimit::new(20, 3);
        let at = Duration::from_micros;
        for _ in 0..3 {
            assert_eq!((limit.check(at(7)), limit.take(at(7))), (Ok(()), Ok(())));
        }
        assert_eq!((limit.check(at(7)), limit.take(at(7))), (Err(50), Err(50)));
        assert_eq!(limit.take(at(49_507)), Err(1));
        assert_eq!(limit.take(at(50_007)), Ok(()));
        assert!(!limit.is_full(at(200_006)));
        assert!(limit.is_full(at(200_007)));
    }

    #[test]
    fn a_shared_limit_saves_up_no_more_than_a_burst() {
        let limit = SharedRateLimit::new(20, 2);
        let later = Duration::from_secs(3_600);
        assert_eq!([limit.take(later), limit.take(later)], [Ok(()), Ok(())]);
        assert!(limit.take(later).is_err());
    }

    #[test]
    fn threads_that_share_a_limit_take_one_burst_together() {
        let limit = SharedRateLimit::new(1, 100);
        let taken: usize = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..4)
                .map(|_| {
                    scope.spawn(|| {
                        (0..100).filter(|_| limit.take(Duration::from_millis(1)).is_ok()).count()
                    })
                })
                .collect();
            threads.into_iter().map(|thread| thread.join().expect("a thread")).sum()
        });
        assert_eq!(taken, 100);
    }
}
