//! A session in a namespace: what it sends as packets, and how it ends.

use std::sync::Arc;

use actix::Recipient;
use bytestring::ByteString;
use serde_json::Value;
use serde_json::value::RawValue;

use super::config::SocketIoConfig;
use super::recoveries::{Bearer, GiveWay, Pid, SessionBroken, SessionConnected};
use super::recovery::{Kept, Log, WayOn, Written};
use super::request::Credentials;
use crate::actors::Slot;
use crate::domain::{SOCKETIO_EVENTS, Timestamp, UserId};
use crate::protocol::socket_io::{self, Namespace};
use crate::protocol::{
    Answer, ApiError, Code, Codec, Control, Ending, RequestId, Return, ServerEvent, Used,
};
use crate::transport::host::Hosted;

/// Commands that set what is not recovered: a session that watches chats, or views one.
const NOT_RECOVERED: [&str; 2] = ["view_chat", "watch_chats"];

/// A session in a namespace.
pub struct InNamespace {
    pub slot: Slot,
    pub namespace: Namespace,
    pub hosted: Hosted,
    /// The time at which the session wants to be reminded.
    pub tick_at: Timestamp,
    phase: Phase,
    /// The client's own names: there once it has used one.
    own_names: Option<Box<OwnNames>>,
    /// Present if the operator lets clients recover their sessions.
    recovery: Option<Box<Recovery>>,
}

/// A session's recovery: of the one before it, and of itself once it is broken.
pub struct Recovery {
    pub pid: Pid,
    bearer: Bearer,
    log: Log,
    /// The broken session that it goes on with.
    way_on: Option<WayOn>,
    /// CONNECT's, until that is answered: for another beginning, where the recovery would not be exact.
    credentials: Option<Credentials>,
    /// There once it is connected.
    user: Option<UserId>,
    /// The session has more than its positions.
    is_left_out: bool,
}

impl Recovery {
    /// A session that begins, or goes on with the broken one of this `pid`.
    #[must_use]
    pub fn new(pid: Pid, bearer: Bearer, way_on: Option<WayOn>, credentials: Credentials) -> Self {
        let (log, credentials) = (Log::default(), Some(credentials));
        Self { pid, bearer, log, way_on, credentials, user: None, is_left_out: false }
    }
}

/// A session's use of the client's own names of events.
#[derive(Default)]
struct OwnNames {
    used: Used,
    /// Commands that the client knows by its own names. Bounded: each waits for its answer.
    commands: Vec<OwnCommand>,
    /// The number of the last one.
    last: u64,
}

struct OwnCommand {
    /// The id by which the session answers.
    id: RequestId,
    /// The client's.
    ack: Option<RequestId>,
    /// The event as the client sent it.
    sent: Box<str>,
    /// An event for the client once the command is done.
    answer: Option<(Arc<str>, Box<RawValue>)>,
}

enum Phase {
    /// CONNECT is not answered; the refusal of its token, once it is there.
    Connecting {
        refused: Option<Box<ApiError>>,
    },
    Connected,
}

/// Consequence of a session's end for its connection.
#[derive(Debug, PartialEq, Eq)]
pub enum Consequence {
    /// It goes on, behind a packet for its client.
    Stays(Option<ByteString>),
    /// It ends once its other sessions have ended, each in its own time.
    Leaves,
    /// It ends, and its client comes back.
    Ends,
    /// It ends behind a packet for its client, which does not come back.
    EndsForGood(ByteString),
}

impl InNamespace {
    /// A session whose CONNECT is being answered.
    #[must_use]
    pub fn new(slot: Slot, namespace: Namespace, hosted: Hosted) -> Self {
        let phase = Phase::Connecting { refused: None };
        let (tick_at, own_names, recovery) = (Timestamp(i64::MAX), None, None);
        Self { slot, namespace, hosted, tick_at, phase, own_names, recovery }
    }

    /// The session begins with this recovery.
    pub fn recovers(&mut self, recovery: Recovery) {
        if let Some(way_on) = &recovery.way_on {
            self.note(way_on.used);
        }
        self.recovery = Some(Box::new(recovery));
    }

    /// The secret by which the client recovers the session.
    #[must_use]
    pub fn pid(&self) -> Option<&Pid> {
        self.recovery.as_ref().map(|recovery| &recovery.pid)
    }

    /// The session, for who recovers it while it is connected still.
    #[must_use]
    pub fn connected(&self, connection: Recipient<GiveWay>) -> Option<SessionConnected> {
        let recovery = self.recovery.as_ref()?;
        let (pid, bearer) = (Pid::clone(&recovery.pid), recovery.bearer.clone());
        Some(SessionConnected(pid, bearer, connection))
    }

