//! Replays: each message of a node is taken once, and an old one never.
//!
//! A message has a number, which is its time at the sender, and one more than the last where that
//! is not later.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use crate::domain::{NodeId, Timestamp};

/// The age beyond which a message is ignored. It is far longer than the backplane and the difference
/// of two clocks.
const OLDEST: Duration = Duration::from_secs(60);
/// Numbers that are remembered of a node: callers on several threads may overtake each other.
const REMEMBERED: usize = 128;
/// The most nodes that are remembered.
const NODES: usize = 2_048;

/// The age of a message, by its number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Age {
    New,
    /// It was taken already.
    Repeated,
    Old,
}

/// The numbers of this node's messages.
#[derive(Debug, Default)]
pub struct Numbers(AtomicI64);

/// The numbers that have arrived.
#[derive(Debug, Default)]
pub struct Replays(HashMap<NodeId, VecDeque<i64>>);

impl Numbers {
    pub fn next(&self, now: Timestamp) -> i64 {
        let next = |last: i64| now.0.max(last.saturating_add(1));
        match self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |last| Some(next(last))) {
            Ok(last) | Err(last) => next(last),
        }
    }
}

impl Replays {
    /// Records a message.
    pub fn record(&mut self, from: NodeId, number: i64, now: Timestamp) -> Age {
        let oldest = now.before(OLDEST).0;
        if number < oldest {
            return Age::Old;
        }
        if !self.0.contains_key(&from) && self.0.len() >= NODES {
            // Their messages are too old to be replayed.
            self.0.retain(|_, numbers| numbers.back().is_some_and(|last| *last >= oldest));
            if self.0.len() >= NODES {
                return Age::Old;
            }
        }
        let numbers = self.0.entry(from).or_default();
        let Err(mut at) = numbers.binary_search(&number) else { return Age::Repeated };
        if numbers.len() >= REMEMBERED {
            if at == 0 {
                return Age::Repeated;
            }
            numbers.pop_front();
            at -= 1;
        }
        numbers.insert(at, number);
        Age::New
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp(1_000_000_000_000);

    #[test]
    fn a_message_counts_once_and_may_be_overtaken() {
        let (mut replays, numbers) = (Replays::default(), Numbers::default());
        let (node, other) = (NodeId::random(), NodeId::random());
        let (first, second) = (numbers.next(NOW), numbers.next(NOW));
        assert!(first < second);
        assert_eq!(replays.record(node, second, NOW), Age::New);
        assert_eq!(replays.record(node, first, NOW), Age::New, "overtaken");
        assert_eq!(replays.record(node, first, NOW), Age::Repeated);
        assert_eq!(replays.record(node, second, NOW), Age::Repeated);
        assert_eq!(replays.record(other, first, NOW), Age::New);
        for _ in 0..REMEMBERED {
            assert_eq!(replays.record(node, numbers.next(NOW), NOW), Age::New);
        }
        assert_eq!(replays.record(node, first, NOW), Age::Repeated, "forgotten, and still not new");
    }

    #[test]
    fn an_old_message_is_never_new() {
        let mut replays = Replays::default();
        let later = NOW.after(OLDEST + Duration::from_secs(1));
        assert_eq!(replays.record(NodeId::random(), NOW.0, later), Age::Old);
    }

    #[test]
    fn no_more_nodes_are_remembered_than_could_be_replayed() {
        let mut replays = Replays::default();
        for _ in 0..NODES {
            assert_eq!(replays.record(NodeId::random(), NOW.0, NOW), Age::New);
        }
        assert_eq!(replays.record(NodeId::random(), NOW.0, NOW), Age::Old);
        let later = NOW.after(2 * OLDEST);
        assert_eq!(replays.record(NodeId::random(), later.0, later), Age::New);
        assert_eq!(replays.0.len(), 1);
    }
}
