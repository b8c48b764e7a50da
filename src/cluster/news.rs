//! News of this node for the others. The first goes out at once; what comes soon after it goes out
//! together, since a publication costs more than a message in it.

use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};

use super::Nodes;
use super::backplane::Target;
use super::message::PeerMessage;
use super::wire::{WireLive, WireNews, WirePart, WirePost, WireUpdate};
use crate::actors::News;

/// News that wait to be published. Beyond it they are dropped: other nodes poll.
pub const MOST_NEWS: usize = 8_192;
/// The least time between the beginnings of two publications.
const PACE: Duration = Duration::from_millis(4);
/// The same after one of so many news as a busy node has: what it costs besides counts for less of them
/// then.
const BUSY_PACE: Duration = Duration::from_millis(12);
const BUSY: usize = 16;
/// News that are gathered at once.
const GATHERED: usize = 1_024;
/// Bytes of messages in one publication, roughly: one more begins the next.
const MOST_BYTES: usize = 128 * 1024;

/// Publishes news, until the last sender is dropped.
pub async fn publish_news(nodes: Nodes, mut news: mpsc::Receiver<News>) {
    let mut gathered = Vec::new();
    while news.recv_many(&mut gathered, GATHERED).await > 0 {
        let pace = if gathered.len() < BUSY { PACE } else { BUSY_PACE };
        let next = Instant::now() + pace;
        publish(&nodes, &gathered).await;
        gathered.clear();
        sleep_until(next).await;
    }
}

async fn publish(nodes: &Nodes, gathered: &[News]) {
    let (mut batch, mut bytes) = (WireNews::default(), 0);
    for news in gathered {
        match news {
            News::Posted(posted) => {
                bytes += posted.weight();
                batch.posts.push(WirePost::from(posted.message()));
            }
            News::Grown(chat, seq) => batch.grown.push((*chat, *seq)),
            News::ChatCreated(chat) => batch.chats.push(*chat),
            News::UserChanged(user) => batch.users.push(*user),
            News::Live(event) => batch.live.extend(WireLive::new(*event)),
            News::Share(update) => batch.shares.push(WireUpdate::from(update)),
            // Behind the changes that it has in it.
            News::WholeShare(to, parts) => {
                send(nodes, &mut batch).await;
                for part in parts {
                    let part = PeerMessage::Share(WirePart::from(part));
                    nodes.publish(Target::Node(*to), part).await;
                }
            }
            News::AskShare(of) => nodes.publish(Target::Node(*of), PeerMessage::AskShare).await,
        }
        if bytes > MOST_BYTES {
            send(nodes, &mut batch).await;
            bytes = 0;
        }
    }
    send(nodes, &mut batch).await;
}

async fn send(nodes: &Nodes, batch: &mut WireNews<'_>) {
    let batch = std::mem::take(batch);
    if !batch.is_empty() {
        nodes.publish(Target::All, PeerMessage::News(batch)).await;
    }
}
