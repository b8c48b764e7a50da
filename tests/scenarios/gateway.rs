//! What clients say to other services, and what these answer.

use std::time::Duration;

use lapin::options::{BasicPublishOptions, QueueDeclareOptions, QueueDeleteOptions};
use lapin::types::FieldTable;
use lapin::{BasicProperties, Channel};
use uuid::Uuid;

use crate::support::broker::{Inbox, Received};
use crate::support::{
    TestApp, TestBroker, TestClient, Value, admin, bus_scenarios, customer, eventually, json,
    scenarios,
};

bus_scenarios! {
    an_event_reaches_its_service_as_it_was_written ["rabbitmq.gateway" = super::routes()],
    nobody_forges_metadata ["rabbitmq.gateway" = super::routes()],
    a_services_answer_becomes_the_ack ["rabbitmq.gateway" = super::routes()],
    a_services_refusal_becomes_an_exception ["rabbitmq.gateway" = super::routes()],
    a_service_that_is_silent_is_unavailable_and_its_late_answer_is_nobodys
        ["rabbitmq.gateway" = super::routes(), "rabbitmq.gateway_timeout_ms" = 400],
    a_service_that_is_not_there_is_unavailable_and_harms_no_other ["rabbitmq.gateway" = super::routes()],
    who_may_not_say_it_is_refused ["rabbitmq.gateway" = super::routes(), "rabbitmq.gateway_bytes" = 1000],
    the_chat_that_is_meant_stands_in_the_metadata ["rabbitmq.gateway" = super::routes()],
    events_arrive_in_the_order_in_which_they_were_sent ["rabbitmq.gateway" = super::routes()],
    a_request_that_waits_holds_nothing_up_and_only_so_many_wait ["rabbitmq.gateway" = super::routes()],
    a_node_has_only_so_many_under_way
        ["rabbitmq.gateway" = super::routes(), "rabbitmq.gateway_in_flight" = 3],
    events_for_services_count_against_the_rate
        ["rabbitmq.gateway" = super::routes(), "limits.messages_per_second" = 1, "limits.burst" = 3],
    a_session_that_has_gone_is_answered_no_more ["rabbitmq.gateway" = super::routes()],
    an_answer_reaches_the_socket_that_asked_and_no_other ["rabbitmq.gateway" = super::routes()],
    an_answer_reaches_a_socket_of_another_node ["rabbitmq.gateway" = super::routes()],
    several_answers_arrive_in_order ["rabbitmq.gateway" = super::routes()],
    an_answer_to_nobody_keeps_nobody_waiting ["rabbitmq.gateway" = super::routes()],
}

scenarios! {
    without_a_broker_there_are_no_such_events,
    while_the_broker_is_away_all_is_unavailable_at_once
        ["rabbitmq.url" = "amqp://127.0.0.1:1/%2f", "rabbitmq.gateway" = super::routes()],
}

