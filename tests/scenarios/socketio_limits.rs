//! Bounds of the Socket.IO front, and what is said at each.

use std::time::Duration;

use crate::support::client::assert_exception;
use crate::support::socketio::{Line, UPGRADE};
use crate::support::{
    IoClient, RawClient, TestApp, Via, admin, all, assert_run, customer, eventually, json,
    lock_awaited, postgres_scenarios, scenarios,
};

scenarios! {
    connections_in_no_namespace_are_capped ["limits.unauthenticated" = 3]
        on one node "each node counts its own connections",
    a_connection_gives_its_place_back_however_it_ends
        [
            "limits.unauthenticated" = 1,
            "limits.heartbeat_ms" = 800,
            "socketio.ping_timeout_ms" = 400
        ]
        on one node "each node counts its own connections",
    one_address_cannot_take_all_places
        ["server.trusted_proxies" = "127.0.0.1", "limits.unauthenticated_per_address" = 1]
        on one node "each node counts its own connections",
    an_address_that_connects_too_often_is_refused
        ["server.trusted_proxies" = "127.0.0.1", "limits.connects_per_address" = 1]
        on one node "each node counts its own connections",
    who_writes_too_fast_is_told_when_to_go_on
        ["limits.messages_per_second" = 5, "limits.burst" = 10],
    who_ignores_that_it_is_to_wait_is_put_out
        ["limits.messages_per_second" = 1, "limits.burst" = 4],
    who_sends_bad_events_alone_is_put_out
        ["limits.messages_per_second" = 1_000_000, "limits.burst" = 5],
    each_namespace_has_a_rate_of_its_own
        ["limits.messages_per_second" = 1, "limits.burst" = 4],
    who_never_fetches_is_put_out_and_resumes ["limits.session_queue_events" = 64],
    who_never_fetches_is_bounded_in_bytes ["limits.session_queue_bytes" = 65_536],
    who_fetches_late_but_in_time_has_missed_nothing,
    who_does_not_read_its_websocket_is_put_out_and_resumes ["limits.session_queue_events" = 64],
    who_does_not_read_its_get_is_put_out ["limits.session_queue_bytes" = 65_536],
    a_slow_reader_of_one_namespace_ends_its_connection ["limits.session_queue_events" = 64],
}

postgres_scenarios! {
    a_post_waits_while_its_session_has_too_many_requests ["limits.commands_in_flight" = 2]
        on one node "it holds up the executor of a node",
    who_never_fetches_holds_no_memory
        ["limits.session_queue_events" = 64, "limits.session_queue_bytes" = 262_144]
        on one node "its server is a process of its own",
}

/// Asserts that no further connection in no namespace is taken, in whichever way.
async fn is_full(app: &TestApp) {
    app.socketio().poll().await.is_refusal(503, 3);
    app.socketio().no_socket().await.is_refusal(503, 3);
    app.connecting().refused(503, "unavailable").await;
}

async fn connections_in_no_namespace_are_capped(app: TestApp) {
    let mut polls = app.io_open(Via::Polling).await;
    let _socket = app.io_open(Via::WebSocket).await;
    let _browser = app.connecting().open().await;
    is_full(&app).await;
    assert_eq!(app.metric("frontdesk_unauthenticated").await, 3.0);
    // With a token on the handshake it is in no namespace either.
    let token = customer("kim").token();
    app.socketio().bearer(&token).poll().await.is_refusal(503, 3);
    // An upgrade is of a connection that is there.
    polls.upgrade().await;
    is_full(&app).await;
    // Who is in a namespace has left its place to others, and is in want of one when it leaves.
    polls.welcomed("/chats", json!({"token": token})).await;
    assert_eq!(app.metric("frontdesk_unauthenticated").await, 2.0);
    let third = app.io_open(Via::Polling).await;
    is_full(&app).await;
    polls.ask("ping", json!({})).await;
    drop(third);
    assert!(app.metric("frontdesk_socketio_refused_total{code=\"3\"}").await >= 7.0);
}

