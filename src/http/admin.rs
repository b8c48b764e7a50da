//! Operation by admins: live sessions and rooms, and keys of services.

use actix_web::{HttpRequest, HttpResponse, web};

use actix_web::http::StatusCode;
use serde::Serialize;

use super::{Answer, Authenticated, ListRequest, Order, Query, State, id_in_path, json};
use crate::app;
use crate::cluster::LiveList;
use crate::domain::{KeyId, SessionId, UserId};
use crate::protocol::{ApiError, KeyView};

/// Default page size.
const LIMIT: i64 = 20;

/// `GET /admin/keys`: in the order in which they were made, revoked ones included.
pub async fn list_keys(
    state: web::Data<State>,
    who: Authenticated,
    request: HttpRequest,
) -> Answer {
    let query = Query::from_request(&request)?;
    let list = ListRequest::from_query(&query, "/admin/keys".to_owned(), LIMIT, Order::Asc)?;
    if list.order() != Order::Asc {
        return Err(ApiError::bad_request("order", "must be asc here").into());
    }
    let after = list.after()?.map(|(id, _)| KeyId(id));
    let keys = app::list_keys(&state.app, who.actor(), after, list.rows()).await?;
    Ok(list.answer(&keys, |key| (key.id.0, 0), KeyView::from)?)
}

/// `DELETE /admin/keys/{id}`: revokes a key.
pub async fn revoke_key(
    state: web::Data<State>,
    who: Authenticated,
    request: HttpRequest,
) -> Answer {
    app::revoke_key(&state.app, who.actor(), KeyId(id_in_path(&request)?)).await?;
    Ok(HttpResponse::NoContent().finish())
}

#[derive(Serialize)]
struct ListView<T> {
    data: Vec<T>,
    count: usize,
    /// There are more, or a node did not answer in time.
    truncated: bool,
}

/// `GET /admin/sessions`: of all nodes, the longest connected first; of one user with `?userId=`.
pub async fn list_sessions(
    state: web::Data<State>,
    who: Authenticated,
    request: HttpRequest,
) -> Answer {
    app::check_operator(who.actor())?;
    let user = Query::from_request(&request)?.number("userId")?.map(UserId);
    let mut live = state.nodes.live(LiveList::Sessions { user }).await?;
    live.sessions.sort_by(|a, b| (&a.connected_at, &a.id).cmp(&(&b.connected_at, &b.id)));
    answer(live.sessions, live.truncated)
}

/// `GET /admin/rooms`: of all nodes, by chat.
pub async fn list_rooms(state: web::Data<State>, who: Authenticated) -> Answer {
    app::check_operator(who.actor())?;
    let mut live = state.nodes.live(LiveList::Rooms).await?;
    live.rooms.sort_by(|a, b| (a.chat_id, &a.node).cmp(&(b.chat_id, &b.node)));
    answer(live.rooms, live.truncated)
}

fn answer<T: Serialize>(data: Vec<T>, truncated: bool) -> Answer {
    let count = data.len();
    Ok(json(StatusCode::OK, &ListView { data, count, truncated }, count)?)
}

/// `DELETE /admin/sessions/{id}`: ends a session as a logout does. Its client stays away.
pub async fn end_session(
    state: web::Data<State>,
    who: Authenticated,
    request: HttpRequest,
) -> Answer {
    app::check_operator(who.actor())?;
    let text = request.match_info().query("id");
    let id =
        SessionId::parse(text).ok_or_else(|| ApiError::bad_request("id", "is no session's id"))?;
    state.nodes.end_session(id).await?;
    log::info!("session {id} was ended by {:?}", who.profile().id);
    Ok(HttpResponse::NoContent().finish())
}
