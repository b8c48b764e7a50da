//! Post a message: the one way into the log.

use std::sync::Arc;

use super::{Actor, AppState, chat_access};
use crate::actors::{Post, Reply, RoomRequest, ToRoom};
use crate::domain::{ChatId, PostResult, Receipt, Scope, access};
use crate::protocol::{ApiError, NewMessage};
use crate::session::PostOutcome;

/// Retired rooms that a request follows before it is `unavailable`.
pub(super) const MOVES: usize = 3;

/// A stored message.
#[derive(Debug)]
pub struct PostedMessage {
    pub receipt: Receipt,
    pub client_id: String,
    pub duplicate: bool,
}

/// Posts a message without a session, and waits until it is stored.
///
/// # Errors
/// `chat_not_found`, `forbidden`, `rate_limited`, and those of [`ApiError::from_post_result`].
pub async fn post_message(
    app: &AppState,
    actor: Actor<'_>,
    chat: ChatId,
    message: NewMessage,
) -> Result<PostedMessage, ApiError> {
    actor.needs(Scope::MessagesWrite)?;
    let author = match actor {
        Actor::User(caller) => {
            chat_access::of_caller(app, caller, chat, access::may_post).await?;
            caller.take_token(app)?;
            caller.user.author()
        }
        // A service may write in every chat; the write finds a missing one.
        Actor::Service(service) => service.author(),
        Actor::Key(key) => key.author.author(),
        Actor::System => return Err(ApiError::forbidden("a message needs an author")),
    };
    let mut draft = message.into_draft(&author, chat);
    let client_id = draft.client_id.as_str().to_owned();
    for attempt in 0..MOVES {
        let (reply, answer) = Reply::to_caller();
        let post = Post { draft, author: Arc::clone(&author), origin: None, reply };
        let request = ToRoom { chat, request: RoomRequest::Post(post), cached: attempt == 0 };
        app.rooms().try_send(request).map_err(|_| ApiError::unavailable())?;
        match answer.await.map_err(|_| ApiError::unavailable())? {
            PostOutcome::Moved(moved) => draft = *moved,
            PostOutcome::Stored(stored) => {
                if let Some(exception) = ApiError::from_post_result(chat, &stored) {
                    return Err(exception);
                }
                let (PostResult::New(receipt, _) | PostResult::Duplicate(receipt)) = stored else {
                    return Err(ApiError::unavailable());
                };
                let duplicate = matches!(stored, PostResult::Duplicate(_));
                return Ok(PostedMessage { receipt, client_id, duplicate });
            }
        }
    }
    Err(ApiError::unavailable())
}
