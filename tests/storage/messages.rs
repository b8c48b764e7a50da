//! The log: its numbers, its duplicates, and how it is read.

use std::collections::HashSet;

use frontdesk::db::{
    ChatPage, HistoryPage, Mark, Marked, Range, Refusal, Scope, WriteOp, WriteResult,
};
use frontdesk::domain::{
    ChatId, Draft, Identity, MessageKind, OutboxEvent, PostResult, Role, Seq, Timestamp, UserId,
};

use crate::contract;
use crate::fixture::{Fixture, SINK, draft, fill, identity, new, note, posted, raise, run, write};

contract! {
    numbers_have_no_gap_whoever_writes,
    the_same_client_id_is_stored_once,
    a_client_id_stands_for_one_text,
    an_expectation_is_checked_after_the_duplicate,
    a_chat_that_does_not_exist_takes_nothing,
    a_row_that_fails_fails_alone,
    a_message_is_no_older_than_the_one_before_it,
    a_mark_only_grows_and_ends_at_the_end,
    sending_reads_up_to_it,
    a_head_counts_what_is_written_with_it,
    a_log_is_paged_while_it_grows,
    ranges_of_many_chats_are_read_at_once,
    an_empty_batch_is_nothing,
    texts_come_back_as_they_were,
    a_message_shows_the_stored_name_and_the_role_of_its_time,
    a_message_has_its_kind_wherever_it_is_read,
}

fn last_seq(chat: ChatId, seq: i64) -> WriteResult {
    WriteResult::LastSeq(chat, Ok(Seq(seq)))
}

async fn numbers_have_no_gap_whoever_writes(fixture: Fixture) {
    let (kim, shared) = fixture.customer("kim").await;
    let mut tasks = Vec::new();
    for n in 0..4 {
        let (lee, own) = fixture.customer(&format!("lee {n}")).await;
        let mut writer = fixture.another_store().await.writer().await.unwrap();
        tasks.push(tokio::spawn(async move {
            let mut ids = Vec::new();
            for round in 0..10 {
                let drafts = (0..10)
                    .map(|n| note(if n % 2 == 0 { shared } else { own }, [kim, lee][n % 2], "hi"))
                    .collect();
                let stored = write(&mut writer, drafts).await;
                assert_eq!(stored.len(), 10);
                ids.extend(stored.iter().map(|stored| new(stored).id));
                assert_eq!(new(&stored[9]).seq, Seq(round * 5 + 5));
            }
            ids
        }));
    }
    let mut ids = HashSet::new();
    for task in tasks {
        ids.extend(task.await.unwrap());
    }
    assert_eq!(ids.len(), 400, "ids are unique");
    let page = HistoryPage { after: None, before: None, newest_first: false, limit: 1_000 };
    let log = fixture.store.history(shared, page).await.unwrap();
    let seqs: Vec<_> = log.iter().map(|message| message.seq.0).collect();
    assert_eq!(seqs, (1..=200).collect::<Vec<_>>());
    assert!(log.is_sorted_by_key(|message| message.created_at));
    let standing = fixture.store.chat_access(kim, vec![shared]).await.unwrap();
    assert_eq!(standing[0].last_seq, Seq(200));
}

async fn the_same_client_id_is_stored_once(fixture: Fixture) {
    let (kim, chat) = fixture.customer("kim").await;
    let (lee, other) = fixture.customer("lee").await;
    let mut writer = fixture.writer().await;
    let drafts = vec![
        draft(chat, kim, "a", "hello"),
        draft(chat, kim, "a", "hello"),
        draft(chat, kim, "b", "hello"),
        // Another author's, and another chat's, are others.
        draft(chat, lee, "a", "hello"),
        draft(other, kim, "a", "hello"),
    ];
    let stored = write(&mut writer, drafts.clone()).await;
    let first = new(&stored[0]);
    assert_eq!(stored[1], PostResult::Duplicate(first));
    let seqs: Vec<_> = stored[2..].iter().map(|stored| new(stored).seq.0).collect();
    assert_eq!(seqs, [2, 3, 1]);

    let mut again = fixture.another_store().await.writer().await.unwrap();
    let repeated = write(&mut again, drafts).await;
    let expected: Vec<_> = [0, 0, 2, 3, 4]
        .map(|n: usize| PostResult::Duplicate(new(&stored[n])))
        .into_iter()
        .collect();
    assert_eq!(repeated, expected);
    let ends = run(&mut again, [chat, other].map(WriteOp::LastSeq).into()).await;
    assert_eq!(ends, [last_seq(chat, 3), last_seq(other, 1)]);
}

