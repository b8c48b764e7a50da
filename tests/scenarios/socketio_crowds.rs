//! Many clients at once: those that end rudely leave nothing, and those that stay miss nothing.

use std::sync::atomic::{AtomicUsize, Ordering};

use crate::support::socketio::say_to;
use crate::support::{
    Node, Person, Process, TestApp, Via, admin, all, assert_run, customer, eventually, json,
    postgres_scenarios,
};

postgres_scenarios! {
    // A slow machine has the time to connect.
    ten_thousand_rude_ends_leave_nothing [
        "limits.auth_seconds" = 3,
        "limits.heartbeat_ms" = 2500,
        "socketio.ping_timeout_ms" = 2500,
        "limits.unauthenticated" = 100_000,
        "limits.sessions_per_user" = 100_000
    ] on one node "its server is a process of its own",
    a_thousand_that_poll_and_a_thousand_websockets_share_their_rooms [
        "limits.heartbeat_ms" = 60_000,
        "limits.unauthenticated" = 100_000,
        "limits.sessions_per_user" = 100_000
    ] on one node "it is about many clients of one node",
}

const ENDS: usize = 10_000;
/// Ends under way at a time.
const AT_ONCE: usize = 40;

/// One client that ends without a word, in one of many ways.
async fn ends_rudely(node: &Node, who: &Person, way: usize) {
    match way {
        // Nothing but a handshake.
        0 | 1 => drop(node.socketio().poll().await),
        // A GET that waits, without a namespace.
        2 | 3 => {
            let mut polling = node.socketio().polling().await;
            polling.begin().await;
        }
        // Half a body.
        4 => {
            let polling = node.socketio().polling().await;
            let mut line = polling.another().await;
            let head = line.head("POST", &polling.target("polling"), "", Some(1000));
            line.write(head + "42/chats,[\"send").await;
        }
        // Between the probe and its end, with a GET that waits.
        5 => {
            let mut polling = node.socketio().polling().await;
            polling.begin().await;
            drop(polling.probed().await);
        }
        // A WebSocket that just ends.
        6 => drop(node.socketio().socket().await),
        // Two GETs.
        7 => {
            let mut polling = node.socketio().polling().await;
            polling.begin().await;
            drop(polling.get_beside().await);
        }
        // In a namespace: with a GET that waits, without one, and with half a body.
        8 => {
            let mut client = node.io(Via::Polling, "/chats", who).await;
            client.polling().begin().await;
        }
        9 => {
            let mut client = node.io(Via::Polling, "/chats", who).await;
            client.emit("send_message", json!({"message": "and gone"})).await;
        }
        10 => {
            let mut client = node.io(Via::Polling, "/chats", who).await;
            let polling = client.polling();
            let mut line = polling.another().await;
            let head = line.head("POST", &polling.target("polling"), "", Some(1000));
            line.write(head + "42/chats,[\"send").await;
        }
        // CONNECT, and not even its answer; and an upgrade that is half done.
        11 => {
            let mut polling = node.socketio().polling().await;
            let auth = json!({"token": who.token()});
            polling.begin().await;
            polling.send(&format!("40/chats,{auth}")).await;
        }
        _ => {
            let mut client = node.io(Via::Polling, "/chats", who).await;
            let mut socket = client.polling().probed().await;
            say_to(&mut socket, "5").await;
        }
    }
}

/// Ways in [`ends_rudely`]; most clients never come into a namespace.
const WAYS: [usize; 20] = [0, 1, 2, 3, 4, 5, 6, 7, 8, 0, 1, 2, 3, 4, 6, 9, 10, 2, 11, 12];

async fn rude_ends(process: &Process, count: usize) {
    let people: Vec<_> = (0..20).map(|n| customer(&format!("kim-{n}"))).collect();
    let next = AtomicUsize::new(0);
    all((0..AT_ONCE).map(async |_| {
        loop {
            let n = next.fetch_add(1, Ordering::Relaxed);
            if n >= count {
                return;
            }
            ends_rudely(process, &people[n / WAYS.len() % 20], WAYS[n % WAYS.len()]).await;
        }
    }))
    .await;
    eventually("all have ended", || async {
        let counts = [
            process.metric("frontdesk_sessions").await,
            process.metric("frontdesk_unauthenticated").await,
            process.metric("frontdesk_socketio_connections").await,
        ];
        (counts == [0.0; 3]).then_some(())
    })
    .await;
}

async fn ten_thousand_rude_ends_leave_nothing(app: TestApp) {
    let process = app.another_process().await;
    rude_ends(&process, ENDS / 2).await;
    // Whatever grows once has grown after a round or two; what is left of each end grows in each. A
    // twentieth is for what the allocator has not given back.
    let mut rounds = Vec::new();
    let mut before = process.resident();
    loop {
        rude_ends(&process, ENDS / 2).await;
        let after = process.resident();
        rounds.push((before, after));
        if after <= before + before / 20 {
            break;
        }
        assert!(rounds.len() < 3, "it grows and grows: {rounds:?} bytes");
        before = after;
    }
    assert_eq!(process.metric("frontdesk_panics_total").await, 0.0);
    let mut kim = process.io(Via::Polling, "/chats", &customer("kim")).await;
    kim.ask("ping", json!({})).await;
}

/// Rooms, and clients of each kind in each.
const ROOMS: usize = 20;
const EACH: usize = 50;
/// Messages of each of the two that write to a room.
const MESSAGES: i64 = 5;

async fn a_thousand_that_poll_and_a_thousand_websockets_share_their_rooms(app: TestApp) {
    let node: &Node = &app;
    let customers: Vec<_> = (0..ROOMS).map(|n| customer(&format!("kim-{n}"))).collect();
    let mut rooms = Vec::new();
    for person in &customers {
        let writer = node.connect(person).await;
        let mut poller = node.io(Via::Polling, "/chats", &admin("ada")).await;
        poller.ask("enter_chat", json!([writer.chat()])).await;
        rooms.push((writer, poller));
    }
    // A few at a time, so that none waits for its turn too long.
    let (mut polling, mut websockets) = (Vec::new(), Vec::new());
    for _ in 0..EACH {
        let connecting = customers.iter().map(async |person| {
            let polls = node.io(Via::Polling, "/chats", person).await;
            (polls, node.connect(person).await)
        });
        for (polls, websocket) in all(connecting).await {
            polling.push(polls);
            websockets.push(websocket);
        }
    }
    app.has_sessions((ROOMS * 2 + ROOMS * EACH * 2) as u32).await;
    let last = 2 * MESSAGES;
    // Those that poll hear while it is written, as they fetch all the time.
    let fetching = all(polling.iter_mut().map(async |client| {
        let chat = client.chat();
        client.run_to(chat, last).await
    }));
    let writing = all(rooms.iter_mut().map(async |(writer, poller)| {
        let chat = writer.chat();
        for n in 0..MESSAGES {
            writer.say(chat, &format!("a websocket's {n}")).await;
            poller.say(chat, &format!("a poller's {n}")).await;
        }
    }));
    let (runs, _) = tokio::join!(fetching, writing);
    for run in runs {
        assert_run(&run, 1, last);
    }
    for websocket in &mut websockets {
        let chat = websocket.chat();
        assert_run(&websocket.run_to(chat, last).await, 1, last);
    }
    for (writer, poller) in &mut rooms {
        let chat = writer.chat();
        assert_run(&writer.run_to(chat, last).await, 1, last);
        assert_run(&poller.run_to(chat, last).await, 1, last);
    }
    assert_eq!(app.panics().await, 0.0);
}
