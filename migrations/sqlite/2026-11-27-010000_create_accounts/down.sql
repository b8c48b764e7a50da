DELETE FROM migration_compatibility WHERE version = '20261127010000';
ALTER TABLE users DROP COLUMN block_reason;
DROP TABLE logins;
DROP TABLE accounts;
