//! Commands of other services.

use crate::support::{
    TestApp, TestBroker, Value, admin, assert_keys, assert_run, bus_node_scenarios, bus_scenarios,
    customer, eventually, json,
};

bus_scenarios! {
    a_user_is_found_by_id_and_by_subject,
    a_chat_is_found_by_id_and_by_its_customer,
    chats_are_listed_page_by_page,
    messages_are_read_page_by_page_in_both_orders,
    a_service_speaks_as_a_bot_and_is_heard,
    a_message_to_a_customer_makes_their_chat,
    a_message_sent_twice_is_stored_once,
    a_service_speaks_as_whom_it_says,
    a_user_is_online_while_they_have_a_session,
    a_push_reaches_those_it_is_for_and_nobody_else,
    a_push_of_a_bad_event_is_refused,
    a_bad_request_names_the_path,
}

bus_node_scenarios! {
    a_request_finds_users_of_every_node,
}

/// The server's queue, once the server reads it.
pub async fn served(broker: &TestBroker) -> String {
    let queue = broker.own("frontdesk");
    eventually("the server reads its queue", || async {
        broker.depth(&queue).await.filter(|(_, consumers)| *consumers > 0)
    })
    .await;
    queue
}

/// Asks, and is granted it.
pub async fn ask(broker: &TestBroker, cmd: &str, data: Value) -> Value {
    let queue = broker.own("frontdesk");
    let mut answer = broker.ask(&queue, json!({"cmd": cmd}), data.clone()).await;
    assert_keys(&answer, &["response", "isDisposed"]);
    assert_eq!(answer["isDisposed"], true, "{cmd} {data}: {answer}");
    answer["response"].take()
}

/// Asks, and is refused; the error.
pub async fn refused(broker: &TestBroker, cmd: &str, data: Value, code: &str) -> Value {
    let queue = broker.own("frontdesk");
    let mut answer = broker.ask(&queue, json!({"cmd": cmd}), data.clone()).await;
    assert_keys(&answer, &["err", "isDisposed"]);
    assert_eq!(answer["isDisposed"], true, "{cmd} {data}: {answer}");
    assert_keys(&answer["err"], &["status", "code", "message"]);
    let expected = (&json!("error"), &json!(code));
    assert_eq!((&answer["err"]["status"], &answer["err"]["code"]), expected, "{cmd} {data}");
    answer["err"].take()
}

fn seqs(page: &Value) -> Vec<i64> {
    let messages = page["data"].as_array().expect("a page has data");
    messages.iter().map(|message| message["seq"].as_i64().expect("a seq")).collect()
}

async fn a_user_is_found_by_id_and_by_subject(app: TestApp) {
    let broker = app.broker().await;
    served(&broker).await;
    let kim = app.connect(&customer("kim")).await;
    let id = kim.user_id();
    let me = app.get(&customer("kim"), "/users/me").await.is(200);
    for data in [
        json!({"id": id}),
        json!({"userId": id.to_string()}),
        json!({"subject": "kim"}),
        json!({"subject": "kim", "issuer": ""}),
    ] {
        assert_eq!(ask(&broker, "get_user", data).await, me);
    }
    for data in
        [json!({"id": 999}), json!({"subject": "lee"}), json!({"subject": "kim", "issuer": "x"})]
    {
        refused(&broker, "get_user", data, "user_not_found").await;
    }
    for data in [
        json!({}),
        json!({"id": 1, "subject": "kim"}),
        json!({"id": "x"}),
        json!({"id": 1, "userId": 1}),
    ] {
        refused(&broker, "get_user", data, "bad_request").await;
    }
}

