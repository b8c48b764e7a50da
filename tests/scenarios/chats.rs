//! Chats of customers and admins, and their visibility.

use std::time::Instant;

use reqwest::Method;

use crate::support::client::assert_exception;
use crate::support::{
    TestApp, TestClient, Value, admin, all, assert_keys, customer, json, postgres_scenarios,
    scenarios,
};

scenarios! {
    fifty_connections_of_a_new_customer_make_one_chat,
    a_customer_and_an_admin_talk,
    an_admin_enters_every_chat,
    an_admin_who_has_not_entered_hears_nothing,
    to_a_customer_a_foreign_chat_is_as_missing,
    a_customer_cannot_leave_the_own_chat,
    only_an_admin_watches,
    a_customer_finds_the_own_chat_and_makes_no_other,
    a_watching_admin_hears_of_a_new_chat,
    an_admin_who_no_longer_watches_hears_nothing,
    a_watching_admin_hears_where_a_chat_stands,
    a_watching_admin_hears_of_this_nodes_commits_at_once ["cluster.poll_ms" = 60_000],
}

postgres_scenarios! {
    fifty_connections_to_two_nodes_make_one_chat,
    a_chat_of_another_node_is_announced_before_it_moves,
}

async fn fifty_connections_of_a_new_customer_make_one_chat(app: TestApp) {
    let kim = customer("kim");
    let clients = all((0..50).map(|_| app.connect(&kim))).await;
    for client in &clients {
        assert_eq!((client.user_id(), client.chat()), (clients[0].user_id(), clients[0].chat()));
        assert_eq!(client.welcome["chats"].as_array().map(Vec::len), Some(1));
    }
    assert_eq!(app.list(&admin("ada"), "/chats").await.len(), 1);
}

async fn fifty_connections_to_two_nodes_make_one_chat(app: TestApp) {
    let (kim, other) = (customer("kim"), app.another_node().await);
    let (here, there) = tokio::join!(
        all((0..25).map(|_| app.connect(&kim))),
        all((0..25).map(|_| other.connect(&kim))),
    );
    for client in here.iter().chain(&there) {
        assert_eq!((client.user_id(), client.chat()), (here[0].user_id(), here[0].chat()));
    }
    assert_eq!(app.list(&admin("ada"), "/chats").await.len(), 1);
}

async fn a_customer_and_an_admin_talk(app: TestApp) {
    let mut kim = app.connect(&customer("kim")).await;
    let mut ada = app.connect(&admin("ada")).await;
    let chat = kim.chat();
    ada.enter(chat).await;
    kim.say(chat, "is anybody there?").await;
    ada.hears("is anybody there?").await;
    ada.say(chat, "always").await;
    let answer = kim.hears("always").await;
    assert_eq!(answer["author"], json!({"id": ada.user_id(), "nickname": "Ada", "role": "admin"}));
    assert_eq!(answer["seq"], 2);
}

async fn an_admin_enters_every_chat(app: TestApp) {
    let mut ada = app.connect(&admin("ada")).await;
    let mut customers = Vec::new();
    for name in ["kim", "lee", "max"] {
        customers.push(app.connect(&customer(name)).await);
    }
    // Two that exist already and one that is made now, when the admin has long been connected.
    customers.push(app.connect(&customer("new")).await);
    let chats: Vec<_> = customers.iter().map(|client| client.chat()).collect();
    let ack = ada.ask("enter_chat", json!({"chatIds": chats})).await;
    let entered: Vec<_> =
        ack["chats"].as_array().expect("chats").iter().map(|c| &c["chatId"]).collect();
    assert_eq!(
        entered,
        chats.iter().map(|chat| json!(chat)).collect::<Vec<_>>().iter().collect::<Vec<_>>()
    );
    for entry in ack["chats"].as_array().expect("chats") {
        let keys = [
            "chatId",
            "lastSeq",
            "readSeq",
            "unread",
            "online",
            "reads",
            "replayed",
            "replayedTo",
            "truncated",
            "reset",
        ];
        assert_keys(entry, &keys);
    }
    for client in &mut customers {
        client.say(client.chat(), "hello").await;
        ada.hears("hello").await;
    }
}

async fn an_admin_who_has_not_entered_hears_nothing(app: TestApp) {
    let mut kim = app.connect(&customer("kim")).await;
    let mut ada = app.connect(&admin("ada")).await;
    ada.say(kim.chat(), "how can I help?").await;
    kim.hears("how can I help?").await;
    kim.say(kim.chat(), "with this").await;
    ada.has_not_heard("receive_message").await;
}

