//! Bounded set of recent values, to recognise repeats.

use std::collections::{HashSet, VecDeque};
use std::hash::Hash;

/// A set of its latest members; the oldest are evicted.
#[derive(Debug)]
pub struct RecentSet<T> {
    members: HashSet<T>,
    order: VecDeque<T>,
    most: usize,
}

impl<T: Copy + Eq + Hash> RecentSet<T> {
    /// An empty set, for at most `most` members.
    #[must_use]
    pub fn new(most: usize) -> Self {
        Self { members: HashSet::new(), order: VecDeque::new(), most }
    }

    /// Adds a member; `false` if it is present.
    pub fn insert(&mut self, member: T) -> bool {
        if !self.members.insert(member) {
            return false;
        }
        if self.order.len() >= self.most
            && let Some(oldest) = self.order.pop_front()
        {
            self.members.remove(&oldest);
        }
        self.order.push_back(member);
        true
    }

    #[must_use]
    pub fn contains(&self, member: &T) -> bool {
        self.members.contains(member)
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
}
