DELETE FROM migration_compatibility WHERE version = '20261125140000';

-- Words that the older program does not know. A journal entry is a hint, and is deleted: losing one
-- costs time. Users, chats and events are not: the operator decides about them first. SQLite names the
-- constraint that failed, so its name is the message.
DELETE FROM journal WHERE kind NOT IN ('user_changed', 'chat_created');

CREATE TABLE unknown_roles (
    found INTEGER CONSTRAINT "users.role holds roles that the older version does not know: change them first" CHECK (found = 0)
);
INSERT INTO unknown_roles SELECT count(*) FROM users WHERE role NOT IN ('customer', 'admin', 'bot', 'system');
DROP TABLE unknown_roles;

CREATE TABLE unknown_chats (
    found INTEGER CONSTRAINT "chats.kind holds kinds that the older version does not know: change them first" CHECK (found = 0)
);
INSERT INTO unknown_chats SELECT count(*) FROM chats WHERE kind NOT IN ('support', 'group');
DROP TABLE unknown_chats;

CREATE TABLE unknown_events (
    found INTEGER CONSTRAINT "the outbox holds events that the older version does not know: let them be delivered, or delete them" CHECK (found = 0)
);
INSERT INTO unknown_events SELECT count(*) FROM (SELECT kind FROM outbox UNION ALL SELECT kind FROM outbox_deliveries)
WHERE kind NOT IN ('user.created', 'chat.created', 'message.created', 'message.read');
DROP TABLE unknown_events;

CREATE TABLE old_sequences AS
SELECT name, seq FROM sqlite_sequence WHERE name IN ('chats', 'journal', 'outbox');

ALTER TABLE users ADD COLUMN known_role TEXT NOT NULL DEFAULT 'customer'
    CHECK (known_role IN ('customer', 'admin', 'bot', 'system'));
UPDATE users SET known_role = role;
ALTER TABLE users DROP COLUMN role;
ALTER TABLE users RENAME COLUMN known_role TO role;

-- Other tables refer to chats: their references are without a target from the DROP until the rows are
-- back, and are checked at the COMMIT.
PRAGMA defer_foreign_keys = ON;
CREATE TABLE old_chats AS SELECT * FROM chats;
DROP TABLE chats;
CREATE TABLE chats (
    id             INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL,
    kind           TEXT    NOT NULL CHECK (kind IN ('support', 'group')),
    title          TEXT,
    -- Whose support chat it is: one customer has one.
    customer_id    INTEGER UNIQUE REFERENCES users (id),
    last_seq       INTEGER NOT NULL DEFAULT 0,
    created_at     INTEGER NOT NULL,
    updated_at     INTEGER NOT NULL,
    -- The whole minutes of updated_at since the epoch: the slow half of the order by latest activity.
    active_minute  INTEGER NOT NULL,
    CHECK ((kind = 'support') = (customer_id IS NOT NULL))
) STRICT;
INSERT INTO chats
    (id, kind, title, customer_id, last_seq, created_at, updated_at, active_minute)
SELECT id, kind, title, customer_id, last_seq, created_at, updated_at, active_minute FROM old_chats;
DROP TABLE old_chats;
CREATE INDEX chats_active_minute ON chats (active_minute);

ALTER TABLE journal RENAME TO old_journal;
CREATE TABLE journal (
    id          INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL,
    at          INTEGER NOT NULL,
    kind        TEXT    NOT NULL CHECK (kind IN ('user_changed', 'chat_created')),
    subject_id  INTEGER NOT NULL
) STRICT;
INSERT INTO journal (id, at, kind, subject_id) SELECT id, at, kind, subject_id FROM old_journal;
DROP TABLE old_journal;
CREATE INDEX journal_at ON journal (at);

ALTER TABLE outbox RENAME TO old_outbox;
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
INSERT INTO outbox (id, event_id, at, kind, chat_id, user_id, seq)
SELECT id, event_id, at, kind, chat_id, user_id, seq FROM old_outbox;
DROP TABLE old_outbox;

-- Ids go on where they were: those of rows that are gone are not given again.
DELETE FROM sqlite_sequence WHERE name IN (SELECT name FROM old_sequences);
INSERT INTO sqlite_sequence (name, seq) SELECT name, seq FROM old_sequences;
DROP TABLE old_sequences;
