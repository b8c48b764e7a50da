-- The author's role when the message was written. NULL in rows of before, and in those of a node that
-- does not know the column: they show the user's role as it is.
--
-- Nullable, without a default and without a CHECK: so it is added to a log of any size at once, with
-- no row read or written again.
ALTER TABLE messages ADD COLUMN author_role TEXT;
