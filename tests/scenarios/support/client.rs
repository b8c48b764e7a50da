//! A client as an app's author would write one, on somebody else's WebSocket implementation.

use std::collections::VecDeque;
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::handshake::client::Request;
use tokio_tungstenite::tungstenite::http::{HeaderName, HeaderValue, Response};
use tokio_tungstenite::tungstenite::{Error, Message};

use super::described::{check_command, check_frame};
use super::{DEADLINE, Node};

/// One envelope from the server.
#[derive(Debug, Clone)]
pub struct Frame {
    pub event: String,
    pub id: Value,
    pub data: Value,
}

impl Frame {
    fn parse(text: &str) -> Self {
        let envelope: Value = serde_json::from_str(text)
            .unwrap_or_else(|e| panic!("the server sent what is no JSON ({e}): {text}"));
        for key in envelope.as_object().expect("an envelope is an object").keys() {
            assert!(
                ["event", "id", "data"].contains(&key.as_str()),
                "{key} in an envelope: {text}"
            );
        }
        check_frame(&envelope);
        let event = envelope["event"].as_str().expect("an envelope names its event").to_owned();
        Self { event, id: envelope["id"].clone(), data: envelope["data"].clone() }
    }

    fn answers(&self, id: &Value) -> bool {
        (self.event == "ack" || self.event == "exception") && self.id == *id
    }

    /// The place in `chat` that this frame stands for: a message's, or an own one's ack.
    fn seq_in(&self, chat: i64) -> Option<i64> {
        let stands = match self.event.as_str() {
            "receive_message" => true,
            "ack" => self.data["duplicate"] == json!(false),
            _ => false,
        };
        (stands && self.data["chatId"] == json!(chat)).then(|| self.data["seq"].as_i64()).flatten()
    }
}

/// A handshake that the server did not accept.
#[derive(Debug)]
pub struct Refusal {
    pub status: u16,
    pub content_type: String,
    pub retry_after: String,
    pub body: Value,
}

/// A connection about to be made.
pub struct Connecting {
    request: Request,
    address: std::net::SocketAddr,
}

impl Node {
    /// A handshake with `/ws`, with nothing in it that need not be.
    pub fn connecting(&self) -> Connecting {
        let url = format!("ws://{}/ws", self.address());
        let request = url.into_client_request().expect("a handshake");
        Connecting { request, address: self.address() }
    }

    /// Connects without a token, and sends `authenticate` with `data`.
    pub async fn authenticate(&self, data: Value) -> TestClient {
        let mut client = self.connecting().open().await;
        client.send_with_id("authenticate", data, json!("hello")).await;
        client
    }
}

impl Connecting {
    pub fn header(mut self, name: &'static str, value: &str) -> Self {
        let value = HeaderValue::from_str(value).expect("a header's value");
        self.request.headers_mut().insert(HeaderName::from_static(name), value);
        self
    }

    pub fn bearer(self, token: &str) -> Self {
        self.header("authorization", &format!("Bearer {token}"))
    }

    pub fn query(mut self, query: &str) -> Self {
        let url = format!("ws://{}/ws?{query}", self.address);
        *self.request.uri_mut() = url.parse().expect("a URL");
        self
    }

    /// The request of the handshake.
    pub fn request(self) -> Request {
        self.request
    }

    /// Makes the connection, or hears why not.
    pub async fn attempt(self) -> Result<(TestClient, Response<Option<Vec<u8>>>), Refusal> {
        let stream = TcpStream::connect(self.address).await.expect("the server listens");
        stream.set_nodelay(true).expect("a socket");
        let handshake = tokio_tungstenite::client_async(self.request, stream);
        match timeout(DEADLINE, handshake).await.expect("the server answers a handshake") {
            Ok((socket, response)) => Ok((TestClient::on(socket), response)),
            Err(Error::Http(response)) => {
                let header = |name: &str| {
                    let value = response.headers().get(name).and_then(|value| value.to_str().ok());
                    value.unwrap_or_default().to_owned()
                };
                let body = response.body().as_deref().unwrap_or_default();
                Err(Refusal {
                    status: response.status().as_u16(),
                    content_type: header("content-type"),
                    retry_after: header("retry-after"),
                    body: serde_json::from_slice(body).unwrap_or_default(),
                })
            }
            Err(other) => panic!("the handshake failed: {other}"),
        }
    }

