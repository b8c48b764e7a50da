//! The schema's history.

use frontdesk::db::{Direction, Store};

use crate::desk::Desk;

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
    assert_eq!(names.len(), 4);
    assert!(names.is_sorted());
    assert!(desk.store.migrate(Direction::Up).await.unwrap().is_empty());
    let whole = schema(&desk).await;
    assert!(!whole.is_empty());

    let mut schemas = vec![whole.clone()];
    for name in names.iter().rev() {
        assert_eq!(desk.store.migrate(Direction::Down).await.unwrap(), std::slice::from_ref(name));
        let rest = schema(&desk).await;
        let before = schemas.last().unwrap();
        assert!(rest.len() < before.len() && rest.iter().all(|line| before.contains(line)));
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
    assert_eq!(run, 4);
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
async fn on_postgres_several_that_start_together_migrate_once() {
    several_that_start_together_migrate_once(Desk::empty_postgres().await).await;
}

#[tokio::test]
async fn on_sqlite_several_that_start_together_migrate_once() {
    several_that_start_together_migrate_once(Desk::empty_sqlite().await).await;
}
