DROP TABLE migration_compatibility;
