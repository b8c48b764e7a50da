//! A panic costs the work in flight of the actor that panicked, and the next message works.

use crate::support::{
    TestApp, TestClient, Value, admin, assert_run, customer, eventually, json, scenarios,
};

scenarios! {
    a_room_that_panics_is_replaced,
    an_executor_that_panics_is_replaced,
    a_session_that_panics_ends_alone,
    what_was_in_flight_in_a_room_is_answered,
    what_was_in_flight_at_an_executor_is_answered,
}

/// Executors that may be there: more on PostgreSQL, one on SQLite.
const EXECUTORS: usize = 4;

/// The customer and an admin in one room.
async fn set_up(app: &TestApp) -> (TestClient, TestClient, i64) {
    let kim = app.connect(&customer("kim")).await;
    let mut ada = app.connect(&admin("ada")).await;
    let chat = kim.chat();
    ada.enter(chat).await;
    (kim, ada, chat)
}

fn crash_executors(app: &TestApp) {
    for executor in 0..EXECUTORS {
        app.crash_executor(executor);
    }
}

fn message(chat: i64, name: &str) -> Value {
    json!({"chatId": chat, "message": name, "clientId": name})
}

/// Waits until that many panics have been counted.
async fn panicked(app: &TestApp, times: usize) {
    eventually("the panic is counted", || async {
        (app.panics().await >= times as f64).then_some(())
    })
    .await;
}

async fn a_room_that_panics_is_replaced(app: TestApp) {
    let (mut kim, mut ada, chat) = set_up(&app).await;
    for round in 1..=10 {
        app.crash_room(chat);
        panicked(&app, round).await;
        kim.insist("send_message", message(chat, &format!("question {round}"))).await;
        ada.insist("send_message", message(chat, &format!("answer {round}"))).await;
    }
    assert_run(&kim.run_to(chat, 20).await, 1, 20);
    assert_run(&ada.run_to(chat, 20).await, 1, 20);
    // Who comes now comes into the same room.
    let mut laptop = app.resume(&customer("kim"), &format!("{chat}:0")).await;
    ada.say(chat, "all here?").await;
    assert_run(&laptop.run_to(chat, 21).await, 1, 21);
}

async fn an_executor_that_panics_is_replaced(app: TestApp) {
    let (mut kim, mut ada, chat) = set_up(&app).await;
    for round in 1..=10 {
        crash_executors(&app);
        panicked(&app, round).await;
        kim.insist("send_message", message(chat, &format!("question {round}"))).await;
        ada.insist("send_message", message(chat, &format!("answer {round}"))).await;
    }
    assert_run(&kim.run_to(chat, 20).await, 1, 20);
    assert_run(&ada.run_to(chat, 20).await, 1, 20);
}

async fn a_session_that_panics_ends_alone(app: TestApp) {
    let (mut kim, mut ada, chat) = set_up(&app).await;
    let mut laptop = app.connect(&customer("kim")).await;
    kim.say(chat, "before").await;
    app.crash_session(kim.session_id());
    let code = kim.closed().await;
    assert!([1006, 1011].contains(&code), "closed with {code}");
    panicked(&app, 1).await;
    laptop.say(chat, "the other device").await;
    assert_run(&ada.run_to(chat, 2).await, 1, 2);
    let mut kim = app.resume(&customer("kim"), &format!("{chat}:1")).await;
    kim.hears("the other device").await;
    kim.say(chat, "after").await;
    assert_run(&ada.run_to(chat, 3).await, 1, 3);
}

/// Has kim write while `crash` is called again and again, and asserts that each message is answered
/// once, is stored once, and is seen by everybody in its place.
async fn crashing(app: &TestApp, crash: impl Fn(i64)) {
    const ROUNDS: usize = 10;
    const EACH: usize = 20;
    let (mut kim, mut ada, chat) = set_up(app).await;
    for round in 0..ROUNDS {
        let mut sent = Vec::new();
        for i in 0..EACH {
            let name = format!("{round}/{i}");
            sent.push((kim.submit("send_message", message(chat, &name)).await, name));
            if i == EACH / 2 {
                crash(chat);
            }
        }
        for (id, name) in sent {
            if let Err(exception) = kim.answer(&id).await {
                assert_eq!(exception["code"], "unavailable", "{exception}");
                kim.insist("send_message", message(chat, &name)).await;
            }
        }
    }
    let last = (ROUNDS * EACH) as i64;
    let history = app.history(&admin("ada"), chat).await;
    assert_eq!(history.len(), ROUNDS * EACH, "each is stored once");
    let mut names: Vec<_> = history.iter().map(|message| message["clientId"].to_string()).collect();
    names.sort();
    names.dedup();
    assert_eq!(names.len(), ROUNDS * EACH);
    assert_run(&ada.run_to(chat, last).await, 1, last);
    assert_run(&kim.run_to(chat, last).await, 1, last);
    assert!(app.panics().await >= 1.0);
}

async fn what_was_in_flight_in_a_room_is_answered(app: TestApp) {
    crashing(&app, |chat| app.crash_room(chat)).await;
}

async fn what_was_in_flight_at_an_executor_is_answered(app: TestApp) {
    crashing(&app, |_| crash_executors(&app)).await;
}
