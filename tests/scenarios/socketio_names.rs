//! The operator's other names: clients that cannot be changed speak an application's own words.

use crate::support::client::assert_exception;
use crate::support::{IoClient, TestApp, Via, admin, assert_keys, customer, json, scenarios};

scenarios! {
    an_event_by_another_name_is_the_command
        ["socketio.names_in" = super::names_in(), "socketio.names_out" = super::names_out()],
    what_is_refused_names_the_event_as_it_was_sent
        ["socketio.names_in" = super::names_in(), "socketio.names_out" = super::names_out()],
    an_answer_follows_what_is_done_and_nothing_else
        ["socketio.names_in" = super::names_in(), "socketio.names_out" = super::names_out()],
    who_never_used_an_old_name_hears_the_protocols_own
        ["socketio.names_in" = super::names_in(), "socketio.names_out" = super::names_out()],
    without_settings_there_are_no_other_names,
}

/// Names of a chat application: a bare room, and fields of its own.
fn names_in() -> String {
    json!([
        {"event": "message", "is": "send_message", "fields": {"message": "text", "chatId": "room"}},
        {"event": "joinRoom", "is": "enter_chat", "bare": "chatIds", "answer": "joinedRoom"},
        {"event": "sendToRoom", "is": "send_message", "fields": {"chatId": "room"}},
    ])
    .to_string()
}

/// Names of its events, the newest client's last.
fn names_out() -> String {
    json!([
        {"of": "receive_message", "as": "message", "after": ["message", "joinRoom"],
         "fields": {"text": "message", "sender": "author.nickname", "room": "chatId"}},
        {"of": "receive_message", "as": "text", "after": ["sendToRoom"], "bare": "message"},
    ])
    .to_string()
}

/// An agent who has joined the room of a customer by the application's own words.
async fn joined(app: &TestApp, via: Via, chat: i64) -> IoClient {
    let mut ada = app.io(via, "/chats", &admin("ada")).await;
    ada.emit("joinRoom", json!(chat)).await;
    assert_eq!(ada.expect("joinedRoom").await, chat);
    ada
}

async fn an_event_by_another_name_is_the_command(app: TestApp) {
    for via in Via::ALL {
        let mut kim = app.io(via, "/", &customer("kim")).await;
        let chat = kim.chat();
        let mut ada = joined(&app, via, chat).await;
        let mut plain = app.connect(&customer("kim")).await;
        let ack = kim.ask("message", json!({"text": "hello"})).await;
        assert_keys(&ack, &["id", "chatId", "seq", "clientId", "createdAt", "duplicate"]);
        let heard = json!({"text": "hello", "sender": "Kim", "room": chat});
        assert_eq!(ada.expect("message").await, heard);
        plain.hears("hello").await;
        ada.ask("sendToRoom", json!({"room": chat, "message": "how can I help?"})).await;
        let heard = json!({"text": "how can I help?", "sender": "Ada", "room": chat});
        assert_eq!(kim.expect("message").await, heard);
        plain.hears("how can I help?").await;
        // A name of the protocol is one still.
        plain.say(chat, "and so on").await;
        assert_eq!(kim.expect("message").await["text"], "and so on");
        kim.say(chat, "the protocol's own").await;
        assert_eq!(ada.expect("message").await["text"], "and so on");
        assert_eq!(ada.expect("message").await["text"], "the protocol's own");
        ada.has_not_heard("receive_message").await;
    }
}

async fn what_is_refused_names_the_event_as_it_was_sent(app: TestApp) {
    let mut kim = app.io(Via::Polling, "/", &customer("kim")).await;
    let refusal = kim.request("joinRoom", json!(999_999)).await.expect_err("there is no such chat");
    assert_exception(&refusal, "chat_not_found");
    assert_eq!(refusal["event"], "joinRoom", "{refusal}");
    assert_eq!(kim.expect("exception").await, refusal);
    kim.has_not_heard("joinedRoom").await;
    for data in [json!({"text": 7}), json!({}), json!([1])] {
        let refusal = kim.request("message", data).await.expect_err("no text");
        assert_exception(&refusal, "bad_request");
        assert_eq!(kim.expect("exception").await, refusal);
    }
}

async fn an_answer_follows_what_is_done_and_nothing_else(app: TestApp) {
    for via in Via::ALL {
        let mut kim = app.io(via, "/", &customer("kim")).await;
        let chat = kim.chat();
        for data in [json!(chat), json!([chat])] {
            kim.emit("joinRoom", data.clone()).await;
            assert_eq!(kim.expect("joinedRoom").await, data, "what the client sent");
        }
        let entered = kim.ask("joinRoom", json!(chat)).await;
        assert_eq!(entered["chats"][0]["chatId"], chat);
        assert_eq!(kim.expect("joinedRoom").await, chat);
        kim.ask("enter_chat", json!([chat])).await;
        kim.has_heard_nothing().await;
    }
}

async fn who_never_used_an_old_name_hears_the_protocols_own(app: TestApp) {
    let mut old = app.io(Via::Polling, "/", &customer("kim")).await;
    let mut new = app.io(Via::Polling, "/", &customer("kim")).await;
    let mut other = app.io(Via::WebSocket, "/", &customer("kim")).await;
    let chat = old.chat();
    old.ask("message", json!({"text": "one"})).await;
    // Before it uses a name of its own, from which on it hears by that.
    other.hears("one").await;
    other.ask("sendToRoom", json!({"room": chat, "message": "two"})).await;
    for text in ["one", "two"] {
        new.hears(text).await;
    }
    assert_eq!(old.expect("message").await["text"], "two");
    let mut ada = app.connect(&admin("ada")).await;
    ada.say(chat, "three").await;
    new.hears("three").await;
    assert_eq!(old.expect("message").await["text"], "three");
    assert_eq!(other.expect("text").await, "three", "each in the words that it has used");
}

async fn without_settings_there_are_no_other_names(app: TestApp) {
    let mut kim = app.io(Via::WebSocket, "/", &customer("kim")).await;
    kim.refused("joinRoom", json!(1), "unknown_event").await;
    kim.refused("message", json!({"text": "x"}), "unknown_event").await;
}
