//! Dispatcher: the handler of a message, and its outcome.

use lapin::message::Delivery;
use tokio::time::timeout;
use uuid::Uuid;

use super::rpc::{Command, RpcRequest};
use super::users::{self, UserEvent};
use crate::actors::Audience;
use crate::bus::context::BusContext;
use crate::bus::gateway;
use crate::bus::packet::{self, Packet, Unreadable};
use crate::bus::pattern::Pattern;
use crate::cluster::Nodes;
use crate::metrics::AnswerOutcome;
use crate::protocol::{ApiError, Code};
use crate::retry::Backoff;

/// The longest reply, in bytes: well below the broker's limit, which would close the channel.
const MOST_REPLY: usize = 8 * 1024 * 1024;
/// NestJS's answer to an event that was sent as a request: no value.
const DISPOSED: &[u8] = br#"{"isDisposed":true}"#;

/// Dispatches and handles messages of one queue.
pub struct Dispatch {
    context: BusContext,
    nodes: Nodes,
    /// Users' events count on one queue alone: its senders make admins.
    accepts_user_events: bool,
}

/// The outcome of a message.
pub struct Outcome {
    /// The reply's body, if one is expected.
    pub reply: Option<Vec<u8>>,
    pub disposition: Disposition,
}

/// The end of a message in its queue.
pub enum Disposition {
    /// Done, or ignored.
    Done,
    /// No handler: the queue's own dead-letter policy may move it.
    Refused,
    /// A dead letter, for this reason.
    Poison(String),
}

/// The handler of a message.
#[derive(Clone, Copy)]
pub enum Inbound {
    Command(&'static Command),
    User(UserEvent),
    /// An answer for a session.
    Recv,
    Unknown,
}

impl Inbound {
    fn find(pattern: &Pattern, accepts_user_events: bool) -> Self {
        if let Some(command) = pattern.name().and_then(Command::find) {
            return Self::Command(command);
        }
        let event = pattern.plain_name().and_then(UserEvent::find);
        match event.filter(|_| accepts_user_events) {
            Some(event) => Self::User(event),
            None if pattern.name() == Some("recv") => Self::Recv,
            None => Self::Unknown,
        }
    }

    /// `true` if it must be done before the messages behind it.
    #[must_use]
    pub fn is_ordered(self) -> bool {
        matches!(self, Self::User(_) | Self::Recv)
    }
}

impl Outcome {
    /// The disposition of a message whose handler panicked.
    #[must_use]
    pub fn failed() -> Self {
        let failed = ApiError::new(Code::Internal, "something went wrong here");
        let disposition = Disposition::Poison("the desk failed at it".to_owned());
        Self { reply: written(packet::refusal(&failed)), disposition }
    }

    /// The disposition of a message that is not a packet.
    #[must_use]
    pub fn unreadable(unreadable: &Unreadable) -> Self {
        Self::silent(Disposition::Poison(unreadable.to_string()))
    }

    fn silent(disposition: Disposition) -> Self {
        Self { reply: None, disposition }
    }
}

impl Dispatch {
    #[must_use]
    pub fn new(context: BusContext, nodes: Nodes, accepts_user_events: bool) -> Self {
        Self { context, nodes, accepts_user_events }
    }

    /// Parses a message, and finds its handler.
    ///
    /// # Errors
    /// Not a packet.
    pub fn read(&self, delivery: &Delivery) -> Result<(Packet, Inbound), Unreadable> {
        let packet = Packet::read(&delivery.data)?;
        let inbound = Inbound::find(&packet.pattern, self.accepts_user_events);
        Ok((packet, inbound))
    }

    /// Handles a message: a request within its deadline, an event without one.
    pub async fn handle(&self, packet: &Packet, inbound: Inbound, delivery: &Delivery) -> Outcome {
        #[cfg(feature = "faults")]
        crash(packet);
        let message_id = delivery.properties.message_id().as_ref().map(|id| id.as_str());
        match (inbound, &packet.id) {
            (Inbound::Command(command), Some(_)) => {
                let id = packet.id_text();
                let reply = match self.request(id.as_deref(), packet).answer(command).await {
                    Ok(value) => packet::response(&value),
                    Err(refused) => packet::refusal(&refused),
                };
                Outcome { reply: written(reply), disposition: Disposition::Done }
            }
            (Inbound::Command(command), None) => {
                Outcome::silent(self.emitted(command, packet, message_id).await)
            }
            (Inbound::User(event), _) => {
                answered(packet, self.user(event, packet, message_id).await)
            }
            (Inbound::Recv, _) => answered(packet, self.recv(packet).await),
            (Inbound::Unknown, Some(id)) => {
                let reply = written(packet::no_handler(id));
                Outcome { reply, disposition: Disposition::Refused }
            }
            (Inbound::Unknown, None) => {
                self.context.metrics.bus_ignored.inc();
                log::debug!("ignored an event of an unknown pattern: {:?}", packet.pattern);
                Outcome::silent(Disposition::Done)
            }
        }
    }

