//! User admission: finds or creates users, brings them up to date, and reads their chats. Built for
//! reconnect storms: a batch of known users costs two reads, and all newcomers one transaction.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use diesel::{
    ExpressionMethods, NullableExpressionMethods, OptionalExtension, QueryDsl, SelectableHelper,
};

use super::backend::{read, transact};
use super::journal::{Change, NewJournalEntry};
use super::outbox::NewOutboxRow;
use super::rows::{OwnChatRow, UserRow};
use super::schema::{chat_members, chats, outbox, users};
use super::{Store, StoreError, search};
use crate::domain::{
    Chat, ChatAccess, ChatId, ChatKind, Created, Identity, Member, Role, Seq, Timestamp, User,
    UserId, access,
};

/// A user's chats that are returned with them.
const CHATS: i64 = 100;

/// An admitted user, who may be blocked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Admission {
    pub user: User,
    /// The user's chats by membership, at most 100, the latest active first. A customer's own is
    /// always among them; an admin's support chats are not.
    pub chats: Vec<ChatAccess>,
    /// The support chat that was just created for the user.
    pub created_chat: Option<Chat>,
}

/// The stored claims of a user, from tokens and services.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredClaims {
    pub role: Role,
    pub nickname: Option<String>,
    pub email: Option<String>,
    /// Issue time of the newest token or update, in seconds; `None` before the first that had one.
    pub at: Option<i64>,
    /// Time at which a service set the role, in seconds.
    pub role_set_at: Option<i64>,
}

impl StoredClaims {
    /// Claims of an unknown user.
    fn unknown() -> Self {
        Self { role: Role::Customer, nickname: None, email: None, at: None, role_set_at: None }
    }

    fn of(row: &UserRow) -> Self {
        Self {
            role: row.role,
            nickname: row.nickname.clone(),
            email: row.email.clone(),
            at: row.claims_at,
            role_set_at: row.role_set_at,
        }
    }

    /// Applies a token that is not older than the last one. A token without an issue time always
    /// counts: the last one wins. A role that a service set later is an upper bound. A known time
    /// beyond `horizon` was wrong, and is ignored.
    fn apply(&mut self, identity: &Identity, horizon: i64) {
        let known = self.at.filter(|at| *at <= horizon);
        let set = self.role_set_at.filter(|at| *at <= horizon);
        let is_before = |time: Option<i64>| {
            time.is_some_and(|time| identity.issued_at.is_some_and(|issued| issued < time))
        };
        let is_overruled = set.is_some() && (identity.issued_at.is_none() || is_before(set));
        let is_current = !is_before(known);
        // The newer time may be that of a service's update alone.
        if let Some(role) = identity.role
            && (is_current || (is_overruled && known <= set))
        {
            self.role = if is_overruled { access::role_of(Some(role), self.role) } else { role };
        }
        if is_current {
            self.at = identity.issued_at.or(known);
            self.nickname = identity.nickname.clone().or(self.nickname.take());
            self.email = identity.email.clone().or(self.email.take());
        }
    }
}

/// A user's key: the issuer, and the subject there.
pub type Name = (String, String);

fn name(identity: &Identity) -> Name {
    (identity.issuer.clone(), identity.subject.clone())
}

/// A stored user, and their chats.
#[derive(Debug)]
struct KnownUser {
    row: UserRow,
    chats: Vec<OwnChatRow>,
}

impl KnownUser {
    /// True if this token changes nothing. A service never signs in, so a token changes nothing of
    /// one.
    fn is_up_to_date(&self, identity: &Identity, horizon: i64) -> bool {
        if self.row.blocked || self.row.role.is_service() {
            return true;
        }
        let known = StoredClaims::of(&self.row);
        let mut claims = known.clone();
        claims.apply(identity, horizon);
        let role = access::role_of(identity.role, known.role);
        claims == known && (role == Role::Admin || self.support_chat().is_some())
    }

    fn support_chat(&self) -> Option<&OwnChatRow> {
        self.chats.iter().find(|chat| chat.kind == ChatKind::Support)
    }

    /// The state of a new support chat.
    fn new_chat(&self) -> Option<Chat> {
        let chat = self.support_chat()?;
        let UserRow { id, role, .. } = self.row;
        let (nickname, email) = (self.row.nickname.clone(), self.row.email.clone());
        Some(Chat {
            id: chat.chat_id,
            kind: ChatKind::Support,
            title: None,
            last_seq: Seq::ZERO,
            last_message: None,
            members: vec![Member { id, nickname, role, email }],
            is_large: false,
            created_at: chat.updated_at,
            updated_at: chat.updated_at,
        })
    }

