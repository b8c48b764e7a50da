//! URLs of databases.

use frontdesk::db::{Store, StoreError};

use crate::fixture::{Fixture, config};

async fn refusal(url: &str) -> String {
    match Store::connect(&config(url.to_owned())).await {
        Ok(_) => panic!("{url} was taken"),
        Err(error) => error.to_string(),
    }
}

#[tokio::test]
async fn an_unknown_scheme_is_refused() {
    for url in ["mysql://localhost/x", "frontdesk.db", "", "sqlite:frontdesk.db", "sqlite://"] {
        assert!(refusal(url).await.contains("sqlite://"), "{url}");
    }
}

#[tokio::test]
async fn a_refusal_says_no_password() {
    for url in [
        "postgres://kim:hunter2@127.0.0.1:1/x",
        "postgres://kim:hunter2@127.0.0.1:port/x",
        "postgres://kim:p@ss/hunter2?w@127.0.0.1:1/x",
        "postgresql://kim:hunter2@127.0.0.1:1/x?hunter2=1",
        "mysql://kim:hunter2@127.0.0.1/x",
    ] {
        let said = refusal(url).await;
        assert!(!said.contains("hunter2"), "{url}: {said}");
    }
}

#[tokio::test]
async fn a_server_that_is_not_there_is_unavailable() {
    let url = "postgres://postgres@127.0.0.1:1/x".to_owned();
    assert!(matches!(Store::connect(&config(url)).await, Err(StoreError::Unavailable(_))));
}

#[tokio::test]
async fn tls_that_is_required_is_not_left_out() {
    let fixture = Fixture::postgres().await;
    let url = format!("{}?sslmode=require", fixture.config.url);
    match Store::connect(&config(url)).await {
        // The server has no TLS, or none that anybody vouches for.
        Err(StoreError::Unavailable(said)) => assert!(said.contains("TLS"), "{said}"),
        Err(error) => panic!("{error}"),
        Ok(_) => {}
    }
}

#[tokio::test]
async fn a_store_names_itself() {
    let fixture = Fixture::postgres().await;
    let said = fixture.store.describe();
    assert!(said.starts_with("postgres ") && said.contains("/frontdesk_"), "{said}");
    assert!(fixture.store.is_postgres());
    let fixture = Fixture::sqlite().await;
    let said = fixture.store.describe();
    assert!(said.starts_with("sqlite /") && said.ends_with("/frontdesk.db"), "{said}");
    assert!(!fixture.store.is_postgres());
}
