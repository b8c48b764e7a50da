-- Built-in accounts: users of the issuer `frontdesk` who sign in with a password.
CREATE TABLE accounts (
    user_id        BIGINT      PRIMARY KEY REFERENCES users (id),
    -- The e-mail in its normal form, by which an account is found.
    email_key      TEXT        NOT NULL UNIQUE,
    -- Argon2id, in the PHC string format.
    password_hash  TEXT        NOT NULL,
    changed_at     TIMESTAMPTZ NOT NULL
);

-- Sign-ins, each with its chain of refresh tokens. No token is stored: `generation` is the number of
-- the newest, whose signature is checked.
CREATE TABLE logins (
    id            BIGINT      PRIMARY KEY,
    user_id       BIGINT      NOT NULL REFERENCES users (id),
    generation    BIGINT      NOT NULL,
    -- When the newest refresh token was made.
    refreshed_at  TIMESTAMPTZ NOT NULL,
    expires_at    TIMESTAMPTZ NOT NULL,
    -- Signed out, or revoked.
    ended_at      TIMESTAMPTZ
);
CREATE INDEX logins_by_user ON logins (user_id);
CREATE INDEX logins_by_end ON logins (expires_at);

-- Why a user is blocked, for admins.
ALTER TABLE users ADD COLUMN block_reason TEXT;

INSERT INTO migration_compatibility (version, oldest) VALUES ('20261127010000', '20261125140000');
