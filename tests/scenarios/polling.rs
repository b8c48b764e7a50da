//! Messages that nobody told of, found by polling. The scenario writes as another node would, and
//! sends no hints.

use std::time::Duration;

use frontdesk::domain::Timings;
use tokio_postgres::Client;

use crate::support::{
    TestApp, TestClient, admin, assert_run, customer, eventually, json, lock_awaited,
    postgres_scenarios,
};

postgres_scenarios! {
    a_message_is_found_whose_commit_took_long ["cluster.poll_ms" = 20],
    who_watches_while_a_poll_is_under_way_hears_of_what_it_finds ["cluster.poll_ms" = 20]
        on one node "it holds up the poll of one",
    what_was_written_during_an_outage_is_found ["cluster.poll_ms" = 20],
}

/// Polls do not go back behind what is certain.
fn exact() -> Timings {
    Timings { poll_overlap: Duration::ZERO, ..Timings::default() }
}

/// Writes a message to a customer's chat.
async fn write(sql: &Client, client: &TestClient, seq: i64, text: &str) {
    let (chat, author) = (client.chat(), client.user_id());
    let statements = format!(
        "UPDATE chats SET last_seq = {seq}, updated_at = clock_timestamp(), \
         active_minute = floor(extract(epoch FROM clock_timestamp()) / 60) WHERE id = {chat}; \
         INSERT INTO messages (chat_id, seq, author_id, body, client_id, created_at) \
         VALUES ({chat}, {seq}, {author}, '{text}', '{text}', clock_timestamp())"
    );
    sql.batch_execute(&statements).await.expect("a message");
}

async fn a_message_is_found_whose_commit_took_long(app: TestApp) {
    let app = app.with_timings(exact()).await;
    let mut kim = app.connect(&customer("kim")).await;
    let mut lee = app.connect(&customer("lee")).await;
    let (slow, quick) = (app.database().connect().await, app.database().connect().await);
    slow.batch_execute("BEGIN").await.expect("a transaction");
    write(&slow, &kim, 1, "slow").await;
    // Each is found by a poll of its own, and polls are one after the other.
    for seq in 1..=3 {
        write(&quick, &lee, seq, &format!("quick {seq}")).await;
        lee.hears(&format!("quick {seq}")).await;
    }
    slow.batch_execute("COMMIT").await.expect("a commit");
    kim.hears("slow").await;
}

async fn who_watches_while_a_poll_is_under_way_hears_of_what_it_finds(app: TestApp) {
    let app = app.with_timings(exact()).await;
    let kim = app.connect(&customer("kim")).await;
    let mut ada = app.connect(&admin("ada")).await;
    let slow = app.database().connect().await;
    slow.batch_execute("BEGIN; LOCK TABLE chats").await.expect("a lock");
    lock_awaited(app.database()).await;
    ada.ask("watch_chats", json!({"watch": true})).await;
    write(&slow, &kim, 1, "found").await;
    slow.batch_execute("COMMIT").await.expect("a commit");
    assert_eq!(ada.expect("chat_updated").await["lastSeq"], 1);
}

/// Waits until so many more polls have failed.
async fn polls_fail(app: &TestApp, polls: f64) {
    let before = app.metric("frontdesk_poll_failures_total").await;
    eventually("polls fail", || async {
        (app.metric("frontdesk_poll_failures_total").await >= before + polls).then_some(())
    })
    .await;
}

async fn what_was_written_during_an_outage_is_found(app: TestApp) {
    let app = app.with_timings(exact()).await.behind_a_proxy().await;
    let mut kim = app.connect(&customer("kim")).await;
    let mut ada = app.connect(&admin("ada")).await;
    ada.ask("watch_chats", json!({"watch": true})).await;
    let sql = app.database().connect().await;
    write(&sql, &kim, 1, "before").await;
    kim.hears("before").await;
    assert_eq!(ada.expect("chat_updated").await["lastSeq"], 1);
    app.proxy().down();
    polls_fail(&app, 1.0).await;
    for seq in 2..=4 {
        write(&sql, &kim, seq, &format!("during {seq}")).await;
    }
    // They are older than several polls when the database is back.
    polls_fail(&app, 20.0).await;
    app.proxy().up();
    assert_run(&kim.run_to(kim.chat(), 4).await, 1, 4);
    while ada.expect("chat_updated").await["lastSeq"] != 4 {}
}