async fn a_chat_is_found_by_id_and_by_its_customer(app: TestApp) {
    let broker = app.broker().await;
    served(&broker).await;
    let mut kim = app.connect(&customer("kim")).await;
    let chat = kim.chat();
    kim.say(chat, "hello").await;
    let found = ask(&broker, "get_chat", json!({"id": chat})).await;
    assert_eq!((&found["id"], &found["lastMessage"]["message"]), (&json!(chat), &json!("hello")));
    assert_eq!(found["members"][0]["email"], "kim@example.org", "a service sees what admins see");
    assert_eq!((found.get("readSeq"), found.get("unread")), (None, None), "nobody has read it");
    for data in [json!({"chatId": chat.to_string()}), json!({"userId": kim.user_id()})] {
        assert_eq!(ask(&broker, "get_chat", data).await, found);
    }
    let ada = app.connect(&admin("ada")).await;
    for data in [json!({"id": 999}), json!({"userId": 999}), json!({"userId": ada.user_id()})] {
        refused(&broker, "get_chat", data, "chat_not_found").await;
    }
    refused(&broker, "get_chat", json!({}), "bad_request").await;
}

async fn chats_are_listed_page_by_page(app: TestApp) {
    let broker = app.broker().await;
    served(&broker).await;
    let mut expected = Vec::new();
    for name in ["kim", "lee", "max", "ned", "ola"] {
        let mut client = app.connect(&customer(name)).await;
        client.say(client.chat(), "hello").await;
        expected.insert(0, client.chat());
    }
    let ids = |page: &Value| -> Vec<i64> {
        let chats = page["data"].as_array().expect("a page has data");
        chats.iter().map(|chat| chat["id"].as_i64().expect("an id")).collect()
    };
    let (mut listed, mut after) = (Vec::new(), Value::Null);
    loop {
        let page = ask(&broker, "list_chats", json!({"limit": 2, "after": after})).await;
        assert_keys(&page, &["data", "cursor", "count"]);
        listed.extend(ids(&page));
        after = page["cursor"]["after"].clone();
        if after.is_null() {
            break;
        }
    }
    assert_eq!(listed, expected, "the latest active first");
    let upwards = ask(&broker, "list_chats", json!({"order": "asc"})).await;
    expected.reverse();
    assert_eq!((ids(&upwards), &upwards["count"]), (expected, &json!(5)));

    let kim = app.connect(&customer("kim")).await;
    let own = ask(&broker, "list_chats", json!({"userId": kim.user_id()})).await;
    assert_eq!(ids(&own), [kim.chat()]);
    let first = ask(&broker, "list_chats", json!({"limit": 1})).await;
    let cursor = &first["cursor"]["after"];
    for data in [
        json!({"limit": 0}),
        json!({"limit": 101}),
        json!({"order": "up"}),
        json!({"after": "x"}),
        json!({"after": cursor, "order": "asc"}),
        json!({"after": cursor, "userId": kim.user_id()}),
    ] {
        refused(&broker, "list_chats", data, "bad_request").await;
    }
}

async fn messages_are_read_page_by_page_in_both_orders(app: TestApp) {
    let broker = app.broker().await;
    served(&broker).await;
    let mut kim = app.connect(&customer("kim")).await;
    let chat = kim.chat();
    for i in 1..=7 {
        kim.say(chat, &format!("message {i}")).await;
    }
    let newest = ask(&broker, "get_messages", json!({"chatId": chat})).await;
    assert_eq!(seqs(&newest), [7, 6, 5, 4, 3, 2, 1]);
    let history = app.history(&admin("ada"), chat).await;
    assert_eq!(newest["data"][0], history[6], "a message looks as it does over HTTP");

    let (mut read, mut after) = (Vec::new(), Value::Null);
    loop {
        let data = json!({"chatId": chat, "limit": 3, "order": "asc", "after": after});
        let page = ask(&broker, "get_messages", data).await;
        read.extend(seqs(&page));
        after = page["cursor"]["after"].clone();
        if after.is_null() {
            break;
        }
    }
    assert_run(&read, 1, 7);
    let between = json!({"chatId": chat.to_string(), "afterSeq": 2, "beforeSeq": "6"});
    assert_eq!(seqs(&ask(&broker, "get_messages", between).await), [5, 4, 3]);
    let beyond = json!({"chatId": chat, "afterSeq": 7});
    assert_eq!(ask(&broker, "get_messages", beyond).await["count"], 0);
    // A cursor belongs to the bounds that it was given for.
    let page = |after_seq: i64, after: &Value| json!({"chatId": chat, "limit": 2, "afterSeq": after_seq, "after": after});
    let first = ask(&broker, "get_messages", page(3, &Value::Null)).await;
    let after = &first["cursor"]["after"];
    assert_eq!(seqs(&ask(&broker, "get_messages", page(3, after)).await), [5, 4]);
    refused(&broker, "get_messages", page(2, after), "bad_request").await;
    refused(&broker, "get_messages", json!({"chatId": 999}), "chat_not_found").await;
    let error =
        refused(&broker, "get_messages", json!({"chatId": chat, "afterSeq": -1}), "bad_request");
    assert_eq!(error.await["message"], "data.afterSeq: must not be negative");
}

