//! `list_chats`: chats in pages. A service sees what an admin sees.

use serde::Deserialize;

use super::request::{Answer, DATA, RpcRequest, answer};
use crate::app::{self, Actor};
use crate::db::ChatPage;
use crate::domain::{ChatId, Role, Timestamp, UserId};
use crate::protocol::{ChatView, Number, Order, PageQuery, PageRequest};

pub const NAME: &str = "list_chats";

/// Default page size.
const LIMIT: i64 = 20;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ListChats {
    limit: Option<i64>,
    after: Option<String>,
    order: Option<String>,
    user_id: Option<Number>,
}

/// The latest active first; all of them, or those that one user is a member of.
pub async fn run(request: &RpcRequest<'_>) -> Answer {
    let ListChats { limit, after, order, user_id } = request.read()?;
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
    let chats = app::list_chats(&request.context.app, Actor::System, of, page).await?;
    answer(&list.page(
        &chats,
        |shown| (shown.chat.updated_at.0, shown.chat.id.0),
        |shown| ChatView::new(&shown.chat, Role::Admin),
    ))
}
