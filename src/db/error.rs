//! What can go wrong with the storage, as far as a caller can act on it.

use diesel::result::{DatabaseErrorKind, Error};

/// Why the storage did not do what was asked. Never contains a password.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// Down, busy or too slow: worth trying again.
    #[error("the database is unavailable: {0}")]
    Unavailable(String),
    /// Anything else: trying again will not help.
    #[error("the database failed: {0}")]
    Internal(String),
}

/// What a database says when it is not the query's fault. Diesel does not hand on PostgreSQL's
/// error codes, and SQLite's busy has no kind of its own, so their messages have to do; one that is
/// missed is merely called internal.
const PASSING: [&str; 11] = [
    "timeout",
    "terminating connection",
    "too many clients",
    "connection slots",
    "shutting down",
    "starting up",
    "recovery",
    "deadlock",
    "could not extend",
    "is locked",
    "disk is full",
];

impl From<Error> for StoreError {
    fn from(error: Error) -> Self {
        if is_passing(&error) {
            Self::Unavailable(error.to_string())
        } else {
            Self::Internal(error.to_string())
        }
    }
}

/// Whether the same may go well another time.
pub fn is_passing(error: &Error) -> bool {
    use DatabaseErrorKind as Kind;
    match error {
        Error::DatabaseError(Kind::Unknown, info) => {
            PASSING.iter().any(|text| info.message().contains(text))
        }
        Error::DatabaseError(kind, _) => matches!(
            kind,
            Kind::UnableToSendCommand
                | Kind::ClosedConnection
                | Kind::SerializationFailure
                | Kind::ReadOnlyTransaction
        ),
        Error::BrokenTransactionManager | Error::RollbackErrorOnCommit { .. } => true,
        _ => false,
    }
}
