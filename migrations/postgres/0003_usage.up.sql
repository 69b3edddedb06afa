-- Figures over executions, added up in advance. Executions are moved here some time after they were recorded; what of them
-- has not ended by then waits in `usage_open_executions`. Figures are read from all three, and are those of the executions.

-- One row: until when executions are moved.
CREATE TABLE usage_rolled_up (
    only_row boolean NOT NULL PRIMARY KEY DEFAULT true CHECK (only_row),
    -- Every execution that was created before is in the rollups or among the open executions.
    until timestamptz NOT NULL,
    -- A moment and a transaction of that moment: once all that began to write before it have ended, nothing from before
    -- that moment is still to appear.
    marked_at timestamptz,
    marked_xid xid8
);

INSERT INTO usage_rolled_up (until) VALUES ('epoch');

-- Executions that have ended, of a minute, an hour or a day; the hours and days that are over by `usage_rolled_up.until`, and
-- every minute. Once by version, and once for the whole project, under an id of zeros.
CREATE TABLE usage_rollups (
    project_id uuid NOT NULL,
    prompt_id uuid NOT NULL,
    -- In minutes: 1, 60 or 1440.
    span smallint NOT NULL,
    start timestamptz NOT NULL,
    version_id uuid NOT NULL,
    provider text COLLATE "C" NOT NULL,
    model_name text COLLATE "C" NOT NULL,
    environment text COLLATE "C" NOT NULL,
    prompt_mode text COLLATE "C" NOT NULL,
    status text COLLATE "C" NOT NULL,
    executions bigint NOT NULL,
    prompt_tokens bigint NOT NULL,
    response_tokens bigint NOT NULL,
    with_cost bigint NOT NULL,
    cost_nano_usd numeric NOT NULL,
    latency_sum bigint NOT NULL,
    -- Six bytes for each step of the histogram: its number (2) and how many (4), big-endian.
    latencies bytea NOT NULL,
    PRIMARY KEY (project_id, prompt_id, span, start, version_id, provider, model_name, environment, prompt_mode, status)
);

-- Read whole and often: kept in the row, compressed where it is long.
ALTER TABLE usage_rollups ALTER COLUMN latencies SET STORAGE MAIN;

-- Executions from before `usage_rolled_up.until` that had not ended when their time was moved.
CREATE TABLE usage_open_executions (
    execution_id uuid NOT NULL PRIMARY KEY REFERENCES executions (id) ON DELETE CASCADE,
    project_id uuid NOT NULL,
    created_at timestamptz NOT NULL
);

CREATE INDEX usage_open_executions_time ON usage_open_executions (project_id, created_at);

INSERT INTO schema_compatibility (version, compatible_from) VALUES (3, 1);
