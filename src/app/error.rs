//! Error conversions. Which error where:
//!
//! - The layers below answer with errors of their own: [`StoreError`], [`TokenError`], `Refusal`,
//!   `PostResult`. They say what happened, for the operator and for code that decides.
//! - Use cases answer with [`Exception`]: a code of the protocol, and words for the client. All
//!   conversions into it stand here, and a failure is logged where it is converted, once.
//! - Transports render an [`Exception`], as a frame, a problem or a packet, and add nothing.

use crate::auth::TokenError;
use crate::db::StoreError;
use crate::protocol::{Code, Exception};

impl From<StoreError> for Exception {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Unavailable(_) => {
                log::warn!("{error}");
                Exception::unavailable()
            }
            StoreError::Internal(_) | StoreError::Setup(_) => {
                log::error!("{error}");
                Exception::internal()
            }
        }
    }
}

impl From<TokenError> for Exception {
    fn from(error: TokenError) -> Self {
        let code = match error {
            TokenError::Expired => Code::TokenExpired,
            TokenError::Invalid(_) => Code::Unauthenticated,
        };
        Exception::new(code, error.to_string())
    }
}
