//! Registry of a node: rooms and the sessions in them, users and their sessions.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};

use super::{ChatId, SessionId, UserId};

/// Rooms that a session left, remembered for each session.
const LEFT: usize = 64;

/// The two maps of a node. `S` reaches a session, `R` a room.
#[derive(Debug)]
pub struct Hub<S, R> {
    sessions: HashMap<SessionId, Session<S>>,
    users: HashMap<UserId, Vec<SessionId>>,
    rooms: HashMap<ChatId, Room<R>>,
    /// Sessions that watch all chats.
    watchers: HashSet<SessionId>,
    last_generation: u64,
}

#[derive(Debug)]
struct Session<S> {
    handle: S,
    user: UserId,
    /// The rooms that it is in; `true` for those that show its user's presence.
    chats: Vec<(ChatId, bool)>,
    /// The rooms that it left on purpose, so membership alone does not bring it back.
    left: Vec<(ChatId, bool)>,
}

#[derive(Debug)]
struct Room<R> {
    handle: R,
    generation: u64,
    sessions: Vec<SessionId>,
}

/// A session that was removed.
#[derive(Debug, PartialEq, Eq)]
pub struct Disconnected {
    pub user: UserId,
    /// The chats whose rooms it was in.
    pub rooms: Vec<ChatId>,
    /// It was its user's last one.
    pub is_last: bool,
    /// With the last one: the chats that showed its user's presence.
    pub shown_in: Vec<ChatId>,
}

impl<S> Session<S> {
    fn is_in(&self, chat: ChatId) -> bool {
        self.chats.iter().any(|(other, _)| *other == chat)
    }
}

impl<S, R> Default for Hub<S, R> {
    fn default() -> Self {
        Self {
            sessions: HashMap::new(),
            users: HashMap::new(),
            rooms: HashMap::new(),
            watchers: HashSet::new(),
            last_generation: 0,
        }
    }
}

impl<S, R> Hub<S, R> {
    /// Adds a session. If its user has more than `most` then, returns the oldest, which must be
    /// disconnected.
    pub fn connect(
        &mut self,
        id: SessionId,
        user: UserId,
        handle: S,
        most: usize,
    ) -> Option<SessionId> {
        let sessions = self.users.entry(user).or_default();
        // In order of arrival.
        push(sessions, id);
        let oldest = sessions.first().copied().filter(|_| sessions.len() > most.max(1));
        self.sessions.insert(id, Session { handle, user, chats: Vec::new(), left: Vec::new() });
        oldest
    }

    /// Removes a session.
    pub fn disconnect(&mut self, id: SessionId) -> Option<Disconnected> {
        let session = self.sessions.remove(&id)?;
        self.watchers.remove(&id);
        let mut is_last = false;
        if let Entry::Occupied(mut sessions) = self.users.entry(session.user) {
            sessions.get_mut().retain(|other| *other != id);
            is_last = sessions.get().is_empty();
            if is_last {
                sessions.remove();
            }
        }
        for (chat, _) in &session.chats {
            if let Some(room) = self.rooms.get_mut(chat) {
                room.sessions.retain(|other| *other != id);
            }
        }
        let Session { user, chats, left, .. } = session;
        let shown_in = |chats: &[(ChatId, bool)]| -> Vec<ChatId> {
            chats
                .iter()
                .filter_map(|(chat, shows_presence)| shows_presence.then_some(*chat))
                .collect()
        };
        let shown_in = if is_last { [shown_in(&chats), shown_in(&left)].concat() } else { vec![] };
        let rooms = chats.into_iter().map(|(chat, _)| chat).collect();
        Some(Disconnected { user, rooms, is_last, shown_in })
    }

    /// Adds a session to a chat's room. `false` if either is missing.
    pub fn join(&mut self, id: SessionId, chat: ChatId, shows_presence: bool) -> bool {
        let (Some(session), Some(room)) = (self.sessions.get_mut(&id), self.rooms.get_mut(&chat))
        else {
            return false;
        };
        if !session.is_in(chat) {
            push(&mut session.chats, (chat, shows_presence));
            session.left.retain(|(other, _)| *other != chat);
            push(&mut room.sessions, id);
        }
        true
    }

    /// Removes a session from a chat's room. `false` if it was not in it.
    pub fn leave(&mut self, id: SessionId, chat: ChatId) -> bool {
        let Some(session) = self.sessions.get_mut(&id) else { return false };
        let at = session.chats.iter().position(|(other, _)| *other == chat);
        if let Some(at) = at {
            if session.left.len() == LEFT {
                session.left.remove(0);
            }
            session.left.push(session.chats.remove(at));
        }
        if let Some(room) = self.rooms.get_mut(&chat) {
            room.sessions.retain(|other| *other != id);
        }
        at.is_some()
    }

