//! Live states of a chat: typing, read marks, presence. No log has them; a newer one counts.

use std::collections::HashMap;
use std::time::Instant;

use super::{ChatId, Seq, UserId};

/// A user's state in a chat, for the sessions in its room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LiveEvent {
    pub chat: ChatId,
    pub user: UserId,
    pub state: LiveState,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LiveState {
    Typing(bool),
    /// The last `seq` that the user has read.
    Read(Seq),
    Online(bool),
}

impl LiveEvent {
    /// True if this user's sessions are told. One's own typing and presence are no news, but one's own
    /// read mark is: it was made on another device.
    #[must_use]
    pub fn is_for(&self, user: UserId) -> bool {
        user != self.user || matches!(self.state, LiveState::Read(_))
    }
}

/// Users who type in one chat; one more is ignored until another ends.
const MOST_TYPISTS: usize = 256;

/// Users who are typing in a chat, and until when.
#[derive(Debug, Default)]
pub struct Typists(HashMap<UserId, Instant>);

impl Typists {
    /// Records a user's state, which ends by itself. `true` if others are to be told: of each repeat,
    /// and of an end.
    pub fn set(&mut self, user: UserId, typing: bool, end: Instant) -> bool {
        if !typing {
            return self.0.remove(&user).is_some();
        }
        let is_known = self.0.contains_key(&user);
        if !is_known && self.0.len() >= MOST_TYPISTS {
            return false;
        }
        self.0.insert(user, end);
        true
    }

    /// Removes and returns those whose time is over.
    pub fn expire(&mut self, now: Instant) -> Vec<UserId> {
        self.0.extract_if(|_, until| *until <= now).map(|(user, _)| user).collect()
    }

    /// The next time at which one's typing ends.
    #[must_use]
    pub fn next_end(&self) -> Option<Instant> {
        self.0.values().min().copied()
    }
}

/// Read marks that are remembered for those who are on their way in.
const MOST_READS: usize = 256;

/// Read marks that were raised lately: a session that enters has asked the database before.
#[derive(Debug, Default)]
pub struct RecentReads(HashMap<UserId, Seq>);

impl RecentReads {
    pub fn raised(&mut self, user: UserId, seq: Seq) {
        if self.0.len() >= MOST_READS {
            // So many are raised in far more time than anybody takes to enter.
            self.0.clear();
        }
        self.0.insert(user, seq);
    }

    #[must_use]
    pub fn all(&self) -> Vec<(UserId, Seq)> {
        self.0.iter().map(|(user, seq)| (*user, *seq)).collect()
    }
}

/// The live states that a chat's room remembers.
#[derive(Debug, Default)]
pub struct LiveStates {
    pub typists: Typists,
    pub reads: RecentReads,
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const KIM: UserId = UserId(7);

    #[test]
    fn typing_ends_by_itself_unless_it_is_repeated() {
        let (mut typists, start) = (Typists::default(), Instant::now());
        let [end, later] = [1, 2].map(|seconds| start + Duration::from_secs(seconds));
        assert!(typists.set(KIM, true, end));
        assert!(typists.set(KIM, true, later), "a repeat is told: others count from it");
        assert!(typists.expire(end).is_empty());
        assert_eq!(typists.next_end(), Some(later));
        assert_eq!(typists.expire(later), [KIM]);
        assert_eq!(typists.next_end(), None);
    }

    #[test]
    fn an_end_is_told_once() {
        let (mut typists, now) = (Typists::default(), Instant::now());
        assert!(!typists.set(KIM, false, now));
        typists.set(KIM, true, now);
        assert!(typists.set(KIM, false, now));
        assert!(!typists.set(KIM, false, now));
    }

    #[test]
    fn typists_are_bounded() {
        let (mut typists, now) = (Typists::default(), Instant::now());
        for user in 0..MOST_TYPISTS as i64 {
            assert!(typists.set(UserId(user), true, now));
        }
        assert!(!typists.set(UserId(-1), true, now));
        assert!(typists.set(UserId(0), true, now));
    }

    #[test]
    fn own_devices_are_told_of_read_marks_alone() {
        let of = |state| LiveEvent { chat: ChatId(1), user: KIM, state };
        assert!(of(LiveState::Read(Seq(1))).is_for(KIM));
        for state in [LiveState::Typing(true), LiveState::Online(false)] {
            assert!(!of(state).is_for(KIM) && of(state).is_for(UserId(8)));
        }
    }
}
