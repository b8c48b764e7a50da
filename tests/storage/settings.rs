//! Settings of a PostgreSQL database: refused, or without effect.

use frontdesk::db::{Store, StoreError};

use testkit::database::postgres_url;

use crate::fixture::{Fixture, config, new, note, write};

#[tokio::test]
async fn a_database_that_is_not_utf8_is_refused() {
    let fixture = Fixture::empty_postgres().await;
    let name = format!("frontdesk_ascii_{}", std::process::id());
    fixture
        .execute(&format!(
            "CREATE DATABASE {name} ENCODING 'SQL_ASCII' LOCALE 'C' TEMPLATE template0"
        ))
        .await;
    let (server, _) =
        postgres_url().as_str().rsplit_once('/').map(|(s, d)| (s.to_owned(), d.len())).unwrap();
    let refused = Store::connect(&config(format!("{server}/{name}"))).await.err();
    fixture.execute(&format!("DROP DATABASE {name} WITH (FORCE)")).await;
    let Some(StoreError::Setup(said)) = refused else { panic!("{refused:?}") };
    assert!(said.contains("SQL_ASCII") && said.contains("ENCODING 'UTF8'"), "{said}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_set_for_the_database_changes_nothing() {
    let fixture = Fixture::postgres().await;
    let name = fixture.config.url.rsplit_once('/').unwrap().1.to_owned();
    for set in [
        "default_transaction_isolation = 'serializable'",
        "search_path = 'elsewhere'",
        "TimeZone = 'Asia/Kathmandu'",
    ] {
        fixture.execute(&format!("ALTER DATABASE {name} SET {set}")).await;
    }
    let store = fixture.another_store().await;
    store.ping().await.expect("a table is found");
    let mut writer = store.writer().await.expect("a writer");
    let admitted = store.admit(vec![crate::fixture::identity("kim")]).await.expect("admit");
    let (kim, chat) = (admitted[0].user.id, admitted[0].chats[0].chat_id);
    new(&write(&mut writer, vec![note(chat, kim, "hello")]).await[0]);
}

#[tokio::test]
async fn tables_in_another_schema_are_not_made_anew() {
    let fixture = Fixture::empty_postgres().await;
    let name = fixture.config.url.rsplit_once('/').unwrap().1.to_owned();
    fixture.execute("CREATE SCHEMA fixture").await;
    fixture.execute("CREATE TABLE fixture.__diesel_schema_migrations (version TEXT)").await;
    Store::connect(&fixture.config).await.expect("nobody looks there");
    fixture.execute(&format!("ALTER DATABASE {name} SET search_path = fixture, public")).await;
    let refused = Store::connect(&fixture.config).await.err();
    let Some(StoreError::Setup(said)) = refused else { panic!("{refused:?}") };
    assert!(said.contains("schema fixture") && said.contains("SET SCHEMA public"), "{said}");
}
