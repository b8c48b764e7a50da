//! The tables, the same under both databases.

diesel::table! {
    users (id) {
        id -> BigInt,
        issuer -> Text,
        subject -> Text,
        role -> Text,
        nickname -> Nullable<Text>,
        email -> Nullable<Text>,
        claims_at -> Nullable<BigInt>,
        blocked -> Bool,
        created_at -> crate::db::types::UtcTimestamp,
        blocked_at -> Nullable<crate::db::types::UtcTimestamp>,
        role_set_at -> Nullable<BigInt>,
        search -> Nullable<Text>,
        last_seen_at -> Nullable<crate::db::types::UtcTimestamp>,
        block_reason -> Nullable<Text>,
    }
}

diesel::table! {
    accounts (user_id) {
        user_id -> BigInt,
        email_key -> Text,
        password_hash -> Text,
        changed_at -> crate::db::types::UtcTimestamp,
    }
}

diesel::table! {
    logins (id) {
        id -> BigInt,
        user_id -> BigInt,
        generation -> BigInt,
        refreshed_at -> crate::db::types::UtcTimestamp,
        expires_at -> crate::db::types::UtcTimestamp,
        ended_at -> Nullable<crate::db::types::UtcTimestamp>,
    }
}

diesel::table! {
    service_keys (id) {
        id -> BigInt,
        name -> Text,
        hash -> Text,
        scopes -> Text,
        created_at -> crate::db::types::UtcTimestamp,
        last_used_at -> Nullable<crate::db::types::UtcTimestamp>,
        revoked_at -> Nullable<crate::db::types::UtcTimestamp>,
    }
}

diesel::table! {
    chats (id) {
        id -> BigInt,
        kind -> Text,
        title -> Nullable<Text>,
        customer_id -> Nullable<BigInt>,
        last_seq -> BigInt,
        created_at -> crate::db::types::UtcTimestamp,
        updated_at -> crate::db::types::UtcTimestamp,
        active_minute -> BigInt,
    }
}

diesel::table! {
    chat_members (chat_id, user_id) {
        chat_id -> BigInt,
        user_id -> BigInt,
        joined_at -> crate::db::types::UtcTimestamp,
    }
}

diesel::table! {
    read_marks (chat_id, user_id) {
        chat_id -> BigInt,
        user_id -> BigInt,
        seq -> BigInt,
    }
}

diesel::table! {
    messages (chat_id, seq) {
        id -> BigInt,
        chat_id -> BigInt,
        seq -> BigInt,
        author_id -> BigInt,
        kind -> Text,
        body -> Text,
        client_id -> Text,
        created_at -> crate::db::types::UtcTimestamp,
        author_role -> Nullable<Text>,
    }
}

diesel::table! {
    journal (id) {
        id -> BigInt,
        at -> crate::db::types::UtcTimestamp,
        kind -> Text,
        subject_id -> BigInt,
    }
}

diesel::table! {
    outbox (id) {
        id -> BigInt,
        event_id -> Text,
        at -> crate::db::types::UtcTimestamp,
        kind -> Text,
        chat_id -> Nullable<BigInt>,
        user_id -> Nullable<BigInt>,
        seq -> Nullable<BigInt>,
    }
}

diesel::table! {
    outbox_deliveries (sink, id) {
        sink -> Text,
        id -> BigInt,
        event_id -> Text,
        at -> crate::db::types::UtcTimestamp,
        kind -> Text,
        chat_id -> Nullable<BigInt>,
        user_id -> Nullable<BigInt>,
        seq -> Nullable<BigInt>,
    }
}

diesel::table! {
    inbox (source, event_id) {
        source -> Text,
        event_id -> Text,
        at -> crate::db::types::UtcTimestamp,
    }
}

diesel::allow_tables_to_appear_in_same_query!(
    users,
    accounts,
    logins,
    chats,
    chat_members,
    read_marks,
    messages,
    outbox,
    outbox_deliveries
);
