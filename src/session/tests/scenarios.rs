//! Scenarios of joining, resuming, posting, truncation and endings, without a socket.

use serde_json::json;

use super::world::{World, entry};
use crate::domain::{ChatId, LiveEvent, LiveState, Role, Seq, Timestamp, UserId};
use crate::protocol::{Control, Ending, EphemeralKey, Push, ServerEvent, Shared, SharedEvent};
use crate::session::ToSession;

fn post(chat: ChatId, name: &str) -> serde_json::Value {
    json!({
        "event": "send_message", "id": name,
        "data": { "chatId": chat.0, "message": "hi", "clientId": name },
    })
}

fn push(event: &str) -> std::sync::Arc<Shared> {
    Shared::new(SharedEvent::Push(Push { event: event.into(), data: None }))
}

#[test]
fn a_session_is_welcomed_once_its_rooms_have_let_it_in() {
    let mut world = World::new();
    let chat = world.chat(1, &[7]);
    world.other_posts(chat, 0);
    let kim = world.connect(7);
    world.say(kim, &json!({ "event": "authenticate", "id": "a", "data": { "token": "t" } }));
    assert!(world.frame(kim) && world.answer(kim));
    assert!(world.sessions[kim].sent.is_empty(), "the room has not answered");
    world.settle();
    let welcome = world.sessions[kim].heard("welcome");
    assert_eq!(welcome[0]["chats"][0]["lastSeq"], 1);
    assert_eq!(world.sessions[kim].answers("a").len(), 1);
    assert!(world.holds_nothing(kim));
}

#[test]
fn frames_behind_a_token_wait_for_welcome() {
    let mut world = World::new();
    let chat = world.chat(1, &[7]);
    let kim = world.connect(7);
    world.say(kim, &json!({ "event": "authenticate", "data": { "token": "t" } }));
    world.say(kim, &post(chat, "first"));
    assert!(world.frame(kim) && !world.frame(kim));
    world.settle();
    assert_eq!(world.sessions[kim].sent[0]["event"], "welcome");
    assert_eq!(world.sessions[kim].answers("first")[0]["event"], "ack");
}

#[test]
fn a_bad_token_another_event_and_silence_end_the_session() {
    for frame in [
        Some(json!({ "event": "authenticate", "id": "a", "data": { "token": "bad" } })),
        Some(json!({ "event": "ping", "id": "a" })),
        None,
    ] {
        let mut world = World::new();
        let kim = world.connect(7);
        if let Some(frame) = &frame {
            world.say(kim, frame);
        }
        world.settle_with_timers();
        assert_eq!(world.sessions[kim].ended, Some(Ending::Unauthenticated), "{frame:?}");
        assert_eq!(world.sessions[kim].answers("a").len(), usize::from(frame.is_some()));
    }
}

#[test]
fn a_session_resumes_where_it_was() {
    let mut world = World::new();
    let chat = world.chat(1, &[7]);
    for _ in 0..10 {
        world.other_posts(chat, 0);
    }
    let kim = world.welcomed(7, json!([entry(chat, 4)]));
    world.other_posts(chat, 9);
    world.settle();
    assert_eq!(world.sessions[kim].positions(chat), [5, 6, 7, 8, 9, 10, 11]);
    let welcome = world.sessions[kim].heard("welcome");
    assert_eq!(welcome[0]["chats"][0]["replayed"], 6);
}

#[test]
fn a_long_absence_is_caught_up_in_several_requests() {
    let mut world = World::new();
    let chat = world.chat(1, &[7]);
    for _ in 0..30 {
        world.other_posts(chat, 0);
    }
    let kim = world.welcomed(7, json!([entry(chat, 0)]));
    assert_eq!(world.sessions[kim].heard("welcome")[0]["chats"][0]["truncated"], true);
    assert_eq!(world.sessions[kim].positions(chat), (1..=20).collect::<Vec<_>>());
    world.other_posts(chat, 9);
    world.settle();
    assert_eq!(world.sessions[kim].positions(chat).len(), 20, "silent until it joins again");
    let enter = json!({ "event": "enter_chat", "id": "e", "data": { "chats": [entry(chat, 20)] } });
    world.say(kim, &enter);
    world.settle();
    assert_eq!(world.sessions[kim].positions(chat), (1..=31).collect::<Vec<_>>());
    let answer = world.sessions[kim].sent.last().expect("an answer");
    assert_eq!((&answer["id"], &answer["event"]), (&json!("e"), &json!("ack")), "after the replay");
}

