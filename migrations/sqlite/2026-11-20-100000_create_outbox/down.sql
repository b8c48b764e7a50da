ALTER TABLE users DROP COLUMN news_at;
DROP TABLE inbox;
DROP TABLE outbox;
