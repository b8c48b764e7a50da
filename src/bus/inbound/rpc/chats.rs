//! Commands about chats. A service sees what an admin sees.

use serde::Deserialize;

use super::{Answer, DATA, RpcRequest, answer, either};
use crate::app::{self, Actor};
use crate::db::ChatPage;
use crate::domain::{ChatId, Role, Timestamp, UserId};
use crate::protocol::{ApiError, ChatView, Number, Order, PageQuery, PageRequest};

/// Default page size.
const LIMIT: i64 = 20;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct GetChat {
    id: Option<Number>,
    chat_id: Option<Number>,
    user_id: Option<Number>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ListChats {
    limit: Option<i64>,
    after: Option<String>,
    order: Option<String>,
    user_id: Option<Number>,
}

impl RpcRequest<'_> {
    /// `{id}`, or `{userId}` for a customer's own.
    pub(super) async fn get_chat(&self) -> Answer {
        let GetChat { id, chat_id, user_id } = self.read()?;
        let id = match user_id {
            None => ChatId(either((id, "id"), (chat_id, "chatId"))?.0),
            Some(_) if id.is_some() || chat_id.is_some() => {
                let problem = "stands beside the chat's id, one is allowed";
                return Err(ApiError::bad_request(format!("{DATA}.userId"), problem));
            }
            Some(Number(user)) => {
                app::own_chat(&self.context.app, Actor::System, UserId(user)).await?
            }
        };
        let (chat, _) = app::show_chat(&self.context.app, Actor::System, id).await?;
        answer(&ChatView::new(&chat, Role::Admin))
    }

    /// The latest active first; all of them, or those that one user is a member of.
    pub(super) async fn list_chats(&self) -> Answer {
        let ListChats { limit, after, order, user_id } = self.read()?;
        let asked = PageQuery { limit, order: order.as_deref(), after: after.as_deref() };
        let list = PageRequest::new("list_chats", asked, LIMIT, Order::Desc);
        let mut list = list.map_err(|refused| refused.within(DATA))?;
        if let Some(Number(user)) = user_id {
            list.filter(&format!("&userId={user}"));
        }
        let after = list.after().map_err(|refused| refused.within(DATA))?;
        let after = after.map(|(updated_at, id)| (Timestamp(updated_at), ChatId(id)));
        let newest_first = list.order() == Order::Desc;
        let page = ChatPage { after, newest_first, limit: list.rows() };
        let of = user_id.map(|Number(user)| UserId(user));
        let chats = app::list_chats(&self.context.app, Actor::System, of, page).await?;
        answer(&list.page(
            &chats,
            |(chat, _)| (chat.updated_at.0, chat.id.0),
            |(chat, _)| ChatView::new(chat, Role::Admin),
        ))
    }
}
