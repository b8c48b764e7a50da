//! Actions of a session, carried out: frames to the socket, messages to actors, use cases awaited.

use actix::prelude::*;
use actix_web_actors::ws::{CloseReason, WebsocketContext};

use super::WsSession;
use crate::actors::{
    Connect, Disconnect, Forward, ForwardResponder, Join, Learn, Leave, MarkRead, Post, ReplayPage,
    Reply, RoomActor, RoomRequest, Route, SessionHandle, ToSession, Typing, View, Watch,
};
use crate::app::{authenticate, chat_access, create_chat};
use crate::auth::AuthenticatedUser;
use crate::domain::{ChatId, Origin, Role, Stage, access};
use crate::metrics::ForwardOutcome;
use crate::protocol::{ApiError, Codec, Ending};
use crate::session::{
    Action, Answered, Ask, Budget, Counted, ForwardRequest, Input, NewPost, RoomCall, Timer,
};

impl WsSession {
    pub(super) fn perform(
        &mut self,
        action: Action<Addr<RoomActor>>,
        ctx: &mut WebsocketContext<Self>,
    ) {
        match action {
            Action::Send(event) => ctx.text(event.frame(Codec::V1)),
            Action::Written(permit) => self.unwritten.hold(permit),
            Action::Call { chat, room, call } => self.call(chat, room, call, ctx),
            Action::Fetch { room, fetch } => {
                let (chat, after, up_to) = (fetch.chat_id, fetch.after, fetch.up_to);
                let Some(session) = self.handle.clone() else { return };
                if room.try_send(ReplayPage { session, after, up_to }).is_err() {
                    let lost = ToSession::Page { chat, after, messages: None };
                    self.input(Input::FromServer(lost), ctx);
                }
            }
            Action::Connect { user, join, chats } => {
                let limits = self.app.limits();
                let budget = Budget::new(limits.session_queue_events, limits.session_queue_bytes);
                let (id, to) = (self.session.id(), ctx.address().recipient());
                let role = self.session.user().map_or(Role::Customer, AuthenticatedUser::role);
                let session = SessionHandle::new(id, (user, role), to, budget);
                self.handle = Some(session.clone());
                let connect = Connect { session, join, chats };
                // A node that leaves welcomes nobody, whatever the session was waiting for.
                let is_sent =
                    self.app.takes_sessions() && self.app.chat_server().try_send(connect).is_ok();
                self.answered(Answered::JoinSent(is_sent), ctx);
            }
            Action::Join { join, chats } => {
                let Some(session) = self.handle.clone() else { return };
                let is_sent =
                    self.app.chat_server().try_send(Join { session, join, chats }).is_ok();
                self.answered(Answered::JoinSent(is_sent), ctx);
            }
            // Bounded: the session's own requests are counted.
            Action::Leave(chats) => {
                self.app.chat_server().do_send(Leave { session: self.session.id(), chats });
            }
            // Bounded: the same.
            Action::View { chat, viewer } => {
                self.app.chat_server().do_send(View { session: self.session.id(), chat, viewer });
            }
            // Bounded: the same.
            Action::Watch(watching) => {
                self.app.chat_server().do_send(Watch { session: self.session.id(), watching });
            }
            Action::Ask(ask) => self.ask(ask, ctx),
            Action::Forward(forward) => self.forward(forward, ctx),
            Action::After(timer, wait) => {
                ctx.run_later(wait, move |this, ctx| this.input(Input::Timer(timer), ctx));
            }
            Action::SetDeadline(timer, wait) => {
                self.clear_deadline(ctx);
                let mut stage = self.app.stage().clone();
                let waits = async move {
                    if !matches!(timer, Timer::Authentication) {
                        actix::clock::sleep(wait).await;
                        return Input::Timer(timer);
                    }
                    tokio::select! {
                        () = actix::clock::sleep(wait) => Input::Timer(timer),
                        // Not known to ChatServer yet, so nobody else ends it.
                        Ok(_) = stage.wait_for(|stage| *stage >= Stage::Closing) => {
                            Input::End(Ending::Shutdown)
                        }
                    }
                };
                self.deadline = Some(ctx.spawn(waits.into_actor(self).map(|input, this, ctx| {
                    this.deadline = None;
                    this.input(input, ctx);
                })));
            }
            Action::TickAt(end) => {
                if let Some(key) = self.clock_key {
                    self.clock.set_end(key, end);
                }
            }
            Action::ClearDeadline => self.clear_deadline(ctx),
            Action::Count(Counted::RateLimited) => {
                self.app.metrics().requests_limited.inc();
            }
            Action::Count(Counted::ForwardUnavailable) => {
                self.app.metrics().gateway_forward(ForwardOutcome::Unavailable);
            }
            Action::Close(ending) => self.close(ending, ctx),
        }
    }

    /// Frees the timer, which would keep its memory until it fires.
    fn clear_deadline(&mut self, ctx: &mut WebsocketContext<Self>) {
        if let Some(deadline) = self.deadline.take() {
            ctx.cancel_future(deadline);
        }
    }

