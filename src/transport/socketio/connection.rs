//! Connection: the actor of an Engine.IO session.

use std::collections::VecDeque;
use std::rc::Rc;
use std::sync::Arc;

use actix::prelude::*;
use bytestring::ByteString;

use super::config::SocketIoConfig;
use super::delivery::Delivered;
use super::inbound::{Attachments, Inbound};
use super::namespace::{Consequence, InNamespace};
use super::outbox::Outbox;
use super::recoveries::{GiveWay, Pid, Recoveries, SessionOver};
use super::sid::{Remove, Sid};
use super::socket::{Socket, SocketEnds, Source};
use super::transports::{Polling, Transport};
use crate::actors::{RoomActor, Slot, Told};
use crate::app::{AppState, ClientAddress, HandshakePermit};
use crate::domain::{Fetch, RateLimit, Stage, Timestamp};
use crate::protocol::engine_io;
use crate::protocol::socket_io::Namespace;
use crate::protocol::{Codec, Ending, ServerEvent};
use crate::session::{Input, Permit};
use crate::transport::clock::{SessionClock, Tick};
use crate::transport::host::{self, Host, Hosted, fetch_page};

/// A connection of a client, by one transport after the other.
pub struct SocketIoConnection {
    pub(super) parts: ConnectionParts,
    pub(super) sid: Sid,
    pub(super) clock_key: Option<usize>,
    /// A place among the connections that are in no namespace.
    pub(super) permit: Option<HandshakePermit>,
    /// The time for the first namespace.
    pub(super) deadline: Option<SpawnHandle>,
    pub(super) namespaces: Vec<InNamespace>,
    /// Namespaces that the server has disconnected, whose packets may still be on their way.
    pub(super) disconnected: Vec<Namespace>,
    /// The rate of CONNECTs, each of which verifies a token.
    pub(super) connects: RateLimit,
    /// The slot of the next session.
    pub(super) next_slot: Slot,
    pub(super) transport: Transport,
    /// The number of the last socket.
    pub(super) last_socket: Source,
    pub(super) outbox: Outbox,
    /// Pages that are read once the client has fetched what there is.
    pub(super) held: Vec<(Slot, Addr<RoomActor>, Fetch)>,
    /// Packets of the POST, and of the socket.
    pub(super) inbound: VecDeque<Inbound>,
    pub(super) is_taking: bool,
    /// A request with attachments that are still to come.
    pub(super) attachments: Option<Attachments>,
    pub(super) pong_due: Option<Timestamp>,
    pub(super) state: State,
}

/// Parts of a connection.
pub struct ConnectionParts {
    pub app: AppState,
    pub config: Arc<SocketIoConfig>,
    pub clock: Rc<SessionClock>,
    /// The directory, which has this connection until its end.
    pub directory: Recipient<Remove>,
    /// The broken sessions, if clients may recover theirs.
    pub recoveries: Option<Addr<Recoveries>>,
    /// The `Authorization` of the handshake.
    pub authorization: Option<String>,
    pub client: Option<ClientAddress>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum State {
    Open,
    /// No session begins any more; it ends with its last one.
    Leaving,
    /// Its sessions are ending.
    Ending,
    /// Only the client's last GETs are served: for what waits, and for the close.
    Ended,
}

impl SocketIoConnection {
    /// Starts a connection that polls.
    #[must_use]
    pub fn polling(parts: ConnectionParts, permit: HandshakePermit, sid: &Sid) -> Addr<Self> {
        Self::new(parts, permit, sid, Transport::Polling(Polling::default())).start()
    }

    /// Starts a connection on a WebSocket, whose first packet is in it.
    #[must_use]
    pub fn on_a_socket(
        parts: ConnectionParts,
        permit: HandshakePermit,
        sid: &Sid,
    ) -> (Addr<Self>, SocketEnds) {
        let (socket, ends) = Socket::new(1);
        let open = parts.config.open(sid, &[]);
        let mut connection = Self::new(parts, permit, sid, Transport::WebSocket(socket));
        connection.last_socket = 1;
        // It fits, since nothing waits.
        let _ = connection.outbox.push(open.into());
        (connection.start(), ends)
    }

