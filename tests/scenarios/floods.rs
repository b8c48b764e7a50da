//! Fast writers and slow readers, and their isolation.

use std::time::Duration;

use crate::support::raw::{CLOSE, TEXT};
use crate::support::{
    RawClient, TestApp, Value, admin, all, assert_run, customer, json, postgres_scenarios,
    scenarios,
};

scenarios! {
    who_writes_too_fast_is_told_when_to_go_on ["limits.messages_per_second" = 5, "limits.burst" = 10],
    who_posts_too_fast_over_http_is_told_when_to_go_on ["limits.messages_per_second" = 1, "limits.burst" = 3]
        on one node "each node counts its own requests",
    a_frame_that_is_refused_counts_against_the_rate ["limits.messages_per_second" = 1, "limits.burst" = 3],
    the_oldest_session_of_a_user_makes_room_for_one_too_many ["limits.sessions_per_user" = 2]
        on one node "sessions of a user are counted a node",
    a_session_is_in_only_so_many_chats ["limits.chats_entered" = 2],
    who_does_not_read_is_put_out_and_delays_nobody ["limits.session_queue_events" = 64],
}

postgres_scenarios! {
    who_does_not_read_holds_no_memory
        ["limits.session_queue_events" = 64, "limits.session_queue_bytes" = 262_144]
        on one node "its server is a process of its own",
}

async fn who_writes_too_fast_is_told_when_to_go_on(app: TestApp) {
    let mut kim = app.connect(&customer("kim")).await;
    let mut lee = app.connect(&customer("lee")).await;
    let limits = kim.welcome["limits"].clone();
    assert_eq!((&limits["messagesPerSecond"], &limits["burst"]), (&json!(5), &json!(10)));
    let mut ids = Vec::new();
    for i in 0..20 {
        let data = json!({"message": format!("{i}"), "clientId": format!("{i}")});
        ids.push((kim.submit("send_message", data.clone()).await, data));
    }
    let (mut granted, mut refused) = (0, Vec::new());
    for (id, data) in ids {
        match kim.answer(&id).await {
            Ok(_) => granted += 1,
            Err(exception) => {
                assert_eq!(exception["code"], "rate_limited", "{exception}");
                let wait = exception["retryAfterMs"].as_u64().expect("when to go on");
                assert!((1..=10_000).contains(&wait), "{wait} ms");
                refused.push((wait, data));
            }
        }
    }
    assert!((10..=14).contains(&granted), "{granted} of a burst of 10 were granted");
    lee.say(lee.chat(), "others write on").await;
    // Who waits as told is heard.
    for (wait, data) in refused.into_iter().take(3) {
        tokio::time::sleep(Duration::from_millis(wait)).await;
        kim.ask("send_message", data).await;
    }
}

async fn who_posts_too_fast_over_http_is_told_when_to_go_on(app: TestApp) {
    let kim = customer("kim");
    let session = app.connect(&kim).await;
    let path = format!("/chats/{}/messages", session.chat());
    let mut refused = None;
    for i in 0..10 {
        let reply = app.post(&kim, &path, json!({"message": format!("{i}")})).await;
        if reply.status != 201 {
            refused = Some(reply);
            break;
        }
    }
    let refused = refused.expect("ten posts passed a burst of three");
    assert_eq!((refused.status, &refused.body["code"]), (429, &json!("rate_limited")));
    assert!(refused.body["retryAfterMs"].as_u64().is_some_and(|wait| (1..=1_000).contains(&wait)));
    // Whose rate it is not writes on.
    let lee = customer("lee");
    let other = app.connect(&lee).await;
    let path = format!("/chats/{}/messages", other.chat());
    assert_eq!(app.post(&lee, &path, json!({"message": "hello"})).await.status, 201);
}

async fn a_frame_that_is_refused_counts_against_the_rate(app: TestApp) {
    for text in ["no JSON", r#"{"event":"no_such_event"}"#, r#"{"event":"ping","id":1}"#] {
        let mut kim = app.connect(&customer("kim")).await;
        for _ in 0..4 {
            kim.send_text(text).await;
        }
        for _ in 0..3 {
            assert_ne!(kim.next().await.data["code"], "rate_limited", "{text}");
        }
        let fourth = kim.next().await;
        assert_eq!(fourth.data["code"], "rate_limited", "{text}: {fourth:?}");
        assert!(fourth.data["retryAfterMs"].is_u64(), "{text}: {fourth:?}");
    }
}

