//! Another service, which clients speak to through the server.

use lapin::options::{BasicPublishOptions, QueueDeclareOptions};
use lapin::types::FieldTable;
use lapin::{BasicProperties, Channel};
use serde_json::{Value, json};
use uuid::Uuid;

use super::broker::{Inbox, Received};
use super::{TestApp, TestBroker, eventually};

/// Events for one service, whose queue nobody else has.
pub fn routes() -> String {
    let queue = format!("api-{}", Uuid::new_v4().simple());
    json!([
        {"event": "send", "queue": queue, "pattern": r#"{"cmd":"send","v":1}"#},
        {"event": "audit", "queue": queue, "pattern": "audit", "role": "admin"},
        {"event": "order", "queue": queue, "pattern": "order", "role": "customer"},
        {"event": "assist", "queue": queue, "pattern": "assist", "kind": "request"},
        {"event": "lost", "queue": format!("{queue}-lost"), "pattern": "lost"},
        {"event": "lose", "queue": format!("{queue}-lost"), "pattern": "lose", "kind": "request"},
    ])
    .to_string()
}

/// Another service, on the queue that the routes name.
pub struct Service {
    pub broker: TestBroker,
    /// Clients' events for it.
    pub inbox: Inbox,
    /// As the routes name it.
    pub queue: String,
    replies: Channel,
}

impl Service {
    pub async fn start(app: &TestApp) -> Self {
        let broker = app.broker().await;
        let routes: Value = serde_json::from_str(app.setting("rabbitmq.gateway")).expect("routes");
        let queue = routes[0]["queue"].as_str().expect("a queue").to_owned();
        declare(&broker, &queue).await;
        let inbox = broker.consume(&queue).await;
        let replies = broker.channel().await;
        Self { broker, inbox, replies, queue }
    }

    /// The next message, as its exact text.
    pub async fn text(&mut self) -> String {
        text(&self.inbox.next().await)
    }

    /// Waits until the server reads the answers of services.
    pub async fn is_heard(&self) {
        let queue = self.broker.own("frontdesk.gateway");
        eventually("the server reads the answers", || async {
            self.broker.depth(&queue).await.filter(|(_, consumers)| *consumers > 0)
        })
        .await;
    }

    /// Answers a request with a body.
    pub async fn reply(&self, to: &Received, body: &Value) {
        let asked = &to.delivery.properties;
        let reply_to = asked.reply_to().as_ref().expect("somebody waits for an answer");
        let correlation = asked.correlation_id().clone().expect("a correlation id");
        let properties = BasicProperties::default().with_correlation_id(correlation);
        // Not mandatory: the broker says of every such address that it leads nowhere.
        let (key, options) = (reply_to.clone(), BasicPublishOptions::default());
        let body = body.to_string();
        let sent = self.replies.basic_publish("".into(), key, options, body.as_bytes(), properties);
        sent.await.expect("the channel is open").await.expect("the broker confirms");
    }

    /// Answers an event as the tutorials do: with an event of its own, and the metadata it was given.
    pub async fn recv(&self, metadata: &Value, mut data: Value) {
        data["metadata"] = metadata.clone();
        let queue = self.broker.own("frontdesk.gateway");
        self.broker.emit(&queue, json!({"cmd": "recv"}), data).await;
    }
}

/// Makes a queue of this name, without the prefix.
pub async fn declare(broker: &TestBroker, queue: &str) {
    let channel = broker.channel().await;
    let options = QueueDeclareOptions::durable();
    channel.queue_declare(queue.into(), options, FieldTable::default()).await.expect("a queue");
}

/// A message as it was written.
pub fn text(received: &Received) -> String {
    String::from_utf8(received.delivery.data.clone()).expect("a text")
}
