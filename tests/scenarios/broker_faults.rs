//! RabbitMQ and the server are killed at the worst moments, and what other services were told is counted
//! after: every event at least once, the first of each in the order of its chat, its id telling
//! repeats apart.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use lapin::ExchangeKind;
use lapin::options::{ExchangeDeclareOptions, ExchangeDeleteOptions, QueueDeclareOptions};
use lapin::types::{AMQPValue, FieldTable};

use crate::support::broker::{self, Inbox};
use crate::support::tokens::SECRET;
use crate::support::{
    Database, Node, OwnBroker, Process, TestApp, TestBroker, TestClient, Value, admin, all,
    assert_run, bus_scenarios, customer, eventually, json, run,
};

bus_scenarios! {
    a_consumer_that_never_acks_keeps_nobody_waiting,
    a_slow_consumer_of_a_full_queue_gets_all_of_it,
}

/// Deadline of the next event: RabbitMQ may be starting meanwhile.
const LONG: Duration = Duration::from_secs(60);

/// Events of messages: by chat the numbers, in the order of their first arrival; repeats are
/// counted.
#[derive(Default)]
struct Told {
    chats: BTreeMap<i64, Vec<i64>>,
    /// The message of each event id.
    events: HashMap<String, (i64, i64)>,
    repeats: usize,
}

impl Told {
    fn note(&mut self, body: &Value) {
        let message = &body["data"]["payload"]["message"];
        let (Some(chat), Some(seq)) = (message["chatId"].as_i64(), message["seq"].as_i64()) else {
            panic!("not told of a message: {body}");
        };
        let id = body["data"]["id"].as_str().expect("an event has an id").to_owned();
        match self.events.insert(id, (chat, seq)) {
            None => self.chats.entry(chat).or_default().push(seq),
            Some(known) => {
                assert_eq!(known, (chat, seq), "one id, one event: {body}");
                self.repeats += 1;
            }
        }
    }

    /// Reads until so many different events have come.
    async fn read(&mut self, inbox: &mut Inbox, events: usize) {
        while self.events.len() < events {
            let told = inbox.next_within(LONG).await;
            let told = told.unwrap_or_else(|| panic!("{} of {events} came", self.events.len()));
            self.note(&told.body);
        }
    }

    /// Asserts that of each of `chats` chats every message up to `last` was told, in order.
    #[track_caller]
    fn assert_complete(&self, chats: usize, last: i64) {
        assert_eq!(self.chats.len(), chats);
        for seqs in self.chats.values() {
            assert_run(seqs, 1, last);
        }
    }
}

/// A queue bound to all that is told of messages.
async fn subscribed(broker: &TestBroker) -> String {
    let queue = broker.declare("listener").await;
    broker.bind(&queue, &broker.own("frontdesk.events"), "message.created").await;
    queue
}

