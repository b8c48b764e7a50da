//! The upgrade of a polling session to a WebSocket: what it does to what is on its way, and what is
//! left where it fails.

use crate::support::raw::{BINARY, frame};
use crate::support::socketio::{Line, UPGRADE, say_to, text_of};
use crate::support::{
    IoClient, RawClient, TestApp, Via, admin, all, assert_run, customer, json, scenarios,
};

scenarios! {
    a_session_goes_on_over_its_websocket,
    a_session_may_upgrade_before_it_is_in_a_namespace,
    the_probe_ends_the_get_that_waits_and_every_later_one,
    what_waits_is_sent_over_the_websocket,
    packets_keep_their_order_across_the_upgrade,
    what_a_client_sends_keeps_its_order_across_the_upgrade,
    after_the_upgrade_nothing_is_polled,
    a_second_websocket_is_refused_and_the_first_goes_on,
    a_second_probe_is_refused_and_the_first_goes_on,
    a_probe_that_fails_leaves_polling_as_it_was,
    a_probe_that_never_comes_leaves_polling_as_it_was ["socketio.upgrade_timeout_ms" = 100],
    an_upgrade_that_is_not_finished_leaves_polling_as_it_was ["socketio.upgrade_timeout_ms" = 100],
    a_websocket_that_ends_in_its_upgrade_leaves_polling_as_it_was,
    the_end_of_the_websocket_is_the_end_of_the_session,
    a_session_that_ends_takes_its_upgrade_with_it,
    many_upgrade_at_once,
}

async fn kim_polls(app: &TestApp) -> IoClient {
    app.io(Via::Polling, "/chats", &customer("kim")).await
}

async fn a_session_goes_on_over_its_websocket(app: TestApp) {
    let mut kim = kim_polls(&app).await;
    let chat = kim.chat();
    let session = kim.session_id().to_owned();
    let mut ada = app.connect(&admin("ada")).await;
    ada.enter(chat).await;
    kim.say(chat, "polled").await;
    kim.upgrade().await;
    kim.say(chat, "upgraded").await;
    ada.say(chat, "heard").await;
    kim.hears("heard").await;
    assert_run(&kim.run(chat), 1, 3);
    assert_run(&ada.run_to(chat, 3).await, 1, 3);
    // The same session, and no other.
    assert_eq!(kim.session_id(), session);
    app.has_sessions(2).await;
    kim.has_not_heard("welcome").await;
}

async fn a_session_may_upgrade_before_it_is_in_a_namespace(app: TestApp) {
    let mut kim = app.io_open(Via::Polling).await;
    kim.upgrade().await;
    kim.welcomed("/", json!({"token": customer("kim").token()})).await;
    // CONNECT on its way while the upgrade begins.
    let mut lee = app.io_open(Via::Polling).await;
    lee.send(&format!("40/chats,{}", json!({"token": customer("lee").token()}))).await;
    lee.upgrade().await;
    let answer = lee.connected("/chats").await.expect("it is let in");
    lee.read_welcome("/chats", &answer).await;
}

