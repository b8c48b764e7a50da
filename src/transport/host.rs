//! Host: what the actors that host sessions have in common. A session's actions are carried out here:
//! messages to actors, use cases awaited, timers; what the transport does itself is asked of it.

use std::time::Duration;

use actix::dev::ToEnvelope;
use actix::prelude::*;

use crate::actors::{
    Connect, Disconnect, Forward, ForwardResponder, Join, Learn, Leave, MarkRead, Post, Recheck,
    ReplayPage, Reply, RoomActor, RoomRequest, Route, SessionHandle, Slot, ToSession, Told, Typing,
    View, Watch,
};
use crate::app::{AppState, authenticate, chat_access, create_chat};
use crate::auth::AuthenticatedUser;
use crate::domain::{ChatId, Fetch, Origin, Role, Stage, Timestamp, access};
use crate::metrics::{ForwardOutcome, Part};
use crate::protocol::{Answer, ApiError, Codec, Ending, ServerEvent};
use crate::session::{
    Action, Answered, Ask, Budget, Counted, ForwardRequest, Input, NewPost, Permit, RoomCall,
    Session, Timer,
};

/// An actor that hosts sessions, each in a slot.
pub trait Host:
    Actor<Context: AsyncContext<Self> + ToEnvelope<Self, Told>> + Handler<Told> + Sized
{
    /// The wire format of its sessions.
    const CODEC: Codec;

    /// The session in a slot; `None` once it has ended.
    fn hosted(&mut self, slot: Slot) -> Option<&mut Hosted>;

    /// Writes an event.
    fn write(&mut self, slot: Slot, event: ServerEvent, ctx: &mut Self::Context);

    /// Gives the permit back once all that was sent before is written.
    fn hold(&mut self, slot: Slot, permit: Permit);

    /// Asks a room for a page, now or once the client has taken more of what was sent.
    fn fetch(&mut self, slot: Slot, room: Addr<RoomActor>, fetch: Fetch, ctx: &mut Self::Context) {
        fetch_page(self, slot, &room, fetch, ctx);
    }

    /// The token has come, and is being verified.
    fn authenticating(&mut self, slot: Slot);

    /// Asks for a [`Tick`](Input::Tick) at this time, in place of an earlier one.
    fn tick_at(&mut self, slot: Slot, end: Timestamp);

    /// The session has ended, and ChatServer has forgotten it.
    fn close(&mut self, slot: Slot, ending: Ending, ctx: &mut Self::Context);

    /// The session has taken an input.
    fn taken(&mut self, ctx: &mut Self::Context);
}

/// A session, and what its host keeps for it.
pub struct Hosted {
    session: Session<Addr<RoomActor>>,
    app: AppState,
    /// Reaches the host; there once the session's user is known.
    handle: Option<SessionHandle>,
    /// The timer of the session's deadline.
    deadline: Option<SpawnHandle>,
    /// ChatServer was told that it has ended.
    is_forgotten: bool,
}

impl Hosted {
    /// Takes a session in, and counts it.
    #[must_use]
    pub fn new(session: Session<Addr<RoomActor>>, app: AppState) -> Self {
        app.metrics().sessions.inc();
        Self { session, app, handle: None, deadline: None, is_forgotten: false }
    }

    #[must_use]
    pub fn session(&self) -> &Session<Addr<RoomActor>> {
        &self.session
    }

    #[must_use]
    pub fn app(&self) -> &AppState {
        &self.app
    }

    /// Counts the session's end, and has ChatServer forget it. Once: a second time is ignored.
    pub fn forget(&mut self, ending: Ending) {
        if std::mem::replace(&mut self.is_forgotten, true) {
            return;
        }
        self.app.metrics().ended(ending.label());
        // Bounded: one of each session. A session that never connected is not known, which does no harm.
        self.app.chat_server().do_send(Disconnect(self.session.id()));
    }
}

impl Drop for Hosted {
    fn drop(&mut self) {
        let metrics = self.app.metrics();
        let ending = if std::thread::panicking() {
            metrics.panicked(Part::Session);
            log::error!("session {} panicked", self.session.id());
            Ending::Panicked
        } else {
            Ending::Gone
        };
        metrics.sessions.dec();
        self.forget(ending);
    }
}

/// Carries out the first actions of a session.
pub fn start<H: Host>(host: &mut H, slot: Slot, ctx: &mut H::Context) {
    let Some(hosted) = host.hosted(slot) else { return };
    for action in hosted.session.start() {
        perform(host, slot, action, ctx);
    }
}

/// Hands a session an input, and carries out what it asks for.
pub fn input<H: Host>(
    host: &mut H,
    slot: Slot,
    input: Input<'_, Addr<RoomActor>>,
    ctx: &mut H::Context,
) {
    let Some(hosted) = host.hosted(slot) else { return };
    for action in hosted.session.handle(input, &Timestamp::now) {
        perform(host, slot, action, ctx);
    }
    host.taken(ctx);
}

