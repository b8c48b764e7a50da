//! The token in the first frame, as a browser has to send it.

use std::time::Duration;

use crate::support::client::assert_exception;
use crate::support::raw::{TEXT, frame};
use crate::support::tokens::now;
use crate::support::{
    RawClient, TestApp, TestClient, Value, admin, assert_keys, assert_time, customer, eventually,
    json, scenarios,
};

scenarios! {
    a_first_frame_with_a_token_opens_a_session,
    authenticate_needs_no_id,
    anything_else_first_ends_the_connection,
    a_bad_token_in_the_first_frame_ends_the_connection,
    a_blocked_user_is_told_and_closed,
    without_a_token_in_time_the_connection_ends ["limits.auth_seconds" = 1],
    frames_behind_authenticate_wait_for_it,
    a_full_outbox_behind_the_token_is_stored_in_its_order ["limits.messages_per_second" = 20, "limits.burst" = 200],
    a_full_outbox_of_an_agent_is_stored_in_its_order ["limits.messages_per_second" = 20, "limits.burst" = 200],
    chats_named_in_the_url_are_resumed_with_a_token_in_a_frame,
    connections_without_a_token_are_capped ["limits.unauthenticated" = 2]
        on one node "each node counts its own sockets",
    a_fresh_token_of_the_same_user_prolongs_the_session,
    a_session_does_not_change_its_user,
    a_bad_token_does_not_end_a_session,
}

async fn a_first_frame_with_a_token_opens_a_session(app: TestApp) {
    let mut kim = app.authenticate(json!({"token": customer("kim").token()})).await;
    kim.read_welcome().await;
    assert_eq!(kim.welcome["user"]["nickname"], "Kim");
    let ack = kim.next().await;
    assert_eq!((ack.event.as_str(), &ack.id), ("ack", &json!("hello")), "welcome, then the ack");
    assert_keys(&ack.data, &["expiresAt"]);
    assert_time(&ack.data["expiresAt"]);
    assert_eq!(kim.say(kim.chat(), "hello").await["seq"], 1);
}

async fn authenticate_needs_no_id(app: TestApp) {
    let mut kim = app.connecting().open().await;
    kim.send("authenticate", json!({"token": customer("kim").token()})).await;
    kim.read_welcome().await;
    kim.has_not_heard("ack").await;
}

async fn anything_else_first_ends_the_connection(app: TestApp) {
    for event in ["ping", "send_message", "no_such_event"] {
        let mut client = app.connecting().open().await;
        client.send_with_id(event, json!({"message": "hello"}), json!("first")).await;
        let exception = client.answer(&json!("first")).await.expect_err("not signed in");
        assert_exception(&exception, "unauthenticated");
        assert_eq!(client.closed().await, 4401, "{event}");
    }
    let mut client = app.connecting().open().await;
    client.send_text("this is no JSON").await;
    client.expect("exception").await;
    assert_eq!(client.closed().await, 4401);
}

async fn a_bad_token_in_the_first_frame_ends_the_connection(app: TestApp) {
    let expired = customer("kim").token_with(&json!({"exp": now() - 60}));
    for (token, code) in [("nonsense", "unauthenticated"), (expired.as_str(), "token_expired")] {
        let mut client = app.authenticate(json!({"token": token})).await;
        let exception = client.answer(&json!("hello")).await.expect_err("a bad token");
        assert_exception(&exception, code);
        assert_eq!(exception["event"], "authenticate");
        assert_eq!(client.closed().await, 4401, "{code}");
    }
}

async fn a_blocked_user_is_told_and_closed(app: TestApp) {
    let user = app.connect(&customer("kim")).await.user_id();
    app.post(&admin("ada"), &format!("/users/{user}/block"), json!({})).await.is(200);
    let mut client = app.authenticate(json!({"token": customer("kim").token()})).await;
    let exception = client.answer(&json!("hello")).await.expect_err("blocked");
    assert_exception(&exception, "forbidden");
    assert_eq!(client.closed().await, 4410);
}

async fn without_a_token_in_time_the_connection_ends(app: TestApp) {
    let mut silent = app.connecting().open().await;
    assert_eq!(silent.closed().await, 4401);
}

async fn frames_behind_authenticate_wait_for_it(app: TestApp) {
    let mut kim = app.authenticate(json!({"token": customer("kim").token()})).await;
    let sent: Vec<_> = {
        let mut ids = Vec::new();
        for i in 0..10 {
            ids.push(kim.submit("send_message", json!({"message": format!("early {i}")})).await);
        }
        ids
    };
    kim.read_welcome().await;
    assert!(kim.answer(&json!("hello")).await.is_ok());
    for (i, id) in sent.iter().enumerate() {
        let ack = kim.answer(id).await.expect("what waited is done");
        assert_eq!(ack["seq"], i + 1, "in the order they were sent");
    }
}

/// So much may be sent at once.
const BURST: usize = 200;

