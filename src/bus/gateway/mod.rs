//! Gateway: clients' events to other services, and the services' answers.

mod queue_publisher;

use std::cell::RefCell;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::rc::Rc;
use std::sync::Arc;

use actix::prelude::*;
use serde::Serialize;
use serde_json::value::RawValue;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::time::Instant;

use self::queue_publisher::QueuePublisher;
use super::{packet, pattern};
use crate::actors::Forward;
use crate::amqp::Broker;
use crate::domain::{ChatId, SessionId, UserId};
use crate::metrics::{ForwardOutcome, Metrics};
use crate::protocol::{Fields, Frame, recv};
use crate::settings::{RabbitMq, RouteKind};

/// Events of one user in flight, from all of the user's sessions here; one more is `unavailable`.
/// Twice the limit of one session.
const MOST_OF_A_USER: usize = 128;

/// Receives sessions' events, and passes each to the publisher of its queue. Without a slot, or
/// without the broker, an event is `unavailable` at once.
pub struct Gateway {
    settings: Arc<RabbitMq>,
    broker: Broker,
    metrics: Arc<Metrics>,
    /// By name.
    queues: HashMap<String, Queue>,
    users: Users,
}

/// One queue. Its slots are its own: a slow service takes none of another's.
struct Queue {
    publisher: mpsc::Sender<QueuedForward>,
    slots: Arc<Semaphore>,
}

/// Number of each user's events in flight.
#[derive(Clone, Default)]
struct Users(Rc<RefCell<HashMap<UserId, usize>>>);

/// A queued event.
pub(super) struct QueuedForward {
    pub forward: Forward,
    /// Its `id` and correlation id.
    pub id: String,
    pub deadline: Instant,
    pub slot: Slot,
}

/// One of a queue's slots, and one of a user's; released when dropped.
pub(super) struct Slot {
    _queue_slot: OwnedSemaphorePermit,
    _user_slot: UserSlot,
}

struct UserSlot {
    users: Users,
    user: UserId,
}

impl Gateway {
    #[must_use]
    pub fn new(settings: Arc<RabbitMq>, broker: Broker, metrics: Arc<Metrics>) -> Self {
        Self { settings, broker, metrics, queues: HashMap::new(), users: Users::default() }
    }

    /// Passes an event to its publisher; `None` without a slot, here or at the broker.
    fn enqueue(&self, forward: Forward) -> Option<()> {
        if self.broker.is_blocked() {
            return None;
        }
        let queue = self.queues.get(&forward.route.queue)?;
        let slot = Slot {
            _user_slot: self.users.slot(forward.user)?,
            _queue_slot: Arc::clone(&queue.slots).try_acquire_owned().ok()?,
        };
        let id = correlation_id();
        let deadline = Instant::now() + self.settings.gateway_timeout();
        let sent = queue.publisher.try_send(QueuedForward { forward, id, deadline, slot });
        sent.ok()
    }
}

impl Users {
    fn slot(&self, user: UserId) -> Option<UserSlot> {
        let mut users = self.0.borrow_mut();
        let taken = users.entry(user).or_default();
        if *taken == MOST_OF_A_USER {
            return None;
        }
        *taken += 1;
        Some(UserSlot { users: self.clone(), user })
    }
}

impl Drop for UserSlot {
    fn drop(&mut self) {
        let mut users = self.users.0.borrow_mut();
        if let Entry::Occupied(mut taken) = users.entry(self.user) {
            *taken.get_mut() -= 1;
            if *taken.get() == 0 {
                taken.remove();
            }
        }
    }
}

impl Actor for Gateway {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        let most = self.settings.gateway_in_flight;
        ctx.set_mailbox_capacity(most);
        for route in &self.settings.gateway {
            self.queues.entry(route.queue.clone()).or_insert_with(|| {
                let (publisher, events) = mpsc::channel(most);
                let (settings, metrics) = (Arc::clone(&self.settings), Arc::clone(&self.metrics));
                let queue = route.queue.clone();
                actix::spawn(
                    QueuePublisher::new(queue, settings, self.broker.clone(), metrics).run(events),
                );
                Queue { publisher, slots: Arc::new(Semaphore::new(most)) }
            });
        }
    }
}

impl Handler<Forward> for Gateway {
    type Result = ();

    fn handle(&mut self, forward: Forward, _: &mut Self::Context) {
        // Dropped, it answers `unavailable`.
        if self.enqueue(forward).is_none() {
            self.metrics.gateway_forward(ForwardOutcome::Unavailable);
        }
    }
}

/// A correlation id in NestJS's format: 21 hexadecimal digits.
fn correlation_id() -> String {
    let mut id = SessionId::random().to_string();
    id.truncate(21);
    id
}

/// The message for a service: the client's fields, then the metadata.
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

/// Parses the data of a service's `recv`: the session, and the frame for it.
///
/// # Errors
/// A sentence that names the missing or wrong field.
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
    fn a_user_has_so_many_places_and_gets_them_back() {
        let users = Users::default();
        let (kim, lee) = (UserId(7), UserId(8));
        let mut taken: Vec<_> = (0..MOST_OF_A_USER).filter_map(|_| users.slot(kim)).collect();
        assert_eq!(taken.len(), MOST_OF_A_USER);
        assert!(users.slot(kim).is_none());
        let others = users.slot(lee);
        assert!(others.is_some(), "others have their own");
        taken.pop();
        assert!(users.slot(kim).is_some());
        drop((taken, others));
        assert!(users.0.borrow().is_empty(), "who has gone is forgotten");
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
