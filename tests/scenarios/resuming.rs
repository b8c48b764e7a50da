//! Coming back: what was missed follows `welcome`, each message once, then what is live.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::support::{
    TestApp, TestClient, admin, assert_keys, assert_run, customer, json, scenarios,
};

scenarios! {
    what_was_missed_follows_welcome,
    what_was_missed_follows_the_ack_of_authenticate,
    welcome_says_what_will_be_replayed,
    without_resume_a_session_begins_at_the_end,
    a_chat_that_may_not_be_seen_is_left_out,
    an_admin_resumes_chats_that_are_not_theirs,
    a_long_absence_is_resumed_in_parts ["limits.replay" = 5],
    a_position_beyond_the_end_is_reset,
    who_resumes_while_others_write_misses_nothing ["limits.replay" = 10_000],
    a_chat_resumed_twice_is_resumed_from_the_last_position,
}

/// A customer's chat with `messages` in it.
async fn chat_of(app: &TestApp, name: &str, messages: usize) -> i64 {
    let mut client = app.connect(&customer(name)).await;
    say(&mut client, messages).await;
    client.chat()
}

async fn say(client: &mut TestClient, messages: usize) {
    for i in 1..=messages {
        client.say(client.chat(), &format!("message {i}")).await;
    }
}

async fn what_was_missed_follows_welcome(app: TestApp) {
    let chat = chat_of(&app, "kim", 10).await;
    let mut kim = app.resume(&customer("kim"), &format!("{chat}:4")).await;
    for seq in 5..=10 {
        let frame = kim.next().await;
        assert_eq!((frame.event.as_str(), &frame.data["seq"]), ("receive_message", &json!(seq)));
    }
    app.connect(&admin("ada")).await.say(chat, "live").await;
    kim.say(chat, "own").await;
    assert_run(&kim.run_to(chat, 12).await, 5, 12);
}

async fn what_was_missed_follows_the_ack_of_authenticate(app: TestApp) {
    let chat = chat_of(&app, "kim", 10).await;
    let resume = json!([{"chatId": chat, "afterSeq": 7}]);
    let data = json!({"token": customer("kim").token(), "resume": resume});
    let mut kim = app.authenticate(data).await;
    assert_eq!(kim.read_welcome().await["chats"][0]["replayed"], 3);
    let mut events = Vec::new();
    for _ in 0..4 {
        events.push(kim.next().await.event);
    }
    assert_eq!(events, ["ack", "receive_message", "receive_message", "receive_message"]);
    assert_eq!(kim.run(chat), [8, 9, 10]);
}

async fn welcome_says_what_will_be_replayed(app: TestApp) {
    let chat = chat_of(&app, "kim", 10).await;
    for (after, replayed, to) in [(0, 10, 10), (9, 1, 10), (10, 0, 10)] {
        let mut kim = app.resume(&customer("kim"), &format!("{chat}:{after}")).await;
        let chats = kim.welcome["chats"].as_array().expect("chats").clone();
        assert_eq!(chats.len(), 1, "a chat resumed is named once");
        let fields = ["id", "lastSeq", "readSeq", "unread", "online", "reads"];
        let replay = ["replayed", "replayedTo", "truncated", "reset"];
        assert_keys(&chats[0], &[fields.as_slice(), &replay].concat());
        assert_eq!(chats[0]["lastSeq"], 10);
        assert_eq!(
            (&chats[0]["replayed"], &chats[0]["replayedTo"]),
            (&json!(replayed), &json!(to))
        );
        assert_eq!((&chats[0]["truncated"], &chats[0]["reset"]), (&json!(false), &json!(false)));
        if replayed > 0 {
            kim.run_to(chat, 10).await;
        }
        kim.has_not_heard("nothing").await;
        assert_run(&kim.run(chat), after + 1, 10);
    }
}

async fn without_resume_a_session_begins_at_the_end(app: TestApp) {
    let chat = chat_of(&app, "kim", 3).await;
    let mut kim = app.connect(&customer("kim")).await;
    assert_eq!(kim.welcomed_to(chat).expect("the own chat")["lastSeq"], 3);
    kim.has_not_heard("receive_message").await;
    app.connect(&admin("ada")).await.say(chat, "live").await;
    assert_eq!(kim.hears("live").await["seq"], 4);
}

