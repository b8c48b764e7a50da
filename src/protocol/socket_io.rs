//! Socket.IO 5: packets inside of Engine.IO's messages.
//!
//! JSON stays a slice of its packet: what a client nests deeply is never walked by recursion.

use std::borrow::Cow;
use std::fmt;

use bytestring::ByteString;
use serde::Deserialize;
use serde::de::{Deserializer, Error, IgnoredAny, SeqAccess, Visitor};
use serde_json::Value;
use serde_json::value::RawValue;

use super::RequestId;
use super::engine_io::MalformedPacket;
use crate::domain::SOCKETIO_EVENTS;

/// The namespace of packets that name none.
const DEFAULT_NAMESPACE: &str = "/";
/// The largest number of attachments of a packet.
pub const ATTACHMENTS_MAX: usize = 10;
/// The largest id of an event: 2⁵³, up to which a client's numbers are exact.
const ID_MAX: i64 = 1 << 53;

/// A packet of a client.
#[derive(Debug)]
pub struct SocketPacket<'a> {
    pub namespace: &'a str,
    pub kind: PacketKind<'a>,
}

#[derive(Debug)]
pub enum PacketKind<'a> {
    /// With an object, or without.
    Connect(Option<&'a RawValue>),
    Disconnect,
    Event {
        id: Option<RequestId>,
        event: Cow<'a, str>,
        /// The first argument.
        data: Option<&'a RawValue>,
        /// Number of arguments behind the first.
        more: usize,
    },
    /// An answer to the server, which asks for none.
    Ack,
    /// The head of a packet with binary attachments, which follow as messages of their own.
    Binary {
        attachments: usize,
        id: Option<RequestId>,
        /// Missing in an answer.
        event: Option<Cow<'a, str>>,
    },
}

/// Parses an Engine.IO message.
///
/// # Errors
/// Anything that a client's library does not write: the reason says what.
pub fn parse(text: &str) -> Result<SocketPacket<'_>, MalformedPacket> {
    let mut rest = text.chars();
    let kind = rest.next().ok_or(MalformedPacket("a packet without a type"))?;
    let rest = rest.as_str();
    match kind {
        '0' => {
            let (namespace, payload) = namespace(rest);
            Ok(SocketPacket { namespace, kind: PacketKind::Connect(object(payload)?) })
        }
        '1' => match namespace(rest) {
            (namespace, "") => Ok(SocketPacket { namespace, kind: PacketKind::Disconnect }),
            _ => Err(MalformedPacket("a DISCONNECT with a payload")),
        },
        '2' => {
            let (namespace, id, payload) = header(rest)?;
            let Arguments { event, data, more } = Arguments::parse(payload)?;
            Ok(SocketPacket { namespace, kind: PacketKind::Event { id, event, data, more } })
        }
        '3' => {
            let (namespace, ..) = answer(rest)?;
            Ok(SocketPacket { namespace, kind: PacketKind::Ack })
        }
        '4' => Err(MalformedPacket("a CONNECT_ERROR from a client")),
        '5' => {
            let (attachments, rest) = attachments(rest)?;
            let (namespace, id, payload) = header(rest)?;
            let event = Some(Arguments::parse(payload)?.event);
            Ok(SocketPacket { namespace, kind: PacketKind::Binary { attachments, id, event } })
        }
        '6' => {
            let (attachments, rest) = attachments(rest)?;
            let (namespace, id) = answer(rest)?;
            let id = Some(id);
            Ok(SocketPacket {
                namespace,
                kind: PacketKind::Binary { attachments, id, event: None },
            })
        }
        _ => Err(MalformedPacket("an unknown type of packet")),
    }
}

/// The namespace, and the rest behind it.
fn namespace(text: &str) -> (&str, &str) {
    if text.starts_with('/') {
        text.split_once(',').unwrap_or((text, ""))
    } else {
        (DEFAULT_NAMESPACE, text)
    }
}

/// Leading digits, and the rest behind them.
fn digits(text: &str) -> (&str, &str) {
    let end = text.bytes().take_while(u8::is_ascii_digit).count();
    text.split_at_checked(end).unwrap_or((text, ""))
}

/// The namespace, the id and the payload.
fn header(text: &str) -> Result<(&str, Option<RequestId>, &str), MalformedPacket> {
    let (namespace, rest) = namespace(text);
    let (id, payload) = digits(rest);
    if id.is_empty() {
        return Ok((namespace, None, payload));
    }
    let number = id.parse().ok().filter(|number| *number <= ID_MAX);
    let number = number.ok_or(MalformedPacket("an id above 2^53"))?;
    Ok((namespace, Some(RequestId::Number(number)), payload))
}

/// The namespace and the id of an answer, whose arguments are checked.
fn answer(text: &str) -> Result<(&str, RequestId), MalformedPacket> {
    let (namespace, id, payload) = header(text)?;
    let id = id.ok_or(MalformedPacket("an ACK without an id"))?;
    match json(payload)? {
        Some(payload) if payload.get().starts_with('[') => Ok((namespace, id)),
        _ => Err(MalformedPacket("an ACK whose payload is not an array")),
    }
}

/// The number of attachments, and the rest behind its hyphen.
fn attachments(text: &str) -> Result<(usize, &str), MalformedPacket> {
    let (number, rest) = digits(text);
    let rest = rest.strip_prefix('-').filter(|_| !number.is_empty());
    let rest = rest.ok_or(MalformedPacket("a binary packet without a number of attachments"))?;
    let number = number.parse().ok().filter(|number| (1..=ATTACHMENTS_MAX).contains(number));
    Ok((number.ok_or(MalformedPacket("a binary packet with 0 or more than 10 attachments"))?, rest))
}

