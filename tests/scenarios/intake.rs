//! Consumption of the server's queues: nothing is stuck, and nothing is lost.

use std::time::Duration;

use lapin::BasicProperties;
use lapin::options::{BasicConsumeOptions, QueueDeleteOptions};
use lapin::types::{AMQPValue, FieldArray, FieldTable};

use crate::rpc::{ask, refused, served};
use crate::support::broker::Inbox;
use crate::support::{
    OwnBroker, TestApp, TestBroker, all, assert_run, bus_scenarios, customer, eventually, json,
    postgres_scenarios, run,
};

bus_scenarios! {
    an_unknown_pattern_is_answered_as_nestjs_does ["rabbitmq.prefetch" = 1],
    a_pattern_may_be_a_plain_name_or_an_objects_text,
    a_request_with_nowhere_to_answer_is_done ["rabbitmq.prefetch" = 1],
    an_emitted_command_is_done_and_a_bad_one_put_aside ["rabbitmq.prefetch" = 1],
    what_cannot_be_understood_is_put_aside_and_the_queue_goes_on ["rabbitmq.prefetch" = 1],
    a_poisoned_message_hurts_nobody_on_its_way_to_the_dead,
    a_message_that_cannot_be_put_aside_goes_back
        ["rabbitmq.declare" = false, "rabbitmq.prefetch" = 2],
    a_message_that_the_desk_fails_at_is_answered_and_put_aside ["rabbitmq.prefetch" = 1],
    more_requests_than_are_taken_at_a_time_are_all_answered ["rabbitmq.prefetch" = 2],
    a_queue_that_is_deleted_is_made_again,
}

postgres_scenarios! {
    a_request_is_refused_while_the_database_is_away
        ["rabbitmq.url" = crate::support::broker::url(),
         "rabbitmq.prefix" = crate::support::broker::prefix(), "rabbitmq.prefetch" = 1],
}

/// The dead letters.
async fn dead_letters(broker: &TestBroker) -> Inbox {
    let queue = broker.declare("frontdesk.dead").await;
    broker.consume(&queue).await
}