    fn call(
        &mut self,
        chat: ChatId,
        room: Option<Addr<RoomActor>>,
        call: RoomCall,
        ctx: &mut WebsocketContext<Self>,
    ) {
        let Some(session) = self.handle.clone() else { return };
        let request = match call {
            RoomCall::Post(NewPost { nonce, draft, author }) => {
                let origin = Some(Origin { session: session.id(), nonce });
                let reply = Reply::to_session(session.clone(), nonce);
                RoomRequest::Post(Post { draft, author, origin, reply })
            }
            RoomCall::Mark { nonce, user, seq } => {
                let origin = Some(session.id());
                let reply = Reply::to_session(session.clone(), nonce);
                RoomRequest::MarkRead(MarkRead { user, seq, origin, reply })
            }
            RoomCall::Typing(typing) => {
                RoomRequest::Typing(Typing { user: session.user(), typing })
            }
        };
        if let Some(room) = room {
            match request.send_to(&room) {
                // It is sent again by its client, and then takes the other way.
                Some(RoomRequest::Typing(_)) => {
                    self.input(Input::FromServer(ToSession::RoomLost(chat)), ctx);
                }
                Some(request) => request.moved(),
                None => {}
            }
            return;
        }
        let route = Route { chat, request, learn: Learn::Session(session) };
        if let Err(SendError::Full(route) | SendError::Closed(route)) =
            self.app.chat_server().try_send(route)
        {
            drop(route);
            self.input(Input::FromServer(ToSession::NotRouted(chat)), ctx);
        }
    }

    fn ask(&mut self, ask: Ask, ctx: &mut WebsocketContext<Self>) {
        let (app, id) = (self.app.clone(), self.session.id());
        match ask {
            Ask::Authenticate { token, resume } => {
                self.permit = None;
                self.after(
                    async move {
                        let admitted = match authenticate::verify(&app, &token) {
                            Ok(claims) => authenticate::connect(&app, claims, resume).await,
                            Err(exception) => Err(exception),
                        };
                        Answered::Authenticated(admitted.map(Box::new))
                    },
                    ctx,
                );
            }
            Ask::Renew { token } => self.after(
                async move {
                    let user = match authenticate::verify(&app, &token) {
                        Ok(claims) => {
                            authenticate::admit(&app, claims).await.map(|caller| caller.user)
                        }
                        Err(exception) => Err(exception),
                    };
                    Answered::Renewed(user)
                },
                ctx,
            ),
            Ask::Access(chat, verb) => {
                let Some(user) = self.session.user().cloned() else { return };
                self.after(
                    async move {
                        Answered::Access(chat_access::to_chat(&app, &user, chat, verb).await)
                    },
                    ctx,
                );
            }
            Ask::Entries(chats) => {
                let Some(user) = self.session.user().cloned() else { return };
                self.after(
                    async move {
                        Answered::Entries(chat_access::to_enter(&app, &user, chats).await)
                    },
                    ctx,
                );
            }
            Ask::ForwardAccess(chat) => {
                let Some(user) = self.session.user().cloned() else { return };
                self.after(
                    async move {
                        Answered::ForwardAccess(
                            chat_access::to_chat(&app, &user, chat, access::may_read)
                                .await
                                .map(drop),
                        )
                    },
                    ctx,
                );
            }
            Ask::CreateChat(chat) => {
                let Some(user) = self.session.user().cloned() else { return };
                self.after(
                    async move {
                        let created = create_chat(&app, &user, chat, Some(id)).await;
                        Answered::ChatCreated(created.map(|created| Box::new(created.into_inner())))
                    },
                    ctx,
                );
            }
        }
    }

    /// Awaits a use case, and hands its answer to the session.
    fn after(
        &self,
        work: impl Future<Output = Answered> + 'static,
        ctx: &mut WebsocketContext<Self>,
    ) {
        ctx.spawn(work.into_actor(self).map(|answer, this, ctx| this.answered(answer, ctx)));
    }

    fn forward(&mut self, forward: ForwardRequest, ctx: &mut WebsocketContext<Self>) {
        let ForwardRequest { number, route, user, chat, fields } = forward;
        let (Some(handle), Some(integrations)) = (&self.handle, self.app.integrations()) else {
            return;
        };
        let (responder, answer) = ForwardResponder::new(handle.budget().clone());
        let forward = Forward { route, session: handle.id(), user, chat, fields, responder };
        if let Err(refused) = integrations.gateway.try_send(forward) {
            self.app.metrics().gateway_forward(ForwardOutcome::Unavailable);
            // Its responder is dropped with it, which answers it `unavailable`.
            drop(refused);
        }
        self.after(
            async move {
                let outcome = answer.await.unwrap_or_else(|_| Err(ApiError::unavailable()));
                Answered::ForwardResult(number, outcome)
            },
            ctx,
        );
    }

    /// Ends the session. The connection ends once the peer has answered the close frame; until then, and
    /// not for long, what still comes is dropped. (Ended at once, with bytes unread, it would be reset,
    /// and the peer might never see the frame.)
    fn close(&mut self, ending: Ending, ctx: &mut WebsocketContext<Self>) {
        self.forget(ending);
        match ending.close() {
            Some((code, _)) => {
                ctx.close(Some(CloseReason { code: code.into(), description: None }));
                self.reading.discard();
                ctx.run_later(self.app.timings().close_timeout, |_, ctx| ctx.stop());
            }
            None => ctx.stop(),
        }
    }

    pub(super) fn forget(&mut self, ending: Ending) {
        self.permit = None;
        self.app.metrics().ended(ending.label());
        // Bounded: one of each session. A session that never connected is not known, which does no harm.
        self.app.chat_server().do_send(Disconnect(self.session.id()));
    }
}