async fn a_connection_gives_its_place_back_however_it_ends(app: TestApp) {
    for ending in 0..9 {
        let via = if ending < 5 { Via::Polling } else { Via::WebSocket };
        eventually("the place is given back", || async {
            (app.metric("frontdesk_unauthenticated").await == 0.0).then_some(())
        })
        .await;
        let mut client = app.io_open(via).await;
        app.socketio().poll().await.is_refusal(503, 3);
        match ending {
            // Let in; closed; broken; a GET that is dropped; and one that never came.
            0 | 5 => {
                client.welcomed("/", json!({"token": admin("ada").token()})).await;
            }
            1 | 6 => client.send("1").await,
            2 | 7 => client.send_bad("abc").await,
            3 => {
                client.polling().begin().await;
                client.polling().abort();
            }
            _ => drop(client),
        }
    }
}

async fn one_address_cannot_take_all_places(app: TestApp) {
    const KIM: &str = "198.51.100.7";
    const LEE: &str = "203.0.113.9";
    let from = |address| app.socketio().header("X-Forwarded-For", address);
    let mut first = from(KIM).open(Via::Polling).await;
    from(KIM).poll().await.is_refusal(503, 3);
    from(KIM).no_socket().await.is_refusal(503, 3);
    let _other = from(LEE).open(Via::WebSocket).await;
    first.welcomed("/", json!({"token": customer("kim").token()})).await;
    let _second = from(KIM).open(Via::WebSocket).await;
    from(KIM).poll().await.is_refusal(503, 3);
}

async fn an_address_that_connects_too_often_is_refused(app: TestApp) {
    let from = |address| app.socketio().header("X-Forwarded-For", address);
    // A slow machine lets the rate catch up, so one of many is refused, and not the second.
    let refused = || async {
        let answer = from("198.51.100.7").poll().await;
        (answer.status != 200).then_some(answer)
    };
    eventually("a connect beyond the rate", refused).await.is_refusal(503, 3);
    assert!(app.counted("frontdesk_connects_refused_total").await >= 1.0);
    from("203.0.113.9").open(Via::WebSocket).await;
}

async fn who_writes_too_fast_is_told_when_to_go_on(app: TestApp) {
    for via in Via::ALL {
        let mut kim = app.io(via, "/chats", &customer("kim")).await;
        let mut lee = app.io(via, "/chats", &customer("lee")).await;
        let (mut ids, mut packets) = (Vec::new(), Vec::new());
        for n in 0..20 {
            let (id, packet) = kim.asking("send_message", &json!({"message": format!("{n}")}));
            ids.push(id);
            packets.push(packet);
        }
        kim.send_all(&packets).await;
        let (mut granted, mut waits) = (0, Vec::new());
        for id in ids {
            match kim.answer(id).await {
                Ok(_) => granted += 1,
                Err(exception) => {
                    assert_exception(&exception, "rate_limited");
                    assert_eq!(kim.expect("exception").await, exception);
                    waits.push(exception["retryAfterMs"].as_u64().expect("when to go on"));
                }
            }
        }
        assert!((10..=14).contains(&granted), "{granted} of a burst of 10 were granted");
        assert!(waits.iter().all(|wait| (1..=10_000).contains(wait)), "{waits:?}");
        lee.ask("send_message", json!({"message": "others write on"})).await;
        tokio::time::sleep(Duration::from_millis(waits[0])).await;
        kim.ask("send_message", json!({"message": "who waits is heard"})).await;
    }
}

async fn who_ignores_that_it_is_to_wait_is_put_out(app: TestApp) {
    // The burst, the refusal, twice the burst that is borne, and one more.
    let events = 4 + 1 + 8 + 1;
    for via in Via::ALL {
        let mut kim = app.io(via, "/chats", &customer("kim")).await;
        for n in 0..events {
            let ping = kim.packet(Some(n), "ping", &json!({}));
            kim.send_bad(&ping).await;
        }
        kim.closed().await;
    }
    let flood = "frontdesk_sessions_ended_total{reason=\"Flood\"}";
    assert_eq!(app.metric(flood).await, 3.0);
    let mut lee = app.io(Via::Polling, "/chats", &customer("lee")).await;
    lee.ask("ping", json!({})).await;
}

