//! A client of Socket.IO: namespaces, events and acks, over whichever transport.

use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;

use serde_json::{Value, json};

use super::packet::{ACK, CONNECT, CONNECT_ERROR, DISCONNECT, EVENT, head};
use super::polling::{Polling, opened};
use super::{Packet, SEPARATOR, say_to};
use crate::support::client::assert_exception;
use crate::support::raw::{BINARY, CLOSE, TEXT};
use crate::support::{DEADLINE, RawClient};

#[expect(clippy::large_enum_variant, reason = "a test has few of them")]
enum Engine {
    Polling(Polling),
    Socket(RawClient),
}

/// One Engine.IO session, and the namespaces in it.
pub struct IoClient {
    address: SocketAddr,
    engine: Engine,
    /// The data of the first packet.
    pub open: Value,
    /// The namespace that is spoken to.
    nsp: String,
    /// Everything that came, in its order.
    seen: Vec<Packet>,
    /// Unread packets.
    waiting: VecDeque<Packet>,
    asked: u64,
    welcomes: HashMap<String, Value>,
    /// Of each namespace where sessions are recovered, the `pid`.
    pids: HashMap<String, String>,
    /// Pings that came; they are answered, if not told otherwise.
    pub pings: usize,
    pub answers_pings: bool,
    /// The code of the WebSocket's end, 1006 where it just ended.
    pub close_code: Option<u16>,
    /// True if a packet has said that it closes.
    pub is_told_to_close: bool,
    has_ended: bool,
}

impl IoClient {
    pub fn on_polling(polling: Polling) -> Self {
        let (address, open) = (polling.address(), polling.open.clone());
        Self::new(address, Engine::Polling(polling), open)
    }

    pub fn on_socket(address: SocketAddr, socket: RawClient, open: &str) -> Self {
        Self::new(address, Engine::Socket(socket), opened(open))
    }

    fn new(address: SocketAddr, engine: Engine, open: Value) -> Self {
        Self {
            address,
            engine,
            open,
            nsp: "/".to_owned(),
            seen: Vec::new(),
            waiting: VecDeque::new(),
            asked: 0,
            welcomes: HashMap::new(),
            pids: HashMap::new(),
            pings: 0,
            answers_pings: true,
            close_code: None,
            is_told_to_close: false,
            has_ended: false,
        }
    }

    pub fn sid(&self) -> &str {
        self.open["sid"].as_str().expect("a session has an id")
    }

    /// The address of its node.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its polling transport.
    pub fn polling(&mut self) -> &mut Polling {
        match &mut self.engine {
            Engine::Polling(polling) => polling,
            Engine::Socket(_) => panic!("a client that polls"),
        }
    }

    /// Its WebSocket.
    pub fn socket(&mut self) -> &mut RawClient {
        match &mut self.engine {
            Engine::Socket(socket) => socket,
            Engine::Polling(_) => panic!("a client with a WebSocket"),
        }
    }

    /// Speaks to another namespace of the same connection.
    pub fn at(&mut self, nsp: &str) -> &mut Self {
        nsp.clone_into(&mut self.nsp);
        self
    }

    // --- Transports.

    /// Sends Engine.IO packets, in one body where it polls.
    pub async fn send_all(&mut self, packets: &[String]) {
        match &mut self.engine {
            Engine::Polling(polling) => polling.send(&packets.join("\u{1e}")).await,
            Engine::Socket(socket) => {
                for packet in packets {
                    say_to(socket, packet).await;
                }
            }
        }
    }

    pub async fn send(&mut self, packet: &str) {
        self.send_all(&[packet.to_owned()]).await;
    }

    /// Sends Engine.IO packets whose refusal is no failure.
    pub async fn send_bad(&mut self, packet: &str) {
        match &mut self.engine {
            Engine::Polling(polling) => drop(polling.post(packet).await),
            Engine::Socket(socket) => say_to(socket, packet).await,
        }
    }

    /// Sends a binary Engine.IO packet.
    pub async fn send_binary(&mut self, bytes: &[u8]) {
        use base64::Engine as _;
        match &mut self.engine {
            Engine::Polling(polling) => {
                let text = base64::engine::general_purpose::STANDARD.encode(bytes);
                drop(polling.post(&format!("b{text}")).await);
            }
            Engine::Socket(socket) => socket.send(crate::support::raw::frame(BINARY, bytes)).await,
        }
    }