async fn to_a_customer_a_foreign_chat_is_as_missing(app: TestApp) {
    let mut lee = app.connect(&customer("lee")).await;
    lee.say(lee.chat(), "a secret").await;
    let person = customer("kim");
    let mut kim = app.connect(&person).await;
    let (own, foreign, missing) = (kim.chat(), lee.chat(), 999_999_i64);

    // What is said of the one must be what is said of the other, but for its number.
    let alike = |of_foreign: &Value, of_missing: &Value| {
        let masked = |value: &Value, chat: i64| value.to_string().replace(&chat.to_string(), "N");
        assert_eq!(masked(of_foreign, foreign), masked(of_missing, missing));
    };
    type Asking = (&'static str, fn(i64) -> Value);
    let asking: [Asking; 4] = [
        ("enter_chat", |chat| json!({"chatIds": [chat]})),
        ("enter_chat", |chat| json!({"chats": [{"chatId": chat, "afterSeq": 0}]})),
        ("send_message", |chat| json!({"chatId": chat, "message": "let me in"})),
        ("read_message", |chat| json!({"chatId": chat, "seq": 1})),
    ];
    for (event, data) in asking {
        let of_foreign = kim.refused(event, data(foreign), "chat_not_found").await;
        let of_missing = kim.refused(event, data(missing), "chat_not_found").await;
        alike(&of_foreign, &of_missing);
    }
    let left = async |kim: &mut TestClient, chat: i64| {
        let answer = kim.request("leave_chat", json!({"chatIds": [chat]})).await;
        answer.unwrap_or_else(|exception| exception)
    };
    alike(&left(&mut kim, foreign).await, &left(&mut kim, missing).await);
    let both = json!({"chatIds": [own, foreign]});
    kim.refused("enter_chat", both, "chat_not_found").await;

    let requests: [(Method, &str, Value); 4] = [
        (Method::GET, "", Value::Null),
        (Method::GET, "/messages", Value::Null),
        (Method::POST, "/messages", json!({"message": "let me in"})),
        (Method::PUT, "/read", json!({"seq": 1})),
    ];
    for (method, path, body) in requests {
        let of = async |chat: i64| {
            let path = format!("/chats/{chat}{path}");
            let request = app.request_of(&person, method.clone(), &path).json(&body);
            app.send(request).await.problem(404, "chat_not_found")
        };
        alike(&of(foreign).await, &of(missing).await);
    }
    assert_eq!(app.list(&person, "/chats").await.len(), 1);
    lee.say(lee.chat(), "still a secret").await;
    kim.has_not_heard("receive_message").await;
    lee.has_not_heard("receive_message").await;
}

async fn a_customer_cannot_leave_the_own_chat(app: TestApp) {
    let mut kim = app.connect(&customer("kim")).await;
    let chat = kim.chat();
    kim.refused("leave_chat", json!({"chatIds": [chat]}), "forbidden").await;
    app.connect(&admin("ada")).await.say(chat, "still there?").await;
    kim.hears("still there?").await;
}

async fn only_an_admin_watches(app: TestApp) {
    let mut kim = app.connect(&customer("kim")).await;
    kim.refused("watch_chats", json!({"watch": true}), "forbidden").await;
    let mut ada = app.connect(&admin("ada")).await;
    assert_eq!(ada.ask("watch_chats", json!({"watch": true})).await, json!({}));
    app.connect(&customer("lee")).await;
    ada.expect("chat_created").await;
    kim.has_not_heard("chat_created").await;
}

async fn a_customer_finds_the_own_chat_and_makes_no_other(app: TestApp) {
    let mut lee = app.connect(&customer("lee")).await;
    let mut kim = app.connect(&customer("kim")).await;
    let chat = kim.ask("create_chat", json!({})).await;
    assert_eq!((&chat["id"], &chat["kind"]), (&json!(kim.chat()), &json!("support")));
    let others = json!({"userIds": [lee.user_id()]});
    let exception = kim.request("create_chat", others).await.expect_err("customers make no groups");
    assert_exception(&exception, "forbidden");
    lee.has_not_heard("chat_created").await;
}

async fn a_watching_admin_hears_of_a_new_chat(app: TestApp) {
    let mut ada = app.connect(&admin("ada")).await;
    let mut bob = app.connect(&admin("bob")).await;
    ada.ask("watch_chats", json!({"watch": true})).await;
    let kim = app.connect(&customer("kim")).await;
    let chat = ada.expect("chat_created").await;
    let keys =
        ["id", "kind", "title", "lastSeq", "lastMessage", "members", "createdAt", "updatedAt"];
    assert_keys(&chat, &keys);
    assert_eq!((&chat["id"], &chat["kind"]), (&json!(kim.chat()), &json!("support")));
    assert_eq!((&chat["title"], &chat["lastSeq"]), (&Value::Null, &json!(0)));
    assert_eq!(chat["lastMessage"], Value::Null);
    assert_eq!(
        chat["members"],
        json!([{"id": kim.user_id(), "nickname": "Kim", "role": "customer", "email": "kim@example.org"}])
    );
    bob.has_not_heard("chat_created").await;
    app.connect(&customer("kim")).await;
    ada.has_not_heard("chat_created").await;
}

async fn a_chat_of_another_node_is_announced_before_it_moves(app: TestApp) {
    let other = app.another_node().await;
    let mut ada = other.connect(&admin("ada")).await;
    ada.ask("watch_chats", json!({"watch": true})).await;
    // Another chat moves first, so that the node has something to compare with.
    let mut lee = app.connect(&customer("lee")).await;
    let chat = lee.chat();
    lee.say(chat, "hello").await;
    ada.expect("chat_updated").await;
    for name in ["kim", "max", "sam", "zoe"] {
        let mut client = app.connect(&customer(name)).await;
        let chat = client.chat();
        client.say(chat, "hello").await;
        let mut heard = Vec::new();
        while heard.len() < 2 {
            let frame = ada.next().await;
            if frame.data["id"] == chat {
                heard.push(frame.event);
            }
        }
        assert_eq!(heard, ["chat_created", "chat_updated"], "{name}");
    }
}

async fn an_admin_who_no_longer_watches_hears_nothing(app: TestApp) {
    let mut ada = app.connect(&admin("ada")).await;
    let mut bob = app.connect(&admin("bob")).await;
    for watcher in [&mut ada, &mut bob] {
        watcher.ask("watch_chats", json!({"watch": true})).await;
    }
    ada.ask("watch_chats", json!({"watch": false})).await;
    app.connect(&customer("kim")).await;
    bob.expect("chat_created").await;
    ada.has_not_heard("chat_created").await;
}

async fn a_watching_admin_hears_of_this_nodes_commits_at_once(app: TestApp) {
    let mut kim = app.connect(&customer("kim")).await;
    let chat = kim.chat();
    kim.say(chat, "before").await;
    let mut ada = app.connect(&admin("ada")).await;
    ada.ask("watch_chats", json!({"watch": true})).await;
    for seq in 2..4 {
        kim.say(chat, "now").await;
        // Far earlier than the poll, which would be too late for this test.
        let updated = ada.expect("chat_updated").await;
        assert_eq!((&updated["id"], &updated["lastSeq"]), (&json!(chat), &json!(seq)));
    }
    let ids = json!([kim.user_id()]);
    let group = ada.ask("create_chat", json!({"userIds": ids, "title": "Group"})).await;
    kim.say(group["id"].as_i64().expect("an id"), "in a new chat").await;
    assert_eq!(ada.expect("chat_updated").await["id"], group["id"]);
}

async fn a_watching_admin_hears_where_a_chat_stands(app: TestApp) {
    const MESSAGES: i64 = 200;
    let mut ada = app.connect(&admin("ada")).await;
    ada.ask("watch_chats", json!({"watch": true})).await;
    let mut kim = app.connect(&customer("kim")).await;
    let (chat, began) = (kim.chat(), Instant::now());
    for i in 1..=MESSAGES {
        kim.say(chat, &format!("message {i}")).await;
    }
    let mut heard = 0;
    let last = loop {
        let updated = ada.expect("chat_updated").await;
        heard += 1;
        assert_eq!(updated["id"], chat);
        if updated["lastSeq"] == MESSAGES {
            break updated;
        }
    };
    let keys =
        ["id", "kind", "title", "lastSeq", "lastMessage", "members", "createdAt", "updatedAt"];
    assert_keys(&last, &keys);
    assert_eq!(last["lastMessage"]["message"], format!("message {MESSAGES}"));
    let allowed = began.elapsed().as_secs() + 2;
    assert!(heard <= allowed, "{heard} updates of one chat, {allowed} seconds were begun");
}
