//! Permits of what is on its way to the socket, given back as the connection takes the bytes.

use std::cell::RefCell;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_util::Stream;

use crate::session::Permit;

/// Permits of a session's unwritten events. Shared by the session's actor, which adds them, and the
/// [`Body`] of its response.
#[derive(Default)]
pub struct Unwritten(RefCell<Permits>);

#[derive(Default)]
struct Permits {
    /// Of events that are not encoded yet.
    queued: Option<Permit>,
    /// Of the chunk that the connection took last.
    taken: Option<Permit>,
}

impl Unwritten {
    /// Holds a permit until what was sent before is written.
    pub fn hold(&self, permit: Permit) {
        let queued = &mut self.0.borrow_mut().queued;
        match queued {
            Some(queued) => queued.join(permit),
            None => *queued = Some(permit),
        }
    }
}

/// The bytes of a response. The connection asks for the next chunk when its buffer has room again: the
/// last one is written then, but for what the buffer holds.
pub struct Body<S> {
    stream: S,
    unwritten: Rc<Unwritten>,
}

impl<S> Body<S> {
    #[must_use]
    pub fn new(stream: S, unwritten: Rc<Unwritten>) -> Self {
        Self { stream, unwritten }
    }
}

impl<S, E> Stream for Body<S>
where
    S: Stream<Item = Result<Bytes, E>> + Unpin,
{
    type Item = Result<Bytes, E>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        drop(self.unwritten.0.borrow_mut().taken.take());
        let chunk = Pin::new(&mut self.stream).poll_next(cx);
        let mut permits = self.unwritten.0.borrow_mut();
        let queued = permits.queued.take();
        if chunk.is_ready() {
            permits.taken = queued;
        }
        chunk
    }
}

#[cfg(test)]
mod tests {
    use futures_util::task::noop_waker;
    use futures_util::{StreamExt, stream};

    use super::*;
    use crate::session::Budget;

    #[test]
    fn a_permit_is_given_back_when_the_connection_asks_for_more() {
        let (budget, unwritten) = (Budget::new(4, 100), Rc::new(Unwritten::default()));
        let hold = || unwritten.hold(budget.take(1, 10).expect("room"));
        let chunks =
            stream::iter([Ok::<_, ()>(Bytes::from_static(b"frames"))]).chain(stream::pending());
        let mut body = Body::new(chunks, Rc::clone(&unwritten));
        let waker = noop_waker();
        let mut cx = Context::from_waker(&waker);
        hold();
        assert!(body.poll_next_unpin(&mut cx).is_ready());
        assert!(!budget.is_unused(), "the chunk waits in the connection's buffer");
        hold();
        assert!(body.poll_next_unpin(&mut cx).is_pending());
        assert!(budget.is_unused(), "nothing was encoded, or it is written");
    }
}