/// Events for one service, whose queue nobody else has.
fn routes() -> String {
    let queue = format!("api-{}", Uuid::new_v4().simple());
    json!([
        {"event": "send", "queue": queue, "pattern": r#"{"cmd":"send","v":1}"#},
        {"event": "audit", "queue": queue, "pattern": "audit", "role": "admin"},
        {"event": "order", "queue": queue, "pattern": "order", "role": "customer"},
        {"event": "assist", "queue": queue, "pattern": "assist", "kind": "request"},
        {"event": "lost", "queue": format!("{queue}-lost"), "pattern": "lost"},
        {"event": "lose", "queue": format!("{queue}-lost"), "pattern": "lose", "kind": "request"},
    ])
    .to_string()
}

/// Another service, on the queue that the routes name.
struct Service {
    broker: TestBroker,
    inbox: Inbox,
    replies: Channel,
    queue: String,
}

impl Service {
    async fn start(app: &TestApp) -> Self {
        let broker = app.broker().await;
        let routes: Value = serde_json::from_str(app.setting("rabbitmq.gateway")).expect("routes");
        let queue = routes[0]["queue"].as_str().expect("a queue").to_owned();
        declare(&broker, &queue).await;
        let inbox = broker.consume(&queue).await;
        let replies = broker.channel().await;
        Self { broker, inbox, replies, queue }
    }

    /// What comes next, as its exact text.
    async fn text(&mut self) -> String {
        text(&self.inbox.next().await)
    }

    /// Answers a request with a body.
    async fn reply(&self, to: &Received, body: &Value) {
        let asked = &to.delivery.properties;
        let reply_to = asked.reply_to().as_ref().expect("somebody waits for an answer");
        let correlation = asked.correlation_id().clone().expect("a correlation id");
        let properties = BasicProperties::default().with_correlation_id(correlation);
        // Not mandatory: the broker says of every such address that it leads nowhere.
        let (key, options) = (reply_to.clone(), BasicPublishOptions::default());
        let body = body.to_string();
        let sent = self.replies.basic_publish("".into(), key, options, body.as_bytes(), properties);
        sent.await.expect("the channel is open").await.expect("the broker confirms");
    }

    /// Answers an event as the tutorials do: with an event of its own, and the metadata it was given.
    async fn recv(&self, metadata: &Value, mut data: Value) {
        data["metadata"] = metadata.clone();
        let queue = self.broker.own("frontdesk.gateway");
        self.broker.emit(&queue, json!({"cmd": "recv"}), data).await;
    }
}

async fn declare(broker: &TestBroker, queue: &str) {
    let channel = broker.channel().await;
    let options = QueueDeclareOptions::durable();
    channel.queue_declare(queue.into(), options, FieldTable::default()).await.expect("a queue");
}

fn text(received: &Received) -> String {
    String::from_utf8(received.delivery.data.clone()).expect("a text")
}

/// The metadata of an event of this client, as the text that it must be.
fn metadata(client: &TestClient, chat: Option<i64>) -> String {
    let chat = chat.map_or(String::new(), |chat| format!(r#","chatId":{chat}"#));
    format!(
        r#"{{"socket_id":"{}","websocket_service":"frontdesk","userId":{}{chat}}}"#,
        client.session_id(),
        client.user_id(),
    )
}

/// Waits until the desk reads the answers of services.
async fn hearing(service: &Service) {
    let queue = service.broker.own("frontdesk.gateway");
    eventually("the desk reads the answers", || async {
        service.broker.depth(&queue).await.filter(|(_, consumers)| *consumers > 0)
    })
    .await;
}

async fn an_event_reaches_its_service_as_it_was_written(app: TestApp) {
    let mut service = Service::start(&app).await;
    let mut kim = app.connect(&customer("kim")).await;
    let metadata = metadata(&kim, Some(kim.chat()));
    kim.insist("send", json!({})).await;
    let first = service.inbox.next().await;
    assert_eq!(
        text(&first),
        format!(r#"{{"pattern":{{"cmd":"send","v":1}},"data":{{"metadata":{metadata}}}}}"#)
    );
    let properties = &first.delivery.properties;
    assert_eq!(*properties.delivery_mode(), Some(2), "it outlives a restart of the broker");
    assert_eq!((properties.reply_to(), properties.correlation_id()), (&None, &None));
    assert_eq!(properties.headers().as_ref().map(|headers| headers.inner().len()), Some(0));

    let fields = r#""room":1,"n":1.50,"big":123456789012345678901234567890,"u":"\u00e9","deep":{"metadata":1},"list":[1, 2]"#;
    kim.send_text(format!(r#"{{"event":"send","id":7,"data":{{{fields}}}}}"#)).await;
    let ack = kim.answer(&json!(7)).await.expect("the broker has it");
    assert_eq!(ack, json!({}));
    assert_eq!(
        service.text().await,
        format!(
            r#"{{"pattern":{{"cmd":"send","v":1}},"data":{{{fields},"metadata":{metadata}}}}}"#
        )
    );
    // One without an id is answered only if it fails; `data` that is null is none.
    kim.send_text(r#"{"event":"order","data":null}"#).await;
    assert_eq!(
        service.text().await,
        format!(r#"{{"pattern":"order","data":{{"metadata":{metadata}}}}}"#)
    );
    kim.has_not_heard("ack").await;
}

async fn nobody_forges_metadata(app: TestApp) {
    let mut service = Service::start(&app).await;
    let lee = app.connect(&customer("lee")).await;
    let mut kim = app.connect(&customer("kim")).await;
    let metadata = metadata(&kim, Some(kim.chat()));
    let forged = format!(r#"{{"socket_id":"{}","userId":1}}"#, lee.session_id());
    kim.insist("send", json!({})).await;
    service.text().await;
    for fields in [
        format!(r#""metadata":{forged},"a":1"#),
        format!(r#""a":1,"metadata":{forged}"#),
        format!(r#""metadata":{forged},"a":1,"metadata":{forged}"#),
        format!(r#""met\u0061data":{forged},"a":1"#),
        format!(r#""\u006Detadata" : {forged} ,"a":1,"metadata":null"#),
    ] {
        kim.send_text(format!(r#"{{"event":"send","data":{{{fields}}}}}"#)).await;
        assert_eq!(
            service.text().await,
            format!(
                r#"{{"pattern":{{"cmd":"send","v":1}},"data":{{"a":1,"metadata":{metadata}}}}}"#
            ),
            "{fields}"
        );
    }
    // Nor do the envelope's own fields pass.
    let envelope = format!(
        r#"{{"event":"assist","id":"x","pattern":"y","metadata":{forged},"data":{{"id":"mine"}}}}"#
    );
    kim.send_text(envelope).await;
    let asked = service.inbox.next().await;
    let id = asked.correlation_id().expect("a correlation id");
    assert_eq!(
        text(&asked),
        format!(
            r#"{{"pattern":"assist","data":{{"id":"mine","metadata":{metadata}}},"id":"{id}"}}"#
        )
    );
}

async fn a_services_answer_becomes_the_ack(app: TestApp) {
    let mut service = Service::start(&app).await;
    let mut kim = app.connect(&customer("kim")).await;
    let metadata = metadata(&kim, Some(kim.chat()));
    kim.insist("send", json!({})).await;
    service.text().await;
    let mut ids = Vec::new();
    for (bodies, expected) in [
        (vec![json!({"response": {"got": [1, 2]}, "isDisposed": true})], json!({"got": [1, 2]})),
        (vec![json!({"response": null, "isDisposed": true})], Value::Null),
        (vec![json!({"isDisposed": true})], Value::Null),
        (
            vec![
                json!({"response": 0}),
                json!({"response": 1}),
                json!({"response": 2, "isDisposed": true}),
            ],
            json!(2),
        ),
        (vec![json!({"response": "last"}), json!({"isDisposed": true})], json!("last")),
        (vec![json!({"hello": "foreign"})], json!({"hello": "foreign"})),
    ] {
        let id = kim.submit("assist", json!({"question": "?"})).await;
        let asked = service.inbox.next().await;
        let correlation = asked.correlation_id().expect("a correlation id").to_owned();
        assert_eq!(
            text(&asked),
            format!(
                r#"{{"pattern":"assist","data":{{"question":"?","metadata":{metadata}}},"id":"{correlation}"}}"#
            )
        );
        assert_eq!(correlation.len(), 21, "{correlation}");
        for body in &bodies {
            service.reply(&asked, body).await;
        }
        assert_eq!(kim.answer(&id).await, Ok(expected), "{bodies:?}");
        ids.push(correlation);
    }
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), 6, "each has an id of its own");
    // Two at once, answered the other way round.
    let (first, second) =
        (kim.submit("assist", json!({})).await, kim.submit("assist", json!({})).await);
    let (one, two) = (service.inbox.next().await, service.inbox.next().await);
    service.reply(&two, &json!({"response": "two", "isDisposed": true})).await;
    assert_eq!(kim.answer(&second).await, Ok(json!("two")));
    service.reply(&one, &json!({"response": "one", "isDisposed": true})).await;
    assert_eq!(kim.answer(&first).await, Ok(json!("one")));
}

async fn a_services_refusal_becomes_an_exception(app: TestApp) {
    let mut service = Service::start(&app).await;
    let mut kim = app.connect(&customer("kim")).await;
    kim.insist("send", json!({})).await;
    service.text().await;
    for (body, message) in [
        (
            json!({"err": {"status": "error", "message": "no such room"}, "isDisposed": true}),
            "no such room",
        ),
        (
            json!({"err": {"code": 42, "message": "object reason"}, "isDisposed": true}),
            "object reason",
        ),
        (
            json!({"id": "x", "err": "There is no handler.", "status": "error"}),
            "There is no handler.",
        ),
    ] {
        let id = kim.submit("assist", json!({})).await;
        let asked = service.inbox.next().await;
        service.reply(&asked, &body).await;
        let refused = kim.answer(&id).await.expect_err("the service refused");
        assert_eq!(
            (&refused["code"], &refused["message"]),
            (&json!("bad_request"), &json!(message))
        );
        assert_eq!(refused["event"], "assist");
    }
    // Without an id it is told, too: it has failed.
    kim.send("assist", json!({})).await;
    let asked = service.inbox.next().await;
    service.reply(&asked, &json!({"err": "no"})).await;
    assert_eq!(kim.expect("exception").await["message"], "no");
    // What is larger than an answer may be is no answer.
    let id = kim.submit("assist", json!({})).await;
    let asked = service.inbox.next().await;
    let large = json!({"response": "x".repeat(1 << 20), "isDisposed": true});
    service.reply(&asked, &large).await;
    assert_eq!(kim.answer(&id).await.expect_err("too large")["code"], "too_large");
}

async fn a_service_that_is_silent_is_unavailable_and_its_late_answer_is_nobodys(app: TestApp) {
    let mut service = Service::start(&app).await;
    let mut kim = app.connect(&customer("kim")).await;
    kim.insist("send", json!({})).await;
    service.text().await;
    kim.refused("assist", json!({"n": 1}), "unavailable").await;
    let late = service.inbox.next().await;
    service.reply(&late, &json!({"response": "late", "isDisposed": true})).await;
    // The next one hears its own answer, and that one alone.
    let id = kim.submit("assist", json!({"n": 2})).await;
    let asked = service.inbox.next().await;
    service.reply(&asked, &json!({"response": "in time", "isDisposed": true})).await;
    assert_eq!(kim.answer(&id).await, Ok(json!("in time")));
    kim.has_not_heard("ack").await;
    assert_eq!(app.metric("frontdesk_gateway_answers_total").await, 1.0, "the late one");
}

async fn a_service_that_is_not_there_is_unavailable_and_harms_no_other(app: TestApp) {
    let mut service = Service::start(&app).await;
    let mut kim = app.connect(&customer("kim")).await;
    kim.insist("send", json!({})).await;
    service.text().await;
    // All at once: what is given back must not be taken for another's.
    let (mut lost, mut found) = (Vec::new(), Vec::new());
    for n in 0..20 {
        lost.push(kim.submit(if n % 2 == 0 { "lost" } else { "lose" }, json!({"n": n})).await);
        found.push(kim.submit("send", json!({"n": n})).await);
    }
    for id in &lost {
        let refused = kim.answer(id).await.expect_err("there is no such queue");
        assert_eq!(refused["code"], "unavailable", "{refused}");
    }
    for (n, id) in found.iter().enumerate() {
        assert_eq!(kim.answer(id).await, Ok(json!({})));
        assert_eq!(service.inbox.next().await.body["data"]["n"], n);
    }
    // It comes late, and is found.
    let queue = format!("{}-lost", service.queue);
    declare(&service.broker, &queue).await;
    let mut inbox = service.broker.consume(&queue).await;
    kim.ask("lost", json!({"n": 1})).await;
    assert_eq!(inbox.next().await.body["data"]["n"], 1);
    // It goes while clients write.
    drop(inbox);
    let channel = service.broker.channel().await;
    let deleted = channel.queue_delete(queue.as_str().into(), QueueDeleteOptions::default()).await;
    deleted.expect("the queue is deleted");
    kim.refused("lost", json!({}), "unavailable").await;
    assert_eq!(app.panics().await, 0.0);
}

async fn who_may_not_say_it_is_refused(app: TestApp) {
    let mut service = Service::start(&app).await;
    let lee = app.connect(&customer("lee")).await;
    let mut kim = app.connect(&customer("kim")).await;
    let mut ada = app.connect(&admin("ada")).await;
    kim.insist("send", json!({})).await;
    service.text().await;
    kim.refused("audit", json!({}), "forbidden").await;
    ada.refused("order", json!({}), "forbidden").await;
    for chat in [lee.chat(), -1, i64::MAX] {
        kim.refused("send", json!({"chatId": chat}), "chat_not_found").await;
    }
    ada.refused("send", json!({"chatId": 999_999}), "chat_not_found").await;
    for data in ["[]", "1", "\"x\"", r#"{"chatId":"1"}"#, r#"{"chatId":1.5}"#, r#"{"chatId":true}"#]
    {
        kim.send_text(format!(r#"{{"event":"send","id":"bad","data":{data}}}"#)).await;
        let refused = kim.answer(&json!("bad")).await.expect_err(data);
        assert_eq!((&refused["code"], &refused["event"]), (&json!("bad_request"), &json!("send")));
    }
    // The service might read the other one.
    let twice = format!(r#"{{"chatId":{},"ch\u0061tId":{}}}"#, kim.chat(), lee.chat());
    kim.send_text(format!(r#"{{"event":"send","id":"twice","data":{twice}}}"#)).await;
    let refused = kim.answer(&json!("twice")).await.expect_err("two chats");
    assert_eq!(refused["code"], "bad_request", "{refused}");
    // Up to the last byte, and no further: `{"t":"…"}`.
    kim.ask("send", json!({"t": "x".repeat(1000 - 8)})).await;
    kim.refused("send", json!({"t": "x".repeat(1000 - 7)}), "too_large").await;
    kim.refused("nobody_knows", json!({}), "unknown_event").await;
    // Without an id, too.
    kim.send("audit", json!({})).await;
    assert_eq!(kim.expect("exception").await["code"], "forbidden");
    // None of it has come but the one that was right.
    kim.ask("send", json!({"end": true})).await;
    assert!(service.inbox.next().await.body["data"]["t"].is_string());
    assert_eq!(service.inbox.next().await.body["data"]["end"], true);
}

async fn the_chat_that_is_meant_stands_in_the_metadata(app: TestApp) {
    let mut service = Service::start(&app).await;
    let mut kim = app.connect(&customer("kim")).await;
    let mut ada = app.connect(&admin("ada")).await;
    let group = json!({"userIds": [kim.user_id()], "title": "a group"});
    let group = ada.ask("create_chat", group).await["id"].as_i64().expect("an id");
    let other = app.connect(&customer("lee")).await.chat();
    kim.insist("send", json!({})).await;
    let mut meant = async || service.inbox.next().await.body["data"]["metadata"]["chatId"].clone();
    assert_eq!(meant().await, kim.chat());
    kim.ask("send", json!({"chatId": group})).await;
    assert_eq!(meant().await, group);
    kim.ask("send", json!({"chatId": kim.chat()})).await;
    assert_eq!(meant().await, kim.chat());
    kim.ask("send", json!({"chatId": null})).await;
    assert_eq!(meant().await, kim.chat());
    // An admin sees all chats, entered or not, and has none of the own.
    ada.ask("send", json!({"chatId": other})).await;
    assert_eq!(meant().await, other);
    ada.ask("send", json!({})).await;
    assert_eq!(meant().await, Value::Null);
    // Who has left a group is still a member.
    kim.ask("leave_chat", json!({"chatIds": [group]})).await;
    kim.ask("send", json!({"chatId": group})).await;
    assert_eq!(meant().await, group);
}

async fn events_arrive_in_the_order_in_which_they_were_sent(app: TestApp) {
    let mut service = Service::start(&app).await;
    let mut ada = app.connect(&admin("ada")).await;
    let chat = app.connect(&customer("kim")).await.chat();
    ada.insist("send", json!({})).await;
    service.text().await;
    let mut ids = Vec::new();
    for n in 0..60 {
        // Every third needs a look at the database; requests and events share the queue.
        let event = if n % 2 == 0 { "send" } else { "assist" };
        let data = if n % 3 == 0 { json!({"n": n, "chatId": chat}) } else { json!({"n": n}) };
        ids.push((event, ada.submit(event, data).await));
    }
    for n in 0..60 {
        let received = service.inbox.next().await;
        assert_eq!(received.body["data"]["n"], n, "out of order");
        if received.body.get("id").is_some() {
            service.reply(&received, &json!({"response": n, "isDisposed": true})).await;
        }
    }
    for (n, (event, id)) in ids.iter().enumerate() {
        let expected = if *event == "send" { json!({}) } else { json!(n) };
        assert_eq!(ada.answer(id).await, Ok(expected));
    }
}

async fn a_request_that_waits_holds_nothing_up_and_only_so_many_wait(app: TestApp) {
    let mut service = Service::start(&app).await;
    let mut kim = app.connect(&customer("kim")).await;
    let mut lee = app.connect(&customer("lee")).await;
    kim.insist("send", json!({})).await;
    service.text().await;
    let mut waiting = Vec::new();
    for n in 0..64 {
        waiting.push(kim.submit("assist", json!({"n": n})).await);
    }
    kim.refused("assist", json!({}), "unavailable").await;
    kim.refused("send", json!({}), "unavailable").await;
    // Neither it nor anybody else is held up.
    kim.say(kim.chat(), "while it waits").await;
    lee.ask("send", json!({"from": "lee"})).await;
    let mut asked = Vec::new();
    for _ in 0..64 {
        asked.push(service.inbox.next().await);
    }
    assert_eq!(service.inbox.next().await.body["data"]["from"], "lee");
    for (n, id) in waiting.iter().enumerate() {
        let mut answer = json!({"response": n, "isDisposed": true});
        if n % 2 == 1 {
            answer = json!({"err": "no", "isDisposed": true});
        }
        service.reply(&asked[n], &answer).await;
        assert_eq!(kim.answer(id).await.is_ok(), n % 2 == 0);
    }
    // All places were given back.
    waiting.clear();
    for n in 0..64 {
        waiting.push(kim.submit("assist", json!({"n": n})).await);
    }
    for id in &waiting {
        let asked = service.inbox.next().await;
        service.reply(&asked, &json!({"isDisposed": true})).await;
        assert_eq!(kim.answer(id).await, Ok(Value::Null));
    }
}

async fn a_node_has_only_so_many_under_way(app: TestApp) {
    let mut service = Service::start(&app).await;
    let mut kim = app.connect(&customer("kim")).await;
    let mut lee = app.connect(&customer("lee")).await;
    kim.insist("send", json!({})).await;
    service.text().await;
    let mut ids = Vec::new();
    for n in 0..3 {
        ids.push(kim.submit("assist", json!({"n": n})).await);
    }
    let mut asked = Vec::new();
    for _ in 0..3 {
        asked.push(service.inbox.next().await);
    }
    lee.refused("send", json!({}), "unavailable").await;
    for (id, asked) in ids.iter().zip(&asked) {
        service.reply(asked, &json!({"response": 1, "isDisposed": true})).await;
        kim.answer(id).await.expect("an answer");
    }
    lee.ask("send", json!({})).await;
}

async fn events_for_services_count_against_the_rate(app: TestApp) {
    let _service = Service::start(&app).await;
    let mut kim = app.connect(&customer("kim")).await;
    let mut codes = Vec::new();
    for _ in 0..10 {
        let answer = kim.request("send", json!({})).await;
        codes.push(answer.err().map_or(Value::Null, |exception| exception["code"].clone()));
    }
    assert!(codes.contains(&json!("rate_limited")), "{codes:?}");
}

async fn a_session_that_has_gone_is_answered_no_more(app: TestApp) {
    let mut service = Service::start(&app).await;
    let mut kim = app.connect(&customer("kim")).await;
    let mut again = app.connect(&customer("kim")).await;
    kim.insist("send", json!({})).await;
    service.text().await;
    kim.submit("assist", json!({})).await;
    let asked = service.inbox.next().await;
    kim.close().await;
    service.reply(&asked, &json!({"response": "too late", "isDisposed": true})).await;
    again.ask("send", json!({})).await;
    again.has_not_heard("ack").await;
    assert_eq!(app.panics().await, 0.0);
}

async fn an_answer_reaches_the_socket_that_asked_and_no_other(app: TestApp) {
    let mut service = Service::start(&app).await;
    hearing(&service).await;
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
    hearing(&service).await;
    let other = app.another_node().await;
    let mut here = app.connect(&customer("kim")).await;
    let mut there = other.connect(&customer("kim")).await;
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
    hearing(&service).await;
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
    hearing(&service).await;
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
    service.recv(&asked.body["data"]["metadata"], json!({"to": "kim"})).await;
    assert_eq!(kim.expect("recv").await, json!({"to": "kim"}));
    assert_eq!(app.metric("frontdesk_bus_dead_lettered_total").await, 1.0, "of no session's form");
}

async fn without_a_broker_there_are_no_such_events(app: TestApp) {
    let mut kim = app.connect(&customer("kim")).await;
    kim.refused("send", json!({}), "unknown_event").await;
}

async fn while_the_broker_is_away_all_is_unavailable_at_once(app: TestApp) {
    let mut kim = app.connect(&customer("kim")).await;
    let asked = std::time::Instant::now();
    for event in ["send", "assist", "lost"] {
        kim.refused(event, json!({}), "unavailable").await;
    }
    assert!(asked.elapsed() < Duration::from_secs(5), "it waited: {:?}", asked.elapsed());
    kim.say(kim.chat(), "the desk goes on").await;
}