/// Writes so many messages into the customer's own chat, some at once, each of them acked.
async fn write(client: &mut TestClient, messages: usize, written: &AtomicUsize) {
    let numbers: Vec<_> = (0..messages).collect();
    for some in numbers.chunks(20) {
        let mut ids = Vec::new();
        for number in some {
            ids.push(client.submit("send_message", json!({"message": number.to_string()})).await);
        }
        for id in ids {
            client.answer(&id).await.expect("an ack");
            written.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// As [`write`], over HTTP, one after the other.
async fn post(node: &Node, chat: i64, messages: usize, written: &AtomicUsize) {
    let ada = admin("ada");
    for number in 0..messages {
        let said = json!({"message": number.to_string()});
        node.post(&ada, &format!("/chats/{chat}/messages"), said).await.is(201);
        written.fetch_add(1, Ordering::Relaxed);
    }
}

async fn customers(node: &Node, count: usize) -> Vec<TestClient> {
    let people: Vec<_> = (0..count).map(|i| customer(&format!("customer-{i}"))).collect();
    all(people.iter().map(|person| node.connect(person))).await
}

/// `frontdesk` in a process of its own, as it is set by default but for what is named.
async fn process(database: &Database, url: &str, prefix: &str) -> Process {
    Process::start(&[
        ("database.url", database.url()),
        ("auth.secret", SECRET.into()),
        ("server.workers", "1".into()),
        ("limits.messages_per_second", "100000".into()),
        ("limits.burst", "100000".into()),
        ("rabbitmq.url", url.to_owned()),
        ("rabbitmq.prefix", prefix.to_owned()),
    ])
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_ten_thousand_messages_none_is_lost_when_rabbitmq_is_killed_and_comes_back() {
    const CHATS: usize = 25;
    const EACH: usize = 400;
    run(async {
        let mut rabbit = OwnBroker::start().await;
        let broker = TestBroker::connect(&rabbit.url(), "").await;
        let queue = subscribed(&broker).await;
        drop(broker);
        let settings =
            [("rabbitmq.url", rabbit.url()), ("rabbitmq.reconnect_ms", "500".to_owned())];
        let app = TestApp::postgres(&settings).await;

        let mut clients = customers(&app, CHATS).await;
        let (by_http, by_socket) = clients.split_at_mut(5);
        let confirmed = || app.metric("frontdesk_events_confirmed_total");
        for _round in 1..=2 {
            let written = AtomicUsize::new(0);
            let each = EACH / 2;
            let writing = all(by_socket.iter_mut().map(|client| write(client, each, &written)));
            let posting =
                all(by_http.iter().map(|client| post(&app, client.chat(), each, &written)));
            let killing = async {
                eventually("a third is written", || async {
                    (written.load(Ordering::Relaxed) >= CHATS * each / 3).then_some(())
                })
                .await;
                let before = confirmed().await;
                rabbit.restart().await;
                before
            };
            let (_, _, before) = tokio::join!(writing, posting, killing);
            assert_eq!(written.into_inner(), CHATS * each);
            // The next kill meets a relay at work.
            eventually("events are confirmed again", || async {
                (confirmed().await > before).then_some(())
            })
            .await;
        }

        let broker = TestBroker::connect(&rabbit.url(), "").await;
        let mut inbox = broker.consume(&queue).await;
        let mut told = Told::default();
        told.read(&mut inbox, CHATS * EACH).await;
        told.assert_complete(CHATS, EACH as i64);
        log::info!("{} repeats", told.repeats);
        eventually("the outbox is empty", || async {
            (app.metric("frontdesk_outbox_waiting").await == 0.0).then_some(())
        })
        .await;
    })
    .await;
}

/// The server is killed when all was committed and nothing published, and again while it publishes.
async fn a_killed_desk_tells_what_it_had_committed(database: Database) {
    const CHATS: usize = 20;
    const EACH: usize = 50;
    let (url, prefix) = (broker::url(), broker::prefix());
    let broker = TestBroker::connect(&url, &prefix).await;
    let queue = subscribed(&broker).await;
    let mut inbox = broker.consume(&queue).await;

    // Nobody listens at this port.
    let mut server = process(&database, "amqp://127.0.0.1:9/%2f", &prefix).await;
    let mut clients = customers(&server, CHATS).await;
    let written = AtomicUsize::new(0);
    all(clients.iter_mut().map(|client| write(client, EACH, &written))).await;
    server.kill();

    let mut told = Told::default();
    for share in [1, 5, 10] {
        let mut server = process(&database, &url, &prefix).await;
        told.read(&mut inbox, CHATS * EACH * share / 10).await;
        server.kill();
    }
    told.assert_complete(CHATS, EACH as i64);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_desk_tells_what_it_had_committed_to_sqlite() {
    run(a_killed_desk_tells_what_it_had_committed(Database::sqlite())).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_desk_tells_what_it_had_committed_to_postgres() {
    run(async { a_killed_desk_tells_what_it_had_committed(Database::postgres().await).await })
        .await;
}

async fn a_consumer_that_never_acks_keeps_nobody_waiting(app: TestApp) {
    const EACH: usize = 100;
    let broker = app.broker().await;
    let queue = subscribed(&broker).await;
    let mut stubborn = broker.consume_with(&queue, 5, Default::default()).await;

    let mut clients = customers(&app, 5).await;
    let written = AtomicUsize::new(0);
    all(clients.iter_mut().map(|client| write(client, EACH, &written))).await;
    for _ in 0..5 {
        stubborn.next_unacked(LONG).await.expect("as many as it takes");
    }
    eventually("the broker has the rest, and the server nothing", || async {
        let (waiting, _) = broker.depth(&queue).await?;
        let kept = app.metric("frontdesk_outbox_waiting").await;
        (waiting as usize == 5 * EACH - 5 && kept == 0.0).then_some(())
    })
    .await;

    // What it held without a word comes again to who asks next.
    drop(stubborn);
    let mut told = Told::default();
    told.read(&mut broker.consume(&queue).await, 5 * EACH).await;
    assert_eq!(told.chats.len(), 5);
}

async fn a_slow_consumer_of_a_full_queue_gets_all_of_it(app: TestApp) {
    const CHATS: usize = 10;
    const EACH: usize = 30;
    let broker = app.broker().await;
    let refusing = AMQPValue::LongString("reject-publish".into());
    let limits = [("x-max-length", AMQPValue::LongInt(5)), ("x-overflow", refusing)];
    let queue = broker.declare_with("listener", &limits).await;
    broker.bind(&queue, &broker.own("frontdesk.events"), "message.created").await;

    let mut clients = customers(&app, CHATS).await;
    let written = AtomicUsize::new(0);
    all(clients.iter_mut().map(|client| write(client, EACH, &written))).await;
    eventually("the queue is full, and the server is told so", || async {
        (app.metric("frontdesk_events_retried_total").await > 0.0).then_some(())
    })
    .await;
    // One at a time, and only then the next.
    let mut slow = broker.consume_with(&queue, 1, Default::default()).await;
    let mut told = Told::default();
    told.read(&mut slow, CHATS * EACH).await;
    told.assert_complete(CHATS, EACH as i64);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_declaration_is_told_in_the_log_and_the_desk_goes_on() {
    run(async {
        let (url, prefix) = (broker::url(), broker::prefix());
        let broker = TestBroker::connect(&url, &prefix).await;
        let channel = broker.channel().await;
        let exchange = broker.own("frontdesk.events");
        let (direct, none) = (ExchangeKind::Direct, FieldTable::default());
        channel
            .exchange_declare(
                exchange.as_str().into(),
                direct,
                ExchangeDeclareOptions::default(),
                none,
            )
            .await
            .expect("an exchange of another kind");
        // The queue on which the server is asked is somebody else's alone.
        let stranger = TestBroker::connect(&url, &prefix).await;
        let (asked, options) = (
            broker.own("frontdesk"),
            QueueDeclareOptions { exclusive: true, ..Default::default() },
        );
        let holding = stranger.channel().await;
        holding
            .queue_declare(asked.as_str().into(), options, FieldTable::default())
            .await
            .expect("an exclusive queue");

        let database = Database::sqlite();
        let server = process(&database, &url, &prefix).await;
        let mut kim = server.connect(&customer("kim")).await;
        for number in 0..10 {
            kim.say(kim.chat(), &number.to_string()).await;
        }
        eventually("both are in the log", || async {
            let log = server.log();
            let clear = [
                format!("there is another exchange {exchange} already"),
                format!("cannot read {asked}, and goes on trying"),
            ];
            clear.iter().all(|said| log.contains(said)).then_some(())
        })
        .await;

        // Put right, all goes on, without a restart.
        let right = ExchangeDeleteOptions::default();
        channel.exchange_delete(exchange.as_str().into(), right).await.expect("it goes");
        let queue = subscribed(&broker).await;
        drop((holding, stranger));
        let mut told = Told::default();
        told.read(&mut broker.consume(&queue).await, 10).await;
        told.assert_complete(1, 10);
        broker.declare("frontdesk").await;
        let found =
            broker.ask(&asked, json!({"cmd": "get_user"}), json!({"id": kim.user_id()})).await;
        assert_eq!(found["response"]["nickname"], "Kim", "{found}");
        let log = server.log();
        assert!(log.lines().count() < 60, "a cause is told once, and not at every try:\n{log}");
    })
    .await;
}
