//! Socket.IO's connection state recovery: exact, or none at all.

use serde_json::Value;

use crate::support::{
    IoClient, Person, TestApp, TestClient, Via, admin, customer, json, scenarios,
};

scenarios! {
    a_client_goes_on_where_its_connection_broke ["socketio.recovery_ms" = 600_000]
        on one node "a session is recovered on its node",
    what_was_written_and_lost_is_written_again ["socketio.recovery_ms" = 600_000]
        on one node "a session is recovered on its node",
    a_client_goes_on_after_each_of_many_breaks ["socketio.recovery_ms" = 600_000]
        on one node "a session is recovered on its node",
    a_client_goes_on_that_has_closed_the_connection ["socketio.recovery_ms" = 600_000]
        on one node "a session is recovered on its node",
    a_client_that_has_only_been_let_in_is_recovered ["socketio.recovery_ms" = 600_000]
        on one node "a session is recovered on its node",
    an_agent_goes_on_in_the_chats_that_it_has_entered ["socketio.recovery_ms" = 600_000]
        on one node "a session is recovered on its node",
    a_session_whose_token_has_ended_goes_on_with_another
        ["socketio.recovery_ms" = 600_000, "limits.leeway_seconds" = 0]
        on one node "a session is recovered on its node",
    a_token_is_looked_at_again ["socketio.recovery_ms" = 600_000]
        on one node "a session is recovered on its node",
    a_session_is_its_users_alone ["socketio.recovery_ms" = 600_000]
        on one node "a session is recovered on its node",
    more_than_is_replayed_is_not_recovered
        ["socketio.recovery_ms" = 600_000, "limits.replay" = 5]
        on one node "a session is recovered on its node",
    an_agent_who_watches_is_not_recovered ["socketio.recovery_ms" = 600_000]
        on one node "a session is recovered on its node",
    positions_that_a_client_names_come_first ["socketio.recovery_ms" = 600_000]
        on one node "a session is recovered on its node",
    a_session_that_was_left_is_not_recovered ["socketio.recovery_ms" = 600_000]
        on one node "a session is recovered on its node",
    what_is_no_sessions_secret_recovers_none ["socketio.recovery_ms" = 600_000],
    a_session_is_forgotten_in_time ["socketio.recovery_ms" = 1]
        on one node "a session is recovered on its node",
    the_oldest_session_makes_room
        ["socketio.recovery_ms" = 600_000, "socketio.recovery_sessions" = 1]
        on one node "a session is recovered on its node",
    by_itself_the_server_recovers_nothing,
}

/// The `auth` of a client that comes back.
fn auth(who: &Person, pid: &str, offset: &str) -> Value {
    json!({"token": who.token(), "pid": pid, "offset": offset})
}

/// A new connection of a client, which was as far as `pid` and `offset` say.
async fn back(app: &TestApp, via: Via, who: &Person, pid: &str, offset: &str) -> IoClient {
    let mut client = app.io_open(via).await;
    client.welcomed("/chats", auth(who, pid, offset)).await;
    client
}

/// Breaks a client's connection, without a word. It comes back.
async fn broken(app: &TestApp, via: Via, who: &Person, client: IoClient) -> IoClient {
    let (pid, offset) = (client.pid().to_owned(), client.offset().to_owned());
    drop(client);
    back(app, via, who, &pid, &offset).await
}

async fn agent_in(app: &TestApp, chat: i64) -> TestClient {
    let mut ada = app.connect(&admin("ada")).await;
    ada.enter(chat).await;
    ada
}

async fn recoveries(app: &TestApp, outcome: &str) -> f64 {
    app.counted(&format!("frontdesk_socketio_recoveries_total{{outcome=\"{outcome}\"}}")).await
}

async fn a_client_goes_on_where_its_connection_broke(app: TestApp) {
    for via in Via::ALL {
        let who = customer(&format!("kim{via:?}"));
        let mut kim = app.io(via, "/chats", &who).await;
        let chat = kim.chat();
        let mut ada = agent_in(&app, chat).await;
        ada.say(chat, "before").await;
        kim.hears("before").await;
        kim.say(chat, "own").await;
        let (pid, offset) = (kim.pid().to_owned(), kim.offset().to_owned());
        // A polling client's end is not noticed until it is back.
        drop(kim);
        ada.say(chat, "meanwhile").await;
        let mut kim = back(&app, via, &who, &pid, &offset).await;
        assert_eq!(kim.pid(), pid, "it is recovered");
        ada.say(chat, "after").await;
        assert_eq!(kim.run_to(chat, 4).await, [3, 4], "{via:?}");
        kim.at("/chats").ask("ping", json!({})).await;
        assert_eq!(kim.run(chat), [3, 4]);
    }
    assert_eq!(recoveries(&app, "recovered").await, 3.0);
}

