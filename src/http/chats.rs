//! Chats: the list, one of them, a new one.

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, web};

use super::{Answer, Authenticated, Body, List, Order, Query, State, id_in_path, json};
use crate::db::{ChatPage, Scope};
use crate::domain::{ChatId, Timestamp, access};
use crate::protocol::{ChatView, Exception, NewChat};

/// Chats of a page where nothing else is asked for.
const LIMIT: i64 = 20;

/// `GET /chats`: the latest activity first; all of them, or the own ones.
pub async fn list(state: web::Data<State>, who: Authenticated, request: HttpRequest) -> Answer {
    let list = List::of(&Query::of(&request)?, "/chats".to_owned(), LIMIT, Order::Desc)?;
    let after = list.after()?.map(|(updated_at, id)| (Timestamp(updated_at), ChatId(id)));
    let scope = if access::may_watch(who.role()) { Scope::All } else { Scope::MemberOf };
    let newest_first = list.order() == Order::Desc;
    let page = ChatPage { after, newest_first, limit: list.rows() };
    let chats = state.desk.store().chats(who.user.id(), scope, page).await?;
    Ok(list.answer(
        &chats,
        |(chat, _)| (chat.updated_at.0, chat.id.0),
        |(chat, standing)| ChatView::new(chat, who.role()).read_by(standing),
    )?)
}

/// `GET /chats/{id}`.
pub async fn show(state: web::Data<State>, who: Authenticated, request: HttpRequest) -> Answer {
    let id = ChatId(id_in_path(&request)?);
    let (chat, standing) = state
        .desk
        .store()
        .chat(id, who.user.id())
        .await?
        .filter(|(_, standing)| access::may_see(who.role(), standing))
        .ok_or_else(|| Exception::chat_not_found(id))?;
    Ok(json(StatusCode::OK, &ChatView::new(&chat, who.role()).read_by(&standing), 1)?)
}

/// `POST /chats`: a group by an admin, or a customer's own chat.
pub async fn create(state: web::Data<State>, who: Authenticated, body: Body) -> Answer {
    let new: NewChat = body.read(&state)?;
    let (chat, standing, made) = state.desk.create_chat(&who.user, new, None).await?;
    let status = if made { StatusCode::CREATED } else { StatusCode::OK };
    Ok(json(status, &ChatView::new(&chat, who.role()).read_by(&standing), 1)?)
}
