//! Operation by admins: live sessions and rooms on all nodes, and the descriptions of the API.

use reqwest::Method;

use crate::support::{
    Reply, TestApp, Value, admin, all, customer, eventually, json, now, postgres_scenarios,
    scenarios, unmet,
};

scenarios! {
    admins_see_who_is_live_and_end_a_session,
    a_session_that_watches_and_its_chats_are_shown,
    what_is_live_is_for_admins_alone,
    the_descriptions_are_served,
    all_events_codes_and_reasons_that_are_described_occur
        ["limits.messages_per_second" = 1, "limits.burst" = 40, "limits.sessions_per_user" = 1,
         "limits.message_chars" = 100, "limits.presence_grace_ms" = 0, "limits.leeway_seconds" = 0]
        on one node "sessions of a user are counted a node",
}

postgres_scenarios! {
    sessions_and_rooms_of_all_nodes_are_listed,
}

async fn sessions(app: &TestApp, query: &str) -> Vec<Value> {
    let listed = app.get(&admin("ada"), &format!("/admin/sessions{query}")).await.is(200);
    assert_eq!(listed["truncated"], false, "{listed}");
    let data = listed["data"].as_array().expect("a list").clone();
    assert_eq!(listed["count"], data.len());
    data
}

async fn end(app: &TestApp, session: &str) -> Reply {
    let path = format!("/admin/sessions/{session}");
    app.send(app.request_of(&admin("ada"), Method::DELETE, &path)).await
}

async fn admins_see_who_is_live_and_end_a_session(app: TestApp) {
    let mut kim = app.connect(&customer("kim")).await;
    let mut lee = app.connect(&customer("lee")).await;
    let user = kim.user_id();
    let mine = sessions(&app, &format!("?userId={user}")).await;
    assert_eq!(mine.len(), 1);
    assert_eq!((&mine[0]["id"], &mine[0]["userId"]), (&json!(kim.session_id()), &json!(user)));
    assert_eq!((&mine[0]["role"], &mine[0]["chats"]), (&json!("customer"), &json!([kim.chat()])));
    assert_eq!((&mine[0]["waitingEvents"], &mine[0]["watches"]), (&json!(0), &json!(false)));
    assert_eq!(sessions(&app, "").await.len(), 2);
    let id = kim.session_id().to_owned();
    assert_eq!(end(&app, &id).await.status, 204);
    assert_eq!(kim.expect("goodbye").await["reason"], "signed_out");
    assert_eq!(kim.closed().await, 4410);
    lee.say(lee.chat(), "others are not touched").await;
    eventually("it is listed no more", || async {
        (sessions(&app, "").await.len() == 1).then_some(())
    })
    .await;
    end(&app, "nonsense").await.problem(400, "bad_request");
    // Of no node that there is.
    end(&app, "00000000000040008000000000000000").await.problem(404, "session_not_found");
}

async fn a_session_that_watches_and_its_chats_are_shown(app: TestApp) {
    let mut kim = app.connect(&customer("kim")).await;
    let mut ada = app.connect(&admin("ada")).await;
    ada.enter(kim.chat()).await;
    kim.say(kim.chat(), "the room's position").await;
    ada.ask("watch_chats", json!({"watch": true})).await;
    let listed = eventually("it watches", || async {
        let listed = sessions(&app, &format!("?userId={}", ada.user_id())).await;
        (listed[0]["watches"] == true).then_some(listed)
    })
    .await;
    assert_eq!(listed[0]["chats"], json!([kim.chat()]));
    let rooms = app.get(&admin("ada"), "/admin/rooms").await.is(200);
    let is_of_kim = |room: &&Value| room["chatId"] == kim.chat();
    let here: Vec<_> = rooms["data"].as_array().expect("a list").iter().filter(is_of_kim).collect();
    let sessions: i64 = here.iter().map(|room| room["sessions"].as_i64().expect("a number")).sum();
    assert_eq!(sessions, 2, "{rooms}");
    assert_eq!(here.iter().filter_map(|room| room["lastSeq"].as_i64()).max(), Some(1), "{rooms}");
}

async fn what_is_live_is_for_admins_alone(app: TestApp) {
    let kim = app.connect(&customer("kim")).await;
    let who = customer("kim");
    for path in ["/admin/sessions", "/admin/rooms", "/admin/keys"] {
        app.get(&who, path).await.problem(403, "forbidden");
    }
    let path = format!("/admin/sessions/{}", kim.session_id());
    app.send(app.request_of(&who, Method::DELETE, &path)).await.problem(403, "forbidden");
}

async fn the_descriptions_are_served(app: TestApp) {
    for (path, key, version) in
        [("/openapi.json", "openapi", "3.1.0"), ("/asyncapi.json", "asyncapi", "3.0.0")]
    {
        let served = app.send(app.request(Method::GET, path)).await.is(200);
        assert_eq!(served[key], version);
        let printed = app.operate(&[key], "");
        assert_eq!(serde_json::from_str::<Value>(&printed.text).expect("JSON"), served);
    }
}

