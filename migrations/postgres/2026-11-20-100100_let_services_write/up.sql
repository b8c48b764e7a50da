-- Services write messages, too, as users of roles that nobody signs in with.
ALTER TABLE users
    DROP CONSTRAINT users_role_check,
    ADD CONSTRAINT users_role_check CHECK (role IN ('customer', 'admin', 'bot', 'system'));
