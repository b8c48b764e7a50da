-- When a service set the role, in seconds; NULL where no service has. Beside claims_at, as tokens
-- move that on: an earlier one, or one without `iat`, must not raise a role that a service set.
ALTER TABLE users ADD COLUMN role_set_at BIGINT;
