-- The processes of the deployment, and which provider instances each can call.

-- Workers of the release before go on claiming: by the new index too, if slower where many executions are due.
INSERT INTO schema_compatibility (version, compatible_from) VALUES (3, 1);

CREATE TABLE processes (
    id text COLLATE "C" NOT NULL PRIMARY KEY,
    -- An open list: `server`, `worker`, `dev`. The last two run what is queued.
    kind text COLLATE "C" NOT NULL,
    -- A JSON object: for each instance by its name its protocol, and whether its base URL is not the maker's.
    providers text NOT NULL,
    release text NOT NULL,
    -- When it last told of itself, which it does every ten seconds.
    seen_at timestamptz NOT NULL,
    -- Whether it has ended in order since. What it told counts for a day all the same.
    has_left boolean NOT NULL
);

-- What is due, for each provider: a worker reads nothing of those that it cannot call. Every queued execution has
-- `available_at`; the condition keeps the index from statements about queued executions that have an index of their own.
-- The old index is dropped last: until then reads go on.
CREATE INDEX executions_due_new ON executions (provider, available_at)
    WHERE status = 'queued' AND available_at IS NOT NULL;
DROP INDEX executions_due;
ALTER INDEX executions_due_new RENAME TO executions_due;
