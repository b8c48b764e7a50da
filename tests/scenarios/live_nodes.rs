//! Live states of users of another node, and the end of a node.

use std::time::Duration;

use frontdesk::domain::Timings;

use crate::support::{
    Node, TestApp, TestClient, Value, admin, customer, eventually, json, postgres_scenarios,
};

postgres_scenarios! {
    whatever_lives_crosses_nodes_on_postgresql [
        "cluster.poll_ms" = 60_000, "limits.presence_grace_ms" = 100
    ],
    whatever_lives_crosses_nodes_over_redis [
        "cluster.poll_ms" = 60_000, "limits.presence_grace_ms" = 100,
        "redis.url" = crate::support::redis::url(),
        "redis.prefix" = crate::support::broker::prefix()
    ],
    a_message_of_another_node_needs_no_read ["cluster.poll_ms" = 60_000],
    new_chats_and_blocks_reach_another_node_at_once ["cluster.poll_ms" = 60_000],
    a_node_that_starts_later_knows_who_is_online,
    who_moves_to_another_node_in_time_was_never_away ["limits.presence_grace_ms" = 2_000],
    a_node_that_ends_hands_its_users_over ["limits.presence_grace_ms" = 2_000],
    the_users_of_a_node_that_is_lost_are_offline_and_were_seen_last ["limits.presence_grace_ms" = 100],
}

/// Waits until both nodes know each other.
async fn met(one: &Node, other: &Node) {
    eventually("the nodes hear each other", || async {
        let peers = (one.metric("frontdesk_peers").await, other.metric("frontdesk_peers").await);
        (peers == (1.0, 1.0)).then_some(())
    })
    .await;
}

/// Waits until `client` is told that a user is online, or not: by the answer, or by news.
async fn sees(client: &mut TestClient, chat: i64, user: i64, online: bool) {
    let shown = client.enter(chat).await["online"].clone();
    if shown.as_array().is_some_and(|ids| ids.contains(&json!(user))) != online {
        let news = json!({"chatId": chat, "userId": user, "online": online});
        assert_eq!(client.expect("presence").await, news);
    }
}

/// The ids of the viewers in an event.
fn viewers(event: &Value) -> Vec<i64> {
    let users = event["users"].as_array().expect("users");
    users.iter().map(|user| user["id"].as_i64().expect("an id")).collect()
}

async fn whatever_lives_crosses_nodes_on_postgresql(app: TestApp) {
    crosses(app).await;
}

async fn whatever_lives_crosses_nodes_over_redis(app: TestApp) {
    crosses(app).await;
}

async fn crosses(app: TestApp) {
    let other = app.another_node().await;
    met(&app, &other).await;
    let (person, agent) = (customer("kim"), admin("ada"));
    let mut kim = app.connect(&person).await;
    let mut tablet = other.connect(&person).await;
    let mut ada = other.connect(&agent).await;
    let mut phone = app.connect(&agent).await;
    let (chat, id) = (kim.chat(), kim.user_id());
    sees(&mut ada, chat, id, true).await;

    for typing in [true, false] {
        kim.ask("typing", json!({"chatId": chat, "typing": typing})).await;
        let heard = ada.expect("typing").await;
        assert_eq!(heard, json!({"chatId": chat, "userId": id, "typing": typing}));
    }
    ada.say(chat, "hello").await;
    kim.hears("hello").await;
    tablet.hears("hello").await;
    kim.say(chat, "hello back").await;
    ada.hears("hello back").await;
    ada.ask("read_message", json!({"chatId": chat, "seq": 2})).await;
    let mark = json!({"chatId": chat, "userId": ada.user_id(), "seq": 2});
    assert_eq!(kim.expect("message_read").await, mark);
    assert_eq!(phone.expect("message_read").await, mark, "in the room or not");

    ada.expect("viewers").await;
    phone.ask("view_chat", json!({"chatId": chat})).await;
    assert_eq!(viewers(&ada.expect("viewers").await), [ada.user_id()]);
    phone.close().await;
    assert_eq!(viewers(&ada.expect("viewers").await), [0; 0]);

    kim.close().await;
    ada.has_not_heard("presence").await;
    tablet.close().await;
    let offline = json!({"chatId": chat, "userId": id, "online": false});
    assert_eq!(ada.expect("presence").await, offline);
    eventually("the first node knows", || async {
        let shown = app.get(&agent, &format!("/chats/{chat}")).await.is(200);
        (shown["online"] == json!([])).then_some(())
    })
    .await;
    let again = app.connect(&person).await;
    assert_eq!(ada.expect("presence").await["online"], true);
    drop(again);
}

async fn a_message_of_another_node_needs_no_read(app: TestApp) {
    let other = app.another_node().await;
    met(&app, &other).await;
    let mut kim = app.connect(&customer("kim")).await;
    let mut ada = other.connect(&admin("ada")).await;
    let chat = kim.chat();
    ada.enter(chat).await;
    for n in 1..=20 {
        kim.say(chat, &format!("question {n}")).await;
        ada.hears(&format!("question {n}")).await;
        ada.say(chat, &format!("answer {n}")).await;
        kim.hears(&format!("answer {n}")).await;
    }
    for node in [&*app, &other] {
        assert_eq!(node.metric("frontdesk_holes_repaired_total").await, 0.0);
    }
}

