//! The same message sent again: stored once, for ever.

use crate::support::{
    Person, Reply, TestApp, TestClient, Value, admin, all, assert_run, customer, json,
    postgres_scenarios, scenarios,
};

scenarios! {
    a_message_sent_again_is_the_first_one,
    a_message_sent_again_at_once_is_stored_once,
    a_message_sent_again_over_http_is_the_first_one,
    a_message_sent_again_after_a_restart_is_the_first_one,
    a_client_id_stands_for_one_text,
    a_client_id_is_its_authors_and_its_chats,
    a_duplicate_moves_no_position,
}

postgres_scenarios! {
    a_message_sent_again_to_another_node_is_the_first_one,
    what_a_killed_server_acked_is_there on one node "its server is a process of its own",
}

/// A message of the customer whose only chat it is.
fn hello(client_id: &str) -> Value {
    json!({"message": "hello", "clientId": client_id})
}

/// Asserts that `again` tells of the message that `first` told of.
#[track_caller]
fn assert_same(first: &Value, again: &Value) {
    for field in ["id", "chatId", "seq", "clientId", "createdAt"] {
        assert_eq!(first[field], again[field], "{field}");
    }
    assert_eq!(again["duplicate"], true);
}

async fn a_message_sent_again_is_the_first_one(app: TestApp) {
    let mut phone = app.connect(&customer("kim")).await;
    let mut laptop = app.connect(&customer("kim")).await;
    let mut ada = app.connect(&admin("ada")).await;
    let chat = phone.chat();
    ada.enter(chat).await;
    let first = phone.ask("send_message", hello("one")).await;
    phone.say(chat, "another").await;
    assert_same(&first, &phone.ask("send_message", hello("one")).await);
    assert_same(&first, &laptop.ask("send_message", hello("one")).await);
    phone.say(chat, "the last").await;

    assert_eq!(app.history(&admin("ada"), chat).await.len(), 3);
    assert_eq!(ada.run_to(chat, 3).await, [1, 2, 3], "a duplicate is told to nobody");
    assert_eq!(laptop.run_to(chat, 3).await, [1, 2, 3]);
}

async fn a_message_sent_again_at_once_is_stored_once(app: TestApp) {
    let kim = customer("kim");
    let mut clients = all((0..10).map(|_| app.connect(&kim))).await;
    let chat = clients[0].chat();
    let acks: Vec<Value> = all(clients.iter_mut().map(|client| async {
        // Three in flight on each of ten connections.
        let mut ids = Vec::new();
        for _ in 0..3 {
            ids.push(client.submit("send_message", hello("one")).await);
        }
        let mut acks = Vec::new();
        for id in ids {
            acks.push(client.answer(&id).await.expect("an ack"));
        }
        acks
    }))
    .await
    .concat();
    let firsts: Vec<_> = acks.iter().filter(|ack| ack["duplicate"] == false).collect();
    assert_eq!(firsts.len(), 1, "one of thirty is new");
    for ack in acks.iter().filter(|ack| ack["duplicate"] != false) {
        assert_same(firsts[0], ack);
    }
    assert_eq!(app.history(&admin("ada"), chat).await.len(), 1);
}

/// Posts as a client of HTTP does.
async fn post(app: &TestApp, who: &Person, chat: i64, key: &str, body: Value) -> Reply {
    let request = app.request_of(who, reqwest::Method::POST, &format!("/chats/{chat}/messages"));
    app.send(request.header("idempotency-key", key).json(&body)).await
}

async fn a_message_sent_again_over_http_is_the_first_one(app: TestApp) {
    let kim = customer("kim");
    let mut client = app.connect(&kim).await;
    let chat = client.chat();
    let first = client.ask("send_message", hello("one")).await;
    let text = json!({"message": "hello"});
    assert_same(&first, &post(&app, &kim, chat, "one", text.clone()).await.is(200));
    let over_http = post(&app, &kim, chat, "two", text.clone()).await.is(201);
    assert_eq!((&over_http["seq"], &over_http["clientId"]), (&json!(2), &json!("two")));
    assert_same(&over_http, &post(&app, &kim, chat, "two", text).await.is(200));
    assert_same(&over_http, &client.ask("send_message", hello("two")).await);

    let other_text = json!({"message": "other"});
    post(&app, &kim, chat, "two", other_text).await.problem(409, "client_id_reused");
    // Both keys, and the same one.
    assert_same(&over_http, &post(&app, &kim, chat, "two", hello("two")).await.is(200));
    post(&app, &kim, chat, "three", hello("two")).await.problem(400, "bad_request");
    post(&app, &kim, chat, &"k".repeat(65), json!({"message": "x"}))
        .await
        .problem(400, "bad_request");
    assert_eq!(app.history(&kim, chat).await.len(), 2);
}