    /// Makes a WebSocket of the polling session, as a client does.
    pub async fn upgrade(&mut self) {
        let polling = self.polling();
        let mut socket = polling.probed().await;
        let mut last = String::new();
        if polling.is_polling() {
            last = polling.end().await.expect("the GET that waits is answered").is_ok();
        }
        say_to(&mut socket, "5").await;
        self.engine = Engine::Socket(socket);
        self.take_in(&last).await;
    }

    /// Takes a body's packets in.
    async fn take_in(&mut self, body: &str) {
        for packet in body.split(SEPARATOR).filter(|packet| !packet.is_empty()) {
            match packet {
                "1" => {
                    self.is_told_to_close = true;
                    self.has_ended = true;
                }
                "2" => {
                    self.pings += 1;
                    if self.answers_pings {
                        self.send_bad("3").await;
                    }
                }
                "6" => {}
                message => {
                    let packet = Packet::parse(message);
                    if let Some(pid) =
                        packet.data["pid"].as_str().filter(|_| packet.kind == CONNECT)
                    {
                        self.pids.insert(packet.nsp.clone(), pid.to_owned());
                    }
                    let has_offset = self.pids.contains_key(&packet.nsp);
                    let is_one = packet.kind != EVENT || packet.offset().is_some() == has_offset;
                    assert!(is_one, "an offset stands behind a pid: {packet:?}");
                    self.seen.push(packet.clone());
                    self.waiting.push_back(packet);
                }
            }
        }
    }

    /// Reads once; false when the connection has ended.
    pub async fn read(&mut self) -> bool {
        let body = match &mut self.engine {
            _ if self.has_ended => None,
            Engine::Polling(polling) => {
                polling.begin().await;
                let answer = polling.end().await;
                answer.filter(|answer| answer.status == 200).map(|answer| answer.text)
            }
            Engine::Socket(socket) => match socket.next().await {
                Some((TEXT, text)) => Some(String::from_utf8(text).expect("UTF-8")),
                Some((BINARY, _)) => panic!("the server sent a binary frame"),
                Some((CLOSE, payload)) => {
                    let code = payload.first_chunk().map(|code| u16::from_be_bytes(*code));
                    self.close_code = Some(code.unwrap_or(1005));
                    None
                }
                Some(_) => Some(String::new()),
                None => {
                    self.close_code = Some(1006);
                    None
                }
            },
        };
        match body {
            Some(body) => Box::pin(self.take_in(&body)).await,
            None => self.has_ended = true,
        }
        !self.has_ended
    }

    /// Reads until the transport has ended; a polling session is unknown then.
    pub async fn closed(&mut self) {
        while self.read().await {}
        if let Engine::Polling(polling) = &self.engine {
            polling.is_gone().await;
        }
    }

    /// The same; a failure says what should have ended it.
    pub async fn closes_for(&mut self, what: &str) {
        let closed = tokio::time::timeout(DEADLINE / 2, self.closed()).await;
        assert!(closed.is_ok(), "{what}: it has not ended");
    }

    /// Asserts that no DISCONNECT came: a client comes back by itself.
    #[track_caller]
    pub fn was_not_disconnected(&self) {
        let told = self.seen.iter().find(|packet| packet.kind == DISCONNECT);
        assert!(told.is_none(), "{told:?}");
    }

    /// Asserts that no packet of a namespace has come.
    #[track_caller]
    pub fn has_seen_nothing(&self) {
        assert!(self.seen.is_empty(), "{:?}", self.seen);
    }

    /// Takes the first packet that `wanted` is true of, from what waits or from what comes.
    async fn take(&mut self, what: &str, wanted: impl Fn(&Packet) -> bool) -> Packet {
        loop {
            if let Some(at) = self.waiting.iter().position(&wanted) {
                return self.waiting.remove(at).expect("a position found");
            }
            if !self.read().await && !self.waiting.iter().any(&wanted) {
                let last = self.seen.len().saturating_sub(20);
                panic!("ended instead of {what}; {:#?}", &self.seen[last..]);
            }
        }
    }

    // --- Namespaces.

