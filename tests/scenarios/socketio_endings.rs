//! Ends of sessions and connections: each as an unmodified client has to see it, so that it comes
//! back by itself where it should, and stays away where it should not.

use crate::support::socketio::packet::DISCONNECT;
use crate::support::tokens::now;
use crate::support::{
    IoClient, Person, TestApp, Via, admin, all, customer, eventually, json, postgres_scenarios,
    scenarios,
};

scenarios! {
    who_answers_pings_stays ["limits.heartbeat_ms" = 100, "socketio.ping_timeout_ms" = 20_000],
    who_does_not_answer_a_ping_is_put_out
        ["limits.heartbeat_ms" = 800, "socketio.ping_timeout_ms" = 400],
    who_never_polls_is_put_out ["limits.heartbeat_ms" = 800, "socketio.ping_timeout_ms" = 400],
    who_is_in_no_namespace_is_pinged_too
        ["limits.heartbeat_ms" = 800, "socketio.ping_timeout_ms" = 400, "limits.auth_seconds" = 60],
    who_closes_is_gone_at_once,
    a_user_who_is_blocked_is_told_disconnected_and_closed,
    a_session_ends_with_its_token ["limits.leeway_seconds" = 0],
    a_session_ends_when_its_role_becomes_less,
    the_oldest_session_is_disconnected_and_its_connection_stays ["limits.sessions_per_user" = 2]
        on one node "sessions of a user are counted a node",
    what_was_on_its_way_to_a_session_that_is_replaced_ends_nothing_else
        ["limits.sessions_per_user" = 1] on one node "sessions of a user are counted a node",
    a_server_that_stops_says_goodbye_and_closes
        on one node "its server is a process of its own",
    a_server_that_is_killed_is_left_and_found_again
        on one node "its server is a process of its own",
    every_end_is_counted_by_its_reason on one node "it counts the ends of a node",
}

postgres_scenarios! {
    a_connect_without_a_database_closes_so_that_its_client_comes_back
        on one node "it is behind a proxy",
}

/// A client of `who` over each transport.
async fn of_each(app: &TestApp, nsp: &str, who: &Person) -> Vec<IoClient> {
    all(Via::ALL.map(|via| app.io(via, nsp, who))).await
}

async fn who_answers_pings_stays(app: TestApp) {
    for mut kim in of_each(&app, "/chats", &customer("kim")).await {
        while kim.pings < 5 {
            assert!(kim.read().await, "it has ended, although it answered");
        }
        kim.ask("ping", json!({})).await;
    }
}

async fn who_does_not_answer_a_ping_is_put_out(app: TestApp) {
    let clients = of_each(&app, "/chats", &customer("kim")).await;
    all(clients.into_iter().map(async |mut kim| {
        kim.answers_pings = false;
        kim.closed().await;
        assert_eq!(kim.pings, 1, "one ping waits for its answer");
    }))
    .await;
    app.has_sessions(0).await;
    assert_eq!(ended(&app, "Silent").await, 3.0);
}

async fn who_never_polls_is_put_out(app: TestApp) {
    let mut kim = app.io(Via::Polling, "/chats", &customer("kim")).await;
    app.has_sessions(0).await;
    kim.polling().post("3").await.is_refusal(400, 1);
    kim.polling().get().await.is_refusal(400, 1);
}

async fn who_is_in_no_namespace_is_pinged_too(app: TestApp) {
    for via in [Via::Polling, Via::WebSocket] {
        let mut silent = app.io_open(via).await;
        silent.answers_pings = false;
        silent.closed().await;
        assert_eq!(silent.pings, 1, "{via:?}");
    }
}

async fn who_closes_is_gone_at_once(app: TestApp) {
    for via in Via::ALL {
        let mut kim = app.io(via, "/chats", &customer("kim")).await;
        kim.welcomed("/main", json!({"token": customer("kim").token()})).await;
        app.has_sessions(2).await;
        kim.send("1").await;
        kim.closed().await;
        app.has_sessions(0).await;
    }
    // A connection that just ends.
    for via in [Via::WebSocket, Via::Upgrade] {
        let kim = app.io(via, "/chats", &customer("kim")).await;
        drop(kim);
        app.has_sessions(0).await;
    }
}

/// The number of sessions that ended for this reason.
async fn ended(app: &TestApp, reason: &str) -> f64 {
    app.metric(&format!("frontdesk_sessions_ended_total{{reason=\"{reason}\"}}")).await
}

