//! Timestamps, as they are stored and shown.

use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Microseconds since the Unix epoch, UTC. Shown as RFC 3339 with milliseconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(pub i64);

impl Timestamp {
    /// The clock's time. For actors; decisions get the time as an argument.
    #[must_use]
    pub fn now() -> Self {
        Self::from(SystemTime::now())
    }

    /// From whole seconds since the epoch, as in a token's claims.
    #[must_use]
    pub fn from_seconds(seconds: i64) -> Self {
        Self(seconds.saturating_mul(1_000_000))
    }

    /// The whole minutes since the epoch.
    #[must_use]
    pub fn minutes(self) -> i64 {
        self.seconds().div_euclid(60)
    }

    /// Whole seconds since the epoch, rounded down.
    #[must_use]
    pub fn seconds(self) -> i64 {
        self.0.div_euclid(1_000_000)
    }

    /// Parses RFC 3339, with any offset; nothing before 1970.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (local, offset) = match text.len().checked_sub("+00:00".len()) {
            Some(at) if text.is_char_boundary(at) => match text.split_at(at) {
                (local, offset) if offset.starts_with(['+', '-']) => {
                    (format!("{local}Z"), minutes(offset)?)
                }
                _ => (text.to_owned(), 0),
            },
            _ => return None,
        };
        let local = Self::from(humantime::parse_rfc3339(&local).ok()?);
        Some(Self(local.0 - offset * 60_000_000)).filter(|time| time.0 >= 0)
    }

    /// The time that was so long ago.
    #[must_use]
    pub fn before(self, span: Duration) -> Self {
        Self(self.0.saturating_sub(i64::try_from(span.as_micros()).unwrap_or(i64::MAX)))
    }

    /// This time plus `duration`, at most the last that can be shown.
    #[must_use]
    pub fn after(self, duration: Duration) -> Self {
        let micros = i64::try_from(duration.as_micros()).unwrap_or(i64::MAX);
        Self(self.0.saturating_add(micros))
    }
}

/// Parses an offset from UTC, `+02:00`.
fn minutes(offset: &str) -> Option<i64> {
    let (sign, time) = offset.split_at_checked(1)?;
    let (hours, minutes) = time.split_once(':')?;
    let part = |text: &str, most| text.parse::<i64>().ok().filter(|part| (0..=most).contains(part));
    let minutes = part(hours, 23)? * 60 + part(minutes, 59)?;
    Some(if sign == "-" { -minutes } else { minutes })
}

impl From<SystemTime> for Timestamp {
    fn from(time: SystemTime) -> Self {
        let micros = time.duration_since(UNIX_EPOCH).unwrap_or_default().as_micros();
        Self(i64::try_from(micros).unwrap_or(i64::MAX))
    }
}

/// The last moment with a four-digit year, 9999-12-31T23:59:59Z, in microseconds.
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

    #[test]
    fn a_time_is_read_with_any_offset() {
        let time = Timestamp(1_795_168_800_123_000);
        for text in [
            "2026-11-20T10:00:00.123Z",
            "2026-11-20T12:00:00.123+02:00",
            "2026-11-20T04:30:00.123-05:30",
            "2026-11-20T10:00:00.123+00:00",
        ] {
            assert_eq!(Timestamp::parse(text), Some(time), "{text}");
        }
        for text in [
            "",
            "Z",
            "now",
            "+02:00",
            "2026-11-20",
            "2026-11-20T10:00:00",
            "2026-11-20T10:00:00+24:00",
            "2026-11-20T10:00:00+-1:00",
            "2026-11-20T10:00:00é",
            "1969-12-31T23:59:59Z",
        ] {
            assert_eq!(Timestamp::parse(text), None, "{text}");
        }
    }
}