    /// True if a session has left a chat's room, and not entered it again.
    #[must_use]
    pub fn has_left(&self, id: SessionId, chat: ChatId) -> bool {
        self.sessions
            .get(&id)
            .is_some_and(|session| session.left.iter().any(|(other, _)| *other == chat))
    }

    /// True if a session is in a chat's room.
    #[must_use]
    pub fn is_in(&self, id: SessionId, chat: ChatId) -> bool {
        self.sessions.get(&id).is_some_and(|session| session.is_in(chat))
    }

    /// True if a user has a session.
    #[must_use]
    pub fn has_session(&self, user: UserId) -> bool {
        self.users.contains_key(&user)
    }

    pub fn watch(&mut self, id: SessionId, watching: bool) {
        if !watching {
            self.watchers.remove(&id);
        } else if self.sessions.contains_key(&id) {
            self.watchers.insert(id);
        }
    }

    /// True if a session watches all chats.
    #[must_use]
    pub fn is_watched(&self) -> bool {
        !self.watchers.is_empty()
    }

    #[must_use]
    pub fn watches(&self, id: SessionId) -> bool {
        self.watchers.contains(&id)
    }

    #[must_use]
    pub fn session(&self, id: SessionId) -> Option<&S> {
        self.sessions.get(&id).map(|session| &session.handle)
    }

    /// All sessions of the node.
    pub fn sessions(&self) -> impl Iterator<Item = &S> {
        self.sessions.values().map(|session| &session.handle)
    }

    /// The sessions of one user, on all devices.
    pub fn sessions_of(&self, user: UserId) -> impl Iterator<Item = (SessionId, &S)> {
        let ids = self.users.get(&user).map(Vec::as_slice).unwrap_or_default();
        ids.iter().filter_map(|id| Some((*id, self.session(*id)?)))
    }

    /// The users with a session, and the chats that show their presence.
    pub fn shown(&self) -> impl Iterator<Item = (UserId, Vec<ChatId>)> {
        self.users.iter().map(|(user, ids)| {
            let sessions = ids.iter().filter_map(|id| self.sessions.get(id));
            let chats = sessions.flat_map(|session| session.chats.iter().chain(&session.left));
            let shown = chats.filter(|(_, shows_presence)| *shows_presence);
            let mut shown: Vec<ChatId> = shown.map(|(chat, _)| *chat).collect();
            shown.sort_unstable();
            shown.dedup();
            (*user, shown)
        })
    }

    /// The sessions in a chat's room.
    pub fn sessions_in(&self, chat: ChatId) -> impl Iterator<Item = (SessionId, &S)> {
        let ids = self.rooms.get(&chat).map(|room| room.sessions.as_slice()).unwrap_or_default();
        ids.iter().filter_map(|id| Some((*id, self.session(*id)?)))
    }

    /// The chats whose rooms a session is in.
    pub fn chats_of(&self, id: SessionId) -> impl Iterator<Item = ChatId> {
        let session = self.sessions.get(&id);
        session.into_iter().flat_map(|session| session.chats.iter().map(|(chat, _)| *chat))
    }

    /// Sessions that watch all chats.
    pub fn watchers(&self) -> impl Iterator<Item = (SessionId, &S)> {
        self.watchers.iter().filter_map(|id| Some((*id, self.session(*id)?)))
    }

    /// A generation that no room of this node had before.
    pub fn next_generation(&mut self) -> u64 {
        self.last_generation += 1;
        self.last_generation
    }

    /// Registers a room, for the first time or in place of one that died; its sessions stay.
    pub fn open(&mut self, chat: ChatId, handle: R, generation: u64) {
        match self.rooms.entry(chat) {
            Entry::Occupied(mut room) => {
                let room = room.get_mut();
                room.handle = handle;
                room.generation = generation;
            }
            Entry::Vacant(vacant) => {
                vacant.insert(Room { handle, generation, sessions: Vec::new() });
            }
        }
    }

    #[must_use]
    pub fn room(&self, chat: ChatId) -> Option<&R> {
        self.rooms.get(&chat).map(|room| &room.handle)
    }

    /// True if `generation` is the present room's.
    #[must_use]
    pub fn is_current(&self, chat: ChatId, generation: u64) -> bool {
        self.rooms.get(&chat).is_some_and(|room| room.generation == generation)
    }

    /// Removes an idle room, unless it was replaced or somebody has entered since.
    pub fn retire(&mut self, chat: ChatId, generation: u64) -> Option<R> {
        let room = self.rooms.get(&chat)?;
        if room.generation != generation || !room.sessions.is_empty() {
            return None;
        }
        self.rooms.remove(&chat).map(|room| room.handle)
    }

    pub fn rooms(&self) -> impl Iterator<Item = (ChatId, &R)> {
        self.rooms.iter().map(|(chat, room)| (*chat, &room.handle))
    }
}

