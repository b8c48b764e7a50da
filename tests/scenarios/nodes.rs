//! Messages between nodes: hints and frames, and the absence of a node that the scenario plays
//! itself.

use std::time::Duration;

use frontdesk::domain::Timestamp;

use crate::rpc::{ask, refused, served};
use crate::support::redis::OwnRedis;
use crate::support::{
    Deafness, Node, PlayedNode, Process, Service, TestApp, assert_run, broker, bus_node_scenarios,
    customer, eventually, hears_others, json, postgres_scenarios, run, tokens,
};

postgres_scenarios! {
    a_message_of_somebody_without_the_secret_is_ignored_and_so_is_an_old_one
        on one node "it plays the other node",
    on_postgresql_alone_a_message_reaches_another_node_at_once ["cluster.poll_ms" = 60_000]
        on one node "it has its own two nodes",
    over_redis_a_message_reaches_another_node_at_once [
        // The scenario would be over.
        "cluster.poll_ms" = 60_000,
        "redis.url" = crate::support::redis::url(),
        "redis.prefix" = crate::support::broker::prefix()
    ] on one node "it has its own two nodes",
    while_no_notification_arrives_messages_reach_other_nodes_by_polling
        on one node "it has its own two nodes",
}

bus_node_scenarios! {
    answers_wait_for_a_node_that_comes_back ["rabbitmq.gateway" = crate::support::routes()]
        on one node "it plays the other node",
    answers_for_a_node_that_is_lost_are_given_up
        ["rabbitmq.gateway" = crate::support::routes(), "rabbitmq.gateway_timeout_ms" = 500]
        on one node "it plays the other node",
    nobody_is_called_offline_before_all_nodes_are_back on one node "it plays the other node",
}

/// Waits until so many answers are counted, whatever became of them, and no more.
async fn counted(app: &TestApp, answers: usize) {
    eventually("the answers are counted", || async {
        let counted = app.metric("frontdesk_gateway_answers_total").await;
        (counted == answers as f64).then_some(())
    })
    .await;
}

/// Waits until a node hears one other.
async fn has_met(node: &Node) {
    eventually("the other node is known", || async {
        (node.metric("frontdesk_peers").await == 1.0).then_some(())
    })
    .await;
}

/// A played node that the app hears.
async fn met(app: &TestApp) -> PlayedNode {
    let played = PlayedNode::start(app.database()).await;
    hears_others(app, true).await;
    played.say(json!({"say": "here"})).await;
    has_met(app).await;
    played
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
    has_met(&app).await;
    has_met(&other).await;
    for n in 1..=3 {
        here.say(chat, &format!("from here {n}")).await;
        there.hears(&format!("from here {n}")).await;
        there.say(chat, &format!("from there {n}")).await;
        here.hears(&format!("from there {n}")).await;
    }
    assert_run(&there.run_to(chat, 6).await, 1, 6);
}

