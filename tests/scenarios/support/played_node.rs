//! A node that the scenario plays itself, over PostgreSQL's notifications.

use frontdesk::cluster::{Backplane, Delivery, Event, Limits, PostgresDriver, Seal, Target};
use frontdesk::db::{Config, Notifications, Store};
use frontdesk::domain::{NodeId, SessionId, Timestamp};
use frontdesk::settings::Secret;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_postgres::Client;

use super::tokens::SECRET;
use super::{DEADLINE, Database, Node, Value, all, eventually, json};

/// A node without a server. Dropped, it has lost its connection.
pub struct PlayedNode {
    pub id: NodeId,
    backplane: Backplane,
    events: mpsc::Receiver<Event>,
    driver: JoinHandle<()>,
}

impl PlayedNode {
    /// One that listens.
    pub async fn start(database: &Database) -> Self {
        Self::come_back(database, NodeId::random()).await
    }

    /// A node that was there before.
    pub async fn come_back(database: &Database, id: NodeId) -> Self {
        let (backplane, mut events, port) = Backplane::new(Limits::default());
        let driver = PostgresDriver::new(notifications(&database.url()).await, id);
        let driver = tokio::spawn(driver.run(port));
        let event = timeout(DEADLINE, events.recv()).await.expect("it connects in time");
        assert_eq!(event, Some(Event::Connected));
        Self { id, backplane, events, driver }
    }

    /// Loses its connection, without a word. The others can know.
    pub async fn vanish(self, database: &Database) {
        let witness = Self::start(database).await;
        self.driver.abort();
        eventually("it is gone", || async {
            let sent = witness.backplane.publish(Target::Node(self.id), Vec::new()).await;
            (sent == Ok(Delivery::NoReceiver)).then_some(())
        })
        .await;
    }

    /// Says something to all nodes.
    pub async fn say(&self, word: Value) {
        self.say_with(word, SECRET, Timestamp::now()).await;
    }

    /// As [`say`](Self::say), with a secret and at a time that may be wrong.
    pub async fn say_with(&self, word: Value, secret: &str, at: Timestamp) {
        let seal = Seal::new(Some(&Secret::from(secret.to_owned())), None);
        let message = json!({"from": self.id.to_string(), "at": at.0, "word": word});
        let message = seal.close(message.to_string().into());
        eventually("it has a connection", || async {
            let sent = self.backplane.publish(Target::All, message.clone()).await;
            (sent == Ok(Delivery::Sent)).then_some(())
        })
        .await;
    }

    /// The next word of another node.
    pub async fn told(&mut self) -> Value {
        loop {
            let event = timeout(DEADLINE, self.events.recv()).await.expect("a message in time");
            if let Event::Message(bytes) = event.expect("a driver") {
                let seal = Seal::new(Some(&Secret::from(SECRET.to_owned())), None);
                let message = seal.open(&bytes).expect("its tag is right");
                let mut message: Value = serde_json::from_slice(message).expect("JSON");
                return message["word"].take();
            }
        }
    }

    /// A service's answer to a session of this node.
    pub fn session(&self) -> Value {
        json!({"socket_id": SessionId::on_node(self.id).to_string()})
    }
}

impl Drop for PlayedNode {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

/// The notifications of a database.
pub async fn notifications(url: &str) -> Notifications {
    let config = Config {
        url: url.to_owned(),
        pool_size: 1,
        acquire_timeout: DEADLINE,
        ca_file: None,
        sinks: Vec::new(),
        create: false,
    };
    let store = Store::connect(&config).await.expect("a database");
    store.notifications().expect("PostgreSQL")
}

/// Nodes that cannot listen to PostgreSQL, until this is dropped.
pub struct Deafness {
    _holders: Vec<Client>,
}

impl Deafness {
    /// Ends the connections of all nodes that listen, and keeps them from coming back.
    pub async fn of_all(database: &Database) -> Self {
        const LISTENERS: &str = "FROM pg_locks WHERE locktype = 'advisory' AND database = \
            (SELECT oid FROM pg_database WHERE datname = current_database())";
        let sql = database.connect().await;
        let keys = format!("SELECT DISTINCT classid::int8 << 32 | objid::int8 {LISTENERS}");
        let keys = sql.query(&keys, &[]).await.expect("the listeners' locks");
        assert!(!keys.is_empty(), "nobody listens");
        let holding = all(keys.iter().map(|key| async {
            let holder = database.connect().await;
            let lock = format!("SELECT pg_advisory_lock({})", key.get::<_, i64>(0));
            holder.batch_execute(&lock).await.expect("a lock");
            holder
        }));
        let ending = async {
            let waiting = format!("SELECT {LISTENERS} AND NOT granted");
            eventually("who comes back stands behind in the queue", || async {
                let waiting = sql.query(&waiting, &[]).await.expect("the locks");
                (waiting.len() >= keys.len()).then_some(())
            })
            .await;
            let end = format!(
                "SELECT pg_terminate_backend(pid) {LISTENERS} AND granted \
                AND mode = 'ShareLock'"
            );
            sql.execute(&end, &[]).await.expect("they end");
        };
        Self { _holders: tokio::join!(holding, ending).0 }
    }
}

/// Waits until a node hears others, or does not.
pub async fn hears_others(node: &Node, is_connected: bool) {
    eventually("the backplane comes or goes", || async {
        let connected = node.metric("frontdesk_backplane_connected").await == 1.0;
        (connected == is_connected).then_some(())
    })
    .await;
}
