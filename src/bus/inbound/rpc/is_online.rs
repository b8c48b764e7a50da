//! `is_online`: presence of a user on any node.

use serde::{Deserialize, Serialize};

use super::request::{Answer, RpcRequest, answer, either};
use crate::domain::UserId;
use crate::protocol::Number;

pub const NAME: &str = "is_online";

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct IsOnline {
    id: Option<Number>,
    user_id: Option<Number>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Online {
    user_id: UserId,
    online: bool,
}

/// True if a user has a session on any node.
pub async fn run(request: &RpcRequest<'_>) -> Answer {
    let IsOnline { id, user_id } = request.read()?;
    let user_id = UserId(either((user_id, "userId"), (id, "id"))?.0);
    let online = request.nodes.is_online(user_id).await?;
    answer(&Online { user_id, online })
}
