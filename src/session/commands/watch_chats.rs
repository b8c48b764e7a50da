//! `watch_chats`: news of every chat, for admins.

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::domain::access;
use crate::protocol::{AckData, ApiError, Limits, RequestId, parse_data};
use crate::session::action::Action;
use crate::session::state::{Session, Turn};

pub const NAME: &str = "watch_chats";

#[derive(Debug, PartialEq, Eq, Deserialize)]
pub struct WatchChats {
    watch: bool,
}

impl WatchChats {
    pub fn parse(data: Option<&RawValue>, _: &Limits) -> Result<Self, ApiError> {
        parse_data(data, "data")
    }

    pub fn act<R: Clone>(
        self,
        session: &mut Session<R>,
        request: Option<RequestId>,
        turn: &mut Turn<'_, R>,
    ) -> Result<(), ApiError> {
        let Some(live) = session.live() else { return Ok(()) };
        if !access::may_watch(live.user.role()) {
            return Err(ApiError::forbidden("only admins watch chats"));
        }
        turn.act(Action::Watch(self.watch));
        turn.ack(request, AckData::Done);
        Ok(())
    }
}
