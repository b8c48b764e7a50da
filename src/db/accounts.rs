//! Built-in accounts, and the logins to them.

use std::collections::HashSet;
use std::time::Duration;

use diesel::{
    BoolExpressionMethods, ExpressionMethods, JoinOnDsl, OptionalExtension, QueryDsl, Queryable,
    Selectable, SelectableHelper,
};

use super::backend::{read, transact};
use super::journal::{Change, NewJournalEntry};
use super::outbox::NewOutboxRow;
use super::rows::UserRow;
use super::schema::{accounts, logins, outbox, users};
use super::{Store, StoreError, search};
use crate::domain::{Email, Login, LoginId, OWN_ISSUER, Refresh, Role, Timestamp, User, UserId};

/// Logins of one account; the oldest make room for one more.
const MOST_LOGINS: usize = 100;
/// Ended logins of an account that its sessions are told of, the latest: more do not end between two polls.
const MOST_ENDED: i64 = 1_000;
/// Time for which an ended login is kept: nodes learn of it from its row.
const ENDED_KEPT: Duration = Duration::from_secs(86_400);

/// An account to be created.
#[derive(Debug, Clone)]
pub struct NewAccount {
    pub email: Email,
    /// In the PHC string format.
    pub password_hash: String,
    pub nickname: Option<String>,
    pub role: Role,
}

/// An account, with its user.
#[derive(Debug, Clone)]
pub struct Account {
    pub user: User,
    pub password_hash: String,
}

/// The outcome of a refresh.
#[derive(Debug, Clone)]
pub enum Refreshed {
    /// The number of the next refresh token.
    Next { user: User, generation: i64, expires_at: Timestamp },
    /// The login is revoked by this, and its sessions end.
    Revoked(User),
    /// Signed out, revoked before, or at its end.
    Over,
    /// The user is blocked; the token stays good for the time after.
    Blocked,
}

#[derive(Debug, Clone, Queryable, Selectable)]
#[diesel(table_name = logins)]
struct LoginRow {
    id: LoginId,
    user_id: UserId,
    generation: i64,
    refreshed_at: Timestamp,
    expires_at: Timestamp,
    ended_at: Option<Timestamp>,
}

impl From<LoginRow> for Login {
    fn from(row: LoginRow) -> Self {
        let LoginRow { id, user_id: user, generation, refreshed_at, expires_at, ended_at } = row;
        Self { id, user, generation, refreshed_at, expires_at, has_ended: ended_at.is_some() }
    }
}

impl Store {
    /// Creates an account and its user; `None` if the e-mail has one.
    pub async fn create_account(&self, new: NewAccount) -> Result<Option<User>, StoreError> {
        let outbox_enabled = self.outbox.is_on();
        let row: Option<UserRow> = transact!(self, |connection| {
            let now: Timestamp = run!(dialect::now(connection))?;
            let (key, given) = (new.email.normal(), new.email.given());
            let taken =
                accounts::table.filter(accounts::email_key.eq(key)).select(accounts::user_id);
            if run!(taken.first::<UserId>(connection)).optional()?.is_some() {
                return Ok(None);
            }
            // The subject is the user's id, which is not known yet.
            let draft = format!("account:{}", LoginId::random());
            let user = (
                users::issuer.eq(OWN_ISSUER),
                users::subject.eq(&draft),
                users::role.eq(new.role),
                users::nickname.eq(&new.nickname),
                users::email.eq(given),
                users::created_at.eq(now),
            );
            let insert = diesel::insert_into(users::table).values(user).returning(users::id);
            let id: UserId = run!(insert.get_result(connection))?;
            let subject = id.to_string();
            let searched = search::searched(new.nickname.as_deref(), Some(given), &subject);
            let named = diesel::update(users::table.find(id))
                .set((users::subject.eq(&subject), users::search.eq(searched)));
            run!(named.execute(connection))?;
            let account = (
                accounts::user_id.eq(id),
                accounts::email_key.eq(key),
                accounts::password_hash.eq(&new.password_hash),
                accounts::changed_at.eq(now),
            );
            let insert =
                diesel::insert_into(accounts::table).values(account).on_conflict_do_nothing();
            if run!(insert.execute(connection))? == 0 {
                // Another was faster by a moment.
                run!(diesel::delete(users::table.find(id)).execute(connection))?;
                return Ok(None);
            }
            if outbox_enabled {
                let event = NewOutboxRow::user(id, now);
                run!(diesel::insert_into(outbox::table).values(event).execute(connection))?;
            }
            let user = users::table.find(id).select(UserRow::as_select());
            Ok(Some(run!(user.first(connection))?))
        })?;
        self.outbox.wake();
        Ok(row.map(User::from))
    }

