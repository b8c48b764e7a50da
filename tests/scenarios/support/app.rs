//! The app under test, in this process, and the further nodes of its deployment.

use std::net::SocketAddr;
use std::ops::Deref;
use std::thread::{self, JoinHandle};

use frontdesk::actors::CrashOf;
use frontdesk::application::{Application, Handle};
use frontdesk::domain::{ChatId, SessionId, Timings};
use frontdesk::settings::Settings;
use tokio::sync::oneshot;

use super::tokens::SECRET;
use super::{Database, Person, Process, Proxy, TestBroker, TestClient};

/// Limits that get in no scenario's way, unless it is about them.
const AMPLE: [(&str, &str); 5] = [
    ("server.workers", "2"),
    ("server.shutdown_timeout", "2"),
    ("server.drain_window_ms", "100"),
    ("limits.messages_per_second", "100000"),
    ("limits.burst", "100000"),
];

/// A database and the first node on it. All of it is gone when this is dropped.
pub struct TestApp {
    // Before the database: a field is dropped after those above it.
    node: Node,
    proxy: Option<Proxy>,
    database: Database,
    settings: Vec<(String, String)>,
    timings: Timings,
}

impl TestApp {
    /// On a file of its own.
    pub async fn sqlite(settings: &[(&str, String)]) -> Self {
        Self::on(Database::sqlite(), None, &owned(settings), Timings::default()).await
    }

    /// On a PostgreSQL database of its own.
    pub async fn postgres(settings: &[(&str, String)]) -> Self {
        Self::on(Database::postgres().await, None, &owned(settings), Timings::default()).await
    }

    async fn on(
        database: Database,
        proxy: Option<Proxy>,
        settings: &[(String, String)],
        timings: Timings,
    ) -> Self {
        let url = match &proxy {
            Some(proxy) => database.url_by_way_of(proxy.address()),
            None => database.url(),
        };
        let node = Node::start(&url, settings, timings).await;
        Self { node, proxy, database, settings: settings.to_vec(), timings }
    }

    /// The same app, started anew behind a proxy that can be cut.
    pub async fn behind_a_proxy(self) -> Self {
        let Self { node, database, settings, timings, .. } = self;
        drop(node);
        let proxy = Proxy::to(database.server()).await;
        Self::on(database, Some(proxy), &settings, timings).await
    }

    /// The same app, started anew with other timers.
    pub async fn with_timings(self, timings: Timings) -> Self {
        let Self { node, proxy, database, settings, .. } = self;
        drop(node);
        Self::on(database, proxy, &settings, timings).await
    }

    pub fn proxy(&self) -> &Proxy {
        self.proxy.as_ref().expect("an app behind a proxy")
    }

    pub fn database(&self) -> &Database {
        &self.database
    }

    /// Another service's connection to the app's RabbitMQ.
    pub async fn broker(&self) -> TestBroker {
        TestBroker::connect(self.setting("rabbitmq.url"), self.setting("rabbitmq.prefix")).await
    }

    /// A setting that the scenario has made.
    pub fn setting(&self, key: &str) -> &str {
        let found = self.settings.iter().rev().find(|(known, _)| known == key);
        found.map(|(_, value)| value.as_str()).unwrap_or_else(|| panic!("{key} is not set"))
    }

    /// Stops the node, and starts another on the same database.
    pub async fn restart(&mut self) {
        self.node.stop();
        self.node = self.another_node().await;
    }

    /// One more node on the same database, in this process.
    pub async fn another_node(&self) -> Node {
        Node::start(&self.database.url(), &self.settings, self.timings).await
    }

    /// One more node on the same database, in a process of its own.
    pub async fn another_process(&self) -> Process {
        self.another_process_with(&[]).await
    }

