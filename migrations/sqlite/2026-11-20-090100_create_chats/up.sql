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

CREATE INDEX chats_active_minute ON chats (active_minute);

CREATE TABLE chat_members (
    chat_id    INTEGER NOT NULL REFERENCES chats (id),
    user_id    INTEGER NOT NULL REFERENCES users (id),
    joined_at  INTEGER NOT NULL,
    PRIMARY KEY (chat_id, user_id)
) STRICT, WITHOUT ROWID;

CREATE INDEX chat_members_of_user ON chat_members (user_id, chat_id);

-- How far each user has read each chat.
CREATE TABLE read_marks (
    chat_id  INTEGER NOT NULL REFERENCES chats (id),
    user_id  INTEGER NOT NULL REFERENCES users (id),
    seq      INTEGER NOT NULL,
    PRIMARY KEY (chat_id, user_id)
) STRICT, WITHOUT ROWID;
