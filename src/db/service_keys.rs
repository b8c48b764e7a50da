//! Keys of services that call the HTTP API.

use std::time::Duration;

use diesel::{
    BoolExpressionMethods, ExpressionMethods, OptionalExtension, QueryDsl, Queryable, Selectable,
    SelectableHelper,
};

use super::backend::{read, transact};
use super::schema::service_keys;
use super::{Store, StoreError};
use crate::domain::{KeyId, Scopes, StoredKey, Timestamp};

/// Precision of the last use: not each request writes.
const USE_PRECISION: Duration = Duration::from_secs(60);

#[derive(Debug, Queryable, Selectable)]
#[diesel(table_name = service_keys)]
struct KeyRow {
    id: KeyId,
    name: String,
    scopes: String,
    created_at: Timestamp,
    last_used_at: Option<Timestamp>,
    revoked_at: Option<Timestamp>,
}

impl From<KeyRow> for StoredKey {
    fn from(row: KeyRow) -> Self {
        let KeyRow { id, name, scopes, created_at, last_used_at, revoked_at } = row;
        Self { id, name, scopes: Scopes::parse(&scopes), created_at, last_used_at, revoked_at }
    }
}

impl Store {
    /// Stores a key of this hash.
    pub async fn create_key(
        &self,
        name: String,
        hash: String,
        scopes: Scopes,
    ) -> Result<StoredKey, StoreError> {
        let row: KeyRow = transact!(self, |connection| {
            let now: Timestamp = run!(dialect::now(connection))?;
            let key = (
                service_keys::name.eq(&name),
                service_keys::hash.eq(&hash),
                service_keys::scopes.eq(scopes.to_string()),
                service_keys::created_at.eq(now),
            );
            let insert = diesel::insert_into(service_keys::table).values(key);
            run!(insert.returning(KeyRow::as_returning()).get_result(connection))
        })?;
        Ok(row.into())
    }

    /// The key of this hash, unless it is revoked. Its use is recorded, to the minute.
    pub async fn use_key(&self, hash: String) -> Result<Option<StoredKey>, StoreError> {
        let row: Option<KeyRow> = read!(self, |connection| {
            let key = service_keys::table
                .filter(service_keys::hash.eq(&hash))
                .filter(service_keys::revoked_at.is_null())
                .select(KeyRow::as_select());
            run!(key.first(connection)).optional()
        })?;
        let Some(row) = row else { return Ok(None) };
        let before = Timestamp::now().before(USE_PRECISION);
        if row.last_used_at.is_none_or(|at| at < before) {
            let id = row.id;
            let recorded = transact!(self, |connection| {
                let now: Timestamp = run!(dialect::now(connection))?;
                let before = now.before(USE_PRECISION);
                let known = service_keys::table.find(id).filter(
                    service_keys::last_used_at.is_null().or(service_keys::last_used_at.lt(before)),
                );
                let used = diesel::update(known).set(service_keys::last_used_at.eq(now));
                run!(used.execute(connection))
            });
            if let Err(error) = recorded {
                log::debug!("cannot record the use of service key {id}: {error}");
            }
        }
        Ok(Some(row.into()))
    }

    /// Lists keys by id, those after `after`, at most `limit`, revoked ones included.
    pub async fn keys(
        &self,
        after: Option<KeyId>,
        limit: i64,
    ) -> Result<Vec<StoredKey>, StoreError> {
        let rows: Vec<KeyRow> = read!(self, |connection| {
            let keys = service_keys::table
                .filter(service_keys::id.gt(after.unwrap_or(KeyId(i64::MIN))))
                .order(service_keys::id)
                .limit(limit)
                .select(KeyRow::as_select());
            run!(keys.load(connection))
        })?;
        Ok(rows.into_iter().map(StoredKey::from).collect())
    }

    /// Revokes a key. `None` for an unknown one; one that is revoked stays as it is.
    pub async fn revoke_key(&self, id: KeyId) -> Result<Option<StoredKey>, StoreError> {
        let row: Option<KeyRow> = transact!(self, |connection| {
            let now: Timestamp = run!(dialect::now(connection))?;
            let live = service_keys::table.find(id).filter(service_keys::revoked_at.is_null());
            run!(diesel::update(live).set(service_keys::revoked_at.eq(now)).execute(connection))?;
            let key = service_keys::table.find(id).select(KeyRow::as_select());
            run!(key.first(connection)).optional()
        })?;
        Ok(row.map(StoredKey::from))
    }
}
