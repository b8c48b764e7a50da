//! Users: oneself, and the administration of all.

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, web};

use super::{Answer, Authenticated, Body, ListRequest, Order, Query, State, id_in_path, json};
use crate::app::{SeenUser, UserManager};
use crate::db::UserFilter;
use crate::domain::{Role, Scope, User, UserId};
use crate::protocol::{ApiError, Block, NewUser, SeenUserView, UserView};

/// Default page size.
const LIMIT: i64 = 20;
/// The longest search text, in characters.
const SEARCH_CHARS: usize = 100;

/// `GET /users/me`.
pub async fn me(who: Authenticated) -> Answer {
    Ok(json(StatusCode::OK, &UserView::from(who.profile()), 1)?)
}

/// `GET /users`: in the order in which they were first seen.
pub async fn list(state: web::Data<State>, who: Authenticated, request: HttpRequest) -> Answer {
    let manager = UserManager::check(&state.app, who.actor(), Scope::UsersRead)?;
    let query = Query::from_request(&request)?;
    let (text, subject) = (search(&query)?, query.text("subject")?);
    let list = ListRequest::from_query(&query, "/users".to_owned(), LIMIT, Order::Asc)?
        .filter("q", text)
        .filter("subject", subject);
    if list.order() != Order::Asc {
        return Err(ApiError::bad_request("order", "must be asc here").into());
    }
    let filter = UserFilter { query: text.map(str::to_owned), subject: subject.map(str::to_owned) };
    let after = list.after()?.map(|(id, _)| UserId(id));
    let users = manager.list_users(filter, after, list.rows()).await?;
    Ok(list.answer(&users, |user| (user.id.0, 0), UserView::from)?)
}

/// `GET /users/{id}`: a user, with presence.
pub async fn show(state: web::Data<State>, who: Authenticated, request: HttpRequest) -> Answer {
    let manager = UserManager::check(&state.app, who.actor(), Scope::UsersRead)?;
    let SeenUser { user, online, last_seen_at } =
        manager.show_user(UserId(id_in_path(&request)?)).await?;
    Ok(json(StatusCode::OK, &SeenUserView::new(&user, online, last_seen_at), 1)?)
}

/// `POST /users`: creates a user before their first token.
pub async fn create(state: web::Data<State>, who: Authenticated, body: Body) -> Answer {
    let manager = UserManager::check(&state.app, who.actor(), Scope::UsersWrite)?;
    let new: NewUser = body.read(&state)?;
    let issuer = state.settings.auth.issuer.clone().unwrap_or_default();
    let user = manager.create_user(issuer, new).await?;
    let status = if user.is_new() { StatusCode::CREATED } else { StatusCode::OK };
    Ok(json(status, &view(user.get(), &who), 1)?)
}

/// `POST /users/{id}/block`: ends the user's live sessions, too.
pub async fn block(
    state: web::Data<State>,
    who: Authenticated,
    request: HttpRequest,
    body: Body,
) -> Answer {
    let Block { reason } = body.read(&state)?;
    set_blocked(&state, &who, &request, (true, reason)).await
}

/// `POST /users/{id}/unblock`.
pub async fn unblock(state: web::Data<State>, who: Authenticated, request: HttpRequest) -> Answer {
    set_blocked(&state, &who, &request, (false, None)).await
}

async fn set_blocked(
    state: &State,
    who: &Authenticated,
    request: &HttpRequest,
    (blocked, reason): (bool, Option<String>),
) -> Answer {
    let manager = UserManager::check(&state.app, who.actor(), Scope::UsersWrite)?;
    let user = manager.block_user(UserId(id_in_path(request)?), blocked, reason).await?;
    Ok(json(StatusCode::OK, &view(&user, who), 1)?)
}

/// A user for an admin, and for a key that may read users; without what only these may read for any other.
fn view<'a>(user: &'a User, who: &Authenticated) -> UserView<'a> {
    match who.viewer() {
        Role::Admin => UserView::from(user),
        _ => UserView::without_person(user),
    }
}

/// The search text; an empty one counts as missing.
fn search(query: &Query) -> Result<Option<&str>, ApiError> {
    let text = query.text("q")?.filter(|text| !text.is_empty());
    if text.is_some_and(|text| text.chars().count() > SEARCH_CHARS) {
        let problem = format!("must have at most {SEARCH_CHARS} characters");
        return Err(ApiError::bad_request("q", problem));
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_search_has_at_most_a_hundred_characters() {
        let found = |text: &str| {
            let query = Query::parse(&format!("q={text}")).expect("a query");
            search(&query).map(|text| text.map(str::to_owned))
        };
        assert_eq!(found(""), Ok(None));
        assert_eq!(found(&"é".repeat(100)), Ok(Some("é".repeat(100))));
        assert_eq!(found(&"é".repeat(101)).expect_err("too long").path.as_deref(), Some("q"));
    }
}