async fn what_was_written_and_lost_is_written_again(app: TestApp) {
    for via in Via::ALL {
        let who = customer(&format!("kim{via:?}"));
        let mut kim = app.io(via, "/chats", &who).await;
        let chat = kim.chat();
        let mut ada = agent_in(&app, chat).await;
        ada.say(chat, "read").await;
        kim.hears("read").await;
        // All from here on is taken for lost.
        let (pid, offset) = (kim.pid().to_owned(), kim.offset().to_owned());
        ada.say(chat, "lost").await;
        kim.hears("lost").await;
        kim.say(chat, "own").await;
        kim.emit("send_message", json!({"message": "own, and without an ack"})).await;
        kim.ask("ping", json!({})).await;
        ada.say(chat, "lost too").await;
        kim.hears("lost too").await;
        drop(kim);
        let mut kim = back(&app, via, &who, &pid, &offset).await;
        assert_eq!(kim.pid(), pid, "it is recovered");
        ada.say(chat, "after").await;
        // Between them are its own: an ack has no offset, and the client has had it.
        assert_eq!(kim.run_to(chat, 6).await, [2, 5, 6], "{via:?}");
    }
}

async fn a_client_goes_on_after_each_of_many_breaks(app: TestApp) {
    for via in Via::ALL {
        let who = customer(&format!("kim{via:?}"));
        let mut kim = app.io(via, "/chats", &who).await;
        let (chat, pid) = (kim.chat(), kim.pid().to_owned());
        let mut ada = agent_in(&app, chat).await;
        for round in 1..=6 {
            // Every other time it has read nothing but the welcome.
            if round % 2 == 0 {
                ada.say(chat, "said").await;
                let seqs = if round == 2 { vec![1, 2] } else { vec![round - 1, round] };
                assert_eq!(kim.run_to(chat, round).await, seqs, "{via:?}");
            } else {
                ada.say(chat, "missed").await;
            }
            kim = broken(&app, via, &who, kim).await;
            assert_eq!(kim.pid(), pid, "round {round}");
        }
    }
}

async fn a_client_goes_on_that_has_closed_the_connection(app: TestApp) {
    for via in Via::ALL {
        let who = customer(&format!("kim{via:?}"));
        let mut kim = app.io(via, "/chats", &who).await;
        let (chat, pid, offset) = (kim.chat(), kim.pid().to_owned(), kim.offset().to_owned());
        // As a client does whose polling fails.
        kim.send("1").await;
        kim.closed().await;
        let mut ada = agent_in(&app, chat).await;
        ada.say(chat, "meanwhile").await;
        let mut kim = back(&app, via, &who, &pid, &offset).await;
        assert_eq!(kim.pid(), pid);
        assert_eq!(kim.run_to(chat, 1).await, [1], "{via:?}");
    }
}

async fn a_client_that_has_only_been_let_in_is_recovered(app: TestApp) {
    let who = customer("kim");
    let kim = app.io(Via::WebSocket, "/chats", &who).await;
    let (chat, pid) = (kim.chat(), kim.pid().to_owned());
    drop(kim);
    let mut ada = agent_in(&app, chat).await;
    ada.say(chat, "meanwhile").await;
    // The answer to CONNECT was all that it had got: no event, no offset.
    let mut kim = app.io_open(Via::WebSocket).await;
    kim.welcomed("/chats", json!({"token": who.token(), "pid": pid})).await;
    assert_eq!(kim.pid(), pid);
    assert_eq!(kim.run_to(chat, 1).await, [1]);
}

async fn an_agent_goes_on_in_the_chats_that_it_has_entered(app: TestApp) {
    let mut chats = Vec::new();
    for name in ["kim", "lee", "max"] {
        let mut customer = app.connect(&customer(name)).await;
        let chat = customer.chat();
        customer.say(chat, "old").await;
        chats.push((customer, chat));
    }
    let who = admin("eve");
    let mut eve = app.io(Via::WebSocket, "/chats", &who).await;
    let entered = [chats[0].1, chats[2].1];
    eve.ask("enter_chat", json!({"chatIds": entered})).await;
    let pid = eve.pid().to_owned();
    let mut eve = broken(&app, Via::WebSocket, &who, eve).await;
    assert_eq!(eve.pid(), pid);
    for (customer, chat) in &mut chats {
        customer.say(*chat, "new").await;
    }
    for chat in entered {
        assert_eq!(eve.run_to(chat, 2).await, [2]);
    }
    eve.ask("ping", json!({})).await;
    assert_eq!(eve.run(chats[1].1), [0; 0]);
}

