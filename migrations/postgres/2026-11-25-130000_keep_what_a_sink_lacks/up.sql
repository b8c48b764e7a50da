-- Events that one sink of the outbox has and another has not: one row for each sink that lacks the
-- event, under its outbox id. So a sink that is away keeps its rows here, and the outbox stays short.
--
-- Where there is one sink, nothing is ever written here. No foreign keys: the outbox row is gone.
CREATE TABLE outbox_deliveries (
    sink      TEXT        NOT NULL,
    id        BIGINT      NOT NULL,
    event_id  TEXT        NOT NULL,
    at        TIMESTAMPTZ NOT NULL,
    kind      TEXT        NOT NULL,
    chat_id   BIGINT,
    user_id   BIGINT,
    seq       BIGINT,
    PRIMARY KEY (sink, id)
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000);

INSERT INTO migration_compatibility (version, oldest) VALUES ('20261125130000', '20261125120000');