#[test]
fn own_messages_are_acked_at_their_place_in_the_stream() {
    let mut world = World::new();
    let chat = world.chat(1, &[7, 8]);
    let (kim, ada) = (world.welcomed(7, json!([])), world.welcomed(8, json!([])));
    world.say(kim, &post(chat, "k"));
    world.say(ada, &post(chat, "a"));
    world.settle();
    for at in [kim, ada] {
        assert_eq!(world.sessions[at].positions(chat), [1, 2]);
        assert!(world.holds_nothing(at));
    }
    world.say(kim, &post(chat, "k"));
    world.settle();
    assert_eq!(world.sessions[kim].answers("k")[1]["data"]["duplicate"], true);
}

#[test]
fn a_message_that_a_dying_room_did_not_deliver_is_found() {
    let mut world = World::new();
    let chat = world.chat(1, &[7]);
    let kim = world.welcomed(7, json!([]));
    world.other_posts(chat, 0);
    world.kill(chat);
    world.settle();
    assert_eq!(world.sessions[kim].positions(chat), [1]);
}

#[test]
fn a_post_to_a_retired_room_follows_the_chat_in_order() {
    let mut world = World::new();
    let chat = world.chat(1, &[]);
    let ada = world.welcomed(8, json!([]));
    world.say(ada, &post(chat, "first"));
    world.settle();
    assert!(world.retire(chat));
    for name in ["second", "third", "fourth"] {
        world.say(ada, &post(chat, name));
    }
    world.settle();
    let seqs = ["first", "second", "third", "fourth"]
        .map(|name| world.sessions[ada].answers(name)[0]["data"]["seq"].clone());
    assert_eq!(seqs, [1, 2, 3, 4].map(serde_json::Value::from));
}

#[test]
fn a_read_mark_follows_the_chat_to_its_next_room() {
    let mut world = World::new();
    let chat = world.chat(1, &[]);
    let ada = world.welcomed(8, json!([]));
    world.say(ada, &post(chat, "first"));
    world.settle();
    assert!(world.retire(chat));
    let mark = json!({ "event": "read_message", "id": "m", "data": { "chatId": 1, "seq": 1 } });
    world.say(ada, &mark);
    world.settle();
    assert_eq!(world.sessions[ada].answers("m")[0]["data"]["readSeq"], 1);
    assert!(world.holds_nothing(ada));
}

#[test]
fn a_page_that_cannot_be_read_is_asked_for_again() {
    let mut world = World::new();
    let chat = world.chat(1, &[7]);
    for _ in 0..5 {
        world.other_posts(chat, 0);
    }
    world.database_is_away = true;
    let kim = world.welcomed(7, json!([entry(chat, 0)]));
    assert!(world.sessions[kim].positions(chat).is_empty());
    world.database_is_away = false;
    world.settle_with_timers();
    assert_eq!(world.sessions[kim].positions(chat), [1, 2, 3, 4, 5]);
}

#[test]
fn a_room_that_does_not_answer_in_time_is_given_up() {
    let mut world = World::new();
    let chat = world.chat(1, &[]);
    let ada = world.welcomed(8, json!([]));
    let enter = json!({ "event": "enter_chat", "id": "e", "data": { "chatIds": [chat.0] } });
    world.say(ada, &enter);
    assert!(world.frame(ada) && world.answer(ada));
    while world.timer(ada) {}
    assert_eq!(world.sessions[ada].answers("e")[0]["data"]["code"], "unavailable");
    world.settle();
    assert_eq!(world.sessions[ada].answers("e").len(), 1, "a late answer changes nothing");
    assert!(world.holds_nothing(ada));
}

/// An admin who is live in a chat of 30 messages, 20 of which are replayed at once, enters it at the
/// beginning, and another one with it.
fn entering_far_behind(world: &mut World) -> (usize, [ChatId; 2]) {
    let (long, other) = (world.chat(1, &[8]), world.chat(2, &[]));
    for _ in 0..30 {
        world.other_posts(long, 0);
    }
    let ada = world.welcomed(8, json!([]));
    let chats = json!([entry(long, 0), { "chatId": other.0 }]);
    world.say(ada, &json!({ "event": "enter_chat", "id": "e", "data": { "chats": chats } }));
    assert!(world.frame(ada) && world.answer(ada));
    (ada, [long, other])
}

