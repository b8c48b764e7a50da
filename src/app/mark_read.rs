//! Mark a chat as read, up to a message.

use super::{AppState, Caller, chat_access, refused};
use crate::actors::{MarkRead, Reply, RoomRequest, ToRoom};
use crate::db::Marked;
use crate::domain::{ChatId, Seq, access};
use crate::protocol::{ApiError, MarkView};

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
    let (reply, answer) = Reply::to_caller();
    let mark = MarkRead { user: caller.user.id(), seq, reply };
    let request = ToRoom { chat, request: RoomRequest::MarkRead(mark), cached: false };
    app.rooms().try_send(request).map_err(|_| ApiError::unavailable())?;
    let marked = answer.await.map_err(|_| ApiError::unavailable())?;
    marked.map(mark_view).map_err(|refusal| refused(chat, &refusal))
}

/// A read mark as it stands.
#[must_use]
pub fn mark_view(marked: Marked) -> MarkView {
    MarkView { read_seq: marked.read_seq, unread: marked.read_seq.until(marked.last_seq) }
}
