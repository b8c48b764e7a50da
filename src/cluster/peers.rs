//! Peer registry: the other nodes, by their heartbeats.

use std::collections::HashMap;
use std::time::Duration;

use tokio::time::Instant;

use crate::domain::{NodeId, RecentSet};

/// Deadline of peers for a first heartbeat.
const ANSWER: Duration = Duration::from_millis(500);
/// The most peers that are remembered.
const MAX_PEERS: usize = 1_024;

/// The other nodes with recent heartbeats.
#[derive(Debug)]
pub struct Peers {
    /// The last heartbeat or message of each.
    last_seen: HashMap<NodeId, Instant>,
    /// Nodes that have said that they end. Their ids do not come back.
    ended: RecentSet<NodeId>,
    /// The start of the present connection.
    since: Instant,
    /// Silence after which a node counts as ended, unless the connection was lost.
    silence: Duration,
}

impl Peers {
    #[must_use]
    pub fn new(now: Instant, silence: Duration) -> Self {
        Self { last_seen: HashMap::new(), ended: RecentSet::new(MAX_PEERS), since: now, silence }
    }

    /// The connection begins. Known peers get time to return.
    pub fn listen(&mut self, now: Instant) {
        self.since = now;
    }

    /// Records a message of a peer. `true` for a new one; `None`, and ignored, beyond the limit, and
    /// of one that has ended: what it said before may arrive later.
    pub fn hear(&mut self, node: NodeId, now: Instant) -> Option<bool> {
        let is_refused = self.last_seen.len() >= MAX_PEERS && !self.knows(node);
        if is_refused || self.ended.contains(&node) {
            return None;
        }
        Some(self.last_seen.insert(node, now).is_none())
    }

    #[must_use]
    pub fn knows(&self, node: NodeId) -> bool {
        self.last_seen.contains_key(&node)
    }

    #[must_use]
    pub fn count(&self) -> usize {
        self.last_seen.len()
    }

    /// Each peer, and `true` if it was heard on the present connection.
    pub fn all(&self) -> impl Iterator<Item = (NodeId, bool)> {
        self.last_seen.iter().map(|(node, last_seen)| (*node, *last_seen >= self.since))
    }

    /// `true` while unknown peers may exist, whose deadline has not passed.
    #[must_use]
    pub fn may_be_more(&self, now: Instant) -> bool {
        now.duration_since(self.since) <= ANSWER
    }

    /// Removes a peer that ends.
    pub fn forget(&mut self, node: NodeId) {
        self.last_seen.remove(&node);
        self.ended.insert(node);
    }

    /// Removes the silent peers, and returns them with the time since their last messages.
    pub fn forget_silent(&mut self, now: Instant) -> Vec<(NodeId, Duration)> {
        let (since, silence) = (self.since, self.silence);
        let is_silent = |_: &NodeId, last_seen: &mut Instant| {
            now.duration_since(since.max(*last_seen)) >= silence
        };
        let silent = self.last_seen.extract_if(is_silent);
        silent.map(|(node, last_seen)| (node, now.duration_since(last_seen))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SILENCE: Duration = Duration::from_secs(7);

    #[test]
    fn who_was_known_has_time_to_come_back() {
        let (node, start) = (NodeId::random(), Instant::now());
        let mut peers = Peers::new(start, SILENCE);
        assert_eq!(peers.hear(node, start), Some(true));
        assert_eq!(peers.hear(node, start), Some(false));
        // The backplane was away for a while.
        let back = start + 10 * SILENCE;
        peers.listen(back);
        peers.forget_silent(back);
        assert_eq!(peers.all().collect::<Vec<_>>(), [(node, false)], "not last_seen yet");
        peers.hear(node, back);
        assert_eq!(peers.all().collect::<Vec<_>>(), [(node, true)]);
        peers.forget_silent(back + SILENCE);
        assert!(!peers.knows(node), "silent for too long");
    }

    #[test]
    fn a_late_message_does_not_bring_back_a_node_that_has_ended() {
        let (node, now) = (NodeId::random(), Instant::now());
        let mut peers = Peers::new(now, SILENCE);
        peers.hear(node, now);
        peers.forget(node);
        assert_eq!(peers.hear(node, now), None);
        assert!(!peers.knows(node));
    }

    #[test]
    fn those_who_can_hear_are_given_a_moment() {
        let start = Instant::now();
        let mut peers = Peers::new(start, SILENCE);
        assert!(peers.may_be_more(start));
        assert!(!peers.may_be_more(start + 2 * ANSWER));
        peers.listen(start + 2 * ANSWER);
        assert!(peers.may_be_more(start + 2 * ANSWER));
    }

    #[test]
    fn no_more_are_remembered_than_a_deployment_has() {
        let now = Instant::now();
        let mut peers = Peers::new(now, SILENCE);
        let known = NodeId::random();
        peers.hear(known, now);
        for _ in 0..2 * MAX_PEERS {
            peers.hear(NodeId::random(), now);
        }
        assert_eq!(peers.all().count(), MAX_PEERS);
        assert_eq!(peers.hear(NodeId::random(), now), None);
        assert_eq!(peers.hear(known, now), Some(false));
    }
}
