-- Which programs may still run on the schema after a migration that they do not know: those whose own
-- newest migration is `oldest` or later. A migration without a row is for newer programs alone.
CREATE TABLE migration_compatibility (
    version  TEXT PRIMARY KEY,
    oldest   TEXT NOT NULL
);
