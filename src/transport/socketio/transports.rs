//! Transports of a connection: requests that poll, a WebSocket, and the way from the first to the second.

use std::time::Duration;

use actix::prelude::*;
use tokio::sync::oneshot;

use super::connection::{SocketIoConnection, State};
use super::delivery::{Batch, Delivery};
use super::polling::{Poll, Posting, RequestEnded};
use super::socket::{Socket, SocketEnds, SocketGone, Source};
use crate::protocol::Ending;
use crate::protocol::engine_io::{self, EnginePacket, Refusal};

/// The time for which a GET waits while the client upgrades, and has perhaps not seen yet that it can.
const PROBED_POLL: Duration = Duration::from_millis(100);

/// The transport that a connection has now.
pub enum Transport {
    Polling(Polling),
    WebSocket(Socket),
}

/// Requests that poll, at most one GET and one POST at a time.
#[derive(Default)]
pub struct Polling {
    /// The GET that waits.
    poll: Option<oneshot::Sender<Result<Batch, Refusal>>>,
    /// A POST is being read, or its packets are being taken.
    is_posting: bool,
    upgrade: Option<Upgrading>,
}

/// A WebSocket that is to take over.
struct Upgrading {
    socket: Socket,
    /// The client has asked whether it works.
    is_probed: bool,
    timeout: SpawnHandle,
}

/// Hands a connection that polls a WebSocket.
#[derive(Message)]
#[rtype(result = "Result<SocketEnds, Refusal>")]
pub struct Upgrade;

impl Transport {
    /// The transport's name in metrics.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Polling(_) => "polling",
            Self::WebSocket(_) => "websocket",
        }
    }
}

impl Polling {
    /// Answers a GET that waits by a packet that is no session's.
    pub fn answer(&mut self, packet: &'static str) {
        if let Some(poll) = self.poll.take() {
            let delivery = Delivery::of_nothing();
            // Nothing is lost with a request that is gone: it says so itself.
            let _ = poll.send(Ok(Batch { packets: vec![packet.into()], delivery }));
        }
    }
}

impl SocketIoConnection {
    /// Hands what waits to the transport, if that is ready for it.
    pub(super) fn flush(&mut self, ctx: &mut Context<Self>) {
        let is_over = self.state == State::Ended;
        match &mut self.transport {
            Transport::WebSocket(socket) => {
                if let Some((packets, permits)) = self.outbox.take() {
                    let delivery = Delivery::new(ctx.address().recipient(), permits);
                    socket.send(Batch { packets, delivery });
                }
            }
            Transport::Polling(polling) => {
                if polling.poll.is_none() {
                    return;
                }
                if is_over && self.outbox.is_empty() {
                    // Alone: clients act on it before the packets that came with it.
                    polling.answer(engine_io::CLOSE);
                    return ctx.stop();
                }
                if let Some((packets, permits)) = self.outbox.take()
                    && let Some(poll) = polling.poll.take()
                {
                    let delivery = Delivery::new(ctx.address().recipient(), permits);
                    // Refused by a request that is gone, it says so by its delivery.
                    let _ = poll.send(Ok(Batch { packets, delivery }));
                }
            }
        }
    }

    /// Ends the GET of a client that waits for its end to upgrade: it asks for no other once it has seen
    /// that the WebSocket works. Until then it may be long: what comes is delivered by polling.
    fn end_poll(&mut self) {
        if let Transport::Polling(polling) = &mut self.transport
            && polling.upgrade.as_ref().is_some_and(|upgrade| upgrade.is_probed)
        {
            polling.answer(engine_io::NOOP);
        }
    }

    /// A packet on the WebSocket that is to take over; `None` for one that cannot be read.
    pub(super) fn upgrading(&mut self, packet: Option<EnginePacket<'_>>, ctx: &mut Context<Self>) {
        let Transport::Polling(polling) = &mut self.transport else { return };
        match (packet, polling.upgrade.take()) {
            (Some(EnginePacket::Ping(engine_io::PROBE)), Some(mut upgrade))
                if !upgrade.is_probed =>
            {
                upgrade.socket.say(engine_io::PROBED);
                upgrade.is_probed = true;
                polling.upgrade = Some(upgrade);
                self.flush(ctx);
                self.end_poll();
            }
            (Some(EnginePacket::Upgrade), Some(upgrade)) if upgrade.is_probed => {
                ctx.cancel_future(upgrade.timeout);
                polling.answer(engine_io::NOOP);
                let metrics = self.parts.app.metrics();
                metrics.socketio_connections(self.transport.name()).dec();
                self.transport = Transport::WebSocket(upgrade.socket);
                metrics.socketio_connections(self.transport.name()).inc();
                metrics.socketio_upgrades.inc();
            }
            // A probe that fails leaves the polling as it was.
            (_, Some(upgrade)) => {
                ctx.cancel_future(upgrade.timeout);
            }
            (_, None) => {}
        }
    }