async fn the_oldest_session_of_a_user_makes_room_for_one_too_many(app: TestApp) {
    let kim = customer("kim");
    let mut ada = app.connect(&admin("ada")).await;
    let mut first = app.connect(&kim).await;
    let mut second = app.connect(&kim).await;
    let chat = first.chat();
    ada.enter(chat).await;
    let mut third = app.connect(&kim).await;
    let goodbye = first.expect("goodbye").await;
    assert_eq!(goodbye, json!({"reason": "replaced", "retryAfterMs": 0}));
    assert_eq!(first.closed().await, 4411);
    // Vanished devices are those that came first: nobody is locked out by them.
    let mut fourth = app.connect(&kim).await;
    assert_eq!(second.expect("goodbye").await["reason"], "replaced");
    assert_eq!(second.closed().await, 4411);
    ada.say(chat, "which of you is it?").await;
    third.hears("which of you is it?").await;
    fourth.hears("which of you is it?").await;
    let replaced = "frontdesk_sessions_ended_total{reason=\"Replaced\"}";
    assert_eq!(app.metric(replaced).await, 2.0);
    app.connect(&customer("lee")).await;
    third.has_not_heard("goodbye").await;
}

async fn a_session_is_in_only_so_many_chats(app: TestApp) {
    let mut ada = app.connect(&admin("ada")).await;
    let mut chats = Vec::new();
    for name in ["kim", "lee", "max"] {
        chats.push(app.connect(&customer(name)).await.chat());
    }
    ada.ask("enter_chat", json!({"chatIds": chats[..2]})).await;
    let refusal = ada.request("enter_chat", json!({"chatIds": [chats[2]]})).await;
    let refusal = refusal.expect_err("two are allowed");
    assert!(refusal["message"].as_str().is_some_and(|reason| !reason.is_empty()), "{refusal}");
    // Joining one of the two again does not count as a third.
    ada.enter(chats[0]).await;
    ada.ask("leave_chat", json!({"chatIds": [chats[0]]})).await;
    ada.enter(chats[2]).await;
}

/// So many messages of the longest kind.
const MESSAGES: i64 = 2000;

async fn who_does_not_read_is_put_out_and_delays_nobody(app: TestApp) {
    let mut kim = app.connect(&customer("kim")).await;
    let mut ada = app.connect(&admin("ada")).await;
    let chat = kim.chat();
    ada.enter(chat).await;
    let mut slow = RawClient::slow(&app, &customer("kim").token()).await;
    let text = "x".repeat(8000);
    for batch in 0..MESSAGES / 20 {
        let mut last = Value::Null;
        for _ in 0..20 {
            last = kim.submit("send_message", json!({"message": text})).await;
        }
        kim.answer(&last).await.expect("an ack");
        assert_run(&ada.run_to(chat, (batch + 1) * 20).await, 1, (batch + 1) * 20);
    }

    // What it was sent before it was put out is a run all the same, from where it was welcomed.
    let (mut run, mut begin, mut code) = (Vec::new(), 0, 1006);
    while let Some((opcode, payload)) = slow.next().await {
        match opcode {
            TEXT => {
                let envelope: Value = serde_json::from_slice(&payload).expect("JSON");
                run.extend(envelope["data"]["seq"].as_i64());
                if let Some(last) = envelope["data"]["chats"][0]["lastSeq"].as_i64() {
                    begin = last;
                }
            }
            CLOSE => code = payload.first_chunk().map_or(1005, |code| u16::from_be_bytes(*code)),
            _ => {}
        }
    }
    let last = begin + i64::try_from(run.len()).expect("a few");
    assert_run(&run, begin + 1, last);
    assert!(last < MESSAGES, "a reader that never read was sent everything");
    assert!([4409, 1006].contains(&code), "closed with {code}");
    // It comes back, and nothing is lost. In parts: a replay has its limit.
    let mut again = app.resume(&customer("kim"), &format!("{chat}:{}", MESSAGES - 500)).await;
    assert_run(&again.run_to(chat, MESSAGES).await, MESSAGES - 499, MESSAGES);
}

async fn who_does_not_read_holds_no_memory(app: TestApp) {
    const READERS: usize = 50;
    const ALLOWED: u64 = 64 << 20;
    let process = app.another_process().await;
    let person = customer("kim");
    let mut kim = process.connect(&person).await;
    let text = "x".repeat(8000);
    let mut said = async |messages: usize| {
        for _ in 0..messages {
            kim.ask("send_message", json!({"message": text})).await;
        }
    };
    said(100).await;
    let before = process.resident();
    let token = person.token();
    let readers = all((0..READERS).map(|_| RawClient::slow(&process, &token))).await;
    // Held for all of them, this would be 400 MB.
    said(1000).await;
    let grown = process.resident().saturating_sub(before);
    assert!(grown < ALLOWED, "{} MiB for {} readers that do not read", grown >> 20, readers.len());
}
