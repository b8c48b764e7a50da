DELETE FROM migration_compatibility WHERE version = '20261126010000';

ALTER TABLE users DROP COLUMN last_seen_at;
