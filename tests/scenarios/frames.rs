//! WebSocket frames, well and badly made, from a socket of one's own.

use crate::support::raw::{BINARY, CLOSE, CONTINUATION, PING, PONG, RawFrame, TEXT, frame, header};
use crate::support::{Person, RawClient, TestApp, admin, customer, eventually, json, scenarios};

scenarios! {
    a_text_may_come_in_fragments,
    a_ping_between_fragments_is_answered,
    a_ping_is_answered_with_what_it_carried,
    bytes_may_come_one_by_one,
    a_close_is_answered,
    the_connection_ends_with_the_closing_handshake ["limits.auth_seconds" = 2],
    every_end_of_a_session_is_counted,
    a_frame_that_breaks_the_rules_ends_that_session_alone,
    what_is_not_utf8_ends_the_session,
    what_is_too_large_ends_the_session_at_its_header ["limits.frame_bytes" = 4096],
    fragments_that_are_too_large_together_end_the_session ["limits.frame_bytes" = 4096],
    a_frame_of_just_the_limit_is_taken ["limits.frame_bytes" = 4096],
    a_connection_that_just_ends_leaves_nothing,
}

fn kim() -> Person {
    customer("kim")
}

/// `text` in so many masked fragments of at least a byte.
fn fragments(text: &str, count: usize) -> Vec<RawFrame> {
    let size = text.len().div_ceil(count);
    let chunks: Vec<_> = text.as_bytes().chunks(size).collect();
    let last = chunks.len() - 1;
    let fragment = |(i, chunk): (usize, &&[u8])| {
        let fragment = frame(if i == 0 { TEXT } else { CONTINUATION }, chunk);
        if i == last { fragment } else { fragment.unfinished() }
    };
    chunks.iter().enumerate().map(fragment).collect()
}

fn message(text: &str) -> String {
    json!({"event": "send_message", "id": "m", "data": {"message": text}}).to_string()
}

async fn a_text_may_come_in_fragments(app: TestApp) {
    let mut client = RawClient::connect(&app, &kim()).await;
    for (seq, count) in [(1, 2), (2, 5), (3, usize::MAX)] {
        // Cut at every place there is, also within a character.
        let whole = message("é in fragments 👋");
        for fragment in fragments(&whole, count.min(whole.len())) {
            client.send(fragment).await;
        }
        let ack = client.answer("m").await;
        assert_eq!((&ack["event"], &ack["data"]["seq"]), (&json!("ack"), &json!(seq)), "{ack}");
    }
    // With empty ones among them.
    let whole = message("with nothing between");
    client.send(frame(TEXT, "").unfinished()).await;
    client.send(frame(CONTINUATION, &whole).unfinished()).await;
    client.send(frame(CONTINUATION, "")).await;
    assert_eq!(client.answer("m").await["data"]["seq"], 4);
}

async fn a_ping_between_fragments_is_answered(app: TestApp) {
    let mut client = RawClient::connect(&app, &kim()).await;
    let whole = message("in fragments");
    let mut parts = fragments(&whole, 3).into_iter();
    for i in 0..2 {
        client.send(parts.next().expect("three fragments")).await;
        client.send(frame(PING, format!("ping {i}"))).await;
        assert_eq!(client.next_of(PONG).await, format!("ping {i}").into_bytes());
    }
    client.send(parts.next().expect("three fragments")).await;
    assert_eq!(client.answer("m").await["data"]["seq"], 1);
}

async fn a_ping_is_answered_with_what_it_carried(app: TestApp) {
    let mut client = RawClient::connect(&app, &kim()).await;
    for payload in [vec![], b"hello".to_vec(), vec![0xFF; 125]] {
        client.send(frame(PING, &payload)).await;
        assert_eq!(client.next_of(PONG).await, payload);
    }
    // A pong that nobody asked for is not answered.
    client.send(frame(PONG, "unasked")).await;
    client.event("ping", json!({}), "after").await;
    assert_eq!(client.answer("after").await["event"], "ack");
}

async fn bytes_may_come_one_by_one(app: TestApp) {
    let mut client = RawClient::connect(&app, &kim()).await;
    for byte in frame(TEXT, message("slowly")).bytes() {
        client.write([byte]).await;
    }
    assert_eq!(client.answer("m").await["data"]["seq"], 1);
    // And many frames at once.
    let many = frame(TEXT, message("at once")).bytes().repeat(50);
    client.write(many).await;
    for seq in 2..=51 {
        assert_eq!(client.answer("m").await["data"]["seq"], seq);
    }
}

