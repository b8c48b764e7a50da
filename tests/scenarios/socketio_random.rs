//! Thousands of requests and frames that no client would send: each harms its own connection alone.

use crate::support::random::Random;
use crate::support::raw::{BINARY, CONTINUATION, TEXT, frame};
use crate::support::socketio::{Line, UPGRADE};
use crate::support::{
    IoClient, RawClient, TestApp, Value, Via, admin, assert_run, customer, json, scenarios,
};

scenarios! {
    random_bodies_harm_nobody ["server.workers" = 2],
    random_frames_harm_nobody ["server.workers" = 2],
    random_requests_harm_nobody ["server.workers" = 2],
    random_events_are_each_answered_once ["server.workers" = 2],
}

const CASES: usize = 600;

/// Pieces of packets, good ones and bad ones.
const PIECES: &str = "0 1 2 3 4 5 6 40 41 42 43 44 45 46 b - 1- 10- 11- / /chats, /main, /chats , \
                      7 9007199254740993 [\"ping\",{}] [\"ping\" [] {} {\"token\":\"x\"} \u{1e} \
                      probe AQID {\"_placeholder\":true,\"num\":0} \" é \
                      [\"send_message\",{\"message\":\"x\"}]";

/// Good packets, to be spoiled.
const GOOD: [&str; 7] = [
    r#"42/chats,1["ping",{}]"#,
    r#"42/chats,["send_message",{"message":"hello"}]"#,
    r#"42/chats,2["enter_chat",{"chats":[{"chatId":1,"afterSeq":0}]}]"#,
    r#"451-/chats,3["x",{"_placeholder":true,"num":0}]"#,
    r#"43/chats,1[{}]"#,
    r#"40/main,{"token":"x"}"#,
    "3",
];

fn piece(random: &mut Random) -> &'static str {
    let pieces: Vec<_> = PIECES.split(' ').collect();
    random.pick(&pieces)
}

/// A body that is random, or was good before some of its bytes were not.
fn body(random: &mut Random) -> Vec<u8> {
    let mut bytes = match random.below(4) {
        0 => random.bytes(60),
        1 => {
            let count = 1 + random.below(8);
            (0..count).flat_map(|_| piece(random).bytes()).collect()
        }
        _ => {
            let count = 1 + random.below(3);
            let packets: Vec<_> = (0..count).map(|_| random.pick(&GOOD)).collect();
            packets.join("\u{1e}").into_bytes()
        }
    };
    for _ in 0..random.below(3) {
        match random.below(3) {
            0 if !bytes.is_empty() => {
                let at = random.below(bytes.len());
                bytes[at] ^= 1 << random.below(8);
            }
            1 if !bytes.is_empty() => bytes.truncate(random.below(bytes.len())),
            _ => {
                let at = random.below(bytes.len() + 1);
                let inserted = piece(random);
                bytes.splice(at..at, inserted.bytes());
            }
        }
    }
    bytes
}

/// Clients of both transports, who must not notice anything.
struct Bystanders(Vec<IoClient>);

impl Bystanders {
    async fn of(app: &TestApp) -> Self {
        let mut clients = Vec::new();
        for via in Via::ALL {
            clients.push(app.io(via, "/chats", &customer("lee")).await);
        }
        Self(clients)
    }

    async fn are_served(&mut self) {
        for client in &mut self.0 {
            client.ask("ping", json!({})).await;
        }
    }
}

async fn random_bodies_harm_nobody(app: TestApp) {
    let mut random = Random(0x5EED_F00D_0000_0011);
    let mut bystanders = Bystanders::of(&app).await;
    for case in 0..CASES / 4 {
        let mut kim = app.io(Via::Polling, "/chats", &customer("kim")).await;
        let polling = kim.polling();
        let target = polling.target("polling");
        let mut line = polling.another().await;
        // Until the server has had enough.
        for _ in 0..10 {
            let body = body(&mut random);
            let head = line.head("POST", &target, "", Some(body.len()));
            line.write([head.into_bytes(), body].concat()).await;
            let Some(answer) = line.next().await else { break };
            assert!([200, 400].contains(&answer.status), "{answer:?}");
            if answer.status != 200 {
                break;
            }
        }
        // It is gone already, or goes now.
        drop(polling.post("1").await);
        if case % 20 == 0 {
            bystanders.are_served().await;
        }
    }
    serves_on(&app, &mut bystanders).await;
}

