//! SQL types of the domain's values: one mapping for both databases.

use diesel::backend::Backend;
use diesel::deserialize::{self, FromSql, FromSqlRow};
use diesel::expression::AsExpression;
use diesel::pg::{Pg, PgValue};
use diesel::serialize::{self, IsNull, Output, ToSql};
use diesel::sql_types::{BigInt, Text};
use diesel::sqlite::Sqlite;

use crate::domain::{
    ChatId, ChatKind, KeyId, LoginId, MessageId, MessageKind, Role, Seq, Timestamp, UserId,
};

/// A point in time: `TIMESTAMPTZ` in PostgreSQL, `INTEGER` microseconds since 1970 in SQLite.
#[derive(
    Debug, Clone, Copy, Default, diesel::sql_types::SqlType, diesel::query_builder::QueryId,
)]
#[diesel(postgres_type(oid = 1184, array_oid = 1185))]
#[diesel(sqlite_type(name = "Long"))]
pub struct UtcTimestamp;

/// PostgreSQL counts from the year 2000.
const POSTGRES_EPOCH: i64 = 946_684_800_000_000;

/// Makes a domain type usable as a value in a query and as a column of a row.
macro_rules! value {
    ($sql:ty: $($ty:ident in $proxy:ident),+) => {$(
        #[derive(AsExpression, FromSqlRow)]
        #[diesel(foreign_derive, sql_type = $sql)]
        #[expect(dead_code, reason = "only tells the derives which type is meant")]
        struct $proxy($ty);
    )+};
}

value!(BigInt: UserId in UserIdProxy, ChatId in ChatIdProxy, MessageId in MessageIdProxy, Seq in SeqProxy, LoginId in LoginIdProxy, KeyId in KeyIdProxy);
value!(Text: Role in RoleProxy, ChatKind in ChatKindProxy, MessageKind in MessageKindProxy);
value!(UtcTimestamp: Timestamp in TimestampProxy);

macro_rules! stored_as_integer {
    ($($ty:ident),+) => {$(
        impl<DB: Backend> ToSql<BigInt, DB> for $ty
        where
            i64: ToSql<BigInt, DB>,
        {
            fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, DB>) -> serialize::Result {
                self.0.to_sql(out)
            }
        }

        impl<DB: Backend> FromSql<BigInt, DB> for $ty
        where
            i64: FromSql<BigInt, DB>,
        {
            fn from_sql(value: DB::RawValue<'_>) -> deserialize::Result<Self> {
                i64::from_sql(value).map(Self)
            }
        }
    )+};
}

stored_as_integer!(UserId, ChatId, MessageId, Seq, LoginId, KeyId);

macro_rules! stored_as_word {
    ($($ty:ident, $parse:expr);+) => {$(
        impl<DB: Backend> ToSql<Text, DB> for $ty
        where
            str: ToSql<Text, DB>,
        {
            fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, DB>) -> serialize::Result {
                self.as_str().to_sql(out)
            }
        }

        impl<DB: Backend> FromSql<Text, DB> for $ty
        where
            String: FromSql<Text, DB>,
        {
            fn from_sql(value: DB::RawValue<'_>) -> deserialize::Result<Self> {
                String::from_sql(value).and_then($parse)
            }
        }
    )+};
}

stored_as_word! {
    Role, |word| Role::parse_any(&word).ok_or_else(|| format!("unknown word {word:?}").into());
    ChatKind, |word| Ok(ChatKind::from(word));
    MessageKind, |word| Ok(MessageKind::from(word))
}

impl ToSql<UtcTimestamp, Pg> for Timestamp {
    fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, Pg>) -> serialize::Result {
        let micros = self.0.saturating_sub(POSTGRES_EPOCH);
        <i64 as ToSql<BigInt, Pg>>::to_sql(&micros, &mut out.reborrow())
    }
}

impl FromSql<UtcTimestamp, Pg> for Timestamp {
    fn from_sql(value: PgValue<'_>) -> deserialize::Result<Self> {
        let micros = <i64 as FromSql<BigInt, Pg>>::from_sql(value)?;
        Ok(Self(micros.saturating_add(POSTGRES_EPOCH)))
    }
}

impl ToSql<UtcTimestamp, Sqlite> for Timestamp {
    fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, Sqlite>) -> serialize::Result {
        out.set_value(self.0);
        Ok(IsNull::No)
    }
}

impl FromSql<UtcTimestamp, Sqlite> for Timestamp {
    fn from_sql(value: <Sqlite as Backend>::RawValue<'_>) -> deserialize::Result<Self> {
        <i64 as FromSql<BigInt, Sqlite>>::from_sql(value).map(Self)
    }
}
