//! Services' pushes to sessions on all nodes, and presence events.

use crate::support::raw::{CLOSE, TEXT};
use crate::support::{
    RawClient, TestApp, TestBroker, TestClient, Value, admin, assert_run, bus_node_scenarios,
    bus_scenarios, customer, eventually, json,
};

bus_node_scenarios! {
    a_user_hears_a_push_on_whichever_nodes_they_are,
    a_session_hears_a_push_on_whichever_node_it_is,
    a_user_is_online_on_whichever_node_they_are,
    a_node_that_has_stopped_is_asked_no_more,
}

bus_scenarios! {
    who_does_not_read_pushes_is_put_out_and_delays_nobody ["limits.session_queue_events" = 64],
    a_large_push_counts_by_its_bytes
        ["limits.session_queue_bytes" = 262_144, "limits.session_queue_events" = 100_000],
    services_hear_of_the_first_session_and_of_the_last on one node "each node tells of its own",
    a_welcome_comes_before_any_push on one node "pushes by several nodes have no order",
    who_is_greeted_on_arrival_hears_it,
}

/// Asks the server, and is granted it.
async fn ask(broker: &TestBroker, cmd: &str, data: Value) -> Value {
    let answer = broker.ask(&broker.own("frontdesk"), json!({"cmd": cmd}), data.clone()).await;
    assert_eq!(answer["isDisposed"], true, "{cmd} {data}: {answer}");
    assert!(answer["err"].is_null(), "{cmd} {data}: {answer}");
    answer["response"].clone()
}

/// Tells the server to push, and does not wait for it.
async fn push(broker: &TestBroker, data: Value) {
    broker.emit(&broker.own("frontdesk"), json!({"cmd": "push"}), data).await;
}

/// Waits until the server reads its queue.
async fn served(app: &TestApp) -> TestBroker {
    let broker = app.broker().await;
    let queue = broker.own("frontdesk");
    eventually("the server reads its queue", || async {
        broker.depth(&queue).await.filter(|(_, consumers)| *consumers > 0)
    })
    .await;
    broker
}

/// Waits until all nodes know of all these users: each of them answers some of the questions.
async fn met(broker: &TestBroker, sessions: &[&TestClient]) {
    eventually("the nodes have met", || async {
        for _ in 0..8 {
            for session in sessions {
                let asked = ask(broker, "is_online", json!({"userId": session.user_id()})).await;
                if asked["online"] != true {
                    return None;
                }
            }
        }
        Some(())
    })
    .await;
}

/// Reads so many pushes: each comes once, in any order, since the nodes that serve them are two.
async fn hears_each_once(session: &mut TestClient, event: &str, count: i64) {
    let mut heard = Vec::new();
    for _ in 0..count {
        heard.push(session.expect(event).await["n"].as_i64().expect("a number"));
    }
    heard.sort_unstable();
    assert_eq!(heard, (0..count).collect::<Vec<_>>());
    session.has_not_heard(event).await;
}

async fn a_user_hears_a_push_on_whichever_nodes_they_are(app: TestApp) {
    let broker = served(&app).await;
    let other = app.another_node().await;
    let mut phone = app.connect(&customer("kim")).await;
    let mut laptop = other.connect(&customer("kim")).await;
    let mut lee = other.connect(&customer("lee")).await;
    let mut ada = app.connect(&admin("ada")).await;
    met(&broker, &[&ada, &lee]).await;
    for n in 0..10 {
        let data = json!({"event": "paid", "data": {"n": n}, "userId": phone.user_id()});
        assert_eq!(ask(&broker, "push", data).await, json!({}));
    }
    hears_each_once(&mut phone, "paid", 10).await;
    hears_each_once(&mut laptop, "paid", 10).await;
    ask(&broker, "push", json!({"event": "news", "data": "to all", "all": true})).await;
    for session in [&mut phone, &mut laptop, &mut lee, &mut ada] {
        assert_eq!(session.expect("news").await, "to all");
        session.has_not_heard("news").await;
        session.has_not_heard("paid").await;
    }
}

async fn a_session_hears_a_push_on_whichever_node_it_is(app: TestApp) {
    let broker = served(&app).await;
    let other = app.another_node().await;
    let mut here = app.connect(&customer("kim")).await;
    let mut there = other.connect(&customer("kim")).await;
    let lee = other.connect(&customer("lee")).await;
    met(&broker, &[&here, &lee]).await;
    // Both nodes serve these, one after the other.
    for n in 0..10 {
        for session in [&here, &there] {
            let id = session.session_id();
            let data = json!({"event": "you", "data": {"n": n}, "sessionId": id});
            ask(&broker, "push", data).await;
        }
    }
    hears_each_once(&mut here, "you", 10).await;
    hears_each_once(&mut there, "you", 10).await;
}

async fn a_user_is_online_on_whichever_node_they_are(app: TestApp) {
    let broker = served(&app).await;
    let other = app.another_node().await;
    let here = app.connect(&customer("kim")).await;
    let there = other.connect(&customer("lee")).await;
    let lee = there.user_id();
    met(&broker, &[&here, &there]).await;
    there.close().await;
    eventually("lee is gone for both nodes", || async {
        for _ in 0..4 {
            if ask(&broker, "is_online", json!({"userId": lee})).await["online"] != false {
                return None;
            }
        }
        Some(())
    })
    .await;
    met(&broker, &[&here]).await;
}