async fn a_session_whose_token_has_ended_goes_on_with_another(app: TestApp) {
    let who = customer("kim");
    let end = crate::support::tokens::now() + 1;
    let mut kim = app.io_open(Via::WebSocket).await;
    kim.welcomed("/chats", json!({"token": who.token_with(&json!({"exp": end}))})).await;
    let (chat, pid) = (kim.chat(), kim.pid().to_owned());
    kim.expect("goodbye").await;
    kim.closed().await;
    let offset = kim.offset().to_owned();
    let mut ada = agent_in(&app, chat).await;
    ada.say(chat, "meanwhile").await;
    let mut kim = back(&app, Via::WebSocket, &who, &pid, &offset).await;
    assert_eq!(kim.pid(), pid);
    assert_eq!(kim.run_to(chat, 1).await, [1]);
}

async fn a_token_is_looked_at_again(app: TestApp) {
    let kim = app.io(Via::WebSocket, "/chats", &customer("kim")).await;
    let (pid, offset) = (kim.pid().to_owned(), kim.offset().to_owned());
    drop(kim);
    let expired = customer("kim").token_with(&json!({"exp": 1}));
    let mut kim = app.io_open(Via::WebSocket).await;
    let old = json!({"token": expired, "pid": pid, "offset": offset});
    kim.turned_away("/chats", old.clone(), "token_expired").await;
    kim.turned_away("/chats", json!({"pid": pid, "offset": offset}), "unauthenticated").await;
    // Nothing was spent on it: with a fresh token it goes on.
    kim.welcomed("/chats", auth(&customer("kim"), &pid, &offset)).await;
    assert_eq!(kim.pid(), pid);
    // Nor does a bad token, or another user's, end a session that is connected.
    let mut other = app.io_open(Via::WebSocket).await;
    other.turned_away("/chats", old, "token_expired").await;
    other.welcomed("/chats", auth(&customer("lee"), &pid, &offset)).await;
    assert_ne!(other.pid(), pid);
    kim.ask("ping", json!({})).await;
}

/// Says something that a client that begins anew must hear, and nothing from before.
async fn has_begun_anew(ada: &mut TestClient, client: &mut IoClient, pid: &str, chat: i64) {
    assert_ne!(client.pid(), pid, "it is not recovered");
    let said = ada.say(chat, "after").await;
    let seq = said["seq"].as_i64().expect("a message has a seq");
    assert_eq!(client.run_to(chat, seq).await, [seq]);
}

async fn a_session_is_its_users_alone(app: TestApp) {
    let mut kim = app.io(Via::WebSocket, "/chats", &customer("kim")).await;
    let chat = kim.chat();
    let mut ada = agent_in(&app, chat).await;
    ada.say(chat, "private").await;
    kim.hears("private").await;
    let (pid, offset) = (kim.pid().to_owned(), kim.offset().to_owned());
    drop(kim);
    ada.say(chat, "private").await;
    let lee = customer("lee");
    let mut lee = back(&app, Via::WebSocket, &lee, &pid, &offset).await;
    assert_ne!(lee.pid(), pid);
    assert_ne!(lee.chat(), chat);
    lee.has_heard_nothing().await;
    // An agent may read the chat, and is not its customer.
    let kim = app.io(Via::WebSocket, "/chats", &customer("kim")).await;
    let (pid, offset) = (kim.pid().to_owned(), kim.offset().to_owned());
    drop(kim);
    ada.say(chat, "private").await;
    let mut eve = back(&app, Via::WebSocket, &admin("eve"), &pid, &offset).await;
    assert_ne!(eve.pid(), pid);
    eve.has_heard_nothing().await;
    assert_eq!(recoveries(&app, "refused").await, 2.0);
    assert_eq!(recoveries(&app, "recovered").await, 0.0);
}

async fn more_than_is_replayed_is_not_recovered(app: TestApp) {
    let who = customer("kim");
    let kim = app.io(Via::WebSocket, "/chats", &who).await;
    let (chat, pid, offset) = (kim.chat(), kim.pid().to_owned(), kim.offset().to_owned());
    drop(kim);
    let mut ada = agent_in(&app, chat).await;
    for _ in 0..6 {
        ada.say(chat, "meanwhile").await;
    }
    // It is live from the end on: a replay in parts is for those who ask for it.
    let mut kim = back(&app, Via::WebSocket, &who, &pid, &offset).await;
    has_begun_anew(&mut ada, &mut kim, &pid, chat).await;
    app.has_sessions(2).await;
}

