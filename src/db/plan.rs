//! Batch planner: duplicates, expectations and numbers of a batch, decided without a database.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use super::write_op::{Mark, Marked, Refusal, Write, WriteOp, WriteResult, Written};
use crate::domain::{
    ChatId, Draft, MessageId, MessageKind, PostResult, Receipt, Seq, Timestamp, UserId,
};

/// A message's idempotency key: chat, author, and the author's own id.
pub type Key<'a> = (ChatId, UserId, &'a str);

pub fn key(draft: &Draft) -> Key<'_> {
    (draft.chat_id, draft.author, draft.client_id.as_str())
}

/// A stored message with the key of a draft.
#[derive(Debug, Clone)]
pub struct Found {
    pub receipt: Receipt,
    pub kind: MessageKind,
    pub content: String,
    /// The author's nickname as stored; needed if the message may be [`MaybeCommitted`].
    pub nickname: Option<String>,
}

impl Found {
    fn is(&self, draft: &Draft) -> bool {
        self.content == draft.content.as_str() && self.kind == draft.kind
    }
}

/// The database's answer for an inserted row: its id, and the author's nickname.
pub type Inserted = (MessageId, Option<String>);

/// The state of the batch's chats, read under their locks.
#[derive(Debug)]
pub struct Snapshot<'a> {
    /// The last `seq` of each chat that exists.
    pub heads: BTreeMap<ChatId, Seq>,
    /// Time of the last write to each of them.
    pub times: BTreeMap<ChatId, Timestamp>,
    /// The stored messages with the drafts' keys.
    pub found: HashMap<Key<'a>, Found>,
    /// The stored read marks that the batch's marks are about.
    pub marks: HashMap<(ChatId, UserId), Seq>,
    /// The time of this transaction.
    pub now: Timestamp,
}

/// Places of rows whose commit has an unknown outcome. A row that is found there later is our own,
/// and not a duplicate.
pub type MaybeCommitted = HashSet<(ChatId, Seq, Timestamp)>;

/// The rows to write, and the results once they are committed.
#[derive(Debug)]
pub struct Plan<'a> {
    /// The outcome of each post, in the order of the batch.
    posts: Vec<PlannedPost>,
    /// The new messages and their numbers.
    pub rows: Vec<(&'a Draft, Seq)>,
    /// The last `seq` of each chat, with the new messages.
    pub heads: BTreeMap<ChatId, Seq>,
    /// Read marks that this batch raises.
    pub marks: BTreeMap<(ChatId, UserId), Seq>,
    /// Read marks that were requested and rise, and do not follow from the reader's own message.
    pub reads: BTreeMap<(ChatId, UserId), Seq>,
    /// For each mark, in the order of the batch: it rises.
    raised: Vec<bool>,
    stored_marks: HashMap<(ChatId, UserId), Seq>,
    pub now: Timestamp,
    /// The write time of each chat.
    times: BTreeMap<ChatId, Timestamp>,
}

#[derive(Debug)]
enum PlannedPost {
    Done(PostResult),
    /// A new row: its own, or that of the same message earlier in the batch.
    Row {
        chat: ChatId,
        seq: Seq,
        created_at: Timestamp,
        is_first: bool,
    },
}

enum KnownMessage<'a> {
    InLog { found: Found, ours: bool },
    InBatch { first: &'a Draft, seq: Seq },
}

/// The results of a transaction, for after its COMMIT.
#[derive(Debug, Default)]
pub struct Committed {
    posts: Vec<PlannedPost>,
    heads: BTreeMap<ChatId, Seq>,
    /// The new rows.
    rows: HashMap<(ChatId, Seq), Inserted>,
    /// The read marks as they now stand.
    marks: HashMap<(ChatId, UserId), Seq>,
    /// For each mark, in the order of the batch: it rose.
    raised: Vec<bool>,
    /// The last `seq` of chats that were only read.
    last_seqs: HashMap<ChatId, Seq>,
}

/// The drafts of a batch, in its order.
pub fn drafts(batch: &[Write]) -> impl Iterator<Item = &Draft> {
    batch.iter().filter_map(|write| match &write.op {
        WriteOp::Post(draft) => Some(draft),
        _ => None,
    })
}