    /// The session goes on with a broken one.
    #[must_use]
    pub fn is_recovered(&self) -> bool {
        self.recovery.as_ref().is_some_and(|recovery| recovery.way_on.is_some())
    }

    /// The credentials for another beginning, where this event shows that the recovery would not be exact.
    pub fn begins_anew(&mut self, event: &ServerEvent) -> Option<Credentials> {
        let ServerEvent::Control(Control::Welcome(welcome)) = event else { return None };
        let recovery = self.recovery.as_mut()?;
        let credentials = recovery.credentials.take();
        let is_exact = |way_on: &WayOn| way_on.is_exact(welcome.user.id, &welcome.chats);
        recovery.user = Some(welcome.user.id);
        if recovery.way_on.as_ref().is_none_or(is_exact) { None } else { credentials }
    }

    /// The state by which the client recovers the session, which has ended; `None` where it cannot, as where
    /// it has left the namespace.
    pub fn kept(&mut self, ending: Ending, is_left: bool) -> Option<SessionBroken> {
        let stays_away = |(_, step)| matches!(step, Return::Later | Return::Never);
        let comes_back = !is_left && !ending.close().is_some_and(stays_away);
        let is_known = |recovery: &Recovery| {
            !recovery.is_left_out && recovery.way_on.as_ref().is_none_or(WayOn::is_done)
        };
        let recovery = self.recovery.take_if(|recovery| comes_back && is_known(recovery))?;
        let Recovery { pid, bearer, log, user, .. } = *recovery;
        let positions = self.hosted.session().positions().into();
        let used = self.own_names.as_ref().map(|own| own.used).unwrap_or_default();
        Some(SessionBroken(pid, bearer, Kept { user: user?, positions, log, used }))
    }

    /// A ping was written.
    pub fn pinged(&mut self) {
        if let Some(recovery) = &mut self.recovery {
            recovery.log.pinged();
        }
    }

    /// The client has answered the ping.
    pub fn ponged(&mut self) {
        if let Some(recovery) = &mut self.recovery {
            recovery.log.ponged();
        }
    }

    /// Notes a command.
    pub fn commanded(&mut self, event: &str) {
        if NOT_RECOVERED.contains(&event) {
            self.leave_out();
        }
    }

    /// The session cannot be recovered.
    pub fn leave_out(&mut self) {
        if let Some(recovery) = &mut self.recovery {
            recovery.is_left_out = true;
        }
    }

    /// Notes an event that is being written. `false` if the client has it already.
    fn log(&mut self, event: &ServerEvent) -> bool {
        let Some(recovery) = &mut self.recovery else { return true };
        match event {
            ServerEvent::Logged(posted) => {
                let message = posted.message();
                if !recovery.way_on.as_mut().is_none_or(|way_on| way_on.lacks(message)) {
                    return false;
                }
                recovery.log.add(Written::Message(message.chat_id, message.seq));
            }
            ServerEvent::Control(Control::Shared(_)) => recovery.log.add(Written::Other),
            ServerEvent::Control(_) | ServerEvent::Ephemeral(..) | ServerEvent::Answer(_) => {}
        }
        true
    }

    /// The packet of an event, with its offset where there is a recovery.
    fn packet(&self, body: &str) -> ByteString {
        match &self.recovery {
            Some(recovery) => socket_io::event_at(&self.namespace, body, recovery.log.offset()),
            None => socket_io::event(&self.namespace, body),
        }
    }

    /// CONNECT has been answered.
    #[must_use]
    pub fn is_connected(&self) -> bool {
        matches!(self.phase, Phase::Connected)
    }

    /// Notes that the client has sent an event of those after which others have its own names.
    pub fn note(&mut self, used: Used) {
        if used != Used::default() {
            self.own_names.get_or_insert_default().used.add(used);
        }
    }

    /// Notes a command that the client knows by its own name, and perhaps expects an event for; the id
    /// for the command.
    pub fn promise(
        &mut self,
        ack: Option<RequestId>,
        sent: &str,
        answer: Option<(Arc<str>, Box<RawValue>)>,
    ) -> RequestId {
        let own = self.own_names.get_or_insert_default();
        own.last += 1;
        let id = RequestId::Text(own.last.to_string().into());
        own.commands.push(OwnCommand { id: id.clone(), ack, sent: sent.into(), answer });
        id
    }

    fn promised(&mut self, id: &RequestId) -> Option<OwnCommand> {
        let commands = &mut self.own_names.as_mut()?.commands;
        let at = commands.iter().position(|command| command.id == *id)?;
        Some(commands.swap_remove(at))
    }

