//! CONNECT and its token, namespaces, and DISCONNECT.

use crate::support::client::assert_exception;
use crate::support::socketio::packet::CONNECT;
use crate::support::tokens::now;
use crate::support::{
    IoClient, TestApp, Via, WELCOME, admin, assert_keys, assert_run, customer, json, scenarios,
};

scenarios! {
    every_configured_namespace_is_the_same_server,
    only_configured_namespaces_are_known ["socketio.namespaces" = "/desk"],
    an_unknown_namespace_is_refused_and_the_connection_stays,
    the_token_may_be_in_auth_or_on_the_handshake,
    a_bad_token_in_auth_is_not_saved_by_a_good_header,
    a_token_in_the_query_is_ignored,
    without_a_token_the_refusal_says_where_it_belongs,
    a_refused_token_names_its_code_and_a_second_try_is_taken,
    a_blocked_user_is_refused_by_connect,
    auth_may_only_be_what_it_can_be,
    welcome_is_the_first_event,
    what_is_sent_behind_connect_waits_for_it,
    two_namespaces_are_two_sessions,
    two_users_may_share_a_connection,
    a_namespace_is_left_alone,
    a_namespace_may_be_entered_again,
    a_second_connect_of_a_namespace_ends_the_connection,
    an_event_before_connect_ends_the_connection,
    who_is_in_no_namespace_in_time_is_put_out ["limits.auth_seconds" = 1],
    who_has_left_the_last_namespace_is_put_out ["limits.auth_seconds" = 1],
    who_is_in_a_namespace_stays ["limits.auth_seconds" = 1],
    a_client_resumes_by_auth,
    a_long_absence_is_resumed_in_parts ["limits.replay" = 5],
}

async fn every_configured_namespace_is_the_same_server(app: TestApp) {
    let mut clients = Vec::new();
    for nsp in ["/", "/chats", "/main"] {
        for via in Via::ALL {
            clients.push(app.io(via, nsp, &customer("kim")).await);
        }
    }
    let chat = clients[0].chat();
    let mut kim = app.connect(&customer("kim")).await;
    assert_eq!(kim.chat(), chat);
    kim.say(chat, "to all of them").await;
    for mut client in clients {
        assert_eq!(client.chat(), chat);
        client.hears("to all of them").await;
    }
}

async fn only_configured_namespaces_are_known(app: TestApp) {
    let mut kim = app.io(Via::WebSocket, "/desk", &customer("kim")).await;
    for nsp in ["/", "/chats"] {
        let refusal = kim.connect(nsp, json!({"token": customer("kim").token()})).await;
        assert_eq!(refusal, Err(json!({"message": "Invalid namespace"})));
    }
    kim.at("/desk").has_heard_nothing().await;
}

async fn an_unknown_namespace_is_refused_and_the_connection_stays(app: TestApp) {
    for via in Via::ALL {
        let mut kim = app.io_open(via).await;
        for nsp in ["/random", "/chats/", "/Chats", "/chats?x=1", "/é", "//"] {
            for auth in [json!(null), json!({"token": customer("kim").token()})] {
                let refusal = kim.connect(nsp, auth).await;
                assert_eq!(refusal, Err(json!({"message": "Invalid namespace"})), "{nsp}");
            }
        }
        // As a client writes it that has no auth, without the comma.
        kim.send("40/random").await;
        kim.connected("/random").await.expect_err("unknown");
        kim.welcomed("/chats", json!({"token": customer("kim").token()})).await;
    }
}

async fn the_token_may_be_in_auth_or_on_the_handshake(app: TestApp) {
    let token = customer("kim").token();
    for via in Via::ALL {
        for auth in [token.clone(), format!("Bearer {token}"), format!("bearer {token}")] {
            app.io_open(via).await.welcomed("/chats", json!({"token": auth})).await;
        }
        for auth in [json!(null), json!({}), json!({"resume": []}), json!({"other": 1})] {
            let mut kim = app.socketio().bearer(&token).open(via).await;
            kim.welcomed("/chats", auth).await;
        }
    }
}

