use proptest::prelude::*;
use serde_json::json;

use super::*;

fn name_in(table: Value) -> NameIn {
    serde_json::from_value(table).expect("a name")
}

fn name_out(table: Value) -> NameOut {
    serde_json::from_value(table).expect("a name")
}

fn raw(json: &str) -> &RawValue {
    serde_json::from_str(json).expect(json)
}

/// The command and its data; `-` if nothing is translated.
fn taken(names: &Names, event: &str, data: &str) -> String {
    let data = (!data.is_empty()).then(|| raw(data));
    match names.take(event, data) {
        Some(Translated { event, data, .. }) => {
            format!("{event} {}", data.as_deref().map_or("", RawValue::get))
        }
        None => "-".into(),
    }
}

#[test]
fn a_bare_list_enters_chats_and_a_bare_text_is_sent_without_any_settings() {
    let names = Names::default();
    assert!(names.is_empty());
    for (event, data, expected) in [
        ("enter_chat", "[1,2]", r#"enter_chat {"chatIds":[1,2]}"#),
        ("enter_chat", r#"["1", 2]"#, r#"enter_chat {"chatIds":[1,2]}"#),
        ("enter_chat", "[]", r#"enter_chat {"chatIds":[]}"#),
        ("send_message", r#""hi \ud83d\ude00""#, r#"send_message {"message":"hi \ud83d\ude00"}"#),
        ("enter_chat", r#"{"chatIds":[1]}"#, "-"),
        ("enter_chat", "1", "-"),
        ("enter_chat", "null", "-"),
        ("enter_chat", "", "-"),
        ("send_message", r#"{"message":"hi"}"#, "-"),
        ("send_message", "7", "-"),
        ("send_message", "[]", "-"),
        ("leave_chat", "[1]", "-"),
        ("ping", r#""hi""#, "-"),
    ] {
        assert_eq!(taken(&names, event, data), expected, "{event} {data}");
    }
}

#[test]
fn a_clients_event_is_a_command_under_its_own_name() {
    let names = Names::new(
        &[
            name_in(json!({"event": "say", "is": "send_message",
                "fields": {"message": "text", "chatId": "room", "clientId": "key"}})),
            name_in(json!({"event": "join", "is": "enter_chat", "bare": "chatIds",
                "fields": {"chatIds": "room"}})),
            name_in(json!({"event": "look", "is": "view_chat", "bare": "chatId"})),
            name_in(json!({"event": "swap", "is": "ping", "fields": {"a": "b", "b": "a"}})),
        ],
        &[],
    );
    assert!(!names.is_empty());
    for (event, data, expected) in [
        ("say", r#"{"text":"hi","room":7}"#, r#"send_message {"message":"hi","chatId":7}"#),
        ("say", r#"{"t\u0065xt":"hi"}"#, r#"send_message {"message":"hi"}"#),
        ("say", r#"{"room":"007"}"#, r#"send_message {"chatId":7}"#),
        ("say", r#"{"room":"lobby"}"#, r#"send_message {"chatId":"lobby"}"#),
        ("say", r#"{"room":""}"#, r#"send_message {"chatId":""}"#),
        ("say", r#"{"room":"-7"}"#, r#"send_message {"chatId":"-7"}"#),
        ("say", r#"{"room":null}"#, r#"send_message {"chatId":null}"#),
        (
            "say",
            r#"{"room":"99999999999999999999"}"#,
            r#"send_message {"chatId":"99999999999999999999"}"#,
        ),
        ("say", r#"{"text":"1","key":"2"}"#, r#"send_message {"message":"1","clientId":"2"}"#),
        ("say", r#"{"x":1.50,"\u00e9":"\u0041"}"#, r#"send_message {"x":1.50,"\u00e9":"\u0041"}"#),
        ("say", "{}", "send_message {}"),
        ("say", r#""hi""#, r#"send_message {"message":"hi"}"#),
        ("say", "7", "send_message 7"),
        ("say", "null", "send_message null"),
        ("say", "", "send_message "),
        ("say", r#"{"\ud83d":1,"text":"hi"}"#, r#"send_message {"\ud83d":1,"text":"hi"}"#),
        ("join", "7", r#"enter_chat {"chatIds":[7]}"#),
        ("join", r#""7""#, r#"enter_chat {"chatIds":[7]}"#),
        ("join", r#"["7",8]"#, r#"enter_chat {"chatIds":[7,8]}"#),
        ("join", r#"{"room":"7"}"#, r#"enter_chat {"chatIds":[7]}"#),
        ("join", r#"{"room":null}"#, r#"enter_chat {"chatIds":null}"#),
        ("look", r#""7""#, r#"view_chat {"chatId":7}"#),
        ("look", "null", "view_chat null"),
        ("swap", r#"{"a":1,"b":2}"#, r#"ping {"b":1,"a":2}"#),
        ("enter_chat", "[1]", r#"enter_chat {"chatIds":[1]}"#),
        ("other", "{}", "-"),
    ] {
        assert_eq!(taken(&names, event, data), expected, "{event} {data}");
    }
}

#[test]
fn an_answer_has_what_the_client_sent_or_some_of_it() {
    let names = Names::new(
        &[
            name_in(json!({"event": "join", "is": "enter_chat", "bare": "chatIds",
                "answer": "joined"})),
            name_in(json!({"event": "say", "is": "send_message", "answer": "said",
                "answer_fields": {"text": "message", "to": "room"}})),
            name_in(json!({"event": "quiet", "is": "send_message"})),
        ],
        &[],
    );
    for (event, data, answer) in [
        ("join", r#""7""#, r#"joined "7""#),
        ("join", "", "joined null"),
        ("say", r#"{"room":7,"message":"a","x":1}"#, r#"said {"text":"a","to":7}"#),
        ("say", r#"{"message":"a"}"#, r#"said {"text":"a"}"#),
        ("say", "{}", "said {}"),
        ("say", r#""hi""#, r#"said "hi""#),
        ("quiet", "{}", "-"),
    ] {
        let data = (!data.is_empty()).then(|| raw(data));
        let translated = names.take(event, data).expect(event);
        let shown = translated.answer.map(|(event, data)| format!("{event} {}", data.get()));
        assert_eq!(shown.as_deref().unwrap_or("-"), answer, "{event}");
    }
}

#[test]
fn an_event_has_the_name_that_fits_what_its_session_has_sent() {
    let message = r#"{"id":1,"author":{"id":2,"nickname":"Kim \"K\""},"message":"h\u0069"}"#;
    let names = Names::new(
        &[],
        &[
            name_out(json!({"of": "receive_message", "as": "message",
                "fields": {"text": "message", "sender": "author.nickname", "none": "author.x.y"},
                "after": ["say", "join"]})),
            name_out(json!({"of": "receive_message", "as": "receive_message", "bare": "message",
                "after": ["enter_chat", "join"]})),
            name_out(json!({"of": "typing", "as": "userTyping"})),
            name_out(json!({"of": "presence", "as": "online", "bare": "missing"})),
            name_out(json!({"of": "viewers", "as": "seen", "fields": {"by": "users"}})),
        ],
    );
    let after = |events: &[&str]| {
        let mut used = Used::default();
        events.iter().for_each(|event| used.add(names.used(event)));
        used
    };
    let object = r#"message {"sender":"Kim \"K\"","text":"h\u0069"}"#;
    let bare = r#"receive_message "h\u0069""#;
    for (sent, event, data, expected) in [
        (&[][..], "receive_message", message, "-"),
        (&["other"], "receive_message", message, "-"),
        (&["say"], "receive_message", message, object),
        (&["join"], "receive_message", message, object),
        (&["enter_chat"], "receive_message", message, bare),
        (&["enter_chat", "say"], "receive_message", message, object),
        (&[], "typing", r#"{"typing":true}"#, r#"userTyping {"typing":true}"#),
        (&[], "presence", "{}", "online null"),
        (&[], "presence", "[]", "online null"),
        (&[], "viewers", r#"{"chatId":1}"#, "seen {}"),
        (&["say"], "welcome", "{}", "-"),
    ] {
        let given = names.give(after(sent), event, data);
        let shown = given.map(|(name, data)| format!("{name} {data}"));
        assert_eq!(shown.as_deref().unwrap_or("-"), expected, "{sent:?} {event}");
    }
}

#[test]
fn sixty_four_events_are_told_apart() {
    let events: Vec<_> = (0..64).map(|number| format!("e{number}")).collect();
    let out = |event: &String| {
        name_out(json!({"of": "welcome", "as": format!("after {event}"), "after": [event]}))
    };
    let names = Names::new(&[], &events.iter().map(out).collect::<Vec<_>>());
    for event in &events {
        let (name, _) = names.give(names.used(event), "welcome", "{}").expect(event);
        assert_eq!(name, format!("after {event}"));
    }
    assert!(names.give(Used::default(), "welcome", "{}").is_none());
}

#[test]
fn deeply_nested_json_is_moved_as_it_is() {
    let names = Names::new(
        &[name_in(json!({"event": "say", "is": "send_message", "fields": {"message": "text"}}))],
        &[name_out(json!({"of": "recv", "as": "got", "bare": "a.b"}))],
    );
    let deep = format!("{}{}", "[".repeat(50_000), "]".repeat(50_000));
    let sent = format!(r#"{{"text":{deep}}}"#);
    assert_eq!(taken(&names, "say", &sent), format!(r#"send_message {{"message":{deep}}}"#));
    assert_eq!(taken(&names, "enter_chat", &deep), format!(r#"enter_chat {{"chatIds":{deep}}}"#));
    let data = format!(r#"{{"a":{{"b":{deep}}}}}"#);
    let given = names.give(Used::default(), "recv", &data);
    assert_eq!(given, Some(("got", Cow::Borrowed(deep.as_str()))));
}

#[test]
fn the_clients_of_the_tutorials_speak_as_they_are_written() {
    let toml = include_str!("../../config/tutorials.toml");
    let settings = crate::settings::Settings::load_from(toml, std::iter::empty());
    let settings = settings.expect("valid settings").socketio;
    assert_eq!(settings.namespaces, ["/", "/chats", "/main", "/chat", "/noti"]);
    let names = Names::new(&settings.names_in, &settings.names_out);
    for (event, data, expected, answer) in [
        (
            "message",
            r#"{"text":"Hello world!"}"#,
            r#"send_message {"message":"Hello world!"}"#,
            r#"message {"text":"Hello world!"}"#,
        ),
        ("joinRoom", r#""10""#, r#"enter_chat {"chatIds":[10]}"#, r#"joinedRoom "10""#),
        (
            "sendToRoom",
            r#"{"room":"10","message":"hi"}"#,
            r#"send_message {"chatId":10,"message":"hi"}"#,
            r#"message {"text":"hi"}"#,
        ),
        (
            "sendMessage",
            r#"{"room":10,"message":"hi"}"#,
            r#"send_message {"chatId":10,"message":"hi"}"#,
            "-",
        ),
        (
            "hello_from_client",
            r#""this is message for client""#,
            r#"send_message {"message":"this is message for client"}"#,
            "-",
        ),
        ("enter_chat", "[1,2]", r#"enter_chat {"chatIds":[1,2]}"#, "-"),
        ("enter_chat", r#"{"chatIds":[1,2]}"#, "-", "-"),
        ("send_message", r#""hi""#, r#"send_message {"message":"hi"}"#, "-"),
        ("send_message", r#"{"message":"hi","chatId":2,"authorId":1}"#, "-", "-"),
    ] {
        assert_eq!(taken(&names, event, data), expected, "{event} {data}");
        let answered = names.take(event, Some(raw(data))).and_then(|translated| translated.answer);
        let shown = answered.map(|(event, data)| format!("{event} {}", data.get()));
        assert_eq!(shown.as_deref().unwrap_or("-"), answer, "{event} {data}");
    }
    let message = r#"{"author":{"id":7,"nickname":"Kim"},"message":"hi"}"#;
    for (sent, expected) in [
        ("message", r#"message {"sender":"Kim","text":"hi"}"#),
        ("joinRoom", r#"message {"sender":"Kim","text":"hi"}"#),
        ("sendToRoom", r#"message {"sender":"Kim","text":"hi"}"#),
        ("hello_from_client", r#"hello_from_server "hi""#),
        ("enter_chat", r#"receive_message "hi""#),
        ("sendMessage", "-"),
        ("send_message", "-"),
    ] {
        let given = names.give(names.used(sent), "receive_message", message);
        let shown = given.map(|(name, data)| format!("{name} {data}"));
        assert_eq!(shown.as_deref().unwrap_or("-"), expected, "{sent}");
    }
}

fn json_text() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<i64>().prop_map(Value::from),
        "[0-9]{0,20}".prop_map(Value::from),
        any::<String>().prop_map(Value::from),
    ];
    let value = leaf.prop_recursive(3, 12, 4, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            proptest::collection::btree_map("[a-e]|text|room", inner, 0..4)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    });
    value.prop_map(|value| value.to_string())
}

proptest! {
    #[test]
    fn fields_are_renamed_and_nothing_else_changes(text in json_text()) {
        let names = Names::new(
            &[
                name_in(json!({"event": "there", "is": "ping", "fields": {"A": "a", "B": "b"}})),
                name_in(json!({"event": "back", "is": "ping", "fields": {"a": "A", "b": "B"}})),
            ],
            &[],
        );
        let there = names.take("there", Some(raw(&text))).and_then(|there| there.data);
        let there = there.expect("data");
        let back = names.take("back", Some(&there)).and_then(|back| back.data);
        let back = back.expect("data");
        prop_assert_eq!(back.get(), text);
    }

    #[test]
    fn whatever_is_sent_is_still_json(text in json_text()) {
        let names = Names::new(
            &[name_in(json!({"event": "say", "is": "enter_chat", "bare": "chatIds",
                "answer": "said", "answer_fields": {"x": "text"},
                "fields": {"chatIds": "text", "chatId": "room"}}))],
            &[name_out(json!({"of": "recv", "as": "got", "fields": {"x": "text.room", "y": "a"}}))],
        );
        let is_json = |text: &str| serde_json::from_str::<Value>(text).is_ok();
        let Translated { data, answer, .. } = names.take("say", Some(raw(&text))).expect("a name");
        prop_assert!(data.is_some_and(|data| is_json(data.get())));
        prop_assert!(answer.is_some_and(|(_, data)| is_json(data.get())));
        let given = names.give(Used::default(), "recv", &text);
        prop_assert!(given.is_some_and(|(_, data)| is_json(&data)));
    }
}
