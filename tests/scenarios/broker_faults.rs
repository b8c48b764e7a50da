//! RabbitMQ and the desk killed at the worst moments, and counted after.

use lapin::BasicProperties;
use serde_json::json;

use crate::support::broker::{self, TestBroker};
use crate::support::{OwnBroker, run};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sanity() {
    run(async {
        let mut own = OwnBroker::start().await;
        let broker = TestBroker::connect(&own.url(), "x.").await;
        let queue = broker.declare("q").await;
        let p = BasicProperties::default().with_delivery_mode(2);
        broker.publish("", &queue, p, b"{\"a\":1}").await;
        drop(broker);
        own.kill();
        own.restart().await;
        let broker = TestBroker::connect(&own.url(), "x.").await;
        assert_eq!(broker.depth(&queue).await, Some((1, 0)));
        assert_eq!(broker.depth("nope").await, None);
        assert_eq!(broker.consume(&queue).await.next().await.body, json!({"a": 1}));
        let shared = TestBroker::connect(&broker::url(), &broker::prefix()).await;
        let queue = shared.declare("q").await;
        let mut inbox = shared.consume(&queue).await;
        shared.emit(&queue, "p", json!(1)).await;
        assert_eq!(inbox.next().await.body, json!({"pattern": "p", "data": 1}));
    })
    .await;
}
