//! A session's rights by its token and by the stored role, and its end when they change.

use crate::support::tokens::now;
use crate::support::{
    Person, TestApp, TestClient, Value, admin, bus_scenarios, customer, json, postgres_scenarios,
    scenarios,
};
use crate::users_in::{called, heard};

scenarios! {
    who_became_an_admin_after_a_change_is_let_in_as_one,
    an_agents_session_ends_when_its_role_becomes_less,
    a_session_stays_when_the_stored_role_rises,
    a_session_ends_by_its_own_fresh_token_that_is_less,
    two_devices_with_different_tokens_do_not_throw_each_other_out,
}

bus_scenarios! {
    a_role_that_a_service_set_is_not_raised_by_what_came_before
        ["rabbitmq.users_queue" = "users"],
}

postgres_scenarios! {
    a_time_still_to_come_freezes_nobody [
        "rabbitmq.url" = crate::support::broker::url(),
        "rabbitmq.prefix" = crate::support::broker::prefix(),
        "rabbitmq.users_queue" = "users"
    ],
}

/// The same user with a token of another role.
fn as_customer(person: &Person) -> Person {
    Person { role: "customer", ..person.clone() }
}

async fn with(app: &TestApp, person: &Person, claims: Value) -> TestClient {
    app.connecting().bearer(&person.token_with(&claims)).welcomed().await
}

/// Reads the goodbye of who may do less now, and the close.
async fn ends_by_the_role(session: &mut TestClient) {
    assert_eq!(session.expect("goodbye").await["reason"], "role_changed");
    assert_eq!(session.closed().await, 4401);
}

/// Waits until the node has read in the journal what was written before.
async fn journal_is_read(app: &TestApp) {
    let max = admin("max");
    let mut session = app.connect(&max).await;
    app.connect(&as_customer(&max)).await;
    ends_by_the_role(&mut session).await;
}

async fn an_agents_session_ends_when_its_role_becomes_less(app: TestApp) {
    let other = app.another_node().await;
    let ada = admin("ada");
    let (mut here, mut there) = (app.connect(&ada).await, other.connect(&ada).await);
    // A token that says nothing of the role goes by what is stored.
    let mut silent = with(&app, &ada, json!({"role": null})).await;
    assert_eq!(silent.welcome["user"]["role"], "admin");
    let mut demoted = app.connect(&as_customer(&ada)).await;
    for session in [&mut here, &mut there, &mut silent] {
        ends_by_the_role(session).await;
    }
    demoted.say(demoted.chat(), "I stay").await;
}

async fn a_session_stays_when_the_stored_role_rises(app: TestApp) {
    let ada = admin("ada");
    let mut said = app.connect(&as_customer(&ada)).await;
    let mut silent = with(&app, &ada, json!({"role": null})).await;
    assert_eq!(silent.welcome["user"]["role"], "customer");
    let agent = app.connect(&ada).await;
    assert_eq!(agent.welcome["user"]["role"], "admin");
    journal_is_read(&app).await;
    for session in [&mut said, &mut silent] {
        session.say(session.chat(), "as before").await;
        session.refused("watch_chats", json!({"watch": true}), "forbidden").await;
    }
}

async fn a_session_ends_by_its_own_fresh_token_that_is_less(app: TestApp) {
    let ada = admin("ada");
    let mut session = app.connect(&ada).await;
    let mut older = with(&app, &ada, json!({"iat": now() - 100})).await;
    // One that was issued earlier changes nothing that is stored, but is all that the session has.
    let token = as_customer(&ada).token_with(&json!({"iat": now() - 100}));
    let ack = older.ask("authenticate", json!({"token": token})).await;
    assert!(ack["expiresAt"].is_string());
    ends_by_the_role(&mut older).await;
    journal_is_read(&app).await;
    session.ask("ping", json!({})).await;
    let token = as_customer(&ada).token();
    session.ask("authenticate", json!({"token": token})).await;
    ends_by_the_role(&mut session).await;
}

async fn two_devices_with_different_tokens_do_not_throw_each_other_out(app: TestApp) {
    let ada = admin("ada");
    let early = json!({"iat": now() - 100});
    let mut agent = app.connect(&ada).await;
    let mut shopper = with(&app, &as_customer(&ada), early.clone()).await;
    assert_eq!(shopper.welcome["user"]["role"], "customer");
    let fresh = as_customer(&ada).token_with(&early);
    for _ in 0..3 {
        shopper.ask("authenticate", json!({"token": fresh})).await;
        agent.ask("authenticate", json!({"token": ada.token()})).await;
    }
    journal_is_read(&app).await;
    let chat = shopper.chat();
    agent.enter(chat).await;
    shopper.say(chat, "as a customer").await;
    assert_eq!(agent.hears("as a customer").await["author"]["role"], "customer");
    agent.say(chat, "as an admin").await;
    assert_eq!(shopper.hears("as an admin").await["author"]["role"], "admin");
    shopper.refused("watch_chats", json!({"watch": true}), "forbidden").await;
}

async fn a_role_that_a_service_set_is_not_raised_by_what_came_before(app: TestApp) {
    let broker = app.broker().await;
    let queue = heard(&broker).await;
    let ada = admin("ada");
    let timeless = json!({"iat": null});
    let mut agent = with(&app, &ada, timeless.clone()).await;
    assert_eq!(agent.welcome["user"]["role"], "admin");
    broker.emit(&queue, "user.updated", json!({"id": "ada", "role": "customer"})).await;
    ends_by_the_role(&mut agent).await;
    for claims in [timeless, json!({"iat": now() - 100})] {
        let again = with(&app, &ada, claims.clone()).await;
        assert_eq!(again.welcome["user"]["role"], "customer", "{claims}");
    }
    // One that was issued later does.
    let later = with(&app, &ada, json!({"iat": now() + 5})).await;
    assert_eq!(later.welcome["user"]["role"], "admin");
}

async fn a_time_still_to_come_freezes_nobody(app: TestApp) {
    let broker = app.broker().await;
    let queue = heard(&broker).await;
    let kim = customer("kim");
    app.connect(&kim).await;
    let database = app.database().connect().await;
    let freeze = async || {
        let frozen = "UPDATE users SET claims_at = 4102444800, role_set_at = 4102444800 \
                      WHERE subject = 'kim'";
        database.batch_execute(frozen).await.expect("frozen");
    };
    freeze().await;
    let mended = with(&app, &kim, json!({"nickname": "Kay", "role": "admin"})).await;
    assert_eq!(mended.welcome["user"]["nickname"], "Kay");
    assert_eq!(mended.welcome["user"]["role"], "admin");
    freeze().await;
    let news = json!({"id": "kim", "nickname": "Kimberly", "role": "customer"});
    broker.emit(&queue, "user.updated", news).await;
    assert_eq!(called(&app, "kim", "Kimberly").await["role"], "customer");
}

/// News of a user from before does not count against a session that knows better.
async fn who_became_an_admin_after_a_change_is_let_in_as_one(app: TestApp) {
    let lee = admin("lee");
    let first = app.connect(&lee).await;
    let user = first.user_id().to_string();
    let block = format!("/users/{user}/block");
    app.post(&admin("ada"), &block, json!({})).await.is(200);
    app.post(&admin("ada"), &block.replace("/block", "/unblock"), json!({})).await.is(200);
    app.operate(&["user", "set-role", &user, "customer"], "");
    app.operate(&["user", "set-role", &user, "admin"], "");
    for _ in 0..5 {
        let mut again = app.connect(&lee).await;
        assert_eq!(again.welcome["user"]["role"], "admin");
        again.request("ping", json!({})).await.expect("it stays");
    }
}
