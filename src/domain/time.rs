//! Points in time, as they are stored and shown.

use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Microseconds since the Unix epoch, UTC. Shown as RFC 3339 with milliseconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(pub i64);

impl Timestamp {
    /// The clock's time. For those who act; what decides gets its time as an argument.
    #[must_use]
    pub fn now() -> Self {
        Self::from(SystemTime::now())
    }

    /// From whole seconds since the epoch, as a token's claims count.
    #[must_use]
    pub fn from_seconds(seconds: i64) -> Self {
        Self(seconds.saturating_mul(1_000_000))
    }

    /// Whole seconds since the epoch, rounded down.
    #[must_use]
    pub fn seconds(self) -> i64 {
        self.0.div_euclid(1_000_000)
    }

    /// This time and `duration` more, at most the last that can be told.
    #[must_use]
    pub fn after(self, duration: Duration) -> Self {
        let micros = i64::try_from(duration.as_micros()).unwrap_or(i64::MAX);
        Self(self.0.saturating_add(micros))
    }
}

impl From<SystemTime> for Timestamp {
    fn from(time: SystemTime) -> Self {
        let micros = time.duration_since(UNIX_EPOCH).unwrap_or_default().as_micros();
        Self(i64::try_from(micros).unwrap_or(i64::MAX))
    }
}

/// The last moment that RFC 3339 has four digits for, 9999-12-31T23:59:59Z, in microseconds.
const LAST_SHOWN: i64 = 253_402_300_799_000_000;

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let micros = u64::try_from(self.0.clamp(0, LAST_SHOWN)).unwrap_or_default();
        let time = UNIX_EPOCH + Duration::from_micros(micros);
        humantime::format_rfc3339_millis(time).fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_shown_in_utc_with_milliseconds() {
        assert_eq!(Timestamp(1_795_168_800_123_456).to_string(), "2026-11-20T10:00:00.123Z");
    }

    #[test]
    fn a_time_beyond_the_calendar_is_shown_as_its_end() {
        assert_eq!(Timestamp(i64::MAX).to_string(), "9999-12-31T23:59:59.000Z");
        assert_eq!(Timestamp(i64::MIN).to_string(), "1970-01-01T00:00:00.000Z");
    }
}