/// The keys of the batch's marks.
pub fn marks(batch: &[Write]) -> Vec<(ChatId, UserId)> {
    let marks = batch.iter().filter_map(|write| match &write.op {
        WriteOp::Mark(mark) => Some((mark.chat_id, mark.user_id)),
        _ => None,
    });
    marks.collect()
}

/// The chats whose last `seq` is read.
pub fn asked_chats(batch: &[Write]) -> Vec<ChatId> {
    let asked = batch.iter().filter_map(|write| match &write.op {
        WriteOp::LastSeq(chat) => Some(*chat),
        _ => None,
    });
    asked.collect()
}

/// The changed chats, by id.
pub fn changed_chats(batch: &[Write]) -> Vec<ChatId> {
    let chats: BTreeSet<ChatId> = batch.iter().filter_map(|write| write.op.changes()).collect();
    chats.into_iter().collect()
}

/// Plans the batch, in its order.
pub fn plan<'a>(batch: &'a [Write], snapshot: Snapshot<'a>, ours: &MaybeCommitted) -> Plan<'a> {
    let Snapshot { heads, mut times, found, marks: stored_marks, now } = snapshot;
    // A chat's time never goes back, though clocks differ and may be set back.
    times.values_mut().for_each(|time| *time = now.max(*time));
    let mut known: HashMap<Key<'a>, KnownMessage<'a>> = found
        .into_iter()
        .map(|(key, found)| {
            let ours = ours.contains(&(key.0, found.receipt.seq, found.receipt.created_at));
            (key, KnownMessage::InLog { found, ours })
        })
        .collect();
    let mut plan = Plan {
        posts: Vec::with_capacity(batch.len()),
        rows: Vec::new(),
        heads,
        marks: BTreeMap::new(),
        reads: BTreeMap::new(),
        raised: Vec::new(),
        stored_marks,
        now,
        times,
    };
    for write in batch {
        match &write.op {
            WriteOp::Post(draft) => {
                let planned = plan.post(draft, &mut known);
                plan.posts.push(planned);
            }
            WriteOp::Mark(mark) => {
                let is_raised = plan.mark(mark);
                plan.raised.push(is_raised);
            }
            WriteOp::LastSeq(_) => {}
        }
    }
    plan
}

impl<'a> Plan<'a> {
    /// Checks for a duplicate first, then the expectation, and then assigns a number.
    fn post(
        &mut self,
        draft: &'a Draft,
        known: &mut HashMap<Key<'a>, KnownMessage<'a>>,
    ) -> PlannedPost {
        let chat = draft.chat_id;
        let created_at = self.at(chat);
        let row = |seq, is_first| PlannedPost::Row { chat, seq, created_at, is_first };
        let Some(head) = self.heads.get_mut(&chat) else {
            return PlannedPost::Done(PostResult::NoChat);
        };
        match known.get_mut(&key(draft)) {
            Some(KnownMessage::InLog { found, .. }) if !found.is(draft) => {
                PlannedPost::Done(PostResult::ClientIdReused)
            }
            Some(KnownMessage::InLog { found, ours }) => {
                PlannedPost::Done(if std::mem::take(ours) {
                    PostResult::New(found.receipt, found.nickname.take())
                } else {
                    PostResult::Duplicate(found.receipt)
                })
            }
            Some(KnownMessage::InBatch { first, .. })
                if first.content != draft.content || first.kind != draft.kind =>
            {
                PlannedPost::Done(PostResult::ClientIdReused)
            }
            Some(KnownMessage::InBatch { seq, .. }) => row(*seq, false),
            None if draft.expect_seq.is_some_and(|expected| expected != *head) => {
                PlannedPost::Done(PostResult::ChatMoved { last_seq: *head })
            }
            None => {
                let seq = head.next();
                *head = seq;
                self.rows.push((draft, seq));
                known.insert(key(draft), KnownMessage::InBatch { first: draft, seq });
                // An author has read up to the own message.
                self.marks.insert((chat, draft.author), seq);
                row(seq, true)
            }
        }
    }

