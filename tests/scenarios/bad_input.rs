//! Bad input: one table of every field of every event and of every HTTP request, and what is wrong
//! with each in turn. A refusal names the field, and the session lives on.

use reqwest::Method;

use crate::support::client::assert_exception;
use crate::support::{
    Reply, TestApp, TestClient, Value, admin, assert_keys, customer, json, scenarios,
};

scenarios! {
    a_long_name_of_an_event_is_repeated_in_part,
    a_bad_field_of_an_event_is_named,
    a_bad_field_of_a_body_is_named,
    a_bad_parameter_is_named,
    a_bad_path_is_no_fault_of_the_server,
    a_body_that_is_no_json_is_refused,
    a_frame_that_is_no_envelope_is_refused,
    an_unknown_field_is_ignored,
}

/// Values of a field.
#[derive(Clone, Copy, PartialEq)]
enum Kind {
    /// A text of at most so many characters.
    Text(usize, TooLong),
    /// A number that counts: 0 or more.
    Count,
    /// A number that names something: any number is a name, of nothing perhaps.
    Name,
    Flag,
    /// A list of at most 100 things.
    List,
    /// Something with fields of its own.
    Object,
}

/// The refusal of a text that is too long.
#[derive(Clone, Copy, PartialEq)]
enum TooLong {
    TooLarge,
    BadRequest,
    /// The contract leaves it open.
    Either,
}

use Kind::{Count, Flag, List, Name, Object, Text};
use TooLong::{BadRequest, Either, TooLarge};

/// A field, by its JSON pointer, in something that is good otherwise.
struct Field {
    at: &'static str,
    kind: Kind,
    required: bool,
}

const fn required(at: &'static str, kind: Kind) -> Field {
    Field { at, kind, required: true }
}

const fn optional(at: &'static str, kind: Kind) -> Field {
    Field { at, kind, required: false }
}

/// One way in which a whole is bad, as JSON text: not every number fits a value.
struct Bad {
    what: String,
    text: String,
    /// One of these codes is the answer.
    codes: &'static [&'static str],
}

impl Field {
    /// The name that a refusal has to contain.
    fn name(&self) -> &str {
        let mut parts = self.at.rsplit('/');
        let last = parts.next().unwrap_or_default();
        // An element of a list is named by the list.
        if last.parse::<usize>().is_ok() { parts.next().unwrap_or_default() } else { last }
    }

