//! Users: lookups, lists, creation and blocking.

use std::collections::BTreeSet;

use diesel::dsl::{exists, select};
use diesel::{
    BoolExpressionMethods, EscapeExpressionMethods, ExpressionMethods, NullableExpressionMethods,
    OptionalExtension, QueryDsl, SelectableHelper, TextExpressionMethods,
};

use super::backend::{read, transact};
use super::journal::{Change, NewJournalEntry};
use super::outbox::NewOutboxRow;
use super::rows::UserRow;
use super::schema::{outbox, users};
use super::{Store, StoreError, search};
use crate::domain::{Created, OWN_ISSUER, Role, Timestamp, User, UserId};

diesel::define_sql_function! {
    /// Lower case: of every letter in PostgreSQL, of ASCII's in SQLite.
    fn lower<T: diesel::sql_types::SqlType + diesel::sql_types::SingleValue>(text: T) -> T;
}

/// The users of a list.
#[derive(Debug, Clone, Default)]
pub struct UserFilter {
    /// A part of the nickname, the address or the subject, in any case: Unicode's lower case, of no
    /// locale.
    pub query: Option<String>,
    /// The whole subject.
    pub subject: Option<String>,
}

impl Store {
    /// Finds a user by the issuer and the subject.
    pub async fn find_identity(
        &self,
        issuer: String,
        subject: String,
    ) -> Result<Option<User>, StoreError> {
        let row: Option<UserRow> = read!(self, |connection| {
            let user = users::table
                .filter(users::issuer.eq(&issuer))
                .filter(users::subject.eq(&subject))
                .select(UserRow::as_select());
            run!(user.first(connection)).optional()
        })?;
        Ok(row.map(User::from))
    }

    /// Finds a user.
    pub async fn user(&self, id: UserId) -> Result<Option<User>, StoreError> {
        let row: Option<UserRow> = read!(self, |connection| {
            let user = users::table.find(id).select(UserRow::as_select());
            run!(user.first(connection)).optional()
        })?;
        Ok(row.map(User::from))
    }

    /// The end of a user's last session; `None` for one who has had none, or is unknown.
    pub async fn last_seen(&self, id: UserId) -> Result<Option<Timestamp>, StoreError> {
        let at: Option<Option<Timestamp>> = read!(self, |connection| {
            let at = users::table.find(id).select(users::last_seen_at);
            run!(at.first(connection)).optional()
        })?;
        Ok(at.flatten())
    }

    /// True if there is a user of another issuer than this one.
    pub async fn has_users_beyond(&self, issuer: &'static str) -> Result<bool, StoreError> {
        read!(self, |connection| {
            let others = users::table.filter(users::issuer.ne(issuer));
            run!(select(exists(others)).get_result(connection))
        })
    }

    /// Records the ends of users' last sessions. A time that is not later changes nothing.
    pub async fn set_last_seen(&self, seen: Vec<(UserId, Timestamp)>) -> Result<(), StoreError> {
        if seen.is_empty() {
            return Ok(());
        }
        transact!(self, |connection| { run!(dialect::set_last_seen(connection, &seen)) })
    }

    /// Lists users by id, those after `after`, at most `limit`.
    pub async fn users(
        &self,
        filter: UserFilter,
        after: Option<UserId>,
        limit: i64,
    ) -> Result<Vec<User>, StoreError> {
        let rows: Vec<UserRow> = read!(self, |connection| {
            let mut query = users::table
                .filter(users::id.gt(after.unwrap_or(UserId(i64::MIN))))
                .order(users::id)
                .limit(limit)
                .select(UserRow::as_select())
                .into_boxed();
            if let Some(subject) = &filter.subject {
                query = query.filter(users::subject.eq(subject));
            }
            if let Some(part) = &filter.query {
                let pattern = search::pattern(part);
                let plain = lower(users::nickname)
                    .like(pattern.clone())
                    .escape('\\')
                    .or(lower(users::email).like(pattern.clone()).escape('\\'))
                    .or(lower(users::subject.nullable()).like(pattern.clone()).escape('\\'));
                // Rows of a node that does not fold are searched with the database's `lower`.
                let unfolded = users::search.is_null().and(plain);
                query = query.filter(users::search.like(pattern).escape('\\').or(unfolded));
            }
            run!(query.load(connection))
        })?;
        Ok(rows.into_iter().map(User::from).collect())
    }

