//! What can go wrong with the storage, as far as a caller can act on it.

use diesel::result::{DatabaseErrorKind, Error};

/// Why the storage did not do what was asked. Never contains a password.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// The operator must set something right. A sentence that says what.
    #[error("{0}")]
    Setup(String),
    /// Down, busy or too slow: worth trying again.
    #[error("the database is unavailable: {0}")]
    Unavailable(String),
    /// Anything else: trying again will not help.
    #[error("the database failed: {0}")]
    Internal(String),
}

/// What a database says when it is not the query's fault. Diesel does not hand on PostgreSQL's
/// error codes, and SQLite's busy has no kind of its own, so their messages have to do: every
/// connection to PostgreSQL asks for English ones, and a server that has others is refused at the
/// start. One that is missed is called internal, and not tried again.
const PASSING: [&str; 19] = [
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
    "No space left",
    "out of memory",
    "out of shared memory",
    "due to user request",
    "could not read",
    "could not write",
    "disk I/O error",
    "readonly database",
];

/// What PostgreSQL says of a connection that no longer has the statements that were prepared on it,
/// or has them for tables that have changed: another connection has no such trouble.
const STALE: [(&str, &str); 3] = [
    ("prepared statement", "does not exist"),
    ("prepared statement", "already exists"),
    ("cached plan", "must not change result type"),
];

/// Whether the connection is to blame, and must be replaced.
pub fn is_stale(error: &Error) -> bool {
    let Error::DatabaseError(DatabaseErrorKind::Unknown, info) = error else { return false };
    STALE.iter().any(|(what, why)| info.message().contains(what) && info.message().contains(why))
}

impl From<Error> for StoreError {
    fn from(error: Error) -> Self {
        if is_passing(&error) || is_stale(&error) {
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

#[cfg(test)]
mod tests {
    use super::*;

    fn said(message: &str) -> Error {
        Error::DatabaseError(DatabaseErrorKind::Unknown, Box::new(message.to_owned()))
    }

    #[test]
    fn a_connection_that_lost_its_statements_is_to_be_replaced() {
        for message in [
            "prepared statement \"s1\" does not exist",
            "prepared statement \"s1\" already exists",
            "cached plan must not change result type",
        ] {
            assert!(is_stale(&said(message)), "{message}");
            assert!(matches!(StoreError::from(said(message)), StoreError::Unavailable(_)));
        }
        let message = "relation \"chats\" does not exist";
        assert!(!is_stale(&said(message)));
        assert!(matches!(StoreError::from(said(message)), StoreError::Internal(_)));
    }
}
