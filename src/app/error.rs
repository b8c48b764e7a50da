//! Error conversions. The rule:
//!
//! - The layers below answer with errors of their own: [`StoreError`], [`TokenError`], `Refusal`,
//!   `PostResult`. They say what happened, for the operator and for code that decides.
//! - Use cases answer with [`ApiError`]: a code of the protocol, and words for the client. All
//!   conversions into it stand here, and a failure is logged where it is converted, once.
//! - Transports render an [`ApiError`], as a frame, a problem or a packet, and add nothing.

use crate::auth::TokenError;
use crate::db::StoreError;
use crate::protocol::{ApiError, Code};

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Unavailable(_) => {
                log::warn!("{error}");
                ApiError::unavailable()
            }
            StoreError::Internal(_) | StoreError::Setup(_) => {
                log::error!("{error}");
                ApiError::internal()
            }
        }
    }
}

impl From<TokenError> for ApiError {
    fn from(error: TokenError) -> Self {
        let code = match error {
            TokenError::Expired => Code::TokenExpired,
            TokenError::Invalid(_) | TokenError::UnknownKey => Code::Unauthenticated,
            TokenError::NoKeys => Code::Unavailable,
        };
        ApiError::new(code, error.to_string())
    }
}