    /// Finds the user, or creates a customer, without a chat; the first token overrides these
    /// values.
    pub async fn create_user(
        &self,
        issuer: String,
        subject: String,
        nickname: Option<String>,
        email: Option<String>,
    ) -> Result<Created<User>, StoreError> {
        let outbox_enabled = self.outbox.is_on();
        let searched = search::searched(nickname.as_deref(), email.as_deref(), &subject);
        let created: Created<UserRow> = transact!(self, |connection| {
            let now = run!(dialect::now(connection))?;
            let made: Option<UserId> = run!(
                diesel::insert_into(users::table)
                    .values((
                        users::issuer.eq(&issuer),
                        users::subject.eq(&subject),
                        users::role.eq(Role::Customer),
                        users::nickname.eq(&nickname),
                        users::email.eq(&email),
                        users::search.eq(&searched),
                        users::created_at.eq(now),
                    ))
                    .on_conflict_do_nothing()
                    .returning(users::id)
                    .get_result(connection)
            )
            .optional()?;
            if let Some(id) = made
                && outbox_enabled
            {
                let event = NewOutboxRow::user(id, now);
                run!(diesel::insert_into(outbox::table).values(event).execute(connection))?;
            }
            let user = users::table
                .filter(users::issuer.eq(&issuer))
                .filter(users::subject.eq(&subject))
                .select(UserRow::as_select());
            let row = run!(user.first(connection))?;
            Ok(if made.is_some() { Created::New(row) } else { Created::Existing(row) })
        })?;
        self.outbox.wake();
        Ok(created.map(User::from))
    }

    /// Blocks or unblocks a user, and sets the reason of the block. A change is written to the journal,
    /// for the other nodes.
    pub async fn set_blocked(
        &self,
        id: UserId,
        blocked: bool,
        reason: Option<String>,
    ) -> Result<Option<User>, StoreError> {
        let row: Option<UserRow> = transact!(self, |connection| {
            let now: Timestamp = run!(dialect::now(connection))?;
            let changed = run!(
                diesel::update(users::table.find(id).filter(users::blocked.ne(blocked)))
                    .set((users::blocked.eq(blocked), users::blocked_at.eq(now)))
                    .execute(connection)
            )?;
            if reason.is_some() || !blocked {
                let user = diesel::update(users::table.find(id));
                run!(user.set(users::block_reason.eq(&reason)).execute(connection))?;
            }
            if changed > 0 {
                run!(dialect::append_journal(
                    connection,
                    &[NewJournalEntry::from(Change::UserChanged(id))]
                ))?;
            }
            let user = users::table.find(id).select(UserRow::as_select());
            run!(user.first(connection)).optional()
        })?;
        Ok(row.map(User::from))
    }

    /// Sets a user's role, above every token that was issued before. A change is written to the journal.
    /// `None` if there is no such user, or it is a service's.
    pub async fn set_role(&self, id: UserId, role: Role) -> Result<Option<User>, StoreError> {
        let row: Option<UserRow> = transact!(self, |connection| {
            let now: Timestamp = run!(dialect::now(connection))?;
            let user = users::table.find(id).select(UserRow::as_select());
            let found: Option<UserRow> = run!(locked!(user).first(connection)).optional()?;
            let Some(mut row) = found.filter(|row| !row.role.is_service()) else { return Ok(None) };
            let is_change = row.role != role;
            row.role = role;
            let set = (users::role.eq(role), users::role_set_at.eq(now.seconds()));
            run!(diesel::update(users::table.find(id)).set(set).execute(connection))?;
            if is_change {
                let note = NewJournalEntry::from(Change::UserChanged(id));
                run!(dialect::append_journal(connection, &[note]))?;
            }
            Ok(Some(row))
        })?;
        Ok(row.map(User::from))
    }

    /// Finds or creates the user of a service: `role` is `Bot` or `System`, `name` is unique within
    /// the role. A given nickname replaces the stored one. A known user costs one read.
    ///
    /// # Errors
    /// `Internal` for a role that is not a service's.
    pub async fn service_user(
        &self,
        role: Role,
        name: String,
        nickname: Option<String>,
    ) -> Result<User, StoreError> {
        if !role.is_service() {
            return Err(StoreError::Internal(format!("{} is no service's role", role.as_str())));
        }
        let subject = format!("{}:{name}", role.as_str());
        let is_same =
            |user: &User| user.role == role && (nickname.is_none() || user.nickname == nickname);
        let known = self.find_identity(OWN_ISSUER.to_owned(), subject.clone()).await?;
        if let Some(user) = known.filter(is_same) {
            return Ok(user);
        }
        let row: UserRow = transact!(self, |connection| {
            let now: Timestamp = run!(dialect::now(connection))?;
            let user = (
                users::issuer.eq(OWN_ISSUER),
                users::subject.eq(&subject),
                users::role.eq(role),
                users::nickname.eq(&nickname),
                users::search.eq(search::searched(nickname.as_deref(), None, &subject)),
                users::created_at.eq(now),
            );
            let insert = diesel::insert_into(users::table).values(user);
            run!(insert.on_conflict_do_nothing().execute(connection))?;
            let names = BTreeSet::from([(OWN_ISSUER.to_owned(), subject)]);
            let found = run!(dialect::lock_users(connection, &names))?.pop();
            let Some(mut row) = found else { return Err(diesel::result::Error::NotFound) };
            // An older version knew no services, and stored this one as a customer.
            row.role = role;
            row.nickname = nickname.or(row.nickname);
            let update = diesel::update(users::table.find(row.id)).set((
                users::role.eq(row.role),
                users::nickname.eq(&row.nickname),
                users::search.eq(row.searched()),
            ));
            run!(update.execute(connection))?;
            Ok(row)
        })?;
        Ok(row.into())
    }
}
