use proptest::prelude::*;
use serde_json::json;

use super::*;

/// A packet in few words: `namespace kind …`.
fn shown(text: &str) -> String {
    let SocketPacket { namespace, kind } = match parse(text) {
        Ok(packet) => packet,
        Err(MalformedPacket(reason)) => return format!("malformed: {reason}"),
    };
    let id_of = |id: Option<RequestId>| match id {
        Some(RequestId::Number(id)) => id.to_string(),
        Some(RequestId::Text(text)) => panic!("{text} is not a number"),
        None => "-".into(),
    };
    let kind = match kind {
        PacketKind::Connect(auth) => format!("connect {}", auth.map_or("-", RawValue::get)),
        PacketKind::Disconnect => "disconnect".into(),
        PacketKind::Event { id, event, data, more } => {
            format!("event {} {event} {} +{more}", id_of(id), data.map_or("-", RawValue::get))
        }
        PacketKind::Ack => "ack".into(),
        PacketKind::Binary { attachments, id, event } => {
            format!("binary {attachments} {} {}", id_of(id), event.as_deref().unwrap_or("-"))
        }
    };
    format!("{namespace} {kind}")
}

/// Packets of real clients, and what they say.
const VALID: &[(&str, &str)] = &[
    ("0", "/ connect -"),
    (r#"0{"token":"JWT"}"#, r#"/ connect {"token":"JWT"}"#),
    ("0/chats,", "/chats connect -"),
    ("0/chats", "/chats connect -"),
    (r#"0/chats,{"token":"JWT"}"#, r#"/chats connect {"token":"JWT"}"#),
    ("0/chats,{}", "/chats connect {}"),
    ("0/chats{}", "/chats{} connect -"),
    ("1", "/ disconnect"),
    ("1/chats,", "/chats disconnect"),
    (r#"2["echo",{"no":"ack"}]"#, r#"/ event - echo {"no":"ack"} +0"#),
    (r#"20["echo",{"x":"é\"\\"}]"#, r#"/ event 0 echo {"x":"é\"\\"} +0"#),
    (r#"21["multi",1,"two",null]"#, "/ event 1 multi 1 +2"),
    (r#"2/chats,0["echo",[1,2]]"#, "/chats event 0 echo [1,2] +0"),
    (r#"2["bye"]"#, "/ event - bye - +0"),
    (r#"2["x",null]"#, "/ event - x null +0"),
    (r#"2 [ "x" , 1 ] "#, "/ event - x 1 +0"),
    (r#"2/,["x"]"#, "/ event - x - +0"),
    (r#"2/a/b?c=d,["x"]"#, "/a/b?c=d event - x - +0"),
    (r#"2["\u0065ch\"o"]"#, "/ event - ech\"o - +0"),
    (r#"2["x",{"half":"\ud83d"}]"#, r#"/ event - x {"half":"\ud83d"} +0"#),
    (r#"29007199254740992["x"]"#, "/ event 9007199254740992 x - +0"),
    (r#"2007["x"]"#, "/ event 7 x - +0"),
    (r#"30[{"a":42}]"#, "/ ack"),
    ("3/chats,12[]", "/chats ack"),
    (r#"51-2["bin",{"_placeholder":true,"num":0}]"#, "/ binary 1 2 bin"),
    (r#"510-/chats,["bin"]"#, "/chats binary 10 - bin"),
    (r#"61-2[{"_placeholder":true,"num":0}]"#, "/ binary 1 2 -"),
];

#[test]
fn a_clients_packet_is_read_as_it_was_meant() {
    for (text, says) in VALID {
        assert_eq!(shown(text), *says, "{text}");
    }
}

#[test]
fn a_packet_that_breaks_the_protocol_is_refused_with_a_reason() {
    for (text, reason) in [
        ("", "without a type"),
        ("7", "unknown type"),
        ("x", "unknown type"),
        ("é", "unknown type"),
        ("0[]", "not an object"),
        ("0null", "not an object"),
        ("0\"token\"", "not an object"),
        ("0{", "not JSON"),
        ("0{}{}", "not JSON"),
        ("01{}", "not JSON"),
        ("1{}", "DISCONNECT with a payload"),
        ("1/chats,[]", "DISCONNECT with a payload"),
        ("11", "DISCONNECT with a payload"),
        ("2", "event without a payload"),
        ("2/chats,", "event without a payload"),
        ("2/chats", "event without a payload"),
        ("27", "event without a payload"),
        ("2{}", "not an array"),
        ("2\"x\"", "not an array"),
        ("2null", "not an array"),
        ("2[", "not JSON"),
        (r#"2["x"]]"#, "not JSON"),
        (r#"2["x",]"#, "not JSON"),
        (r#"2["x",{"a":tru}]"#, "not JSON"),
        ("2[]", "not its name"),
        ("2[1]", "not its name"),
        ("2[null]", "not its name"),
        (r#"2[{"toString":1}]"#, "not its name"),
        (r#"2["half \ud83d"]"#, "not its name"),
        (r#"2["connect"]"#, "reserved name"),
        (r#"2["connect_error",{}]"#, "reserved name"),
        (r#"2["disconnect"]"#, "reserved name"),
        (r#"2["disconnecting"]"#, "reserved name"),
        (r#"2["newListener"]"#, "reserved name"),
        (r#"2["removeListener"]"#, "reserved name"),
        (r#"2["\u0064isconnect"]"#, "reserved name"),
        (r#"29007199254740993["x"]"#, "above 2^53"),
        (r#"299999999999999999999999999["x"]"#, "above 2^53"),
        (r#"2-1["x"]"#, "not JSON"),
        (r#"21.5["x"]"#, "not JSON"),
        (r#"2+1["x"]"#, "not JSON"),
        ("2\u{663}[\"x\"]", "not JSON"),
        ("3[]", "ACK without an id"),
        ("3/chats,[1]", "ACK without an id"),
        ("30", "not an array"),
        ("30{}", "not an array"),
        ("30[", "not JSON"),
        ("4", "CONNECT_ERROR"),
        (r#"4{"message":"x"}"#, "CONNECT_ERROR"),
        (r#"5["x"]"#, "without a number of attachments"),
        (r#"5-["x"]"#, "without a number of attachments"),
        (r#"51["x"]"#, "without a number of attachments"),
        (r#"5--1-["x"]"#, "without a number of attachments"),
        (r#"5a-["x"]"#, "without a number of attachments"),
        (r#"51.5-["x"]"#, "without a number of attachments"),
        (r#"51e1-["x"]"#, "without a number of attachments"),
        (r#"50-["x"]"#, "0 or more than 10"),
        (r#"511-["x"]"#, "0 or more than 10"),
        (r#"599999999999999999999999-["x"]"#, "0 or more than 10"),
        ("51-", "event without a payload"),
        (r#"51-["disconnect"]"#, "reserved name"),
        ("61-[]", "ACK without an id"),
        ("60-1[]", "0 or more than 10"),
        ("61-1{}", "not an array"),
    ] {
        let shown = shown(text);
        assert!(shown.contains(reason), "{text}: {shown}");
    }
}

#[test]
fn deeply_nested_json_is_handed_on_as_it_is() {
    let deep = format!("{}{}", "[".repeat(60_000), "]".repeat(60_000));
    for text in [format!(r#"27["x",{deep}]"#), format!(r#"2["x",1,{deep}]"#)] {
        let packet = parse(&text).expect("an event");
        assert!(matches!(packet.kind, PacketKind::Event { .. }));
    }
    let auth = format!(r#"0{{"a":{deep}}}"#);
    let PacketKind::Connect(Some(payload)) = parse(&auth).expect("a packet").kind else {
        panic!("it has a payload");
    };
    assert_eq!(payload.get(), auth.strip_prefix("0").expect("a type"));
    assert!(parse(&format!("30{deep}")).is_ok());
    assert!(parse(&format!("2[{deep}]")).is_err());
    assert!(parse(&format!("2{}", "[".repeat(60_000))).is_err());
}

#[test]
fn data_is_a_slice_of_the_frame() {
    let frame = r#"2["x",{"a":[1,2]}]"#;
    let PacketKind::Event { event, data, .. } = parse(frame).expect("an event").kind else {
        panic!("an event");
    };
    assert!(matches!(event, Cow::Borrowed("x")));
    let inside = frame.as_bytes().as_ptr_range();
    assert!(inside.contains(&data.expect("an argument").get().as_ptr()));
}

#[test]
fn a_servers_packet_is_written_as_captured() {
    let (root, chats) = (Namespace::new("/"), Namespace::new("/chats"));
    for (written, expected) in [
        (event(&root, r#"["welcome",{}]"#), r#"42["welcome",{}]"#),
        (event(&chats, r#"["a",1]"#), r#"42/chats,["a",1]"#),
        (ack(&root, 0, r#"{"ok":true}"#), r#"430[{"ok":true}]"#),
        (ack(&chats, 7, "[1,2]"), "43/chats,7[[1,2]]"),
        (connected(&root, "0N4k", None), r#"40{"sid":"0N4k"}"#),
        (connected(&chats, "0N4k", None), r#"40/chats,{"sid":"0N4k"}"#),
        (connected(&root, "0N4k", Some("p")), r#"40{"sid":"0N4k","pid":"p"}"#),
        (connected(&chats, "0N4k", Some("p")), r#"40/chats,{"sid":"0N4k","pid":"p"}"#),
        (event_at(&root, r#"["a",{"b":[1]}]"#, 7), r#"42["a",{"b":[1]},"7"]"#),
        (event_at(&chats, r#"["a",[]]"#, 7), r#"42/chats,["a",[],"7"]"#),
        (
            connect_error("/nope", "Invalid namespace", None),
            r#"44/nope,{"message":"Invalid namespace"}"#,
        ),
        (
            connect_error("/", "no \"token\"", Some(r#"{"code":"unauthenticated"}"#)),
            r#"44{"message":"no \"token\"","data":{"code":"unauthenticated"}}"#,
        ),
        (disconnect(&root), "41"),
        (disconnect(&chats), "41/chats,"),
    ] {
        assert_eq!(written, expected);
    }
    assert_eq!((root.name(), chats.name()), ("/", "/chats"));
}

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 16, 4, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            proptest::collection::btree_map(any::<String>(), inner, 0..4)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

fn namespace_name() -> impl Strategy<Value = String> {
    prop_oneof![Just("/".to_owned()), "/[^,]{0,12}"]
}

proptest! {
    #[test]
    fn an_event_is_read_as_it_was_written(
        name in namespace_name(),
        id in proptest::option::of(0..=ID_MAX),
        event in any::<String>(),
        arguments in proptest::collection::vec(value(), 0..4),
    ) {
        let is_allowed = !SOCKETIO_EVENTS.contains(&&*event);
        let mut body = vec![json!(event)];
        body.extend(arguments.iter().cloned());
        let id_text = id.map(|id| id.to_string()).unwrap_or_default();
        let text = format!("2{}{id_text}{}", prefix(&name), Value::from(body));
        let Ok(packet) = parse(&text) else {
            prop_assert!(!is_allowed, "{}", text);
            return Ok(());
        };
        prop_assert!(is_allowed && packet.namespace == name);
        let PacketKind::Event { id: id_read, event: event_read, data, more } = packet.kind else {
            panic!("{text} is an event");
        };
        prop_assert_eq!(id_read, id.map(RequestId::Number));
        prop_assert_eq!(event_read, event);
        let data = data.map(|data| serde_json::from_str::<Value>(data.get()).expect("JSON"));
        prop_assert_eq!(data.as_ref(), arguments.first());
        prop_assert_eq!(more, arguments.len().saturating_sub(1));
    }

    #[test]
    fn what_the_server_writes_has_the_same_grammar(
        name in namespace_name(),
        id in 0..=ID_MAX,
        value in value(),
    ) {
        let (namespace, value) = (Namespace::new(&name), value.to_string());
        let read = |packet: &ByteString| shown(packet.strip_prefix('4').expect("a message"));
        let written = event(&namespace, &format!(r#"["a",{value}]"#));
        prop_assert_eq!(read(&written), format!("{name} event - a {value} +0"));
        prop_assert_eq!(read(&ack(&namespace, id, &value)), format!("{name} ack"));
        let written = connected(&namespace, "s", None);
        prop_assert_eq!(read(&written), format!(r#"{name} connect {{"sid":"s"}}"#));
        prop_assert_eq!(read(&disconnect(&namespace)), format!("{name} disconnect"));
    }

    #[test]
    fn any_text_is_parsed_or_refused(
        text in any::<String>(),
        similar in r#"[0-7]{1,3}-?(/[a-z]{0,3},?)?[0-9]{0,20}[\[\]{}",:a-z0-9\\ ]{0,30}"#,
    ) {
        let _ = parse(&text);
        let _ = parse(&similar);
    }

    #[test]
    fn a_changed_character_is_parsed_or_refused(
        at in any::<proptest::sample::Index>(),
        to in proptest::option::of(any::<char>()),
    ) {
        for (text, _) in VALID {
            let at = at.index(text.chars().count());
            let character = |(index, c)| if index == at { to } else { Some(c) };
            let changed: String = text.chars().enumerate().filter_map(character).collect();
            let _ = parse(&changed);
        }
    }
}