#[test]
fn a_session_ends_whose_live_chat_stopped_behind_a_refused_join() {
    let mut world = World::new();
    let (ada, [long, _]) = entering_far_behind(&mut world);
    assert!(world.work(long) && world.message(ada));
    while world.timer(ada) {}
    assert_eq!(world.sessions[ada].answers("e")[0]["data"]["code"], "unavailable");
    assert_eq!(world.sessions[ada].ended, Some(Ending::NotReady));
    assert!(world.holds_nothing(ada));
}

#[test]
fn a_session_ends_whose_live_chat_stops_by_a_late_answer() {
    let mut world = World::new();
    let (ada, [long, _]) = entering_far_behind(&mut world);
    while world.timer(ada) {}
    assert_eq!(world.sessions[ada].answers("e")[0]["data"]["code"], "unavailable");
    assert_eq!(world.sessions[ada].ended, None);
    assert!(world.work(long) && world.message(ada));
    assert_eq!(world.sessions[ada].ended, Some(Ending::NotReady));
}

#[test]
fn a_session_ends_whose_live_chat_stopped_and_whose_replay_fails() {
    let mut world = World::new();
    let (ada, _) = entering_far_behind(&mut world);
    world.database_is_away = true;
    world.settle();
    assert_eq!(world.sessions[ada].answers("e")[0]["data"]["code"], "unavailable");
    assert_eq!(world.sessions[ada].ended, Some(Ending::NotReady));
}

#[test]
fn each_ending_says_goodbye_and_closes_once() {
    for (ending, reason) in [
        (Ending::Blocked, Some("blocked")),
        (Ending::Replaced, Some("replaced")),
        (Ending::Shutdown, Some("shutdown")),
        (Ending::SlowReader, Some("slow_reader")),
        (Ending::Silent, None),
    ] {
        let mut world = World::new();
        world.chat(1, &[7]);
        let kim = world.welcomed(7, json!([]));
        world.tell(kim, ToSession::Close(ending));
        world.tell(kim, ToSession::Close(Ending::Shutdown));
        world.settle();
        let goodbyes = world.sessions[kim].heard("goodbye");
        assert_eq!(goodbyes.first().map(|data| &data["reason"]), reason.map(Into::into).as_ref());
        assert_eq!(world.sessions[kim].ended, Some(ending));
        assert!(world.holds_nothing(kim));
    }
}

#[test]
fn a_token_whose_time_is_over_ends_the_session() {
    let mut world = World::new();
    let kim = world.welcomed(7, json!([]));
    // The world's tokens end at 0, and have a leeway of 30 seconds.
    world.now = Timestamp(29_999_999);
    world.tick(kim);
    assert_eq!(world.sessions[kim].ended, None);
    world.now = Timestamp(30_000_000);
    world.tick(kim);
    assert_eq!(world.sessions[kim].ended, Some(Ending::TokenExpired));
    assert_eq!(world.sessions[kim].heard("goodbye")[0]["reason"], "token_expired");
}

#[test]
fn a_live_state_of_a_chat_that_is_entered_follows_the_ack() {
    let mut world = World::new();
    let chat = world.chat(1, &[]);
    let other = world.chat(2, &[]);
    for _ in 0..5 {
        world.other_posts(chat, 0);
    }
    let ada = world.welcomed(8, json!([]));
    let enter = json!({ "event": "enter_chat", "id": "e", "data": { "chats": [entry(chat, 0)] } });
    world.say(ada, &enter);
    assert!(world.frame(ada) && world.answer(ada));
    let key = |chat| EphemeralKey { event: "state", chat, user: UserId(7) };
    world.event(ada, ServerEvent::Ephemeral(key(chat), push("early")));
    world.event(ada, ServerEvent::Ephemeral(key(other), push("of another chat")));
    world.settle();
    let sent: Vec<_> =
        world.sessions[ada].sent.iter().filter_map(|frame| frame["event"].as_str()).collect();
    let [replay, ack] = ["receive_message", "ack"];
    let expected = ["of another chat", replay, replay, replay, replay, replay, ack, "early"];
    assert!(sent.ends_with(&expected), "{sent:?}");
    assert!(world.holds_nothing(ada));
}