fn perform<H: Host>(
    host: &mut H,
    slot: Slot,
    action: Action<Addr<RoomActor>>,
    ctx: &mut H::Context,
) {
    let Some(hosted) = host.hosted(slot) else { return };
    let (app, id) = (&hosted.app, hosted.session.id());
    match action {
        Action::Send(event) => {
            if let ServerEvent::Answer(Answer::Refusal { exception, .. }) = &event {
                app.metrics().exception(exception.code.as_str());
            }
            host.write(slot, event, ctx);
        }
        Action::Written(permit) => host.hold(slot, permit),
        Action::Call { chat, room, call: request } => call(host, slot, (chat, room, request), ctx),
        Action::Fetch { room, fetch } => host.fetch(slot, room, fetch, ctx),
        Action::Connect { user, join, chats } => {
            let limits = app.limits();
            let budget = Budget::new(limits.session_queue_events, limits.session_queue_bytes);
            let to = (ctx.address().recipient(), slot);
            let role = hosted.session.user().map_or(Role::Customer, AuthenticatedUser::role);
            let as_of = hosted.session.user().map_or(Timestamp(0), AuthenticatedUser::as_of);
            let session = SessionHandle::new(id, (user, role), to, H::CODEC, budget);
            hosted.handle = Some(session.clone());
            let connect = Connect { session, join, chats, as_of };
            // A node that leaves welcomes nobody, whatever the session was waiting for.
            let is_sent = app.takes_sessions() && app.chat_server().try_send(connect).is_ok();
            input(host, slot, Input::Answered(Answered::JoinSent(is_sent)), ctx);
        }
        Action::Join { join, chats } => {
            let Some(session) = hosted.handle.clone() else { return };
            let is_sent = app.chat_server().try_send(Join { session, join, chats }).is_ok();
            input(host, slot, Input::Answered(Answered::JoinSent(is_sent)), ctx);
        }
        // Bounded: the session's own requests are counted.
        Action::Leave(chats) => app.chat_server().do_send(Leave { session: id, chats }),
        // Bounded: the same.
        Action::View { chat, viewer } => {
            app.chat_server().do_send(View { session: id, chat, viewer });
        }
        // Bounded: the same.
        Action::Watch(watching) => app.chat_server().do_send(Watch { session: id, watching }),
        // Bounded: the same.
        Action::Recheck(as_of) => app.chat_server().do_send(Recheck { session: id, as_of }),
        Action::Ask(question) => ask(host, slot, question, ctx),
        Action::Forward(request) => forward(host, slot, request, ctx),
        Action::After(timer, wait) => {
            ctx.run_later(wait, move |host, ctx| input(host, slot, Input::Timer(timer), ctx));
        }
        Action::SetDeadline(timer, wait) => set_deadline(host, slot, timer, wait, ctx),
        Action::TickAt(end) => host.tick_at(slot, end),
        Action::ClearDeadline => clear_deadline(hosted, ctx),
        Action::Count(Counted::RateLimited) => {
            app.metrics().requests_limited.inc();
        }
        Action::Count(Counted::ForwardUnavailable) => {
            app.metrics().gateway_forward(ForwardOutcome::Unavailable);
        }
        Action::Close(ending) => {
            clear_deadline(hosted, ctx);
            hosted.forget(ending);
            host.close(slot, ending, ctx);
        }
    }
}

/// Asks a room for a page.
pub fn fetch_page<H: Host>(
    host: &mut H,
    slot: Slot,
    room: &Addr<RoomActor>,
    fetch: Fetch,
    ctx: &mut H::Context,
) {
    let Fetch { chat_id: chat, after, up_to } = fetch;
    let Some(session) = host.hosted(slot).and_then(|hosted| hosted.handle.clone()) else { return };
    if room.try_send(ReplayPage { session, after, up_to }).is_err() {
        let lost = ToSession::Page { chat, after, messages: None };
        input(host, slot, Input::FromServer(lost), ctx);
    }
}

fn set_deadline<H: Host>(
    host: &mut H,
    slot: Slot,
    timer: Timer,
    wait: Duration,
    ctx: &mut H::Context,
) {
    let Some(hosted) = host.hosted(slot) else { return };
    clear_deadline(hosted, ctx);
    let mut stage = hosted.app.stage().clone();
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
    let fires = waits.into_actor(host).map(move |timer, host, ctx| {
        if let Some(hosted) = host.hosted(slot) {
            hosted.deadline = None;
        }
        input(host, slot, timer, ctx);
    });
    let deadline = ctx.spawn(fires);
    if let Some(hosted) = host.hosted(slot) {
        hosted.deadline = Some(deadline);
    }
}

