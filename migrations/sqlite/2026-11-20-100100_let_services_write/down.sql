-- A service stays as the author of what it wrote, and becomes a customer: the role that may the
-- least. Its issuer vouches for nobody who signs in, so nobody gets in by it. Migrated up again, it
-- gets its role back when it writes next.
ALTER TABLE users ADD COLUMN old_role TEXT NOT NULL DEFAULT 'customer'
    CHECK (old_role IN ('customer', 'admin'));
UPDATE users SET old_role = role WHERE role IN ('customer', 'admin');
ALTER TABLE users DROP COLUMN role;
ALTER TABLE users RENAME COLUMN old_role TO role;
