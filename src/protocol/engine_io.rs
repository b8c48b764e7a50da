//! Engine.IO 4: packets, payloads, the handshake and refusals.

use serde::Serialize;

/// The server's heartbeat.
pub const PING: &str = "2";
/// Payload of a client's ping on the websocket that it wants to upgrade to.
pub const PROBE: &str = "probe";
/// The answer to a probe.
pub const PROBED: &str = "3probe";
/// The answer to a GET that waits while the client upgrades.
pub const NOOP: &str = "6";
/// The end, for a client that polls.
pub const CLOSE: &str = "1";

/// Separator of the packets of a payload.
const SEPARATOR: char = '\u{1e}';

/// A packet of a client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EnginePacket<'a> {
    Open,
    Close,
    Ping(&'a str),
    Pong(&'a str),
    Message(&'a str),
    /// A binary message, by its decoded size; the content is not kept.
    Binary(usize),
    Upgrade,
    Noop,
}

/// A packet that breaks the protocol, with the reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct MalformedPacket(pub &'static str);

impl<'a> EnginePacket<'a> {
    /// Parses one packet: a text frame of a websocket.
    ///
    /// # Errors
    /// An empty or unknown packet, or data behind a packet that has none.
    pub fn parse(text: &'a str) -> Result<Self, MalformedPacket> {
        let mut rest = text.chars();
        let kind = rest.next().ok_or(MalformedPacket("an empty packet"))?;
        let data = rest.as_str();
        let bare = match kind {
            '2' => return Ok(Self::Ping(data)),
            '3' => return Ok(Self::Pong(data)),
            '4' => return Ok(Self::Message(data)),
            '0' => Self::Open,
            '1' => Self::Close,
            '5' => Self::Upgrade,
            '6' => Self::Noop,
            _ => return Err(MalformedPacket("an unknown type of packet")),
        };
        if data.is_empty() { Ok(bare) } else { Err(MalformedPacket("data behind a bare packet")) }
    }
}

/// The packets of a POST's body. A body without a packet is one error.
pub fn payload(body: &str) -> impl Iterator<Item = Result<EnginePacket<'_>, MalformedPacket>> {
    body.split(SEPARATOR).map(|packet| match packet.strip_prefix('b') {
        Some(base64) => binary_size(base64).map(EnginePacket::Binary),
        None => EnginePacket::parse(packet),
    })
}

/// Size of the bytes that a text in base64 stands for, which are not decoded.
fn binary_size(base64: &str) -> Result<usize, MalformedPacket> {
    let digits = base64.strip_suffix("==").or_else(|| base64.strip_suffix('=')).unwrap_or(base64);
    let is_digit = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/');
    if !base64.len().is_multiple_of(4) || !digits.bytes().all(is_digit) {
        return Err(MalformedPacket("a binary message that is not base64"));
    }
    Ok(digits.len() / 4 * 3 + (digits.len() % 4).saturating_sub(1))
}

/// The body of a GET's answer.
#[must_use]
pub fn join<'a>(packets: impl IntoIterator<Item = &'a str>) -> String {
    let mut body = String::new();
    for packet in packets {
        if !body.is_empty() {
            body.push(SEPARATOR);
        }
        body.push_str(packet);
    }
    body
}

/// The packet of a handshake. Times are in milliseconds, the payload is in bytes.
#[must_use]
pub fn open(
    sid: &str,
    upgrades: &[&str],
    ping_interval: u64,
    ping_timeout: u64,
    max_payload: usize,
) -> String {
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Handshake<'a> {
        sid: &'a str,
        upgrades: &'a [&'a str],
        ping_interval: u64,
        ping_timeout: u64,
        max_payload: usize,
    }
    let handshake = Handshake { sid, upgrades, ping_interval, ping_timeout, max_payload };
    // Texts and numbers alone: this cannot fail.
    format!("0{}", serde_json::to_string(&handshake).unwrap_or_default())
}

/// A refused request, by the number that clients are told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Refusal {
    TransportUnknown = 0,
    SessionUnknown = 1,
    BadHandshakeMethod = 2,
    BadRequest = 3,
    Forbidden = 4,
    UnsupportedProtocolVersion = 5,
}

impl Refusal {
    /// All of them, by their numbers.
    pub const ALL: [Self; 6] = [
        Self::TransportUnknown,
        Self::SessionUnknown,
        Self::BadHandshakeMethod,
        Self::BadRequest,
        Self::Forbidden,
        Self::UnsupportedProtocolVersion,
    ];

    #[must_use]
    pub fn code(self) -> u8 {
        self as u8
    }

    /// The words of the reference server, which clients compare.
    #[must_use]
    pub fn message(self) -> &'static str {
        match self {
            Self::TransportUnknown => "Transport unknown",
            Self::SessionUnknown => "Session ID unknown",
            Self::BadHandshakeMethod => "Bad handshake method",
            Self::BadRequest => "Bad request",
            Self::Forbidden => "Forbidden",
            Self::UnsupportedProtocolVersion => "Unsupported protocol version",
        }
    }

    /// The status of the answer.
    #[must_use]
    pub fn status(self) -> u16 {
        if self == Self::Forbidden { 403 } else { 400 }
    }

    /// The body of the answer, JSON.
    #[must_use]
    pub fn body(self) -> String {
        self.body_saying(self.message())
    }

    /// The same with words of the caller's own.
    #[must_use]
    pub fn body_saying(self, message: &str) -> String {
        let message = serde_json::Value::from(message);
        format!(r#"{{"code":{},"message":{message}}}"#, self.code())
    }
}

