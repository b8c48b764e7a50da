//! One behaviour for every driver of the backplane: in memory, over PostgreSQL, and over Redis.

use frontdesk::cluster::{
    Backplane, Delivery, Event, Limits, LocalNetwork, Port, PostgresDriver, PublishError,
    RedisDriver, Target,
};
use frontdesk::domain::{ChatId, NodeId, SessionId, UserId};
use frontdesk::settings::{Redis, Settings};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::support::redis::OwnRedis;
use crate::support::{DEADLINE, Database, Proxy, broker, eventually, notifications, run};

/// Makes a test of each behaviour for each driver: `name::local`, `name::postgres`, `name::redis`.
macro_rules! behaviours {
    ($($name:ident),+ $(,)?) => {
        $(mod $name {
            use crate::support::redis;

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn local() {
                super::run(super::$name(super::Network::local())).await;
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn postgres() {
                super::run(async { super::$name(super::Network::postgres().await).await }).await;
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn redis() {
                super::run(super::$name(super::Network::redis(&redis::url()))).await;
            }
        })+
    };
}

behaviours! {
    a_message_to_a_node_reaches_that_node_alone,
    a_message_to_a_session_reaches_its_node,
    a_message_to_a_user_reaches_every_node_that_may_have_sessions,
    a_message_to_a_chat_reaches_every_node_that_may_have_its_room,
    a_message_to_all_reaches_every_other_node,
    messages_of_one_caller_arrive_in_order,
    messages_that_are_sent_together_arrive_in_order,
    equal_messages_all_arrive,
    a_large_message_arrives_whole,
    a_node_that_nobody_knows_is_told_of,
    a_node_that_has_gone_is_told_of,
    a_message_that_is_too_large_is_refused_and_others_pass,
    a_full_queue_is_told,
}

const SMALL: Limits = Limits { message_bytes: 100, publications: 4, events: 64 };

/// The network of one test's nodes.
enum Network {
    Local(LocalNetwork),
    Postgres(Database),
    Redis(Redis),
}

/// A node with its driver, which ends when this is dropped.
struct Member {
    node: NodeId,
    backplane: Backplane,
    events: mpsc::Receiver<Event>,
    driver: Option<Driver>,
}

struct Driver(JoinHandle<()>);

impl Network {
    fn local() -> Self {
        Self::Local(LocalNetwork::default())
    }

    async fn postgres() -> Self {
        Self::Postgres(Database::postgres().await)
    }

    fn redis(url: &str) -> Self {
        let environment = [
            ("FRONTDESK__DATABASE__URL".to_owned(), "postgres://unused/unused".to_owned()),
            ("FRONTDESK__REDIS__URL".to_owned(), url.to_owned()),
            ("FRONTDESK__REDIS__PREFIX".to_owned(), broker::prefix()),
        ];
        let settings = Settings::load_from("", environment.into_iter()).expect("settings");
        Self::Redis(settings.redis)
    }

    async fn join(&self) -> Member {
        self.join_with(SMALL).await
    }

    async fn join_with(&self, limits: Limits) -> Member {
        let (backplane, mut events, port) = Backplane::new(limits);
        let node = NodeId::random();
        let driver = Some(self.drive(node, port).await);
        assert_eq!(next(&mut events).await, Event::Connected);
        Member { node, backplane, events, driver }
    }

    async fn drive(&self, node: NodeId, port: Port) -> Driver {
        Driver(match self {
            Self::Local(network) => tokio::spawn(network.clone().run(node, port)),
            Self::Postgres(database) => {
                let notifications = notifications(&database.url()).await;
                tokio::spawn(PostgresDriver::new(notifications, node).run(port))
            }
            Self::Redis(settings) => {
                let driver = RedisDriver::new(settings, node).expect("settings").expect("a URL");
                tokio::spawn(driver.run(port))
            }
        })
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Member {
    async fn publish(&self, target: Target, text: &str) -> Result<Delivery, PublishError> {
        self.backplane.publish(target, text.as_bytes().to_vec()).await
    }

    /// The next message, but for the member's own: a driver may bring those back.
    async fn hears(&mut self, own: &str) -> String {
        loop {
            match next(&mut self.events).await {
                Event::Message(bytes) => {
                    let text = String::from_utf8(bytes).expect("text");
                    if text != own {
                        return text;
                    }
                }
                event => panic!("{event:?}"),
            }
        }
    }
}

async fn next(events: &mut mpsc::Receiver<Event>) -> Event {
    timeout(DEADLINE, events.recv()).await.expect("an event in time").expect("a driver")
}

async fn a_message_to_a_node_reaches_that_node_alone(network: Network) {
    let (ada, mut kim, mut lee) =
        (network.join().await, network.join().await, network.join().await);
    assert_eq!(ada.publish(Target::Node(kim.node), "for kim").await, Ok(Delivery::Sent));
    assert_eq!(ada.publish(Target::All, "for all").await, Ok(Delivery::Sent));
    assert_eq!(lee.hears("").await, "for all", "and nothing before it");
    let mut heard = [kim.hears("").await, kim.hears("").await];
    // A driver may have a faster way to all.
    heard.sort();
    assert_eq!(heard, ["for all", "for kim"]);
}

async fn a_message_to_a_session_reaches_its_node(network: Network) {
    let (ada, mut kim) = (network.join().await, network.join().await);
    let session = SessionId::on_node(kim.node);
    assert_eq!(ada.publish(Target::Session(session), "frame").await, Ok(Delivery::Sent));
    assert_eq!(kim.hears("").await, "frame");
}

async fn a_message_to_a_user_reaches_every_node_that_may_have_sessions(network: Network) {
    reaches_both(network, Target::User(UserId(7))).await;
}

async fn a_message_to_a_chat_reaches_every_node_that_may_have_its_room(network: Network) {
    reaches_both(network, Target::Chat(ChatId(10))).await;
}

async fn a_message_to_all_reaches_every_other_node(network: Network) {
    reaches_both(network, Target::All).await;
}

async fn reaches_both(network: Network, target: Target) {
    let (mut ada, mut kim, mut lee) =
        (network.join().await, network.join().await, network.join().await);
    assert_eq!(ada.publish(target, "from ada").await, Ok(Delivery::Sent));
    assert_eq!(kim.hears("").await, "from ada");
    assert_eq!(lee.hears("").await, "from ada");
    assert_eq!(kim.publish(target, "from kim").await, Ok(Delivery::Sent));
    assert_eq!(ada.hears("from ada").await, "from kim");
}

async fn messages_of_one_caller_arrive_in_order(network: Network) {
    let (ada, mut kim) = (network.join().await, network.join().await);
    for n in 0..20 {
        let sent = ada.publish(Target::Node(kim.node), &n.to_string()).await;
        assert_eq!(sent, Ok(Delivery::Sent));
    }
    for n in 0..20 {
        assert_eq!(kim.hears("").await, n.to_string());
    }
}

async fn messages_that_are_sent_together_arrive_in_order(network: Network) {
    let roomy = Limits { publications: 64, ..SMALL };
    let (ada, mut kim) = (network.join_with(roomy).await, network.join().await);
    for n in 0..40 {
        let bytes = n.to_string().into_bytes();
        assert_eq!(ada.backplane.send(Target::Node(kim.node), bytes), Ok(()));
    }
    for n in 0..40 {
        assert_eq!(kim.hears("").await, n.to_string());
    }
}

async fn equal_messages_all_arrive(network: Network) {
    let (ada, mut kim) = (network.join().await, network.join().await);
    // Those behind the first go out together.
    for _ in 0..SMALL.publications {
        assert_eq!(ada.backplane.send(Target::All, b"again".to_vec()), Ok(()));
    }
    for _ in 0..SMALL.publications {
        assert_eq!(kim.hears("").await, "again");
    }
}

async fn a_large_message_arrives_whole(network: Network) {
    let large = Limits::default();
    let (ada, mut kim) = (network.join_with(large).await, network.join_with(large).await);
    for bytes in [
        "€".repeat(100_000).into_bytes(),
        vec![0xff; 100_000],
        vec![0; 7_900],
        Vec::new(),
        b"{}".to_vec(),
    ] {
        let sent = ada.backplane.publish(Target::Node(kim.node), bytes.clone()).await;
        assert_eq!(sent, Ok(Delivery::Sent));
        assert!(next(&mut kim.events).await == Event::Message(bytes));
    }
}

async fn a_node_that_nobody_knows_is_told_of(network: Network) {
    let (ada, mut kim) = (network.join().await, network.join().await);
    let nobody = NodeId::random();
    assert_eq!(ada.publish(Target::Node(nobody), "lost").await, Ok(Delivery::NoReceiver));
    let session = SessionId::on_node(nobody);
    assert_eq!(ada.publish(Target::Session(session), "lost").await, Ok(Delivery::NoReceiver));
    assert_eq!(ada.publish(Target::Node(kim.node), "found").await, Ok(Delivery::Sent));
    assert_eq!(kim.hears("").await, "found");
}

async fn a_node_that_has_gone_is_told_of(network: Network) {
    let (ada, mut kim) = (network.join().await, network.join().await);
    assert_eq!(ada.publish(Target::Node(kim.node), "early").await, Ok(Delivery::Sent));
    drop(kim.driver.take());
    eventually("it is noticed", || async {
        let sent = ada.publish(Target::Node(kim.node), "late").await;
        (sent == Ok(Delivery::NoReceiver)).then_some(())
    })
    .await;
    // Nor is it in the way of the others.
    let mut lee = network.join().await;
    assert_eq!(ada.publish(Target::All, "on").await, Ok(Delivery::Sent));
    assert_eq!(lee.hears("").await, "on");
    let late = kim.publish(Target::All, "from the dead").await;
    assert_eq!(late, Err(PublishError::Unavailable));
}

async fn a_message_that_is_too_large_is_refused_and_others_pass(network: Network) {
    let (ada, mut kim) = (network.join().await, network.join().await);
    let large = "x".repeat(SMALL.message_bytes + 1);
    let refused = Err(PublishError::TooLarge { bytes: 101, max: 100 });
    assert_eq!(ada.publish(Target::Node(kim.node), &large).await, refused);
    let fits = "x".repeat(SMALL.message_bytes);
    assert_eq!(ada.publish(Target::Node(kim.node), &fits).await, Ok(Delivery::Sent));
    assert_eq!(kim.hears("").await, fits);
}

async fn a_full_queue_is_told(network: Network) {
    let mut kim = network.join().await;
    let (backplane, _events, port) = Backplane::new(SMALL);
    let send = |text: &str| backplane.send(Target::Node(kim.node), text.as_bytes().to_vec());
    for n in 0..SMALL.publications {
        assert_eq!(send(&n.to_string()), Ok(()));
    }
    assert_eq!(send("one too many"), Err(PublishError::Full));
    // Those that had a place go once there is a driver.
    let _driver = network.drive(NodeId::random(), port).await;
    for n in 0..SMALL.publications {
        assert_eq!(kim.hears("").await, n.to_string());
    }
}

/// Waits for a message that the other sends until it arrives, and passes over those before.
async fn meet_again(ada: &Member, kim: &mut Member) {
    let sending = async {
        let mut rhythm = tokio::time::interval(std::time::Duration::from_millis(50));
        loop {
            rhythm.tick().await;
            // Refused, or lost; it does not wait.
            let sent = timeout(DEADLINE, ada.publish(Target::All, "again")).await;
            sent.expect("an outcome in time").unwrap_or(Delivery::Sent);
        }
    };
    tokio::select! {
        () = sending => {}
        () = async { while next(&mut kim.events).await != Event::Message(b"again".into()) {} } => {}
    }
}

async fn disconnected(member: &mut Member) {
    while next(&mut member.events).await != Event::Disconnected {}
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_listener_that_postgresql_ends_comes_back() {
    run(async {
        let database = Database::postgres().await;
        let sql = database.connect().await;
        let network = Network::Postgres(database);
        let (mut ada, mut kim) = (network.join().await, network.join().await);
        let ended = sql.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_locks JOIN pg_database ON oid = database \
             WHERE locktype = 'advisory' AND datname = current_database()",
            &[],
        );
        assert_eq!(ended.await.expect("two listeners"), 2);
        disconnected(&mut ada).await;
        disconnected(&mut kim).await;
        meet_again(&ada, &mut kim).await;
        meet_again(&kim, &mut ada).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_postgresql_is_away_publications_are_refused_at_once() {
    run(async {
        let database = Database::postgres().await;
        let proxy = Proxy::to(database.server()).await;
        let notifications = notifications(&database.url_by_way_of(proxy.address())).await;
        let (backplane, mut events, port) = Backplane::new(SMALL);
        let node = NodeId::random();
        let driver = tokio::spawn(PostgresDriver::new(notifications, node).run(port));
        assert_eq!(next(&mut events).await, Event::Connected);
        let driver = Some(Driver(driver));
        let mut ada = Member { node, backplane, events, driver };
        proxy.down();
        disconnected(&mut ada).await;
        for _ in 0..3 {
            let refused = ada.publish(Target::All, "lost");
            let refused = timeout(DEADLINE, refused).await.expect("it does not wait");
            assert_eq!(refused, Err(PublishError::Unavailable));
        }
        proxy.up();
        assert_eq!(next(&mut ada.events).await, Event::Connected);
        let network = Network::Postgres(database);
        let mut kim = network.join().await;
        meet_again(&ada, &mut kim).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nodes_meet_again_after_redis_was_killed() {
    run(async {
        let mut redis = OwnRedis::start(&[]).await;
        let network = Network::redis(&redis.url());
        let (mut ada, mut kim) = (network.join().await, network.join().await);
        assert_eq!(ada.publish(Target::Node(kim.node), "early").await, Ok(Delivery::Sent));
        assert_eq!(kim.hears("").await, "early");
        redis.kill();
        disconnected(&mut ada).await;
        disconnected(&mut kim).await;
        for _ in 0..3 {
            let refused = timeout(DEADLINE, ada.publish(Target::All, "lost")).await;
            assert_eq!(refused.expect("it does not wait"), Err(PublishError::Unavailable));
        }
        redis.restart().await;
        meet_again(&ada, &mut kim).await;
        meet_again(&kim, &mut ada).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_a_redis_cluster_nodes_meet_at_the_member_that_has_their_channels() {
    run(async {
        let (first, second) =
            (OwnRedis::start(OwnRedis::MEMBER).await, OwnRedis::start(OwnRedis::MEMBER).await);
        first.share_slots_with(&second).await;
        let (one, other) = (first.url(), second.url());
        let Network::Redis(settings) = Network::redis(&one) else { panic!("not Redis") };
        let elsewhere = Redis { url: Some(other.into()), ..settings.clone() };
        let ada = Network::Redis(settings).join().await;
        let mut kim = Network::Redis(elsewhere).join().await;
        assert_eq!(ada.publish(Target::Node(kim.node), "hello").await, Ok(Delivery::Sent));
        assert_eq!(ada.publish(Target::All, "to all").await, Ok(Delivery::Sent));
        assert_eq!([kim.hears("").await, kim.hears("").await], ["hello", "to all"]);
        let nobody = Target::Node(NodeId::random());
        assert_eq!(ada.publish(nobody, "lost").await, Ok(Delivery::NoReceiver));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redis_asks_for_the_password_of_the_url() {
    run(async {
        let redis = OwnRedis::start(&["--requirepass", "hunter@2"]).await;
        let url = redis.url().replace("redis://", "redis://:hunter%402@");
        let network = Network::redis(&url);
        let (ada, mut kim) = (network.join().await, network.join().await);
        assert_eq!(ada.publish(Target::Node(kim.node), "hello").await, Ok(Delivery::Sent));
        assert_eq!(kim.hears("").await, "hello");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn own_messages_do_not_come_back() {
    run(async {
        let networks = [
            Network::local(),
            Network::postgres().await,
            Network::redis(&crate::support::redis::url()),
        ];
        for network in networks {
            let (mut ada, kim) = (network.join().await, network.join().await);
            assert_eq!(ada.publish(Target::All, "own").await, Ok(Delivery::Sent));
            assert_eq!(kim.publish(Target::All, "from kim").await, Ok(Delivery::Sent));
            assert_eq!(ada.hears("").await, "from kim");
        }
    })
    .await;
}