async fn the_probe_ends_the_get_that_waits_and_every_later_one(app: TestApp) {
    let mut kim = kim_polls(&app).await;
    let polling = kim.polling();
    polling.begin().await;
    let mut socket = polling.probed().await;
    for get in 0..5 {
        assert_eq!(polling.get().await.is_ok(), "6", "GET {get} does not wait");
    }
    say_to(&mut socket, "5").await;
    say_to(&mut socket, r#"42/chats,7["ping",{}]"#).await;
    assert!(text_of(&mut socket).await.starts_with("43/chats,7["));
}

async fn what_waits_is_sent_over_the_websocket(app: TestApp) {
    let mut kim = kim_polls(&app).await;
    let chat = kim.chat();
    let mut ada = app.connect(&admin("ada")).await;
    ada.enter(chat).await;
    let mut socket = kim.polling().probed().await;
    ada.say(chat, "between the probe and its end").await;
    say_to(&mut socket, "5").await;
    let text = text_of(&mut socket).await;
    assert!(text.starts_with("42/chats,[") && text.contains("between the probe"), "{text}");
}

async fn packets_keep_their_order_across_the_upgrade(app: TestApp) {
    const EACH: i64 = 40;
    let mut kim = kim_polls(&app).await;
    let chat = kim.chat();
    let mut ada = app.connect(&admin("ada")).await;
    let writing = async {
        for n in 0..3 * EACH {
            ada.say(chat, &format!("{n}")).await;
        }
    };
    let reading = async {
        let mut run = kim.run_to_at_least(chat, EACH).await;
        kim.polling().begin().await;
        kim.upgrade().await;
        if run < 3 * EACH {
            run = kim.run_to(chat, 3 * EACH).await.len() as i64;
        }
        run
    };
    let ((), count) = tokio::join!(writing, reading);
    assert_eq!(count, 3 * EACH);
    assert_run(&kim.run(chat), 1, 3 * EACH);
}

impl IoClient {
    /// Reads until it has so much of `chat`.
    async fn run_to_at_least(&mut self, chat: i64, count: i64) -> i64 {
        while (self.run(chat).len() as i64) < count {
            assert!(self.read().await, "ended too early");
        }
        self.run(chat).len() as i64
    }
}

async fn what_a_client_sends_keeps_its_order_across_the_upgrade(app: TestApp) {
    let mut kim = kim_polls(&app).await;
    let chat = kim.chat();
    let mut ids = Vec::new();
    for n in 0..60 {
        ids.push(kim.submit("send_message", json!({"message": format!("{n}")})).await);
        if n == 30 {
            kim.upgrade().await;
        }
    }
    for (id, seq) in ids.into_iter().zip(1..) {
        assert_eq!(kim.answer(id).await.expect("granted")["seq"], seq);
    }
    let history = app.history(&customer("kim"), chat).await;
    for (n, message) in history.iter().enumerate() {
        assert_eq!(message["message"], format!("{n}"));
    }
}

async fn after_the_upgrade_nothing_is_polled(app: TestApp) {
    let mut kim = kim_polls(&app).await;
    let target = kim.polling().target("polling");
    kim.upgrade().await;
    // It has been seen.
    kim.ask("ping", json!({})).await;
    let mut line = Line::to(kim.address()).await;
    line.ask("GET", &target, "", None).await.is_refusal(400, 3);
    let mut line = Line::to(kim.address()).await;
    line.ask("POST", &target, "", Some("41/chats,")).await.is_refusal(400, 3);
    let chat = kim.chat();
    kim.say(chat, "it goes on").await;
}

/// Asserts that one more WebSocket of a session ends, before its upgrade or after.
async fn is_refused(kim: &IoClient, target: &str) {
    let mut line = Line::to(kim.address()).await;
    line.send("GET", target, UPGRADE, None).await;
    let Some(answer) = line.next().await else { return };
    if answer.status != 101 {
        // One that began with a WebSocket is known to no request.
        let code = answer.json()["code"].as_u64();
        assert!(answer.status == 400 && matches!(code, Some(1 | 3)), "{answer:?}");
        return;
    }
    let mut socket = RawClient::asking(
        kim.address(),
        &format!("GET {target} HTTP/1.1\r\nHost: {}\r\n{UPGRADE}\r\n", kim.address()),
    )
    .await;
    say_to(&mut socket, "2probe").await;
    assert_ne!(socket.closed().await, 0);
}

async fn a_second_websocket_is_refused_and_the_first_goes_on(app: TestApp) {
    for via in [Via::Upgrade, Via::WebSocket] {
        let mut kim = app.io(via, "/chats", &customer("kim")).await;
        let target = format!("/socket.io/?EIO=4&transport=websocket&sid={}", kim.sid());
        is_refused(&kim, &target).await;
        let chat = kim.chat();
        kim.say(chat, "the first goes on").await;
    }
}

async fn a_second_probe_is_refused_and_the_first_goes_on(app: TestApp) {
    let mut kim = kim_polls(&app).await;
    let target = kim.polling().target("websocket");
    let mut first = kim.polling().probed().await;
    is_refused(&kim, &target).await;
    say_to(&mut first, "5").await;
    say_to(&mut first, r#"42/chats,0["ping",{}]"#).await;
    assert!(text_of(&mut first).await.starts_with("43/chats,0["));
}

/// Asserts that a session is polled as before, and upgrades after all.
async fn polls_on(mut kim: IoClient) {
    let chat = kim.chat();
    let polled = kim.say(chat, "polling goes on").await["seq"].clone();
    kim.upgrade().await;
    let upgraded = kim.say(chat, "and a good probe is taken").await["seq"].clone();
    assert_eq!(upgraded.as_i64(), polled.as_i64().map(|seq| seq + 1));
}

async fn a_probe_that_fails_leaves_polling_as_it_was(app: TestApp) {
    for text in ["2", "2prob", "3probe", "5", "4hello", "40/chats,", "1", "abc", ""] {
        let mut kim = kim_polls(&app).await;
        let mut socket = kim.polling().socket().await;
        say_to(&mut socket, text).await;
        socket.closed().await;
        polls_on(kim).await;
    }
    let mut kim = kim_polls(&app).await;
    let mut socket = kim.polling().socket().await;
    socket.send(frame(BINARY, "2probe")).await;
    socket.closed().await;
    polls_on(kim).await;
    // After the probe only its end may come.
    for text in ["40/chats,", "4hello", "3", "1"] {
        let mut kim = kim_polls(&app).await;
        let mut socket = kim.polling().probed().await;
        say_to(&mut socket, text).await;
        socket.closed().await;
        polls_on(kim).await;
    }
}

async fn a_probe_that_never_comes_leaves_polling_as_it_was(app: TestApp) {
    let mut kim = kim_polls(&app).await;
    let mut socket = kim.polling().socket().await;
    socket.closed().await;
    polls_on(kim).await;
}

async fn an_upgrade_that_is_not_finished_leaves_polling_as_it_was(app: TestApp) {
    let mut kim = kim_polls(&app).await;
    let chat = kim.chat();
    let mut ada = app.connect(&admin("ada")).await;
    let mut socket = kim.polling().probed().await;
    ada.say(chat, "between").await;
    socket.closed().await;
    kim.hears("between").await;
    polls_on(kim).await;
}

async fn a_websocket_that_ends_in_its_upgrade_leaves_polling_as_it_was(app: TestApp) {
    for probed in [false, true] {
        let mut kim = kim_polls(&app).await;
        let polling = kim.polling();
        let mut socket = if probed { polling.probed().await } else { polling.socket().await };
        socket.hang_up().await;
        drop(socket);
        polls_on(kim).await;
    }
}

async fn the_end_of_the_websocket_is_the_end_of_the_session(app: TestApp) {
    let mut kim = kim_polls(&app).await;
    kim.upgrade().await;
    let target = format!("/socket.io/?EIO=4&transport=polling&sid={}", kim.sid());
    kim.socket().hang_up().await;
    crate::support::eventually("the session is unknown", async || {
        let answer = Line::to(kim.address()).await.ask("GET", &target, "", None).await;
        (answer.status == 400 && answer.json()["code"] == 1).then_some(())
    })
    .await;
}

async fn a_session_that_ends_takes_its_upgrade_with_it(app: TestApp) {
    let mut kim = kim_polls(&app).await;
    let mut socket = kim.polling().probed().await;
    kim.polling().send("1").await;
    socket.closed().await;
    kim.polling().is_gone().await;
}

async fn many_upgrade_at_once(app: TestApp) {
    const CLIENTS: usize = 40;
    let mut kim = app.connect(&customer("kim")).await;
    let chat = kim.chat();
    let clients = all((0..CLIENTS).map(|_| async {
        let mut client = kim_polls(&app).await;
        client.polling().begin().await;
        client.upgrade().await;
        client
    }))
    .await;
    kim.say(chat, "all of you").await;
    for mut client in clients {
        client.hears("all of you").await;
    }
}
