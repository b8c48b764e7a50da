//! Somebody who is to stay outside.

use crate::support::{TestApp, admin, customer, json, postgres_scenarios, scenarios};

scenarios! {
    who_is_blocked_is_told_and_put_out,
    who_is_unblocked_finds_everything_as_it_was,
}

postgres_scenarios! {
    who_is_blocked_is_put_out_of_every_node,
}

async fn who_is_blocked_is_told_and_put_out(app: TestApp) {
    let (person, ada) = (customer("kim"), admin("ada"));
    let mut phone = app.connect(&person).await;
    let mut laptop = app.connect(&person).await;
    let mut lee = app.connect(&customer("lee")).await;
    let (user, chat) = (phone.user_id(), phone.chat());
    app.post(&ada, &format!("/users/{user}/block"), json!({})).await.is(200);
    for session in [&mut phone, &mut laptop] {
        let goodbye = session.expect("goodbye").await;
        assert_eq!(goodbye["reason"], "blocked");
        assert_eq!(session.closed().await, 4410);
    }
    app.connecting().bearer(&person.token()).refused(403, "forbidden").await;
    app.get(&person, "/chats").await.problem(403, "forbidden");
    let path = format!("/chats/{chat}/messages");
    app.post(&person, &path, json!({"message": "let me in"})).await.problem(403, "forbidden");
    lee.say(lee.chat(), "others are not touched").await;
    // What was said stays, and an admin still answers.
    app.post(&ada, &path, json!({"message": "goodbye"})).await.is(201);
    // A repeat is not an error.
    app.post(&ada, &format!("/users/{user}/block"), json!({})).await.is(200);
}

async fn who_is_unblocked_finds_everything_as_it_was(app: TestApp) {
    let (person, ada) = (customer("kim"), admin("ada"));
    let mut kim = app.connect(&person).await;
    let (user, chat) = (kim.user_id(), kim.chat());
    kim.say(chat, "before").await;
    app.post(&ada, &format!("/users/{user}/block"), json!({})).await.is(200);
    assert_eq!(kim.closed().await, 4410);
    app.post(&ada, &format!("/users/{user}/unblock"), json!({})).await.is(200);
    let mut kim = app.resume(&person, &format!("{chat}:0")).await;
    assert_eq!((kim.user_id(), kim.chat()), (user, chat));
    kim.hears("before").await;
    assert_eq!(kim.say(chat, "after").await["seq"], 2);
}

async fn who_is_blocked_is_put_out_of_every_node(app: TestApp) {
    let other = app.another_node().await;
    let mut there = other.connect(&customer("kim")).await;
    let user = there.user_id();
    app.post(&admin("ada"), &format!("/users/{user}/block"), json!({})).await.is(200);
    assert_eq!(there.expect("goodbye").await["reason"], "blocked");
    assert_eq!(there.closed().await, 4410);
    other.connecting().bearer(&customer("kim").token()).refused(403, "forbidden").await;
}
