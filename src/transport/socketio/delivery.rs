//! Packets on their way to a client, over either transport.

use actix::prelude::*;
use bytestring::ByteString;

use crate::session::Permit;

/// Packets that were handed to a transport.
pub struct Batch {
    pub packets: Vec<ByteString>,
    pub delivery: Delivery,
}

/// Tells a connection what became of a batch: delivered, or dropped with whoever was to deliver it. The
/// permits of its events are given back then.
pub struct Delivery {
    /// Missing where the connection waits for nothing.
    connection: Option<Recipient<Delivered>>,
    #[expect(dead_code, reason = "held until it is dropped")]
    permits: Vec<Permit>,
    is_done: bool,
}

/// A batch has been delivered, or is lost.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Delivered {
    pub is_done: bool,
}

impl Delivery {
    #[must_use]
    pub fn new(connection: Recipient<Delivered>, permits: Vec<Permit>) -> Self {
        Self { connection: Some(connection), permits, is_done: false }
    }

    /// The delivery of a packet that no session has sent.
    #[must_use]
    pub fn of_nothing() -> Self {
        Self { connection: None, permits: Vec::new(), is_done: false }
    }

    /// The client's connection has taken it.
    pub fn done(mut self) {
        self.is_done = true;
    }
}

impl Drop for Delivery {
    fn drop(&mut self) {
        // Bounded: one batch of a connection is on its way at a time.
        if let Some(connection) = &self.connection {
            connection.do_send(Delivered { is_done: self.is_done });
        }
    }
}
