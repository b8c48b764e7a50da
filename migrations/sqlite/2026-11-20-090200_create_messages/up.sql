-- The log of every chat.
CREATE TABLE messages (
    id          INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL,
    chat_id     INTEGER NOT NULL REFERENCES chats (id),
    seq         INTEGER NOT NULL,
    author_id   INTEGER NOT NULL REFERENCES users (id),
    kind        TEXT    NOT NULL DEFAULT 'text',
    body        TEXT    NOT NULL,
    client_id   TEXT    NOT NULL,
    created_at  INTEGER NOT NULL,
    UNIQUE (chat_id, seq),
    UNIQUE (chat_id, author_id, client_id)
) STRICT;