    /// Connects to a namespace: the data of CONNECT's answer, or of CONNECT_ERROR.
    pub async fn connect(&mut self, nsp: &str, auth: Value) -> Result<Value, Value> {
        let auth = if auth.is_null() { String::new() } else { auth.to_string() };
        self.at(nsp).send(&format!("{}{auth}", head(CONNECT, nsp))).await;
        self.connected(nsp).await
    }

    /// The answer to a CONNECT.
    pub async fn connected(&mut self, nsp: &str) -> Result<Value, Value> {
        let answers = |packet: &Packet| {
            packet.nsp == nsp && (packet.kind == CONNECT || packet.kind == CONNECT_ERROR)
        };
        let packet = self.take(&format!("the answer to CONNECT of {nsp}"), answers).await;
        if packet.kind == CONNECT { Ok(packet.data) } else { Err(packet.data) }
    }

    /// Connects to a namespace that must let it in, and reads `welcome`, which must come first.
    pub async fn welcomed(&mut self, nsp: &str, auth: Value) -> &Value {
        let answer = self.connect(nsp, auth).await;
        let answer = answer.unwrap_or_else(|e| panic!("{nsp} does not let it in: {e}"));
        self.read_welcome(nsp, &answer).await
    }

    /// Reads `welcome` behind CONNECT's answer.
    pub async fn read_welcome(&mut self, nsp: &str, answer: &Value) -> &Value {
        let packet = self.at(nsp).take("welcome", |packet| packet.nsp == nsp).await;
        let welcome = packet.event("welcome").unwrap_or_else(|| panic!("not first: {packet:?}"));
        let mut expected = json!({"sid": welcome["sessionId"]});
        if let Some(pid) = self.pids.get(nsp) {
            expected["pid"] = json!(pid);
        }
        assert_eq!(*answer, expected, "the socket's id is the session's");
        self.welcomes.insert(nsp.to_owned(), welcome.clone());
        self.welcome()
    }

    /// Connects to a namespace that must refuse it; the data of CONNECT_ERROR.
    pub async fn turned_away(&mut self, nsp: &str, auth: Value, code: &str) -> Value {
        let refusal = self.connect(nsp, auth).await.expect_err("it is refused");
        let message = refusal["message"].as_str().unwrap_or_default();
        assert!(!message.is_empty(), "a reason: {refusal}");
        assert_exception(&refusal["data"], code);
        refusal
    }

    /// Leaves the namespace.
    pub async fn disconnect(&mut self) {
        let packet = head(DISCONNECT, &self.nsp);
        self.send(&packet).await;
    }

    /// Reads the server's DISCONNECT of this namespace.
    pub async fn disconnected(&mut self) {
        let nsp = self.nsp.clone();
        self.take("DISCONNECT", |packet| packet.kind == DISCONNECT && packet.nsp == nsp).await;
    }

    /// The secret by which this namespace's session is recovered.
    pub fn pid(&self) -> &str {
        self.pids.get(&self.nsp).expect("a session that can be recovered")
    }

    /// The offset of the last event of this namespace.
    pub fn offset(&self) -> &str {
        let here = |packet: &&Packet| packet.nsp == self.nsp;
        let offsets = self.seen.iter().rev().filter(here).find_map(Packet::offset);
        offsets.expect("an event has an offset")
    }

    /// The data of `welcome` in this namespace.
    pub fn welcome(&self) -> &Value {
        self.welcomes.get(&self.nsp).expect("a namespace that it is in")
    }

    pub fn user_id(&self) -> i64 {
        self.welcome()["user"]["id"].as_i64().expect("welcome names the user")
    }

    pub fn session_id(&self) -> &str {
        self.welcome()["sessionId"].as_str().expect("welcome names the session")
    }

    /// The first chat of `welcome`: a customer's own.
    pub fn chat(&self) -> i64 {
        self.welcome()["chats"][0]["id"].as_i64().expect("welcome names a chat")
    }

    // --- Events.

    /// An event's packet, with an ack id where one is wanted.
    pub fn packet(&self, id: Option<u64>, event: &str, data: &Value) -> String {
        let id = id.map(|id| id.to_string()).unwrap_or_default();
        format!("{}{id}{}", head(EVENT, &self.nsp), json!([event, data]))
    }

