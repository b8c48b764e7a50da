//! Several devices of one user: each is a session of its own.

use crate::support::{TestApp, admin, customer, json, scenarios};

scenarios! {
    an_author_hears_the_own_message_on_the_other_devices,
    a_device_that_leaves_takes_no_other_with_it,
    an_event_without_an_id_is_answered_only_when_it_fails,
    an_answer_carries_the_id_as_it_came,
}

async fn an_author_hears_the_own_message_on_the_other_devices(app: TestApp) {
    let mut phone = app.connect(&customer("kim")).await;
    let mut laptop = app.connect(&customer("kim")).await;
    let chat = phone.chat();
    phone.say(chat, "from the phone").await;
    let message = laptop.hears("from the phone").await;
    assert_eq!(message["author"]["id"], phone.user_id());
    laptop.say(chat, "from the laptop").await;
    phone.hears("from the laptop").await;
    // The one that sent it has the ack, and nothing else.
    phone.has_not_heard("receive_message").await;
    laptop.has_not_heard("receive_message").await;
    assert_eq!(phone.run(chat), [1, 2]);
    assert_eq!(laptop.run(chat), [1, 2]);
}

async fn a_device_that_leaves_takes_no_other_with_it(app: TestApp) {
    let mut phone = app.connect(&customer("kim")).await;
    let chat = phone.chat();
    let mut ada = app.connect(&admin("ada")).await;
    for _ in 0..3 {
        app.connect(&customer("kim")).await.close().await;
        // Without a word.
        drop(app.connect(&customer("kim")).await);
    }
    ada.say(chat, "still there?").await;
    phone.hears("still there?").await;
    phone.say(chat, "sure").await;
}

async fn an_event_without_an_id_is_answered_only_when_it_fails(app: TestApp) {
    let mut kim = app.connect(&customer("kim")).await;
    let mut ada = app.connect(&admin("ada")).await;
    ada.enter(kim.chat()).await;
    kim.send("send_message", json!({"message": "no answer, please"})).await;
    ada.hears("no answer, please").await;
    kim.send("send_message", json!({"message": 7})).await;
    let exception = kim.expect("exception").await;
    assert_eq!(
        (&exception["code"], &exception["event"]),
        (&json!("bad_request"), &json!("send_message"))
    );
    // The ping's own answer is looked at by the question itself.
    kim.has_not_heard("ack").await;
}

async fn an_answer_carries_the_id_as_it_came(app: TestApp) {
    let mut kim = app.connect(&customer("kim")).await;
    let ids = [
        json!(""),
        json!("é".repeat(64)),
        json!(0),
        json!(-9_007_199_254_740_992_i64),
        json!("7"),
        json!(7),
    ];
    for id in ids {
        kim.send_with_id("ping", json!({}), id.clone()).await;
        let ack = kim.answer(&id).await.expect("an ack");
        assert!(ack["serverTime"].is_string());
        kim.send_with_id("no_such_event", json!({}), id.clone()).await;
        let exception = kim.answer(&id).await.expect_err("an exception");
        assert_eq!(
            (&exception["code"], &exception["event"]),
            (&json!("unknown_event"), &json!("no_such_event"))
        );
        kim.has_not_heard("ack").await;
        kim.has_not_heard("exception").await;
    }
}
