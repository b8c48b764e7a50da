ALTER TABLE users DROP COLUMN blocked_at;
DROP TABLE inbox;
DROP TABLE outbox;
