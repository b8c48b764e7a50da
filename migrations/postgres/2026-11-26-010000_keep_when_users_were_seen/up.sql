-- The end of a user's last session; NULL for a user who has had none.
ALTER TABLE users ADD COLUMN last_seen_at TIMESTAMPTZ;

INSERT INTO migration_compatibility (version, oldest) VALUES ('20261126010000', '20261125140000');
