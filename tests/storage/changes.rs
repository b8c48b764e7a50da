//! Changes as other nodes find them.

use frontdesk::db::{ChatEnd, Place};
use frontdesk::domain::{Seq, Timestamp};

use crate::contract;
use crate::fixture::{Fixture, fill};

contract! {
    chats_that_moved_are_found_and_no_others,
    chats_that_moved_at_one_time_are_read_page_by_page,
}

async fn chats_that_moved_are_found_and_no_others(fixture: Fixture) {
    let (kim, first) = fixture.customer("kim").await;
    let (_, second) = fixture.customer("lee").await;
    let start = fixture.store.settled().await.unwrap();
    let ends = async |after: Place| fixture.store.chat_ends(after, 10).await.unwrap();
    assert_eq!(ends(start.into()).await, []);
    let mut writer = fixture.writer().await;
    fill(&mut writer, first, kim, 2).await;
    let found = ends(start.into()).await;
    assert!(found[0].at >= start);
    assert_eq!(found, [ChatEnd { chat: first, seq: Seq(2), at: found[0].at }]);
    fill(&mut writer, second, kim, 1).await;
    let later = ends(found[0].place()).await;
    assert_eq!(later.iter().map(|end| (end.chat, end.seq)).collect::<Vec<_>>(), [(second, Seq(1))]);
    // One that moves once more stands behind the other.
    fill(&mut writer, first, kim, 1).await;
    let all: Vec<_> = ends(start.into()).await.iter().map(|end| (end.chat, end.seq)).collect();
    assert_eq!(all, [(second, Seq(1)), (first, Seq(3))]);
}

async fn chats_that_moved_at_one_time_are_read_page_by_page(fixture: Fixture) {
    let mut chats = Vec::new();
    for n in 0..5 {
        chats.push(fixture.customer(&format!("customer {n}")).await.1);
    }
    let time = match fixture.store.is_postgres() {
        true => "to_timestamp(120)",
        false => "120000000",
    };
    fixture.execute(&format!("UPDATE chats SET updated_at = {time}, active_minute = 2")).await;
    let (mut found, mut after) = (Vec::new(), Place::from(Timestamp::from_seconds(120)));
    loop {
        let page = fixture.store.chat_ends(after, 2).await.unwrap();
        found.extend(page.iter().map(|end| end.chat));
        let Some(last) = page.last() else { break };
        after = last.place();
    }
    assert_eq!(found, chats);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_time_is_settled_once_all_that_was_written_before_is_committed() {
    let fixture = Fixture::postgres().await;
    let (_, chat) = fixture.customer("kim").await;
    let (reader, writer) = (fixture.database.connect().await, fixture.database.connect().await);
    // One that only reads, as a backup, holds nothing back.
    reader.batch_execute("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT FROM chats").await.unwrap();
    let start = fixture.store.settled().await.unwrap();
    writer.batch_execute("BEGIN").await.unwrap();
    let lock = format!("SELECT FROM chats WHERE id = {} FOR NO KEY UPDATE", chat.0);
    writer.batch_execute(&lock).await.unwrap();
    let began = fixture.store.settled().await.unwrap();
    assert!(began > start);
    for _ in 0..3 {
        assert_eq!(fixture.store.settled().await.unwrap(), began, "it is still open");
    }
    writer.batch_execute("COMMIT").await.unwrap();
    assert!(fixture.store.settled().await.unwrap() > began);
}
