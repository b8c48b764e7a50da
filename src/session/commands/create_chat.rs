//! `create_chat`: a group by an admin, or a customer's own chat.

use serde_json::value::RawValue;

use crate::domain::ShownChat;
use crate::protocol::{AckData, ApiError, Limits, NewChat, RequestId, WireChat, parse_data};
use crate::session::action::Ask;
use crate::session::state::{Session, Turn};
use crate::session::waiting::Waiting;

pub const NAME: &str = "create_chat";

#[derive(Debug, PartialEq, Eq)]
pub struct CreateChat(NewChat);

impl CreateChat {
    pub fn parse(data: Option<&RawValue>, limits: &Limits) -> Result<Self, ApiError> {
        let wire: WireChat = parse_data(data, "data")?;
        wire.check("data", limits).map(Self)
    }

    pub fn act<R: Clone>(
        self,
        session: &mut Session<R>,
        request: Option<RequestId>,
        turn: &mut Turn<'_, R>,
    ) -> Result<(), ApiError> {
        session.ask(Ask::CreateChat(self.0), Waiting::Create { request }, turn);
        Ok(())
    }
}

/// The chat was made, or found.
pub(super) fn created<R: Clone>(
    session: &mut Session<R>,
    created: Result<Box<ShownChat>, ApiError>,
    request: Option<RequestId>,
    turn: &mut Turn<'_, R>,
) {
    let Some(live) = session.live() else { return };
    match created {
        Ok(chat) if live.streams.contains(chat.chat.id) => {
            let viewer = live.user.role();
            turn.ack(request, AckData::Chat { chat, viewer });
        }
        Ok(created) => session.enter_created(created, request, turn),
        Err(exception) => turn.refuse(request, Some(NAME), exception.within("data")),
    }
}
