//! Mark a chat as read, up to a message.

use super::post_message::MOVES;
use super::{AppState, Caller, chat_access};
use crate::actors::{MarkRead, Reply, RoomRequest, ToRoom};
use crate::domain::{ChatId, Seq, access};
use crate::protocol::{ApiError, MarkView};
use crate::session::MarkOutcome;

/// Raises a user's read mark.
///
/// # Errors
/// `chat_not_found`, `unavailable`.
pub async fn mark_read(
    app: &AppState,
    caller: &Caller,
    chat: ChatId,
    seq: Seq,
) -> Result<MarkView, ApiError> {
    chat_access::of_caller(app, caller, chat, access::may_read).await?;
    for attempt in 0..MOVES {
        let (reply, answer) = Reply::to_caller();
        let mark = MarkRead { user: caller.user.id(), seq, origin: None, reply };
        let request = ToRoom { chat, request: RoomRequest::MarkRead(mark), cached: attempt == 0 };
        app.rooms().try_send(request).map_err(|_| ApiError::unavailable())?;
        match answer.await.map_err(|_| ApiError::unavailable())? {
            MarkOutcome::Done(marked) => return marked,
            MarkOutcome::Moved => {}
        }
    }
    Err(ApiError::unavailable())
}