async fn a_close_is_answered(app: TestApp) {
    for payload in
        [vec![], 1000_u16.to_be_bytes().to_vec(), [&1001_u16.to_be_bytes()[..], b"bye"].concat()]
    {
        let mut client = RawClient::connect(&app, &kim()).await;
        client.send(frame(CLOSE, payload)).await;
        let code = client.closed().await;
        assert!([1000, 1001, 1005].contains(&code), "a close is answered with a close: {code}");
        assert!(client.next().await.is_none(), "and the connection ends");
    }
}

async fn the_connection_ends_with_the_closing_handshake(app: TestApp) {
    // It has two seconds for its token: less than five connections that each wait for half of one.
    let mut unhurried = app.connecting().open().await;
    let ended = async |mut client: RawClient| {
        assert!(client.next().await.is_none(), "nothing comes behind a close frame");
    };
    for _ in 0..5 {
        let mut client = RawClient::connect(&app, &kim()).await;
        client.send(frame(CLOSE, 1000_u16.to_be_bytes())).await;
        assert_eq!(client.closed().await, 1000);
        ended(client).await;
    }
    for _ in 0..5 {
        let mut client = RawClient::connect(&app, &kim()).await;
        client.send(frame(TEXT, [0xFF])).await;
        assert_eq!(client.closed().await, 1007);
        client.send(frame(CLOSE, 1007_u16.to_be_bytes())).await;
        ended(client).await;
    }
    unhurried.send("authenticate", json!({"token": kim().token()})).await;
    unhurried.read_welcome().await;
}

async fn every_end_of_a_session_is_counted(app: TestApp) {
    let counted = async |reason: &str, count: f64| {
        let name = format!("frontdesk_sessions_ended_total{{reason=\"{reason}\"}}");
        eventually(&name, || async { (app.metric(&name).await == count).then_some(()) }).await;
    };
    app.connect(&kim()).await.close().await;
    counted("Closed", 1.0).await;
    RawClient::connect(&app, &kim()).await.hang_up().await;
    counted("Gone", 1.0).await;
    app.authenticate(json!({"token": "nonsense"})).await.closed().await;
    counted("Unauthenticated", 1.0).await;
    let mut broken = RawClient::connect(&app, &kim()).await;
    broken.send(frame(TEXT, "{}").unmasked()).await;
    assert_eq!(broken.closed().await, 1002);
    counted("BrokenFrame", 1.0).await;
}

async fn a_frame_that_breaks_the_rules_ends_that_session_alone(app: TestApp) {
    let mut other = app.connect(&kim()).await;
    let chat = other.chat();
    let ping = r#"{"event":"ping","id":1}"#;
    let broken: Vec<(&str, Vec<u8>)> = vec![
        ("not masked", frame(TEXT, ping).unmasked().bytes()),
        ("the first reserved bit", frame(TEXT, ping).reserved(0x40).bytes()),
        ("the second reserved bit", frame(TEXT, ping).reserved(0x20).bytes()),
        ("the third reserved bit", frame(TEXT, ping).reserved(0x10).bytes()),
        ("an unknown opcode", frame(0x3, ping).bytes()),
        ("an unknown control opcode", frame(0xB, "").bytes()),
        ("a continuation of nothing", frame(CONTINUATION, ping).bytes()),
        ("an open continuation of nothing", frame(CONTINUATION, ping).unfinished().bytes()),
        (
            "a text within a text",
            [frame(TEXT, "{").unfinished().bytes(), frame(TEXT, ping).bytes()].concat(),
        ),
        (
            "a binary within a text",
            [frame(TEXT, "{").unfinished().bytes(), frame(BINARY, ping).bytes()].concat(),
        ),
        ("a ping of 126 bytes", frame(PING, [0; 126]).bytes()),
        ("a pong of 126 bytes", frame(PONG, [0; 126]).bytes()),
        (
            "a close of 126 bytes",
            frame(CLOSE, [&1000_u16.to_be_bytes()[..], &[b'x'; 124]].concat()).bytes(),
        ),
        ("a ping in fragments", frame(PING, "").unfinished().bytes()),
        ("a close of one byte", frame(CLOSE, [3]).bytes()),
        ("a close with a code that may not be sent", frame(CLOSE, 1005_u16.to_be_bytes()).bytes()),
        ("a length beyond 63 bits", header(0x80 | TEXT, true, u64::MAX)),
    ];
    for (what, bytes) in broken {
        let mut client = RawClient::connect(&app, &kim()).await;
        client.write(bytes).await;
        let code = client.closed().await;
        // So long a frame breaks two rules.
        let too_long = code == 1009 && what.starts_with("a length");
        assert!(code == 1002 || too_long, "{what}: closed with {code}");
        other.say(chat, what).await;
    }
    assert_eq!(other.run(chat).len(), 17);
    assert!(app.panics().await < 1.0);
}

