//! Events and acks of Socket.IO, and one chat of clients of all transports.

use crate::support::client::assert_exception;
use crate::support::socketio::packet::{ACK, EVENT};
use crate::support::{
    IoClient, Service, TestApp, TestClient, Via, admin, all, assert_keys, assert_run,
    bus_scenarios, customer, json, scenarios,
};

scenarios! {
    what_is_granted_is_acked_only_where_an_ack_is_wanted,
    what_is_refused_is_said_by_an_event_and_by_the_ack,
    a_refusal_may_be_an_event_alone ["socketio.errors" = "event"],
    an_event_may_have_one_argument_or_none,
    an_unknown_event_is_refused,
    an_ack_id_may_be_any_number_that_counts_exactly,
    requests_of_a_namespace_are_answered_in_their_order,
    a_list_of_chats_and_a_text_are_enough,
    messages_go_both_ways_between_websockets_and_socketio,
    an_own_message_comes_to_the_other_devices_and_not_back,
    a_text_arrives_as_it_was_sent,
    typing_is_heard_by_the_others,
    presence_is_heard_by_the_others ["limits.presence_grace_ms" = 50],
    a_mark_is_heard_by_the_others,
    a_new_chat_is_told_to_its_members,
    an_agent_watches_all_chats,
    who_views_a_chat_is_shown_to_agents,
    a_message_sent_twice_is_stored_once,
    a_fresh_token_lets_a_session_go_on ["limits.leeway_seconds" = 0],
}

bus_scenarios! {
    events_for_services_go_out_and_their_answers_come_back
        ["rabbitmq.gateway" = crate::support::routes()],
}

async fn what_is_granted_is_acked_only_where_an_ack_is_wanted(app: TestApp) {
    for via in Via::ALL {
        let mut kim = app.io(via, "/chats", &customer("kim")).await;
        let chat = kim.chat();
        let ack = kim.ask("send_message", json!({"message": "hello"})).await;
        assert_keys(&ack, &["id", "chatId", "seq", "clientId", "createdAt", "duplicate"]);
        kim.emit("send_message", json!({"message": "without a word"})).await;
        kim.emit("typing", json!({"chatId": chat, "typing": true})).await;
        kim.has_heard_nothing().await;
        assert_eq!(kim.ask("typing", json!({"chatId": chat, "typing": false})).await, json!({}));
        let next = kim.say(chat, "and with one").await;
        assert_eq!(next["seq"].as_i64(), ack["seq"].as_i64().map(|seq| seq + 2), "all are stored");
    }
}

async fn what_is_refused_is_said_by_an_event_and_by_the_ack(app: TestApp) {
    for via in Via::ALL {
        let mut kim = app.io(via, "/chats", &customer("kim")).await;
        let enter = json!({"chatIds": [999_999]});
        let refusal = kim.refused("enter_chat", enter.clone(), "chat_not_found").await;
        assert_keys(&refusal, &["status", "code", "message", "event"]);
        kim.refused("watch_chats", json!({"watch": true}), "forbidden").await;
        kim.refused("send_message", json!({"message": 7}), "bad_request").await;
        kim.emit("enter_chat", enter).await;
        assert_eq!(kim.expect("exception").await, refusal, "the same where nobody asks");
        kim.has_heard_nothing().await;
    }
    // To the one who asked, and in its namespace.
    let mut lee = app.io(Via::Polling, "/chats", &customer("lee")).await;
    lee.welcomed("/main", json!({"token": customer("lee").token()})).await;
    lee.at("/chats").refused("enter_chat", json!({"chatIds": [999_999]}), "chat_not_found").await;
    lee.at("/main").has_heard_nothing().await;
}

async fn a_refusal_may_be_an_event_alone(app: TestApp) {
    for via in Via::ALL {
        let mut kim = app.io(via, "/chats", &customer("kim")).await;
        kim.submit("enter_chat", json!({"chatIds": [999_999]})).await;
        let exception = kim.expect("exception").await;
        assert_exception(&exception, "chat_not_found");
        assert_eq!(exception["event"], "enter_chat");
        // The ack never comes, as with Nest; what is granted is acked.
        kim.has_heard_nothing().await;
    }
}