async fn a_node_that_has_stopped_is_asked_no_more(app: TestApp) {
    let broker = served(&app).await;
    let mut other = app.another_node().await;
    let kim = app.connect(&customer("kim")).await;
    let lee = other.connect(&customer("lee")).await;
    met(&broker, &[&kim, &lee]).await;
    let user = lee.user_id();
    other.stop();
    assert_eq!(ask(&broker, "is_online", json!({"userId": user})).await["online"], false);
    assert_eq!(ask(&broker, "is_online", json!({"userId": kim.user_id()})).await["online"], true);
    // A session that went with its node is nobody's, and keeps nobody waiting.
    let id = lee.session_id();
    ask(&broker, "push", json!({"event": "late", "sessionId": id})).await;
}

/// So many pushes of the longest kind.
const PUSHES: i64 = 2000;

async fn who_does_not_read_pushes_is_put_out_and_delays_nobody(app: TestApp) {
    let broker = served(&app).await;
    let mut lee = app.connect(&customer("lee")).await;
    let mut slow = RawClient::slow(&app, &customer("kim").token()).await;
    let text = "x".repeat(8000);
    for batch in 0..PUSHES / 20 {
        for n in 1..=20 {
            let data =
                json!({"event": "n", "data": {"n": batch * 20 + n, "text": text}, "all": true});
            push(&broker, data).await;
        }
        // The others have it, as fast as they read.
        let mut seen = Vec::new();
        for _ in 0..20 {
            seen.push(lee.expect("n").await["n"].as_i64().expect("a number"));
        }
        seen.sort_unstable();
        assert_run(&seen, batch * 20 + 1, (batch + 1) * 20);
        lee.forget();
    }
    let (pushes, code) = all_of(&mut slow).await;
    assert!(pushes < PUSHES, "a reader that never read was sent everything");
    assert!([4409, 1006].contains(&code), "closed with {code}");
    // It comes back, and is spoken to again.
    let mut again = app.connect(&customer("kim")).await;
    ask(&broker, "push", json!({"event": "again", "userId": again.user_id()})).await;
    again.expect("again").await;
    lee.say(lee.chat(), "not touched").await;
}

/// Number of pushes that a session got before it was closed, and the close code.
async fn all_of(slow: &mut RawClient) -> (i64, u16) {
    let (mut pushes, mut code) = (0, 1006);
    while let Some((opcode, payload)) = slow.next().await {
        match opcode {
            TEXT => {
                let envelope: Value = serde_json::from_slice(&payload).expect("JSON");
                pushes += i64::from(envelope["event"] == "n");
            }
            CLOSE => code = payload.first_chunk().map_or(1005, |code| u16::from_be_bytes(*code)),
            _ => {}
        }
    }
    (pushes, code)
}

async fn a_large_push_counts_by_its_bytes(app: TestApp) {
    let broker = served(&app).await;
    // Its budget holds four: the push that it has just read may still count when the next comes.
    let mut lee = app.connect(&customer("lee")).await;
    let mut slow = RawClient::slow(&app, &customer("kim").token()).await;
    let text = "x".repeat(60_000);
    for n in 1..=500 {
        ask(&broker, "push", json!({"event": "n", "data": {"n": n, "text": text}, "all": true}))
            .await;
        assert_eq!(lee.expect("n").await["n"], n);
        lee.forget();
    }
    let (pushes, code) = all_of(&mut slow).await;
    assert!(pushes < 500, "a reader that never read was sent everything");
    assert!([4409, 1006].contains(&code), "closed with {code}");
}

async fn services_hear_of_the_first_session_and_of_the_last(app: TestApp) {
    let broker = served(&app).await;
    let mut presence = broker.subscribe("presence", "user.*").await;
    let phone = app.connect(&customer("kim")).await;
    let user = phone.user_id();
    let came = presence.next_of("user.connected").await;
    assert_eq!(came.payload(), &json!({"userId": user}));
    let laptop = app.connect(&customer("kim")).await;
    phone.close().await;
    // One more comes and goes meanwhile: nothing was said of kim in between.
    let lee = app.connect(&customer("lee")).await;
    assert_eq!(presence.next_of("user.connected").await.payload()["userId"], lee.user_id());
    laptop.close().await;
    assert_eq!(presence.next_of("user.disconnected").await.payload()["userId"], user);
}

async fn a_welcome_comes_before_any_push(app: TestApp) {
    let broker = served(&app).await;
    let first = app.connect(&customer("kim")).await;
    let user = first.user_id();
    let stop = tokio::sync::Notify::new();
    let pushing = async {
        let mut n = 0;
        loop {
            n += 1;
            let pushed = ask(&broker, "push", json!({"event": "n", "data": n, "userId": user}));
            tokio::select! {
                _ = pushed => {}
                () = stop.notified() => break,
            }
        }
    };
    let connecting = async {
        for _ in 0..20 {
            // `connect` asserts that `welcome` is the first frame.
            let mut session = app.connect(&customer("kim")).await;
            let from = session.expect("n").await.as_i64().expect("a number");
            assert_eq!(session.expect("n").await, from + 1, "none is left out");
            session.close().await;
        }
        stop.notify_one();
    };
    tokio::join!(pushing, connecting);
}

async fn who_is_greeted_on_arrival_hears_it(app: TestApp) {
    let broker = served(&app).await;
    let mut presence = broker.subscribe("presence", "user.connected").await;
    for n in 0..20 {
        let person = customer(&format!("kim{n}"));
        let greeting = async {
            // The service is told before the session is welcomed.
            let user = presence.next().await.payload()["userId"].clone();
            push(&broker, json!({"event": "hello", "data": n, "userId": user})).await;
        };
        let (mut kim, ()) = tokio::join!(app.connect(&person), greeting);
        assert_eq!(kim.expect("hello").await, n);
    }
}