    /// The packets of an event, at most two of them.
    pub fn packets(
        &mut self,
        mut event: ServerEvent,
        config: &SocketIoConfig,
    ) -> [Option<ByteString>; 2] {
        if let Phase::Connecting { refused } = &mut self.phase {
            match event {
                ServerEvent::Control(Control::Welcome(_)) => {
                    self.phase = Phase::Connected;
                    let sid = self.hosted.session().id().to_string();
                    let pid = self.pid().map(|pid| &**pid);
                    let connected = socket_io::connected(&self.namespace, &sid, pid);
                    let welcome = self.packet(&event.frame(Codec::SocketIo));
                    return [Some(connected), Some(welcome)];
                }
                ServerEvent::Answer(Answer::Refusal { exception, .. }) => {
                    *refused = Some(exception);
                }
                // The answer to CONNECT says it.
                _ => {}
            }
            return [None, None];
        }
        if !self.log(&event) {
            return [None, None];
        }
        let id = match &event {
            ServerEvent::Answer(Answer::Ack(id, _) | Answer::Refusal { id: Some(id), .. }) => {
                Some(id.clone())
            }
            _ => None,
        };
        let (id, own_answer) = match id.as_ref().and_then(|id| self.promised(id)) {
            Some(OwnCommand { ack, sent, answer, .. }) => {
                if let ServerEvent::Answer(Answer::Refusal { event, .. }) = &mut event {
                    *event = Some(sent);
                }
                (ack, answer)
            }
            None => (id, None),
        };
        let ack = |data: &str| match id {
            Some(RequestId::Number(id)) => Some(socket_io::ack(&self.namespace, id, data)),
            _ => None,
        };
        let frame = event.frame(Codec::SocketIo);
        match &event {
            ServerEvent::Answer(Answer::Ack(..)) => {
                let own = own_answer.map(|(event, data)| {
                    self.packet(&format!("[{},{}]", Value::from(&*event), data.get()))
                });
                [ack(&frame), own]
            }
            ServerEvent::Answer(Answer::Refusal { .. }) => {
                let data = split(&frame).map(|(_, data)| data).filter(|_| config.acks_refusals);
                [Some(self.packet(&frame)), data.and_then(ack)]
            }
            ServerEvent::Control(Control::Shared(_)) if is_reserved(&frame) => {
                log::debug!("an event with a name of the client library's own is not sent");
                [None, None]
            }
            _ => [Some(self.event(&frame, config)), None],
        }
    }

    /// The packet of an event with this body, by the client's own name if it has one.
    fn event(&self, body: &str, config: &SocketIoConfig) -> ByteString {
        let used = self.own_names.as_ref().map(|own| own.used).unwrap_or_default();
        let own = split(body).filter(|_| !config.names.is_empty());
        match own.and_then(|(event, data)| config.names.give(used, event, data)) {
            Some((name, data)) => self.packet(&format!("[{},{data}]", Value::from(name))),
            None => self.packet(body),
        }
    }

    /// Consequence of the session's end for its connection. A client comes back by itself
    /// behind a closed transport, and only behind that.
    #[must_use]
    pub fn ended(self, ending: Ending) -> Consequence {
        let disconnect = socket_io::disconnect(&self.namespace);
        match (self.phase, ending.close()) {
            (_, Some((_, Return::Later))) => Consequence::Leaves,
            (Phase::Connecting { refused: Some(refused) }, _)
                if !matches!(refused.code, Code::Unavailable | Code::Internal) =>
            {
                Consequence::Stays(Some(connect_error(self.namespace.name(), &refused)))
            }
            // The client has left the namespace, and knows.
            (_, None) => Consequence::Stays(None),
            (Phase::Connecting { .. }, _) => Consequence::Ends,
            (Phase::Connected, Some((_, Return::ByUser))) => Consequence::Stays(Some(disconnect)),
            (Phase::Connected, Some((_, Return::Never))) => Consequence::EndsForGood(disconnect),
            (Phase::Connected, Some(_)) => Consequence::Ends,
        }
    }
}

/// The refusal of a CONNECT: `data` is what an `exception` has.
#[must_use]
pub fn connect_error(namespace: &str, refused: &ApiError) -> ByteString {
    let exception = ServerEvent::Answer(Answer::Refusal {
        id: None,
        event: None,
        exception: Box::new(refused.clone()),
    });
    let exception = exception.frame(Codec::SocketIo);
    let data = split(&exception).map(|(_, data)| data);
    socket_io::connect_error(namespace, &refused.message, data)
}

/// A service's event with a name that clients refuse: they would close the connection.
fn is_reserved(body: &str) -> bool {
    split(body).is_some_and(|(name, _)| SOCKETIO_EVENTS.contains(&name))
}

/// The name and the data in the body of an event. Only a service's event has a quote in its name.
fn split(body: &str) -> Option<(&str, &str)> {
    body.strip_prefix("[\"")?.strip_suffix(']')?.split_once("\",")
}