async fn a_service_speaks_as_a_bot_and_is_heard(app: TestApp) {
    let broker = app.broker().await;
    served(&broker).await;
    let mut kim = app.connect(&customer("kim")).await;
    let chat = kim.chat();
    kim.say(chat, "is anybody there?").await;
    let sent = ask(&broker, "send_message", json!({"chatId": chat, "message": "I am"})).await;
    assert_keys(&sent, &["id", "chatId", "seq", "clientId", "createdAt", "duplicate"]);
    assert_eq!((&sent["seq"], &sent["duplicate"]), (&json!(2), &json!(false)));
    let heard = kim.hears("I am").await;
    assert_eq!((&heard["id"], &heard["seq"]), (&sent["id"], &json!(2)));
    assert_eq!(heard["author"]["role"], "bot");
    assert_run(&kim.run_to(chat, 2).await, 1, 2);
    let moved = json!({"chatId": chat, "message": "late", "expectSeq": 1});
    refused(&broker, "send_message", moved, "chat_moved").await;
    let nowhere = json!({"chatId": 999, "message": "hello?"});
    refused(&broker, "send_message", nowhere, "chat_not_found").await;
}

async fn a_message_to_a_customer_makes_their_chat(app: TestApp) {
    let broker = app.broker().await;
    served(&broker).await;
    let ada = admin("ada");
    let mut watcher = app.connect(&ada).await;
    watcher.ask("watch_chats", json!({"watch": true})).await;
    let made = app.post(&ada, "/users", json!({"subject": "kim"})).await.is(201);
    let to_kim = |text: &str| json!({"userId": made["id"], "message": text});
    let sent = ask(&broker, "send_message", to_kim("welcome")).await;
    assert_eq!(watcher.expect("chat_created").await["id"], sent["chatId"]);
    let again = ask(&broker, "send_message", to_kim("and again")).await;
    assert_eq!((&again["chatId"], &again["seq"]), (&sent["chatId"], &json!(2)));
    let kim = app.connect(&customer("kim")).await;
    assert_eq!(json!(kim.chat()), sent["chatId"]);

    let nobody = json!({"userId": 999, "message": "welcome"});
    refused(&broker, "send_message", nobody, "user_not_found").await;
    let colleague = json!({"userId": watcher.user_id(), "message": "welcome"});
    refused(&broker, "send_message", colleague, "chat_not_found").await;
    for data in [json!({"message": "to whom?"}), json!({"chatId": 1, "userId": 1, "message": "x"})]
    {
        refused(&broker, "send_message", data, "bad_request").await;
    }
}

