//! Services' answers to clients, by events of their own.

use lapin::BasicProperties;
use uuid::Uuid;

use crate::support::broker::Received;
use crate::support::{
    Service, TestApp, admin, bus_node_scenarios, bus_scenarios, customer, eventually, json,
};

bus_scenarios! {
    an_answer_reaches_the_socket_that_asked_and_no_other
        ["rabbitmq.gateway" = crate::support::routes()],
    several_answers_arrive_in_order ["rabbitmq.gateway" = crate::support::routes()],
    an_answer_to_nobody_keeps_nobody_waiting ["rabbitmq.gateway" = crate::support::routes()],
}

bus_node_scenarios! {
    an_answer_reaches_a_socket_of_another_node ["rabbitmq.gateway" = crate::support::routes()],
}

async fn an_answer_reaches_the_socket_that_asked_and_no_other(app: TestApp) {
    let mut service = Service::start(&app).await;
    service.is_heard().await;
    let mut kim = app.connect(&customer("kim")).await;
    let mut device = app.connect(&customer("kim")).await;
    let mut ada = app.connect(&admin("ada")).await;
    ada.enter(kim.chat()).await;
    kim.insist("send", json!({"room": 1, "message": "hi", "ref": 7})).await;
    let asked = service.inbox.next().await;
    let data = asked.body["data"].clone();
    assert_eq!((&data["room"], &data["ref"]), (&json!(1), &json!(7)));
    let answer = json!({"id": 501, "author": {"id": 7}, "ref": 7});
    service.recv(&data["metadata"], answer.clone()).await;
    assert_eq!(kim.expect("recv").await, answer, "the metadata is taken off");
    device.has_not_heard("recv").await;
    ada.has_not_heard("recv").await;
    // As it was written.
    let session = kim.session_id().to_owned();
    let body = format!(
        r#"{{"pattern":{{"cmd":"recv"}},"data":{{"metadata":{{"socket_id":"{session}"}},"text":"é \"x\"","n":[1.0,{{"metadata":2}}]}}}}"#
    );
    let queue = service.broker.own("frontdesk.gateway");
    service.broker.publish("", &queue, BasicProperties::default(), body.as_bytes()).await;
    let heard = kim.expect("recv").await;
    assert_eq!(heard, json!({"text": "é \"x\"", "n": [1.0, {"metadata": 2}]}));
}

async fn an_answer_reaches_a_socket_of_another_node(app: TestApp) {
    let mut service = Service::start(&app).await;
    service.is_heard().await;
    let other = app.another_node().await;
    let mut here = app.connect(&customer("kim")).await;
    let mut there = other.connect(&customer("lee")).await;
    // Each node has heard the other: both serve some of these.
    let server = service.broker.own("frontdesk");
    eventually("the nodes have met", || async {
        for user in [here.user_id(), there.user_id()].repeat(8) {
            let asked = json!({"userId": user});
            let answer = service.broker.ask(&server, json!({"cmd": "is_online"}), asked).await;
            if answer["response"]["online"] != true {
                return None;
            }
        }
        Some(())
    })
    .await;
    here.insist("send", json!({"from": "here"})).await;
    there.insist("send", json!({"from": "there"})).await;
    let (mut first, mut second) = (service.inbox.next().await, service.inbox.next().await);
    if first.body["data"]["from"] == "there" {
        std::mem::swap(&mut first, &mut second);
    }
    let metadata = |asked: &Received| asked.body["data"]["metadata"].clone();
    for n in 0..50 {
        service.recv(&metadata(&second), json!({"n": n})).await;
        service.recv(&metadata(&first), json!({"n": 100 + n})).await;
    }
    for n in 0..50 {
        assert_eq!(there.expect("recv").await, json!({"n": n}));
        assert_eq!(here.expect("recv").await, json!({"n": 100 + n}));
    }
    here.has_not_heard("recv").await;
    there.has_not_heard("recv").await;
}

async fn several_answers_arrive_in_order(app: TestApp) {
    const WORDS: usize = 300;
    let mut service = Service::start(&app).await;
    service.is_heard().await;
    let mut kim = app.connect(&customer("kim")).await;
    let mut lee = app.connect(&customer("lee")).await;
    kim.insist("send", json!({})).await;
    lee.ask("send", json!({})).await;
    let (of_kim, of_lee) = (service.inbox.next().await, service.inbox.next().await);
    for n in 0..WORDS {
        service.recv(&of_kim.body["data"]["metadata"], json!({"word": n})).await;
        service.recv(&of_lee.body["data"]["metadata"], json!({"word": n})).await;
    }
    for n in 0..WORDS {
        assert_eq!(kim.expect("recv").await["word"], n);
        assert_eq!(lee.expect("recv").await["word"], n);
    }
}

async fn an_answer_to_nobody_keeps_nobody_waiting(app: TestApp) {
    let mut service = Service::start(&app).await;
    service.is_heard().await;
    let gone = app.connect(&customer("lee")).await;
    let gone_metadata = json!({"socket_id": gone.session_id()});
    gone.close().await;
    let mut kim = app.connect(&customer("kim")).await;
    kim.insist("send", json!({})).await;
    let asked = service.inbox.next().await;
    service.recv(&gone_metadata, json!({"to": "nobody"})).await;
    let stranger = json!({"socket_id": Uuid::new_v4().simple().to_string()});
    service.recv(&stranger, json!({"to": "nobody"})).await;
    service.recv(&json!({"socket_id": "k3j9"}), json!({"to": "nobody"})).await;
    let too_much = json!({"text": "x".repeat(1 << 20)});
    service.recv(&asked.body["data"]["metadata"], too_much).await;
    service.recv(&asked.body["data"]["metadata"], json!({"to": "kim"})).await;
    assert_eq!(kim.expect("recv").await, json!({"to": "kim"}));
    let dead = app.metric("frontdesk_bus_dead_lettered_total").await;
    assert_eq!(dead, 2.0, "of no session's form, and too large");
}
