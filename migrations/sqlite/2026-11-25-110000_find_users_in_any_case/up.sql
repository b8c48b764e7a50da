-- What a user is searched by, folded by the program: SQLite, and PostgreSQL in the locale C, lower
-- ASCII's letters alone. NULL in rows that the program has yet to fill, and in those that a node
-- makes which does not know the column.
ALTER TABLE users ADD COLUMN search TEXT;
-- Finds the rows to be filled, of which there are none most of the time.
CREATE INDEX users_without_search ON users (id) WHERE search IS NULL;