async fn a_user_who_is_blocked_is_told_disconnected_and_closed(app: TestApp) {
    let (kim, lee) = (customer("kim"), customer("lee"));
    let mut bystander = app.io(Via::Polling, "/chats", &lee).await;
    let clients = of_each(&app, "/chats", &kim).await;
    let path = format!("/users/{}/block", clients[0].user_id());
    app.post(&admin("ada"), &path, json!({})).await.is(200);
    for mut client in clients {
        let goodbye = client.next().await;
        let said = goodbye.event("goodbye").unwrap_or_else(|| panic!("{goodbye:?}"));
        assert_eq!(said["reason"], "blocked");
        // So that its client does not come back by itself.
        let last = client.next().await;
        assert_eq!((last.kind, last.nsp.as_str()), (DISCONNECT, "/chats"));
        client.closed().await;
    }
    bystander.ask("ping", json!({})).await;
    let mut again = app.io_open(Via::WebSocket).await;
    again.turned_away("/chats", json!({"token": kim.token()}), "forbidden").await;
}

/// Reads `goodbye`, and the end of the transport without a DISCONNECT: the client comes back.
async fn is_told_and_closed(client: &mut IoClient, reason: &str) {
    let goodbye = client.expect("goodbye").await;
    assert_eq!(goodbye["reason"], reason);
    assert!(goodbye["retryAfterMs"].is_u64(), "{goodbye}");
    client.closed().await;
    client.was_not_disconnected();
}

async fn a_session_ends_with_its_token(app: TestApp) {
    let token = customer("kim").token_with(&json!({"exp": now() + 4}));
    let clients = Via::ALL.map(async |via| {
        let mut kim = app.io_open(via).await;
        kim.welcomed("/chats", json!({"token": token})).await;
        kim
    });
    for mut kim in all(clients).await {
        is_told_and_closed(&mut kim, "token_expired").await;
        // And with the same token again it is told why not.
        let mut kim = app.io_open(Via::Polling).await;
        kim.turned_away("/chats", json!({"token": token}), "token_expired").await;
    }
}

async fn a_session_ends_when_its_role_becomes_less(app: TestApp) {
    let ada = admin("ada");
    let clients = of_each(&app, "/", &ada).await;
    let demoted = Person { role: "customer", ..ada };
    let mut stays = app.io(Via::WebSocket, "/", &demoted).await;
    for mut client in clients {
        is_told_and_closed(&mut client, "role_changed").await;
    }
    stays.ask("ping", json!({})).await;
}

async fn the_oldest_session_is_disconnected_and_its_connection_stays(app: TestApp) {
    for (n, via) in Via::ALL.into_iter().enumerate() {
        let kim = customer(&format!("kim-{n}"));
        // One connection with a session of two users.
        let mut first = app.io(via, "/chats", &kim).await;
        first.welcomed("/main", json!({"token": customer("lee").token()})).await;
        let mut second = app.io(via, "/chats", &kim).await;
        let mut third = app.io(via, "/", &kim).await;
        let goodbye = first.at("/chats").expect("goodbye").await;
        assert_eq!(goodbye, json!({"reason": "replaced", "retryAfterMs": 0}));
        first.disconnected().await;
        first.at("/main").ask("ping", json!({})).await;
        first.at("/main").has_heard_nothing().await;
        second.has_not_heard("goodbye").await;
        third.has_not_heard("goodbye").await;
        // Its user may come in again, which makes room in turn.
        first.welcomed("/chats", json!({"token": kim.token()})).await;
        assert_eq!(second.expect("goodbye").await["reason"], "replaced");
        second.disconnected().await;
    }
    assert_eq!(ended(&app, "Replaced").await, 6.0);
}

async fn what_was_on_its_way_to_a_session_that_is_replaced_ends_nothing_else(app: TestApp) {
    for via in Via::ALL {
        let mut kim = app.io(via, "/chats", &customer("kim")).await;
        kim.welcomed("/main", json!({"token": customer("lee").token()})).await;
        let _newer = app.io(Via::WebSocket, "/", &customer("kim")).await;
        // It has not read its end yet.
        let late = kim.at("/chats").packet(Some(7), "ping", &json!({}));
        kim.send(&late).await;
        kim.at("/main").ask("ping", json!({})).await;
        kim.at("/chats").disconnected().await;
    }
}