async fn a_bad_token_in_auth_is_not_saved_by_a_good_header(app: TestApp) {
    let expired = customer("kim").token_with(&json!({"exp": now() - 60}));
    for via in Via::ALL {
        let mut kim = app.socketio().bearer(&customer("kim").token()).open(via).await;
        kim.turned_away("/", json!({"token": "nonsense"}), "unauthenticated").await;
        kim.turned_away("/", json!({"token": ""}), "unauthenticated").await;
        kim.turned_away("/", json!({"token": expired}), "token_expired").await;
        kim.welcomed("/", json!(null)).await;
    }
    // And auth's own token counts before the header's.
    let mut lee = app.socketio().bearer(&customer("kim").token()).open(Via::Polling).await;
    let welcome = lee.welcomed("/", json!({"token": customer("lee").token()})).await;
    assert_eq!(welcome["user"]["nickname"], "Lee");
}

async fn a_token_in_the_query_is_ignored(app: TestApp) {
    let token = customer("kim").token();
    let query = format!("token={token}&access_token={token}&authorization={token}");
    for via in Via::ALL {
        let mut kim = app.socketio().query(&query).open(via).await;
        kim.turned_away("/", json!(null), "unauthenticated").await;
    }
}

async fn without_a_token_the_refusal_says_where_it_belongs(app: TestApp) {
    for via in Via::ALL {
        let mut kim = app.io_open(via).await;
        for auth in [json!(null), json!({}), json!({"token": null})] {
            let refusal = kim.turned_away("/chats", auth, "unauthenticated").await;
            // A browser's WebSocket has no headers of its own.
            assert!(refusal["message"].as_str().expect("a text").contains("auth"), "{refusal}");
        }
    }
}

async fn a_refused_token_names_its_code_and_a_second_try_is_taken(app: TestApp) {
    let kim = customer("kim");
    let expired = kim.token_with(&json!({"exp": now() - 60}));
    for via in Via::ALL {
        let mut client = app.io_open(via).await;
        for (token, code) in [("nonsense", "unauthenticated"), (&expired, "token_expired")] {
            let refusal = client.turned_away("/main", json!({"token": token}), code).await;
            assert_keys(&refusal, &["message", "data"]);
            assert!(!refusal.to_string().contains(token), "{refusal}");
        }
        client.welcomed("/main", json!({"token": kim.token()})).await;
        let chat = client.chat();
        client.say(chat, "after all").await;
    }
    // As often as a client tries, within its time.
    let mut client = app.io_open(Via::WebSocket).await;
    for _ in 0..20 {
        client.turned_away("/", json!({"token": "nonsense"}), "unauthenticated").await;
    }
}

async fn a_blocked_user_is_refused_by_connect(app: TestApp) {
    let user = app.connect(&customer("kim")).await.user_id();
    app.post(&admin("ada"), &format!("/users/{user}/block"), json!({})).await.is(200);
    for via in Via::ALL {
        let mut client = app.io_open(via).await;
        let token = customer("kim").token();
        client.turned_away("/chats", json!({"token": token}), "forbidden").await;
        // Another user may come in over the same connection.
        client.welcomed("/chats", json!({"token": customer("lee").token()})).await;
    }
}

async fn auth_may_only_be_what_it_can_be(app: TestApp) {
    let token = customer("kim").token();
    let mut kim = app.io_open(Via::WebSocket).await;
    for auth in [
        json!({"token": 7}),
        json!({"token": {"a": 1}}),
        json!({"token": token, "resume": 5}),
        json!({"token": token, "resume": [{"chatId": "x"}]}),
        json!({"token": token, "resume": [{"chatId": 1, "afterSeq": -1}]}),
    ] {
        let refusal = kim.connect("/", auth.clone()).await.expect_err("it is refused");
        assert_eq!(refusal["data"]["code"], "bad_request", "{auth}: {refusal}");
        assert_exception(&refusal["data"], "bad_request");
    }
    kim.welcomed("/", json!({"token": token, "pid": "x", "offset": "y"})).await;
    // What is no object is no packet.
    for auth in ["[]", "7", "\"x\"", "{", "null"] {
        let mut lee = app.io_open(Via::WebSocket).await;
        lee.send(&format!("40/chats,{auth}")).await;
        lee.closed().await;
    }
    kim.has_heard_nothing().await;
}

async fn welcome_is_the_first_event(app: TestApp) {
    let chat = app.connect(&customer("kim")).await.chat();
    let mut ada = app.connect(&admin("ada")).await;
    for via in Via::ALL {
        // Something to be told of while it comes.
        ada.say(chat, "hello").await;
        let mut kim = app.io_open(via).await;
        let connect = format!("40/chats,{}", json!({"token": customer("kim").token()}));
        kim.send(&connect).await;
        ada.say(chat, "hello again").await;
        let first = kim.next().await;
        assert_eq!((first.kind, first.nsp.as_str()), (CONNECT, "/chats"), "{first:?}");
        assert_keys(&first.data, &["sid"]);
        let second = kim.next().await;
        let welcome = second.event("welcome").unwrap_or_else(|| panic!("not first: {second:?}"));
        assert_eq!(welcome["sessionId"], first.data["sid"]);
        assert_keys(welcome, &WELCOME);
    }
}

