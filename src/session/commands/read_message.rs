//! `read_message`: a read mark.

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::domain::{ChatId, Seq};
use crate::protocol::{ApiError, Limits, RequestId, not_negative, parse_data};
use crate::session::action::{Action, RoomCall};
use crate::session::requests::Kind;
use crate::session::state::{Session, Turn};
use crate::session::waiting::Visit;

pub const NAME: &str = "read_message";

#[derive(Debug, PartialEq, Eq)]
pub struct ReadMessage {
    chat: ChatId,
    seq: Seq,
}

impl ReadMessage {
    pub fn parse(data: Option<&RawValue>, _: &Limits) -> Result<Self, ApiError> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Wire {
            chat_id: ChatId,
            seq: Seq,
        }
        let Wire { chat_id, seq } = parse_data(data, "data")?;
        Ok(Self { chat: chat_id, seq: not_negative(seq, "data.seq")? })
    }

    pub fn act<R: Clone>(
        self,
        session: &mut Session<R>,
        request: Option<RequestId>,
        turn: &mut Turn<'_, R>,
    ) -> Result<(), ApiError> {
        session.visit(self.chat, request, Visit::Mark(self.seq), turn);
        Ok(())
    }
}

/// Hands a mark to its chat's room.
pub(super) fn mark<R: Clone>(
    session: &mut Session<R>,
    chat: ChatId,
    seq: Seq,
    request: Option<RequestId>,
    turn: &mut Turn<'_, R>,
) {
    let Some(live) = session.live() else { return };
    let nonce = live.requests.open(request, chat, Kind::Mark { seq });
    let (user, room) = (live.user.id(), live.rooms.call(chat));
    turn.act(Action::Call { chat, room, call: RoomCall::Mark { nonce, user, seq } });
}