    fn new(
        parts: ConnectionParts,
        permit: HandshakePermit,
        sid: &Sid,
        transport: Transport,
    ) -> Self {
        let limits = parts.app.limits();
        let outbox = Outbox::new(limits.session_queue_events, limits.session_queue_bytes);
        let (per_second, burst) = (limits.messages_per_second, limits.burst);
        let connects = RateLimit::new(per_second, burst, Timestamp::now());
        parts.app.metrics().socketio_connections(transport.name()).inc();
        Self {
            parts,
            sid: Arc::clone(sid),
            clock_key: None,
            permit: Some(permit),
            deadline: None,
            namespaces: Vec::new(),
            disconnected: Vec::new(),
            connects,
            next_slot: 0,
            transport,
            last_socket: 0,
            outbox,
            held: Vec::new(),
            // One packet is the most that a WebSocket has.
            inbound: VecDeque::with_capacity(1),
            is_taking: false,
            attachments: None,
            pong_due: None,
            state: State::Open,
        }
    }

    fn session(&mut self, slot: Slot) -> Option<&mut InNamespace> {
        self.namespaces.iter_mut().find(|session| session.slot == slot)
    }

    pub(super) fn session_in(&mut self, namespace: &str) -> Option<&mut InNamespace> {
        self.namespaces.iter_mut().find(|session| session.namespace.name() == namespace)
    }

    /// Adds a packet for the client. One that cannot keep up is closed, and resumes.
    pub(super) fn push(&mut self, packet: ByteString, ctx: &mut Context<Self>) {
        if self.state != State::Ended && !self.outbox.push(packet) {
            // What a session writes behind this is lost, and nothing says what it was.
            self.namespaces.iter_mut().for_each(InNamespace::leave_out);
            self.end(Ending::SlowReader, ctx);
        }
    }

    /// Waits for a namespace, and not for long.
    fn await_namespace(&mut self, ctx: &mut Context<Self>) {
        let (wait, mut stage) =
            (self.parts.app.limits().auth_timeout(), self.parts.app.stage().clone());
        let waits = async move {
            tokio::select! {
                () = actix::clock::sleep(wait) => Ending::Unauthenticated,
                // Not known to ChatServer, so nobody else ends it.
                Ok(_) = stage.wait_for(|stage| *stage >= Stage::Closing) => Ending::Shutdown,
            }
        };
        let over = waits.into_actor(self).map(|ending, this, ctx| {
            this.deadline = None;
            this.end(ending, ctx);
        });
        self.deadline = Some(ctx.spawn(over));
    }

    /// A session was let in: the connection is counted by it.
    fn let_in(&mut self, ctx: &mut Context<Self>) {
        self.permit = None;
        if let Some(deadline) = self.deadline.take() {
            ctx.cancel_future(deadline);
        }
    }

    /// A session has left its namespace. Without another one the connection waits for the next, as it did
    /// at its start.
    fn left(&mut self, ctx: &mut Context<Self>) {
        if self.state >= State::Ending || !self.namespaces.is_empty() {
            return;
        }
        if self.state == State::Leaving {
            return self.end(Ending::Shutdown, ctx);
        }
        if self.permit.is_some() {
            return;
        }
        match self.parts.app.handshakes().permit(self.parts.client) {
            Ok(permit) => {
                self.permit = Some(permit);
                self.await_namespace(ctx);
            }
            Err(_) => self.end(Ending::NotReady, ctx),
        }
    }

