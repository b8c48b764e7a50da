//! Events for other services, and their encoding.

use serde::{Serialize, Serializer};
use uuid::Uuid;

use crate::actors::PresenceChanged;
use crate::db::OutboxEntry;
use crate::domain::{ChatId, OutboxEvent, Role, Seq, Timestamp, UserId};
use crate::protocol::{ChatView, MessageView, UserView};

/// Version of the payloads. New fields may be added without a new version; existing ones stay.
const VERSION: u32 = 1;

/// An event, ready to be published.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// The id by which receivers recognise a repeat.
    pub id: String,
    /// The routing key.
    pub name: &'static str,
    pub at: Timestamp,
    pub body: Vec<u8>,
}

#[derive(Serialize)]
struct Body<'a> {
    pattern: &'a str,
    data: Data<'a>,
}

#[derive(Serialize)]
struct Data<'a> {
    id: &'a str,
    #[serde(serialize_with = "time")]
    time: Timestamp,
    source: &'a str,
    version: u32,
    payload: Payload<'a>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Payload<'a> {
    User {
        user: UserView<'a>,
    },
    Chat {
        chat: ChatView<'a>,
    },
    Message {
        message: MessageView<'a>,
    },
    #[serde(rename_all = "camelCase")]
    Read {
        chat_id: ChatId,
        user_id: UserId,
        seq: Seq,
    },
    #[serde(rename_all = "camelCase")]
    Presence {
        user_id: UserId,
    },
}

impl Event {
    /// An event of the outbox; every retry has the same id.
    #[must_use]
    pub fn from_outbox(entry: &OutboxEntry, source: &str) -> Self {
        let payload = match &entry.event {
            OutboxEvent::UserCreated(user) => Payload::User { user: UserView::from(user) },
            OutboxEvent::ChatCreated(chat) => {
                Payload::Chat { chat: ChatView::new(chat, Role::Admin) }
            }
            OutboxEvent::MessageCreated(message) => {
                Payload::Message { message: MessageView::from(message) }
            }
            &OutboxEvent::MessageRead { chat_id, user_id, seq } => {
                Payload::Read { chat_id, user_id, seq }
            }
        };
        Self::new(entry.event_id.clone(), entry.event.name(), entry.at, source, payload)
    }

    /// A user's connection to this node, or disconnection.
    #[must_use]
    pub fn from_presence(change: PresenceChanged, at: Timestamp, source: &str) -> Self {
        let name = if change.online { "user.connected" } else { "user.disconnected" };
        let payload = Payload::Presence { user_id: change.user };
        Self::new(Uuid::new_v4().to_string(), name, at, source, payload)
    }

    fn new(
        id: String,
        name: &'static str,
        at: Timestamp,
        source: &str,
        payload: Payload<'_>,
    ) -> Self {
        let data = Data { id: &id, time: at, source, version: VERSION, payload };
        // Every key is a string, so this cannot fail.
        let body = serde_json::to_vec(&Body { pattern: name, data }).unwrap_or_else(|error| {
            log::error!("cannot encode {name} {id}: {error}");
            Vec::new()
        });
        Self { id, name, at, body }
    }
}

fn time<S: Serializer>(time: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(time)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::domain::{Author, Chat, ChatKind, Member, Message, MessageId, MessageKind, User};

    const AT: Timestamp = Timestamp(1_795_168_800_123_456);

    fn body(event: OutboxEvent) -> String {
        let entry = OutboxEntry { id: 3, event_id: "e-1".to_owned(), at: AT, event };
        let event = Event::from_outbox(&entry, "desk");
        assert_eq!((event.id.as_str(), event.at), ("e-1", AT));
        String::from_utf8(event.body).expect("UTF-8")
    }

    fn told(name: &str, payload: &str) -> String {
        format!(
            r#"{{"pattern":"{name}","data":{{"id":"e-1","time":"2026-11-20T10:00:00.123Z","source":"desk","version":1,"payload":{payload}}}}}"#
        )
    }

    fn message() -> Message {
        Message {
            id: MessageId(5),
            chat_id: ChatId(10),
            seq: Seq(2),
            kind: MessageKind::Text,
            author: Arc::new(Author { id: UserId(7), nickname: None, role: Role::Bot }),
            content: "say \"hi\"".to_owned(),
            client_id: "c-1".to_owned(),
            created_at: AT,
        }
    }

    #[test]
    fn a_message_is_told_as_sessions_see_it() {
        assert_eq!(
            body(OutboxEvent::MessageCreated(message())),
            told(
                "message.created",
                r#"{"message":{"id":5,"chatId":10,"seq":2,"kind":"text","author":{"id":7,"nickname":null,"role":"bot"},"message":"say \"hi\"","clientId":"c-1","createdAt":"2026-11-20T10:00:00.123Z"}}"#
            ),
        );
    }

    #[test]
    fn an_entry_of_a_kind_to_come_is_told_as_that_kind() {
        let kind = MessageKind::from("status".to_owned());
        let body = body(OutboxEvent::MessageCreated(Message { kind, ..message() }));
        assert!(body.contains(r#""seq":2,"kind":"status","author""#), "{body}");
    }

    #[test]
    fn a_chat_is_told_as_an_admin_sees_it() {
        let member = Member {
            id: UserId(7),
            nickname: None,
            role: Role::Customer,
            email: Some("a@example.org".to_owned()),
        };
        let chat = Chat {
            id: ChatId(10),
            kind: ChatKind::Support,
            title: None,
            last_seq: Seq(0),
            last_message: None,
            members: vec![member],
            is_large: false,
            created_at: AT,
            updated_at: AT,
        };
        let body = body(OutboxEvent::ChatCreated(chat));
        assert!(body.starts_with(r#"{"pattern":"chat.created","data":{"id":"e-1","#), "{body}");
        assert!(body.contains(r#""payload":{"chat":{"id":10,"kind":"support","#), "{body}");
        assert!(body.contains(r#""email":"a@example.org""#), "{body}");
    }

    #[test]
    fn a_user_is_told_as_an_admin_sees_them() {
        let user = User {
            id: UserId(7),
            issuer: "https://id.example.org".to_owned(),
            subject: "ann".to_owned(),
            role: Role::Customer,
            nickname: Some("Ann".to_owned()),
            email: None,
            blocked: false,
            block_reason: None,
            created_at: AT,
        };
        assert_eq!(
            body(OutboxEvent::UserCreated(user)),
            told(
                "user.created",
                r#"{"user":{"id":7,"issuer":"https://id.example.org","subject":"ann","role":"customer","nickname":"Ann","email":null,"blocked":false,"createdAt":"2026-11-20T10:00:00.123Z"}}"#
            ),
        );
    }

    #[test]
    fn a_mark_is_told_by_its_place() {
        let event =
            OutboxEvent::MessageRead { chat_id: ChatId(10), user_id: UserId(7), seq: Seq(2) };
        assert_eq!(body(event), told("message.read", r#"{"chatId":10,"userId":7,"seq":2}"#));
    }

    #[test]
    fn coming_and_going_are_events_of_their_own_with_new_ids() {
        let change = |online| PresenceChanged { user: UserId(7), online };
        let came = Event::from_presence(change(true), AT, "desk");
        let went = Event::from_presence(change(false), AT, "desk");
        assert_eq!((came.name, went.name), ("user.connected", "user.disconnected"));
        assert_ne!(came.id, went.id);
        let body = String::from_utf8(went.body).expect("UTF-8");
        assert!(body.ends_with(r#""version":1,"payload":{"userId":7}}}"#), "{body}");
    }
}
