-- Usage figures, aggregated in advance. Executions are moved here some time after they were recorded; those that have
-- not ended by then are listed in `usage_open_executions`. Figures are read from both and from the executions not yet
-- moved. So is the number of executions of a version, which recording no longer counts.

INSERT INTO schema_compatibility (version, compatible_from) VALUES (2, 2);

DROP TRIGGER executions_uncounted;
DROP TRIGGER executions_counted;
DROP TABLE version_executions;

-- Every execution of the project created before `until` is in the rollups or among the open executions. A project
-- without a row has none there.
CREATE TABLE usage_rolled_up (
    project_id TEXT    NOT NULL PRIMARY KEY,
    until      INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- What the executions of a rollup have in common besides their time. Once per version, and once for the whole project,
-- with empty texts for prompt and version. Rollups have its number instead of these texts.
CREATE TABLE usage_series (
    id          INTEGER NOT NULL PRIMARY KEY,
    project_id  TEXT    NOT NULL,
    prompt_id   TEXT    NOT NULL,
    version_id  TEXT    NOT NULL,
    provider    TEXT    NOT NULL,
    model_name  TEXT    NOT NULL,
    environment TEXT    NOT NULL,
    prompt_mode TEXT    NOT NULL,
    status      TEXT    NOT NULL,
    UNIQUE (project_id, prompt_id, version_id, provider, model_name, environment, prompt_mode, status)
) STRICT;

-- Ended executions of a minute, an hour or a day. The last ones of each length are not yet complete: they hold what was
-- created before `usage_rolled_up.until`.
CREATE TABLE usage_rollups (
    series          INTEGER NOT NULL,
    -- Length in minutes: 1, 60 or 1440.
    span            INTEGER NOT NULL,
    start           INTEGER NOT NULL,
    executions      INTEGER NOT NULL,
    prompt_tokens   INTEGER NOT NULL,
    response_tokens INTEGER NOT NULL,
    with_cost       INTEGER NOT NULL,
    -- The cost is cost_high * 2^32 + cost_low nano-US-dollars: more than 64 bits.
    cost_high       INTEGER NOT NULL,
    cost_low        INTEGER NOT NULL,
    latency_sum     INTEGER NOT NULL,
    -- The histogram: for each step its number (2 bytes) and count (4 bytes), big-endian.
    latencies       BLOB    NOT NULL,
    PRIMARY KEY (series, span, start)
) STRICT, WITHOUT ROWID;

-- Executions created before `usage_rolled_up.until` that had not ended when that time was moved.
CREATE TABLE usage_open_executions (
    execution_id TEXT    NOT NULL PRIMARY KEY REFERENCES executions (id) ON DELETE CASCADE,
    project_id   TEXT    NOT NULL,
    created_at   INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX usage_open_executions_time ON usage_open_executions (project_id, created_at);
