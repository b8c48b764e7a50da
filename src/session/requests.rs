//! Requests that rooms have not answered: each one is answered once.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::domain::{ChatId, Receipt, Seq};
use crate::protocol::RequestId;

/// A session's open requests, in the order in which they came.
#[derive(Debug, Default)]
pub struct Requests {
    open: VecDeque<Request>,
    last_nonce: u64,
    bytes: usize,
}

/// An open request.
#[derive(Debug)]
pub struct Request {
    nonce: u64,
    /// The client's name of the request, where it wants an answer.
    pub id: Option<RequestId>,
    pub chat: ChatId,
    pub kind: Kind,
}

#[derive(Debug)]
pub enum Kind {
    Post {
        client_id: Arc<str>,
        /// The chat's end when the post was sent: a message up to there is another one, or the same
        /// one sent before.
        above: Seq,
        /// Bytes of its text.
        bytes: usize,
        /// It is in the log, and its ack waits for its place in the stream.
        stored: Option<Receipt>,
    },
    Mark {
        seq: Seq,
    },
}

impl Request {
    /// The receipt of a post whose ack waits for its place in the stream.
    #[must_use]
    pub fn stored(&self) -> Option<Receipt> {
        match self.kind {
            Kind::Post { stored, .. } => stored,
            Kind::Mark { .. } => None,
        }
    }

    fn bytes(&self) -> usize {
        match self.kind {
            Kind::Post { bytes, .. } => bytes,
            Kind::Mark { .. } => 0,
        }
    }
}

impl Requests {
    /// Opens a request; the number that its answer brings back.
    pub fn open(&mut self, id: Option<RequestId>, chat: ChatId, kind: Kind) -> u64 {
        self.last_nonce += 1;
        let request = Request { nonce: self.last_nonce, id, chat, kind };
        self.bytes += request.bytes();
        self.open.push_back(request);
        self.last_nonce
    }

    /// An open request by its number.
    #[must_use]
    pub fn get(&self, nonce: u64) -> Option<&Request> {
        self.open.iter().find(|request| request.nonce == nonce)
    }

    /// Closes a request that is answered.
    pub fn close(&mut self, nonce: u64) -> Option<Request> {
        self.close_first(|request| request.nonce == nonce)
    }

    /// Closes a post that was found in the log before its room could say so.
    pub fn close_found(&mut self, chat: ChatId, name: &str, seq: Seq) -> Option<Request> {
        self.close_first(|request| {
            request.chat == chat
                && matches!(&request.kind, Kind::Post { client_id, above, .. }
                    if **client_id == *name && seq > *above)
        })
    }

    /// Closes a chat's posts that are stored, and whose place in the stream will not come.
    pub fn close_stored(&mut self, chat: ChatId) -> Option<Request> {
        self.close_first(|request| request.chat == chat && request.stored().is_some())
    }

    /// Notes that a post is in the log; its ack follows at its place in the stream.
    pub fn stored(&mut self, nonce: u64, receipt: Receipt) {
        let request = self.open.iter_mut().find(|request| request.nonce == nonce);
        if let Some(Request { kind: Kind::Post { stored, .. }, .. }) = request {
            *stored = Some(receipt);
        }
    }

    #[must_use]
    pub fn len(&self) -> usize {
        self.open.len()
    }

    /// Bytes of text in the open requests.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    fn close_first(&mut self, is_meant: impl Fn(&Request) -> bool) -> Option<Request> {
        let at = self.open.iter().position(is_meant)?;
        let request = self.open.remove(at)?;
        self.bytes -= request.bytes();
        Some(request)
    }
}
