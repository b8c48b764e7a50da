//! `typing`: the user writes a message, or no more.

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::domain::ChatId;
use crate::protocol::{AckData, ApiError, Limits, RequestId, parse_data};
use crate::session::action::{Action, RoomCall};
use crate::session::state::{Session, Turn};
use crate::session::waiting::Visit;

pub const NAME: &str = "typing";

#[derive(Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Typing {
    chat_id: ChatId,
    typing: bool,
}

impl Typing {
    pub fn parse(data: Option<&RawValue>, _: &Limits) -> Result<Self, ApiError> {
        parse_data(data, "data")
    }

    pub fn act<R: Clone>(
        self,
        session: &mut Session<R>,
        request: Option<RequestId>,
        turn: &mut Turn<'_, R>,
    ) -> Result<(), ApiError> {
        session.visit(self.chat_id, request, Visit::Typing(self.typing), turn);
        Ok(())
    }
}

/// Tells the chat's room. It is acked at once: nobody answers for a state that may be dropped.
pub(super) fn tell<R: Clone>(
    session: &mut Session<R>,
    chat: ChatId,
    typing: bool,
    request: Option<RequestId>,
    turn: &mut Turn<'_, R>,
) {
    let Some(live) = session.live() else { return };
    let room = live.rooms.call(chat);
    turn.act(Action::Call { chat, room, call: RoomCall::Typing(typing) });
    turn.ack(request, AckData::Done);
}
