//! Other services' updates of their users.

use lapin::BasicProperties;
use lapin::options::{QueueDeclareOptions, QueueDeleteOptions};
use lapin::types::{AMQPValue, FieldTable};

use crate::support::{
    TestApp, TestBroker, TestClient, Value, admin, all, bus_scenarios, customer, eventually, json,
    postgres_scenarios,
};

bus_scenarios! {
    a_user_of_another_service_is_made_before_they_come ["rabbitmq.users_queue" = "users"],
    news_change_what_they_name_and_nothing_else ["rabbitmq.users_queue" = "users"],
    news_are_applied_in_their_order ["rabbitmq.users_queue" = "users"],
    an_event_is_applied_once ["rabbitmq.users_queue" = "users"],
    who_is_blocked_elsewhere_is_put_out ["rabbitmq.users_queue" = "users"],
    who_is_blocked_before_they_come_stays_out ["rabbitmq.users_queue" = "users"],
    the_desks_own_word_is_not_listened_to ["rabbitmq.users_queue" = "users"],
    news_belong_to_the_issuer_that_is_set
        ["rabbitmq.users_queue" = "users", "rabbitmq.users_issuer" = "https://id.example.org"],
    poisoned_news_are_put_aside_and_the_next_are_applied ["rabbitmq.users_queue" = "users"],
    one_node_applies_and_another_takes_over ["rabbitmq.users_queue" = "users"]
        on one node "it counts the nodes that read",
    news_wait_for_a_restart ["rabbitmq.users_queue" = "users"],
    no_other_queue_hears_news_of_users ["rabbitmq.users_queue" = "users"],
    without_a_queue_for_it_nothing_is_heard_of_users,
    one_queue_may_be_for_news_and_for_questions ["rabbitmq.users_queue" = "frontdesk"],
    one_node_at_a_time_reads_a_quorum_queue
        ["rabbitmq.users_queue" = "users", "rabbitmq.declare" = false]
        on one node "it counts the nodes that read",
}

postgres_scenarios! {
    news_wait_for_the_database_in_their_order [
        "rabbitmq.url" = crate::support::broker::url(),
        "rabbitmq.prefix" = crate::support::broker::prefix(),
        "rabbitmq.users_queue" = "users"
    ],
    news_wait_until_the_database_is_mended [
        "rabbitmq.url" = crate::support::broker::url(),
        "rabbitmq.prefix" = crate::support::broker::prefix(),
        "rabbitmq.users_queue" = "users"
    ],
}

/// The queue on which the server hears of users, once it listens.
pub async fn heard(broker: &TestBroker) -> String {
    listens(broker, "users").await
}

/// The queue of this name, once the server listens.
async fn listens(broker: &TestBroker, name: &str) -> String {
    let queue = broker.own(name);
    eventually("the server reads the queue", || async {
        broker.depth(&queue).await.filter(|(_, consumers)| *consumers > 0)
    })
    .await;
    queue
}

