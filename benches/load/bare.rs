//! The floor under the server: sessions and rooms on the same crate, and nothing else.
//!
//! It speaks the same frames, so that the same client measures both, but it reads no JSON, knows no
//! user, checks nothing and stores nothing. It runs as a process of its own, so that its CPU is
//! measured alone.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};

use actix::prelude::*;
use actix_web::web::{self, Data, Payload, Query};
use actix_web::{App, HttpRequest, HttpResponse, HttpServer};
use actix_web_actors::ws;
use anyhow::Result;
use bytestring::ByteString;
use clap::ValueEnum;
use serde::Deserialize;

use crate::transport::{CONNECTED, OPEN, Transport};

/// Faults that a bare room makes up, so that the harness can be seen to find them.
#[derive(Clone, Copy, Deserialize, PartialEq, Eq, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Fault {
    /// A delivery is left out.
    Lose,
    /// A delivery comes twice.
    Double,
    /// Two deliveries change places.
    Swap,
    /// A message is delivered with another text.
    Forge,
}

/// Every so many messages one is tampered with.
const FAULT_EVERY: u64 = 97;

#[derive(Deserialize)]
struct Seat {
    /// The room to enter.
    room: Option<u32>,
    /// So many messages are sent at once, as to one who comes back.
    backlog: Option<u32>,
    fault: Option<Fault>,
}

#[expect(clippy::disallowed_types, reason = "taken once a connection, never on a message's way")]
type Rooms = std::sync::Mutex<HashMap<u32, Addr<Room>>>;

/// Serves until it is killed.
pub async fn serve(bind: SocketAddr) -> Result<()> {
    let rooms = Data::new(Rooms::default());
    let history = Data::new(Page::new());
    let server = HttpServer::new(move || {
        App::new()
            .app_data(rooms.clone())
            .app_data(history.clone())
            .route("/ws", web::get().to(upgrade))
            .route("/socket.io/", web::get().to(upgrade))
            .route("/page", web::get().to(page))
            .route("/readyz", web::get().to(async || "ready"))
    });
    server.tcp_nodelay(true).backlog(8192).bind(bind)?.run().await?;
    Ok(())
}

async fn upgrade(
    request: HttpRequest,
    seat: Query<Seat>,
    rooms: Data<Rooms>,
    payload: Payload,
) -> actix_web::Result<HttpResponse> {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    let transport = if request.path() == "/ws" { Transport::Ws } else { Transport::Socketio };
    let room = seat.room.map(|number| {
        let mut rooms = rooms.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        let room = || Room::new(number, transport, seat.fault).start();
        rooms.entry(number).or_insert_with(room).clone()
    });
    let id = NEXT.fetch_add(1, Ordering::Relaxed);
    let backlog = seat.backlog.unwrap_or(0);
    ws::start(Session { id, transport, room, backlog }, &request, payload)
}

/// A page of history, of the usual size, from nowhere.
async fn page(page: Data<Page>) -> HttpResponse {
    HttpResponse::Ok().content_type("application/json").body(page.0.clone())
}

struct Page(ByteString);

impl Page {
    fn new() -> Self {
        let messages: Vec<String> = (1..=50).rev().map(|seq| message(1, seq, &body(seq))).collect();
        let messages = messages.join(",");
        Self(
            format!(r#"{{"data":[{messages}],"cursor":{{"after":null}},"count":50,"next":null}}"#)
                .into(),
        )
    }
}

struct Session {
    id: usize,
    transport: Transport,
    room: Option<Addr<Room>>,
    backlog: u32,
}

struct Text(ByteString);

impl Message for Text {
    type Result = ();
}

impl Session {
    /// Lets the client in.
    fn begin(&self, ctx: &mut ws::WebsocketContext<Self>) {
        match &self.room {
            Some(room) => room.do_send(Join { id: self.id, session: ctx.address() }),
            None => ctx.text(welcome(self.transport, 1, 1, 0)),
        }
        for seq in 1..=u64::from(self.backlog) {
            ctx.text(received(self.transport, 1, seq, &body(seq)));
        }
    }
}

impl Actor for Session {
    type Context = ws::WebsocketContext<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        match self.transport {
            Transport::Ws => self.begin(ctx),
            _ => ctx.text(OPEN),
        }
    }

    fn stopped(&mut self, _: &mut Self::Context) {
        if let Some(room) = &self.room {
            room.do_send(Leave { id: self.id });
        }
    }
}

