//! A database that goes away: said so, survived, and found out about.

use crate::support::client::assert_exception;
use crate::support::{
    Cut, TestApp, TestClient, Value, admin, assert_run, customer, eventually, json,
    postgres_scenarios,
};

postgres_scenarios! {
    without_its_database_the_desk_is_unavailable,
    what_is_sent_again_after_an_outage_is_stored_once,
    an_outage_in_mid_stream_leaves_no_hole,
    who_comes_during_an_outage_comes_later,
    an_unknown_outcome_of_a_commit_is_found_out,
}

fn message(name: &str) -> Value {
    json!({"message": name, "clientId": name})
}

/// The app behind a proxy, with the customer and an admin in one room.
async fn set_up(app: TestApp) -> (TestApp, TestClient, TestClient, i64) {
    let app = app.behind_a_proxy().await;
    let mut kim = app.connect(&customer("kim")).await;
    let mut ada = app.connect(&admin("ada")).await;
    let chat = kim.chat();
    ada.enter(chat).await;
    kim.ask("send_message", message("before")).await;
    ada.hears("before").await;
    (app, kim, ada, chat)
}

async fn is_ready(app: &TestApp) -> bool {
    app.try_get("/readyz").await.is_some_and(|reply| reply.status == 200)
}

async fn without_its_database_the_desk_is_unavailable(app: TestApp) {
    let (app, mut kim, _ada, chat) = set_up(app).await;
    app.proxy().down();
    let exception = kim.request("send_message", message("during")).await.expect_err("no database");
    assert_exception(&exception, "unavailable");
    let data = json!({"chatId": chat, "seq": 1});
    kim.refused("read_message", data, "unavailable").await;
    let path = format!("/chats/{chat}/messages");
    app.get(&customer("kim"), &path).await.problem(503, "unavailable");
    let body = message("over HTTP");
    app.post(&customer("kim"), &path, body).await.problem(503, "unavailable");
    app.connecting().bearer(&customer("lee").token()).refused(503, "unavailable").await;
    assert!(!is_ready(&app).await, "without a database nothing is ready");
    assert_eq!(app.try_get("/healthz").await.expect("it lives").status, 200);
    // What needs no database works.
    kim.ask("ping", json!({})).await;

    app.proxy().up();
    eventually("it is ready again", || async { is_ready(&app).await.then_some(()) }).await;
    kim.insist("send_message", message("after")).await;
    app.get(&customer("kim"), &path).await.is(200);
    app.connect(&customer("lee")).await;
    assert!(app.panics().await < 1.0);
}

async fn what_is_sent_again_after_an_outage_is_stored_once(app: TestApp) {
    let (app, mut kim, mut ada, chat) = set_up(app).await;
    for round in 0..3 {
        app.proxy().down();
        let name = format!("during {round}");
        let exception = kim.request("send_message", message(&name)).await.expect_err("no database");
        assert_exception(&exception, "unavailable");
        app.proxy().up();
        kim.insist("send_message", message(&name)).await;
        let again = kim.ask("send_message", message(&name)).await;
        assert_eq!(again["duplicate"], true);
    }
    assert_eq!(app.history(&customer("kim"), chat).await.len(), 4);
    assert_run(&ada.run_to(chat, 4).await, 1, 4);
    assert_run(&kim.run_to(chat, 4).await, 1, 4);
}

async fn an_outage_in_mid_stream_leaves_no_hole(app: TestApp) {
    const ROUNDS: usize = 5;
    const EACH: usize = 30;
    let (app, mut kim, mut ada, chat) = set_up(app).await;
    for round in 0..ROUNDS {
        let mut sent = Vec::new();
        for i in 0..EACH {
            let name = format!("{round}/{i}");
            sent.push((kim.submit("send_message", message(&name)).await, name));
            if i == EACH / 2 {
                app.proxy().down();
            }
        }
        app.proxy().up();
        for (id, name) in sent {
            if let Err(exception) = kim.answer(&id).await {
                assert_exception(&exception, "unavailable");
                kim.insist("send_message", message(&name)).await;
            }
        }
    }
    let last = (ROUNDS * EACH + 1) as i64;
    assert_run(&ada.run_to(chat, last).await, 1, last);
    assert_run(&kim.run_to(chat, last).await, 1, last);
    assert_eq!(app.history(&admin("ada"), chat).await.len(), ROUNDS * EACH + 1);
}

async fn who_comes_during_an_outage_comes_later(app: TestApp) {
    let (app, ..) = set_up(app).await;
    app.proxy().down();
    let mut early = app.authenticate(json!({"token": customer("lee").token()})).await;
    let exception = early.answer(&json!("hello")).await.expect_err("no database");
    assert_exception(&exception, "unavailable");
    assert_eq!(early.closed().await, 1013);
    app.proxy().up();
    eventually("lee comes in", || async {
        app.connecting().bearer(&customer("lee").token()).attempt().await.ok()
    })
    .await;
    assert_eq!(app.connect(&customer("lee")).await.say_first().await["seq"], 1);
}

impl TestClient {
    async fn say_first(mut self) -> Value {
        self.say(self.chat(), "first").await
    }
}

async fn an_unknown_outcome_of_a_commit_is_found_out(app: TestApp) {
    let (app, mut kim, mut ada, chat) = set_up(app).await;
    for round in 0..5 {
        app.proxy().cut(Cut::AfterCommit);
        let mut sent = Vec::new();
        for i in 0..4 {
            sent.push(kim.submit("send_message", message(&format!("{round}/{i}"))).await);
        }
        for id in sent {
            // It was committed; nobody said so, and yet the answer is the truth.
            let ack = kim.answer(&id).await.expect("it is found out, not guessed");
            assert_eq!(ack["duplicate"], false);
        }
        assert!(app.proxy().is_cut(), "no commit came by");
    }
    assert_run(&kim.run_to(chat, 21).await, 1, 21);
    assert_run(&ada.run_to(chat, 21).await, 1, 21);
    assert_eq!(app.history(&customer("kim"), chat).await.len(), 21);
}
