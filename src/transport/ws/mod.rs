//! WebSocket transport: an actor that hosts one session on one connection.
//!
//! This folder alone knows `actix_web_actors`.

mod unwritten;
mod upgrade;

use std::rc::Rc;

use actix::prelude::*;
use actix_web_actors::ws;
use actix_web_actors::ws::{CloseReason, WebsocketContext};

use self::unwritten::Unwritten;
pub use self::upgrade::{Handshake, SUBPROTOCOL, start};
use super::clock::{SessionClock, Tick};
use super::host::{self, Host, Hosted};
use super::liveness::{Liveness, Progress};
use super::websocket::{Fragments, Incoming, Reading};
use crate::actors::{RoomActor, Slot, Told};
use crate::app::HandshakePermit;
use crate::domain::Timestamp;
use crate::protocol::{Codec, Ending, ServerEvent};
use crate::session::{Admitted, Answered, Input, Permit};

/// The slot of the one session.
const ONLY: Slot = 0;

/// A session on a WebSocket.
pub struct WsSession {
    hosted: Hosted,
    /// The user of an upgrade request with a token, until the actor starts.
    admitted: Option<Box<Admitted>>,
    /// A place among the connections without a token.
    permit: Option<HandshakePermit>,
    clock: Rc<SessionClock>,
    /// Its key in the clock; there once the actor has started.
    clock_key: Option<usize>,
    liveness: Liveness,
    fragments: Fragments,
    reading: Rc<Reading>,
    unwritten: Rc<Unwritten>,
}

impl WsSession {
    fn input(&mut self, input: Input<'_, Addr<RoomActor>>, ctx: &mut WebsocketContext<Self>) {
        host::input(self, ONLY, input, ctx);
    }
}

impl Host for WsSession {
    const CODEC: Codec = Codec::V1;

    fn hosted(&mut self, _: Slot) -> Option<&mut Hosted> {
        Some(&mut self.hosted)
    }

    fn write(&mut self, _: Slot, event: ServerEvent, ctx: &mut Self::Context) {
        ctx.text(event.frame(Codec::V1));
    }

    fn hold(&mut self, _: Slot, permit: Permit) {
        self.unwritten.hold(permit);
    }

    fn authenticating(&mut self, _: Slot) {
        self.permit = None;
    }

    fn tick_at(&mut self, _: Slot, end: Timestamp) {
        if let Some(key) = self.clock_key {
            self.clock.set_end(key, end);
        }
    }

    /// The connection ends once the peer has answered the close frame; until then, and not for long,
    /// what still comes is dropped. (Ended at once, with bytes unread, it would be reset, and the peer
    /// might never see the frame.)
    fn close(&mut self, _: Slot, ending: Ending, ctx: &mut Self::Context) {
        self.permit = None;
        match ending.close() {
            Some((code, _)) => {
                ctx.close(Some(CloseReason { code: code.into(), description: None }));
                self.reading.discard();
                ctx.run_later(self.hosted.app().timings().close_timeout, |_, ctx| ctx.stop());
            }
            None => ctx.stop(),
        }
    }

    fn taken(&mut self, _: &mut Self::Context) {
        self.reading.set_open(self.hosted.session().accepts_frames());
    }
}

impl Actor for WsSession {
    type Context = WebsocketContext<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.set_mailbox_capacity(self.hosted.app().limits().session_queue_events);
        self.clock_key = Some(self.clock.add(ctx.address().recipient()));
        host::start(self, ONLY, ctx);
        if let Some(admitted) = self.admitted.take() {
            self.input(Input::Answered(Answered::Authenticated(Ok(admitted))), ctx);
        }
    }
}

impl Drop for WsSession {
    fn drop(&mut self) {
        if let Some(key) = self.clock_key {
            self.clock.remove(key);
        }
    }
}

impl StreamHandler<Result<ws::Message, ws::ProtocolError>> for WsSession {
    fn handle(&mut self, message: Result<ws::Message, ws::ProtocolError>, ctx: &mut Self::Context) {
        if self.hosted.session().is_ended() {
            return;
        }
        self.liveness.heard();
        match self.fragments.take(message) {
            Ok(Incoming::Text(text)) => self.input(Input::Text(&text), ctx),
            Ok(Incoming::Binary(_)) => {
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
        if self.hosted.session().is_ended() {
            return;
        }
        if is_heartbeat {
            let progress = Progress {
                reads: self.hosted.session().accepts_frames(),
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

impl Handler<Told> for WsSession {
    type Result = ();

    fn handle(&mut self, Told { message, .. }: Told, ctx: &mut Self::Context) {
        self.input(Input::FromServer(message), ctx);
    }
}
