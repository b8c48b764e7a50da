//! Server events: everything that a session may be sent, in four classes, encoded once per codec.

use std::sync::{Arc, OnceLock};

use bytestring::ByteString;
use serde::{Serialize, Serializer};
use serde_json::value::RawValue;

use super::view::{LiveView, ViewersView, entered};
use super::{
    ApiError, ChatState, ChatView, Expires, MarkView, MessageView, ReceiptView, RequestId,
    ServerTime, Welcome,
};
use crate::domain::{
    Author, Chat, ChatId, LiveEvent, LiveState, Message, Origin, Receipt, Role, Seq, Sequenced,
    ShownChat, UserId,
};

/// An encoded text frame's payload: cheap to clone, shared by its receivers.
pub type Frame = ByteString;

/// A wire format of frames.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Codec {
    /// `frontdesk.v1.json`: `{"event", "id", "data"}`.
    V1,
    /// The rest of a packet of Socket.IO behind its header: `["event", data]`, and of an ack the `data`.
    SocketIo,
}

impl Codec {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::V1, Self::SocketIo];
}

/// An event for a session.
#[derive(Debug, Clone)]
pub enum ServerEvent {
    /// A message, which has a position. A session without room for it is closed and resumes.
    Logged(Posted),
    /// A state that a newer one with the same key replaces. It may be dropped.
    Ephemeral(EphemeralKey, Arc<Shared>),
    /// The one answer to a request.
    Answer(Answer),
    /// A fact about the session, or about chats. A session without room for it is closed.
    Control(Control),
}

/// The key of an ephemeral state: one for each kind, chat, and user where it is one's own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct EphemeralKey {
    pub event: &'static str,
    pub chat: ChatId,
    pub user: UserId,
}

/// The answer to a request.
#[derive(Debug, Clone)]
pub enum Answer {
    Ack(RequestId, AckData),
    Refusal {
        id: Option<RequestId>,
        /// The requested event, if it could be read.
        event: Option<Box<str>>,
        exception: Box<ApiError>,
    },
}

/// The `data` of an `ack`.
#[derive(Debug, Clone)]
pub enum AckData {
    /// An empty object.
    Done,
    Receipt {
        chat: ChatId,
        client_id: Arc<str>,
        receipt: Receipt,
        duplicate: bool,
    },
    Mark(MarkView),
    Entered(Vec<ChatState>),
    Chat {
        chat: Box<ShownChat>,
        viewer: Role,
    },
    Expires(Expires),
    ServerTime(ServerTime),
    /// A service's answer, passed through; `null` if it has no value.
    Service(Option<Box<RawValue>>),
}

/// Events that are neither messages nor answers.
#[derive(Debug, Clone)]
pub enum Control {
    Welcome(Box<Welcome>),
    /// The server is about to close the session; 0 tells the client to stay away.
    Goodbye {
        reason: &'static str,
        retry_after_ms: u64,
    },
    Shared(Arc<Shared>),
}

/// The names of the server's events.
pub const SERVER_EVENTS: [&str; 12] = [
    "ack",
    "chat_created",
    "chat_updated",
    "exception",
    "goodbye",
    "message_read",
    "presence",
    "receive_message",
    "recv",
    "typing",
    "viewers",
    "welcome",
];

/// One encoding per codec, made when it is first needed.
#[derive(Debug, Default)]
struct Encoded([OnceLock<Frame>; Codec::ALL.len()]);

impl Encoded {
    fn get(&self, codec: Codec, encode: impl FnOnce() -> Frame) -> Frame {
        match self.0.get(codec as usize) {
            Some(cell) => cell.get_or_init(encode).clone(),
            None => encode(),
        }
    }
}

/// A message in the log, for the sessions of its chat. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Posted(Arc<PostedParts>);

#[derive(Debug)]
struct PostedParts {
    message: Message,
    origin: Option<Origin>,
    encoded: Encoded,
}

impl Posted {
    /// Bytes of a message besides its texts.
    const OVERHEAD: usize = 256;

    /// A message, and its open request, if that was made on this node.
    #[must_use]
    pub fn new(message: Message, origin: Option<Origin>) -> Self {
        Self(Arc::new(PostedParts { message, origin, encoded: Encoded::default() }))
    }

