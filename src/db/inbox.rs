//! Inbox: updates that other services send of their users, each applied once.

use std::collections::BTreeSet;
use std::time::Duration;

use diesel::{ExpressionMethods, QueryDsl};

use super::backend::transact;
use super::journal::{Change, Note};
use super::rows::UserRow;
use super::schema::{inbox, users};
use super::{Store, StoreError, search};
use crate::domain::{OWN_ISSUER, Role, Timestamp, UpdateOutcome, UserUpdate};

/// What becomes of a user's row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Effect {
    /// The news are older than what is known.
    Nothing,
    /// What is known is now known to be newer.
    Confirmed,
    Changed {
        /// Whether open sessions must learn of it: of another role, or of a block.
        matters: bool,
    },
}

/// Takes over what the news say, as far as it is not older than what is known. What a token says, too,
/// is held against the newest token or news, by the second, as tokens count. A block is said by no
/// token, and held against when it was last said (`blocked_at`). News of the same time come in the
/// order in which they were told.
fn apply(
    row: &mut UserRow,
    blocked_at: &mut Option<Timestamp>,
    news: &UserUpdate,
    at: Timestamp,
    horizon: i64,
) -> Effect {
    let before = row.clone();
    let block = news.blocked.filter(|_| blocked_at.is_none_or(|known| at >= known));
    if let Some(blocked) = block {
        row.blocked = blocked;
        *blocked_at = Some(at);
    }
    // A known time that is still to come was never right, and holds nothing up.
    let known = row.claims_at.filter(|known| *known <= horizon);
    let is_newest = known.is_none_or(|known| at.seconds() >= known);
    if is_newest {
        if person(news).is_some() {
            row.role_set_at = Some(at.seconds());
        }
        row.claims_at = Some(at.seconds());
        row.role = person(news).unwrap_or(row.role);
        row.nickname = news.nickname.clone().or(row.nickname.take());
        row.email = news.email.clone().or(row.email.take());
    }
    let matters = row.role != before.role || row.blocked != before.blocked;
    if matters || row.nickname != before.nickname || row.email != before.email {
        Effect::Changed { matters }
    } else if is_newest || block.is_some() {
        Effect::Confirmed
    } else {
        Effect::Nothing
    }
}

/// The role that is told of, where it is one that a person may have.
fn person(news: &UserUpdate) -> Option<Role> {
    news.role.filter(|role| !role.is_service())
}

impl Store {
    /// Brings the table of users in step with what another service tells, once: a user who is not
    /// known is made, without a chat. A role or a block that changes is written into the journal, for
    /// live sessions. Nobody is told of any of it: who told us knows.
    ///
    /// News that are to come count as of now. News of our own users change nothing.
    pub async fn apply_user_update(&self, news: UserUpdate) -> Result<UpdateOutcome, StoreError> {
        if news.issuer == OWN_ISSUER {
            log::warn!("news of a user of our own, {:?}, change nothing", news.subject);
            return Ok(UpdateOutcome::Unchanged);
        }
        let horizon = self.horizon();
        transact!(self, |connection| {
            let now: Timestamp = run!(dialect::now(connection))?;
            if let Some((source, event_id)) = &news.event {
                let event =
                    (inbox::source.eq(source), inbox::event_id.eq(event_id), inbox::at.eq(now));
                let insert = diesel::insert_into(inbox::table).values(event);
                if run!(insert.on_conflict_do_nothing().execute(connection))? == 0 {
                    return Ok(UpdateOutcome::Unchanged);
                }
            }
            let at = news.at.map_or(now, |at| at.min(now));
            let names = BTreeSet::from([(news.issuer.clone(), news.subject.clone())]);
            let mut found = run!(dialect::lock_users(connection, &names))?.pop();
            let mut is_made = false;
            if found.is_none() {
                let (nickname, email) = (news.nickname.as_deref(), news.email.as_deref());
                let searched = search::searched(nickname, email, &news.subject);
                let user = (
                    users::search.eq(searched),
                    users::issuer.eq(&news.issuer),
                    users::subject.eq(&news.subject),
                    users::role.eq(person(&news).unwrap_or(Role::Customer)),
                    users::nickname.eq(&news.nickname),
                    users::email.eq(&news.email),
                    users::claims_at.eq(at.seconds()),
                    users::role_set_at.eq(person(&news).map(|_| at.seconds())),
                    users::blocked_at.eq(news.blocked.map(|_| at)),
                    users::blocked.eq(news.blocked.unwrap_or(false)),
                    users::created_at.eq(now),
                );
                let insert = diesel::insert_into(users::table).values(user);
                is_made = run!(insert.on_conflict_do_nothing().execute(connection))? > 0;
                found = run!(dialect::lock_users(connection, &names))?.pop();
            }
            // Users are never deleted, so whoever was made, by whomever, is found.
            let Some(mut row) = found else { return Err(diesel::result::Error::NotFound) };
            if is_made {
                return Ok(UpdateOutcome::Changed(row.into()));
            }
            if news.is_first || row.role.is_service() {
                return Ok(UpdateOutcome::Unchanged);
            }
            let blocked_at = users::table.find(row.id).select(users::blocked_at);
            let mut blocked_at: Option<Timestamp> = run!(blocked_at.first(connection))?;
            let effect = apply(&mut row, &mut blocked_at, &news, at, horizon);
            if effect == Effect::Nothing {
                return Ok(UpdateOutcome::Unchanged);
            }
            let update = diesel::update(users::table.find(row.id)).set((
                users::search.eq(row.searched()),
                users::role.eq(row.role),
                users::nickname.eq(&row.nickname),
                users::email.eq(&row.email),
                users::claims_at.eq(row.claims_at),
                users::role_set_at.eq(row.role_set_at),
                users::blocked.eq(row.blocked),
                users::blocked_at.eq(blocked_at),
            ));
            run!(update.execute(connection))?;
            if effect == (Effect::Changed { matters: true }) {
                run!(dialect::note(connection, &[Note::from(Change::UserChanged(row.id))]))?;
            }
            Ok(match effect {
                Effect::Changed { .. } => UpdateOutcome::Changed(row.into()),
                Effect::Nothing | Effect::Confirmed => UpdateOutcome::Unchanged,
            })
        })
    }

    /// Forgets by what repeats are known, of what was applied longer ago than `age`.
    pub async fn prune_inbox(&self, age: Duration) -> Result<(), StoreError> {
        let age = i64::try_from(age.as_micros()).unwrap_or(i64::MAX);
        transact!(self, |connection| {
            let now: Timestamp = run!(dialect::now(connection))?;
            // Never before 1970: PostgreSQL's calendar begins later than our numbers do.
            let before = Timestamp(now.0.saturating_sub(age).max(0));
            let old = inbox::table.filter(inbox::at.lt(before));
            run!(diesel::delete(old).execute(connection))?;
            Ok(())
        })
    }
}
