//! TCP connections: detection of dead peers, and draining of refused requests' bodies.

use std::any::Any;
use std::cell::RefCell;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use actix_tls::accept::rustls_0_23::TlsStream;
use actix_web::body::MessageBody;
use actix_web::dev::{Payload, ServiceRequest, ServiceResponse};
use actix_web::error::PayloadError;
use actix_web::http::header;
use actix_web::middleware::Next;
use actix_web::rt::net::TcpStream;
use actix_web::rt::time::timeout;
use actix_web::{Error, HttpMessage};
use bytes::Bytes;
use futures_util::{Stream, StreamExt};
use socket2::{SockRef, TcpKeepalive};

/// Bytes of a refused request's body that are read before the answer, and the deadline.
const DRAIN_BYTES: usize = 1 << 20;
const DRAIN_TIME: Duration = Duration::from_secs(1);
/// Probes that a silent peer may leave unanswered.
const PROBES: u32 = 3;

/// The TCP connection, with TLS over it or without.
#[must_use]
pub fn tcp_stream(connection: &dyn Any) -> Option<&TcpStream> {
    let plain = connection.downcast_ref::<TcpStream>();
    plain.or_else(|| Some(connection.downcast_ref::<TlsStream<TcpStream>>()?.get_ref().0))
}

/// Makes the kernel end a connection whose peer has vanished: one that acknowledges nothing for two
/// heartbeats, with data in flight (`TCP_USER_TIMEOUT`) or without (keepalive).
///
/// # Errors
/// The socket does not take the options.
pub fn watch_peer(stream: &TcpStream, heartbeat: Duration) -> io::Result<()> {
    let socket = SockRef::from(stream);
    socket.set_tcp_user_timeout(Some(heartbeat.saturating_mul(2)))?;
    // The kernel counts these in whole seconds.
    let second = Duration::from_secs(1);
    let keepalive = TcpKeepalive::new()
        .with_time(heartbeat.max(second))
        .with_interval((heartbeat / PROBES).max(second))
        .with_retries(PROBES);
    socket.set_tcp_keepalive(&keepalive)
}

/// The middleware that drains a refused request's body, within bounds, before the answer. The
/// connection is closed behind such an answer, and closing one with unread bytes resets it: the
/// client might never see the refusal.
///
/// # Errors
/// The inner service's errors.
pub async fn drain<B: MessageBody>(
    mut request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<B>, Error> {
    let headers = request.headers();
    let has_body = headers.contains_key(header::TRANSFER_ENCODING)
        || headers.get(header::CONTENT_LENGTH).is_some_and(|length| length != "0");
    if !has_body || headers.contains_key(header::UPGRADE) {
        return next.call(request).await;
    }
    let body = Body(Rc::new(RefCell::new(request.take_payload())));
    request.set_payload(Payload::Stream { payload: Box::pin(body.clone()) });
    let response = next.call(request).await?;
    if response.status().as_u16() >= 400 {
        // A client that sends more, or more slowly, may see a reset.
        let _ = timeout(DRAIN_TIME, body.read_up_to(DRAIN_BYTES)).await;
    }
    Ok(response)
}

/// A request's body, shared with the handler that reads it.
#[derive(Clone)]
struct Body(Rc<RefCell<Payload>>);

impl Body {
    async fn read_up_to(mut self, most: usize) {
        let mut left = most;
        while let Some(Ok(chunk)) = self.next().await
            && chunk.len() <= left
        {
            left -= chunk.len();
        }
    }
}

impl Stream for Body {
    type Item = Result<Bytes, PayloadError>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        Pin::new(&mut *self.0.borrow_mut()).poll_next(cx)
    }
}

#[cfg(test)]
mod tests {
    use actix_web::rt::net::TcpStream;

    use super::*;

    #[actix_web::test]
    async fn a_silent_peer_is_probed_within_a_heartbeat() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address");
        for (heartbeat, probed) in [(25_000, 25), (10, 1)] {
            let stream = TcpStream::connect(address).await.expect("a connection");
            let heartbeat = Duration::from_millis(heartbeat);
            watch_peer(&stream, heartbeat).expect("options");
            let socket = SockRef::from(&stream);
            assert!(socket.keepalive().expect("an option"));
            let (time, retries) = (socket.tcp_keepalive_time(), socket.tcp_keepalive_retries());
            assert_eq!(time.expect("an option"), Duration::from_secs(probed));
            assert_eq!(retries.expect("an option"), PROBES);
            assert_eq!(socket.tcp_user_timeout().expect("an option"), Some(heartbeat * 2));
        }
    }
}