async fn new_chats_and_blocks_reach_another_node_at_once(app: TestApp) {
    let other = app.another_node().await;
    met(&app, &other).await;
    let (agent, person) = (admin("ada"), customer("lee"));
    let mut watcher = other.connect(&agent).await;
    watcher.ask("watch_chats", json!({"watch": true})).await;
    let mut kim = app.connect(&customer("kim")).await;
    assert_eq!(watcher.expect("chat_created").await["id"], kim.chat());
    kim.say(kim.chat(), "hello").await;
    assert_eq!(watcher.expect("chat_updated").await["lastSeq"], 1);

    let mut lee = other.connect(&person).await;
    watcher.expect("chat_created").await;
    let mut bob = app.connect(&admin("bob")).await;
    let group = bob.ask("create_chat", json!({"userIds": [lee.user_id()]})).await;
    assert_eq!(lee.expect("chat_created").await["id"], group["id"]);
    let path = format!("/users/{}/block", lee.user_id());
    app.post(&agent, &path, json!({})).await.is(200);
    assert_eq!(lee.expect("goodbye").await["reason"], "blocked");
}

async fn a_node_that_starts_later_knows_who_is_online(app: TestApp) {
    let kim = app.connect(&customer("kim")).await;
    let mut bob = app.connect(&admin("bob")).await;
    let (chat, id) = (kim.chat(), kim.user_id());
    bob.ask("view_chat", json!({"chatId": chat})).await;
    let other = app.another_node().await;
    let mut ada = other.connect(&admin("ada")).await;
    sees(&mut ada, chat, id, true).await;
    while viewers(&ada.expect("viewers").await) != [bob.user_id()] {}
}

async fn who_moves_to_another_node_in_time_was_never_away(app: TestApp) {
    let other = app.another_node().await;
    met(&app, &other).await;
    let person = customer("kim");
    let mut kim = app.connect(&person).await;
    let mut ada = other.connect(&admin("ada")).await;
    let mut bob = app.connect(&admin("bob")).await;
    let (chat, id) = (kim.chat(), kim.user_id());
    sees(&mut ada, chat, id, true).await;
    bob.enter(chat).await;
    for node in [&other, &*app, &other] {
        kim.close().await;
        kim = node.connect(&person).await;
    }
    // Longer than the grace of the last end.
    tokio::time::sleep(Duration::from_millis(2_500)).await;
    kim.say(chat, "still here").await;
    for client in [&mut ada, &mut bob] {
        client.hears("still here").await;
        client.has_not_heard("presence").await;
    }
}

async fn a_node_that_ends_hands_its_users_over(app: TestApp) {
    let mut other = app.another_node().await;
    met(&app, &other).await;
    let (kim, lee) = (customer("kim"), customer("lee"));
    let mut stays = other.connect(&kim).await;
    let goes = other.connect(&lee).await;
    let chats = [stays.chat(), goes.chat()];
    let mut ada = app.connect(&admin("ada")).await;
    sees(&mut ada, chats[0], stays.user_id(), true).await;
    sees(&mut ada, chats[1], goes.user_id(), true).await;
    let stopping = tokio::task::spawn_blocking(move || other.stop());
    stays.expect("goodbye").await;
    let mut kim = app.connect(&kim).await;
    stopping.await.expect("it stops");
    let offline = json!({"chatId": chats[1], "userId": goes.user_id(), "online": false});
    assert_eq!(ada.expect("presence").await, offline, "who does not come back");
    kim.say(chats[0], "still here").await;
    ada.hears("still here").await;
    ada.has_not_heard("presence").await;
}

async fn the_users_of_a_node_that_is_lost_are_offline_and_were_seen_last(app: TestApp) {
    let soon = Timings {
        node_heartbeat: Duration::from_millis(100),
        node_silence: Duration::from_millis(500),
        ..Timings::default()
    };
    let app = app.with_timings(soon).await;
    let agent = admin("ada");
    let mut other = app.another_process().await;
    met(&app, &other).await;
    let kim = other.connect(&customer("kim")).await;
    let mut bob = other.connect(&admin("bob")).await;
    let (chat, id) = (kim.chat(), kim.user_id());
    bob.ask("view_chat", json!({"chatId": chat})).await;
    let mut ada = app.connect(&agent).await;
    sees(&mut ada, chat, id, true).await;
    other.kill();
    // The process has the heartbeat of production: it may have counted as lost before, for a moment.
    let offline = json!({"chatId": chat, "userId": id, "online": false});
    assert_eq!(ada.expect("presence").await, offline);
    while !viewers(&ada.expect("viewers").await).is_empty() {}
    let path = format!("/users/{id}");
    eventually("the time is written", || async {
        let gone = app.get(&agent, &path).await.is(200);
        (gone["online"] == false && gone["lastSeenAt"].is_string()).then_some(())
    })
    .await;
}
