//! Logins: sign-ins to built-in accounts, each with a chain of refresh tokens.

use std::time::Duration;

use super::{LoginId, Timestamp, UserId};

/// Time for which a refresh token works once more after its successor was made: its answer may have been
/// lost, or another tab has asked at the same moment.
pub const REFRESH_GRACE: Duration = Duration::from_secs(30);

/// A login, as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Login {
    pub id: LoginId,
    pub user: UserId,
    /// The number of the newest refresh token.
    pub generation: i64,
    /// Time of the newest refresh token.
    pub refreshed_at: Timestamp,
    pub expires_at: Timestamp,
    pub has_ended: bool,
}

/// The effect of a refresh token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refresh {
    /// A successor is made, of this number.
    Rotate(i64),
    /// The successor that there is, once more.
    Repeat(i64),
    /// A token that has a used successor is in somebody else's hands: the login is revoked.
    Revoke,
    /// The login is over.
    Over,
}

impl Login {
    /// The effect of its refresh token number `generation`, at `now`.
    #[must_use]
    pub fn refresh(&self, generation: i64, now: Timestamp) -> Refresh {
        if self.has_ended || self.expires_at <= now {
            return Refresh::Over;
        }
        if generation >= self.generation {
            // A higher number was given out before the database was restored.
            return Refresh::Rotate(generation.saturating_add(1));
        }
        // The successor is unused: otherwise there would be a newer one.
        let is_last = generation.saturating_add(1) == self.generation;
        if is_last && now < self.refreshed_at.after(REFRESH_GRACE) {
            return Refresh::Repeat(self.generation);
        }
        Refresh::Revoke
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn login(generation: i64) -> Login {
        Login {
            id: LoginId(7),
            user: UserId(1),
            generation,
            refreshed_at: Timestamp::from_seconds(1_000),
            expires_at: Timestamp::from_seconds(9_000),
            has_ended: false,
        }
    }

    #[test]
    fn a_refresh_token_is_followed_by_the_next() {
        let now = Timestamp::from_seconds(5_000);
        assert_eq!(login(1).refresh(1, now), Refresh::Rotate(2));
        assert_eq!(login(5).refresh(5, now), Refresh::Rotate(6));
    }

    #[test]
    fn the_one_before_works_for_thirty_seconds_and_then_revokes_the_login() {
        for (seconds, effect) in
            [(1_000, Refresh::Repeat(2)), (1_029, Refresh::Repeat(2)), (1_030, Refresh::Revoke)]
        {
            assert_eq!(login(2).refresh(1, Timestamp::from_seconds(seconds)), effect, "{seconds}");
        }
    }

    #[test]
    fn one_whose_successor_was_used_revokes_the_login_at_once() {
        assert_eq!(login(3).refresh(1, Timestamp::from_seconds(1_001)), Refresh::Revoke);
    }

    #[test]
    fn a_restored_database_goes_on_from_the_newer_token() {
        assert_eq!(login(3).refresh(9, Timestamp::from_seconds(1_001)), Refresh::Rotate(10));
    }

    #[test]
    fn a_login_that_is_over_is_refreshed_no_more() {
        assert_eq!(login(1).refresh(1, Timestamp::from_seconds(9_000)), Refresh::Over);
        let ended = Login { has_ended: true, ..login(1) };
        assert_eq!(ended.refresh(1, Timestamp::from_seconds(1_001)), Refresh::Over);
    }
}
