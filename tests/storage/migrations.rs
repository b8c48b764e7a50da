//! The schema's history.

use frontdesk::db::{Direction, Store, StoreError};
use frontdesk::domain::Role;

use crate::desk::{Desk, identity, note, write};

const MIGRATIONS: usize = 10;

/// The whole schema in words.
async fn schema(desk: &Desk) -> Vec<String> {
    let sql = if desk.store.is_postgres() {
        "SELECT line FROM (
             SELECT format('column %s.%s %s %s %s %s', table_name, column_name, data_type,
                           is_nullable, column_default, is_identity) AS line
             FROM information_schema.columns WHERE table_schema = 'public'
             UNION ALL SELECT format('index %s', indexdef) FROM pg_indexes WHERE schemaname = 'public'
             UNION ALL SELECT format('constraint %s %s', conrelid::regclass, pg_get_constraintdef(oid))
             FROM pg_constraint WHERE connamespace = 'public'::regnamespace
             UNION ALL SELECT format('relation %s %s %s', relname, relkind, reloptions)
             FROM pg_class WHERE relnamespace = 'public'::regnamespace
         ) AS lines WHERE line NOT LIKE '%__diesel_schema_migrations%' ORDER BY line"
    } else {
        "SELECT type || ' ' || name || ' ' || coalesce(sql, '') AS line FROM sqlite_master
         WHERE name NOT LIKE 'sqlite_%' AND tbl_name <> '__diesel_schema_migrations' ORDER BY line"
    };
    desk.lines(sql).await
}

async fn each_down_undoes_its_up(desk: Desk) {
    assert!(schema(&desk).await.is_empty());
    let names = desk.store.migrate(Direction::Up).await.unwrap();
    assert_eq!(names.len(), MIGRATIONS);
    assert!(names.is_sorted());
    assert!(desk.store.migrate(Direction::Up).await.unwrap().is_empty());
    let whole = schema(&desk).await;
    assert!(!whole.is_empty());

    let mut schemas = vec![whole.clone()];
    for name in names.iter().rev() {
        assert_eq!(desk.store.migrate(Direction::Down).await.unwrap(), std::slice::from_ref(name));
        let rest = schema(&desk).await;
        let before = schemas.last().unwrap();
        // Each takes away what its up brought, or says anew what its table is.
        assert!(rest.len() <= before.len() && rest != *before, "{name}");
        let other = rest.iter().filter(|line| !before.contains(line)).collect::<Vec<_>>();
        assert!(
            other.iter().all(|line| line.contains(" users ") || line.contains(" messages ")),
            "{name}: {other:?}"
        );
        schemas.push(rest);
    }
    assert!(schemas.last().unwrap().is_empty());
    assert!(desk.store.migrate(Direction::Down).await.unwrap().is_empty());
    assert!(desk.store.migrations().await.unwrap().iter().all(|migration| !migration.applied));

    // Back from every step, it is the same schema again.
    for (steps, expected) in schemas.iter().enumerate().skip(1) {
        desk.store.migrate(Direction::Up).await.unwrap();
        assert_eq!(schema(&desk).await, whole);
        for _ in 0..steps {
            desk.store.migrate(Direction::Down).await.unwrap();
        }
        assert_eq!(schema(&desk).await, *expected);
    }
}

async fn a_newer_database_is_refused_unless_it_says_otherwise(desk: Desk) {
    let newest = desk.store.migrate(Direction::Up).await.unwrap().pop().unwrap();
    let ours: String = newest.chars().take(17).filter(char::is_ascii_digit).collect();
    desk.execute("INSERT INTO __diesel_schema_migrations (version) VALUES ('29990101000000')")
        .await;
    let refused = async |why: &str| match desk.store.migrate(Direction::Up).await {
        Err(StoreError::Setup(said)) => assert!(said.contains("29990101000000"), "{why}: {said}"),
        other => panic!("{why}: {other:?}"),
    };
    refused("it says nothing").await;
    let says = async |oldest: &str| {
        desk.execute("DELETE FROM migration_compatibility").await;
        desk.execute(&format!(
            "INSERT INTO migration_compatibility VALUES ('29990101000000', '{oldest}')"
        ))
        .await;
    };
    says("29980101000000").await;
    refused("it is for programs that are newer than this one").await;
    says(&ours).await;
    assert!(desk.store.migrate(Direction::Up).await.unwrap().is_empty());
    let down = desk.store.migrate(Direction::Down).await;
    assert!(matches!(down, Err(StoreError::Setup(_))), "{down:?}");
    let listed = desk.store.migrations().await.unwrap();
    assert_eq!(listed.last().unwrap().name, "29990101000000 of a newer version");
}

