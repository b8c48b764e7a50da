//! Ten thousand frames that nobody would write: the server serves on, and nothing has panicked.

use tokio::time::timeout;

use crate::support::random::Random;
use crate::support::raw::{CLOSE, CONTINUATION, PING, TEXT, frame};
use crate::support::{
    DEADLINE, RawClient, TestApp, Value, admin, assert_run, customer, json, scenarios,
};

scenarios! {
    random_frames_harm_nobody ["server.workers" = 2],
    random_events_harm_nobody ["server.workers" = 2],
}

const FRAMES: usize = 10_000;

/// A good frame, to be spoiled.
fn event(random: &mut Random, chat: i64) -> String {
    let events = [
        json!({"event": "ping", "data": {}, "id": 1}),
        json!({"event": "send_message", "data": {"chatId": chat, "message": "hello", "clientId": "c", "expectSeq": 0}, "id": "m"}),
        json!({"event": "enter_chat", "data": {"chats": [{"chatId": chat, "afterSeq": 0}]}, "id": "e"}),
        json!({"event": "enter_chat", "data": {"chatIds": [chat, 1, 2]}}),
        json!({"event": "leave_chat", "data": {"chatIds": [chat]}, "id": "l"}),
        json!({"event": "create_chat", "data": {"userIds": [1], "title": "t"}, "id": "n"}),
        json!({"event": "watch_chats", "data": {"watch": true}, "id": "w"}),
        json!({"event": "read_message", "data": {"chatId": chat, "seq": 1}, "id": "r"}),
        json!({"event": "authenticate", "data": {"token": "t", "resume": [{"chatId": chat, "afterSeq": 0}]}, "id": "a"}),
    ];
    random.pick(&events).to_string()
}

/// Bytes of a frame that is random, or was good before some of its bits were not.
fn mutated(random: &mut Random, chat: i64) -> Vec<u8> {
    let text = event(random, chat);
    let mut bytes = match random.below(6) {
        0 => random.bytes(200),
        1 => {
            let opcode = random.below(16) as u8;
            frame(opcode, random.bytes(300))
                .reserved(random.pick(&[0, 0, 0x40, 0x10]) & 0x70)
                .bytes()
        }
        2 => {
            let at = random.below(text.len());
            let (first, rest) = text.as_bytes().split_at(at);
            let ping = frame(PING, random.bytes(125)).bytes();
            [frame(TEXT, first).unfinished().bytes(), ping, frame(CONTINUATION, rest).bytes()]
                .concat()
        }
        3 => frame(CLOSE, random.bytes(10)).bytes(),
        _ => frame(TEXT, text).bytes(),
    };
    for _ in 0..random.below(4) {
        match random.below(3) {
            0 if !bytes.is_empty() => {
                let at = random.below(bytes.len());
                bytes[at] ^= 1 << random.below(8);
            }
            1 if !bytes.is_empty() => bytes.truncate(random.below(bytes.len())),
            _ => {
                let at = random.below(bytes.len() + 1);
                let inserted = random.bytes(8);
                bytes.splice(at..at, inserted);
            }
        }
    }
    bytes
}

async fn random_frames_harm_nobody(app: TestApp) {
    let mut random = Random(0x5EED_F00D_0000_0001);
    let bystander = customer("lee");
    let mut lee = app.connect(&bystander).await;
    let chat = lee.chat();
    for connection in 0..FRAMES / 10 {
        // Each connection writes until it is through, or the server has had enough.
        let who = if connection % 2 == 0 { customer("kim") } else { admin("ada") };
        let mut client = RawClient::connect(&app, &who).await;
        client.write((0..10).flat_map(|_| mutated(&mut random, chat)).collect::<Vec<u8>>()).await;
        client.hang_up().await;
        if connection % 50 == 0 {
            lee.ask("ping", json!({})).await;
        }
    }
    serves_on(&app).await;
    lee.ask("ping", json!({})).await;
}

/// A value that may be anything.
fn value(random: &mut Random, depth: usize) -> Value {
    match random.below(if depth == 0 { 6 } else { 8 }) {
        0 => Value::Null,
        1 => json!(random.below(2) == 0),
        2 => json!(random.next() as i64),
        3 => json!(random.below(4)),
        4 => json!(random.next() as f64 / 7.0),
        5 => json!(String::from_utf8_lossy(&random.bytes(20))),
        6 => (0..random.below(4)).map(|_| value(random, depth - 1)).collect(),
        _ => {
            let names =
                ["chatId", "message", "clientId", "chats", "afterSeq", "userIds", "seq", "x"];
            (0..random.below(4))
                .map(|_| (random.pick(&names).to_string(), value(random, depth - 1)))
                .collect()
        }
    }
}

async fn random_events_harm_nobody(app: TestApp) {
    let mut random = Random(0x5EED_F00D_0000_0002);
    let lee = app.connect(&customer("lee")).await;
    let mut kim = app.connect(&customer("kim")).await;
    let mut answers = 0;
    for i in 0..FRAMES {
        let text = event(&mut random, lee.chat());
        let mut envelope: Value = serde_json::from_str(&text).expect("a good frame");
        envelope["id"] = json!(i);
        // Some of the fields, each with anything in it.
        let fields = envelope["data"].as_object_mut().expect("fields");
        let names: Vec<_> = fields.keys().cloned().collect();
        if names.is_empty() || random.below(4) == 0 {
            envelope["data"] = value(&mut random, 3);
        } else {
            let name = random.pick(&names);
            fields.insert(name, value(&mut random, 3));
        }
        kim.send_text(envelope.to_string()).await;
        if i % 100 == 99 {
            // Each is answered, once.
            for id in i - 99..=i {
                let answer = kim.answer(&json!(id)).await;
                let internal = answer.as_ref().is_err_and(|e| e["code"] == "internal");
                assert!(!internal, "{answer:?}");
                answers += 1;
            }
        }
    }
    assert_eq!(answers, FRAMES);
    kim.has_not_heard("ack").await;
    kim.has_not_heard("exception").await;
    serves_on(&app).await;
}

/// Asserts that the server is open, and that nothing has panicked.
async fn serves_on(app: &TestApp) {
    let mut max = app.connect(&customer("max")).await;
    let mut bob = app.connect(&admin("bob")).await;
    let chat = max.chat();
    bob.enter(chat).await;
    for i in 1..=10 {
        max.say(chat, &format!("message {i}")).await;
    }
    let run = timeout(DEADLINE, bob.run_to(chat, 10)).await.expect("in time");
    assert_run(&run, 1, 10);
    assert!(app.panics().await < 1.0, "something has panicked");
}
