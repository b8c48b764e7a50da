//! News on their way to other services: there if and only if what they tell of is.

use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

use frontdesk::db::{GroupResult, HistoryPage, Mark, OutboxEntry, OutboxState, Store, WriteOp};
use frontdesk::domain::{
    ChatId, Draft, Message, OrderingKey, OutboxEvent, PostResult, Seq, Timestamp, UserId,
};
use tokio::time::timeout;

use crate::contract;
use crate::fixture::{
    Fixture, SINK, draft, fill, group, identity, marked, new, note, raise, run, write,
};

contract! {
    an_event_is_there_if_and_only_if_its_message_is,
    the_events_of_a_chat_come_in_its_order_whoever_writes,
    nothing_is_written_where_nobody_is_told,
    a_read_mark_that_does_not_grow_is_no_news,
    what_ones_own_message_reads_is_no_news,
    users_and_chats_are_told_of_once_when_they_are_made,
    what_was_told_is_gone_and_the_rest_stays,
    event_ids_are_unique_and_stay,
    what_is_told_is_as_it_is_now,
    whoever_waits_for_news_misses_none,
    news_of_what_is_not_there_hold_up_no_others,
    news_of_another_version_stay_where_they_are,
}

/// Everything that waits.
pub async fn waiting(store: &Store) -> Vec<OutboxEntry> {
    store.outbox(SINK, 10_000).await.expect("the outbox")
}

/// The events of each key, in their order.
fn by_key(entries: &[OutboxEntry]) -> BTreeMap<String, Vec<String>> {
    let mut keys: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for OutboxEntry { event, .. } in entries {
        let line = match event {
            OutboxEvent::MessageCreated(message) => format!("message {}", message.seq),
            OutboxEvent::MessageRead { user_id, seq, .. } => format!("{user_id} read {seq}"),
            OutboxEvent::UserCreated(_) | OutboxEvent::ChatCreated(_) => event.name().to_owned(),
        };
        let key = match event.key() {
            OrderingKey::Chat(chat) => format!("chat {chat}"),
            OrderingKey::User(user) => format!("user {user}"),
        };
        keys.entry(key).or_default().push(line);
    }
    keys
}

/// The news of one chat, but for its making.
fn of_chat(entries: &[OutboxEntry], chat: ChatId) -> Vec<String> {
    let mut events = by_key(entries).remove(&format!("chat {chat}")).unwrap_or_default();
    events.retain(|line| line != "chat.created");
    events
}

async fn log(store: &Store, chat: ChatId) -> Vec<Message> {
    let page = HistoryPage { after: None, before: None, newest_first: false, limit: 1_000 };
    store.history(chat, page).await.unwrap()
}

async fn an_event_is_there_if_and_only_if_its_message_is(fixture: Fixture) {
    fixture.refuse_poison().await;
    let store = fixture.telling_store().await;
    let (kim, chat) = fixture.customer("kim").await;
    let (lee, other) = fixture.customer("lee").await;
    let mut writer = store.writer().await.unwrap();
    let drafts = vec![
        draft(chat, kim, "a", "hello"),
        draft(chat, kim, "a", "hello"),
        draft(chat, kim, "a", "reused"),
        draft(ChatId(999), kim, "b", "nowhere"),
        draft(chat, kim, "c", "poison"),
        draft(other, lee, "a", "hello"),
        Draft { expect_seq: Some(Seq(99)), ..draft(chat, kim, "d", "moved") },
        draft(chat, kim, "e", "there"),
    ];
    for _ in 0..2 {
        let stored = write(&mut writer, drafts.clone()).await;
        assert_eq!(stored[4], PostResult::Failed);
        let told: Vec<Message> = waiting(&store)
            .await
            .into_iter()
            .map(|entry| match entry.event {
                OutboxEvent::MessageCreated(message) => message,
                other => panic!("{other:?}"),
            })
            .collect();
        let (first, second) = (log(&store, chat).await, log(&store, other).await);
        assert_eq!((first.len(), second.len(), told.len()), (2, 1, 3));
        for (of, log) in [(chat, first), (other, second)] {
            let told: Vec<_> = told.iter().filter(|message| message.chat_id == of).collect();
            assert_eq!(told, log.iter().collect::<Vec<_>>());
        }
    }
}

