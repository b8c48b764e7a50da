//! How fast one session may ask.

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

    /// Whether a whole burst may pass at `now`: as if it had never been used.
    #[must_use]
    pub fn is_full(&self, now: Timestamp) -> bool {
        self.filled(now) >= self.burst
    }

    fn filled(&self, now: Timestamp) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "an idle time in microseconds fits 2^53")]
        let idle_seconds = (now.0 - self.at.0).max(0) as f64 / 1e6;
        (self.tokens + idle_seconds * self.per_second).min(self.burst)
    }

    /// Takes one request's token.
    ///
    /// # Errors
    /// The milliseconds until there is one again.
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
        assert!(!limit.is_full(later));
    }

    #[test]
    fn a_clock_that_steps_back_gives_nothing_away() {
        let mut limit = RateLimit::new(1, 1, Timestamp(10_000_000));
        assert_eq!(limit.take(Timestamp(10_000_000)), Ok(()));
        assert!(limit.take(Timestamp(0)).is_err());
        assert!(limit.take(Timestamp(10_500_000)).is_err());
    }
}
