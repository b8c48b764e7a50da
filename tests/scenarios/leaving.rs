//! A node that leaves: signals to the real binary, and what its clients see.

use std::collections::HashSet;

use crate::support::{Process, TestApp, TestClient, admin, all, customer, json, scenarios};

scenarios! {
    behind_a_balancer_everything_is_served_before_the_end
        on one node "its server is a process of its own",
    a_second_signal_ends_at_once on one node "its server is a process of its own",
    sessions_end_one_after_the_other_and_none_begins
        on one node "its server is a process of its own",
    what_was_acked_before_the_goodbye_is_in_the_log
        on one node "its server is a process of its own",
    a_node_without_sessions_ends_at_once_with_exit_code_0
        on one node "its server is a process of its own",
}

/// Longer than any scenario: the next phase does not come by itself.
const NEVER: (&str, &str) = ("server.drain_wait_ms", "600000");
const LONG: (&str, &str) = ("server.shutdown_timeout", "3600");

async fn behind_a_balancer_everything_is_served_before_the_end(app: TestApp) {
    let process = app.another_process_with(&[NEVER, LONG]).await;
    assert_eq!(process.metric("frontdesk_leaving").await, 0.0);
    let mut kim = process.connect(&customer("kim")).await;
    process.signal("TERM");
    process.logs("all is served for 600000 ms more").await;
    let red = process.try_get("/readyz").await.expect("an answer");
    red.problem(503, "unavailable");
    assert_eq!(process.try_get("/healthz").await.expect("an answer").status, 200);
    assert_eq!(process.metric("frontdesk_leaving").await, 1.0);
    let chat = kim.chat();
    let mut ada = process.connect(&admin("ada")).await;
    ada.enter(chat).await;
    kim.say(chat, "is anybody there?").await;
    ada.hears("is anybody there?").await;
    let path = format!("/chats/{chat}/messages");
    process.post(&admin("ada"), &path, json!({"message": "yes"})).await.is(201);
    kim.has_not_heard("goodbye").await;
}

async fn a_second_signal_ends_at_once(app: TestApp) {
    for [first, second] in [["TERM", "TERM"], ["INT", "INT"]] {
        let mut process = app.another_process_with(&[NEVER, LONG]).await;
        let _kim = process.connect(&customer("kim")).await;
        process.signal(first);
        process.logs("all is served for").await;
        process.signal(second);
        assert_eq!(process.ended().await, 3);
        assert!(process.log().contains("a second signal: stopped at once"));
    }
}

/// As many sessions, in the order in which they are closed.
async fn sessions(process: &Process, count: usize) -> Vec<TestClient> {
    let people: Vec<_> = (0..count).map(|n| customer(&format!("kim{n}"))).collect();
    let mut sessions = all(people.iter().map(|person| process.connect(person))).await;
    sessions.sort_by_key(|session| session.session_id().to_owned());
    sessions
}

async fn sessions_end_one_after_the_other_and_none_begins(app: TestApp) {
    let times = [("server.drain_window_ms", "8000"), ("server.shutdown_timeout", "30")];
    let mut process = app.another_process_with(&times).await;
    let mut silent = process.connecting().open().await;
    let mut sessions = sessions(&process, 100).await;
    process.signal("TERM");
    let first = sessions[0].expect("goodbye").await;
    assert_eq!(first["reason"], "shutdown");
    assert_eq!(sessions[0].closed().await, 1001);
    // 99 turns are to come.
    let with_token = process.connecting().bearer(&customer("late").token());
    let refusal = with_token.refused(503, "unavailable").await;
    assert_eq!(refusal.retry_after, "1");
    process.connecting().refused(503, "unavailable").await;
    assert_eq!(silent.expect("goodbye").await["reason"], "shutdown");
    assert_eq!(silent.closed().await, 1001);
    let alive = process.try_get("/healthz").await.expect("an answer");
    assert_eq!((alive.status, alive.header("connection")), (200, "close"));
    let last = sessions.last_mut().expect("100 of them");
    let chat = last.chat();
    last.say(chat, "still here").await;
    last.has_not_heard("goodbye").await;
    let mut times = HashSet::from([first["retryAfterMs"].as_u64().expect("a number")]);
    for session in &mut sessions[1..] {
        let goodbye = session.expect("goodbye").await;
        times.insert(goodbye["retryAfterMs"].as_u64().expect("a number"));
        assert_eq!(session.closed().await, 1001);
    }
    assert!(times.iter().all(|time| (500..8_500).contains(time)), "{times:?}");
    assert!(times.len() > 50, "all come back at once: {times:?}");
    assert_eq!(process.ended().await, 0);
    let log = process.log();
    let phases =
        ["/readyz is 503", "no session begins", "closing 100 sessions", "sessions have ended"];
    let places: Vec<_> = phases.iter().map(|phase| log.find(phase).expect("it is told")).collect();
    assert!(places.is_sorted(), "{log}");
    assert!(log.contains("stopped"), "{log}");
}

async fn what_was_acked_before_the_goodbye_is_in_the_log(app: TestApp) {
    let mut process = app.another_process_with(&[]).await;
    let kim = customer("kim");
    let mut session = process.connect(&kim).await;
    let chat = session.chat();
    session.say(chat, "first").await;
    for n in 0..300 {
        let data = json!({"chatId": chat, "message": format!("{n}"), "clientId": format!("{n}")});
        session.submit("send_message", data).await;
        if n == 150 {
            process.signal("TERM");
        }
    }
    assert_eq!(session.expect("goodbye").await["reason"], "shutdown");
    assert_eq!(session.closed().await, 1001);
    let acked = session.run(chat);
    assert_eq!(process.ended().await, 0);
    let stored: Vec<_> = app.history(&kim, chat).await;
    let stored: Vec<_> = stored.iter().map(|row| row["seq"].as_i64().expect("a number")).collect();
    // Each message that was read is acked and stored: none is stored without its ack.
    assert_eq!(acked, stored);
}

async fn a_node_without_sessions_ends_at_once_with_exit_code_0(app: TestApp) {
    let times = [("server.drain_window_ms", "3000000"), ("server.shutdown_timeout", "3600")];
    for signal in ["TERM", "INT"] {
        let mut process = app.another_process_with(&times).await;
        process.signal(signal);
        assert_eq!(process.ended().await, 0);
    }
}
