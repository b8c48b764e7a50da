//! Events for other services.

use std::collections::HashSet;
use std::time::Duration;

use lapin::ExchangeKind;
use lapin::options::{
    ExchangeDeclareOptions, ExchangeDeleteOptions, QueueDeclareOptions, QueueDeleteOptions,
};
use lapin::types::{AMQPValue, FieldTable, ShortString};

use crate::support::broker::{self, Inbox, Received, TestBroker};
use crate::support::tokens::SECRET;
use crate::support::{
    Process, TestApp, Value, admin, assert_keys, assert_run, assert_time, bus_scenarios, customer,
    eventually, json, run,
};

bus_scenarios! {
    what_happens_is_told_with_an_id_and_in_order,
    coming_and_going_is_told,
    a_queue_that_is_not_there_yet_gets_everything_once_it_is ["rabbitmq.declare" = false, "rabbitmq.exchange" = "", "rabbitmq.event_queues" = crate::support::broker::prefix()],
    a_service_gets_events_straight_and_another_by_the_exchange ["rabbitmq.event_queues" = crate::support::broker::prefix()],
    a_full_queue_costs_time_and_nothing_else,
    a_chat_whose_events_are_refused_holds_up_no_other,
    with_nobody_to_tell_nothing_piles_up ["rabbitmq.exchange" = ""],
}

/// The places of a chat's messages, as they are told until `last`; of one told again only the first.
async fn told(inbox: &mut Inbox, chat: i64, last: i64) -> Vec<i64> {
    let (mut ids, mut seqs) = (HashSet::new(), Vec::new());
    while seqs.last() != Some(&last) {
        let event = inbox.next_of("message.created").await;
        let message = &event.payload()["message"];
        if message["chatId"] == chat && ids.insert(event.body["data"]["id"].to_string()) {
            seqs.push(message["seq"].as_i64().expect("a place"));
        }
    }
    seqs
}