    /// Makes the connection, which must be accepted.
    pub async fn open(self) -> TestClient {
        let (client, _) = self.attempt().await.expect("the upgrade is accepted");
        client
    }

    /// Makes the connection, and reads `welcome`, which must come first.
    pub async fn welcomed(self) -> TestClient {
        let mut client = self.open().await;
        client.read_welcome().await;
        client
    }

    /// Makes the connection, which must be refused as a problem with this status and code.
    pub async fn refused(self, status: u16, code: &str) -> Refusal {
        let refusal = match self.attempt().await {
            Ok(_) => panic!("the upgrade was accepted, {status} {code} was expected"),
            Err(refusal) => refusal,
        };
        assert_eq!((refusal.status, &refusal.body["code"]), (status, &json!(code)), "{refusal:?}");
        assert_eq!(refusal.content_type, "application/problem+json");
        refusal
    }
}

/// One session.
pub struct TestClient {
    socket: WebSocketStream<TcpStream>,
    /// Everything that came, in its order.
    seen: Vec<Frame>,
    /// Unread frames.
    waiting: VecDeque<Frame>,
    asked: u64,
    /// The data of `welcome`.
    pub welcome: Value,
}

impl TestClient {
    fn on(socket: WebSocketStream<TcpStream>) -> Self {
        let (seen, waiting) = (Vec::new(), VecDeque::new());
        Self { socket, seen, waiting, asked: 0, welcome: Value::Null }
    }

    /// Reads the first frame, which must be `welcome`.
    pub async fn read_welcome(&mut self) -> &Value {
        let first = self.next().await;
        assert_eq!(first.event, "welcome", "not the first frame of a session: {first:?}");
        self.welcome = first.data;
        &self.welcome
    }

    pub fn user_id(&self) -> i64 {
        self.welcome["user"]["id"].as_i64().expect("welcome names the user")
    }

    pub fn session_id(&self) -> &str {
        self.welcome["sessionId"].as_str().expect("welcome names the session")
    }

    /// The first chat of `welcome`: a customer's own.
    pub fn chat(&self) -> i64 {
        self.welcome["chats"][0]["id"].as_i64().expect("welcome names a chat")
    }

    /// The state of `chat` in `welcome`.
    pub fn welcomed_to(&self, chat: i64) -> Option<&Value> {
        let chats = self.welcome["chats"].as_array().expect("welcome has chats");
        chats.iter().find(|entry| entry["id"] == json!(chat))
    }

    // --- Sending.

    /// Sends an event that is answered only when it fails.
    pub async fn send(&mut self, event: &str, data: Value) {
        self.send_text(json!({"event": event, "data": data}).to_string()).await;
    }

    pub async fn send_with_id(&mut self, event: &str, data: Value, id: Value) {
        self.send_text(json!({"event": event, "data": data, "id": id}).to_string()).await;
    }

    pub async fn send_text(&mut self, text: impl Into<String>) {
        self.send_frame(Message::text(text.into())).await;
    }

    pub async fn send_frame(&mut self, frame: Message) {
        let sent = timeout(DEADLINE, self.socket.send(frame)).await;
        match sent {
            Ok(Ok(())) => {}
            Ok(Err(e)) => panic!("the session is gone ({e}); {}", self.so_far()),
            Err(_) => panic!("the server does not read; {}", self.so_far()),
        }
    }

    /// Sends an event with an id of its own, and does not wait for the answer.
    pub async fn submit(&mut self, event: &str, data: Value) -> Value {
        self.asked += 1;
        let id = json!(format!("c-{}", self.asked));
        self.send_with_id(event, data, id.clone()).await;
        id
    }

