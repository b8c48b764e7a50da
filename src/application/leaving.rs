//! The end of a node: its phases, in order.
//!
//! 1. `/readyz` is red; everything is served until the load balancer has noticed.
//! 2. No session begins. Each gets `goodbye` and is closed when its turn comes.
//! 3. Bodies that are still arriving are abandoned; requests in progress are answered, and the
//!    listening socket ends.
//! 4. The node leaves the others, and events wait for the broker no longer ([`super::Application`]).
//!
//! All of it ends within `server.shutdown_timeout`, and a second signal ends it at once.

use std::time::Duration;

use actix::prelude::*;
use actix_web::dev::ServerHandle;
use tokio::sync::{oneshot, watch};
use tokio::time::timeout;

use crate::actors::{ChatServer, CloseRest, CloseSessions};
use crate::domain::Stage;
use crate::metrics::Metrics;
use crate::settings::Server;

/// Time behind the window for sessions whose last acks are under way.
const LAST_ACKS: Duration = Duration::from_secs(1);

/// The configured times.
#[derive(Debug, Clone, Copy)]
pub struct Plan {
    pub wait: Duration,
    pub window: Duration,
    /// Of all phases together.
    pub most: Duration,
    /// Time for the peers' close frames.
    pub grace: Duration,
}

impl Plan {
    pub fn new(server: &Server, grace: Duration) -> Self {
        let (wait, window) = (server.drain_wait(), server.drain_window());
        Self { wait, window, most: server.shutdown_timeout(), grace }
    }

    /// Time that requests in progress have, in whole seconds.
    pub fn requests(&self) -> u64 {
        self.most.saturating_sub(self.wait + self.window).as_secs()
    }
}

/// Goes through the phases up to the end of the listening socket.
pub async fn leave(
    plan: Plan,
    stage: watch::Sender<Stage>,
    chat_server: Addr<ChatServer>,
    server: ServerHandle,
    metrics: &Metrics,
) {
    log::info!("leaving: /readyz is 503; stopped in {} s at most", plan.most.as_secs());
    stage.send_replace(Stage::Waiting);
    metrics.leaving.set(1);
    if !plan.wait.is_zero() {
        log::info!("leaving: all is served for {} ms more", plan.wait.as_millis());
        actix::clock::sleep(plan.wait).await;
    }
    log::info!("leaving: no session begins; they end over {} ms", plan.window.as_millis());
    stage.send_replace(Stage::Closing);
    let (done, all_gone) = oneshot::channel();
    chat_server.do_send(CloseSessions { window: plan.window, done });
    if timeout(plan.window + LAST_ACKS, all_gone).await.is_err() {
        log::warn!("leaving: some sessions still wait for answers, and are cut off");
        chat_server.do_send(CloseRest);
    }
    actix::clock::sleep(plan.grace).await;
    log::info!("leaving: sessions have ended; requests in progress are answered");
    stage.send_replace(Stage::Ending);
    server.stop(true).await;
}