async fn what_is_not_utf8_ends_the_session(app: TestApp) {
    let mut other = app.connect(&kim()).await;
    let invalid: [&[u8]; 5] =
        [b"{\"event\":\"\xff\"}", b"\xc0\xaf", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"{}\xe2\x82"];
    for bytes in invalid {
        let mut client = RawClient::connect(&app, &kim()).await;
        client.send(frame(TEXT, bytes)).await;
        assert_eq!(client.closed().await, 1007, "{bytes:x?}");

        let mut client = RawClient::connect(&app, &kim()).await;
        let (first, rest) = bytes.split_at(1);
        client.send(frame(TEXT, first).unfinished()).await;
        client.send(frame(CONTINUATION, rest)).await;
        assert_eq!(client.closed().await, 1007, "{bytes:x?} in fragments");
    }
    let mut client = RawClient::connect(&app, &kim()).await;
    client.send(frame(CLOSE, [&1000_u16.to_be_bytes()[..], b"\xff"].concat())).await;
    let code = client.closed().await;
    assert!([1002, 1007].contains(&code), "a close's reason is a text: {code}");
    assert_eq!(other.say(other.chat(), "still here").await["seq"], 1);
}

async fn what_is_too_large_ends_the_session_at_its_header(app: TestApp) {
    let mut other = app.connect(&kim()).await;
    assert_eq!(other.welcome["limits"]["frameBytes"], 4096);
    for opcode in [TEXT, BINARY] {
        for length in [4097, 65_536, 1 << 40] {
            let mut client = RawClient::connect(&app, &kim()).await;
            // Nothing of the payload is sent: the header says enough.
            client.write(header(0x80 | opcode, true, length)).await;
            client.write([1, 2, 3, 4]).await;
            assert_eq!(client.closed().await, 1009, "opcode {opcode}, {length} bytes");
        }
    }
    other.ask("ping", json!({})).await;
}

async fn fragments_that_are_too_large_together_end_the_session(app: TestApp) {
    for opcode in [TEXT, BINARY] {
        let mut client = RawClient::connect(&app, &kim()).await;
        client.send(frame(opcode, vec![b'x'; 3000]).unfinished()).await;
        client.write(header(CONTINUATION, true, 1097)).await;
        client.write([1, 2, 3, 4]).await;
        assert_eq!(client.closed().await, 1009, "opcode {opcode}");
    }
    // However small they are.
    let mut client = RawClient::connect(&app, &kim()).await;
    client.send(frame(TEXT, "x").unfinished()).await;
    client.write(frame(CONTINUATION, "x").unfinished().bytes().repeat(5000)).await;
    assert_eq!(client.closed().await, 1009);
}

async fn a_frame_of_just_the_limit_is_taken(app: TestApp) {
    let mut client = RawClient::connect(&app, &kim()).await;
    let empty = message("").len();
    let whole = message(&"x".repeat(4096 - empty));
    assert_eq!(whole.len(), 4096);
    client.send(frame(TEXT, &whole)).await;
    assert_eq!(client.answer("m").await["event"], "ack");
    for fragment in fragments(&whole, 7) {
        client.send(fragment).await;
    }
    assert_eq!(client.answer("m").await["event"], "ack");
    // A binary one is only a bad frame.
    client.send(frame(BINARY, [0; 4096])).await;
    let exception = client.next_text().await;
    assert_eq!(exception["data"]["code"], "bad_request", "{exception}");
}

async fn a_connection_that_just_ends_leaves_nothing(app: TestApp) {
    let mut ada = app.connect(&admin("ada")).await;
    let chat = {
        let mut client = RawClient::connect(&app, &kim()).await;
        client.write(&frame(TEXT, message("half a frame")).bytes()[..20]).await;
        app.connect(&kim()).await.chat()
    };
    ada.enter(chat).await;
    assert_eq!(ada.say(chat, "anybody?").await["seq"], 1);
    assert_eq!(app.connect(&kim()).await.welcomed_to(chat).expect("it")["lastSeq"], 1);
}