    /// The chats of a bearer of this role.
    fn chat_access(&self, role: Role) -> Vec<ChatAccess> {
        let mut chats = self.chats.clone();
        if role == Role::Admin {
            chats.retain(|chat| chat.kind != ChatKind::Support);
        }
        chats.sort_by_key(|chat| std::cmp::Reverse((chat.updated_at, chat.chat_id)));
        chats.into_iter().map(OwnChatRow::standing).collect()
    }
}

impl Store {
    /// Finds or creates each user, in one unit of work; applies newer tokens; finds or creates each
    /// customer's support chat. Results are in the order of the identities. For a blocked user
    /// nothing is created or changed.
    pub async fn admit(&self, batch: Vec<Identity>) -> Result<Vec<Admission>, StoreError> {
        let horizon = self.horizon();
        let mut known = self.known(&batch).await?;
        let outdated: Vec<Identity> = batch
            .iter()
            .filter(|identity| {
                !known.get(&name(identity)).is_some_and(|k| k.is_up_to_date(identity, horizon))
            })
            .cloned()
            .collect();
        let mut created = HashMap::new();
        if !outdated.is_empty() {
            let mut newcomers: BTreeMap<Name, StoredClaims> = BTreeMap::new();
            for identity in &outdated {
                if !known.contains_key(&name(identity)) {
                    newcomers
                        .entry(name(identity))
                        .or_insert_with(StoredClaims::unknown)
                        .apply(identity, horizon);
                }
            }
            created = self.upsert(newcomers, outdated.clone(), Vec::new()).await?;
            known.extend(self.known(&outdated).await?);
        }
        batch
            .iter()
            .map(|identity| {
                // Users are never deleted, so every user is found now.
                let known = known
                    .get(&name(identity))
                    .ok_or_else(|| StoreError::Internal("a user vanished".to_owned()))?;
                Ok(Admission {
                    user: known.row.clone().into(),
                    chats: known.chat_access(access::role_of(identity.role, known.row.role)),
                    // Reported once, even if the batch has the user twice.
                    created_chat: created.remove(&known.row.id).and_then(|_| known.new_chat()),
                })
            })
            .collect()
    }

    /// Finds or creates a customer's support chat.
    pub async fn own_chat(&self, customer: UserId) -> Result<Created<ChatId>, StoreError> {
        if let Some(chat) = self.support_chat(customer).await? {
            return Ok(Created::Existing(chat));
        }
        let created = self.upsert(BTreeMap::new(), Vec::new(), vec![customer]).await?;
        if let Some(chat) = created.get(&customer) {
            return Ok(Created::New(*chat));
        }
        let found = self.support_chat(customer).await?;
        let chat = found.ok_or_else(|| StoreError::Internal(format!("no customer {customer}")))?;
        Ok(Created::Existing(chat))
    }

    /// A customer's own chat, if it exists.
    pub async fn support_chat(&self, customer: UserId) -> Result<Option<ChatId>, StoreError> {
        read!(self, |connection| {
            let chat = chats::table.filter(chats::customer_id.eq(customer)).select(chats::id);
            run!(chat.first::<ChatId>(connection)).optional()
        })
    }

    /// The stored users among the bearers.
    async fn known(&self, identities: &[Identity]) -> Result<HashMap<Name, KnownUser>, StoreError> {
        let names: BTreeSet<Name> = identities.iter().map(name).collect();
        let (rows, chats): (Vec<UserRow>, Vec<OwnChatRow>) = read!(self, |connection| {
            let rows = run!(dialect::find_users(connection, &names))?;
            let ids: Vec<UserId> = rows.iter().map(|row| row.id).collect();
            let chats = run!(dialect::standings_of(connection, &ids, CHATS))?;
            Ok((rows, chats))
        })?;
        let mut chats_of: HashMap<UserId, Vec<OwnChatRow>> = HashMap::new();
        for chat in chats {
            chats_of.entry(chat.user_id).or_default().push(chat);
        }
        let known = |row: UserRow| {
            let chats = chats_of.remove(&row.id).unwrap_or_default();
            ((row.issuer.clone(), row.subject.clone()), KnownUser { row, chats })
        };
        Ok(rows.into_iter().map(known).collect())
    }

