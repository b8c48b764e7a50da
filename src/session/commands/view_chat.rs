//! `view_chat`: the chat that an admin's session has on its screen.

use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use crate::domain::{ChatId, access};
use crate::protocol::{AckData, ApiError, Limits, RequestId, parse_data};
use crate::session::action::Action;
use crate::session::state::{Session, Turn};
use crate::session::waiting::Visit;

pub const NAME: &str = "view_chat";

#[derive(Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ViewChat {
    /// `null` for none; a missing field is a mistake.
    #[serde(deserialize_with = "nullable")]
    chat_id: Option<ChatId>,
}

impl ViewChat {
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
        if !access::may_view(live.user.role()) {
            return Err(ApiError::forbidden("only admins say what they view"));
        }
        match self.chat_id {
            Some(chat) => session.visit(chat, request, Visit::View, turn),
            None => view(session, None, request, turn),
        }
        Ok(())
    }
}

fn nullable<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<ChatId>, D::Error> {
    Option::deserialize(deserializer)
}

/// Tells ChatServer. Its event follows the ack.
pub(super) fn view<R: Clone>(
    session: &mut Session<R>,
    chat: Option<ChatId>,
    request: Option<RequestId>,
    turn: &mut Turn<'_, R>,
) {
    let Some(live) = session.live() else { return };
    let viewer = live.user.author();
    turn.act(Action::View { chat, viewer });
    turn.ack(request, AckData::Done);
}
