//! Polling: a GET that waits, a POST for each thing to say, and the end where there are two.

use crate::support::socketio::{Line, SEPARATOR};
use crate::support::{
    TestApp, TestClient, Via, admin, assert_run, customer, eventually, json, scenarios,
};

scenarios! {
    a_post_is_answered_ok,
    packets_of_one_body_are_taken_in_their_order,
    packets_that_wait_come_in_one_body,
    a_get_waits_until_there_is_something,
    answers_are_not_to_be_kept,
    a_second_get_ends_the_session,
    a_second_post_ends_the_session,
    a_body_that_is_no_payload_ends_the_session,
    a_body_may_come_byte_by_byte,
    a_body_that_is_too_large_is_refused ["limits.frame_bytes" = 4096],
    a_body_of_just_the_limit_is_taken ["limits.frame_bytes" = 4096],
    a_client_says_that_it_closes,
    a_get_that_is_dropped_ends_the_session_at_once,
    a_get_that_is_half_closed_ends_the_session_at_once,
    // A request that ends as it arrives is none: its session ends with its ping.
    a_post_that_is_dropped_harms_nobody [
        "limits.heartbeat_ms" = 1000,
        "socketio.ping_timeout_ms" = 1000
    ],
    a_get_and_a_post_share_a_connection,
    another_token_on_a_request_than_on_the_handshake_is_refused,
    the_token_of_the_handshake_may_be_on_each_request,
}