/// Most lists have one entry, and there are many lists.
fn push<T>(list: &mut Vec<T>, entry: T) {
    list.reserve_exact(usize::from(list.is_empty()));
    list.push(entry);
}

#[cfg(test)]
mod tests {
    use super::*;

    const USER: UserId = UserId(7);
    const CHAT: ChatId = ChatId(10);

    fn hub_with(sessions: &[SessionId]) -> Hub<&'static str, &'static str> {
        let mut hub = Hub::default();
        let generation = hub.next_generation();
        hub.open(CHAT, "room", generation);
        for session in sessions {
            assert_eq!(hub.connect(*session, USER, "session", 2), None);
            assert!(hub.join(*session, CHAT, true));
        }
        hub
    }

    #[test]
    fn a_second_device_leaves_the_first_in_place() {
        let (first, second) = (SessionId::random(), SessionId::random());
        let mut hub = hub_with(&[first, second]);
        let rest = Disconnected { user: USER, rooms: vec![CHAT], is_last: false, shown_in: vec![] };
        assert_eq!(hub.disconnect(second), Some(rest));
        assert_eq!(hub.sessions_of(USER).map(|(id, _)| id).collect::<Vec<_>>(), [first]);
        assert_eq!(hub.sessions_in(CHAT).map(|(id, _)| id).collect::<Vec<_>>(), [first]);
    }

    #[test]
    fn the_oldest_session_of_a_user_makes_room_for_one_too_many() {
        let [first, second, third] = [(); 3].map(|()| SessionId::random());
        let mut hub = hub_with(&[first, second]);
        assert_eq!(hub.connect(third, USER, "session", 2), Some(first));
        hub.disconnect(first);
        assert_eq!(hub.connect(SessionId::random(), UserId(8), "session", 2), None);
        assert_eq!(hub.connect(SessionId::random(), USER, "session", 2), Some(second));
    }

    #[test]
    fn a_room_that_somebody_entered_does_not_retire() {
        let session = SessionId::random();
        let mut hub = hub_with(&[session]);
        assert_eq!(hub.retire(CHAT, 1), None);
        assert!(hub.leave(session, CHAT));
        assert_eq!(hub.retire(CHAT, 2), None, "another room");
        assert_eq!(hub.retire(CHAT, 1), Some("room"));
        assert_eq!(hub.room(CHAT), None);
    }

    #[test]
    fn a_room_is_left_until_it_is_entered_again() {
        let session = SessionId::random();
        let mut hub = hub_with(&[session]);
        assert!(!hub.has_left(session, CHAT));
        hub.leave(session, CHAT);
        assert!(hub.has_left(session, CHAT) && !hub.is_in(session, CHAT));
        hub.join(session, CHAT, true);
        assert!(!hub.has_left(session, CHAT));
    }

    #[test]
    fn a_users_last_session_names_the_chats_that_showed_presence_left_ones_too() {
        let [first, last] = [(); 2].map(|()| SessionId::random());
        let mut hub = hub_with(&[first, last]);
        let (entered, left) = (ChatId(11), ChatId(12));
        for chat in [entered, left] {
            let generation = hub.next_generation();
            hub.open(chat, "room", generation);
            hub.join(last, chat, chat == left);
        }
        hub.leave(last, left);
        hub.disconnect(first);
        let gone = hub.disconnect(last).expect("a session");
        assert!(gone.is_last && gone.rooms == [CHAT, entered]);
        assert_eq!(gone.shown_in, [CHAT, left]);
    }

    #[test]
    fn a_replaced_room_keeps_its_sessions() {
        let session = SessionId::random();
        let mut hub = hub_with(&[session]);
        let generation = hub.next_generation();
        hub.open(CHAT, "another", generation);
        assert!(!hub.is_current(CHAT, 1));
        assert_eq!(hub.sessions_in(CHAT).count(), 1);
    }

    #[test]
    fn only_sessions_that_watch_and_are_here_are_watchers() {
        let [first, second, gone] = [(); 3].map(|()| SessionId::random());
        let mut hub = hub_with(&[first, second]);
        hub.watch(first, true);
        hub.watch(second, true);
        hub.watch(second, false);
        hub.watch(gone, true);
        assert_eq!(hub.watchers().map(|(id, _)| id).collect::<Vec<_>>(), [first]);
        assert!(hub.watchers.len() == 1, "one that is gone is not remembered");
    }

    #[test]
    fn nothing_is_left_of_a_session_that_is_gone() {
        let session = SessionId::random();
        let mut hub = hub_with(&[session]);
        hub.watch(session, true);
        hub.disconnect(session);
        assert!(hub.sessions.is_empty() && hub.users.is_empty() && hub.watchers.is_empty());
        assert_eq!(hub.disconnect(session), None);
        assert_eq!(hub.retire(CHAT, 1), Some("room"));
        assert!(hub.rooms.is_empty());
    }
}