async fn who_sends_bad_events_alone_is_put_out(app: TestApp) {
    for (event, data) in [("no_such_event", json!({})), ("read_message", json!(7))] {
        let mut kim = app.io(Via::WebSocket, "/chats", &customer("kim")).await;
        for _ in 0..5 {
            kim.emit(event, data.clone()).await;
            kim.expect("exception").await;
        }
        // What is refused for what it asks for is not a bad event.
        kim.refused("enter_chat", json!({"chatIds": [999_999]}), "chat_not_found").await;
        kim.emit(event, data).await;
        kim.closed().await;
    }
}

async fn each_namespace_has_a_rate_of_its_own(app: TestApp) {
    let mut kim = app.io(Via::Polling, "/chats", &customer("kim")).await;
    kim.welcomed("/main", json!({"token": customer("kim").token()})).await;
    for nsp in ["/chats", "/main"] {
        for _ in 0..4 {
            kim.at(nsp).ask("ping", json!({})).await;
        }
    }
    for nsp in ["/chats", "/main"] {
        kim.at(nsp).request("ping", json!({})).await.expect_err("five at once");
    }
}

/// So many messages of the longest kind.
const MESSAGES: i64 = 300;

/// Lets somebody else write so many messages to `chat` that nobody could hold them.
async fn fill(app: &TestApp, chat: i64) {
    let mut ada = app.connect(&admin("ada")).await;
    ada.enter(chat).await;
    let text = "x".repeat(8000);
    for _ in 0..MESSAGES {
        ada.say(chat, &text).await;
    }
}

/// Comes back, and hears all of it.
async fn resumes(app: &TestApp, chat: i64, after: i64) {
    for via in Via::ALL {
        let mut kim = app.io_open(via).await;
        let resume = json!([{"chatId": chat, "afterSeq": after}]);
        let token = customer("kim").token();
        kim.welcomed("/chats", json!({"token": token, "resume": resume})).await;
        assert_run(&kim.run_to(chat, MESSAGES).await, after + 1, MESSAGES);
    }
}

async fn who_never_fetches_is_put_out_and_resumes(app: TestApp) {
    let mut slow = app.io(Via::Polling, "/chats", &customer("kim")).await;
    let mut other = app.io(Via::Polling, "/chats", &customer("kim")).await;
    let chat = slow.chat();
    let hearing = async { other.run_to(chat, MESSAGES).await };
    let ((), run) = tokio::join!(fill(&app, chat), hearing);
    assert_run(&run, 1, MESSAGES);
    slow.polling().is_gone().await;
    let slow_reader = "frontdesk_sessions_ended_total{reason=\"SlowReader\"}";
    assert_eq!(app.counted(slow_reader).await, 1.0);
    resumes(&app, chat, 0).await;
}

async fn who_never_fetches_is_bounded_in_bytes(app: TestApp) {
    let mut slow = app.io(Via::Polling, "/chats", &customer("kim")).await;
    let chat = slow.chat();
    let mut ada = app.connect(&admin("ada")).await;
    ada.enter(chat).await;
    // Few, and large.
    for _ in 0..20 {
        ada.say(chat, &"x".repeat(8000)).await;
    }
    slow.polling().is_gone().await;
}

async fn who_fetches_late_but_in_time_has_missed_nothing(app: TestApp) {
    let mut kim = app.io(Via::Polling, "/chats", &customer("kim")).await;
    let chat = kim.chat();
    let mut ada = app.connect(&admin("ada")).await;
    ada.enter(chat).await;
    for n in 1..=100 {
        ada.say(chat, &format!("{n}")).await;
    }
    assert_run(&kim.run_to(chat, 100).await, 1, 100);
    // The budget is given back by what was fetched: more than it could ever hold.
    let text = "x".repeat(8000);
    for n in 0..30 {
        for _ in 0..10 {
            ada.say(chat, &text).await;
        }
        let last = 100 + (n + 1) * 10;
        assert_run(&kim.run_to(chat, last).await, 1, last);
    }
}

