//! Storage errors, as far as a caller can act on them.

use diesel::result::{DatabaseErrorKind, Error};

/// Failure of the storage. Never contains a password.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// A setting that the operator must correct; the sentence names it.
    #[error("{0}")]
    Setup(String),
    /// Down, busy or too slow: a retry may succeed.
    #[error("the database is unavailable: {0}")]
    Unavailable(String),
    /// Anything else: a retry will fail again.
    #[error("the database failed: {0}")]
    Internal(String),
}

/// Messages of transient database errors. Diesel passes on neither PostgreSQL's error codes nor a
/// kind for SQLite's busy, so texts have to do: every connection to PostgreSQL asks for English
/// ones, and a server with others is refused at the start. An unlisted one is internal, and not
/// retried.
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

/// PostgreSQL's messages on a connection that lost its prepared statements, or whose tables have
/// changed under them: a new connection mends it.
const STALE: [(&str, &str); 3] = [
    ("prepared statement", "does not exist"),
    ("prepared statement", "already exists"),
    ("cached plan", "must not change result type"),
];

/// True if the connection is to blame, and must be replaced.
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

/// True if a retry may succeed.
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