async fn the_events_of_a_chat_come_in_its_order_whoever_writes(fixture: Fixture) {
    let store = fixture.telling_store().await;
    let admitted = store.admit(vec![identity("kim")]).await.unwrap().remove(0);
    let (kim, shared) = (admitted.user.id, admitted.chats[0].chat_id);
    let mut tasks = Vec::new();
    for n in 0..4 {
        let (lee, own) = fixture.customer(&format!("lee {n}")).await;
        let mut writer = fixture.telling_store().await.writer().await.unwrap();
        tasks.push(tokio::spawn(async move {
            for _ in 0..10 {
                let drafts = (0..10)
                    .map(|n| note(if n % 2 == 0 { shared } else { own }, [kim, lee][n % 2], "hi"))
                    .collect();
                for stored in write(&mut writer, drafts).await {
                    new(&stored);
                }
            }
            own
        }));
    }
    let mut chats = vec![(shared, 200)];
    for task in tasks {
        chats.push((task.await.unwrap(), 50));
    }
    let entries = waiting(&store).await;
    assert!(entries.is_sorted_by_key(|entry| entry.id));
    for (chat, count) in chats {
        let expected: Vec<_> = (1..=count).map(|seq| format!("message {seq}")).collect();
        assert_eq!(of_chat(&entries, chat), expected);
    }
    let events = by_key(&entries).remove(&format!("chat {shared}")).unwrap();
    assert_eq!(events[0], "chat.created", "told of before what is said in it");
}

/// All that can be news.
async fn a_busy_day(store: &Store) -> (UserId, ChatId) {
    let admitted = store.admit(vec![identity("kim")]).await.unwrap().remove(0);
    let (kim, chat) = (admitted.user.id, admitted.chats[0].chat_id);
    let lee = store.create_user("shop".into(), "lee".into(), None, None).await.unwrap();
    let lee = lee.into_inner();
    store.own_chat(lee.id).await.unwrap();
    group(store, kim, vec![lee.id]).await;
    let mut writer = store.writer().await.unwrap();
    fill(&mut writer, chat, kim, 2).await;
    let marks = vec![Mark { chat_id: chat, user_id: lee.id, seq: Seq(1) }];
    assert!(raise(&mut writer, marks).await[0].is_ok());
    store.set_blocked(lee.id, true, None).await.unwrap();
    (kim, chat)
}

async fn nothing_is_written_where_nobody_is_told(fixture: Fixture) {
    a_busy_day(&fixture.store).await;
    assert_eq!(waiting(&fixture.store).await, []);
    assert_eq!(fixture.store.outbox_state().await.unwrap(), OutboxState::default());
}

async fn a_read_mark_that_does_not_grow_is_no_news(fixture: Fixture) {
    let (kim, chat) = fixture.customer("kim").await;
    let ada = fixture.admin("ada").await;
    let mut quiet = fixture.writer().await;
    fill(&mut quiet, chat, kim, 5).await;
    let store = fixture.telling_store().await;
    let mut writer = store.writer().await.unwrap();
    let mut told = async |seqs: &[i64]| {
        let mark = |seq: &i64| Mark { chat_id: chat, user_id: ada, seq: Seq(*seq) };
        let marks = seqs.iter().map(mark).collect();
        assert!(raise(&mut writer, marks).await.iter().all(Result::is_ok));
        let entries = waiting(&store).await;
        store.published(SINK, entries.iter().map(|entry| entry.id).collect()).await.unwrap();
        of_chat(&entries, chat)
    };
    let read = |seq: i64| vec![format!("{ada} read {seq}")];
    assert_eq!(told(&[0, -1]).await, [""; 0], "nothing is read yet");
    assert_eq!(told(&[2]).await, read(2));
    assert_eq!(told(&[2]).await, [""; 0]);
    assert_eq!(told(&[1]).await, [""; 0]);
    assert_eq!(told(&[0, 4, 3]).await, read(4), "once for what comes together");
    assert_eq!(told(&[99]).await, read(5), "a chat is read to its end at most");
    assert_eq!(told(&[5, 99]).await, [""; 0]);
}

