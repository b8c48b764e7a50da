//! Packets that break the rules of Engine.IO or Socket.IO, which end their own connection; and those
//! that only ask for what there is not, which are refused with words.

use crate::support::client::assert_exception;
use crate::support::raw::{CONTINUATION, TEXT, frame, header};
use crate::support::{IoClient, TestApp, Via, customer, json, scenarios};

scenarios! {
    a_packet_that_breaks_the_rules_ends_its_connection_alone,
    a_bad_first_packet_ends_the_connection,
    a_packet_that_the_server_alone_may_send_ends_the_connection,
    a_heartbeat_in_the_wrong_direction_ends_the_connection,
    an_attachment_that_does_not_follow_ends_the_connection,
    an_attachment_of_nothing_ends_the_connection,
    too_many_attachments_end_the_connection,
    attachments_that_are_too_large_together_end_the_connection ["limits.frame_bytes" = 4096],
    an_event_with_binary_is_refused_with_words_and_the_session_goes_on,
    attachments_may_come_in_a_body_of_their_own,
    deep_json_is_taken_or_refused_and_harms_nobody,
    an_ack_that_nobody_asked_for_is_ignored,
    a_websocket_frame_that_is_too_large_ends_the_connection ["limits.frame_bytes" = 4096],
    a_websocket_frame_in_fragments_is_taken,
    what_is_not_utf8_ends_the_connection,
}

const TRANSPORTS: [Via; 2] = [Via::Polling, Via::WebSocket];

/// Sends each of these on a connection of its own, which must end, and no other.
async fn each_ends_its_connection(app: &TestApp, packets: &[&str]) {
    let mut bystander = app.io(Via::WebSocket, "/chats", &customer("lee")).await;
    for via in TRANSPORTS {
        for packet in packets {
            let mut kim = app.io(via, "/chats", &customer("kim")).await;
            kim.send_bad(packet).await;
            kim.closes_for(&format!("{via:?} {packet:.60}")).await;
            bystander.ask("ping", json!({})).await;
        }
    }
    app.has_sessions(1).await;
    assert_eq!(app.panics().await, 0.0);
}

async fn a_packet_that_breaks_the_rules_ends_its_connection_alone(app: TestApp) {
    each_ends_its_connection(
        &app,
        &[
            // No packet type of Socket.IO, or none at all.
            "4",
            "4abc",
            "47",
            "4/chats,",
            "4é",
            // An event without a payload, or with another one than a list that begins with a name.
            "42/chats,",
            "42/chats,{}",
            "42/chats,[]",
            "42/chats,[1]",
            "42/chats,[null,{}]",
            r#"42/chats,[{"toString":"x"},{}]"#,
            "42/chats,\"ping\"",
            r#"42/chats,["ping",{}"#,
            r#"42/chats,["ping",{}]]"#,
            r#"42/chats,["ping",{}] x"#,
            r#"42/chats,["ping",{"a":NaN}]"#,
            r#"42/chats,["ping",{"a":'b'}]"#,
            // Ids that are no numbers, or more than a JavaScript number can count.
            r#"42/chats,abc["ping",{}]"#,
            r#"42/chats,-1["ping",{}]"#,
            r#"42/chats,1.5["ping",{}]"#,
            r#"42/chats, 1["ping",{}]"#,
            r#"42/chats,9007199254740993["ping",{}]"#,
            r#"42/chats,99999999999999999999999["ping",{}]"#,
            // An ack without its id or its list.
            "43/chats,[1]",
            "43/chats,1{}",
            "43/chats,1",
            // A namespace that does not end.
            "42/chats",
            r#"42/chats["ping",{}]"#,
        ],
    )
    .await;
}

async fn a_bad_first_packet_ends_the_connection(app: TestApp) {
    for via in TRANSPORTS {
        for packet in [
            "4",
            "4abc",
            "40[",
            "40{",
            "40\"x\"",
            "401{}",
            "40/chats,1{}",
            "42",
            "48",
            "41",
            "41/chats,",
            "431[]",
            "43/chats,1[]",
        ] {
            let mut kim = app.io_open(via).await;
            kim.send_bad(packet).await;
            kim.closed().await;
        }
    }
    app.has_sessions(0).await;
}

