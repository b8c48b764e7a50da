DELETE FROM migration_compatibility WHERE version = '20261125130000';

-- What RabbitMQ lacks goes back to the outbox, at its old place. The older program has no other sink,
-- so what others lack is deleted.
INSERT INTO outbox (id, event_id, at, kind, chat_id, user_id, seq)
SELECT id, event_id, at, kind, chat_id, user_id, seq FROM outbox_deliveries WHERE sink = 'rabbitmq';

DROP TABLE outbox_deliveries;
