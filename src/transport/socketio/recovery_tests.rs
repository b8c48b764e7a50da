use std::sync::Arc;

use proptest::prelude::*;

use super::*;
use crate::domain::{Author, MessageId, MessageKind, Role, Timestamp};
use crate::protocol::EnteredView;

const USER: UserId = UserId(7);

fn message(chat: i64, seq: i64) -> Message {
    Message {
        id: MessageId(1),
        chat_id: ChatId(chat),
        seq: Seq(seq),
        author: Arc::new(Author { id: USER, nickname: None, role: Role::Customer }),
        kind: MessageKind::Text,
        content: "x".into(),
        client_id: "c".into(),
        created_at: Timestamp(0),
    }
}

fn chat(id: i64, truncated: bool) -> ChatState {
    let replay = EnteredView { replayed: 0, replayed_to: Seq(0), truncated, reset: false };
    ChatState {
        id: ChatId(id),
        last_seq: Seq(0),
        read_seq: Seq(0),
        unread: 0,
        online: None,
        reads: None,
        replay: Some(replay),
    }
}

fn kept(positions: &[(i64, i64)], log: Log) -> Kept {
    let positions = positions.iter().map(|(chat, seq)| (ChatId(*chat), Seq(*seq))).collect();
    Kept { user: USER, positions, log, used: Used::default() }
}

fn log(events: &[Written]) -> Log {
    let mut log = Log::default();
    events.iter().for_each(|event| log.add(*event));
    log
}

fn at(log: &Log, events: u64) -> Option<String> {
    Some((log.first + events).to_string())
}

fn position(way_on: &WayOn, chat: i64) -> Option<i64> {
    way_on.positions().find(|(id, _)| *id == ChatId(chat)).map(|(_, seq)| seq.0)
}

const fn said(chat: i64, seq: i64) -> Written {
    Written::Message(ChatId(chat), Seq(seq))
}

#[test]
fn what_is_behind_the_offset_is_written_again() {
    let log = log(&[said(1, 5), said(2, 9), said(1, 6), said(1, 8)]);
    let offset = at(&log, 1);
    let mut way_on = kept(&[(1, 8), (2, 9), (3, 4)], log).way_on(offset.as_deref()).expect("a way");
    assert_eq!(position(&way_on, 1), Some(5));
    assert_eq!(position(&way_on, 2), Some(8));
    assert_eq!(position(&way_on, 3), Some(4));
    // 7 was the client's own.
    let lacks = [6, 7, 8, 9].map(|seq| way_on.lacks(&message(1, seq)));
    assert_eq!(lacks, [true, false, true, true]);
    assert!(way_on.lacks(&message(3, 5)));
    assert!(!way_on.is_done(), "a chat is missing");
    assert!(way_on.lacks(&message(2, 9)) && way_on.is_done());
}

#[test]
fn a_client_without_an_event_lacks_all() {
    for offset in [None, Some("12"), Some("x"), Some("")] {
        let way_on = kept(&[(1, 6)], log(&[said(1, 6)])).way_on(offset).expect("a way");
        assert_eq!(position(&way_on, 1), Some(5), "{offset:?}");
    }
}

#[test]
fn an_answered_ping_confirms_what_was_written_before_it() {
    let mut log = log(&[said(1, 5)]);
    log.pinged();
    log.add(said(1, 6));
    log.ponged();
    log.ponged();
    let offset = at(&log, 0);
    assert_eq!(log.events, [said(1, 6)]);
    let way_on = kept(&[(1, 6)], log).way_on(offset.as_deref()).expect("a way");
    assert_eq!(position(&way_on, 1), Some(5));
}

#[test]
fn what_would_not_be_exact_is_refused() {
    let mut confirmed = log(&[said(1, 5)]);
    confirmed.pinged();
    confirmed.ponged();
    let offset = (confirmed.first - 1).to_string();
    assert!(kept(&[(1, 5)], confirmed).way_on(Some(&offset)).is_none(), "before what is known");
    let mut much = Log::default();
    let first = much.first.to_string();
    for seq in 1..=1025 {
        much.add(said(1, seq));
    }
    assert!(kept(&[(1, 1025)], much).way_on(Some(&first)).is_none(), "more than is remembered");
    let other = log(&[Written::Other]);
    let offset = at(&other, 0);
    assert!(kept(&[(1, 5)], other).way_on(offset.as_deref()).is_none(), "what is not kept");
    let other = log(&[Written::Other]);
    let offset = at(&other, 1);
    assert!(kept(&[(1, 5)], other).way_on(offset.as_deref()).is_some(), "which it has");
    let left = log(&[said(2, 5)]);
    let offset = at(&left, 0);
    assert!(kept(&[(1, 5)], left).way_on(offset.as_deref()).is_none(), "a chat that it has left");
    let many: Vec<_> = (1..=101).map(|chat| (chat, 1)).collect();
    assert!(kept(&many, Log::default()).way_on(None).is_none(), "more chats than may be named");
}

