//! The life of a driver whose service may go away: connect, serve, and connect again.

use std::pin::pin;

use tokio::sync::mpsc;

use super::backplane::{Event, Port, Publications};
use crate::retry::{Backoff, Outage};

/// A service between the nodes.
pub trait Service: Send + Sync {
    type Sender: Sender;
    type Receiver: Receiver;

    /// Connects, within a bounded time: publications wait meanwhile. From then on messages arrive.
    fn open(&self) -> impl Future<Output = Result<(Self::Sender, Self::Receiver), String>> + Send;
}

/// The publishing half of a connection.
pub trait Sender: Send {
    /// Sends until the last handle to the backplane is dropped, or something breaks.
    fn send_all(
        self,
        publications: &mut Publications,
    ) -> impl Future<Output = Result<(), String>> + Send;
}

/// The other half.
pub trait Receiver: Send {
    /// Receives until the node is gone, or something breaks.
    fn receive_all(
        self,
        events: &mpsc::Sender<Event>,
    ) -> impl Future<Output = Result<(), String>> + Send;
}

/// Drives a node's backplane over a service, until the last handle to it is dropped.
pub async fn drive(service: impl Service, mut port: Port) {
    let (mut backoff, mut outage) = (Backoff::default(), Outage::default());
    loop {
        let error = match service.open().await {
            Ok((sender, receiver)) => {
                backoff.reset();
                outage.recovered("other nodes can be reached again");
                match serve(sender, receiver, &mut port).await {
                    Ok(()) => return,
                    Err(error) => error,
                }
            }
            Err(error) => error,
        };
        outage.warn(&format!(
            "other nodes cannot be reached, and their messages are polled for: {error}"
        ));
        tokio::select! {
            () = backoff.wait() => {}
            () = port.publications.refuse_all() => return,
        }
    }
}

/// Sends and receives, until something breaks.
async fn serve(
    sender: impl Sender,
    receiver: impl Receiver,
    port: &mut Port,
) -> Result<(), String> {
    if port.events.send(Event::Connected).await.is_err() {
        return Ok(());
    }
    let ended = {
        // Concurrent, so that neither waits for the other: the node publishes while it handles
        // events.
        let receiving = pin!(receiver.receive_all(&port.events));
        let sending = pin!(sender.send_all(&mut port.publications));
        tokio::select! {
            ended = receiving => ended,
            ended = sending => ended,
        }
    };
    // Without a receiver, the node is gone.
    let told = port.events.send(Event::Disconnected).await;
    if told.is_err() { Ok(()) } else { ended }
}
