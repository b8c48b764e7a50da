//! The frames that the server sends, each encoded once, whoever it goes to.

use bytestring::ByteString;
use serde::Serialize;
use serde_json::value::RawValue;

use super::view::entered;
use super::{ApiError, ChatState, ChatView, Fields, MessageView, RequestId, Welcome};
use crate::domain::{Message, Seq};

/// An encoded text frame's payload: cheap to clone, shared by all that it goes to.
pub type Frame = ByteString;

#[derive(Serialize)]
struct Event<'a, T> {
    event: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<&'a RequestId>,
    data: T,
}

#[must_use]
pub fn welcome(welcome: &Welcome<'_>) -> Frame {
    encode("welcome", None, welcome)
}

#[must_use]
pub fn receive_message(message: &Message) -> Frame {
    encode("receive_message", None, MessageView::from(message))
}

#[must_use]
pub fn chat_created(chat: &ChatView<'_>) -> Frame {
    encode("chat_created", None, chat)
}

#[must_use]
pub fn chat_updated(chat: &ChatView<'_>) -> Frame {
    encode("chat_updated", None, chat)
}

/// The answer to a request that was done.
#[must_use]
pub fn ack(id: &RequestId, data: impl Serialize) -> Frame {
    encode("ack", Some(id), data)
}

/// The answer to `enter_chat`.
#[must_use]
pub fn ack_entered(id: &RequestId, states: &[ChatState]) -> Frame {
    ack(id, entered(states))
}

/// The longest name of an event that an exception repeats, in characters; a longer one is cut off.
const EVENT_CHARS: usize = 64;

/// The answer to a request that was refused. `event` is what was asked for, where that could be read.
#[must_use]
pub fn exception(id: Option<&RequestId>, event: Option<&str>, exception: &ApiError) -> Frame {
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
    encode("exception", id, wire)
}

/// Says why the server is about to close the session; with 0 the client is not to come back.
#[must_use]
pub fn goodbye(reason: &'static str, retry_after_ms: u64) -> Frame {
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Wire {
        reason: &'static str,
        retry_after_ms: u64,
    }
    encode("goodbye", None, Wire { reason, retry_after_ms })
}

/// What another service says to sessions, by its own name for it; `data` as it stands.
#[must_use]
pub fn pushed(event: &str, data: Option<&RawValue>) -> Frame {
    encode(event, None, data)
}

/// What another service answered to a session's event; the fields of `data` as they stand.
#[must_use]
pub fn recv(data: &Fields<'_>) -> Frame {
    format!(r#"{{"event":"recv","data":{{{data}}}}}"#).into()
}

fn encode(event: &str, id: Option<&RequestId>, data: impl Serialize) -> Frame {
    // A message's frame is its text and about 200 bytes; most texts are short.
    let mut text = Vec::with_capacity(384);
    match serde_json::to_writer(&mut text, &Event { event, id, data }) {
        // serde_json writes UTF-8 alone, so this copies nothing and cannot fail.
        Ok(()) => ByteString::try_from(text).unwrap_or_default(),
        Err(error) => {
            log::error!("cannot encode {event}: {error}");
            ByteString::from_static("")
        }
    }
}
