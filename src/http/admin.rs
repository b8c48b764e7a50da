//! Operation by admins: keys of services.

use actix_web::{HttpRequest, HttpResponse, web};

use super::{Answer, Authenticated, ListRequest, Order, Query, State, id_in_path};
use crate::app;
use crate::domain::KeyId;
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
