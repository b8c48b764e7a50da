//! No query walks through a table: not with plans made while it was empty, not later.

use std::time::Duration;

use frontdesk::db::{
    ChatPage, Config, HistoryPage, Mark, Range, Scope, Store, UserFilter, WriteOp, WriteResult,
    Writer,
};
use frontdesk::domain::{ChatId, Role, Seq, Timestamp, UserId, UserUpdate};

use crate::fixture::{Fixture, SINK, identity, note, run};

/// Everything that nodes do all day, once.
async fn a_days_work(store: &Store, writer: &mut Writer, user: UserId, chat: ChatId) {
    let ops = vec![
        WriteOp::Post(note(chat, user, "hello")),
        WriteOp::Post(note(chat, user, "there")),
        WriteOp::Mark(Mark { chat_id: chat, user_id: user, seq: Seq(1) }),
        WriteOp::LastSeq(chat),
    ];
    let results = run(writer, ops).await;
    assert!(matches!(results[3], WriteResult::LastSeq(_, Ok(_))));
    store.admit(vec![identity("kim"), identity(&format!("new {chat} {user}"))]).await.unwrap();
    store.user(user).await.unwrap();
    store.users(UserFilter::default(), None, 20).await.unwrap();
    store.chat_access(user, vec![chat]).await.unwrap();
    store.chat(chat, user).await.unwrap();
    store.member_ids(chat).await.unwrap();
    store.own_chat(user).await.unwrap();
    for newest_first in [true, false] {
        let page = ChatPage { after: None, newest_first, limit: 20 };
        store.chats(user, Scope::All, page).await.unwrap();
        store.chats(user, Scope::MemberOf(user), page).await.unwrap();
        let page = HistoryPage { after: None, before: None, newest_first, limit: 50 };
        store.history(chat, page).await.unwrap();
    }
    let range = Range { chat_id: chat, after: Seq(0), up_to: Seq(100) };
    store.ranges(vec![range; 3], 100, 262_144).await.unwrap();
    store.settled().await.unwrap();
    store.chat_ends(Timestamp::now(), 100_000).await.unwrap();
    store.journal(Timestamp::now(), 100).await.unwrap();
    let news = UserUpdate {
        event: Some(("crm".to_owned(), format!("{chat} {}", Timestamp::now().0))),
        at: None,
        issuer: "shop".to_owned(),
        subject: "kim".to_owned(),
        nickname: Some(format!("Kim of {}", Timestamp::now())),
        email: None,
        role: None,
        blocked: None,
        is_first: false,
    };
    store.apply_user_update(news).await.unwrap();
    store.prune_inbox(Duration::from_secs(3_600)).await.unwrap();
    store.service_user(Role::Bot, "guide".to_owned(), None).await.unwrap();
    for sink in [SINK, "another"] {
        let due = store.outbox(sink, 20).await.unwrap();
        store.published(sink, due.iter().map(|entry| entry.id).collect()).await.unwrap();
    }
}

/// Waits until no more than `left` such connections are open.
async fn ended(fixture: &Fixture, which: &str, left: usize) {
    let open = format!(
        "SELECT 'open' AS line FROM pg_stat_activity WHERE datname = current_database() \
         AND backend_type = 'client backend' AND pid <> pg_backend_pid() AND {which}"
    );
    while fixture.lines(&open).await.len() > left {
        tokio::task::yield_now().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_table_is_ever_scanned() {
    let fixture = Fixture::postgres().await;
    let sinks = vec![SINK.to_owned(), "another".to_owned()];
    let store = Store::connect(&Config { sinks, ..fixture.config.clone() }).await.unwrap();
    // Every statement is planned while the tables are empty …
    let mut writer = store.writer().await.unwrap();
    let (kim, chat) = fixture.customer("kim").await;
    a_days_work(&store, &mut writer, kim, chat).await;
    // … and used when they are full.
    fixture
        .execute(
            "INSERT INTO users (issuer, subject, role, created_at)
         SELECT 'shop', 'crowd ' || n, 'customer', now() FROM generate_series(1, 20000) AS n;
         INSERT INTO chats (kind, customer_id, last_seq, created_at, updated_at, active_minute)
         SELECT 'support', id, 5, now(), now() - id * interval '1 second',
                floor(extract(epoch FROM now() - id * interval '1 second') / 60)
         FROM users WHERE subject LIKE 'crowd %';
         INSERT INTO chat_members SELECT id, customer_id, now() FROM chats WHERE last_seq = 5;
         INSERT INTO messages (chat_id, seq, author_id, body, client_id, created_at)
         SELECT id, n, customer_id, 'hello', n::text, now()
         FROM chats, generate_series(1, 5) AS n WHERE last_seq = 5;
         INSERT INTO outbox (at, kind, chat_id, seq)
         SELECT now(), 'message.created', chat_id, seq FROM messages LIMIT 20000;
         INSERT INTO outbox_deliveries (sink, id, event_id, at, kind, chat_id, seq)
         SELECT sink, -n, n::text, now(), 'message.created', 1, 1
         FROM generate_series(1, 20000) AS n, unnest(ARRAY['another', 'a third']) AS sink;
         INSERT INTO inbox SELECT 'crm', 'crowd ' || n, now() FROM generate_series(1, 20000) AS n;
         INSERT INTO journal (kind, subject_id)
         SELECT 'chat_created', n FROM generate_series(1, 20000) AS n",
        )
        .await;
    // The server counts what a connection did at the latest when it ends.
    ended(&fixture, "application_name <> 'frontdesk'", 0).await;
    fixture.execute("SELECT pg_stat_reset()").await;

    a_days_work(&store, &mut writer, kim, chat).await;
    fixture.execute("ANALYZE").await;
    a_days_work(&store, &mut writer, kim, chat).await;
    let mut fresh = store.writer().await.unwrap();
    a_days_work(&store, &mut fresh, kim, chat).await;

    drop((store, writer, fresh));
    // The fixture's own connection is left.
    ended(&fixture, "application_name = 'frontdesk'", 1).await;
    let scans = "SELECT relname || ' ' || seq_scan AS line FROM pg_stat_user_tables \
                 WHERE seq_scan > 0 AND relname <> '__diesel_schema_migrations'";
    assert_eq!(fixture.lines(scans).await, [""; 0]);
    // Nor through an index: three days' work is some hundred rows.
    let read = "SELECT relname || ' ' || indexrelname || ' ' || idx_tup_read AS line \
                FROM pg_stat_user_indexes WHERE idx_tup_read > 1000";
    assert_eq!(fixture.lines(read).await, [""; 0]);
    let used = "SELECT 'used' AS line FROM pg_stat_user_indexes WHERE idx_tup_read > 0";
    assert!(fixture.lines(used).await.len() > 5, "nothing was counted");
}
