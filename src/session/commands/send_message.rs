//! `send_message`: a message for the log.

use serde_json::value::RawValue;

use crate::domain::ChatId;
use crate::protocol::{ApiError, Limits, NewMessage, RequestId, WireMessage, parse_data};
use crate::session::action::{Action, NewPost, RoomCall};
use crate::session::requests::Kind;
use crate::session::state::{Session, Turn};
use crate::session::waiting::Visit;

pub const NAME: &str = "send_message";

#[derive(Debug, PartialEq, Eq)]
pub struct SendMessage {
    /// Missing, it is a customer's own chat.
    chat: Option<ChatId>,
    message: NewMessage,
}

impl SendMessage {
    pub fn parse(data: Option<&RawValue>, limits: &Limits) -> Result<Self, ApiError> {
        let wire: WireMessage = parse_data(data, "data")?;
        Ok(Self { chat: wire.chat_id, message: wire.check("data", limits)? })
    }

    pub fn act<R: Clone>(
        self,
        session: &mut Session<R>,
        request: Option<RequestId>,
        turn: &mut Turn<'_, R>,
    ) -> Result<(), ApiError> {
        let Some(live) = session.live() else { return Ok(()) };
        let chat = self
            .chat
            .or_else(|| live.own.map(|own| own.chat_id))
            .ok_or_else(|| ApiError::bad_request("data.chatId", "is missing"))?;
        session.visit(chat, request, Visit::Post(self.message), turn);
        Ok(())
    }
}

/// Hands a message to its chat's room.
pub(super) fn post<R: Clone>(
    session: &mut Session<R>,
    chat: ChatId,
    message: NewMessage,
    request: Option<RequestId>,
    turn: &mut Turn<'_, R>,
) {
    let Some(live) = session.live() else { return };
    let author = live.user.author();
    let draft = message.into_draft(&author, chat);
    let kind = Kind::Post {
        client_id: draft.client_id.as_str().into(),
        above: live.streams.end(chat),
        bytes: draft.content.as_str().len(),
        stored: None,
    };
    let nonce = live.requests.open(request, chat, kind);
    let room = live.rooms.call(chat);
    turn.act(Action::Call { chat, room, call: RoomCall::Post(NewPost { nonce, draft, author }) });
}
