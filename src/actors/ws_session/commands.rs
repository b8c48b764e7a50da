//! What each of a client's commands does.

use actix::prelude::*;
use actix_web_actors::ws::WebsocketContext;

use super::{Asked, WsSession};
use crate::actors::chat_server::{Leave, Watch};
use crate::actors::delivery::Origin;
use crate::actors::reply::Reply;
use crate::actors::room_actor::{MarkRead, Post, RoomActor};
use crate::app::{Caller, authenticate, chat_access, create_chat};
use crate::domain::{ChatId, ClientId, Draft, Role, Timestamp, access};
use crate::protocol::{
    self, ApiError, ChatView, Command, Entry, Expires, NewChat, Outgoing, ReadMark, RequestId,
    ServerTime,
};

/// Rooms that a session remembers without being in them.
const MOST_VISITED: usize = 1_024;

/// Nothing to say but that it was done.
#[derive(serde::Serialize)]
pub(super) struct Done {}

impl WsSession {
    pub(super) fn command(
        &mut self,
        command: Command,
        id: Option<&RequestId>,
        event: &str,
        ctx: &mut WebsocketContext<Self>,
    ) {
        if let Err(exception) = self.act(command, id.cloned(), ctx) {
            self.refuse(id, Some(event), &exception, ctx);
        }
    }

    fn act(
        &mut self,
        command: Command,
        id: Option<RequestId>,
        ctx: &mut WebsocketContext<Self>,
    ) -> Result<(), ApiError> {
        match command {
            Command::Authenticate { token, .. } => self.renew(&token, id, ctx),
            Command::SendMessage { chat_id, message } => {
                self.send_message(chat_id, message, id, ctx)
            }
            Command::ReadMessage(mark) => self.read_message(mark, id, ctx),
            Command::EnterChat(entries) => self.enter_chat(entries, id, ctx),
            Command::LeaveChat(chats) => self.leave_chat(chats, id.as_ref(), ctx),
            Command::CreateChat(chat) => self.create_chat(chat, id, ctx),
            Command::WatchChats(watching) => self.watch_chats(watching, id.as_ref(), ctx),
            Command::Ping => {
                answer(id.as_ref(), ServerTime { server_time: Timestamp::now() }, ctx);
                Ok(())
            }
        }
    }

    fn send_message(
        &mut self,
        chat: Option<ChatId>,
        message: Outgoing,
        id: Option<RequestId>,
        ctx: &mut WebsocketContext<Self>,
    ) -> Result<(), ApiError> {
        let Some(member) = self.member() else { return Ok(()) };
        let chat = chat
            .or_else(|| member.own.map(|own| own.chat_id))
            .ok_or_else(|| ApiError::bad_request("data.chatId", "is missing"))?;
        if member.rooms.contains_key(&chat) {
            return self.post(chat, message, id, ctx);
        }
        self.visit(chat, id, "send_message", ctx, move |this, id, ctx| {
            this.post(chat, message, id, ctx)
        });
        Ok(())
    }

    fn read_message(
        &mut self,
        mark: ReadMark,
        id: Option<RequestId>,
        ctx: &mut WebsocketContext<Self>,
    ) -> Result<(), ApiError> {
        let Some(member) = self.member() else { return Ok(()) };
        // A room that has retired takes no marks: it is asked for again.
        if member.rooms.get(&mark.chat_id).is_some_and(Addr::connected)
            && member.streams.contains(mark.chat_id)
        {
            return self.mark(mark, id, ctx);
        }
        self.visit(mark.chat_id, id, "read_message", ctx, move |this, id, ctx| {
            this.mark(mark, id, ctx)
        });
        Ok(())
    }