    fn request<'a>(&'a self, id: Option<&'a str>, packet: &'a Packet) -> RpcRequest<'a> {
        RpcRequest { context: &self.context, nodes: &self.nodes, id, data: Some(&packet.data) }
    }

    /// A command without a waiting caller. Nobody repeats it, so it is retried until it is stored;
    /// any other that is unavailable is dropped.
    async fn emitted(
        &self,
        command: &Command,
        packet: &Packet,
        message_id: Option<&str>,
    ) -> Disposition {
        let id = message_id.filter(|id| !id.is_empty());
        let id = id.map_or_else(|| Uuid::new_v4().simple().to_string(), str::to_owned);
        let mut backoff = Backoff::default();
        loop {
            match self.request(Some(&id), packet).answer(command).await {
                Ok(_) => return Disposition::Done,
                Err(refused) if refused.code != Code::Unavailable => {
                    return Disposition::Poison(refused.message.into_owned());
                }
                Err(_) if !command.is_repeated => {
                    log::debug!("an emitted {} is dropped", command.name);
                    return Disposition::Done;
                }
                Err(_) => backoff.wait().await,
            }
        }
    }

    async fn user(
        &self,
        event: UserEvent,
        packet: &Packet,
        message_id: Option<&str>,
    ) -> Disposition {
        match event.read(Some(&packet.data), message_id, &self.context.settings) {
            Err(refused) => Disposition::Poison(refused.message.into_owned()),
            // An event of our own.
            Ok(None) => Disposition::Done,
            Ok(Some(news)) => match users::apply(&self.context, news).await {
                Ok(()) => Disposition::Done,
                Err(error) => {
                    log::error!("{} cannot be applied: {error}", event.name());
                    Disposition::Poison("the database refused it".to_owned())
                }
            },
        }
    }

    /// A service's answer, for the session that asked. An unreachable session delays the messages
    /// behind it for as long as the service's deadline.
    async fn recv(&self, packet: &Packet) -> Disposition {
        let (session, frame) = match gateway::answer(&packet.data) {
            Ok(answer) => answer,
            Err(reason) => return Disposition::Poison(reason),
        };
        let told = timeout(self.context.settings.gateway_timeout(), async {
            let mut backoff = Backoff::default();
            while self.nodes.tell(Audience::Session(session), frame.clone()).await.is_err() {
                backoff.wait().await;
            }
        });
        if told.await.is_err() {
            self.context.metrics.gateway_answer(AnswerOutcome::Unknown);
            log::debug!("dropped an answer: session {session} cannot be reached");
        }
        Disposition::Done
    }
}

/// The answer to an event that was sent as a request.
fn answered(packet: &Packet, disposition: Disposition) -> Outcome {
    let reply = packet.id.as_ref().and_then(|_| match &disposition {
        Disposition::Done | Disposition::Refused => Some(DISPOSED.to_vec()),
        Disposition::Poison(reason) => {
            written(packet::refusal(&ApiError::new(Code::BadRequest, reason.clone())))
        }
    });
    Outcome { reply, disposition }
}

fn written(body: serde_json::Result<Vec<u8>>) -> Option<Vec<u8>> {
    let body = body.and_then(|body| if body.len() > MOST_REPLY { too_large() } else { Ok(body) });
    body.inspect_err(|error| log::error!("cannot encode an answer: {error}")).ok()
}

fn too_large() -> serde_json::Result<Vec<u8>> {
    let said = format!("the answer has more than {MOST_REPLY} bytes: ask for less");
    packet::refusal(&ApiError::new(Code::TooLarge, said))
}

/// Panics at a message that a test has sent.
#[cfg(feature = "faults")]
#[expect(clippy::panic, reason = "this is what it is for")]
fn crash(packet: &Packet) {
    if packet.pattern.plain_name() == Some("crash") {
        panic!("a test asked for it");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_that_no_broker_takes_is_too_large() {
        let fits = vec![b'x'; MOST_REPLY];
        assert_eq!(written(Ok(fits.clone())), Some(fits));
        let said = written(Ok(vec![b'x'; MOST_REPLY + 1])).unwrap();
        assert!(String::from_utf8(said).unwrap().contains(r#""code":"too_large""#));
    }
}
