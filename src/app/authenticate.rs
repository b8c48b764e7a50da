//! Authenticate: admits the user of a token, and the author of a service's name.

use std::collections::HashMap;
use std::sync::Arc;

use tokio::sync::oneshot;

use super::{AppState, chat_access};
use crate::actors::{AdmitUser, AdmittedUser, Announce, NotAdmitted, UserRate};
use crate::auth::{AdmitError, AuthenticatedUser, Claims, TokenError};
use crate::domain::{Author, ChatAccess, ChatEntry, ChatId, Role, Roster, Timestamp, User};
use crate::protocol::{ApiError, Code, Entry};
pub use crate::session::Admitted;

/// A user who was admitted for one request, and the chats that were read with them.
pub struct Caller {
    pub user: AuthenticatedUser,
    /// The stored user, in the role that counts.
    pub profile: User,
    /// Access to the user's own chats: most requests need no further read.
    pub(super) chats: Vec<ChatAccess>,
    rate: Arc<UserRate>,
}

/// A service's author, who is not blocked.
pub struct ServiceAuthor(Arc<Author>);

impl Caller {
    #[must_use]
    pub fn role(&self) -> Role {
        self.user.role()
    }

    /// Counts a post without a session against its user's rate, on this node.
    pub(super) fn take_token(&self, app: &AppState) -> Result<(), ApiError> {
        self.rate.take().map_err(|wait| {
            app.metrics().requests_limited.inc();
            ApiError::rate_limited(wait)
        })
    }
}

impl ServiceAuthor {
    /// Finds or creates the user of a service.
    ///
    /// # Errors
    /// `forbidden` when blocked, `unavailable`.
    pub async fn find(
        app: &AppState,
        role: Role,
        name: String,
        nickname: Option<String>,
    ) -> Result<Self, ApiError> {
        Self::of(&app.store().service_user(role, name, nickname).await?)
    }

    /// The author that a service's user is.
    ///
    /// # Errors
    /// `forbidden` when blocked.
    pub(super) fn of(user: &User) -> Result<Self, ApiError> {
        if user.blocked {
            return Err(ApiError::forbidden("this author is blocked"));
        }
        Ok(Self(user.author()))
    }

    pub(super) fn author(&self) -> Arc<Author> {
        Arc::clone(&self.0)
    }
}

/// Verifies a token. One that names a key that is not known waits until the issuer's keys are read again.
///
/// # Errors
/// `unauthenticated` or `token_expired`; `unavailable` before the issuer's keys were read.
pub async fn verify(app: &AppState, token: &str) -> Result<Claims, ApiError> {
    let verifier = app.verifier();
    match verifier.verify(token, Timestamp::now()) {
        Err(TokenError::UnknownKey | TokenError::NoKeys) => {
            if let Some(keys) = verifier.key_set() {
                keys.read_again().await;
            }
            Ok(verifier.verify(token, Timestamp::now())?)
        }
        verified => Ok(verified?),
    }
}

/// Verifies a token with the keys that are known now.
///
/// # Errors
/// As [`verify`].
pub fn verify_at_once(app: &AppState, token: &str) -> Result<Claims, ApiError> {
    Ok(app.verifier().verify(token, Timestamp::now())?)
}

/// Finds or creates the user of a token, and a customer's own chat.
///
/// # Errors
/// `forbidden` when blocked, `unavailable` when the database does not answer.
pub async fn admit(app: &AppState, claims: Claims) -> Result<Caller, ApiError> {
    admit_with(app, claims, false).await.map(|(caller, _)| caller)
}

/// As [`admit`], with the rosters of the user's chats if they are asked for.
async fn admit_with(
    app: &AppState,
    claims: Claims,
    with_rosters: bool,
) -> Result<(Caller, HashMap<ChatId, Roster>), ApiError> {
    let as_of = Timestamp::now();
    let (reply, answer) = oneshot::channel();
    let (identity, login) = (claims.identity().clone(), claims.login());
    let request = AdmitUser { identity, login, with_rosters, reply };
    app.user_admission().try_send(request).map_err(|_| ApiError::unavailable())?;
    let AdmittedUser { admission, rate, rosters } =
        answer.await.map_err(|_| ApiError::unavailable())?.map_err(|refused| match refused {
            NotAdmitted::SignedOut => ApiError::new(Code::Unauthenticated, "signed out"),
            NotAdmitted::Store(error) => error.into(),
        })?;
    let (user, profile) = claims.admit(admission.user, as_of).map_err(|error| match error {
        AdmitError::Blocked => ApiError::forbidden("this user is blocked"),
        AdmitError::OtherUser => {
            log::error!("the user that was found is not the token's");
            ApiError::internal()
        }
    })?;
    if let Some(chat) = admission.created_chat {
        // Bounded: one for each new customer.
        let (chat, members) = (Arc::new(chat), vec![user.id()]);
        app.chat_server().do_send(Announce { chat, members, except: None, made_here: true });
    }
    Ok((Caller { user, profile, chats: admission.chats, rate }, rosters))
}

/// Admits a user for a session, with the further chats of `resume` that they may read.
///
/// # Errors
/// Those of [`admit`].
pub async fn connect(
    app: &AppState,
    claims: Claims,
    mut resume: Vec<Entry>,
) -> Result<Admitted, ApiError> {
    let (Caller { user, chats, .. }, mut rosters) = admit_with(app, claims, true).await?;
    let mut chats: Vec<ChatEntry> = chats
        .into_iter()
        .map(|access| ChatEntry { access, roster: rosters.remove(&access.chat_id) })
        .collect();
    let is_further = |id: &ChatId| chats.iter().all(|known| known.access.chat_id != *id);
    let further: Vec<ChatId> =
        resume.iter().map(|entry| entry.chat_id).filter(is_further).collect();
    if !further.is_empty() {
        let further = chat_access::readable(app, &user, further).await?;
        chats.extend(chat_access::with_rosters(app, &user, further).await?);
    }
    resume.retain(|entry| chats.iter().any(|known| known.access.chat_id == entry.chat_id));
    Ok(Admitted { user, chats, resume })
}