async fn an_agent_who_watches_is_not_recovered(app: TestApp) {
    let lee = app.connect(&customer("lee")).await;
    for (event, data) in
        [("watch_chats", json!({"watch": true})), ("view_chat", json!({"chatId": lee.chat()}))]
    {
        let who = admin("eve");
        let mut eve = app.io(Via::WebSocket, "/chats", &who).await;
        eve.ask("enter_chat", json!({"chatIds": [lee.chat()]})).await;
        eve.ask(event, data).await;
        let pid = eve.pid().to_owned();
        let eve = broken(&app, Via::WebSocket, &who, eve).await;
        assert_ne!(eve.pid(), pid, "{event}");
    }
}

async fn positions_that_a_client_names_come_first(app: TestApp) {
    let who = customer("kim");
    let kim = app.io(Via::WebSocket, "/chats", &who).await;
    let (chat, pid, offset) = (kim.chat(), kim.pid().to_owned(), kim.offset().to_owned());
    let mut ada = agent_in(&app, chat).await;
    drop(kim);
    for _ in 0..3 {
        ada.say(chat, "meanwhile").await;
    }
    let mut auth = auth(&who, &pid, &offset);
    auth["resume"] = json!([{"chatId": chat, "afterSeq": 2}]);
    let mut kim = app.io_open(Via::WebSocket).await;
    kim.welcomed("/chats", auth).await;
    assert_ne!(kim.pid(), pid);
    assert_eq!(kim.run_to(chat, 3).await, [3]);
}

async fn a_session_that_was_left_is_not_recovered(app: TestApp) {
    let who = customer("kim");
    let mut kim = app.io(Via::WebSocket, "/chats", &who).await;
    let (chat, pid, offset) = (kim.chat(), kim.pid().to_owned(), kim.offset().to_owned());
    kim.disconnect().await;
    kim.welcomed("/chats", auth(&who, &pid, &offset)).await;
    let mut ada = agent_in(&app, chat).await;
    has_begun_anew(&mut ada, &mut kim, &pid, chat).await;
}

async fn what_is_no_sessions_secret_recovers_none(app: TestApp) {
    let who = customer("kim");
    let mut kim = app.io(Via::WebSocket, "/chats", &who).await;
    let (chat, pid, offset) = (kim.chat(), kim.pid().to_owned(), kim.offset().to_owned());
    let (session, sid) = (kim.session_id().to_owned(), kim.sid().to_owned());
    let mut ada = agent_in(&app, chat).await;
    let long = "x".repeat(50_000);
    for pid in ["", "another.node", &*session, &*sid, &*long] {
        let mut other = back(&app, Via::WebSocket, &who, pid, &offset).await;
        has_begun_anew(&mut ada, &mut other, pid, chat).await;
    }
    for auth in [json!({"pid": 7, "offset": 7}), json!({"pid": [pid], "offset": {}})] {
        let mut auth = auth;
        auth["token"] = json!(who.token());
        let mut other = app.io_open(Via::WebSocket).await;
        other.welcomed("/chats", auth).await;
        has_begun_anew(&mut ada, &mut other, &pid, chat).await;
    }
    kim.run_to(chat, 7).await;
}

async fn a_session_is_forgotten_in_time(app: TestApp) {
    let who = customer("kim");
    let kim = app.io(Via::WebSocket, "/chats", &who).await;
    let (chat, pid, offset) = (kim.chat(), kim.pid().to_owned(), kim.offset().to_owned());
    drop(kim);
    app.has_sessions(0).await;
    // Longer than the millisecond that it is kept.
    let mut ada = agent_in(&app, chat).await;
    let mut kim = back(&app, Via::WebSocket, &who, &pid, &offset).await;
    has_begun_anew(&mut ada, &mut kim, &pid, chat).await;
}

async fn the_oldest_session_makes_room(app: TestApp) {
    let mut gone = Vec::new();
    for name in ["kim", "lee"] {
        let client = app.io(Via::WebSocket, "/chats", &customer(name)).await;
        gone.push((client.pid().to_owned(), client.offset().to_owned()));
        drop(client);
        app.has_sessions(0).await;
    }
    let [(kim, at_kim), (lee, at_lee)] = &*gone else { panic!("two") };
    let back_lee = back(&app, Via::WebSocket, &customer("lee"), lee, at_lee).await;
    assert_eq!(back_lee.pid(), lee);
    let back_kim = back(&app, Via::WebSocket, &customer("kim"), kim, at_kim).await;
    assert_ne!(back_kim.pid(), kim);
}

async fn by_itself_the_server_recovers_nothing(app: TestApp) {
    let who = customer("kim");
    let mut kim = app.io_open(Via::WebSocket).await;
    // As a client says it that knew another server. The answer has no `pid`, and events no offset.
    kim.welcomed("/chats", auth(&who, "pid", "offset")).await;
    let chat = kim.chat();
    let mut ada = agent_in(&app, chat).await;
    ada.say(chat, "one argument").await;
    kim.hears("one argument").await;
}
