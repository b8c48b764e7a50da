//! Long-polling: a GET that waits for packets, and POSTs that bring some.

use std::pin::Pin;
use std::task::{Context, Poll as TaskPoll};

use actix::prelude::*;
use bytes::Bytes;
use futures_util::Stream;
use tokio::sync::oneshot;

use super::delivery::{Batch, Delivery};
use crate::protocol::engine_io::{Refusal, join};

/// A GET waits for packets. The `Authorization` is the request's own.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Poll {
    pub authorization: Option<String>,
    pub reply: oneshot::Sender<Result<Batch, Refusal>>,
}

/// A POST begins: its body is read next.
#[derive(Message)]
#[rtype(result = "Result<(), Refusal>")]
pub struct Posting {
    pub authorization: Option<String>,
}

/// A request has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Message)]
#[rtype(result = "()")]
pub enum RequestEnded {
    /// The client of a GET that waited is gone.
    PollGone,
    /// The client of a POST is gone, or its body was refused.
    PostGone,
    /// The packets of a POST are taken.
    PostTaken,
}

/// Watch over a request that waits: dropped before it was served, it says that the client is gone.
pub struct Waiting {
    connection: Recipient<RequestEnded>,
    /// Told when the watch ends.
    ended: Option<RequestEnded>,
}

impl Waiting {
    /// A watch over a GET.
    #[must_use]
    pub fn for_packets(connection: Recipient<RequestEnded>) -> Self {
        Self { connection, ended: Some(RequestEnded::PollGone) }
    }

    /// A watch over a POST.
    #[must_use]
    pub fn for_a_post(connection: Recipient<RequestEnded>) -> Self {
        Self { connection, ended: Some(RequestEnded::PostGone) }
    }

    /// Ends the watch: the request has been served.
    pub fn served(mut self) {
        let is_post = self.ended == Some(RequestEnded::PostGone);
        self.ended = is_post.then_some(RequestEnded::PostTaken);
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        if let Some(ended) = self.ended {
            // Bounded: one GET and one POST of a connection at a time.
            self.connection.do_send(ended);
        }
    }
}

/// The body of a GET's answer.
pub struct PollBody {
    text: Option<Bytes>,
    delivery: Option<Delivery>,
}

impl PollBody {
    /// The packets of a batch in one text, and its length.
    #[must_use]
    pub fn new(Batch { packets, delivery }: Batch) -> (Self, u64) {
        let text = join(packets.iter().map(|packet| &**packet));
        let length = text.len() as u64;
        (Self { text: Some(text.into()), delivery: Some(delivery) }, length)
    }
}

impl Stream for PollBody {
    type Item = Result<Bytes, std::convert::Infallible>;

    fn poll_next(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> TaskPoll<Option<Self::Item>> {
        let text = self.text.take();
        // Asked for more, the connection has taken the text.
        if text.is_none()
            && let Some(delivery) = self.delivery.take()
        {
            delivery.done();
        }
        TaskPoll::Ready(text.map(Ok))
    }
}
