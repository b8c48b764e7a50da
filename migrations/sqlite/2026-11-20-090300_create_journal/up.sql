-- What the processes on one file tell each other: a chat was made, a user was changed. Polled by
-- time; the old is pruned.
CREATE TABLE journal (
    id          INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL,
    at          INTEGER NOT NULL,
    kind        TEXT    NOT NULL CHECK (kind IN ('user_changed', 'chat_created')),
    subject_id  INTEGER NOT NULL
) STRICT;

CREATE INDEX journal_at ON journal (at);