    // --- Asking. What else comes meanwhile waits, in its order.

    /// The answer to `id`: the ack's data, or the exception's.
    pub async fn answer(&mut self, id: &Value) -> Result<Value, Value> {
        let frame = self.take(&format!("the answer to {id}"), |frame| frame.answers(id)).await;
        if frame.event == "ack" { Ok(frame.data) } else { Err(frame.data) }
    }

    pub async fn request(&mut self, event: &str, data: Value) -> Result<Value, Value> {
        let id = self.submit(event, data).await;
        self.answer(&id).await
    }

    /// Asks what must be granted; the ack's data.
    #[track_caller]
    pub fn ask(&mut self, event: &str, data: Value) -> impl Future<Output = Value> {
        let caller = std::panic::Location::caller();
        async move {
            let answer = self.request(event, data.clone()).await;
            let answer =
                answer.unwrap_or_else(|e| panic!("{event} {data} of {caller} was refused: {e}"));
            check_command(&json!({"event": event, "data": data}));
            answer
        }
    }

    /// Asks what must be refused with `code`; the exception's data.
    pub async fn refused(&mut self, event: &str, data: Value, code: &str) -> Value {
        match self.request(event, data.clone()).await {
            Ok(ack) => panic!("{event} {data} was granted, {code} was expected: {ack}"),
            Err(exception) => {
                assert_exception(&exception, code);
                assert_eq!(exception["event"], event, "{exception}");
                exception
            }
        }
    }

    /// Asks again while the answer is `unavailable`, as a client does; the ack's data.
    pub async fn insist(&mut self, event: &str, data: Value) -> Value {
        let mut rhythm = tokio::time::interval(Duration::from_millis(20));
        let insisting = async {
            loop {
                rhythm.tick().await;
                match self.request(event, data.clone()).await {
                    Ok(ack) => return ack,
                    Err(exception) => assert_exception(&exception, "unavailable"),
                }
            }
        };
        timeout(3 * DEADLINE, insisting)
            .await
            .unwrap_or_else(|_| panic!("{event} was still unavailable after {:?}", 3 * DEADLINE))
    }

    /// Says `text` in `chat`; the ack's data.
    pub async fn say(&mut self, chat: i64, text: &str) -> Value {
        self.ask("send_message", json!({"chatId": chat, "message": text})).await
    }

    /// Enters `chat` from its end; the ack's entry of it.
    pub async fn enter(&mut self, chat: i64) -> Value {
        let ack = self.ask("enter_chat", json!({"chatIds": [chat]})).await;
        ack["chats"][0].clone()
    }

    /// Enters `chat` from behind `seq`; the ack's entry of it.
    pub async fn enter_after(&mut self, chat: i64, seq: i64) -> Value {
        let data = json!({"chats": [{"chatId": chat, "afterSeq": seq}]});
        self.ask("enter_chat", data).await["chats"][0].clone()
    }

    // --- Listening.

    /// The next frame, whatever it is.
    pub async fn next(&mut self) -> Frame {
        self.take("a frame", |_| true).await
    }

    /// The data of the next `event`; what came before it waits on.
    pub async fn expect(&mut self, event: &str) -> Value {
        self.take(event, |frame| frame.event == event).await.data
    }

    /// Everything that came before the answer to a ping, by the events' names.
    pub async fn heard(&mut self) -> Vec<(String, Value)> {
        self.ask("ping", json!({})).await;
        self.waiting.drain(..).map(|frame| (frame.event, frame.data)).collect()
    }

    /// The next message, which must be `text`.
    pub async fn hears(&mut self, text: &str) -> Value {
        let message = self.expect("receive_message").await;
        assert_eq!(message["message"], text, "another message came: {message}");
        message
    }

    /// This session's view of `chat` up to `last`: the `seq` of each message and of each own one's
    /// ack, in order of arrival.
    pub async fn run_to(&mut self, chat: i64, last: i64) -> Vec<i64> {
        while !self.seen.iter().any(|frame| frame.seq_in(chat) == Some(last)) {
            self.read(&format!("message {last} of chat {chat}")).await;
        }
        self.run(chat)
    }

