//! Events of other services for sessions.

use actix::prelude::*;

use super::ChatServer;
use crate::actors::gateway::{Audience, Broadcast, IsHere};
use crate::actors::session_handle::SessionHandle;
use crate::protocol::{Push, Shared, SharedEvent};

impl Handler<Broadcast> for ChatServer {
    type Result = usize;

    fn handle(&mut self, Broadcast { audience, frame }: Broadcast, _: &mut Self::Context) -> usize {
        let Ok(push) = serde_json::from_str::<Push>(&frame) else {
            log::error!("a push that is not an event is dropped");
            return 0;
        };
        let event = Shared::new(SharedEvent::Push(push));
        let is_told = |session: &&SessionHandle| session.control(&event);
        match audience {
            Audience::Session(session) => {
                self.hub.session(session).into_iter().filter(is_told).count()
            }
            Audience::User(user) => {
                self.hub.sessions_of(user).map(|(_, session)| session).filter(is_told).count()
            }
            Audience::Everybody => self.hub.sessions().filter(is_told).count(),
        }
    }
}

impl Handler<IsHere> for ChatServer {
    type Result = bool;

    fn handle(&mut self, IsHere(user): IsHere, _: &mut Self::Context) -> bool {
        self.hub.has_session(user)
    }
}