    /// The account of an e-mail in its normal form.
    pub async fn account(&self, email: String) -> Result<Option<Account>, StoreError> {
        let found: Option<(UserRow, String)> = read!(self, |connection| {
            let account = accounts::table
                .inner_join(users::table.on(users::id.eq(accounts::user_id)))
                .filter(accounts::email_key.eq(&email))
                .select((UserRow::as_select(), accounts::password_hash));
            run!(account.first(connection)).optional()
        })?;
        Ok(found.map(|(row, password_hash)| Account { user: row.into(), password_hash }))
    }

    /// The account of a user.
    pub async fn account_of(&self, user: UserId) -> Result<Option<Account>, StoreError> {
        let found: Option<(UserRow, String)> = read!(self, |connection| {
            let account = accounts::table
                .inner_join(users::table.on(users::id.eq(accounts::user_id)))
                .filter(accounts::user_id.eq(user))
                .select((UserRow::as_select(), accounts::password_hash));
            run!(account.first(connection)).optional()
        })?;
        Ok(found.map(|(row, password_hash)| Account { user: row.into(), password_hash }))
    }

    /// Sets an account's password, and ends its logins but `keep`. `false` if the user has no account.
    pub async fn set_password(
        &self,
        user: UserId,
        password_hash: String,
        keep: Option<LoginId>,
    ) -> Result<bool, StoreError> {
        transact!(self, |connection| {
            let now: Timestamp = run!(dialect::now(connection))?;
            let set = diesel::update(accounts::table.find(user))
                .set((accounts::password_hash.eq(&password_hash), accounts::changed_at.eq(now)));
            if run!(set.execute(connection))? == 0 {
                return Ok(false);
            }
            let kept = keep.unwrap_or(LoginId(0));
            let others = logins::table
                .filter(logins::user_id.eq(user))
                .filter(logins::ended_at.is_null())
                .filter(logins::id.ne(kept));
            let end = diesel::update(others).set(logins::ended_at.eq(now));
            if run!(end.execute(connection))? > 0 {
                let note = NewJournalEntry::from(Change::UserChanged(user));
                run!(dialect::append_journal(connection, &[note]))?;
            }
            Ok(true)
        })
    }

    /// Begins a login of `lifetime`. Its first refresh token has the number 1. `None` if the password has
    /// changed since this hash of it was read: the change would not have ended this login.
    pub async fn begin_login(
        &self,
        user: UserId,
        password_hash: String,
        lifetime: Duration,
    ) -> Result<Option<Login>, StoreError> {
        let id = LoginId::random();
        transact!(self, |connection| {
            let now: Timestamp = run!(dialect::now(connection))?;
            let account = accounts::table.find(user).select(accounts::password_hash);
            let known: Option<String> = run!(locked!(account).first(connection)).optional()?;
            if known != Some(password_hash) {
                return Ok(None);
            }
            let mine = logins::table
                .filter(logins::user_id.eq(user))
                .filter(logins::ended_at.is_null())
                .order((logins::refreshed_at, logins::id))
                .select(logins::id);
            let mine: Vec<LoginId> = run!(mine.load(connection))?;
            let too_many = mine.len().saturating_sub(MOST_LOGINS - 1);
            if let Some(oldest) = mine.get(..too_many).filter(|oldest| !oldest.is_empty()) {
                let oldest = logins::table.filter(logins::id.eq_any(oldest.to_vec()));
                let end = diesel::update(oldest).set(logins::ended_at.eq(now));
                run!(end.execute(connection))?;
                let note = NewJournalEntry::from(Change::UserChanged(user));
                run!(dialect::append_journal(connection, &[note]))?;
            }
            let expires_at = now.after(lifetime);
            let row = (
                logins::id.eq(id),
                logins::user_id.eq(user),
                logins::generation.eq(1_i64),
                logins::refreshed_at.eq(now),
                logins::expires_at.eq(expires_at),
            );
            run!(diesel::insert_into(logins::table).values(row).execute(connection))?;
            Ok(Some(Login {
                id,
                user,
                generation: 1,
                refreshed_at: now,
                expires_at,
                has_ended: false,
            }))
        })
    }

