//! Viewers: admins' sessions that have a chat on their screens.

use std::collections::HashMap;
use std::sync::Arc;

use super::{Author, ChatId, SessionId};

/// One chat for each session at most.
#[derive(Debug, Default)]
pub struct Viewers {
    chats: HashMap<SessionId, ChatId>,
    sessions: HashMap<ChatId, Vec<(SessionId, Arc<Author>)>>,
}

impl Viewers {
    /// Records what a session shows. Returns the chats whose users are others than before.
    pub fn view(
        &mut self,
        session: SessionId,
        viewer: Arc<Author>,
        chat: Option<ChatId>,
    ) -> Vec<ChatId> {
        if self.chats.get(&session).copied() == chat {
            return Vec::new();
        }
        let mut changed: Vec<ChatId> = self.end(session).into_iter().collect();
        if let Some(chat) = chat {
            self.chats.insert(session, chat);
            let sessions = self.sessions.entry(chat).or_default();
            if sessions.iter().all(|(_, other)| other.id != viewer.id) {
                changed.push(chat);
            }
            sessions.push((session, viewer));
        }
        changed
    }

    /// Removes a session. Returns its chat, if the chat's users are others than before.
    pub fn end(&mut self, session: SessionId) -> Option<ChatId> {
        let chat = self.chats.remove(&session)?;
        let sessions = self.sessions.get_mut(&chat)?;
        let at = sessions.iter().position(|(other, _)| *other == session)?;
        let (_, viewer) = sessions.swap_remove(at);
        let is_gone = sessions.iter().all(|(_, other)| other.id != viewer.id);
        if sessions.is_empty() {
            self.sessions.remove(&chat);
        }
        is_gone.then_some(chat)
    }

    #[must_use]
    pub fn views(&self, session: SessionId) -> bool {
        self.chats.contains_key(&session)
    }

    /// Every session that views a chat.
    pub fn all(&self) -> impl Iterator<Item = (SessionId, ChatId, Arc<Author>)> {
        self.sessions.iter().flat_map(|(chat, sessions)| {
            sessions.iter().map(|(session, user)| (*session, *chat, Arc::clone(user)))
        })
    }

    /// The users who view a chat, by id.
    #[must_use]
    pub fn of(&self, chat: ChatId) -> Vec<Arc<Author>> {
        let sessions = self.sessions.get(&chat).map(Vec::as_slice).unwrap_or_default();
        let mut users: Vec<_> = sessions.iter().map(|(_, user)| Arc::clone(user)).collect();
        users.sort_by_key(|user| user.id);
        users.dedup_by_key(|user| user.id);
        users
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;
    use crate::domain::{Role, UserId};

    fn admin(id: i64) -> Arc<Author> {
        Arc::new(Author { id: UserId(id), nickname: None, role: Role::Admin })
    }

    #[test]
    fn two_screens_of_one_admin_are_one_viewer() {
        let mut viewers = Viewers::default();
        let [first, second] = [(); 2].map(|()| SessionId::random());
        let (ten, eleven) = (ChatId(10), ChatId(11));
        assert_eq!(viewers.view(first, admin(7), Some(ten)), [ten]);
        assert!(viewers.view(second, admin(7), Some(ten)).is_empty());
        assert!(viewers.view(first, admin(7), Some(ten)).is_empty(), "the same again");
        assert_eq!(viewers.view(first, admin(7), Some(eleven)), [eleven], "the other stays");
        assert_eq!(viewers.end(second), Some(ten));
        assert_eq!(viewers.view(first, admin(7), None), [eleven]);
        assert!(viewers.chats.is_empty() && viewers.sessions.is_empty());
    }

    proptest! {
        /// Viewers are what a recount of the sessions says, and each change of them is returned.
        #[test]
        fn viewers_equal_a_recount(
            steps in prop::collection::vec((0..6_usize, prop::option::of(0..3_i64), any::<bool>()), 0..100)
        ) {
            let sessions: Vec<SessionId> = (0..6).map(|_| SessionId::random()).collect();
            let mut viewers = Viewers::default();
            let mut shown = [None; 6];
            let recount = |shown: &[Option<i64>; 6], chat: i64| -> BTreeSet<i64> {
                // Two sessions for each admin.
                (0..6).filter(|at| shown[*at] == Some(chat)).map(|at| at as i64 / 2).collect()
            };
            for (at, chat, ends) in steps {
                let before: Vec<_> = (0..3).map(|chat| recount(&shown, chat)).collect();
                let chat = chat.filter(|_| !ends);
                shown[at] = chat;
                let mut changed: Vec<ChatId> = match ends {
                    true => viewers.end(sessions[at]).into_iter().collect(),
                    false => viewers.view(sessions[at], admin(at as i64 / 2), chat.map(ChatId)),
                };
                changed.sort_unstable();
                let after: Vec<_> = (0..3).map(|chat| recount(&shown, chat)).collect();
                let expected: Vec<ChatId> =
                    (0..3).filter(|chat| before[*chat] != after[*chat]).map(|chat| ChatId(chat as i64)).collect();
                prop_assert_eq!(changed, expected);
                for chat in 0..3 {
                    let users = viewers.of(ChatId(chat)).iter().map(|user| user.id.0).collect::<Vec<_>>();
                    prop_assert_eq!(users, after[chat as usize].iter().copied().collect::<Vec<_>>());
                }
            }
        }
    }
}