async fn a_message_sent_twice_is_stored_once(app: TestApp) {
    let broker = app.broker().await;
    let queue = served(&broker).await;
    let kim = app.connect(&customer("kim")).await;
    let chat = kim.chat();
    let named = json!({"chatId": chat, "message": "once", "clientId": "c-1"});
    let first = ask(&broker, "send_message", named.clone()).await;
    let second = ask(&broker, "send_message", named).await;
    assert_eq!((&second["id"], &second["duplicate"]), (&first["id"], &json!(true)));
    let other = json!({"chatId": chat, "message": "other", "clientId": "c-1"});
    refused(&broker, "send_message", other, "client_id_reused").await;

    // Without a name of its own it is known by the request's.
    let data = json!({"chatId": chat, "message": "twice delivered"});
    let body = json!({"pattern": {"cmd": "send_message"}, "data": data, "id": "r-1"}).to_string();
    let mut answers = Vec::new();
    for _ in 0..2 {
        let answer = broker.ask_raw(&queue, "r-1", body.as_bytes()).await.next().await;
        answers.push(answer.body["response"].clone());
    }
    assert_eq!(answers[0]["clientId"], "rpc-r-1");
    assert_eq!((&answers[1]["id"], &answers[1]["duplicate"]), (&answers[0]["id"], &json!(true)));
    // An empty name is missing, and two that are too long differ at their ends.
    let long = "x".repeat(100);
    let ids = [json!(null), json!(null), json!(""), json!(format!("{long}1")), json!(long + "2")];
    for (id, text) in ids.into_iter().zip(["a", "b", "c", "d", "e"]) {
        let data = json!({"chatId": chat, "message": text});
        let body = json!({"pattern": {"cmd": "send_message"}, "data": data, "id": id}).to_string();
        let answer = broker.ask_raw(&queue, "r-2", body.as_bytes()).await.next().await;
        assert_eq!(answer.body["response"]["duplicate"], false, "{}", answer.body);
    }
    let history = app.history(&customer("kim"), chat).await;
    let texts: Vec<_> = history.iter().map(|message| &message["message"]).collect();
    assert_eq!(texts, ["once", "twice delivered", "a", "b", "c", "d", "e"]);
}

async fn a_service_speaks_as_whom_it_says(app: TestApp) {
    let broker = app.broker().await;
    served(&broker).await;
    let mut kim = app.connect(&customer("kim")).await;
    let chat = kim.chat();
    let mut authors = Vec::new();
    for author in [
        json!(null),
        json!({"role": "bot", "name": "faq", "nickname": "Help"}),
        json!({"name": "faq"}),
        json!({"role": "system", "name": "faq"}),
    ] {
        let data = json!({"chatId": chat, "message": "hello", "author": author});
        ask(&broker, "send_message", data).await;
        authors.push(kim.hears("hello").await["author"].clone());
    }
    assert_eq!(authors[1], authors[2], "role and name make one author, who keeps the nickname");
    assert_eq!((&authors[1]["nickname"], &authors[3]["role"]), (&json!("Help"), &json!("system")));
    assert_ne!(authors[0]["id"], authors[1]["id"]);
    assert_ne!(authors[3]["id"], authors[1]["id"]);
    for author in
        [json!({"role": "admin"}), json!({"role": "customer"}), json!({"name": ""}), json!([])]
    {
        let data = json!({"chatId": chat, "message": "hello", "author": author});
        refused(&broker, "send_message", data, "bad_request").await;
    }
    // Who is blocked is quiet.
    let path = format!("/users/{}/block", authors[1]["id"]);
    app.post(&admin("ada"), &path, json!({})).await.is(200);
    let data = json!({"chatId": chat, "message": "still here", "author": {"name": "faq"}});
    refused(&broker, "send_message", data, "forbidden").await;
}

async fn a_user_is_online_while_they_have_a_session(app: TestApp) {
    let broker = app.broker().await;
    served(&broker).await;
    let kim = app.connect(&customer("kim")).await;
    let user = kim.user_id();
    let online = ask(&broker, "is_online", json!({"userId": user})).await;
    assert_eq!(online, json!({"userId": user, "online": true}));
    kim.close().await;
    eventually("kim is gone", || async {
        let online = ask(&broker, "is_online", json!({"id": user.to_string()})).await;
        (online == json!({"userId": user, "online": false})).then_some(())
    })
    .await;
    refused(&broker, "is_online", json!({}), "bad_request").await;
}

