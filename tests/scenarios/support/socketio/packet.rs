//! Packets of Socket.IO, as they stand in a message of Engine.IO.

use serde_json::Value;

pub const CONNECT: char = '0';
pub const DISCONNECT: char = '1';
pub const EVENT: char = '2';
pub const ACK: char = '3';
pub const CONNECT_ERROR: char = '4';

/// One packet from the server.
#[derive(Debug, Clone)]
pub struct Packet {
    pub kind: char,
    pub nsp: String,
    pub id: Option<u64>,
    pub data: Value,
}

impl Packet {
    /// Parses an Engine.IO packet, which must be a message, and as the protocol says.
    #[track_caller]
    pub fn parse(text: &str) -> Self {
        let wrong = |what: &str| -> ! { panic!("{what}: {text}") };
        let Some(rest) = text.strip_prefix('4') else { wrong("no message of Engine.IO") };
        let Some(kind) = rest.chars().next() else { wrong("no packet of Socket.IO") };
        let mut rest = rest.split_at(1).1;
        let mut nsp = "/";
        if rest.starts_with('/') {
            let Some((name, others)) = rest.split_once(',') else { wrong("an open namespace") };
            (nsp, rest) = (name, others);
        }
        let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
        let id = rest.split_at(digits).0.parse().ok();
        let data = match rest.split_at(digits).1 {
            "" => Value::Null,
            json => serde_json::from_str(json).unwrap_or_else(|_| wrong("no JSON")),
        };
        let packet = Self { kind, nsp: nsp.to_owned(), id, data };
        let is_good = match kind {
            CONNECT | CONNECT_ERROR => id.is_none() && packet.data.is_object(),
            DISCONNECT => id.is_none() && packet.data.is_null(),
            // A name and one argument; where sessions are recovered, an offset.
            EVENT => {
                let is_offset = packet.list() == 3 && packet.data[2].is_string();
                id.is_none() && (packet.list() == 2 || is_offset) && packet.data[0].is_string()
            }
            ACK => id.is_some() && packet.list() == 1,
            _ => false,
        };
        if is_good { packet } else { wrong("not what the server sends") }
    }

    fn list(&self) -> usize {
        self.data.as_array().map_or(0, Vec::len)
    }

    /// The offset of an event.
    pub fn offset(&self) -> Option<&str> {
        self.data[2].as_str().filter(|_| self.kind == EVENT)
    }

    /// The argument of an event of this name.
    pub fn event(&self, name: &str) -> Option<&Value> {
        (self.kind == EVENT && self.data[0] == name).then(|| &self.data[1])
    }

    /// The place in `chat` that this packet stands for: a message's, or an own one's ack.
    pub fn seq_in(&self, chat: i64) -> Option<i64> {
        let data = match self.kind {
            ACK => Some(&self.data[0]).filter(|data| data["duplicate"] == false),
            _ => self.event("receive_message"),
        };
        data.filter(|data| data["chatId"] == chat).and_then(|data| data["seq"].as_i64())
    }
}

/// The beginning of a packet: its kind and namespace, as the client writes it.
pub fn head(kind: char, nsp: &str) -> String {
    if nsp == "/" { format!("4{kind}") } else { format!("4{kind}{nsp},") }
}
