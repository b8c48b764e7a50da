CREATE TABLE users (
    id          INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL,
    issuer      TEXT    NOT NULL,
    subject     TEXT    NOT NULL,
    role        TEXT    NOT NULL CHECK (role IN ('customer', 'admin')),
    nickname    TEXT,
    email       TEXT,
    -- The `iat` of the newest token that was seen, in seconds; NULL until the first one.
    claims_at   INTEGER,
    blocked     INTEGER NOT NULL DEFAULT 0 CHECK (blocked IN (0, 1)),
    created_at  INTEGER NOT NULL,
    UNIQUE (issuer, subject)
) STRICT;