async fn several_that_start_together_migrate_once(desk: Desk) {
    let mut stores: Vec<Store> = Vec::new();
    for _ in 0..4 {
        stores.push(desk.another_store().await);
    }
    let tasks: Vec<_> = stores
        .into_iter()
        .map(|store| tokio::spawn(async move { store.migrate(Direction::Up).await }))
        .collect();
    let mut run = 0;
    for task in tasks {
        run += task.await.unwrap().expect("migrated").len();
    }
    assert_eq!(run, MIGRATIONS);
}

/// What was there stays, but for what the older schema cannot say.
async fn a_desk_at_work_goes_back_and_forth(desk: Desk) {
    let (kim, chat) = desk.customer("kim").await;
    let ada = desk.admin("ada").await;
    let bot = desk.store.service_user(Role::Bot, "guide".into(), None).await.unwrap();
    let store = desk.telling_store().await;
    let mut writer = store.writer().await.unwrap();
    let drafts = vec![note(chat, kim, "hello"), note(chat, bot.id, "hi"), note(chat, ada, "yes")];
    write(&mut writer, drafts).await;
    drop(writer);
    let people = || desk.lines("SELECT subject || ' ' || role AS line FROM users ORDER BY id");
    let said = "SELECT subject || ' ' || body AS line FROM messages
                JOIN users ON users.id = author_id ORDER BY seq";
    let before = desk.lines(said).await;
    assert_eq!(people().await, ["kim customer", "ada admin", "bot:guide bot"]);

    // To before services wrote, and once more.
    for steps in [MIGRATIONS - 5, MIGRATIONS - 4] {
        for _ in 0..steps {
            desk.store.migrate(Direction::Down).await.unwrap();
        }
        assert_eq!(people().await, ["kim customer", "ada admin", "bot:guide customer"]);
        assert_eq!(desk.lines(said).await, before);
        desk.store.migrate(Direction::Up).await.unwrap();
        assert_eq!(desk.found("KIM").await, ["kim"], "rows of before are filled");
        // As a service that writes again, it is one again; connections are new after a migration.
        let store = desk.telling_store().await;
        let again = store.service_user(Role::Bot, "guide".into(), None).await.unwrap();
        assert_eq!(again, bot);
        assert_eq!(people().await, ["kim customer", "ada admin", "bot:guide bot"]);
        assert_eq!(store.admit(vec![identity("kim")]).await.unwrap()[0].user.id, kim);
    }
    assert_eq!(desk.lines(said).await, before);
}

#[tokio::test]
async fn on_postgres_a_desk_at_work_goes_back_and_forth() {
    a_desk_at_work_goes_back_and_forth(Desk::postgres().await).await;
}

#[tokio::test]
async fn on_sqlite_a_desk_at_work_goes_back_and_forth() {
    a_desk_at_work_goes_back_and_forth(Desk::sqlite().await).await;
}

#[tokio::test]
async fn on_postgres_each_down_undoes_its_up() {
    each_down_undoes_its_up(Desk::empty_postgres().await).await;
}

#[tokio::test]
async fn on_sqlite_each_down_undoes_its_up() {
    each_down_undoes_its_up(Desk::empty_sqlite().await).await;
}

#[tokio::test]
async fn on_postgres_a_newer_database_is_refused_unless_it_says_otherwise() {
    a_newer_database_is_refused_unless_it_says_otherwise(Desk::empty_postgres().await).await;
}

#[tokio::test]
async fn on_sqlite_a_newer_database_is_refused_unless_it_says_otherwise() {
    a_newer_database_is_refused_unless_it_says_otherwise(Desk::empty_sqlite().await).await;
}

#[tokio::test]
async fn on_postgres_several_that_start_together_migrate_once() {
    several_that_start_together_migrate_once(Desk::empty_postgres().await).await;
}

#[tokio::test]
async fn on_sqlite_several_that_start_together_migrate_once() {
    several_that_start_together_migrate_once(Desk::empty_sqlite().await).await;
}
