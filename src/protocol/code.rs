//! Error codes, and the error of all use cases: one table, for frames, HTTP and RPC.

use std::borrow::Cow;

use crate::domain::{ChatId, PostResult, Seq, SessionId, TextError, UserId};

/// The stable codes. Their text and their HTTP status are part of the contract.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Code {
    BadRequest,
    UnknownEvent,
    Unauthenticated,
    TokenExpired,
    Forbidden,
    ChatNotFound,
    MessageNotFound,
    UserNotFound,
    KeyNotFound,
    SessionNotFound,
    ChatMoved,
    ClientIdReused,
    EmailTaken,
    TooLarge,
    RateLimited,
    Unavailable,
    Internal,
}

impl Code {
    /// All of them.
    pub const ALL: [Self; 17] = [
        Self::BadRequest,
        Self::UnknownEvent,
        Self::Unauthenticated,
        Self::TokenExpired,
        Self::Forbidden,
        Self::ChatNotFound,
        Self::MessageNotFound,
        Self::UserNotFound,
        Self::KeyNotFound,
        Self::SessionNotFound,
        Self::ChatMoved,
        Self::ClientIdReused,
        Self::EmailTaken,
        Self::TooLarge,
        Self::RateLimited,
        Self::Unavailable,
        Self::Internal,
    ];

    /// True if a session can be told it; the others are of the HTTP API alone.
    #[must_use]
    pub fn is_of_sessions(self) -> bool {
        !matches!(self, Self::KeyNotFound | Self::SessionNotFound | Self::EmailTaken)
    }

    /// The code on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::BadRequest => "bad_request",
            Self::UnknownEvent => "unknown_event",
            Self::Unauthenticated => "unauthenticated",
            Self::TokenExpired => "token_expired",
            Self::Forbidden => "forbidden",
            Self::ChatNotFound => "chat_not_found",
            Self::MessageNotFound => "message_not_found",
            Self::UserNotFound => "user_not_found",
            Self::KeyNotFound => "key_not_found",
            Self::SessionNotFound => "session_not_found",
            Self::ChatMoved => "chat_moved",
            Self::ClientIdReused => "client_id_reused",
            Self::EmailTaken => "email_taken",
            Self::TooLarge => "too_large",
            Self::RateLimited => "rate_limited",
            Self::Unavailable => "unavailable",
            Self::Internal => "internal",
        }
    }

    /// The HTTP status of the code.
    #[must_use]
    pub fn http_status(self) -> u16 {
        match self {
            Self::BadRequest | Self::UnknownEvent => 400,
            Self::Unauthenticated | Self::TokenExpired => 401,
            Self::Forbidden => 403,
            Self::ChatNotFound
            | Self::MessageNotFound
            | Self::UserNotFound
            | Self::KeyNotFound
            | Self::SessionNotFound => 404,
            Self::ChatMoved | Self::ClientIdReused | Self::EmailTaken => 409,
            Self::TooLarge => 413,
            Self::RateLimited => 429,
            Self::Unavailable => 503,
            Self::Internal => 500,
        }
    }
}

/// An error for clients: a code, a sentence for people, and the code's data. On the wire it is the
/// event `exception`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiError {
    pub code: Code,
    pub message: Cow<'static, str>,
    /// Path of the wrong field in the request, as `data.chats[0].chatId`.
    pub path: Option<String>,
    /// With [`Code::ChatMoved`]: the chat's last `seq`.
    pub last_seq: Option<Seq>,
    /// With [`Code::RateLimited`]: the time to wait, in milliseconds.
    pub retry_after_ms: Option<u64>,
}

impl std::fmt::Display for ApiError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.code.as_str(), self.message)
    }
}

impl std::error::Error for ApiError {}

impl ApiError {
    pub fn new(code: Code, message: impl Into<Cow<'static, str>>) -> Self {
        Self { code, message: message.into(), path: None, last_seq: None, retry_after_ms: None }
    }

