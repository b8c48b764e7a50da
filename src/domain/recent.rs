//! Bounded collections of recent values, which evict the oldest.

use std::collections::{HashMap, VecDeque};
use std::hash::Hash;

/// The latest keys, each with its latest value.
#[derive(Debug)]
pub struct RecentMap<K, V> {
    /// With the number of the insertion.
    values: HashMap<K, (V, u64)>,
    /// Insertions, the oldest first; one that was followed by another of its key counts no more.
    order: VecDeque<(K, u64)>,
    last: u64,
    most: usize,
}

impl<K: Copy + Eq + Hash, V> RecentMap<K, V> {
    /// An empty map, for at most `most` keys.
    #[must_use]
    pub fn new(most: usize) -> Self {
        Self { values: HashMap::new(), order: VecDeque::new(), last: 0, most }
    }

    /// Sets a key's value, as the latest, and returns the former one.
    pub fn insert(&mut self, key: K, value: V) -> Option<V> {
        self.last += 1;
        let former = self.values.insert(key, (value, self.last));
        self.order.push_back((key, self.last));
        if self.order.len() > self.most.saturating_mul(2) {
            let values = &self.values;
            let is_latest =
                |(key, number): &(K, u64)| values.get(key).is_some_and(|(_, n)| n == number);
            self.order.retain(is_latest);
        }
        while self.values.len() > self.most {
            let Some((oldest, number)) = self.order.pop_front() else { break };
            if self.values.get(&oldest).is_some_and(|(_, latest)| *latest == number) {
                self.values.remove(&oldest);
            }
        }
        former.map(|(value, _)| value)
    }

    #[must_use]
    pub fn get(&self, key: &K) -> Option<&V> {
        self.values.get(key).map(|(value, _)| value)
    }
}

/// A set of its latest members, to recognise repeats.
#[derive(Debug)]
pub struct RecentSet<T>(RecentMap<T, ()>);

impl<T: Copy + Eq + Hash> RecentSet<T> {
    /// An empty set, for at most `most` members.
    #[must_use]
    pub fn new(most: usize) -> Self {
        Self(RecentMap::new(most))
    }

    /// Adds a member; `false` if it is present.
    pub fn insert(&mut self, member: T) -> bool {
        let is_new = !self.contains(&member);
        if is_new {
            self.0.insert(member, ());
        }
        is_new
    }

    #[must_use]
    pub fn contains(&self, member: &T) -> bool {
        self.0.get(member).is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_is_forgotten_and_news_again() {
        let mut recent = RecentSet::new(2);
        assert!(recent.insert(1) && recent.insert(2) && !recent.insert(1));
        assert!(recent.insert(3));
        assert!(!recent.contains(&1) && recent.contains(&2));
        assert!(recent.insert(1));
    }

    #[test]
    fn a_key_has_its_latest_value() {
        let mut recent = RecentMap::new(2);
        assert_eq!(recent.insert("kim", 1), None);
        assert_eq!(recent.insert("kim", 2), Some(1));
        recent.insert("lee", 3);
        assert_eq!((recent.get(&"kim"), recent.get(&"lee")), (Some(&2), Some(&3)));
        recent.insert("kim", 4);
        recent.insert("ada", 5);
        assert_eq!((recent.get(&"lee"), recent.get(&"kim")), (None, Some(&4)), "the latest stay");
        for n in 0..100 {
            recent.insert("kim", n);
        }
        assert!(recent.order.len() <= 4 && recent.get(&"ada").is_some());
    }
}