#[test]
fn an_answer_has_what_changed_while_it_was_on_its_way() {
    let mut world = World::new();
    let chat = world.chat(1, &[]);
    for _ in 0..5 {
        world.other_posts(chat, 0);
    }
    let ada = world.welcomed(8, json!([]));
    let enter = json!({ "event": "enter_chat", "id": "e", "data": { "chats": [entry(chat, 0)] } });
    world.say(ada, &enter);
    assert!(world.frame(ada) && world.answer(ada));
    assert!(world.work(chat) && world.message(ada), "the room has let it in");
    let mut live = |user, state| {
        let event = LiveEvent { chat, user: UserId(user), state };
        let shared = Shared::new(SharedEvent::Live(event));
        world.event(ada, ServerEvent::Ephemeral(EphemeralKey::from(&event), shared));
    };
    // Far more than are held back.
    for user in 100..200 {
        live(user, LiveState::Online(true));
    }
    live(150, LiveState::Online(false));
    live(8, LiveState::Read(Seq(3)));
    live(9, LiveState::Read(Seq(4)));
    live(9, LiveState::Typing(true));
    world.settle();
    let ack = &world.sessions[ada].answers("e")[0]["data"]["chats"][0];
    let online: Vec<i64> = (100..200).filter(|user| *user != 150).collect();
    assert_eq!(ack["online"], json!(online));
    let reads = json!([{ "userId": 8, "seq": 3 }, { "userId": 9, "seq": 4 }]);
    assert_eq!(ack["reads"], reads);
    assert_eq!((&ack["readSeq"], &ack["unread"]), (&json!(3), &json!(2)), "read on another device");
    assert!(world.sessions[ada].heard("presence").is_empty(), "told by the answer");
    assert_eq!(world.sessions[ada].sent.last().expect("a frame")["event"], "typing");
    assert!(world.holds_nothing(ada));
}

#[test]
fn a_session_whose_turn_comes_is_acked_before_its_goodbye() {
    let mut world = World::new();
    let chat = world.chat(1, &[7]);
    let kim = world.welcomed(7, json!([]));
    world.say(kim, &post(chat, "a"));
    assert!(world.frame(kim));
    world.tell(kim, ToSession::Close(Ending::Shutdown));
    assert!(world.message(kim));
    assert_eq!(world.sessions[kim].ended, None);
    world.say(kim, &post(chat, "b"));
    assert!(!world.frame(kim), "no frame is read any more");
    world.settle();
    let events: Vec<_> = world.sessions[kim].sent.iter().map(|frame| &frame["event"]).collect();
    assert_eq!(events[events.len() - 2..], ["ack", "goodbye"]);
    assert_eq!(world.sessions[kim].ended, Some(Ending::Shutdown));
    assert!(world.holds_nothing(kim));
}

#[test]
fn a_session_whose_answer_does_not_come_ends_when_told_again() {
    let mut world = World::new();
    let chat = world.chat(1, &[7]);
    let kim = world.welcomed(7, json!([]));
    world.say(kim, &post(chat, "a"));
    assert!(world.frame(kim));
    for ended in [None, Some(Ending::Shutdown)] {
        world.tell(kim, ToSession::Close(Ending::Shutdown));
        assert!(world.message(kim));
        assert_eq!(world.sessions[kim].ended, ended);
    }
}

#[test]
fn only_a_lesser_role_ends_a_session() {
    let mut world = World::new();
    let ada = world.welcomed(8, json!([]));
    world.tell(ada, ToSession::UserChanged { role: Role::Admin, ended: [].into() });
    world.settle();
    assert_eq!(world.sessions[ada].ended, None);
    world.tell(ada, ToSession::UserChanged { role: Role::Customer, ended: [].into() });
    world.settle();
    assert_eq!(world.sessions[ada].ended, Some(Ending::RoleChanged));
}

#[test]
fn events_before_welcome_follow_it_and_of_an_ephemeral_state_the_newest() {
    let mut world = World::new();
    let chat = world.chat(1, &[7]);
    let made = world.chat(2, &[]);
    let kim = world.connect(7);
    world.say(kim, &json!({ "event": "authenticate", "data": { "token": "t" } }));
    assert!(world.frame(kim) && world.answer(kim));
    let key = |user| EphemeralKey { event: "state", chat, user: UserId(user) };
    world.event(kim, ServerEvent::Ephemeral(key(1), push("old")));
    world.event(kim, ServerEvent::Control(Control::Shared(push("told"))));
    world.event(kim, ServerEvent::Ephemeral(key(2), push("another")));
    world.event(kim, ServerEvent::Ephemeral(key(1), push("new")));
    world.announce(kim, made);
    world.settle();
    let events: Vec<_> = world.sessions[kim].sent.iter().map(|frame| &frame["event"]).collect();
    assert_eq!(events[0], "welcome");
    let mut rest: Vec<_> = events[1..].iter().filter_map(|event| event.as_str()).collect();
    rest.sort_unstable();
    assert_eq!(rest, ["another", "chat_created", "new", "told"]);
    assert!(world.holds_nothing(kim));
}
