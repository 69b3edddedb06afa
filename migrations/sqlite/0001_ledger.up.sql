-- Ids are UUIDs in text form; times are microseconds since 1970, UTC (`datetime(created_at / 1000000, 'unixepoch')`
-- shows one); money is in nano-US-dollars; an empty text means that none was given.
--
-- Tables of small rows with a text key are WITHOUT ROWID: one B-tree to write instead of two.

-- For each migration, the oldest release that works with the resulting schema, given as the newest migration of that
-- release. Servers of two adjacent releases can run at the same time.
CREATE TABLE schema_compatibility (
    version         INTEGER NOT NULL PRIMARY KEY,
    compatible_from INTEGER NOT NULL
) STRICT;

INSERT INTO schema_compatibility (version, compatible_from) VALUES (1, 1);

CREATE TABLE projects (
    id         TEXT    NOT NULL PRIMARY KEY,
    name       TEXT    NOT NULL UNIQUE,
    -- Number of writes to the project's registry; a prompt's etag is its value at the prompt's last write.
    revision   INTEGER NOT NULL DEFAULT 0,
    created_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Counters that caches of keys and of models compare; each project has its own besides.
CREATE TABLE revisions (
    scope    TEXT    NOT NULL PRIMARY KEY CHECK (scope IN ('keys', 'models')),
    revision INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE api_keys (
    id         TEXT    NOT NULL PRIMARY KEY,
    name       TEXT    NOT NULL,
    -- The key's first characters, to recognize it by. The key itself is not stored.
    prefix     TEXT    NOT NULL,
    -- SHA-256 of the key.
    hash       BLOB    NOT NULL UNIQUE CHECK (length(hash) = 32),
    -- NULL for a system key.
    project_id TEXT    REFERENCES projects (id) ON DELETE RESTRICT,
    created_at INTEGER NOT NULL,
    revoked_at INTEGER
) STRICT, WITHOUT ROWID;

CREATE TABLE prompts (
    id                    TEXT    NOT NULL PRIMARY KEY,
    project_id            TEXT    NOT NULL REFERENCES projects (id) ON DELETE RESTRICT,
    name                  TEXT    NOT NULL,
    mode                  TEXT    NOT NULL CHECK (mode IN ('full', 'tracking')),
    description           TEXT    NOT NULL,
    owner_team            TEXT    NOT NULL,
    -- A JSON array of strings.
    tags                  TEXT    NOT NULL CHECK (json_valid(tags)),
    active_version_number INTEGER,
    latest_version_number INTEGER NOT NULL CHECK (latest_version_number >= 0),
    -- The project's revision at the prompt's last write.
    revision              INTEGER NOT NULL,
    created_at            INTEGER NOT NULL,
    updated_at            INTEGER NOT NULL,
    archived_at           INTEGER,
    UNIQUE (project_id, name)
) STRICT;

CREATE TABLE prompt_versions (
    id                TEXT    NOT NULL PRIMARY KEY,
    prompt_id         TEXT    NOT NULL REFERENCES prompts (id) ON DELETE RESTRICT,
    version_number    INTEGER NOT NULL CHECK (version_number > 0),
    status            TEXT    NOT NULL CHECK (status IN ('draft', 'active', 'deprecated')),
    template_source   TEXT    NOT NULL,
    template_format   TEXT    NOT NULL CHECK (template_format IN ('handlebars', 'opaque')),
    checksum_hash     TEXT    NOT NULL,
    -- A JSON array of strings.
    variables         TEXT    NOT NULL CHECK (json_valid(variables)),
    created_by        TEXT    NOT NULL,
    created_at        INTEGER NOT NULL,
    source_repository TEXT    NOT NULL,
    source_commit     TEXT    NOT NULL,
    source_path       TEXT    NOT NULL,
    UNIQUE (prompt_id, version_number),
    UNIQUE (prompt_id, checksum_hash)
) STRICT;

CREATE TABLE models (
    provider           TEXT    NOT NULL,
    model_name         TEXT    NOT NULL,
    max_tokens         INTEGER,
    supports_streaming INTEGER NOT NULL CHECK (supports_streaming IN (0, 1)),
    -- Whether the model was registered by its first use, and not written by PutModel since.
    discovered         INTEGER NOT NULL DEFAULT 0 CHECK (discovered IN (0, 1)),
    created_at         INTEGER NOT NULL,
    updated_at         INTEGER NOT NULL,
    PRIMARY KEY (provider, model_name)
) STRICT, WITHOUT ROWID;

-- Amounts in nano-US-dollars per million tokens. A price is never changed: a row supersedes the others from its
-- `valid_from` on, and of two with the same `valid_from` the one created later is in force.
CREATE TABLE model_prices (
    id           TEXT    NOT NULL PRIMARY KEY,
    provider     TEXT    NOT NULL,
    model_name   TEXT    NOT NULL,
    input        INTEGER NOT NULL CHECK (input >= 0),
    -- NULL means as `input`.
    cached_input INTEGER CHECK (cached_input >= 0),
    output       INTEGER NOT NULL CHECK (output >= 0),
    valid_from   INTEGER NOT NULL,
    created_at   INTEGER NOT NULL,
    FOREIGN KEY (provider, model_name) REFERENCES models (provider, model_name) ON DELETE CASCADE
) STRICT, WITHOUT ROWID;

CREATE INDEX model_prices_validity ON model_prices (provider, model_name, valid_from DESC, created_at DESC);

-- The version is the only foreign key: prompt and project follow from it, and every execution would pay for further
-- checks.
CREATE TABLE executions (
    id                  TEXT    NOT NULL PRIMARY KEY,
    project_id          TEXT    NOT NULL,
    prompt_id           TEXT    NOT NULL,
    version_id          TEXT    NOT NULL REFERENCES prompt_versions (id) ON DELETE RESTRICT,
    -- The prompt's mode when it was executed.
    prompt_mode         TEXT    NOT NULL CHECK (prompt_mode IN ('full', 'tracking')),
    mode                TEXT    NOT NULL CHECK (mode IN ('sync', 'async')),
    status              TEXT    NOT NULL CHECK (status IN ('queued', 'running', 'succeeded', 'failed', 'canceled')),
    environment         TEXT    NOT NULL,
    provider            TEXT    NOT NULL,
    model_name          TEXT    NOT NULL,
    temperature         REAL,
    top_k               INTEGER,
    top_p               REAL,
    repetition_penalty  REAL,
    max_new_tokens      INTEGER,
    -- These are NULL when the caller sent none.
    correlation_id      TEXT,
    idempotency_key     TEXT,
    -- Hash of the request as sent; a repetition of the key must have the same.
    request_hash        BLOB,
    prompt_truncated    INTEGER NOT NULL CHECK (prompt_truncated IN (0, 1)),
    response_truncated  INTEGER NOT NULL DEFAULT 0 CHECK (response_truncated IN (0, 1)),
    -- Whether the holder publishes the text while the model generates it.
    stream_text         INTEGER NOT NULL DEFAULT 0 CHECK (stream_text IN (0, 1)),
    -- Sums over the attempts.
    prompt_tokens       INTEGER,
    cached_prompt_tokens       INTEGER,
    response_tokens     INTEGER,
    cost_nano_usd       INTEGER,
    price_id            TEXT,
    -- Of the last provider call.
    latency_ms          INTEGER,
    -- The values of these two are an open list: another release may have more.
    error_type          TEXT,
    finish_reason       TEXT,
    error_message       TEXT,
    provider_request_id TEXT    NOT NULL DEFAULT '',
    timeout_micros      INTEGER NOT NULL,
    max_retries         INTEGER NOT NULL,
    -- Number of attempts begun. Serves as the fence: writes of another attempt change nothing.
    attempts            INTEGER NOT NULL,
    -- Number of these that a process handed back because it shut down; they do not count against `max_retries`.
    handed_back         INTEGER NOT NULL DEFAULT 0,
    attempt_started_at  INTEGER,
    -- The holder of a running execution: process, claim, and when the lease expires without a heartbeat. The lease is
    -- in no index, so that a heartbeat writes one page.
    worker              TEXT    NOT NULL DEFAULT '',
    claim_id            TEXT,
    lease_until         INTEGER,
    -- The capability that a worker needs, a number that grows with releases; workers with a smaller one skip the
    -- execution.
    needs               INTEGER NOT NULL DEFAULT 0,
    -- When workers may claim a queued execution without a hint.
    available_at        INTEGER,
    expire_at           INTEGER,
    cancel_requested_at INTEGER,
    cancel_reason       TEXT    NOT NULL DEFAULT '',
    -- Sequence of the last event.
    last_sequence       INTEGER NOT NULL,
    created_at          INTEGER NOT NULL,
    started_at          INTEGER,
    completed_at        INTEGER,
    CHECK ((idempotency_key IS NULL) = (request_hash IS NULL)),
    CHECK ((completed_at IS NULL) = (status IN ('queued', 'running')))
) STRICT;

CREATE UNIQUE INDEX executions_idempotency_key ON executions (prompt_id, idempotency_key)
    WHERE idempotency_key IS NOT NULL;
CREATE INDEX executions_project ON executions (project_id, created_at DESC);
CREATE INDEX executions_prompt ON executions (prompt_id, created_at DESC);
CREATE INDEX executions_version ON executions (version_id, created_at DESC);
-- Most executions have succeeded: these are found by time.
CREATE INDEX executions_status ON executions (status, created_at DESC) WHERE status <> 'succeeded';
CREATE INDEX executions_correlation ON executions (correlation_id, created_at DESC) WHERE correlation_id IS NOT NULL;
CREATE INDEX executions_due ON executions (available_at) WHERE status = 'queued';
CREATE INDEX executions_expiry ON executions (expire_at) WHERE status = 'queued' AND expire_at IS NOT NULL;

-- The exact input of the model, either a rendered prompt or messages (a JSON array), and the variables it was rendered
-- from.
CREATE TABLE execution_inputs (
    execution_id    TEXT NOT NULL PRIMARY KEY REFERENCES executions (id) ON DELETE CASCADE,
    rendered_prompt TEXT,
    messages        TEXT CHECK (json_valid(messages)),
    -- Canonical JSON (RFC 8785).
    variables       TEXT NOT NULL,
    CHECK ((rendered_prompt IS NULL) <> (messages IS NULL))
) STRICT;

-- The response's text. An empty one has no row.
CREATE TABLE execution_outputs (
    execution_id  TEXT NOT NULL PRIMARY KEY REFERENCES executions (id) ON DELETE CASCADE,
    response_text TEXT NOT NULL
) STRICT;

-- One row per attempt, written when it ends.
CREATE TABLE execution_attempts (
    execution_id        TEXT    NOT NULL REFERENCES executions (id) ON DELETE CASCADE,
    number              INTEGER NOT NULL,
    worker              TEXT    NOT NULL,
    started_at          INTEGER NOT NULL,
    ended_at            INTEGER NOT NULL,
    error_type          TEXT,
    error_message       TEXT    NOT NULL,
    provider_request_id TEXT    NOT NULL,
    prompt_tokens       INTEGER,
    cached_prompt_tokens       INTEGER,
    response_tokens     INTEGER,
    latency_ms          INTEGER,
    PRIMARY KEY (execution_id, number)
) STRICT, WITHOUT ROWID;

-- Every change of state, written in the same transaction: sequence 1, 2, 3, ... without gaps.
CREATE TABLE execution_events (
    execution_id    TEXT    NOT NULL REFERENCES executions (id) ON DELETE CASCADE,
    sequence        INTEGER NOT NULL,
    at              INTEGER NOT NULL,
    -- NULL in the first event.
    from_status     TEXT CHECK (from_status IN ('queued', 'running', 'succeeded', 'failed', 'canceled')),
    to_status       TEXT    NOT NULL CHECK (to_status IN ('queued', 'running', 'succeeded', 'failed', 'canceled')),
    -- The attempt that the event belongs to; 0 before the first.
    attempt         INTEGER NOT NULL,
    error_type      TEXT,
    next_attempt_at INTEGER,
    PRIMARY KEY (execution_id, sequence)
) STRICT, WITHOUT ROWID;

-- Feeds read events by time.
CREATE INDEX execution_events_at ON execution_events (at);

-- Number of executions of each version, maintained by triggers, so that a history need not count them. One process
-- writes, so there is no contention for the row.
CREATE TABLE version_executions (
    version_id TEXT    NOT NULL PRIMARY KEY REFERENCES prompt_versions (id) ON DELETE CASCADE,
    executions INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TRIGGER executions_counted AFTER INSERT ON executions BEGIN
    INSERT INTO version_executions (version_id, executions) VALUES (NEW.version_id, 1)
    ON CONFLICT (version_id) DO UPDATE SET executions = executions + 1;
END;

CREATE TRIGGER executions_uncounted AFTER DELETE ON executions BEGIN
    UPDATE version_executions SET executions = executions - 1 WHERE version_id = OLD.version_id;
END;

INSERT INTO revisions (scope, revision) VALUES ('keys', 1), ('models', 1);

INSERT INTO projects (id, name, created_at)
VALUES ('01900000-0000-7000-8000-000000000001', 'default', CAST(unixepoch('subsec') * 1000000 AS INTEGER));