async fn what_ones_own_message_reads_is_no_news(fixture: Fixture) {
    let (kim, chat) = fixture.customer("kim").await;
    let ada = fixture.admin("ada").await;
    let store = fixture.telling_store().await;
    let mut writer = store.writer().await.unwrap();
    let mark = |user_id, seq| Mark { chat_id: chat, user_id, seq: Seq(seq) };
    let drafts = [note(chat, kim, "1"), note(chat, ada, "2"), note(chat, kim, "3")];
    let mut ops: Vec<_> = [mark(kim, 3), mark(kim, 1), mark(ada, 3)].map(WriteOp::Mark).into();
    ops.extend(drafts.map(WriteOp::Post));
    let results = run(&mut writer, ops).await;
    assert!(results[..3].iter().all(|result| marked(result).is_ok()));
    let expected = ["message 1", "message 2", "message 3", &format!("{ada} read 3")];
    assert_eq!(of_chat(&waiting(&store).await, chat), expected);
}

async fn users_and_chats_are_told_of_once_when_they_are_made(fixture: Fixture) {
    let store = fixture.telling_store().await;
    let mut tasks = Vec::new();
    for _ in 0..4 {
        let store = fixture.telling_store().await;
        let batch = vec![identity("kim"), identity("lee"), identity("kim")];
        tasks.push(tokio::spawn(async move { store.admit(batch).await }));
    }
    for task in tasks {
        task.await.unwrap().expect("admitted");
    }
    for _ in 0..2 {
        let made = store.create_user("shop".into(), "moe".into(), None, None).await.unwrap();
        store.own_chat(made.get().id).await.unwrap();
        // Known, so no news of the user.
        store.admit(vec![identity("moe")]).await.unwrap();
    }
    store.admit(vec![identity("kim"), identity("nora")]).await.unwrap();
    let moe = store.find_identity("shop".into(), "moe".into()).await.unwrap().unwrap();
    let group = group(&store, moe.id, vec![]).await;
    let lost = store.create_group(moe.id, vec![UserId(999)], None).await.unwrap();
    assert_eq!(lost, GroupResult::NoUser(UserId(999)));

    let entries = waiting(&store).await;
    let mut users = HashSet::new();
    let mut customers = Vec::new();
    let mut groups = Vec::new();
    for entry in &entries {
        match &entry.event {
            OutboxEvent::UserCreated(user) => {
                assert!(users.insert(user.subject.clone()), "{} twice", user.subject);
                assert_eq!(store.user(user.id).await.unwrap().as_ref(), Some(user));
            }
            OutboxEvent::ChatCreated(chat) if chat.id == group => groups.push(chat.members.len()),
            OutboxEvent::ChatCreated(chat) => {
                let customer = chat.members[0].id;
                let user = store.user(customer).await.unwrap().unwrap();
                assert!(users.contains(&user.subject), "a user is told of before the own chat");
                customers.push(user.subject);
            }
            other => panic!("{other:?}"),
        }
    }
    customers.sort();
    assert_eq!(users.len(), 4);
    assert_eq!((customers.join(" ").as_str(), groups), ("kim lee moe nora", vec![1]));
}

