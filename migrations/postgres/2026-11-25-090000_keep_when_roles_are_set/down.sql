ALTER TABLE users DROP COLUMN role_set_at;