async fn random_frames_harm_nobody(app: TestApp) {
    let mut random = Random(0x5EED_F00D_0000_0012);
    let mut bystanders = Bystanders::of(&app).await;
    for case in 0..CASES / 2 {
        let via = if case % 3 == 0 { Via::Upgrade } else { Via::WebSocket };
        let mut kim = app.io(via, "/chats", &customer("kim")).await;
        for _ in 0..10 {
            let bytes = body(&mut random);
            let mut bytes = match random.below(8) {
                0 => frame(BINARY, bytes).bytes(),
                1 => frame(random.below(16) as u8, bytes).bytes(),
                2 => {
                    let (first, rest) = bytes.split_at(random.below(bytes.len() + 1));
                    let first = frame(TEXT, first).unfinished().bytes();
                    [first, frame(CONTINUATION, rest).bytes()].concat()
                }
                _ => frame(TEXT, bytes).bytes(),
            };
            if random.below(10) == 0 {
                bytes.truncate(random.below(bytes.len()));
            }
            kim.socket().write(bytes).await;
        }
        kim.socket().hang_up().await;
        if case % 20 == 0 {
            bystanders.are_served().await;
        }
    }
    serves_on(&app, &mut bystanders).await;
}

async fn random_requests_harm_nobody(app: TestApp) {
    let mut random = Random(0x5EED_F00D_0000_0013);
    let mut bystanders = Bystanders::of(&app).await;
    let methods = ["GET", "GET", "POST", "PUT", "OPTIONS", "DELETE", "X"];
    let paths = ["/socket.io/", "/socket.io", "/socket.io//", "/socket.io/x", "/socket.io/%2f"];
    let names = ["EIO", "transport", "sid", "t", "j", "b64", "%ff", ""];
    let values = ["4", "3", "polling", "websocket", "abc", "", "%00", "%ff", "%", "0"];
    let headers = ["", UPGRADE, "Origin: x\r\n", "Authorization: x\r\n", "Content-Length: 0\r\n"];
    for case in 0..CASES {
        // A session of its own, so that some of them mean something.
        let open = app.socketio().poll().await.is_ok();
        let sid = open.split('"').nth(3).expect("a sid").to_owned();
        let mut query = vec!["EIO=4".to_owned(), "transport=polling".to_owned()];
        if random.below(2) == 0 {
            query.push(format!("sid={sid}"));
        }
        for _ in 0..random.below(4) {
            let at = random.below(query.len() + 1);
            query.insert(at, format!("{}={}", random.pick(&names), random.pick(&values)));
        }
        if random.below(3) == 0 {
            query.remove(random.below(query.len()));
        }
        let path = random.pick(&paths);
        let target = format!("{path}?{}", query.join("&"));
        let mut line = Line::to(app.address()).await;
        line.send(random.pick(&methods), &target, random.pick(&headers), None).await;
        if random.below(2) == 0 {
            line.half_close().await;
            while line.next().await.is_some() {}
        }
        if case % 50 == 0 {
            bystanders.are_served().await;
        }
    }
    serves_on(&app, &mut bystanders).await;
}

async fn random_events_are_each_answered_once(app: TestApp) {
    let mut random = Random(0x5EED_F00D_0000_0014);
    let mut bystanders = Bystanders::of(&app).await;
    let values: Vec<Value> = serde_json::from_str(
        r#"[null, true, -1, 1.5, "x", [], {}, [[1]], {"chatIds": [1]}, {"message": 7}, 1e300,
            {"chats": [{"chatId": 1, "afterSeq": -1}]}, {"chatId": null, "seq": "x"}]"#,
    )
    .expect("JSON");
    let events = "ping send_message enter_chat leave_chat create_chat watch_chats typing \
                  read_message view_chat authenticate no_such_event constructor";
    let events: Vec<_> = events.split(' ').collect();
    for via in Via::ALL {
        let mut kim = app.io(via, "/chats", &customer("kim")).await;
        for _ in 0..CASES / 60 {
            let (mut ids, mut packets) = (Vec::new(), Vec::new());
            for _ in 0..20 {
                let value = &values[random.below(values.len())];
                let (id, packet) = kim.asking(random.pick(&events), value);
                ids.push(id);
                packets.push(packet);
            }
            kim.send_all(&packets).await;
            for id in ids {
                let answer = kim.answer(id).await;
                let internal = answer.as_ref().is_err_and(|e| e["code"] == "internal");
                assert!(!internal, "{answer:?}");
                if answer.is_err() {
                    kim.expect("exception").await;
                }
            }
        }
        kim.has_not_heard("exception").await;
    }
    serves_on(&app, &mut bystanders).await;
}

/// Asserts that the server is open, and that nothing has panicked.
async fn serves_on(app: &TestApp, bystanders: &mut Bystanders) {
    bystanders.are_served().await;
    let mut max = app.io(Via::Polling, "/", &customer("max")).await;
    let mut bob = app.connect(&admin("bob")).await;
    let chat = max.chat();
    bob.enter(chat).await;
    for n in 1..=10 {
        max.say(chat, &format!("message {n}")).await;
    }
    assert_run(&bob.run_to(chat, 10).await, 1, 10);
    RawClient::connect(app, &customer("lee")).await;
    assert_eq!(app.panics().await, 0.0);
}
