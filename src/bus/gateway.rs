//! Clients' events to other services, and the services' answers.

use std::collections::HashMap;
use std::sync::Arc;

use actix::prelude::*;
use serde::Serialize;
use serde_json::value::RawValue;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::time::Instant;

use super::broker::Broker;
use super::line::Line;
use super::{packet, pattern};
use crate::actors::Forward;
use crate::domain::{ChatId, SessionId, UserId};
use crate::metrics::{ForwardOutcome, Metrics};
use crate::protocol::{Fields, Frame, recv};
use crate::settings::{RabbitMq, RouteKind};

/// Takes sessions' events, and gives each to the line of its queue. Answers none of them late: what
/// it has no room for, and what the broker is not there for, is `unavailable` at once.
pub struct Gateway {
    settings: Arc<RabbitMq>,
    broker: Broker,
    metrics: Arc<Metrics>,
    /// By the names of queues.
    lines: HashMap<String, mpsc::Sender<Carried>>,
    /// One for each event that is under way.
    places: Arc<Semaphore>,
}

/// An event under way; its place is given back when this is dropped.
pub(super) struct Carried {
    pub forward: Forward,
    /// Its `id` and correlation id.
    pub id: String,
    pub deadline: Instant,
    _place: OwnedSemaphorePermit,
}

impl Gateway {
    #[must_use]
    pub fn new(settings: Arc<RabbitMq>, broker: Broker, metrics: Arc<Metrics>) -> Self {
        let places = Arc::new(Semaphore::new(settings.gateway_in_flight));
        Self { settings, broker, metrics, lines: HashMap::new(), places }
    }

    /// Hands an event to its line; `false` where there is no room for it.
    fn carry(&self, forward: Forward) -> bool {
        let Ok(place) = Arc::clone(&self.places).try_acquire_owned() else { return false };
        let Some(line) = self.lines.get(&forward.route.queue) else { return false };
        let id = correlation_id();
        let deadline = Instant::now() + self.settings.gateway_timeout();
        let handed_on = line.try_send(Carried { forward, id, deadline, _place: place });
        handed_on.is_ok()
    }
}

impl Actor for Gateway {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.set_mailbox_capacity(self.settings.gateway_in_flight);
        for route in &self.settings.gateway {
            self.lines.entry(route.queue.clone()).or_insert_with(|| {
                let (sender, carried) = mpsc::channel(self.settings.gateway_in_flight);
                let line = Line::new(
                    route.queue.clone(),
                    self.settings.gateway_service.clone(),
                    self.broker.clone(),
                    Arc::clone(&self.metrics),
                );
                actix::spawn(line.run(carried));
                sender
            });
        }
    }
}

impl Handler<Forward> for Gateway {
    type Result = ();

    fn handle(&mut self, forward: Forward, _: &mut Self::Context) {
        // Dropped, it answers `unavailable`.
        if !self.carry(forward) {
            self.metrics.gateway_forward(ForwardOutcome::Unavailable);
        }
    }
}

/// As NestJS makes them: 21 hexadecimal digits.
fn correlation_id() -> String {
    let mut id = SessionId::random().to_string();
    id.truncate(21);
    id
}

/// The message for a service: the client's fields, and behind them the metadata.
///
/// # Errors
/// None that a client could cause.
pub(super) fn body(forward: &Forward, service: &str, id: &str) -> serde_json::Result<Vec<u8>> {
    #[derive(Serialize)]
    struct Metadata<'a> {
        socket_id: String,
        websocket_service: &'a str,
        #[serde(rename = "userId")]
        user: UserId,
        #[serde(rename = "chatId", skip_serializing_if = "Option::is_none")]
        chat: Option<ChatId>,
    }
    let Forward { route, session, user, chat, fields, .. } = forward;
    let (socket_id, user, chat) = (session.to_string(), *user, *chat);
    let metadata = Metadata { socket_id, websocket_service: service, user, chat };
    let metadata = serde_json::to_string(&metadata)?;
    let comma = if fields.is_empty() { "" } else { "," };
    let data = RawValue::from_string(format!(r#"{{{fields}{comma}"metadata":{metadata}}}"#))?;
    let pattern = pattern::to_wire(&route.pattern)?;
    match route.kind {
        RouteKind::Event => packet::event(&pattern, &*data),
        RouteKind::Request => packet::request(&pattern, &*data, id),
    }
}

/// Bytes of a `recv`'s data.
const MOST_RECV: usize = 1 << 20;

/// Reads the data of a service's `recv`: which session it is for, and what that is sent.
///
/// # Errors
/// What is missing or wrong, in a sentence.
pub fn answer(data: &RawValue) -> Result<(SessionId, Frame), String> {
    let bytes = data.get().len();
    if bytes > MOST_RECV {
        return Err(format!("data has {bytes} bytes, the most are {MOST_RECV}"));
    }
    #[derive(serde::Deserialize)]
    struct Metadata {
        socket_id: String,
    }
    let mut fields = Fields::parse(data.get()).map_err(|problem| format!("data {problem}"))?;
    let metadata = fields.take("metadata").ok_or("data has no metadata")?;
    let Metadata { socket_id } = serde_json::from_str(metadata.get())
        .map_err(|problem| format!("data.metadata cannot be read: {problem}"))?;
    let session = SessionId::parse(&socket_id)
        .ok_or_else(|| format!("data.metadata.socket_id is no session's: {socket_id:.64}"))?;
    Ok((session, recv(&fields)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answered(data: &str) -> Result<(SessionId, Frame), String> {
        let data = RawValue::from_string(data.to_owned()).expect("JSON");
        answer(&data)
    }

    #[test]
    fn an_answer_names_its_session_and_keeps_its_data() {
        let session = SessionId::random();
        let data = format!(
            r#"{{"id":501,"big":12345678901234567890123,"metadata":{{"socket_id":"{session}","x":1}},"ref":7.0}}"#
        );
        let (to, frame) = answered(&data).expect("an answer");
        assert_eq!(to, session);
        assert_eq!(
            &*frame,
            r#"{"event":"recv","data":{"id":501,"big":12345678901234567890123,"ref":7.0}}"#
        );
    }

    #[test]
    fn an_answer_to_nobody_is_none() {
        for data in [
            "1",
            "[]",
            "{}",
            r#"{"metadata":null}"#,
            r#"{"metadata":{}}"#,
            r#"{"metadata":{"socket_id":7}}"#,
            r#"{"metadata":{"socket_id":"k3j9"}}"#,
        ] {
            assert!(answered(data).is_err_and(|reason| !reason.is_empty()), "{data}");
        }
        assert!(answer(RawValue::NULL).is_err());
    }

    #[test]
    fn an_answer_has_its_limit() {
        let data = |text: usize| {
            let metadata = format!(r#"{{"socket_id":"{}"}}"#, SessionId::random());
            let data = format!(r#"{{"metadata":{metadata},"text":""}}"#);
            let fill = "x".repeat(text - data.len());
            data.replace(r#""text":"""#, &format!(r#""text":"{fill}""#))
        };
        assert!(answered(&data(MOST_RECV)).is_ok());
        let refused = answered(&data(MOST_RECV + 1)).expect_err("too large");
        assert_eq!(refused, "data has 1048577 bytes, the most are 1048576");
    }

    #[test]
    fn ids_are_of_the_form_that_nestjs_makes() {
        let id = correlation_id();
        assert!(id.len() == 21 && id.bytes().all(|c| c.is_ascii_hexdigit()), "{id}");
        assert_ne!(id, correlation_id());
    }
}