    #[must_use]
    pub fn message(&self) -> &Message {
        &self.0.message
    }

    #[must_use]
    pub fn origin(&self) -> Option<Origin> {
        self.0.origin
    }

    #[must_use]
    pub fn receipt(&self) -> Receipt {
        let Message { id, seq, created_at, .. } = self.0.message;
        Receipt { id, seq, created_at }
    }

    /// Its frame for sessions that speak `codec`.
    #[must_use]
    pub fn frame(&self, codec: Codec) -> Frame {
        let PostedParts { message, encoded, .. } = &*self.0;
        encoded.get(codec, || encode(codec, "receive_message", None, MessageView::from(message)))
    }

    /// Bytes that the message takes while it waits for a session, roughly.
    #[must_use]
    pub fn weight(&self) -> usize {
        self.0.message.content.len() + self.0.message.client_id.len() + Self::OVERHEAD
    }
}

impl Sequenced for Posted {
    fn seq(&self) -> Seq {
        self.0.message.seq
    }
}

/// An event that goes to many sessions.
#[derive(Debug)]
pub struct Shared {
    event: SharedEvent,
    encoded: Encoded,
}

#[derive(Debug)]
pub enum SharedEvent {
    /// A new chat, as this role sees it.
    ChatCreated(Arc<Chat>, Role),
    ChatUpdated(Arc<Chat>),
    Live(LiveEvent),
    /// The admins who view a chat, for admins.
    Viewers(ChatId, Vec<Arc<Author>>),
    /// Another service's event, by its own name; `data` is passed through.
    Push(Push),
}

/// Another service's event for sessions. The name `recv` carries an answer.
#[derive(Debug, Clone, Serialize, serde::Deserialize)]
pub struct Push {
    pub event: Box<str>,
    pub data: Option<Box<RawValue>>,
}

impl Shared {
    #[must_use]
    pub fn new(event: SharedEvent) -> Arc<Self> {
        Arc::new(Self { event, encoded: Encoded::default() })
    }

    /// The live state that it tells.
    #[must_use]
    pub fn live(&self) -> Option<&LiveEvent> {
        match &self.event {
            SharedEvent::Live(event) => Some(event),
            _ => None,
        }
    }

    /// Bytes that the event takes while it waits for a session that speaks `codec`.
    #[must_use]
    pub fn weight(&self, codec: Codec) -> usize {
        self.frame(codec).len()
    }

    fn frame(&self, codec: Codec) -> Frame {
        self.encoded.get(codec, || match &self.event {
            SharedEvent::ChatCreated(chat, viewer) => {
                encode(codec, "chat_created", None, ChatView::new(chat, *viewer))
            }
            SharedEvent::ChatUpdated(chat) => {
                encode(codec, "chat_updated", None, ChatView::new(chat, Role::Admin))
            }
            SharedEvent::Live(event) => {
                encode(codec, live_name(event.state), None, LiveView::from(event))
            }
            SharedEvent::Viewers(chat, users) => {
                encode(codec, "viewers", None, ViewersView::new(*chat, users))
            }
            SharedEvent::Push(Push { event, data }) => encode(codec, event, None, data),
        })
    }
}

impl EphemeralKey {
    /// The key of a chat's viewers.
    #[must_use]
    pub fn viewers(chat: ChatId) -> Self {
        Self { event: "viewers", chat, user: UserId(0) }
    }
}

impl From<&LiveEvent> for EphemeralKey {
    fn from(event: &LiveEvent) -> Self {
        Self { event: live_name(event.state), chat: event.chat, user: event.user }
    }
}

fn live_name(state: LiveState) -> &'static str {
    match state {
        LiveState::Typing(_) => "typing",
        LiveState::Read(_) => "message_read",
        LiveState::Online(_) => "presence",
    }
}

