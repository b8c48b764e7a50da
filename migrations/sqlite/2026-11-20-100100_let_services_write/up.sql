-- Services write messages, too, as users of roles that nobody signs in with.
--
-- SQLite changes no CHECK, and a table that others refer to cannot be made anew in a transaction. So
-- another column takes the role's place. The default is there because a column that is added later
-- must have one; every row says its role.
ALTER TABLE users ADD COLUMN new_role TEXT NOT NULL DEFAULT 'customer'
    CHECK (new_role IN ('customer', 'admin', 'bot', 'system'));
UPDATE users SET new_role = role;
ALTER TABLE users DROP COLUMN role;
ALTER TABLE users RENAME COLUMN new_role TO role;