async fn sessions_and_rooms_of_all_nodes_are_listed(app: TestApp) {
    let other = app.another_node().await;
    eventually("they know each other", || async {
        (other.metric("frontdesk_peers").await >= 1.0).then_some(())
    })
    .await;
    let kim = customer("kim");
    let mut connected = all([app.connect(&kim), other.connect(&kim)]).await;
    let chat = connected[0].chat();
    let listed = eventually("both are listed", || async {
        let listed = sessions(&app, &format!("?userId={}", connected[0].user_id())).await;
        (listed.len() == 2).then_some(listed)
    })
    .await;
    assert_ne!(listed[0]["node"], listed[1]["node"]);
    let rooms = app.get(&admin("ada"), "/admin/rooms").await.is(200);
    let here = rooms["data"].as_array().expect("a list").iter();
    assert_eq!(here.filter(|room| room["chatId"] == chat).count(), 2, "{rooms}");
    for session in &mut connected {
        assert_eq!(end(&app, session.session_id()).await.status, 204);
        assert_eq!(session.closed().await, 4410);
    }
}

/// Names that other scenarios meet, or that nobody can make happen.
const ELSEWHERE: [&str; 6] = [
    // `gateway`
    "Server.recv",
    // `outages`
    "code unavailable",
    // A fault of the server's own.
    "code internal",
    // Reserved for events that name a message.
    "code message_not_found",
    // `leaving`
    "reason shutdown",
    // `floods`
    "reason slow_reader",
];

async fn all_events_codes_and_reasons_that_are_described_occur(app: TestApp) {
    // Two people, and all that is heard of the other.
    let mut kim = app.connect(&customer("kim")).await;
    let mut ada = app.connect(&admin("ada")).await;
    let mut bo = app.connect(&admin("bo")).await;
    let chat = kim.chat();
    ada.ask("watch_chats", json!({"watch": true})).await;
    ada.enter(chat).await;
    bo.ask("view_chat", json!({"chatId": chat})).await;
    ada.ask("view_chat", json!({"chatId": chat})).await;
    bo.expect("viewers").await;
    ada.ask("typing", json!({"chatId": chat, "typing": true})).await;
    kim.expect("typing").await;
    kim.say(chat, "hello").await;
    ada.hears("hello").await;
    ada.expect("chat_updated").await;
    ada.ask("read_message", json!({"chatId": chat, "seq": 1})).await;
    kim.expect("message_read").await;
    ada.ask("ping", json!({})).await;
    ada.ask("leave_chat", json!({"chatIds": [chat]})).await;
    let users = json!({"userIds": [kim.user_id()], "title": "a group"});
    ada.ask("create_chat", users).await;
    kim.expect("chat_created").await;
    kim.ask("authenticate", json!({"token": customer("kim").token()})).await;
    // What is refused.
    let send = |message: &str, other: Value| {
        let mut data = json!({"chatId": chat, "message": message});
        data.as_object_mut().expect("an object").extend(other.as_object().expect("one").clone());
        data
    };
    kim.ask("send_message", send("once", json!({"clientId": "c"}))).await;
    for (event, data, code) in [
        ("send_message", send("twice", json!({"clientId": "c"})), "client_id_reused"),
        ("send_message", send("late", json!({"expectSeq": 1})), "chat_moved"),
        ("send_message", send(&"x".repeat(101), json!({})), "too_large"),
        ("send_message", send("", json!({})), "bad_request"),
        ("no_such_event", json!({}), "unknown_event"),
        ("enter_chat", json!({"chatIds": [1_000_000]}), "chat_not_found"),
        ("watch_chats", json!({"watch": true}), "forbidden"),
        ("authenticate", json!({"token": "nonsense"}), "unauthenticated"),
    ] {
        kim.refused(event, data, code).await;
    }
    let old = customer("kim").token_with(&json!({"exp": now() - 60}));
    kim.refused("authenticate", json!({"token": old}), "token_expired").await;
    bo.refused("create_chat", json!({"userIds": [1_000_000]}), "user_not_found").await;
    let mut limited = 0;
    for text in 0..60 {
        let sent = kim.request("send_message", send(&text.to_string(), json!({}))).await;
        limited += usize::from(sent.is_err());
    }
    assert!(limited > 0);
    // The ends.
    let again = app.connect(&customer("kim")).await;
    assert_eq!(kim.expect("goodbye").await["reason"], "replaced");
    app.post(&admin("ada"), &format!("/users/{}/block", again.user_id()), json!({})).await.is(200);
    let mut kim = again;
    assert_eq!(kim.expect("goodbye").await["reason"], "blocked");
    ada.expect("presence").await;
    assert_eq!(end(&app, ada.session_id()).await.status, 204);
    assert_eq!(ada.expect("goodbye").await["reason"], "signed_out");
    app.operate(&["user", "set-role", &bo.user_id().to_string(), "customer"], "");
    assert_eq!(bo.expect("goodbye").await["reason"], "role_changed");
    let soon = customer("lee").token_with(&json!({"exp": now() + 3}));
    let mut lee = app.connecting().bearer(&soon).welcomed().await;
    assert_eq!(lee.expect("goodbye").await["reason"], "token_expired");

    let unmet: Vec<_> = unmet().into_iter().filter(|name| !ELSEWHERE.contains(&&**name)).collect();
    assert!(unmet.is_empty(), "described, and in no traffic: {unmet:?}");
}
