DELETE FROM migration_compatibility WHERE version = '20261125140000';

-- Words that the older program does not know. A journal entry is a hint, and is deleted: losing one
-- costs time. Users, chats and events are not: the operator decides about them first.
DELETE FROM journal WHERE kind NOT IN ('user_changed', 'chat_created');

DO $$
BEGIN
    IF EXISTS (SELECT FROM users WHERE role NOT IN ('customer', 'admin', 'bot', 'system')) THEN
        RAISE EXCEPTION 'users.role holds roles that the older version does not know: change them first';
    END IF;
    IF EXISTS (SELECT FROM chats WHERE kind NOT IN ('support', 'group')) THEN
        RAISE EXCEPTION 'chats.kind holds kinds that the older version does not know: change them first';
    END IF;
    IF EXISTS (
        SELECT FROM (SELECT kind FROM outbox UNION ALL SELECT kind FROM outbox_deliveries) AS waiting
        WHERE kind NOT IN ('user.created', 'chat.created', 'message.created', 'message.read')
    ) THEN
        RAISE EXCEPTION 'the outbox holds events that the older version does not know: let them be delivered, or delete them';
    END IF;
END
$$;

ALTER TABLE users ADD CONSTRAINT users_role_check
    CHECK (role IN ('customer', 'admin', 'bot', 'system'));
ALTER TABLE chats ADD CONSTRAINT chats_kind_check CHECK (kind IN ('support', 'group'));
ALTER TABLE journal ADD CONSTRAINT journal_kind_check
    CHECK (kind IN ('user_changed', 'chat_created'));
ALTER TABLE outbox ADD CONSTRAINT outbox_kind_check
    CHECK (kind IN ('user.created', 'chat.created', 'message.created', 'message.read'));
