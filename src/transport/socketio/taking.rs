//! Packets of a client, taken one by one while the session that they are for can serve them.

use std::sync::Arc;

use actix::prelude::*;
use serde_json::value::RawValue;

use super::connection::{SocketIoConnection, State};
use super::inbound::{Attachments, Inbound, Next, POST, Received};
use super::namespace::{InNamespace, Recovery, connect_error};
use super::recoveries::{Bearer, Pid, take};
use super::recovery::WayOn;
use super::request::{Credentials, Recover, credentials, request};
use super::sid::new_sid;
use super::socket::Source;
use super::transports::Transport;
use crate::actors::Slot;
use crate::app::authenticate;
use crate::domain::{Identity, SessionId, Timestamp};
use crate::protocol::engine_io::{self, EnginePacket, MalformedPacket};
use crate::protocol::socket_io::{self, Namespace, PacketKind, SocketPacket};
use crate::protocol::{ApiError, Code, Ending, Rejected};
use crate::session::{Input, Session};
use crate::transport::host::{self, Hosted};

impl SocketIoConnection {
    fn malformed(&mut self, MalformedPacket(problem): MalformedPacket, ctx: &mut Context<Self>) {
        log::debug!("a Socket.IO client sent {problem}");
        self.end(Ending::BrokenFrame, ctx);
    }

    /// Takes what was received, as far as the sessions that it is for can serve it.
    pub(super) fn take_in(&mut self, ctx: &mut Context<Self>) {
        // A packet's input ends here again.
        if std::mem::replace(&mut self.is_taking, true) {
            return;
        }
        while let Some(inbound) = self.inbound.front() {
            let (source, next) = (inbound.source, inbound.next());
            let is_taken = match next {
                Some(Next::Text(text)) => {
                    let packet = match source {
                        POST => engine_io::payload(&text).next(),
                        _ => Some(EnginePacket::parse(&text)),
                    };
                    let missing = Err(MalformedPacket("a body without a packet"));
                    self.packet(source, packet.unwrap_or(missing), ctx)
                }
                Some(Next::Binary(bytes)) => {
                    self.packet(source, Ok(EnginePacket::Binary(bytes)), ctx)
                }
                None => true,
            };
            if !is_taken {
                break;
            }
            // Empty where the packet has ended the connection.
            if let Some(inbound) = self.inbound.front_mut() {
                inbound.take();
                if inbound.next().is_none() {
                    self.inbound.pop_front();
                }
            }
        }
        self.is_taking = false;
        self.flush(ctx);
    }

    /// Takes a packet. `false` where it has to wait.
    fn packet(
        &mut self,
        source: Source,
        packet: Result<EnginePacket<'_>, MalformedPacket>,
        ctx: &mut Context<Self>,
    ) -> bool {
        if source != POST && matches!(self.transport, Transport::Polling(_)) {
            self.upgrading(packet.ok(), ctx);
            return true;
        }
        let packet = match packet {
            Ok(packet) => packet,
            Err(malformed) => {
                self.malformed(malformed, ctx);
                return true;
            }
        };
        match packet {
            EnginePacket::Message(text) => return self.message(text, ctx),
            EnginePacket::Binary(bytes) => self.attachment(bytes, ctx),
            EnginePacket::Pong(_) => {
                self.pong_due = None;
                self.namespaces.iter_mut().for_each(InNamespace::ponged);
                self.remind();
            }
            EnginePacket::Close => self.closed(ctx),
            EnginePacket::Noop | EnginePacket::Upgrade => {}
            EnginePacket::Ping(_) => {
                self.malformed(MalformedPacket("a ping, which is the server's"), ctx);
            }
            EnginePacket::Open => {
                self.malformed(MalformedPacket("an open packet, which is the server's"), ctx);
            }
        }
        true
    }

    /// The client closes: its requests are answered.
    fn closed(&mut self, ctx: &mut Context<Self>) {
        for inbound in &mut self.inbound {
            inbound.finish();
        }
        if let Transport::Polling(polling) = &mut self.transport {
            polling.answer(engine_io::NOOP);
        }
        self.end(Ending::Closed, ctx);
    }

