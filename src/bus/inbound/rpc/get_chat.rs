//! `get_chat`: one chat. A service sees what an admin sees.

use serde::Deserialize;

use super::request::{Answer, DATA, RpcRequest, answer, either};
use crate::app::{self, Actor};
use crate::domain::{ChatId, Role, UserId};
use crate::protocol::{ApiError, ChatView, Number};

pub const NAME: &str = "get_chat";

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct GetChat {
    id: Option<Number>,
    chat_id: Option<Number>,
    user_id: Option<Number>,
}

/// `{id}`, or `{userId}` for a customer's own.
pub async fn run(request: &RpcRequest<'_>) -> Answer {
    let GetChat { id, chat_id, user_id } = request.read()?;
    let id = match user_id {
        None => ChatId(either((id, "id"), (chat_id, "chatId"))?.0),
        Some(_) if id.is_some() || chat_id.is_some() => {
            let problem = "stands beside the chat's id, one is allowed";
            return Err(ApiError::bad_request(format!("{DATA}.userId"), problem));
        }
        Some(Number(user)) => {
            app::own_chat(&request.context.app, Actor::System, UserId(user)).await?
        }
    };
    let shown = app::show_chat(&request.context.app, Actor::System, id).await?;
    answer(&ChatView::new(&shown.chat, Role::Admin))
}