async fn what_is_sent_behind_connect_waits_for_it(app: TestApp) {
    for via in Via::ALL {
        let mut kim = app.io_open(via).await;
        let connect = format!("40/chats,{}", json!({"token": customer("kim").token()}));
        let mut packets = vec![connect];
        let mut ids = Vec::new();
        kim.at("/chats");
        for n in 0..10 {
            let (id, packet) = kim.asking("send_message", &json!({"message": format!("{n}")}));
            ids.push(id);
            packets.push(packet);
        }
        kim.send_all(&packets).await;
        let answer = kim.connected("/chats").await.expect("it is let in");
        kim.read_welcome("/chats", &answer).await;
        let first = kim.answer(ids[0]).await.expect("granted")["seq"].as_i64().expect("a seq");
        for (id, seq) in ids.into_iter().zip(first..).skip(1) {
            assert_eq!(kim.answer(id).await.expect("granted")["seq"], seq);
        }
    }
}

async fn two_namespaces_are_two_sessions(app: TestApp) {
    for via in Via::ALL {
        let mut ada = app.io_open(via).await;
        let token = json!({"token": admin("ada").token()});
        let chat = app.connect(&customer("kim")).await.chat();
        let first = ada.welcomed("/chats", token.clone()).await["sessionId"].clone();
        let second = ada.welcomed("/main", token).await["sessionId"].clone();
        assert_ne!(first, second);
        app.has_sessions(2).await;
        // Their rooms and positions are their own, and so are their ack ids.
        ada.at("/chats").ask("enter_chat", json!({"chatIds": [chat]})).await;
        app.connect(&customer("kim")).await.say(chat, "hello").await;
        ada.at("/chats").hears("hello").await;
        ada.at("/main").has_not_heard("receive_message").await;
        let chats = ada.at("/chats").packet(Some(500), "ping", &json!({}));
        let main = ada.at("/main").packet(Some(500), "no_such_event", &json!({}));
        ada.send_all(&[chats, main]).await;
        ada.at("/chats").answer(500).await.expect("granted");
        ada.at("/main").answer(500).await.expect_err("refused");
        ada.at("/chats").has_not_heard("exception").await;
        assert_eq!(ada.at("/main").expect("exception").await["code"], "unknown_event");
        ada.send("1").await;
        ada.closed().await;
        app.has_sessions(0).await;
    }
}

async fn two_users_may_share_a_connection(app: TestApp) {
    let mut both = app.io_open(Via::WebSocket).await;
    both.welcomed("/chats", json!({"token": customer("kim").token()})).await;
    let kim = (both.user_id(), both.chat());
    both.welcomed("/main", json!({"token": customer("lee").token()})).await;
    let lee = (both.user_id(), both.chat());
    assert!(kim.0 != lee.0 && kim.1 != lee.1);
    both.at("/main").refused("enter_chat", json!({"chatIds": [kim.1]}), "chat_not_found").await;
    both.at("/chats").say(kim.1, "mine").await;
    both.at("/main").has_heard_nothing().await;
}

async fn a_namespace_is_left_alone(app: TestApp) {
    for via in Via::ALL {
        let mut kim = app.io_open(via).await;
        let token = json!({"token": customer("kim").token()});
        kim.welcomed("/", token.clone()).await;
        kim.welcomed("/chats", token).await;
        let chat = kim.chat();
        kim.at("/chats").disconnect().await;
        kim.at("/").say(chat, "the other one stays").await;
        app.has_sessions(1).await;
        // Nothing more is said to the one that was left, its end included.
        kim.at("/").has_heard_nothing().await;
        kim.at("/").send("1").await;
        kim.closed().await;
        app.has_sessions(0).await;
    }
}

async fn a_namespace_may_be_entered_again(app: TestApp) {
    for via in Via::ALL {
        let mut kim = app.io(via, "/", &customer("kim")).await;
        let first = kim.session_id().to_owned();
        kim.disconnect().await;
        kim.welcomed("/", json!({"token": customer("kim").token()})).await;
        assert_ne!(kim.session_id(), first, "another session");
        kim.ask("ping", json!({})).await;
    }
}

