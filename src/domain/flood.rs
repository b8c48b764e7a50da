//! Floods: frames that a client sends though it was told to wait, and frames that mean nothing.

use std::collections::VecDeque;
use std::time::Duration;

use super::Timestamp;

/// The span in which bad frames are counted.
const SPAN: Duration = Duration::from_secs(10);

/// Counts of one session's misbehaviour. Most sessions never have one.
#[derive(Debug, Default)]
pub struct FloodGuard {
    /// End of the wait that was asked for.
    wait_until: Option<Timestamp>,
    /// Frames that came before it.
    too_early: u32,
    /// Times of the bad frames within the span.
    bad: VecDeque<Timestamp>,
}

impl FloodGuard {
    /// A frame was refused, with `wait` milliseconds until the next may come. `true` for a flood: more
    /// than twice `burst` came since the first refusal, and before its wait was over.
    pub fn refused(&mut self, now: Timestamp, wait: u64, burst: u32) -> bool {
        if self.wait_until.is_some_and(|end| now < end) {
            self.too_early = self.too_early.saturating_add(1);
            return self.too_early > burst.saturating_mul(2);
        }
        self.wait_until = Some(now.after(Duration::from_millis(wait)));
        self.too_early = 0;
        false
    }

    /// A frame was bad. `true` for a flood: more than `burst` within ten seconds.
    pub fn bad(&mut self, now: Timestamp, burst: u32) -> bool {
        while self.bad.front().is_some_and(|at| at.after(SPAN) <= now) {
            self.bad.pop_front();
        }
        self.bad.push_back(now);
        self.bad.len() > usize::try_from(burst).unwrap_or(usize::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(ms: i64) -> Timestamp {
        Timestamp(ms * 1_000)
    }

    #[test]
    fn waiting_is_asked_for_once_and_then_insisted_on() {
        let mut guard = FloodGuard::default();
        assert!(!guard.refused(at(0), 50, 2));
        for ms in 1..=4 {
            assert!(!guard.refused(at(ms), 50, 2), "twice the burst is borne");
        }
        assert!(guard.refused(at(49), 50, 2));
    }

    #[test]
    fn who_waits_begins_anew() {
        let mut guard = FloodGuard::default();
        for round in 0..10 {
            for ms in 0..5 {
                assert!(!guard.refused(at(round * 50 + ms), 50, 2));
            }
        }
    }

    #[test]
    fn bad_frames_count_for_ten_seconds() {
        let mut guard = FloodGuard::default();
        for ms in [0, 5_000, 9_999] {
            assert!(!guard.bad(at(ms), 3));
        }
        assert!(!guard.bad(at(10_000), 3), "the first is ten seconds ago");
        assert!(guard.bad(at(10_001), 3));
    }
}