/// Waits until the server has tried again and again to apply news; how often.
async fn tried(app: &TestApp) -> u32 {
    eventually("the server has tried", || async {
        let page = app.try_get("/metrics").await.expect("the server listens").text;
        let retried = page.lines().find_map(|line| {
            line.strip_prefix(r#"frontdesk_user_events_total{outcome="Retried"} "#)
        });
        retried.and_then(|count| count.parse().ok()).filter(|count| *count >= 3)
    })
    .await
}

/// The user of this subject, as an admin finds them.
async fn find(app: &TestApp, subject: &str) -> Option<Value> {
    let path = format!("/users?subject={subject}");
    let page = app.get(&admin("ada"), &path).await.is(200);
    page["data"].as_array().expect("data").first().cloned()
}

/// Waits for the user of this subject to be called so.
pub async fn called(app: &TestApp, subject: &str, nickname: &str) -> Value {
    eventually(&format!("{subject} is called {nickname}"), || async {
        find(app, subject).await.filter(|user| user["nickname"] == nickname)
    })
    .await
}

fn envelope(id: &str, payload: &Value) -> Value {
    json!({"id": id, "source": "shop", "version": 1, "payload": payload})
}

async fn a_user_of_another_service_is_made_before_they_come(app: TestApp) {
    let broker = app.broker().await;
    let queue = heard(&broker).await;
    let kim = json!({"id": 4711, "name": "Kim", "email": "kim@example.org", "role": "ADMIN"});
    broker.emit(&queue, "user.created", kim).await;
    let user = called(&app, "4711", "Kim").await;
    assert_eq!((&user["role"], &user["email"]), (&json!("admin"), &json!("kim@example.org")));
    assert_eq!((&user["issuer"], &user["blocked"]), (&json!(""), &json!(false)));
    // With their token they are the same.
    let mut person = customer("4711");
    person.role = "admin";
    assert_eq!(json!(app.connect(&person).await.user_id()), user["id"]);
    // A known user changes nothing.
    broker.emit(&queue, "user.created", json!({"id": "4711", "nickname": "Other"})).await;
    broker.emit(&queue, "user.created", json!({"sub": "next", "nickname": "Next"})).await;
    called(&app, "next", "Next").await;
    assert_ne!(find(&app, "4711").await.expect("a user")["nickname"], "Other");
}

async fn news_change_what_they_name_and_nothing_else(app: TestApp) {
    let broker = app.broker().await;
    let queue = heard(&broker).await;
    let kim = json!({"subject": "kim", "nickname": "Kim", "email": "kim@example.org"});
    broker.emit(&queue, "user.created", kim).await;
    broker.emit(&queue, "user.updated", json!({"userId": "kim", "nickname": "Kimberly"})).await;
    let user = called(&app, "kim", "Kimberly").await;
    assert_eq!((&user["email"], &user["role"]), (&json!("kim@example.org"), &json!("customer")));
    // Of an unknown user it is news, too.
    broker.emit(&queue, "user.updated", json!({"userId": "lee", "nickname": "Lee"})).await;
    called(&app, "lee", "Lee").await;
}

async fn news_are_applied_in_their_order(app: TestApp) {
    let broker = app.broker().await;
    let queue = heard(&broker).await;
    // All at once: many wait behind the one that is applied.
    all((0..200).map(|i| {
        let news = json!({"id": format!("user-{}", i % 7), "nickname": format!("name {i}")});
        broker.emit(&queue, "user.updated", news)
    }))
    .await;
    for (subject, last) in (0..7).map(|n| (n, if n <= 3 { 196 + n } else { 189 + n })) {
        called(&app, &format!("user-{subject}"), &format!("name {last}")).await;
    }
    // What is older than what is known changes nothing, whenever it comes.
    let old = json!({
        "id": "e-old", "source": "shop", "time": "2020-01-01T12:00:00+02:00",
        "payload": {"id": "user-0", "nickname": "of old"},
    });
    broker.emit(&queue, "user.updated", old).await;
    broker.emit(&queue, "user.updated", json!({"id": "last", "nickname": "Last"})).await;
    called(&app, "last", "Last").await;
    assert_eq!(find(&app, "user-0").await.expect("a user")["nickname"], "name 196");
}

async fn an_event_is_applied_once(app: TestApp) {
    let broker = app.broker().await;
    let queue = heard(&broker).await;
    let news = |id: &str, nickname: &str| envelope(id, &json!({"id": "kim", "nickname": nickname}));
    broker.emit(&queue, "user.updated", news("e-1", "One")).await;
    broker.emit(&queue, "user.updated", news("e-2", "Two")).await;
    broker.emit(&queue, "user.updated", news("e-1", "One")).await;
    // The id of the message does where the event has none.
    for (id, nickname) in [("m-1", "One"), ("m-2", "Two"), ("m-1", "One")] {
        let data = json!({"id": "lee", "nickname": nickname});
        let body = json!({"pattern": "user.updated", "data": data}).to_string();
        let properties = BasicProperties::default().with_message_id(id.into());
        broker.publish("", &queue, properties, body.as_bytes()).await;
    }
    // The same id at another source is another event.
    let elsewhere = json!({
        "id": "e-1", "source": "mail", "payload": {"id": "max", "nickname": "Max"},
    });
    broker.emit(&queue, "user.updated", elsewhere).await;
    called(&app, "max", "Max").await;
    for subject in ["kim", "lee"] {
        assert_eq!(find(&app, subject).await.expect("a user")["nickname"], "Two");
    }
}

/// Reads the goodbye of who is blocked, and the close.
async fn is_put_out(session: &mut TestClient) {
    assert_eq!(session.expect("goodbye").await["reason"], "blocked");
    assert_eq!(session.closed().await, 4410);
}

async fn who_is_blocked_elsewhere_is_put_out(app: TestApp) {
    let other = app.another_node().await;
    let broker = app.broker().await;
    let queue = heard(&broker).await;
    let person = customer("kim");
    let (mut here, mut there) = (app.connect(&person).await, other.connect(&person).await);
    let mut lee = app.connect(&customer("lee")).await;
    broker.emit(&queue, "user.blocked", json!({"id": "kim"})).await;
    is_put_out(&mut here).await;
    is_put_out(&mut there).await;
    app.connecting().bearer(&person.token()).refused(403, "forbidden").await;
    lee.say(lee.chat(), "others are not touched").await;
    broker.emit(&queue, "user.blocked", json!({"id": "kim", "blocked": false})).await;
    eventually("kim is let in again", || async {
        app.connecting().bearer(&person.token()).attempt().await.ok()
    })
    .await;
}

async fn who_is_blocked_before_they_come_stays_out(app: TestApp) {
    let broker = app.broker().await;
    let queue = heard(&broker).await;
    broker.emit(&queue, "user.blocked", json!({"id": "kim", "nickname": "Kim"})).await;
    called(&app, "kim", "Kim").await;
    app.connecting().bearer(&customer("kim").token()).refused(403, "forbidden").await;
}

async fn the_desks_own_word_is_not_listened_to(app: TestApp) {
    let broker = app.broker().await;
    let queue = heard(&broker).await;
    let own = json!({"id": "e-1", "source": "frontdesk", "payload": {"user": {"id": 7}}});
    broker.emit(&queue, "user.created", own).await;
    broker.emit(&queue, "user.created", json!({"id": "kim", "nickname": "Kim"})).await;
    called(&app, "kim", "Kim").await;
    assert_eq!(app.metric("frontdesk_bus_dead_lettered_total").await, 0.0);
}

async fn news_belong_to_the_issuer_that_is_set(app: TestApp) {
    let broker = app.broker().await;
    let queue = heard(&broker).await;
    let kim = json!({"id": "kim", "nickname": "Kim", "issuer": "somebody else"});
    broker.emit(&queue, "user.created", kim).await;
    assert_eq!(called(&app, "kim", "Kim").await["issuer"], "https://id.example.org");
}

async fn poisoned_news_are_put_aside_and_the_next_are_applied(app: TestApp) {
    let broker = app.broker().await;
    let queue = heard(&broker).await;
    broker.declare("frontdesk.dead").await;
    let mut dead = broker.consume(&broker.own("frontdesk.dead")).await;
    let long = "x".repeat(256);
    for (data, reason) in [
        (json!(null), "data.subject: is missing"),
        (json!("kim"), "data: "),
        (json!({"nickname": "Kim"}), "data.subject: is missing"),
        (json!({"id": ""}), "data.id: must not be empty"),
        (json!({"id": {"x": 1}}), "data.id: "),
        (json!({"id": "kim", "role": "root"}), "data.role: must be customer or admin"),
        (json!({"id": "kim", "role": "bot"}), "data.role: must be customer or admin"),
        (json!({"id": "kim", "nickname": long}), "data.nickname: has 256 characters"),
        (json!({"id": "kim", "email": "a\u{0}"}), "data.email: must not contain U+0000"),
        (json!({"id": "kim", "blocked": "yes"}), "data.blocked: "),
        (json!({"payload": null}), "data.payload.subject: is missing"),
        (json!({"payload": {"id": "kim", "name": 7}}), "data.payload.name: "),
        (json!({"time": "today", "payload": {"id": "kim"}}), "data.time: must be RFC 3339"),
        (json!({"id": long, "payload": {"id": "kim"}}), "data.id: has 256 characters"),
    ] {
        broker.emit(&queue, "user.updated", data.clone()).await;
        let letter = dead.next().await;
        assert_eq!(letter.body["data"], data);
        let said = letter.header("x-frontdesk-reason").expect("a reason");
        assert!(said.starts_with(reason), "{data}: {said}");
    }
    broker.emit(&queue, "user.updated", json!({"id": "lee", "nickname": "Lee"})).await;
    called(&app, "lee", "Lee").await;
    assert!(find(&app, "kim").await.is_none());
}

async fn one_node_applies_and_another_takes_over(app: TestApp) {
    let broker = app.broker().await;
    let queue = heard(&broker).await;
    let mut other = app.another_node().await;
    let shared = broker.own("frontdesk");
    eventually("the other node reads what both may", || async {
        broker.depth(&shared).await.filter(|(_, readers)| *readers == 2)
    })
    .await;
    broker.emit(&queue, "user.created", json!({"id": "kim", "nickname": "Kim"})).await;
    called(&app, "kim", "Kim").await;
    let (_, readers) = broker.depth(&queue).await.expect("a queue");
    assert_eq!(readers, 1, "in order is one at a time");
    let mut app = app;
    app.restart().await;
    other.stop();
    broker.emit(&queue, "user.created", json!({"id": "lee", "nickname": "Lee"})).await;
    called(&app, "lee", "Lee").await;
}

async fn news_wait_for_a_restart(mut app: TestApp) {
    let broker = app.broker().await;
    let queue = heard(&broker).await;
    for i in 0..100 {
        let news = json!({"id": "kim", "nickname": format!("name {i}")});
        broker.emit(&queue, "user.updated", news).await;
        if i == 50 {
            app.restart().await;
        }
    }
    called(&app, "kim", "name 99").await;
    eventually("all of it is acknowledged", || async {
        let (messages, _) = broker.depth(&queue).await?;
        (messages == 0).then_some(())
    })
    .await;
    assert!(broker.depth(&broker.own("frontdesk.dead")).await.is_none_or(|(dead, _)| dead == 0));
}

/// Tells of a new admin on queues that are not for it.
async fn is_not_heard(app: &TestApp, broker: &TestBroker) {
    let news = json!({"id": "kim", "nickname": "Kim", "role": "admin"});
    for name in ["frontdesk", "frontdesk.gateway"] {
        let queue = listens(broker, name).await;
        broker.emit(&queue, "user.updated", news.clone()).await;
        let answer = broker.ask(&queue, "user.created", news.clone()).await;
        assert_eq!(answer["status"], "error", "there is no handler: {answer}");
    }
    eventually("they are passed over", || async {
        (app.metric("frontdesk_bus_ignored_total").await >= 2.0).then_some(())
    })
    .await;
    assert!(find(app, "kim").await.is_none());
}

async fn no_other_queue_hears_news_of_users(app: TestApp) {
    let broker = app.broker().await;
    is_not_heard(&app, &broker).await;
    let queue = heard(&broker).await;
    broker.emit(&queue, "user.created", json!({"id": "kim", "nickname": "Kim"})).await;
    assert_eq!(called(&app, "kim", "Kim").await["role"], "customer");
}

async fn without_a_queue_for_it_nothing_is_heard_of_users(app: TestApp) {
    let broker = app.broker().await;
    is_not_heard(&app, &broker).await;
}

async fn one_queue_may_be_for_news_and_for_questions(app: TestApp) {
    let broker = app.broker().await;
    let queue = listens(&broker, "frontdesk").await;
    broker.emit(&queue, "user.created", json!({"id": "kim", "nickname": "Kim"})).await;
    let user = called(&app, "kim", "Kim").await;
    let answer = broker.ask(&queue, "get_user", json!({"subject": "kim"})).await;
    assert_eq!(answer["response"]["id"], user["id"]);
}

async fn one_node_at_a_time_reads_a_quorum_queue(mut app: TestApp) {
    let broker = app.broker().await;
    let shared = broker.declare("frontdesk").await;
    broker.declare_with("users", &[("x-queue-type", AMQPValue::LongString("quorum".into()))]).await;
    let queue = heard(&broker).await;
    let _other = app.another_node().await;
    eventually("the other node reads what both may", || async {
        broker.depth(&shared).await.filter(|(_, readers)| *readers == 2)
    })
    .await;
    for (subject, nickname) in [("kim", "Kim"), ("lee", "Lee")] {
        broker.emit(&queue, "user.created", json!({"id": subject, "nickname": nickname})).await;
        called(&app, subject, nickname).await;
        let (_, readers) = broker.depth(&queue).await.expect("a queue");
        assert_eq!(readers, 1, "in order is one at a time");
        // The other one takes over.
        app.restart().await;
    }
    // A reading that ends gives back what kept others from it, though its connection lives on.
    let channel = broker.channel().await;
    let gone = channel.queue_delete(queue.as_str().into(), QueueDeleteOptions::default()).await;
    gone.expect("deleted");
    let lock = broker.own("frontdesk.reads.users");
    eventually("nobody holds the place of the reader", || async {
        let only_mine = QueueDeclareOptions { exclusive: true, ..Default::default() };
        let declaring = broker.channel().await;
        declaring.queue_declare(lock.as_str().into(), only_mine, FieldTable::default()).await.ok()
    })
    .await;
    let queue = broker.declare("users").await;
    broker.emit(&queue, "user.created", json!({"id": "max", "nickname": "Max"})).await;
    let given_back = channel.queue_delete(lock.as_str().into(), QueueDeleteOptions::default());
    given_back.await.expect("deleted");
    called(&app, "max", "Max").await;
}

async fn news_wait_until_the_database_is_mended(app: TestApp) {
    let broker = app.broker().await;
    let queue = heard(&broker).await;
    // Nothing that any one of the news is the cause of, nor that the database calls passing.
    let database = app.database().connect().await;
    database.batch_execute("ALTER TABLE inbox RENAME TO mislaid").await.expect("renamed");
    for i in 0..10 {
        let payload = json!({"id": "kim", "nickname": format!("name {i}")});
        broker.emit(&queue, "user.updated", envelope(&format!("e-{i}"), &payload)).await;
    }
    tried(&app).await;
    database.batch_execute("ALTER TABLE mislaid RENAME TO inbox").await.expect("renamed");
    called(&app, "kim", "name 9").await;
    assert_eq!(app.metric("frontdesk_bus_dead_lettered_total").await, 0.0);
}

async fn news_wait_for_the_database_in_their_order(app: TestApp) {
    let app = app.behind_a_proxy().await;
    let broker = app.broker().await;
    let queue = heard(&broker).await;
    app.proxy().down();
    for i in 0..20 {
        let news = json!({"id": "kim", "nickname": format!("name {i}")});
        broker.emit(&queue, "user.updated", news).await;
    }
    let tried = tried(&app).await;
    assert!(tried < 10, "only the first is tried, and the others wait behind it: {tried} tries");
    app.proxy().up();
    called(&app, "kim", "name 19").await;
    // What came later was applied later: nothing of before shows any more.
    broker.emit(&queue, "user.updated", json!({"id": "lee", "nickname": "Lee"})).await;
    called(&app, "lee", "Lee").await;
    assert_eq!(find(&app, "kim").await.expect("a user")["nickname"], "name 19");
    assert!(broker.depth(&broker.own("frontdesk.dead")).await.is_none_or(|(dead, _)| dead == 0));
}
