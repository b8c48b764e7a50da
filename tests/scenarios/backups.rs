//! Backup and restore, the doctor, and a start that keeps what it promises.

use std::os::unix::fs::PermissionsExt as _;

use tempfile::TempDir;

use crate::support::operator::{Printed, operate_on};
use crate::support::{
    Database, Process, TestApp, admin, assert_run, customer, json, process_settings, run, scenarios,
};

scenarios! {
    the_doctor_finds_a_desk_well,
    the_doctor_names_what_is_away_and_no_password on one node "asks for services that are not there",
    postgres_is_backed_up_by_its_own_tools on one node "the command knows no nodes",
    a_database_that_may_lose_what_it_acknowledged_is_refused on one node "starts another",
}

fn path(folder: &TempDir, name: &str) -> String {
    folder.path().join(name).to_str().expect("a path").to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_that_was_made_while_messages_came_is_restored() {
    run(async {
        let database = Database::sqlite();
        let folder = tempfile::tempdir().expect("a folder");
        let (backup, url) = (path(&folder, "backup.db"), database.url());
        let operate = |args: &[&str]| operate_on(&url, args, "", &[]);
        let mut desk = Process::start(&process_settings(&url, &[])).await;
        let person = customer("kim");
        let mut kim = desk.connect(&person).await;
        let chat = kim.chat();
        for n in 1..=50 {
            kim.say(chat, &format!("before {n}")).await;
        }
        let writing = tokio::spawn(async move {
            for n in 51..=150 {
                kim.say(chat, &format!("meanwhile {n}")).await;
            }
            kim
        });
        let made = operate(&["backup", &backup]);
        assert_eq!(made.code, 0, "{}", made.error);
        assert!(made.text.contains(&backup));
        let mut kim = writing.await.expect("everything was stored");
        // A backup is never written over, and a database that is in use not either.
        refused(&operate(&["backup", &backup]), "exists");
        refused(&operate(&["restore", &backup]), "stop the server first");
        desk.kill();
        assert_eq!(kim.closed().await, 1006);
        std::fs::write(folder.path().join("nonsense.db"), "nonsense").expect("written");
        refused(&operate(&["restore", &path(&folder, "nonsense.db")]), "no SQLite database");
        refused(&operate(&["restore", &path(&folder, "missing.db")]), "no such file");
        let restored = operate(&["restore", &backup]);
        assert_eq!(restored.code, 0, "{}", restored.error);
        assert!(restored.text.contains(".replaced"), "{}", restored.text);
        // A second time: what the first one kept stays, and another user's umask opens nothing.
        std::fs::set_permissions(&backup, std::fs::Permissions::from_mode(0o644)).expect("set");
        let again = operate(&["restore", &backup]);
        assert!(again.text.contains(".replaced-2"), "{} {}", again.text, again.error);
        let file = url.strip_prefix("sqlite://").expect("a file");
        let mode = std::fs::metadata(file).expect("it is there").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        // Also in the place of a file that is no database any more.
        std::fs::write(file, "damaged".repeat(1000)).expect("written");
        let mended = operate(&["restore", &backup]);
        assert_eq!(mended.code, 0, "{}", mended.error);
        desk.restart().await;
        // A run from 1 on, to some message that was stored meanwhile.
        let log = desk.history(&admin("ada"), chat).await;
        let seqs: Vec<i64> = log.iter().filter_map(|message| message["seq"].as_i64()).collect();
        let last = *seqs.last().expect("messages");
        assert!((50..=150).contains(&last), "{last}");
        assert_run(&seqs, 1, last);
        // A client that has seen more is told to begin anew, and goes on.
        let mut kim = desk.resume(&person, &format!("{chat}:150")).await;
        assert_eq!(kim.welcomed_to(chat).expect("the chat")["reset"], last < 150);
        assert_eq!(kim.say(chat, "after").await["seq"], last + 1);
    })
    .await;
}

#[track_caller]
fn refused(printed: &Printed, words: &str) {
    assert_eq!(printed.code, 2, "{} {}", printed.text, printed.error);
    assert!(printed.error.contains(words), "{}", printed.error);
}

async fn the_doctor_finds_a_desk_well(app: TestApp) {
    let found = app.operate(&["doctor", "--json"], "").json();
    let outcome = |check: &str| {
        let finding = found.iter().find(|finding| finding["check"] == check);
        finding.unwrap_or_else(|| panic!("no {check} in {found:?}"))["outcome"].clone()
    };
    for check in ["database", "migrations", "clock", "keys", "files", "origins"] {
        assert_eq!(outcome(check), "ok", "{found:?}");
    }
    // The tests' PostgreSQL is one that is allowed to forget.
    assert!(["ok", "warning"].contains(&outcome("durability").as_str().expect("a word")));
}

async fn the_doctor_names_what_is_away_and_no_password(app: TestApp) {
    let away = "127.0.0.1:9";
    let amqp = format!("amqp://desk:hunter2@{away}/%2f");
    let env = [
        ("FRONTDESK__RABBITMQ__URL", amqp.as_str()),
        ("FRONTDESK__SERVER__ALLOWED_ORIGINS", "*"),
        ("FRONTDESK__SERVER__TLS_CERT_FILE", "missing.crt"),
        ("FRONTDESK__SERVER__TLS_KEY_FILE", "missing.key"),
    ];
    let found = app.operate_with(&["doctor"], "", &env);
    assert_eq!(found.code, 1, "{}", found.text);
    let line = |words: &[&str]| {
        found.text.lines().any(|line| words.iter().all(|word| line.contains(word)))
    };
    assert!(line(&["FAILURE", "rabbitmq", away]), "{}", found.text);
    assert!(line(&["FAILURE", "tls", "missing.crt"]), "{}", found.text);
    assert!(line(&["warning", "origins", "list your own"]), "{}", found.text);
    assert!(!found.text.contains("hunter2") && !found.error.contains("hunter2"));
}

async fn postgres_is_backed_up_by_its_own_tools(app: TestApp) {
    let folder = tempfile::tempdir().expect("a folder");
    let printed = app.operate(&["backup", &path(&folder, "backup.db")], "");
    if app.database().url().starts_with("postgres") {
        refused(&printed, "pg_dump");
    } else {
        assert_eq!(printed.code, 0, "{}", printed.error);
    }
}

async fn a_database_that_may_lose_what_it_acknowledged_is_refused(app: TestApp) {
    let strict = [
        ("FRONTDESK__DATABASE__WEAK_DURABILITY", "false"),
        ("FRONTDESK__SERVER__BIND", "192.0.2.1:1"),
    ];
    let started = app.operate_with(&["serve"], "", &strict);
    if app.database().url().starts_with("postgres") {
        refused(&started, "fsync is off");
        let loud = app.another_process().await;
        loud.logs("ACKNOWLEDGED MESSAGES MAY BE LOST").await;
        let talk = json!({"message": "hello"});
        let mut kim = loud.connect(&customer("kim")).await;
        kim.ask("send_message", talk).await;
    } else {
        // SQLite keeps it; this start fails at its address.
        assert!(started.error.contains("server.bind"), "{}", started.error);
    }
}