    /// `true` if the mark rises.
    fn mark(&mut self, mark: &Mark) -> bool {
        let Some(head) = self.heads.get(&mark.chat_id) else { return false };
        let key = (mark.chat_id, mark.user_id);
        let stored = self.stored_marks.get(&key).copied().unwrap_or(Seq::ZERO);
        let read = self.marks.entry(key).or_insert(stored);
        *read = stored.max(*read);
        let asked = mark.seq.min(*head);
        let is_raised = asked > *read;
        if is_raised {
            *read = asked;
            self.reads.insert(key, asked);
        }
        is_raised
    }

    /// The write time of the chat.
    pub fn at(&self, chat: ChatId) -> Timestamp {
        self.times.get(&chat).copied().unwrap_or(self.now)
    }

    /// The chats that get messages, with their new last `seq`.
    pub fn moved(&self) -> BTreeMap<ChatId, Seq> {
        self.rows.iter().map(|&(draft, seq)| (draft.chat_id, seq)).collect()
    }

    /// The places of new rows, to recognise them after an unknown commit.
    pub fn remember(&self) -> impl Iterator<Item = (ChatId, Seq, Timestamp)> {
        self.rows.iter().map(|&(draft, seq)| (draft.chat_id, seq, self.at(draft.chat_id)))
    }

    /// The results once all is committed, with the database's answers.
    pub fn committed(
        self,
        rows: HashMap<(ChatId, Seq), Inserted>,
        marks: HashMap<(ChatId, UserId), Seq>,
        last_seqs: HashMap<ChatId, Seq>,
    ) -> Committed {
        let Self { posts, heads, raised, .. } = self;
        Committed { posts, heads, rows, marks, raised, last_seqs }
    }
}

impl Committed {
    /// The results of a batch that only reads.
    pub fn read(last_seqs: HashMap<ChatId, Seq>) -> Self {
        Self { last_seqs, ..Self::default() }
    }

    /// The results of the batch that was planned.
    pub fn results(mut self, batch: Vec<Write>) -> impl Iterator<Item = Written> {
        let mut posts = std::mem::take(&mut self.posts).into_iter();
        let mut raised = std::mem::take(&mut self.raised).into_iter();
        batch.into_iter().map(move |Write { id, op }| {
            let result = match op {
                WriteOp::Post(draft) => {
                    // Each post of the batch was planned.
                    let planned = posts.next();
                    let result = planned.map_or(PostResult::Unavailable, |post| self.post(post));
                    WriteResult::Post(draft, result)
                }
                WriteOp::Mark(mark) => {
                    let is_raised = raised.next().unwrap_or_default();
                    WriteResult::Mark(mark, self.mark(&mark, is_raised))
                }
                WriteOp::LastSeq(chat) => WriteResult::LastSeq(chat, self.last_seq(chat)),
            };
            Written { id, result }
        })
    }

    fn post(&mut self, post: PlannedPost) -> PostResult {
        let (chat, seq, created_at, is_first) = match post {
            PlannedPost::Done(result) => return result,
            PlannedPost::Row { chat, seq, created_at, is_first } => {
                (chat, seq, created_at, is_first)
            }
        };
        // Every inserted row returns an id, so none is missing.
        let Some((id, nickname)) = self.rows.get_mut(&(chat, seq)) else {
            return PostResult::Unavailable;
        };
        let receipt = Receipt { id: *id, seq, created_at };
        if is_first {
            PostResult::New(receipt, nickname.take())
        } else {
            PostResult::Duplicate(receipt)
        }
    }

    fn mark(&self, mark: &Mark, is_raised: bool) -> Result<Marked, Refusal> {
        let last_seq = *self.heads.get(&mark.chat_id).ok_or(Refusal::NoChat)?;
        let read_seq = self.marks.get(&(mark.chat_id, mark.user_id));
        let read_seq = *read_seq.ok_or(Refusal::Unavailable)?;
        Ok(Marked { read_seq, last_seq, is_raised })
    }

