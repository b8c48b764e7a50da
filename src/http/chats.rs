//! Chats: the list, one of them, a new one.

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, web};

use super::{Answer, Authenticated, Body, ListRequest, Order, Query, State, id_in_path, json};
use crate::app::{self, UserKey};
use crate::db::ChatPage;
use crate::domain::{ChatId, Timestamp, UserId};
use crate::protocol::{ChatView, NewChat};

/// Default page size.
const LIMIT: i64 = 20;

/// `GET /chats`: the latest activity first; all of them, or one's own.
pub async fn list(state: web::Data<State>, who: Authenticated, request: HttpRequest) -> Answer {
    page_of(&state, &who, &request, None).await
}

/// `GET /users/{id}/chats`: the same, of one user, for admins.
pub async fn list_of(state: web::Data<State>, who: Authenticated, request: HttpRequest) -> Answer {
    let user = UserId(id_in_path(&request)?);
    app::show_user(&state.app, who.actor(), UserKey::Id(user)).await?;
    page_of(&state, &who, &request, Some(user)).await
}

async fn page_of(
    state: &State,
    who: &Authenticated,
    request: &HttpRequest,
    of: Option<UserId>,
) -> Answer {
    let path = of.map_or("/chats".to_owned(), |user| format!("/users/{user}/chats"));
    let list = ListRequest::from_query(&Query::from_request(request)?, path, LIMIT, Order::Desc)?;
    let after = list.after()?.map(|(updated_at, id)| (Timestamp(updated_at), ChatId(id)));
    let newest_first = list.order() == Order::Desc;
    let page = ChatPage { after, newest_first, limit: list.rows() };
    let chats = app::list_chats(&state.app, who.actor(), of, page).await?;
    Ok(list.answer(
        &chats,
        |shown| (shown.chat.updated_at.0, shown.chat.id.0),
        |shown| ChatView::shown(shown, who.viewer()),
    )?)
}

/// `GET /chats/{id}`.
pub async fn show(state: web::Data<State>, who: Authenticated, request: HttpRequest) -> Answer {
    let id = ChatId(id_in_path(&request)?);
    let shown = app::show_chat(&state.app, who.actor(), id).await?;
    Ok(json(StatusCode::OK, &ChatView::shown(&shown, who.viewer()), 1)?)
}

/// `POST /chats`: a group by an admin, or a customer's own chat.
pub async fn create(state: web::Data<State>, who: Authenticated, body: Body) -> Answer {
    let new: NewChat = body.read(&state)?;
    let created = app::create_chat(&state.app, &who.caller()?.user, new, None).await?;
    let status = if created.is_new() { StatusCode::CREATED } else { StatusCode::OK };
    Ok(json(status, &ChatView::shown(created.get(), who.viewer()), 1)?)
}
