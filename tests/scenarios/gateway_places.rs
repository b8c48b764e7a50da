//! Limits of clients' events in flight to other services, and their isolation.

use lapin::options::QueueDeclareOptions;
use lapin::types::{AMQPValue, FieldTable};

use crate::support::raw::TEXT;
use crate::support::service::declare;
use crate::support::{
    RawClient, Service, TestApp, Value, bus_scenarios, customer, eventually, json,
};

bus_scenarios! {
    a_service_that_is_slow_takes_no_place_of_another
        ["rabbitmq.gateway" = crate::support::routes(), "rabbitmq.gateway_in_flight" = 3]
        on one node "each node has its own places",
    a_user_takes_only_so_many_places ["rabbitmq.gateway" = crate::support::routes()]
        on one node "each node has its own places",
    who_has_gone_takes_no_place
        ["rabbitmq.gateway" = crate::support::routes(), "rabbitmq.gateway_in_flight" = 3,
         "rabbitmq.gateway_timeout_ms" = 600_000] on one node "each node has its own places",
    answers_that_nobody_reads_are_not_kept ["rabbitmq.gateway" = crate::support::routes()],
    a_request_does_not_outlive_its_time_in_the_queue
        ["rabbitmq.gateway" = crate::support::routes(), "rabbitmq.gateway_timeout_ms" = 1000],
    a_queue_that_is_full_refuses_and_takes_again ["rabbitmq.gateway" = crate::support::routes()],
}

async fn a_service_that_is_slow_takes_no_place_of_another(app: TestApp) {
    let mut service = Service::start(&app).await;
    declare(&service.broker, &format!("{}-lost", service.queue)).await;
    let mut kim = app.connect(&customer("kim")).await;
    let mut lee = app.connect(&customer("lee")).await;
    kim.insist("send", json!({})).await;
    service.inbox.next().await;
    let (mut ids, mut asked) = (Vec::new(), Vec::new());
    for n in 0..3 {
        ids.push(kim.submit("assist", json!({"n": n})).await);
    }
    for _ in 0..3 {
        asked.push(service.inbox.next().await);
    }
    lee.refused("send", json!({}), "unavailable").await;
    lee.ask("lost", json!({})).await;
    kim.ask("lost", json!({})).await;
    for (id, asked) in ids.iter().zip(&asked) {
        service.reply(asked, &json!({"response": 1, "isDisposed": true})).await;
        kim.answer(id).await.expect("an answer");
    }
    lee.ask("send", json!({})).await;
}

async fn a_user_takes_only_so_many_places(app: TestApp) {
    let mut service = Service::start(&app).await;
    declare(&service.broker, &format!("{}-lost", service.queue)).await;
    let mut first = app.connect(&customer("kim")).await;
    let mut second = app.connect(&customer("kim")).await;
    let mut third = app.connect(&customer("kim")).await;
    let mut lee = app.connect(&customer("lee")).await;
    first.insist("send", json!({})).await;
    service.inbox.next().await;
    let mut asked = Vec::new();
    for client in [&mut first, &mut second] {
        for n in 0..64 {
            client.submit("assist", json!({"n": n})).await;
        }
    }
    for _ in 0..128 {
        asked.push(service.inbox.next().await);
    }
    // Whatever the queue is.
    third.refused("send", json!({}), "unavailable").await;
    third.refused("lost", json!({}), "unavailable").await;
    lee.ask("send", json!({})).await;
    service.reply(&asked[0], &json!({"isDisposed": true})).await;
    third.insist("send", json!({})).await;
}

async fn who_has_gone_takes_no_place(app: TestApp) {
    let mut service = Service::start(&app).await;
    let mut kim = app.connect(&customer("kim")).await;
    let mut lee = app.connect(&customer("lee")).await;
    kim.insist("send", json!({})).await;
    service.inbox.next().await;
    for n in 0..3 {
        kim.submit("assist", json!({"n": n})).await;
    }
    for _ in 0..3 {
        service.inbox.next().await;
    }
    lee.refused("send", json!({}), "unavailable").await;
    kim.close().await;
    lee.insist("send", json!({})).await;
}

async fn answers_that_nobody_reads_are_not_kept(app: TestApp) {
    const ASKED: usize = 64;
    let mut service = Service::start(&app).await;
    let mut lee = app.connect(&customer("lee")).await;
    lee.insist("send", json!({})).await;
    service.inbox.next().await;
    let mut slow = RawClient::slow(&app, &customer("kim").token()).await;
    for n in 0..ASKED {
        slow.event("assist", json!({}), &n.to_string()).await;
    }
    // More than the kernel and a session may hold together.
    let answer = json!({"response": "x".repeat(900_000), "isDisposed": true});
    for _ in 0..ASKED {
        let asked = service.inbox.next().await;
        service.reply(&asked, &answer).await;
    }
    eventually("all are answered", || async {
        let outcomes = app.metric("frontdesk_gateway_forwards_total").await;
        (outcomes > ASKED as f64).then_some(())
    })
    .await;
    // Who reads is answered meanwhile.
    let id = lee.submit("assist", json!({})).await;
    let asked = service.inbox.next().await;
    service.reply(&asked, &answer).await;
    assert_eq!(lee.answer(&id).await, Ok(answer["response"].clone()));
    let (mut acks, mut refused) = (0, 0);
    while acks + refused < ASKED {
        let frame: Value = serde_json::from_slice(&slow.next_of(TEXT).await).expect("JSON");
        match frame["event"].as_str() {
            Some("ack") => acks += 1,
            Some("exception") => {
                assert_eq!(frame["data"]["code"], "unavailable");
                refused += 1;
            }
            _ => {}
        }
    }
    assert!(acks > 0 && refused > 0, "{acks} were kept, {refused} were not");
}

async fn a_request_does_not_outlive_its_time_in_the_queue(app: TestApp) {
    let service = Service::start(&app).await;
    let mut kim = app.connect(&customer("kim")).await;
    kim.insist("send", json!({})).await;
    // Nobody reads it.
    let queue = format!("{}-lost", service.queue);
    declare(&service.broker, &queue).await;
    kim.refused("lose", json!({}), "unavailable").await;
    kim.ask("lost", json!({"later": true})).await;
    eventually("the request is gone, and the event is not", || async {
        (service.broker.depth(&queue).await == Some((1, 0))).then_some(())
    })
    .await;
    let mut inbox = service.broker.consume(&queue).await;
    assert_eq!(inbox.next().await.body["data"]["later"], true);
}

async fn a_queue_that_is_full_refuses_and_takes_again(app: TestApp) {
    let service = Service::start(&app).await;
    let mut kim = app.connect(&customer("kim")).await;
    kim.insist("send", json!({})).await;
    let queue = format!("{}-lost", service.queue);
    let mut arguments = FieldTable::default();
    arguments.insert("x-max-length".into(), 3.into());
    arguments.insert("x-overflow".into(), AMQPValue::LongString("reject-publish".into()));
    let channel = service.broker.channel().await;
    let options = QueueDeclareOptions::durable();
    channel.queue_declare(queue.as_str().into(), options, arguments).await.expect("a queue");
    for n in 0..3 {
        kim.ask("lost", json!({"n": n})).await;
    }
    for event in ["lost", "lose"] {
        kim.refused(event, json!({}), "unavailable").await;
    }
    let mut inbox = service.broker.consume(&queue).await;
    for n in 0..3 {
        assert_eq!(inbox.next().await.body["data"]["n"], n);
    }
    kim.insist("lost", json!({"n": 3})).await;
    assert_eq!(inbox.next().await.body["data"]["n"], 3);
}