    /// This session's view of `chat` so far.
    pub fn run(&self, chat: i64) -> Vec<i64> {
        self.seen.iter().filter_map(|frame| frame.seq_in(chat)).collect()
    }

    /// Forgets what came, so that a run can begin again.
    pub fn forget(&mut self) {
        self.seen.clear();
        self.waiting.clear();
    }

    /// Asks the server something, and asserts that no `event` had come before its answer, or waits.
    pub async fn has_not_heard(&mut self, event: &str) {
        self.ask("ping", json!({})).await;
        let heard = self.waiting.iter().find(|frame| frame.event == event);
        assert!(heard.is_none(), "was not to come: {heard:?}");
    }

    /// Reads until the server closes; its close code, 1006 where it just ends.
    pub async fn closed(&mut self) -> u16 {
        loop {
            match self.read_message("the close").await {
                Some(Message::Close(frame)) => {
                    return frame.map_or(1005, |frame| frame.code.into());
                }
                Some(_) => {}
                None => return 1006,
            }
        }
    }

    /// Closes, and waits until the server has agreed.
    pub async fn close(mut self) {
        // The server may have closed first.
        let _ = self.socket.close(None).await;
        self.closed().await;
    }

    /// Takes the first frame that `wanted` is true of, from what waits or from what comes.
    async fn take(&mut self, what: &str, wanted: impl Fn(&Frame) -> bool) -> Frame {
        let mut looked_at = 0;
        loop {
            if let Some(at) = self.waiting.iter().skip(looked_at).position(&wanted) {
                return self.waiting.remove(looked_at + at).expect("a position found");
            }
            looked_at = self.waiting.len();
            self.read(what).await;
        }
    }

    /// Reads until one more frame waits.
    async fn read(&mut self, what: &str) {
        let waiting = self.waiting.len();
        while self.waiting.len() == waiting {
            match self.read_message(what).await {
                Some(Message::Close(close)) => {
                    panic!("closed ({close:?}) instead of {what}; {}", self.so_far())
                }
                Some(_) => {}
                None => panic!("the connection ended instead of {what}; {}", self.so_far()),
            }
        }
    }

    /// Reads one WebSocket message; a text goes to those that wait.
    async fn read_message(&mut self, what: &str) -> Option<Message> {
        match timeout(DEADLINE, self.socket.next()).await {
            Err(_) => panic!("{what} did not come within {DEADLINE:?}; {}", self.so_far()),
            Ok(None | Some(Err(_))) => None,
            Ok(Some(Ok(message))) => {
                match &message {
                    Message::Text(text) => {
                        let frame = Frame::parse(text.as_str());
                        self.seen.push(frame.clone());
                        self.waiting.push_back(frame);
                    }
                    Message::Binary(_) => panic!("the server sent a binary frame"),
                    _ => {}
                }
                Some(message)
            }
        }
    }

    /// The last frames that came, for a failure's message.
    fn so_far(&self) -> String {
        let last = self.seen.len().saturating_sub(20);
        let mut text = format!("{} frames came so far", self.seen.len());
        for Frame { event, id, data } in &self.seen[last..] {
            text.push_str(&format!("\n  {event} {id} {data:.300}"));
        }
        text
    }

    /// True if nothing arrives for `time`: for a session that must not be closed.
    pub async fn stays_open_for(&mut self, time: Duration) -> bool {
        timeout(time, self.closed()).await.is_err()
    }
}

/// Asserts that `data` is an exception's, with `code`.
#[track_caller]
pub fn assert_exception(data: &Value, code: &str) {
    assert_eq!(data["code"], code, "another code: {data}");
    assert_eq!(data["status"], "error", "{data}");
    assert!(data["message"].as_str().is_some_and(|text| !text.is_empty()), "no message: {data}");
}
