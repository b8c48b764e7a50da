//! What a message of another service means, and what becomes of it.

use std::time::Duration;

use lapin::message::Delivery;
use tokio::time::{sleep, timeout};
use uuid::Uuid;

use super::packet::{self, Packet};
use super::rpc::{Command, Question};
use super::users::{self, UserEvent};
use super::{Nodes, Parts, gateway};
use crate::actors::Audience;
use crate::metrics::AnswerOutcome;
use crate::protocol::{ApiError, Code};

/// The pauses before another try of what cannot be done now: the first, and the longest.
const PAUSES: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(5));
/// The longest answer, in bytes: well below what a broker takes, which would close the channel.
const MOST_REPLY: usize = 8 * 1024 * 1024;
/// The answer to an event that was sent as a request, as NestJS has it: there is no value.
const DISPOSED: &[u8] = br#"{"isDisposed":true}"#;

/// Does what other services ask for.
pub struct Dispatch {
    parts: Parts,
    nodes: Nodes,
    /// Whether it is told of users here: whoever may tell makes admins.
    hears_of_users: bool,
}

/// What a message comes to.
pub struct Outcome {
    /// The body of the answer, where one is waited for.
    pub reply: Option<Vec<u8>>,
    pub verdict: Verdict,
}

/// What becomes of a message.
pub enum Verdict {
    /// It was done, or is nothing to us.
    Done,
    /// It asks for what there is not: the queue's own policy may put it aside.
    Refused,
    /// It cannot be understood, for this reason.
    Poison(String),
}

/// What a message is to us.
enum Meaning {
    Command(Command),
    User(UserEvent),
    /// An answer for a session.
    Recv,
    Nothing,
}

impl Meaning {
    fn of(packet: &Packet<'_>, hears_of_users: bool) -> Self {
        let pattern = packet.pattern.as_str();
        if let Some(command) = Command::of(pattern) {
            Self::Command(command)
        } else if let Some(event) = UserEvent::of(pattern).filter(|_| hears_of_users) {
            Self::User(event)
        } else if matches!(pattern, "recv" | r#"{"cmd":"recv"}"#) {
            Self::Recv
        } else {
            Self::Nothing
        }
    }
}

impl Outcome {
    /// Of a message that made the desk fail.
    #[must_use]
    pub fn failed() -> Self {
        let failed = ApiError::new(Code::Internal, "something went wrong here");
        let verdict = Verdict::Poison("the desk failed at it".to_owned());
        Self { reply: written(packet::refusal(&failed)), verdict }
    }

    fn silent(verdict: Verdict) -> Self {
        Self { reply: None, verdict }
    }
}

impl Dispatch {
    #[must_use]
    pub fn new(parts: Parts, nodes: Nodes, hears_of_users: bool) -> Self {
        Self { parts, nodes, hears_of_users }
    }

    /// Whether a message must be done before those behind it.
    #[must_use]
    pub fn is_ordered(&self, delivery: &Delivery) -> bool {
        Packet::read(&delivery.data).is_ok_and(|packet| {
            matches!(Meaning::of(&packet, self.hears_of_users), Meaning::User(_) | Meaning::Recv)
        })
    }

    /// Does what a message asks for: a request within its deadline, an event however long it takes.
    pub async fn outcome(&self, delivery: &Delivery) -> Outcome {
        let packet = match Packet::read(&delivery.data) {
            Ok(packet) => packet,
            Err(unreadable) => return Outcome::silent(Verdict::Poison(unreadable.to_string())),
        };
        #[cfg(feature = "faults")]
        crash(&packet);
        let message_id = delivery.properties.message_id().as_ref().map(|id| id.as_str());
        match (Meaning::of(&packet, self.hears_of_users), packet.id) {
            (Meaning::Command(command), Some(_)) => {
                let id = packet.id_text();
                let reply = match self.question(id.as_deref(), &packet).answer(command).await {
                    Ok(value) => packet::response(&value),
                    Err(refused) => packet::refusal(&refused),
                };
                Outcome { reply: written(reply), verdict: Verdict::Done }
            }
            (Meaning::Command(command), None) => {
                Outcome::silent(self.emitted(command, &packet, message_id).await)
            }
            (Meaning::User(event), _) => {
                answered(&packet, self.user(event, &packet, message_id).await)
            }
            (Meaning::Recv, _) => answered(&packet, self.recv(&packet).await),
            (Meaning::Nothing, Some(id)) => {
                Outcome { reply: written(packet::no_handler(id)), verdict: Verdict::Refused }
            }
            (Meaning::Nothing, None) => {
                self.parts.metrics.bus_ignored.inc();
                log::debug!("an event means nothing here: {}", packet.pattern);
                Outcome::silent(Verdict::Done)
            }
        }
    }

