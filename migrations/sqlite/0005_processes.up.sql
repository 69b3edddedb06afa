-- The processes that used this file, and which provider instances each could call.

INSERT INTO schema_compatibility (version, compatible_from) VALUES (5, 3);

CREATE TABLE processes (
    id        TEXT    NOT NULL PRIMARY KEY,
    -- An open list: `server`, `worker`, `dev`. The last two run what is queued.
    kind      TEXT    NOT NULL,
    -- A JSON object: for each instance by its name its protocol, and whether its base URL is not the maker's.
    providers TEXT    NOT NULL,
    release   TEXT    NOT NULL,
    -- When it last told of itself, which it does every ten seconds.
    seen_at   INTEGER NOT NULL,
    -- Whether it has ended in order since. What it told counts for a day all the same.
    has_left  INTEGER NOT NULL CHECK (has_left IN (0, 1))
) STRICT, WITHOUT ROWID;

-- What is due, for each provider: a claim reads nothing of those that the process cannot call.
DROP INDEX executions_due;
CREATE INDEX executions_due ON executions (provider, available_at) WHERE status = 'queued';
