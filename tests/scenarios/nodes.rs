//! Messages between nodes: hints and frames, and the absence of a node that the scenario plays
//! itself.

use std::collections::HashSet;
use std::time::Duration;

use frontdesk::cluster::Seal;
use frontdesk::domain::Timestamp;
use frontdesk::settings::Secret;
use lapin::options::{
    BasicPublishOptions, ExchangeDeclareOptions, ExchangeDeleteOptions, QueueBindOptions,
};
use lapin::types::FieldTable;
use lapin::{BasicProperties, Confirmation, ExchangeKind};
use uuid::Uuid;

use crate::rpc::{ask, refused, served};
use crate::support::broker::{self, Inbox};
use crate::support::{
    Proxy, Service, TestApp, TestBroker, Value, assert_run, bus_scenarios, customer, eventually,
    json, postgres_scenarios, run, tokens,
};

bus_scenarios! {
    a_message_of_somebody_without_the_secret_is_ignored_and_so_is_an_old_one
        on one node "it plays the other node",
    what_nodes_share_is_made_even_where_nothing_else_is ["rabbitmq.declare" = false]
        on one node "it plays the other node",
    answers_wait_for_a_node_that_comes_back ["rabbitmq.gateway" = crate::support::routes()]
        on one node "it plays the other node",
    answers_for_a_node_that_is_lost_are_given_up
        ["rabbitmq.gateway" = crate::support::routes(), "rabbitmq.gateway_timeout_ms" = 500]
        on one node "it plays the other node",
}

postgres_scenarios! {
    a_message_reaches_sessions_of_another_node_at_once [
        "rabbitmq.url" = crate::support::broker::url(),
        "rabbitmq.prefix" = crate::support::broker::prefix(),
        // The scenario would be over.
        "cluster.poll_ms" = 60_000
    ] on one node "it has its own two nodes",
    on_postgresql_alone_a_message_reaches_another_node_at_once ["cluster.poll_ms" = 60_000]
        on one node "it has its own two nodes",
    over_redis_a_message_reaches_another_node_at_once [
        "cluster.poll_ms" = 60_000,
        "redis.url" = crate::support::redis::url(),
        "redis.prefix" = crate::support::broker::prefix()
    ] on one node "it has its own two nodes",
}

/// The played node's id.
const NODE: &str = "0a1b2c3d4e5f";

fn exchange(broker: &TestBroker) -> String {
    broker.own("frontdesk.nodes")
}

/// Says something as the played node, once somebody is there who hears it.
async fn say(broker: &TestBroker, key: &str, word: Value) {
    say_with(broker, key, word, tokens::SECRET, Timestamp::now()).await;
}

/// As [`say`], with a secret and at a time that may be wrong.
async fn say_with(broker: &TestBroker, key: &str, word: Value, secret: &str, at: Timestamp) {
    let seal = Seal::new(Some(&Secret::from(secret.to_owned())));
    let letter = seal.close(json!({"from": NODE, "at": at.0, "word": word}).to_string().into());
    let options = BasicPublishOptions { mandatory: true, ..Default::default() };
    eventually("a node hears the other", || async {
        // A missing exchange closes the channel.
        let (channel, properties) = (broker.channel().await, BasicProperties::default());
        let (to, key) = (exchange(broker).into(), key.into());
        let said = channel.basic_publish(to, key, options, &letter, properties);
        matches!(said.await.ok()?.await, Ok(Confirmation::Ack(None))).then_some(())
    })
    .await;
}

/// Messages to the played node, from now on.
async fn listen(broker: &TestBroker) -> Inbox {
    let queue = broker.declare("played").await;
    let (to, options) = (exchange(broker), QueueBindOptions::default());
    let channel = broker.channel().await;
    channel
        .queue_bind(queue.as_str().into(), to.into(), NODE.into(), options, FieldTable::default())
        .await
        .expect("the nodes have an exchange");
    broker.consume(&queue).await
}

/// A service's answer to a session of the played node.
fn session_there() -> Value {
    let mut session = Uuid::new_v4().simple().to_string();
    session.replace_range(..NODE.len(), NODE);
    json!({"socket_id": session})
}

/// Waits until so many answers are counted, whatever became of them, and no more.
async fn counted(app: &TestApp, answers: usize) {
    eventually("the answers are counted", || async {
        let counted = app.metric("frontdesk_gateway_answers_total").await;
        (counted == answers as f64).then_some(())
    })
    .await;
}

/// Waits until so many nodes hear each other.
async fn meet(broker: &TestBroker, nodes: usize) {
    say(broker, "all", json!({"say": "here"})).await;
    let mut told = listen(broker).await;
    let mut met = HashSet::new();
    while met.len() < nodes {
        // Each answers a node that is new to it, and says that it is there from time to time.
        say(broker, "all", json!({"say": "gone"})).await;
        say(broker, "all", json!({"say": "here"})).await;
        while let Some(received) = told.next_within(Duration::from_millis(100)).await {
            met.insert(received.body["from"].to_string());
        }
    }
}