async fn a_chat_that_may_not_be_seen_is_left_out(app: TestApp) {
    let (own, foreign) = (chat_of(&app, "kim", 3).await, chat_of(&app, "lee", 3).await);
    let mut kim = app.resume(&customer("kim"), &format!("{foreign}:0,999999:0,{own}:1")).await;
    assert_eq!(kim.welcome["chats"].as_array().map(Vec::len), Some(1));
    assert_run(&kim.run_to(own, 3).await, 2, 3);
    kim.has_not_heard("exception").await;
    assert!(kim.run(foreign).is_empty());
}

async fn an_admin_resumes_chats_that_are_not_theirs(app: TestApp) {
    let (kims, lees) = (chat_of(&app, "kim", 3).await, chat_of(&app, "lee", 4).await);
    let mut ada = app.resume(&admin("ada"), &format!("{kims}:1,{lees}:4")).await;
    assert_eq!(ada.welcomed_to(kims).expect("resumed")["replayed"], 2);
    assert_eq!(ada.welcomed_to(lees).expect("resumed")["replayed"], 0);
    app.connect(&customer("kim")).await.say(kims, "live").await;
    app.connect(&customer("lee")).await.say(lees, "live").await;
    assert_run(&ada.run_to(kims, 4).await, 2, 4);
    assert_run(&ada.run_to(lees, 5).await, 5, 5);
}

async fn a_long_absence_is_resumed_in_parts(app: TestApp) {
    let chat = chat_of(&app, "kim", 12).await;
    let mut kim = app.resume(&customer("kim"), &format!("{chat}:0")).await;
    let entry = kim.welcomed_to(chat).expect("the own chat");
    assert_eq!((&entry["replayed"], &entry["replayedTo"]), (&json!(5), &json!(5)));
    assert_eq!((&entry["truncated"], &entry["lastSeq"]), (&json!(true), &json!(12)));
    kim.run_to(chat, 5).await;
    let mut at = 5;
    while at < 12 {
        let entry = kim.enter_after(chat, at).await;
        let to = entry["replayedTo"].as_i64().expect("a seq");
        assert_eq!(entry["truncated"], to < 12, "{entry}");
        assert_eq!(to, (at + 5).min(12));
        at = to;
    }
    kim.say(chat, "live").await;
    assert_run(&kim.run_to(chat, 13).await, 1, 13);
}

async fn a_position_beyond_the_end_is_reset(app: TestApp) {
    let chat = chat_of(&app, "kim", 3).await;
    let mut kim = app.resume(&customer("kim"), &format!("{chat}:99")).await;
    let entry = kim.welcomed_to(chat).expect("the own chat");
    assert_eq!((&entry["reset"], &entry["replayed"]), (&json!(true), &json!(0)));
    assert_eq!((&entry["truncated"], &entry["lastSeq"]), (&json!(false), &json!(3)));
    app.connect(&admin("ada")).await.say(chat, "live").await;
    assert_run(&kim.run_to(chat, 4).await, 4, 4);
}

async fn who_resumes_while_others_write_misses_nothing(app: TestApp) {
    const READERS: i64 = 24;
    let chat = chat_of(&app, "kim", 150).await;
    let mut writer = app.connect(&customer("kim")).await;
    let mut agent = app.connect(&admin("ada")).await;
    let done = AtomicBool::new(false);
    let writing = async {
        // Several in flight from two authors until the last reader has come.
        let mut last = 150;
        while !done.load(Ordering::SeqCst) {
            for author in [&mut writer, &mut agent] {
                let data = json!({"chatId": chat, "message": "on and on"});
                let id = author.submit("send_message", data.clone()).await;
                author.submit("send_message", data).await;
                author.answer(&id).await.expect("an ack");
                last += 2;
            }
            tokio::task::yield_now().await;
        }
        last
    };
    let reading = async {
        let mut readers = Vec::new();
        for i in 0..READERS {
            let after = i * 6;
            let who = if i % 2 == 0 { customer("kim") } else { admin("ada") };
            readers.push((after, app.resume(&who, &format!("{chat}:{after}")).await));
        }
        done.store(true, Ordering::SeqCst);
        readers
    };
    let (last, readers) = tokio::join!(writing, reading);
    for (after, mut reader) in readers {
        assert_run(&reader.run_to(chat, last).await, after + 1, last);
    }
}

async fn a_chat_resumed_twice_is_resumed_from_the_last_position(app: TestApp) {
    let chat = chat_of(&app, "kim", 5).await;
    let mut kim = app.resume(&customer("kim"), &format!("{chat}:0,{chat}:3")).await;
    assert_eq!(kim.welcome["chats"].as_array().map(Vec::len), Some(1));
    assert_run(&kim.run_to(chat, 5).await, 4, 5);
    assert!(kim.stays_open_for(Duration::from_millis(50)).await);
}
