//! WebSocket transport: an actor that hosts one session on one connection.
//!
//! This folder alone knows `actix_web_actors`.

mod clock;
mod frames;
mod liveness;
mod perform;
mod reading;
mod unwritten;
mod upgrade;

use std::rc::Rc;

use actix::prelude::*;
use actix_web_actors::ws;

pub use self::clock::SessionClock;
use self::clock::Tick;
use self::frames::{Fragments, Incoming};
use self::liveness::{Liveness, Progress};
use self::reading::Reading;
use self::unwritten::Unwritten;
pub use self::upgrade::{Handshake, SUBPROTOCOL, start};
use crate::actors::{RoomActor, SessionHandle, ToSession};
use crate::app::{AppState, HandshakePermit};
use crate::domain::Timestamp;
use crate::metrics::Part;
use crate::protocol::Ending;
use crate::session::{Admitted, Answered, Input, Session};

/// A session on a WebSocket.
pub struct WsSession {
    session: Session<Addr<RoomActor>>,
    app: AppState,
    /// Reaches this actor; there once its user is known.
    handle: Option<SessionHandle>,
    /// The user of an upgrade request with a token, until the actor starts.
    admitted: Option<Box<Admitted>>,
    /// A place among the connections without a token.
    permit: Option<HandshakePermit>,
    /// The timer of the session's deadline.
    deadline: Option<SpawnHandle>,
    clock: Rc<SessionClock>,
    /// Its key in the clock; there once the actor has started.
    clock_key: Option<usize>,
    liveness: Liveness,
    fragments: Fragments,
    reading: Rc<Reading>,
    unwritten: Rc<Unwritten>,
}

impl WsSession {
    /// Hands the session an input, and carries out what it asks for.
    fn input(&mut self, input: Input<'_, Addr<RoomActor>>, ctx: &mut ws::WebsocketContext<Self>) {
        let actions = self.session.handle(input, &Timestamp::now);
        for action in actions {
            self.perform(action, ctx);
        }
        self.reading.set_open(self.session.accepts_frames());
    }

    fn answered(&mut self, answer: Answered, ctx: &mut ws::WebsocketContext<Self>) {
        self.input(Input::Answered(answer), ctx);
    }
}

impl Actor for WsSession {
    type Context = ws::WebsocketContext<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.set_mailbox_capacity(self.app.limits().session_queue_events);
        self.clock_key = Some(self.clock.add(ctx.address()));
        for action in self.session.start() {
            self.perform(action, ctx);
        }
        if let Some(admitted) = self.admitted.take() {
            self.answered(Answered::Authenticated(Ok(admitted)), ctx);
        }
    }
}

impl Drop for WsSession {
    fn drop(&mut self) {
        if let Some(key) = self.clock_key {
            self.clock.remove(key);
        }
        let metrics = self.app.metrics();
        let ending = if std::thread::panicking() {
            metrics.panicked(Part::Session);
            log::error!("session {} panicked", self.session.id());
            Ending::Panicked
        } else {
            Ending::Gone
        };
        metrics.sessions.dec();
        if !self.session.is_ended() {
            self.forget(ending);
        }
    }
}

impl StreamHandler<Result<ws::Message, ws::ProtocolError>> for WsSession {
    fn handle(&mut self, message: Result<ws::Message, ws::ProtocolError>, ctx: &mut Self::Context) {
        if self.session.is_ended() {
            return;
        }
        self.liveness.heard();
        match self.fragments.take(message) {
            Ok(Incoming::Text(text)) => self.input(Input::Text(&text), ctx),
            Ok(Incoming::Binary) => {
                let problem = "a binary frame: the envelope is a text frame";
                self.input(Input::Unreadable(problem), ctx);
            }
            Ok(Incoming::Ping(payload)) => ctx.pong(&payload),
            Ok(Incoming::Close(reason)) => {
                ctx.close(reason);
                self.input(Input::End(Ending::Closed), ctx);
            }
            Ok(Incoming::Nothing) => {}
            Err(broken) => self.input(Input::End(broken.into()), ctx),
        }
    }

    /// The peer has answered the close frame, or is gone.
    fn finished(&mut self, ctx: &mut Self::Context) {
        self.input(Input::End(Ending::Gone), ctx);
        ctx.stop();
    }
}

impl Handler<Tick> for WsSession {
    type Result = ();

    fn handle(&mut self, Tick { is_heartbeat }: Tick, ctx: &mut Self::Context) {
        if let Some(key) = self.clock_key {
            self.clock.taken(key);
        }
        if self.session.is_ended() {
            return;
        }
        if is_heartbeat {
            let progress = Progress {
                reads: self.session.accepts_frames(),
                frame: self.reading.unfinished(),
                message: self.fragments.unfinished(),
            };
            if self.liveness.is_over(progress) {
                return self.input(Input::End(Ending::Silent), ctx);
            }
            ctx.ping(b"");
        }
        self.input(Input::Tick, ctx);
    }
}

impl Handler<ToSession> for WsSession {
    type Result = ();

    fn handle(&mut self, message: ToSession, ctx: &mut Self::Context) {
        self.input(Input::FromServer(message), ctx);
    }
}