    /// Writes what is missing: newcomers, newer claims, the support chats of these identities and
    /// customers, and the journal. Returns the created chats.
    ///
    /// Each user's row is locked first, users in one order: concurrent attempts create one chat,
    /// without a deadlock.
    async fn upsert(
        &self,
        newcomers: BTreeMap<Name, StoredClaims>,
        identities: Vec<Identity>,
        customers: Vec<UserId>,
    ) -> Result<HashMap<UserId, ChatId>, StoreError> {
        let horizon = self.horizon();
        let outbox_enabled = self.outbox.is_on();
        let created = transact!(self, |connection| {
            let now: Timestamp = run!(dialect::now(connection))?;
            if !newcomers.is_empty() {
                let rows: Vec<_> = newcomers
                    .iter()
                    .map(|((issuer, subject), claims)| {
                        let (nickname, email) = (&claims.nickname, &claims.email);
                        let (nickname, email) = (nickname.as_deref(), email.as_deref());
                        (
                            users::search.eq(search::searched(nickname, email, subject)),
                            users::issuer.eq(issuer),
                            users::subject.eq(subject),
                            users::role.eq(claims.role),
                            users::nickname.eq(nickname),
                            users::email.eq(email),
                            users::claims_at.eq(claims.at),
                            users::created_at.eq(now),
                        )
                    })
                    .collect();
                let insert = diesel::insert_into(users::table).values(rows);
                let insert = insert.on_conflict_do_nothing().returning(users::id);
                let made: Vec<UserId> = run!(insert.get_results(connection))?;
                if outbox_enabled && !made.is_empty() {
                    let events: Vec<_> =
                        made.iter().map(|user| NewOutboxRow::user(*user, now)).collect();
                    run!(diesel::insert_into(outbox::table).values(events).execute(connection))?;
                }
            }

            let names: BTreeSet<Name> = identities.iter().map(name).collect();
            let mut locked = run!(dialect::lock_users(connection, &names))?;
            if !customers.is_empty() {
                let users = users::table
                    .filter(users::id.eq_any(customers))
                    .order(users::id)
                    .select(UserRow::as_select());
                locked.extend(run!(locked!(users).load::<UserRow>(connection))?);
            }
            locked.retain(|row| !row.blocked && !row.role.is_service());

            let (changes, notes) = changes(&mut locked, &identities, horizon);
            if !changes.is_empty() {
                run!(dialect::apply_claims(connection, &changes))?;
            }
            if !notes.is_empty() {
                run!(dialect::append_journal(connection, &notes))?;
            }

            // A bearer with the customer role has a chat, whatever role is stored.
            let as_customers: BTreeSet<Name> = identities
                .iter()
                .filter(|identity| identity.role == Some(Role::Customer))
                .map(name)
                .collect();
            let is_customer = |row: &&UserRow| {
                row.role == Role::Customer
                    || as_customers.contains(&(row.issuer.clone(), row.subject.clone()))
            };
            let customers: BTreeSet<UserId> =
                locked.iter().filter(is_customer).map(|row| row.id).collect();
            let support = chats::table
                .filter(chats::customer_id.eq_any(customers.iter().copied().collect::<Vec<_>>()))
                .select((chats::customer_id.assume_not_null(), chats::id));
            let before: Vec<(UserId, ChatId)> = run!(support.clone().load(connection))?;
            let before: HashMap<UserId, ChatId> = before.into_iter().collect();
            let without: Vec<UserId> =
                customers.into_iter().filter(|id| !before.contains_key(id)).collect();
            if without.is_empty() {
                return Ok(HashMap::new());
            }
            let rows: Vec<_> = without
                .iter()
                .map(|customer| {
                    (
                        chats::kind.eq(ChatKind::Support),
                        chats::customer_id.eq(customer),
                        chats::created_at.eq(now),
                        chats::updated_at.eq(now),
                        chats::active_minute.eq(now.minutes()),
                    )
                })
                .collect();
            run!(diesel::insert_into(chats::table).values(rows).execute(connection))?;
            let created: Vec<(UserId, ChatId)> = run!(support.load(connection))?;
            let created: HashMap<UserId, ChatId> =
                created.into_iter().filter(|(id, _)| !before.contains_key(id)).collect();
            let members: Vec<_> = created
                .iter()
                .map(|(user, chat)| {
                    (
                        chat_members::chat_id.eq(*chat),
                        chat_members::user_id.eq(*user),
                        chat_members::joined_at.eq(now),
                    )
                })
                .collect();
            run!(diesel::insert_into(chat_members::table).values(members).execute(connection))?;
            let notes: Vec<NewJournalEntry> = created
                .values()
                .map(|chat| NewJournalEntry::from(Change::ChatCreated(*chat)))
                .collect();
            run!(dialect::append_journal(connection, &notes))?;
            if outbox_enabled {
                let events: Vec<_> =
                    created.values().map(|chat| NewOutboxRow::chat(*chat, now)).collect();
                run!(diesel::insert_into(outbox::table).values(events).execute(connection))?;
            }
            Ok(created)
        })?;
        self.outbox.wake();
        Ok(created)
    }
}