    fn question<'a>(&'a self, id: Option<&'a str>, packet: &Packet<'a>) -> Question<'a> {
        Question { parts: &self.parts, nodes: &self.nodes, id, data: Some(packet.data) }
    }

    /// A command whose answer nobody waits for. Nobody would send a message again, so that is tried
    /// until it is stored; what else cannot be done now is nothing any more later.
    async fn emitted(
        &self,
        command: Command,
        packet: &Packet<'_>,
        message_id: Option<&str>,
    ) -> Verdict {
        let id = message_id.filter(|id| !id.is_empty());
        let id = id.map_or_else(|| Uuid::new_v4().simple().to_string(), str::to_owned);
        let (mut pause, longest) = PAUSES;
        loop {
            match self.question(Some(&id), packet).answer(command).await {
                Ok(_) => return Verdict::Done,
                Err(refused) if refused.code != Code::Unavailable => {
                    return Verdict::Poison(refused.message.into_owned());
                }
                Err(_) if command != Command::SendMessage => {
                    log::debug!("an emitted {} is dropped", command.name());
                    return Verdict::Done;
                }
                Err(_) => sleep(pause).await,
            }
            pause = pause.saturating_mul(2).min(longest);
        }
    }

    async fn user(
        &self,
        event: UserEvent,
        packet: &Packet<'_>,
        message_id: Option<&str>,
    ) -> Verdict {
        match event.read(Some(packet.data), message_id, &self.parts.settings) {
            Err(refused) => Verdict::Poison(refused.message.into_owned()),
            // The desk's own word, come back.
            Ok(None) => Verdict::Done,
            Ok(Some(news)) => match users::apply(&self.parts, news).await {
                Ok(()) => Verdict::Done,
                Err(error) => {
                    log::error!("{} cannot be applied: {error}", event.name());
                    Verdict::Poison("the database refused it".to_owned())
                }
            },
        }
    }

    /// An answer of a service, for the session that asked. Where that cannot be reached, those behind
    /// it wait as long as the service might have taken, and not longer.
    async fn recv(&self, packet: &Packet<'_>) -> Verdict {
        let (session, frame) = match gateway::answer(packet.data) {
            Ok(answer) => answer,
            Err(reason) => return Verdict::Poison(reason),
        };
        let told = timeout(self.parts.settings.gateway_timeout(), async {
            let (mut pause, longest) = PAUSES;
            while self.nodes.tell(Audience::Session(session), frame.clone()).await.is_err() {
                sleep(pause).await;
                pause = pause.saturating_mul(2).min(longest);
            }
        });
        if told.await.is_err() {
            self.parts.metrics.gateway_answer(AnswerOutcome::Unknown);
            log::debug!("session {session} cannot be reached; what it was to be told is dropped");
        }
        Verdict::Done
    }
}

/// What is answered to an event that somebody has sent as a request.
fn answered(packet: &Packet<'_>, verdict: Verdict) -> Outcome {
    let reply = packet.id.and_then(|_| match &verdict {
        Verdict::Done | Verdict::Refused => Some(DISPOSED.to_vec()),
        Verdict::Poison(reason) => {
            written(packet::refusal(&ApiError::new(Code::BadRequest, reason.clone())))
        }
    });
    Outcome { reply, verdict }
}

fn written(body: serde_json::Result<Vec<u8>>) -> Option<Vec<u8>> {
    let body = body.and_then(|body| if body.len() > MOST_REPLY { too_large() } else { Ok(body) });
    body.inspect_err(|error| log::error!("cannot encode an answer: {error}")).ok()
}

fn too_large() -> serde_json::Result<Vec<u8>> {
    let said = format!("the answer has more than {MOST_REPLY} bytes: ask for less");
    packet::refusal(&ApiError::new(Code::TooLarge, said))
}

/// Fails at a message that a test has sent for it.
#[cfg(feature = "faults")]
#[expect(clippy::panic, reason = "this is what it is for")]
fn crash(packet: &Packet<'_>) {
    if packet.pattern.as_str() == "crash" {
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