    /// Takes a login's refresh token number `generation`, and prolongs the login by `lifetime` from now.
    pub async fn refresh_login(
        &self,
        id: LoginId,
        generation: i64,
        lifetime: Duration,
    ) -> Result<Refreshed, StoreError> {
        transact!(self, |connection| {
            let now: Timestamp = run!(dialect::now(connection))?;
            let login = logins::table.find(id).select(LoginRow::as_select());
            let row: Option<LoginRow> = run!(locked!(login).first(connection)).optional()?;
            let Some(login) = row.map(Login::from) else { return Ok(Refreshed::Over) };
            let user = users::table.find(login.user).select(UserRow::as_select());
            let user = User::from(run!(user.first::<UserRow>(connection))?);
            if user.blocked {
                return Ok(Refreshed::Blocked);
            }
            match login.refresh(generation, now) {
                Refresh::Over => Ok(Refreshed::Over),
                Refresh::Repeat(generation) => {
                    Ok(Refreshed::Next { user, generation, expires_at: login.expires_at })
                }
                Refresh::Rotate(generation) => {
                    let expires_at = now.after(lifetime);
                    let rotated = diesel::update(logins::table.find(id)).set((
                        logins::generation.eq(generation),
                        logins::refreshed_at.eq(now),
                        logins::expires_at.eq(expires_at),
                    ));
                    run!(rotated.execute(connection))?;
                    Ok(Refreshed::Next { user, generation, expires_at })
                }
                Refresh::Revoke => {
                    let end = diesel::update(logins::table.find(id)).set(logins::ended_at.eq(now));
                    run!(end.execute(connection))?;
                    let note = NewJournalEntry::from(Change::UserChanged(login.user));
                    run!(dialect::append_journal(connection, &[note]))?;
                    Ok(Refreshed::Revoked(user))
                }
            }
        })
    }

    /// Ends a login. Returns its user if it had not ended.
    pub async fn end_login(&self, id: LoginId) -> Result<Option<User>, StoreError> {
        let row: Option<UserRow> = transact!(self, |connection| {
            let now: Timestamp = run!(dialect::now(connection))?;
            let live = logins::table.find(id).filter(logins::ended_at.is_null());
            if run!(diesel::update(live).set(logins::ended_at.eq(now)).execute(connection))? == 0 {
                return Ok(None);
            }
            let user = users::table
                .inner_join(logins::table.on(logins::user_id.eq(users::id)))
                .filter(logins::id.eq(id))
                .select(UserRow::as_select());
            let row: UserRow = run!(user.first(connection))?;
            let note = NewJournalEntry::from(Change::UserChanged(row.id));
            run!(dialect::append_journal(connection, &[note]))?;
            Ok(Some(row))
        })?;
        Ok(row.map(User::from))
    }

    /// Those of these logins that live, each with its user.
    pub async fn live_logins(
        &self,
        ids: Vec<LoginId>,
    ) -> Result<HashSet<(LoginId, UserId)>, StoreError> {
        let rows: Vec<(LoginId, UserId)> = read!(self, |connection| {
            let now: Timestamp = run!(dialect::now(connection))?;
            let live = logins::table
                .filter(logins::id.eq_any(ids))
                .filter(logins::ended_at.is_null())
                .filter(logins::expires_at.gt(now))
                .select((logins::id, logins::user_id));
            run!(live.load(connection))
        })?;
        Ok(rows.into_iter().collect())
    }

    /// A user's logins that have ended within the last day, at most 1,000, the latest first.
    pub async fn ended_logins(&self, user: UserId) -> Result<Vec<LoginId>, StoreError> {
        read!(self, |connection| {
            let ended = logins::table
                .filter(logins::user_id.eq(user))
                .filter(logins::ended_at.is_not_null())
                .order(logins::ended_at.desc())
                .limit(MOST_ENDED)
                .select(logins::id);
            run!(ended.load(connection))
        })
    }

    /// Deletes logins that ended or expired a day ago, and returns their number.
    pub async fn prune_logins(&self) -> Result<usize, StoreError> {
        transact!(self, |connection| {
            let now: Timestamp = run!(dialect::now(connection))?;
            let before = now.before(ENDED_KEPT);
            let old =
                logins::table.filter(logins::expires_at.lt(before).or(logins::ended_at.lt(before)));
            run!(diesel::delete(old).execute(connection))
        })
    }
}