/// The claims that tokens change of these users, and the changes that live sessions must learn of.
fn changes(
    rows: &mut [UserRow],
    identities: &[Identity],
    horizon: i64,
) -> (Vec<(UserId, StoredClaims, String)>, Vec<NewJournalEntry>) {
    let mut tokens: HashMap<Name, Vec<&Identity>> = HashMap::new();
    for identity in identities {
        tokens.entry(name(identity)).or_default().push(identity);
    }
    let mut changes = Vec::new();
    let mut notes = Vec::new();
    for row in rows {
        let known = StoredClaims::of(row);
        let mut claims = known.clone();
        for token in tokens.get(&(row.issuer.clone(), row.subject.clone())).into_iter().flatten() {
            claims.apply(token, horizon);
        }
        if claims != known {
            if claims.role != row.role {
                notes.push(NewJournalEntry::from(Change::UserChanged(row.id)));
            }
            row.role = claims.role;
            let (nickname, email) = (claims.nickname.as_deref(), claims.email.as_deref());
            let searched = search::searched(nickname, email, &row.subject);
            changes.push((row.id, claims, searched));
        }
    }
    (changes, notes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(issued_at: Option<i64>, role: Option<Role>, nickname: Option<&str>) -> Identity {
        Identity {
            issuer: String::new(),
            subject: "kim".to_owned(),
            role,
            nickname: nickname.map(str::to_owned),
            email: None,
            issued_at,
        }
    }

    /// Applies a token to stored claims.
    fn after(
        at: Option<i64>,
        set: Option<i64>,
        stored: Role,
        issued: Option<i64>,
        said: Role,
    ) -> Role {
        let mut claims =
            StoredClaims { role: stored, at, role_set_at: set, ..StoredClaims::unknown() };
        claims.apply(&token(issued, Some(said), None), HORIZON);
        claims.role
    }

    const HORIZON: i64 = 1_000;

    #[test]
    fn the_last_word_counts_where_no_token_says_when_it_was_issued() {
        use Role::{Admin, Customer};
        assert_eq!(after(None, None, Admin, None, Customer), Customer);
        assert_eq!(after(None, None, Customer, None, Admin), Admin);
        assert_eq!(after(Some(10), None, Admin, None, Customer), Customer);
    }

    #[test]
    fn a_token_of_the_same_second_counts_and_an_older_one_does_not() {
        use Role::{Admin, Customer};
        assert_eq!(after(Some(10), None, Customer, Some(9), Admin), Customer);
        assert_eq!(after(Some(10), None, Admin, Some(9), Customer), Admin);
        assert_eq!(after(Some(10), None, Customer, Some(10), Admin), Admin);
    }

    #[test]
    fn a_role_that_a_service_set_is_lowered_but_not_raised_by_what_came_before() {
        use Role::{Admin, Customer};
        for issued in [None, Some(9)] {
            assert_eq!(after(Some(10), Some(10), Customer, issued, Admin), Customer);
            assert_eq!(after(Some(10), Some(10), Admin, issued, Customer), Customer);
        }
        assert_eq!(after(Some(10), Some(10), Customer, Some(10), Admin), Admin);
        // A token issued after the service's update overrides it.
        assert_eq!(after(Some(20), Some(10), Admin, Some(9), Customer), Admin);
    }

    #[test]
    fn a_time_that_is_still_to_come_freezes_nobody() {
        let mut claims = StoredClaims { at: Some(HORIZON + 1), ..StoredClaims::unknown() };
        claims.apply(&token(Some(10), Some(Role::Admin), Some("Kim")), HORIZON);
        assert_eq!((claims.role, claims.nickname.as_deref()), (Role::Admin, Some("Kim")));
        assert_eq!(claims.at, Some(10));
    }

    #[test]
    fn a_missing_claim_changes_nothing() {
        let mut claims = StoredClaims::unknown();
        claims.apply(&token(Some(10), Some(Role::Admin), Some("Kim")), HORIZON);
        claims.apply(&token(Some(11), None, None), HORIZON);
        assert_eq!((claims.role, claims.nickname.as_deref()), (Role::Admin, Some("Kim")));
    }
}