    /// Ends the connection, and its sessions with it.
    pub(super) fn end(&mut self, ending: Ending, ctx: &mut Context<Self>) {
        if self.state >= State::Ending {
            return;
        }
        self.state = State::Ending;
        let slots: Vec<Slot> = self.namespaces.iter().map(|session| session.slot).collect();
        let is_gone = matches!(ending, Ending::Closed | Ending::Gone | Ending::Silent);
        for slot in slots {
            // With its `goodbye`, where there is one. Those of a node that leaves had theirs before.
            host::input(self, slot, Input::End(ending), ctx);
        }
        self.state = State::Ended;
        // A session whose last event did not fit is ending still.
        for mut session in std::mem::take(&mut self.namespaces) {
            session.hosted.forget(ending);
            self.over(session.pid());
        }
        self.inbound.clear();
        self.held.clear();
        self.permit = None;
        self.flush(ctx);
        match &mut self.transport {
            // The socket writes what it has, and closes.
            Transport::WebSocket(socket) => {
                socket.close(ending);
                ctx.stop();
            }
            Transport::Polling(_) if is_gone => ctx.stop(),
            // The client fetches what waits, and hears of the end, by its next GETs.
            Transport::Polling(_) => {
                ctx.run_later(self.parts.app.timings().close_timeout, |_, ctx| ctx.stop());
            }
        }
    }

    /// A session's client cannot recover it.
    fn over(&self, pid: Option<&Pid>) {
        if let (Some(recoveries), Some(pid)) = (&self.parts.recoveries, pid) {
            // Bounded: one of each session.
            recoveries.do_send(SessionOver(Pid::clone(pid)));
        }
    }

    /// Tells the clock of the next time that matters.
    pub(super) fn remind(&self) {
        let ticks = self.namespaces.iter().map(|session| session.tick_at);
        let next = ticks.chain(self.pong_due).min().unwrap_or(Timestamp(i64::MAX));
        if let Some(key) = self.clock_key {
            self.parts.clock.set_end(key, next);
        }
    }
}

impl Actor for SocketIoConnection {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.set_mailbox_capacity(self.parts.app.limits().session_queue_events);
        let clock = Rc::clone(&self.parts.clock);
        self.clock_key = Some(clock.add(ctx.address().recipient()));
        self.await_namespace(ctx);
        self.flush(ctx);
    }
}

impl Drop for SocketIoConnection {
    fn drop(&mut self) {
        if let Some(key) = self.clock_key {
            self.parts.clock.remove(key);
        }
        self.parts.app.metrics().socketio_connections(self.transport.name()).dec();
        for session in std::mem::take(&mut self.namespaces) {
            self.over(session.pid());
        }
        // Bounded: one of each connection.
        self.parts.directory.do_send(Remove(Arc::clone(&self.sid)));
    }
}

impl Host for SocketIoConnection {
    const CODEC: Codec = Codec::SocketIo;

    fn hosted(&mut self, slot: Slot) -> Option<&mut Hosted> {
        self.session(slot).map(|session| &mut session.hosted)
    }

    fn write(&mut self, slot: Slot, event: ServerEvent, ctx: &mut Self::Context) {
        let mut sessions = self.namespaces.iter_mut();
        let Some(session) = sessions.find(|session| session.slot == slot) else { return };
        if let Some(credentials) = session.begins_anew(&event) {
            let namespace = session.namespace.clone();
            self.parts.app.metrics().socketio_recovery(false);
            // Nothing of it was written.
            host::input(self, slot, Input::End(Ending::Closed), ctx);
            return self.begin(namespace, credentials, ctx);
        }
        let was_connected = session.is_connected();
        let packets = session.packets(event, &self.parts.config);
        if !was_connected && session.is_connected() {
            let connected = session.connected(ctx.address().recipient());
            let is_recovered = session.is_recovered();
            self.let_in(ctx);
            if is_recovered {
                self.parts.app.metrics().socketio_recovery(true);
            }
            if let (Some(recoveries), Some(connected)) = (&self.parts.recoveries, connected) {
                // Bounded: one of each session.
                recoveries.do_send(connected);
            }
        }
        for packet in packets.into_iter().flatten() {
            self.push(packet, ctx);
        }
    }

