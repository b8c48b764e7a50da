//! The schema's history.

use frontdesk::db::{Direction, Store, StoreError};
use frontdesk::domain::{Role, Seq};

use crate::fixture::{Fixture, fill, identity, note, write};

const MIGRATIONS: usize = 15;

/// The whole schema in words.
async fn schema(fixture: &Fixture) -> Vec<String> {
    let sql = if fixture.store.is_postgres() {
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
    fixture.lines(sql).await
}

async fn each_down_undoes_its_up(fixture: Fixture) {
    assert!(schema(&fixture).await.is_empty());
    let names = fixture.store.migrate(Direction::Up).await.unwrap();
    assert_eq!(names.len(), MIGRATIONS);
    assert!(names.is_sorted());
    assert!(fixture.store.migrate(Direction::Up).await.unwrap().is_empty());
    let whole = schema(&fixture).await;
    assert!(!whole.is_empty());

    let mut schemas = vec![whole.clone()];
    for name in names.iter().rev() {
        assert_eq!(
            fixture.store.migrate(Direction::Down).await.unwrap(),
            std::slice::from_ref(name)
        );
        let rest = schema(&fixture).await;
        let before = schemas.last().unwrap();
        // Each takes away what its up brought, or says anew what its table is.
        assert!(rest != *before, "{name}");
        let other = rest.iter().filter(|line| !before.contains(line)).collect::<Vec<_>>();
        if name.ends_with("leave_words_to_the_program") {
            assert_eq!(other.len(), 4, "{other:?}");
            assert!(other.iter().all(|line| line.contains("CHECK")), "{other:?}");
        } else {
            assert!(rest.len() <= before.len(), "{name}");
            let is_known = |line: &&String| line.contains(" users ") || line.contains(" messages ");
            assert!(other.iter().all(is_known), "{name}: {other:?}");
        }
        schemas.push(rest);
    }
    assert!(schemas.last().unwrap().is_empty());
    assert!(fixture.store.migrate(Direction::Down).await.unwrap().is_empty());
    assert!(fixture.store.migrations().await.unwrap().iter().all(|migration| !migration.applied));

    // Back from every step, it is the same schema again.
    for (steps, expected) in schemas.iter().enumerate().skip(1) {
        fixture.store.migrate(Direction::Up).await.unwrap();
        assert_eq!(schema(&fixture).await, whole);
        for _ in 0..steps {
            fixture.store.migrate(Direction::Down).await.unwrap();
        }
        assert_eq!(schema(&fixture).await, *expected);
    }
}

async fn a_newer_database_is_refused_unless_it_says_otherwise(fixture: Fixture) {
    let newest = fixture.store.migrate(Direction::Up).await.unwrap().pop().unwrap();
    let ours: String = newest.chars().take(17).filter(char::is_ascii_digit).collect();
    fixture
        .execute("INSERT INTO __diesel_schema_migrations (version) VALUES ('29990101000000')")
        .await;
    let refused = async |why: &str| match fixture.store.migrate(Direction::Up).await {
        Err(StoreError::Setup(said)) => assert!(said.contains("29990101000000"), "{why}: {said}"),
        other => panic!("{why}: {other:?}"),
    };
    refused("it says nothing").await;
    let says = async |oldest: &str| {
        fixture.execute("DELETE FROM migration_compatibility").await;
        fixture
            .execute(&format!(
                "INSERT INTO migration_compatibility VALUES ('29990101000000', '{oldest}')"
            ))
            .await;
    };
    says("29980101000000").await;
    refused("it is for programs that are newer than this one").await;
    says(&ours).await;
    assert!(fixture.store.migrate(Direction::Up).await.unwrap().is_empty());
    let down = fixture.store.migrate(Direction::Down).await;
    assert!(matches!(down, Err(StoreError::Setup(_))), "{down:?}");
    let listed = fixture.store.migrations().await.unwrap();
    assert_eq!(listed.last().unwrap().name, "29990101000000 of a newer version");
}

async fn several_that_start_together_migrate_once(fixture: Fixture) {
    let mut stores: Vec<Store> = Vec::new();
    for _ in 0..4 {
        stores.push(fixture.another_store().await);
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

/// Rows survive, except for values that the older schema lacks.
async fn a_desk_at_work_goes_back_and_forth(fixture: Fixture) {
    let (kim, chat) = fixture.customer("kim").await;
    let ada = fixture.admin("ada").await;
    let bot = fixture.store.service_user(Role::Bot, "guide".into(), None).await.unwrap();
    let store = fixture.telling_store().await;
    let mut writer = store.writer().await.unwrap();
    let drafts = vec![note(chat, kim, "hello"), note(chat, bot.id, "hi"), note(chat, ada, "yes")];
    write(&mut writer, drafts).await;
    drop(writer);
    let people = || fixture.lines("SELECT subject || ' ' || role AS line FROM users ORDER BY id");
    let said = "SELECT subject || ' ' || body AS line FROM messages
                JOIN users ON users.id = author_id ORDER BY seq";
    let before = fixture.lines(said).await;
    assert_eq!(people().await, ["kim customer", "ada admin", "bot:guide bot"]);

    // To before services wrote, and once more.
    for steps in [MIGRATIONS - 5, MIGRATIONS - 4] {
        for _ in 0..steps {
            fixture.store.migrate(Direction::Down).await.unwrap();
        }
        assert_eq!(people().await, ["kim customer", "ada admin", "bot:guide customer"]);
        assert_eq!(fixture.lines(said).await, before);
        fixture.store.migrate(Direction::Up).await.unwrap();
        assert_eq!(fixture.found("KIM").await, ["kim"], "rows of before are filled");
        // As a service that writes again, it is one again; connections are new after a migration.
        let store = fixture.telling_store().await;
        let again = store.service_user(Role::Bot, "guide".into(), None).await.unwrap();
        assert_eq!(again, bot);
        assert_eq!(people().await, ["kim customer", "ada admin", "bot:guide bot"]);
        assert_eq!(store.admit(vec![identity("kim")]).await.unwrap()[0].user.id, kim);
    }
    assert_eq!(fixture.lines(said).await, before);
}

/// The rows of the tables that are made anew, and of those that refer to them.
async fn rows(fixture: &Fixture) -> Vec<String> {
    let row = |table: &str, columns: &[&str]| {
        let columns = columns.iter().map(|column| format!("coalesce(CAST({column} AS TEXT), '-')"));
        let columns = columns.collect::<Vec<_>>().join(" || ' ' || ");
        format!("SELECT '{table} ' || {columns} AS line FROM {table}")
    };
    let tables = [
        row("users", &["id", "issuer", "subject", "role", "nickname", "search", "created_at"]),
        row("chats", &["id", "kind", "title", "customer_id", "last_seq", "updated_at"]),
        row("chat_members", &["chat_id", "user_id", "joined_at"]),
        row("read_marks", &["chat_id", "user_id", "seq"]),
        row("messages", &["id", "chat_id", "seq", "author_id", "kind", "body", "author_role"]),
        row("journal", &["id", "at", "kind", "subject_id"]),
        row("outbox", &["id", "event_id", "at", "kind", "chat_id", "user_id", "seq"]),
    ];
    fixture.lines(&format!("{} ORDER BY line", tables.join(" UNION ALL "))).await
}

/// Takes the newest migrations back, up to and with the one of this name.
async fn back_before(fixture: &Fixture, migration: &str) {
    while !fixture.store.migrate(Direction::Down).await.unwrap()[0].ends_with(migration) {}
}

const WORDS: &str = "leave_words_to_the_program";

async fn every_row_stays_while_words_are_left_to_the_program(fixture: Fixture) {
    let store = fixture.telling_store().await;
    let admitted = store.admit(vec![identity("kim"), identity("lee")]).await.unwrap();
    let (kim, chat) = (admitted[0].user.id, admitted[0].chats[0].chat_id);
    let bot = store.service_user(Role::Bot, "guide".into(), None).await.unwrap();
    let ada = fixture.admin("ada").await;
    store.create_group(ada, vec![kim], Some("a title".into())).await.unwrap();
    let mut writer = store.writer().await.unwrap();
    fill(&mut writer, chat, kim, 3).await;
    write(&mut writer, vec![note(chat, bot.id, "hi"), note(chat, ada, "yes")]).await;
    store.set_blocked(kim, true, None).await.unwrap();
    // The ids that are given next are known by the last one, which is gone.
    let last = "SELECT CAST(max(id) AS TEXT) AS line FROM outbox";
    let newest: i64 = fixture.lines(last).await[0].parse().unwrap();
    fixture.execute(&format!("DELETE FROM outbox WHERE id = {newest}")).await;
    drop(writer);
    let before = rows(&fixture).await;
    assert!(before.len() > 25, "{before:?}");

    let mut newest = newest;
    for direction in [Direction::Down, Direction::Up, Direction::Down, Direction::Up] {
        match direction {
            Direction::Down => back_before(&fixture, WORDS).await,
            Direction::Up => drop(fixture.store.migrate(Direction::Up).await.unwrap()),
        }
        assert_eq!(rows(&fixture).await, before, "{direction:?}");
        fixture.execute("INSERT INTO outbox (at, kind) SELECT at, kind FROM outbox LIMIT 1").await;
        let given: i64 = fixture.lines(last).await[0].parse().unwrap();
        assert!(given > newest, "an id is given again: {given} after {newest}");
        newest = given;
        fixture.execute(&format!("DELETE FROM outbox WHERE id = {given}")).await;
        if !fixture.store.is_postgres() {
            let broken = "SELECT \"table\" AS line FROM pragma_foreign_key_check";
            assert_eq!(fixture.lines(broken).await, [""; 0]);
        }
    }
    // And the program works on it.
    let store = fixture.telling_store().await;
    let (moe, own) = fixture.customer("moe").await;
    let mut writer = store.writer().await.unwrap();
    assert_eq!(fill(&mut writer, chat, kim, 1).await, Seq(6));
    assert_eq!(fill(&mut writer, own, moe, 1).await, Seq(1));
}

async fn words_that_an_older_version_does_not_know_are_no_accident(fixture: Fixture) {
    let (kim, _) = fixture.customer("kim").await;
    back_before(&fixture, "keep_when_users_were_seen").await;
    let refused = async |word: &str, insert: &str, delete: &str| {
        fixture.execute(insert).await;
        let before = rows(&fixture).await;
        let down = fixture.store.migrate(Direction::Down).await;
        let Err(StoreError::Internal(said)) = down else { panic!("{word}: {down:?}") };
        assert!(said.contains(word) && said.contains("the older version does not know"), "{said}");
        assert_eq!(rows(&fixture).await, before, "nothing is half done");
        fixture.execute(delete).await;
    };
    refused(
        "users.role",
        "INSERT INTO users (issuer, subject, role, created_at)
         SELECT 'shop', 'agent', 'agent', created_at FROM users LIMIT 1",
        "DELETE FROM users WHERE role = 'agent'",
    )
    .await;
    refused(
        "chats.kind",
        "INSERT INTO chats (kind, created_at, updated_at, active_minute)
         SELECT 'internal', created_at, created_at, 0 FROM users LIMIT 1",
        "DELETE FROM chats WHERE kind = 'internal'",
    )
    .await;
    refused(
        "the outbox",
        "INSERT INTO outbox (at, kind) SELECT created_at, 'chat.closed' FROM users LIMIT 1",
        "DELETE FROM outbox WHERE kind = 'chat.closed'",
    )
    .await;
    refused(
        "the outbox",
        "INSERT INTO outbox_deliveries (sink, id, event_id, at, kind)
         SELECT 'rabbitmq', 1, 'e', created_at, 'chat.closed' FROM users LIMIT 1",
        "DELETE FROM outbox_deliveries WHERE kind = 'chat.closed'",
    )
    .await;
    // A hint is not worth an operator's time.
    fixture
        .execute(&format!(
            "INSERT INTO journal (at, kind, subject_id)
         SELECT created_at, 'chat_closed', {kim} FROM users LIMIT 1"
        ))
        .await;
    let before = rows(&fixture).await;
    back_before(&fixture, WORDS).await;
    let after = rows(&fixture).await;
    let gone: Vec<_> = before.iter().filter(|line| !after.contains(line)).collect();
    assert!(gone.len() == 1 && gone[0].contains("chat_closed"), "{gone:?}");
}

async fn what_rabbitmq_lacks_is_in_the_outbox_of_an_older_version(fixture: Fixture) {
    fixture.customer("kim").await;
    fixture.execute(
        "INSERT INTO outbox (at, kind, user_id) SELECT created_at, 'user.created', id FROM users;
         INSERT INTO outbox (at, kind, user_id) SELECT created_at, 'user.created', id FROM users;
         DELETE FROM outbox WHERE id = 1;
         INSERT INTO outbox_deliveries (sink, id, event_id, at, kind, user_id)
         SELECT 'rabbitmq', 1, 'e-1', created_at, 'user.created', id FROM users;
         INSERT INTO outbox_deliveries (sink, id, event_id, at, kind, user_id)
         SELECT 'another', 1, 'e-1', created_at, 'user.created', id FROM users",
    )
    .await;
    back_before(&fixture, "keep_what_a_sink_lacks").await;
    let ids =
        "SELECT CAST(id AS TEXT) || ' ' || substr(event_id, 1, 2) AS line FROM outbox ORDER BY id";
    let ids = fixture.lines(ids).await;
    assert!(ids.len() == 2 && ids[0] == "1 e-" && ids[1].starts_with("2 "), "{ids:?}");
}

#[tokio::test]
async fn on_postgres_every_row_stays_while_words_are_left_to_the_program() {
    every_row_stays_while_words_are_left_to_the_program(Fixture::postgres().await).await;
}

#[tokio::test]
async fn on_sqlite_every_row_stays_while_words_are_left_to_the_program() {
    every_row_stays_while_words_are_left_to_the_program(Fixture::sqlite().await).await;
}

#[tokio::test]
async fn on_postgres_words_that_an_older_version_does_not_know_are_no_accident() {
    words_that_an_older_version_does_not_know_are_no_accident(Fixture::postgres().await).await;
}

#[tokio::test]
async fn on_sqlite_words_that_an_older_version_does_not_know_are_no_accident() {
    words_that_an_older_version_does_not_know_are_no_accident(Fixture::sqlite().await).await;
}

#[tokio::test]
async fn on_postgres_what_rabbitmq_lacks_is_in_the_outbox_of_an_older_version() {
    what_rabbitmq_lacks_is_in_the_outbox_of_an_older_version(Fixture::postgres().await).await;
}

#[tokio::test]
async fn on_sqlite_what_rabbitmq_lacks_is_in_the_outbox_of_an_older_version() {
    what_rabbitmq_lacks_is_in_the_outbox_of_an_older_version(Fixture::sqlite().await).await;
}

#[tokio::test]
async fn on_postgres_a_desk_at_work_goes_back_and_forth() {
    a_desk_at_work_goes_back_and_forth(Fixture::postgres().await).await;
}

#[tokio::test]
async fn on_sqlite_a_desk_at_work_goes_back_and_forth() {
    a_desk_at_work_goes_back_and_forth(Fixture::sqlite().await).await;
}

#[tokio::test]
async fn on_postgres_each_down_undoes_its_up() {
    each_down_undoes_its_up(Fixture::empty_postgres().await).await;
}

#[tokio::test]
async fn on_sqlite_each_down_undoes_its_up() {
    each_down_undoes_its_up(Fixture::empty_sqlite().await).await;
}

#[tokio::test]
async fn on_postgres_a_newer_database_is_refused_unless_it_says_otherwise() {
    a_newer_database_is_refused_unless_it_says_otherwise(Fixture::empty_postgres().await).await;
}

#[tokio::test]
async fn on_sqlite_a_newer_database_is_refused_unless_it_says_otherwise() {
    a_newer_database_is_refused_unless_it_says_otherwise(Fixture::empty_sqlite().await).await;
}

#[tokio::test]
async fn on_postgres_several_that_start_together_migrate_once() {
    several_that_start_together_migrate_once(Fixture::empty_postgres().await).await;
}

#[tokio::test]
async fn on_sqlite_several_that_start_together_migrate_once() {
    several_that_start_together_migrate_once(Fixture::empty_sqlite().await).await;
}