async fn a_client_id_stands_for_one_text(fixture: Fixture) {
    let (kim, chat) = fixture.customer("kim").await;
    let mut writer = fixture.writer().await;
    let drafts = vec![draft(chat, kim, "a", "hello"), draft(chat, kim, "a", "other")];
    let stored = write(&mut writer, drafts).await;
    assert_eq!(stored[1], PostResult::ClientIdReused);
    let stored = write(&mut writer, vec![draft(chat, kim, "a", "other")]).await;
    assert_eq!(stored, [PostResult::ClientIdReused]);
}

async fn an_expectation_is_checked_after_the_duplicate(fixture: Fixture) {
    let (kim, chat) = fixture.customer("kim").await;
    let mut writer = fixture.writer().await;
    let expecting = |client_id, seq| Draft {
        expect_seq: Some(Seq(seq)),
        ..draft(chat, kim, client_id, "hello")
    };
    let drafts = vec![expecting("a", 0), expecting("b", 0), expecting("c", 1)];
    let stored = write(&mut writer, drafts).await;
    assert_eq!(new(&stored[0]).seq, Seq(1));
    assert_eq!(stored[1], PostResult::ChatMoved { last_seq: Seq(1) });
    assert_eq!(new(&stored[2]).seq, Seq(2));

    let retried = write(&mut writer, vec![expecting("a", 0), expecting("b", 0)]).await;
    assert_eq!(retried[0], PostResult::Duplicate(new(&stored[0])), "the own success");
    assert_eq!(retried[1], PostResult::ChatMoved { last_seq: Seq(2) });
}

async fn a_chat_that_does_not_exist_takes_nothing(fixture: Fixture) {
    let (kim, chat) = fixture.customer("kim").await;
    let mut writer = fixture.writer().await;
    let nowhere = ChatId(999);
    let mark = |chat_id| Mark { chat_id, user_id: kim, seq: Seq(1) };
    let of = |chat| {
        [WriteOp::LastSeq(chat), WriteOp::Mark(mark(chat)), WriteOp::Post(note(chat, kim, "hello"))]
    };
    let results = run(&mut writer, [of(nowhere), of(chat)].concat()).await;
    assert_eq!(results[0], WriteResult::LastSeq(nowhere, Err(Refusal::NoChat)));
    assert_eq!(results[1], WriteResult::Mark(mark(nowhere), Err(Refusal::NoChat)));
    assert_eq!(*posted(&results[2]), PostResult::NoChat);
    // Whatever the order: the message first, then the mark, then the end.
    let marked = Marked { read_seq: Seq(1), last_seq: Seq(1), is_raised: false };
    assert_eq!(results[3..5], [last_seq(chat, 1), WriteResult::Mark(mark(chat), Ok(marked))]);
    assert_eq!(new(posted(&results[5])).seq, Seq(1));
}

/// As where a clock was put back, or another node's is ahead.
async fn a_message_is_no_older_than_the_one_before_it(fixture: Fixture) {
    let (kim, chat) = fixture.customer("kim").await;
    let (lee, other) = fixture.customer("lee").await;
    let to_come = Timestamp(Timestamp::now().0 + 3_600_000_000);
    let time = match fixture.store.is_postgres() {
        true => format!("'{to_come}'"),
        false => to_come.0.to_string(),
    };
    let minute = to_come.seconds() / 60;
    fixture
        .execute(&format!(
            "UPDATE chats SET updated_at = {time}, active_minute = {minute} WHERE id = {chat}"
        ))
        .await;
    let mut writer = fixture.writer().await;
    let stored = write(&mut writer, vec![note(other, lee, "now"), note(chat, kim, "later")]).await;
    assert!(new(&stored[0]).created_at < new(&stored[1]).created_at);
    assert_eq!(new(&stored[1]).created_at.seconds(), to_come.seconds());
    let page = ChatPage { after: None, newest_first: true, limit: 10 };
    let listed = fixture.store.chats(kim, Scope::All, page).await.unwrap();
    assert_eq!(listed.iter().map(|(chat, _)| chat.id).collect::<Vec<_>>(), [chat, other]);
}

