//! The other nodes, as far as this one has heard them.

use std::collections::HashMap;
use std::time::Duration;

use tokio::time::Instant;

use crate::domain::NodeId;

/// A node that was silent for so long, while it could be heard, is there no more.
const SILENT: Duration = Duration::from_secs(7);
/// How long those who can hear may take to say that they are there.
const ANSWER: Duration = Duration::from_millis(500);
/// As many as are remembered, whatever is said on the exchange.
const MOST: usize = 1_024;

/// Who is there.
#[derive(Debug)]
pub struct Others {
    /// When each was heard last.
    heard: HashMap<NodeId, Instant>,
    /// Since when they can be heard.
    since: Instant,
}

impl Others {
    #[must_use]
    pub fn new(now: Instant) -> Self {
        Self { heard: HashMap::new(), since: now }
    }

    /// From now on they can be heard. Those who were known may not have come back yet; they are given
    /// the time.
    pub fn listen(&mut self, now: Instant) {
        self.since = now;
    }

    /// Remembers that a node was heard, and says whether it is new. Nothing where there are too many.
    pub fn hear(&mut self, node: NodeId, now: Instant) -> Option<bool> {
        if self.heard.len() >= MOST && !self.knows(node) {
            return None;
        }
        Some(self.heard.insert(node, now).is_none())
    }

    #[must_use]
    pub fn knows(&self, node: NodeId) -> bool {
        self.heard.contains_key(&node)
    }

    /// Each of them, and whether it was heard since it can be.
    pub fn all(&self) -> impl Iterator<Item = (NodeId, bool)> {
        self.heard.iter().map(|(node, heard)| (*node, *heard >= self.since))
    }

    /// Whether there may be some that had no time to say so.
    #[must_use]
    pub fn may_be_more(&self, now: Instant) -> bool {
        now.duration_since(self.since) <= ANSWER
    }

    pub fn forget(&mut self, node: NodeId) {
        self.heard.remove(&node);
    }

    pub fn forget_silent(&mut self, now: Instant) {
        let since = self.since;
        self.heard.retain(|_, heard| now.duration_since(since.max(*heard)) < SILENT);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_was_known_has_time_to_come_back() {
        let (node, start) = (NodeId::random(), Instant::now());
        let mut others = Others::new(start);
        assert_eq!(others.hear(node, start), Some(true));
        assert_eq!(others.hear(node, start), Some(false));
        // The broker was away for a while.
        let back = start + 10 * SILENT;
        others.listen(back);
        others.forget_silent(back);
        assert_eq!(others.all().collect::<Vec<_>>(), [(node, false)], "not heard yet");
        others.hear(node, back);
        assert_eq!(others.all().collect::<Vec<_>>(), [(node, true)]);
        others.forget_silent(back + SILENT);
        assert!(!others.knows(node), "silent for too long");
    }

    #[test]
    fn those_who_can_hear_are_given_a_moment() {
        let start = Instant::now();
        let mut others = Others::new(start);
        assert!(others.may_be_more(start));
        assert!(!others.may_be_more(start + 2 * ANSWER));
        others.listen(start + 2 * ANSWER);
        assert!(others.may_be_more(start + 2 * ANSWER));
    }

    #[test]
    fn no_more_are_remembered_than_a_deployment_has() {
        let now = Instant::now();
        let mut others = Others::new(now);
        let known = NodeId::random();
        others.hear(known, now);
        for _ in 0..2 * MOST {
            others.hear(NodeId::random(), now);
        }
        assert_eq!(others.all().count(), MOST);
        assert_eq!(others.hear(NodeId::random(), now), None);
        assert_eq!(others.hear(known, now), Some(false));
    }
}
