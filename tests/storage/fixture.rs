//! A database of its own for each test, and the people who appear in them.

use std::time::Duration;

use diesel::connection::SimpleConnection as _;
use diesel::sql_types::Text;
use diesel::{Connection as _, QueryableByName, RunQueryDsl as _};
use frontdesk::db::{
    Config, Direction, GroupResult, Mark, Marked, Refusal, Store, UserFilter, Write, WriteId,
    WriteOp, WriteResult, Writer,
};
use frontdesk::domain::{
    Body, ChatId, ClientId, Draft, Identity, MessageKind, PostResult, Receipt, Role, Seq, UserId,
};
use testkit::Database;
use testkit::database::{connect, execute};
use tokio_postgres::SimpleQueryMessage;

/// The sink of a store that writes events.
pub const SINK: &str = "rabbitmq";

/// A migrated database, and a store on it. Gone when dropped.
pub struct Fixture {
    pub store: Store,
    pub config: Config,
    pub database: Database,
}

impl Fixture {
    pub async fn postgres() -> Self {
        let fixture = Self::empty_postgres().await;
        fixture.store.migrate(Direction::Up).await.expect("migrate");
        fixture
    }

    pub async fn sqlite() -> Self {
        let fixture = Self::empty_sqlite().await;
        fixture.store.migrate(Direction::Up).await.expect("migrate");
        fixture
    }

    pub async fn empty_postgres() -> Self {
        Self::open(Database::postgres().await).await
    }

    pub async fn empty_sqlite() -> Self {
        Self::open(Database::sqlite()).await
    }

    async fn open(database: Database) -> Self {
        let config = config(database.url());
        let store = Store::connect(&config).await.expect("connect");
        Self { store, config, database }
    }

    /// A store of another process.
    pub async fn another_store(&self) -> Store {
        Store::connect(&self.config).await.expect("connect")
    }

    /// A store of a process that tells other services what happens.
    pub async fn telling_store(&self) -> Store {
        let config = Config { sinks: vec![SINK.to_owned()], ..self.config.clone() };
        Store::connect(&config).await.expect("connect")
    }

    pub async fn writer(&self) -> Writer {
        self.store.writer().await.expect("a writer")
    }

    /// Runs SQL that the store has no method for.
    pub async fn execute(&self, sql: &str) {
        match &self.database {
            Database::Postgres { .. } => execute(&self.config.url, sql).await,
            Database::Sqlite(_) => self.sqlite_connection().batch_execute(sql).expect(sql),
        }
    }

    /// The subjects of the users who are found by a part of a text.
    pub async fn found(&self, part: &str) -> Vec<String> {
        let filter = UserFilter { query: Some(part.into()), ..UserFilter::default() };
        let users = self.store.users(filter, None, 100).await.expect("a list");
        users.into_iter().map(|user| user.subject).collect()
    }

    /// The rows of SQL with one text column, `line`.
    pub async fn lines(&self, sql: &str) -> Vec<String> {
        match &self.database {
            Database::Postgres { .. } => lines(&self.config.url, sql).await,
            Database::Sqlite(_) => {
                let rows: Vec<Line> =
                    diesel::sql_query(sql).load(&mut self.sqlite_connection()).expect(sql);
                rows.into_iter().map(|row| row.line).collect()
            }
        }
    }

    fn sqlite_connection(&self) -> diesel::SqliteConnection {
        let path = self.config.url.strip_prefix("sqlite://").expect("a path");
        let mut connection = diesel::SqliteConnection::establish(path).expect("open");
        connection.batch_execute("PRAGMA busy_timeout = 5000").expect("a pragma");
        connection
    }

    /// Makes the database refuse every message that says `poison`.
    pub async fn refuse_poison(&self) {
        self.execute(match &self.database {
            Database::Postgres { .. } => {
                "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS \
                 $$ BEGIN RAISE EXCEPTION 'poison'; END $$; \
                 CREATE TRIGGER refuse BEFORE INSERT ON messages FOR EACH ROW \
                 WHEN (NEW.body = 'poison') EXECUTE FUNCTION refuse()"
            }
            Database::Sqlite(_) => {
                "CREATE TRIGGER refuse BEFORE INSERT ON messages WHEN NEW.body = 'poison' \
                 BEGIN SELECT RAISE(ABORT, 'poison'); END"
            }
        })
        .await;
    }

    /// A customer who was let in, with the own chat.
    pub async fn customer(&self, subject: &str) -> (UserId, ChatId) {
        let admitted = self.store.admit(vec![identity(subject)]).await.expect("admit");
        (admitted[0].user.id, admitted[0].chats[0].chat_id)
    }

    pub async fn user(&self, subject: &str) -> UserId {
        let created = self.store.create_user("shop".into(), subject.into(), None, None).await;
        created.expect("a user").into_inner().id
    }