    /// The value at `path` in the request is invalid.
    pub fn at(code: Code, path: impl Into<String>, problem: impl AsRef<str>) -> Self {
        let path = path.into();
        let message = format!("{path}: {}", problem.as_ref());
        Self { path: Some(path), ..Self::new(code, message) }
    }

    pub fn bad_request(path: impl Into<String>, problem: impl AsRef<str>) -> Self {
        Self::at(Code::BadRequest, path, problem)
    }

    /// The same error in an enclosing value at `at`: `userIds` becomes `data.userIds`.
    #[must_use]
    pub fn within(mut self, at: &str) -> Self {
        if let Some(path) = &mut self.path {
            *path = format!("{at}.{path}");
            self.message = format!("{at}.{}", self.message).into();
        }
        self
    }

    pub fn forbidden(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Code::Forbidden, message)
    }

    /// The same words for a missing chat and an invisible one.
    #[must_use]
    pub fn chat_not_found(chat: ChatId) -> Self {
        Self::new(Code::ChatNotFound, format!("chat {chat} does not exist"))
    }

    #[must_use]
    pub fn user_not_found(user: UserId) -> Self {
        Self::new(Code::UserNotFound, format!("user {user} does not exist"))
    }

    #[must_use]
    pub fn session_not_found(session: &SessionId) -> Self {
        Self::new(Code::SessionNotFound, format!("session {session} is not live"))
    }

    #[must_use]
    pub fn internal() -> Self {
        Self::new(Code::Internal, "something went wrong here")
    }

    #[must_use]
    pub fn unavailable() -> Self {
        Self::new(
            Code::Unavailable,
            "the server cannot do this now, try again; a message with the same clientId",
        )
    }

    #[must_use]
    pub fn chat_moved(last_seq: Seq) -> Self {
        Self {
            last_seq: Some(last_seq),
            ..Self::new(Code::ChatMoved, format!("the chat's last seq is {last_seq} now"))
        }
    }

    #[must_use]
    pub fn client_id_reused() -> Self {
        Self::new(Code::ClientIdReused, "this clientId stands for another text in this chat")
    }

    /// Too much waits here for the same: a retry is to wait so long.
    #[must_use]
    pub fn busy(retry_after_ms: u64) -> Self {
        Self {
            retry_after_ms: Some(retry_after_ms),
            ..Self::new(Code::Unavailable, "too many wait for the same, try again")
        }
    }

    #[must_use]
    pub fn rate_limited(retry_after_ms: u64) -> Self {
        Self {
            retry_after_ms: Some(retry_after_ms),
            ..Self::new(Code::RateLimited, format!("too fast, wait {retry_after_ms} ms"))
        }
    }

    /// A text that may not be stored; too long is `too_large`, all else `bad_request`.
    #[must_use]
    pub fn text(path: &str, error: &TextError) -> Self {
        let code = match error {
            TextError::TooLong { .. } => Code::TooLarge,
            TextError::Blank | TextError::Nul => Code::BadRequest,
        };
        Self::at(code, path, error.to_string())
    }

    /// The refusal of a post; `None` if it is stored, now or before.
    #[must_use]
    pub fn from_post_result(chat: ChatId, stored: &PostResult) -> Option<Self> {
        match stored {
            PostResult::New(..) | PostResult::Duplicate(_) => None,
            PostResult::ClientIdReused => Some(Self::client_id_reused()),
            PostResult::ChatMoved { last_seq } => Some(Self::chat_moved(*last_seq)),
            PostResult::NoChat => Some(Self::chat_not_found(chat)),
            PostResult::Unavailable => Some(Self::unavailable()),
            PostResult::Failed => Some(Self::internal()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_shows_its_code_and_its_sentence() {
        let error: Box<dyn std::error::Error> = Box::new(ApiError::forbidden("not here"));
        assert_eq!(error.to_string(), "forbidden: not here");
    }
}
