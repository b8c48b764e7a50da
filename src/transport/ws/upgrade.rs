//! Upgrade of a request to a WebSocket with a session.

use std::net::IpAddr;
use std::rc::Rc;
use std::sync::Arc;

use actix_http::ws::Codec;
use actix_web::error::PayloadError;
use actix_web::{HttpRequest, HttpResponse};
use actix_web_actors::ws::{HandshakeError, WebsocketContext, handshake_with_protocols};
use bytes::Bytes;
use futures_util::Stream;

use super::WsSession;
use super::unwritten::{Body, Unwritten};
use crate::app::{AppState, HandshakePermit};
use crate::domain::SessionId;
use crate::protocol::Entry;
use crate::session::{Admitted, Session};
use crate::transport::clock::SessionClock;
use crate::transport::host::Hosted;
use crate::transport::liveness::Liveness;
use crate::transport::websocket::{Fragments, FrameReader, Reading};

/// The subprotocol that is selected where it is offered.
pub const SUBPROTOCOL: &str = "frontdesk.v1.json";

/// The beginning of a session.
pub enum Handshake {
    /// The upgrade request had a token.
    Authenticated(Box<Admitted>),
    /// The first frame must have one. The URL may have named chats to go on with.
    Unauthenticated(HandshakePermit, Vec<Entry>),
}

/// Starts a session on the connection of `request`, whose further bytes are `payload`.
///
/// # Errors
/// A request that is not a WebSocket upgrade.
pub fn start(
    request: &HttpRequest,
    payload: impl Stream<Item = Result<Bytes, PayloadError>> + Unpin + 'static,
    app: AppState,
    clock: Rc<SessionClock>,
    handshake: Handshake,
    client: Option<IpAddr>,
) -> Result<HttpResponse, HandshakeError> {
    let mut response = handshake_with_protocols(request, &[SUBPROTOCOL])?;
    let most = app.limits().frame_bytes;
    let (id, config) = (SessionId::on_node(app.node()), Arc::clone(app.sessions()));
    if let Some(client) = client {
        log::debug!("session {id} is of the client at {client}");
    }
    let (session, admitted, permit) = match handshake {
        Handshake::Authenticated(admitted) => {
            (Session::authenticating(id, config), Some(admitted), None)
        }
        Handshake::Unauthenticated(permit, resume) => {
            (Session::unauthenticated(id, config, resume), None, Some(permit))
        }
    };
    let reading = Reading::new(session.accepts_frames());
    let unwritten = Rc::new(Unwritten::default());
    let payload = FrameReader::new(payload, Rc::clone(&reading), most);
    let actor = WsSession {
        hosted: Hosted::new(session, app),
        admitted,
        permit,
        clock,
        clock_key: None,
        liveness: Liveness::default(),
        fragments: Fragments::new(most),
        reading,
        unwritten: Rc::clone(&unwritten),
    };
    let frames = WebsocketContext::with_codec(actor, payload, Codec::new().max_size(most));
    Ok(response.streaming(Body::new(frames, unwritten)))
}