    fn hold(&mut self, slot: Slot, permit: Permit) {
        self.outbox.hold(slot, permit);
    }

    fn fetch(&mut self, slot: Slot, room: Addr<RoomActor>, fetch: Fetch, ctx: &mut Self::Context) {
        if self.outbox.is_clogged() {
            // Bounded: a session asks for one page at a time.
            self.held.push((slot, room, fetch));
        } else {
            fetch_page(self, slot, &room, fetch, ctx);
        }
    }

    /// Its place is held until a session is let in.
    fn authenticating(&mut self, _: Slot) {}

    fn tick_at(&mut self, slot: Slot, end: Timestamp) {
        if let Some(session) = self.session(slot) {
            session.tick_at = end;
        }
        self.remind();
    }

    fn close(&mut self, slot: Slot, ending: Ending, ctx: &mut Self::Context) {
        let Some(at) = self.namespaces.iter().position(|session| session.slot == slot) else {
            return;
        };
        let mut session = self.namespaces.remove(at);
        // A client whose polling fails closes the connection, and comes back.
        let is_left = ending == Ending::Closed && self.state < State::Ending;
        match (session.kept(ending, is_left), &self.parts.recoveries) {
            // Bounded: one of each session.
            (Some(broken), Some(recoveries)) => recoveries.do_send(broken),
            _ => self.over(session.pid()),
        }
        let namespace = session.namespace.clone();
        match session.ended(ending) {
            Consequence::Stays(Some(packet)) => {
                // Bounded: a namespace once, until its next CONNECT.
                self.disconnected.push(namespace);
                self.push(packet, ctx);
            }
            Consequence::Stays(None) => {}
            Consequence::Leaves => self.state = self.state.max(State::Leaving),
            Consequence::Ends => self.end(ending, ctx),
            Consequence::EndsForGood(packet) => {
                self.push(packet, ctx);
                self.end(ending, ctx);
            }
        }
        self.left(ctx);
    }

    fn taken(&mut self, ctx: &mut Self::Context) {
        self.take_in(ctx);
    }
}

impl Handler<Told> for SocketIoConnection {
    type Result = ();

    fn handle(&mut self, Told { slot, message }: Told, ctx: &mut Self::Context) {
        host::input(self, slot, Input::FromServer(message), ctx);
    }
}

impl Handler<Tick> for SocketIoConnection {
    type Result = ();

    fn handle(&mut self, Tick { is_heartbeat }: Tick, ctx: &mut Self::Context) {
        if let Some(key) = self.clock_key {
            self.parts.clock.taken(key);
        }
        if self.state == State::Ended {
            return;
        }
        let now = Timestamp::now();
        match self.pong_due {
            Some(due) if due <= now => return self.end(Ending::Silent, ctx),
            None if is_heartbeat => {
                self.pong_due = Some(now.after(self.parts.config.ping_timeout));
                self.push(engine_io::PING.into(), ctx);
                self.namespaces.iter_mut().for_each(InNamespace::pinged);
                self.remind();
            }
            _ => {}
        }
        let slots: Vec<Slot> = self.namespaces.iter().map(|session| session.slot).collect();
        for slot in slots {
            host::input(self, slot, Input::Tick, ctx);
        }
        self.flush(ctx);
    }
}

impl Handler<GiveWay> for SocketIoConnection {
    type Result = ();

    fn handle(&mut self, _: GiveWay, ctx: &mut Self::Context) {
        self.end(Ending::Gone, ctx);
    }
}

impl Handler<Delivered> for SocketIoConnection {
    type Result = ();

    fn handle(&mut self, Delivered { is_done }: Delivered, ctx: &mut Self::Context) {
        if !is_done {
            return self.end(Ending::Gone, ctx);
        }
        self.outbox.delivered();
        if !self.outbox.is_clogged() {
            for (slot, room, fetch) in std::mem::take(&mut self.held) {
                fetch_page(self, slot, &room, fetch, ctx);
            }
        }
        self.take_in(ctx);
    }
}
