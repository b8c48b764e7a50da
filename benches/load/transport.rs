//! Texts on the wire, of both sides: envelopes over `/ws`, or Socket.IO's packets in the namespace
//! `/`. Taken apart by place, so that a client costs the same with either.

use std::fmt;
use std::net::SocketAddr;

use anyhow::{Context, Result};
use clap::ValueEnum;
use serde::Serialize;

use crate::event::{self, Event};

/// The transport of a run's sessions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Transport {
    /// Envelopes over `/ws`.
    #[default]
    Ws,
    /// Socket.IO over a WebSocket from the start.
    Socketio,
    /// Socket.IO over long polling, without the upgrade. Its floor is that of `socketio`.
    Polling,
}

/// A server's address, and the transport of sessions there.
#[derive(Clone, Copy)]
pub struct Door {
    pub address: SocketAddr,
    pub transport: Transport,
}

/// A session to be opened: its token, and what it asks for.
#[derive(Clone, Default)]
pub struct Visit {
    pub token: String,
    /// A chat whose messages were all missed.
    pub missed: Option<i64>,
    /// For the bare peer.
    pub query: String,
}

/// The kinds of texts from a server.
pub enum Kind {
    /// To be read as an [`Event`].
    Event,
    /// To be answered with [`PONG`].
    Ping,
    /// Of the connection itself.
    Other,
    /// The session or its connection is refused or over.
    End,
}

/// The answer to a ping of Engine.IO.
pub const PONG: &str = "3";
/// Leaves the namespace.
pub const LEAVE: &str = "41";
/// Ends a connection that has no WebSocket to close.
pub const CLOSE: &str = "1";
/// The first packet, for the bare peer; a server's has more.
pub const OPEN: &str = r#"0{"sid":"bare","upgrades":[]}"#;
/// The bare peer's consent to any token.
pub const CONNECTED: &str = r#"40{"sid":"bare"}"#;
/// Between the packets of one body.
pub const SEPARATOR: u8 = 0x1e;

impl Visit {
    /// With nothing but a token.
    pub fn of(token: String) -> Self {
        Self { token, ..Self::default() }
    }
}

impl fmt::Display for Transport {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(match self {
            Self::Ws => "ws",
            Self::Socketio => "socketio",
            Self::Polling => "polling",
        })
    }
}

/// The client's side.
impl Transport {
    /// The target of the first request.
    pub fn path(self, visit: &Visit) -> String {
        let path = match self {
            Self::Ws => "/ws?",
            Self::Socketio => "/socket.io/?EIO=4&transport=websocket&",
            Self::Polling => "/socket.io/?EIO=4&transport=polling&",
        };
        let resume = match (self, visit.missed) {
            (Self::Ws, Some(chat)) => format!("resume={chat}:0"),
            _ => String::new(),
        };
        let path = format!("{path}{}{resume}", visit.query);
        path.trim_end_matches(['?', '&']).to_owned()
    }

    /// The packet that shows the token, behind the server's first one. An upgrade to `/ws` has
    /// shown it already.
    pub fn hello(self, visit: &Visit) -> Option<String> {
        if self == Self::Ws {
            return None;
        }
        let resume = visit.missed.map_or(String::new(), |chat| {
            format!(r#","resume":[{{"chatId":{chat},"afterSeq":0}}]"#)
        });
        Some(format!(r#"40{{"token":"{}"{resume}}}"#, visit.token))
    }

    /// A request that wants an ack.
    pub fn request(self, event: &str, id: usize, data: &str) -> String {
        match self {
            Self::Ws => format!(r#"{{"event":"{event}","id":{id},"data":{data}}}"#),
            Self::Socketio | Self::Polling => format!(r#"42{id}["{event}",{data}]"#),
        }
    }

    /// The kind of a text.
    pub fn kind(self, text: &[u8]) -> Kind {
        match (self, text) {
            (Self::Ws, _) | (_, [b'4', b'2' | b'3', ..]) => Kind::Event,
            (_, b"2") => Kind::Ping,
            (_, [b'0' | b'6', ..] | [b'4', b'0', ..]) => Kind::Other,
            _ => Kind::End,
        }
    }

    /// Reads an event or an answer.
    pub fn event(self, text: &[u8]) -> Result<Event<'_>> {
        match self {
            Self::Ws => event::parse(text),
            Self::Socketio | Self::Polling => packet(str::from_utf8(text)?),
        }
    }
}

/// `42["event",DATA]` or `43ID[DATA]`. A refusal is an answer, too, and has a code.
fn packet(text: &str) -> Result<Event<'_>> {
    let read = || {
        let (head, arguments) = text.split_once('[')?;
        let arguments = arguments.strip_suffix(']')?;
        if head.starts_with("43") {
            return Some((None, arguments));
        }
        let (name, data) = arguments.strip_prefix('"')?.split_once("\",")?;
        Some((Some(name), data))
    };
    let (name, data) = read().with_context(|| format!("not a packet of one argument: {text}"))?;
    let data: event::Data = event::parse(data.as_bytes())?;
    let answer = if data.code.is_empty() { "ack" } else { "exception" };
    Ok(Event { event: name.unwrap_or(answer), data })
}

/// The side of the bare peer, which reads no JSON.
impl Transport {
    /// The id of a request, and the fields of its data behind the first.
    pub fn said(self, text: &str) -> Option<(&str, &str)> {
        let (id, data, end) = match self {
            Self::Ws => {
                let (_, rest) = text.split_once(r#""id":"#)?;
                let (id, data) = rest.split_once(r#","data":{"#)?;
                (id, data, "}}")
            }
            Self::Socketio | Self::Polling => {
                let (id, arguments) = text.strip_prefix("42")?.split_once('[')?;
                (id, arguments.split_once(",{")?.1, "}]")
            }
        };
        Some((id, data.split_once(',')?.1.strip_suffix(end)?))
    }

    /// An event.
    pub fn told(self, event: &str, data: &str) -> String {
        match self {
            Self::Ws => format!(r#"{{"event":"{event}","data":{data}}}"#),
            Self::Socketio | Self::Polling => format!(r#"42["{event}",{data}]"#),
        }
    }

    /// The answer to a request.
    pub fn ack(self, id: &str, data: fmt::Arguments) -> String {
        match self {
            Self::Ws => format!(r#"{{"event":"ack","id":{id},"data":{data}}}"#),
            Self::Socketio | Self::Polling => format!("43{id}[{data}]"),
        }
    }
}
