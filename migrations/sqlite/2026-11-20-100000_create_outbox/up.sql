-- What has happened and other services are still to be told. A row is written in the transaction of
-- what it tells of, holds no more than where to find that, and is deleted once it was told.
CREATE TABLE outbox (
    id        INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL,
    -- By what receivers know a repeat: a random UUID.
    event_id  TEXT    NOT NULL DEFAULT (lower(
        hex(randomblob(4)) || '-' || hex(randomblob(2))
        || '-4' || substr(hex(randomblob(2)), 2)
        || '-' || substr('89ab', 1 + (random() & 3), 1) || substr(hex(randomblob(2)), 2)
        || '-' || hex(randomblob(6))
    )),
    at        INTEGER NOT NULL,
    kind      TEXT    NOT NULL
        CHECK (kind IN ('user.created', 'chat.created', 'message.created', 'message.read')),
    chat_id   INTEGER,
    user_id   INTEGER,
    seq       INTEGER
) STRICT;

-- The events of other services that were applied, to know a repeat; the old are pruned.
CREATE TABLE inbox (
    source    TEXT    NOT NULL,
    event_id  TEXT    NOT NULL,
    at        INTEGER NOT NULL,
    PRIMARY KEY (source, event_id)
) STRICT, WITHOUT ROWID;

CREATE INDEX inbox_at ON inbox (at);

-- When it was last said whether the user is blocked; NULL until then. Beside claims_at, as no token
-- says anything of a block: a newer one must not make a block old.
ALTER TABLE users ADD COLUMN blocked_at INTEGER;