/// Frees the timer, which would keep its memory until it fires.
fn clear_deadline<C: AsyncContext<A>, A: Actor<Context = C>>(hosted: &mut Hosted, ctx: &mut C) {
    if let Some(deadline) = hosted.deadline.take() {
        ctx.cancel_future(deadline);
    }
}

fn call<H: Host>(
    host: &mut H,
    slot: Slot,
    (chat, room, call): (ChatId, Option<Addr<RoomActor>>, RoomCall),
    ctx: &mut H::Context,
) {
    let Some(hosted) = host.hosted(slot) else { return };
    let Some(session) = hosted.handle.clone() else { return };
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
        RoomCall::Typing(typing) => RoomRequest::Typing(Typing { user: session.user(), typing }),
    };
    if let Some(room) = room {
        match request.send_to(&room) {
            // It is sent again by its client, and then takes the other way.
            Some(RoomRequest::Typing(_)) => {
                input(host, slot, Input::FromServer(ToSession::RoomLost(chat)), ctx);
            }
            Some(request) => request.moved(),
            None => {}
        }
        return;
    }
    let route = Route { chat, request, learn: Learn::Session(session) };
    if let Err(SendError::Full(route) | SendError::Closed(route)) =
        hosted.app.chat_server().try_send(route)
    {
        drop(route);
        input(host, slot, Input::FromServer(ToSession::NotRouted(chat)), ctx);
    }
}

fn ask<H: Host>(host: &mut H, slot: Slot, ask: Ask, ctx: &mut H::Context) {
    let Some(hosted) = host.hosted(slot) else { return };
    let (app, id) = (hosted.app.clone(), hosted.session.id());
    let user = hosted.session.user().cloned();
    match (ask, user) {
        (Ask::Authenticate { token, resume }, _) => {
            host.authenticating(slot);
            let work = async move {
                let admitted = match authenticate::verify(&app, &token).await {
                    Ok(claims) => authenticate::connect(&app, claims, resume).await,
                    Err(exception) => Err(exception),
                };
                Answered::Authenticated(admitted.map(Box::new))
            };
            after(host, slot, work, ctx);
        }
        (Ask::Renew { token }, _) => {
            let work = async move {
                let user = match authenticate::verify(&app, &token).await {
                    Ok(claims) => authenticate::admit(&app, claims).await.map(|caller| caller.user),
                    Err(exception) => Err(exception),
                };
                Answered::Renewed(user)
            };
            after(host, slot, work, ctx);
        }
        (Ask::Access(chat, verb), Some(user)) => {
            let work = async move {
                Answered::Access(chat_access::to_chat(&app, &user, chat, verb).await)
            };
            after(host, slot, work, ctx);
        }
        (Ask::Entries(chats), Some(user)) => {
            let work =
                async move { Answered::Entries(chat_access::to_enter(&app, &user, chats).await) };
            after(host, slot, work, ctx);
        }
        (Ask::ForwardAccess(chat), Some(user)) => {
            let work = async move {
                let access = chat_access::to_chat(&app, &user, chat, access::may_read).await;
                Answered::ForwardAccess(access.map(drop))
            };
            after(host, slot, work, ctx);
        }
        (Ask::CreateChat(chat), Some(user)) => {
            let work = async move {
                let created = create_chat(&app, &user, chat, Some(id)).await;
                Answered::ChatCreated(created.map(|created| Box::new(created.into_inner())))
            };
            after(host, slot, work, ctx);
        }
        (Ask::Access(..) | Ask::Entries(_) | Ask::ForwardAccess(_) | Ask::CreateChat(_), None) => {}
    }
}

/// Awaits a use case, and hands its answer to the session.
fn after<H: Host>(
    host: &H,
    slot: Slot,
    work: impl Future<Output = Answered> + 'static,
    ctx: &mut H::Context,
) {
    ctx.spawn(work.into_actor(host).map(move |answer, host, ctx| {
        input(host, slot, Input::Answered(answer), ctx);
    }));
}

fn forward<H: Host>(host: &mut H, slot: Slot, forward: ForwardRequest, ctx: &mut H::Context) {
    let ForwardRequest { number, route, user, chat, fields } = forward;
    let Some(hosted) = host.hosted(slot) else { return };
    let (Some(handle), Some(integrations)) = (&hosted.handle, hosted.app.integrations()) else {
        return;
    };
    let (responder, answer) = ForwardResponder::new(handle.budget().clone());
    let forward = Forward { route, session: handle.id(), user, chat, fields, responder };
    if let Err(refused) = integrations.gateway.try_send(forward) {
        hosted.app.metrics().gateway_forward(ForwardOutcome::Unavailable);
        // Its responder is dropped with it, which answers it `unavailable`.
        drop(refused);
    }
    let work = async move {
        let outcome = answer.await.unwrap_or_else(|_| Err(ApiError::unavailable()));
        Answered::ForwardResult(number, outcome)
    };
    after(host, slot, work, ctx);
}