    /// Sends an event without an ack.
    pub async fn emit(&mut self, event: &str, data: Value) {
        let packet = self.packet(None, event, &data);
        self.send(&packet).await;
    }

    /// The packet of an event that wants an ack, and its id.
    pub fn asking(&mut self, event: &str, data: &Value) -> (u64, String) {
        let id = self.asked;
        self.asked += 1;
        (id, self.packet(Some(id), event, data))
    }

    /// Sends an event, and does not wait for its ack.
    pub async fn submit(&mut self, event: &str, data: Value) -> u64 {
        let (id, packet) = self.asking(event, &data);
        self.send(&packet).await;
        id
    }

    /// The ack of `id`: its data, or the exception.
    pub async fn answer(&mut self, id: u64) -> Result<Value, Value> {
        let nsp = self.nsp.clone();
        let answers =
            |packet: &Packet| packet.kind == ACK && packet.id == Some(id) && packet.nsp == nsp;
        let mut ack = self.take(&format!("the ack {id}"), answers).await;
        let data = ack.data[0].take();
        if data["status"] == "error" { Err(data) } else { Ok(data) }
    }

    pub async fn request(&mut self, event: &str, data: Value) -> Result<Value, Value> {
        let id = self.submit(event, data).await;
        self.answer(id).await
    }

    /// Asks what must be granted; the ack's data.
    pub async fn ask(&mut self, event: &str, data: Value) -> Value {
        let answer = self.request(event, data).await;
        answer.unwrap_or_else(|e| panic!("{event} was refused: {e}"))
    }

    /// Asks what must be refused with `code`: by the ack, and by an event that says the same.
    pub async fn refused(&mut self, event: &str, data: Value, code: &str) -> Value {
        let refusal = self.request(event, data).await.expect_err("it is refused");
        assert_exception(&refusal, code);
        assert_eq!(refusal["event"], event, "{refusal}");
        assert_eq!(self.expect("exception").await, refusal, "the event says the same");
        refusal
    }

    /// Says `text` in `chat`; the ack's data.
    pub async fn say(&mut self, chat: i64, text: &str) -> Value {
        self.ask("send_message", json!({"chatId": chat, "message": text})).await
    }

    /// The next packet, whatever it is.
    pub async fn next(&mut self) -> Packet {
        self.take("a packet", |_| true).await
    }

    /// The data of the next `event` of this namespace; what came before it waits on.
    pub async fn expect(&mut self, event: &str) -> Value {
        let nsp = self.nsp.clone();
        let is_it = |packet: &Packet| packet.nsp == nsp && packet.event(event).is_some();
        self.take(event, is_it).await.data[1].take()
    }

    /// The next message, which must be `text`.
    pub async fn hears(&mut self, text: &str) -> Value {
        let message = self.expect("receive_message").await;
        assert_eq!(message["message"], text, "another message came: {message}");
        message
    }

    /// Asks the server something, and asserts that no `event` had come before its answer, or waits.
    pub async fn has_not_heard(&mut self, event: &str) {
        self.ask("ping", json!({})).await;
        let nsp = &self.nsp;
        let heard = self.waiting.iter().find(|it| it.nsp == *nsp && it.event(event).is_some());
        assert!(heard.is_none(), "was not to come: {heard:?}");
    }

    /// Asserts that nothing had come before the answer to a ping that nobody has read.
    pub async fn has_heard_nothing(&mut self) {
        self.ask("ping", json!({})).await;
        assert!(self.waiting.is_empty(), "was not to come: {:?}", self.waiting);
    }

    /// This namespace's view of `chat` up to `last`: the `seq` of each message and of each own
    /// one's ack, in order of arrival.
    pub async fn run_to(&mut self, chat: i64, last: i64) -> Vec<i64> {
        while self.run(chat).last() != Some(&last) {
            assert!(self.read().await, "ended before {last}: {:?}", self.run(chat));
        }
        self.run(chat)
    }

    /// This namespace's view of `chat` so far.
    pub fn run(&self, chat: i64) -> Vec<i64> {
        let here = self.seen.iter().filter(|packet| packet.nsp == self.nsp);
        here.filter_map(|packet| packet.seq_in(chat)).collect()
    }
}