    /// Takes a Socket.IO packet. `false` where the session that it is for cannot serve it now.
    fn message(&mut self, text: &str, ctx: &mut Context<Self>) -> bool {
        let SocketPacket { namespace, kind } = match socket_io::parse(text) {
            Ok(packet) if self.attachments.is_none() => packet,
            Ok(_) => {
                self.malformed(MalformedPacket("a packet where an attachment was missing"), ctx);
                return true;
            }
            Err(malformed) => {
                self.malformed(malformed, ctx);
                return true;
            }
        };
        if let PacketKind::Connect(auth) = kind {
            self.connect(namespace, auth, ctx);
            return true;
        }
        let is_clogged = self.outbox.is_clogged();
        let was_disconnected = self.disconnected.iter().any(|left| left.name() == namespace);
        let Some(session) = self.session_in(namespace) else {
            match kind {
                // It may have crossed the end of its session.
                PacketKind::Binary { attachments, .. } if was_disconnected => {
                    self.attachments =
                        Some(Attachments { request: None, missing: attachments, bytes: 0 });
                }
                _ if was_disconnected => {}
                _ => {
                    let problem = MalformedPacket("a packet for a namespace that it is not in");
                    self.malformed(problem, ctx);
                }
            }
            return true;
        };
        let slot = session.slot;
        let waits =
            is_clogged || !session.is_connected() || !session.hosted.session().accepts_frames();
        match kind {
            PacketKind::Disconnect => host::input(self, slot, Input::End(Ending::Closed), ctx),
            PacketKind::Event { .. } if waits => return false,
            PacketKind::Event { id, event, data, more } => {
                let config = Arc::clone(&self.parts.config);
                let Some(session) = self.session_in(namespace) else { return true };
                session.note(config.names.used(&event));
                let Some(mut translated) = config.names.take(&event, data).filter(|_| more == 0)
                else {
                    session.commanded(&event);
                    let request = request(id, event, data, more);
                    host::input(self, slot, Input::Request(request), ctx);
                    return true;
                };
                session.commanded(translated.event);
                let answer = translated.answer.take();
                let id = session.promise(id, &event, answer);
                let data = translated.data.as_deref();
                let request = request(Some(id), translated.event.into(), data, more);
                host::input(self, slot, Input::Request(request), ctx);
            }
            PacketKind::Binary { .. } if waits => return false,
            PacketKind::Binary { attachments, id, event } => {
                let request = event.map(|event| (slot, id, event.into_owned()));
                let attachments = Attachments { request, missing: attachments, bytes: 0 };
                self.attachments = Some(attachments);
            }
            PacketKind::Connect(_) | PacketKind::Ack => {}
        }
        true
    }

    /// An attachment of a request; the last one refuses it.
    fn attachment(&mut self, bytes: usize, ctx: &mut Context<Self>) {
        let Some(mut attachments) = self.attachments.take() else {
            return self.malformed(MalformedPacket("a binary message that belongs to none"), ctx);
        };
        attachments.missing -= 1;
        attachments.bytes += bytes;
        if attachments.bytes > self.parts.config.max_payload {
            return self.end(Ending::TooLarge, ctx);
        }
        if attachments.missing > 0 {
            self.attachments = Some(attachments);
        } else if let Some((slot, id, event)) = attachments.request {
            let problem = format!("{event} has no place for binary: send text, or JSON");
            let exception = ApiError::new(Code::BadRequest, problem);
            let rejected = Rejected { id, event: Some(event), exception };
            host::input(self, slot, Input::Request(Err(Box::new(rejected))), ctx);
        }
    }