async fn a_post_is_answered_ok(app: TestApp) {
    let mut polling = app.socketio().polling().await;
    let token = json!({"token": customer("kim").token()});
    let answer = polling.post(&format!("40{token}")).await;
    assert_eq!((answer.status, answer.text.as_str()), (200, "ok"), "{answer:?}");
    assert!(answer.header("content-type").starts_with("text/"), "{answer:?}");
    let body = polling.get().await.is_ok();
    assert!(body.starts_with(r#"40{"sid":""#), "{body}");
}

async fn packets_of_one_body_are_taken_in_their_order(app: TestApp) {
    const COUNT: i64 = 50;
    let mut kim = app.io(Via::Polling, "/chats", &customer("kim")).await;
    let chat = kim.chat();
    let (mut ids, mut packets) = (Vec::new(), Vec::new());
    for n in 0..COUNT {
        let (id, packet) = kim.asking("send_message", &json!({"message": format!("{n}")}));
        ids.push(id);
        packets.push(packet);
    }
    kim.send_all(&packets).await;
    for (id, seq) in ids.into_iter().zip(1..) {
        assert_eq!(kim.answer(id).await.expect("granted")["seq"], seq);
    }
    assert_run(&kim.run(chat), 1, COUNT);
}

/// An admin on `/ws` who is in the chat.
async fn agent_in(app: &TestApp, chat: i64) -> TestClient {
    let mut ada = app.connect(&admin("ada")).await;
    ada.enter(chat).await;
    ada
}

async fn packets_that_wait_come_in_one_body(app: TestApp) {
    let mut kim = app.io(Via::Polling, "/", &customer("kim")).await;
    let chat = kim.chat();
    let mut ada = agent_in(&app, chat).await;
    for n in 1..=20 {
        ada.say(chat, &format!("message {n}")).await;
    }
    // Its own answer says that all of them are there.
    let (id, packet) = kim.asking("send_message", &json!({"message": "and mine"}));
    kim.send(&packet).await;
    let mut bodies = 0;
    while !kim.run(chat).contains(&21) {
        assert!(kim.read().await);
        bodies += 1;
    }
    kim.answer(id).await.expect("granted");
    assert_run(&kim.run(chat), 1, 21);
    assert!(bodies <= 5, "twenty packets in {bodies} bodies");
}

async fn a_get_waits_until_there_is_something(app: TestApp) {
    let mut kim = app.io(Via::Polling, "/", &customer("kim")).await;
    let chat = kim.chat();
    let mut ada = agent_in(&app, chat).await;
    kim.polling().begin().await;
    // Others are served meanwhile, and it has nothing yet.
    for _ in 0..20 {
        ada.ask("ping", json!({})).await;
    }
    let early = tokio::time::timeout(std::time::Duration::ZERO, kim.polling().end()).await;
    assert!(early.is_err(), "answered without anything to say: {early:?}");
    ada.say(chat, "now there is").await;
    kim.hears("now there is").await;
}

async fn answers_are_not_to_be_kept(app: TestApp) {
    let mut kim = app.io(Via::Polling, "/", &customer("kim")).await;
    let ping = kim.packet(None, "no_such_event", &json!({}));
    let posted = kim.polling().post(&ping).await;
    let got = kim.polling().get().await;
    for answer in [posted, got] {
        assert_eq!(answer.status, 200, "{answer:?}");
        assert_eq!(answer.header("cache-control"), "no-store", "{answer:?}");
        assert_eq!(answer.header("set-cookie"), "", "{answer:?}");
    }
}

async fn a_second_get_ends_the_session(app: TestApp) {
    for connected in [false, true] {
        let mut kim = app.io_open(Via::Polling).await;
        if connected {
            kim.welcomed("/", json!({"token": customer("kim").token()})).await;
        }
        // Nothing is said to a session without a namespace, or that has heard all.
        let polling = kim.polling();
        polling.begin().await;
        let mut second = polling.another().await;
        second.send("GET", &polling.target("polling"), "", None).await;
        // Whichever came second.
        let answers =
            [polling.end().await.expect("an answer"), second.next().await.expect("an answer")];
        let is_end = |at: usize| answers[at].status == 200 && answers[at].text == "1";
        let first = usize::from(!is_end(0));
        assert!(is_end(first), "the first one is told that it is over: {answers:?}");
        assert_eq!(answers[1 - first].status, 400, "{answers:?}");
        polling.is_gone().await;
    }
}

async fn a_second_post_ends_the_session(app: TestApp) {
    let mut kim = app.io(Via::Polling, "/", &customer("kim")).await;
    let packet = kim.packet(None, "send_message", &json!({"message": "half of it"}));
    let polling = kim.polling();
    polling.begin().await;
    let target = polling.target("polling");
    let mut first = polling.another().await;
    let head = first.head("POST", &target, "", Some(packet.len()));
    first.write(format!("{head}{}", packet.split_at(10).0)).await;
    // The server reads the first one's head and the second one's on two connections: again until
    // they have met.
    let refused = eventually("the two overlap", || async {
        let mut second = Line::to(polling.address()).await;
        let answer = second.ask("POST", &target, "", Some("3")).await;
        (answer.status != 200).then_some(answer)
    })
    .await;
    assert_eq!(refused.status, 400, "{refused:?}");
    assert_eq!(polling.end().await.expect("an answer").is_ok(), "1");
    polling.is_gone().await;
    // What comes of the first one is nobody's.
    first.write(packet.split_at(10).1).await;
    assert!(first.next().await.is_none_or(|answer| answer.status == 400));
    let kim = app.connect(&customer("kim")).await;
    assert_eq!(kim.welcome["chats"][0]["lastSeq"], 0);
}

async fn a_body_that_is_no_payload_ends_the_session(app: TestApp) {
    let mut lee = app.io(Via::Polling, "/", &customer("lee")).await;
    for body in ["abc", "9", "\u{1e}", "2\u{1e}", "3\u{1e}\u{1e}3", "7x", "b***", "bAQI", "é", "{}"]
    {
        let mut kim = app.io(Via::Polling, "/", &customer("kim")).await;
        let polling = kim.polling();
        assert_eq!(polling.post(body).await.status, 400, "{body:?}");
        polling.is_gone().await;
        lee.ask("ping", json!({})).await;
    }
}

async fn a_body_may_come_byte_by_byte(app: TestApp) {
    let mut kim = app.io(Via::Polling, "/", &customer("kim")).await;
    let (id, packet) = kim.asking("send_message", &json!({"message": "é, in two pieces"}));
    let polling = kim.polling();
    let mut line = polling.another().await;
    let head = line.head("POST", &polling.target("polling"), "", Some(packet.len()));
    for byte in format!("{head}{packet}").bytes() {
        line.write([byte]).await;
    }
    assert_eq!(line.answer().await.is_ok(), "ok");
    assert_eq!(kim.answer(id).await.expect("granted")["seq"], 1);
}

async fn a_body_that_is_too_large_is_refused(app: TestApp) {
    let mut lee = app.io(Via::Polling, "/", &customer("lee")).await;
    let body = "x".repeat(4097);
    for is_announced in [true, false] {
        let mut kim = app.io(Via::Polling, "/", &customer("kim")).await;
        let polling = kim.polling();
        let target = polling.target("polling");
        let mut line = polling.another().await;
        if is_announced {
            // Nothing of it is sent: the head says enough.
            let head = line.head("POST", &target, "", Some(4097));
            line.write(head).await;
        } else {
            let head = line.head("POST", &target, "Transfer-Encoding: chunked\r\n", None);
            line.write(format!("{head}{:x}\r\n{body}\r\n0\r\n\r\n", body.len())).await;
        }
        assert_eq!(line.answer().await.status, 413);
    }
    lee.ask("ping", json!({})).await;
}

async fn a_body_of_just_the_limit_is_taken(app: TestApp) {
    let mut kim = app.io(Via::Polling, "/", &customer("kim")).await;
    let empty = kim.packet(None, "send_message", &json!({"message": ""})).len();
    let text = "x".repeat(4096 - empty);
    let packet = kim.packet(None, "send_message", &json!({"message": text}));
    assert_eq!(packet.len(), 4096);
    kim.send(&packet).await;
    let chat = kim.chat();
    assert_eq!(kim.say(chat, "the next").await["seq"], 2);
}

async fn a_client_says_that_it_closes(app: TestApp) {
    for connected in [false, true] {
        let waited = async || {
            let mut kim = app.io_open(Via::Polling).await;
            if connected {
                kim.welcomed("/", json!({"token": customer("kim").token()})).await;
            }
            let polling = kim.polling();
            polling.begin().await;
            polling.send("1").await;
            let answer = polling.end().await.expect("an answer");
            polling.is_gone().await;
            answer
        };
        // The GET's connection may be read later than the POST's: again until it is not.
        let answer = eventually("a GET waits when its client closes", async || {
            Some(waited().await).filter(|answer| answer.status == 200)
        })
        .await;
        assert_eq!(answer.text, "6", "it ends cleanly");
    }
    // As a client does it that leaves its last namespace.
    let mut kim = app.io(Via::Polling, "/", &customer("kim")).await;
    kim.polling().send(&format!("41{SEPARATOR}1")).await;
    kim.polling().is_gone().await;
    app.has_sessions(0).await;
}

/// Asserts that what is written after the end of a GET waits for its client's return, and is not
/// lost with the old session.
async fn is_resumed(app: &TestApp, chat: i64, after: i64) {
    let mut ada = agent_in(app, chat).await;
    ada.say(chat, "while you were away").await;
    let mut kim = app.io_open(Via::Polling).await;
    let resume = json!([{"chatId": chat, "afterSeq": after}]);
    kim.welcomed("/", json!({"token": customer("kim").token(), "resume": resume})).await;
    assert_eq!(kim.hears("while you were away").await["seq"], after + 1);
}

async fn a_get_that_is_dropped_ends_the_session_at_once(app: TestApp) {
    let mut kim = app.io(Via::Polling, "/", &customer("kim")).await;
    let chat = kim.chat();
    kim.polling().begin().await;
    // It waits, for all that the server knows.
    app.io(Via::Polling, "/", &customer("lee")).await.send("1").await;
    kim.polling().abort();
    kim.polling().is_gone().await;
    app.has_sessions(0).await;
    is_resumed(&app, chat, 0).await;
}

async fn a_get_that_is_half_closed_ends_the_session_at_once(app: TestApp) {
    let mut kim = app.io(Via::Polling, "/", &customer("kim")).await;
    let polling = kim.polling();
    let mut line = polling.another().await;
    line.send("GET", &polling.target("polling"), "", None).await;
    // It has been read, before these are.
    for _ in 0..10 {
        polling.send("3").await;
    }
    line.half_close().await;
    polling.is_gone().await;
    app.has_sessions(0).await;
}

async fn a_post_that_is_dropped_harms_nobody(app: TestApp) {
    // Within a packet, and where a packet ends: without the rest it is no body.
    for cut in [0, 10, 43] {
        let mut kim = app.io(Via::Polling, "/", &customer("kim")).await;
        let message = kim.packet(None, "send_message", &json!({"message": "half of it"}));
        assert_eq!(message.len(), 43);
        let packet = format!("{message}{SEPARATOR}{message}");
        let polling = kim.polling();
        polling.begin().await;
        let mut line = polling.another().await;
        let head = line.head("POST", &polling.target("polling"), "", Some(packet.len()));
        line.write(format!("{head}{}", packet.split_at(cut).0)).await;
        drop(line);
        polling.abort();
        polling.is_gone().await;
        let mut lee = app.io(Via::Polling, "/", &customer("lee")).await;
        lee.ask("ping", json!({})).await;
    }
    let kim = app.connect(&customer("kim")).await;
    assert_eq!(kim.welcome["chats"][0]["lastSeq"], 0, "half a body is nothing");
}

async fn a_get_and_a_post_share_a_connection(app: TestApp) {
    let polling = app.socketio().polling().await;
    let target = polling.target("polling");
    let mut line = polling.another().await;
    let token = json!({"token": customer("kim").token()});
    let body = format!("40{token}{SEPARATOR}420[\"ping\",{{}}]");
    line.send("POST", &target, "", Some(&body)).await;
    assert_eq!(line.answer().await.is_ok(), "ok");
    let mut heard = String::new();
    while !heard.contains("430[") {
        heard.push_str(&line.ask("GET", &target, "", None).await.is_ok());
    }
    assert!(heard.starts_with(r#"40{"sid":"#), "{heard}");
}

async fn another_token_on_a_request_than_on_the_handshake_is_refused(app: TestApp) {
    let (kim, lee) = (customer("kim").token(), customer("lee").token());
    let mut polling = app.socketio().bearer(&kim).polling().await;
    let target = polling.target("polling");
    let other = format!("Authorization: Bearer {lee}\r\n");
    for (method, body) in [("GET", None), ("POST", Some("40"))] {
        let mut line = polling.another().await;
        line.ask(method, &target, &other, body).await.is_refusal(400, 3);
    }
    // Of the one who has the right one nothing is taken.
    polling.send("40").await;
    assert!(polling.get().await.is_ok().starts_with(r#"40{"sid":"#));
}

async fn the_token_of_the_handshake_may_be_on_each_request(app: TestApp) {
    let mut kim = app.socketio().bearer(&customer("kim").token()).open(Via::Polling).await;
    kim.welcomed("/chats", json!(null)).await;
    let chat = kim.chat();
    kim.say(chat, "hello").await;
    kim.upgrade().await;
    kim.say(chat, "hello again").await;
    assert_run(&kim.run(chat), 1, 2);
}
