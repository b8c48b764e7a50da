//! Promises while the connection to PostgreSQL breaks.

use frontdesk::db::{Config, Mark, Refusal, Store, StoreError, WriteOp, WriteResult};
use frontdesk::domain::{ChatId, PostResult, Seq, UserId};
use testkit::{Cut, Proxy};

use crate::fixture::{Fixture, SINK, config, draft, marked, new, note, posted, run, write};

/// A store behind a proxy, and a customer's chat.
async fn behind_proxy(fixture: &Fixture) -> (Proxy, Store, UserId, ChatId) {
    let proxy = Proxy::to(fixture.database.server()).await;
    let url = fixture.database.url_by_way_of(proxy.address());
    let config = Config { sinks: vec![SINK.to_owned()], ..config(url) };
    let store = Store::connect(&config).await.expect("connect");
    let (kim, chat) = fixture.customer("kim").await;
    (proxy, store, kim, chat)
}

/// Places of each batch's rows, though their COMMIT was cut.
async fn the_outcome_of_a_commit_is_found_out(cut: Cut) {
    let fixture = Fixture::postgres().await;
    let (proxy, store, kim, chat) = behind_proxy(&fixture).await;
    let ada = fixture.admin("ada").await;
    let mut writer = store.writer().await.unwrap();
    write(&mut writer, vec![draft(chat, kim, "0", "zero")]).await;

    proxy.cut(cut);
    let mut expecting = draft(chat, kim, "2", "two");
    expecting.expect_seq = Some(Seq(2));
    let mark = |user_id| WriteOp::Mark(Mark { chat_id: chat, user_id, seq: Seq(2) });
    let ops = vec![
        WriteOp::Post(draft(chat, kim, "0", "zero")),
        WriteOp::Post(draft(chat, kim, "1", "one")),
        WriteOp::Post(draft(chat, kim, "1", "one")),
        WriteOp::Post(expecting.clone()),
        mark(kim),
        mark(ada),
        WriteOp::LastSeq(chat),
    ];
    let results = run(&mut writer, ops).await;
    assert!(proxy.is_cut());
    let duplicate = posted(&results[0]);
    assert!(matches!(duplicate, PostResult::Duplicate(receipt) if receipt.seq == Seq(1)));
    let first = new(posted(&results[1]));
    assert_eq!(first.seq, Seq(2), "ours is new, whether found or written again");
    assert_eq!(*posted(&results[2]), PostResult::Duplicate(first));
    assert_eq!(new(posted(&results[3])).seq, Seq(3), "the expectation held when it was checked");
    assert!(matches!(&results[3], WriteResult::Post(draft, _) if *draft == expecting));
    assert_eq!(marked(&results[4]).map(|marked| marked.read_seq), Ok(Seq(3)));
    assert_eq!(results[6], WriteResult::LastSeq(chat, Ok(Seq(3))));
    let events = writer.take_events();
    assert_eq!((events.unknown_outcomes, events.reconnects), (1, 1));

    let rows = fixture.lines("SELECT seq || ' ' || body AS line FROM messages ORDER BY seq").await;
    assert_eq!(rows, ["1 zero", "2 one", "3 two"]);
    let id = fixture.lines("SELECT id::text AS line FROM messages WHERE seq = 2").await;
    assert_eq!(id, [first.id.to_string()]);
    let news = fixture.lines("SELECT kind || ' ' || seq AS line FROM outbox ORDER BY id").await;
    let of_messages = ["message.created 1", "message.created 2", "message.created 3"];
    assert_eq!(news[..3], of_messages, "told of once, like the messages");
    assert_eq!(news[3..], ["message.read 2"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_that_nobody_heard_of_is_not_done_twice() {
    the_outcome_of_a_commit_is_found_out(Cut::AfterCommit).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_that_never_came_is_done_again() {
    the_outcome_of_a_commit_is_found_out(Cut::BeforeCommit).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_an_outage_everything_works_again() {
    let fixture = Fixture::postgres().await;
    let (proxy, store, kim, chat) = behind_proxy(&fixture).await;
    let mut writer = store.writer().await.unwrap();
    new(&write(&mut writer, vec![note(chat, kim, "before")]).await[0]);
    store.ping().await.unwrap();

    proxy.down();
    let during = note(chat, kim, "during");
    let mark = Mark { chat_id: chat, user_id: kim, seq: Seq(1) };
    let ops = vec![WriteOp::Post(during.clone()), WriteOp::Mark(mark), WriteOp::LastSeq(chat)];
    let refused = [
        WriteResult::Post(during, PostResult::Unavailable),
        WriteResult::Mark(mark, Err(Refusal::Unavailable)),
        WriteResult::LastSeq(chat, Err(Refusal::Unavailable)),
    ];
    assert_eq!(run(&mut writer, ops).await, refused);
    assert!(!writer.is_connected());
    for _ in 0..5 {
        assert!(matches!(store.ping().await, Err(StoreError::Unavailable(_))));
    }
    assert!(matches!(store.user(kim).await, Err(StoreError::Unavailable(_))));
    assert!(matches!(store.writer().await.err(), Some(StoreError::Unavailable(_))));

    proxy.up();
    assert!(store.user(kim).await.unwrap().is_some());
    let stored = write(&mut writer, vec![note(chat, kim, "after")]).await;
    assert_eq!(new(&stored[0]).seq, Seq(2));
    assert!(writer.is_connected());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_ends_its_connections_is_come_back_to() {
    let fixture = Fixture::postgres().await;
    let (kim, chat) = fixture.customer("kim").await;
    let mut writer = fixture.writer().await;
    new(&write(&mut writer, vec![note(chat, kim, "before")]).await[0]);
    fixture
        .execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
         WHERE datname = current_database() AND pid <> pg_backend_pid()",
        )
        .await;
    // Each connection may fail once, where its end is learned of by using it.
    let mut stored = Vec::new();
    for _ in 0..2 {
        stored = write(&mut writer, vec![draft(chat, kim, "a", "after")]).await;
        if stored[0] != PostResult::Unavailable {
            break;
        }
    }
    assert_eq!(new(&stored[0]).seq, Seq(2));
    let mut pings = Vec::new();
    for _ in 0..5 {
        pings.push(fixture.store.ping().await);
    }
    assert_eq!(pings.last(), Some(&Ok(())), "{pings:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_chat_that_another_node_holds_delays_no_neighbour_for_long() {
    let fixture = Fixture::postgres().await;
    let (kim, held) = fixture.customer("kim").await;
    let (lee, free) = fixture.customer("lee").await;
    let (client, connection) =
        tokio_postgres::connect(&fixture.config.url, tokio_postgres::NoTls).await.unwrap();
    tokio::spawn(connection);
    let lock = format!("BEGIN; SELECT 1 FROM chats WHERE id = {held} FOR NO KEY UPDATE");
    client.batch_execute(&lock).await.unwrap();

    let mut writer = fixture.writer().await;
    let drafts = (0..8).map(|n| [note(held, kim, "hi"), note(free, lee, "hi")][n % 2].clone());
    let start = std::time::Instant::now();
    let stored = write(&mut writer, drafts.collect()).await;
    for (n, stored) in stored.iter().enumerate() {
        match n % 2 {
            0 => assert_eq!(*stored, PostResult::Unavailable),
            _ => assert_eq!(new(stored).seq, Seq(i64::try_from(n).unwrap() / 2 + 1)),
        }
    }
    // One full wait for the lock, and short ones after it.
    assert!(start.elapsed().as_secs() < 5, "{:?}", start.elapsed());
    client.batch_execute("COMMIT").await.unwrap();
    assert_eq!(new(&write(&mut writer, vec![note(held, kim, "hi")]).await[0]).seq, Seq(1));
}

/// Three writers in one chat, while connections are ended and COMMITs cut again and again. Whoever
/// is told that a message is stored finds it there, once, where they were told.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_breaks_what_was_acked_stands_once_and_without_a_gap() {
    const WRITERS: usize = 3;
    const BATCHES: usize = 20;
    const DRAFTS: usize = 5;
    let fixture = Fixture::postgres().await;
    let (proxy, store, kim, chat) = behind_proxy(&fixture).await;
    let mut tasks = Vec::new();
    for n in 0..WRITERS {
        let mut writer = store.writer().await.unwrap();
        tasks.push(tokio::spawn(async move {
            let mut acked = Vec::new();
            for batch in 0..BATCHES {
                let mut drafts: Vec<_> = (0..DRAFTS)
                    .map(|draft| note(chat, kim, &format!("writer {n} batch {batch} {draft}")))
                    .collect();
                while !drafts.is_empty() {
                    let stored = write(&mut writer, drafts.clone()).await;
                    let mut left = Vec::new();
                    for (draft, stored) in drafts.into_iter().zip(stored) {
                        match stored {
                            PostResult::New(receipt, _) => {
                                acked.push((receipt.seq.0, draft.content.into_string()));
                            }
                            PostResult::Unavailable => left.push(draft),
                            other => panic!("{other:?}"),
                        }
                    }
                    drafts = left;
                }
            }
            acked
        }));
    }
    let mut breaks = 0;
    let mut count = 0;
    while count < WRITERS * BATCHES * DRAFTS {
        let counted = fixture.lines("SELECT count(*)::text AS line FROM messages").await;
        let last = std::mem::replace(&mut count, counted[0].parse().unwrap());
        // Nothing can go on where everything breaks at once: each break waits for some progress.
        if count == last {
            continue;
        }
        breaks += 1;
        match breaks % 4 {
            0 => proxy.cut(Cut::AfterCommit),
            2 => proxy.cut(Cut::BeforeCommit),
            _ => {
                fixture
                    .execute(
                        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
                     WHERE datname = current_database() AND application_name = 'frontdesk'
                     ORDER BY random() LIMIT 1",
                    )
                    .await;
            }
        }
    }
    let mut acked = Vec::new();
    for task in tasks {
        acked.extend(task.await.unwrap());
    }
    acked.sort();
    let log = fixture.lines("SELECT seq || ' ' || body AS line FROM messages ORDER BY seq").await;
    let told: Vec<_> = acked.iter().map(|(seq, body)| format!("{seq} {body}")).collect();
    assert_eq!(told, log);
    assert!(acked.iter().map(|(seq, _)| *seq).eq(1..=300));
    let news = fixture.lines("SELECT seq::text AS line FROM outbox ORDER BY id").await;
    assert!(news.iter().map(|seq| seq.parse::<i64>().unwrap()).eq(1..=300), "{news:?}");
}