#[test]
fn a_session_goes_on_for_the_same_user_in_the_same_chats() {
    let way_on = kept(&[(1, 5), (2, 9)], Log::default()).way_on(None).expect("a way");
    let is_exact = |user, chats: &[ChatState]| way_on.is_exact(user, chats);
    assert!(is_exact(USER, &[chat(2, false), chat(1, false)]));
    assert!(!is_exact(UserId(8), &[chat(2, false), chat(1, false)]));
    assert!(!is_exact(USER, &[chat(1, false)]));
    assert!(!is_exact(USER, &[chat(1, false), chat(3, false)]));
    assert!(!is_exact(USER, &[chat(1, false), chat(2, true)]));
    let began_at_the_end = ChatState { replay: None, ..chat(2, false) };
    assert!(!is_exact(USER, &[chat(1, false), began_at_the_end]));
}

#[derive(Debug, Clone)]
enum Step {
    /// A message of another user in a chat.
    Other(usize),
    /// One of the session's own, which it has as an ack.
    Own(usize),
    /// The client reads some of what was written.
    Read(usize),
    Ping,
    /// The client answers, if it has read the ping.
    Pong,
    /// The connection breaks, and some is written while it is away.
    Break(Vec<usize>),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0..3usize).prop_map(Step::Other),
        2 => (0..3usize).prop_map(Step::Own),
        3 => (1..6usize).prop_map(Step::Read),
        1 => Just(Step::Ping),
        1 => Just(Step::Pong),
        1 => proptest::collection::vec(0..3usize, 0..4).prop_map(Step::Break),
    ]
}

/// A packet on its way to the client.
#[derive(Debug, Clone, Copy)]
enum Sent {
    Event(usize, i64, u64),
    Ping,
}

proptest! {
    /// A client over many breaks has every message of others once and in order, and none of its own.
    #[test]
    fn a_recovered_client_has_every_event_once(steps in proptest::collection::vec(step(), 1..120)) {
        // Each chat: its messages, true for the session's own; the session's position; what the client has.
        let mut chats = [const { Vec::<bool>::new() }; 3];
        let mut written = [0i64; 3];
        let mut has = [const { Vec::<i64>::new() }; 3];
        let mut log = Log::default();
        let mut offset: Option<String> = None;
        let mut wire: VecDeque<Sent> = VecDeque::new();
        let mut has_ping = false;
        let everything = [Step::Break(vec![]), Step::Read(usize::MAX)];
        for step in steps.into_iter().chain(everything) {
            match step {
                Step::Other(at) | Step::Own(at) => {
                    let own = matches!(step, Step::Own(_));
                    chats[at].push(own);
                    let seq = chats[at].len() as i64;
                    written[at] = seq;
                    if !own {
                        log.add(said(at as i64, seq));
                        wire.push_back(Sent::Event(at, seq, log.offset()));
                    }
                }
                Step::Read(count) => {
                    for _ in 0..count {
                        match wire.pop_front() {
                            Some(Sent::Event(at, seq, behind)) => {
                                has[at].push(seq);
                                offset = Some(behind.to_string());
                            }
                            Some(Sent::Ping) => has_ping = true,
                            None => break,
                        }
                    }
                }
                Step::Ping if log.pinged.is_none() => {
                    log.pinged();
                    wire.push_back(Sent::Ping);
                }
                Step::Ping => {}
                Step::Pong => {
                    if std::mem::take(&mut has_ping) {
                        log.ponged();
                    }
                }
                Step::Break(away) => {
                    wire.clear();
                    has_ping = false;
                    let positions: Vec<_> = (0..3).map(|at| (at as i64, written[at])).collect();
                    let broken = std::mem::take(&mut log);
                    let mut way_on = kept(&positions, broken).way_on(offset.as_deref()).expect("a way");
                    for at in away {
                        chats[at].push(false);
                    }
                    for at in 0..3 {
                        let from = position(&way_on, at as i64).expect("a position");
                        for seq in from + 1..=chats[at].len() as i64 {
                            written[at] = seq;
                            if way_on.lacks(&message(at as i64, seq)) {
                                log.add(said(at as i64, seq));
                                wire.push_back(Sent::Event(at, seq, log.offset()));
                            }
                        }
                    }
                }
            }
        }
        for at in 0..3 {
            let others = chats[at].iter().enumerate().filter(|(_, own)| !**own);
            let others: Vec<i64> = others.map(|(at, _)| at as i64 + 1).collect();
            prop_assert_eq!(&has[at], &others);
        }
    }
}
