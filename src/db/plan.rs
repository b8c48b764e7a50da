//! What a batch of writes comes to, decided without a database: duplicates, expectations, numbers.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::writer::{Batch, Mark, Marked, Refusal, Written};
use crate::domain::{ChatId, Draft, MessageId, Receipt, Seq, Stored, Timestamp, UserId};

/// By what a message is known again: chat, author and the author's name for it.
pub type Key<'a> = (ChatId, UserId, &'a str);

pub fn key(draft: &Draft) -> Key<'_> {
    (draft.chat_id, draft.author, draft.client_id.as_str())
}

/// A message that the log has already.
#[derive(Debug, Clone)]
pub struct Found {
    pub receipt: Receipt,
    pub body: String,
    /// The author's, as it is stored; needed where the message may be [`Ours`].
    pub nickname: Option<String>,
}

/// What the database says of a row that it took: its id, and the author's nickname.
pub type Inserted = (MessageId, Option<String>);

/// What was found under the lock of the batch's chats.
#[derive(Debug)]
pub struct Ground<'a> {
    /// The last `seq` of each chat that exists.
    pub heads: BTreeMap<ChatId, Seq>,
    /// When each of them was last written to.
    pub times: BTreeMap<ChatId, Timestamp>,
    /// The messages that are known already.
    pub found: HashMap<Key<'a>, Found>,
    /// The time of what is written now.
    pub now: Timestamp,
}

/// Rows that we sent to be committed without learning whether they were: where and when each
/// would stand. One that is found there later is our own, and no duplicate.
pub type Ours = HashSet<(ChatId, Seq, Timestamp)>;

/// What is to be written, and what to answer once it is.
#[derive(Debug)]
pub struct Plan<'a> {
    answers: Vec<Answer>,
    /// The new messages and their numbers.
    pub rows: Vec<(&'a Draft, Seq)>,
    /// The last `seq` of each chat, with the new messages.
    pub heads: BTreeMap<ChatId, Seq>,
    /// How far readers have read, where this batch says something of it.
    pub marks: BTreeMap<(ChatId, UserId), Seq>,
    /// Those of them that were asked for, and are not where the reader's own message stands anyway:
    /// news, where they go beyond what is stored.
    pub reads: BTreeMap<(ChatId, UserId), Seq>,
    pub now: Timestamp,
    /// The time of what is written into each chat.
    times: BTreeMap<ChatId, Timestamp>,
}

#[derive(Debug)]
enum Answer {
    Now(Stored),
    /// New: will stand here.
    New(ChatId, Seq),
    /// The same as the one that will stand here, once more.
    Same(ChatId, Seq),
}

enum Known<'a> {
    InLog { found: Found, ours: bool },
    InBatch { first: &'a Draft, seq: Seq },
}

/// Decides, in the order of the batch: first whether a draft is known, then whether what it expects
/// still holds, then its number.
pub fn plan<'a>(batch: &'a Batch, ground: Ground<'a>, ours: &Ours) -> Plan<'a> {
    let Ground { mut heads, mut times, found, now } = ground;
    // A clock may be set back, and other nodes have others; a chat's time does not go back.
    times.values_mut().for_each(|time| *time = now.max(*time));
    let mut known: HashMap<Key<'a>, Known<'a>> = found
        .into_iter()
        .map(|(key, found)| {
            let ours = ours.contains(&(key.0, found.receipt.seq, found.receipt.created_at));
            (key, Known::InLog { found, ours })
        })
        .collect();
    let mut rows = Vec::new();
    let mut marks = BTreeMap::new();
    let mut reads = BTreeMap::new();
    let mut answers = Vec::with_capacity(batch.drafts.len());
    for draft in &batch.drafts {
        let Some(head) = heads.get_mut(&draft.chat_id) else {
            answers.push(Answer::Now(Stored::NoChat));
            continue;
        };
        answers.push(match known.get_mut(&key(draft)) {
            Some(Known::InLog { found, .. }) if found.body != draft.body.as_str() => {
                Answer::Now(Stored::ClientIdReused)
            }
            Some(Known::InLog { found, ours }) => Answer::Now(if std::mem::take(ours) {
                Stored::New(found.receipt, found.nickname.take())
            } else {
                Stored::Duplicate(found.receipt)
            }),
            Some(Known::InBatch { first, .. }) if first.body != draft.body => {
                Answer::Now(Stored::ClientIdReused)
            }
            Some(Known::InBatch { seq, .. }) => Answer::Same(draft.chat_id, *seq),
            None if draft.expect_seq.is_some_and(|expected| expected != *head) => {
                Answer::Now(Stored::ChatMoved { last_seq: *head })
            }
            None => {
                let seq = head.next();
                *head = seq;
                rows.push((draft, seq));
                known.insert(key(draft), Known::InBatch { first: draft, seq });
                // Who writes has read up to it.
                marks.insert((draft.chat_id, draft.author), seq);
                Answer::New(draft.chat_id, seq)
            }
        });
    }
    for mark in &batch.marks {
        if let Some(head) = heads.get(&mark.chat_id) {
            let key = (mark.chat_id, mark.user_id);
            let read = marks.entry(key).or_insert(Seq::ZERO);
            let asked = mark.seq.min(*head);
            if asked > *read {
                *read = asked;
                reads.insert(key, asked);
            }
        }
    }
    Plan { answers, rows, heads, marks, reads, now, times }
}

