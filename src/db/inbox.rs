//! Idempotent inbox: other services' updates of their users, each applied once.

use std::collections::BTreeSet;
use std::time::Duration;

use diesel::{ExpressionMethods, QueryDsl};

use super::backend::transact;
use super::journal::{Change, NewJournalEntry};
use super::rows::UserRow;
use super::schema::{inbox, users};
use super::{Store, StoreError, search};
use crate::domain::{OWN_ISSUER, Role, Timestamp, UpdateOutcome, UserUpdate};

/// The effect of an update on a user's row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Effect {
    /// None: it is older than the stored state.
    Nothing,
    /// The row stays as it was, with a newer time.
    Confirmed,
    Changed {
        /// True if open sessions must learn of it: another role, or a block.
        matters: bool,
    },
}

/// Applies an update unless it is older than the stored state: its time is compared with the newest
/// token and the newest update, by the second, as tokens count. Tokens say nothing on blocking, so
/// a block is compared with the last update that did (`blocked_at`). Updates of the same time count
/// in order of arrival.
fn apply(
    row: &mut UserRow,
    blocked_at: &mut Option<Timestamp>,
    update: &UserUpdate,
    at: Timestamp,
    horizon: i64,
) -> Effect {
    let before = row.clone();
    let block = update.blocked.filter(|_| blocked_at.is_none_or(|known| at >= known));
    if let Some(blocked) = block {
        row.blocked = blocked;
        *blocked_at = Some(at);
    }
    // A known time in the future was wrong, and is ignored.
    let known = row.claims_at.filter(|known| *known <= horizon);
    let is_newest = known.is_none_or(|known| at.seconds() >= known);
    if is_newest {
        if person(update).is_some() {
            row.role_set_at = Some(at.seconds());
        }
        row.claims_at = Some(at.seconds());
        row.role = person(update).unwrap_or(row.role);
        row.nickname = update.nickname.clone().or(row.nickname.take());
        row.email = update.email.clone().or(row.email.take());
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

/// The role of an update, if a person may have it.
fn person(update: &UserUpdate) -> Option<Role> {
    update.role.filter(|role| !role.is_service())
}

impl Store {
    /// Applies an update of another service, once: an unknown user is created, without a chat. A
    /// changed role or block is written to the journal, for live sessions. No event is written: the
    /// service knows.
    ///
    /// An update from the future counts as of now. Updates of our own users are ignored.
    pub async fn apply_user_update(&self, update: UserUpdate) -> Result<UpdateOutcome, StoreError> {
        if update.issuer == OWN_ISSUER {
            log::warn!("an update of a user of our own, {:?}, is ignored", update.subject);
            return Ok(UpdateOutcome::Unchanged);
        }
        let horizon = self.horizon();
        transact!(self, |connection| {
            let now: Timestamp = run!(dialect::now(connection))?;
            if let Some((source, event_id)) = &update.event {
                let event =
                    (inbox::source.eq(source), inbox::event_id.eq(event_id), inbox::at.eq(now));
                let insert = diesel::insert_into(inbox::table).values(event);
                if run!(insert.on_conflict_do_nothing().execute(connection))? == 0 {
                    return Ok(UpdateOutcome::Unchanged);
                }
            }
            let at = update.at.map_or(now, |at| at.min(now));
            let names = BTreeSet::from([(update.issuer.clone(), update.subject.clone())]);
            let mut found = run!(dialect::lock_users(connection, &names))?.pop();
            let mut is_made = false;
            if found.is_none() {
                let (nickname, email) = (update.nickname.as_deref(), update.email.as_deref());
                let searched = search::searched(nickname, email, &update.subject);
                let user = (
                    users::search.eq(searched),
                    users::issuer.eq(&update.issuer),
                    users::subject.eq(&update.subject),
                    users::role.eq(person(&update).unwrap_or(Role::Customer)),
                    users::nickname.eq(&update.nickname),
                    users::email.eq(&update.email),
                    users::claims_at.eq(at.seconds()),
                    users::role_set_at.eq(person(&update).map(|_| at.seconds())),
                    users::blocked_at.eq(update.blocked.map(|_| at)),
                    users::blocked.eq(update.blocked.unwrap_or(false)),
                    users::created_at.eq(now),
                );
                let insert = diesel::insert_into(users::table).values(user);
                is_made = run!(insert.on_conflict_do_nothing().execute(connection))? > 0;
                found = run!(dialect::lock_users(connection, &names))?.pop();
            }
            // Users are never deleted, so the user is found, whoever created it.
            let Some(mut row) = found else { return Err(diesel::result::Error::NotFound) };
            if is_made {
                return Ok(UpdateOutcome::Changed(row.into()));
            }
            if update.is_first || row.role.is_service() {
                return Ok(UpdateOutcome::Unchanged);
            }
            let blocked_at = users::table.find(row.id).select(users::blocked_at);
            let mut blocked_at: Option<Timestamp> = run!(blocked_at.first(connection))?;
            let effect = apply(&mut row, &mut blocked_at, &update, at, horizon);
            if effect == Effect::Nothing {
                return Ok(UpdateOutcome::Unchanged);
            }
            let change = diesel::update(users::table.find(row.id)).set((
                users::search.eq(row.searched()),
                users::role.eq(row.role),
                users::nickname.eq(&row.nickname),
                users::email.eq(&row.email),
                users::claims_at.eq(row.claims_at),
                users::role_set_at.eq(row.role_set_at),
                users::blocked.eq(row.blocked),
                users::blocked_at.eq(blocked_at),
            ));
            run!(change.execute(connection))?;
            if effect == (Effect::Changed { matters: true }) {
                run!(dialect::append_journal(
                    connection,
                    &[NewJournalEntry::from(Change::UserChanged(row.id))]
                ))?;
            }
            Ok(match effect {
                Effect::Changed { .. } => UpdateOutcome::Changed(row.into()),
                Effect::Nothing | Effect::Confirmed => UpdateOutcome::Unchanged,
            })
        })
    }

    /// Deletes the ids of events that were applied longer ago than `age`: their repeats are no
    /// longer recognised.
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
