//! Budget of a session: events and bytes that wait for it, from all that send to it together.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// A session's budget, shared with all that send to it.
#[derive(Debug)]
pub struct Budget {
    /// One word, since rooms on other threads write it for each message: bytes in the lowest
    /// [`BYTE_BITS`] bits, events above them, and [`GIVEN_UP`].
    used: AtomicU64,
    most_events: usize,
    most_bytes: usize,
}

/// Bits of the bytes in use: a tebibyte. The most that settings allow, of every sender at once, is far
/// below it.
const BYTE_BITS: u32 = 40;
/// The session is too slow, and sent nothing more.
const GIVEN_UP: u64 = 1 << 63;

/// A part of a budget, given back when this is dropped.
#[derive(Debug)]
pub struct Permit {
    budget: Arc<Budget>,
    /// Events and bytes, as in [`Budget::used`].
    part: u64,
}

impl Budget {
    /// At most `events` with `bytes` together (`limits.session_queue_events`, `_bytes`).
    #[must_use]
    pub fn new(events: usize, bytes: usize) -> Arc<Self> {
        Arc::new(Self { used: AtomicU64::new(0), most_events: events, most_bytes: bytes })
    }

    /// Takes a part; `None` where it does not fit. A part larger than the whole fits while nothing else
    /// waits.
    #[must_use]
    pub fn take(self: &Arc<Self>, events: usize, bytes: usize) -> Option<Permit> {
        self.take_within(events, bytes, 1)
    }

    /// Takes a part for something that may be dropped: from the first half alone, so that it never
    /// costs a session its messages.
    #[must_use]
    pub fn take_ephemeral(self: &Arc<Self>, bytes: usize) -> Option<Permit> {
        self.take_within(1, bytes, 2)
    }

    /// Notes that the session is too slow; `true` the first time.
    #[must_use]
    pub fn give_up(&self) -> bool {
        self.used.fetch_or(GIVEN_UP, Ordering::Relaxed) & GIVEN_UP == 0
    }

    /// Events and bytes that wait now.
    #[must_use]
    pub fn waiting(&self) -> (usize, usize) {
        split(self.used.load(Ordering::Relaxed) & !GIVEN_UP)
    }

    fn take_within(self: &Arc<Self>, events: usize, bytes: usize, share: usize) -> Option<Permit> {
        let part = ((events as u64) << BYTE_BITS) | bytes as u64;
        let before = self.used.fetch_add(part, Ordering::Relaxed);
        // Dropped where it does not fit, the permit gives back what was just added.
        let permit = Permit { budget: Arc::clone(self), part };
        let (events_after, bytes_after) = split((before & !GIVEN_UP) + part);
        let fits = events_after == events
            || (events_after <= self.most_events / share && bytes_after <= self.most_bytes / share);
        (before & GIVEN_UP == 0 && fits).then_some(permit)
    }

    #[cfg(test)]
    pub fn is_unused(&self) -> bool {
        self.used.load(Ordering::Relaxed) & !GIVEN_UP == 0
    }
}

/// Events and bytes of a part.
fn split(part: u64) -> (usize, usize) {
    ((part >> BYTE_BITS) as usize, (part & ((1 << BYTE_BITS) - 1)) as usize)
}

impl Permit {
    /// Joins another permit of the same budget to this one.
    pub fn join(&mut self, mut other: Self) {
        self.part += std::mem::take(&mut other.part);
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        if self.part > 0 {
            self.budget.used.fetch_sub(self.part, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_waits_is_counted_until_it_is_dropped() {
        let budget = Budget::new(4, 10);
        let mut first = budget.take(1, 8).expect("room");
        assert!(budget.take(1, 3).is_none(), "too many bytes");
        assert!(budget.take(4, 1).is_none(), "too many events");
        first.join(budget.take(1, 2).expect("room"));
        drop(first);
        assert!(budget.is_unused());
    }

    #[test]
    fn a_single_event_larger_than_the_budget_passes_alone() {
        let budget = Budget::new(4, 10);
        let large = budget.take(1, 100).expect("nothing else waits");
        assert!(budget.take(1, 1).is_none());
        drop(large);
        assert!(budget.take(1, 1).is_some());
    }

    #[test]
    fn ephemeral_events_leave_half_of_the_budget_to_the_others() {
        let budget = Budget::new(4, 100);
        let taken = [budget.take_ephemeral(10), budget.take_ephemeral(10)];
        assert!(taken.iter().all(Option::is_some));
        assert!(budget.take_ephemeral(10).is_none());
        assert!(budget.take(2, 80).is_some());
    }

    #[test]
    fn a_session_that_is_given_up_is_sent_nothing_more() {
        let budget = Budget::new(4, 10);
        assert!(budget.give_up() && !budget.give_up());
        assert!(budget.take(1, 1).is_none() && budget.is_unused());
    }
}
