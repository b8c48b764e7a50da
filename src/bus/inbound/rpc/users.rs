//! Commands about users.

use serde::{Deserialize, Serialize};

use super::{Answer, DATA, RpcRequest, answer, either};
use crate::app::{self, Actor, UserKey};
use crate::domain::UserId;
use crate::protocol::{ApiError, Number, Text, UserView, storable};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct GetUser {
    id: Option<Number>,
    user_id: Option<Number>,
    subject: Option<Text>,
    issuer: Option<String>,
}

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

impl RpcRequest<'_> {
    /// `{id}`, or `{subject, issuer?}`; the default issuer is that of other services' users.
    pub(super) async fn get_user(&self) -> Answer {
        let wanted: GetUser = self.read()?;
        let key = match wanted.subject {
            None => UserKey::Id(UserId(either((wanted.id, "id"), (wanted.user_id, "userId"))?.0)),
            Some(_) if wanted.id.is_some() || wanted.user_id.is_some() => {
                let problem = "stands beside an id, one is allowed";
                return Err(ApiError::bad_request(format!("{DATA}.subject"), problem));
            }
            Some(Text(subject)) => {
                let issuer = wanted.issuer.unwrap_or(self.context.settings.users_issuer.clone());
                storable(&format!("{DATA}.subject"), &subject)?;
                storable(&format!("{DATA}.issuer"), &issuer)?;
                UserKey::Identity { issuer, subject }
            }
        };
        let user = app::show_user(&self.context.app, Actor::System, key).await?;
        answer(&UserView::from(&user))
    }

    /// True if a user has a session on any node.
    pub(super) async fn is_online(&self) -> Answer {
        let IsOnline { id, user_id } = self.read()?;
        let user_id = UserId(either((user_id, "userId"), (id, "id"))?.0);
        let online = self.nodes.is_online(user_id).await?;
        answer(&Online { user_id, online })
    }
}