    pub async fn group(&self, creator: UserId, members: Vec<UserId>) -> ChatId {
        group(&self.store, creator, members).await
    }

    pub async fn admin(&self, subject: &str) -> UserId {
        let token = Identity { role: Some(Role::Admin), ..identity(subject) };
        self.store.admit(vec![token]).await.expect("admit")[0].user.id
    }
}

#[derive(QueryableByName)]
struct Line {
    #[diesel(sql_type = Text)]
    line: String,
}

pub fn config(url: String) -> Config {
    Config {
        url,
        pool_size: 4,
        acquire_timeout: Duration::from_secs(5),
        ca_file: None,
        sinks: Vec::new(),
        create: true,
    }
}

async fn lines(url: &str, sql: &str) -> Vec<String> {
    let messages = connect(url).await.simple_query(sql).await.expect(sql);
    let line = |message| match message {
        SimpleQueryMessage::Row(row) => Some(row.get("line").unwrap_or_default().to_owned()),
        _ => None,
    };
    messages.into_iter().filter_map(line).collect()
}

pub async fn group(store: &Store, creator: UserId, members: Vec<UserId>) -> ChatId {
    match store.create_group(creator, members, None).await.expect("a group") {
        GroupResult::Created(chat) => chat,
        GroupResult::NoUser(user) => panic!("no user {user}"),
    }
}

/// Identity of a customer's first token.
pub fn identity(subject: &str) -> Identity {
    Identity {
        issuer: "shop".to_owned(),
        subject: subject.to_owned(),
        role: None,
        nickname: Some(subject.to_owned()),
        email: None,
        issued_at: Some(100),
    }
}

pub fn draft(chat_id: ChatId, author: UserId, client_id: &str, text: &str) -> Draft {
    Draft {
        chat_id,
        author,
        role: Role::Customer,
        kind: MessageKind::Text,
        content: Body::parse(text.to_owned(), 100_000).expect("a body"),
        client_id: ClientId::parse(client_id.to_owned()).expect("a client id"),
        expect_seq: None,
    }
}

/// A draft that nobody else has.
pub fn note(chat_id: ChatId, author: UserId, text: &str) -> Draft {
    Draft { client_id: ClientId::random(), ..draft(chat_id, author, "x", text) }
}

/// Runs one batch; answers the results in the order of `ops`.
pub async fn run(writer: &mut Writer, ops: Vec<WriteOp>) -> Vec<WriteResult> {
    let write = |(number, op)| Write { id: WriteId { source: 1, number }, op };
    let batch: Vec<_> = (0..).zip(ops).map(write).collect();
    let ids: Vec<_> = batch.iter().map(|write| write.id).collect();
    let mut written = writer.write(batch).await;
    written.sort_by_key(|written| written.id.number);
    assert_eq!(written.iter().map(|written| written.id).collect::<Vec<_>>(), ids);
    written.into_iter().map(|written| written.result).collect()
}

/// Posts the drafts, each of which comes back with its result.
pub async fn write(writer: &mut Writer, drafts: Vec<Draft>) -> Vec<PostResult> {
    let results = run(writer, drafts.iter().cloned().map(WriteOp::Post).collect()).await;
    let of = |(draft, result): (Draft, WriteResult)| match result {
        WriteResult::Post(back, result) if back == draft => result,
        other => panic!("{draft:?} has {other:?}"),
    };
    drafts.into_iter().zip(results).map(of).collect()
}

pub async fn raise(writer: &mut Writer, marks: Vec<Mark>) -> Vec<Result<Marked, Refusal>> {
    let results = run(writer, marks.into_iter().map(WriteOp::Mark).collect()).await;
    results.iter().map(marked).collect()
}

#[track_caller]
pub fn posted(result: &WriteResult) -> &PostResult {
    match result {
        WriteResult::Post(_, result) => result,
        other => panic!("no post: {other:?}"),
    }
}

#[track_caller]
pub fn marked(result: &WriteResult) -> Result<Marked, Refusal> {
    match result {
        WriteResult::Mark(_, marked) => *marked,
        other => panic!("no mark: {other:?}"),
    }
}

/// Place of a stored message.
#[track_caller]
pub fn new(stored: &PostResult) -> Receipt {
    match stored {
        PostResult::New(receipt, _) => *receipt,
        other => panic!("not stored: {other:?}"),
    }
}

/// Writes `count` messages into a chat, and answers its last `seq`.
pub async fn fill(writer: &mut Writer, chat: ChatId, author: UserId, count: usize) -> Seq {
    let drafts = (1..=count).map(|n| note(chat, author, &format!("message {n}"))).collect();
    let stored = write(writer, drafts).await;
    new(stored.last().expect("a message")).seq
}
