//! `leave_chat`: out of the rooms of chats.

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::domain::{ChatId, access};
use crate::protocol::{AckData, ApiError, Limits, RequestId, counted, parse_data};
use crate::session::action::Action;
use crate::session::state::{Session, Turn};

pub const NAME: &str = "leave_chat";

#[derive(Debug, PartialEq, Eq)]
pub struct LeaveChat(Vec<ChatId>);

impl LeaveChat {
    pub fn parse(data: Option<&RawValue>, _: &Limits) -> Result<Self, ApiError> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Wire {
            chat_ids: Vec<ChatId>,
        }
        let Wire { chat_ids } = parse_data(data, "data")?;
        counted(&chat_ids, "data.chatIds")?;
        Ok(Self(chat_ids))
    }

    pub fn act<R: Clone>(
        self,
        session: &mut Session<R>,
        request: Option<RequestId>,
        turn: &mut Turn<'_, R>,
    ) -> Result<(), ApiError> {
        let Self(chats) = self;
        let Some(live) = session.live() else { return Ok(()) };
        let role = live.user.role();
        let may_leave = |chat: &ChatId| {
            live.own.as_ref().is_none_or(|own| own.chat_id != *chat || access::may_leave(role, own))
        };
        if !chats.iter().all(may_leave) {
            return Err(ApiError::forbidden("a customer is always in the own chat"));
        }
        for chat in &chats {
            session.forget(*chat, turn);
        }
        turn.act(Action::Leave(chats));
        turn.ack(request, AckData::Done);
        Ok(())
    }
}