    fn last_seq(&self, chat: ChatId) -> Result<Seq, Refusal> {
        let end = self.heads.get(&chat).or_else(|| self.last_seqs.get(&chat));
        end.copied().ok_or(Refusal::NoChat)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::db::write_op::WriteId;
    use crate::domain::{Body, ClientId, Role};

    const NOW: Timestamp = Timestamp(1_000);
    const CHAT: ChatId = ChatId(1);
    const KIM: UserId = UserId(7);

    fn draft(chat: i64, client_id: &str, text: &str) -> Draft {
        Draft {
            chat_id: ChatId(chat),
            author: KIM,
            role: Role::Customer,
            kind: MessageKind::Text,
            content: Body::parse(text.to_owned(), 100).unwrap(),
            client_id: ClientId::parse(client_id.to_owned()).unwrap(),
            expect_seq: None,
        }
    }

    fn batch(drafts: Vec<Draft>, marks: Vec<Mark>) -> Vec<Write> {
        let posts = drafts.into_iter().map(WriteOp::Post);
        let ops = posts.chain(marks.into_iter().map(WriteOp::Mark));
        let write = |(number, op)| Write { id: WriteId { source: 1, number }, op };
        (0..).zip(ops).map(write).collect()
    }

    /// Two chats: the first has 5 messages, of which `known` is the third; the second is empty.
    fn decide(drafts: Vec<Draft>, ours: &MaybeCommitted) -> Vec<PostResult> {
        let batch = batch(drafts, Vec::new());
        let receipt = Receipt { id: MessageId(103), seq: Seq(3), created_at: Timestamp(500) };
        let kind = MessageKind::Text;
        let found = Found { receipt, kind, content: "hello".to_owned(), nickname: kim() };
        let snapshot = Snapshot {
            heads: [(CHAT, Seq(5)), (ChatId(2), Seq(0))].into(),
            times: BTreeMap::new(),
            found: [((CHAT, KIM, "known"), found)].into(),
            marks: HashMap::new(),
            now: NOW,
        };
        post_results(&batch, plan(&batch, snapshot, ours))
    }

    /// Gives each row the id 100 times its chat plus its number; returns the results of the posts,
    /// each with its own draft.
    fn post_results(batch: &[Write], plan: Plan<'_>) -> Vec<PostResult> {
        let id = |(chat, seq, _): (ChatId, Seq, Timestamp)| {
            ((chat, seq), (MessageId(chat.0 * 100 + seq.0), kim()))
        };
        let rows = plan.remember().map(id).collect();
        let marks = plan.marks.iter().map(|(key, seq)| (*key, *seq)).collect();
        let committed = plan.committed(rows, marks, HashMap::new());
        let written: Vec<Written> = committed.results(batch.to_vec()).collect();
        let submitted = batch.iter().map(|write| (write.id, &write.op));
        let handed_back = |(written, (id, op)): (Written, (WriteId, &WriteOp))| {
            assert_eq!(written.id, id);
            match (written.result, op) {
                (WriteResult::Post(draft, result), WriteOp::Post(posted)) => {
                    assert_eq!(draft, *posted);
                    Some(result)
                }
                _ => None,
            }
        };
        written.into_iter().zip(submitted).filter_map(handed_back).collect()
    }

    fn new(chat: i64, seq: i64) -> PostResult {
        PostResult::New(receipt(chat, seq), kim())
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
        assert_eq!(decide(drafts, &MaybeCommitted::new()), [new(1, 6), new(2, 1), new(1, 7)]);
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
            decide(drafts, &MaybeCommitted::new()),
            [
                PostResult::Duplicate(known),
                PostResult::ClientIdReused,
                new(1, 6),
                PostResult::Duplicate(receipt(1, 6)),
                PostResult::ClientIdReused,
                PostResult::NoChat,
                new(1, 7),
            ]
        );
    }

    #[test]
    fn a_client_id_stands_for_one_kind() {
        let of_kind = |client_id, text| Draft {
            kind: MessageKind::Other("status".into()),
            ..draft(1, client_id, text)
        };
        let drafts = vec![of_kind("known", "hello"), draft(1, "a", "x"), of_kind("a", "x")];
        assert_eq!(
            decide(drafts, &MaybeCommitted::new()),
            [PostResult::ClientIdReused, new(1, 6), PostResult::ClientIdReused]
        );
    }

    #[test]
    fn what_we_committed_ourselves_is_new_once() {
        let drafts = vec![draft(1, "known", "hello"), draft(1, "known", "hello")];
        let ours: MaybeCommitted = [(CHAT, Seq(3), Timestamp(500))].into();
        let stored = decide(drafts.clone(), &ours);
        assert!(matches!(stored[0], PostResult::New(receipt, Some(_)) if receipt.seq == Seq(3)));
        assert!(matches!(stored[1], PostResult::Duplicate(receipt) if receipt.seq == Seq(3)));
        // Another author's row at the same place is a duplicate.
        let theirs: MaybeCommitted = [(CHAT, Seq(3), Timestamp(501))].into();
        assert!(matches!(decide(drafts, &theirs)[0], PostResult::Duplicate(_)));
    }

