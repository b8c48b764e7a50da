-- Events that one sink of the outbox has and another has not: one row for each sink that lacks the
-- event, under its outbox id. So a sink that is away keeps its rows here, and the outbox stays short.
--
-- Where there is one sink, nothing is ever written here. No foreign keys: the outbox row is gone.
CREATE TABLE outbox_deliveries (
    sink      TEXT    NOT NULL,
    id        INTEGER NOT NULL,
    event_id  TEXT    NOT NULL,
    at        INTEGER NOT NULL,
    kind      TEXT    NOT NULL,
    chat_id   INTEGER,
    user_id   INTEGER,
    seq       INTEGER,
    PRIMARY KEY (sink, id)
) STRICT, WITHOUT ROWID;

INSERT INTO migration_compatibility (version, oldest) VALUES ('20261125130000', '20261125120000');