async fn what_was_told_is_gone_and_the_rest_stays(fixture: Fixture) {
    let (kim, chat) = fixture.customer("kim").await;
    let store = fixture.telling_store().await;
    let start = store.settled().await.unwrap();
    let mut writer = store.writer().await.unwrap();
    fill(&mut writer, chat, kim, 6).await;
    let all = waiting(&store).await;
    assert_eq!(store.outbox(SINK, 4).await.unwrap(), all[..4], "those that wait longest");
    let state = store.outbox_state().await.unwrap();
    assert_eq!((state.waiting, state.oldest), (6, Some(all[0].at)));
    assert!(all[0].at >= start);

    store.published(SINK, vec![all[0].id, all[2].id, all[5].id, 999_999]).await.unwrap();
    store.published(SINK, Vec::new()).await.unwrap();
    let rest = [all[1].clone(), all[3].clone(), all[4].clone()];
    assert_eq!(waiting(&store).await, rest);
    let other = fixture.another_store().await;
    assert_eq!(waiting(&other).await, rest, "every node sees the same");
    other.published(SINK, rest.iter().map(|entry| entry.id).collect()).await.unwrap();
    assert_eq!(store.outbox_state().await.unwrap(), OutboxState::default());
    assert_eq!(log(&store, chat).await.len(), 6, "what was told of stays");
}

async fn event_ids_are_unique_and_stay(fixture: Fixture) {
    let (kim, chat) = fixture.customer("kim").await;
    let store = fixture.telling_store().await;
    let mut writer = store.writer().await.unwrap();
    for _ in 0..3 {
        fill(&mut writer, chat, kim, 500).await;
    }
    let ids = |entries: Vec<OutboxEntry>| {
        entries.into_iter().map(|entry| entry.event_id).collect::<Vec<_>>()
    };
    let first = ids(waiting(&store).await);
    assert_eq!(first.iter().collect::<HashSet<_>>().len(), 1_500);
    for id in &first {
        let form: Vec<_> = id.split('-').map(str::len).collect();
        assert_eq!(form, [8, 4, 4, 4, 12], "{id}");
        assert!(id.bytes().all(|b| b"0123456789abcdef-".contains(&b)), "{id}");
        assert_eq!(id.as_bytes()[14], b'4', "{id}");
        assert!(b"89ab".contains(&id.as_bytes()[19]), "{id}");
    }
    assert_eq!(ids(waiting(&store).await), first);
    assert_eq!(ids(waiting(&fixture.another_store().await).await), first);
}

async fn what_is_told_is_as_it_is_now(fixture: Fixture) {
    let store = fixture.telling_store().await;
    let (kim, chat) = a_busy_day(&store).await;
    let renamed = frontdesk::domain::Identity {
        nickname: Some("Kim".into()),
        issued_at: Some(200),
        ..identity("kim")
    };
    store.admit(vec![renamed]).await.unwrap();
    let entries = waiting(&store).await;
    let user = entries.iter().find_map(|entry| match &entry.event {
        OutboxEvent::UserCreated(user) if user.id == kim => Some(user.clone()),
        _ => None,
    });
    assert_eq!(user, store.user(kim).await.unwrap());
    let told = entries.iter().find_map(|entry| match &entry.event {
        OutboxEvent::ChatCreated(told) if told.id == chat => Some(told.clone()),
        _ => None,
    });
    assert_eq!(told.as_ref(), store.chats_by_id(vec![chat]).await.unwrap().first());
    assert_eq!(told.unwrap().last_seq, Seq(2));
}

async fn whoever_waits_for_news_misses_none(fixture: Fixture) {
    let (kim, chat) = fixture.customer("kim").await;
    let store = fixture.telling_store().await;
    let mut writer = store.clone().writer().await.unwrap();
    let patience = Duration::from_secs(20);
    // A look that finds nothing, news, and then the wait: it ends at once.
    assert_eq!(waiting(&store).await, []);
    fill(&mut writer, chat, kim, 1).await;
    timeout(patience, store.outbox_written(SINK)).await.expect("news came before the wait");
    // The wait, and then news: of a message, of a mark, of people and of chats, by any clone.
    for round in 0..4 {
        let waits = store.clone();
        let (begun, begins) = tokio::sync::oneshot::channel();
        let wait = tokio::spawn(async move {
            begun.send(()).unwrap();
            timeout(patience, waits.outbox_written(SINK)).await.expect("news came");
        });
        begins.await.unwrap();
        let clone = store.clone();
        match round {
            0 => drop(fill(&mut writer, chat, kim, 1).await),
            1 => drop(clone.create_user("shop".into(), "lee".into(), None, None).await.unwrap()),
            2 => drop(clone.create_group(kim, vec![], None).await.unwrap()),
            _ => drop(clone.admit(vec![identity("moe")]).await.unwrap()),
        }
        wait.await.unwrap();
    }
    assert_eq!(waiting(&store).await.len(), 6);
}

