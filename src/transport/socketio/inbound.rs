//! Packets that a client has sent, taken one by one while the session that they are for can serve them.

use actix::prelude::*;
use bytestring::ByteString;
use tokio::sync::oneshot;

use super::socket::Source;
use crate::actors::Slot;
use crate::protocol::RequestId;

/// Between the packets of a body.
const SEPARATOR: u8 = 0x1e;

/// Packets from one of a connection's transports. It sends no more until these are taken.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Received {
    pub source: Source,
    pub packets: Packets,
    /// Told when they are taken; dropped where the connection ends before.
    pub taken: oneshot::Sender<()>,
}

pub enum Packets {
    /// A frame's text, or the body of a POST.
    Text(ByteString),
    /// A binary frame's size in bytes.
    Binary(usize),
}

/// Packets that were received, and are not taken yet.
pub struct Inbound {
    pub source: Source,
    rest: Option<Packets>,
    taken: Option<oneshot::Sender<()>>,
}

/// The next packet of a client.
pub enum Next {
    Text(ByteString),
    Binary(usize),
}

impl Inbound {
    #[must_use]
    pub fn new(Received { source, packets, taken }: Received) -> Self {
        Self { source, rest: Some(packets), taken: Some(taken) }
    }

    /// The next packet, which stays until it is [taken](Self::take).
    #[must_use]
    pub fn next(&self) -> Option<Next> {
        match self.rest.as_ref()? {
            Packets::Text(text) => Some(Next::Text(split(text, self.source).0)),
            Packets::Binary(bytes) => Some(Next::Binary(*bytes)),
        }
    }

    /// Takes the next packet. Its sender goes on once all are taken.
    pub fn take(&mut self) {
        self.rest = match self.rest.take() {
            Some(Packets::Text(text)) => split(&text, self.source).1.map(Packets::Text),
            _ => None,
        };
        if self.rest.is_none() {
            self.finish();
        }
    }

    /// Takes all that is left.
    pub fn finish(&mut self) {
        self.rest = None;
        if let Some(taken) = self.taken.take() {
            // Whoever waited for it may have gone.
            let _ = taken.send(());
        }
    }
}

/// The first packet of a text, and the others. A frame is one packet, whatever is in it.
fn split(text: &ByteString, source: Source) -> (ByteString, Option<ByteString>) {
    let at = (source == POST).then(|| text.bytes().position(|byte| byte == SEPARATOR)).flatten();
    match at.and_then(|at| Some((text.get(..at)?, text.get(at + 1..)?))) {
        Some((first, others)) => (text.slice_ref(first), Some(text.slice_ref(others))),
        None => (text.clone(), None),
    }
}

/// The source of POSTs.
pub const POST: Source = 0;

/// A request that came with binary attachments, which follow it.
pub struct Attachments {
    /// The session that is to hear of it; `None` where nobody is.
    pub request: Option<(Slot, Option<RequestId>, String)>,
    pub missing: usize,
    /// Bytes of them so far.
    pub bytes: usize,
}
