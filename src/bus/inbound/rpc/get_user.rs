//! `get_user`: a user by id, or by subject.

use serde::Deserialize;

use super::request::{Answer, DATA, RpcRequest, answer, either};
use crate::app::{self, Actor, UserKey};
use crate::domain::UserId;
use crate::protocol::{ApiError, Number, Text, UserView, storable};

pub const NAME: &str = "get_user";

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct GetUser {
    id: Option<Number>,
    user_id: Option<Number>,
    subject: Option<Text>,
    issuer: Option<String>,
}

/// `{id}`, or `{subject, issuer?}`; the default issuer is that of other services' users.
pub async fn run(request: &RpcRequest<'_>) -> Answer {
    let wanted: GetUser = request.read()?;
    let key = match wanted.subject {
        None => UserKey::Id(UserId(either((wanted.id, "id"), (wanted.user_id, "userId"))?.0)),
        Some(_) if wanted.id.is_some() || wanted.user_id.is_some() => {
            let problem = "stands beside an id, one is allowed";
            return Err(ApiError::bad_request(format!("{DATA}.subject"), problem));
        }
        Some(Text(subject)) => {
            let issuer = wanted.issuer.unwrap_or(request.context.settings.users_issuer.clone());
            storable(&format!("{DATA}.subject"), &subject)?;
            storable(&format!("{DATA}.issuer"), &issuer)?;
            UserKey::Identity { issuer, subject }
        }
    };
    let user = app::show_user(&request.context.app, Actor::System, key).await?;
    answer(&UserView::from(&user))
}
