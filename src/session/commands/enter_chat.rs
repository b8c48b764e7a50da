//! `enter_chat`: into the rooms of further chats, or back to a position in the same ones.

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::domain::ChatId;
use crate::protocol::{ApiError, Entry, Limits, RequestId, WireEntry, counted, parse_data};
use crate::session::action::Ask;
use crate::session::state::{Session, Turn};
use crate::session::waiting::Waiting;

pub const NAME: &str = "enter_chat";

#[derive(Debug, PartialEq, Eq)]
pub struct EnterChat(Vec<Entry>);

impl EnterChat {
    pub fn parse(data: Option<&RawValue>, _: &Limits) -> Result<Self, ApiError> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Wire {
            chat_ids: Option<Vec<ChatId>>,
            chats: Option<Vec<WireEntry>>,
        }
        let Wire { chat_ids, chats } = parse_data(data, "data")?;
        let entries = match (chat_ids, chats) {
            (Some(ids), None) => {
                counted(&ids, "data.chatIds")?;
                Entry::at_the_end(ids, "data.chatIds")?
            }
            (None, Some(chats)) => {
                counted(&chats, "data.chats")?;
                Entry::check_all(chats, "data.chats")?
            }
            (None, None) => {
                return Err(ApiError::bad_request("data.chatIds", "is missing (or data.chats)"));
            }
            (Some(_), Some(_)) => {
                let problem = "stands beside data.chatIds, one is allowed";
                return Err(ApiError::bad_request("data.chats", problem));
            }
        };
        Ok(Self(entries))
    }

    pub fn act<R: Clone>(
        self,
        session: &mut Session<R>,
        request: Option<RequestId>,
        turn: &mut Turn<'_, R>,
    ) -> Result<(), ApiError> {
        let Self(entries) = self;
        let most = session.config.chats_entered;
        let Some(live) = session.live() else { return Ok(()) };
        let is_further = |entry: &&Entry| !live.streams.contains(entry.chat_id);
        if live.streams.len() + entries.iter().filter(is_further).count() > most {
            return Err(ApiError::forbidden(format!(
                "a session may be in {most} chats, leave some first"
            )));
        }
        let chats = entries.iter().map(|entry| entry.chat_id).collect();
        session.ask(Ask::Entries(chats), Waiting::Enter { entries, request }, turn);
        Ok(())
    }
}
