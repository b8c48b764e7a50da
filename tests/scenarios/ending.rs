//! Ends of sessions: silent peers, tokens whose time is over, floods.

use frontdesk::domain::Timestamp;

use crate::support::raw::{CLOSE, PING, PONG, TEXT, frame};
use crate::support::{RawClient, TestApp, assert_time, customer, json, scenarios};

scenarios! {
    who_answers_pings_stays ["limits.heartbeat_ms" = 500],
    a_silent_peer_is_given_up ["limits.heartbeat_ms" = 40],
    a_message_that_never_ends_is_given_up ["limits.heartbeat_ms" = 40],
    a_frame_that_never_ends_is_given_up ["limits.heartbeat_ms" = 40],
    a_session_ends_with_its_token ["limits.leeway_seconds" = 0],
    a_fresh_token_lets_a_session_go_on ["limits.leeway_seconds" = 0],
    who_ignores_that_it_is_to_wait_is_put_out
        ["limits.messages_per_second" = 1, "limits.burst" = 4],
    who_sends_bad_frames_alone_is_put_out
        ["limits.messages_per_second" = 1_000_000, "limits.burst" = 5],
}

/// Heartbeats after which nobody would still be in who was silent.
const MANY: usize = 5;

async fn who_answers_pings_stays(app: TestApp) {
    let mut kim = RawClient::connect(&app, &customer("kim")).await;
    for _ in 0..MANY {
        let payload = kim.next_of(PING).await;
        kim.send(frame(PONG, payload)).await;
    }
    kim.event("ping", json!({}), "still here").await;
    assert_eq!(kim.answer("still here").await["event"], "ack");
}

async fn a_silent_peer_is_given_up(app: TestApp) {
    let mut kim = RawClient::connect(&app, &customer("kim")).await;
    assert_eq!(kim.closed().await, 4408);
    let ended = app.metric("frontdesk_sessions_ended_total{reason=\"Silent\"}").await;
    assert!(ended >= 1.0, "{ended}");
}

/// Reads on and answers pings, until the close code.
async fn alive_until_closed(client: &mut RawClient) -> u16 {
    while let Some((opcode, payload)) = client.next().await {
        match opcode {
            PING => client.send(frame(PONG, payload)).await,
            CLOSE => {
                return payload.first_chunk().map_or(1005, |code| u16::from_be_bytes(*code));
            }
            _ => {}
        }
    }
    1006
}

async fn a_message_that_never_ends_is_given_up(app: TestApp) {
    let mut kim = RawClient::connect(&app, &customer("kim")).await;
    kim.send(frame(TEXT, r#"{"event":"#).unfinished()).await;
    assert_eq!(alive_until_closed(&mut kim).await, 4408);
}

async fn a_frame_that_never_ends_is_given_up(app: TestApp) {
    let mut kim = RawClient::connect(&app, &customer("kim")).await;
    let bytes = frame(TEXT, r#"{"event":"ping"}"#).bytes();
    kim.write(&bytes[..bytes.len() - 1]).await;
    assert_eq!(kim.closed().await, 4408);
}

async fn a_session_ends_with_its_token(app: TestApp) {
    let soon = Timestamp::now().seconds() + 4;
    let token = customer("kim").token_with(&json!({"exp": soon}));
    let mut kim = app.connecting().bearer(&token).welcomed().await;
    assert_time(&kim.welcome["tokenExpiresAt"]);
    kim.say(kim.chat(), "in time").await;
    let goodbye = kim.expect("goodbye").await;
    assert_eq!(goodbye, json!({"reason": "token_expired", "retryAfterMs": 0}));
    assert_eq!(kim.closed().await, 4401);
    assert!(Timestamp::now().seconds() >= soon, "not before");
}

async fn a_fresh_token_lets_a_session_go_on(app: TestApp) {
    let person = customer("kim");
    let now = Timestamp::now().seconds();
    let [short, longer] = [4, 8].map(|seconds| person.token_with(&json!({"exp": now + seconds})));
    let mut kim = app.connecting().bearer(&short).welcomed().await;
    let ack = kim.ask("authenticate", json!({"token": longer})).await;
    assert!(ack["expiresAt"].as_str() > kim.welcome["tokenExpiresAt"].as_str());
    assert_eq!(kim.expect("goodbye").await["reason"], "token_expired");
    assert_eq!(kim.closed().await, 4401);
    assert!(Timestamp::now().seconds() >= now + 8, "the fresh one counted");
}

async fn who_ignores_that_it_is_to_wait_is_put_out(app: TestApp) {
    let mut kim = app.connect(&customer("kim")).await;
    // The burst, the refusal, twice the burst that is borne, and one more.
    let frames = 4 + 1 + 8 + 1;
    for i in 0..frames {
        kim.send_with_id("ping", json!({}), json!(i)).await;
    }
    for i in 0..frames {
        let answer = kim.answer(&json!(i)).await;
        assert_eq!(answer.is_ok(), i < 4, "{i}: {answer:?}");
    }
    assert_eq!(kim.closed().await, 1008);
    // Nobody else is.
    let mut lee = app.connect(&customer("lee")).await;
    lee.say(lee.chat(), "hello").await;
}

async fn who_sends_bad_frames_alone_is_put_out(app: TestApp) {
    for text in ["no JSON", r#"{"event":"no_such_event"}"#, r#"{"event":"read_message","data":7}"#]
    {
        let mut kim = app.connect(&customer("kim")).await;
        for _ in 0..5 {
            kim.send_text(text).await;
            kim.expect("exception").await;
        }
        // What is refused for what it asks for is no bad frame.
        kim.refused("enter_chat", json!({"chatIds": [999_999]}), "chat_not_found").await;
        kim.send_text(text).await;
        assert_eq!(kim.closed().await, 1008, "{text}");
    }
}