async fn a_packet_that_the_server_alone_may_send_ends_the_connection(app: TestApp) {
    let open = r#"0{"sid":"x","upgrades":[],"pingInterval":1,"pingTimeout":1,"maxPayload":1}"#;
    each_ends_its_connection(&app, &[r#"44/chats,{"message":"no"}"#, open]).await;
}

async fn a_heartbeat_in_the_wrong_direction_ends_the_connection(app: TestApp) {
    each_ends_its_connection(&app, &["2"]).await;
}

async fn an_attachment_that_does_not_follow_ends_the_connection(app: TestApp) {
    for via in TRANSPORTS {
        for next in [r#"42/chats,["ping",{}]"#, "41/chats,", r#"451-/chats,["x",{}]"#] {
            let mut kim = app.io(via, "/chats", &customer("kim")).await;
            kim.send(r#"451-/chats,["send_message",{"_placeholder":true,"num":0}]"#).await;
            kim.send_bad(next).await;
            kim.closed().await;
        }
        // The other way round: an attachment of nothing that was announced.
        let mut kim = app.io(via, "/chats", &customer("kim")).await;
        kim.send_binary(&[1, 2, 3]).await;
        kim.closed().await;
    }
    app.has_sessions(0).await;
}

async fn an_attachment_of_nothing_ends_the_connection(app: TestApp) {
    each_ends_its_connection(
        &app,
        &[
            r#"45/chats,["x",{}]"#,
            r#"45-/chats,["x",{}]"#,
            r#"45--1/chats,["x",{}]"#,
            r#"45a-/chats,["x",{}]"#,
            r#"451/chats,["x",{}]"#,
            r#"450-/chats,["x",{}]"#,
            r#"46-/chats,1[{}]"#,
            "451-/chats,",
            "451-/chats,{}",
            "451-/chats,[1]",
        ],
    )
    .await;
}

async fn too_many_attachments_end_the_connection(app: TestApp) {
    each_ends_its_connection(
        &app,
        &[
            r#"4511-/chats,["x",{}]"#,
            r#"4599999-/chats,["x",{}]"#,
            r#"4599999999999999999999999-/chats,["x",{}]"#,
            r#"4611-/chats,1["x",{}]"#,
        ],
    )
    .await;
    // Ten are taken.
    let mut kim = app.io(Via::WebSocket, "/chats", &customer("kim")).await;
    kim.send(r#"4510-/chats,["send_message",{"_placeholder":true,"num":0}]"#).await;
    for _ in 0..10 {
        kim.send_binary(&[1]).await;
    }
    assert_exception(&kim.expect("exception").await, "bad_request");
}

async fn attachments_that_are_too_large_together_end_the_connection(app: TestApp) {
    for via in TRANSPORTS {
        let mut kim = app.io(via, "/chats", &customer("kim")).await;
        kim.send(r#"452-/chats,["x",{"_placeholder":true,"num":0}]"#).await;
        // In base64 each is a body that is not too large.
        kim.send_binary(&[0; 2500]).await;
        kim.send_binary(&[0; 2500]).await;
        kim.closed().await;
    }
}

/// Sends an event with an attachment, and asserts that it is refused in both ways.
async fn is_refused_with_words(kim: &mut IoClient, id: Option<u64>) {
    let number = id.map(|id| id.to_string()).unwrap_or_default();
    let placeholder = json!(["send_message", {"message": {"_placeholder": true, "num": 0}}]);
    kim.send(&format!("451-/chats,{number}{placeholder}")).await;
    kim.send_binary(b"hello").await;
    let exception = kim.expect("exception").await;
    assert_exception(&exception, "bad_request");
    assert_eq!(exception["event"], "send_message", "{exception}");
    assert!(exception["message"].as_str().expect("words").contains("binary"), "{exception}");
    if let Some(id) = id {
        assert_eq!(kim.answer(id).await, Err(exception), "the ack says the same");
    }
}

async fn an_event_with_binary_is_refused_with_words_and_the_session_goes_on(app: TestApp) {
    for via in Via::ALL {
        let mut kim = app.io(via, "/chats", &customer("kim")).await;
        let chat = kim.chat();
        is_refused_with_words(&mut kim, None).await;
        is_refused_with_words(&mut kim, Some(77)).await;
        // An ack with one asks for nothing.
        kim.send(r#"461-/chats,0[{"_placeholder":true,"num":0}]"#).await;
        kim.send_binary(&[1, 2]).await;
        kim.say(chat, "the session goes on").await;
        kim.has_heard_nothing().await;
    }
}

async fn attachments_may_come_in_a_body_of_their_own(app: TestApp) {
    let mut kim = app.io(Via::Polling, "/chats", &customer("kim")).await;
    let event = r#"452-/chats,["x",{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}]"#;
    for bodies in [
        vec![format!("{event}\u{1e}bAQI=\u{1e}bAwQ=")],
        vec![format!("{event}\u{1e}bAQI="), "bAwQ=".to_owned()],
        vec![event.to_owned(), "bAQI=\u{1e}bAwQ=".to_owned()],
    ] {
        for body in bodies {
            kim.send(&body).await;
        }
        assert_exception(&kim.expect("exception").await, "bad_request");
        kim.has_heard_nothing().await;
    }
}

async fn deep_json_is_taken_or_refused_and_harms_nobody(app: TestApp) {
    let mut lee = app.io(Via::Polling, "/chats", &customer("lee")).await;
    for via in TRANSPORTS {
        for (open, close) in [("[", "]"), (r#"{"a":"#, "}")] {
            let deep = format!("{}1{}", open.repeat(15_000), close.repeat(15_000));
            for packet in [
                format!(r#"42/chats,["ping",{deep}]"#),
                format!(r#"42/chats,["send_message",{{"message":{deep}}}]"#),
                format!("40/main,{deep}"),
                format!(r#"40/main,{{"token":{deep}}}"#),
                format!("43/chats,0[{deep}]"),
            ] {
                let mut kim = app.io(via, "/chats", &customer("kim")).await;
                kim.send_bad(&packet).await;
                // It may be the end of this one.
                kim.send_bad("1").await;
                kim.closes_for(&format!("{via:?} {packet:.60}")).await;
                lee.ask("ping", json!({})).await;
            }
        }
    }
    assert_eq!(app.panics().await, 0.0);
}

async fn an_ack_that_nobody_asked_for_is_ignored(app: TestApp) {
    for via in Via::ALL {
        let mut kim = app.io(via, "/chats", &customer("kim")).await;
        for packet in ["43/chats,0[]", "43/chats,12[{\"a\":1}]", "43/chats,9007199254740991[null]"]
        {
            kim.send(packet).await;
        }
        kim.has_heard_nothing().await;
    }
}

async fn a_websocket_frame_that_is_too_large_ends_the_connection(app: TestApp) {
    let mut lee = app.io(Via::Polling, "/chats", &customer("lee")).await;
    for via in [Via::WebSocket, Via::Upgrade] {
        for length in [4097, 1 << 40] {
            let mut kim = app.io(via, "/chats", &customer("kim")).await;
            kim.socket().write(header(0x80 | TEXT, true, length)).await;
            kim.socket().write([1, 2, 3, 4]).await;
            kim.closed().await;
            assert_eq!(kim.close_code, Some(1009), "{length} bytes");
        }
    }
    // In fragments, however small they are.
    let mut kim = app.io(Via::WebSocket, "/chats", &customer("kim")).await;
    kim.socket().send(frame(TEXT, "4").unfinished()).await;
    kim.socket().write(frame(CONTINUATION, "x").unfinished().bytes().repeat(5000)).await;
    kim.closed().await;
    lee.ask("ping", json!({})).await;
}

async fn a_websocket_frame_in_fragments_is_taken(app: TestApp) {
    let mut kim = app.io(Via::WebSocket, "/chats", &customer("kim")).await;
    let (id, packet) = kim.asking("send_message", &json!({"message": "é in pieces"}));
    let (first, rest) = packet.as_bytes().split_at(packet.len() - 12);
    kim.socket().send(frame(TEXT, first).unfinished()).await;
    kim.socket().send(frame(CONTINUATION, rest)).await;
    assert_eq!(kim.answer(id).await.expect("granted")["seq"], 1);
}

async fn what_is_not_utf8_ends_the_connection(app: TestApp) {
    let mut kim = app.io(Via::WebSocket, "/chats", &customer("kim")).await;
    kim.socket().send(frame(TEXT, b"42/chats,[\"ping\",\"\xff\"]")).await;
    kim.closed().await;
    let mut kim = app.io(Via::Polling, "/chats", &customer("kim")).await;
    let polling = kim.polling();
    let mut line = polling.another().await;
    let head = line.head("POST", &polling.target("polling"), "", Some(4));
    line.write([head.as_bytes(), b"4\xff\xfe\x00"].concat()).await;
    assert_eq!(line.answer().await.status, 400);
    polling.is_gone().await;
    app.has_sessions(0).await;
    let mut lee = app.io(Via::WebSocket, "/", &customer("lee")).await;
    lee.ask("ping", json!({})).await;
    assert_eq!(app.panics().await, 0.0);
}