async fn a_second_connect_of_a_namespace_ends_the_connection(app: TestApp) {
    for via in Via::ALL {
        let mut kim = app.io(via, "/chats", &customer("kim")).await;
        kim.send_bad(&format!("40/chats,{}", json!({"token": customer("kim").token()}))).await;
        kim.closed().await;
    }
    app.has_sessions(0).await;
}

async fn an_event_before_connect_ends_the_connection(app: TestApp) {
    for via in Via::ALL {
        for packet in [r#"42["ping",{}]"#, r#"42/chats,0["ping",{}]"#, "430[]", "41"] {
            let mut kim = app.io_open(via).await;
            kim.send_bad(packet).await;
            kim.closed().await;
        }
        // And in a namespace where it is not, beside one where it is.
        let mut kim = app.io(via, "/chats", &customer("kim")).await;
        kim.send_bad(r#"42/main,["ping",{}]"#).await;
        kim.closed().await;
    }
    app.has_sessions(0).await;
}

async fn who_is_in_no_namespace_in_time_is_put_out(app: TestApp) {
    for via in Via::ALL {
        let mut silent = app.io_open(via).await;
        let mut refused = app.io_open(via).await;
        refused.turned_away("/", json!({"token": "nonsense"}), "unauthenticated").await;
        silent.closed().await;
        refused.closed().await;
    }
}

async fn who_has_left_the_last_namespace_is_put_out(app: TestApp) {
    for via in Via::ALL {
        let mut kim = app.io(via, "/chats", &customer("kim")).await;
        kim.disconnect().await;
        kim.closed().await;
    }
}

async fn who_is_in_a_namespace_stays(app: TestApp) {
    let mut clients = Vec::new();
    for via in Via::ALL {
        clients.push(app.io(via, "/chats", &customer("kim")).await);
    }
    // Longer than those who come into none.
    for _ in 0..2 {
        app.io_open(Via::WebSocket).await.closed().await;
    }
    for mut kim in clients {
        kim.ask("ping", json!({})).await;
    }
}

async fn a_client_resumes_by_auth(app: TestApp) {
    let person = customer("kim");
    let mut kim = app.connect(&person).await;
    let chat = kim.chat();
    for n in 1..=10 {
        kim.say(chat, &format!("message {n}")).await;
    }
    for via in Via::ALL {
        let mut client = app.io_open(via).await;
        let resume = json!([{"chatId": chat, "afterSeq": 4}]);
        let auth = json!({"token": person.token(), "resume": resume});
        let welcome = client.welcomed("/chats", auth).await;
        let entry = &welcome["chats"][0];
        assert_eq!((&entry["replayed"], &entry["replayedTo"]), (&json!(6), &json!(10)));
        let last = entry["lastSeq"].as_i64().expect("a seq");
        assert_run(&client.run_to(chat, last).await, 5, last);
    }
    // The token on the handshake, and the positions in auth.
    let mut client = app.socketio().bearer(&person.token()).open(Via::Polling).await;
    let resume = json!([{"chatId": chat, "afterSeq": 9}]);
    client.welcomed("/", json!({"resume": resume})).await;
    assert_run(&client.run_to(chat, 10).await, 10, 10);
}

async fn a_long_absence_is_resumed_in_parts(app: TestApp) {
    let person = customer("kim");
    let mut kim = app.connect(&person).await;
    let chat = kim.chat();
    for n in 1..=12 {
        kim.say(chat, &format!("message {n}")).await;
    }
    let mut client: IoClient = app.io_open(Via::Polling).await;
    let resume = json!([{"chatId": chat, "afterSeq": 0}]);
    let auth = json!({"token": person.token(), "resume": resume});
    let entry = client.welcomed("/chats", auth).await["chats"][0].clone();
    assert_eq!((&entry["replayedTo"], &entry["truncated"]), (&json!(5), &json!(true)));
    client.run_to(chat, 5).await;
    let mut at = 5;
    while at < 12 {
        let data = json!({"chats": [{"chatId": chat, "afterSeq": at}]});
        let entry = client.ask("enter_chat", data).await["chats"][0].clone();
        at = entry["replayedTo"].as_i64().expect("a seq");
    }
    client.say(chat, "live").await;
    assert_run(&client.run_to(chat, 13).await, 1, 13);
}
