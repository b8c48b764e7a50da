//! Gathering: each key at once, and then at most once in a span.

use std::collections::{BTreeSet, HashMap};
use std::hash::Hash;
use std::time::{Duration, Instant};

/// Keys that are due, and when.
#[derive(Debug)]
pub struct Gather<K> {
    span: Duration,
    /// The most keys that wait; one more is refused.
    most: usize,
    due: BTreeSet<(Instant, K)>,
    /// The next time at which a key may be due; of those that were due lately, or wait.
    next: HashMap<K, Instant>,
}

impl<K: Copy + Ord + Hash> Gather<K> {
    #[must_use]
    pub fn new(span: Duration, most: usize) -> Self {
        Self { span, most, due: BTreeSet::new(), next: HashMap::new() }
    }

    /// Adds a key, unless it waits. `false` if too many do.
    pub fn add(&mut self, key: K, now: Instant) -> bool {
        if self.due.len() >= self.most {
            return false;
        }
        let at = *self.next.entry(key).or_insert(now);
        // Those that wait stand in both.
        self.due.insert((at, key));
        true
    }

    /// Takes the keys that are due.
    pub fn take(&mut self, now: Instant) -> Vec<K> {
        let mut taken = Vec::new();
        while self.due.first().is_some_and(|(at, _)| *at <= now) {
            taken.extend(self.due.pop_first().map(|(_, key)| key));
        }
        for key in &taken {
            self.next.insert(*key, now + self.span);
        }
        if self.next.len() >= 2 * self.due.len() + self.most.min(1_024) {
            let due = &self.due;
            self.next.retain(|key, at| *at > now || due.contains(&(*at, *key)));
        }
        taken
    }

    /// The next time at which a key is due.
    #[must_use]
    pub fn next_due(&self) -> Option<Instant> {
        self.due.first().map(|(at, _)| *at)
    }

    /// Forgets all.
    pub fn clear(&mut self) {
        self.due.clear();
        self.next.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SPAN: Duration = Duration::from_secs(1);

    #[test]
    fn the_first_is_due_at_once_and_the_next_after_the_span() {
        let (mut gather, start) = (Gather::new(SPAN, 10), Instant::now());
        assert!(gather.add('a', start) && gather.add('a', start));
        assert_eq!(gather.take(start), ['a']);
        let soon = start + SPAN / 10;
        gather.add('a', soon);
        gather.add('b', soon);
        gather.add('a', soon);
        assert_eq!(gather.take(soon), ['b']);
        assert_eq!(gather.next_due(), Some(start + SPAN));
        assert_eq!(gather.take(start + SPAN), ['a']);
        assert_eq!(gather.next_due(), None);
        gather.add('a', start + 5 * SPAN);
        assert_eq!(gather.take(start + 5 * SPAN), ['a']);
    }

    #[test]
    fn what_is_kept_is_bounded() {
        let (mut gather, mut now) = (Gather::new(SPAN, 4), Instant::now());
        assert!((0..4).all(|key| gather.add(key, now)));
        assert!(!gather.add(4, now));
        for key in 0..10_000 {
            now += SPAN;
            gather.take(now);
            gather.add(key, now);
        }
        assert!(gather.next.len() < 20, "{}", gather.next.len());
    }
}
