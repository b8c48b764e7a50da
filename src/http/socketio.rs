//! `/socket.io/`: Engine.IO sessions, by long-polling and by WebSocket.

use std::rc::Rc;
use std::sync::Arc;

use actix::prelude::*;
use actix_http::ws::hash_key;
use actix_web::body::SizedStream;
use actix_web::http::header::{self, HeaderValue};
use actix_web::http::{Method, StatusCode};
use actix_web::{HttpRequest, HttpResponse, HttpResponseBuilder, web};
use futures_util::StreamExt;
use tokio::sync::oneshot;
use tokio::time::timeout;

use super::State;
use super::query::Query;
use super::upgrade::{check_handshake, subprotocols};
use crate::app::HandshakePermit;
use crate::protocol::engine_io::Refusal;
use crate::transport::socketio::{
    Add, ConnectionParts, Directory, Find, POST, Packets, Poll, PollBody, Posting, Received,
    Recoveries, Sid, SocketEnds, SocketIoConfig, SocketIoConnection, Upgrade, Waiting, new_sid,
};

/// The Socket.IO front of a node.
pub struct SocketIo {
    pub config: Arc<SocketIoConfig>,
    pub directory: Addr<Directory>,
    /// The broken sessions, if clients may recover theirs.
    pub recoveries: Option<Addr<Recoveries>>,
}

/// A text that is no session's id, for one that cannot be read.
const NO_SID: &str = "";

/// Aim of a request.
struct Asked {
    is_websocket: bool,
    sid: Option<String>,
}

/// The refusal of a request.
struct Refused {
    refusal: Refusal,
    /// Another status than the refusal's own.
    status: Option<StatusCode>,
    /// Other words than the refusal's own.
    words: Option<&'static str>,
}

impl From<Refusal> for Refused {
    fn from(refusal: Refusal) -> Self {
        Self { refusal, status: None, words: None }
    }
}

impl Refused {
    fn saying(refusal: Refusal, words: &'static str) -> Self {
        Self { refusal, status: None, words: Some(words) }
    }

    fn unavailable(words: &'static str) -> Self {
        let status = Some(StatusCode::SERVICE_UNAVAILABLE);
        Self { refusal: Refusal::BadRequest, status, words: Some(words) }
    }

    fn into_response(self) -> HttpResponse {
        let Self { refusal, status, words } = self;
        let own = StatusCode::from_u16(refusal.status()).unwrap_or(StatusCode::BAD_REQUEST);
        let body = words.map_or_else(|| refusal.body(), |words| refusal.body_saying(words));
        answer(status.unwrap_or(own)).content_type("application/json").body(body)
    }
}

/// Serves a request of an Engine.IO client.
pub async fn serve(
    request: HttpRequest,
    payload: web::Payload,
    state: web::Data<State>,
    front: web::Data<SocketIo>,
) -> HttpResponse {
    let served = match ask(&request, &state) {
        Ok(Asked { is_websocket: true, sid: None }) => {
            begin_on_a_socket(&request, payload, &state, &front).await
        }
        Ok(Asked { is_websocket: true, sid: Some(sid) }) => {
            upgrade(&request, payload, &state, &front, sid).await
        }
        Ok(Asked { is_websocket: false, sid: None }) => begin(&request, &state, &front).await,
        Ok(Asked { is_websocket: false, sid: Some(sid) }) => match find(&front, sid).await {
            Ok(connection) if request.method() == Method::POST => {
                post(&request, payload, &state, &front, connection).await
            }
            Ok(connection) => poll(&request, connection).await,
            Err(refused) => Err(refused),
        },
        Err(refused) => Err(refused),
    };
    served.unwrap_or_else(|refused| {
        state.metrics.socketio_refused(refused.refusal.code());
        let is_forbidden = refused.refusal == Refusal::Forbidden;
        let mut response = refused.into_response();
        // There is nothing of a user's in it, and a page that cannot read it sees no reason.
        if let Some(origin) = request.headers().get(header::ORIGIN).filter(|_| is_forbidden) {
            let headers = response.headers_mut();
            headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
            let credentials = HeaderValue::from_static("true");
            headers.insert(header::ACCESS_CONTROL_ALLOW_CREDENTIALS, credentials);
        }
        response
    })
}

