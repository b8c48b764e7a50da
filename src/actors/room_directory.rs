//! Per-thread cache of room addresses, for requests that come over no session.

use std::collections::HashMap;

use actix::prelude::*;

use super::chat_server::{ChatServer, Learn, RoomIs, RoomRequest, Route};
use super::room_actor::RoomActor;
use crate::domain::ChatId;

/// Rooms that one thread remembers.
const ROOMS: usize = 4_096;
/// Requests that wait; one more is `unavailable`.
const MAILBOX: usize = 4_096;

/// Sends requests to rooms whose addresses it has learned, and all others through ChatServer. There
/// is one on each thread that serves requests, so nobody waits for another thread to find a room.
pub struct RoomDirectory {
    chat_server: Addr<ChatServer>,
    rooms: HashMap<ChatId, Addr<RoomActor>>,
}

/// A request for a chat's room. Dropped on the way, it is answered `unavailable` by its `Reply`.
#[derive(Message)]
#[rtype(result = "()")]
pub struct ToRoom {
    pub chat: ChatId,
    pub request: RoomRequest,
    /// True if a remembered address will do. A post that finds its room retired is rejected with
    /// that, and asks again with `false`; a read mark gets no rejection, and never trusts an
    /// address.
    pub cached: bool,
}

impl RoomDirectory {
    #[must_use]
    pub fn new(chat_server: Addr<ChatServer>) -> Self {
        Self { chat_server, rooms: HashMap::new() }
    }

    /// Sends a request to the remembered room, or gives it back if none is remembered.
    fn send(&mut self, chat: ChatId, request: RoomRequest) -> Option<RoomRequest> {
        let Some(room) = self.rooms.get(&chat) else { return Some(request) };
        let left = request.send_to(room);
        if left.is_some() {
            self.rooms.remove(&chat);
        }
        left
    }
}

impl Actor for RoomDirectory {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.set_mailbox_capacity(MAILBOX);
    }
}

impl Handler<ToRoom> for RoomDirectory {
    type Result = ();

    fn handle(&mut self, ToRoom { chat, request, cached }: ToRoom, ctx: &mut Self::Context) {
        let left = if cached { self.send(chat, request) } else { Some(request) };
        let Some(request) = left else { return };
        let route = Route { chat, request, learn: Learn::Directory(ctx.address().recipient()) };
        // Dropped where ChatServer's mailbox is full, the request is answered `unavailable`.
        self.chat_server.try_send(route).unwrap_or_else(drop);
    }
}

impl Handler<RoomIs> for RoomDirectory {
    type Result = ();

    fn handle(&mut self, RoomIs { chat, room }: RoomIs, _: &mut Self::Context) {
        if self.rooms.len() >= ROOMS && !self.rooms.contains_key(&chat) {
            self.rooms.retain(|_, room| room.connected());
            if self.rooms.len() >= ROOMS {
                // All are learned again as they are asked for.
                self.rooms.clear();
            }
        }
        self.rooms.insert(chat, room);
    }
}
