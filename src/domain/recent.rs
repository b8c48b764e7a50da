//! Bounded collections of recent values, which evict the oldest.

use std::collections::{HashMap, VecDeque};
use std::hash::Hash;

/// The latest keys, each with its latest value.
#[derive(Debug)]
pub struct RecentMap<K, V> {
    values: HashMap<K, V>,
    /// The keys, as they first came.
    order: VecDeque<K>,
    most: usize,
}

impl<K: Copy + Eq + Hash, V> RecentMap<K, V> {
    /// An empty map, for at most `most` keys.
    #[must_use]
    pub fn new(most: usize) -> Self {
        Self { values: HashMap::new(), order: VecDeque::new(), most }
    }

    /// Sets a key's value, and returns the former one.
    pub fn insert(&mut self, key: K, value: V) -> Option<V> {
        let former = self.values.insert(key, value);
        if former.is_none() {
            if self.order.len() >= self.most
                && let Some(oldest) = self.order.pop_front()
            {
                self.values.remove(&oldest);
            }
            self.order.push_back(key);
        }
        former
    }

    #[must_use]
    pub fn get(&self, key: &K) -> Option<&V> {
        self.values.get(key)
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
        self.0.insert(member, ()).is_none()
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
        recent.insert("ada", 4);
        assert_eq!(recent.get(&"kim"), None);
    }
}