async fn who_does_not_read_its_websocket_is_put_out_and_resumes(app: TestApp) {
    let address = app.address();
    let target = "/socket.io/?EIO=4&transport=websocket";
    let request = format!("GET {target} HTTP/1.1\r\nHost: {address}\r\n{UPGRADE}\r\n");
    let mut socket = RawClient::slowly_asking(address, &request).await;
    let open = crate::support::socketio::text_of(&mut socket).await;
    let mut slow = IoClient::on_socket(address, socket, &open);
    slow.welcomed("/chats", json!({"token": customer("kim").token()})).await;
    let chat = slow.chat();
    let mut ada = app.connect(&admin("ada")).await;
    ada.enter(chat).await;
    let text = "x".repeat(8000);
    let mut written = 0;
    while app.metric("frontdesk_sessions").await > 1.0 {
        assert!(written < 5000, "a reader that never reads is still in");
        for _ in 0..50 {
            ada.say(chat, &text).await;
        }
        written += 50;
    }
    // What it was sent before is a run all the same.
    while slow.read().await {}
    let run = slow.run(chat);
    assert_run(&run, 1, run.len() as i64);
    assert!((run.len() as i64) < written);
    let after = written - 100;
    let mut again = app.io_open(Via::WebSocket).await;
    let resume = json!([{"chatId": chat, "afterSeq": after}]);
    again.welcomed("/chats", json!({"token": customer("kim").token(), "resume": resume})).await;
    assert_run(&again.run_to(chat, written).await, after + 1, written);
}

async fn who_does_not_read_its_get_is_put_out(app: TestApp) {
    let mut slow = app.io(Via::Polling, "/chats", &customer("kim")).await;
    let chat = slow.chat();
    let mut ada = app.connect(&admin("ada")).await;
    ada.enter(chat).await;
    // A body that its socket does not take, and then nothing is asked for.
    let polling = slow.polling();
    let target = polling.target("polling");
    let mut narrow = Line::narrow(polling.address()).await;
    ada.say(chat, &"x".repeat(8000)).await;
    narrow.send("GET", &target, "", None).await;
    for _ in 0..20 {
        ada.say(chat, &"x".repeat(8000)).await;
    }
    app.has_sessions(1).await;
    polling.is_gone().await;
}

async fn a_slow_reader_of_one_namespace_ends_its_connection(app: TestApp) {
    let mut slow = app.io(Via::Polling, "/chats", &customer("kim")).await;
    slow.welcomed("/main", json!({"token": customer("lee").token()})).await;
    let chat = slow.at("/chats").chat();
    app.has_sessions(2).await;
    let mut ada = app.connect(&admin("ada")).await;
    for n in 0..200 {
        ada.say(chat, &format!("{n}")).await;
    }
    slow.polling().is_gone().await;
    app.has_sessions(1).await;
}

async fn a_post_waits_while_its_session_has_too_many_requests(app: TestApp) {
    let mut kim = app.io(Via::Polling, "/chats", &customer("kim")).await;
    let mut lee = app.io(Via::Polling, "/chats", &customer("lee")).await;
    let chat = kim.chat();
    let holder = app.database().connect().await;
    let hold = format!("BEGIN; SELECT 1 FROM chats WHERE id = {chat} FOR UPDATE");
    holder.batch_execute(&hold).await.expect("the row is free");
    let (mut ids, mut packets) = (Vec::new(), Vec::new());
    for n in 0..10 {
        let (id, packet) = kim.asking("send_message", &json!({"message": format!("{n}")}));
        ids.push(id);
        packets.push(packet);
    }
    let polling = kim.polling();
    let target = polling.target("polling");
    let mut post = polling.another().await;
    post.send("POST", &target, "", Some(&packets.join("\u{1e}"))).await;
    lock_awaited(app.database()).await;
    // Others are served meanwhile, and it is not told that its packets were taken.
    for _ in 0..20 {
        lee.ask("ping", json!({})).await;
    }
    let early = tokio::time::timeout(Duration::ZERO, post.next()).await;
    assert!(early.is_err(), "answered before there was room: {early:?}");
    holder.batch_execute("COMMIT").await.expect("the row is given back");
    assert_eq!(post.answer().await.is_ok(), "ok");
    for (id, seq) in ids.into_iter().zip(1..) {
        assert_eq!(kim.answer(id).await.expect("granted")["seq"], seq);
    }
}

async fn who_never_fetches_holds_no_memory(app: TestApp) {
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
    let readers = all((0..READERS).map(|_| process.io(Via::Polling, "/chats", &person))).await;
    // Held for all of them, this would be 400 MB.
    said(1000).await;
    let grown = process.resident().saturating_sub(before);
    assert!(grown < ALLOWED, "{} MiB for {} readers that do not fetch", grown >> 20, readers.len());
}