impl ServerEvent {
    /// The frame for a session that speaks `codec`.
    #[must_use]
    pub fn frame(&self, codec: Codec) -> Frame {
        match self {
            Self::Logged(posted) => posted.frame(codec),
            Self::Ephemeral(_, shared) | Self::Control(Control::Shared(shared)) => {
                shared.frame(codec)
            }
            Self::Answer(Answer::Ack(id, data)) => ack(codec, id, data),
            Self::Answer(Answer::Refusal { id, event, exception }) => {
                refusal(codec, id.as_ref(), event.as_deref(), exception)
            }
            Self::Control(Control::Welcome(welcome)) => encode(codec, "welcome", None, welcome),
            Self::Control(Control::Goodbye { reason, retry_after_ms }) => {
                goodbye(codec, reason, *retry_after_ms)
            }
        }
    }
}

impl Serialize for AckData {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Done {}

        match self {
            Self::Done => Done {}.serialize(serializer),
            Self::Receipt { chat, client_id, receipt, duplicate } => {
                ReceiptView::new(*chat, client_id, *receipt, *duplicate).serialize(serializer)
            }
            Self::Mark(mark) => mark.serialize(serializer),
            Self::Entered(states) => entered(states).serialize(serializer),
            Self::Chat { chat, viewer } => ChatView::shown(chat, *viewer).serialize(serializer),
            Self::Expires(expires) => expires.serialize(serializer),
            Self::ServerTime(time) => time.serialize(serializer),
            Self::Service(value) => value.serialize(serializer),
        }
    }
}

/// The frame of another service's event, by its own name; `data` is passed through.
#[must_use]
pub fn pushed(event: &str, data: Option<&RawValue>) -> Frame {
    encode(Codec::V1, event, None, data)
}

/// The frame of another service's answer to a session's event; the fields of `data` are passed
/// through.
#[must_use]
pub fn recv(data: &super::Fields<'_>) -> Frame {
    format!(r#"{{"event":"recv","data":{{{data}}}}}"#).into()
}

/// The longest name of an event that an exception repeats, in characters; a longer one is cut off.
const EVENT_CHARS: usize = 64;

fn refusal(
    codec: Codec,
    id: Option<&RequestId>,
    event: Option<&str>,
    exception: &ApiError,
) -> Frame {
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Wire<'a> {
        status: &'static str,
        code: &'static str,
        message: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        event: Option<&'a str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        last_seq: Option<Seq>,
        #[serde(skip_serializing_if = "Option::is_none")]
        retry_after_ms: Option<u64>,
    }
    let wire = Wire {
        status: "error",
        code: exception.code.as_str(),
        message: &exception.message,
        event: event.map(|event| match event.char_indices().nth(EVENT_CHARS) {
            Some((end, _)) => event.get(..end).unwrap_or_default(),
            None => event,
        }),
        last_seq: exception.last_seq,
        retry_after_ms: exception.retry_after_ms,
    };
    encode(codec, "exception", id, wire)
}

fn goodbye(codec: Codec, reason: &'static str, retry_after_ms: u64) -> Frame {
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Wire {
        reason: &'static str,
        retry_after_ms: u64,
    }
    encode(codec, "goodbye", None, Wire { reason, retry_after_ms })
}

fn ack(codec: Codec, id: &RequestId, data: &AckData) -> Frame {
    match codec {
        Codec::V1 => encode(codec, "ack", Some(id), data),
        Codec::SocketIo => text("ack", data),
    }
}

fn encode(codec: Codec, event: &str, id: Option<&RequestId>, data: impl Serialize) -> Frame {
    #[derive(Serialize)]
    struct Envelope<'a, T> {
        event: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        id: Option<&'a RequestId>,
        data: T,
    }
    match codec {
        Codec::V1 => text(event, &Envelope { event, id, data }),
        // The id of a request is in the header of its ack.
        Codec::SocketIo => text(event, &(event, data)),
    }
}

fn text(event: &str, value: &impl Serialize) -> Frame {
    // A message's frame is its text and about 200 bytes; most texts are short.
    let mut text = Vec::with_capacity(384);
    match serde_json::to_writer(&mut text, value) {
        // serde_json writes UTF-8 alone, so this copies nothing and cannot fail.
        Ok(()) => ByteString::try_from(text).unwrap_or_default(),
        Err(error) => {
            log::error!("cannot encode {event}: {error}");
            ByteString::from_static("")
        }
    }
}