/// A queue's arguments: it refuses what is more.
fn at_most(messages: i32) -> [(&'static str, AMQPValue); 2] {
    let refuses = AMQPValue::LongString("reject-publish".into());
    [("x-max-length", messages.into()), ("x-overflow", refuses)]
}

/// Another service's queue, which has no prefix.
async fn declare(broker: &TestBroker, queue: &str) {
    let channel = broker.channel().await;
    channel
        .queue_declare(queue.into(), QueueDeclareOptions::durable(), FieldTable::default())
        .await
        .expect("a queue");
}

/// An event is as it was promised; its data.
fn checked(event: &Received, source: &str) -> Value {
    assert_keys(&event.body, &["pattern", "data"]);
    let data = &event.body["data"];
    assert_keys(data, &["id", "time", "source", "version", "payload"]);
    assert_time(&data["time"]);
    assert_eq!((&data["source"], &data["version"]), (&json!(source), &json!(1)));
    let properties = &event.delivery.properties;
    let text = |text: &Option<ShortString>| json!(text.as_ref().map(|t| t.as_str()));
    assert_eq!(text(properties.message_id()), data["id"]);
    assert_eq!(text(properties.kind()), event.body["pattern"]);
    assert_eq!(text(properties.content_type()), json!("application/json"));
    assert_eq!(properties.delivery_mode(), &Some(2), "it survives the broker's restart");
    assert_eq!(properties.reply_to(), &None);
    data.clone()
}

async fn what_happens_is_told_with_an_id_and_in_order(app: TestApp) {
    let broker = app.broker().await;
    let mut users = broker.subscribe("users", "user.created").await;
    let mut chats = broker.subscribe("chats", "chat.created").await;
    let mut messages = broker.subscribe("messages", "message.*").await;

    let mut kim = app.connect(&customer("kim")).await;
    let chat = kim.chat();
    let mut ids = HashSet::new();
    let user = checked(&users.next().await, "frontdesk");
    assert_eq!(user["payload"]["user"]["subject"], "kim");
    let made = checked(&chats.next().await, "frontdesk");
    assert_eq!(made["payload"]["chat"]["id"], chat);
    ids.extend([user["id"].to_string(), made["id"].to_string()]);

    for seq in 1..=20 {
        kim.say(chat, &format!("message {seq}")).await;
    }
    for seq in 1..=20 {
        let event = messages.next().await;
        assert_eq!(event.body["pattern"], "message.created");
        let data = checked(&event, "frontdesk");
        assert!(ids.insert(data["id"].to_string()), "each has an id of its own");
        let message = &data["payload"]["message"];
        assert_eq!((&message["chatId"], &message["seq"]), (&json!(chat), &json!(seq)));
        assert_eq!(message["message"], format!("message {seq}"));
    }

    let mut ada = app.connect(&admin("ada")).await;
    ada.ask("read_message", json!({"chatId": chat, "seq": 7})).await;
    let event = messages.next().await;
    assert_eq!(event.body["pattern"], "message.read");
    let read = checked(&event, "frontdesk");
    let expected = json!({"chatId": chat, "userId": ada.user_id(), "seq": 7});
    assert_eq!(read["payload"], expected);
    eventually("the outbox is empty", async || {
        let confirmed = app.metric("frontdesk_events_confirmed_total").await;
        // Two users, two chats or one, twenty messages and a mark: each once.
        (confirmed >= 24.0).then_some(())
    })
    .await;
    assert!(app.metric("frontdesk_events_retried_total").await < 1.0);
}

async fn coming_and_going_is_told(app: TestApp) {
    let mut presence = app.broker().await.subscribe("presence", "user.*").await;
    let kim = app.connect(&customer("kim")).await;
    let user = json!({"userId": kim.user_id()});
    let came = presence.next_of("user.connected").await;
    assert_eq!(checked(&came, "frontdesk")["payload"], user);
    kim.close().await;
    let went = presence.next_of("user.disconnected").await;
    assert_eq!(checked(&went, "frontdesk")["payload"], user);
}

async fn a_queue_that_is_not_there_yet_gets_everything_once_it_is(app: TestApp) {
    let mut kim = app.connect(&customer("kim")).await;
    let chat = kim.chat();
    for seq in 1..=5 {
        kim.say(chat, &format!("message {seq}")).await;
    }
    eventually("the relay has tried", async || {
        (app.metric("frontdesk_events_retried_total").await >= 2.0).then_some(())
    })
    .await;
    let broker = app.broker().await;
    let name = app.setting("rabbitmq.event_queues").to_owned();
    assert_eq!(broker.depth(&name).await, None, "it is not for the server to make");
    declare(&broker, &name).await;
    let mut inbox = broker.consume(&name).await;
    assert_run(&told(&mut inbox, chat, 5).await, 1, 5);
}

async fn a_service_gets_events_straight_and_another_by_the_exchange(app: TestApp) {
    let broker = app.broker().await;
    let name = app.setting("rabbitmq.event_queues").to_owned();
    declare(&broker, &name).await;
    let mut straight = broker.consume(&name).await;
    let mut bound = broker.subscribe("bound", "message.created").await;
    let mut kim = app.connect(&customer("kim")).await;
    let chat = kim.chat();
    for seq in 1..=5 {
        kim.say(chat, &format!("message {seq}")).await;
    }
    assert_run(&told(&mut straight, chat, 5).await, 1, 5);
    assert_run(&told(&mut bound, chat, 5).await, 1, 5);
}

async fn a_full_queue_costs_time_and_nothing_else(app: TestApp) {
    let broker = app.broker().await;
    let full = at_most(3);
    let queue = broker.declare_with("small", &full).await;
    broker.bind(&queue, &broker.own("frontdesk.events"), "message.created").await;
    let mut kim = app.connect(&customer("kim")).await;
    let chat = kim.chat();
    for seq in 1..=10 {
        kim.say(chat, &format!("message {seq}")).await;
    }
    eventually("the queue has refused", async || {
        (app.metric("frontdesk_events_retried_total").await >= 2.0).then_some(())
    })
    .await;
    assert_eq!(broker.depth(&queue).await, Some((3, 0)));
    let mut inbox = broker.consume(&queue).await;
    assert_run(&told(&mut inbox, chat, 10).await, 1, 10);
}

async fn a_chat_whose_events_are_refused_holds_up_no_other(app: TestApp) {
    let broker = app.broker().await;
    let none = at_most(0);
    let refusing = broker.declare_with("refusing", &none).await;
    broker.bind(&refusing, &broker.own("frontdesk.events"), "message.read").await;
    let mut messages = broker.subscribe("messages", "message.created").await;
    let mut kim = app.connect(&customer("kim")).await;
    let mut lee = app.connect(&customer("lee")).await;
    let (kims, lees) = (kim.chat(), lee.chat());
    let mut ada = app.connect(&admin("ada")).await;
    kim.say(kims, "one").await;
    ada.ask("read_message", json!({"chatId": kims, "seq": 1})).await;
    kim.say(kims, "two").await;
    eventually("the mark was refused", async || {
        (app.metric("frontdesk_events_retried_total").await >= 2.0).then_some(())
    })
    .await;
    for seq in 1..=50 {
        lee.say(lees, &format!("message {seq}")).await;
    }
    assert_run(&told(&mut messages, lees, 50).await, 1, 50);
    // And the chat that waits waits for its mark.
    let early = messages.next_within(Duration::from_millis(300)).await;
    assert!(early.is_none(), "{early:?}");
    let channel = broker.channel().await;
    channel
        .queue_delete(refusing.as_str().into(), QueueDeleteOptions::default())
        .await
        .expect("it goes");
    assert_eq!(messages.next_of("message.created").await.payload()["message"]["seq"], 2);
}

async fn with_nobody_to_tell_nothing_piles_up(app: TestApp) {
    let mut kim = app.connect(&customer("kim")).await;
    kim.say(kim.chat(), "one").await;
    eventually("all of it is forgotten", async || {
        (app.metric("frontdesk_events_confirmed_total").await >= 3.0).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_exchange_of_another_kind_is_waited_for_while_the_desk_goes_on() {
    run(async {
        let (url, prefix) = (broker::url(), broker::prefix());
        let broker = TestBroker::connect(&url, &prefix).await;
        let exchange = broker.own("frontdesk.events");
        let channel = broker.channel().await;
        let options = ExchangeDeclareOptions::default();
        channel
            .exchange_declare(
                exchange.as_str().into(),
                ExchangeKind::Fanout,
                options,
                FieldTable::default(),
            )
            .await
            .expect("an exchange");
        let app = TestApp::sqlite(&[("rabbitmq.url", url), ("rabbitmq.prefix", prefix)]).await;
        let mut kim = app.connect(&customer("kim")).await;
        let chat = kim.chat();
        kim.say(chat, "one").await;
        eventually("the server tells of its broker", async || {
            let ready = app.try_get("/readyz").await?.is(200);
            (ready == json!({"status": "ready", "broker": "connected"})).then_some(())
        })
        .await;
        assert!(app.metric("frontdesk_events_published_total").await < 1.0, "it is not used");
        channel
            .exchange_delete(exchange.as_str().into(), ExchangeDeleteOptions::default())
            .await
            .expect("it goes");
        let mut inbox = broker.subscribe("messages", "message.created").await;
        kim.say(chat, "two").await;
        assert_run(&told(&mut inbox, chat, 2).await, 1, 2);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn when_the_relay_dies_another_node_goes_on() {
    run(async {
        // Its database is what is needed of it: it has no broker.
        let app = TestApp::postgres(&[]).await;
        let (url, prefix) = (broker::url(), broker::prefix());
        let bus = TestBroker::connect(&url, &prefix).await;
        let settings = [
            ("database.url", app.database().url()),
            ("auth.secret", SECRET.to_owned()),
            ("limits.burst", "1000".to_owned()),
            ("rabbitmq.url", url),
            ("rabbitmq.prefix", prefix),
        ];
        let mut messages = bus.subscribe("messages", "message.created").await;

        let mut first = Process::start(&settings).await;
        let mut kim = first.connect(&customer("kim")).await;
        let chat = kim.chat();
        kim.say(chat, "message 1").await;
        eventually("the first node relays", async || {
            (first.metric("frontdesk_events_confirmed_total").await >= 3.0).then_some(())
        })
        .await;
        let second = Process::start(&settings).await;
        let mut kim = second.connect(&customer("kim")).await;
        for seq in 2..=200 {
            kim.say(chat, &format!("message {seq}")).await;
            if seq == 100 {
                let published = second.metric("frontdesk_events_published_total").await;
                assert!(published < 1.0, "two nodes relay at a time");
                first.kill();
            }
        }
        assert_run(&told(&mut messages, chat, 200).await, 1, 200);
        assert!(second.metric("frontdesk_events_confirmed_total").await >= 1.0);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_relay_that_loses_its_database_lets_another_node_go_on() {
    run(async {
        let (url, prefix) = (broker::url(), broker::prefix());
        let bus = TestBroker::connect(&url, &prefix).await;
        let settings = [("rabbitmq.url", url), ("rabbitmq.prefix", prefix)];
        let app = TestApp::postgres(&settings).await.behind_a_proxy().await;
        let mut messages = bus.subscribe("messages", "message.created").await;
        let mut kim = app.connect(&customer("kim")).await;
        let chat = kim.chat();
        kim.say(chat, "message 1").await;
        messages.next().await;

        // The other node reaches the database without the proxy.
        let second = app.another_node().await;
        app.proxy().down();
        let mut kim = second.connect(&customer("kim")).await;
        kim.say(chat, "message 2").await;
        let told = messages.next_within(Duration::from_secs(60)).await;
        let told = told.expect("the second node becomes the relay, and tells");
        assert_eq!(told.payload()["message"]["seq"], 2);
    })
    .await;
}