async fn an_unknown_pattern_is_answered_as_nestjs_does(app: TestApp) {
    let broker = app.broker().await;
    let queue = served(&broker).await;
    let body = br#"{"pattern":"nope","data":1,"id":"id-14"}"#;
    let answer = broker.ask_raw(&queue, "corr-14", body).await.next().await;
    assert_eq!(answer.correlation_id(), Some("corr-14"));
    let said = "There is no matching message handler defined in the remote service.";
    let expected = format!(r#"{{"id":"id-14","err":"{said}","status":"error"}}"#);
    assert_eq!(String::from_utf8_lossy(&answer.delivery.data), expected);
    // Neither it nor an event that means nothing here is stuck: one is taken at a time.
    broker.emit(&queue, "order.paid", json!({"n": 1})).await;
    eventually("it is counted", || async {
        (app.metric("frontdesk_bus_ignored_total").await >= 1.0).then_some(())
    })
    .await;
    ask(&broker, "is_online", json!({"userId": 1})).await;
}

async fn a_pattern_may_be_a_plain_name_or_an_objects_text(app: TestApp) {
    let broker = app.broker().await;
    let queue = served(&broker).await;
    let user = app.connect(&customer("kim")).await.user_id();
    for pattern in [json!("get_user"), json!({"cmd": "get_user"}), json!(r#"{"cmd":"get_user"}"#)] {
        let answer = broker.ask(&queue, pattern.clone(), json!({"id": user})).await;
        assert_eq!(answer["response"]["id"], user, "{pattern}");
    }
}

async fn a_request_with_nowhere_to_answer_is_done(app: TestApp) {
    let broker = app.broker().await;
    let queue = served(&broker).await;
    let mut kim = app.connect(&customer("kim")).await;
    let data = json!({"chatId": kim.chat(), "message": "hello"});
    let body = json!({"pattern": {"cmd": "send_message"}, "data": data, "id": "x"}).to_string();
    broker.publish("", &queue, BasicProperties::default(), body.as_bytes()).await;
    kim.hears("hello").await;
    // An answer that nobody can be given hurts nobody.
    for to in ["no.such.queue", "amq.rabbitmq.reply-to.nonsense"] {
        let properties = BasicProperties::default().with_reply_to(to.into());
        broker.publish("", &queue, properties, body.as_bytes()).await;
    }
    let online = ask(&broker, "is_online", json!({"userId": kim.user_id()})).await;
    assert_eq!(online["online"], true);
}

async fn an_emitted_command_is_done_and_a_bad_one_put_aside(app: TestApp) {
    let broker = app.broker().await;
    let queue = served(&broker).await;
    let mut dead = dead_letters(&broker).await;
    let mut kim = app.connect(&customer("kim")).await;
    let cmd = json!({"cmd": "send_message"});
    broker.emit(&queue, cmd.clone(), json!({"chatId": kim.chat(), "message": "done"})).await;
    kim.hears("done").await;
    broker.emit(&queue, cmd.clone(), json!({"chatId": kim.chat(), "message": 7})).await;
    let letter = dead.next().await;
    assert_eq!(letter.body["data"]["message"], 7);
    let reason = letter.header("x-frontdesk-reason").expect("a reason");
    assert!(reason.starts_with("data.message: "), "{reason}");
    // Nobody else would learn that it was refused.
    broker.emit(&queue, cmd, json!({"chatId": 999, "message": "hello?"})).await;
    let letter = dead.next().await;
    assert_eq!(letter.body["data"]["chatId"], 999);
    assert_eq!(letter.header("x-frontdesk-reason").as_deref(), Some("chat 999 does not exist"));
}

async fn what_cannot_be_understood_is_put_aside_and_the_queue_goes_on(app: TestApp) {
    let broker = app.broker().await;
    let queue = served(&broker).await;
    let mut dead = dead_letters(&broker).await;
    // One at a time is taken from the queue: were one of these stuck, nothing would be answered.
    for (body, reason) in [
        (&b"\xff\x00 no JSON"[..], "the body is not JSON"),
        (b"", "the body is not JSON"),
        (b"[1,2]", "the body has no pattern"),
        (br#"{"data":1,"id":"x"}"#, "the body has no pattern"),
        (br#"{"pattern":{"cmd":"recv"},"data":{"text":"to nobody"}}"#, ""),
    ] {
        broker.publish("", &queue, BasicProperties::default(), body).await;
        let letter = dead.next().await;
        assert_eq!(letter.delivery.data, body, "as it came");
        assert_eq!(letter.header("x-frontdesk-queue").as_ref(), Some(&queue));
        let said = letter.header("x-frontdesk-reason").expect("a reason");
        assert!(said.starts_with(reason) && !said.is_empty(), "{said}");
    }
    ask(&broker, "is_online", json!({"userId": 1})).await;
    assert!(app.metric("frontdesk_bus_dead_lettered_total").await >= 5.0);
    assert_eq!(app.panics().await, 0.0);
}

async fn a_poisoned_message_hurts_nobody_on_its_way_to_the_dead(app: TestApp) {
    let broker = app.broker().await;
    let queue = served(&broker).await;
    broker.declare("frontdesk.dead").await;
    let mut headers = FieldTable::default();
    let copies = vec![AMQPValue::LongString(queue.as_str().into())];
    headers.insert("CC".into(), AMQPValue::FieldArray(FieldArray::from(copies)));
    // A sender's own name, a copy to the server's own queue, a life of its own: none of it passes on.
    let properties = BasicProperties::default()
        .with_headers(headers)
        .with_user_id("guest".into())
        .with_expiration("60000".into())
        .with_message_id("m-1".into());
    broker.publish("", &broker.own("frontdesk.dead"), BasicProperties::default(), b"first").await;
    let nowhere = broker.declare("elsewhere").await;
    broker.publish("", &nowhere, properties, b"poison").await;
    let mut dead = broker.consume(&broker.own("frontdesk.dead")).await;
    assert_eq!(dead.next().await.delivery.data, b"first");
    let letter = dead.next().await;
    assert_eq!(letter.delivery.data, b"poison");
    let properties = &letter.delivery.properties;
    assert_eq!((properties.expiration(), properties.user_id()), (&None, &None));
    assert_eq!(properties.message_id().as_ref().map(|id| id.as_str()), Some("m-1"));
    // As many headers as the broker takes: with another one they would be too many.
    let mut headers = FieldTable::default();
    headers.insert("x".into(), AMQPValue::LongString("x".repeat(131_000).into()));
    let properties = BasicProperties::default().with_headers(headers);
    broker.publish("", &queue, properties, b"stuffed").await;
    assert_eq!(dead.next().await.delivery.data, b"stuffed");
    assert!(dead.next_within(Duration::from_millis(300)).await.is_none(), "it came back");
}

async fn more_requests_than_are_taken_at_a_time_are_all_answered(app: TestApp) {
    let broker = app.broker().await;
    served(&broker).await;
    let kim = app.connect(&customer("kim")).await;
    let chat = kim.chat();
    let sent = all((0..40).map(|i| {
        let (broker, text) = (&broker, format!("message {i}"));
        async move {
            let data = json!({"chatId": chat, "message": text});
            ask(broker, "send_message", data).await["seq"].as_i64().expect("a seq")
        }
    }));
    let mut seqs = sent.await;
    seqs.sort_unstable();
    assert_run(&seqs, 1, 40);
}

async fn a_queue_that_is_deleted_is_made_again(app: TestApp) {
    let broker = app.broker().await;
    let queue = served(&broker).await;
    let channel = broker.channel().await;
    channel
        .queue_delete(queue.as_str().into(), QueueDeleteOptions::default())
        .await
        .expect("deleted");
    served(&broker).await;
    ask(&broker, "is_online", json!({"userId": 1})).await;
    // The server consumes without exclusivity: this queue is not ordered.
    let options = BasicConsumeOptions { exclusive: true, ..BasicConsumeOptions::default() };
    let alone =
        channel.basic_consume(queue.as_str().into(), "".into(), options, FieldTable::default());
    assert!(alone.await.is_err(), "the server reads it");
}

async fn a_message_that_the_desk_fails_at_is_answered_and_put_aside(app: TestApp) {
    let broker = app.broker().await;
    let queue = served(&broker).await;
    let mut dead = dead_letters(&broker).await;
    let answer = broker.ask(&queue, "crash", json!({})).await;
    assert_eq!(answer["err"]["code"], "internal", "{answer}");
    let letter = dead.next().await;
    assert_eq!(letter.body["pattern"], "crash");
    assert_eq!(letter.header("x-frontdesk-reason").as_deref(), Some("the desk failed at it"));
    assert_eq!(app.panics().await, 1.0);
    ask(&broker, "is_online", json!({"userId": 1})).await;
}

async fn a_request_is_refused_while_the_database_is_away(app: TestApp) {
    let app = app.behind_a_proxy().await;
    let broker = app.broker().await;
    served(&broker).await;
    let mut kim = app.connect(&customer("kim")).await;
    let chat = kim.chat();
    app.proxy().down();
    // What nobody waits for any more keeps nobody from being answered.
    broker.emit(&broker.own("frontdesk"), "get_user", json!({"id": 1})).await;
    for cmd in ["get_user", "get_chat"] {
        refused(&broker, cmd, json!({"id": 1}), "unavailable").await;
    }
    let message = json!({"chatId": chat, "message": "hello", "clientId": "c-1"});
    refused(&broker, "send_message", message.clone(), "unavailable").await;
    // Nobody would send again what was emitted: it waits.
    let queue = broker.own("frontdesk");
    let emitted = json!({"chatId": chat, "message": "emitted"});
    broker.emit(&queue, json!({"cmd": "send_message"}), emitted).await;
    app.proxy().up();
    kim.hears("emitted").await;
    eventually("the same again goes well", || async {
        let answer = broker.ask(&queue, "send_message", message.clone()).await;
        answer.get("response").map(|sent| assert_eq!(sent["clientId"], "c-1"))
    })
    .await;
    let history = app.history(&customer("kim"), chat).await;
    assert_eq!(history.len(), 2, "each is there once: {history:?}");
}

async fn a_message_that_cannot_be_put_aside_goes_back(app: TestApp) {
    let broker = app.broker().await;
    let queue = broker.declare("frontdesk").await;
    served(&broker).await;
    broker.publish("", &queue, BasicProperties::default(), b"poison").await;
    // It is tried again and again, and holds nobody up.
    for _ in 0..20 {
        refused(&broker, "get_chat", json!({"userId": 1}), "chat_not_found").await;
    }
    assert_eq!(dead_letters(&broker).await.next().await.delivery.data, b"poison");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broker_that_was_killed_is_read_again() {
    run(async {
        let mut own = OwnBroker::start().await;
        let settings = [
            ("rabbitmq.url", own.url()),
            ("rabbitmq.prefix", "x.".to_owned()),
            ("rabbitmq.users_queue", "users".to_owned()),
            ("rabbitmq.reconnect_ms", "200".to_owned()),
        ];
        let app = TestApp::sqlite(&settings).await;
        let broker = app.broker().await;
        let queue = served(&broker).await;
        let mut kim = app.connect(&customer("kim")).await;
        let chat = kim.chat();
        drop(broker);
        own.kill();
        kim.say(chat, "the server goes on").await;
        own.restart().await;
        let broker = app.broker().await;
        served(&broker).await;
        let page = ask(&broker, "get_messages", json!({"chatId": chat})).await;
        assert_eq!(page["count"], 1);
        let news = json!({"id": "kim", "nickname": "Kimberly"});
        broker.emit(&broker.own("users"), "user.updated", news).await;
        eventually("news are heard, too", || async {
            let user = broker.ask(&queue, "get_user", json!({"subject": "kim"})).await;
            (user["response"]["nickname"] == "Kimberly").then_some(())
        })
        .await;
    })
    .await;
}
