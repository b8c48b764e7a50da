//! Presence: who is online in the deployment. A user without a session stays online for a while.

use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};

use super::share::{Change, Copies, Effect, OwnShare, SharePart, Update, Updated, Viewed};
use super::{ChatId, NodeId, SessionId, UserId};

/// Users who are online though they have no session on this node. Those who have one are the hub's:
/// calls ask for them by `is_here`.
#[derive(Debug)]
pub struct Presence {
    grace: Duration,
    /// Users whose last session here has ended a moment ago, so that a reload shows nothing.
    leaving: HashMap<UserId, Leaving>,
    /// In the order of their ends. A user who came back, or left again, stands here once too often.
    ends: VecDeque<(Instant, UserId)>,
    /// Users of this node, for the others.
    own: OwnShare,
    /// Users of the other nodes.
    copies: Copies,
}

#[derive(Debug)]
struct Leaving {
    end: Instant,
    /// The chats whose rooms are to be told.
    chats: Vec<ChatId>,
}

/// A user is online, or no more: news for the rooms of these chats.
#[derive(Debug, PartialEq, Eq)]
pub struct PresenceNews {
    pub user: UserId,
    pub online: bool,
    pub chats: Vec<ChatId>,
}

/// Changes here by another node's share.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Applied {
    pub news: Vec<PresenceNews>,
    /// Users who were online before, for chats that were not told of it: a chat may be newer here than
    /// what is known of its members.
    pub shown: Vec<PresenceNews>,
    /// Sessions of other nodes, and the chats that they view now.
    pub views: Vec<(SessionId, Option<Viewed>)>,
}

impl Presence {
    /// `grace` is the time for which a user without a session stays online.
    #[must_use]
    pub fn new(grace: Duration) -> Self {
        let (own, copies) = (OwnShare::default(), Copies::default());
        Self { grace, leaving: HashMap::new(), ends: VecDeque::new(), own, copies }
    }

    /// True if the user is online, though without a session on this node.
    #[must_use]
    pub fn is_online(&self, user: UserId) -> bool {
        self.leaving.contains_key(&user) || self.copies.has(user)
    }

    /// Users who are online on other nodes.
    #[must_use]
    pub fn elsewhere(&self) -> usize {
        self.copies.users()
    }

    /// A user's first session on this node begins, in these chats. Returns news if the user was
    /// offline.
    pub fn came(&mut self, user: UserId, chats: Vec<ChatId>) -> Option<PresenceNews> {
        let was_online = self.is_online(user);
        self.leaving.remove(&user);
        self.own.record(Change::Online(user, chats.clone()));
        (!was_online).then_some(PresenceNews { user, online: true, chats })
    }

    /// A chat shows the user online, wherever they are.
    pub fn show_in(&mut self, user: UserId, chat: ChatId) {
        if let Some(leaving) = self.leaving.get_mut(&user)
            && !leaving.chats.contains(&chat)
        {
            leaving.chats.push(chat);
        }
        self.copies.show_in(user, chat);
    }

    /// A change that the other nodes are to be told of.
    pub fn record(&mut self, change: Change) {
        self.own.record(change);
    }

    /// A user's last session on this node has ended. The user was shown in these chats.
    pub fn went(&mut self, user: UserId, chats: Vec<ChatId>, now: Instant) {
        let end = now + self.grace;
        self.leaving.insert(user, Leaving { end, chats });
        self.ends.push_back((end, user));
    }

    /// Ends the grace of those whose time is over. Returns who is offline now.
    pub fn expire(&mut self, now: Instant) -> Vec<PresenceNews> {
        let mut gone = Vec::new();
        while let Some((_, user)) = self.ends.pop_front_if(|(end, _)| *end <= now) {
            if self.leaving.get(&user).is_some_and(|leaving| leaving.end <= now)
                && let Some(Leaving { chats, .. }) = self.leaving.remove(&user)
            {
                self.own.record(Change::Offline(user));
                if !self.copies.has(user) {
                    gone.push(PresenceNews { user, online: false, chats });
                }
            }
        }
        gone
    }

    /// The next time at which somebody's grace ends.
    #[must_use]
    pub fn next_end(&self) -> Option<Instant> {
        self.ends.front().map(|(end, _)| *end)
    }

    /// True if the other nodes have been told of every change.
    #[must_use]
    pub fn is_told(&self) -> bool {
        self.own.is_told()
    }

    /// The changes for the other nodes, since the last call.
    pub fn take_update(&mut self) -> Update {
        self.own.take()
    }

    /// The whole share: `here` has the users with a session on this node and the chats that its
    /// sessions view. Changes must have been taken.
    #[must_use]
    pub fn share(&self, here: impl Iterator<Item = Change>) -> Vec<SharePart> {
        let leaving =
            self.leaving.iter().map(|(user, left)| Change::Online(*user, left.chats.clone()));
        self.own.parts(&here.chain(leaving).collect::<Vec<_>>())
    }

    /// Applies another node's update. `None` if the whole share is to be asked for.
    pub fn update(
        &mut self,
        node: NodeId,
        update: Update,
        is_here: impl Fn(UserId) -> bool,
    ) -> Option<Applied> {
        match self.copies.update(node, update) {
            Updated::Applied(effects) => Some(self.applied(effects, is_here)),
            Updated::Ignored => Some(Applied::default()),
            Updated::Missing => None,
        }
    }

    /// Applies a part of another node's whole share.
    pub fn add(
        &mut self,
        node: NodeId,
        part: SharePart,
        is_here: impl Fn(UserId) -> bool,
    ) -> Applied {
        let effects = self.copies.add(node, part);
        self.applied(effects, is_here)
    }

    /// Another node has ended, and its sessions with it.
    pub fn remove(&mut self, node: NodeId, is_here: impl Fn(UserId) -> bool) -> Applied {
        let effects = self.copies.remove(node);
        self.applied(effects, is_here)
    }

    fn applied(&self, effects: Vec<Effect>, is_here: impl Fn(UserId) -> bool) -> Applied {
        let mut applied = Applied::default();
        for effect in effects {
            let (user, online, chats) = match effect {
                Effect::Came(user, chats) => (user, true, chats),
                Effect::Went(user, chats) => (user, false, chats),
                Effect::Shown(user, chats) => {
                    applied.shown.push(PresenceNews { user, online: true, chats });
                    continue;
                }
                Effect::Views(session, view) => {
                    applied.views.push((session, view));
                    continue;
                }
            };
            if !is_here(user) && !self.leaving.contains_key(&user) {
                applied.news.push(PresenceNews { user, online, chats });
            }
        }
        applied
    }
}

#[cfg(test)]
#[path = "presence_tests.rs"]
mod tests;
