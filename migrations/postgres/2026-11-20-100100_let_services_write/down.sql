-- A service stays as the author of what it wrote, and becomes a customer: the role that may the
-- least. Its issuer vouches for nobody who signs in, so nobody gets in by it. Migrated up again, it
-- gets its role back when it writes next.
UPDATE users SET role = 'customer' WHERE role IN ('bot', 'system');

ALTER TABLE users
    DROP CONSTRAINT users_role_check,
    ADD CONSTRAINT users_role_check CHECK (role IN ('customer', 'admin'));