    /// The same with other settings.
    pub async fn another_process_with(&self, others: &[(&'static str, &str)]) -> Process {
        let mut settings =
            vec![("database.url", self.database.url()), ("auth.secret", SECRET.into())];
        settings.extend(AMPLE.map(|(key, value)| (key, value.to_owned())));
        settings.extend(self.settings.iter().map(|(key, value)| (key.as_str(), value.clone())));
        settings.extend(others.iter().map(|(key, value)| (*key, (*value).to_owned())));
        Process::start(&settings).await
    }
}

/// The app is spoken to through its first node.
impl Deref for TestApp {
    type Target = Node;

    fn deref(&self) -> &Node {
        &self.node
    }
}

/// One running server.
pub struct Node {
    address: SocketAddr,
    pub(super) http: reqwest::Client,
    running: Option<Running>,
}

struct Running {
    handle: Handle,
    thread: JoinHandle<()>,
}

impl Node {
    /// Starts a server on its own thread, with its own actix system.
    async fn start(database: &str, settings: &[(String, String)], timings: Timings) -> Self {
        let toml = format!(
            "server.bind = '127.0.0.1:0'\ndatabase.url = '{database}'\nauth.secret = \"{SECRET}\"\n"
        );
        let others = AMPLE.map(|(key, value)| (key, value.to_owned()));
        // What comes last wins.
        let settings = settings.iter().map(|(key, value)| (key.as_str(), value.clone()));
        let all: Vec<_> = others.into_iter().chain(settings).collect();
        let settings = Settings::load_from(&toml, environment(&all).into_iter())
            .unwrap_or_else(|e| panic!("the settings are refused: {e:#}"));

        let (tell, told) = oneshot::channel();
        let thread = thread::Builder::new()
            .name("frontdesk".into())
            .spawn(move || {
                actix::System::new().block_on(async move {
                    let app = match Application::build_with(settings, timings).await {
                        Ok(app) => app,
                        Err(e) => return drop(tell.send(Err(format!("{e:#}")))),
                    };
                    let _ = tell.send(Ok((app.port(), app.handle())));
                    app.run_until_stopped().await.expect("the server ends well");
                });
            })
            .expect("a thread");
        let (port, handle) = told
            .await
            .expect("the server's thread lives")
            .unwrap_or_else(|e| panic!("the app does not start: {e}"));
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        let mut node = Self::elsewhere(address);
        node.running = Some(Running { handle, thread });
        node
    }

    /// A server that somebody else runs.
    pub fn elsewhere(address: SocketAddr) -> Self {
        Self { address, http: reqwest::Client::new(), running: None }
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Makes a chat's room panic.
    pub fn crash_room(&self, chat: i64) {
        self.crash(CrashOf::Room(ChatId(chat)));
    }

    /// Makes an executor panic; nothing happens where there are fewer.
    pub fn crash_executor(&self, index: usize) {
        self.crash(CrashOf::Executor(index));
    }

    /// Makes a session panic.
    pub fn crash_session(&self, session: &str) {
        let id = session.parse().expect("a session's id is a UUID");
        self.crash(CrashOf::Session(SessionId(id)));
    }

    fn crash(&self, what: CrashOf) {
        self.running.as_ref().expect("a server in this process").handle.crash(what);
    }

    /// Connects `who` with the token in the header, and reads `welcome`.
    pub async fn connect(&self, who: &Person) -> TestClient {
        self.connecting().bearer(&who.token()).welcomed().await
    }

    /// Connects `who` resuming: `10:55,12:3`.
    pub async fn resume(&self, who: &Person, positions: &str) -> TestClient {
        self.connecting()
            .bearer(&who.token())
            .query(&format!("resume={positions}"))
            .welcomed()
            .await
    }

    /// Stops the server, and waits for its end.
    pub fn stop(&mut self) {
        if let Some(Running { handle, thread }) = self.running.take() {
            handle.stop();
            let ended = thread.join();
            // A scenario that fails already must not fail twice, which would abort all of them.
            assert!(ended.is_ok() || thread::panicking(), "the server's thread panicked");
        }
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.stop();
    }
}

fn owned(settings: &[(&str, String)]) -> Vec<(String, String)> {
    settings.iter().map(|(key, value)| ((*key).to_owned(), value.clone())).collect()
}

/// Settings as they stand in the environment; of one named twice, the last.
pub fn environment(settings: &[(&str, String)]) -> Vec<(String, String)> {
    let mut variables: Vec<(String, String)> = Vec::new();
    for (key, value) in settings {
        let name = format!("FRONTDESK__{}", key.to_uppercase().replace('.', "__"));
        variables.retain(|(known, _)| *known != name);
        variables.push((name, value.clone()));
    }
    variables
}
