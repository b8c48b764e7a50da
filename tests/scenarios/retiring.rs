//! Rooms that nobody is in: retired after a while, and started again by whoever comes.

use std::time::Duration;

use crate::support::{
    Node, TestApp, admin, all, assert_run, customer, eventually, json, lock_awaited,
    postgres_scenarios, scenarios,
};
use frontdesk::domain::Timings;

scenarios! {
    an_idle_room_is_retired_and_the_next_message_starts_another
        on one node "it counts the rooms of a node",
    a_room_that_is_entered_again_in_time_stays on one node "it counts the rooms of a node",
    a_post_that_reaches_a_retired_room_is_stored on one node "it counts the rooms of a node",
    rooms_that_retire_under_fire_lose_nothing,
}

postgres_scenarios! {
    a_room_that_cannot_open_in_time_is_unavailable on one node "it holds up the executor of a node",
}

const SHORT: Duration = Duration::from_millis(50);

/// Rooms end soon after they are empty.
pub fn quick() -> Timings {
    Timings { room_idle: SHORT, drain_grace: SHORT, ..Timings::default() }
}

/// Waits until the node has this many rooms.
pub async fn rooms(node: &Node, count: u32) {
    eventually(&format!("the node has {count} rooms"), || async {
        (node.metric("frontdesk_rooms").await == f64::from(count)).then_some(())
    })
    .await;
}

async fn an_idle_room_is_retired_and_the_next_message_starts_another(app: TestApp) {
    let app = app.with_timings(quick()).await;
    let (person, agent) = (customer("kim"), admin("ada"));
    let mut kim = app.connect(&person).await;
    let chat = kim.chat();
    rooms(&app, 1).await;
    kim.say(chat, "one").await;
    kim.close().await;
    rooms(&app, 0).await;

    let mut ada = app.connect(&agent).await;
    assert_eq!(ada.say(chat, "two").await["seq"], 2);
    // Nobody is in this one, either.
    rooms(&app, 0).await;
    assert_eq!(ada.say(chat, "three").await["seq"], 3);
    let mut kim = app.resume(&person, &format!("{chat}:0")).await;
    assert_run(&kim.run_to(chat, 3).await, 1, 3);
    rooms(&app, 1).await;
    ada.say(chat, "four").await;
    assert_run(&kim.run_to(chat, 4).await, 1, 4);
}

async fn a_room_that_is_entered_again_in_time_stays(app: TestApp) {
    let app = app.with_timings(quick()).await;
    let person = customer("kim");
    let kim = app.connect(&person).await;
    let chat = kim.chat();
    kim.close().await;
    let mut kim = app.connect(&person).await;
    for _ in 0..3 {
        // Its timeout began later than that of Kim's room.
        let lee = app.connect(&customer("lee")).await;
        rooms(&app, 2).await;
        lee.close().await;
        eventually("the other room is retired", || async {
            let rooms = app.metric("frontdesk_rooms").await;
            assert!(rooms >= 1.0, "somebody is in the room");
            (rooms == 1.0).then_some(())
        })
        .await;
    }
    let ada = admin("ada");
    let path = format!("/chats/{chat}/messages");
    app.post(&ada, &path, json!({"message": "still here"})).await.is(201);
    kim.hears("still here").await;
}

async fn a_post_that_reaches_a_retired_room_is_stored(app: TestApp) {
    // A room is retired whenever it is empty, and stays for the whole scenario.
    let stay = Duration::from_secs(120);
    let timings =
        Timings { room_idle: Duration::ZERO, drain_grace: stay, drain_deadline: stay, ..quick() };
    let app = app.with_timings(timings).await;
    let kim = app.connect(&customer("kim")).await;
    let chat = kim.chat();
    kim.close().await;
    // She is not in the room, and knows where it is.
    let mut ada = app.connect(&admin("ada")).await;
    assert_eq!(ada.say(chat, "first").await["seq"], 1);
    let path = format!("/chats/{chat}/messages");
    let last = eventually("another room takes the old one's place", || async {
        let body = json!({"message": "over HTTP"});
        let post = app.post(&admin("bob"), &path, body).await.is(201);
        (app.metric("frontdesk_rooms").await >= 2.0).then(|| post["seq"].as_i64())
    })
    .await
    .expect("a seq");
    assert_eq!(ada.say(chat, "to the old room").await["seq"], last + 1);
    assert_eq!(app.history(&admin("ada"), chat).await.len() as i64, last + 1);
}

async fn rooms_that_retire_under_fire_lose_nothing(app: TestApp) {
    const PEOPLE: usize = 4;
    const EACH: usize = 50;
    let none = Timings { room_idle: Duration::ZERO, ..Timings::default() };
    let app = app.with_timings(none).await;
    let kim = app.connect(&customer("kim")).await;
    let chat = kim.chat();
    kim.close().await;
    let names: Vec<_> = (0..PEOPLE).map(|person| admin(&format!("agent-{person}"))).collect();
    // None of them is in the room: it retires whenever it has answered them all, and each post finds
    // an open room, or one that passes it on, and never one that is gone.
    let acks = all(names.iter().map(|who| async {
        let mut client = app.connect(who).await;
        let mut acks = Vec::new();
        for number in 0..EACH {
            let name = format!("{} {number}", who.subject);
            let data = json!({"chatId": chat, "message": name, "clientId": name});
            acks.push(client.ask("send_message", data).await["seq"].as_i64().expect("a seq"));
        }
        acks
    }))
    .await;
    let mut seqs: Vec<_> = acks.into_iter().flatten().collect();
    seqs.sort_unstable();
    assert_run(&seqs, 1, (PEOPLE * EACH) as i64);
    assert_eq!(app.history(&names[0], chat).await.len(), PEOPLE * EACH);
    rooms(&app, 0).await;
}

async fn a_room_that_cannot_open_in_time_is_unavailable(app: TestApp) {
    let (kim, lee) = (app.connect(&customer("kim")).await, app.connect(&customer("lee")).await);
    let (held, chat) = (kim.chat(), lee.chat());
    kim.close().await;
    lee.close().await;
    // A session has so little time only now that both chats are there. An agent enters none by
    // connecting, and a post over HTTP waits for its room as long as it takes.
    let app = app.with_timings(Timings { room_timeout: SHORT, ..Timings::default() }).await;
    let (mut ada, bo) = (app.connect(&admin("ada")).await, admin("bo"));

    // The one executor waits for the row of Kim's chat, and does not open Lee's room meanwhile.
    let holder = app.database().connect().await;
    let hold = format!("BEGIN; SELECT 1 FROM chats WHERE id = {held} FOR UPDATE");
    holder.batch_execute(&hold).await.expect("the row is free");
    let refusal = async {
        lock_awaited(app.database()).await;
        ada.refused("enter_chat", json!({"chatIds": [chat]}), "unavailable").await;
        holder.batch_execute("COMMIT").await.expect("the row is given back");
    };
    let path = format!("/chats/{held}/messages");
    let (post, ()) = tokio::join!(app.post(&bo, &path, json!({"message": "held"})), refusal);
    post.is(201);
    ada.insist("enter_chat", json!({"chatIds": [chat]})).await;
}