    /// The polling transport, for a request with this `Authorization`.
    fn poller(&mut self, authorization: Option<&String>) -> Result<&mut Polling, Refusal> {
        // Who knows the id alone may not speak for another user.
        let is_other =
            authorization.is_some() && authorization != self.parts.authorization.as_ref();
        match &mut self.transport {
            Transport::Polling(polling) if !is_other => Ok(polling),
            _ => Err(Refusal::BadRequest),
        }
    }

    /// Gives up an upgrade; the polling goes on.
    fn give_up(&mut self, source: Source, ctx: &mut Context<Self>) {
        if let Transport::Polling(polling) = &mut self.transport
            && let Some(upgrade) =
                polling.upgrade.take_if(|upgrade| upgrade.socket.source == source)
        {
            ctx.cancel_future(upgrade.timeout);
            self.inbound.retain(|inbound| inbound.source != source);
            self.flush(ctx);
        }
    }
}

impl Handler<SocketGone> for SocketIoConnection {
    type Result = ();

    fn handle(&mut self, SocketGone { source, ending }: SocketGone, ctx: &mut Self::Context) {
        match &self.transport {
            Transport::WebSocket(socket) if socket.source == source => self.end(ending, ctx),
            Transport::WebSocket(_) => {}
            Transport::Polling(_) => self.give_up(source, ctx),
        }
    }
}

impl Handler<Poll> for SocketIoConnection {
    type Result = ();

    fn handle(&mut self, Poll { authorization, reply }: Poll, ctx: &mut Self::Context) {
        let is_over = self.state == State::Ended;
        match self.poller(authorization.as_ref()) {
            Ok(polling) if polling.poll.is_none() => {
                polling.poll = Some(reply);
                let is_probed = polling.upgrade.as_ref().is_some_and(|upgrade| upgrade.is_probed);
                self.flush(ctx);
                if is_probed {
                    ctx.run_later(PROBED_POLL, |this, _| this.end_poll());
                }
            }
            Ok(_) => {
                // A request that is gone needs no answer.
                let _ = reply.send(Err(Refusal::BadRequest));
                if !is_over {
                    self.end(Ending::BrokenFrame, ctx);
                }
            }
            Err(refusal) => {
                // The same.
                let _ = reply.send(Err(refusal));
            }
        }
    }
}

impl Handler<Posting> for SocketIoConnection {
    type Result = Result<(), Refusal>;

    fn handle(&mut self, posting: Posting, ctx: &mut Self::Context) -> Self::Result {
        if self.state == State::Ended {
            return Err(Refusal::SessionUnknown);
        }
        let polling = self.poller(posting.authorization.as_ref())?;
        if std::mem::replace(&mut polling.is_posting, true) {
            self.end(Ending::BrokenFrame, ctx);
            return Err(Refusal::BadRequest);
        }
        Ok(())
    }
}

impl Handler<RequestEnded> for SocketIoConnection {
    type Result = ();

    fn handle(&mut self, ended: RequestEnded, ctx: &mut Self::Context) {
        match (ended, &mut self.transport) {
            (RequestEnded::PostTaken, Transport::Polling(polling)) => polling.is_posting = false,
            (RequestEnded::PostTaken, Transport::WebSocket(_)) => {}
            (RequestEnded::PollGone | RequestEnded::PostGone, _) => {
                self.end(Ending::Gone, ctx);
                ctx.stop();
            }
        }
    }
}

impl Handler<Upgrade> for SocketIoConnection {
    type Result = Result<SocketEnds, Refusal>;

    fn handle(&mut self, _: Upgrade, ctx: &mut Self::Context) -> Self::Result {
        let wait = self.parts.config.upgrade_timeout;
        self.last_socket += 1;
        let source = self.last_socket;
        let is_open = self.state == State::Open;
        match &mut self.transport {
            Transport::Polling(polling) if is_open && polling.upgrade.is_none() => {
                let (socket, ends) = Socket::new(source);
                let timeout = ctx.run_later(wait, move |this, ctx| this.give_up(source, ctx));
                polling.upgrade = Some(Upgrading { socket, is_probed: false, timeout });
                Ok(ends)
            }
            _ => Err(Refusal::BadRequest),
        }
    }
}
