//! Lists of what is live on this node, for operators, and the end of one session.

use actix::prelude::*;

use super::ChatServer;
use crate::actors::room_actor::RoomActor;
use crate::domain::{ChatId, Role, SessionId, Timestamp, UserId};
use crate::protocol::Ending;

/// Chats that are listed of one session.
const CHATS: usize = 100;

/// A live session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LiveSession {
    pub id: SessionId,
    pub user: UserId,
    pub role: Role,
    pub since: Timestamp,
    /// The chats whose rooms it is in, at most 100.
    pub chats: Vec<ChatId>,
    /// It hears of all chats.
    pub watches: bool,
    /// Events and bytes that wait for it: its lag.
    pub waiting: (usize, usize),
}

/// Asks for this node's sessions, of one user or of all, at most `most`.
#[derive(Message)]
#[rtype(result = "Vec<LiveSession>")]
pub struct ListSessions {
    pub user: Option<UserId>,
    pub most: usize,
}

/// A live room.
pub struct LiveRoom {
    pub chat: ChatId,
    pub sessions: usize,
    pub room: Addr<RoomActor>,
}

/// Asks for this node's rooms, at most `most`.
#[derive(Message)]
#[rtype(result = "Vec<LiveRoom>")]
pub struct ListRooms {
    pub most: usize,
}

/// Ends a session as a logout does; answers `false` for one that is not here.
#[derive(Message)]
#[rtype(result = "bool")]
pub struct EndSession(pub SessionId);

impl Handler<ListSessions> for ChatServer {
    type Result = Vec<LiveSession>;

    fn handle(
        &mut self,
        ListSessions { user, most }: ListSessions,
        _: &mut Self::Context,
    ) -> Vec<LiveSession> {
        let live = |id: SessionId| {
            let session = self.hub.session(id)?;
            Some(LiveSession {
                id,
                user: session.user(),
                role: session.role(),
                since: session.since(),
                chats: self.hub.chats_of(id).take(CHATS).collect(),
                watches: self.hub.watches(id),
                waiting: session.budget().waiting(),
            })
        };
        match user {
            Some(user) => {
                self.hub.sessions_of(user).take(most).filter_map(|(id, _)| live(id)).collect()
            }
            None => {
                self.hub.sessions().take(most).filter_map(|session| live(session.id())).collect()
            }
        }
    }
}

impl Handler<ListRooms> for ChatServer {
    type Result = Vec<LiveRoom>;

    fn handle(&mut self, ListRooms { most }: ListRooms, _: &mut Self::Context) -> Vec<LiveRoom> {
        let live = |(chat, room): (ChatId, &Addr<RoomActor>)| LiveRoom {
            chat,
            sessions: self.hub.sessions_in(chat).count(),
            room: room.clone(),
        };
        self.hub.rooms().take(most).map(live).collect()
    }
}

impl Handler<EndSession> for ChatServer {
    type Result = bool;

    fn handle(&mut self, EndSession(id): EndSession, _: &mut Self::Context) -> bool {
        let session = self.hub.session(id);
        if let Some(session) = session {
            session.close(Ending::SignedOut);
        }
        session.is_some()
    }
}