/// Reads what a request asks for. Its refusals come in the order of Engine.IO's own server: the transport,
/// the version, the origin, the method; what is wrong with a known session follows once that is found.
fn ask(request: &HttpRequest, state: &State) -> Result<Asked, Refused> {
    let query = Query::from_request(request).map_err(|_| Refusal::BadRequest)?;
    let text = |name| query.text(name).map_err(|_| Refusal::BadRequest);
    let is_websocket = match text("transport")? {
        Some("polling") => false,
        Some("websocket") => true,
        _ => return Err(Refusal::TransportUnknown.into()),
    };
    if text("EIO")? != Some("4") {
        log::debug!(
            "a client of Socket.IO 2 or older is refused: socket.io-client 3 and 4 are served"
        );
        return Err(Refusal::UnsupportedProtocolVersion.into());
    }
    if !state.origins.allow(request) {
        return Err(Refused::saying(Refusal::Forbidden, "this origin is not allowed"));
    }
    let sid = query.text("sid").unwrap_or(Some(NO_SID)).map(str::to_owned);
    let is_known_method = match sid {
        Some(_) => [Method::GET, Method::POST].contains(request.method()),
        None => request.method() == Method::GET,
    };
    if !is_known_method {
        return Err(Refusal::BadHandshakeMethod.into());
    }
    if sid.is_none() {
        check_transport(request, is_websocket)?;
    }
    Ok(Asked { is_websocket, sid })
}

/// Refuses a request that is not what its transport needs.
fn check_transport(request: &HttpRequest, is_websocket: bool) -> Result<(), Refused> {
    let is_upgrade = request.headers().contains_key(header::UPGRADE);
    let fits = match is_websocket {
        true => is_upgrade && check_handshake(request).is_ok(),
        false => !is_upgrade,
    };
    if fits { Ok(()) } else { Err(Refusal::BadRequest.into()) }
}

async fn find(front: &SocketIo, sid: String) -> Result<Addr<SocketIoConnection>, Refused> {
    let found = front.directory.send(Find(sid)).await.ok().flatten();
    found.ok_or(Refusal::SessionUnknown.into())
}

/// Admits a new connection, and what it is made of.
fn admit(
    request: &HttpRequest,
    state: &State,
    front: &SocketIo,
) -> Result<(ConnectionParts, HandshakePermit, Sid), Refused> {
    let full = |_| Refused::unavailable("too many connections, try again");
    if !state.app.takes_sessions() {
        return Err(Refused::unavailable("the server is going away, try again"));
    }
    let client = state.addresses.of(request);
    let handshakes = state.app.handshakes();
    handshakes.connect(client).map_err(full)?;
    let permit = handshakes.permit(client).map_err(full)?;
    let parts = ConnectionParts {
        app: state.app.clone(),
        config: Arc::clone(&front.config),
        clock: Rc::clone(&state.clock),
        directory: front.directory.clone().recipient(),
        recoveries: front.recoveries.clone(),
        authorization: authorization(request),
        client,
    };
    Ok((parts, permit, new_sid(&front.config.node)))
}

async fn begin(
    request: &HttpRequest,
    state: &State,
    front: &SocketIo,
) -> Result<HttpResponse, Refused> {
    let (parts, permit, sid) = admit(request, state, front)?;
    let open = front.config.open(&sid, &["websocket"]);
    let connection = SocketIoConnection::polling(parts, permit, &sid);
    add(front, sid, connection).await?;
    Ok(answer(StatusCode::OK).content_type("text/plain; charset=UTF-8").body(open))
}

/// Adds a connection to the directory, before its client can ask for it.
async fn add(
    front: &SocketIo,
    sid: Sid,
    connection: Addr<SocketIoConnection>,
) -> Result<(), Refused> {
    let added = front.directory.send(Add(sid, connection)).await;
    added.map_err(|_| Refused::unavailable("the server is going away, try again"))
}

async fn begin_on_a_socket(
    request: &HttpRequest,
    payload: web::Payload,
    state: &State,
    front: &SocketIo,
) -> Result<HttpResponse, Refused> {
    let (parts, permit, sid) = admit(request, state, front)?;
    let (connection, ends) = SocketIoConnection::on_a_socket(parts, permit, &sid);
    add(front, sid, connection.clone()).await?;
    Ok(switch(request, payload, state, front, connection, ends))
}

async fn upgrade(
    request: &HttpRequest,
    payload: web::Payload,
    state: &State,
    front: &SocketIo,
    sid: String,
) -> Result<HttpResponse, Refused> {
    let connection = find(front, sid).await?;
    check_transport(request, true)?;
    let ends = connection.send(Upgrade).await.unwrap_or(Err(Refusal::SessionUnknown));
    Ok(switch(request, payload, state, front, connection, ends?))
}

