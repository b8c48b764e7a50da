//! Clients' events for other services.

use lapin::options::QueueDeleteOptions;

use crate::support::service::{declare, text};
use crate::support::{
    Service, TestApp, TestClient, Value, admin, bus_scenarios, customer, json, scenarios,
};

bus_scenarios! {
    an_event_reaches_its_service_as_it_was_written ["rabbitmq.gateway" = crate::support::routes()],
    nobody_forges_metadata ["rabbitmq.gateway" = crate::support::routes()],
    a_services_answer_becomes_the_ack ["rabbitmq.gateway" = crate::support::routes()],
    an_answer_that_cannot_be_read_is_no_ack ["rabbitmq.gateway" = crate::support::routes()],
    a_services_refusal_becomes_an_exception ["rabbitmq.gateway" = crate::support::routes()],
    a_service_that_is_silent_is_unavailable_and_its_late_answer_is_nobodys
        ["rabbitmq.gateway" = crate::support::routes(), "rabbitmq.gateway_timeout_ms" = 400],
    a_service_that_is_not_there_is_unavailable_and_harms_no_other ["rabbitmq.gateway" = crate::support::routes()],
    who_may_not_say_it_is_refused ["rabbitmq.gateway" = crate::support::routes(), "rabbitmq.gateway_bytes" = 1000],
    the_chat_that_is_meant_stands_in_the_metadata ["rabbitmq.gateway" = crate::support::routes()],
    events_arrive_in_the_order_in_which_they_were_sent ["rabbitmq.gateway" = crate::support::routes()],
    a_request_that_waits_holds_nothing_up_and_only_so_many_wait ["rabbitmq.gateway" = crate::support::routes()],
    events_for_services_count_against_the_rate
        ["rabbitmq.gateway" = crate::support::routes(), "limits.messages_per_second" = 1, "limits.burst" = 3],
    a_session_that_has_gone_is_answered_no_more ["rabbitmq.gateway" = crate::support::routes()],
}

scenarios! {
    without_a_broker_there_are_no_such_events,
    while_the_broker_is_away_all_is_unavailable_at_once
        ["rabbitmq.url" = "amqp://127.0.0.1:1/%2f", "rabbitmq.gateway" = crate::support::routes(),
         "rabbitmq.gateway_timeout_ms" = 600_000],
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
    // Without an id, only a failure is answered; null `data` counts as missing.
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
    assert_eq!(ids.len(), 5, "each has an id of its own");
    // Two at once, answered the other way round.
    let (first, second) =
        (kim.submit("assist", json!({})).await, kim.submit("assist", json!({})).await);
    let (one, two) = (service.inbox.next().await, service.inbox.next().await);
    service.reply(&two, &json!({"response": "two", "isDisposed": true})).await;
    assert_eq!(kim.answer(&second).await, Ok(json!("two")));
    service.reply(&one, &json!({"response": "one", "isDisposed": true})).await;
    assert_eq!(kim.answer(&first).await, Ok(json!("one")));
}

async fn an_answer_that_cannot_be_read_is_no_ack(app: TestApp) {
    let mut service = Service::start(&app).await;
    let mut kim = app.connect(&customer("kim")).await;
    kim.insist("send", json!({})).await;
    service.text().await;
    for body in [json!({"hello": "foreign"}), json!([1]), Value::Null] {
        let id = kim.submit("assist", json!({})).await;
        let asked = service.inbox.next().await;
        service.reply(&asked, &body).await;
        let refused = kim.answer(&id).await.expect_err("it is no answer");
        assert_eq!(refused["code"], "internal", "{body}");
    }
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
    // An answer beyond the limit is refused.
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
    for _ in 0..65 {
        asked.push(service.inbox.next().await);
    }
    // Lee may be on a node of her own, which is not behind Kim's.
    let lees = asked.iter().position(|received| received.body["data"]["from"] == "lee");
    asked.remove(lees.expect("Lee's event"));
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

async fn without_a_broker_there_are_no_such_events(app: TestApp) {
    let mut kim = app.connect(&customer("kim")).await;
    kim.refused("send", json!({}), "unknown_event").await;
}

async fn while_the_broker_is_away_all_is_unavailable_at_once(app: TestApp) {
    let mut kim = app.connect(&customer("kim")).await;
    for event in ["send", "assist", "lost"] {
        kim.refused(event, json!({}), "unavailable").await;
    }
    kim.say(kim.chat(), "the server goes on").await;
}