async fn a_row_that_fails_fails_alone(fixture: Fixture) {
    fixture.refuse_poison().await;
    let (kim, chat) = fixture.customer("kim").await;
    let mut writer = fixture.writer().await;
    let texts = ["one", "two", "poison", "three", "four", "poison", "five"];
    let drafts: Vec<_> = texts.iter().map(|text| note(chat, kim, text)).collect();
    let mark = Mark { chat_id: chat, user_id: kim, seq: Seq(9) };
    let mut ops: Vec<_> = drafts.iter().cloned().map(WriteOp::Post).collect();
    ops.extend([WriteOp::Mark(mark), WriteOp::LastSeq(chat)]);
    let mut results = run(&mut writer, ops).await;
    let of_all = results.split_off(texts.len());
    let seqs: Vec<_> = results
        .iter()
        .zip(&drafts)
        .map(|(result, draft)| match result {
            WriteResult::Post(back, stored) if back == draft => stored,
            other => panic!("{other:?}"),
        })
        .map(|stored| match stored {
            PostResult::New(receipt, _) => receipt.seq.0,
            // To be sent again it would be of no use.
            PostResult::Failed => 0,
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(seqs, [1, 2, 0, 3, 4, 0, 5]);
    let marked = Marked { read_seq: Seq(5), last_seq: Seq(5), is_raised: false };
    assert_eq!(of_all, [WriteResult::Mark(mark, Ok(marked)), last_seq(chat, 5)]);
    let events = writer.take_events();
    assert_eq!(events.failures, 2);
    assert!(events.splits > 0);
    assert_eq!(writer.take_events().splits, 0);
    assert!(writer.is_connected());
}

async fn a_mark_only_grows_and_ends_at_the_end(fixture: Fixture) {
    let (kim, chat) = fixture.customer("kim").await;
    let ada = fixture.admin("ada").await;
    let mut writer = fixture.writer().await;
    fill(&mut writer, chat, kim, 5).await;
    let mut mark = async |seqs: &[i64]| {
        let mark = |seq: &i64| Mark { chat_id: chat, user_id: ada, seq: Seq(*seq) };
        let marks = raise(&mut writer, seqs.iter().map(mark).collect()).await;
        let read = |marked: &Result<Marked, Refusal>| {
            let marked = marked.unwrap();
            assert_eq!(marked.last_seq, Seq(5));
            marked.read_seq.0
        };
        marks.iter().map(read).collect::<Vec<_>>()
    };
    assert_eq!(mark(&[2]).await, [2]);
    assert_eq!(mark(&[1]).await, [2]);
    assert_eq!(mark(&[0, 4, 3]).await, [4, 4, 4]);
    assert_eq!(mark(&[99]).await, [5]);
    assert_eq!(mark(&[-1]).await, [5]);
}

async fn sending_reads_up_to_it(fixture: Fixture) {
    let (kim, chat) = fixture.customer("kim").await;
    let ada = fixture.admin("ada").await;
    let mut writer = fixture.writer().await;
    fill(&mut writer, chat, kim, 3).await;
    let read = |user: UserId| {
        let store = fixture.store.clone();
        async move { store.chat_access(user, vec![chat]).await.unwrap()[0].read_seq }
    };
    assert_eq!((read(kim).await, read(ada).await), (Seq(3), Seq(0)));
    let texts = vec![draft(chat, ada, "a", "hello"), note(chat, kim, "hello")];
    write(&mut writer, texts).await;
    assert_eq!((read(kim).await, read(ada).await), (Seq(5), Seq(4)));
    // What is not stored reads nothing.
    write(&mut writer, vec![draft(chat, ada, "a", "hello")]).await;
    assert_eq!(read(ada).await, Seq(4));
}

async fn a_head_counts_what_is_written_with_it(fixture: Fixture) {
    let (kim, chat) = fixture.customer("kim").await;
    let (_, other) = fixture.customer("lee").await;
    let mut writer = fixture.writer().await;
    let mut ops = vec![WriteOp::LastSeq(other), WriteOp::LastSeq(chat), WriteOp::LastSeq(other)];
    ops.extend([note(chat, kim, "one"), note(chat, kim, "two")].map(WriteOp::Post));
    let results = run(&mut writer, ops).await;
    assert_eq!(results[..3], [last_seq(other, 0), last_seq(chat, 2), last_seq(other, 0)]);
}

async fn a_log_is_paged_while_it_grows(fixture: Fixture) {
    let (kim, chat) = fixture.customer("kim").await;
    let mut writer = fixture.writer().await;
    fill(&mut writer, chat, kim, 20).await;
    for newest_first in [true, false] {
        let mut seen = Vec::new();
        let (mut after, mut before) = (None, None);
        while seen.len() < 20 {
            let page = HistoryPage { after, before, newest_first, limit: 6 };
            let log = fixture.store.history(chat, page).await.unwrap();
            let last = log.last().expect("more").seq;
            if newest_first {
                before = Some(last);
            } else {
                after = Some(last);
            }
            seen.extend(log.into_iter().map(|message| message.seq.0));
            fill(&mut writer, chat, kim, 1).await;
        }
        let mut expected: Vec<i64> = (1..=seen.len() as i64).collect();
        if newest_first {
            expected.reverse();
        }
        assert_eq!(seen, expected);
        // Start over from a log of the same length for both directions.
        fixture.execute("DELETE FROM messages WHERE seq > 20").await;
        fixture.execute("UPDATE chats SET last_seq = 20").await;
    }
    let page = |after, before| HistoryPage { after, before, newest_first: false, limit: 100 };
    let between = fixture.store.history(chat, page(Some(Seq(3)), Some(Seq(6)))).await.unwrap();
    assert_eq!(between.iter().map(|message| message.seq.0).collect::<Vec<_>>(), [4, 5]);
    assert_eq!(between[0].author.nickname.as_deref(), Some("kim"));
    assert!(fixture.store.history(ChatId(999), page(None, None)).await.unwrap().is_empty());
}

async fn ranges_of_many_chats_are_read_at_once(fixture: Fixture) {
    let (kim, first) = fixture.customer("kim").await;
    let (lee, second) = fixture.customer("lee").await;
    let mut writer = fixture.writer().await;
    fill(&mut writer, first, kim, 10).await;
    fill(&mut writer, second, lee, 3).await;
    write(&mut writer, vec![note(second, lee, &"x".repeat(500)), note(second, lee, "y")]).await;
    let range = |chat_id, after, up_to| Range { chat_id, after: Seq(after), up_to: Seq(up_to) };
    let asked = vec![
        range(first, 2, 5),
        range(second, 0, 99),
        range(ChatId(999), 0, 99),
        range(first, 0, 99),
        range(second, 3, 99),
        range(first, 7, 7),
    ];
    let read = |limit, bytes| {
        let (store, asked) = (fixture.store.clone(), asked.clone());
        async move {
            let found = store.ranges(asked, limit, bytes).await.unwrap();
            let seqs = |messages: &Vec<frontdesk::domain::Message>| {
                messages.iter().map(|message| message.seq.0).collect::<Vec<_>>()
            };
            found.iter().map(seqs).collect::<Vec<_>>()
        }
    };
    let all: Vec<Vec<i64>> =
        vec![vec![3, 4, 5], vec![1, 2, 3, 4, 5], vec![], (1..=10).collect(), vec![4, 5], vec![]];
    assert_eq!(read(100, usize::MAX).await, all);
    let two = vec![vec![3, 4], vec![1, 2], vec![], vec![1, 2], vec![4, 5], vec![]];
    assert_eq!(read(2, 10_000).await, two);
    // "message 1" has nine bytes. The fourth message of the second chat is too long for any page,
    // and comes alone.
    let cut = vec![vec![3, 4], vec![1, 2], vec![], vec![1, 2], vec![4], vec![]];
    assert_eq!(read(100, 18).await, cut);
    assert!(fixture.store.ranges(Vec::new(), 10, 10).await.unwrap().is_empty());
}

async fn an_empty_batch_is_nothing(fixture: Fixture) {
    let mut writer = fixture.writer().await;
    assert_eq!(writer.write(Vec::new()).await, []);
}

async fn texts_come_back_as_they_were(fixture: Fixture) {
    let (kim, chat) = fixture.customer("kim").await;
    let mut writer = fixture.writer().await;
    let texts = ["{\"a\",NULL}", "a'b\"c\\d", "ünï 😀 \u{202e}", "$1 ? %s", "line\nline\r\n"];
    write(&mut writer, texts.iter().map(|text| note(chat, kim, text)).collect()).await;
    let page = HistoryPage { after: None, before: None, newest_first: false, limit: 100 };
    let log = fixture.store.history(chat, page).await.unwrap();
    assert_eq!(log.iter().map(|message| message.content.as_str()).collect::<Vec<_>>(), texts);
}

async fn a_message_shows_the_stored_name_and_the_role_of_its_time(fixture: Fixture) {
    let (kim, chat) = fixture.customer("kim").await;
    let store = fixture.telling_store().await;
    let mut writer = store.writer().await.unwrap();
    let said = |stored: &PostResult| match stored {
        PostResult::New(_, nickname) => nickname.clone(),
        other => panic!("{other:?}"),
    };
    let stored = write(&mut writer, vec![note(chat, kim, "one"), note(chat, kim, "two")]).await;
    assert_eq!(
        stored.iter().map(said).collect::<Vec<_>>(),
        [Some("kim".into()), Some("kim".into())]
    );
    // As a node writes that does not know of it.
    fixture.execute("UPDATE messages SET author_role = NULL WHERE seq = 2").await;
    let promoted = Identity {
        role: Some(Role::Admin),
        nickname: Some("Kay".into()),
        issued_at: Some(101),
        ..identity("kim")
    };
    fixture.store.admit(vec![promoted]).await.unwrap();
    let third = Draft { role: Role::Admin, ..note(chat, kim, "three") };
    let stored = write(&mut writer, vec![third, note(chat, kim, "four")]).await;
    assert_eq!(
        stored.iter().map(said).collect::<Vec<_>>(),
        [Some("Kay".into()), Some("Kay".into())]
    );

    let roles = [Role::Customer, Role::Admin, Role::Admin, Role::Customer];
    let page = HistoryPage { after: None, before: None, newest_first: false, limit: 10 };
    let log = fixture.store.history(chat, page).await.unwrap();
    assert_eq!(log.iter().map(|message| message.author.role).collect::<Vec<_>>(), roles);
    assert!(log.iter().all(|message| message.author.nickname.as_deref() == Some("Kay")));
    let range = Range { chat_id: chat, after: Seq(0), up_to: Seq(4) };
    assert_eq!(fixture.store.ranges(vec![range], 10, 1_000).await.unwrap()[0], log);
    let told =
        store.outbox(SINK, 100).await.unwrap().into_iter().filter_map(|entry| match entry.event {
            OutboxEvent::MessageCreated(message) => Some(message),
            _ => None,
        });
    assert_eq!(told.collect::<Vec<_>>(), log);
    let chats = fixture.store.chats_by_id(vec![chat]).await.unwrap();
    assert_eq!(chats[0].last_message.as_ref(), log.last());
}

async fn a_message_has_its_kind_wherever_it_is_read(fixture: Fixture) {
    let (kim, chat) = fixture.customer("kim").await;
    let store = fixture.telling_store().await;
    let mut writer = store.writer().await.unwrap();
    let of_kind = |kind: &str, client_id| Draft {
        kind: MessageKind::from(kind.to_owned()),
        ..draft(chat, kim, client_id, "hello")
    };
    let drafts = vec![of_kind("text", "a"), of_kind("status", "b"), of_kind("text", "c")];
    let stored = write(&mut writer, drafts).await;
    // As a later version writes.
    fixture.execute("UPDATE messages SET kind = 'whisper' WHERE seq = 3").await;

    let again = vec![of_kind("status", "b"), of_kind("text", "b"), of_kind("whisper", "c")];
    let repeated = [
        PostResult::Duplicate(new(&stored[1])),
        PostResult::ClientIdReused,
        PostResult::Duplicate(new(&stored[2])),
    ];
    assert_eq!(write(&mut writer, again).await, repeated);

    let page = HistoryPage { after: None, before: None, newest_first: false, limit: 10 };
    let log = fixture.store.history(chat, page).await.unwrap();
    let kinds: Vec<_> = log.iter().map(|message| message.kind.as_str()).collect();
    assert_eq!(kinds, ["text", "status", "whisper"]);
    assert_eq!(log[0].kind, MessageKind::Text);
    let range = Range { chat_id: chat, after: Seq(0), up_to: Seq(3) };
    assert_eq!(fixture.store.ranges(vec![range], 10, 1_000).await.unwrap()[0], log);
    let told =
        store.outbox(SINK, 100).await.unwrap().into_iter().filter_map(|entry| match entry.event {
            OutboxEvent::MessageCreated(message) => Some(message),
            _ => None,
        });
    assert_eq!(told.collect::<Vec<_>>(), log);
    let chats = fixture.store.chats_by_id(vec![chat]).await.unwrap();
    assert_eq!(chats[0].last_message.as_ref(), log.last());
}
