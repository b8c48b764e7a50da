//! Addresses of rooms, and the order of calls while an address is unknown.

use std::collections::HashMap;

use crate::domain::{ChatId, Streams};

/// Chats that a session remembers without being in their rooms.
const MOST_VISITED: usize = 1_024;

/// The rooms that a session may call: those that it has joined, and those of chats that its user was
/// found to have access to.
///
/// A call to a room without a known address goes by way of ChatServer. Until ChatServer has passed on
/// all of these, later calls take the same way: none overtakes another.
pub struct Rooms<R>(HashMap<ChatId, Room<R>>);

enum Room<R> {
    Known(R),
    /// Calls on their way through ChatServer.
    Routed(usize),
}

impl<R> Default for Rooms<R> {
    fn default() -> Self {
        Self(HashMap::new())
    }
}

impl<R: Clone> Rooms<R> {
    /// The user has access to the chat.
    #[must_use]
    pub fn contains(&self, chat: ChatId) -> bool {
        self.0.contains_key(&chat)
    }

    #[must_use]
    pub fn address(&self, chat: ChatId) -> Option<&R> {
        match self.0.get(&chat) {
            Some(Room::Known(room)) => Some(room),
            _ => None,
        }
    }

    /// The session is in this room.
    pub fn joined(&mut self, chat: ChatId, room: R) {
        match self.0.get(&chat) {
            // Calls on their way would be overtaken.
            Some(Room::Routed(1..)) => {}
            _ => drop(self.0.insert(chat, Room::Known(room))),
        }
    }

    /// The user was found to have access to a chat whose room the session is not in.
    pub fn visited(&mut self, chat: ChatId, streams: &Streams) {
        if self.0.len() >= streams.len() + MOST_VISITED {
            self.0
                .retain(|chat, room| streams.contains(*chat) || matches!(room, Room::Routed(1..)));
        }
        self.0.entry(chat).or_insert(Room::Routed(0));
    }

    /// Begins a call: the room's address, or `None` for the way through ChatServer.
    #[must_use]
    pub fn call(&mut self, chat: ChatId) -> Option<R> {
        match self.0.entry(chat).or_insert(Room::Routed(0)) {
            Room::Known(room) => Some(room.clone()),
            Room::Routed(calls) => {
                *calls += 1;
                None
            }
        }
    }

    /// The room has retired, and handed a call back: the call goes through ChatServer.
    pub fn moved(&mut self, chat: ChatId) {
        match self.0.get_mut(&chat) {
            Some(Room::Routed(calls)) => *calls += 1,
            _ => drop(self.0.insert(chat, Room::Routed(1))),
        }
    }

    /// ChatServer has passed on a call, to this room.
    pub fn found(&mut self, chat: ChatId, room: R) {
        self.not_routed(chat);
        if let Some(place @ Room::Routed(0)) = self.0.get_mut(&chat) {
            *place = Room::Known(room);
        }
    }

    /// The room at the known address has ended: the next call goes through ChatServer.
    pub fn lost(&mut self, chat: ChatId) {
        if let Some(place @ Room::Known(_)) = self.0.get_mut(&chat) {
            *place = Room::Routed(0);
        }
    }

    /// ChatServer has not taken a call.
    pub fn not_routed(&mut self, chat: ChatId) {
        if let Some(Room::Routed(calls)) = self.0.get_mut(&chat) {
            *calls = calls.saturating_sub(1);
        }
    }

    pub fn forget(&mut self, chat: ChatId) {
        self.0.remove(&chat);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHAT: ChatId = ChatId(1);

    #[test]
    fn calls_take_one_way_until_none_can_be_overtaken() {
        let mut rooms = Rooms::default();
        rooms.joined(CHAT, 'a');
        assert_eq!(rooms.call(CHAT), Some('a'));
        // Two calls come back from the retired room, and a third is made.
        rooms.moved(CHAT);
        rooms.moved(CHAT);
        assert_eq!(rooms.call(CHAT), None);
        rooms.joined(CHAT, 'b');
        rooms.found(CHAT, 'b');
        rooms.found(CHAT, 'b');
        assert_eq!(rooms.address(CHAT), None, "the third is still on its way");
        rooms.not_routed(CHAT);
        assert_eq!(rooms.call(CHAT), None, "ChatServer was full: its next call is asked for again");
        rooms.found(CHAT, 'c');
        assert_eq!(rooms.call(CHAT), Some('c'));
    }

    #[test]
    fn a_session_remembers_so_many_rooms_that_it_is_not_in() {
        let mut rooms = Rooms::<char>::default();
        let streams = Streams::default();
        for chat in 0..MOST_VISITED as i64 {
            rooms.visited(ChatId(chat), &streams);
        }
        rooms.moved(CHAT);
        rooms.visited(ChatId(-1), &streams);
        assert!(rooms.contains(ChatId(-1)) && rooms.contains(CHAT));
        assert!(!rooms.contains(ChatId(2)));
    }
}
