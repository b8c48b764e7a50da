DELETE FROM migration_compatibility WHERE version = '20261127020000';
DROP TABLE service_keys;
