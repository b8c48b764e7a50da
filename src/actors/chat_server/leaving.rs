//! The end of a node's sessions, one after the other.

use actix::prelude::*;
use tokio::sync::oneshot;

use super::ChatServer;
use super::messages::CloseSessions;
use crate::domain::{CLOSING_TICK, Closings};
use crate::protocol::Ending;

/// The sessions that are still to be closed.
pub(super) struct Leaving {
    closings: Closings,
    /// Told when no session is left.
    done: Option<oneshot::Sender<()>>,
}

impl Handler<CloseSessions> for ChatServer {
    type Result = ();

    fn handle(&mut self, message: CloseSessions, ctx: &mut Self::Context) {
        let CloseSessions { window, done } = message;
        let sessions: Vec<_> = self.hub.sessions().map(|session| session.id()).collect();
        log::info!("leaving: closing {} sessions", sessions.len());
        let closings = Closings::new(sessions, window);
        self.leaving = Some(Leaving { closings, done: Some(done) });
        self.close_next(ctx);
    }
}

impl ChatServer {
    /// Closes the next part of the sessions, and goes on a tick later until none is left.
    fn close_next(&mut self, ctx: &mut Context<Self>) {
        let Some(leaving) = &mut self.leaving else { return };
        for session in leaving.closings.next_tick() {
            if let Some(session) = self.hub.session(session) {
                session.close(Ending::Shutdown);
            }
        }
        if leaving.closings.is_done() && self.hub.sessions().next().is_none() {
            // Nobody listens where the time was over.
            let _ = leaving.done.take().map(|done| done.send(()));
            return;
        }
        ctx.run_later(CLOSING_TICK, |this, ctx| this.close_next(ctx));
    }

    /// Closes all sessions that are left: their time is over.
    pub(super) fn close_rest(&self) {
        for session in self.hub.sessions() {
            session.close(Ending::Shutdown);
        }
    }
}