    #[test]
    fn an_expectation_sees_what_stands_before_it_in_the_batch() {
        let expecting =
            |client_id, seq| Draft { expect_seq: Some(Seq(seq)), ..draft(1, client_id, "x") };
        let drafts =
            vec![expecting("a", 5), expecting("b", 5), expecting("a", 5), expecting("c", 6)];
        assert_eq!(
            decide(drafts, &MaybeCommitted::new()),
            [
                new(1, 6),
                PostResult::ChatMoved { last_seq: Seq(6) },
                PostResult::Duplicate(receipt(1, 6)),
                new(1, 7),
            ]
        );
    }

    #[test]
    fn a_chats_time_does_not_go_back_with_the_clock() {
        let drafts = vec![draft(1, "a", "x"), draft(2, "a", "x")];
        let batch = batch(drafts, Vec::new());
        let snapshot = Snapshot {
            heads: [(CHAT, Seq(5)), (ChatId(2), Seq(0))].into(),
            times: [(CHAT, Timestamp(NOW.0 + 60)), (ChatId(2), Timestamp(NOW.0 - 60))].into(),
            found: HashMap::new(),
            marks: HashMap::new(),
            now: NOW,
        };
        let plan = plan(&batch, snapshot, &MaybeCommitted::new());
        assert_eq!((plan.at(CHAT), plan.at(ChatId(2))), (Timestamp(NOW.0 + 60), NOW));
        let remembered: Vec<_> = plan.remember().map(|(_, _, at)| at).collect();
        assert_eq!(remembered, [Timestamp(NOW.0 + 60), NOW]);
        let stored = post_results(&batch, plan);
        let later = Receipt { created_at: Timestamp(NOW.0 + 60), ..receipt(1, 6) };
        assert_eq!(stored, [PostResult::New(later, kim()), new(2, 1)]);
    }

    #[test]
    fn what_ones_own_message_reads_is_no_news() {
        let mark = |user, seq| Mark { chat_id: CHAT, user_id: UserId(user), seq: Seq(seq) };
        // The seventh has read up to 7; the chat ends at 8.
        let drafts = vec![
            draft(1, "a", "x"),
            draft(1, "b", "x"),
            Draft { author: UserId(9), ..draft(1, "c", "x") },
        ];
        let marks = vec![
            mark(7, 6),
            mark(7, 7),
            mark(8, 2),
            mark(8, 1),
            mark(9, 99),
            mark(10, 0),
            // The eleventh had read up to 4 before.
            mark(11, 4),
            mark(11, 5),
        ];
        let batch = batch(drafts, marks);
        let snapshot = Snapshot {
            heads: [(CHAT, Seq(5))].into(),
            times: BTreeMap::new(),
            found: HashMap::new(),
            marks: [((CHAT, UserId(11)), Seq(4))].into(),
            now: NOW,
        };
        let read = |user, seq| ((CHAT, UserId(user)), Seq(seq));
        let plan = plan(&batch, snapshot, &MaybeCommitted::new());
        assert_eq!(plan.reads, [read(8, 2), read(11, 5)].into());
        let marks = [read(7, 7), read(8, 2), read(9, 8), read(10, 0), read(11, 5)];
        assert_eq!(plan.marks, marks.into());
        assert_eq!(plan.raised, [false, false, true, false, false, false, false, true]);
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
            let batch = batch(drafts, Vec::new());
            let snapshot = Snapshot {
                heads: [(ChatId(1), Seq(4)), (ChatId(2), Seq(0))].into(),
                times: BTreeMap::new(),
                found: HashMap::new(),
                marks: HashMap::new(),
                now: NOW,
            };
            let plan = plan(&batch, snapshot, &MaybeCommitted::new());
            let (heads, rows) = (plan.heads.clone(), plan.rows.clone());
            let stored = post_results(&batch, plan);
            prop_assert_eq!(stored.len(), batch.len());
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
