//! Budget of a session: events and bytes that wait for it, from all that send to it together.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// A session's budget, shared with all that send to it.
#[derive(Debug)]
pub struct Budget {
    events: AtomicUsize,
    bytes: AtomicUsize,
    given_up: AtomicBool,
    most_events: usize,
    most_bytes: usize,
}

/// A part of a budget, given back when this is dropped.
#[derive(Debug)]
pub struct Permit {
    budget: Arc<Budget>,
    events: usize,
    bytes: usize,
}

impl Budget {
    /// At most `events` with `bytes` together (`limits.session_queue_events`, `_bytes`).
    #[must_use]
    pub fn new(events: usize, bytes: usize) -> Arc<Self> {
        Arc::new(Self {
            events: AtomicUsize::new(0),
            bytes: AtomicUsize::new(0),
            given_up: AtomicBool::new(false),
            most_events: events,
            most_bytes: bytes,
        })
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
        !self.given_up.swap(true, Ordering::Relaxed)
    }

    fn take_within(self: &Arc<Self>, events: usize, bytes: usize, share: usize) -> Option<Permit> {
        if self.given_up.load(Ordering::Relaxed) {
            return None;
        }
        let events_before = self.events.fetch_add(events, Ordering::Relaxed);
        let bytes_before = self.bytes.fetch_add(bytes, Ordering::Relaxed);
        // Dropped where it does not fit, the permit gives back what was just added.
        let permit = Permit { budget: Arc::clone(self), events, bytes };
        let fits = events_before == 0
            || (events_before + events <= self.most_events / share
                && bytes_before + bytes <= self.most_bytes / share);
        fits.then_some(permit)
    }

    #[cfg(test)]
    pub fn is_unused(&self) -> bool {
        let [events, bytes] =
            [&self.events, &self.bytes].map(|count| count.load(Ordering::Relaxed));
        (events, bytes) == (0, 0)
    }
}

impl Permit {
    /// Joins another permit of the same budget to this one.
    pub fn join(&mut self, mut other: Self) {
        self.events += std::mem::take(&mut other.events);
        self.bytes += std::mem::take(&mut other.bytes);
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.budget.events.fetch_sub(self.events, Ordering::Relaxed);
        self.budget.bytes.fetch_sub(self.bytes, Ordering::Relaxed);
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