async fn an_event_may_have_one_argument_or_none(app: TestApp) {
    for via in Via::ALL {
        let mut kim = app.io(via, "/chats", &customer("kim")).await;
        kim.send(r#"42/chats,100["ping"]"#).await;
        assert!(kim.answer(100).await.expect("none is an empty one")["serverTime"].is_string());
        kim.send(r#"42/chats,101["ping",{},{}]"#).await;
        assert_exception(&kim.answer(101).await.expect_err("two"), "bad_request");
        assert_exception(&kim.expect("exception").await, "bad_request");
        kim.send(r#"42/chats,102["send_message","a text","and another"]"#).await;
        assert_exception(&kim.answer(102).await.expect_err("two"), "bad_request");
    }
}

async fn an_unknown_event_is_refused(app: TestApp) {
    let mut kim = app.io(Via::WebSocket, "/chats", &customer("kim")).await;
    for event in ["no_such_event", "", "welcome", "receive_message", "é", "constructor"] {
        let refusal = kim.request(event, json!({})).await.expect_err("unknown");
        assert_exception(&refusal, "unknown_event");
        assert_eq!(kim.expect("exception").await, refusal);
    }
    kim.has_heard_nothing().await;
}

async fn an_ack_id_may_be_any_number_that_counts_exactly(app: TestApp) {
    for via in Via::ALL {
        let mut kim = app.io(via, "/chats", &customer("kim")).await;
        for id in [0, 1, 7, 1 << 32, 9_007_199_254_740_991] {
            kim.send(&format!(r#"42/chats,{id}["ping",{{}}]"#)).await;
            kim.answer(id).await.expect("granted");
        }
        // The same again is another request.
        kim.send_all(&[r#"42/chats,5["ping"]"#, r#"42/chats,5["ping"]"#].map(str::to_owned)).await;
        kim.answer(5).await.expect("the first");
        kim.answer(5).await.expect("the second");
    }
}

async fn requests_of_a_namespace_are_answered_in_their_order(app: TestApp) {
    const COUNT: u64 = 60;
    for via in Via::ALL {
        let mut kim = app.io(via, "/chats", &customer("kim")).await;
        let packets: Vec<_> = (0..COUNT)
            .map(|n| kim.packet(Some(n), "send_message", &json!({"message": format!("{n}")})))
            .collect();
        kim.send_all(&packets).await;
        for n in 0..COUNT {
            let packet = kim.next().await;
            assert_eq!((packet.kind, packet.id), (ACK, Some(n)), "{packet:?}");
        }
    }
}

async fn a_list_of_chats_and_a_text_are_enough(app: TestApp) {
    for via in Via::ALL {
        let mut kim = app.io(via, "/chats", &customer("kim")).await;
        let chat = kim.chat();
        let mut ada = app.io(via, "/main", &admin("ada")).await;
        let entered = ada.ask("enter_chat", json!([chat])).await;
        assert_eq!(entered["chats"][0]["chatId"], chat);
        kim.ask("send_message", json!("a bare text")).await;
        ada.hears("a bare text").await;
        // An agent has many chats.
        let refusal =
            ada.request("send_message", json!("to whom?")).await.expect_err("which chat?");
        assert_exception(&refusal, "bad_request");
        assert_eq!(ada.expect("exception").await, refusal);
        ada.refused("enter_chat", json!([]), "bad_request").await;
        ada.refused("enter_chat", json!(["x"]), "bad_request").await;
    }
}

/// A customer and an agent on `/ws`, and a device of each on every transport, all in one chat.
struct Chat {
    id: i64,
    websockets: Vec<TestClient>,
    devices: Vec<IoClient>,
}

impl Chat {
    async fn open(app: &TestApp) -> Self {
        let (kim, ada) = (customer("kim"), admin("ada"));
        let mut websockets = vec![app.connect(&kim).await, app.connect(&ada).await];
        let id = websockets[0].chat();
        websockets[1].enter(id).await;
        let mut devices = Vec::new();
        for via in Via::ALL {
            devices.push(app.io(via, "/chats", &kim).await);
            let mut agent = app.io(via, "/", &ada).await;
            agent.ask("enter_chat", json!({"chatIds": [id]})).await;
            devices.push(agent);
        }
        Self { id, websockets, devices }
    }
}

async fn messages_go_both_ways_between_websockets_and_socketio(app: TestApp) {
    let Chat { id, mut websockets, mut devices } = Chat::open(&app).await;
    let mut last = 0;
    for round in 0..5 {
        for client in &mut websockets {
            let ack = client.say(id, &format!("{round}, a websocket")).await;
            last = ack["seq"].as_i64().expect("a seq");
        }
        for client in &mut devices {
            let ack = client.say(id, &format!("{round}, socket.io")).await;
            last = ack["seq"].as_i64().expect("a seq");
        }
    }
    assert_eq!(last, 5 * 8);
    for client in &mut websockets {
        assert_run(&client.run_to(id, last).await, 1, last);
    }
    for client in &mut devices {
        assert_run(&client.run_to(id, last).await, 1, last);
    }
    // All write at once, and all see the same.
    let of_websockets = all(websockets.iter_mut().map(async |client| {
        for n in 0..10 {
            client.say(id, &format!("at once {n}")).await;
        }
    }));
    let of_devices = all(devices.iter_mut().map(async |client| {
        for n in 0..10 {
            client.say(id, &format!("at once {n}")).await;
        }
    }));
    tokio::join!(of_websockets, of_devices);
    last += 80;
    for client in &mut websockets {
        assert_run(&client.run_to(id, last).await, 1, last);
    }
    for client in &mut devices {
        assert_run(&client.run_to(id, last).await, 1, last);
    }
}

async fn an_own_message_comes_to_the_other_devices_and_not_back(app: TestApp) {
    let Chat { id, mut websockets, mut devices } = Chat::open(&app).await;
    devices[0].say(id, "from one device").await;
    for device in &mut devices[1..] {
        let message = device.hears("from one device").await;
        assert_eq!(message["author"]["nickname"], "Kim");
        assert_keys(
            &message,
            &["id", "chatId", "seq", "kind", "author", "message", "clientId", "createdAt"],
        );
    }
    websockets[0].hears("from one device").await;
    devices[0].has_not_heard("receive_message").await;
}

async fn a_text_arrives_as_it_was_sent(app: TestApp) {
    let Chat { id, mut websockets, mut devices } = Chat::open(&app).await;
    for text in [
        "é \"quoted\" \\ and \u{2028} \u{1f600} \u{1e} the separator",
        "[\"receive_message\",{}]",
        "\u{1}\u{7f}\t\n",
        "-- , / 42/chats,",
    ] {
        devices[0].say(id, text).await;
        websockets[1].hears(text).await;
        websockets[1].say(id, text).await;
        for device in &mut devices[1..] {
            device.hears(text).await;
        }
        for device in &mut devices {
            device.hears(text).await;
        }
        for client in &mut websockets[..1] {
            client.hears(text).await;
            client.hears(text).await;
        }
    }
}

/// A customer and an agent in a chat, the one on `/ws` and the other not, in both ways.
async fn pairs(app: &TestApp) -> Vec<(TestClient, IoClient, i64)> {
    let mut pairs = Vec::new();
    for (n, via) in Via::ALL.into_iter().enumerate() {
        let kim = app.connect(&customer(&format!("kim-{n}"))).await;
        let chat = kim.chat();
        let mut ada = app.io(via, "/chats", &admin(&format!("ada-{n}"))).await;
        ada.ask("enter_chat", json!([chat])).await;
        pairs.push((kim, ada, chat));
    }
    pairs
}

async fn typing_is_heard_by_the_others(app: TestApp) {
    for (mut kim, mut ada, chat) in pairs(&app).await {
        kim.send("typing", json!({"chatId": chat, "typing": true})).await;
        let typing = json!({"chatId": chat, "userId": kim.user_id(), "typing": true});
        assert_eq!(ada.expect("typing").await, typing);
        ada.emit("typing", json!({"chatId": chat, "typing": true})).await;
        let typing = json!({"chatId": chat, "userId": ada.user_id(), "typing": true});
        assert_eq!(kim.expect("typing").await, typing);
        ada.has_not_heard("typing").await;
    }
}

async fn presence_is_heard_by_the_others(app: TestApp) {
    for via in Via::ALL {
        let name = format!("kim over {via:?}");
        let mut kim = app.io(via, "/", &customer(&name)).await;
        let (chat, user) = (kim.chat(), kim.user_id());
        let mut ada = app.connect(&admin("ada")).await;
        let online = ada.enter(chat).await["online"].clone();
        // On another node kim may be known a moment later, and then it is told.
        if online == json!([]) {
            assert_eq!(ada.expect("presence").await["online"], true);
        } else {
            assert_eq!(online, json!([user]));
        }
        kim.send("1").await;
        kim.closed().await;
        let offline = json!({"chatId": chat, "userId": user, "online": false});
        assert_eq!(ada.expect("presence").await, offline);
        let _kim = app.io(via, "/", &customer(&name)).await;
        assert_eq!(ada.expect("presence").await["online"], true);
    }
}

async fn a_mark_is_heard_by_the_others(app: TestApp) {
    for (mut kim, mut ada, chat) in pairs(&app).await {
        kim.say(chat, "read this").await;
        ada.hears("read this").await;
        let read = json!({"chatId": chat, "seq": 1});
        assert_eq!(ada.ask("read_message", read.clone()).await["unread"], 0);
        let mark = json!({"chatId": chat, "userId": ada.user_id(), "seq": 1});
        assert_eq!(kim.expect("message_read").await, mark);
        ada.say(chat, "and this").await;
        kim.hears("and this").await;
        kim.ask("read_message", json!({"chatId": chat, "seq": 2})).await;
        let mark = json!({"chatId": chat, "userId": kim.user_id(), "seq": 2});
        assert_eq!(ada.expect("message_read").await, mark);
    }
}

async fn a_new_chat_is_told_to_its_members(app: TestApp) {
    for (mut kim, mut ada, _) in pairs(&app).await {
        let ids = json!({"userIds": [kim.user_id()], "title": "a group"});
        let group = ada.ask("create_chat", ids).await;
        let chat = group["id"].as_i64().expect("an id");
        assert_eq!(kim.expect("chat_created").await["id"], chat);
        kim.say(chat, "in it already").await;
        ada.hears("in it already").await;
        ada.has_not_heard("chat_created").await;
    }
    // And the other way round.
    let mut kim = app.io(Via::Polling, "/main", &customer("kim")).await;
    let mut ada = app.connect(&admin("ada")).await;
    let group = ada.ask("create_chat", json!({"userIds": [kim.user_id()]})).await;
    let chat = group["id"].as_i64().expect("an id");
    assert_eq!(kim.expect("chat_created").await["id"], chat);
    ada.say(chat, "hello").await;
    kim.hears("hello").await;
}

async fn an_agent_watches_all_chats(app: TestApp) {
    let mut kim = app.connect(&customer("kim")).await;
    let chat = kim.chat();
    for via in Via::ALL {
        let mut ada = app.io(via, "/", &admin("ada")).await;
        assert_eq!(ada.ask("watch_chats", json!({"watch": true})).await, json!({}));
        kim.say(chat, "something is new").await;
        let updated = ada.expect("chat_updated").await;
        assert_eq!(updated["id"], chat);
        assert_eq!(updated["lastMessage"]["message"], "something is new");
        let lee = app.connect(&customer(&format!("lee over {via:?}"))).await;
        let created = ada.expect("chat_created").await;
        assert_eq!(created["id"], lee.chat());
    }
}

async fn who_views_a_chat_is_shown_to_agents(app: TestApp) {
    for (_kim, mut ada, chat) in pairs(&app).await {
        assert_eq!(ada.expect("viewers").await, json!({"chatId": chat, "users": []}));
        let mut bob = app.connect(&admin("bob")).await;
        bob.ask("view_chat", json!({"chatId": chat})).await;
        let shown = json!([{"id": bob.user_id(), "nickname": "Bob"}]);
        assert_eq!(ada.expect("viewers").await["users"], shown);
        ada.ask("view_chat", json!({"chatId": chat})).await;
        assert_eq!(ada.expect("viewers").await["users"].as_array().map(Vec::len), Some(2));
    }
}

async fn a_message_sent_twice_is_stored_once(app: TestApp) {
    let data = json!({"message": "once", "clientId": "c-1"});
    let mut first = None;
    for via in Via::ALL {
        let mut kim = app.io(via, "/chats", &customer("kim")).await;
        let ack = kim.ask("send_message", data.clone()).await;
        assert_eq!(ack["duplicate"], first.is_some());
        assert_eq!(*first.get_or_insert(ack["id"].clone()), ack["id"]);
    }
}

async fn a_fresh_token_lets_a_session_go_on(app: TestApp) {
    let person = customer("kim");
    let now = crate::support::tokens::now();
    let short = person.token_with(&json!({"exp": now + 5}));
    let mut kim = app.io_open(Via::Polling).await;
    kim.welcomed("/chats", json!({"token": short})).await;
    let ack = kim.ask("authenticate", json!({"token": person.token()})).await;
    assert!(ack["expiresAt"].as_str() > kim.welcome()["tokenExpiresAt"].as_str());
    // Another one with the first token ends with it, and this one does not.
    let mut other = app.io_open(Via::WebSocket).await;
    other.welcomed("/chats", json!({"token": short})).await;
    assert_eq!(other.expect("goodbye").await["reason"], "token_expired");
    kim.ask("ping", json!({})).await;
}

async fn events_for_services_go_out_and_their_answers_come_back(app: TestApp) {
    let mut service = Service::start(&app).await;
    service.is_heard().await;
    for via in Via::ALL {
        let mut kim = app.io(via, "/chats", &customer("kim")).await;
        let mut other = app.io(via, "/chats", &customer("kim")).await;
        while let Err(exception) = kim.request("send", json!({"ref": 7})).await {
            assert_exception(&exception, "unavailable");
            kim.expect("exception").await;
        }
        let asked = service.inbox.next().await;
        let metadata = &asked.body["data"]["metadata"];
        assert_eq!(metadata["socket_id"], kim.session_id(), "the socket's id, as CONNECT said it");
        service.recv(metadata, json!({"text": "here you are"})).await;
        let packet = kim.next().await;
        assert_eq!(packet.kind, EVENT);
        assert_eq!(packet.event("recv"), Some(&json!({"text": "here you are"})));
        other.has_not_heard("recv").await;
    }
}