async fn a_message_sent_again_after_a_restart_is_the_first_one(mut app: TestApp) {
    let first = app.connect(&customer("kim")).await.ask("send_message", hello("one")).await;
    app.restart().await;
    let mut kim = app.connect(&customer("kim")).await;
    assert_same(&first, &kim.ask("send_message", hello("one")).await);
    assert_eq!(kim.say(kim.chat(), "new").await["seq"], 2);
}

async fn a_client_id_stands_for_one_text(app: TestApp) {
    let mut kim = app.connect(&customer("kim")).await;
    kim.ask("send_message", hello("one")).await;
    let other = json!({"message": "other", "clientId": "one"});
    kim.refused("send_message", other, "client_id_reused").await;
    // In one batch too.
    let first = kim.submit("send_message", hello("two")).await;
    let second = kim.submit("send_message", json!({"message": "other", "clientId": "two"})).await;
    assert!(kim.answer(&first).await.is_ok());
    assert_eq!(kim.answer(&second).await.expect_err("reused")["code"], "client_id_reused");
    assert_eq!(app.history(&customer("kim"), kim.chat()).await.len(), 2);
    assert_eq!(kim.say(kim.chat(), "no hole").await["seq"], 3);
}

async fn a_client_id_is_its_authors_and_its_chats(app: TestApp) {
    let mut kim = app.connect(&customer("kim")).await;
    let mut lee = app.connect(&customer("lee")).await;
    let mut ada = app.connect(&admin("ada")).await;
    let said = async |client: &mut TestClient, chat: i64| {
        let data = json!({"chatId": chat, "message": "hello", "clientId": "one"});
        let ack = client.ask("send_message", data).await;
        (ack["seq"].as_i64(), ack["duplicate"].as_bool())
    };
    let (kims, lees) = (kim.chat(), lee.chat());
    assert_eq!(said(&mut kim, kims).await, (Some(1), Some(false)));
    assert_eq!(said(&mut ada, kims).await, (Some(2), Some(false)), "another author's");
    assert_eq!(said(&mut lee, lees).await, (Some(1), Some(false)), "in another chat");
    assert_eq!(said(&mut ada, lees).await, (Some(2), Some(false)), "in another chat");
}

async fn a_duplicate_moves_no_position(app: TestApp) {
    let mut kim = app.connect(&customer("kim")).await;
    let mut ada = app.connect(&admin("ada")).await;
    let chat = kim.chat();
    kim.ask("send_message", hello("one")).await;
    for i in 2..=30 {
        kim.submit("send_message", hello("one")).await;
        ada.submit("send_message", json!({"chatId": chat, "message": format!("{i}")})).await;
        kim.submit("send_message", hello("one")).await;
    }
    assert_run(&kim.run_to(chat, 30).await, 1, 30);
}

async fn a_message_sent_again_to_another_node_is_the_first_one(app: TestApp) {
    let other = app.another_node().await;
    let mut here = app.connect(&customer("kim")).await;
    let mut there = other.connect(&customer("kim")).await;
    let first = here.ask("send_message", hello("one")).await;
    assert_same(&first, &there.ask("send_message", hello("one")).await);

    // At the same moment, again and again: one of the two is new.
    for i in 0..50 {
        let data = hello(&format!("at once {i}"));
        let (one, two) = tokio::join!(
            here.request("send_message", data.clone()),
            there.request("send_message", data),
        );
        let (one, two) = (one.expect("an ack"), two.expect("an ack"));
        assert_eq!((&one["id"], &one["seq"]), (&two["id"], &two["seq"]));
        assert_ne!(one["duplicate"], two["duplicate"]);
    }
    assert_eq!(app.history(&customer("kim"), here.chat()).await.len(), 51);
}

async fn what_a_killed_server_acked_is_there(app: TestApp) {
    let kim = customer("kim");
    let mut process = app.another_process().await;
    let mut client = process.connect(&kim).await;
    let chat = client.chat();
    let mut ids = Vec::new();
    for i in 0..200 {
        let data = json!({"message": format!("message {i}"), "clientId": format!("{i}")});
        ids.push((i, client.submit("send_message", data).await));
    }
    // Killed while most are in flight.
    let mut acked = Vec::new();
    for (i, id) in &ids[..20] {
        acked.push((*i, client.answer(id).await.expect("an ack")));
    }
    process.kill();

    let mut again = app.connect(&kim).await;
    for (i, ack) in &acked {
        let data = json!({"message": format!("message {i}"), "clientId": format!("{i}")});
        assert_same(ack, &again.ask("send_message", data).await);
    }
    // What was not answered is sent again, and is there once.
    for (i, _) in &ids[20..] {
        let data = json!({"message": format!("message {i}"), "clientId": format!("{i}")});
        again.ask("send_message", data).await;
    }
    let history = app.history(&kim, chat).await;
    let seqs: Vec<_> =
        history.iter().map(|message| message["seq"].as_i64().expect("a seq")).collect();
    assert_run(&seqs, 1, 200);
}
