//! Idle timeout: one timer, which activity delays without restarting it.

use std::time::{Duration, Instant};

#[derive(Debug, Default)]
pub struct Idle {
    /// The last activity; `None` while no timer runs.
    since: Option<Instant>,
}

impl Idle {
    /// Records activity; `true` if a timer must be started.
    #[must_use]
    pub fn touched(&mut self, now: Instant) -> bool {
        self.since.replace(now).is_none()
    }

    /// The timer has fired: returns the remaining time, for which it must run on; zero is the
    /// timeout.
    #[must_use]
    pub fn fired(&mut self, now: Instant, timeout: Duration) -> Duration {
        let idle = self.since.map_or(timeout, |since| now.saturating_duration_since(since));
        let left = timeout.saturating_sub(idle);
        if left.is_zero() {
            self.since = None;
        }
        left
    }

    /// Stops the timer: there is activity.
    pub fn end(&mut self) {
        self.since = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIMEOUT: Duration = Duration::from_secs(5);

    #[test]
    fn activity_sets_the_timeout_back() {
        let start = Instant::now();
        let at = |seconds: f32| start + Duration::from_secs_f32(seconds);
        let mut idle = Idle::default();
        assert!(idle.touched(at(0.0)));
        assert!(!idle.touched(at(4.5)), "the timer runs already");
        assert_eq!(idle.fired(at(5.0), TIMEOUT), Duration::from_secs_f32(4.5));
        assert_eq!(idle.fired(at(9.5), TIMEOUT), Duration::ZERO);
    }

    #[test]
    fn a_timer_that_has_ended_is_started_anew() {
        let start = Instant::now();
        let mut idle = Idle::default();
        assert!(idle.touched(start));
        assert_eq!(idle.fired(start + TIMEOUT, TIMEOUT), Duration::ZERO);
        assert!(idle.touched(start + TIMEOUT));
        idle.end();
        assert!(idle.touched(start + TIMEOUT));
    }
}