async fn a_server_that_stops_says_goodbye_and_closes(app: TestApp) {
    let mut process = app.another_process().await;
    let kim = customer("kim");
    let mut clients = all(Via::ALL.map(|via| process.io(via, "/chats", &kim))).await;
    clients[0].polling().begin().await;
    // One that nothing is said to, and one that does not poll just now.
    let mut stranger = process.io_open(Via::Polling).await;
    stranger.polling().begin().await;
    let _idle = process.io(Via::Polling, "/chats", &kim).await;
    process.signal("TERM");
    for mut client in clients {
        let goodbye = client.expect("goodbye").await;
        assert_eq!(goodbye["reason"], "shutdown");
        assert!(goodbye["retryAfterMs"].as_u64().is_some_and(|wait| wait > 0), "{goodbye}");
        while client.read().await {}
        client.was_not_disconnected();
        assert_eq!(client.is_told_to_close, client.close_code.is_none(), "a GET is told by `1`");
    }
    while stranger.read().await {}
    assert!(stranger.is_told_to_close, "a GET is told by `1`");
    assert_eq!(process.ended().await, 0);
}

async fn a_server_that_is_killed_is_left_and_found_again(app: TestApp) {
    let mut process = app.another_process().await;
    let kim = customer("kim");
    let mut clients = all(Via::ALL.map(|via| process.io(via, "/chats", &kim))).await;
    let chat = clients[0].chat();
    clients[0].say(chat, "before").await;
    let old = clients[0].sid().to_owned();
    process.kill();
    for client in &mut clients[1..] {
        while client.read().await {}
    }
    process.restart().await;
    // The session's node has died, and the new one does not know it.
    let query = format!("EIO=4&transport=polling&sid={old}");
    process.io_ask("GET", &query, "").await.is_refusal(400, 1);
    for via in Via::ALL {
        let mut client = process.io_open(via).await;
        let resume = json!([{"chatId": chat, "afterSeq": 0}]);
        client.welcomed("/chats", json!({"token": kim.token(), "resume": resume})).await;
        client.hears("before").await;
    }
}

async fn every_end_is_counted_by_its_reason(app: TestApp) {
    let kim = customer("kim");
    // By its own words, by those of one namespace, and without any.
    app.io(Via::Polling, "/", &kim).await.send("1").await;
    let mut leaves = app.io(Via::WebSocket, "/", &kim).await;
    leaves.disconnect().await;
    // Broken off before that is read, it would be gone.
    app.has_sessions(0).await;
    drop(leaves);
    drop(app.io(Via::WebSocket, "/", &kim).await);
    let mut dropped = app.io(Via::Polling, "/", &kim).await;
    dropped.polling().begin().await;
    // The GET has been read, before these are.
    for _ in 0..10 {
        dropped.polling().send("3").await;
    }
    dropped.polling().abort();
    app.has_sessions(0).await;
    let all = eventually("four have ended", || async {
        let counts = (ended(&app, "Closed").await, ended(&app, "Gone").await);
        (counts.0 + counts.1 == 4.0).then_some(counts)
    })
    .await;
    assert_eq!(all, (2.0, 2.0), "closed by the client, and broken off");
    let mut broken = app.io(Via::WebSocket, "/", &kim).await;
    broken.send("4abc").await;
    broken.closed().await;
    assert_eq!(ended(&app, "BrokenFrame").await, 1.0);
}

async fn a_connect_without_a_database_closes_so_that_its_client_comes_back(app: TestApp) {
    let app = app.behind_a_proxy().await;
    let mut before = app.io(Via::Polling, "/chats", &customer("kim")).await;
    let opened = all(Via::ALL.map(|via| app.io_open(via))).await;
    app.proxy().down();
    for mut client in opened {
        // A CONNECT_ERROR would strand it for good.
        client.send(&format!("40/chats,{}", json!({"token": customer("lee").token()}))).await;
        client.closed().await;
        client.has_seen_nothing();
    }
    // Who is in stays, and is told what cannot be done.
    before.refused("send_message", json!({"message": "now"}), "unavailable").await;
    app.proxy().up();
    let lee = eventually("lee comes in", || async {
        let mut client = app.io_open(Via::WebSocket).await;
        client.send(&format!("40/chats,{}", json!({"token": customer("lee").token()}))).await;
        client.read().await.then_some(client)
    });
    let mut lee = lee.await;
    let answer = lee.connected("/chats").await.expect("it is let in");
    lee.read_welcome("/chats", &answer).await;
    lee.at("/chats").ask("ping", json!({})).await;
}
