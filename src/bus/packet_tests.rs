use serde_json::json;

use super::*;
use crate::bus::pattern;
use crate::protocol::Code;

fn text(body: serde_json::Result<Vec<u8>>) -> String {
    String::from_utf8(body.expect("a body")).expect("UTF-8")
}

fn reply(body: &str) -> (Option<String>, Option<String>, bool) {
    let Reply { value, error, is_last } = Reply::read(body.as_bytes()).expect("a reply");
    (value.map(|value| value.get().to_owned()), error, is_last)
}

#[test]
fn a_packet_is_a_request_by_its_id_alone() {
    let body = br#"{"pattern":{"cmd":"get_user"},"data":{"id":"1"},"id":"815190a75b8e5bf33bd07"}"#;
    let packet = Packet::read(body).expect("a packet");
    assert_eq!(packet.pattern, Pattern::Cmd("get_user".to_owned()));
    assert_eq!(packet.data.get(), r#"{"id":"1"}"#);
    assert_eq!(packet.id.as_deref().map(RawValue::get), Some(r#""815190a75b8e5bf33bd07""#));
    assert_eq!(packet.id_text().as_deref(), Some("815190a75b8e5bf33bd07"));

    let event = Packet::read(br#"{"pattern":"nope","data":1}"#).expect("a packet");
    assert_eq!((event.pattern.name(), event.data.get()), (Some("nope"), "1"));
    assert!(event.id.is_none());
    let odd = Packet::read(br#"{"pattern":7,"id":null}"#).expect("a packet");
    assert_eq!((odd.pattern.name(), odd.data.get()), (None, "null"));
    assert!(odd.id.is_some(), "it is a request");
    assert_eq!(odd.id_text(), None, "but says nothing");
    let numbered = Packet::read(br#"{"pattern":7,"id":1}"#).expect("a packet");
    assert_eq!(numbered.id_text().as_deref(), Some("1"));
}

#[test]
fn other_fields_of_a_packet_are_ignored() {
    let body = r#" {"metadata":{"a":[1,{}]},"data":"old","p\u0061ttern":"x","data":[1, 2],"":0} "#;
    let packet = Packet::read(body.as_bytes()).expect("a packet");
    assert_eq!((packet.pattern.name(), packet.data.get()), (Some("x"), "[1, 2]"));
    assert!(packet.id.is_none());
}

#[test]
fn what_is_no_packet_is_told_with_its_reason() {
    for body in [&b"hello"[..], b"", b"{", b"\xff\xfe", b"{\"pattern\":\"x\"} y", b"\"\xff\""] {
        assert_eq!(Packet::read(body).err(), Some(Unreadable::NotJson), "{body:?}");
    }
    for body in [r#"{"data":1}"#, "1", "null", "[]", r#""pattern""#, "{}"] {
        assert_eq!(Packet::read(body.as_bytes()).err(), Some(Unreadable::NoPattern), "{body}");
    }
    let deep = format!(r#"{{"pattern":"x","data":{}{}}}"#, "[".repeat(9_999), "]".repeat(9_999));
    assert!(Packet::read(deep.as_bytes()).is_ok());
}

#[test]
fn what_is_sent_is_byte_for_byte_what_nestjs_sends() {
    let pattern = pattern::to_wire(r#"{"cmd":"get_user"}"#).expect("a pattern");
    let name = pattern::to_wire("user_created").expect("a pattern");
    assert_eq!(
        text(event(&name, &json!({"x": 1}))),
        r#"{"pattern":"user_created","data":{"x":1}}"#
    );
    assert_eq!(
        text(request(&pattern, &json!({"id": "1"}), "815190a75b8e5bf33bd07")),
        r#"{"pattern":{"cmd":"get_user"},"data":{"id":"1"},"id":"815190a75b8e5bf33bd07"}"#,
    );
    assert_eq!(text(response(&json!({"id": 1}))), r#"{"response":{"id":1},"isDisposed":true}"#);
    assert_eq!(text(response(&())), r#"{"response":null,"isDisposed":true}"#);
    assert_eq!(
        text(refusal(&ApiError::new(Code::ChatNotFound, "there is no such chat"))),
        r#"{"err":{"status":"error","code":"chat_not_found","message":"there is no such chat"},"isDisposed":true}"#,
    );
    let id: &RawValue = serde_json::from_str(r#""15190a75b8e5bf33bd073""#).expect("JSON");
    assert_eq!(
        text(no_handler(id)),
        r#"{"id":"15190a75b8e5bf33bd073","err":"There is no matching message handler defined in the remote service.","status":"error"}"#,
    );
}

#[test]
fn every_answer_of_a_nestjs_service_is_understood() {
    let some = |text: &str| Some(text.to_owned());
    for (body, value, error, is_last) in [
        (r#"{"response":{"got":[1,2]},"isDisposed":true}"#, some(r#"{"got":[1,2]}"#), None, true),
        (r#"{"response":null,"isDisposed":true}"#, some("null"), None, true),
        (r#"{"isDisposed":true}"#, None, None, true),
        (r#"{"response":{"i":0}}"#, some(r#"{"i":0}"#), None, false),
        (r#"{"response":{"i":2},"isDisposed":true}"#, some(r#"{"i":2}"#), None, true),
        (
            r#"{"err":{"status":"error","message":"string reason"},"isDisposed":true}"#,
            None,
            some("string reason"),
            true,
        ),
        (
            r#"{"err":{"code":42,"message":"object reason"},"isDisposed":true}"#,
            None,
            some("object reason"),
            true,
        ),
        (r#"{"err":{"code":42},"isDisposed":true}"#, None, some(r#"{"code":42}"#), true),
        (
            r#"{"id":"id-14","err":"There is no matching message handler defined in the remote service.","status":"error"}"#,
            None,
            some("There is no matching message handler defined in the remote service."),
            true,
        ),
        (r#"{"err":"plain string"}"#, None, some("plain string"), true),
        (r#"{"err":null,"response":1,"isDisposed":true}"#, some("1"), None, true),
        (r#"{"err":"","isDisposed":false}"#, None, None, false),
        (r#"{"id":"a","response":1,"isDisposed":true,"more":2}"#, some("1"), None, true),
    ] {
        assert_eq!(reply(body), (value, error, is_last), "{body}");
    }
}

#[test]
fn what_is_no_answer_is_told_with_its_reason() {
    for body in [&b"no JSON"[..], b"", b"\xff", b"{\"response\":1"] {
        assert_eq!(Reply::read(body).err(), Some(Unreadable::NotJson), "{body:?}");
    }
    for body in [r#"{"hello":"foreign"}"#, "[1]", "{}", "null", "7"] {
        assert_eq!(Reply::read(body.as_bytes()).err(), Some(Unreadable::NoAnswer), "{body}");
    }
}