impl StreamHandler<Result<ws::Message, ws::ProtocolError>> for Session {
    fn handle(&mut self, frame: Result<ws::Message, ws::ProtocolError>, ctx: &mut Self::Context) {
        match (frame, &self.room) {
            (Ok(ws::Message::Text(text)), _) if text.starts_with("40") => {
                ctx.text(CONNECTED);
                self.begin(ctx);
            }
            (Ok(ws::Message::Text(text)), Some(room)) => room.do_send(Said { id: self.id, text }),
            (Ok(ws::Message::Ping(payload)), _) => ctx.pong(&payload),
            (Ok(ws::Message::Close(_)) | Err(_), _) => ctx.stop(),
            _ => {}
        }
    }
}

impl Handler<Text> for Session {
    type Result = ();

    fn handle(&mut self, Text(text): Text, ctx: &mut Self::Context) {
        ctx.text(text);
    }
}

struct Room {
    number: u32,
    transport: Transport,
    seq: u64,
    sessions: Vec<(usize, Addr<Session>)>,
    fault: Option<Fault>,
    /// A frame that is held back, to arrive in the wrong place.
    held: Option<ByteString>,
}

struct Join {
    id: usize,
    session: Addr<Session>,
}

impl Message for Join {
    type Result = ();
}

struct Leave {
    id: usize,
}

impl Message for Leave {
    type Result = ();
}

struct Said {
    id: usize,
    text: ByteString,
}

impl Message for Said {
    type Result = ();
}

impl Room {
    fn new(number: u32, transport: Transport, fault: Option<Fault>) -> Self {
        Self { number, transport, seq: 0, sessions: Vec::new(), fault, held: None }
    }

    /// Delivers to one session, in the way of a faulty server.
    fn deliver_badly(&mut self, session: &Addr<Session>, delivery: &ByteString, fault: Fault) {
        match fault {
            Fault::Lose => {}
            Fault::Double => (0..2).for_each(|_| session.do_send(Text(delivery.clone()))),
            Fault::Swap => self.held = Some(delivery.clone()),
            Fault::Forge => session.do_send(Text(delivery.replace("usual", "other").into())),
        }
    }
}

impl Actor for Room {
    type Context = Context<Self>;
}

impl Handler<Join> for Room {
    type Result = ();

    fn handle(&mut self, Join { id, session }: Join, _: &mut Self::Context) {
        session.do_send(Text(welcome(self.transport, id, self.number, self.seq).into()));
        self.sessions.push((id, session));
    }
}

impl Handler<Leave> for Room {
    type Result = ();

    fn handle(&mut self, Leave { id }: Leave, _: &mut Self::Context) {
        self.sessions.retain(|(other, _)| *other != id);
    }
}

impl Handler<Said> for Room {
    type Result = ();

    fn handle(&mut self, Said { id, text }: Said, _: &mut Self::Context) {
        let Some((request, body)) = self.transport.said(&text) else { return };
        self.seq += 1;
        let data = format_args!(
            concat!(
                r#"{{"id":{0},"chatId":{1},"seq":{0},"clientId":"m{2}","#,
                r#""createdAt":"2026-01-01T00:00:00.000Z","duplicate":false}}"#
            ),
            self.seq, self.number, request
        );
        let ack = ByteString::from(self.transport.ack(request, data));
        let delivery = ByteString::from(received(self.transport, self.number, self.seq, body));
        let held = self.held.take();
        for index in 0..self.sessions.len() {
            let (other, session) = self.sessions[index].clone();
            if other == id {
                session.do_send(Text(ack.clone()));
                continue;
            }
            match self.fault {
                Some(fault) if self.seq.is_multiple_of(FAULT_EVERY) && self.held.is_none() => {
                    self.deliver_badly(&session, &delivery, fault);
                }
                _ => session.do_send(Text(delivery.clone())),
            }
            if let Some(held) = &held {
                session.do_send(Text(held.clone()));
            }
        }
    }
}

fn welcome(transport: Transport, user: usize, room: u32, seq: u64) -> String {
    let data = format!(r#"{{"user":{{"id":{user}}},"chats":[{{"id":{room},"lastSeq":{seq}}}]}}"#);
    transport.told("welcome", &data)
}

fn received(transport: Transport, room: u32, seq: u64, body: &str) -> String {
    transport.told("receive_message", &message(room, seq, body))
}

/// A message as the contract has it, around the fields that its author chose.
fn message(room: u32, seq: u64, body: &str) -> String {
    format!(
        concat!(
            r#"{{"id":{0},"chatId":{1},"seq":{0},"kind":"text","#,
            r#""author":{{"id":7,"nickname":"Kim","role":"customer"}},"#,
            r#""createdAt":"2026-01-01T00:00:00.000Z",{2}}}"#
        ),
        seq, room, body
    )
}

fn body(seq: u64) -> String {
    format!(r#""clientId":"m{seq}","message":"{:.<80}""#, "a message of the usual length ")
}