async fn while_no_notification_arrives_messages_reach_other_nodes_by_polling(app: TestApp) {
    let other = app.another_process().await;
    hears_others(&app, true).await;
    let deafness = async || Deafness::of_all(app.database()).await;
    goes_on_by_polling(&app, &other, deafness, async |deafness| drop(deafness)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_redis_is_away_messages_reach_other_nodes_by_polling() {
    run(async {
        let redis = OwnRedis::start(&[]).await;
        let app = TestApp::postgres(&[("redis.url", redis.url())]).await;
        let other = app.another_process().await;
        let kill = async || {
            let mut redis = redis;
            redis.kill();
            redis
        };
        let restart = async |mut redis: OwnRedis| {
            redis.restart().await;
            redis
        };
        goes_on_by_polling(&app, &other, kill, restart).await;
    })
    .await;
}

/// Takes the backplane away and back, and looks at what an operator sees.
async fn goes_on_by_polling<Lost, Back>(
    app: &TestApp,
    other: &Process,
    lose: impl AsyncFnOnce() -> Lost,
    restore: impl AsyncFnOnce(Lost) -> Back,
) {
    let mut here = app.connect(&customer("kim")).await;
    let mut there = other.connect(&customer("kim")).await;
    has_met(app).await;
    has_met(other).await;
    let chat = here.chat();
    assert_eq!(ready(other).await, "connected");
    here.say(chat, "by a hint").await;
    there.hears("by a hint").await;

    let lost = lose().await;
    hears_others(app, false).await;
    hears_others(other, false).await;
    assert_eq!(ready(other).await, "away");
    here.say(chat, "by a poll").await;
    there.hears("by a poll").await;
    there.say(chat, "and back").await;
    here.hears("and back").await;

    let _back = restore(lost).await;
    hears_others(app, true).await;
    hears_others(other, true).await;
    assert_eq!(ready(other).await, "connected");
    assert_run(&there.run_to(chat, 3).await, 1, 3);
    for line in ["other nodes cannot be reached", "other nodes can be reached again"] {
        other.logs(line).await;
        assert_eq!(other.log().matches(line).count(), 1, "{line}:\n{}", other.log());
    }
}

/// The state of the backplane, of a node that is ready.
async fn ready(node: &Node) -> String {
    let reply = node.try_get("/readyz").await.expect("an answer").is(200);
    assert_eq!(reply["status"], "ready");
    reply["backplane"].as_str().expect("a word").to_owned()
}

async fn a_message_of_somebody_without_the_secret_is_ignored_and_so_is_an_old_one(app: TestApp) {
    let played = PlayedNode::start(app.database()).await;
    hears_others(&app, true).await;
    let (here, now) = (json!({"say": "here"}), Timestamp::now());
    played.say_with(here.clone(), "another deployment's secret", now).await;
    let two_minutes_ago = Timestamp(now.0 - 120_000_000);
    played.say_with(here.clone(), tokens::SECRET, two_minutes_ago).await;
    eventually("both are counted", || async {
        (app.metric("frontdesk_peer_messages_ignored_total").await == 2.0).then_some(())
    })
    .await;
    assert_eq!(app.metric("frontdesk_peers").await, 0.0);
    played.say(here).await;
    has_met(&app).await;
}

async fn answers_wait_for_a_node_that_comes_back(app: TestApp) {
    const WORDS: usize = 3;
    let service = Service::start(&app).await;
    service.is_heard().await;
    let mut kim = app.connect(&customer("kim")).await;
    let played = met(&app).await;
    let (id, there) = (played.id, played.session());
    played.vanish(app.database()).await;
    for n in 0..WORDS {
        service.recv(&there, json!({"n": n})).await;
    }
    service.recv(&json!({"socket_id": kim.session_id()}), json!({"to": "kim"})).await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    kim.has_not_heard("recv").await;
    let mut played = PlayedNode::come_back(app.database(), id).await;
    played.say(json!({"say": "here"})).await;
    for n in 0..WORDS {
        let word = loop {
            let told = played.told().await;
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
    let played = met(&app).await;
    let there = played.session();
    played.vanish(app.database()).await;
    service.recv(&there, json!({"to": "nobody"})).await;
    service.recv(&json!({"socket_id": kim.session_id()}), json!({"to": "kim"})).await;
    assert_eq!(kim.expect("recv").await, json!({"to": "kim"}));
    counted(&app, 2).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_nodes_cannot_meet_nobody_is_told_twice_and_nobody_waits() {
    run(async {
        let mut redis = OwnRedis::start(&[]).await;
        redis.kill();
        let settings = [
            ("redis.url", redis.url()),
            ("rabbitmq.url", broker::url()),
            ("rabbitmq.prefix", broker::prefix()),
            ("rabbitmq.gateway", crate::support::routes()),
            ("rabbitmq.gateway_timeout_ms", "500".to_owned()),
        ];
        let app = TestApp::postgres(&settings).await;
        let service = Service::start(&app).await;
        service.is_heard().await;
        let broker = &service.broker;
        let queue = served(broker).await;
        let mut kim = app.connect(&customer("kim")).await;
        // A stale answer for another node does not keep those behind it.
        let nobody = json!({"socket_id": uuid::Uuid::new_v4().simple().to_string()});
        service.recv(&nobody, json!({"to": "nobody"})).await;
        service.recv(&json!({"socket_id": kim.session_id()}), json!({"to": "kim"})).await;
        assert_eq!(kim.expect("recv").await, json!({"to": "kim"}));
        let push = json!({"event": "paid", "data": {"n": 1}, "userId": kim.user_id()});
        // Who is refused will try again.
        refused(broker, "push", push.clone(), "unavailable").await;
        kim.has_not_heard("paid").await;
        redis.restart().await;
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

async fn nobody_is_called_offline_before_all_nodes_are_back(app: TestApp) {
    let broker = app.broker().await;
    let queue = served(&broker).await;
    let played = met(&app).await;
    let asked = json!({"userId": 999});
    assert_eq!(ask(&broker, "is_online", asked.clone()).await["online"], false);
    let deafness = Deafness::of_all(app.database()).await;
    hears_others(&app, false).await;
    refused(&broker, "is_online", asked.clone(), "unavailable").await;
    drop(deafness);
    hears_others(&app, true).await;
    refused(&broker, "is_online", asked.clone(), "unavailable").await;
    // It is back: one that can be asked and does not answer counts as without.
    played.say(json!({"say": "here"})).await;
    eventually("the user is with nobody", || async {
        let answer = broker.ask(&queue, "is_online", asked.clone()).await;
        (answer["response"]["online"] == false).then_some(())
    })
    .await;
}