/// The answer by which a connection becomes a WebSocket.
fn switch(
    request: &HttpRequest,
    payload: web::Payload,
    state: &State,
    front: &SocketIo,
    connection: Addr<SocketIoConnection>,
    ends: SocketEnds,
) -> HttpResponse {
    let close_timeout = state.app.timings().close_timeout;
    let most = front.config.max_payload;
    let connection = (connection.clone().recipient(), connection.recipient());
    let body = ends.start(payload.into_inner(), most, connection, close_timeout);
    let key = request.headers().get(header::SEC_WEBSOCKET_KEY);
    let accept = hash_key(key.map_or(&[], |key| key.as_bytes()));
    let mut response = HttpResponse::SwitchingProtocols();
    response.upgrade("websocket").insert_header((header::SEC_WEBSOCKET_ACCEPT, &accept[..]));
    // A client that names some wants one of them; the name says nothing here.
    if let Some(protocol) = subprotocols(request).next() {
        response.insert_header((header::SEC_WEBSOCKET_PROTOCOL, protocol));
    }
    response.streaming(body)
}

/// A GET, which waits until there is something for the client.
async fn poll(
    request: &HttpRequest,
    connection: Addr<SocketIoConnection>,
) -> Result<HttpResponse, Refused> {
    let (reply, answered) = oneshot::channel();
    let waiting = Waiting::for_packets(connection.clone().recipient());
    // Bounded: one of each request.
    connection.do_send(Poll { authorization: authorization(request), reply });
    let answered = answered.await;
    waiting.served();
    let (body, length) = PollBody::new(answered.unwrap_or(Err(Refusal::SessionUnknown))?);
    let mut response = answer(StatusCode::OK);
    response.content_type("text/plain; charset=UTF-8");
    Ok(response.body(SizedStream::new(length, body)))
}

/// A POST, which is answered once its packets are taken.
async fn post(
    request: &HttpRequest,
    payload: web::Payload,
    state: &State,
    front: &SocketIo,
    connection: Addr<SocketIoConnection>,
) -> Result<HttpResponse, Refused> {
    let posting = Posting { authorization: authorization(request) };
    let begun = connection.send(posting).await.unwrap_or(Err(Refusal::SessionUnknown));
    begun?;
    let waiting = Waiting::for_a_post(connection.clone().recipient());
    let length = request.headers().get(header::CONTENT_LENGTH).and_then(|n| n.to_str().ok());
    let is_too_long = length.is_some_and(|length| {
        length.parse::<usize>().is_ok_and(|length| length > front.config.max_payload)
    });
    if is_too_long {
        return Ok(answer(StatusCode::PAYLOAD_TOO_LARGE).force_close().finish());
    }
    let heartbeat = state.settings.limits.heartbeat();
    let body = match timeout(heartbeat * 2, read(payload, front.config.max_payload)).await {
        Ok(Ok(body)) => body,
        Ok(Err(Unread::TooLarge)) => {
            return Ok(answer(StatusCode::PAYLOAD_TOO_LARGE).force_close().finish());
        }
        Ok(Err(Unread::Broken)) => return Err(Refusal::BadRequest.into()),
        Err(_) => {
            return Err(Refused::saying(Refusal::BadRequest, "the body did not come in time"));
        }
    };
    let Ok(text) = bytestring::ByteString::try_from(body) else {
        return Err(Refused::saying(Refusal::BadRequest, "the body is not UTF-8"));
    };
    let (taken, is_taken) = oneshot::channel();
    // Bounded: one POST of a connection at a time.
    connection.do_send(Received { source: POST, packets: Packets::Text(text), taken });
    if is_taken.await.is_err() {
        // The connection has ended: by this body, or meanwhile.
        return Err(Refusal::BadRequest.into());
    }
    waiting.served();
    Ok(answer(StatusCode::OK).content_type("text/html").body("ok"))
}

/// The reason for which a body was not read.
enum Unread {
    TooLarge,
    /// It broke off, or cannot be read.
    Broken,
}

async fn read(mut payload: web::Payload, most: usize) -> Result<bytes::Bytes, Unread> {
    let mut body = bytes::BytesMut::new();
    while let Some(chunk) = payload.next().await {
        let chunk = chunk.map_err(|_| Unread::Broken)?;
        if body.len() + chunk.len() > most {
            return Err(Unread::TooLarge);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body.freeze())
}

fn authorization(request: &HttpRequest) -> Option<String> {
    let value = request.headers().get(header::AUTHORIZATION)?;
    // One that is not text is no token, and nobody's.
    Some(value.to_str().unwrap_or_default().to_owned())
}

fn answer(status: StatusCode) -> HttpResponseBuilder {
    let mut response = HttpResponse::build(status);
    response.insert_header((header::CACHE_CONTROL, "no-store"));
    response
}