    /// Finds the room of a chat that the session is not in, if its user may see it, and goes on.
    fn visit(
        &mut self,
        chat: ChatId,
        id: Option<RequestId>,
        event: &'static str,
        ctx: &mut WebsocketContext<Self>,
        then: impl FnOnce(
            &mut Self,
            Option<RequestId>,
            &mut WebsocketContext<Self>,
        ) -> Result<(), ApiError>
        + 'static,
    ) {
        let Some(user) = self.member().map(|member| member.user.clone()) else { return };
        self.reading.hold();
        let desk = self.desk.clone();
        let visit = async move {
            chat_access::to_chat(&desk, &user, chat, access::may_post).await?;
            super::stream::locate(&desk, chat).await
        };
        self.after(visit, ctx, move |this, room: Result<Addr<RoomActor>, ApiError>, ctx| {
            let again = id.clone();
            let done = room.and_then(|room| {
                if let Some(member) = this.member() {
                    if member.rooms.len() >= member.streams.len() + MOST_VISITED {
                        let streams = &member.streams;
                        member.rooms.retain(|chat, _| streams.contains(*chat));
                    }
                    member.rooms.insert(chat, room);
                }
                then(this, id, ctx)
            });
            if let Err(exception) = done {
                this.refuse(again.as_ref(), Some(event), &exception, ctx);
            }
            this.reading.go_on();
        });
    }

    fn post(
        &mut self,
        chat: ChatId,
        message: Outgoing,
        id: Option<RequestId>,
        ctx: &mut WebsocketContext<Self>,
    ) -> Result<(), ApiError> {
        let session = self.id;
        let in_work = self.reading.begin(message.body.as_str().len());
        let Some(member) = self.member() else { return Ok(()) };
        let client_id = message.client_id.unwrap_or_else(ClientId::random);
        let above = member.streams.end(chat);
        let what = Asked::Post { client_id: client_id.as_str().into(), above, stored: None };
        let nonce = member.ask(id, chat, what, in_work);
        let author = member.user.author();
        let draft = Draft {
            chat_id: chat,
            author: author.id,
            role: author.role,
            body: message.body,
            client_id,
            expect_seq: message.expect_seq,
        };
        let reply = Reply::to_session(ctx.address(), nonce);
        let post = Post { draft, author, origin: Some(Origin { session, nonce }), reply };
        let Some(room) = member.rooms.get(&chat) else { return Ok(()) };
        match room.try_send(post) {
            Err(SendError::Closed(post)) => self.relocate(chat, post, ctx),
            // Dropped, a post that found the mailbox full is answered `unavailable`.
            Err(SendError::Full(post)) => drop(post),
            Ok(()) => {}
        }
        Ok(())
    }

    fn mark(
        &mut self,
        ReadMark { chat_id: chat, seq }: ReadMark,
        id: Option<RequestId>,
        ctx: &mut WebsocketContext<Self>,
    ) -> Result<(), ApiError> {
        let in_work = self.reading.begin(0);
        let Some(member) = self.member() else { return Ok(()) };
        let user = member.user.id();
        let nonce = member.ask(id, chat, Asked::Mark, in_work);
        let reply = Reply::to_session(ctx.address(), nonce);
        if let Some(room) = member.rooms.get(&chat)
            && let Err(SendError::Full(mark) | SendError::Closed(mark)) =
                room.try_send(MarkRead { user, seq, reply })
        {
            // Dropped, it is answered `unavailable`.
            drop(mark);
        }
        Ok(())
    }

    fn enter_chat(
        &mut self,
        entries: Vec<Entry>,
        id: Option<RequestId>,
        ctx: &mut WebsocketContext<Self>,
    ) -> Result<(), ApiError> {
        let desk = self.desk.clone();
        let most = desk.limits().chats_entered;
        let Some(member) = self.member() else { return Ok(()) };
        let further =
            entries.iter().filter(|entry| !member.streams.contains(entry.chat_id)).count();
        if member.streams.len() + further > most {
            return Err(ApiError::forbidden(format!(
                "a session may be in {most} chats, leave some first"
            )));
        }
        let user = member.user.clone();
        let chats: Vec<ChatId> = entries.iter().map(|entry| entry.chat_id).collect();
        self.reading.hold();
        let look = async move { chat_access::to_chats(&desk, &user, chats).await };
        self.after(look, ctx, move |this, standings, ctx| match standings {
            Ok(standings) => this.enter(&entries, standings, id, ctx),
            Err(exception) => {
                this.refuse(id.as_ref(), Some("enter_chat"), &exception, ctx);
                this.reading.go_on();
            }
        });
        Ok(())
    }