#[cfg(test)]
mod tests {
    use base64::Engine;
    use base64::engine::general_purpose::STANDARD;
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    fn packets(body: &str) -> Result<Vec<EnginePacket<'_>>, MalformedPacket> {
        payload(body).collect()
    }

    #[test]
    fn a_packet_is_known_by_its_first_character() {
        for (text, packet) in [
            ("0", EnginePacket::Open),
            ("1", EnginePacket::Close),
            ("2", EnginePacket::Ping("")),
            ("2probe", EnginePacket::Ping("probe")),
            ("3", EnginePacket::Pong("")),
            ("3probe", EnginePacket::Pong("probe")),
            ("4", EnginePacket::Message("")),
            (r#"42["é"]"#, EnginePacket::Message(r#"2["é"]"#)),
            ("5", EnginePacket::Upgrade),
            ("6", EnginePacket::Noop),
        ] {
            assert_eq!(EnginePacket::parse(text), Ok(packet), "{text}");
            assert_eq!(packets(text), Ok(vec![packet]), "{text}");
        }
    }

    #[test]
    fn a_packet_that_breaks_the_protocol_is_refused() {
        for text in ["", "7", "9abc", "a", " 2", "é", "\u{663}", "1x", "5probe", "6 ", "0{}"] {
            assert!(EnginePacket::parse(text).is_err(), "{text}");
        }
        assert!(EnginePacket::parse("bAQID").is_err(), "binary is a frame of its own there");
    }

    #[test]
    fn a_payload_has_its_packets_in_their_order() {
        let body = "42[\"a\"]\u{1e}bAQIDBA==\u{1e}3\u{1e}4";
        let expected = [
            EnginePacket::Message(r#"2["a"]"#),
            EnginePacket::Binary(4),
            EnginePacket::Pong(""),
            EnginePacket::Message(""),
        ];
        assert_eq!(packets(body), Ok(expected.into()));
        for body in ["", "\u{1e}", "42\u{1e}", "\u{1e}42", "42\u{1e}\u{1e}42", "42\u{1e}x"] {
            assert!(packets(body).is_err(), "{body:?}");
        }
        let before: Vec<_> = payload("3\u{1e}x\u{1e}3").collect();
        assert!(before[0].is_ok() && before[1].is_err() && before[2].is_ok());
    }

    #[test]
    fn what_is_not_base64_is_refused() {
        assert_eq!(packets("b"), Ok(vec![EnginePacket::Binary(0)]));
        for base64 in [
            "A", "AB", "ABC", "A===", "====", "=AAA", "AB=C", "AB-_", "ABC ", "ABCDE", "éé", "AA=A",
        ] {
            assert!(packets(&format!("b{base64}")).is_err(), "{base64}");
        }
    }

    #[test]
    fn a_handshake_says_what_a_client_needs() {
        let open = open("n1.AbC", &["websocket"], 25_000, 20_000, 131_072);
        let expected = r#"0{"sid":"n1.AbC","upgrades":["websocket"],"pingInterval":25000,"pingTimeout":20000,"maxPayload":131072}"#;
        assert_eq!(open, expected);
        assert!(super::open("s", &[], 1, 1, 1).contains(r#""upgrades":[]"#));
    }

    #[test]
    fn a_refusal_is_a_code_and_the_known_words() {
        assert_eq!(Refusal::SessionUnknown.body(), r#"{"code":1,"message":"Session ID unknown"}"#);
        for (code, refusal) in Refusal::ALL.into_iter().enumerate() {
            assert_eq!(usize::from(refusal.code()), code);
            assert_eq!(refusal.status(), if code == 4 { 403 } else { 400 });
        }
        let said: Value =
            serde_json::from_str(&Refusal::BadRequest.body_saying("a \"b\"")).expect("JSON");
        assert_eq!(said, json!({"code": 3, "message": "a \"b\""}));
    }

    proptest! {
        #[test]
        fn any_text_is_parsed_or_refused(text in any::<String>(), body in "[0-9b=A+\u{1e}é]{0,40}") {
            let _ = EnginePacket::parse(&text);
            prop_assert!(payload(&text).count() >= 1);
            prop_assert!(payload(&body).count() >= 1);
        }

        #[test]
        fn joined_packets_come_apart_again(
            messages in proptest::collection::vec("[^\u{1e}]{0,20}", 1..8),
        ) {
            let packets: Vec<_> = messages.iter().map(|message| format!("4{message}")).collect();
            let body = join(packets.iter().map(String::as_str));
            let read: Result<Vec<_>, _> = payload(&body).collect();
            let expected: Vec<_> = messages.iter().map(|m| EnginePacket::Message(m)).collect();
            prop_assert_eq!(read, Ok(expected));
        }

        #[test]
        fn a_binary_messages_size_is_known_without_its_bytes(
            bytes in proptest::collection::vec(any::<u8>(), 0..200),
        ) {
            let body = format!("b{}", STANDARD.encode(&bytes));
            let read: Result<Vec<_>, _> = payload(&body).collect();
            prop_assert_eq!(read, Ok(vec![EnginePacket::Binary(bytes.len())]));
        }

        #[test]
        fn base64_is_what_a_decoder_takes(text in "[A-D+/=]{0,12}") {
            // The last digit's unused bits are not looked at: they change no size.
            let engine = base64::engine::GeneralPurpose::new(
                &base64::alphabet::STANDARD,
                base64::engine::GeneralPurposeConfig::new()
                    .with_decode_allow_trailing_bits(true),
            );
            let decoded = engine.decode(&text).ok().map(|bytes| bytes.len());
            prop_assert_eq!(binary_size(&text).ok(), decoded);
        }
    }
}