    /// CONNECT: a session for this namespace.
    fn connect(&mut self, name: &str, auth: Option<&RawValue>, ctx: &mut Context<Self>) {
        let Some(namespace) = self.parts.config.namespace(name).cloned() else {
            let refused = socket_io::connect_error(name, "Invalid namespace", None);
            return self.push(refused, ctx);
        };
        if self.connects.take(Timestamp::now()).is_err() {
            return self.end(Ending::Flood, ctx);
        }
        // A client that has left before it was let in has not said so, and begins anew.
        if let Some(session) = self.session_in(name).filter(|session| !session.is_connected()) {
            let slot = session.slot;
            host::input(self, slot, Input::End(Ending::Closed), ctx);
        }
        if self.session_in(name).is_some() {
            let problem = MalformedPacket("a second CONNECT to a namespace");
            return self.malformed(problem, ctx);
        }
        self.disconnected.retain(|left| left.name() != name);
        let authorization = self.parts.authorization.as_deref();
        match credentials(auth, authorization) {
            Ok(credentials) => self.begin(namespace, credentials, ctx),
            Err(refused) => self.push(connect_error(name, &refused), ctx),
        }
    }

    /// Begins a session, or goes on with a broken one where its client may.
    pub(super) fn begin(
        &mut self,
        namespace: Namespace,
        mut credentials: Credentials,
        ctx: &mut Context<Self>,
    ) {
        let app = self.parts.app.clone();
        let id = SessionId::on_node(app.node());
        if let Some(client) = self.parts.client {
            log::debug!("session {id} is of the client at {}", client.address);
        }
        // Verified before anything is recovered: what is kept is for its bearer, and not spent on a token
        // that is refused.
        let recoveries = self.parts.recoveries.clone().and_then(|recoveries| {
            let claims = authenticate::verify_at_once(&app, &credentials.token()?).ok()?;
            let Identity { issuer, subject, .. } = claims.identity().clone();
            Some((recoveries, Bearer { issuer, subject }))
        });
        let session = Session::unauthenticated(id, Arc::clone(app.sessions()), Vec::new());
        self.next_slot += 1;
        let slot = self.next_slot;
        // Most connections have one, and no room for more.
        self.namespaces.reserve_exact(1);
        self.namespaces.push(InNamespace::new(slot, namespace, Hosted::new(session, app)));
        let Some((recoveries, bearer)) = recoveries else {
            return host::input(
                self,
                slot,
                Input::Request(Ok(credentials.authenticate().request())),
                ctx,
            );
        };
        let Some(Recover { pid, offset }) = credentials.recovery() else {
            return self.recover(slot, (credentials, bearer), None, ctx);
        };
        let pid = Pid::from(pid);
        let wait = self.parts.app.timings().close_timeout;
        let found = take(recoveries, Pid::clone(&pid), bearer.clone(), wait).into_actor(self);
        ctx.spawn(found.map(move |kept, this, ctx| {
            let way_on = kept.and_then(|kept| kept.way_on(offset.as_deref()));
            if way_on.is_none() {
                this.parts.app.metrics().socketio_recovery(false);
            }
            this.recover(slot, (credentials, bearer), way_on.map(|way_on| (pid, way_on)), ctx);
        }));
    }

    /// Has the session authenticated, at the positions of a broken one if there are any.
    fn recover(
        &mut self,
        slot: Slot,
        (credentials, bearer): (Credentials, Bearer),
        way_on: Option<(Pid, WayOn)>,
        ctx: &mut Context<Self>,
    ) {
        let request = match &way_on {
            Some((_, way_on)) => credentials.resuming(way_on.positions()),
            None => credentials.authenticate(),
        };
        let (pid, way_on) = match way_on {
            Some((pid, way_on)) => (pid, Some(way_on)),
            None => (new_sid(&self.parts.config.node), None),
        };
        // The client may have left meanwhile.
        let Some(session) = self.namespaces.iter_mut().find(|session| session.slot == slot) else {
            return;
        };
        session.recovers(Recovery::new(pid, bearer, way_on, credentials));
        host::input(self, slot, Input::Request(Ok(request.request())), ctx);
    }
}

impl Handler<Received> for SocketIoConnection {
    type Result = ();

    fn handle(&mut self, received: Received, ctx: &mut Self::Context) {
        if self.state == State::Ended {
            return;
        }
        self.inbound.push_back(Inbound::new(received));
        self.take_in(ctx);
    }
}