    fn leave_chat(
        &mut self,
        chats: Vec<ChatId>,
        id: Option<&RequestId>,
        ctx: &mut WebsocketContext<Self>,
    ) -> Result<(), ApiError> {
        let Some(member) = self.member() else { return Ok(()) };
        let role = member.user.role();
        let may_leave = |chat: &ChatId| {
            member
                .own
                .as_ref()
                .is_none_or(|own| own.chat_id != *chat || access::may_leave(role, own))
        };
        if !chats.iter().all(may_leave) {
            return Err(ApiError::forbidden("a customer is always in the own chat"));
        }
        for chat in &chats {
            self.forget(*chat, ctx);
        }
        // Bounded: the session's own requests are counted.
        self.desk.chat_server().do_send(Leave { session: self.id, chats });
        answer(id, Done {}, ctx);
        Ok(())
    }

    fn create_chat(
        &mut self,
        chat: NewChat,
        id: Option<RequestId>,
        ctx: &mut WebsocketContext<Self>,
    ) -> Result<(), ApiError> {
        let (desk, session) = (self.desk.clone(), self.id);
        let Some(member) = self.member() else { return Ok(()) };
        let user = member.user.clone();
        self.reading.hold();
        let create = async move { create_chat(&desk, &user, chat, Some(session)).await };
        self.after(create, ctx, move |this, created, ctx| match created {
            Ok((chat, standing, _))
                if this.member().is_some_and(|member| member.streams.contains(chat.id)) =>
            {
                if let Some(member) = this.member() {
                    let view = ChatView::new(&chat, member.user.role()).read_by(&standing);
                    answer(id.as_ref(), &view, ctx);
                }
                this.reading.go_on();
            }
            Ok((chat, standing, _)) => this.enter_created(chat, standing, id, ctx),
            Err(exception) => {
                this.refuse(id.as_ref(), Some("create_chat"), &exception.within("data"), ctx);
                this.reading.go_on();
            }
        });
        Ok(())
    }

    fn watch_chats(
        &mut self,
        watching: bool,
        id: Option<&RequestId>,
        ctx: &mut WebsocketContext<Self>,
    ) -> Result<(), ApiError> {
        let Some(member) = self.member() else { return Ok(()) };
        if !access::may_watch(member.user.role()) {
            return Err(ApiError::forbidden("only admins watch chats"));
        }
        self.desk.chat_server().do_send(Watch { session: self.id, watching });
        answer(id, Done {}, ctx);
        Ok(())
    }

    /// A fresh token of the same user, for a session that goes on.
    fn renew(
        &mut self,
        token: &str,
        id: Option<RequestId>,
        ctx: &mut WebsocketContext<Self>,
    ) -> Result<(), ApiError> {
        let claims = authenticate::verify(&self.desk, token)?;
        self.reading.hold();
        let desk = self.desk.clone();
        let admit = async move { authenticate::admit(&desk, claims).await };
        self.after(admit, ctx, move |this, admitted, ctx| {
            let renewed = admitted.and_then(|Caller { user, .. }| match this.member() {
                Some(member) if member.user.id() == user.id() => {
                    let expires_at = user.expires_at();
                    let is_less = access::is_less(user.role(), member.user.role());
                    if user.role() == Role::Admin {
                        member.own = None;
                    }
                    member.user = user;
                    Ok((expires_at, is_less))
                }
                _ => Err(ApiError::forbidden("the token is of another user than the session's")),
            });
            match renewed {
                Ok((expires_at, is_less)) => {
                    answer(id.as_ref(), Expires { expires_at }, ctx);
                    if is_less {
                        return this.role_became_less(ctx);
                    }
                }
                Err(exception) => this.refuse(id.as_ref(), Some("authenticate"), &exception, ctx),
            }
            this.reading.go_on();
        });
        Ok(())
    }
}

/// Answers a request that asked for it.
pub(super) fn answer<T: serde::Serialize>(
    id: Option<&RequestId>,
    data: T,
    ctx: &mut WebsocketContext<WsSession>,
) {
    if let Some(id) = id {
        ctx.text(protocol::ack(id, data));
    }
}