async fn a_full_outbox_behind_the_token_is_stored_in_its_order(app: TestApp) {
    let event = |event: &str, id: &str, data: Value| {
        frame(TEXT, json!({"event": event, "id": id, "data": data}).to_string()).bytes()
    };
    // Together larger than many frames, and written at once.
    let text = "x".repeat(4000);
    let outbox: Vec<u8> = (0..BURST - 1)
        .flat_map(|i| event("send_message", &format!("{i}"), json!({"message": text})))
        .collect();
    let token = customer("kim").token();
    let hello = event("authenticate", "hello", json!({"token": token}));
    for (already, by_frame) in [(0, true), (BURST - 1, false)] {
        let mut client = match by_frame {
            true => RawClient::without_token(&app).await,
            false => RawClient::upgrade(&app, &token).await,
        };
        let hello = if by_frame { hello.as_slice() } else { &[] };
        client.write([hello, &outbox].concat()).await;
        assert_eq!(client.next_text().await["event"], "welcome");
        if by_frame {
            assert_eq!(client.next_text().await["id"], "hello");
        }
        for i in 0..BURST - 1 {
            let ack = client.next_text().await;
            assert_eq!(
                (&ack["event"], &ack["id"]),
                (&json!("ack"), &json!(format!("{i}"))),
                "{ack}"
            );
            assert_eq!(ack["data"]["seq"], json!(already + i + 1), "{ack}");
        }
    }
}

async fn a_full_outbox_of_an_agent_is_stored_in_its_order(app: TestApp) {
    let mut chats = Vec::new();
    for name in ["kim", "lee", "max"] {
        chats.push(app.connect(&customer(name)).await.chat());
    }
    let mut ada = app.authenticate(json!({"token": admin("ada").token()})).await;
    let mut sent = Vec::new();
    for i in 0..BURST - 1 {
        let data = json!({"chatId": chats[i % 3], "message": format!("{i}")});
        sent.push(ada.submit("send_message", data).await);
    }
    ada.read_welcome().await;
    for (i, id) in sent.iter().enumerate() {
        let ack = ada.answer(id).await.unwrap_or_else(|e| panic!("frame {i}: {e}"));
        assert_eq!(ack["seq"], json!(i / 3 + 1), "frame {i}");
    }
}

async fn chats_named_in_the_url_are_resumed_with_a_token_in_a_frame(app: TestApp) {
    let person = customer("kim");
    let mut kim = app.connect(&person).await;
    let chat = kim.chat();
    for text in ["one", "two", "three"] {
        kim.say(chat, text).await;
    }
    let named = |seq: i64| app.connecting().query(&format!("resume={chat}:{seq}"));
    let mut again = named(1).open().await;
    again.send("authenticate", json!({"token": person.token()})).await;
    again.read_welcome().await;
    assert_eq!(again.welcomed_to(chat).expect("it is named")["replayed"], 2);
    assert_eq!(again.run_to(chat, 3).await, [2, 3]);
    // What the frame names counts instead.
    let mut again = named(1).open().await;
    let resume = json!([{"chatId": chat, "afterSeq": 2}]);
    again.send("authenticate", json!({"token": person.token(), "resume": resume})).await;
    again.read_welcome().await;
    assert_eq!(again.run_to(chat, 3).await, [3]);
    let mut again = named(1).open().await;
    again.send("authenticate", json!({"token": person.token(), "resume": []})).await;
    again.read_welcome().await;
    assert!(again.welcomed_to(chat).expect("the own chat")["replayed"].is_null());
    app.connecting().query("resume=10:x").refused(400, "bad_request").await;
}

async fn connections_without_a_token_are_capped(app: TestApp) {
    let mut first = app.connecting().open().await;
    let _second = app.connecting().open().await;
    app.connecting().refused(503, "unavailable").await;
    app.connect(&customer("lee")).await;

    first.send("authenticate", json!({"token": customer("kim").token()})).await;
    first.read_welcome().await;
    eventually("one that signed in is no longer counted", || async {
        app.connecting().attempt().await.ok()
    })
    .await;
}

async fn a_fresh_token_of_the_same_user_prolongs_the_session(app: TestApp) {
    let person = customer("kim");
    let short = person.token_with(&json!({"exp": now() + 300}));
    let mut kim = app.authenticate(json!({"token": short})).await;
    kim.read_welcome().await;
    let before = kim.answer(&json!("hello")).await.expect("an ack")["expiresAt"].clone();
    let after = kim.ask("authenticate", json!({"token": person.token()})).await;
    assert_time(&after["expiresAt"]);
    assert!(before.as_str() < after["expiresAt"].as_str(), "{before} is not before {after}");
    kim.has_not_heard("welcome").await;
}

async fn a_session_does_not_change_its_user(app: TestApp) {
    let mut kim = app.connect(&customer("kim")).await;
    let other = kim.request("authenticate", json!({"token": admin("ada").token()})).await;
    let exception = other.expect_err("another user's token");
    assert_exception(&exception, "forbidden");
    still_works(&mut kim).await;
    let message = kim.expect("ack").await;
    assert_eq!(message["seq"], 1);
}

async fn a_bad_token_does_not_end_a_session(app: TestApp) {
    let mut kim = app.connect(&customer("kim")).await;
    kim.refused("authenticate", json!({"token": "nonsense"}), "unauthenticated").await;
    let expired = customer("kim").token_with(&json!({"exp": now() - 60}));
    kim.refused("authenticate", json!({"token": expired}), "token_expired").await;
    still_works(&mut kim).await;
    assert!(kim.stays_open_for(Duration::from_millis(100)).await);
}

/// Leaves the message's ack to be looked at.
async fn still_works(kim: &mut TestClient) {
    kim.ask("ping", json!({})).await;
    kim.submit("send_message", json!({"message": "still here"})).await;
}