async fn a_message_reaches_sessions_of_another_node_at_once(app: TestApp) {
    let broker = app.broker().await;
    let other = app.another_node().await;
    let mut here = app.connect(&customer("kim")).await;
    let mut there = other.connect(&customer("kim")).await;
    meet(&broker, 2).await;
    let chat = here.chat();
    for n in 1..=3 {
        here.say(chat, &format!("from here {n}")).await;
        there.hears(&format!("from here {n}")).await;
        there.say(chat, &format!("from there {n}")).await;
        here.hears(&format!("from there {n}")).await;
    }
    assert_run(&there.run_to(chat, 6).await, 1, 6);
}

async fn on_postgresql_alone_a_message_reaches_another_node_at_once(app: TestApp) {
    reaches_at_once(app).await;
}

async fn over_redis_a_message_reaches_another_node_at_once(app: TestApp) {
    reaches_at_once(app).await;
}

async fn reaches_at_once(app: TestApp) {
    let other = app.another_node().await;
    let mut here = app.connect(&customer("kim")).await;
    let mut there = other.connect(&customer("kim")).await;
    let chat = here.chat();
    // What was said before they were connected is repaired with what comes after it.
    eventually("the nodes hear each other", || async {
        (app.metric("frontdesk_peers").await == 1.0 && other.metric("frontdesk_peers").await == 1.0)
            .then_some(())
    })
    .await;
    for n in 1..=3 {
        here.say(chat, &format!("from here {n}")).await;
        there.hears(&format!("from here {n}")).await;
        there.say(chat, &format!("from there {n}")).await;
        here.hears(&format!("from there {n}")).await;
    }
    assert_run(&there.run_to(chat, 6).await, 1, 6);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_the_broker_is_away_messages_reach_other_nodes_by_polling() {
    run(async {
        let (url, prefix) = (broker::url(), broker::prefix());
        let broker = TestBroker::connect(&url, &prefix).await;
        let (login, rest) = url.rsplit_once('@').expect("a login");
        let (server, vhost) = rest.split_once('/').expect("a virtual host");
        let proxy = Proxy::to(server.to_owned()).await;
        let settings = [
            ("rabbitmq.url", format!("{login}@{}/{vhost}", proxy.address())),
            ("rabbitmq.prefix", prefix),
        ];
        let app = TestApp::postgres(&settings).await;
        let other = app.another_node().await;
        let mut here = app.connect(&customer("kim")).await;
        let mut there = other.connect(&customer("kim")).await;
        meet(&broker, 2).await;
        let chat = here.chat();
        here.say(chat, "by a hint").await;
        there.hears("by a hint").await;
        proxy.down();
        here.say(chat, "by a poll").await;
        there.hears("by a poll").await;
        assert_run(&there.run_to(chat, 2).await, 1, 2);
    })
    .await;
}

async fn a_message_of_somebody_without_the_secret_is_ignored_and_so_is_an_old_one(app: TestApp) {
    let broker = app.broker().await;
    let (here, now) = (json!({"say": "here"}), Timestamp::now());
    say_with(&broker, "all", here.clone(), "another deployment's secret", now).await;
    let two_minutes_ago = Timestamp(now.0 - 120_000_000);
    say_with(&broker, "all", here.clone(), tokens::SECRET, two_minutes_ago).await;
    eventually("both are counted", || async {
        (app.metric("frontdesk_peer_messages_ignored_total").await == 2.0).then_some(())
    })
    .await;
    assert_eq!(app.metric("frontdesk_peers").await, 0.0);
    say(&broker, "all", here).await;
    eventually("the other is heard", || async {
        (app.metric("frontdesk_peers").await == 1.0).then_some(())
    })
    .await;
}

async fn what_nodes_share_is_made_even_where_nothing_else_is(app: TestApp) {
    let broker = app.broker().await;
    broker.declare("frontdesk").await;
    served(&broker).await;
    let mut kim = app.connect(&customer("kim")).await;
    eventually("the nodes can be told", || async {
        let push = json!({"event": "hello", "all": true});
        let answer = broker.ask(&broker.own("frontdesk"), "push", push).await;
        answer.get("response").cloned()
    })
    .await;
    kim.expect("hello").await;
    assert_eq!(ask(&broker, "is_online", json!({"userId": 999})).await["online"], false);
    // Its name is one that an operator's permissions can allow; what it is told there hurts nobody.
    let (node, _) = kim.session_id().split_at(NODE.len());
    let queue = broker.own(&format!("frontdesk.node.{node}.1"));
    broker.publish("", &queue, BasicProperties::default(), b"nonsense").await;
    ask(&broker, "push", json!({"event": "again", "all": true})).await;
    kim.expect("again").await;
}

/// Waits until the node knows the other one: its answers come by another queue.
async fn is_known(app: &TestApp) {
    eventually("the other node is known", || async {
        (app.metric("frontdesk_peers").await == 1.0).then_some(())
    })
    .await;
}

async fn answers_wait_for_a_node_that_comes_back(app: TestApp) {
    const WORDS: usize = 3;
    let service = Service::start(&app).await;
    service.is_heard().await;
    let mut kim = app.connect(&customer("kim")).await;
    say(&service.broker, "all", json!({"say": "here"})).await;
    is_known(&app).await;
    // It has no queue now, as one that has lost its connection.
    let there = session_there();
    for n in 0..WORDS {
        service.recv(&there, json!({"n": n})).await;
    }
    service.recv(&json!({"socket_id": kim.session_id()}), json!({"to": "kim"})).await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    kim.has_not_heard("recv").await;
    say(&service.broker, "all", json!({"say": "here"})).await;
    let mut told = listen(&service.broker).await;
    for n in 0..WORDS {
        let word = loop {
            let told = told.next().await.body["word"].take();
            if told["say"] == "tell" {
                break told;
            }
        };
        assert_eq!(word["what"]["to"]["session"], there["socket_id"]);
        assert_eq!(word["what"]["frame"], json!({"event": "recv", "data": {"n": n}}));
    }
    assert_eq!(kim.expect("recv").await, json!({"to": "kim"}));
    // Each once, however often it was tried.
    counted(&app, WORDS + 1).await;
}

async fn answers_for_a_node_that_is_lost_are_given_up(app: TestApp) {
    let service = Service::start(&app).await;
    service.is_heard().await;
    let mut kim = app.connect(&customer("kim")).await;
    say(&service.broker, "all", json!({"say": "here"})).await;
    is_known(&app).await;
    service.recv(&session_there(), json!({"to": "nobody"})).await;
    service.recv(&json!({"socket_id": kim.session_id()}), json!({"to": "kim"})).await;
    assert_eq!(kim.expect("recv").await, json!({"to": "kim"}));
    counted(&app, 2).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_nodes_cannot_meet_nobody_is_told_twice_and_nobody_waits() {
    run(async {
        let (url, prefix) = (broker::url(), broker::prefix());
        let broker = TestBroker::connect(&url, &prefix).await;
        let channel = broker.channel().await;
        let (name, other) = (exchange(&broker), ExchangeDeclareOptions::default());
        channel
            .exchange_declare(
                name.as_str().into(),
                ExchangeKind::Topic,
                other,
                FieldTable::default(),
            )
            .await
            .expect("an exchange that is in the way");
        let settings = [
            ("rabbitmq.url", url),
            ("rabbitmq.prefix", prefix),
            ("rabbitmq.gateway", crate::support::routes()),
            ("rabbitmq.gateway_timeout_ms", "500".to_owned()),
        ];
        let app = TestApp::sqlite(&settings).await;
        let service = Service::start(&app).await;
        service.is_heard().await;
        let queue = served(&broker).await;
        let mut kim = app.connect(&customer("kim")).await;
        // A stale answer for another node does not keep those behind it.
        service.recv(&session_there(), json!({"to": "nobody"})).await;
        service.recv(&json!({"socket_id": kim.session_id()}), json!({"to": "kim"})).await;
        assert_eq!(kim.expect("recv").await, json!({"to": "kim"}));
        let push = json!({"event": "paid", "data": {"n": 1}, "userId": kim.user_id()});
        // Who is refused will try again.
        refused(&broker, "push", push.clone(), "unavailable").await;
        kim.has_not_heard("paid").await;
        channel
            .exchange_delete(name.as_str().into(), ExchangeDeleteOptions::default())
            .await
            .expect("it is out of the way");
        eventually("all nodes can be told", || async {
            let answer = broker.ask(&queue, "push", push.clone()).await;
            answer.get("response").cloned()
        })
        .await;
        assert_eq!(kim.expect("paid").await, json!({"n": 1}));
        kim.has_not_heard("paid").await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_is_called_offline_before_all_nodes_are_back() {
    run(async {
        let (url, prefix) = (broker::url(), broker::prefix());
        let broker = TestBroker::connect(&url, &prefix).await;
        let (login, rest) = url.rsplit_once('@').expect("a login");
        let (server, vhost) = rest.split_once('/').expect("a virtual host");
        let proxy = Proxy::to(server.to_owned()).await;
        let settings = [
            ("rabbitmq.url", format!("{login}@{}/{vhost}", proxy.address())),
            ("rabbitmq.prefix", prefix),
            ("rabbitmq.reconnect_ms", "100".to_owned()),
        ];
        let _app = TestApp::sqlite(&settings).await;
        let queue = served(&broker).await;
        say(&broker, "all", json!({"say": "here"})).await;
        let _played = listen(&broker).await;
        let asked = json!({"userId": 999});
        assert_eq!(ask(&broker, "is_online", asked.clone()).await["online"], false);
        proxy.down();
        eventually("the server is away", || async {
            broker.depth(&queue).await.filter(|(_, consumers)| *consumers == 0)
        })
        .await;
        proxy.up();
        served(&broker).await;
        refused(&broker, "is_online", asked.clone(), "unavailable").await;
        // It is back: one that can be asked and does not answer counts as without.
        say(&broker, "all", json!({"say": "here"})).await;
        eventually("the user is with nobody", || async {
            let answer = broker.ask(&queue, "is_online", asked.clone()).await;
            (answer["response"]["online"] == false).then_some(())
        })
        .await;
    })
    .await;
}
