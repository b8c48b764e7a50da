//! Read marks.

use crate::support::{TestApp, TestClient, admin, customer, json, scenarios};

scenarios! {
    a_mark_only_grows,
    a_mark_beyond_the_end_counts_as_the_end,
    who_writes_has_read_up_to_it,
    everyone_has_a_mark_of_their_own,
    a_mark_is_the_same_wherever_it_is_asked_for,
}

/// Says so many things in the own chat.
async fn say(client: &mut TestClient, messages: usize) {
    for i in 1..=messages {
        client.say(client.chat(), &format!("message {i}")).await;
    }
}

async fn a_mark_only_grows(app: TestApp) {
    let mut kim = app.connect(&customer("kim")).await;
    say(&mut kim, 10).await;
    let mut ada = app.connect(&admin("ada")).await;
    let chat = kim.chat();
    for (seq, read, unread) in [(0, 0, 10), (4, 4, 6), (2, 4, 6), (4, 4, 6), (7, 7, 3), (10, 10, 0)]
    {
        let ack = ada.ask("read_message", json!({"chatId": chat, "seq": seq})).await;
        assert_eq!(ack, json!({"readSeq": read, "unread": unread}), "up to {seq}");
    }
}

async fn a_mark_beyond_the_end_counts_as_the_end(app: TestApp) {
    let mut kim = app.connect(&customer("kim")).await;
    say(&mut kim, 3).await;
    let (ada, chat) = (admin("ada"), kim.chat());
    let mut client = app.connect(&ada).await;
    let data = json!({"chatId": chat, "seq": 9_223_372_036_854_775_807_i64});
    assert_eq!(client.ask("read_message", data).await, json!({"readSeq": 3, "unread": 0}));
    kim.say(chat, "one more").await;
    let read = app.put(&ada, &format!("/chats/{chat}/read"), json!({"seq": 3})).await.is(200);
    assert_eq!(read, json!({"readSeq": 3, "unread": 1}), "what came later is unread");
}

async fn who_writes_has_read_up_to_it(app: TestApp) {
    let (person, agent) = (customer("kim"), admin("ada"));
    let mut kim = app.connect(&person).await;
    let mut ada = app.connect(&agent).await;
    let chat = kim.chat();
    say(&mut kim, 3).await;
    let read = app.get(&person, &format!("/chats/{chat}")).await.is(200);
    assert_eq!((&read["readSeq"], &read["unread"]), (&json!(3), &json!(0)));
    ada.say(chat, "an answer").await;
    let read = app.get(&agent, &format!("/chats/{chat}")).await.is(200);
    assert_eq!((&read["readSeq"], &read["unread"]), (&json!(4), &json!(0)));
    let read = app.get(&person, &format!("/chats/{chat}")).await.is(200);
    assert_eq!((&read["readSeq"], &read["unread"]), (&json!(3), &json!(1)));
    // A repeat raises nothing.
    kim.ask("send_message", json!({"message": "again", "clientId": "one"})).await;
    ada.say(chat, "another answer").await;
    kim.ask("send_message", json!({"message": "again", "clientId": "one"})).await;
    let read = app.get(&person, &format!("/chats/{chat}")).await.is(200);
    assert_eq!((&read["readSeq"], &read["unread"]), (&json!(5), &json!(1)));
}

async fn everyone_has_a_mark_of_their_own(app: TestApp) {
    let mut kim = app.connect(&customer("kim")).await;
    say(&mut kim, 5).await;
    let chat = kim.chat();
    let (ada, bob) = (admin("ada"), admin("bob"));
    let read = app.put(&ada, &format!("/chats/{chat}/read"), json!({"seq": 2})).await.is(200);
    assert_eq!(read, json!({"readSeq": 2, "unread": 3}));
    let of_bob = app.get(&bob, &format!("/chats/{chat}")).await.is(200);
    assert_eq!((&of_bob["readSeq"], &of_bob["unread"]), (&json!(0), &json!(5)));
}

async fn a_mark_is_the_same_wherever_it_is_asked_for(app: TestApp) {
    let (person, agent) = (customer("kim"), admin("ada"));
    let mut kim = app.connect(&person).await;
    let mut ada = app.connect(&agent).await;
    let chat = kim.chat();
    for i in 1..=5 {
        ada.say(chat, &format!("message {i}")).await;
    }
    kim.ask("read_message", json!({"chatId": chat, "seq": 3})).await;
    let marks = [
        kim.enter(chat).await,
        app.connect(&person).await.welcomed_to(chat).expect("the own chat").clone(),
        app.resume(&person, &format!("{chat}:5")).await.welcomed_to(chat).expect("it").clone(),
        app.get(&person, &format!("/chats/{chat}")).await.is(200),
        app.list(&person, "/chats").await[0].clone(),
        kim.ask("create_chat", json!({})).await,
    ];
    for mark in marks {
        assert_eq!(
            (&mark["lastSeq"], &mark["readSeq"], &mark["unread"]),
            (&json!(5), &json!(3), &json!(2)),
            "{mark}"
        );
    }
    let read = app.put(&person, &format!("/chats/{chat}/read"), json!({"seq": 1})).await.is(200);
    assert_eq!(read, json!({"readSeq": 3, "unread": 2}));
}