/// A payload, unparsed; `None` if it is missing.
fn json(payload: &str) -> Result<Option<&RawValue>, MalformedPacket> {
    if payload.is_empty() {
        return Ok(None);
    }
    serde_json::from_str(payload)
        .map(Some)
        .map_err(|_| MalformedPacket("a payload that is not JSON"))
}

fn object(payload: &str) -> Result<Option<&RawValue>, MalformedPacket> {
    match json(payload)? {
        Some(value) if !value.get().starts_with('{') => {
            Err(MalformedPacket("a CONNECT whose payload is not an object"))
        }
        value => Ok(value),
    }
}

/// The payload of an event: its name, and its arguments.
struct Arguments<'a> {
    event: Cow<'a, str>,
    data: Option<&'a RawValue>,
    more: usize,
}

impl<'a> Arguments<'a> {
    fn parse(payload: &'a str) -> Result<Self, MalformedPacket> {
        let arguments: Self = serde_json::from_str(payload).map_err(|_| explain(payload))?;
        match &*arguments.event {
            event if SOCKETIO_EVENTS.contains(&event) => {
                Err(MalformedPacket("an event with a reserved name"))
            }
            _ => Ok(arguments),
        }
    }
}

/// Parses the payload of a refused event again, slowly, for the reason.
fn explain(payload: &str) -> MalformedPacket {
    match json(payload) {
        Err(malformed) => malformed,
        Ok(None) => MalformedPacket("an event without a payload"),
        Ok(Some(value)) if value.get().starts_with('[') => {
            MalformedPacket("an event whose first element is not its name, a text")
        }
        Ok(Some(_)) => MalformedPacket("an event whose payload is not an array"),
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Arguments<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Read;

        /// A text, with or without escapes.
        #[derive(Deserialize)]
        struct Name<'a>(#[serde(borrow)] Cow<'a, str>);

        impl<'de> Visitor<'de> for Read {
            type Value = Arguments<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an array with an event's name")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self::Value, A::Error> {
                let name = items.next_element()?;
                let Name(event) = name.ok_or_else(|| A::Error::invalid_length(0, &self))?;
                let data = items.next_element()?;
                let mut more = 0;
                while items.next_element::<IgnoredAny>()?.is_some() {
                    more += 1;
                }
                Ok(Arguments { event, data, more })
            }
        }

        deserializer.deserialize_seq(Read)
    }
}

/// A namespace, as packets name it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Namespace {
    name: Box<str>,
    /// The name with its comma; empty for the default one.
    prefix: Box<str>,
}

impl Namespace {
    /// A namespace by its name, which begins with a slash and has no comma.
    #[must_use]
    pub fn new(name: &str) -> Self {
        Self { name: name.into(), prefix: prefix(name).into() }
    }

    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }
}

fn prefix(namespace: &str) -> Cow<'_, str> {
    match namespace {
        DEFAULT_NAMESPACE => Cow::Borrowed(""),
        name => Cow::Owned(format!("{name},")),
    }
}

/// An event. `body` is the JSON array of its name and its argument.
#[must_use]
pub fn event(namespace: &Namespace, body: &str) -> ByteString {
    concat(&["42", &namespace.prefix, body])
}

/// An event, with its offset as a further argument: a text, which the client gives back.
#[must_use]
pub fn event_at(namespace: &Namespace, body: &str, offset: u64) -> ByteString {
    let open = body.strip_suffix(']').unwrap_or(body);
    concat(&["42", &namespace.prefix, open, ",\"", &offset.to_string(), "\"]"])
}

/// The answer to the event with this id. `body` is the JSON of the one value.
#[must_use]
pub fn ack(namespace: &Namespace, id: i64, body: &str) -> ByteString {
    concat(&["43", &namespace.prefix, &id.to_string(), "[", body, "]"])
}

/// The answer to a CONNECT that is accepted. With a `pid` the client may recover the session.
#[must_use]
pub fn connected(namespace: &Namespace, sid: &str, pid: Option<&str>) -> ByteString {
    let (sid, prefix) = (Value::from(sid), &namespace.prefix);
    match pid.map(Value::from) {
        Some(pid) => format!(r#"40{prefix}{{"sid":{sid},"pid":{pid}}}"#).into(),
        None => format!(r#"40{prefix}{{"sid":{sid}}}"#).into(),
    }
}

/// The answer to a CONNECT that is refused, to whatever namespace. `data` is JSON.
#[must_use]
pub fn connect_error(namespace: &str, message: &str, data: Option<&str>) -> ByteString {
    let (prefix, message) = (prefix(namespace), Value::from(message));
    match data {
        Some(data) => format!(r#"44{prefix}{{"message":{message},"data":{data}}}"#).into(),
        None => format!(r#"44{prefix}{{"message":{message}}}"#).into(),
    }
}

/// The end of a session in a namespace, whose client does not come back by itself.
#[must_use]
pub fn disconnect(namespace: &Namespace) -> ByteString {
    concat(&["41", &namespace.prefix])
}

/// One allocation of the exact size: the parts of an event are large, and many.
fn concat(parts: &[&str]) -> ByteString {
    parts.concat().into()
}

#[cfg(test)]
#[path = "socket_io_tests.rs"]
mod tests;
