//! Work whose panic costs itself alone.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use futures_util::FutureExt;

use crate::db::StoreError;
use crate::metrics::{Metrics, Part};

/// Runs work on the database for an actor that many wait for: a panic in it is counted, and told as
/// an error to those whose work it was.
pub(super) fn catch_panic<T>(
    work: impl Future<Output = Result<T, StoreError>>,
    part: Part,
    metrics: Arc<Metrics>,
) -> impl Future<Output = Result<T, StoreError>> {
    // What the work owns dies with it, so nobody sees it half done.
    AssertUnwindSafe(work).catch_unwind().map(move |outcome| {
        outcome.unwrap_or_else(|_| {
            metrics.panicked(part);
            Err(StoreError::Internal(format!("{part:?} panicked")))
        })
    })
}