async fn a_push_reaches_those_it_is_for_and_nobody_else(app: TestApp) {
    let broker = app.broker().await;
    served(&broker).await;
    let mut phone = app.connect(&customer("kim")).await;
    let mut laptop = app.connect(&customer("kim")).await;
    let mut lee = app.connect(&customer("lee")).await;
    let user = phone.user_id().to_string();
    let data = json!({"event": "order_paid", "data": {"n": 1.50, "é": [null]}, "userId": user});
    assert_eq!(ask(&broker, "push", data).await, json!({}));
    for device in [&mut phone, &mut laptop] {
        assert_eq!(device.expect("order_paid").await, json!({"n": 1.50, "é": [null]}));
    }
    lee.has_not_heard("order_paid").await;

    let data = json!({"event": "one", "data": "just you", "sessionId": phone.session_id()});
    ask(&broker, "push", data).await;
    assert_eq!(phone.expect("one").await, "just you");
    ask(&broker, "push", json!({"event": "all", "all": true})).await;
    for session in [&mut phone, &mut laptop, &mut lee] {
        assert_eq!(session.expect("all").await, Value::Null);
        session.has_not_heard("one").await;
    }
}

async fn a_push_of_a_bad_event_is_refused(app: TestApp) {
    let broker = app.broker().await;
    served(&broker).await;
    let mut kim = app.connect(&customer("kim")).await;
    for event in ["", "receive_message", "recv", "ack", "welcome", &"x".repeat(65)] {
        let error = refused(&broker, "push", json!({"event": event, "all": true}), "bad_request");
        let message = error.await["message"].clone();
        assert!(message.as_str().expect("a message").starts_with("data.event: "), "{message}");
    }
    for data in [
        json!({"event": "e"}),
        json!({"event": "e", "all": false}),
        json!({"event": "e", "all": true, "userId": 1}),
        json!({"event": "e", "sessionId": "x"}),
        json!({"all": true}),
    ] {
        refused(&broker, "push", data, "bad_request").await;
    }
    let large = json!({"event": "e", "data": "x".repeat(131_072), "all": true});
    refused(&broker, "push", large, "too_large").await;
    kim.has_not_heard("e").await;
}

async fn a_bad_request_names_the_path(app: TestApp) {
    let broker = app.broker().await;
    served(&broker).await;
    for (cmd, data, path) in [
        ("get_messages", json!({"chatId": []}), "data.chatId: "),
        ("get_messages", json!({}), "data.chatId: is missing"),
        ("get_messages", json!([1]), "data: "),
        ("get_messages", json!({"chatId": 1, "limit": 101}), "data.limit: "),
        ("send_message", json!({"chatId": 1, "message": " "}), "data.message: "),
        ("send_message", json!({"chatId": 1, "message": "x", "clientId": ""}), "data.clientId: "),
        (
            "send_message",
            json!({"chatId": 1, "message": "x", "author": {"role": 1}}),
            "data.author.role: ",
        ),
    ] {
        let error = refused(&broker, cmd, data.clone(), "bad_request").await;
        let message = error["message"].as_str().expect("a message");
        assert!(message.starts_with(path), "{cmd} {data}: {message}");
    }
}

async fn a_request_finds_users_of_every_node(app: TestApp) {
    let broker = app.broker().await;
    served(&broker).await;
    let other = app.another_node().await;
    let (mut here, mut there) =
        (app.connect(&customer("kim")).await, other.connect(&customer("lee")).await);
    // Either node answers, and the nodes have to meet first.
    eventually("both are online, whoever is asked", || async {
        for user in [here.user_id(), there.user_id()] {
            for _ in 0..4 {
                // It is `unavailable` to ask a node that has not met anybody yet.
                let data = json!({"userId": user});
                let answer =
                    broker.ask(&broker.own("frontdesk"), json!({"cmd": "is_online"}), data).await;
                if answer["response"]["online"] != true {
                    return None;
                }
            }
        }
        Some(())
    })
    .await;
    for n in 0..4 {
        let session = there.session_id();
        ask(&broker, "push", json!({"event": "one", "data": n, "sessionId": session})).await;
        assert_eq!(there.expect("one").await, n);
        ask(&broker, "push", json!({"event": "all", "data": n, "all": true})).await;
        assert_eq!((here.expect("all").await, there.expect("all").await), (json!(n), json!(n)));
        ask(&broker, "push", json!({"event": "user", "userId": there.user_id()})).await;
        there.expect("user").await;
    }
    here.has_not_heard("one").await;
    here.has_not_heard("user").await;
}