async fn news_of_what_is_not_there_hold_up_no_others(fixture: Fixture) {
    let (kim, chat) = fixture.customer("kim").await;
    fixture
        .execute(
            "INSERT INTO outbox (at, kind, chat_id, user_id, seq)
         SELECT created_at, 'message.created', 999, NULL, 1 FROM users;
         INSERT INTO outbox (at, kind, chat_id, user_id, seq)
         SELECT created_at, 'user.created', NULL, 999, NULL FROM users;
         INSERT INTO outbox (at, kind, chat_id, user_id, seq)
         SELECT created_at, 'message.read', 1, NULL, NULL FROM users;
         INSERT INTO outbox (at, kind, chat_id, user_id, seq)
         SELECT created_at, 'chat.created', NULL, NULL, NULL FROM users",
        )
        .await;
    let store = fixture.telling_store().await;
    fill(&mut store.writer().await.unwrap(), chat, kim, 1).await;
    assert_eq!(store.outbox_state().await.unwrap().waiting, 5);
    assert_eq!(of_chat(&waiting(&store).await, chat), ["message 1"]);
    assert_eq!(store.outbox_state().await.unwrap().waiting, 1);
}

async fn news_of_another_version_stay_where_they_are(fixture: Fixture) {
    let (kim, chat) = fixture.customer("kim").await;
    let store = fixture.telling_store().await;
    fixture
        .execute("INSERT INTO outbox (at, kind) SELECT created_at, 'chat.closed' FROM users")
        .await;
    fill(&mut store.writer().await.unwrap(), chat, kim, 1).await;
    assert_eq!(of_chat(&store.outbox(SINK, 1).await.unwrap(), chat), ["message 1"]);
    assert_eq!(store.outbox_state().await.unwrap().waiting, 2);
}

/// Two transactions: the one that took the lower number is the later to commit.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lower_number_that_commits_later_is_still_seen() {
    let fixture = Fixture::postgres().await;
    let store = fixture.telling_store().await;
    let (kim, slow) = fixture.customer("kim").await;
    let (lee, quick) = fixture.customer("lee").await;
    let (client, connection) =
        tokio_postgres::connect(&fixture.config.url, tokio_postgres::NoTls).await.unwrap();
    tokio::spawn(connection);
    client
        .batch_execute(&format!(
            "BEGIN; UPDATE chats SET last_seq = 1 WHERE id = {slow};
             INSERT INTO messages (chat_id, seq, author_id, body, client_id, created_at)
             VALUES ({slow}, 1, {kim}, 'slow', 'slow', now());
             INSERT INTO outbox (at, kind, chat_id, seq)
             VALUES (now(), 'message.created', {slow}, 1)"
        ))
        .await
        .unwrap();

    fill(&mut store.writer().await.unwrap(), quick, lee, 3).await;
    let early = waiting(&store).await;
    assert_eq!(of_chat(&early, quick), ["message 1", "message 2", "message 3"]);
    assert_eq!(early.len(), 3, "what is not committed is not told");
    store.published(SINK, early.iter().map(|entry| entry.id).collect()).await.unwrap();

    client.batch_execute("COMMIT").await.unwrap();
    let late = waiting(&store).await;
    assert_eq!(of_chat(&late, slow), ["message 1"]);
    assert_eq!(late.len(), 1);
    assert!(late[0].id < early[0].id, "it did take the lower number");
    assert!(late[0].at > Timestamp(0));
}
