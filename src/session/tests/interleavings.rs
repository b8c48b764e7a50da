//! Property: in any interleaving each request is answered once, each chat's run has no gap, and
//! nothing is held at the end.

use proptest::prelude::*;
use serde_json::json;

use super::world::{World, entry};
use crate::domain::ChatId;

/// One thing that happens; the numbers choose a session and a chat.
#[derive(Debug, Clone)]
enum Step {
    Post(usize, usize),
    Mark(usize, usize),
    Ping(usize),
    Enter(usize, usize),
    Leave(usize, usize),
    Nonsense(usize),
    Frame(usize),
    Message(usize),
    Answer(usize),
    Timer(usize),
    Work(usize),
    Other(usize, usize),
    Kill(usize),
    Retire(usize),
    Database(bool),
    Close(usize),
}

const SESSIONS: usize = 3;
const CHATS: usize = 3;

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let (session, chat) = (0..SESSIONS, 0..CHATS);
    let both = (session.clone(), chat.clone());
    let step = prop_oneof![
        6 => both.clone().prop_map(|(session, chat)| Step::Post(session, chat)),
        1 => both.clone().prop_map(|(session, chat)| Step::Mark(session, chat)),
        1 => session.clone().prop_map(Step::Ping),
        1 => both.clone().prop_map(|(session, chat)| Step::Enter(session, chat)),
        1 => both.prop_map(|(session, chat)| Step::Leave(session, chat)),
        1 => session.clone().prop_map(Step::Nonsense),
        10 => session.clone().prop_map(Step::Frame),
        12 => session.clone().prop_map(Step::Message),
        4 => session.clone().prop_map(Step::Answer),
        1 => session.clone().prop_map(Step::Timer),
        12 => chat.clone().prop_map(Step::Work),
        3 => (chat.clone(), 0..4_usize).prop_map(|(chat, told)| Step::Other(chat, told)),
        1 => chat.clone().prop_map(Step::Kill),
        1 => chat.prop_map(Step::Retire),
        1 => any::<bool>().prop_map(Step::Database),
        1 => (0..SESSIONS * 8).prop_filter_map("rare", |at| (at < SESSIONS).then_some(Step::Close(at))),
    ];
    prop::collection::vec(step, 1..250)
}

/// A client as the test keeps count of it.
#[derive(Default)]
struct Client {
    requests: Vec<String>,
}

/// Checks that what was written of a chat follows its position without a gap. `welcome` and the ack of
/// `enter_chat` say where a run begins; a join may set it back, never forward past a message.
fn assert_runs(frames: &[serde_json::Value], chat: ChatId) {
    let mut at: Option<i64> = None;
    for frame in frames {
        let data = &frame["data"];
        match frame["event"].as_str().unwrap_or_default() {
            "welcome" => {
                let chats = data["chats"].as_array().into_iter().flatten();
                for state in chats.filter(|state| state["id"] == chat.0) {
                    at = state["lastSeq"].as_i64();
                }
            }
            "ack" if data["chats"].is_array() => {
                let chats = data["chats"].as_array().into_iter().flatten();
                for state in chats.filter(|state| state["chatId"] == chat.0) {
                    at = state["replayedTo"].as_i64();
                }
            }
            "ack" if data["left"].is_null() && data["duplicate"] == true => {}
            "ack" | "receive_message" if data["chatId"] == chat.0 && data["seq"].is_i64() => {
                let seq = data["seq"].as_i64().unwrap_or_default();
                // In a chat that was not joined, or was left, an ack moves no position.
                if frame["event"] == "receive_message" || at == Some(seq - 1) {
                    if let Some(at) = at {
                        assert!(seq <= at + 1, "{seq} follows {at} in {frames:#?}");
                    }
                    at = Some(seq);
                }
            }
            _ => {}
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 192, ..ProptestConfig::default() })]

    #[test]
    fn any_interleaving_answers_once_skips_nothing_and_holds_nothing(steps in steps()) {
        let mut world = World::new();
        let chats: Vec<ChatId> = vec![
            world.chat(1, &[1, 2]),
            world.chat(2, &[2, 3]),
            world.chat(3, &[]),
        ];
        for user in 1..=SESSIONS as i64 {
            world.welcomed(user, json!([entry(chats[0], 0)]));
        }
        let mut clients: Vec<Client> = (0..SESSIONS).map(|_| Client::default()).collect();
        let mut number = 0;
        for step in steps {
            number += 1;
            let id = format!("r{number}");
            let mut say = |world: &mut World, at: usize, event: &str, data: serde_json::Value| {
                if world.sessions[at].ended.is_none() {
                    clients[at].requests.push(id.clone());
                    world.say(at, &json!({ "event": event, "id": id, "data": data }));
                }
            };
            match step {
                Step::Post(at, chat) => say(&mut world, at, "send_message", json!({
                    "chatId": chats[chat].0, "message": "hi",
                })),
                Step::Mark(at, chat) => say(&mut world, at, "read_message", json!({
                    "chatId": chats[chat].0, "seq": 1,
                })),
                Step::Ping(at) => say(&mut world, at, "ping", json!({})),
                Step::Enter(at, chat) => {
                    say(&mut world, at, "enter_chat", json!({ "chatIds": [chats[chat].0] }));
                }
                Step::Leave(at, chat) => {
                    say(&mut world, at, "leave_chat", json!({ "chatIds": [chats[chat].0] }));
                }
                Step::Nonsense(at) => say(&mut world, at, "nonsense", json!([])),
                Step::Frame(at) => drop(world.frame(at)),
                Step::Message(at) => drop(world.message(at)),
                Step::Answer(at) => drop(world.answer(at)),
                Step::Timer(at) => drop(world.timer(at)),
                Step::Work(chat) => drop(world.work(chats[chat])),
                Step::Other(chat, told) => {
                    world.other_posts(chats[chat], told);
                    // A room that does not tell everybody is dying.
                    world.kill(chats[chat]);
                }
                Step::Kill(chat) => world.kill(chats[chat]),
                Step::Retire(chat) => drop(world.retire(chats[chat])),
                Step::Database(is_away) => world.database_is_away = is_away,
                Step::Close(at) => world.close(at),
            }
        }
        world.database_is_away = false;
        world.settle_with_timers();
        for (at, client) in clients.iter().enumerate() {
            let hosted = &world.sessions[at];
            for id in &client.requests {
                let answers = hosted.answers(id).len();
                match hosted.ended {
                    None => prop_assert_eq!(answers, 1, "{} of session {}", id, at),
                    Some(_) => prop_assert!(answers <= 1, "{} of session {}", id, at),
                }
            }
            for chat in &chats {
                assert_runs(&hosted.sent, *chat);
            }
            prop_assert!(world.holds_nothing(at), "session {} holds something", at);
        }
    }
}
