//! Leaving: the stages of a node's end, and the spread of its sessions over time.

use std::time::Duration;

use super::SessionId;

/// A stage of a node's life. Each includes what the ones before it have changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    Serving,
    /// `/readyz` is red, for the load balancer. Everything is served.
    Waiting,
    /// No session begins; those that there are end one after the other.
    Closing,
    /// Requests that are still arriving are abandoned.
    Ending,
}

/// The time from one turn of closing to the next.
pub const CLOSING_TICK: Duration = Duration::from_millis(50);
/// The shortest `retryAfterMs`: time for a balancer or a supervisor to act.
const SHORTEST_RETRY_MS: u64 = 500;

/// The time after which a session's client comes back: spread over the window by the session's id.
#[must_use]
pub fn retry_after_ms(session: SessionId, window: Duration) -> u64 {
    let window = window.as_millis().max(1);
    SHORTEST_RETRY_MS + u64::try_from(session.0.as_u128() % window).unwrap_or_default()
}

/// The sessions that are to be closed, in equal parts over a window. A part is at least one session,
/// so that few sessions need less than the window.
#[derive(Debug)]
pub struct Closings {
    /// The next one is last.
    left: Vec<SessionId>,
    ticks: usize,
}

impl Closings {
    /// All `sessions`, in the order of their ids: on any run the same.
    #[must_use]
    pub fn new(mut sessions: Vec<SessionId>, window: Duration) -> Self {
        sessions.sort_unstable_by_key(|session| std::cmp::Reverse(session.0));
        let ticks = window.as_millis() / CLOSING_TICK.as_millis();
        Self { left: sessions, ticks: usize::try_from(ticks).unwrap_or(usize::MAX).max(1) }
    }

    /// The sessions of the next tick; empty when all had their turn.
    pub fn next_tick(&mut self) -> Vec<SessionId> {
        let part = self.left.len().div_ceil(self.ticks.max(1));
        self.ticks = self.ticks.saturating_sub(1);
        let rest = self.left.len().saturating_sub(part);
        let mut part = self.left.split_off(rest);
        part.reverse();
        part
    }

    #[must_use]
    pub fn is_done(&self) -> bool {
        self.left.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use uuid::Uuid;

    use super::*;

    fn sessions(count: u128) -> Vec<SessionId> {
        (0..count).map(|id| SessionId(Uuid::from_u128(id))).collect()
    }

    fn sizes(count: u128, window: u64) -> Vec<usize> {
        let mut closings = Closings::new(sessions(count), Duration::from_millis(window));
        let mut sizes = Vec::new();
        while !closings.is_done() {
            sizes.push(closings.next_tick().len());
        }
        sizes
    }

    #[test]
    fn twenty_thousand_sessions_are_closed_in_equal_parts() {
        assert_eq!(sizes(20_000, 2_000), [500; 40]);
        let uneven = sizes(1_001, 500);
        assert_eq!((uneven.len(), uneven.iter().sum::<usize>()), (10, 1_001));
        assert!(uneven.iter().all(|part| (100..=101).contains(part)), "{uneven:?}");
    }

    #[test]
    fn few_sessions_are_closed_one_by_one_and_need_less_than_the_window() {
        assert_eq!(sizes(3, 2_000), [1, 1, 1]);
        assert!(sizes(0, 2_000).is_empty());
    }

    #[test]
    fn without_a_window_all_are_closed_at_once() {
        assert_eq!(sizes(1_000, 0), [1_000]);
    }

    #[test]
    fn each_session_is_closed_once_in_the_order_of_ids() {
        let mut shuffled = sessions(500);
        shuffled.rotate_left(123);
        let mut closings = Closings::new(shuffled, Duration::from_secs(1));
        let mut closed = Vec::new();
        while !closings.is_done() {
            closed.extend(closings.next_tick());
        }
        assert_eq!(closed, sessions(500));
    }

    #[test]
    fn clients_come_back_spread_over_the_window() {
        let window = Duration::from_millis(2_000);
        let times: HashSet<u64> =
            sessions(2_000).into_iter().map(|session| retry_after_ms(session, window)).collect();
        assert_eq!(times.len(), 2_000);
        assert_eq!((times.iter().min(), times.iter().max()), (Some(&500), Some(&2_499)));
        assert_eq!(retry_after_ms(SessionId(Uuid::from_u128(7)), Duration::ZERO), 500);
    }
}