    /// `good` with everything in turn that this field must not be.
    fn spoil(&self, good: &Value) -> Vec<Bad> {
        const REFUSED: &[&str] = &["bad_request"];
        // A number that names nothing; or the token beside it was looked at first.
        const ANSWERED: &[&str] =
            &["bad_request", "chat_not_found", "user_not_found", "unauthenticated"];
        let mut bad = Vec::new();
        let mut with = |what: &str, value: &str, codes| {
            let text = replaced(good, self.at, Some(value));
            bad.push(Bad { what: format!("{} {what}", self.at), text, codes });
        };
        if self.required {
            with("null", "null", REFUSED);
        }
        for (value, kind) in [
            ("true", Flag),
            ("7", Count),
            (r#""x""#, Text(1, BadRequest)),
            ("[]", List),
            ("{}", Object),
        ] {
            let fits = match self.kind {
                Text(..) => matches!(kind, Text(..)),
                Count | Name => kind == Count,
                // A list may need something in it; that is another question.
                List | Object => kind == List || kind == Object,
                Flag => kind == Flag,
            };
            if !fits {
                with(value, value, REFUSED);
            }
        }
        match self.kind {
            Text(max, too_long) => {
                with("with U+0000", r#""a\u0000b""#, REFUSED);
                with("half of a pair", r#""a\ud83d""#, REFUSED);
                let codes = match too_long {
                    TooLarge => &["too_large"],
                    BadRequest => REFUSED,
                    Either => &["bad_request", "too_large"][..],
                };
                with("too long", &format!("\"{}\"", "x".repeat(max + 1)), codes);
            }
            Count | Name => {
                for number in ["1.5", "9223372036854775808", "-9223372036854775809", "1e300"] {
                    with(number, number, REFUSED);
                }
                let codes = if self.kind == Count { REFUSED } else { ANSWERED };
                with("negative", "-1", codes);
            }
            List => {
                with("not a list", r#"{"0":1}"#, REFUSED);
                let many: Vec<_> = (0..5_000).collect();
                with("too long", &json!(many).to_string(), REFUSED);
            }
            Flag | Object => {}
        }
        if self.required && self.name() == self.at.rsplit('/').next().unwrap_or_default() {
            let text = replaced(good, self.at, None);
            bad.push(Bad { what: format!("{} missing", self.at), text, codes: REFUSED });
        }
        bad
    }
}

/// `good` as JSON text, with `value` in the place `at`, or with nothing there.
fn replaced(good: &Value, at: &str, value: Option<&str>) -> String {
    const HERE: &str = "the value goes here";
    let mut whole = good.clone();
    match value {
        Some(value) => {
            *whole.pointer_mut(at).unwrap_or_else(|| panic!("{at} is not in {good}")) = json!(HERE);
            whole.to_string().replace(&json!(HERE).to_string(), value)
        }
        None => {
            let (parent, name) = at.rsplit_once('/').expect("a pointer");
            let fields = whole.pointer_mut(parent).and_then(Value::as_object_mut);
            fields.expect("a field of an object").remove(name);
            whole.to_string()
        }
    }
}

const MESSAGE: [Field; 3] = [
    required("/message", Text(8000, TooLarge)),
    optional("/clientId", Text(64, BadRequest)),
    optional("/expectSeq", Count),
];

/// Every event: what is good, and its fields.
fn events(chat: i64, user: i64) -> Vec<(&'static str, Value, Vec<Field>)> {
    let message = json!({"chatId": chat, "message": "good", "clientId": "c", "expectSeq": 0});
    vec![
        ("send_message", message, MESSAGE.into_iter().chain([optional("/chatId", Name)]).collect()),
        (
            "enter_chat",
            json!({"chatIds": [chat]}),
            vec![optional("/chatIds", List), required("/chatIds/0", Name)],
        ),
        (
            "enter_chat",
            json!({"chats": [{"chatId": chat, "afterSeq": 0}]}),
            vec![
                optional("/chats", List),
                required("/chats/0/chatId", Name),
                optional("/chats/0/afterSeq", Count),
            ],
        ),
        (
            "leave_chat",
            json!({"chatIds": [chat]}),
            vec![required("/chatIds", List), required("/chatIds/0", Name)],
        ),
        (
            "create_chat",
            json!({"userIds": [user], "title": "good"}),
            vec![
                optional("/userIds", List),
                required("/userIds/0", Name),
                optional("/title", Text(20_000, Either)),
            ],
        ),
        ("watch_chats", json!({"watch": false}), vec![required("/watch", Flag)]),
        (
            "read_message",
            json!({"chatId": chat, "seq": 0}),
            vec![required("/chatId", Name), required("/seq", Count)],
        ),
        (
            "authenticate",
            json!({"token": "x", "resume": [{"chatId": chat, "afterSeq": 0}]}),
            vec![
                required("/token", Text(200_000, BadRequest)),
                optional("/resume", List),
                required("/resume/0/chatId", Name),
                optional("/resume/0/afterSeq", Count),
            ],
        ),
    ]
}

/// An admin's session, and a chat that may be spoken of.
async fn set_up(app: &TestApp) -> (TestClient, i64, i64) {
    let kim = app.connect(&customer("kim")).await;
    (app.connect(&admin("ada")).await, kim.chat(), kim.user_id())
}

/// Asserts that an exception has one of the codes, and names the field.
#[track_caller]
fn assert_names(data: &Value, bad: &Bad, event: &str, field: &str) {
    let (code, message) = (data["code"].as_str(), data["message"].as_str().unwrap_or_default());
    let what = format!("{event} {}: {data}", bad.what);
    assert!(bad.codes.iter().any(|expected| code == Some(expected)), "{what}");
    assert!(message.contains(field) || code != Some("bad_request"), "{field} is not named: {what}");
}

async fn a_bad_field_of_an_event_is_named(app: TestApp) {
    let (mut ada, chat, user) = set_up(&app).await;
    for (event, good, fields) in events(chat, user) {
        for field in &fields {
            for bad in field.spoil(&good) {
                // A token is checked as a whole, and what is too long for a frame ends the session.
                let whole = field.at == "/token"
                    && (bad.what.contains("U+0000") || bad.what.contains("too long"));
                // Leaving a missing chat succeeds: one is outside of it.
                let outside = event == "leave_chat" && bad.what.contains("negative");
                if whole || outside {
                    continue;
                }
                let text = format!(r#"{{"event":"{event}","id":"bad","data":{}}}"#, bad.text);
                ada.send_text(text).await;
                let answer = ada.answer(&json!("bad")).await;
                // Malformed JSON has no id that could be recovered.
                let exception = answer.expect_err(&format!("{event} {}", bad.what));
                assert_exception(&exception, exception["code"].as_str().unwrap_or_default());
                assert_eq!(exception["event"], event);
                assert_names(&exception, &bad, event, field.name());
            }
        }
        for data in ["null", "7", "\"text\"", "[]", "[1]", "[true]", "true"] {
            ada.send_text(format!(r#"{{"event":"{event}","id":1,"data":{data}}}"#)).await;
            let exception = ada.answer(&json!(1)).await;
            assert_eq!(exception.expect_err(event)["code"], "bad_request", "{event} {data}");
        }
        ada.send_text(format!(r#"{{"event":"{event}","id":2}}"#)).await;
        assert_eq!(ada.answer(&json!(2)).await.expect_err(event)["code"], "bad_request");
    }
    for ids in [json!([]), json!((1..=101).collect::<Vec<_>>())] {
        for event in ["enter_chat", "leave_chat"] {
            ada.refused(event, json!({"chatIds": ids}), "bad_request").await;
        }
    }
    let neither = ada.refused("enter_chat", json!({}), "bad_request").await;
    assert!(neither["message"].as_str().is_some_and(|text| text.contains("chatIds")), "{neither}");
    assert_eq!(ada.say(chat, "the session is as it was").await["seq"], 1);
    assert!(app.panics().await < 1.0);
}

/// Asserts that a problem has one of the codes, and says of which field it is.
#[track_caller]
fn assert_problem(reply: Reply, bad: &Bad, at: &str, field: &str) {
    let codes = bad.codes;
    let code = codes.iter().find(|code| reply.body["code"] == **code);
    let code =
        code.unwrap_or_else(|| panic!("{at} {} is {}: {}", bad.what, reply.status, reply.text));
    let status = match *code {
        "too_large" => 413,
        "bad_request" => 400,
        _ => 404,
    };
    let named = reply.text.contains(field) || status == 404;
    assert!(named, "{at} {}: {field} is not named: {}", bad.what, reply.text);
    reply.problem(status, code);
}

async fn a_bad_field_of_a_body_is_named(app: TestApp) {
    let (mut ada, chat, user) = set_up(&app).await;
    let messages = format!("/chats/{chat}/messages");
    let read = format!("/chats/{chat}/read");
    let requests = [
        (
            Method::POST,
            messages.as_str(),
            json!({"message": "good", "clientId": "c", "expectSeq": 0}),
            MESSAGE.into(),
        ),
        (Method::PUT, read.as_str(), json!({"seq": 0}), vec![required("/seq", Count)]),
        (
            Method::POST,
            "/chats",
            json!({"userIds": [user], "title": "good"}),
            vec![
                optional("/userIds", List),
                required("/userIds/0", Name),
                optional("/title", Text(20_000, Either)),
            ],
        ),
        (
            Method::POST,
            "/users",
            json!({"subject": "new", "nickname": "New", "email": "new@example.org"}),
            vec![
                required("/subject", Text(255, BadRequest)),
                optional("/nickname", Text(20_000, Either)),
                optional("/email", Text(20_000, Either)),
            ],
        ),
    ];
    for (method, path, good, fields) in requests {
        for field in &fields {
            for bad in field.spoil(&good) {
                // A subject may be a number, as in a token.
                if field.at == "/subject" && bad.text.contains(r#""subject":7"#) {
                    continue;
                }
                let request = app.request_of(&admin("ada"), method.clone(), path);
                let request = request.header("content-type", "application/json");
                let reply = app.send(request.body(bad.text.clone())).await;
                assert_problem(reply, &bad, path, field.name());
            }
        }
    }
    assert_eq!(ada.say(chat, "nothing was stored").await["seq"], 1);
    assert_eq!(app.list(&admin("ada"), "/chats").await.len(), 1);
}

async fn a_bad_parameter_is_named(app: TestApp) {
    let (_, chat, _) = set_up(&app).await;
    let numbers = ["", "x", "-1", "1.5", "9223372036854775808"];
    let limits = ["0", "101", "", "x", "-1", "9223372036854775808"];
    let messages = format!("/chats/{chat}/messages");
    let table: [(&str, &str, &[&str]); 10] = [
        ("/chats", "limit", &limits),
        ("/chats", "after", &["nonsense", "AAAA", "%00"]),
        ("/chats", "order", &["sideways", "1"]),
        (&messages, "limit", &limits),
        (&messages, "after", &["nonsense", "AAAA", "%00"]),
        (&messages, "order", &["sideways", "1"]),
        (&messages, "afterSeq", &numbers),
        (&messages, "beforeSeq", &numbers),
        ("/users", "limit", &limits),
        ("/users", "after", &["nonsense", "AAAA", "%00"]),
    ];
    for (path, name, values) in table {
        for value in values {
            let at = format!("{path}?{name}={value}");
            let reply = app.get(&admin("ada"), &at).await;
            assert!(reply.text.contains(name), "{at}: {name} is not named: {}", reply.text);
            assert_eq!(reply.status, 400, "{at}: {}", reply.text);
            reply.problem(400, "bad_request");
        }
    }
}

async fn a_bad_path_is_no_fault_of_the_server(app: TestApp) {
    let ada = admin("ada");
    app.connect(&ada).await;
    for id in ["x", "0", "-1", "1.5", "9223372036854775808", "%00", "%ff"] {
        for path in [format!("/chats/{id}"), format!("/chats/{id}/messages")] {
            let reply = app.get(&ada, &path).await;
            let code = if reply.status == 404 { "chat_not_found" } else { "bad_request" };
            let status = if reply.status == 404 { 404 } else { 400 };
            reply.problem(status, code);
        }
        let reply = app.post(&ada, &format!("/users/{id}/block"), json!({})).await;
        let code = if reply.status == 404 { "user_not_found" } else { "bad_request" };
        let status = if reply.status == 404 { 404 } else { 400 };
        reply.problem(status, code);
    }
}

async fn a_body_that_is_no_json_is_refused(app: TestApp) {
    let (_, chat, _) = set_up(&app).await;
    let post = async |body: Vec<u8>| {
        let path = format!("/chats/{chat}/messages");
        let request = app.request_of(&admin("ada"), Method::POST, &path);
        app.send(request.header("content-type", "application/json").body(body)).await
    };
    let deep = [vec![b'['; 20_000], vec![b']'; 20_000]].concat();
    for body in
        ["", "{", "[]", "7", "null", "\"text\"", "{\"message\":\"a\"} {}", "{\"message\":\"a\",}"]
    {
        post(body.into()).await.problem(400, "bad_request");
    }
    post(b"{\"message\":\"\xff\"}".to_vec()).await.problem(400, "bad_request");
    post(deep).await.problem(400, "bad_request");
    post(br#"{"message":"\ud800"}"#.to_vec()).await.problem(400, "bad_request");
    post(b"{\"message\":\"good\"}".to_vec()).await.is(201);
}

async fn a_frame_that_is_no_envelope_is_refused(app: TestApp) {
    use tokio_tungstenite::tungstenite::Message;

    let mut kim = app.connect(&customer("kim")).await;
    let long_id = format!(r#"{{"event":"ping","id":"{}"}}"#, "i".repeat(65));
    let frames = [
        "",
        " ",
        "x",
        "{",
        "[]",
        "[\"ping\"]",
        "[\"ping\",{},null]",
        "7",
        "null",
        "\"ping\"",
        "{}",
        "{\"event\":\"ping\"",
        "{\"event\":null}",
        "{\"event\":7}",
        "{\"event\":\"ping\"} {}",
        "{event:\"ping\"}",
        "{\"event\":\"\\ud800\"}",
        "{\"event\":\"ping\",\"id\":1.5}",
        "{\"event\":\"ping\",\"id\":9007199254740993}",
        "{\"event\":\"ping\",\"id\":-9007199254740993}",
        "{\"event\":\"ping\",\"id\":true}",
        "{\"event\":\"ping\",\"id\":[]}",
        "{\"event\":\"ping\",\"id\":{}}",
        &long_id,
    ];
    for frame in frames {
        kim.send_text(frame).await;
        let envelope = kim.next().await;
        let shown: String = frame.chars().take(60).collect();
        assert_eq!(envelope.event, "exception", "{shown}: {envelope:?}");
        assert_exception(&envelope.data, "bad_request");
        assert!(envelope.id.is_null(), "{shown}: an id that is not allowed is not answered with");
    }
    kim.send_frame(Message::binary(&br#"{"event":"ping"}"#[..])).await;
    assert_exception(&kim.expect("exception").await, "bad_request");
    for event in ["", "Ping", "PING", "ack", "welcome", "receive_message", "no such"] {
        kim.refused(event, json!({}), "unknown_event").await;
    }
    for event in ["e".repeat(70_000), "\u{1}".into()] {
        let exception = kim.request(&event, json!({})).await.expect_err("no such event");
        assert_exception(&exception, "unknown_event");
        assert!(
            exception.to_string().len() < 75_000,
            "a refusal is not longer than what it refuses"
        );
    }
    kim.send_text(r#"{"event":"send_message","data":{"message":"half a pair: \ud800"}}"#).await;
    assert_exception(&kim.expect("exception").await, "bad_request");
    assert_eq!(kim.say(kim.chat(), "still here").await["seq"], 1);
    kim.has_not_heard("exception").await;
    // Deep is not bad, as long as nobody looks into it; it must only cost nothing.
    let deep = format!("{}{}", "[".repeat(30_000), "]".repeat(30_000));
    kim.send_text(format!(r#"{{"event":"ping","data":{deep}}}"#)).await;
    kim.send_text(format!(r#"{{"event":"send_message","data":{deep}}}"#)).await;
    kim.send_text(deep).await;
    kim.ask("ping", json!({})).await;
    assert!(app.panics().await < 1.0);
}

async fn an_unknown_field_is_ignored(app: TestApp) {
    let mut kim = app.connect(&customer("kim")).await;
    kim.send_text(
        r#"{"v":9,"event":"send_message","id":1,"data":{"message":"hello","author":{"id":1},"userId":1,"x":[]}}"#,
    )
    .await;
    let ack = kim.answer(&json!(1)).await.expect("an ack");
    assert_keys(&ack, &["id", "chatId", "seq", "clientId", "createdAt", "duplicate"]);
    let path = format!("/chats/{}/messages", kim.chat());
    let body = json!({"message": "hello", "author": {"id": 1}, "userId": 1});
    app.post(&customer("kim"), &path, body).await.is(201);
    for message in app.history(&customer("kim"), kim.chat()).await {
        assert_eq!(message["author"]["id"], kim.user_id(), "the author is who the token says");
    }
    app.get(&customer("kim"), "/chats?unknown=1").await.is(200);
}

async fn a_long_name_of_an_event_is_repeated_in_part(app: TestApp) {
    let mut kim = app.connect(&customer("kim")).await;
    let exception = kim.request(&"é".repeat(30_000), json!({})).await.expect_err("no such event");
    assert_exception(&exception, "unknown_event");
    assert_eq!(exception["event"], "é".repeat(64));
    assert!(exception.to_string().len() < 1_000, "{exception}");
}