impl Plan<'_> {
    /// The time of what is written into the chat.
    pub fn at(&self, chat: ChatId) -> Timestamp {
        self.times.get(&chat).copied().unwrap_or(self.now)
    }

    /// The chats that get messages, with their new last `seq`.
    pub fn moved(&self) -> BTreeMap<ChatId, Seq> {
        self.rows.iter().map(|&(draft, seq)| (draft.chat_id, seq)).collect()
    }

    /// Where the rows will stand, to know them again.
    pub fn remember(&self) -> impl Iterator<Item = (ChatId, Seq, Timestamp)> {
        self.rows.iter().map(|&(draft, seq)| (draft.chat_id, seq, self.at(draft.chat_id)))
    }

    /// The answers, once all is committed: what the new rows are, `marks` as they now stand, and the
    /// last `seq` of chats that were only asked for (`heads`).
    pub fn written(
        self,
        batch: &Batch,
        mut rows: HashMap<(ChatId, Seq), Inserted>,
        marks: &HashMap<(ChatId, UserId), Seq>,
        heads: &HashMap<ChatId, Seq>,
    ) -> Written {
        let (times, now) = (&self.times, self.now);
        let receipt = |chat: ChatId, seq: Seq, id: MessageId| {
            let created_at = times.get(&chat).copied().unwrap_or(now);
            Receipt { id, seq, created_at }
        };
        // Without an id cannot be: each row that was inserted has returned its own.
        let answer = |answer: Answer| match answer {
            Answer::Now(stored) => stored,
            Answer::New(chat, seq) => {
                rows.get_mut(&(chat, seq)).map_or(Stored::Unavailable, |(id, nickname)| {
                    Stored::New(receipt(chat, seq, *id), nickname.take())
                })
            }
            Answer::Same(chat, seq) => rows
                .get(&(chat, seq))
                .map_or(Stored::Unavailable, |(id, _)| Stored::Duplicate(receipt(chat, seq, *id))),
        };
        let marked = |mark: &Mark| {
            let last_seq = *self.heads.get(&mark.chat_id).ok_or(Refusal::NoChat)?;
            let read_seq = marks.get(&(mark.chat_id, mark.user_id)).ok_or(Refusal::Unavailable)?;
            Ok(Marked { read_seq: *read_seq, last_seq })
        };
        let head = |chat: &ChatId| {
            self.heads.get(chat).or_else(|| heads.get(chat)).copied().ok_or(Refusal::NoChat)
        };
        Written {
            drafts: self.answers.into_iter().map(answer).collect(),
            marks: batch.marks.iter().map(marked).collect(),
            heads: batch.heads.iter().map(head).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::domain::{Body, ClientId, Role};

    const NOW: Timestamp = Timestamp(1_000);
    const CHAT: ChatId = ChatId(1);
    const KIM: UserId = UserId(7);

    fn draft(chat: i64, client_id: &str, text: &str) -> Draft {
        Draft {
            chat_id: ChatId(chat),
            author: KIM,
            role: Role::Customer,
            body: Body::parse(text.to_owned(), 100).unwrap(),
            client_id: ClientId::parse(client_id.to_owned()).unwrap(),
            expect_seq: None,
        }
    }

    /// Of two chats: the first has 5 messages, of which `known` is the third; the second has none.
    fn decide(drafts: Vec<Draft>, ours: &Ours) -> Vec<Stored> {
        let batch = Batch { drafts, ..Batch::default() };
        let receipt = Receipt { id: MessageId(103), seq: Seq(3), created_at: Timestamp(500) };
        let found = Found { receipt, body: "hello".to_owned(), nickname: kim() };
        let ground = Ground {
            heads: [(CHAT, Seq(5)), (ChatId(2), Seq(0))].into(),
            times: BTreeMap::new(),
            found: [((CHAT, KIM, "known"), found)].into(),
            now: NOW,
        };
        answers(&batch, plan(&batch, ground, ours)).drafts
    }

    /// Gives each row the id 100 times its chat plus its number.
    fn answers(batch: &Batch, plan: Plan<'_>) -> Written {
        let id = |(chat, seq, _): (ChatId, Seq, Timestamp)| {
            ((chat, seq), (MessageId(chat.0 * 100 + seq.0), kim()))
        };
        let rows = plan.remember().map(id).collect();
        let marks = plan.marks.iter().map(|(key, seq)| (*key, *seq)).collect();
        plan.written(batch, rows, &marks, &HashMap::new())
    }

    fn new(chat: i64, seq: i64) -> Stored {
        Stored::New(receipt(chat, seq), kim())
    }

    fn kim() -> Option<String> {
        Some("Kim".to_owned())
    }

    fn receipt(chat: i64, seq: i64) -> Receipt {
        Receipt { id: MessageId(chat * 100 + seq), seq: Seq(seq), created_at: NOW }
    }

    #[test]
    fn new_messages_are_numbered_from_the_end_of_each_chat() {
        let drafts = vec![draft(1, "a", "x"), draft(2, "a", "x"), draft(1, "b", "x")];
        assert_eq!(decide(drafts, &Ours::new()), [new(1, 6), new(2, 1), new(1, 7)]);
    }

    #[test]
    fn a_duplicate_takes_no_number() {
        let known = Receipt { id: MessageId(103), seq: Seq(3), created_at: Timestamp(500) };
        let drafts = vec![
            draft(1, "known", "hello"),
            draft(1, "known", "other"),
            draft(1, "a", "x"),
            draft(1, "a", "x"),
            draft(1, "a", "y"),
            draft(3, "a", "x"),
            draft(1, "b", "x"),
        ];
        assert_eq!(
            decide(drafts, &Ours::new()),
            [
                Stored::Duplicate(known),
                Stored::ClientIdReused,
                new(1, 6),
                Stored::Duplicate(receipt(1, 6)),
                Stored::ClientIdReused,
                Stored::NoChat,
                new(1, 7),
            ]
        );
    }

    #[test]
    fn what_we_committed_ourselves_is_new_once() {
        let drafts = vec![draft(1, "known", "hello"), draft(1, "known", "hello")];
        let ours: Ours = [(CHAT, Seq(3), Timestamp(500))].into();
        let stored = decide(drafts.clone(), &ours);
        assert!(matches!(stored[0], Stored::New(receipt, Some(_)) if receipt.seq == Seq(3)));
        assert!(matches!(stored[1], Stored::Duplicate(receipt) if receipt.seq == Seq(3)));
        // Another one's row at the same place is a duplicate.
        let theirs: Ours = [(CHAT, Seq(3), Timestamp(501))].into();
        assert!(matches!(decide(drafts, &theirs)[0], Stored::Duplicate(_)));
    }

    #[test]
    fn an_expectation_sees_what_stands_before_it_in_the_batch() {
        let expecting =
            |client_id, seq| Draft { expect_seq: Some(Seq(seq)), ..draft(1, client_id, "x") };
        let drafts =
            vec![expecting("a", 5), expecting("b", 5), expecting("a", 5), expecting("c", 6)];
        assert_eq!(
            decide(drafts, &Ours::new()),
            [
                new(1, 6),
                Stored::ChatMoved { last_seq: Seq(6) },
                Stored::Duplicate(receipt(1, 6)),
                new(1, 7),
            ]
        );
    }

    #[test]
    fn a_chats_time_does_not_go_back_with_the_clock() {
        let drafts = vec![draft(1, "a", "x"), draft(2, "a", "x")];
        let batch = Batch { drafts, ..Batch::default() };
        let ground = Ground {
            heads: [(CHAT, Seq(5)), (ChatId(2), Seq(0))].into(),
            times: [(CHAT, Timestamp(NOW.0 + 60)), (ChatId(2), Timestamp(NOW.0 - 60))].into(),
            found: HashMap::new(),
            now: NOW,
        };
        let plan = plan(&batch, ground, &Ours::new());
        assert_eq!((plan.at(CHAT), plan.at(ChatId(2))), (Timestamp(NOW.0 + 60), NOW));
        let remembered: Vec<_> = plan.remember().map(|(_, _, at)| at).collect();
        assert_eq!(remembered, [Timestamp(NOW.0 + 60), NOW]);
        let stored = answers(&batch, plan).drafts;
        let later = Receipt { created_at: Timestamp(NOW.0 + 60), ..receipt(1, 6) };
        assert_eq!(stored, [Stored::New(later, kim()), new(2, 1)]);
    }

    #[test]
    fn what_ones_own_message_reads_is_no_news() {
        let mark = |user, seq| Mark { chat_id: CHAT, user_id: UserId(user), seq: Seq(seq) };
        let batch = Batch {
            // The seventh has read as far as 7; the chat ends at 8.
            drafts: vec![
                draft(1, "a", "x"),
                draft(1, "b", "x"),
                Draft { author: UserId(9), ..draft(1, "c", "x") },
            ],
            marks: vec![mark(7, 6), mark(7, 7), mark(8, 2), mark(8, 1), mark(9, 99), mark(10, 0)],
            heads: Vec::new(),
        };
        let ground = Ground {
            heads: [(CHAT, Seq(5))].into(),
            times: BTreeMap::new(),
            found: HashMap::new(),
            now: NOW,
        };
        let read = |user, seq| ((CHAT, UserId(user)), Seq(seq));
        let plan = plan(&batch, ground, &Ours::new());
        assert_eq!(plan.reads, [read(8, 2)].into());
        assert_eq!(plan.marks, [read(7, 7), read(8, 2), read(9, 8), read(10, 0)].into());
    }

    proptest! {
        #[test]
        fn numbers_follow_without_a_gap(
            picks in prop::collection::vec((1..4_i64, 0..6_u8, 0..3_u8, prop::option::of(0..9_i64)), 0..40)
        ) {
            let drafts = picks
                .into_iter()
                .map(|(chat, client_id, text, expect)| Draft {
                    expect_seq: expect.map(Seq),
                    ..draft(chat, &format!("c{client_id}"), &format!("t{text}"))
                })
                .collect();
            let batch = Batch { drafts, ..Batch::default() };
            let ground = Ground {
                heads: [(ChatId(1), Seq(4)), (ChatId(2), Seq(0))].into(),
                times: BTreeMap::new(),
                found: HashMap::new(),
                now: NOW,
            };
            let plan = plan(&batch, ground, &Ours::new());
            let (heads, rows) = (plan.heads.clone(), plan.rows.clone());
            let stored = answers(&batch, plan).drafts;
            prop_assert_eq!(stored.len(), batch.drafts.len());
            for (chat, start) in [(ChatId(1), 4), (ChatId(2), 0)] {
                let seqs: Vec<i64> = rows
                    .iter()
                    .filter(|(draft, _)| draft.chat_id == chat)
                    .map(|(_, seq)| seq.0)
                    .collect();
                let end = heads[&chat].0;
                prop_assert_eq!(seqs, (start + 1..=end).collect::<Vec<_>>());
            }
            let names: HashSet<_> = rows.iter().map(|(draft, _)| key(draft)).collect();
            prop_assert_eq!(names.len(), rows.len());
        }
    }
}
