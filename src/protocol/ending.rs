//! Close reasons: one table of close codes, for the wire and for the metrics.

/// Reason for a session's end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// The client closed it.
    Closed,
    /// The connection broke without a close.
    Gone,
    Shutdown,
    BrokenFrame,
    NotUtf8,
    TooLarge,
    /// An internal error during admission.
    Failed,
    /// A dependency of the session's start is away or full.
    NotReady,
    Unauthenticated,
    TokenExpired,
    RoleChanged,
    /// The peer shows no sign of life, or a frame never ends.
    Silent,
    Flood,
    SlowReader,
    Blocked,
    /// The login has ended, or an admin ended the session.
    SignedOut,
    /// The user's newer sessions replaced it.
    Replaced,
    /// Its actor panicked.
    Panicked,
}

/// The client's next step after a close.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Return {
    /// Connects again, after the time that `goodbye` names.
    Later,
    /// Connects again, backing off.
    BackingOff,
    /// Connects again with its positions.
    Resuming,
    /// Connects again with another token.
    WithToken,
    /// Must be corrected first.
    Mended,
    /// Stays away.
    Never,
    /// Stays away until its user acts.
    ByUser,
}

impl Ending {
    /// All of them.
    pub const ALL: [Self; 18] = [
        Self::Closed,
        Self::Gone,
        Self::Shutdown,
        Self::BrokenFrame,
        Self::NotUtf8,
        Self::TooLarge,
        Self::Failed,
        Self::NotReady,
        Self::Unauthenticated,
        Self::TokenExpired,
        Self::RoleChanged,
        Self::Silent,
        Self::Flood,
        Self::SlowReader,
        Self::Blocked,
        Self::SignedOut,
        Self::Replaced,
        Self::Panicked,
    ];

    /// The close code and the client's next step; `None` without a close frame.
    #[must_use]
    pub fn close(self) -> Option<(u16, Return)> {
        Some(match self {
            Self::Closed | Self::Gone | Self::Panicked => return None,
            Self::Shutdown => (1001, Return::Later),
            Self::BrokenFrame => (1002, Return::Mended),
            Self::NotUtf8 => (1007, Return::Mended),
            Self::Flood => (1008, Return::BackingOff),
            Self::TooLarge => (1009, Return::Mended),
            Self::Failed => (1011, Return::BackingOff),
            Self::NotReady => (1013, Return::BackingOff),
            Self::Unauthenticated | Self::TokenExpired | Self::RoleChanged => {
                (4401, Return::WithToken)
            }
            Self::Silent => (4408, Return::BackingOff),
            Self::SlowReader => (4409, Return::Resuming),
            Self::Blocked | Self::SignedOut => (4410, Return::Never),
            Self::Replaced => (4411, Return::ByUser),
        })
    }

    /// The reason in `goodbye` before the close; `None` without one.
    #[must_use]
    pub fn goodbye(self) -> Option<&'static str> {
        match self {
            Self::Shutdown => Some("shutdown"),
            Self::TokenExpired => Some("token_expired"),
            Self::RoleChanged => Some("role_changed"),
            Self::SlowReader => Some("slow_reader"),
            Self::Blocked => Some("blocked"),
            Self::SignedOut => Some("signed_out"),
            Self::Replaced => Some("replaced"),
            _ => None,
        }
    }

    /// The `reason` of `frontdesk_sessions_ended_total`.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::Closed => "Closed",
            Self::Gone => "Gone",
            Self::Shutdown => "Shutdown",
            Self::BrokenFrame => "BrokenFrame",
            Self::NotUtf8 => "NotUtf8",
            Self::TooLarge => "TooLarge",
            Self::Failed | Self::NotReady => "Refused",
            Self::Unauthenticated => "Unauthenticated",
            Self::TokenExpired => "TokenExpired",
            Self::RoleChanged => "RoleChanged",
            Self::Silent => "Silent",
            Self::Flood => "Flood",
            Self::SlowReader => "SlowReader",
            Self::Blocked => "Blocked",
            Self::SignedOut => "SignedOut",
            Self::Replaced => "Replaced",
            Self::Panicked => "Panicked",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The step in the protocol document's words.
    fn words(step: Return) -> &'static str {
        match step {
            Return::Later => "connect again after `retryAfterMs`",
            Return::BackingOff => "connect again, backing off",
            Return::Resuming => "connect again with `resume`",
            Return::WithToken => "get a token, connect again",
            Return::Mended => "mend the client",
            Return::Never => "stay away |",
            Return::ByUser => "stay away until the user acts",
        }
    }

    #[test]
    fn the_protocol_document_lists_each_close_code_with_the_clients_next_step() {
        let document = include_str!("../../docs/PROTOCOL.md");
        let rows: Vec<&str> = document.lines().filter(|line| line.starts_with("| ")).collect();
        for ending in Ending::ALL {
            let Some((code, step)) = ending.close() else { continue };
            let is_code = |cell: &str| cell.split(',').any(|part| part.trim() == code.to_string());
            let row = rows.iter().find(|row| row.split('|').nth(1).is_some_and(is_code));
            let row = row.unwrap_or_else(|| panic!("no row for {code}"));
            assert!(row.contains(words(step)), "{ending:?}: {row}");
        }
        for reason in Ending::ALL.into_iter().filter_map(Ending::goodbye) {
            assert!(document.contains(&format!("`{reason}`")), "{reason}");
        }
    }
}
