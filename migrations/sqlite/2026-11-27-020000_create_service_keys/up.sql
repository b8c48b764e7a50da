-- Keys of services that call the HTTP API. The key itself is not stored.
CREATE TABLE service_keys (
    id            INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL,
    name          TEXT NOT NULL,
    -- SHA-256, in hexadecimal digits: a key is 32 random bytes, which nobody guesses from it.
    hash          TEXT NOT NULL UNIQUE,
    -- Words with spaces between them.
    scopes        TEXT NOT NULL,
    created_at    INTEGER NOT NULL,
    -- To the minute.
    last_used_at  INTEGER,
    revoked_at    INTEGER
) STRICT;

INSERT INTO migration_compatibility (version, oldest) VALUES ('20261127020000', '20261125140000');
