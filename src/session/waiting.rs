//! The command of a session that waits for a use case.

use crate::domain::{ChatId, Seq};
use crate::protocol::{Entry, NewMessage, RequestId};

/// The command that waits for a use case; no further frame is read meanwhile.
pub enum Waiting {
    Renew {
        request: Option<RequestId>,
    },
    /// Access to a chat whose room the session is not in.
    Visit {
        chat: ChatId,
        request: Option<RequestId>,
        visit: Visit,
    },
    Enter {
        entries: Vec<Entry>,
        request: Option<RequestId>,
    },
    Create {
        request: Option<RequestId>,
    },
}

/// A call that follows once the access is known.
pub enum Visit {
    Post(NewMessage),
    Mark(Seq),
    Typing(bool),
    View,
}
